"""What a server serves, where, and within which limits."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path

from tagship.errors import NotFound, Refused
from tagship.serve import bounds

LOOPBACK = ("localhost", "127.0.0.1", "::1")  # names that a server on this machine answers to
EVERY = ("0.0.0.0", "::")  # noqa: S104 - addresses of all networks, which name no machine
SHORTEST_TOKEN = 16  # characters


@dataclass(frozen=True)
class Settings:
    """All of it; the defaults are those of ``tagship serve``.

    Paths may be given as text, and a list of one as the one; a challenger as ``MODEL@VERSION``.

    Raises:
        Refused, InvalidName: no server can have one of the values, or two of them together.

    Attributes:
        models: their names.
        start: a folder in the workspace, or of the host: where they are looked for.
        root: a plain folder of models instead.
        host, port: where it listens; port 0 is any free one.
        workers: processes that answer.
        isolate: where a model is loaded: ``process``, ``thread`` (this process), or ``auto``: a
            process of its own for a framework that does not return memory.
        challengers: versions that answer beside the live one, as (model, version).
        allow_hosts: more names that requests may have in their header ``Host``; ``*`` is any.
        token_file: has the tokens, one a line; None asks for none.
        access_log: the file of a line for each request; ``-`` is standard output.
        audit: the file to which each answer is written; None writes none.
        audit_inputs: whether it has the inputs too; it always has the outputs.
        max_body: bytes of a request.
        max_bodies: bytes of all requests that are being received or answered.
        max_rows: samples of a request.
        request_timeout: seconds that a model may take for an answer.
        header_timeout: seconds in which the head of a request has to be complete.
        body_timeout: seconds in which its body has to be complete.
        idle_timeout: seconds that a connection stays open without a request.
        stop_timeout: seconds that requests have to end when the server is stopped.
        max_connections: that may be open at once, for each worker.
        threads: that a model answers in, for each worker.
        poll: seconds between two looks at ``current``.
    """

    models: tuple[str, ...]
    start: Path = field(default_factory=Path)
    root: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    isolate: str = "auto"
    challengers: tuple[tuple[str, str], ...] = ()
    allow_hosts: tuple[str, ...] = ()
    token_file: Path | None = None
    access_log: str | None = None
    audit: Path | None = None
    audit_inputs: bool = False
    max_body: int = 16 << 20
    max_bodies: int = 256 << 20
    max_rows: int = 10_000
    request_timeout: float = 30.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 75.0
    stop_timeout: float = 30.0
    max_connections: int = 1000
    threads: int = 4
    poll: float = 0.1

    def __post_init__(self) -> None:
        """Check all of it, and bring it into one form."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None or each.default is not None:
                object.__setattr__(self, each.name, bounds.read(each.name, value))
        if not self.models and not self.challengers:
            raise Refused("no model is named", "name one that has a version here, such as churn")
        if self.audit_inputs and self.audit is None:
            raise Refused("audit_inputs needs an audit", "audit is the file that has them")
        if self.audit == Path("-"):
            raise Refused("the audit cannot be standard output", "--audit FILE")

    @property
    def is_local(self) -> bool:
        """Whether it listens on a loopback address only."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a request may have in its header ``Host``, in lower case."""
        names = (*LOOPBACK, self.host, *self.allow_hosts)
        return frozenset(name.strip("[]").rstrip(".").lower() for name in names)

    def notes(self) -> list[str]:
        """What whoever starts the server should know."""
        notes = []
        if not self.is_local and self.token_file is None:
            notes.append(
                "anybody who reaches this address is answered: --token-file asks for a token"
            )
        if not self.is_local and self.host in EVERY and not self.allow_hosts:
            notes.append("requests must name this machine as localhost: --allow-host adds a name")
        return notes


def tokens(path: Path) -> tuple[bytes, ...]:
    """The tokens of a file: one a line, so that an old and a new one count at the same time.

    Raises:
        NotFound: there is no such file.
        Refused: it cannot be read, has no token, or one that is easily guessed.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except FileNotFoundError:
        raise NotFound(f"no such file: {path}", f"openssl rand -hex 32 > {path}") from None
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", f"ls -l {path}") from None
    return _check(path, [line.strip() for line in lines if line.strip()])


def _check(path: Path, found: Iterable[bytes]) -> tuple[bytes, ...]:
    values = tuple(found)
    if not values or min(map(len, values)) < SHORTEST_TOKEN:
        raise Refused(
            f"a token in {path} has to have at least {SHORTEST_TOKEN} characters",
            f"openssl rand -hex 32 > {path}",
        )
    return values
