"""The command line that a user meant, where the one that was given is nearly right."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

BEFORE = {"-C": 2, "-v": 1, "--verbose": 1}  # options before the command's name, and their words
_EXTRA = re.compile(r"unexpected extra arguments? \(([^()]*)\)")
_VERSION = re.compile(r"@?(v?\d[\w.+-]*|latest)")


def of_usage(error: click.UsageError, words: Sequence[str]) -> str:
    """The hint after an error of usage; empty where it can only be guessed.

    Args:
        error: what click says.
        words: of the command line, without the program's name.
    """
    if isinstance(error, click.NoSuchOption):
        return _put_first(error.option_name, words)
    extra = _EXTRA.search(error.message)
    version = _VERSION.fullmatch(extra[1]) if extra else None
    if extra is None or version is None or error.ctx is None:
        return ""
    context, given = error.ctx, _from_command(words)
    ref = context.params.get("ref")
    model = context.params.get("model") if ref is None else ref.model
    if model not in given[1:] or extra[1] not in given:
        return ""
    options = {option for param in context.command.params for option in param.opts}
    given.remove(extra[1])
    place = given.index(model, 1)
    if "ref" in context.params:
        given[place] += f"@{version[1]}"
    elif option := next(iter({"--to", "--version"} & options), ""):
        given[place + 1 : place + 1] = [option, version[1]]
    else:
        return f"{context.info_name} takes no version: name the model alone"
    return shlex.join(["tagship", *given])


def of_name(message: str, words: Sequence[str], folder: Path) -> str:
    """The hint where a model is named by the path of its file; else empty.

    Args:
        message: of the error, which has the name.
        words: as for ``of_usage``.
        folder: where the command works.
    """
    given = _from_command(words)
    for place, word in enumerate(given):
        path, at, version = word.partition("@")
        if not place or not path or word.startswith("-") or path not in message:
            continue
        from tagship.cli import complete

        model = complete.model_at(folder, path)
        if model is not None and model != path:
            command = shlex.join(["tagship", *given[:place], model + at + version])
            rest = shlex.join(given[place + 1 :])
            return f"the model at this path is {model}: {command} {rest}".rstrip()
    return ""


def _put_first(option: str, words: Sequence[str]) -> str:
    """The same words with an option before the command's name, where it belongs."""
    size = BEFORE.get(option, 0)
    given = _from_command(words)
    if not size or option not in given[: len(given) + 1 - size]:
        return ""
    place = given.index(option)
    before = words[: len(words) - len(given)]
    moved = given[place : place + size]
    rest = [*given[:place], *given[place + size :]]
    return f"put it first: {shlex.join(['tagship', *before, *moved, *rest])}"


def _from_command(words: Sequence[str]) -> list[str]:
    """The words from the command's name on."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        del rest[: BEFORE.get(rest[0], 1)]
    return rest
