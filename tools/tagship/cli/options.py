"""What the commands share of the command line: the session, arguments, options, types of values."""

import math
import os
import re
import shlex
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.ending import Ending
from tagship.errors import InvalidName

if TYPE_CHECKING:
    from datetime import datetime

    from tagship.manager.agent import Agent
    from tagship.manager.model import ModelVersionManager
    from tagship.manager.workspace import Workspace
    from tagship.registry.refs import Ref

# Commands in a hint that take paths or stages
HOST_FILE = "tagship.toml"
MOST_SECONDS = 365 * 86400  # the clock of the system ends some time after
_OF_REMOTE = re.compile(r"dvc remote modify --local (\S+) (\S+) (\S+)")
FROM_TOP = re.compile(
    r"\bdvc (add|checkout|commit|pull|push|repro|unfreeze|update)\b|\bgit (add|checkout --ours)\b"
)
_WHERE = {"git": "-C", "dvc": "--cd", "tagship": "-C"}
_COMMAND = re.compile(r"(^|&& |[:;] |\()(git|dvc|tagship) (?!clone)(?=[a-z])")  # in a hint


class Session:
    """The options before the command's name, and what a command calls."""

    def __init__(self) -> None:
        self.folder = Path()
        self.root: Path | None = None  # the same, where TAGSHIP_ROOT names it
        self.verbose = False
        self.ending = Ending()
        self._notes: set[str] = set()

    def workspace(self) -> "Workspace":
        """All models of the workspace. On a terminal, long reads and copies show a progress bar."""
        from tagship.manager.workspace import Workspace

        return Workspace(self.folder, output.progress(), self._tell)

    def agent(self, folder: Path | None = None) -> "Agent":
        """The host whose folder this is."""
        from tagship.manager.agent import Agent

        return Agent(folder or self.folder, output.progress(), self._tell)

    def manager(self, model: str) -> "ModelVersionManager":
        """One of them."""
        return self.workspace().model(model)

    def _tell(self, note: str) -> None:
        """Print a note; once, although a command may read the settings several times."""
        if note not in self._notes:
            self._notes.add(note)
            output.warn([note])


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - no error in a folder that may not be entered


def steps_to(folder: Path, name: str) -> str:
    """The way from a subfolder up to the folder that has ``name``, as ``cd`` takes it.

    Args:
        folder: where a command works: ``-C DIR``, or the working directory.
        name: ``.git`` or ``.dvc``.

    Returns:
        Empty where ``folder`` or the working directory is that folder, or there is none.
    """
    try:
        here, start = Path.cwd(), folder.absolute()
    except FileNotFoundError:  # the working directory is gone
        return ""
    top = next((path for path in (start, *start.parents) if _is_there(path / name)), start)
    return "" if top in (start, here) else shlex.quote(os.path.relpath(top))


def _in_host_file(match: re.Match[str]) -> str:
    """What sets an option of a remote where no DVC repository is: tagship.toml does."""
    name, option, value = match.groups()
    if name == "source":
        key = "source.remote" if option == "url" else f"source.options.{option}"
    else:
        key = f"source.remotes.{name}" + ("" if option == "url" else f".options.{option}")
    return f"set {key} in {HOST_FILE} to {value}"


_IN_A_CLONE = ("release ", "assign ", "unassign ", "withdraw ", "deprecate ")  # never on a host


def there(folder: Path, hint: str) -> str:
    """A hint whose commands work where this one did: with the ``-C DIR`` that it was given.

    Some of Git and DVC take paths from the top of the repository: for a folder below it, these
    commands stay as they are.
    """
    is_host = os.path.isfile(folder / HOST_FILE)  # noqa: PTH113 - no error where it may not be entered
    if is_host:
        hint = _OF_REMOTE.sub(_in_host_file, hint)
    if folder == Path() or not str(folder).isprintable():  # nobody can copy such a name
        return hint
    start, name = folder.absolute(), shlex.quote(str(folder))
    top = next((path for path in (start, *start.parents) if _is_there(path / ".git")), start)
    is_of_top = top != start and FROM_TOP.search(hint) is not None

    def named(match: re.Match[str]) -> str:
        before, program = match.groups()
        is_left = is_of_top and program != "tagship"
        is_left |= is_host and hint.startswith(_IN_A_CLONE, match.end())
        return match[0] if is_left else f"{before}{program} {_WHERE[program]} {name} "

    return _COMMAND.sub(named, hint)


def reference(text: str) -> "Ref":
    """``MODEL`` or ``MODEL@VERSION``, the type of an argument.

    Raises:
        InvalidName: the text is neither.
    """
    from tagship.registry.refs import Ref

    return Ref.parse(text)


def reference_or_image(text: str) -> "Ref | str":
    """``MODEL``, ``MODEL@VERSION``, or an image: ``oci:DIR``, ``docker://...``.

    ``oci:churn`` is the model ``churn`` of a folder ``oci``, unless there is a file of that name.
    """
    if is_image(text):
        return text
    return reference(text)


def is_image(text: str) -> bool:
    """Whether a text names an image."""
    kind, colon, path = text.partition(":")
    place = path.partition("@sha256:")[0]
    if kind == "docker" and path.startswith("//"):
        return True
    return kind == "oci" and bool(colon) and ("/" in place or Path(place or "/-").exists())


