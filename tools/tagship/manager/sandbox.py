"""A throw-away copy of a workspace, in which ``tagship demo`` trains, releases and deploys."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk import atomic
from tagship.errors import NotFound, Refused, Unavailable
from tagship.git import commits
from tagship.manager.model import ModelVersionManager
from tagship.registry.project_files import PARAMS_FILE
from tagship.workspace.find import find

if TYPE_CHECKING:
    from tagship.deploy.act import Outcome

# what DVC says to whoever runs it by hand, for the next step
ADVICE = (
    "To track the changes",
    "\tgit add",
    "To enable auto staging",
    "\tdvc config",
    "Use `dvc push`",
)
Say = Callable[[str], object]


@dataclass(frozen=True)
class State:
    """What is live in the copy, in the form of the project's first document.

    Attributes:
        link: ``current``, from the folder of the copy.
        points_to: the model's file or folder, from the folder of ``current``.
    """

    version: str
    versions: int
    link: Path
    is_link: bool
    points_to: Path
    readable: bool


@dataclass(frozen=True)
class Sandbox:
    """The copy: its folder, and the parameters to change for the second training."""

    folder: Path
    parameters: Mapping[str, Any]

    @property
    def models(self) -> list[str]:
        """The models that it declares.

        Raises:
            NotFound: there are none.
        """
        models = sorted(find(self.folder)[0].artifacts())
        if not models:
            hint = "tagship init --model NAME --path PATH"
            raise NotFound("the workspace declares no models", hint)
        return models

    def manager(self, model: str) -> ModelVersionManager:
        """The manager of one of them."""
        return ModelVersionManager(model, self.folder)

    def train(self, message: str, say: Say) -> list[str]:
        """Run the pipeline, and commit. Gives the models that it changed."""
        before = self._identities()
        _run(self.folder, "dvc", "repro", say=say)
        _run(self.folder, "git", "add", "--all")
        _run(self.folder, "git", "commit", "--quiet", "--allow-empty", "--message", message)
        after = self._identities()
        return [model for model in sorted(after) if after[model] != before[model]]

    def set_parameter(self, name: str, value: Any) -> Any:
        """Set a dotted parameter; comments and order stay. Returns the old value."""
        return _set_parameter(self.folder / PARAMS_FILE, name, value)

    def state(self, outcome: "Outcome") -> State:
        """What is live after a deploy or a rollback."""
        manager = self.manager(outcome.model)
        live = manager.get_current_version()
        if live is None:
            raise AssertionError("what was just deployed is live")
        link = manager.host.store(outcome.model).current
        return State(
            version=live.version,
            versions=len(manager.list_versions()),
            link=Path(os.path.relpath(link, self.folder)),
            is_link=link.is_symlink(),
            points_to=Path(os.readlink(link)) / live.path.name,
            readable=live.path.is_file() and os.access(live.path, os.R_OK),
        )

    def _identities(self) -> dict[str, str]:
        source, _ = find(self.folder)
        head = commits.commit(source.repository, "HEAD").id
        return {model: source.snapshot(head, model).identity for model in source.artifacts()}


@contextlib.contextmanager
def copy(start: Path, *, keep: bool, say: Say) -> Iterator[Sandbox]:
    """A clone of HEAD with a DVC remote of its own, without tags and without a cache.

    Args:
        start: a folder in the workspace, which is left as it is.
        keep: leave the copy where it is.
        say: is told the folder, before it is made.

    Raises:
        Refused: params.yaml names no parameter to change (``deploy: demo:``).
    """
    source, host = find(start)
    if not host.settings.demo:
        raise Refused(
            f"{PARAMS_FILE} names no parameter that a demo could change",
            "deploy: {demo: {train.depth: 4}}, such as it is in your params.yaml",
        )
    top = source.repository.top
    folder = Path(tempfile.mkdtemp(prefix="tagship-demo-"))
    clone = folder / top.name
    try:
        say(str(clone))
        _run(folder, "git", "clone", "--quiet", "--no-tags", str(top), str(clone))
        # its versions begin at 1.0.0, whatever the workspace has released
        _run(clone, "git", "remote", "remove", "origin")
        # a machine that was just set up has nobody's name in Git's configuration
        _run(clone, "git", "config", "user.name", "tagship demo")
        _run(clone, "git", "config", "user.email", "demo@tagship.invalid")
        _run(clone, "dvc", "remote", "add", "--quiet", "--default", "demo", str(folder / "remote"))
        yield Sandbox(clone / os.path.relpath(source.project, top), host.settings.demo)
    finally:
        if not keep:
            atomic.remove_tree(folder)


def _set_parameter(path: Path, dotted: str, value: Any) -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    content = yaml.load(path.read_bytes())
    *folders, name = dotted.split(".")
    place = content
    for folder in folders:
        place = place.get(folder) if isinstance(place, dict) else None
    if not isinstance(place, dict) or name not in place:
        raise NotFound(f"{path.name} has no parameter {dotted}", "fix deploy: demo: in it")
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
