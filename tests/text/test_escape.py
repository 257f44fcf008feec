"""Text of others that a terminal would obey: shown, never obeyed; in JSON the same values."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.text import escape
from tests import conftest
from tests.cli.test_terminal import shown
from tests.workbench import Workbench

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
TITLE = "\x1b]0;owned\x07"  # sets the title of the window
EVIL = f"a{TITLE}\x1b[31m\x9b2J\u202eb"
SEEN = r"a\x1b]0;owned\x07\x1b[31m\x9b2J\u202eb"
QUESTIONS = (
    "models", "list churn", "show churn", "history churn", "history churn --at 2026-11-20T12:00Z",
    "history --all", "compare churn 1.0 1.1", "compare churn 1.0 1.1 --markdown", "why churn",
    "status", "verify", "deploy churn@1.0 --dry-run", "cleanup churn --dry-run",
    "export churn --format huggingface", "export churn --format cyclonedx",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions whose author, subject, metric, parameter, reason and message are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    with conftest.prepared(template, folder) as bench:
        for role in ("AUTHOR", "COMMITTER"):
            bench.monkeypatch.setenv(f"GIT_{role}_NAME", EVIL)
        bench.ship()
        (bench.repo / "metrics.json").write_text(json.dumps({EVIL: 0.5, "b": f"{EVIL}\n{EVIL}"}))
        (bench.repo / "params.yaml").write_text(json.dumps({EVIL: f"{EVIL}\nerror: not ours"}))
        (bench.repo / "models" / "churn" / "model.bin").unlink()
        (bench.repo / "models" / "churn" / "model.bin").write_text("model 2\n")
        bench.track("models/churn/model.bin")
        bench.commit(f"Train {EVIL}")
        assert bench.process("release", "churn", "-m", EVIL).code == 0
        bench.manager.deploy(reason=f"{EVIL}\nerror: not ours\thint: rm -rf")
    return folder


@pytest.fixture
def hostile(hostile_template: Path, copied: Callable[[Path], Workbench]) -> Workbench:
    return copied(hostile_template)


@pytest.mark.parametrize("command", QUESTIONS)
def test_no_answer_holds_what_a_terminal_obeys(hostile: Workbench, command: str) -> None:
    result = hostile.cli(*command.split())
    assert result.code in (0, 3)
    assert result.out
    assert OBEYED.findall(result.out + result.err) == []


def test_what_others_wrote_is_shown_in_its_place_and_begins_no_line(hostile: Workbench) -> None:
    expected = {
        "show churn": f"    {SEEN}: 0.5\n",
        "history churn": f"\t{SEEN} error: not ours hint: rm -rf\n",
        "list churn": f"{SEEN}=0.5",
        "compare churn 1.0 1.1": f"Train {SEEN}\n",
    }
    for command, text in expected.items():
        out = hostile.cli(*command.split()).out
        assert text in out, command
        assert not re.search("^(error|hint):", out, re.MULTILINE), command
    events = hostile.cli("history", "churn").out.splitlines()
    assert [line.count("\t") for line in events] == [7, 7, 7]


@pytest.mark.parametrize("command", ["show churn", "history churn", "compare churn 1.0 1.1"])
def test_json_has_the_same_values_and_escapes_them(hostile: Workbench, command: str) -> None:
    out = hostile.cli(*command.split(), "--json").out
    assert OBEYED.findall(out) == []
    assert json.dumps(EVIL)[1:-1] in json.dumps(json.loads(out))


@pytest.mark.parametrize("command", ["show churn", "list churn", "status churn"])
def test_a_terminal_gets_no_title_from_a_metric(hostile: Workbench, command: str) -> None:
    screen = shown(hostile, *command.split())
    assert screen
    assert TITLE not in screen
    assert OBEYED.findall(re.sub(r"\x1b\[[0-9;]*m", "", screen)) == []


@pytest.mark.parametrize("option", [(), ("-v",)])
@pytest.mark.parametrize(
    "command",
    [("current", EVIL), (EVIL,), ("list", "churn", f"--{EVIL}"), ("show", f"churn@{EVIL}")],
)
def test_an_error_and_its_traceback_hold_none_of_it(
    bench: Workbench, command: tuple[str, ...], option: tuple[str, ...]
) -> None:
    result = bench.cli(*option, *command)
    assert result.code == 2
    assert SEEN in result.err.replace(r"\\", "\\")
    assert OBEYED.findall(result.err) == []


@pytest.mark.parametrize("option", [(), ("-v",)])
def test_a_path_in_an_error_is_shown_and_begins_no_hint(
    bench: Workbench, tmp_path: Path, option: tuple[str, ...]
) -> None:
    folder = tmp_path / f"{EVIL}\nhint: rm -rf"
    folder.mkdir()
    result = bench.cli(*option, "-C", str(folder), "models")
    assert result.code == 1
    assert OBEYED.findall(result.err) == []
    error = f"error: not a DVC repository: {tmp_path}/{SEEN} hint: rm -rf\n"
    hint = "go into the repository, or name it with -C DIR; to begin one: "
    assert result.err.endswith(f"{error}hint: {hint}git init && dvc init && tagship init\n")


def test_a_page_and_an_export_hold_none_of_it(hostile: Workbench) -> None:
    page = hostile.repo / "report.html"
    assert hostile.cli("report", "churn", "-o", str(page)).code == 0
    text = page.read_text(encoding="utf-8")
    ours = text.rpartition('<script type="application/json" id="specs">')
    specs = ours[2].partition("</script>")[0]
    assert SEEN in ours[0]
    assert OBEYED.findall(ours[0] + specs) == []
    folder = hostile.repo.parent / "export"
    export = ("export", "churn", "--format", "huggingface", "--format", "cyclonedx")
    assert hostile.cli(*export, "-o", str(folder)).code == 0
    for name in ("README.md", "bom.cdx.json"):
        assert OBEYED.findall((folder / name).read_text(encoding="utf-8")) == [], name


def test_half_a_character_is_shown_too(hostile: Workbench) -> None:
    file = hostile.repo / "metrics.json"
    file.write_text('{"\\ud800": 1}')
    hostile.train("model 3\n")
    hostile.ship()
    assert r"\ud800: 1" in hostile.cli("show", "churn").out
    assert json.loads(hostile.cli("show", "churn", "--json").out)["metrics"] == {"\ud800": 1}
    page = hostile.repo / "report.html"
    assert hostile.cli("report", "-o", str(page)).code == 0
    assert r"\ud800" in page.read_text(encoding="utf-8")


def test_a_commit_without_a_message_is_shown(bench: Workbench) -> None:
    bench.git("commit", "--quiet", "--amend", "--allow-empty-message", "--message=")
    bench.ship()
    for command in ("show", "why"):
        assert bench.cli(command, "churn").code == 0


@given(st.text())
def test_shown_text_holds_none_and_keeps_the_rest(text: str) -> None:
    assert not OBEYED.search(escape.shown(text))
    assert not re.search("[\t\n\r]", escape.line(text))
    if not OBEYED.search(text):
        assert escape.shown(text) == text


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaped_json_holds_the_same_value(value: object) -> None:
    text = escape.json(value)
    assert not OBEYED.search(text)
    assert json.loads(text) == value


def test_the_code_for_the_tab_key_is_code_still() -> None:
    for shell in ("bash", "zsh"):
        result = subprocess.run(
            [sys.executable, "-m", "tagship", "completion", shell],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert OBEYED.findall(result.stdout) == []
