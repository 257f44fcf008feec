"""Who may ask, and how much: the check of each request before anything else sees it. Pure ASGI.

A server on this machine is in reach of each web page that its user opens: such a page can send
requests, though not read the answers. So the header ``Host`` must be a known name (a page whose
name was made to resolve to this machine has another one), and a body must be of a type that no page
can send without asking first. No answer has a header of CORS.
"""

import asyncio
import contextlib
import hmac
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from tagship.serve import protocol
from tagship.serve.bounds import ANY

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_KINDS = (b"application/json", b"application/octet-stream")
HEALTH = ("/v2/health/live", "/v2/health/ready")
_HOST = re.compile(r"(?:\[([^]]*)\]|([^]:[]*))(?::[0-9]*)?")
_DRAIN = 2.0  # seconds in which the rest of a body that is too large is read, so that the client
# comes to read the answer


@dataclass(frozen=True)
class Denied:
    """Why a request is not answered: the status, the words, and a header for it."""

    status: int
    text: str
    header: tuple[bytes, bytes] | None = None


@dataclass(frozen=True)
class Rules:
    """What is asked of a request.

    Attributes:
        hosts: names for the header ``Host``, in lower case.
        tokens: one of them is asked for; empty asks for none.
        max_body: bytes of a request.
        max_bodies: bytes of all at once.
    """

    hosts: frozenset[str]
    tokens: tuple[bytes, ...]
    max_body: int
    max_bodies: int


def check(
    method: str, path: str, headers: Iterable[tuple[bytes, bytes]], rules: Rules
) -> Denied | None:
    """Why a request is denied by its head; None if it is not.

    Args:
        method: GET, POST, ...
        path: that is routed, see ``route``; without the query.
        headers: their names in lower case.
        rules: what is asked of it.
    """
    given = list(headers)
    known = dict(given)
    if len(known) < len(given) and sum(name == b"host" for name, _ in given) > 1:
        return Denied(400, "there are two headers Host")
    if path not in HEALTH:  # probes ask by address
        denied = _check_host(known, rules) or _check_token(method, path, known, rules)
        if denied is not None:
            return denied
    return _check_body(method, path, known, rules)


def route(scope: MutableMapping[str, Any]) -> str:
    """The path that is routed: without the prefix of a mount or of a proxy, as Starlette cuts it.

    ``path`` has the prefix in front since ASGI 3 (version 2.4 of its HTTP part says so).
    """
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    rest = path.removeprefix(prefix)
    return rest if not rest or rest.startswith("/") else path


def host_name(value: bytes) -> str:
    """The name in a header ``Host``, in lower case, without the port and brackets."""
    text = value.decode("latin-1").strip().lower()
    match = _HOST.fullmatch(text)
    return (match[1] or match[2] or "").rstrip(".") if match else text


def _check_host(headers: dict[bytes, bytes], rules: Rules) -> Denied | None:
    if ANY in rules.hosts or host_name(headers.get(b"host", b"")) in rules.hosts:
        return None
    return Denied(421, "this server does not answer to that Host: --allow-host adds a name")


def _is_probe(method: str, path: str) -> bool:
    """Whether a request asks for the readiness of a model, which needs no token."""
    return method in ("GET", "HEAD") and path.startswith("/v2/models/") and path.endswith("/ready")


def _check_token(
    method: str, path: str, headers: dict[bytes, bytes], rules: Rules
) -> Denied | None:
    if not rules.tokens or _is_probe(method, path):
        return None
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    matches = [hmac.compare_digest(given.strip(), token) for token in rules.tokens]
    if scheme.lower() == b"bearer" and any(matches):
        return None
    return Denied(401, "a token is missing, or it is another one", (b"www-authenticate", b"Bearer"))


def _check_body(method: str, path: str, headers: dict[bytes, bytes], rules: Rules) -> Denied | None:
    length = headers.get(b"content-length", b"0")
    if not (length.isdigit() and len(length) < 20):
        return Denied(400, "Content-Length is not a number")
    if int(length) > rules.max_body:
        return _too_large(rules)
    if method != "POST" or not path.startswith("/v2/"):
        return None
    if headers.get(b"content-encoding", b"identity") != b"identity":
        return Denied(415, "Content-Encoding is not offered")
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    # A page sends these after asking with OPTIONS alone, and is not allowed to. One of Triton's
    # clients sends JSON without a type; a browser could too, but with the header Origin. The other
    # says application/octet-stream of any body.
    is_asked = kind in _KINDS or protocol.LENGTH_HEADER.encode() in headers
    if is_asked or (not kind and b"origin" not in headers):
        return None
    return Denied(415, "Content-Type is not application/json")


def _too_large(rules: Rules) -> Denied:
    return Denied(413, f"the request is larger than {rules.max_body} bytes")


class TooLarge(Exception):
    """A body without a length turned out to be too large."""


class Guard:
    """Denies a request, or passes it on.

    Args:
        app: the server behind it.
        rules: what is asked of each request.
    """

    def __init__(self, app: App, rules: Rules) -> None:
        self._app, self._rules = app, rules
        self._held = 0  # bytes of bodies that were received, and whose requests have not ended

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None  # no WebSockets: the connection ends
        denied = check(scope["method"], route(scope), scope["headers"], self._rules)
        if denied is not None:
            return await _deny(denied, receive, send)
        if scope["method"] == "HEAD":  # answered as GET, and uvicorn leaves the body out
            scope = {**scope, "method": "GET"}
        return await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        size, is_started, is_whole = 0, False, False

        async def counted() -> Message:
            nonlocal size, is_whole
            message = await receive()
            is_whole = not message.get("more_body")
            length = len(message.get("body", b""))
            size += length
            self._held += length
            if size > self._rules.max_body or self._held > self._rules.max_bodies:
                raise TooLarge
            return message

        async def marked(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, counted, marked)
        except TooLarge:
            if is_started:
                raise
            busy = Denied(503, "too many requests at once", (b"retry-after", b"1"))
            large = size > self._rules.max_body
            denied = _too_large(self._rules) if large else busy
            await _deny(denied, receive, send, is_whole=is_whole)
        finally:
            self._held -= size


async def _deny(denied: Denied, receive: Receive, send: Send, *, is_whole: bool = False) -> None:
    """Answer, then read what the client still sends for a while: else it may not see the answer."""
    body = protocol.error(denied.text)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if denied.header is not None:
        headers.append(denied.header)
    await send({"type": "http.response.start", "status": denied.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN):
            while not is_whole:
                is_whole = not (await receive()).get("more_body")
    await send({"type": "http.response.body", "body": b"", "more_body": False})
