"""tagship.toml: what a host follows, and how. The operator's file: it comes from no repository.

It names programs and the store that this host's credentials may go to. So every act checks that
nobody else can have written it. Whom to trust is in host.toml (``signing.policy``).
"""

import shlex
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tagship.disk import access
from tagship.dvc import config as dvc_config
from tagship.dvc import credentials
from tagship.dvc.config import DvcConfig
from tagship.errors import Corrupt, InvalidName, Refused
from tagship.git import worktree
from tagship.host import process
from tagship.host import project as host_project
from tagship.registry import refs, settings
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Wanted
from tagship.registry.settings import Settings
from tagship.text import redact, words

LONGEST = 1 << 20  # bytes of the file
MAIN = "source"  # the remote of outputs that name none, as DVC's configuration would call it
HOSTS_OWN = ("keep", "auto_cleanup", "smoke_test", "smoke_timeout", "after_switch", "fetch_limit")
PLAIN = Settings(root=".", smoke_test=settings.INSTALLED)


@dataclass(frozen=True)
class Follow:
    """A model that a host follows.

    Attributes:
        rule: ``latest``, ``^1.2``, ``1.2``, a stage such as ``#prod``, or an exact version.
        gate: how it is checked once it is live, as the file has it; None for not at all.
    """

    rule: Wanted = Wanted()
    gate: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HostFile:
    """The values of tagship.toml.

    Attributes:
        name: of this host.
        git: the address of the repository.
        remotes: DVC's remotes, all of them this host's own: its credentials may go there.
        settings: of deploys; they replace those of params.yaml.
        follow: the models, by name.
        window: when something new may go live by itself, as the file has it; None for always.
    """

    name: str
    git: str
    remotes: DvcConfig
    settings: Settings = PLAIN
    follow: Mapping[str, Follow] = field(default_factory=dict)
    window: Mapping[str, Any] | None = None


def nothing() -> HostFile:
    """The values where the file cannot be read: nothing is followed."""
    return HostFile(process.host_name(), "", dvc_config.of_host({}, None))


def read(folder: Path) -> HostFile:
    """The file of a host, for who changes something there.

    Raises:
        Refused: somebody else can write to it; it comes with a repository; or a value is wrong.
        Corrupt: it is no TOML.
    """
    check_own(folder)
    return look(folder)


def look(folder: Path) -> HostFile:
    """The same for who changes nothing, and runs no program that it names.

    Raises:
        Corrupt, Refused: as for ``read``.
    """
    file = folder / HOST_FILE
    with file.open("rb") as opened:
        data = opened.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise Corrupt(f"{file} is longer than {LONGEST} bytes", "it should have a few lines")
    return parse(data, file)


def check_own(folder: Path) -> None:
    """Refuse a tagship.toml that another account can write to, or that comes with a repository.

    Raises:
        Refused: with the command that makes it this host's own.
    """
    file = folder / HOST_FILE
    if host_project.find_project(folder) is not None:
        raise Refused(
            f"{file} is in a DVC repository, and names programs: a host has a folder of its own",
            "tagship host init DIR --git URL",
        )
    top = host_project.find_top(folder)
    if (top / ".git").exists() and worktree.index(folder, HOST_FILE):
        raise Refused(f"Git tracks {file}, which names programs", f"git rm --cached {HOST_FILE}")
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise Refused(f"{file} is not a regular file", "put the file itself there, not a link")
    for path in (file, *folder.resolve().parents, folder.resolve()):
        if who := access.who_else_writes(path):
            raise Refused(
                f"{who} can write to {path}, and so choose what this host runs",
                f"chmod go-w {shlex.quote(str(path))}; or, if it is not yours: ls -ld"
                f" {shlex.quote(str(path))}",
            )


def parse(data: bytes, file: Path) -> HostFile:
    """The values of a tagship.toml. Pure.

    Args:
        data: its bytes.
        file: where it is, for errors.

    Raises:
        Corrupt: it is no TOML.
        Refused: an unknown key, or a value that is none.
    """
    try:
        values = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise Corrupt(f"{file} is no TOML: {error}", f"fix {shlex.quote(str(file))}") from None
    reader = _Reader(file)
    top = reader.table("", values, ("name", "source", "deploy", "follow", "window"))
    source = reader.table("source", top.get("source", {}), ("git", "remote", "options", "remotes"))
    return HostFile(
        reader.text("name", top.get("name", process.host_name())),
        reader.address("source.git", source.get("git")),
        _remotes(reader, source),
        _settings(reader, top.get("deploy", {})),
        {
            reader.model(name): _follow(reader, name, each)
            for name, each in reader.any_table("follow", top.get("follow", {})).items()
        },
        reader.any_table("window", top["window"]) if "window" in top else None,
    )


