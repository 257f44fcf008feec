"""What the repository declares: models in dvc.yaml, settings in params.yaml."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Corrupt, NotFound, Refused, TagshipError
from tagship.host import project as host_project
from tagship.host import settings as host_settings
from tagship.registry import artifacts, settings
from tagship.registry.artifacts import Artifact
from tagship.registry.settings import Settings
from tagship.text import safe_yaml, yaml
from tests.workbench import Workbench

MEND = "fix dvc.yaml and commit it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("a: 1\n", {"a": 1}),
        ("\N{ZERO WIDTH NO-BREAK SPACE}a: é\n", {"a": "é"}),
        ("a: no\nb: 010\nc: 1e3\n", {"a": "no", "b": 10, "c": 1000.0}),
    ],
    ids=["empty", "a comment", "a mapping", "a byte order mark", "YAML 1.2, as DVC has it"],
)
def test_a_yaml_mapping_is_read(text: str, value: dict[str, Any]) -> None:
    assert yaml.parse(text.encode(), "dvc.yaml") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"a: 1\nb: [1\n", "dvc.yaml is not valid YAML, line 3", id="unfinished"),
        pytest.param(b"a: 1\na: 2\n", "dvc.yaml is not valid YAML, line 2", id="twice"),
        pytest.param(b"a: {{ b }}\n", "dvc.yaml is not valid YAML, line 1", id="a template"),
        pytest.param(
            b"a: !!python/name:os.system\n", "dvc.yaml is not valid YAML, line 1", id="code"
        ),
        pytest.param(b"a: \x00\n", "dvc.yaml is not valid YAML", id="NUL"),
        pytest.param(
            b"a: 2026-13-45\n", "dvc.yaml is not valid YAML, month must be in 1..12", id="no date"
        ),
        pytest.param(b"a: !!bool perhaps\n", "dvc.yaml is not valid YAML", id="no truth"),
        pytest.param(
            b"[" * 1000, "dvc.yaml is not valid YAML, it is nested too deeply", id="too deep"
        ),
        pytest.param(b"- a\n", "dvc.yaml is not a YAML mapping", id="a list"),
        pytest.param(b"a\n", "dvc.yaml is not a YAML mapping", id="a text"),
    ],
)
def test_any_other_yaml_is_refused_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(Corrupt) as caught:
        yaml.parse(data, "dvc.yaml")
    assert (caught.value.message, caught.value.hint) == (message, MEND)


def test_bytes_that_are_no_utf8_are_named() -> None:
    with pytest.raises(Corrupt) as caught:
        yaml.parse(b"a: 1\nb: \xff\n", "dvc.yaml")
    assert caught.value.message == "dvc.yaml is not UTF-8: byte 0xff in line 2"
    assert caught.value.hint == "save dvc.yaml as UTF-8, then commit it"


yaml_pieces = st.sampled_from([
    "artifacts: ", "tagship: ", "deploy: ", "path: ", "m", ": ", "- ", "? ", "\n", "  ", "{", "}",
    "[", "]", "'",
    "&x ", "*x", "!!", "<<", "|", "---\n", "\t", "1", "~", ".inf", "labels: ", "meta: ", "desc: ",
])  # fmt: skip


@given(st.lists(yaml_pieces, max_size=10).map("".join))
def test_whatever_the_text_it_is_read_or_refused(text: str) -> None:
    for read in (artifacts.parse, settings.parse):
        try:
            read(text.encode())
        except TagshipError as error:
            assert "\n" not in error.message


def test_all_that_is_declared_of_a_model_is_read() -> None:
    text = b"""
artifacts:
  churn:
    path: ./models//churn/
    type: model
    desc: who leaves
    labels: [tree, 1]
    meta: {self_test: models/churn.json, team: x}
  plain:
    path: plain.bin
