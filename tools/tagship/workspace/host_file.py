"""tagship.toml: what a host follows, and how. The operator's file: it comes from no repository.

It names programs and the store that this host's credentials may go to. So every act checks that
nobody else can have written it. Whom to trust is in host.toml (``signing.policy``).
"""

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tagship.disk import access
from tagship.dvc import config as dvc_config
from tagship.dvc.config import DvcConfig
from tagship.errors import Corrupt, InvalidName, Refused
from tagship.git import worktree
from tagship.host import history, process
from tagship.host import project as host_project
from tagship.host.link import VERSIONS
from tagship.host.store import PRIVATE
from tagship.registry import refs, settings
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Wanted
from tagship.registry.settings import Settings
from tagship.text import toml
from tagship.text.table import Table, shown
from tagship.workspace import gates, remotes, reports, upstream
from tagship.workspace import window as windows
from tagship.workspace.gates import Gate
from tagship.workspace.reports import Reports
from tagship.workspace.upstream import Address
from tagship.workspace.window import Window

MIRROR = "mirror.git"  # in the private folder of a host: what it fetches into
LONGEST = 1 << 20  # bytes of the file
MAIN = "source"  # the remote of outputs that name none, as DVC's configuration would call it
SOURCE = (*upstream.KINDS, "remote", "options", "remotes")
OF_HOST = ("keep", "auto_cleanup", "smoke_test", "smoke_timeout", "after_switch", "fetch_limit",
           "min_free")  # fmt: skip
PLAIN = Settings(root=".", smoke_test=settings.INSTALLED)


@dataclass(frozen=True)
class Follow:
    """A model that a host follows.

    Attributes:
        rule: ``latest``, ``^1.2``, ``1.2``, a stage such as ``#prod``, or an exact version.
        gate: how it is checked once it is live; None for not at all.
    """

    rule: Wanted = Wanted()
    gate: Gate | None = None


@dataclass(frozen=True)
class HostFile:
    """The values of tagship.toml.

    Attributes:
        name: of this host.
        upstream: where the tags come from.
        remotes: DVC's remotes, all of them this host's own: its credentials may go there.
        settings: of deploys; they replace those of params.yaml.
        follow: the models, by name.
        window: when something new may go live by itself; None for always.
        reports: where it tells how its models are.
    """

    name: str
    upstream: Address
    remotes: DvcConfig
    settings: Settings = PLAIN
    follow: Mapping[str, Follow] = field(default_factory=dict)
    window: Window | None = None
    reports: Reports = Reports()


def nothing() -> HostFile:
    """The values where the file cannot be read: nothing is followed."""
    return HostFile(process.host_name(), Address(upstream.GIT, ""), dvc_config.of_host({}, None))


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
    values = parse(data, file)
    _check_bundles(values.upstream, file)
    return values


def _check_bundles(address: Address, file: Path) -> None:
    """Refuse a folder of bundles in that of the host, which has its models.

    Raises:
        Refused: it is in there.
    """
    if address.kind == upstream.BUNDLE and is_inside(address.text, file.parent):
        raise Refused(
            f"{MAIN}.{address.kind} in {file} may not be {shown(address.text)}: it is in the"
            " folder of the host, which has its models",
            'give another folder: bundle = "/srv/bundles"',
        )


def is_inside(place: str, folder: Path) -> bool:
    """Whether a path leads into a folder, or to that one itself; by links too."""
    return Path(place).resolve().is_relative_to(folder.resolve())


def check_own(folder: Path) -> None:
    """Refuse a tagship.toml that another account can write to, or that comes with a repository.

    Raises:
        Refused: with the command that makes it this host's own.
    """
    file = folder / HOST_FILE
    real = folder.resolve()  # the folders above ../srv are others
    if host_project.find_project(real) is not None:
        raise Refused(
            f"{file} is in a DVC repository, and names programs: a host has a folder of its own",
            "tagship host init DIR --git URL",
        )
    top = host_project.find_top(real)
    if (top / ".git").exists() and worktree.index(real, HOST_FILE):
        raise Refused(f"Git tracks {file}, which names programs", f"git rm --cached {HOST_FILE}")
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise Refused(f"{file} is not a regular file", "put the file itself there, not a link")
    access.refuse_others((file, *real.parents, real), "choose what this host runs")
    _check_state(folder)


def _check_state(folder: Path) -> None:
    """Refuse a host in whose mirror or models another account could put a tag, a link or a file.

    A group may read them. What a version holds is hashed before it goes live.

    Raises:
        Refused: with the command that helps.
    """
    for path in _state(folder):
        if who := access.who_else_writes(path):
            where = shlex.quote(str(path))
            raise Refused(
                f"{who} can write to {path}, and so choose what goes live here",
                f"chmod -R go-w {where}; or, if it is not yours: ls -ld {where}",
            )


