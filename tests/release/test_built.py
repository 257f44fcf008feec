"""A release is refused where DVC says that the commit did not build the model."""

import fcntl
import json
import os
import shutil

import pytest

from tagship import Refused
from tagship.cli import main
from tagship.errors import Locked
from tests.workbench import MODEL, PATH, Workbench, commit, dvc, run

PIPELINE = """\
stages:
  prepare:
    cmd: cat raw.txt > clean.txt
    deps: [raw.txt]
    outs: [clean.txt]
  train:
    cmd: cat clean.txt train.txt > out.bin
    deps: [clean.txt, train.txt]
    params: [train.depth]
    outs: [out.bin]
artifacts:
  churn: {path: out.bin, type: model}
"""
FORCE = "and commit all that you changed; or release it anyway with --force"


@pytest.fixture
def piped(bench: Workbench) -> Workbench:
    """A model of two stages: everything is reproduced and committed."""
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    (bench.repo / "raw.txt").write_text("a\n")
    (bench.repo / "train.txt").write_text("t\n")
    (bench.repo / "dvc.yaml").write_text(PIPELINE)
    bench.dvc("repro", "--quiet")
    bench.commit()
    return bench


def edit(bench: Workbench, name: str, old: str, new: str) -> None:
    text = (bench.repo / name).read_text()
    assert old in text
    (bench.repo / name).write_text(text.replace(old, new))


def refusal(bench: Workbench) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        bench.manager.release()
    assert bench.git("tag") == ""
    return caught.value.message, caught.value.hint


def test_every_stage_that_differs_is_named_with_what_differs(piped: Workbench) -> None:
    edit(piped, "raw.txt", "a", "b")
    edit(piped, "train.txt", "t", "u")
    edit(piped, "params.yaml", "depth: 4", "depth: 6")
    edit(piped, "dvc.yaml", "cat clean.txt", "cat -u clean.txt")
    piped.commit()
    assert refusal(piped) == (
        "churn was not built from this commit: dependency raw.txt of stage prepare differs from"
        " dvc.lock; the command, dependency train.txt, parameter `train.depth` of stage train"
        " differ from dvc.lock",
        f"dvc repro train, {FORCE}",
    )
    assert piped.cli("release", MODEL, "--force").code == 0


def test_the_command_of_the_hint_is_the_one_that_helps(piped: Workbench) -> None:
    edit(piped, "raw.txt", "a", "b")
    piped.commit()
    hint = refusal(piped)[1]
    assert hint == f"dvc repro train, {FORCE}"
    piped.dvc("repro", "train", "--quiet")
    piped.commit()
    assert piped.release() == "1.0.0"


def test_an_upstream_stage_that_never_ran_is_named(piped: Workbench) -> None:
    edit(piped, "dvc.yaml", "    deps: [raw.txt]", "    deps: [raw.txt, more.txt]")
    edit(
        piped, "dvc.yaml", "stages:\n",
        "stages:\n  more: {cmd: cp raw.txt more.txt, deps: [raw.txt], outs: [more.txt]}\n",
    )  # fmt: skip
    piped.commit()
    assert refusal(piped)[0].startswith(
        "churn was not built from this commit: stage more was never run"
    )


@pytest.mark.parametrize("name", ["raw.txt", "train.txt", "params.yaml"])
def test_an_input_that_was_reproduced_but_not_committed_is_refused(
    piped: Workbench, name: str
) -> None:
    """DVC compares the work tree: all is well there, but the commit lacks the input."""
    edit(piped, name, (piped.repo / name).read_text()[-2:], "0\n")
    piped.dvc("repro", "--quiet")
    piped.git("add", "dvc.lock", "dvc.yaml")
    piped.git("commit", "--quiet", "--message", "The lock alone")
    assert refusal(piped) == (
        f"{name} differs from the last commit",
        f'git add {name} && git commit -m "..."',
    )
    piped.commit()
    assert piped.release() == "1.0.0"


