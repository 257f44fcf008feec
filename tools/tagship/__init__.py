"""Release, deploy and roll back machine-learning models with Git tags, DVC and a file system.

The names below are the public API. They are imported when they are first used, so that a program
which only asks for ``resolve`` pays for neither Git nor DVC.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagship.errors import (
        Corrupt,
        Held,
        InvalidName,
        Locked,
        NotFound,
        Refused,
        SelfTestFailed,
        TagshipError,
        Unavailable,
        Unchanged,
    )
    from tagship.host.active import ActiveModel, check_answers, load
    from tagship.host.live import Live, at, resolve
    from tagship.host.watch import Watch, watch
    from tagship.loaders import Signature
    from tagship.manager.model import ModelVersionManager
    from tagship.manager.workspace import Workspace

_HOMES = {
    "ActiveModel": "host.active",
    "Live": "host.live",
    "Signature": "loaders",
    "Watch": "host.watch",
    "at": "host.live",
    "check_answers": "host.active",
    "load": "host.active",
    "resolve": "host.live",
    "watch": "host.watch",
    "Corrupt": "errors",
    "InvalidName": "errors",
    "Held": "errors",
    "Locked": "errors",
    "NotFound": "errors",
    "Refused": "errors",
    "SelfTestFailed": "errors",
    "TagshipError": "errors",
    "Unavailable": "errors",
    "Unchanged": "errors",
    "ModelVersionManager": "manager.model",
    "Workspace": "manager.workspace",
}
__all__ = [
    "ActiveModel",
    "Corrupt",
    "Held",
    "InvalidName",
    "Live",
    "Locked",
    "ModelVersionManager",
    "NotFound",
    "Refused",
    "SelfTestFailed",
    "Signature",
    "TagshipError",
    "Unavailable",
    "Unchanged",
    "Watch",
    "Workspace",
    "at",
    "check_answers",
    "load",
    "resolve",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tagship' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tagship.{_HOMES[name]}"), name)
