"""The table of bad answers: what a store answers, and what must come of a deploy then."""

import functools
import gzip
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from tests.stores.tamper import BLOCK, MOST, Answer, Exchange, honest

SIZE, LARGE = 3_000_000, 70_000_000  # bytes of the models
SLACK = 8 << 20  # bytes that the systems of both sides may have buffered
MIDDLE = 1_000_000  # the byte at which an answer goes wrong
DAY = 86_400  # seconds


class Ends(Enum):
    """How a deploy must end."""

    RIGHT = "deployed"
    REFUSED = "refused"
    EITHER = "deployed, or refused"


@dataclass(frozen=True)
class Row:
    """An answer, and what must come of it.

    Attributes:
        name: of the answer.
        answer: to a request for an object.
        ends: how the deploy ends.
        error: a pattern of the error.
        hint: a pattern of the hint.
        every: whether it is the answer to each request about an object, or to those for bytes.
        large: whether the large model is deployed, of which the store is asked for ranges.
        kinds: the stores to which it applies.
        sent: how many bytes the store may have sent in the end, besides what systems buffer.
        seconds: how long it may take.
        asked: how often the store may have been asked.
    """

    name: str
    answer: Answer
    ends: Ends
    error: str = "."
    hint: str = "."
    every: bool = False
    large: bool = False
    kinds: tuple[str, ...] = ("s3", "azure", "gs", "http")
    sent: int | None = None
    seconds: float = 60
    asked: int = 40

    @property
    def model(self) -> str:
        """The model that is deployed."""
        return "large" if self.large else "churn"

    @property
    def size(self) -> int:
        """Its bytes."""
        return LARGE if self.large else SIZE

    @property
    def limit(self) -> int:
        """How many bytes the store may have sent."""
        return (self.size if self.sent is None else self.sent) + SLACK


@functools.lru_cache
def content(version: int, size: int = SIZE) -> bytes:
    """The bytes of a model, each time the same."""
    return random.Random(version).randbytes(size)


# --- answers


def first(answer: Answer, then: Answer = honest) -> Answer:
    """This answer once, then another one."""
    return lambda exchange: (then if exchange.number else answer)(exchange)


def _forged(exchange: Exchange, body: bytes) -> None:
    """Other bytes, without the store's own checksums of the right ones."""
    was = exchange.original
    digests = {name.lower() for name, _ in was.headers if "checksum" in name.lower()}
    headers = was.without("content-md5", "x-goog-hash", "content-range", *digests)
    if was.status == 206:
        end = exchange.first + len(body)
        headers.append(("Content-Range", f"bytes {exchange.first}-{end - 1}/{end}"))
    exchange.send(was.status, headers, body)


