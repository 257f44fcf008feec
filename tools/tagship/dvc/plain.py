"""DVC's configuration, read without an import of DVC where its text is plain.

The import takes a seventh of a second of CPU time, which a deploy from a store would spend before
it asks for the first byte. Only what ``dvc init``, ``dvc remote add`` and ``dvc remote modify``
write of stores is understood; any other text is left to DVC, and so is every remote that is a
folder. The order of the files is that of ``dvc/config.py`` (3.67), the options are those of
``dvc/config_schema.py``.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagship.dvc import cachedir

Sections = dict[str, dict[str, Any]]

_LINE = re.compile(r"([a-z_]+) = ([A-Za-z0-9_./:;@+=-]+)")  # means nothing else to ConfigObj
_HEAD = re.compile(r"\[(core|cache)\]|\['remote \"([A-Za-z0-9_-]+)\"'\]")
_URL = re.compile(r"(s3|gs|azure|https?)://[A-Za-z0-9_-][A-Za-z0-9_./:-]*")


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,3}", text) is None:
        raise ValueError(text)
    return int(text)


def _verify(text: str) -> bool | str:
    return text == "true" if text in ("true", "false") else text


_Types = dict[str, Callable[[str], Any]]
_COMMON: _Types = {
    "url": str, "jobs": _count, "checksum_jobs": _count, "version_aware": _bool, "worktree": _bool,
}  # fmt: skip
_HTTP: _Types = {"ssl_verify": _verify, "read_timeout": _count, "connect_timeout": _count}
_OF_SCHEME: dict[str, _Types] = {
    "s3": {
        "region": str, "profile": str, "endpointurl": str, "access_key_id": str,
        "secret_access_key": str, "session_token": str, "use_ssl": _bool,
        "allow_anonymous_login": _bool, "ssl_verify": _verify, "sse": str, "sse_kms_key_id": str,
        "read_timeout": _count, "connect_timeout": _count,
    },
    "gs": {"projectname": str, "endpointurl": str, "allow_anonymous_login": _bool},
    "azure": {
        "connection_string": str, "account_name": str, "account_key": str, "tenant_id": str,
        "client_id": str, "client_secret": str, "allow_anonymous_login": _bool,
        "read_timeout": _count, "connection_timeout": _count,
    },
    "http": _HTTP,
    "https": _HTTP,
}  # fmt: skip
_CORE: _Types = {"remote": str.lower, "analytics": _bool,
                                          "autostage": _bool}  # fmt: skip


def read(project: Path) -> tuple[Sections, Sections] | None:
    """All of the configuration, and the host's own part of it; None where DVC has to read it."""
    whole: Sections = {"core": {}, "cache": {}, "remote": {}}
    host: Sections = {"core": {}, "cache": {}, "remote": {}}
    texts = cachedir.texts(project)
    if texts is None:
        return None
    for _, text, is_host in texts:
        sections = _parse(text)
        if sections is None:
            return None
        for kept in (whole, host) if is_host else (whole,):
            _merge(kept, sections)
    return (whole, host) if _convert(whole) else None


def _parse(text: str) -> Sections | None:
    """The options of one file, as text."""
    sections: Sections = {"core": {}, "cache": {}, "remote": {}}
    seen: set[str] = set()
    options: dict[str, Any] | None = None
    for line in (line.strip(" \t") for line in text.split("\n")):
        if head := _HEAD.fullmatch(line):
            if line.lower() in seen:
                return None
            seen.add(line.lower())
            name = (head[2] or "").lower()
            options = sections["remote"].setdefault(name, {}) if name else sections[head[1]]
        elif line:
            option = _LINE.fullmatch(line)
            if option is None or options is None or option[1] in options:
                return None
            options[option[1]] = option[2]
    return sections


def _merge(kept: Sections, sections: Sections) -> None:
    for section in ("core", "cache"):
        kept[section].update(sections[section])
    for name, options in sections["remote"].items():
        kept["remote"][name] = {**kept["remote"].get(name, {}), **options}


def _convert(whole: Sections) -> bool:
    """Give each option the type that DVC gives it; whether all are known, and right."""
    try:
        whole["core"] = {key: _CORE[key](text) for key, text in whole["core"].items()}
        for key, text in whole["cache"].items():
            if not (key == "dir" and text.startswith("/")) and (key, text) != ("shared", "group"):
                return False
        for name, options in whole["remote"].items():
            url = _URL.fullmatch(options["url"])
            if url is None:
                return False
            known = _COMMON | _OF_SCHEME[url[1]]
            whole["remote"][name] = {key: known[key](text) for key, text in options.items()}
    except (KeyError, ValueError):
        return False
    return True