@pytest.mark.parametrize("place", ["new.txt", "code/new one.txt"])
def test_an_input_that_nobody_added_to_git_is_refused(piped: Workbench, place: str) -> None:
    (piped.repo / place).parent.mkdir(exist_ok=True)
    (piped.repo / place).write_text("n\n")
    edit(piped, "dvc.yaml", "clean.txt, train.txt]", f'clean.txt, train.txt, "{place}"]')
    piped.dvc("repro", "--quiet")
    piped.git("commit", "--quiet", "--all", "--message", "Without the new file")
    assert refusal(piped) == (
        f"{place} differs from the last commit",
        f"git add {place!r} && git commit -m \"...\"" if " " in place
        else f'git add {place} && git commit -m "..."',
    )  # fmt: skip
    assert piped.cli("release", MODEL, "--force").code == 0


def test_a_change_that_is_neither_committed_nor_reproduced_is_not_laid_to_the_commit(
    piped: Workbench,
) -> None:
    edit(piped, "train.txt", "t", "u")
    assert refusal(piped) == (
        "train.txt differs from the last commit",
        "undo the change; or dvc repro train, and commit all that you changed",
    )


def test_a_file_in_a_folder_that_nobody_added_is_refused_and_one_that_is_ignored_is_not(
    piped: Workbench,
) -> None:
    (piped.repo / "src").mkdir()
    (piped.repo / "src/a.txt").write_text("a\n")
    edit(piped, "dvc.yaml", "train.txt]", "train.txt, src]")
    (piped.repo / ".dvcignore").write_text("*.tmp\n")
    piped.dvc("repro", "--quiet")
    piped.commit()
    (piped.repo / "src/x.tmp").write_text("x\n")
    assert piped.release() == "1.0.0"
    (piped.repo / "src/b.txt").write_text("b\n")
    assert refusal_again(piped)[0] == "src/b.txt differs from the last commit"


def refusal_again(bench: Workbench) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        bench.manager.release()
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("link", "target", "dependency", "edited"),
    [
        ("link.txt", "raw.txt", "link.txt", "raw.txt"),
        ("link", "folder", "link", "folder/file"),
        ("link", "folder", "link/file", "folder/file"),
        ("folder/link.txt", "../raw.txt", "folder", "raw.txt"),
    ],
    ids=["a file", "a folder", "a file in a linked folder", "a link in a folder"],
)
def test_what_a_link_leads_to_is_to_be_committed(
    piped: Workbench, link: str, target: str, dependency: str, edited: str
) -> None:
    (piped.repo / "folder").mkdir()
    (piped.repo / "folder/file").write_text("a\n")
    (piped.repo / link).symlink_to(target)
    edit(piped, "dvc.yaml", "deps: [raw.txt]", f"deps: [raw.txt, {dependency}]")
    piped.dvc("repro", "--quiet")
    piped.commit()
    with open(piped.repo / edited, "a") as file:
        file.write("more\n")
    piped.dvc("repro", "--quiet")
    piped.git("add", "dvc.lock")
    piped.git("commit", "--quiet", "--message=Train")
    assert refusal(piped) == (
        f"{edited} differs from the last commit",
        f'git add {edited} && git commit -m "..."',
    )
    piped.commit()
    assert piped.release() == "1.0.0"


@pytest.mark.parametrize("dependency", ["library/lines.txt", "library"])
def test_an_input_in_a_submodule_is_to_be_committed_and_checked_out(
    piped: Workbench, dependency: str
) -> None:
    library = piped.repo.parent / "library"
    library.mkdir()
    run(library, "git", "init", "--quiet")
    (library / "lines.txt").write_text("a\n")
    commit(library, "Lines")
    local = ("-c", "protocol.file.allow=always")
    piped.git(*local, "submodule", "--quiet", "add", "../library")
    edit(piped, "dvc.yaml", "deps: [raw.txt]", f"deps: [raw.txt, {dependency}]")
    piped.dvc("repro", "--quiet")
    piped.commit()
    (piped.repo / "library/lines.txt").write_text("b\n")
    piped.dvc("repro", "--quiet")
    piped.commit("Train")
    assert refusal(piped) == (
        "library/lines.txt differs from the last commit",
        'git -C library add lines.txt && git -C library commit -m "..."'
        ' && git add library && git commit -m "..."',
    )
    commit(piped.repo / "library", "More lines")
    assert refusal(piped) == (
        "library differs from the last commit",
        'git add library && git commit -m "..."',
    )
    piped.commit("Use them")
    piped.git(*local, "submodule", "--quiet", "deinit", "library")
    assert refusal(piped) == (
        "not checked out: the submodule library",
        "git submodule update --init library",
    )
    piped.git(*local, "submodule", "--quiet", "update", "--init", "library")
    assert piped.release() == "1.0.0"


