"""``tagship demo``: the life of each model as a user would live it, on a throw-away copy.

It prints each command and runs it in a separate process, whose output follows.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tagship.disk import atomic
from tagship.dvc import cache
from tagship.errors import NotFound, Refused, TagshipError, Unavailable
from tagship.registry.artifacts import readable
from tagship.registry.project_files import PARAMS_FILE, PIPELINE_FILE
from tagship.text import yaml
from tagship.workspace.find import find
from tagship.workspace.source import Source

EXAMPLE = "tagship: {demo: {churn: {train.depth: 6}}}, as it is in your params.yaml"
Say = Callable[[str], object]


@dataclass(frozen=True)
class Change:
    """A parameter of params.yaml: its value in the first training, and the better one.

    ``first`` is None where the first training takes what params.yaml has.
    """

    name: str
    first: Any
    better: Any


def run(start: Path, *, model: str | None, keep: bool, say: Say) -> None:
    """Tell the story of one model, or of all that ``tagship: demo:`` in params.yaml names.

    The first of them has the whole story: also a damaged byte, the history and the status.

    Args:
        start: a folder in the workspace; its HEAD is copied, and it is left as it is.
        model: the only model; None for all.
        keep: keep the copy.
        say: is given each line between the output of the commands.

    Raises:
        Refused: params.yaml names no parameter to change, or not in this form.
        NotFound: there is no such model.
        Unavailable: a command failed.
    """
    source, host = find(start)
    planned = plan(host.settings.demo, _example(source))
    if model is not None and model not in planned:
        raise NotFound(f"tagship: demo: in {PARAMS_FILE} has no model {model}", EXAMPLE)
    reports = []
    with _copy(source, keep=keep, say=say) as (copy, remote):
        declared = find(copy)[0].artifacts()
        for number, (name, changes) in enumerate(planned.items()):
            if model not in (None, name):
                continue
            if name not in declared:
                raise NotFound(f"{PIPELINE_FILE} has no model {name}", EXAMPLE)
            story = Story(copy, remote, name, copy / readable(declared[name]).path, say)
            story.tell(changes, whole=number == 0)
            reports += story.report()
        end = f"is kept: {copy}" if keep else "is removed"
    say(f"\nThe copy {end}. To begin with your own model: 'The first five minutes' in README.md.")
    for report in reports:
        say(f"Report: {report}")


def _example(source: Source) -> str:
    """What params.yaml may say for a demo: a model and a number of this repository, if any."""
    try:
        values = yaml.parse((source.repository.top / PARAMS_FILE).read_bytes(), PARAMS_FILE)
        models = source.artifacts()
    except (TagshipError, OSError):
        return EXAMPLE
    values.pop("tagship", None)
    numbers = {
        name: value for name, value in yaml.flat(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }  # fmt: skip
    if not numbers or not models:
        return EXAMPLE
    name, value = next(iter(numbers.items()))
    return f"tagship: {{demo: {{{min(models)}: {{{name}: {value + 1}}}}}}}, in {PARAMS_FILE}"


def plan(given: Mapping[str, Any], example: str = EXAMPLE) -> dict[str, tuple[Change, ...]]:
    """``tagship: demo:``, parsed: for each model the parameters that change.

    Raises:
        Refused: there is none, or it has another form.
    """
    if not given:
        raise Refused(f"{PARAMS_FILE} names no parameter that a demo could change", example)
    planned = {}
    for model, changes in given.items():
        if not isinstance(changes, dict) or not changes:
            raise Refused(f"tagship: demo: {model}: in {PARAMS_FILE} names no parameters", EXAMPLE)
        planned[model] = tuple(
            Change(name, *value)
            if isinstance(value, list) and len(value) == 2
            else Change(name, None, value)
            for name, value in changes.items()
        )
    return planned


@contextlib.contextmanager
def _copy(source: Source, *, keep: bool, say: Say) -> Iterator[tuple[Path, Path]]:
    """A clone of HEAD, without tags and without a cache, and the folder of its DVC remote."""
    folder = Path(tempfile.mkdtemp(prefix="tagship-demo-"))
    copy, remote = folder / source.repository.top.name, folder / "remote"
    project = copy / os.path.relpath(source.project, source.repository.top)
    try:
        say(f"A throw-away copy of the last commit, with a DVC remote of its own: {copy}")
        _quiet(folder, "git", "clone", "--no-tags", str(source.repository.top), str(copy))
        # a release is of a branch, and a CI job may have checked out none
        _quiet(copy, "git", "switch", "--force-create", "demo")
        # its versions begin at 1.0.0, whatever the workspace has released
        _quiet(copy, "git", "remote", "remove", "origin")
        # a machine that was just set up has nobody's name in Git's configuration
        _quiet(copy, "git", "config", "user.name", "tagship demo")
        _quiet(copy, "git", "config", "user.email", "demo@tagship.invalid")
        _quiet(project, "dvc", "config", "--local", "core.autostage", "true")
        _quiet(project, "dvc", "remote", "add", "--local", "--default", "demo", str(remote))
        yield project, remote
    finally:
        if not keep:
            atomic.remove_tree(folder)


@dataclass(frozen=True)
class Story:
    """A model's story.

    Attributes:
        copy: the DVC repository that it happens in.
        remote: the folder of its DVC remote.
        model: the model's name.
        path: its file or folder.
    """

    copy: Path
    remote: Path
    model: str
    path: Path
    say: Say

    def tell(self, changes: tuple[Change, ...], *, whole: bool) -> None:
        """Train, release, deploy; better parameters, release, deploy; roll back.

        Args:
            changes: the parameters.
            whole: with a damaged byte, and with history, why and status at the end.
        """
        self._head("train, release and deploy the first version")
        for change in changes:
            if change.first is not None:
                self._set(change.name, change.first)
        self._train("Train the first version")
        self._run("tagship", "release", self.model, "-m", "first version")
        self._run("tagship", "deploy", self.model, "--yes")

        self._head("train with better parameters, release and deploy")
        what = ", ".join(self._set(change.name, change.better) for change in changes)
        self._train(what)
        self._run("tagship", "release", self.model, "-m", what)
        self._run("tagship", "deploy", self.model, "--dry-run")
        damaged = whole and self._damage()
        self._run("tagship", "deploy", self.model, "--yes", "--reason", what)
        if damaged:
            self._run("tagship", "verify", self.model)

        self._head("roll back")
        reason = "wrong answers in production"
        self._run("tagship", "rollback", self.model, "--reason", reason, "--yes")
        if whole:
            self._head("what happened, why, and what now")
            self._run("tagship", "history", self.model)
            self._run("tagship", "why", self.model)
            self._run("tagship", "status", self.model, allowed=range(256))

    def report(self) -> list[Path]:
        """Write a report outside of the copy; none if what draws it is not installed."""
        self._head("a report to share")
        if not all(map(importlib.util.find_spec, ("jinja2", "vl_convert"))):
            self.say('(no report: it needs pip install "tagship[report]")')
            return []
        folder = Path.cwd() if os.access(Path.cwd(), os.W_OK) else Path(tempfile.gettempdir())
        path = folder / f"demo-{self.model}.html"
        self._run("tagship", "report", self.model, "-o", str(path))
        return [path]

    def _head(self, text: str) -> None:
        self.say(f"\n== {self.model}: {text} ==")

    def _run(self, *command: str, allowed: range = range(1)) -> int:
        """Print a command, and run it in the copy, with its output where ours is.

        Raises:
            Unavailable: it ends with an exit code that is not allowed.
        """
        shown = " ".join(f'"{part}"' if " " in part else part for part in command)
        self.say(f"$ {shown}")
        result = subprocess.run(
            _found(command), cwd=self.copy, env=_environment(), stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if result.returncode not in allowed:
            raise _failed(command, result.returncode)
        if result.returncode:
            self.say(f"(exit code {result.returncode})")
        return result.returncode

    def _set(self, name: str, value: Any) -> str:
        """Set a parameter; says what changed."""
        before = _set_parameter(self.copy / PARAMS_FILE, name, value)
        change = f"{name}: {before} -> {value}"
        self.say(f"(in {PARAMS_FILE}, {change})")
        return change

    def _train(self, message: str) -> None:
        stage = _stage_of(self.copy, self.path)
        self._run("dvc", "repro", *(("--pipeline", stage) if stage else ()))
        if _quiet(self.copy, "git", "status", "--porcelain"):
            self._run("git", "commit", "--quiet", "--all", "-m", message)

    def _damage(self) -> bool:
        """A byte is damaged in the DVC remote: the deploy is refused; then it is repaired.

        What is released last must not be deployed yet.

        Returns:
            False if DVC does not have the model's file.

        Raises:
            Unavailable: a command failed, or the damage was not found.
        """
        file = max(_files(self.path), key=lambda path: path.stat().st_size)
        digest = hashlib.md5(file.read_bytes()).hexdigest()  # noqa: S324 - DVC's name of it
        name = Path("files", "md5", digest[:2], digest[2:])
        cached, stored = cache.of_project(self.copy).folder / name, self.remote / name
        if not (cached.is_file() and stored.is_file()):
            return False
        self._head("a damaged byte is refused")
        self.say(f"(one byte of {file.name} is damaged in the DVC remote, and this host does not")
        self.say(f" have it in its DVC cache: {stored})")
        aside = cached.with_name("aside")
        cached.rename(aside)
        _flip_byte(stored)
        self._run("tagship", "deploy", self.model, "--yes", allowed=range(1, 2))
        self._run("tagship", "current", self.model)
        self.say("(now repair it as the hint says)")
        self._run("rm", "-f", str(stored))
        aside.rename(cached)
        self._run("dvc", "push", os.path.relpath(self.path, self.copy))
        cached.unlink()
        return True


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(data)


def _stage_of(project: Path, path: Path) -> str | None:
    """The stage in dvc.yaml that writes a path; None if its outputs do not name it as it is."""
    declared = yaml.parse((project / PIPELINE_FILE).read_bytes(), PIPELINE_FILE)
    for name, stage in (declared.get("stages") or {}).items():
        for out in stage.get("outs") or () if isinstance(stage, dict) else ():
            written = next(iter(out)) if isinstance(out, dict) else out
            if project / str(written) in (path, *path.parents):
                return str(name)
    return None


def _set_parameter(path: Path, dotted: str, value: Any) -> Any:
    """Set a dotted parameter; comments and order stay. Returns what it was."""
    editor = YAML()
    content = editor.load(path.read_bytes())
    *folders, name = dotted.split(".")
    place = content
    for folder in folders:
        place = place.get(folder) if isinstance(place, dict) else None
    if not isinstance(place, dict) or name not in place:
        raise NotFound(f"{path.name} has no parameter {dotted}", "fix tagship: demo: in it")
    old, place[name] = place[name], value
    out = BytesIO()
    editor.dump(content, out)
    atomic.write(path, out.getvalue())
    return old


def _quiet(folder: Path, *command: str) -> str:
    """Run a command that is not part of the story; returns what it prints."""
    result = subprocess.run(
        _found(command), cwd=folder, env=_environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if result.returncode:
        raise _failed(command, result.returncode, result.stderr.strip())
    return result.stdout


def _failed(command: tuple[str, ...], code: int, message: str = "") -> Unavailable:
    end = f": {message}" if message else ""
    return Unavailable(
        f"{' '.join(command[:2])} ended with exit code {code}{end}", "tagship demo --keep"
    )


def _found(command: tuple[str, ...]) -> list[str]:
    """A command with the program's path: of this Python's own installation, or of the system."""
    name, *arguments = command
    if name in ("tagship", "dvc"):
        return [sys.executable, "-m", name, *arguments]
    return [shutil.which(name) or name, *arguments]


def _environment() -> dict[str, str]:
    """That of this process, with the programs of this Python's own installation first."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    return {**os.environ, "PATH": os.pathsep.join(folders), "DVC_NO_ANALYTICS": "1"}
