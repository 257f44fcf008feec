"""DVC's configuration, and which part of it this host alone decides."""

import contextlib
import logging
import os
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


@dataclass(frozen=True)
class DvcConfig:
    """DVC's configuration: all of it, as DVC merges it, and the part that is this host's own."""

    whole: dict[str, Any]
    host: dict[str, Any]

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


def of_host(remotes: dict[str, dict[str, Any]], default: str | None) -> DvcConfig:
    """The configuration of a host without a DVC repository: all of it is the host's own.

    Args:
        remotes: the options of each remote, by its name in lower case.
        default: the remote of what names none; None where there is no default.
    """
    core = {} if default is None else {"remote": default}
    values: dict[str, Any] = {"core": core, "cache": {}, "remote": remotes}
    return DvcConfig(values, values)


def of_home(error: OSError) -> Refused | None:
    """The error where this account's own configuration cannot be read; None if it is another."""
    if not Path(str(error.filename or "")).is_relative_to(dirs.user_config()):
        return None
    what = f"DVC: {error.strerror}: {error.filename}"
    return Refused(what, f"set HOME to this account's own; or {hint_of(error)}")


def unreadable(project: Path, error: Exception) -> Refused:
    """The error for a configuration that cannot be read; it names the file.

    Raises:
        Conflicted: the file has conflict markers.
    """
    _check_merged(project)
    text = redact.text(" ".join(str(error).split()))[:300]
    return Refused(f"DVC: {text}", f"fix {_broken(project)}")


def _broken(project: Path) -> str:
    """The file of DVC's configuration that cannot be read: the repository's own, or the host's."""
    from dvc.config import Config
    from dvc.dirs import global_config_dir, system_config_dir

    names = [".dvc/config", ".dvc/config.local"]
    of_host = [f"{folder()}/config" for folder in (global_config_dir, system_config_dir)]
    for name in (*names, *of_host):
        try:
            Config.validate(Config.load_file(str(project / name)))
        except FileNotFoundError:
            continue
        except Exception:  # noqa: BLE001 - as many kinds as in ``read``
            return name
    return names[0]


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
