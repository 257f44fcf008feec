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
    from tagship.host.active import ActiveModel, Live, load, resolve
    from tagship.manager.model import ModelVersionManager
    from tagship.manager.workspace import Workspace

_HOMES = {
    "ActiveModel": "host.active",
    "Live": "host.active",
    "load": "host.active",
    "resolve": "host.active",
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
    "TagshipError",
    "Unavailable",
    "Unchanged",
    "Workspace",
    "load",
    "resolve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tagship' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tagship.{_HOMES[name]}"), name)
