"""Real clients, each in a Python of its own: every inference call, and what is not offered."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serve import clients
from tests.serve.asking import Served, until
from tests.serve.shelf import Shelf

pytestmark = pytest.mark.heavy
HERE = Path(clients.__file__).parent
PROTOCOL = "OPEN_INFERENCE_YAML"  # names the file with the protocol's own description
LIVE, BESIDE = [[5.0, 10.0], [15.0, 20.0]], [[3.0, 6.0], [9.0, 12.0]]
WAYS = [f"infer {one}, {other}" for one in ("binary", "JSON") for other in ("binary", "JSON")]


@pytest.fixture
def server(shelf: Shelf, serve: Callable[..., Served]) -> Served:
    """1.1.0 is live, 1.0.0 answers beside it."""
    shelf.ship("1.0.0", 3.0)
    shelf.ship("1.1.0", 5.0)
    served = serve(challengers=(("churn", "1.0.0"),))
    until(lambda: served.slots["churn"].state().others)
    return served


def run(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A program of a client, to its end, in a folder where it may write."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}
    return subprocess.run(
        [str(clients.python_of(name)), *arguments],
        capture_output=True, text=True, check=False, timeout=300, env=environment,
        cwd=os.environ["HOME"],
    )  # fmt: skip


def asked(name: str, server: Served) -> dict[str, Any]:
    ended = run(name, str(HERE / f"ask_{name}.py"), f"127.0.0.1:{server.address[1]}")
    assert ended.returncode == 0, ended.stderr
    value: dict[str, Any] = json.loads(ended.stdout)
    return value


def test_every_call_of_tritons_client(server: Served) -> None:
    told = asked("triton", server)
    live = {"version": "1.1.0", "id": None, "data": LIVE}
    beside = {"version": "1.0.0", "id": None, "data": BESIDE}
    assert told == {
        "live": True, "ready": True, "model ready": True, "version ready": True,
        "other version ready": False,
        "server": ["binary_tensor_data"],
        "model": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 2]}],
        "version": ["1.1.0", "1.0.0"],
        **{way: {**live, "id": "7"} for way in WAYS},
        "infer binary, by default": live, "infer JSON, by default": live,
        "named version": beside, "version by header": beside, "parameters": live,
        "async": [live] * 8, "asyncio": [live] * 8,
        "unknown version": ["404", "version 9.9.9 of churn is not loaded"],
        "unknown model": ["404", "there is no model 'wine' here"],
        "repository index": ["404", "there is no such path: GET /docs has all"],
        "statistics": ["404", told["statistics"][1]],
        "compressed": ["415", "Content-Encoding is not offered"],
    }  # fmt: skip


def test_every_inference_call_of_kserves_client(server: Served) -> None:
    told = asked("kserve", server)
    live = {"id": "7", "data": LIVE}
    assert told == {"live": True, "ready": True, "model ready": True, **dict.fromkeys(WAYS, live)}


def cases_of(server: Served, description: str, examples: int) -> int:
    """The number of requests that schemathesis made of a description; none ended in 5xx.

    Args:
        examples: of random ones for each path and method.
    """
    ended = run(
        "schemathesis", "-m", "schemathesis.cli", "run", description,
        "--url", f"http://127.0.0.1:{server.address[1]}", "--checks", "not_a_server_error",
        "--max-examples", str(examples), "--seed", "1", "--no-color",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    generated = re.search(r"(\d+) generated", ended.stdout)
    assert generated, ended.stdout
    return int(generated[1])


def test_no_request_of_our_own_description_ends_in_a_server_error(
    server: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = tmp_path / "openapi.json"
    description.write_bytes(server.get("/openapi.json").body)
    count = cases_of(server, str(description), 15)
    with capsys.disabled():
        print(f"\nschemathesis, our own description: {count} cases, no server error")  # noqa: T201
    assert count > 200


@pytest.mark.skipif(PROTOCOL not in os.environ, reason=f"{PROTOCOL} names no file")
def test_no_request_of_the_protocols_description_ends_in_a_server_error(
    server: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(os.environ[PROTOCOL]).read_text(encoding="utf-8").replace("${", "{")
    description = tmp_path / "protocol.yaml"
    description.write_text(text, encoding="utf-8")
    count = cases_of(server, str(description), 40)
    with capsys.disabled():
        print(f"\nschemathesis, the protocol: {count} cases, no server error")  # noqa: T201
    assert count > 200