def test_a_frozen_stage_with_other_inputs_needs_force(piped: Workbench) -> None:
    """``dvc repro`` skips it, and would say that nothing changed."""
    piped.dvc("freeze", "--quiet", "prepare")
    edit(piped, "raw.txt", "a", "b")
    piped.commit()
    assert refusal(piped) == (
        "churn was not built from this commit: dependency raw.txt of frozen stage prepare differs"
        " from dvc.lock",
        f"dvc unfreeze prepare && dvc repro train, {FORCE}",
    )
    assert piped.cli("release", MODEL, "--force").code == 0


def test_a_frozen_stage_whose_inputs_are_the_same_is_released(piped: Workbench) -> None:
    piped.dvc("freeze", "--quiet", "prepare")
    piped.commit()
    assert piped.release() == "1.0.0"


def test_what_only_a_frozen_stage_depends_on_is_compared_too(piped: Workbench) -> None:
    piped.dvc("freeze", "--quiet", "train")
    edit(piped, "raw.txt", "a", "b")
    piped.commit()
    assert refusal(piped) == (
        "churn was not built from this commit: dependency raw.txt of skipped stage prepare differs"
        " from dvc.lock",
        f"dvc unfreeze train && dvc repro train, {FORCE}",
    )


def test_a_stage_that_always_runs_is_released_with_a_note(piped: Workbench) -> None:
    edit(piped, "dvc.yaml", "    cmd: cat raw", "    always_changed: true\n    cmd: cat raw")
    piped.commit()
    assert piped.manager.release().warnings == (
        "stage prepare is always_changed: only what dvc.lock records was compared",
    )
    edit(piped, "raw.txt", "a", "b")
    piped.commit()
    assert "dependency raw.txt of stage prepare differs" in refusal_again(piped)[0]


def test_an_intermediate_output_that_was_edited_is_named(piped: Workbench) -> None:
    (piped.repo / "clean.txt").unlink()
    (piped.repo / "clean.txt").write_text("by hand\n")
    message = refusal(piped)[0]
    assert "output clean.txt of stage prepare differs from dvc.lock" in message


def test_data_that_were_changed_and_not_added_are_named_with_the_command(piped: Workbench) -> None:
    (piped.repo / "data.csv").write_text("1\n")
    piped.track("data.csv")
    edit(piped, "dvc.yaml", "[raw.txt]", "[raw.txt, data.csv]")
    piped.dvc("repro", "--quiet")
    piped.commit()
    (piped.repo / "data.csv").write_text("2\n")
    message, hint = refusal(piped)
    assert "data.csv differs from data.csv.dvc" in message
    assert hint == f"dvc add data.csv && dvc repro train, {FORCE}"


def test_a_dependency_that_the_commit_has_no_more_is_named(piped: Workbench) -> None:
    """To DVC it is merely not here; but no clone of this commit has it."""
    piped.git("rm", "--quiet", "train.txt")
    piped.commit()
    assert "missing dependency train.txt of stage train differs" in refusal(piped)[0]


def test_a_sparse_work_tree_releases_what_it_has(piped: Workbench) -> None:
    piped.git("sparse-checkout", "set", "--no-cone", "/*", "!/train.txt")
    assert not (piped.repo / "train.txt").exists()
    assert piped.manager.release().warnings == ("train.txt was not compared: it is not here",)


