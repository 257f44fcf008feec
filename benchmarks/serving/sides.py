"""The servers that are compared, each a process of its own on loopback."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import workspaces
from benchmarks.serving import peers
from benchmarks.timing import Command, Failed
from benchmarks.workspaces import PYTHON, ROOT
from tests.serve import load, swapping
from tests.serve.load import Plan
from tests.serve.swapping import Shipped
from tests.stores import servers

# What a server imports of its extra, besides the framework.
IMPORTED = ("fastapi", "httptools", "orjson", "prometheus_client", "uvicorn", "uvloop")
MODEL, FILE = "ml_model", "model.cbm"
START = 120  # seconds, until a server must answer on a busy machine
# The last revision whose api/ was a server of http.server: 72 lines.
BEFORE = "89d510a82602c2c7bd91791263bd811a579aa20a"
SERVER_BEFORE = (
    "import sys\n"
    "from pathlib import Path\n"
    "from api import server\n"
    "server.serve(('127.0.0.1', int(sys.argv[2])), Path(sys.argv[1])).serve_forever()\n"
)


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        plan: how it is asked.
        pid: of its first process.
        follows: waits until a version answers, for a server that follows the link by itself.
    """

    plan: Plan
    pid: int
    follows: Callable[[str], None] | None = None

    def post(self, path: str) -> None:
        """Ask for an act of the server.

        Raises:
            Failed: it did not do it.
        """
        url = f"http://{self.plan.host}:{self.plan.port}{path}"
        request = urllib.request.Request(url, b"", method="POST")
        try:
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
        except OSError as error:
            raise Failed(f"POST {path}: {error}") from error


@contextlib.contextmanager
def running(
    command: Command,
    plan: Plan,
    ready: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server until the block ends; it begins when ``ready`` has status 200.

    Args:
        ready: a path; empty to ask as the plan says until there is an answer.
        folder: its working directory; its log goes there.
    """
    log = folder / f"server-{plan.port}.log"
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            start_new_session=True, env={**os.environ, **(environment or {})},
        )  # fmt: skip
    try:
        _await(process, log, lambda: answers(plan, ready))
        yield Server(plan, process.pid)
    finally:
        end(process)


def _await(process: "subprocess.Popen[bytes]", log: Path, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + START
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            raise Failed(f"{process.args!r}: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)


def answers(plan: Plan, ready: str) -> bool:
    """Whether a server answers with status 200."""
    url = f"http://{plan.host}:{plan.port}{ready or plan.path}"
    body, headers = (None, {}) if ready else (plan.bodies[0], dict(plan.headers))
    request = urllib.request.Request(url, body, headers)
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    except OSError:  # HTTPError is one
        return False
    return True


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# each of them


@contextlib.contextmanager
def tagship(shipped: Shipped, *options: str) -> Iterator[Server]:
    """``tagship serve``, of the live version."""
    with swapping.serving(shipped.repo, shipped.model, *options) as served:
        plan = load.infer(served.address, shipped.model, shipped.batches)
        follows = functools.partial(served.await_version, shipped.model)
        yield Server(plan, served.pid, follows)


@contextlib.contextmanager
def before(shipped: Shipped, folder: Path) -> Iterator[Server]:
    """``api/`` as it was before ``tagship serve``; it knows ``ml_model`` alone.

    Raises:
        Failed: this is no clone that has the revision.
    """
    sources = sources_before(folder)
    bodies = tuple(json.dumps({"inputs": rows}).encode() for rows in shipped.batches)
    plan = replace(_plan(shipped), path=f"/{shipped.model}", bodies=bodies)
    command = (PYTHON, "-c", SERVER_BEFORE, str(shipped.repo), str(plan.port))
    paths = {"PYTHONPATH": f"{sources}:{sources / 'tools'}"}
    with running(command, plan, "", folder, paths) as server:
        yield server


def sources_before(folder: Path) -> Path:
    """The sources of ``BEFORE``, below ``folder``."""
    target = folder / "before"
    target.mkdir()
    workspaces.sources_of(BEFORE, target, "api")
    return target


@contextlib.contextmanager
def mlserver(shipped: Shipped, folder: Path, *, named: bool = False) -> Iterator[Server]:
    """MLServer as it installs, with its own runtime for CatBoost: one worker.

    Args:
        named: its settings name the version, which its answers have then.
    """
    http, grpc, metrics = servers.free_ports(3)
    plan = replace(_plan(shipped), port=http)
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    point_mlserver(shipped, folder, shipped.live(), named=named)
    command = (str(peers.python_of("mlserver").parent / "mlserver"), "start", str(folder))
    ready = f"/v2/models/{MODEL}/ready"
    with running(command, plan, ready, folder, peers.environment("mlserver")) as server:
        yield server


def point_mlserver(shipped: Shipped, folder: Path, version: str, *, named: bool) -> None:
    """Write what MLServer reads of a model: its file is that of the live version."""
    place = (shipped.folder / "current").resolve() / FILE
    facts = {"uri": str(place), **({"version": version} if named else {})}
    settings = {
        "name": MODEL, "implementation": "mlserver_catboost.CatboostModel", "parameters": facts
    }  # fmt: skip
    (folder / "model-settings.json").write_text(json.dumps(settings), encoding="utf-8")


@contextlib.contextmanager
def litserve(shipped: Shipped, folder: Path) -> Iterator[Server]:
    """LitServe: one process that answers, with the file of the live version."""
    plan = replace(_plan(shipped), path="/predict")
    model = (shipped.folder / "current").resolve() / FILE
    command = (str(peers.python_of("litserve")), lit_file(), str(model), str(plan.port))
    with running(command, plan, "", folder, peers.environment("litserve")) as server:
        yield server


def lit_file() -> str:
    """The program of LitServe."""
    return str(Path(__file__).with_name("lit.py"))


@contextlib.contextmanager
def echo(shipped: Shipped, folder: Path) -> Iterator[Server]:
    """The least ASGI application, in the server that tagship uses."""
    plan = _plan(shipped)
    command = (PYTHON, "-m", "uvicorn", "benchmarks.serving.echo:app", "--host", plan.host,
               "--port", str(plan.port), "--no-access-log", "--log-level", "warning",
               "--app-dir", str(ROOT))  # fmt: skip
    with running(command, plan, "", folder) as server:
        yield server


def _plan(shipped: Shipped) -> Plan:
    (port,) = servers.free_ports(1)
    return load.infer(("127.0.0.1", port), MODEL, shipped.batches)
