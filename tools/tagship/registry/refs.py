"""Names of models, versions and tags, parsed from text and written as text.

The tag grammar is GTO's (gto 1.10.1, ``gto/constants.py``), so that GTO, DVC and DVC Studio read
our tags and we read theirs::

    tag      model ("@v" semver ["!"] | "#" stage ["!"] | "@deprecated" | "@created") ["#" counter]
    model    [folder "="] name           "=" is written ":" everywhere but in a tag
"""

import difflib
import enum
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, Self

from semver import Version

from tagship.errors import InvalidName, NotFound
from tagship.registry import models
from tagship.registry.models import FOLDER, NAME
from tagship.text.json_reader import Is

is_model, check_model, folder_name = models.is_model, models.check_model, models.folder_name
BUMPS = ("minor", "major", "patch")
LONGEST_STAGE = 100  # characters: with the model's name and a counter it is the name of a file
OUR_NAME = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
SEMVER = (
    r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
    r"(?:-[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_TAG = re.compile(
    rf"(?P<model>(?:{FOLDER}=)?{NAME})"
    rf"(?:(?:@v(?P<version>{SEMVER})|\#(?P<stage>{NAME}))(?P<cancel>!?)|@(?P<word>deprecated|created))"
    r"(?:\#(?P<counter>[0-9]+))?"
)
_TRAILER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*): (.*)$", re.MULTILINE)
_PART = re.compile(r"v?(?P<major>0|[1-9]\d*)(?:\.(?P<minor>0|[1-9]\d*))?", re.ASCII)
_SINCE = re.compile(r"\^(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?(?:\.(0|[1-9]\d*))?", re.ASCII)


class Action(enum.StrEnum):
    """What a tag does, in the words of GTO."""

    REGISTER = "register"
    DEREGISTER = "deregister"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    DEPRECATE = "deprecate"
    CREATE = "create"


class TagName(NamedTuple):
    """The parts of a tag's name. ``str()`` gives the name back."""

    model: str
    action: Action
    version: Version | None = None
    stage: str | None = None
    counter: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse ``text``; None if it is not in this grammar."""
        match = _TAG.fullmatch(text)
        if not match:
            return None
        model, number, stage, cancel, word, counter = match.groups()
        version = None
        if number:
            try:
                version = _version(number)
            except ValueError:  # a numeric pre-release part with a leading zero
                return None
        if word:
            action = Action.DEPRECATE if word == "deprecated" else Action.CREATE
        elif number:
            action = Action.DEREGISTER if cancel else Action.REGISTER
        else:
            action = Action.UNASSIGN if cancel else Action.ASSIGN
        return cls(model.replace("=", ":"), action, version, stage, counter)

    def __str__(self) -> str:
        cancel = "!" if self.action in (Action.DEREGISTER, Action.UNASSIGN) else ""
        if self.version is not None:
            what = f"@v{self.version}{cancel}"
        elif self.stage is not None:
            what = f"#{self.stage}{cancel}"
        else:
            what = "@deprecated" if self.action is Action.DEPRECATE else "@created"
        counter = f"#{self.counter}" if self.counter is not None else ""
        return self.model.replace(":", "=") + what + counter


@functools.lru_cache(1 << 14)  # the models of a repository share many versions
def _version(text: str) -> Version:
    return Version.parse(text)


def trailers(message: str) -> dict[str, str]:
    """The last paragraph's ``Key: value`` lines (see git-interpret-trailers(1))."""
    last = message.rstrip().rpartition("\n\n")[2]
    return dict(_TRAILER.findall(last))


def check_text(version: str | None) -> None:
    """Refuse what is not text, above all a number: ``version=1.10`` is 1.1 before anybody sees it.

    Raises:
        InvalidName: it is not.
    """
    if not isinstance(version, str | None):
        raise _not_text(version)


def _not_text(version: object) -> InvalidName:
    if isinstance(version, int | float):
        hint = 'put it in quotes, as in "1.10", which without quotes is 1.1'
        return InvalidName(f"the version {version} is a number, not text", hint)
    return InvalidName(f"{version!r} is not a version", 'give it as text: "1.2.0"')


@functools.lru_cache(1 << 14)  # a history has each version more than once
def is_version(text: str) -> bool:
    """Whether a text is a complete SemVer 2.0.0 version, as in a tag."""
    return Version.is_valid(text)


VersionText = Annotated[str, Is(is_version, "a version")]


ModelText = Annotated[str, Is(is_model, "a model name")]


def check_stage(text: str) -> str:
    """Return ``text`` if GTO accepts it as the name of a stage.

    Raises:
        InvalidName: it does not.
    """
    if len(text) > LONGEST_STAGE or not re.fullmatch(NAME, text):
        raise InvalidName(
            f"{text!r} is not the name of a stage",
            "a name has letters, digits, '-', '_' and '/', and starts and ends with a letter or a"
            f" digit, such as prod; {LONGEST_STAGE} at most",
        )
    return text


def check_new_model(text: str) -> str:
    """Return ``text`` if a new model may have this name: one path component, lower case.

    Raises:
        InvalidName: it may not.
    """
    if not re.fullmatch(OUR_NAME, text):
        raise InvalidName(
            f"{text!r} is not a valid name for a new model",
            "use lower-case letters, digits, '-' and '_', such as ml_model",
        )
    return text


