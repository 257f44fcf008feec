"""A registry of images, by its HTTP API (opencontainers/distribution-spec 1.1).

What it answers is not believed: sizes are bounded, bytes are hashed by whoever takes them, and what
was sent is asked for again. Credentials go to the registry and to the server of tokens that it
names, never along with a redirect to another host.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode, urljoin, urlsplit

from tagship.errors import Corrupt, Refused, Unavailable
from tagship.progress import Advance, Tell, nobody
from tagship.stores import registry_login
from tagship.stores.registry_address import Address, is_here
from tagship.stores.registry_login import Login
from tagship.text import escape, json_reader, redact

BLOCK = 1 << 20  # bytes read at a time
TRIES, MOST_WAIT = 5, 30.0  # of a registry that has too much to do; seconds before each next one
REDIRECTS = 5
TIMES = (10, 60)  # seconds: to connect, and without a byte
LARGEST_TOKEN, LARGEST_ERROR = 1 << 16, 1 << 14  # bytes
BUSY = (429, 502, 503, 504)
MOVED = (301, 302, 303, 307, 308)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
Body = Callable[[], Any]  # opens what is sent, each time it is sent


class Unmodified(Exception):
    """What is asked for is what was seen."""


@dataclass
class Registry:
    """A repository in a registry.

    Attributes:
        address: of the repository; tag and digest do not count.
        login: who is signed in; None for nobody.
        tell: is told that the registry is waited for.
    """

    address: Address
    login: Login | None = None
    tell: Tell = nobody
    _authorization: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, address: Address, tell: Tell = nobody) -> "Registry":
        """A registry, with the login that this account has for it.

        Raises:
            Corrupt, Unavailable: as for ``registry_login.find``.
        """
        return cls(address, registry_login.find(address), tell)

    def manifest(self, reference: str, kind: str, most: int, seen: str = "") -> bytes | None:
        """A manifest by its tag or digest, unchecked; None where there is none.

        Args:
            reference: the tag, or the digest.
            kind: its media type.
            most: bytes that it may have.
            seen: the digest of what was seen before; empty for nothing.

        Raises:
            Unmodified: it is that. A registry that does not compare sends it again.
            Corrupt: it is longer.
            Refused, Unavailable: the registry does not give it.
        """
        url = f"{self.address.url}/manifests/{reference}"
        # others too: a tag that has one of another kind is not free
        accept = f"{kind}, application/vnd.oci.image.index.v1+json, {_DOCKER}"
        unless = {"If-None-Match": f'"{seen}"'} if seen else {}
        also = (304,) if seen else ()
        with self._get(url, {"Accept": accept, **unless}, also) as response:
            if response is None:
                return None
            if response.status_code == 304:
                raise Unmodified
            data = b"".join(_limited(response, most + 1))
        if len(data) > most:
            raise Corrupt(f"{self.address.host} has a manifest without end", "ask who runs it")
        return data

    def blocks(self, digest: str, size: int) -> Iterator[bytes]:
        """The bytes of a blob, unchecked, and no more than it should have.

        Raises:
            OSError: it is not there, or is longer.
            Refused, Unavailable: the registry does not give it.
        """
        with self._get(f"{self.address.url}/blobs/{digest}", {}) as response:
            if response is None:
                raise FileNotFoundError(2, "the registry does not have it", digest)
            left = size
            for block in _limited(response, size + 1):
                if len(block) > left:
                    raise OSError(0, "is longer than the image says", digest)
                left -= len(block)
                yield block

    def has(self, digest: str, size: int) -> bool:
        """Whether it has a blob, of that size.

        Raises:
            Refused, Unavailable: the registry does not say.
        """
        response = self._follow("HEAD", f"{self.address.url}/blobs/{digest}", {})
        with contextlib.closing(response):
            told = response.headers.get("Content-Length")
            return response.status_code == 200 and told in (None, str(size))

    def send(self, digest: str, path: Path, advance: Advance) -> None:
        """Send a blob; it appears whole, or not at all.

        Raises:
            Refused, Unavailable: the registry does not take it.
            Corrupt: it took other bytes.
        """
        begun = self._ask("POST", f"{self.address.url}/blobs/uploads/", {"Content-Length": "0"})
        place = begun.headers.get("Location")
        if begun.status_code != 202 or not place:
            self._fail(begun)
        begun.close()
        place = urljoin(begun.url, place)
        _check_scheme(place, self.address.host)
        join = "&" if "?" in place else "?"
        headers = {"Content-Type": "application/octet-stream"}
        url = f"{place}{join}{urlencode({'digest': digest})}"
        answer = self._ask("PUT", url, headers, lambda: open(path, "rb"))  # noqa: SIM115 - _ask closes it
        if answer.status_code != 201:
            self._fail(answer)
        answer.close()
        self._check_digest(answer, digest)
        advance(path.stat().st_size)

    def send_manifest(self, reference: str, kind: str, data: bytes, digest: str) -> None:
        """Send a manifest, by a tag or by its digest.

        Raises:
            Refused, Unavailable: the registry does not take it.
            Corrupt: it took other bytes.
        """
        url = f"{self.address.url}/manifests/{reference}"
        answer = self._ask("PUT", url, {"Content-Type": kind}, lambda: data)
        if answer.status_code != 201:
            self._fail(answer)
        answer.close()
        self._check_digest(answer, digest)

    def _check_digest(self, answer: Any, digest: str) -> None:
        told = answer.headers.get("Docker-Content-Digest", digest)
        if told != digest:
            raise Corrupt(
                f"{self.address.host} took {escape.line(told)[:100]} for {digest}",
                "something between here and the registry changes bytes: ask who runs it",
            )

    @contextlib.contextmanager
    def _get(
        self, url: str, headers: Mapping[str, str], also: tuple[int, ...] = ()
    ) -> Iterator[Any]:
        """The answer, whose bytes are to be read; None where there is nothing.

        Args:
            url: what is asked for.
            headers: of the question.
            also: the statuses besides 200 that are an answer.
        """
        response = self._follow("GET", url, headers)
        with contextlib.closing(response), self._failures():
            if response.status_code == 404:
                yield None
                return
            if response.status_code not in (200, *also):
                self._fail(response)
            yield response

    def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> Any:
        """Ask, and go where the registry sends us; to other hosts without credentials."""
        for _ in range(REDIRECTS):
            response = self._ask(method, url, headers)
            place = response.headers.get("Location")
            if response.status_code not in MOVED or not place:
                return response
            response.close()
            url = urljoin(url, place)
            _check_scheme(url, self.address.host)
        raise Unavailable(f"{self.address.host} redirects without end", "ask who runs it")

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None
    ) -> Any:
        """Ask, signed in where that is asked for; again where it has too much to do."""
        wait, is_own = 1.0, _origin(url) == _origin(self.address.url)
        has_tried = False
        for number in range(TRIES):
            sent = dict(headers)
            if is_own and self._authorization:
                sent["Authorization"] = self._authorization
            response = self._send(method, url, sent, body)
            if response.status_code == 401 and is_own and not has_tried:
                has_tried = True
                if self._sign_in(response):
                    response = self._send(
                        method, url, {**headers, "Authorization": self._authorization or ""}, body
                    )
            if response.status_code in (401, 403):
                self._fail(response)
            if response.status_code not in BUSY or number == TRIES - 1:
                return response
            self._wait(response, wait)
            wait *= 2
        raise AssertionError("the last try returns")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> Any:
        data: Any = body() if body else None
        try:
            with self._failures():
                return self._session.request(
                    method, url, headers={"Accept-Encoding": "identity", **headers}, data=data,
                    stream=True, timeout=TIMES, allow_redirects=False,
                )  # fmt: skip
        finally:
            if body is not None and hasattr(data, "close"):
                data.close()

    def _wait(self, response: Any, otherwise: float) -> None:
        told = response.headers.get("Retry-After", "")
        seconds = min(float(told) if told.isdigit() else otherwise, MOST_WAIT)
        response.close()
        if seconds >= 1:
            self.tell(f"{self.address.host} has too much to do: asked again in {seconds:.0f} s")
        time.sleep(seconds)

    def _sign_in(self, response: Any) -> bool:
        """Do what a 401 asks for; whether there is anything to try."""
        kind, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        response.close()
        if kind.lower() == "basic" and self.login is not None:
            self._authorization = _basic(self.login)
            return True
        if kind.lower() != "bearer":
            return False
        asked = dict(_PARAMETER.findall(rest))
        self._authorization = f"Bearer {self._token(asked)}"
        return True

    def _token(self, asked: dict[str, str]) -> str:
        """A token from the server that the registry names."""
        realm = asked.pop("realm", "")
        _check_scheme(realm, self.address.host)
        asked.setdefault("scope", f"repository:{self.address.name}:pull,push")
        join = "&" if "?" in realm else "?"
        query = {key: value for key, value in asked.items() if key in ("service", "scope")}
        headers = {"Authorization": _basic(self.login)} if self.login else {}
        response = self._send("GET", f"{realm}{join}{urlencode(query)}", headers, None)
        with contextlib.closing(response), self._failures():
            if response.status_code != 200:
                self._fail(response)
            data = b"".join(_limited(response, LARGEST_TOKEN))
        try:
            value = json_reader.parse(data, strict=False)
            token = value.get("token") or value.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Unavailable(f"{_host(realm)} gives no token", f"podman login {self.address.host}")
        return token

    def _fail(self, response: Any) -> NoReturn:
        """Raise what an answer means."""
        host, status = self.address.host, response.status_code
        with contextlib.closing(response), self._failures():
            said = _said(b"".join(_limited(response, LARGEST_ERROR)))
        detail = f" ({status}{said and f': {said}'})"
        if status == 401:
            who = (
                "does not accept the login" if self.login else "asks for a login, and here is none"
            )
            raise Refused(f"{host} {who}{detail}", f"podman login {host}")
        if status == 403:
            what = f"{host} denies access to {self.address.name}{detail}"
            raise Refused(
                what, f"ask who runs it, or sign in as somebody else: podman login {host}"
            )
        if status == 404:
            what = f"{host} has no repository {self.address.name}{detail}"
            raise Refused(what, "create it there, or check the name")
        busy = "has too much to do" if status in BUSY else "answers with an error"
        raise Unavailable(f"{host} {busy}{detail}", "try again later")

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what the libraries raise into what it means."""
        import requests
        import urllib3

        try:
            yield
        except requests.exceptions.SSLError:
            what = f"the certificate of {self.address.host} cannot be trusted"
            raise Unavailable(what, "name your authority: export REQUESTS_CA_BUNDLE=FILE") from None
        except requests.exceptions.ConnectionError as error:
            what = f"{self.address.host} cannot be reached{_cause(error)}"
            raise Unavailable(
                what, f"curl -I {self.address.url.partition('/v2/')[0]}/v2/"
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            what = f"{self.address.host} broke off: {type(error).__name__}"
            raise Unavailable(what, "try again: what the registry has is not sent again") from None

    @cached_property
    def _session(self) -> Any:
        import requests

        session = requests.Session()
        session.auth = _as_it_is  # else it reads ~/.netrc
        session.headers["User-Agent"] = "tagship"
        return session


_DOCKER = (
    "application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json"
)


def _as_it_is(request: Any) -> Any:
    return request


def _limited(response: Any, most: int) -> Iterator[bytes]:
    """The bytes of an answer, at most so many."""
    while most > 0 and (block := response.raw.read(min(BLOCK, most))):
        most -= len(block)
        yield block


def _basic(login: Login) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _host(url: str) -> str:
    return escape.line(urlsplit(url).hostname or "?")[:100]


def _check_scheme(url: str, host: str) -> None:
    """Refuse to go on without TLS, but to this machine.

    Raises:
        Refused: as it says.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_here(parts.netloc)):
        return
    where = f"{escape.line(parts.scheme)[:20]}://{_host(url)}"
    raise Refused(f"{host} leads to {where}, which has no TLS", "ask who runs it")


def _said(data: bytes) -> str:
    """The message in an error of a registry."""
    try:
        value = json_reader.parse(data, strict=False)
        message = value["errors"][0]["message"]
    except (ValueError, LookupError, TypeError):
        return ""
    return escape.line(redact.text(str(message)))[:200]


def _cause(error: Exception) -> str:
    """The words of the system; empty if there are none."""
    text = str(error)
    for words in (
        "Connection refused",
        "Name or service not known",
        "timed out",
        "Connection reset",
    ):
        if words in text:
            return f": {words.lower()}"
    return ""
