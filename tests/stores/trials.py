"""A deploy from a store that answers as a row of the table says, and what came of it."""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests import workbench
from tests.stores import places, servers, tamper
from tests.stores.answers import LARGE, Ends, Row, content
from tests.stores.places import Place
from tests.stores.servers import Server
from tests.stores.tamper import Proxy, Request
from tests.workbench import Result

FOLDER = "table"  # in the bucket
FAR = 8 << 20  # bytes a second of each connection to a far store
AT_ONCE = 5  # deploys: those that wait take no time of a processor
# A process's memory counts from before its start, when it was a copy of the one that started it.
LAUNCH = """
import os, sys
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")
"""
MEMORY = 450 << 20  # bytes: DVC's own file systems are large
SECRETS = (servers.SECRET, servers.ACCOUNT_KEY)
CREDENTIALS = ("authorization", "cookie", "x-amz-security-token", "proxy-authorization")


def prepare(folder: Path, *, large: bool = False) -> None:
    """A workspace whose churn 1.0.0 is live, and 1.1.0 is not; ``large`` was never deployed.

    What is written: ``folder/repo`` and its remotes. The cache is as it was.
    """
    repo = workbench.build(folder)
    for version in (1, 2):
        workbench.train(repo, content(version))
        tagship(repo, os.environ, "release", "churn").check()
        if version == 1:
            tagship(repo, os.environ, "deploy", "churn", "--yes").check()
    if large:
        path = repo / "models/large/model.bin"
        path.parent.mkdir()
        path.write_bytes(content(3, LARGE))
        workbench.track(repo, path)
        text = (repo / "dvc.yaml").read_text()
        (repo / "dvc.yaml").write_text(
            text.replace("artifacts:\n", "artifacts:\n  large:\n    path: models/large/model.bin\n")
        )
        workbench.commit(repo, "Train a large model")
        tagship(repo, os.environ, "release", "large").check()
        path.unlink()
    workbench.slim(folder)


@dataclass(frozen=True)
class Ran:
    """A process that ended.

    Attributes:
        result: its exit code, and what it printed.
        seconds: how long it took.
        memory: the most that it had, in bytes.
    """

    result: Result
    seconds: float
    memory: int

    def check(self) -> "Ran":
        """Itself, where it succeeded."""
        assert self.result.code == 0, self.result.out + self.result.err
        return self


def tagship(repo: Path, environment: Mapping[str, str], *words: str, limit: float = 400) -> Ran:
    """Run the command line in a process of its own."""
    return run([sys.executable, "-m", "tagship", *words], repo, environment, limit)


def dvc(repo: Path, environment: Mapping[str, str], *words: str) -> Ran:
    """Run DVC in a process of its own."""
    return run([sys.executable, "-m", "dvc", *words], repo, environment)


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], limit: float = 400
) -> Ran:
    """Run a program; after ``limit`` seconds it is killed. Any thread may do so."""
    beside = folder.parent / f"said-{random.randbytes(4).hex()}"
    out, err, usage = (Path(f"{beside}.{suffix}") for suffix in ("out", "err", "usage"))
    start = time.monotonic()
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [sys.executable, "-IS", "-c", LAUNCH, str(usage), *command], cwd=folder,
            env=dict(environment), stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds = time.monotonic() - start
    code, memory = (usage.read_text() if usage.exists() else f"{-signal.SIGKILL} 0").split()
    result = Result(int(code), out.read_text(), err.read_text())
    for file in (out, err, usage):
        file.unlink(missing_ok=True)
    return Ran(result, seconds, int(memory) << 10)


