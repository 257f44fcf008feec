"""Ray as two nodes on the loopback addresses of this machine, with Ray Serve on the first.

What made it so (Ray 2.60): 127.0.0.1 is replaced by the machine's own address, so nodes have
others; a token in the home directory would turn authentication on; ``ray stop`` ends processes by
name, so what was started here is ended by its number; sockets below a long path cannot be opened; a
proxy asks replicas of its own node alone, as long as they are not busy, so it is told not to.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import processes
from tests.serve import engines
from tests.serve.engines import running
from tests.serve.swapping import wait_for
from tests.stores import servers

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
ROUTING = {"RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0"}
START = 180.0  # seconds until something must have started on a busy machine
STATUS = """
import json, sys, ray
from ray import serve
ray.init(address=sys.argv[1], namespace="serve", logging_level="ERROR", log_to_driver=False)
for _ in sys.stdin:
    (each,) = serve.status().applications.values()
    (deployment,) = each.deployments.values()
    words = [each.message, deployment.message]
    value = json.dumps([each.status, words, deployment.replica_states])
    print("status", value, flush=True)
"""  # it answers each line with the status of the one application; Ray prints more


@dataclass(frozen=True)
class Status:
    """What Ray Serve says of its one application."""

    state: str
    words: str
    replicas: Mapping[str, int]


@dataclass
class Cluster:
    """Nodes that run, by their address: the process that started each."""

    folder: Path
    gcs: int
    http: int
    nodes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)
    asking: "subprocess.Popen[str] | None" = None

    @property
    def address(self) -> str:
        """Of the first node, for a program that joins."""
        return f"{FIRST}:{self.gcs}"

    def start(self, node: str, **environment: str) -> None:
        """Start a node, and wait until it has joined."""
        role = ["--head", f"--port={self.gcs}"] if node == FIRST else [f"--address={self.address}"]
        log = self.folder / f"{node}.log"
        with open(log, "wb") as words:
            self.nodes[node] = subprocess.Popen(
                [self._program("ray"), "start", "--block", *role, f"--node-ip-address={node}",
                 "--num-cpus=4", "--object-store-memory=100000000", "--disable-usage-stats",
                 *([f"--temp-dir={self.folder}", "--include-dashboard=false"] * (node == FIRST))],
                stdin=subprocess.DEVNULL, stdout=words, stderr=words, cwd=self.folder,
                start_new_session=True, env=self.environment(**environment),
            )  # fmt: skip
        wait_for(
            lambda: b"--block" in log.read_bytes() and bool(self.raylet(node)),
            START, self.nodes[node], log,
        )  # fmt: skip

    def run(self, config: Mapping[str, Any]) -> None:
        """``serve run --non-blocking``, as an operator does."""
        place = self.folder / "serve.json"  # JSON is YAML
        place.write_text(json.dumps(config))
        command = [self._program("serve"), "run", "--non-blocking", "--address", self.address]
        ended = subprocess.run(
            [*command, str(place)], env=self.environment(), cwd=self.folder,
            capture_output=True, text=True, timeout=START, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def status(self) -> Status:
        """What Ray Serve says now."""
        if self.asking is None:
            with open(self.folder / "asking.log", "wb") as words:
                self.asking = subprocess.Popen(
                    [engines.python_of("ray"), "-c", STATUS, self.address],
                    env=self.environment(), cwd=self.folder, text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words,
                )  # fmt: skip
        assert self.asking.stdin is not None
        assert self.asking.stdout is not None
        self.asking.stdin.write("\n")
        self.asking.stdin.flush()
        lines = (line for line in self.asking.stdout if line.startswith("status "))
        line = next(lines, "")
        assert line, (self.folder / "asking.log").read_text()
        state, said, replicas = json.loads(line.removeprefix("status "))
        return Status(state, "\n".join(said), replicas)

    def await_status(self, state: str = "", words: str = "") -> Status:
        """Until the application is in a state, and Ray Serve says certain words of it."""
        end = time.monotonic() + START
        while True:
            status = self.status()
            if (not state or status.state == state) and words in status.words:
                return status
            assert time.monotonic() < end, status
            time.sleep(0.5)

    def environment(self, **more: str) -> dict[str, str]:
        """Of every process of it."""
        return running.environment(
            "ray", self.folder, RAY_USAGE_STATS_ENABLED="0", **ROUTING, **more
        )

    def raylet(self, node: str) -> int:
        """The process of a node that starts the others; 0 before it is there."""
        return next((pid for pid, name in self.processes(node).items() if "raylet" in name), 0)

    def replicas(self, node: str) -> list[int]:
        """The processes of a node that answer."""
        return [pid for pid, name in self.processes(node).items() if "ServeReplica" in name]

    def processes(self, node: str) -> dict[int, str]:
        """All of a node: their number, and the first words of their command."""
        each = {pid: _command(pid) for pid in processes.family(self.nodes[node].pid)}
        self.started |= each.keys()
        return each

    def kill(self, node: str) -> None:
        """A node is gone, with all that ran there."""
        for pid in self.processes(node):
            _kill(pid)
        self.nodes.pop(node).wait()

    def end(self) -> None:
        """End all that was started here, by number."""
        if self.asking is not None:
            self.asking.kill()
            self.asking.communicate()
        for node in list(self.nodes):
            self.kill(node)
        for pid in self.started:
            if str(self.folder) in _environment(pid):  # the number may be another process by now
                _kill(pid)

    def _program(self, name: str) -> str:
        return str(engines.python_of("ray").with_name(name))


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster without a node; it ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    gcs, http = servers.free_ports(2)
    made = Cluster(folder, gcs, http)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return ""
    return b" ".join(words[:1]).decode(errors="replace")


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