def _remotes(reader: "_Reader", source: Mapping[str, Any]) -> DvcConfig:
    """DVC's remotes. A name alone of ``[source.remotes]`` has the options of ``[source]``."""
    options = reader.options("source.options", source.get("options", {}))
    remotes: dict[str, dict[str, Any]] = {}
    if "remote" in source:
        remotes[MAIN] = {"url": reader.url("source.remote", source["remote"]), **options}
    for name, value in reader.any_table("source.remotes", source.get("remotes", {})).items():
        where = f"source.remotes.{name}"
        if isinstance(value, str):
            remotes[name.lower()] = {"url": reader.url(where, value), **options}
        else:
            own = dict(reader.any_table(where, value))
            url = reader.url(f"{where}.url", own.pop("url", None))
            remotes[name.lower()] = {"url": url, **reader.options(where, own)}
    return dvc_config.of_host(remotes, MAIN if MAIN in remotes else None)


def _settings(reader: "_Reader", value: Any) -> Settings:
    given = reader.table("deploy", value, HOSTS_OWN)
    for key, each in given.items():
        settings.check(f"deploy.{key} in {reader.file}", key, each, "see docs/hosts.md")
    return replace(PLAIN, **given)


def _follow(reader: "_Reader", model: str, value: Any) -> Follow:
    where = f"follow.{model}"
    given = reader.table(where, value, ("track", "gate"))
    text = reader.text(f"{where}.track", given.get("track", "latest"))
    try:
        rule = Wanted.parse(text, model)
    except InvalidName as error:
        raise reader.wrong(f"{where}.track", text, error.hint) from None
    gate = reader.any_table(f"{where}.gate", given["gate"]) if "gate" in given else None
    return Follow(rule, gate)


@dataclass(frozen=True)
class _Reader:
    """Reads values of the file, and names the key of one that is wrong."""

    file: Path

    def wrong(self, key: str, value: object, hint: str) -> Refused:
        shown = redact.text(repr(value))
        return Refused(f"{key} in {self.file} may not be {shown}", hint)

    def any_table(self, key: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(key, value, f"write it as [{key}]: see docs/hosts.md")
        return value

    def table(self, key: str, value: object, known: tuple[str, ...]) -> Mapping[str, Any]:
        given = self.any_table(key, value)
        for name in given:
            if name not in known:
                where = f"[{key}] in {self.file}" if key else str(self.file)
                raise Refused(f"{where} has an unknown key {name!r}", words.did_you_mean(name, known))
        return given

    def text(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.wrong(key, value, "give a text in quotes")
        return value

    def model(self, name: str) -> str:
        if not refs.is_model(name):
            raise self.wrong("follow", name, "give the name of a model: [follow.churn]")
        return name

    def address(self, key: str, value: object) -> str:
        if value is None:
            raise Refused(
                f"{key} is not in {self.file}",
                'name the repository: [source] git = "ssh://git@HOST/PATH.git"',
            )
        return self.text(key, value)

    def url(self, key: str, value: object) -> str:
        url = self.text(key, value)
        if redact.text(url) != url:
            raise self.wrong(
                key, url, "without a password or a query: keys come from the environment"
            )
        if "://" not in url and not url.startswith("/"):
            raise self.wrong(key, url, 'give an address or an absolute path: "s3://bucket/dvc"')
        return url

    def options(self, key: str, value: object) -> dict[str, Any]:
        given = dict(self.any_table(key, value))
        for name, each in given.items():
            if name in credentials.PASSWORDS:
                raise Refused(
                    f"{key}.{name} in {self.file} would be a secret in a file that others may read",
                    "give it by the environment, a profile, or LoadCredential: see docs/hosts.md",
                )
            if isinstance(each, dict | list):
                raise self.wrong(f"{key}.{name}", each, "give one value, as DVC has it")
        return given
