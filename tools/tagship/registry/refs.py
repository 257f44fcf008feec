"""Names: models, versions and the tags that carry them. Pure text, no Git.

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
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self
from urllib.parse import quote

from semver import Version

from tagship.errors import InvalidName, NotFound
from tagship.text.json_reader import Is

LONGEST = 255  # bytes of a folder's name
NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
FOLDER = r"[a-zA-Z0-9._/-]+"
OUR_NAME = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
SEMVER = (
    r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
    r"(?:-[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_MODEL = re.compile(rf"(?:(?P<folder>{FOLDER}):)?{NAME}")
_TAG = re.compile(
    rf"(?P<model>(?:{FOLDER}=)?{NAME})"
    rf"(?:(?:@v(?P<version>{SEMVER})|\#(?P<stage>{NAME}))(?P<cancel>!?)|@(?P<word>deprecated|created))"
    r"(?:\#(?P<counter>[0-9]+))?"
)
_TRAILER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*): (.*)$", re.MULTILINE)
_PART = re.compile(r"v?(?P<major>0|[1-9]\d*)(?:\.(?P<minor>0|[1-9]\d*))?", re.ASCII)


class Action(enum.StrEnum):
    """What a tag says of its model, in GTO's words."""

    REGISTER = "register"
    DEREGISTER = "deregister"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    DEPRECATE = "deprecate"
    CREATE = "create"


class TagName(NamedTuple):
    """One tag of the grammar, taken apart. ``str()`` puts it together again."""

    model: str
    action: Action
    version: Version | None = None
    stage: str | None = None
    counter: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Take ``text`` apart, or return None where it is no tag of this grammar."""
        found = _TAG.fullmatch(text)
        if not found:
            return None
        model, number, stage, cancel, word, counter = found.groups()
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


@functools.lru_cache(1 << 14)  # the models of a repository have many versions in common
def _version(text: str) -> Version:
    return Version.parse(text)


def trailers(message: str) -> dict[str, str]:
    """The last paragraph's ``Key: value`` lines (as git-interpret-trailers reads them)."""
    last = message.rstrip().rpartition("\n\n")[2]
    return dict(_TRAILER.findall(last))


@functools.lru_cache(1 << 14)  # a history names each version more than once
def is_version(text: str) -> bool:
    """Whether a text is a whole SemVer 2.0.0 version, as tags carry it."""
    return Version.is_valid(text)


VersionText = Annotated[str, Is(is_version, "a version")]


@functools.lru_cache(1 << 10)
def is_model(text: str) -> bool:
    """Whether GTO could name a model so, and a folder be named for it; none may lead out."""
    found = _MODEL.fullmatch(text)
    leads_out = found is not None and ".." in (found["folder"] or "").split("/")
    return found is not None and not leads_out and len(folder_name(text)) <= LONGEST


ModelText = Annotated[str, Is(is_model, "a model name")]


def check_model(text: str) -> str:
    """Return ``text`` if GTO could name a model so.

    Raises:
        InvalidName: for anything else.
    """
    if not is_model(text):
        raise InvalidName(
            f"{text!r} is not a model name",
            "a name has letters, digits, '-' and '_', and starts and ends with a letter or a digit",
        )
    return text


def check_new_model(text: str) -> str:
    """Return ``text`` if we would name a new model so: one path component, lower case.

    Raises:
        InvalidName: for anything else.
    """
    if not re.fullmatch(OUR_NAME, text):
        raise InvalidName(
            f"{text!r} is not a valid name for a new model",
            "use lower-case letters, digits, '-' and '_', such as ml_model",
        )
    return text


@functools.lru_cache(1 << 10)  # asked at each load by a program that serves
def folder_name(model: str) -> str:
    """One path component for ``model``, however many its name has (``a/b`` is ``a%2Fb``)."""
    return quote(model, safe="")


