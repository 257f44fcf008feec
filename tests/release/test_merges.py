"""A merge that is not finished is told as such, and no hint commits its markers."""

from pathlib import Path

import pytest

from tagship import Corrupt, Refused
from tagship.text import conflicts
from tests.conftest import prepared
from tests.workbench import MODEL, PATH, Workbench, commit

POINTER = f"{PATH}.dvc"
PIPELINE = """\
stages:
  train:
    cmd: sh train.sh
    deps: [train.sh, data.txt]
    params: [depth]
    outs: [out.bin]
    metrics: [score.json: {cache: false}]
artifacts:
  churn:
    path: out.bin
"""


def variant(bench: Workbench, text: str) -> None:
    """The same files with other words: both sides of a merge change the same lines."""
    (bench.repo / "train.sh").write_text(
        f"cat data.txt > out.bin; wc -c < data.txt > score.json # {text}\n"
    )
    (bench.repo / "data.txt").write_text(f"{text}\n")
    (bench.repo / "params.yaml").write_text(f"depth: {len(text)} # {text}\n")
    (bench.repo / "notes.md").write_text(f"{text}\n")
    bench.dvc("repro", "--quiet")
    commit(bench.repo, text)


@pytest.fixture(scope="session")
def forked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.0.0 is live; ``main`` and ``other`` have each trained another model since."""
    folder = tmp_path_factory.mktemp("forked")
    with prepared(template, folder) as bench:
        (bench.repo / "dvc.yaml").write_text(PIPELINE)
        variant(bench, "one")
        bench.manager.release()
        bench.manager.deploy()
        bench.git("switch", "--quiet", "--create", "other")
        variant(bench, "the other side")
        bench.git("switch", "--quiet", "main")
        variant(bench, "this side")
    return folder


@pytest.fixture
def bench(forked: Path, copied: object) -> Workbench:
    return copied(forked)  # type: ignore[operator, no-any-return] # the fixture of conftest.py


def clash(bench: Workbench, *command: str, keep: tuple[str, ...] = ()) -> None:
    """Run a command of Git that ends in conflicts; of these only those of ``keep`` stay."""
    with pytest.raises(AssertionError, match="CONFLICT"):
        bench.git(*command)
    if keep:
        for path in bench.git("diff", "--name-only", "--diff-filter=U").split():
            if path not in keep:
                bench.git("checkout", "--quiet", "--ours", path)
                bench.git("add", path)


def gives_no_command_to_commit(hint: str, name: str) -> None:
    assert f"git add {name}" not in hint
    assert "git commit -" not in hint


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("dvc.lock", "git checkout --ours dvc.lock (or --theirs), run dvc repro"),
        ("params.yaml", "edit params.yaml"),
        ("train.sh", "edit train.sh"),
        ("data.txt", "edit data.txt"),
    ],
)
def test_a_file_in_conflict_is_told_with_the_way_out(bench: Workbench, name: str, how: str) -> None:
    clash(bench, "merge", "other", keep=(name,))
    if name == "params.yaml":  # told by whoever reads the settings
        bench.refuses(
            "release churn",
            "params.yaml has conflict markers, line 1",
            "resolve it: choose one of the two sides, remove the markers, then commit",
        )
        return
    bench.refuses(
        "release churn",
        f"{name} is in conflict (a merge is under way)",
        f"{how}, git add what is resolved, then git commit; or give up: git merge --abort",
    )


@pytest.mark.parametrize(
    ("command", "words", "finish", "give_up"),
    [
        (("merge", "other"), "a merge", "git commit", "git merge --abort"),
        (("rebase", "other"), "a rebase", "git rebase --continue", "git rebase --abort"),
        (
            ("cherry-pick", "other"),
            "a cherry-pick", "git cherry-pick --continue", "git cherry-pick --abort",
        ),
        (
            ("revert", "--no-edit", "HEAD~1"),
            "a revert", "git revert --continue", "git revert --abort",
        ),
    ],
)  # fmt: skip
def test_what_is_under_way_is_named(
    bench: Workbench, command: tuple[str, ...], words: str, finish: str, give_up: str
) -> None:
    clash(bench, *command)
    (bench.repo / "params.yaml").write_text("depth: 1\n")  # resolved by hand, and not added yet
    with pytest.raises(Refused) as caught:
        bench.manager.release()
    assert caught.value.message.endswith(f"are in conflict ({words} is under way)")
    assert caught.value.hint.endswith(f", then {finish}; or give up: {give_up}")
    gives_no_command_to_commit(caught.value.hint, "dvc.lock")


def test_the_steps_out_of_a_merge_lead_to_a_release(bench: Workbench) -> None:
    """``dvc repro`` runs only after dvc.lock has no markers, and writes the metrics again."""
    clash(bench, "merge", "other", keep=("data.txt", "dvc.lock", "score.json", "train.sh"))
    bench.refuses(
        "release churn",
        "data.txt, dvc.lock, score.json and more are in conflict (a merge is under way)",
        "edit data.txt train.sh, git checkout --ours dvc.lock score.json (or --theirs),"
        " run dvc repro, git add what is resolved, then git commit;"
        " or give up: git merge --abort",
    )
    (bench.repo / "data.txt").write_text("both\n")
    (bench.repo / "train.sh").write_text("cat data.txt > out.bin; echo 5 > score.json\n")
    bench.git("checkout", "--ours", "dvc.lock", "score.json")
    bench.dvc("repro", "--quiet")
    bench.commit("Merge")
    assert str(bench.manager.release().version) == "1.1.0"


def test_a_stash_that_did_not_fit_is_told(bench: Workbench) -> None:
    (bench.repo / "train.sh").write_text("a stash\n")
    bench.git("stash", "push", "--quiet", "train.sh")
    (bench.repo / "train.sh").write_text("another\n")
    bench.commit()
    clash(bench, "stash", "pop")
    bench.refuses(
        "release churn",
        "train.sh is in conflict",
        "edit train.sh, git add what is resolved, then git commit; or give up: git reset --merge",
    )


def test_a_file_that_only_one_side_still_has_is_in_conflict_too(bench: Workbench) -> None:
    """Without any marker: the work tree has the whole file of the other side."""
    bench.git("rm", "--quiet", "--cached", "data.txt")
    bench.git("commit", "--quiet", "-m", "Do not keep the data")
    (bench.repo / "data.txt").unlink()
    clash(bench, "merge", "other", keep=("data.txt",))
    with pytest.raises(Refused, match=r"data\.txt is in conflict \(a merge is under way\)"):
        bench.manager.release()


def test_a_dvc_file_that_both_sides_added_is_in_conflict_and_not_uncommitted(
    bench: Workbench,
) -> None:
    for branch, text in (("other", "theirs"), ("main", "ours")):
        bench.git("switch", "--quiet", branch)
        (bench.repo / "new.bin").unlink(missing_ok=True)
        (bench.repo / "new.bin").write_text(text)
        bench.track("new.bin")
        (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: new.bin\n")
        (bench.repo / "dvc.lock").unlink()
        bench.commit("Take the model from elsewhere")
    clash(bench, "merge", "other", keep=("new.bin.dvc",))
    bench.refuses(
        "release churn",
        "new.bin.dvc is in conflict (a merge is under way)",
        "git checkout --ours new.bin.dvc (or --theirs), git add what is resolved, then git commit;"
        " or give up: git merge --abort",
    )


def test_a_conflict_in_what_no_model_needs_hinders_no_release(bench: Workbench) -> None:
    clash(bench, "merge", "other", keep=("notes.md",))
    bench.git("reset", "--quiet", "--hard", "HEAD")
    bench.git("switch", "--quiet", "--create", "notes", "HEAD~1")
    (bench.repo / "notes.md").write_text("more\n")
    bench.commit("More notes")
    bench.git("switch", "--quiet", "main")
    bench.dvc("checkout", "--quiet")
    clash(bench, "merge", "notes")
    assert bench.git("diff", "--name-only", "--diff-filter=U") == "notes.md\n"
    assert str(bench.manager.release().version) == "1.1.0"


def test_markers_that_were_added_are_told_and_not_committed(bench: Workbench) -> None:
    """``git add`` ends a conflict for Git, whatever the file holds; ``git reset`` too."""
    clash(bench, "merge", "other", keep=("dvc.lock",))
    bench.git("add", "dvc.lock")
    for command in (("status",), ("reset", "--quiet")):
        bench.git(*command)
        with pytest.raises(Corrupt, match=r"^dvc\.lock has conflict markers, line \d") as caught:
            bench.manager.release()
        gives_no_command_to_commit(caught.value.hint, "dvc.lock")


@pytest.mark.parametrize("name", ["dvc.lock", "train.sh", "dvc.yaml"])
def test_markers_that_were_committed_are_told_with_their_line(bench: Workbench, name: str) -> None:
    path = bench.repo / name
    text = path.read_text()
    path.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n")
    bench.commit("Oh")
    bench.refuses(
        "release churn",
        f"{name} has conflict markers, line 1",
        "resolve it: choose one of the two sides, "
        f"{'run dvc repro' if name == 'dvc.lock' else 'remove the markers'}, then commit",
    )


def test_an_output_that_is_added_by_hand_waits_for_the_merge(bench: Workbench) -> None:
    clash(bench, "merge", "other", keep=("dvc.lock",))
    before = bench.state()
    (bench.repo.parent / "mine.bin").write_text("mine")
    with pytest.raises(Refused, match="is in conflict"):
        bench.manager.deploy_model(bench.repo.parent / "mine.bin")
    assert {key for key in bench.changes(before) if key.startswith("repo/")} == set()


# --- settings and DVC's configuration in conflict

READERS = (
    "list churn", "show churn", "history churn", "verify churn", "status churn", "models",
    "history --all", "verify", "status",
)  # fmt: skip
SETTINGS = "tagship:\n<<<<<<< HEAD\n  keep: 3\n=======\n  keep: 4\n>>>>>>> other\n"
NOTE = (
    "note: params.yaml has conflict markers, line 2: read as before the merge; nothing can be"
    " released or deployed\n"
)


@pytest.mark.parametrize("command", READERS)
def test_questions_are_answered_while_the_settings_are_merged(
    shipped: Workbench, command: str
) -> None:
    answer = shipped.cli(*command.split())
    (shipped.repo / "params.yaml").write_text(SETTINGS)
    done = shipped.cli(*command.split())
    assert (done.code, done.out, done.err) == (answer.code, answer.out, NOTE + answer.err)


def test_settings_in_conflict_stop_every_change(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text(SETTINGS)
    for command in ("release churn", "deploy churn@1.0.0 --yes", "deploy churn@1.0.0 --dry-run",
                    "rollback churn --yes", "cleanup churn --yes", "pin churn@1.0.0",
                    "export churn --format mlflow -o x", "compare churn 1.0.0 1.1.0"):  # fmt: skip
        shipped.refuses(
            command,
            "params.yaml has conflict markers, line 2",
            "resolve it: choose one of the two sides, remove the markers, then commit",
        )


def test_a_folder_of_models_in_the_settings_is_found_in_spite_of_a_conflict(
    shipped: Workbench,
) -> None:
    """Else nothing would seem to be live."""
    (shipped.repo / "models").rename(shipped.repo / "deployed")
    (shipped.repo / "params.yaml").write_text(
        "tagship:\n  root: deployed\n<<<<<<< HEAD\n  keep: 3\n||||||| base\n  keep: 5\n"
        "=======\n  keep: 4\n>>>>>>> other\n"
    )
    assert shipped.cli("current", MODEL).out == "1.1.0\n"
    assert shipped.cli("list", MODEL).out.splitlines()[1].startswith("1.1.0\tlive\t")


def test_a_configuration_of_dvc_in_conflict_is_told_where_it_is_needed(
    shipped: Workbench,
) -> None:
    config = shipped.repo / ".dvc/config"
    text = config.read_text()
    answers = {command: shipped.cli(*command.split()) for command in READERS}
    config.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n")
    for command, answer in answers.items():
        assert shipped.cli(*command.split()) == answer
    shipped.refuses(
        "release churn --force",
        ".dvc/config has conflict markers, line 1",
        "resolve it: choose one of the two sides, remove the markers, then commit",
    )
    assert shipped.cli("rollback", "churn", "--yes").code == 0  # needs no byte of DVC's
    done = shipped.cli("deploy", "churn@1.1.0", "--yes", "--force")
    assert (done.code, done.err.splitlines()[0]) == (
        1, "error: .dvc/config has conflict markers, line 1",
    )  # fmt: skip


# --- the markers


@pytest.mark.parametrize(
    ("text", "number", "ours"),
    [
        (b"a\n<<<<<<< x\nb\n=======\nc\n>>>>>>> y\nd\n", 2, b"a\nb\nd\n"),
        (b"<<<<<<< x\nb\n||||||| z\no\n=======\nc\n>>>>>>> y\n", 1, b"b\n"),
        (b"<<<<<<< x\r\nb\r\n=======\r\nc\r\n>>>>>>> y\r\n", 1, b"b\r\n"),
        (b"<<<<<<<<<< x\nb\n==========\nc\n>>>>>>>>>> y\n", 1, b"b\n"),
        (b"Title\n=======\ntext\n", None, None),
        (b"<<<<<<< an arrow, and no end\n", None, None),
        (b"a: <<<<<<< b\n>>>>>>> c\n", None, None),
        (b">>>>>>> y\n<<<<<<< x\n", None, None),
        (b"a\n<<<<<<<x\n<<<<<<< y\nb\n=======\nc\n>>>>>>>", 3, b"a\n<<<<<<<x\nb"),
        (b"", None, None),
    ],
)
def test_markers_are_those_of_git(text: bytes, number: int | None, ours: bytes | None) -> None:
    assert conflicts.line(text) == number
    if ours is not None:
        assert conflicts.ours(text) == ours
