"""Vega as one script, kept in the user's cache: vl-convert takes three seconds to bundle it."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from tagship.disk import access, atomic, home

SNIPPET = "window.vegaEmbed = vegaEmbed;"
PREFIX = "vega-"


def script(vl_convert: Any) -> str:
    """Vega, Vega-Lite and vega-embed as one script, which sets ``window.vegaEmbed``; 0.9 MB.

    Args:
        vl_convert: the module that bundles it.
    """
    path = _path(vl_convert)
    text = _read(path) if path else None
    if text is None:
        text = str(vl_convert.javascript_bundle(SNIPPET))
        if path:
            _keep(path, text)
    return text


def _path(vl_convert: Any) -> Path | None:
    """Where the script of this vl-convert is kept; None for an account without a home.

    The same version can be built anew with another Vega, so the size of its code counts too.
    """
    cache = home.cache()
    if cache is None:
        return None
    code = Path(vl_convert.vl_convert.__file__).stat()
    return cache / "tagship" / f"{PREFIX}{vl_convert.__version__}-{code.st_size}.js"


def _read(path: Path) -> str | None:
    """What is kept; None where nothing is, where it is damaged, or where others may have written.

    A page runs the script.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            digest, _, code = file.read().partition(b"\n")
    except OSError:
        return None
    return code.decode() if digest == _digest(code) else None


def _digest(code: bytes) -> bytes:
    return b"// " + hashlib.sha256(code).hexdigest().encode()


def _keep(path: Path, text: str) -> None:
    """Keep the script in place of those of other versions; nothing is said where that fails."""
    code = text.encode()
    with contextlib.suppress(OSError):
        if not _is_ours(path.parent):
            return
        atomic.make_folder(path.parent, 0o700)
        others = [other for other in path.parent.glob(f"{PREFIX}*.js") if other != path]
        atomic.write(path, _digest(code) + b"\n" + code, durable=False)
        for other in others:
            other.unlink()


def _is_ours(folder: Path) -> bool:
    """Whether this account owns the folder, or where it would be: sudo may keep another's HOME."""
    return access.is_own(next(place for place in (folder, *folder.parents) if place.exists()))