"""
    assert artifacts.parse(text) == {
        "churn": Artifact(
            "churn", "models/churn", "models/churn.json", "who leaves", ("tree", "1")
        ),
        "plain": Artifact("plain", "plain.bin"),
    }
    assert artifacts.parse(text)["churn"].paths == ("models/churn", "models/churn.json")
    assert artifacts.parse(text)["plain"].paths == ("plain.bin",)


def test_paths_and_names_in_a_folder_are_told_from_the_top() -> None:
    text = b"artifacts: {m: {path: ../shared/m.bin, meta: {self_test: t.json}}}"
    assert artifacts.parse(text, "sub/x") == {
        "sub/x:m": Artifact("sub/x:m", "sub/shared/m.bin", "sub/x/t.json")
    }
    assert artifacts.pipeline_of("sub/x:m") == ("sub/x", "sub/x/dvc.yaml")
    assert artifacts.pipeline_of("m") == ("", "dvc.yaml")


@pytest.mark.parametrize(
    "text", [b"", b"stages: {}", b"artifacts:", b"artifacts: {}"], ids=bytes.decode
)
def test_a_pipeline_may_declare_no_model(text: bytes) -> None:
    assert artifacts.parse(text) == {}


PATH_HINT = "add path: FILE to it in dvc.yaml, and commit"
NO_PATH = "artifacts: m in dvc.yaml: {!r} is not a path in the repository"


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ("", "artifacts: m in dvc.yaml has no path", PATH_HINT),
        ("{type: model}", "artifacts: m in dvc.yaml has no path", PATH_HINT),
        ("{path: 1}", "artifacts: m in dvc.yaml has no path", PATH_HINT),
        ("[path]", "artifacts: m in dvc.yaml has no path", PATH_HINT),
        (
            "{path: a, meta: {self_test: 1}}",
            "artifacts: m in dvc.yaml: self_test is not a path",
            "write self_test: FILE in dvc.yaml, and commit",
        ),
        (
            "{path: a, labels: 1}",
            "artifacts: m in dvc.yaml: labels is not a list",
            "write labels: [LABEL] in dvc.yaml, and commit",
        ),
        (
            "{path: a, labels: tree}",
            "artifacts: m in dvc.yaml: labels is not a list",
            "write labels: [LABEL] in dvc.yaml, and commit",
        ),
        (
            "{path: '${a}/m'}",
            "'${a}/m' is a template",
            "write the path of m out in dvc.yaml",
        ),
        (
            "{path: a, meta: {self_test: '${a}'}}",
            "'${a}' is a template",
            "write the path of m out in dvc.yaml",
        ),
        ("{path: ''}", NO_PATH.format(""), MEND),
        ("{path: ../m}", NO_PATH.format("../m"), MEND),
        ("{path: a/../../m}", NO_PATH.format("a/../../m"), MEND),
        ("{path: /m}", NO_PATH.format("/m"), MEND),
        ("{path: .dvc/config}", NO_PATH.format(".dvc/config"), MEND),
        (
            "{path: a, meta: {self_test: ../t}}",
            NO_PATH.format("../t"),
            MEND,
        ),
    ],
)
def test_a_model_that_is_not_declared_as_dvc_has_it_is_refused(
    entry: str, message: str, hint: str
) -> None:
    with pytest.raises(Corrupt) as caught:
        artifacts.parse(f"artifacts:\n  m: {entry}\n".encode())
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_artifacts_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(Corrupt) as caught:
        artifacts.parse(b"artifacts: [m]", "sub")
    assert caught.value.message == "artifacts: in sub/dvc.yaml is not a mapping"
    assert caught.value.hint == "fix sub/dvc.yaml and commit it"


def test_a_name_that_gto_could_not_read_hinders_no_other_model() -> None:
    models = artifacts.parse(b"artifacts:\n  m.x: {path: a}\n  wine: {path: b}\n")
    assert list(models) == ["wine"]


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["dl_model", "ml_model"], "did you mean dl_model?"),
        (["churn", "ads"], "there are: ads, churn"),
        ([], "declare it, and commit dvc.yaml: tagship init --model NAME --path PATH"),
    ],
    ids=["a near miss", "others", "none"],
)
def test_an_unknown_model_is_told_with_what_helps(known: list[str], hint: str) -> None:
    error = artifacts.unknown_model("dl_modle", {name: Artifact(name, "m") for name in known})
    assert (error.message, error.hint) == ("there is no model dl_modle", hint)


@pytest.mark.parametrize(
    "text", [b"", b"train: {depth: 4}", b"tagship:", b"tagship: {}"], ids=bytes.decode
)
def test_settings_have_defaults(text: bytes) -> None:
    assert settings.parse(text) == Settings(
        root="models",
        keep=5,
        auto_cleanup=True,
        smoke_test=True,
        smoke_timeout=300.0,
        after_switch="files",
        git_remote=None,
        dvc_remote=None,
        fetch_limit="100 GB",
        demo={},
        min_free=0,
    )


def test_every_setting_can_be_given() -> None:
    text = b"""