def test_a_clone_that_pulled_nothing_releases(piped: Workbench) -> None:
    piped.dvc("push", "--quiet")
    piped.git("push", "--quiet")
    run(piped.repo.parent, "git", "clone", "--quiet", "origin.git", "ci")
    shutil.copytree(piped.repo.parent / "ci", piped.repo, dirs_exist_ok=True)
    for name in ("out.bin", "clean.txt"):
        (piped.repo / name).unlink()
    shutil.rmtree(piped.repo / ".dvc/cache")
    shutil.rmtree(piped.repo / ".dvc/tmp")
    assert piped.release() == "1.0.0"


def test_a_process_that_holds_the_lock_of_dvc_is_named(piped: Workbench) -> None:
    piped.dvc("status", "--quiet")
    with open(piped.repo / ".dvc/tmp/lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f" {os.getpid()}\n")
        lock.truncate()
        lock.flush()
        piped.refuses(
            "release churn",
            f"DVC is in use here: process {os.getpid()} holds its lock",
            "wait until it has ended, then try again",
        )


def _write_rwlock(bench: Workbench, text: str) -> None:
    (bench.repo / ".dvc/tmp").mkdir(exist_ok=True)
    (bench.repo / ".dvc/tmp/rwlock").write_text(text)


@pytest.mark.parametrize("name", ["out.bin", "clean.txt"])
def test_a_repro_that_writes_an_output_is_named(piped: Workbench, name: str) -> None:
    """It holds no lock of the repository while a command runs, but one of the paths."""
    holder = {"pid": os.getpid(), "cmd": "/usr/bin/dvc repro train"}
    _write_rwlock(piped, json.dumps({"write": {str(piped.repo / name): holder}}))
    with pytest.raises(Locked) as caught:
        piped.manager.release()
    assert caught.value.message == (
        f"DVC is in use here: process {os.getpid()} (dvc repro train) holds its lock"
    )
    assert piped.git("tag") == ""


def test_a_repro_of_another_model_hinders_no_release(piped: Workbench) -> None:
    holder = {"pid": os.getpid(), "cmd": "dvc repro other"}
    _write_rwlock(piped, json.dumps({"write": {str(piped.repo / "other.bin"): holder}}))
    assert piped.release() == "1.0.0"


@pytest.mark.parametrize("text", ["", "{", '{"write": 1}'])
def test_a_record_of_locks_that_was_cut_short_is_named(piped: Workbench, text: str) -> None:
    _write_rwlock(piped, text)
    assert refusal(piped) == (
        "DVC's record of running processes cannot be read: .dvc/tmp/rwlock",
        f"if no dvc command is running: rm {piped.repo}/.dvc/tmp/rwlock",
    )


def test_a_broken_file_of_another_model_hinders_no_release(piped: Workbench) -> None:
    (piped.repo / "other").mkdir()
    (piped.repo / "other/dvc.yaml").write_text("stages: [\n")
    (piped.repo / "broken.dvc").write_text("outs: 1\n")
    assert piped.manager.release().warnings == (
        "DVC cannot load broken.dvc",
        "DVC cannot load other/dvc.yaml",
    )


def test_a_broken_file_that_may_track_an_input_is_named(piped: Workbench) -> None:
    (piped.repo / "data.csv").write_text("1\n")
    piped.track("data.csv")
    edit(piped, "dvc.yaml", "[raw.txt]", "[raw.txt, data.csv]")
    piped.dvc("repro", "--quiet")
    (piped.repo / "data.csv.dvc").write_text("outs: [\n")
    piped.commit()
    message, hint = refusal(piped)
    assert message.startswith("DVC cannot load the stages: ")
    assert "data.csv.dvc" in message
    assert hint == "fix it, until dvc status works; or release the model unchecked with --force"
    assert piped.manager.release(force=True).warnings[0].startswith("not compared with dvc.lock: ")


def test_what_ends_dvc_with_a_traceback_is_one_sentence(piped: Workbench) -> None:
    (piped.repo / "params.yaml").write_text("train: {depth: 4}\nday: 2026-01-02\n")
    piped.commit()
    assert refusal(piped)[0] == (
        "DVC cannot load the stages: Unsupported value of type 'date' in 'params.yaml:day'"
    ).replace("params.yaml:day", os.path.relpath(piped.repo / "params.yaml") + ":day")


ATTRIBUTES = {
    "eol=crlf": "*.txt text eol=crlf\n",
    "ident": "*.txt ident\n",
    "working-tree-encoding": "*.txt text working-tree-encoding=UTF-16LE\n",
    "filter": "*.txt filter=caps\n",
    "autocrlf": "",
}


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_files_that_git_checks_out_with_other_bytes_are_no_difference(
    bench: Workbench, kind: str
) -> None:
    if kind == "autocrlf":
        bench.git("config", "core.autocrlf", "true")
    bench.git("config", "filter.caps.clean", "tr A-Z a-z")
    bench.git("config", "filter.caps.smudge", "tr a-z A-Z")
    (bench.repo / ".gitattributes").write_text(ATTRIBUTES[kind])
    for name in ("raw.txt", "train.txt"):
        text = "line $Id$\nline\n"
        encoded = text.encode("utf-16le" if "encoding" in kind else "utf-8")
        (bench.repo / name).write_bytes(encoded)
    bench.commit()
    for name in ("raw.txt", "train.txt"):
        (bench.repo / name).unlink()
    bench.git("checkout", "--quiet", "--", ".")
    assert (bench.repo / "raw.txt").read_bytes() != bench.git("show", "HEAD:raw.txt").encode()
    (bench.repo / "dvc.yaml").write_text(PIPELINE)
    bench.dvc("repro", "--quiet")
    bench.commit()
    assert bench.release() == "1.0.0"
    more = "more\n".encode("utf-16le" if "encoding" in kind else "utf-8")
    (bench.repo / "raw.txt").write_bytes((bench.repo / "raw.txt").read_bytes() + more)
    bench.commit()
    assert "dependency raw.txt of stage prepare differs" in refusal_again(bench)[0]


@pytest.mark.parametrize("size", [100, 20_000])
def test_of_a_first_version_that_git_keeps_a_note_says_so(bench: Workbench, size: int) -> None:
    """By ``git add --all`` without ``dvc add``; a model of a few lines may be meant so."""
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.folder / ".gitignore").unlink()
    (bench.repo / PATH).write_bytes(os.urandom(size))
    bench.commit("Forget dvc add")
    first = bench.cli("release", "churn")
    assert (first.code, f"note: Git has the bytes of {PATH}, and DVC has not: " in first.err) == (
        0, size > 10_000,
    )  # fmt: skip
    (bench.repo / PATH).write_bytes(os.urandom(size))
    bench.commit()
    assert "Git has the bytes" not in bench.cli("release", "churn").err


