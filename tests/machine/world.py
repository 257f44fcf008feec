"""What the machine acts on: a repository, its two remotes, another clone; commands run in it.

Commands run in this process, or in a forked one that ends, as if killed, at a call that changes
files. Tags are written as Git's own files: no process is started for one.
"""

import contextlib
import gc
import hashlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tagship.cli import main
from tagship.errors import SelfTestFailed
from tagship.loaders import selftest
from tagship.text import clock
from tests import workbench
from tests.workbench import MODEL, PATH, run

COMMITS = 24  # prepared; those of an even number are released here, the others in the other clone
CALLS = ("rename", "replace", "fsync", "unlink", "mkdir", "rmdir", "symlink", "chmod")
KILLED = 137
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SETTINGS = "tagship:\n  after_switch: self_test\n  auto_cleanup: {auto}\n  keep: 2\n"
PATIENCE = 120  # seconds until a forked command is given up


def content(number: int) -> bytes:
    """The model of a prepared commit."""
    return f"model {number}\n".encode()


def prepare(folder: Path, *, auto: bool) -> Path:
    """The template: commits that are pushed with their bytes, and another clone."""
    repo = workbench.build(folder)
    settings = SETTINGS.format(auto=str(auto).lower())
    (repo / "params.yaml").write_text(f"train:\n  depth: 4\n{settings}")
    commits = []
    for number in range(COMMITS):
        workbench.train(repo, content(number))
        commits.append(run(repo, "git", "rev-parse", "HEAD").strip())
    store = folder / "dvc-remote"
    for path in (repo / ".dvc" / "cache").glob("files/md5/*/*"):
        target = store / path.relative_to(repo / ".dvc" / "cache")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    run(repo, "git", "push", "--quiet", "origin", "main")
    run(folder, "git", "clone", "--quiet", "origin.git", "other")
    workbench.copy_tree(str(repo / ".dvc" / "cache"), str(folder / "other" / ".dvc" / "cache"))
    for clone in ("repo", "other"):
        run(folder / clone, "git", "config", "maintenance.auto", "false")
        run(folder / clone, "git", "remote", "set-url", "origin", "../origin.git")
        hooks = folder / clone / ".git" / "hooks"
        for sample in hooks.glob("*.sample"):
            sample.unlink()
    workbench.slim(folder)
    (folder / "commits").write_text("\n".join(commits))
    return folder


def copy(template: Path, target: Path) -> None:
    """A copy for one example."""
    target.mkdir()
    for name in ("repo", "origin.git", "dvc-remote", "other"):
        workbench.copy_tree(str(template / name), str(target / name))
    shutil.copyfile(template / "commits", target / "commits")


@dataclass(frozen=True)
class Result:
    """What came of a command."""

    code: int
    text: str


