"""The cases of hosts that follow a repository by https: nginx and git-http-backend, on loopback."""

import contextlib
import functools
import os
import shlex
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import backend, processes, rows, timing, workspaces
from benchmarks.rows import Case, Claim, Measure
from benchmarks.suite import KB, NOTHING, Site, skipped
from benchmarks.timing import Command, Failed, Run, Runs, Side, tell
from benchmarks.workspaces import PYTHON, TAGSHIP, Tagged
from tagship.registry import seen
from tests.stores import servers

MODELS, NAME = 20, "m{:02}"  # what a server sends grows with the names: here 1.15 MB for all tags
BYTES = 60 * KB
BACKEND = "git-http-backend"
NOTES = "cpu.log"
WORKERS = 8  # CGI programs that run at a time
PATIENCE = 900  # seconds: a hundred clients share the cores of this machine with their server
NGINX = """
daemon off;
master_process off;
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    log_format sent '$bytes_sent';
    access_log {folder}/sent.log sent;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    fastcgi_read_timeout {patience}s;
    server {{
        listen 127.0.0.1:{port} ssl backlog=512;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        location = /ready {{
            access_log off;
            return 204;
        }}
        location / {{
            fastcgi_pass unix:{folder}/socket;
            fastcgi_param SCRIPT_FILENAME {backend};
            fastcgi_param GIT_PROJECT_ROOT {root};
            fastcgi_param GIT_HTTP_EXPORT_ALL "";
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
            fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
        }}
    }}
}}
"""
HOST = """[source]
git = "{address}"
remote = "{remote}"
[deploy]
smoke_test = false
[follow.{model}]
track = "latest"
"""


@dataclass(frozen=True)
class Server:
    """A server of Git repositories.

    Attributes:
        address: of the folder that it serves.
        folder: its own.
        programs: the ids of its processes.
    """

    address: str
    folder: Path
    programs: tuple[int, ...]

    @property
    def environment(self) -> dict[str, str]:
        """How Git knows its certificate."""
        return {"GIT_SSL_CAINFO": str(self.folder / "certificate.pem")}

    def cpu(self) -> float:
        """Seconds that all its processes have computed so far, those of Git included."""
        noted = (self.folder / NOTES).read_text().split()
        return sum(map(float, noted)) + sum(processes.cpu(pid) for pid in self.programs)

    def sent(self) -> int:
        """Bytes of all its answers about repositories so far, headers included."""
        self._ask()  # it notes an answer when that is sent, before it takes another request
        return sum(map(int, (self.folder / "sent.log").read_text().split()))

    def _ask(self) -> None:
        context = ssl.create_default_context(cafile=self.folder / "certificate.pem")
        url = f"{self.address}/ready"
        urllib.request.urlopen(url, context=context).close()  # noqa: S310 - of this machine


def missing() -> str:
    """Why no case of this module can run here; empty if all can."""
    try:
        for name in ("nginx", "fcgiwrap", "openssl"):
            servers.program(name)
        _backend()
    except servers.Lacking as error:
        return str(error)
    return ""


def _backend() -> Path:
    place = Path(tell(Path("/"), "git", "--exec-path").strip()) / BACKEND
    if not place.exists():
        raise servers.Lacking(f"{BACKEND} is not installed")
    return place


@contextlib.contextmanager
def served(root: Path, folder: Path) -> Iterator[Server]:
    """Serve the repositories below a folder by https, until the block ends.

    Args:
        root: has the repositories.
        folder: an empty one of the server.
    """
    (port,) = servers.free_ports(1)
    _certify(folder)
    (folder / NOTES).touch()
    noting = (PYTHON, "-I", "-S", backend.__file__, str(_backend()), str(folder / NOTES))
    program = folder / "backend"
    program.write_text(f"#!/bin/sh\nexec {shlex.join(noting)}\n")
    program.chmod(0o755)
    settings = folder / "nginx.conf"
    settings.write_text(
        NGINX.format(folder=folder, port=port, root=root, backend=program, patience=PATIENCE)
    )
    gateway = (servers.program("fcgiwrap"), "-c", str(WORKERS), "-s", f"unix:{folder}/socket")
    server = (servers.program("nginx"), "-p", str(folder), "-c", str(settings),
              "-e", str(folder / "start.log"))  # fmt: skip
    with contextlib.ExitStack() as stack:
        wrap = stack.enter_context(_running(gateway, folder, (folder / "socket").exists))
        nginx = stack.enter_context(_running(server, folder, (folder / "pid").exists))
        yield Server(f"https://127.0.0.1:{port}", folder, (nginx, wrap))


def _certify(folder: Path) -> None:
    tell(
        folder, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=benchmark",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem",
    )  # fmt: skip