def test_a_bare_repository_has_nothing_to_ask(bench: Workbench) -> None:
    bare = bench.repo / "bare.git"
    bench.git("clone", "--quiet", "--bare", ".", "bare.git")
    result = bench._run(main.main, "-C", str(bare), "release", MODEL)
    assert (result.code, result.err) == (
        1,
        f"error: {bare} is a bare repository: it has no work tree for DVC to compare\n"
        f"hint: git clone {bare}, and release from the clone\n",
    )


def test_an_import_is_not_asked_for_news(piped: Workbench) -> None:
    """Frozen or not; here its source is gone, and asking would fail."""
    source = piped.repo.parent / "source.csv"
    source.write_text("1\n")
    piped.dvc("import-url", "--quiet", "../source.csv", "data.csv")
    edit(piped, "dvc.yaml", "[raw.txt]", "[raw.txt, data.csv]")
    piped.dvc("repro", "--quiet")
    piped.dvc("unfreeze", "--quiet", "data.csv.dvc")
    piped.commit()
    source.unlink()
    assert piped.release() == "1.0.0"


def test_a_dependency_with_a_url_is_not_asked(piped: Workbench) -> None:
    """Nobody answers there."""
    lock = (piped.repo / "dvc.lock").read_text()
    edit(piped, "dvc.yaml", "[raw.txt]", "[raw.txt, 'http://127.0.0.1:9/data.csv']")
    assert lock == (piped.repo / "dvc.lock").read_text()
    piped.commit()
    assert piped.manager.release().warnings == (
        "http://127.0.0.1:9/data.csv was not compared: it is on the network",
    )