@dataclass(frozen=True)
class Wanted:
    """A version as a user names it: ``1.2.0``, ``1.2``, ``1``, ``latest``, or a stage, ``#prod``.

    ``^1.2`` is 1.2 and what is compatible with it: all of 1 above it, and of 0 all of its minor.
    ``str()`` gives the text that follows the model's name.
    """

    exact: Version | None = None
    prefix: tuple[int, ...] = ()
    stage: str | None = None
    compatible: bool = False

    @classmethod
    def parse(cls, text: str, model: str) -> Self:
        """Parse a version or a stage (``#prod``); a whole tag must be one of ``model``.

        Raises:
            InvalidName: the text is neither a version, nor ``latest``, nor a tag of the model.
        """
        if not isinstance(text, str):
            raise _not_text(text)
        if text == "latest":
            return cls()
        whole = model.replace(":", "=") + text if text.startswith("#") else text
        tag = TagName.parse(whole)
        if tag and tag.model == model and tag.action in (Action.REGISTER, Action.ASSIGN):
            return cls(exact=tag.version, stage=tag.stage)
        if since := _SINCE.fullmatch(text):
            return cls(prefix=_numbers(since), compatible=True)
        part = _PART.fullmatch(text)
        try:
            if part:
                return cls(prefix=_numbers(part))
            return cls(exact=Version.parse(text.removeprefix("v")))
        except ValueError:
            raise InvalidName(
                f"{text!r} is not a version of {model}",
                "give 1.2.0, 1.2, 1, latest, or a tag such as " + f"{model}@v1.2.0",
            ) from None

    def __str__(self) -> str:
        if self.stage is not None:
            return f"#{self.stage}"
        if self.exact is not None:
            return f"@{self.exact}"
        since = "^" if self.compatible else ""
        return "@" + since + (".".join(map(str, self.prefix)) or "latest")

    @property
    def text(self) -> str:
        """The text that ``parse`` reads: a rule, as the history has it."""
        return str(self).removeprefix("@")

    def fits(self, version: Version) -> bool:
        """Whether a version is in the range of a rule, also a pre-release."""
        if self.exact is not None:
            return str(version) == str(self.exact)
        numbers = (version.major, version.minor, version.patch)
        count = len(self.prefix)
        if not self.compatible:
            return numbers[:count] == self.prefix
        same = next((at + 1 for at, number in enumerate(self.prefix) if number), count)
        return numbers[:same] == self.prefix[:same] and numbers[:count] >= self.prefix

    def select(self, versions: Iterable[Version]) -> Version | None:
        """The highest version that matches; a pre-release only if it is named exactly."""
        if self.exact is not None:
            # str(): two builds of a version are equal in SemVer, but are two tags
            return next((v for v in versions if str(v) == str(self.exact)), None)
        return max((v for v in versions if not v.prerelease and self.fits(v)), default=None)


def _numbers(match: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(number) for number in match.groups() if number)


@dataclass(frozen=True)
class Ref:
    """``MODEL``, ``MODEL@VERSION`` or ``MODEL#STAGE``, as every command takes it.

    ``is_named``: somebody wrote the version, be it ``latest``: what a host follows is not meant.
    """

    model: str
    wanted: Wanted = Wanted()
    is_named: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference from the command line.

        Raises:
            InvalidName: the text is not of that form.
        """
        tag = TagName.parse(text.replace(":", "="))
        if tag and tag.action in (Action.REGISTER, Action.ASSIGN):
            return cls(tag.model, Wanted(exact=tag.version, stage=tag.stage), is_named=True)
        model, at, version = text.partition("@")
        check_model(model)
        return cls(model, Wanted.parse(version, model), is_named=True) if at else cls(model)

    def __str__(self) -> str:
        return f"{self.model}{self.wanted}"


def precedence(version: Version) -> tuple[int, int, int, bool, Version]:
    """A sort key for versions that uses semver only for pre-releases.

    It is much faster, which matters for 10,000 versions.
    """
    return (version.major, version.minor, version.patch, version.prerelease is None, version)


def next_version(existing: Iterable[Version], bump: str) -> Version:
    """The version after the highest one so far; 1.0.0 if there is none.

    A pre-release is followed by its own final version: 2.0.0-rc.1, then 2.0.0.

    Args:
        existing: every version that has or had a tag, withdrawn ones too.
        bump: ``major``, ``minor`` or ``patch``.
    """
    highest = max(existing, default=None)
    return Version(1) if highest is None else highest.next_version(part=bump)


def check_version(text: str) -> Version:
    """The version of a new release: ``1.2.0`` or ``v1.2.0``; ``1.2`` is 1.2.0.

    Raises:
        InvalidName: the text is not a SemVer 2.0.0 version.
    """
    try:
        return Version.parse(text.removeprefix("v"), optional_minor_and_patch=True)
    except ValueError:
        raise InvalidName(f"{text!r} is not a SemVer 2.0.0 version", "give it as 1.2.0") from None


def no_such_version(ref: Ref, known: Iterable[Version] = ()) -> NotFound:
    """The error for a version that no tag has; it suggests the nearest one."""
    version = str(ref.wanted).lstrip("@")
    if version == "latest":
        return NotFound(f"{ref.model} has no released version", f"tagship release {ref.model}")
    near = difflib.get_close_matches(version, map(str, known), 1)
    hint = f"tagship list {ref.model}" + (f"; did you mean {near[0]}?" if near else "")
    return NotFound(f"{ref.model} has no version {version}", hint)
