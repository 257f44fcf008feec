"""A process that runs tagship's commands, each in a child of its own: it imported all before.

A command takes 0.3 s to start, and 0.03 s to answer. ``Accounts`` starts one for each account, from
this file's text: the account need not be able to read it. A line of JSON asks, another answers.
"""

import importlib
import json
import os
import pkgutil
import sys
import traceback
from typing import Any

import tagship
from tagship.cli.main import main

# The first one runs; the others import frameworks and engines, which need not be installed.
APART = (
    "tagship.__main__", "tagship.loaders", "tagship.notebook", "tagship.serve.mlserver",
    "tagship.serve.ray",
)  # fmt: skip


def load() -> None:
    """Import what the commands would."""
    for module in pkgutil.walk_packages(tagship.__path__, "tagship."):
        if not module.name.startswith(APART):
            importlib.import_module(module.name)
    for name in ("git", "ruamel.yaml", "dvc.repo", "dvc.config"):
        importlib.import_module(name)


def command(asked: dict[str, Any], out: int, err: int) -> int:
    """Run a command, as a process of its own would; its exit code."""
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
        os.dup2(descriptor, number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.umask(asked["umask"])
    os.chdir(asked["folder"])
    sys.argv = ["tagship", *asked["words"]]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:  # as Python does at its end
        traceback.print_exc()
        return 1
    return 0


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Run a command in a child; its exit code, and what it printed."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = command(asked, out, err)
            sys.stdout.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, "out": text(out), "err": text(err)}


def text(descriptor: int) -> str:
    """All that was written there."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    load()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
