"""Which section of params.yaml has the settings: ``tagship:``, or ``deploy:``, its name before."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.errors import Refused
from tagship.host import live, project
from tagship.manager.workspace import Workspace
from tagship.registry import settings
from tagship.registry.settings import Settings
from tests.workbench import MODEL, Result, Workbench

NOTE = "the section deploy: in params.yaml is now tagship: rename it"
UNREAD = (
    "deploy: in params.yaml is not read, since region is not a setting of tagship;"
    " settings go under tagship:"
)
BOTH = "tagship: and deploy: in params.yaml both have settings of tagship"
MOVE = "move all of them to tagship:, and remove deploy:"


@pytest.mark.parametrize(
    ("text", "expected", "notes"),
    [
        ("tagship: {keep: 2}", Settings(keep=2), []),
        ("deploy: {keep: 2}", Settings(keep=2), [NOTE]),
        ("deploy: {keep: 2, root: served}", Settings("served", 2), [NOTE]),
        ("tagship:\ndeploy: {keep: 2}", Settings(keep=2), [NOTE]),
        ("tagship: {}\ndeploy: {keep: 2}", Settings(keep=2), [NOTE]),
        ("deploy: {region: eu-west-1}", Settings(), []),
        ("deploy: {keep: 2, region: eu-west-1}", Settings(), [UNREAD]),
        ("tagship:\ndeploy: {region: eu-west-1, keep: 2}", Settings(), [UNREAD]),
        (
            "deploy: {keep: 2, region: eu-west-1, 1: x}",
            Settings(),
            [UNREAD.replace("region is not a setting", "region, 1 are not settings")],
        ),
        ("deploy: {}", Settings(), []),
        ("deploy:", Settings(), []),
        ("deploy: production", Settings(), []),
        ("deploy: [keep]", Settings(), []),
        ("tagship: {keep: 2}\ndeploy: {keep: 3, region: eu-west-1}", Settings(keep=2), []),
        ("tagship: {keep: 2}\ndeploy: [root]", Settings(keep=2), []),
    ],
)  # fmt: skip
def test_a_section_counts_where_all_of_it_is_ours(
    text: str, expected: Settings, notes: list[str]
) -> None:
    said: list[str] = []
    assert settings.parse(text.encode(), said.append) == expected
    assert said == notes


@pytest.mark.parametrize(
    "text",
    [
        "tagship: {keep: 2}\ndeploy: {keep: 2}",
        "tagship: {keep: 2}\ndeploy: {root: served}",
        "tagship: {keeep: 2}\ndeploy: {keep: 2}",
    ],
)
def test_settings_in_both_sections_are_an_error(text: str) -> None:
    with pytest.raises(Refused) as caught:
        settings.parse(text.encode())
    assert (caught.value.message, caught.value.hint) == (BOTH, MOVE)


def test_a_wrong_value_is_told_with_the_section_that_it_stands_in() -> None:
    with pytest.raises(Refused, match=r"^deploy\.keep in params\.yaml may not be 0\b"):
        settings.parse(b"deploy: {keep: 0}")


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("tagship: {root: served}", "served"),
        ("tagship: {root: served, keeep: 1}", "served"),
        ("deploy: {root: served}", "served"),
        ("deploy: {root: served, region: x}", "models"),
        ("deploy: [root]", "models"),
        ("tagship: [root]", "models"),
        ("tagship: {root: served}\ndeploy: {root: elsewhere, region: x}", "served"),
        ("tagship: {root: served}\ndeploy: {root: served}", "served"),
        ("tagship: {keep: 1}\ndeploy: {smoke_test: true} # root", "models"),
    ],
)
def test_current_and_load_read_the_root_by_the_same_rule(
    text: str, root: str, shipped: Workbench
) -> None:
    (shipped.repo / "params.yaml").write_text(text)
    if root != "models":
        (shipped.repo / "models").rename(shipped.repo / root)
    assert live.store(MODEL, shipped.repo).folder == shipped.repo / root / MODEL
    assert shipped.cli("current", MODEL) == Result(0, "1.1.0\n", "")
    glance = project.glance(MODEL, shipped.repo)
    assert glance is None or glance == live.current(MODEL, shipped.repo)


def test_two_roots_are_an_error_for_current_too(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("tagship: {root: served}\ndeploy: {root: models}\n")
    shipped.refuses("current churn", BOTH, MOVE)


def test_the_tab_key_finds_the_models_of_either_section(shipped: Workbench) -> None:
    from tagship.cli import complete

    (shipped.repo / "models").rename(shipped.repo / "served")
    (shipped.repo / "dvc.yaml").write_text("{}\n")
    for name in ("tagship", "deploy"):
        (shipped.repo / "params.yaml").write_text(f"{name}: {{root: served}}\n")
        assert complete.models(shipped.repo) == [MODEL]


@pytest.mark.parametrize("command", ["models", "status", "list churn", "cleanup churn --yes"])
def test_the_note_is_printed_once(command: str, shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("deploy: {keep: 3}\n")
    result = shipped.cli(*command.split())
    assert (result.code, result.err) == (0, f"note: {NOTE}\n")
    (shipped.repo / "params.yaml").write_text("deploy: {keep: 3, region: eu-west-1}\n")
    result = shipped.cli(*command.split())
    assert (result.code, result.err) == (0, f"note: {UNREAD}\n")


def test_a_section_of_the_users_own_is_passed_over_by_every_command(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("train: {depth: 4}\ndeploy: {region: eu-west-1}\n")
    shipped.commit()
    assert shipped.cli("status") == Result(0, "churn: in order, live 1.1.0, latest 1.1.0\n", "")
    shipped.train("model 3\n")
    assert shipped.cli("release", "churn", "--deploy").code == 0
    own = {"train": {"depth": 4}, "deploy": {"region": "eu-west-1"}}
    assert shipped.manager.show().params == own


@pytest.mark.parametrize("section", ["tagship", "deploy"])
def test_settings_are_no_parameters_of_a_model(section: str, bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text(f"train: {{depth: 4}}\n{section}: {{keep: 3}}\n")
    bench.commit()
    bench.release()
    assert bench.manager.show().params == {"train": {"depth": 4}}


def test_a_merge_in_the_section_of_before_is_read_as_it_was(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text(
        "deploy:\n<<<<<<< HEAD\n  keep: 3\n=======\n  keep: 4\n>>>>>>> other\n"
    )
    result = shipped.cli("list", "churn")
    merging, renamed = result.err.splitlines()
    assert (result.code, renamed) == (0, f"note: {NOTE}")
    assert "read as before the merge" in merging


LATIN = "tagship:\n  keep: 4\nwho: café\n".encode("latin-1")
NOT_UTF8 = "params.yaml is not UTF-8: byte 0xe9 in line 3"


@pytest.mark.parametrize("command", ["list churn", "status", "history churn", "verify", "models"])
def test_questions_are_answered_though_the_settings_are_of_another_encoding(
    shipped: Workbench, command: str
) -> None:
    answer = shipped.cli(*command.split())
    (shipped.repo / "params.yaml").write_bytes(LATIN)
    note = f"note: {NOT_UTF8}: read without it; nothing can be released or deployed\n"
    assert shipped.cli(*command.split()) == Result(answer.code, answer.out, note + answer.err)


@pytest.mark.parametrize("command", ["release churn", "deploy churn --yes", "hold churn"])
def test_such_settings_stop_every_change(shipped: Workbench, command: str) -> None:
    (shipped.repo / "params.yaml").write_bytes(LATIN)
    shipped.refuses(command, NOT_UTF8, "save params.yaml as UTF-8, then commit it")


def test_settings_in_utf16_are_called_that_by_who_reads_too(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_bytes("keep: 1\n".encode("utf-16"))
    hint = "save params.yaml as UTF-8, then commit it"
    shipped.refuses("status", "params.yaml is not UTF-8: byte 0xff in line 1", hint)


def test_the_tree_in_the_page_is_what_deploys_make(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text("tagship:\n  root: api/models\n")
    top = bench.repo / "api" / "models"
    names, declared = ("ml_model", "dl_model"), "artifacts:\n"
    for name in names:
        (top / name).mkdir(parents=True)
        (top / name / "model.bin").write_text(name)
        bench.track(f"api/models/{name}/model.bin")
        declared += f"  {name}:\n    path: api/models/{name}/model.bin\n"
    (bench.repo / "dvc.yaml").write_text(declared)
    assert Workspace(bench.repo).init().written == (".gitignore", ".dvcignore")
    bench.commit("Train two models")
    for name in names:
        assert bench.cli("release", name, "--deploy").code == 0
    (top / "dl_model" / "model.bin").unlink()
    (top / "dl_model" / "model.bin").write_text("another")
    bench.track("api/models/dl_model/model.bin")
    bench.commit("Train another model")
    assert bench.cli("release", "dl_model", "--deploy").code == 0
    assert bench.git("status", "--porcelain", "--untracked-files=all") == ""
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    (tree,) = re.findall(r"```text\n(api/models/\n.*?)```", page, re.DOTALL)
    shown = re.sub(r"\d{8}_\d{6}", "ID", tree).splitlines()
    assert ["api/models/", *_tree(top)] == shown


def _tree(folder: Path, indent: str = "") -> Iterator[str]:
    """What deploys make below a folder, drawn."""
    paths = sorted(
        path for path in folder.iterdir() if not path.name.startswith((".", "model.bin"))
    )
    for path in paths:
        last = path == paths[-1]
        name = re.sub(r"\d{8}_\d{6}", "ID", path.name)
        if path.is_symlink():
            name += " -> " + re.sub(r"\d{8}_\d{6}", "ID", str(path.readlink()))
        elif path.is_dir():
            name += "/"
        yield f"{indent}{'└' if last else '├'}── {name}"
        if name.endswith("/") and "_ID" not in name:
            yield from _tree(path, indent + ("    " if last else "│   "))


def test_a_sub_folder_has_no_settings_of_its_own(tmp_path: Path) -> None:
    """``root`` is of the DVC repository that a folder is in, as ever."""
    for name in ("sub", "sub/.dvc"):
        (tmp_path / name).mkdir()
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_text("tagship: {root: served}\n")
    assert live.store(MODEL, tmp_path / "sub").folder == tmp_path / "sub" / "models" / MODEL
