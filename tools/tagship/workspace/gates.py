"""The gate of a model, as tagship.toml has it: how what is live is checked. Values alone.

``deploy.gate`` measures it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tagship.text.table import Table

FACTS = ("model", "version", "tag", "commit")  # of what is live, that an answer may have to name
MOST = 1000  # attempts of a watch
DAY = 86400.0


@dataclass(frozen=True)
class Share:
    """``need`` attempts of ``of`` must pass."""

    need: int
    of: int

    def __str__(self) -> str:
        return f"{self.need} of {self.of}"


@dataclass(frozen=True)
class Http:
    """A page, and what it has to answer.

    Attributes:
        url: of ``http`` or ``https``; no redirect is followed.
        status: of the answer.
        json: fact (of ``FACTS``) to the field of the answer, a JSON object, that must be equal to
            it; ``model.version`` is the field ``version`` of the object ``model``.
    """

    url: str
    status: int = 200
    json: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """How a model is checked once it is live. With both, both must pass.

    Attributes:
        http: a page of the server.
        command: a program, by an absolute path, and its arguments. Exit code 0: it passes; 75: it
            could not measure; any other: it fails.
        timeout: seconds that each of them has in an attempt.
        passes: how many attempts must pass, of how many.
        watch: seconds over which the attempts are spread.
    """

    http: Http | None = None
    command: tuple[str, ...] | None = None
    timeout: float = 5.0
    passes: Share = Share(3, 5)
    watch: float = 60.0


def parse(value: object, key: str, file: str) -> Gate:
    """The gate in a table of tagship.toml. Pure.

    Args:
        value: as ``tomllib`` read it.
        key: of the table, such as ``follow.churn.gate``.
        file: where it stands, for errors.

    Raises:
        Refused: an unknown key, a value that may not be, or neither ``http`` nor ``command``.
    """
    table = Table.of(value, key, file, ("http", "command", "timeout", "pass", "watch"))
    http, command = _http(table), _command(table)
    if http is None and command is None:
        raise table.wrong("http", f"give {key} one of http and command, or both")
    return Gate(
        http, command,
        table.duration("timeout", Gate.timeout, shortest=0.1, longest=3600),
        _share(table),
        table.duration("watch", Gate.watch, shortest=0, longest=7 * DAY),
    )  # fmt: skip


def _http(table: Table) -> Http | None:
    if "http" not in table.values:
        return None
    value = table.values["http"]
    if isinstance(value, str):
        value = {"url": value}
    inner = Table.of(value, f"{table.key}.http", table.file, ("url", "status", "json"))
    status = inner.values.get("status", Http.status)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise inner.wrong("status", "give a status of HTTP, such as 200")
    return Http(_url(inner), status, _fields(inner))


def _url(table: Table) -> str:
    url = table.values.get("url")
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise table.wrong("url", 'give an address: "http://127.0.0.1:8080/ready"')
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise table.wrong("url", 'give an address: "http://127.0.0.1:8080/ready"')
    if "@" in parts.netloc:
        hint = "without a user or a password: a page that needs one is asked by a command"
        raise table.wrong("url", hint)
    return url


def _fields(table: Table) -> dict[str, str]:
    given = Table.of(table.values.get("json", {}), f"{table.key}.json", table.file, FACTS)
    for fact, name in given.values.items():
        if not isinstance(name, str) or not name:
            raise given.wrong(fact, f'name the field that has it: {fact} = "model_{fact}"')
    return dict(given.values)


def _command(table: Table) -> tuple[str, ...] | None:
    if "command" not in table.values:
        return None
    given = table.values["command"]
    is_list = isinstance(given, list) and bool(given)
    if not is_list or not all(isinstance(word, str) and "\0" not in word for word in given):
        raise table.wrong("command", 'give a list of words: ["/usr/local/bin/check", "--fast"]')
    if not given[0].startswith("/"):
        raise table.wrong("command", "begin with the absolute path of the program; it is no shell")
    return tuple(given)


def _share(table: Table) -> Share:
    if "pass" not in table.values:
        return Gate.passes
    need, middle, of = str(table.values["pass"]).partition(" of ")
    if middle and all(text.isascii() and text.isdigit() and len(text) < 5 for text in (need, of)):
        share = Share(int(need), int(of))
        if 1 <= share.need <= share.of <= MOST:
            return share
    raise table.wrong("pass", f'give how many attempts must pass: "3 of 5", at most {MOST}')