def test_a_model_of_a_repository_in_the_repository_is_asked_there(piped: Workbench) -> None:
    inner = piped.repo / "inner"
    inner.mkdir()
    dvc(inner, "init", "--quiet", "--subdir")
    (inner / "raw.txt").write_text("a\n")
    (inner / "train.txt").write_text("t\n")
    (inner / "params.yaml").write_text("train: {depth: 4}\n")
    (inner / "dvc.yaml").write_text(PIPELINE)
    dvc(inner, "repro", "--quiet")
    (inner / "raw.txt").write_text("b\n")
    piped.commit()
    result = piped.cli_in(inner, "release", "inner:churn")
    assert "dependency inner/raw.txt of stage prepare differs from inner/dvc.lock" in result.err
    assert "hint: cd inner && dvc repro train, and commit" in result.err


def test_the_hint_of_a_clone_without_the_data_pulls_them(piped: Workbench) -> None:
    piped.git("rm", "--quiet", "--cached", "raw.txt")
    piped.dvc("add", "--quiet", "raw.txt")
    piped.commit()
    piped.dvc("push", "--quiet")
    edit(piped, "params.yaml", "depth: 4", "depth: 6")
    piped.commit()
    (piped.repo / "raw.txt").unlink()
    shutil.rmtree(piped.repo / ".dvc/cache")
    assert refusal(piped)[1] == f"dvc repro --pull train, {FORCE}"
    piped.dvc("repro", "--quiet", "--pull", "train")
    piped.commit()
    assert piped.cli("release", MODEL).code == 0


def test_the_hints_for_an_edited_model_of_a_subfolder_name_its_stage_and_lead_on(
    piped: Workbench,
) -> None:
    part = piped.repo / "part"
    part.mkdir()
    for name in ("raw.txt", "train.txt", "params.yaml"):
        shutil.copy(piped.repo / name, part)
    (part / "dvc.yaml").write_text(PIPELINE)
    piped.dvc("repro", "--quiet", "part/dvc.yaml:train")
    piped.commit()
    (part / "out.bin").unlink()
    (part / "out.bin").write_text("edited\n")
    piped.refuses(
        "release part:churn",
        "part/out.bin was changed: it differs from part/dvc.lock",
        "dvc commit part/dvc.yaml:train, then commit part/dvc.lock;"
        " or undo the change: dvc checkout --force part/out.bin",
    )
    piped.monkeypatch.chdir(part)
    below = piped._run(main.main, "release", "part:churn").err
    assert below.endswith("\nnote: paths are relative to the top of the repository: cd ..\n")
    piped.dvc("checkout", "--quiet", "--force", "part/out.bin")
    assert piped.cli("release", "part:churn").code == 0


def test_a_folder_that_is_here_in_part_differs_for_dvc_and_the_hint_pulls_the_rest(
    piped: Workbench,
) -> None:
    (piped.repo / "data").mkdir()
    (piped.repo / "data/big.csv").write_text("1\n")
    (piped.repo / "data/notes.txt").write_text("n\n")
    piped.track("data/big.csv")
    edit(piped, "dvc.yaml", "[raw.txt]", "[raw.txt, data]")
    piped.dvc("repro", "--quiet")
    piped.commit()
    (piped.repo / "data/big.csv").unlink()
    message, hint = refusal(piped)
    assert "dependency data of stage prepare differs" in message
    assert hint.startswith("dvc pull data/big.csv.dvc && dvc repro train, ")
    piped.dvc("checkout", "--quiet", "data/big.csv.dvc")
    assert piped.release() == "1.0.0"


def test_a_file_of_a_folder_that_was_not_pulled_is_released_with_a_note(piped: Workbench) -> None:
    """DVC compares a folder as a whole; which file of it is the dependency, its list knows."""
    (piped.repo / "data").mkdir()
    (piped.repo / "data/a.csv").write_text("1\n")
    piped.track("data")
    edit(piped, "dvc.yaml", "[raw.txt]", "[raw.txt, data/a.csv]")
    piped.dvc("repro", "--quiet")
    piped.commit()
    shutil.rmtree(piped.repo / "data")
    assert piped.manager.release().warnings == ("data/a.csv was not compared: it is not here",)
