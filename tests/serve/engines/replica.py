"""A replica without a cluster, for a Python that has Ray: ``python replica.py ROOT``.

It prints what comes of each step: the version that answers then, or the words of an error.
"""

import asyncio
import json
import sys
from importlib.metadata import version
from typing import Any

from tagship.errors import TagshipError
from tagship.serve.ray import Replica


def begun(model: str) -> Replica:
    """A replica that Ray Serve has made, and not configured yet."""
    return Replica({"models": model, "root": sys.argv[1], "poll": "0.01"}, version("tagship"))


def step(replica: Replica, *user_config: Any) -> str:
    """Configure it, if there is a configuration; then what a health check says."""
    try:
        for each in user_config:
            asyncio.run(replica.reconfigure(each))
        replica.check_health()
    except TagshipError as error:
        return error.message
    ((_, slot),) = replica.__serve_build_asgi_app__().state.slots.items()
    with slot.acquire() as generation:
        answering: str = generation.facts.version
    return answering


first = begun("m")
STEPS = [
    (first, ()),
    (first, ({"version": None},)),
    (first, ({"version": "1.0.0"},)),
    (first, ({"version": "7.0.0"},)),
    (first, ({"versoin": "1.1.0"},)),
    (first, ({"version": 1.1},)),
    (first, ({"version": "1.1"},)),
    (begun("m"), ({"version": "7.0.0"},)),
    (begun("m"), ({"versoin": "1.1.0"},)),
    (begun("m"), ({"version": 1.1},)),
    (begun("empty"), ({"version": None},)),
]
print(json.dumps([step(replica, *each) for replica, each in STEPS]))  # noqa: T201 - to the test
