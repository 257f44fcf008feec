"""DVC's configuration, and which part of it this host alone decides."""

import contextlib
import logging
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tagship.disk import access
from tagship.dvc import cachedir, dirs, plain
from tagship.errors import Refused, hint_of
from tagship.git import worktree
from tagship.text import conflicts, redact
from tagship.text.recent import Recent

LARGEST = 1 << 18  # characters of all configurations that are kept


_MISFIT = re.compile(r"extra keys not allowed @ data\['remote'\]\['([^']+)'\]\['(\w+)'\]")


class BadConfig(Refused):
    """DVC's configuration cannot be read. Who does not need it goes on."""


@dataclass(frozen=True)
class DvcConfig:
    """DVC's configuration.

    Attributes:
        whole: all of it, as DVC merges it.
        host: the part that is this host's own.
        has_all: the default remote has the objects of others that are not configured, too.
    """

    whole: dict[str, Any]
    host: dict[str, Any]
    has_all: bool = False

    def remote(self, name: str) -> dict[str, Any]:
        """The options of a remote, those of the one that it builds on (``remote://``) included."""
        options = self.whole["remote"].get(name.lower())
        if options and not str(options["url"]).startswith("remote://"):
            return dict(options)
        from dvc.fs import get_fs_config  # a seventh of a second to import

        return dict(get_fs_config(self.whole, name=name))


_known: Recent[tuple[Any, ...], DvcConfig] = Recent(LARGEST)  # what DVC made of these texts


def read(project: Path) -> DvcConfig:
    """Read DVC's configuration.

    Raises:
        Refused: it cannot be read, or what should be the host's own is in Git.
        Conflicted: it has conflict markers.
    """
    check_local(project)
    dirs.settle()
    if known := plain.read(project):
        return DvcConfig(*known)
    texts = cachedir.texts(project)
    if texts is None:
        return _read(project)
    # all that the values come from: DVC resolves paths by the files' places, and ~ by HOME
    key = (str(project), os.environ.get("HOME"), tuple(texts))
    weight = len(key[0]) + sum(len(text) for _, text, _ in texts)
    config = _known.get(key, lambda: (_read(project), weight))
    return DvcConfig(_copy(config.whole), _copy(config.host))


def _copy(value: Any) -> Any:
    """Sections that may be changed. Not by ``deepcopy``: it cannot copy DVC's own kinds of text."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, list) else value


def _read(project: Path) -> DvcConfig:
    """The configuration as DVC reads it, which takes 15 ms: each file is checked by a schema."""
    from dvc.config import Config, ConfigError, merge
    from voluptuous import Invalid

    host: dict[str, Any] = {}
    try:
        config = Config(dvc_dir=str(project / ".dvc"))
        for level in ("system", "global", "local"):
            merge(host, config.load_one(level))
    except (ConfigError, Invalid, OSError, TypeError, ValueError, AttributeError, RecursionError,
            SyntaxError) as error:  # fmt: skip # the last is ConfigObj's
        _check_merged(project)
        if isinstance(error, OSError) and (refused := of_home(error)):
            raise refused from None
        if denied := access.forbidden(error):
            raise denied from None
        if isinstance(error, OSError):
            what = f"DVC: {error.strerror}: {error.filename}"
            raise Refused(what, hint_of(error)) from None
        raise unreadable(project, error) from None
    return DvcConfig(dict(config), host)


def of_host(
    remotes: dict[str, dict[str, Any]], default: str | None, *, has_all: bool = False
) -> DvcConfig:
    """The configuration of a host without a DVC repository: all of it is the host's own.

    Args:
        remotes: the options of each remote, by its name in lower case.
        default: the remote of what names none; None where there is no default.
        has_all: as of ``DvcConfig``.
    """
    core = {} if default is None else {"remote": default}
    values: dict[str, Any] = {"core": core, "cache": {}, "remote": remotes}
    return DvcConfig(values, values, has_all)


def of_home(error: OSError) -> Refused | None:
    """The error where this account's own configuration cannot be read; None if it is another."""
    if not Path(str(error.filename or "")).is_relative_to(dirs.user_config()):
        return None
    what = f"DVC: {error.strerror}: {error.filename}"
    return Refused(what, f"set HOME to this account's own; or {hint_of(error)}")