@dataclass(frozen=True)
class Outcome:
    """What came of a deploy from a store that answered as told.

    Attributes:
        ran: the process.
        live: what is live: ``old``, ``new``, ``nothing``, or ``other``.
        kept: what is on disk, and should not be.
        last: the last event of the history, in short.
        sent: bytes that the store sent.
        asked: what it was asked of objects.
        elsewhere: what the other host was asked.
    """

    ran: Ran
    live: str
    kept: tuple[str, ...]
    last: tuple[str, str]
    sent: int
    asked: tuple[Request, ...]
    elsewhere: tuple[Request, ...]

    @property
    def ends(self) -> Ends:
        """How the deploy ended."""
        return Ends.REFUSED if self.ran.result.code else Ends.RIGHT

    def line(self, word: str) -> str:
        """What follows ``error:`` or ``hint:`` on the standard error."""
        lines = re.findall(rf"^{word}: (.*)$", self.ran.result.err, re.MULTILINE)
        return " | ".join(lines)


@dataclass
class Shop:
    """A store with the released models in it, and a workspace that has none of their bytes.

    Attributes:
        place: which store.
        server: it runs.
        template: the workspace; each deploy gets a copy.
        folder: where copies go.
    """

    place: Place
    server: Server
    template: Path
    folder: Path
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def upstream(self) -> str:
        """Host and port of the server."""
        return self.server.address.partition("//")[2]

    @property
    def environment(self) -> dict[str, str]:
        """That of this host, with its credentials of the store."""
        return {**places.clean(), **self.place.environment}

    def workspace(self, address: str, options: Mapping[str, str] | None = None) -> Path:
        """A copy of the workspace, whose remote is at an address."""
        with self._lock:
            self._number += 1
            target = self.folder / str(self._number)
        target.mkdir()
        workbench.copy(self.template, target)
        repo = target / "repo"
        places.configure(repo, {**self.place.options(address, FOLDER), **(options or {})})
        return repo

    def attempt(self, row: Row) -> Outcome:
        """Deploy while the store answers as the row says."""
        proxy = Proxy(self.upstream, row.answer, kind=self.place.scheme, every=row.every)
        proxy.pace = FAR if row.large else 0  # a fast connection is not asked for ranges
        other = Proxy(self.upstream)
        with tamper.running(other), tamper.running(proxy):
            proxy.elsewhere = other.address
            repo = self.workspace(proxy.address)
            ran = tagship(
                repo, self.environment, "deploy", row.model, "--yes", limit=row.seconds + 60
            )
            outcome = look(repo, row.model, ran, proxy, other)
        _remove(repo.parent)
        return outcome

    def deploy(self, repo: Path, model: str = "churn", **environment: str) -> Ran:
        """Deploy in a workspace; an empty variable of the environment is none."""
        own = {k: v for k, v in {**self.environment, **environment}.items() if v}
        return tagship(repo, own, "deploy", model, "--yes")

    def attempts(self, rows: Sequence[Row]) -> dict[str, "Future[Outcome]"]:
        """Try many rows, some at a time."""
        pool = ThreadPoolExecutor(AT_ONCE)
        futures = {row.name: pool.submit(self.attempt, row) for row in rows}
        pool.shutdown(wait=False)
        return futures


@contextlib.contextmanager
def home(shop: Shop, **files: str) -> Iterator[dict[str, str]]:
    """An environment without keys, whose ``~/.aws`` has these files."""
    folder = shop.folder / "home"
    for name, text in {"config": "", **files}.items():
        file = folder / ".aws" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    named = {k: v for k, v in shop.environment.items() if not k.startswith("AWS_")}
    try:
        yield {**named, "HOME": str(folder)}
    finally:
        shutil.rmtree(folder)