def exact_reference(text: str) -> "Ref":
    """``MODEL@VERSION``: a version must be named."""
    if "@" not in text:
        raise click.UsageError("name the version: MODEL@VERSION")
    return reference(text)


def version_reference(text: str) -> "Ref":
    """``MODEL@VERSION``, or ``MODEL#STAGE`` for the version that holds a stage."""
    if "#" not in text:
        return exact_reference(text)
    return reference(text)


def model_alone(text: str) -> str:
    """``MODEL``, for a command that does not take a version."""
    model = reference(text).model
    if model != text:
        context = click.get_current_context(silent=True)
        is_rollback = context is not None and context.info_name == "rollback" and "@" in text
        to = f" --to {text.partition('@')[2]}" if is_rollback else ""
        raise click.UsageError(f"name the model alone: {model}{to}")
    return model


def model_of_prompt(text: str) -> str:
    """The same; the name is checked where it is used, since ``current`` waits for no import."""
    return model_alone(text) if "@" in text or "#" in text else text


def moment(text: str) -> "datetime":
    """A date or a time, UTC without a time zone."""
    from tagship.text import clock

    try:
        return clock.moment(text)
    except InvalidName as error:
        raise click.BadParameter(f"{error.message}; {error.hint}") from None


class Seconds(click.FloatRange):
    """A time to wait, of at most a year: a number, which ``nan`` is not."""

    def __init__(self, least: float) -> None:
        super().__init__(least, MOST_SECONDS)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


class LazyChoice(click.Choice[str]):
    """A choice between words that are read where they are defined, and only when they are needed.

    ``tagship --help`` and most completions do not need them, and must not wait for that import.
    """

    def __init__(self, read: Callable[[], Iterable[str]]) -> None:  # super() would read them
        self._read = read
        self.case_sensitive = True

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override] # computed once, then the same
        """The words."""
        return tuple(self._read())


def bumps() -> Iterable[str]:
    """Parts of a version that ``release --bump`` increments."""
    from tagship.manager import choices

    return choices.bumps()


def actions() -> Iterable[str]:
    """Kinds of events in the history."""
    from tagship.manager import choices

    return choices.actions()


def formats() -> Iterable[str]:
    """Formats of ``export``."""
    from tagship.manager import choices

    return choices.formats()


def _folder(ctx: click.Context) -> Path:
    """-C, for a command line that is still being typed."""
    return Path(ctx.find_root().params.get("folder") or ".")


def complete_model(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    """Names of models that begin with a text, for the Tab key."""
    from tagship.cli import complete

    return [name for name in complete.models(_folder(ctx)) if name.startswith(text)]


def _complete_reference(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    from tagship.cli import complete

    return [name for name in complete.references(_folder(ctx), text) if name.startswith(text)]


def complete_version(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    """The versions of the model that the line names already."""
    from tagship.cli import complete

    model = ctx.params.get("model") or next(iter(ctx.args), "")  # args: before an open option
    known = complete.versions(_folder(ctx), model)
    return [version for version in known if version.startswith(text)]


def complete_stage(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    """The stages of the model that the line names already; of all models, where a version is."""
    from tagship.cli import complete

    known = complete.stages(_folder(ctx), ctx.params.get("model"))
    return [stage for stage in known if stage.startswith(text)]


pass_session = click.make_pass_decorator(Session)
model_argument = click.argument("model", type=model_of_prompt, shell_complete=complete_model)
optional_model_argument = click.argument(
    "model", type=model_alone, required=False, shell_complete=complete_model
)
ref_argument = click.argument(
    "ref", type=reference, metavar="MODEL[@VERSION]", shell_complete=_complete_reference
)
optional_ref_argument = click.argument(
    "ref", type=reference, metavar="[MODEL[@VERSION]]", required=False,
    shell_complete=_complete_reference,
)  # fmt: skip
ref_or_image_argument = click.argument(
    "ref", type=reference_or_image, metavar="[MODEL[@VERSION]|IMAGE]", required=False,
    shell_complete=_complete_reference,
)  # fmt: skip
exact_argument = click.argument(
    "ref", type=exact_reference, metavar="MODEL@VERSION", shell_complete=_complete_reference
)
version_argument = click.argument(
    "ref", type=version_reference, metavar="MODEL@VERSION", shell_complete=_complete_reference
)
stage_argument = click.argument("stage", metavar="STAGE", shell_complete=complete_stage)
why_option = click.option("-m", "--message", metavar="TEXT", help="The message of the tag: why.")
push_option = click.option("--push", is_flag=True, help="Push the tag to the Git remote.")
capsule_option = click.option(
    "--capsule/--no-capsule", default=None,
    help="Beside the objects, write what a host needs that asks no Git server.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
reason_option = click.option("--reason", metavar="TEXT", help="Why; recorded in the history.")
wait_option = click.option(
    "--wait", type=Seconds(0), default=0, metavar="SECONDS",
    help="Wait for another command on the same model.",
)  # fmt: skip
until_option = click.option(
    "--until", type=moment, metavar="TIME",
    help="When the hold should end, and begins to complain; in a week by default.",
)  # fmt: skip
