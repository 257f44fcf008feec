"""The status object: how one model is on one host, for other hosts and for people. Pure.

A JSON object of at most ``LONGEST`` bytes, in the file ``<model>/<host>.json`` of a place that all
hosts share. Whoever reads one reads what somebody else wrote: nothing in it is trusted, and what is
out of form is damaged. docs/schemas/status.schema.json has the form.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from tagship.errors import InvalidName
from tagship.registry.refs import ModelText, VersionText
from tagship.text import clock, escape, json_reader, redact
from tagship.text.json_reader import Is
from tagship.workspace.reports import HostText
from tagship.workspace.state import Why

SCHEMA = 1
LONGEST = 1000  # bytes of one that is written
READ = 16_000  # bytes of one that is read at most
FAILED = 4  # tag objects that failed: the newest
WORDS = 300  # letters of a text at most
NOBODY = "-"  # holds it, as far as that is known
DONE, SKIPPED = "done", "skipped"  # of the smoke test
_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_WHY = {why.value[0]: why for why in Why}


class Damaged(ValueError):
    """An object that is out of form; the text says how."""


class TooLong(ValueError):
    """A model or a version has so long a name that no object can hold it."""


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(clock.moment(text))
    except InvalidName:
        return False


def _matches(pattern: str, noun: str) -> Is:
    return Is(lambda text: re.fullmatch(pattern, text) is not None, noun)


DateText = Annotated[str, Is(_is_date, "a date such as 2026-11-23T05:31:22Z")]
ObjectId = Annotated[str, _matches(r"[0-9a-f]{40}|[0-9a-f]{64}", "the id of a tag object")]
HostId = Annotated[str, _matches(r"[0-9a-f]{16}", "16 hexadecimal digits")]
DeploymentId = Annotated[str, _matches(r"[0-9]{8}_[0-9]{6}", "the id of a deployment")]
WhyText = Annotated[str, Is(lambda text: text in _WHY, "a state")]
SmokeText = Annotated[str, Is(lambda text: text in (DONE, SKIPPED), "done or skipped")]
Base64 = Annotated[str, _matches(r"[A-Za-z0-9+/]{40,4000}={0,2}", "a signature")]


@dataclass(frozen=True)
class Live:
    """What is live.

    Attributes:
        tag_object: the id of the tag that it was deployed from; None where that is unknown.
        deployment: its id.
        since: when it went live.
    """

    version: VersionText
    tag_object: ObjectId | None = None
    deployment: DeploymentId | None = None
    since: DateText | None = None


@dataclass(frozen=True)
class Wish:
    """What should be live."""

    version: VersionText
    tag_object: ObjectId | None = None


@dataclass(frozen=True)
class Hold:
    """Nothing goes live by itself: by whom, until when, and why."""

    by: str
    until: DateText | None = None
    reason: str = ""


@dataclass(frozen=True)
class StatusObject:
    """How a model is on a host.

    Attributes:
        schema: of the object.
        model, host: as its file is named.
        id: of the host's folder, at random: tells two hosts of one name apart.
        at: when it was written.
        seq: how often this model's was written under this id.
        why: how the model is, a word of ``workspace.state.Why``.
        tagship: the version of tagship.
        live, desired: the versions that are and should be live; None for nothing.
        reason: what ``why`` means here.
        hold: what keeps the model as it is.
        failed: the ids of tag objects that were tried and taken back here, the newest first.
        seen: a digest of the tags of the model that this host saw.
        smoke_test: of what is live; None where nothing is.
        twin: the id of another host that writes under the same name.
        signature: of all the others, by the host's key; see ``signature.sign``.
    """

    schema: int
    model: ModelText
    host: HostText
    id: HostId
    at: DateText
    seq: int
    why: WhyText
    tagship: str = ""
    live: Live | None = None
    desired: Wish | None = None
    reason: str = ""
    hold: Hold | None = None
    failed: tuple[ObjectId, ...] = ()
    seen: str = ""
    smoke_test: SmokeText | None = None
    twin: HostId | None = None
    signature: Base64 | None = None

    @property
    def state(self) -> Why:
        """``why`` as a value."""
        return _WHY[self.why]

    @property
    def written(self) -> datetime:
        """``at`` as a time."""
        return clock.moment(self.at)


# --- written


def to_bytes(status: StatusObject) -> bytes:
    """The bytes of an object, its signature included."""
    return _canonical(_values(status))


def payload(status: StatusObject) -> bytes:
    """The bytes that are signed: the object without its signature."""
    return _canonical(_values(replace(status, signature=None)))


def fitted(status: StatusObject, room: int = 0) -> StatusObject:
    """An object that is short enough: its texts are cut, then what can be missed is left out.

    Args:
        status: any length; control characters and secrets are cut from its texts.
        room: bytes that its signature needs.

    Raises:
        TooLong: the names of the model and of its versions alone are too long.
    """
    for shorter in _shorter(_clean(status)):
        if len(payload(shorter)) + room <= LONGEST:
            return shorter
    raise TooLong(f"the name of {status.model}, or of its version, is too long for a status object")


def _shorter(status: StatusObject) -> Iterator[StatusObject]:
    """An object, and ever shorter ones."""
    yield status
    for letters in (160, 80, 40, 0):
        hold = status.hold and replace(
            status.hold, by=cut(status.hold.by, 40), reason=cut(status.hold.reason, letters)
        )
        status = replace(status, reason=cut(status.reason, letters), hold=hold)
        yield status
    for count in (1, 0):
        status = replace(status, failed=status.failed[:count])
        yield status
    yield (status := replace(status, tagship="", seen=""))
    if status.live is not None:
        status = replace(status, live=Live(status.live.version, status.live.tag_object))
    yield status
    yield replace(status, desired=None, hold=status.hold and Hold(NOBODY, status.hold.until))


def _clean(status: StatusObject) -> StatusObject:
    hold = status.hold and replace(
        status.hold, by=_shown(status.hold.by) or NOBODY, reason=_shown(status.hold.reason)
    )
    return replace(status, reason=_shown(status.reason), hold=hold)


def _shown(text: str) -> str:
    return cut(escape.line(redact.text(text)), WORDS)


def cut(text: str, letters: int) -> str:
    """A text of at most so many letters; what was cut is marked."""
    return text if len(text) <= letters else text[: max(letters - 1, 0)] + "…" * bool(letters)


def _values(status: StatusObject) -> dict[str, Any]:
    """The object without what is empty."""
    pairs = asdict(status).items()
    return {name: _without_none(value) for name, value in pairs if value not in (None, "", ())}


def _without_none(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: inner for name, inner in value.items() if inner not in (None, "")}


def _canonical(value: Mapping[str, Any]) -> bytes:
    """The same bytes for the same values, on any machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return escape.escaped(text).encode()


# --- read


def parse(data: bytes, model: str, host: str) -> tuple[StatusObject, bytes]:
    """An object that somebody wrote, and the bytes that its signature is of.

    Args:
        data: the file.
        model, host: as the file is named.

    Raises:
        Damaged: it is too long, no JSON, out of form, of a later schema, or of another name.
    """
    if len(data) > READ:
        raise Damaged(f"it has more than {READ} bytes")
    try:
        value = json_reader.parse(data)
        _check_schema(value)
        status = json_reader.read(StatusObject, value)
    except ValueError as error:
        raise Damaged(cut(escape.line(str(error)), WORDS)) from None
    if (status.model, status.host) != (model, host):
        raise Damaged("it is of another model or host than its name says")
    if not 0 <= status.seq < 1 << 53:
        raise Damaged("seq is out of range")
    signed = {name: inner for name, inner in value.items() if name != "signature"}
    return _clean(replace(status, failed=status.failed[:FAILED])), _canonical(signed)


def _check_schema(value: Any) -> None:
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise Damaged("it has no schema")
    if schema > SCHEMA:
        raise Damaged(f"it has schema {str(schema)[:9]}, of a later tagship than this one")