@dataclass(frozen=True)
class Wanted:
    """What a user asked for: ``1.2.0``, ``1.2``, ``1``, ``latest``, ``#prod``: a stage's holder.

    ``str()`` gives the text that follows the model's name.
    """

    exact: Version | None = None
    prefix: tuple[int, ...] = ()
    stage: str | None = None

    @classmethod
    def parse(cls, text: str, model: str) -> Self:
        """Read a version given by a user; a whole tag must be one of ``model``; ``#`` is a stage.

        Raises:
            InvalidName: the text is neither a version, nor ``latest``, nor a tag of the model.
        """
        if text == "latest":
            return cls()
        whole = model.replace(":", "=") + text if text.startswith("#") else text
        tag = TagName.parse(whole)
        if tag and tag.model == model and tag.action in (Action.REGISTER, Action.ASSIGN):
            return cls(exact=tag.version, stage=tag.stage)
        part = _PART.fullmatch(text)
        try:
            if part:
                return cls(prefix=tuple(int(number) for number in part.groups() if number))
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
        return "@" + (".".join(map(str, self.prefix)) or "latest")

    def select(self, versions: Iterable[Version]) -> Version | None:
        """The highest version that was asked for; a pre-release only when named exactly."""
        if self.exact is not None:
            # str(): two builds of one version are equal in SemVer, and yet two tags
            return next((v for v in versions if str(v) == str(self.exact)), None)
        fitting = (
            v
            for v in versions
            if not v.prerelease and (v.major, v.minor)[: len(self.prefix)] == self.prefix
        )
        return max(fitting, default=None)


@dataclass(frozen=True)
class Ref:
    """``MODEL``, ``MODEL@VERSION`` or ``MODEL#STAGE``, as every command takes it."""

    model: str
    wanted: Wanted = Wanted()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as the command line takes it.

        Raises:
            InvalidName: the text is not of that form.
        """
        tag = TagName.parse(text.replace(":", "="))
        if tag and tag.action in (Action.REGISTER, Action.ASSIGN):
            return cls(tag.model, Wanted(exact=tag.version, stage=tag.stage))
        model, at, version = text.partition("@")
        check_model(model)
        return cls(model, Wanted.parse(version, model)) if at else cls(model)

    def __str__(self) -> str:
        return f"{self.model}{self.wanted}"


def precedence(version: Version) -> tuple[int, int, int, bool, Version]:
    """A key that sorts as versions do: semver itself is asked for pre-releases alone.

    Of ten thousand versions a person waits for the difference.
    """
    return (version.major, version.minor, version.patch, version.prerelease is None, version)


def next_version(taken: Iterable[Version], bump: str) -> Version:
    """The version after the highest one ever taken; 1.0.0 where none was.

    A pre-release is followed by its own final version: 2.0.0-rc.1, then 2.0.0.

    Args:
        taken: every version that has or had a tag, cancelled ones included.
        bump: ``major``, ``minor`` or ``patch``.
    """
    highest = max(taken, default=None)
    return Version(1) if highest is None else highest.next_version(part=bump)


def check_version(text: str) -> Version:
    """A whole version for a new release: ``1.2.0`` or ``v1.2.0``; ``1.2`` is 1.2.0.

    Raises:
        InvalidName: the text is not a SemVer 2.0.0 version.
    """
    try:
        return Version.parse(text.removeprefix("v"), optional_minor_and_patch=True)
    except ValueError:
        raise InvalidName(f"{text!r} is not a SemVer 2.0.0 version", "such as 1.2.0") from None


def no_such_version(ref: Ref, known: Iterable[Version] = ()) -> NotFound:
    """The error for a version that no tag carries, with the nearest one."""
    wanted = str(ref.wanted).lstrip("@")
    if wanted == "latest":
        return NotFound(f"{ref.model} has no released version", f"tagship release {ref.model}")
    near = difflib.get_close_matches(wanted, [str(version) for version in known], 1)
    hint = f"tagship list {ref.model}" + (f"; did you mean {near[0]}?" if near else "")
    return NotFound(f"{ref.model} has no version {wanted}", hint)