@dataclass
class World:
    """One example's files and clock, and the commands that were run so far."""

    folder: Path
    script: list[str] = field(default_factory=list)
    seconds: int = 0
    fails: str = ""  # "smoke": the next smoke test; "check": the next check after a switch
    tests: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        self.repo = self.folder / "repo"
        self.commits = (self.folder / "commits").read_text().split()
        self.dates: set[int] = set()

    @property
    def place(self) -> Path:
        """The folder of the model."""
        return self.repo / "models" / MODEL

    @property
    def now(self) -> datetime:
        """The machine's own clock."""
        return START + timedelta(seconds=self.seconds)

    def tick(self) -> int:
        """A second that no tag has yet."""
        self.seconds += 1
        while self.seconds in self.dates:
            self.seconds += 1
        self.dates.add(self.seconds)
        os.environ["GIT_COMMITTER_DATE"] = f"{int(self.now.timestamp())} +0000"
        return self.seconds

    # --- commands

    def cli(self, command: str, *, where: str = "repo", note: str = "") -> Result:
        """Run a command; with what it printed."""
        self.tick()
        self.script.append(f"tagship -C {where} {command}" + (f"  # {note}" if note else ""))
        self.tests = 0
        with _quiet() as printed:
            code = _main(self.folder / where, command)
        result = Result(code, printed.getvalue())
        self.script[-1] += f"  -> {code}"
        assert "should not have happened" not in result.text, result.text
        assert "Traceback" not in result.text, result.text
        return result

    def killed(self, command: str, at: int) -> bool:
        """Run a command in another process that ends at its n-th change of a file; whether it did.

        It ends before the call of an even number, and after the one of an odd number.
        """
        self.tick()
        self.script.append(f"tagship -C repo {command}  # killed at call {at} that changes files")
        process = os.fork()
        if not process:
            try:
                signal.alarm(PATIENCE)
                _cut(at)
                with _quiet():
                    code = _main(self.repo, command)
                os._exit(code)
            finally:
                os._exit(99)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert code not in (99, -signal.SIGALRM), code
        self.script[-1] += f"  -> {code}"
        return code == KILLED

    def run_test(self, *_: object) -> selftest.Report:
        """The self-test of a model: fails when it is told to."""
        self.tests += 1
        if self.fails and self.tests == {"smoke": 1, "check": 2, "kept": 1}[self.fails]:
            raise SelfTestFailed("wrong answer", "")
        return selftest.Report(selftest.PASSED, "as released")

    # --- Git

    def train(self, number: int, where: str = "repo") -> None:
        """Make a prepared commit HEAD, with its model."""
        self.script.append(f"git -C {where} reset --hard c{number}")
        clone = self.folder / where
        run(clone, "git", "reset", "--quiet", "--hard", self.commits[number])
        (clone / PATH).unlink(missing_ok=True)
        (clone / PATH).write_bytes(content(number))

    def tag(self, name: str, commit: str) -> tuple[str, int]:
        """Make an annotated tag, or move it; the id of its object, and its date."""
        at = self.tick()
        self.script.append(f"git tag -f -a -m x '{name}' c{self.commits.index(commit)}")
        date = int(self.now.timestamp())
        tagger = f"Ada <ada@example.com> {date} +0000"
        body = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\nx\n"
        data = f"tag {len(body)}\0{body}".encode()
        identity = hashlib.sha1(data).hexdigest()
        git = self.repo / ".git"
        target = git / "objects" / identity[:2] / identity[2:]
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            target.write_bytes(zlib.compress(data))
        ref = git / "refs" / "tags" / name
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(f"{identity}\n")
        return identity, at

    def set_tag(self, name: str, identity: str) -> None:
        """Set a tag back to an object that is here."""
        self.script.append(f"git update-ref 'refs/tags/{name}' {identity[:10]}")
        (self.repo / ".git" / "refs" / "tags" / name).write_text(f"{identity}\n")

    def fetch(self) -> None:
        """Fetch the tags of origin; one that is here and another there stays."""
        self.script.append("git -C repo fetch --tags")
        subprocess.run(
            ["git", "fetch", "--quiet", "--tags"], cwd=self.repo, check=False, capture_output=True
        )

    def tags(self, where: str = "repo") -> list[tuple[str, str, str, int]]:
        """Name, id, commit and date of every tag, read with Git."""
        form = "%(refname:strip=2) %(objectname) %(*objectname) %(taggerdate:unix)"
        lines = run(self.folder / where, "git", "for-each-ref", f"--format={form}", "refs/tags")
        rows = (line.split() for line in lines.splitlines())
        start = int(START.timestamp())
        return [(name, identity, commit, int(at) - start) for name, identity, commit, at in rows]

    # --- what is on disk, read with nothing of tagship

    def live(self) -> str | None:
        """The directory that ``current`` means."""
        try:
            return (self.place / "current").readlink().name
        except FileNotFoundError:
            return None

    def directories(self) -> set[str]:
        """The names below versions/."""
        folder = self.place / "versions"
        return set(os.listdir(folder)) if folder.is_dir() else set()

    def history(self) -> list[dict[str, Any]]:
        """The events."""
        path = self.place / "deployment_history.json"
        events: list[dict[str, Any]] = json.loads(path.read_bytes()) if path.exists() else []
        return events

    def intent(self) -> dict[str, Any] | None:
        """What a killed run was about to do."""
        path = self.place / ".tagship" / "intent.json"
        event: dict[str, Any] | None = None
        if path.exists():
            event = json.loads(path.read_bytes())["event"]
        return event

    def back_at(self) -> float:
        """When the last rollback took effect, also one that is not recorded yet; 0 without one."""
        intent = self.intent()
        is_done = intent is not None and intent["directory"] == self.live() is not None
        events = [*self.history(), *([intent] if intent and is_done else [])]
        for event in reversed(events):
            if (event["action"], event["status"]) == ("rollback", "succeeded"):
                began = datetime.fromisoformat(event["at"]) - START
                return began.total_seconds() + float(event["duration_s"])
        return 0

    def pins(self) -> set[str]:
        """The pinned versions."""
        path = self.place / ".tagship" / "pins.json"
        return {pin["version"] for pin in json.loads(path.read_bytes())} if path.exists() else set()

    def left(self) -> list[str]:
        """What an interrupted run left: intent, temporary files, staged ones, trash."""
        private = self.place / ".tagship"
        names = [str(path) for path in self.place.glob(".*.tmp")]
        if private.is_dir():
            names += [str(path) for path in private.glob("*.tmp")]
            names += [str(path) for path in private.glob("intent.json")]
            for folder in ("staging", "incoming", "trash"):
                names += [str(path) for path in (private / folder).glob("*")]
        return names

    def damage(self, directory: str) -> None:
        """Change a byte of a version's model."""
        self.script.append(f"damage repo/models/{MODEL}/versions/{directory}/model.bin")
        path = self.place / "versions" / directory / "model.bin"
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        path.chmod(0o444)


@contextlib.contextmanager
def sealed(world: World) -> Iterator[None]:
    """The machine's clock, and its self-test."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: world.now)
        patched.setattr(selftest, "run", world.run_test)
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        open(os.devnull, encoding="utf-8") as nothing,
    ):
        stdin, sys.stdin = sys.stdin, nothing
        try:
            yield printed
        finally:
            sys.stdin = stdin


def _main(folder: Path, command: str) -> int:
    ours, sys.argv = sys.argv, ["tagship", "-C", str(folder), *shlex.split(command)]
    threshold = gc.get_threshold()
    try:
        main.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = ours
        gc.set_threshold(*threshold)
    return 0


def _cut(at: int) -> None:
    """Have this process end at its n-th call that changes files."""
    left = [at]

    def ending(call: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and at % 2 == 0:
                os._exit(KILLED)
            try:
                return call(*arguments, **options)
            finally:  # also where it fails, as a folder that is there already
                if left[0] == 0:
                    os._exit(KILLED)

        return change

    for name in CALLS:
        setattr(os, name, ending(getattr(os, name)))
