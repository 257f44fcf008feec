"""Every inference call of KServe's client: ``PYTHON ask_kserve.py HOST:PORT``, JSON comes out."""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]])


def request(*, send: bool, receive: bool) -> InferRequest:
    """A request, in binary or not, in each direction."""
    tensor = InferInput("whatever", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS, binary_data=send)
    outputs = [RequestedOutput("output-0", {"binary_data": receive})]
    return InferRequest("churn", [tensor], request_id="7", request_outputs=outputs)


async def calls(address: str) -> dict[str, Any]:
    """All calls, one after the other."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    base = f"http://{address}"
    found: dict[str, Any] = {
        "live": await client.is_server_live(base),
        "ready": await client.is_server_ready(base),
        "model ready": await client.is_model_ready(base, "churn"),
    }
    for send in (True, False):
        for receive in (True, False):
            name = f"infer {'binary' if send else 'JSON'}, {'binary' if receive else 'JSON'}"
            answer = await client.infer(base, request(send=send, receive=receive), "churn")
            found[name] = {
                "id": answer.id,  # it does not read model_version
                "data": answer.outputs[0].as_numpy().tolist(),
            }
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(calls(sys.argv[1]))))
