"""An HTTP server for what is live, in the Open Inference Protocol: ``app``, and ``tagship serve``.

It needs the extra ``tagship[serve]``, and neither Git nor DVC.
"""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tagship.disk import files
from tagship.errors import NotFound, Refused
from tagship.host import live, metadata, project
from tagship.host import settings as host_settings
from tagship.registry import refs
from tagship.serve.generation import Facts
from tagship.serve.observer import Answered, Watcher
from tagship.serve.settings import Settings
from tagship.serve.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastapi import FastAPI

__all__ = ["Answered", "Facts", "Settings", "Slot", "Watcher", "app", "run"]

_NEEDED = ("fastapi", "httptools", "numpy", "orjson", "prometheus_client", "uvicorn", "uvloop")


def app(
    models: "Iterable[str] | str", *, root: Path | str | None = None, **options: Any
) -> "FastAPI":
    """An app that answers with the live versions of models, and follows them while it runs.

    Routes can be added to it; ``app.state.slots`` has a ``Slot`` for each model, and
    ``app.state.monitor`` (a ``Watcher``) is to be told of the answers of such routes.

    Args:
        models: their names.
        root: a plain folder of models; without it the working directory's workspace or host.
        options: of ``Settings``, such as ``start``, ``allow_hosts``, ``token_file``, ``audit``.

    Raises:
        Refused: the extra is not installed, or an option is none.
        NotFound: there is no folder of models.
    """
    check_installed()
    from tagship.serve import web

    settings = Settings(models, root=root, **options)  # type: ignore[arg-type] # it reads them
    if settings.workers != 1:
        raise Refused("an app is one process", f"tagship serve --workers {settings.workers}")
    return web.standalone(settings)


def run(
    app: "FastAPI",
    started: "Callable[[str], None]",
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> None:
    """Answer with an app until SIGTERM or SIGINT, in one process, as ``tagship serve`` does.

    That is: within the limits of time and of connections that ``app`` was given, and with the logs
    reopened by SIGHUP.

    Args:
        app: from ``app``; its guard answers to a ``host`` of a network if ``allow_hosts`` names it.
        started: is called with the address, once connections are accepted.
        host, port: where it listens; port 0 is any free one.

    In another thread than the main one no signal ends it. An app runs once.

    Raises:
        Refused: it is no app of ``app``, or was run before.
        TagshipError: it cannot listen there.
    """
    from tagship.serve import single

    settings = getattr(app.state, "settings", None)
    if not isinstance(settings, Settings):
        raise Refused("this is not an app of tagship.serve", 'app = tagship.serve.app(["churn"])')
    if app.state.alone.has_ended:
        raise Refused("this app was run before, and is closed", "make another: tagship.serve.app")
    single.answer(app, replace(settings, host=host, port=port), started)


def check_installed() -> None:
    """Check that the extra is installed.

    Raises:
        Refused: something of it is missing.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(
            f"tagship serve needs {', '.join(missing)}, which is not installed",
            'pip install "tagship[serve]"',
        )


def deployed(start: Path, root: Path | None = None) -> tuple[str, ...]:
    """The models that have a version on this host; of an unpacked image the one that it has.

    Args:
        start: a folder in the workspace, or of the host.
        root: a plain folder of models instead.

    Raises:
        NotFound: there is none.
        Corrupt: the image has no readable metadata.
    """
    named = project.named_root(start, root)
    folder = host_settings.root_of(start) if named is None else named
    if (folder / files.METADATA).is_file():
        return (metadata.read_main(folder.resolve()).model,)
    live.check_root(folder)
    names = (unquote(path.parent.name) for path in folder.glob("*/versions"))
    models = tuple(sorted(name for name in names if refs.is_model(name)))
    if not models:
        raise NotFound("no model has a version here", "tagship deploy MODEL, or name the models")
    return models
