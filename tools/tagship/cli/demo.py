"""``tagship demo``: the whole story of a workspace's models, on a copy that is thrown away."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tagship.cli import output
from tagship.deploy.act import Outcome
from tagship.disk import atomic
from tagship.errors import NotFound, Refused, Unavailable
from tagship.git import commits
from tagship.manager.model import ModelVersionManager
from tagship.registry.project_files import PARAMS_FILE
from tagship.text import words
from tagship.workspace.find import find
from tagship.workspace.source import Source

# what DVC says to whoever runs it by hand, for the next step
ADVICE = (
    "To track the changes",
    "\tgit add",
    "To enable auto staging",
    "\tdvc config",
    "Use `dvc push`",
)
Say = Callable[[str], object]


def run(start: Path, *, keep: bool, say: Say) -> None:
    """Train, release and deploy every model; change a parameter, and again; then roll back.

    Args:
        start: a folder in the workspace; its HEAD is copied, and it is left as it is.
        keep: leave the copy where it is.
        say: is given each line of the story.

    Raises:
        Refused: params.yaml names no parameter to change (``deploy: demo:``).
        NotFound: the workspace declares no models.
        TagshipError: a step failed.
    """
    source, host = find(start)
    if not host.settings.demo:
        raise Refused(
            f"{PARAMS_FILE} names no parameter that a demo could change",
            "deploy: {demo: {train.depth: 4}}, such as it is in your params.yaml",
        )
    with _copy(source, keep=keep, say=say) as copy:
        _first_releases(copy, say)
        changed = _second_releases(copy, say)
        for model in changed:
            say(f"\n== Roll back {model} ==")
            say(f"$ tagship rollback {model}")
            began = time.monotonic()
            outcome = ModelVersionManager(model, copy).rollback_to_version(reason="demo")
            say(f"rolled back in {time.monotonic() - began:.3f} s")
            _say_state(copy, outcome, say)
        if keep:
            say(f"\nThe copy is {copy}; look around: tagship -C {copy} history {changed[0]}")
    if not keep:
        say("\nThe copy is removed. Your own models: 'The first five minutes' in README.md.")


@contextlib.contextmanager
def _copy(source: Source, *, keep: bool, say: Say) -> Iterator[Path]:
    """A clone of HEAD with a DVC remote of its own, without tags and without a cache."""
    folder = Path(tempfile.mkdtemp(prefix="tagship-demo-"))
    copy = folder / source.repository.top.name
    try:
        say(f"== A throw-away copy: {copy} ==")
        _run(folder, "git", "clone", "--quiet", "--no-tags", str(source.repository.top), str(copy))
        # its versions begin at 1.0.0, whatever the workspace has released
        _run(copy, "git", "remote", "remove", "origin")
        # a machine that was just set up has nobody's name in Git's configuration
        _run(copy, "git", "config", "user.name", "tagship demo")
        _run(copy, "git", "config", "user.email", "demo@tagship.invalid")
        _run(copy, "dvc", "remote", "add", "--quiet", "--default", "demo", str(folder / "remote"))
        yield copy / os.path.relpath(source.project, source.repository.top)
    finally:
        if not keep:
            atomic.remove_tree(folder)


def _first_releases(copy: Path, say: Say) -> None:
    models = sorted(find(copy)[0].artifacts())
    if not models:
        raise NotFound("the workspace declares no models", "tagship init --model NAME --path PATH")
    say("\n== Train (about two minutes on two cores) ==\n$ dvc repro")
    _train(copy, "Train the models", say)
    for model in models:
        _release_and_deploy(copy, model, say)


def _second_releases(copy: Path, say: Say) -> list[str]:
    source, host = find(copy)
    before = _identities(source)
    for name, value in host.settings.demo.items():
        old = _set_parameter(copy / PARAMS_FILE, name, value)
        say(f"\n== Change {name} from {old} to {value}, and train again ==\n$ dvc repro")
    _train(copy, "Change " + ", ".join(host.settings.demo), say)
    after = _identities(find(copy)[0])
    changed = [model for model in sorted(after) if after[model] != before[model]]
    if not changed:
        raise Refused(
            "training again with the changed parameters gave the same models",
            f"name other values under deploy: demo: in {PARAMS_FILE}",
        )
    for model in changed:
        _release_and_deploy(copy, model, say)
    return changed


def _identities(source: Source) -> dict[str, str]:
    head = commits.commit(source.repository, "HEAD").id
    return {model: source.snapshot(head, model).identity for model in source.artifacts()}


def _release_and_deploy(copy: Path, model: str, say: Say) -> None:
    say(f"\n== Release and deploy {model} ==")
    manager = ModelVersionManager(model, copy)
    say(f'$ tagship release {model} -m "tagship demo"')
    released = manager.release(message="tagship demo")
    say(output.released(released))
    say(f"$ tagship deploy {model}")
    say(f"model found: {words.size(released.size)}; deploying ...")
    outcome = manager.deploy(reason="demo")
    if outcome.event is None or outcome.report is None:
        raise AssertionError("a version that was just released was not live")
    say("deployment succeeded!")
    say(f"   • Version: {outcome.place.version}")
    say(f"   • Time: {words.moment(outcome.event.at)} UTC")
    say(f"   • Deployment id: {outcome.event.id}")
    say(f"   • Link: {_relative(copy, manager.host.store(manager.model).current)}")
    say(f"   • Smoke test: {outcome.report.verdict}, {outcome.report.detail}")
    _say_state(copy, outcome, say)


def _say_state(copy: Path, outcome: Outcome, say: Say) -> None:
    """The state in the form of the project's first document."""
    manager = ModelVersionManager(outcome.model, copy)
    live = manager.get_current_version()
    if live is None:
        raise AssertionError("what was just deployed is live")
    link = manager.host.store(manager.model).current
    say("state after this:")
    say(f"   • Active version: {live.version}")
    say(f"   • Number of versions: {len(manager.list_versions())}")
    say(f"   • Symbolic link active: {'yes' if link.is_symlink() else 'no'}")
    say(f"   • Points to: {Path(os.readlink(link)) / live.path.name}")
    readable = live.path.is_file() and os.access(live.path, os.R_OK)
    say(f"   • File accessible: {'yes' if readable else 'no'}")