def _remove(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def shop(place: Place, prepared: Path, folder: Path) -> Iterator[Shop]:
    """Start a store, push what was prepared to it, and forget the bytes here.

    Raises:
        Lacking: the store cannot be had here.
    """
    for name in ("server", "template", "copies"):
        (folder / name).mkdir()
    with place.start(folder / "server") as server:
        workbench.copy(prepared, folder / "template")
        repo = folder / "template/repo"
        places.configure(repo, place.options(server.address, FOLDER))
        opened = Shop(place, server, folder / "template", folder / "copies")
        dvc(repo, opened.environment, "push", "--all-tags").check()
        shutil.rmtree(repo / ".dvc/cache")
        shutil.rmtree(folder / "template/dvc-remote")
        yield opened


def look(repo: Path, model: str, ran: Ran, proxy: Proxy, other: Proxy) -> Outcome:
    """What a deploy left behind."""
    root = repo / "models" / model
    new = content(3, LARGE) if model == "large" else content(2)
    live, kept = "nothing", list(_kept(repo, root))
    if (root / "current").is_symlink():
        try:
            data = (root / "current/model.bin").read_bytes()
        except OSError:
            data = b""
        live = "new" if data == new else "old" if data == content(1) else "other"
    history = root / "deployment_history.json"
    events = json.loads(history.read_bytes()) if history.exists() else []
    last = (events[-1]["action"], events[-1]["status"]) if events else ("", "")
    return Outcome(
        ran, live, tuple(kept), last, proxy.sent, tuple(proxy.requests), tuple(other.requests)
    )


def _kept(repo: Path, root: Path) -> Iterator[str]:
    """What is on disk and should not be: rests, and bytes under the name of others."""
    staging = root / ".tagship/staging"
    if staging.is_dir():
        yield from (f"staging/{path.name}" for path in staging.iterdir())
    for path in (repo / ".dvc/cache").rglob("*"):
        if path.is_file() and path.parent.parent.name == "md5":
            md5 = hashlib.md5(path.read_bytes()).hexdigest()
            if md5 != path.parent.name + path.name.removesuffix(".dir"):
                yield f"cache/{path.parent.name}/{path.name}"
    for path in (root / "versions").glob("*"):
        if not (path / "metadata.json").exists():
            yield f"versions/{path.name}"
    for path in (repo / ".dvc/tmp").rglob("*"):
        if path.is_file() and path.stat().st_size > 1 << 16:
            yield f".dvc/tmp/{path.name}"


def complaints(row: Row, outcome: Outcome) -> list[str]:
    """What is not as the row says, or as each deploy must be."""
    return [text for text, is_wrong in _judged(row, outcome) if is_wrong]


def _judged(row: Row, outcome: Outcome) -> Iterator[tuple[str, bool]]:
    result, before = outcome.ran.result, "nothing" if row.large else "old"
    is_refused = outcome.ends is Ends.REFUSED
    yield f"it is {outcome.ends.value}", row.ends not in (Ends.EITHER, outcome.ends)
    yield f"exit code {result.code}", result.code not in (0, 1)
    yield f"live is {outcome.live}", outcome.live != (before if is_refused else "new")
    yield f"the history ends with {outcome.last}", outcome.last != (
        "deploy", "failed" if is_refused else "succeeded"
    )  # fmt: skip
    yield f"kept: {', '.join(outcome.kept)}", bool(outcome.kept)
    error, hint = outcome.line("error"), outcome.line("hint")
    if is_refused:
        yield f"the error is {error!r}", not re.search(row.error, error) or " | " in error
        yield f"the hint is {hint!r}", not re.search(row.hint, hint)
    yield "there is more on standard error", bool(_noise(result.err))
    yield "a secret is printed", any(secret in result.out + result.err for secret in SECRETS)
    yield f"{outcome.sent:,} bytes were sent, over {row.limit:,}", outcome.sent > row.limit
    yield f"{len(outcome.asked)} requests", len(outcome.asked) > row.asked
    yield f"{outcome.ran.seconds:.0f} seconds", outcome.ran.seconds > row.seconds
    yield f"{outcome.ran.memory >> 20} MB of memory", outcome.ran.memory > MEMORY
    told = {name for request in outcome.elsewhere for name in request.headers}
    carried = sorted(told & set(CREDENTIALS))
    yield f"another host was given {', '.join(carried)}", bool(carried)


def _noise(text: str) -> list[str]:
    """Lines of standard error that are no message of tagship's."""
    usual = ("error: ", "hint: ", "note: ", "fix: ")
    return [line for line in text.splitlines() if not line.startswith(usual)]
