"""The lines of an audit file, one for each answer of a server (docs/schemas/audit.schema.json).

``serve.audit`` writes them. Each begins with ``START``, whose quotes no text in JSON can have, so
that a line is found again where the one before was cut short.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from tagship.registry.refs import ModelText, VersionText
from tagship.text import escape, json_reader

SCHEMA = 1
START = b'{"schema":1,"at":"'
TIME = len("2026-11-27T08:00:00.123Z")
LONGEST = 1 << 26  # bytes of a line: no server takes a request of a quarter of it


@dataclass(frozen=True)
class Tensor:
    """One input or output. ``data`` is flat, in row-major order.

    ``datatype`` is that of the Open Inference Protocol. A number that is not finite is a text.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        at: when, ISO 8601 in UTC, in milliseconds.
        id: of the request, which its client chose; None where it had none.
        seq: of the event that made the version live; of its deploy, for a challenger.
        generation: its number in that server.
        sha256: of the body of the request, in hex digits.
        rows: of the inputs.
        ms: from the request to its answer, in milliseconds.
        inputs: None where the server does not record them.
    """

    at: str
    id: str | None
    model: ModelText
    version: VersionText
    seq: int
    generation: int
    sha256: str | None
    rows: int
    ms: float
    outputs: tuple[Tensor, ...]
    inputs: tuple[Tensor, ...] | None = None
    schema: int = SCHEMA

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Parse one object; unknown fields, perhaps of a later release, are ignored.

        Raises:
            ValueError: a field is missing, or has the wrong type.
        """
        return json_reader.read(cls, value)


@dataclass(frozen=True)
class Damaged:
    """A line, or a part of one, that is no answer. ``line`` counts from 1."""

    line: int


@dataclass(frozen=True)
class Wanted:
    """Which answers are asked for; None is any.

    Attributes:
        since, until: times as ``Answer.at`` has them; ``until`` is not part of it.
    """

    id: str | None = None
    model: str | None = None
    since: str | None = None
    until: str | None = None

    def texts(self) -> tuple[bytes, ...]:
        """What is in the line of each of them."""
        pairs = {"id": self.id, "model": self.model}
        return tuple(
            b'"%b":%b' % (name.encode(), escape.json(value).encode())
            for name, value in pairs.items()
            if value is not None
        )

    def fits(self, answer: Answer) -> bool:
        """Whether an answer is one of them."""
        return (
            self.id in (None, answer.id)
            and self.model in (None, answer.model)
            and (self.since is None or answer.at >= self.since)
            and (self.until is None or answer.at < self.until)
        )


def find(file: BinaryIO, wanted: Wanted) -> Iterator[Answer | Damaged]:
    """The answers that are asked for, in the order of the file; and what is damaged.

    The file is read a line at a time. Only a line that has the texts asked for is parsed.

    Args:
        file: opened for bytes.
        wanted: which answers.
    """
    texts = wanted.texts()
    since, until = ((text or "").encode() for text in (wanted.since, wanted.until))
    for number, line in enumerate(_lines(file), 1):
        begin = line.rfind(START)
        if begin != 0 and line.strip():
            yield Damaged(number)
        if begin < 0 or not all(text in line for text in texts):
            continue
        at = line[begin + len(START) : begin + len(START) + TIME]
        if (since and at < since) or (until and at >= until):
            continue
        try:
            answer = Answer.from_json(json_reader.parse(line[begin:], shallow=False))
        except ValueError:
            yield Damaged(number)
            continue
        if wanted.fits(answer):
            yield answer


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST):
        yield line