def _train(copy: Path, message: str, say: Say) -> None:
    began = time.monotonic()
    _run(copy, "dvc", "repro", say=say)
    _run(copy, "git", "add", "--all")
    _run(copy, "git", "commit", "--quiet", "--allow-empty", "--message", message)
    say(f"trained in {time.monotonic() - began:.0f} s")


def _set_parameter(path: Path, dotted: str, value: Any) -> Any:
    """Set a dotted parameter; comments and order stay. Returns what it was."""
    yaml = YAML()
    content = yaml.load(path.read_bytes())
    *folders, name = dotted.split(".")
    place = content
    for folder in folders:
        place = place.get(folder) if isinstance(place, dict) else None
    if not isinstance(place, dict) or name not in place:
        raise NotFound(f"{path.name} has no parameter {dotted}", "mend deploy: demo: in it")
    old, place[name] = place[name], value
    out = BytesIO()
    yaml.dump(content, out)
    atomic.write(path, out.getvalue())
    return old


def _run(folder: Path, *command: str, say: Say | None = None) -> None:
    """Run a program of this Python's own installation, or else of the system."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "DVC_NO_ANALYTICS": "1",
    }
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    last = ""
    for line in process.stdout or ():
        last = line.strip() or last
        if say is not None and not line.startswith(ADVICE) and line.strip():
            say("  " + line.rstrip())
    if process.wait() != 0:
        raise Unavailable(f"{' '.join(command[:2])} failed: {last}", "tagship -v demo --keep")


def _relative(copy: Path, path: Path) -> str:
    return os.path.relpath(path, copy)