tagship:
  root: srv/models
  keep: 1
  auto_cleanup: false
  smoke_test: false
  smoke_timeout: 0.5
  after_switch: self_test
  git_remote: upstream
  dvc_remote: store
  fetch_limit: 2.5 GB
  demo: {train.depth: 5}
  better: {latency_ms: lower, size: neither}
  min_free: 5GB
"""
    assert settings.parse(text) == Settings(
        "srv/models", 1, False, False, 0.5, "self_test", "upstream", "store", "2.5 GB",
        {"train.depth": 5},
        {"latency_ms": "lower", "size": "neither"},
        "5GB",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("keeep", "did you mean keep?"),
        ("smoke-test", "did you mean smoke_test?"),
        (
            "5",
            "there are: root, keep, auto_cleanup, smoke_test, smoke_timeout, after_switch,"
            " git_remote, dvc_remote, fetch_limit, demo, better, min_free, rollout, capsule",
        ),
    ],
)
def test_an_unknown_setting_is_told_with_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        settings.parse(f"tagship: {{'{key}': 1}}".encode())
    assert caught.value.message == f"tagship: in params.yaml has an unknown key '{key}'"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("root: 1", "1"),
        ("root: ''", "''"),
        ("root: null", "null"),
        ("keep: 0", "0"),
        ("keep: 1.5", "1.5"),
        ("keep: true", "true"),
        ("keep: '5'", "'5'"),
        ("auto_cleanup: 1", "1"),
        ("smoke_test: 'no'", "'no'"),
        ("smoke_timeout: 0", "0"),
        ("fetch_limit: 0", "0"),
        ("fetch_limit: 0 GB", "'0 GB'"),
        ("fetch_limit: 5 gigabytes", "'5 gigabytes'"),
        ("min_free: -1", "-1"),
        ("min_free: true", "true"),
        ("min_free: 5 gigabytes", "'5 gigabytes'"),
        ("smoke_timeout: -1", "-1"),
        ("smoke_timeout: true", "true"),
        ("smoke_timeout: .nan", "nan"),
        ("smoke_timeout: .inf", "inf"),
        ("after_switch: none", "'none'"),
        ("after_switch: [files]", "['files']"),
        ("git_remote: 1", "1"),
        ("dvc_remote: [store]", "['store']"),
        ("demo: [train.depth]", "['train.depth']"),
        ("better: [loss]", "['loss']"),
        ("better: {loss: up}", "{'loss': 'up'}"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(setting: str, value: str) -> None:
    with pytest.raises(Refused) as caught:
        settings.parse(f"tagship: {{{setting}}}".encode())
    key = setting.partition(":")[0]
    assert caught.value.message == f"tagship.{key} in params.yaml may not be {value}"
    assert caught.value.hint == "see docs/settings.md"


@pytest.mark.parametrize(
    ("text", "free"), [("0", 0), ("5GB", 5 * 10**9), ("1.5 MB", 1_500_000), ("4096", 4096)]
)
def test_what_stays_free_is_a_number_of_bytes_or_a_size(text: str, free: int) -> None:
    given = settings.parse(f"tagship: {{min_free: {text}}}".encode())
    assert given.min_free_bytes == free


@pytest.mark.parametrize("root", ["..", "a/../..", "/srv/models", ".", ".git/models", "a\\b"])
def test_a_root_that_leaves_the_repository_is_refused(root: str) -> None:
    with pytest.raises(Refused) as caught:
        settings.parse(f"tagship: {{root: '{root}'}}".encode())
    assert caught.value.message == f"tagship.root in params.yaml may not be {root!r}"


def test_settings_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        settings.parse(b"tagship: [keep]")
    assert caught.value.message == "tagship: in params.yaml is not a mapping"
    assert caught.value.hint == "fix params.yaml"


def test_the_settings_are_those_in_the_work_tree_or_the_defaults(tmp_path: Path) -> None:
    assert host_settings.read(tmp_path) == Settings()
    (tmp_path / "params.yaml").write_text("tagship: {keep: 2}\n")
    assert host_settings.read(tmp_path) == Settings(keep=2)


def test_the_project_is_the_nearest_dvc_repository_and_the_top_the_nearest_of_git(
    tmp_path: Path,
) -> None:
    project, below = tmp_path / "repo" / "sub", tmp_path / "repo" / "sub" / "a" / "b"
    below.mkdir(parents=True)
    (project / ".dvc").mkdir()
    assert host_project.find_top(project) == project
    (tmp_path / "repo" / ".git").write_text("gitdir: elsewhere")
    assert host_settings.require_project(below) == project
    assert host_settings.require_project(project) == project
    assert host_project.find_top(project) == tmp_path / "repo"
    with pytest.raises(NotFound) as caught:
        host_settings.require_project(tmp_path / "repo")
    assert caught.value.message == f"not a DVC repository: {tmp_path / 'repo'}"
    assert caught.value.hint == "dvc init && tagship init"


# --- aliases

LEVELS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 11))
MERGES = "\n".join(
    f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]\n  k{i}: 1" for i in range(1, 11)
)
TOO_MUCH = f"its aliases stand for more than {safe_yaml.MOST_VALUES:,} values"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"a0: &a0 [x]\n{LEVELS}\n", TOO_MUCH),
        (f"a0: &a0 {{x: 1}}\n{MERGES}\n", TOO_MUCH),
        ("a: &a\n  b: *a\n", "an alias in it holds itself"),
        ("a: &a [[*a]]\n", "an alias in it holds itself"),
    ],
    ids=["lists", "merges", "itself", "itself in a list"],
)
def test_aliases_that_stand_for_too_much_are_refused(text: str, why: str) -> None:
    with pytest.raises(Corrupt) as caught:
        yaml.parse(text.encode(), "params.yaml")
    assert caught.value.message == f"params.yaml is not valid YAML, {why}"
    assert caught.value.hint == "fix params.yaml and commit it"


def test_aliases_of_people_are_read() -> None:
    text = (
        b"base: &base {depth: 4, rate: 0.1}\n"
        b"train:\n  <<: *base\n  depth: 6\n"
        b"others: [*base, *base]\n"
    )
    base = {"depth": 4, "rate": 0.1}
    assert yaml.parse(text, "params.yaml") == {
        "base": base, "train": {"depth": 6, "rate": 0.1}, "others": [base, base]
    }  # fmt: skip


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml", "dvc.lock"])
def test_no_command_hangs_on_aliases(bench: Workbench, file: str) -> None:
    """In a minute of processor time, and a gigabyte."""
    (bench.repo / file).write_text(f"a0: &a0 [x]\n{LEVELS}\n")
    bench.commit()
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from tagship.cli.main import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "release", "churn"],
        cwd=bench.repo, capture_output=True, text=True, check=False,
    )  # fmt: skip
    error = f"error: {file} is not valid YAML, {TOO_MUCH}\nhint: fix {file} and commit it\n"
    assert (result.returncode, result.stderr) == (1, error)
