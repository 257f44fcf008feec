"""Serve with Ray Serve: ``serve run tagship.serve.ray:app models=churn root=/srv/models``.

Each replica follows the link ``current`` in the folder of its own node, as ``tagship serve`` does;
or it answers with the version that the controller names: ``user_config: {version: 1.2.0}``.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ray import serve

from tagship.errors import Refused, TagshipError, Unavailable
from tagship.host import project
from tagship.serve import web
from tagship.serve.orders import Name
from tagship.serve.serving import Alone, Plan
from tagship.serve.settings import Settings
from tagship.serve.slot import Slot
from tagship.serve.steered import Steered

logger = logging.getLogger("tagship.serve")
VERSION = "version"  # the key of user_config


def app(arguments: Mapping[str, Any]) -> Any:
    """An application of Ray Serve, for ``serve run`` and for ``import_path`` in its file.

    Args:
        arguments: ``models``, names with commas between them or a list; ``root``, the folder of all
            models on each node (else the variable TAGSHIP_ROOT there); and options of ``Settings``
            by their names.

    Raises:
        Refused: an argument is missing, unknown, or not what it should be.
    """
    given = dict(arguments)
    settings_of(given)
    return deployment.bind(given, installed_version("tagship"))


def settings_of(arguments: Mapping[str, Any]) -> Settings:
    """The settings that arguments name; text is read as what it should be.

    Raises:
        Refused: as ``app``.
    """
    unknown = sorted(arguments.keys() - _KINDS.keys())
    if unknown:
        raise Refused(f"there is no argument {unknown[0]!r}; there are: {', '.join(_KINDS)}")
    values = {name: _read(name, value) for name, value in arguments.items()}
    if not values.get("models"):
        raise Refused("no model is named: models=churn")
    return Settings(**values)


def _read(name: str, value: Any) -> Any:
    try:
        return _KINDS[name](value)
    except (TypeError, ValueError):
        raise Refused(f"{name} cannot be {value!r}") from None


def _names(value: Any) -> tuple[str, ...]:
    each = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip() for name in each if name.strip())


def _place(value: Any) -> Path:
    """A path that means the same in every process."""
    path = Path(value)
    if not path.is_absolute():
        raise ValueError(value)
    return path


_KINDS: dict[str, Callable[[Any], Any]] = {
    "models": _names, "root": _place, "allow_hosts": _names, "token_file": _place, "isolate": str,
    "audit": _place, "max_body": int, "max_rows": int, "request_timeout": float, "threads": int,
    "poll": float,
}  # fmt: skip


class Replica:
    """A process of Ray Serve that answers; it is ready once all its models are.

    Args:
        arguments: of ``app``.
        built_with: the version of tagship that built the application.

    Raises:
        TagshipError: this node cannot answer; Ray Serve shows the words in its status.
    """

    def __init__(self, arguments: Mapping[str, Any], built_with: str) -> None:
        _check_same(built_with)
        settings = settings_of(arguments)
        _check_root(settings)
        stores = Plan.of(settings).stores
        self._targets = {model: Steered(store, model) for model, store in stores.items()}
        targets = {Name(model): target for model, target in self._targets.items()}
        self._app = web.standalone(settings, targets, starts=False)
        self._alone: Alone = self._app.state.alone

    def __serve_build_asgi_app__(self) -> Any:
        """The app, as Ray Serve asks for it after the constructor."""
        return self._app

    async def reconfigure(self, user_config: Any) -> None:
        """Answer with the version that the controller names, or follow; return once it answers.

        A replica that answers goes on with its version where the new one is refused, and tries it
        again: Ray Serve would end a replica that raises here. The log and the metadata say so.

        Raises:
            TagshipError: that is no configuration, or the version was refused; and this replica has
                no other that answers.
        """
        try:
            await asyncio.to_thread(self._turn, user_config)
        except TagshipError as error:
            if not self._are_ready:
                raise
            logger.warning("user_config is not taken: %s", error.message)

    def _turn(self, user_config: Any) -> None:
        version = _version(user_config, len(self._targets))
        before = {model: slot.state().refused for model, slot in self._slots.items()}
        for target in self._targets.values():
            target.choose(version)
        self._alone.start()
        self._alone.catch_up(before)

    def check_health(self) -> None:
        """Say to Ray Serve whether this replica can answer.

        Raises:
            Unavailable: one of its models cannot.
        """
        if not self._are_ready:
            raise Unavailable(f"not ready: {', '.join(self._slots)}")

    @property
    def _are_ready(self) -> bool:
        return all(slot.is_ready for slot in self._slots.values())

    @property
    def _slots(self) -> Mapping[str, Slot]:
        return self._alone.slots


def _check_same(built_with: str) -> None:
    ours = installed_version("tagship")
    if ours != built_with:
        raise Refused(
            f"this node has tagship {ours}, and the application was built with {built_with}:"
            " install the same version on all nodes"
        )


def _check_root(settings: Settings) -> None:
    root = settings.root or os.environ.get(project.VARIABLE)
    if not root:
        raise Refused(
            "no folder of models is named: root=/srv/models, or TAGSHIP_ROOT in the environment of"
            " each node"
        )
    if not Path(root).is_dir():
        raise Refused(f"this node has no folder {root}: deploy the models there, or mount it")


def _version(user_config: Any, models: int) -> str | None:
    """The version in ``user_config``; None to follow what is live."""
    if not isinstance(user_config, Mapping) or user_config.keys() - {VERSION}:
        raise Refused(f"user_config has to be {{version: 1.2.0}}, and is {user_config!r}")
    version = user_config.get(VERSION)
    if version is not None and not isinstance(version, str):
        raise Refused(f"the version in user_config is no text: {version!r}")
    if version is not None and models > 1:
        raise Refused("user_config names a version, and the application has several models")
    return version


# The class is a value of its own, beside the deployment: a node imports it, and so runs the tagship
# that it has, which the constructor compares.
deployment = serve.deployment(
    name="tagship",
    user_config={VERSION: None},  # so that Ray Serve always calls reconfigure
    max_ongoing_requests=16,
    autoscaling_config={"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 4},
)(serve.ingress()(Replica))
