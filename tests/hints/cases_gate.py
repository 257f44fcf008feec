"""Hints of tagship.toml: a gate, and a window. Whoever reads one corrects the value."""

import tomllib
from typing import NamedTuple

from tagship.workspace import gates, window
from tests.hints.trials import edit, trial, write
from tests.workbench import Workbench

FILE = "tagship.toml"
COMMAND = 'command = ["/bin/true"]'
HTTP = 'http = {url = "http://127.0.0.1/"'
HOURS = 'start = "07:00"\nlength = "9h"'


class Case(NamedTuple):
    """A wrong text, the part of the hint that is followed, and the text that follows from it."""

    name: str
    hints: tuple[str, ...]
    wrong: str
    does: str
    right: str


GATES = (
    Case("no_check", ("workspace.gates.parse",), 'timeout = "5s"', "http and command", COMMAND),
    Case("no_status", ("workspace.gates._http",), HTTP + ', status = "ok"}', "such as 200",
         HTTP + ", status = 200}"),
    Case("no_address", ("workspace.gates._url",), "http = {url = 8080}", "http://127.0.0.1:8080/ready",
         'http = {url = "http://127.0.0.1:8080/ready"}'),
    Case("no_scheme", ("workspace.gates._url/2",), 'http = {url = "localhost/ready"}',
         "http://127.0.0.1:8080/ready", 'http = {url = "http://127.0.0.1:8080/ready"}'),
    Case("a_password", ("workspace.gates._url/3",), 'http = {url = "http://ada:pw@a/"}',
         "by a command", COMMAND),
    Case("no_field", ("workspace.gates._fields",), HTTP + ", json = {version = 1}}",
         'version = "model_version"', HTTP + ', json = {version = "model_version"}}'),
    Case("no_list", ("workspace.gates._command",), 'command = "/bin/true"', "a list of words",
         COMMAND),
    Case("no_path", ("workspace.gates._command/2",), 'command = ["true"]', "the absolute path",
         COMMAND),
    Case("no_share", ("workspace.gates._share",), f'{COMMAND}\npass = "3/5"', '"3 of 5"',
         f'{COMMAND}\npass = "3 of 5"'),
    Case("no_duration", ("text.table.Table.duration",), f'{COMMAND}\ntimeout = "soon"', '"5s"',
         f'{COMMAND}\ntimeout = "5s"'),
    Case("no_table", ("text.table.Table.of",), "http = 8080", "url", HTTP + "}"),
    Case("a_key_mistyped", ("text.choose.near",), f"{COMMAND}\nwacth = 5", "did you mean watch?",
         f"{COMMAND}\nwatch = 5"),
    Case("a_key_that_is_none", ("text.choose.near/2",), f"{COMMAND}\nuser = 5", "watch",
         f"{COMMAND}\nwatch = 5"),
)  # fmt: skip
WINDOWS = (
    Case("no_hours", ("workspace.window.parse",), 'days = ["mon"]', '"07:00" in UTC', HOURS),
    Case("no_days", ("workspace.window._days",), f"days = []\n{HOURS}", "mon",
         f'days = ["mon"]\n{HOURS}'),
    Case("no_start", ("workspace.window._start",), 'start = "7"\nlength = "9h"', '"07:00"', HOURS),
)  # fmt: skip


def _read_gate(bench: Workbench) -> object:
    return gates.parse(tomllib.loads((bench.repo / FILE).read_text()), "follow.churn.gate", FILE)


def _read_window(bench: Workbench) -> object:
    return window.parse(tomllib.loads((bench.repo / FILE).read_text()), "window", FILE)


def _register(case: Case, command: object) -> None:
    def arrange(bench: Workbench) -> None:
        write(bench, FILE, case.wrong)

    arrange.__name__ = f"a_host_file_with_{case.name}"
    by = edit(FILE, case.wrong, case.right)
    trial(*case.hints, command=command, does=case.does, by=by)(arrange)


for each in GATES:
    _register(each, _read_gate)
for each in WINDOWS:
    _register(each, _read_window)
