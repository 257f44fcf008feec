"""Every call of Triton's client to a server: ``PYTHON ask_triton.py HOST:PORT``, JSON comes out.

The model ``churn`` multiplies; 1.1.0 is live and multiplies by 5, 1.0.0 by 3.
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]])


def inputs(*, binary: bool) -> list[Any]:
    """The rows, as the client sends them."""
    tensor = triton.InferInput("whatever", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    return [tensor]


def outputs(*, binary: bool) -> list[Any]:
    """The output that the model has, asked for by name."""
    return [triton.InferRequestedOutput("output-0", binary_data=binary)]


def told(result: Any) -> dict[str, Any]:
    """What an answer says."""
    response = result.get_response()
    return {
        "version": response["model_version"],
        "id": response.get("id"),
        "data": result.as_numpy("output-0").tolist(),
    }


def calls(client: Any) -> dict[str, Any]:
    """All calls, one after the other."""
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("churn"),
        "version ready": client.is_model_ready("churn", "1.0.0"),
        "other version ready": client.is_model_ready("churn", "9.9.9"),
        "server": client.get_server_metadata()["extensions"],
        "model": client.get_model_metadata("churn")["inputs"],
        "version": client.get_model_metadata("churn", "1.0.0")["versions"],
    }
    for send in (True, False):
        for receive in (True, False):
            name = f"infer {'binary' if send else 'JSON'}, {'binary' if receive else 'JSON'}"
            result = client.infer(
                "churn", inputs(binary=send), outputs=outputs(binary=receive), request_id="7"
            )
            found[name] = told(result)
        by_default = client.infer("churn", inputs(binary=send))
        found[f"infer {'binary' if send else 'JSON'}, by default"] = told(by_default)
    found["named version"] = told(client.infer("churn", inputs(binary=True), "1.0.0"))
    parameters = {"parameters": {"anything": 1}, "priority": 1, "timeout": 1000}
    found["parameters"] = told(client.infer("churn", inputs(binary=True), **parameters))
    header = {"headers": {"x-model-version": "1.0.0"}}
    found["version by header"] = told(client.infer("churn", inputs(binary=True), **header))
    waiting = [client.async_infer("churn", inputs(binary=True)) for _ in range(8)]
    found["async"] = [told(each.get_result()) for each in waiting]
    for name, call in refusals(client).items():
        try:
            call()
        except InferenceServerException as error:
            found[name] = [error.status(), error.message()]
    return found


def refusals(client: Any) -> dict[str, Any]:
    """Calls that are refused."""
    return {
        "unknown version": lambda: client.infer("churn", inputs(binary=True), "9.9.9"),
        "unknown model": lambda: client.infer("wine", inputs(binary=True)),
        "repository index": client.get_model_repository_index,
        "statistics": client.get_inference_statistics,
        "compressed": lambda: client.infer(
            "churn", inputs(binary=True), request_compression_algorithm="gzip"
        ),
    }


async def in_asyncio(address: str) -> list[dict[str, Any]]:
    """The other client: several requests at once."""
    async with triton_aio.InferenceServerClient(address) as client:
        assert await client.is_server_ready()
        waiting = [client.infer("churn", inputs(binary=n % 2 == 0)) for n in range(8)]
        return [told(result) for result in await asyncio.gather(*waiting)]


if __name__ == "__main__":
    with triton.InferenceServerClient(sys.argv[1], concurrency=4) as synchronous:
        results = calls(synchronous)
    results["asyncio"] = asyncio.run(in_asyncio(sys.argv[1]))
    sys.stdout.write(json.dumps(results))