@contextlib.contextmanager
def _running(command: Command, folder: Path, ready: Callable[[], bool]) -> Iterator[int]:
    """Run a program in a group of its own until the block ends; its id."""
    with open(folder / f"{Path(command[0]).name}.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise Failed(f"{command[0]} ended with {process.wait(0.05)}")
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# hosts


@dataclass(frozen=True)
class Fleet:
    """Hosts of one repository, each with its own folder; a model is live there."""

    server: Server
    tagged: Tagged
    hosts: tuple[Path, ...]

    @property
    def address(self) -> str:
        """Of the repository."""
        return f"{self.server.address}/origin.git"


@contextlib.contextmanager
def fleet(site: Site, name: str, count: int) -> Iterator[Fleet]:
    """Hosts that follow one model of ``MODELS``, and have nothing new to fetch."""
    each = site.scale.tags // MODELS // 2
    # a host may not be in a DVC repository, and the folder of a benchmark is in tagship's own
    with site.own(name) as folder, tempfile.TemporaryDirectory(prefix="bench-") as outside:
        tagged = workspaces.tagged(folder, MODELS, each, stages=each, form=NAME)
        for key in ("allowFilter", "allowAnySHA1InWant"):
            tell(folder / "origin.git", "git", "config", f"uploadpack.{key}", "true")
        (folder / "server").mkdir()
        with served(folder, folder / "server") as server:
            first = Path(outside, "host-0")
            first.mkdir()
            (first / "tagship.toml").write_text(
                HOST.format(
                    address=f"{server.address}/origin.git",
                    remote=folder / "dvc-remote",
                    model=tagged.model,
                )
            )
            os.environ |= server.environment
            for _ in range(2):  # the second pass finds nothing new, as all that follow
                tell(first, TAGSHIP, "sync")
            hosts = [first, *(Path(outside, f"host-{number}") for number in range(1, count))]
            for host in hosts[1:]:
                shutil.copytree(first, host, symlinks=True)
            yield Fleet(server, tagged, tuple(hosts))


def _patterns(model: str) -> list[str]:
    """The refspecs of a host that follows a model."""
    return [f"+refs/tags/{each}:refs/seen/{each}" for each in seen.patterns([model])]


@contextlib.contextmanager
def sync(site: Site) -> Iterator[Case]:
    """A pass that finds nothing new: its CPU, and what the server sends."""
    ours = f"tagship sync, nothing new, {site.scale.tags:,} tags"
    theirs = 'git fetch of the same refs, python -c "import click"'
    all_tags, limit = "git ls-remote --tags", f"{BYTES // KB} kB"
    claims = [
        Claim(ours, theirs, rows.at_most(2.0), Measure.CPU),
        Claim(ours, limit, rows.below() if site.scale.real else None, Measure.RECEIVED),
        Claim(ours, all_tags, None, Measure.RECEIVED),
        Claim(ours, theirs, None, Measure.RECEIVED),
        Claim(ours, theirs, None),
    ]
    if why := missing():
        yield skipped("sync", claims, why)
        return
    with fleet(site, "sync", 1) as fleet_:
        (host,) = fleet_.hosts
        bare = host.parent / "fetched.git"
        tell(host.parent, "git", "init", "--quiet", "--bare", bare.name)
        fetch = ("git", "fetch", "--quiet", "--no-tags", "--filter=blob:none", "--prune",
                 fleet_.address, *_patterns(fleet_.tagged.model))  # fmt: skip
        sides = [
            Side(ours, ((TAGSHIP, "sync"),), host),
            Side(theirs, (fetch, NOTHING), bare),
            Side(all_tags, (("git", "ls-remote", "--tags", fleet_.address),), host),
        ]
        constant = Run(0.0, 0, received=BYTES)

        def measure(runs: int) -> Runs:
            watched = functools.partial(_received, fleet_.server)
            return timing.in_turn(sides, runs, watched) | {limit: [constant] * runs}

        yield Case("sync", measure, tuple(claims))


def _received(server: Server, side: Side) -> Run:
    """One run, with the bytes that the server sent."""
    before = server.sent()
    run = timing.run(side)
    return replace(run, received=server.sent() - before)


@contextlib.contextmanager
def poll(site: Site) -> Iterator[Case]:
    """Many hosts at once: the CPU of the server."""
    count = site.scale.hosts
    ours, theirs = f"server of {count} tagship sync at once", f"of {count} git ls-remote --tags"
    claims = [
        Claim(ours, theirs, rows.at_most(0.8) if site.scale.real else None, Measure.CPU),
        Claim(ours, theirs, None, Measure.RECEIVED),
    ]
    if why := missing():
        yield skipped("poll", claims, why)
        return
    with fleet(site, "poll", count) as fleet_:
        commands: dict[str, Command] = {
            ours: (TAGSHIP, "sync"), theirs: ("git", "ls-remote", "--tags", fleet_.address),
        }  # fmt: skip

        def measure(runs: int) -> Runs:
            measured: Runs = {name: [] for name in commands}
            for _ in range(runs):
                for name, command in commands.items():
                    measured[name].append(_at_once(fleet_, command))
            return measured

        yield Case("poll", measure, tuple(claims))


def _at_once(fleet_: Fleet, command: Command) -> Run:
    """Run a command on all hosts at once; what their server needed for it.

    Raises:
        Failed: it failed on one of them.
    """
    cpu, sent = fleet_.server.cpu(), fleet_.server.sent()
    running = [
        subprocess.Popen(
            command,
            cwd=host,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for host in fleet_.hosts
    ]
    said = [process.communicate()[1] for process in running]
    if failed := [text for text, each in zip(said, running, strict=True) if each.returncode]:
        raise Failed(f"{len(failed)} of {len(said)} failed: {failed[0].decode(errors='replace')}")
    server = fleet_.server
    return Run(0.0, 0, cpu=server.cpu() - cpu, received=server.sent() - sent)


CASES: dict[str, Callable[[Site], AbstractContextManager[Case]]] = {"sync": sync, "poll": poll}
