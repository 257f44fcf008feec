"""Where DVC's cache is, read from its configuration without an import of DVC.

The import takes about 90 ms of CPU time, a third of a small deploy. Only what ``dvc init``,
``dvc remote add`` and ``dvc cache dir`` write is understood; any other text is left to DVC. The
order of the files is that of ``dvc/config.py`` (3.67).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tagship.dvc import dirs

_NAME = r"[A-Za-z0-9_-]+"
_PATH = r"[A-Za-z0-9_./-]+"  # what means something else to ConfigObj or DVC is in none: % # , ~ "
_HEAD = re.compile(rf"\[(core|cache)\]|\['(remote) \"{_NAME}\"'\]")
_OPTIONS = {
    "core": re.compile(rf"(remote) = {_NAME}|(analytics|autostage) = (?:true|false)"),
    "remote": re.compile(rf"(url) = (?:(?:s3|gs|azure)://)?{_PATH}"),
    "cache": re.compile(rf"(dir) = /{_PATH}|(shared) = group"),
}


@dataclass(frozen=True)
class CacheDir:
    """The folder that the configuration names, and whether the host's own part of it does."""

    folder: Path | None
    named: bool


def read(project: Path) -> CacheDir | None:
    """The cache that is configured for a DVC repository; None where DVC has to read it."""
    folder = of_host = None
    known = texts(project)
    if known is None:
        return None
    for _, text, is_host in known:
        read_options = options(text)
        if read_options is None:
            return None
        folder = read_options.get("[cache] dir", folder)
        if is_host:
            of_host = read_options.get("[cache] dir", of_host)
    named = folder is not None and folder == of_host
    return CacheDir(Path(folder) if folder else None, named)


def texts(project: Path) -> list[tuple[Path, str, bool]] | None:
    """Each file that there is, its text, and whether it is the host's own, as ``_files`` has them.

    None where one is unreadable.
    """
    found = []
    for path, is_host in _files(project):
        try:
            found.append((path, path.read_text(encoding="utf-8"), is_host))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):
            return None
    return found


def _files(project: Path) -> list[tuple[Path, bool]]:
    """Each file, and whether it is the host's own; a later one overrides an earlier one."""
    own = project / ".dvc"
    return [
        (dirs.system_config() / "config", True),
        (dirs.user_config() / "config", True),
        (own / "config", False),
        (own / "config.local", True),
    ]


def options(text: str) -> dict[str, str] | None:
    """The options of a configuration that is understood: ``{"[cache] dir": "/srv/cache"}``.

    None for any other text, which DVC itself has to read.
    """
    values: dict[str, str] = {}
    head = kind = ""
    for line in (line.strip(" \t") for line in text.split("\n")):
        if not line:
            continue
        if section := _HEAD.fullmatch(line):
            if line in values:
                return None
            head, kind = line, section[1] or section[2]
            values[head] = ""
            continue
        option = _OPTIONS[kind].fullmatch(line) if kind else None
        name = f"{head} {line.partition(' ')[0]}"
        if option is None or name in values:
            return None
        values[name] = line.partition(" = ")[2]
    remotes = [name for name in values if name.endswith("\"']")]
    return values if all(f"{remote} url" in values for remote in remotes) else None
