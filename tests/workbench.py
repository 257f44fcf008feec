"""A workspace to test on: real Git, real DVC, real files; and the command line run on it."""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship import ModelVersionManager
from tagship.cli import main
from tagship.disk import files
from tagship.host.store import Store

MODEL = "churn"
PATH = "models/churn/model.bin"


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def run(folder: Path, *command: str) -> str:
    """Run a program to its end; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def dvc(folder: Path, *arguments: str) -> str:
    """Run the dvc of this Python's installation.

    Quietly: in this process. A process of its own takes 0.8 s to start, for 0.03 s of work.
    """
    if "--quiet" not in arguments:
        return run(folder, sys.executable, "-m", "dvc", *arguments)
    from dvc.cli import main

    ours, sys.argv = sys.argv, ["dvc"]  # DVC looks for its debugging flags there
    try:
        with contextlib.chdir(folder):
            code = main(list(arguments))
    finally:
        sys.argv = ours
    assert code == 0, f"dvc {shlex.join(arguments)} exited with {code}"
    return ""


def track(repo: Path, path: str | Path) -> None:
    """Write what ``dvc add`` writes: the objects of the cache, a ``.dvc`` file, ``.gitignore``.

    ``tests/test_workbench.py`` compares it with ``dvc add`` itself, byte by byte.
    """
    place = repo / path
    cache = repo / ".dvc" / "cache" / "files" / "md5"
    if place.is_dir():
        files = {f.relative_to(place).as_posix(): f for f in place.rglob("*") if f.is_file()}
        members = [
            {"md5": _store(cache, files[name].read_bytes()), "relpath": name}
            for name in sorted(files)
        ]
        listing = _store(cache, json.dumps(members).encode(), ".dir")
        size = sum(file.stat().st_size for file in files.values())
        told = f"- md5: {listing}\n  size: {size}\n  nfiles: {len(files)}\n  hash: md5\n"
    else:
        mode, more = (0o744, "  isexec: true\n") if place.stat().st_mode & 0o100 else (0o644, "")
        content = place.read_bytes()
        md5 = _store(cache, content)
        told = f"- md5: {md5}\n  size: {len(content)}\n{more}  hash: md5\n"
        place.chmod(mode)  # DVC puts its own copy there
    Path(f"{place}.dvc").write_text(f"outs:\n{told}  path: {place.name}\n")
    _ignore(place)


def _store(cache: Path, content: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(content).hexdigest() + suffix
    target = cache / md5[:2] / md5[2:]
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o444)
    return md5


def _ignore(place: Path) -> None:
    ignored = place.parent / ".gitignore"
    lines = ignored.read_text().splitlines() if ignored.exists() else []
    if f"/{place.name}" not in lines:
        ignored.write_text("".join(f"{line}\n" for line in [*lines, f"/{place.name}"]))


def commit(repo: Path, message: str) -> None:
    """Commit everything."""
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--allow-empty", "--message", message)


def train(repo: Path, data: bytes) -> None:
    """Write another model, have DVC track it, commit."""
    (repo / PATH).unlink(missing_ok=True)
    (repo / PATH).write_bytes(data)
    track(repo, PATH)
    commit(repo, "Train another model")


def copy(source: Path, target: Path) -> None:
    """Copy a workspace, its remotes and its host; deployed files are untouched, as they were."""
    for name in ("repo", "origin.git", "dvc-remote", "host"):
        if (source / name).exists():
            copy_tree(str(source / name), str(target / name))
    for models in (target / "repo" / "models", target / "host"):
        for version in models.glob("*/versions/*"):
            _stamp_anew(source / version.relative_to(target), version)


def copy_tree(source: str, target: str) -> None:
    """Copy a folder of small files, with links, modes and times; shutil needs five times as long.

    ``target`` must not exist.
    """
    os.mkdir(target)  # noqa: PTH102 - paths as text, for speed
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)  # noqa: PTH211
            elif entry.is_dir():
                copy_tree(entry.path, place)
            else:
                with open(entry.path, "rb") as old, open(place, "xb") as new:
                    new.write(old.read())
                _resemble(entry.stat(), place)
    _resemble(os.stat(source), target)  # noqa: PTH116


def _resemble(status: os.stat_result, place: str) -> None:
    os.chmod(place, stat.S_IMODE(status.st_mode))  # noqa: PTH101
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def _stamp_anew(source: Path, target: Path) -> None:
    """Have metadata.json name the copies' inode numbers and times, as if deployed here."""
    told = target / "metadata.json"
    text = told.read_text()
    for file in target.rglob("*"):
        before = files.stamp(source / file.relative_to(target))
        text = text.replace(f'"{before}"', f'"{files.stamp(file)}"')
    told.chmod(0o644)
    told.write_text(text)
    told.chmod(0o444)