def flipped(exchange: Exchange) -> None:
    """Other bytes, as many."""
    body = bytearray(exchange.original.body)
    body[len(body) // 2] ^= 1
    _forged(exchange, bytes(body))


def another(exchange: Exchange) -> None:
    """The bytes of another object of the store, as long."""
    _forged(exchange, random.Random(1).randbytes(len(exchange.original.body)))


def endless(exchange: Exchange) -> None:
    """Right bytes, and then more, without an end and without a length."""
    was = exchange.original
    exchange.start(was.status, [*was.without(), ("Transfer-Encoding", "chunked")])
    for block in itertools.chain([was.body], itertools.repeat(bytes(BLOCK), MOST // BLOCK)):
        exchange.handler.wfile.write(f"{len(block):x}\r\n".encode())
        exchange.write(block)
        exchange.handler.wfile.write(b"\r\n")


def longer(exchange: Exchange) -> None:
    """Right bytes, and more, as the header says."""
    _forged(exchange, exchange.original.body + bytes(MOST))


def shorter(exchange: Exchange) -> None:
    """A part of the bytes, as the header says."""
    _forged(exchange, exchange.original.body[:MIDDLE])


def wrong_length(length: int | str) -> Answer:
    """Right bytes behind a header that says another length."""

    def answer(exchange: Exchange) -> None:
        was = exchange.original
        exchange.send(was.status, was.without(), was.body, length)
        exchange.hang_up()

    return answer


def stopped(exchange: Exchange) -> None:
    """The bytes before the middle, then the end of the connection."""
    was, left = exchange.original, max(0, MIDDLE - exchange.first)
    exchange.start(was.status, [*was.without(), ("Content-Length", str(len(was.body)))])
    exchange.write(was.body[:left])
    exchange.hang_up()


def cut(exchange: Exchange) -> None:
    """The bytes before the middle, then a reset of the connection."""
    was, left = exchange.original, max(0, MIDDLE - exchange.first)
    exchange.start(was.status, [*was.without(), ("Content-Length", str(len(was.body)))])
    exchange.write(was.body[:left])
    exchange.reset()


def stalled(exchange: Exchange) -> None:
    """The bytes before the middle, then silence."""
    was, left = exchange.original, max(0, MIDDLE - exchange.first)
    exchange.start(was.status, [*was.without(), ("Content-Length", str(len(was.body)))])
    exchange.write(was.body[:left])
    exchange.stall()


def silent(exchange: Exchange) -> None:
    """Nothing."""
    exchange.stall()


def zipped(exchange: Exchange) -> None:
    """The right bytes, compressed on the way."""
    was = exchange.original
    exchange.send(
        was.status, [*was.without(), ("Content-Encoding", "gzip")], gzip.compress(was.body, 1)
    )


BOMB = gzip.compress(gzip.compress(bytes(MOST), 9), 9)


def bomb(exchange: Exchange) -> None:
    """A few bytes, which are 256 MB when they are unpacked."""
    was = exchange.original
    exchange.send(was.status, [*was.without(), ("Content-Encoding", "gzip, gzip")], BOMB)


def chunked(exchange: Exchange) -> None:
    """The right bytes in chunks, without a length."""
    was = exchange.original
    exchange.start(was.status, [*was.without(), ("Transfer-Encoding", "chunked")])
    for start in range(0, len(was.body), BLOCK):
        block = was.body[start : start + BLOCK]
        exchange.handler.wfile.write(f"{len(block):x}\r\n".encode())
        exchange.write(block)
        exchange.handler.wfile.write(b"\r\n")
    exchange.handler.wfile.write(b"0\r\n\r\n")


def elsewhere(exchange: Exchange) -> None:
    """Sent to another host, which has the right bytes."""
    exchange.send(307, [("Location", exchange.proxy.elsewhere + exchange.request.path)])


def in_a_circle(exchange: Exchange) -> None:
    """Sent to the same address again."""
    exchange.send(307, [("Location", exchange.proxy.address + exchange.request.path)])


def garbage(exchange: Exchange) -> None:
    """No HTTP."""
    exchange.handler.wfile.write(b"\x16\x03\x01 no HTTP at all\r\n" * 100)
    exchange.hang_up()


def headers_without_end(exchange: Exchange) -> None:
    """Headers, and no end of them."""
    exchange.handler.send_response_only(200)
    exchange.handler.flush_headers()
    for number in range(MOST // BLOCK):
        exchange.handler.wfile.write(
            b"X-%d: " % number + bytes(BLOCK).replace(b"\0", b"x") + b"\r\n"
        )
        exchange.proxy.count(BLOCK)


def page(exchange: Exchange) -> None:
    """A page of a network that wants a login first."""
    body = b"<html><body>Please log in.</body></html>"
    exchange.send(200, [("Content-Type", "text/html")], body)


# The codes of the providers' references; HTTP has none.
CODES = {
    ("s3", 401): "InvalidAccessKeyId", ("s3", 403): "AccessDenied", ("s3", 404): "NoSuchKey",
    ("s3", 429): "SlowDown", ("s3", 500): "InternalError", ("s3", 503): "SlowDown",
    ("azure", 401): "NoAuthenticationInformation", ("azure", 403): "AuthorizationFailure",
    ("azure", 404): "BlobNotFound", ("azure", 429): "ServerBusy",
    ("azure", 500): "InternalError", ("azure", 503): "ServerBusy",
    ("gs", 401): "authError", ("gs", 403): "forbidden", ("gs", 404): "notFound",
    ("gs", 429): "rateLimitExceeded", ("gs", 500): "backendError", ("gs", 503): "backendError",
}  # fmt: skip


def status(number: int, code: str = "", wait: int | None = None) -> Answer:
    """An error as the store says it, with its own code or another one."""

    def answer(exchange: Exchange) -> None:
        kind = exchange.proxy.kind
        word = code or CODES.get((kind, number), "")
        headers = [("Content-Type", "application/xml")]
        body = f'<?xml version="1.0"?><Error><Code>{word}</Code><Message>no</Message></Error>'
        if kind == "gs" and "/storage/v1/" in exchange.request.path:
            headers = [("Content-Type", "application/json")]
            reason = f'[{{"domain": "global", "reason": "{word}", "message": "no"}}]'
            body = f'{{"error": {{"code": {number}, "message": "no", "errors": {reason}}}}}'
        elif kind == "azure":
            headers.append(("x-ms-error-code", word))
        elif kind == "http":
            headers, body = [("Content-Type", "text/html")], "<html>no</html>"
        if wait is not None:
            headers.append(("Retry-After", str(wait)))
        exchange.send(number, headers, body.encode())

    return answer


def _range(exchange: Exchange) -> tuple[int, int, int] | None:
    """What was asked for of the object: the first byte, the one after the last, the size."""
    told = exchange.original.header("content-range")
    if exchange.original.status != 206 or not told:
        return None
    bounds, size = told.removeprefix("bytes ").split("/")
    start, end = bounds.split("-")
    return int(start), int(end) + 1, int(size)


def of_a_range(change: Callable[[Exchange, int, int, int], None]) -> Answer:
    """Answer where a range was asked for, and honestly where not."""

    def answer(exchange: Exchange) -> None:
        bounds = _range(exchange)
        if bounds is None:
            exchange.pass_on()
        else:
            change(exchange, *bounds)

    return answer


def _told(exchange: Exchange, start: int, end: int, size: int, body: bytes) -> None:
    headers = exchange.original.without("content-range")
    exchange.send(206, [*headers, ("Content-Range", f"bytes {start}-{end - 1}/{size}")], body)


def without_ranges(exchange: Exchange) -> None:
    """The whole object, whatever range was asked for."""
    exchange.send(
        200, exchange.original.without("accept-ranges", "content-range"), content(3, LARGE)
    )


def whole(exchange: Exchange) -> None:
    """The whole object from its first byte, whatever range was asked for."""
    exchange.send(200, exchange.original.without("accept-ranges", "content-range"), content(2))


def other_range(exchange: Exchange, start: int, end: int, size: int) -> None:
    """The right bytes, but the header names others."""
    _told(exchange, start + 1, end + 1, size, exchange.original.body)


def other_size(exchange: Exchange, start: int, end: int, size: int) -> None:
    """The right bytes, but the header gives the object another size."""
    _told(exchange, start, end, size * 3, exchange.original.body)


def more_than_asked(exchange: Exchange, start: int, end: int, size: int) -> None:
    """The right bytes of the range, and more, as the length says."""
    _told(exchange, start, end, size, exchange.original.body + bytes(MOST))


def less_than_asked(exchange: Exchange, start: int, end: int, size: int) -> None:
    """Half of the range, as the length says."""
    body = exchange.original.body
    _told(exchange, start, end, size, body[: len(body) // 2])


def of_another_range(exchange: Exchange, start: int, end: int, size: int) -> None:
    """Other bytes of the object under the right header."""
    body = exchange.original.body
    _told(exchange, start, end, size, body[1:] + body[:1])


# --- the table

RIGHT, REFUSED, EITHER = Ends.RIGHT, Ends.REFUSED, Ends.EITHER
OTHER_BYTES = "has other bytes for md5|sends more for md5"
NO_LENGTH = f"{OTHER_BYTES}|it does not say how long an object is"
PUSH_AGAIN = "dvc push"
BROKE_OFF = "broke off|cut|connection|reset|incomplete|payload|peer|not all|failed|Cannot connect"
BUSY = "429|503|busy|too much|Slow|slow|too many"
DENIED = "403|401|[Dd]enie[ds]|[Ff]orbidden|[Aa]uth|no access|credentials|Invalid"
GIVE = "dvc remote modify"
AGAIN = "again|later|reachable|check its address"
SILENT = "did not answer|stopped answering"

TABLE = (
    # first those that take long, so that the others run beside them
    Row("stalls before the answer", silent, REFUSED, SILENT, AGAIN, seconds=200),
    Row("stalls in the middle", stalled, REFUSED, SILENT, AGAIN, seconds=200),
    Row("429, always", status(429), REFUSED, BUSY, AGAIN, every=True, seconds=330),
    Row("500, always", status(500), REFUSED, "500|error|Internal", AGAIN, every=True, seconds=330),
    Row("503, always", status(503), REFUSED, BUSY, AGAIN, every=True, seconds=330),
    Row("stalls once", first(stalled), RIGHT, seconds=150),
    # between its last attempts, which bring nothing any more, it may be silent for too long
    Row("cut in the middle, always", cut, REFUSED, f"{BROKE_OFF}|{SILENT}", AGAIN, seconds=330),
    Row("ends in the middle, always", stopped, REFUSED, f"{BROKE_OFF}|{SILENT}", AGAIN,
        seconds=330),
    Row("cut in the middle, once", first(cut), RIGHT),
    Row("ends in the middle, once", first(stopped), RIGHT),
    Row("cut once, without ranges", first(cut, whole), RIGHT, kinds=("http",)),
    # other bytes, or other numbers of them
    Row("wrong bytes", flipped, REFUSED, OTHER_BYTES, PUSH_AGAIN, sent=2 * SIZE),
    Row("another object's bytes", another, REFUSED, OTHER_BYTES, PUSH_AGAIN, sent=2 * SIZE),
    Row("endless", endless, REFUSED, NO_LENGTH, f"{PUSH_AGAIN}|again"),
    Row("too long, as told", longer, REFUSED, OTHER_BYTES, PUSH_AGAIN),
    Row("too short, as told", shorter, REFUSED, OTHER_BYTES, PUSH_AGAIN),
    Row("a length that is too small", wrong_length(SIZE - 1000), REFUSED, sent=6 * SIZE),
    Row("a length that is too large", wrong_length(SIZE + 1000), REFUSED, sent=9 * SIZE,
        seconds=330),
    Row("a length that is no number", wrong_length("many"), REFUSED, sent=9 * SIZE, seconds=330),
    Row("compressed", zipped, EITHER, sent=2 * SIZE),
    Row("compressed, huge", bomb, REFUSED),
    Row("in chunks, without a length", chunked, EITHER, sent=9 * SIZE),
    Row("in chunks, by HTTP", chunked, RIGHT, kinds=("http",)),
    Row("no HTTP", garbage, REFUSED, seconds=330),
    Row("headers without end", headers_without_end, REFUSED, sent=9 * SIZE, seconds=330),
    Row("a page for a login", page, REFUSED),
    # statuses
    Row("401", status(401), REFUSED, DENIED, GIVE, every=True),
    Row("403", status(403), REFUSED, DENIED, GIVE, every=True),
    Row("404", status(404), REFUSED, "in neither", PUSH_AGAIN, every=True),
    Row("the keys have expired", status(400, "ExpiredToken"), REFUSED, "[Ee]xpired", GIVE,
        every=True, kinds=("s3",)),
    Row("the clock is wrong", status(403, "RequestTimeTooSkewed"), REFUSED, "clock|Skew",
        "clock|time", every=True, kinds=("s3",)),
    Row("no such bucket", status(404, "NoSuchBucket"), REFUSED, "bucket", "bucket", every=True,
        kinds=("s3",)),
    Row("no such container", status(404, "ContainerNotFound"), REFUSED, "container|bucket",
        "container|bucket", every=True, kinds=("azure",)),
    Row("429, once", first(status(429)), RIGHT),
    Row("429 for a second, once", first(status(429, wait=1)), RIGHT),
    Row("429 for a day, once", first(status(429, wait=DAY)), EITHER, seconds=330),
    Row("500, once", first(status(500)), RIGHT),
    Row("503, once", first(status(503)), RIGHT),
    # redirects
    Row("redirected to another host", elsewhere, EITHER),
    Row("redirected by HTTP without a password", elsewhere, RIGHT, kinds=("http",)),
    Row("redirected in a circle", in_a_circle, REFUSED, seconds=330),
    # ranges
    Row("ranges ignored", without_ranges, RIGHT, large=True, sent=2 * LARGE),
    Row("a range is said to be another", of_a_range(other_range), EITHER, large=True,
        sent=2 * LARGE),
    Row("a range gives another size", of_a_range(other_size), EITHER, large=True, sent=2 * LARGE),
    Row("more than the range", of_a_range(more_than_asked), EITHER, large=True, sent=2 * LARGE),
    Row("less than the range", of_a_range(less_than_asked), EITHER, large=True, sent=2 * LARGE),
    Row("other bytes of the object", of_a_range(of_another_range), EITHER, large=True,
        sent=2 * LARGE),
)  # fmt: skip
