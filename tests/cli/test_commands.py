"""One command, one file: the commands are found by their files, and read no list twice."""

import importlib
from pathlib import Path

import click
import pytest

from tagship.cli import main
from tagship.cli.completion import SHELLS
from tagship.export.formats import FORMATS
from tagship.host.actions import ACTIONS
from tagship.manager import choices
from tagship.registry.refs import BUMPS

FOLDER = Path(main.__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_module_is_a_command_or_is_named_as_a_part(name: str) -> None:
    module = importlib.import_module(f"tagship.cli.{name}")
    assert hasattr(module, "command") == (name not in main.PARTS)
    assert (name in main.cli.commands) == (name not in main.PARTS)


def test_help_lists_every_command_in_alphabetical_order() -> None:
    listed = main.cli.list_commands(click.Context(main.cli))
    assert listed == sorted(listed) == list(main.cli.commands)
    assert len(listed) == len(main.cli.commands) > 15


@pytest.mark.parametrize(
    ("command", "option", "words"),
    [
        ("release", "bump", BUMPS),
        ("history", "actions", ACTIONS),
        ("export", "formats", (*FORMATS, choices.OCI)),
        ("completion", "shell", SHELLS),
    ],
)
def test_choices_are_those_of_the_module_that_defines_them(
    command: str, option: str, words: tuple[str, ...]
) -> None:
    (parameter,) = (
        parameter for parameter in main.cli.commands[command].params if parameter.name == option
    )
    assert isinstance(parameter.type, click.Choice)
    assert tuple(parameter.type.choices) == words