def build(folder: Path) -> Path:
    """A repository with the model ``churn`` from ``dvc add``, a Git and a DVC remote, no tag.

    What is written: ``folder/repo``, ``folder/origin.git``, ``folder/dvc-remote``.
    """
    repo = folder / "repo"
    repo.mkdir(parents=True)
    (folder / "dvc-remote").mkdir()
    run(folder, "git", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    run(repo, "git", "init", "--quiet", "--initial-branch=main")
    # Git would start a process after each commit and each push, to look whether to tidy up.
    run(repo, "git", "config", "maintenance.auto", "false")
    run(folder / "origin.git", "git", "config", "receive.autogc", "false")
    run(repo, "git", "remote", "add", "origin", "../origin.git")
    dvc(repo, "init", "--quiet")
    dvc(repo, "remote", "add", "--quiet", "--default", "store", "../dvc-remote")
    model = repo / PATH
    model.parent.mkdir(parents=True)
    model.write_bytes(b"model 1\n")
    (repo / "README").write_text("a workspace\n")
    (repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n    type: model\n"
        "metrics:\n  - metrics.json\n"
    )
    (repo / "metrics.json").write_text('{"accuracy": 0.75}\n')
    (repo / "params.yaml").write_text("train:\n  depth: 4\n")
    track(repo, PATH)
    (repo / ".gitignore").write_text(
        "/models/*/versions\n/models/*/current\n/models/*/deployment_history.json\n"
        "/models/*/.tagship\n"
    )
    shutil.copyfile(repo / ".gitignore", repo / ".dvcignore")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", "Train the first model")
    run(repo, "git", "push", "--quiet", "--set-upstream", "origin", "main")
    slim(folder)
    return repo


def slim(folder: Path) -> None:
    """Leave two thirds of the files out that each test copies: Git's samples, loose objects."""
    for repository in (folder / "repo" / ".git", folder / "origin.git"):
        run(repository, "git", "repack", "-a", "-d", "--quiet")
        for sample in (repository / "hooks").glob("*.sample"):
            sample.unlink()


@dataclass(frozen=True)
class Workbench:
    """A workspace in ``repo``, and what a user does in it."""

    repo: Path
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    @property
    def manager(self) -> ModelVersionManager:
        """A new manager of ``churn``: it reads everything again."""
        return ModelVersionManager(MODEL, self.repo)

    @property
    def store(self) -> Store:
        """The model's folder, as the code sees it."""
        return self.manager.host.store(MODEL)

    @property
    def folder(self) -> Path:
        """``models/churn``."""
        return self.repo / "models" / MODEL

    @property
    def current(self) -> Path:
        """The link."""
        return self.folder / "current"

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        return run(self.repo, "git", *arguments)

    def dvc(self, *arguments: str) -> str:
        """Run dvc in the repository."""
        return dvc(self.repo, *arguments)

    def track(self, path: str) -> None:
        """Have DVC track a file or folder, as ``dvc add`` does."""
        track(self.repo, path)

    def train(self, content: str | bytes, accuracy: float | None = None) -> None:
        """Write another model, have DVC track it, commit."""
        data = content.encode() if isinstance(content, str) else content
        if accuracy is not None:
            (self.repo / "metrics.json").write_text(f'{{"accuracy": {accuracy}}}\n')
        train(self.repo, data)

    def commit(self, message: str = "Change") -> str:
        """Commit everything; the new commit's id."""
        commit(self.repo, message)
        return self.git("rev-parse", "HEAD").strip()

    def release(self, content: str | None = None, version: str | None = None) -> str:
        """Train (where a content is given) and release; the version."""
        if content is not None:
            self.train(content)
        return str(self.manager.release(version=version).version)

    def ship(self, content: str | None = None) -> str:
        """Train, release and deploy; the version."""
        version = self.release(content)
        self.manager.deploy(version)
        return version

    def live(self) -> str:
        """What the live model file holds, read through the link."""
        return (self.current / "model.bin").read_text()

    def actions(self) -> list[tuple[str, str, str | None]]:
        """The history, in short: action, status, version."""
        events = self.manager.get_deployment_history()
        return [(event.action, event.status, event.version) for event in events]

    def cli(self, *arguments: str) -> Result:
        """The command line, in this process, in the repository, with no terminal.

        Hints are given as without ``-C``.
        """
        return self.cli_in(self.repo, *arguments)

    def cli_in(self, folder: Path, *arguments: str) -> Result:
        """The same for another folder, such as a host's."""
        result = self._run(main.main, "-C", str(folder), *arguments)
        where = re.compile(
            rf"(?<=git|dvc|hip) (?:-C|--cd) {re.escape(shlex.quote(str(folder)))}(?!/)"
        )
        return Result(result.code, where.sub("", result.out), where.sub("", result.err))

    def process(self, *arguments: str, environment: dict[str, str] | None = None) -> Result:
        """The command line in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "tagship", *arguments],
            cwd=self.repo,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def state(self) -> dict[str, str]:
        """Every file and link of the workspace and its remotes: what must not change, compared."""
        top = f"{self.repo.parent}/"
        paths = {
            path.removeprefix(top): path
            for folder, folders, names in os.walk(top)
            for name in (*names, *folders)
            for path in [os.path.join(folder, name)]  # noqa: PTH118 - paths as text, for speed
            if name in names or os.path.islink(path)  # noqa: PTH114
        }
        return {key: _content(path) for key, path in paths.items() if not _is_volatile(key)}

    def changes(self, before: dict[str, str]) -> set[str]:
        """What is another, came or went since ``before``, which ``state`` gave."""
        after = self.state()
        return {key for key in before.keys() | after if before.get(key) != after.get(key)}

    def refuses(self, command: str, error: str, hint: str = "", code: int = 1) -> None:
        """The command says just this, on standard error, exits so, and changes nothing on disk."""
        before = self.state()
        told = f"error: {error}\n" + (f"hint: {hint}\n" if hint else "")
        assert self.cli(*shlex.split(command)) == Result(code, "", told)
        assert self.changes(before) == set()

    def _run(self, function: Callable[[], None], *arguments: str) -> Result:
        self.capture.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["tagship", *arguments])
        code = 0
        try:
            function()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = self.capture.readouterr()
        return Result(code, out, err)


def _content(path: str) -> str:
    """Where a link leads, or the digest of a file."""
    if os.path.islink(path):  # noqa: PTH114
        return f"-> {os.readlink(path)}"
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _is_volatile(key: str) -> bool:
    """Lock files, and what DVC and Git refresh when they merely look."""
    name = key.rpartition("/")[2]
    return (
        key.startswith(("home/", "site-cache/"))
        or "/.dvc/tmp/" in key
        or key.endswith("/.git/index")
        or name in ("lock", "lock.json")
    )