def _state(folder: Path) -> Iterator[Path]:
    """What decides what goes live, and what is live: the mirror, and the folders of models."""
    private = [folder / PRIVATE, *folder.glob(f"*/{PRIVATE}")]
    models = {path.parent for path in (*private[1:], *folder.glob(f"*/{VERSIONS}"))}
    inside = [path / name for path in sorted(models) for name in ("", VERSIONS, history.FILE_NAME)]
    for path in (*private, *inside, *_all_of(folder / PRIVATE / MIRROR)):
        if path.is_symlink():  # who can change what it leads to matters
            yield from path.resolve().parents
            path = path.resolve()  # noqa: PLW2901 - that is what is looked at
        if path.exists():
            yield path


def _all_of(folder: Path) -> Iterator[Path]:
    for name, _, files in os.walk(folder):
        yield Path(name)
        yield from (Path(name, file) for file in files)


def parse(data: bytes, path: Path) -> HostFile:
    """The values of a tagship.toml. Pure.

    Args:
        data: its bytes.
        path: where it is, for errors.

    Raises:
        Corrupt: it is no TOML.
        Refused: an unknown key, or a value that may not be.
    """
    file = str(path)
    try:
        values = toml.parse(data)
    except ValueError as error:
        raise Corrupt(f"{file} is no TOML: {error}", f"fix {shlex.quote(file)}") from None
    top = Table.of(values, "", file, ("name", "source", "deploy", "follow", "window", "report"))
    source = Table.of(top.values.get("source", {}), "source", file, SOURCE)
    window = top.values.get("window")
    address, name = _address(source), remotes.text(top, "name", process.host_name())
    stores = _remotes(source, address)
    return HostFile(
        name,
        address,
        stores,
        _settings(Table.of(top.values.get("deploy", {}), "deploy", file, OF_HOST)),
        dict(_follow(top.values.get("follow", {}), file)),
        None if window is None else windows.parse(window, "window", file),
        reports.parse(top.values.get("report", {}), file, name, stores),
    )


def _address(source: Table) -> Address:
    """Where the tags come from: one of three keys says it.

    Raises:
        Refused: none does, or several do; or it is no address.
    """
    kinds = [kind for kind in upstream.KINDS if kind in source.values]
    if len(kinds) > 1:
        what = f"{source.key} in {source.file} has both {kinds[0]} and {kinds[1]}"
        raise Refused(what, "name one of them: the tags come from one place")
    if kinds in ([], [upstream.GIT]):
        return Address(upstream.GIT, remotes.text(source, upstream.GIT))
    kind = kinds[0]
    address = remotes.url(source, kind)
    if kind == upstream.BUNDLE and not address.startswith("/"):
        raise source.wrong(kind, "give the folder that tagship unbundle fills: an absolute path")
    return Address(kind, address, remotes.options(source, "options"))


def _remotes(source: Table, address: Address) -> DvcConfig:
    """DVC's remotes. A name of ``[source.remotes]`` without options has those of ``[source]``."""
    options = remotes.options(source, "options")
    stores: dict[str, dict[str, Any]] = {}
    if "remote" in source.values:
        stores[MAIN] = {"url": remotes.url(source, "remote"), **options}
    elif address.kind != upstream.GIT:  # a place has the objects too
        stores[MAIN] = {"url": address.text, **options}
    others = source.values.get("remotes", {})
    named = Table.of(others, "source.remotes", source.file, None)
    for name, value in named.values.items():
        if isinstance(value, str):
            stores[name.lower()] = {"url": remotes.url(named, name), **options}
        else:
            own = Table.of(value, f"{named.key}.{name}", source.file, ("url", "options"))
            stores[name.lower()] = {
                "url": remotes.url(own, "url"),
                **remotes.options(own, "options"),
            }
    has_all = address.kind == upstream.BUNDLE and "remote" not in source.values
    return dvc_config.of_host(stores, MAIN if MAIN in stores else None, has_all=has_all)


def _settings(deploy: Table) -> Settings:
    for key, value in deploy.values.items():
        settings.check(f"deploy.{key} in {deploy.file}", key, value, "see docs/hosts.md")
    return replace(PLAIN, **deploy.values)


def _follow(value: object, file: str) -> Iterator[tuple[str, Follow]]:
    models = Table.of(value, "follow", file, None)
    for model, each in models.values.items():
        if not refs.is_model(model):
            what = f"follow in {file} has {model!r}, which is no name of a model"
            raise Refused(what, "give one such as [follow.churn]")
        table = Table.of(each, f"follow.{model}", file, ("track", "gate"))
        try:
            rule = Wanted.parse(remotes.text(table, "track", "latest"), model)
        except InvalidName as error:
            hint = f"{error.hint}; or ^1.2, or a stage such as #prod"
            raise table.wrong("track", hint) from None
        gate = table.values.get("gate")
        key = f"follow.{model}.gate"
        yield model, Follow(rule, None if gate is None else gates.parse(gate, key, file))