def unreadable(project: Path, error: Exception) -> BadConfig:
    """The error for a configuration that cannot be read; it names the file.

    Raises:
        Conflicted: the file has conflict markers.
    """
    _check_merged(project)
    text = redact.text(" ".join(str(error).split()))[:300]
    misfit = _MISFIT.search(text)
    fix = _unset(project, *misfit.groups()) if misfit else ""
    return BadConfig(f"DVC: {text}", fix or f"fix {_broken(project)}")


def _files() -> dict[str, str]:
    """The files of DVC's configuration, the last word first, and the option that names each."""
    from dvc.dirs import global_config_dir, system_config_dir

    return {
        ".dvc/config.local": "--local", ".dvc/config": "--project",
        f"{global_config_dir()}/config": "--global", f"{system_config_dir()}/config": "--system",
    }  # fmt: skip


def _unset(project: Path, remote: str, option: str) -> str:
    """The command that removes an option which a remote of this kind does not have.

    Such as the endpoint of a remote that was on S3, and is a folder now. DVC removes no option
    while another one does not fit either; then all that a host adds to the remote goes at once.
    Empty where neither helps.
    """
    from dvc.config import Config, merge

    values: dict[str, dict[str, Any]] = {}
    for path in _files():
        with contextlib.suppress(Exception):  # as many kinds as in ``read``
            values[path] = Config.load_file(str(project / path))
    sections = {name: of_file.get("remote", {}).get(remote) for name, of_file in values.items()}
    name = next((key for key, section in sections.items() if option in (section or ())), None)
    if name is None:
        return ""
    section, level, remote = sections[name], _files()[name], shlex.quote(redact.text(remote))
    del section[option]
    whole: dict[str, Any] = {}
    for of_file in reversed(values.values()):
        merge(whole, of_file)
    try:
        Config.validate(whole)
    except Exception:  # noqa: BLE001 - as many kinds as in ``read``
        is_extra = name != ".dvc/config" and "url" not in section
        return f"dvc remote remove {level} {remote}" if is_extra else ""
    return f"dvc remote modify {level} --unset {remote} {option}"


def _broken(project: Path) -> str:
    """The file of DVC's configuration that cannot be read: the repository's own, or the host's."""
    from dvc.config import Config

    local, own, *of_host = _files()
    for name in (own, local, *of_host):
        try:
            Config.validate(Config.load_file(str(project / name)))
        except FileNotFoundError:
            continue
        except Exception:  # noqa: BLE001 - as many kinds as in ``read``
            return name
    return own


@dataclass(frozen=True)
class Shared:
    """What of DVC's configuration is in Git: the text of one ``.dvc/config``.

    Attributes:
        remotes: the options of each remote, by its name, which DVC has in lower case.
        default: the remote of what names none.
    """

    remotes: dict[str, dict[str, Any]]
    default: str | None


def shared(data: bytes) -> Shared:
    """Read a ``.dvc/config``; of one that cannot be read, nothing."""
    from dvc.config import Config, ConfigError

    def opened(*_: Any, **__: Any) -> StringIO:
        return StringIO(data.decode("utf-8-sig"))

    try:
        values = Config.load_file(".dvc/config", fs=SimpleNamespace(open=opened))
        remotes = {str(key).lower(): dict(options) for key, options in values["remote"].items()}
        return Shared(remotes, values.get("core", {}).get("remote"))
    except (ConfigError, UnicodeDecodeError, AttributeError, TypeError, ValueError):
        return Shared({}, None)


def _check_merged(project: Path) -> None:
    """Tell a merge that left its markers from any other text that cannot be read."""
    for name in (".dvc/config", ".dvc/config.local"):
        with contextlib.suppress(OSError):
            if number := conflicts.line((project / name).read_bytes()):
                raise conflicts.error(name, number) from None


def check_local(project: Path) -> None:
    """Refuse a config.local that comes with the repository: it would count as the host's own.

    Raises:
        Refused: it is in Git.
    """
    name = ".dvc/config.local"
    if (project / name).exists() and worktree.index(project, name):
        raise Refused(
            f"{name} is in Git, but it holds what this host alone decides",
            f"git rm --cached {name}",
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Around a use of DVC: its log is silenced, which repeats its errors and gives advice."""
    dirs.settle()
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
