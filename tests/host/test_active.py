"""load and resolve: what a program that answers with a model uses."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tagship import Corrupt, NotFound, Refused, TagshipError, load, resolve
from tests.workbench import Workbench


def _text(path: Path) -> str:
    return path.read_text()


@pytest.mark.live
def test_load_gives_the_live_model_its_version_and_its_directory(bench: Workbench) -> None:
    active = load("churn", bench.repo, loader=_text)
    assert (active.model, active.version) == ("model 1\n", "1.0.0")
    assert active.directory == bench.current.resolve()
    assert active.upper() == "MODEL 1\n"  # what it lacks, the framework's object gives


@pytest.mark.live
def test_load_finds_the_workspace_from_a_folder_inside_it(bench: Workbench) -> None:
    assert load("churn", bench.folder, loader=_text).version == "1.0.0"


def test_where_nothing_is_live_the_pipelines_own_output_is_loaded_with_a_warning(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tagship"):
        active = load("churn", bench.repo, loader=_text)
    assert (active.model, active.version) == ("model 1\n", None)
    assert "which has no version: no version of churn is live" in caplog.text


def test_the_fallback_is_told_as_an_error_with_the_way_to_refuse_it(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    load("churn", bench.repo, loader=_text)
    assert [(r.levelname, r.message) for r in caplog.records] == [
        (
            "ERROR",
            f"churn is loaded from {bench.repo}/models/churn/model.bin, which has no version:"
            " no version of churn is live. It was never released or tested here;"
            " load(..., fallback=False) refuses it",
        )
    ]


def test_the_fallback_can_be_refused(bench: Workbench) -> None:
    for fallback, verify in ((False, False), (True, True)):  # nothing is known of its bytes
        with pytest.raises(NotFound) as caught:
            load("churn", bench.repo, loader=_text, fallback=fallback, verify=verify)
        assert (caught.value.message, caught.value.hint) == (
            "no version of churn is live", "tagship deploy churn",
        )  # fmt: skip


@pytest.mark.live
def test_a_live_version_that_is_broken_falls_back_too(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    (bench.current / "metadata.json").unlink()
    assert load("churn", bench.repo, loader=_text).version is None
    assert "metadata.json is missing" in caplog.text


def test_where_neither_can_be_loaded_one_error_names_both_reasons(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.bin").unlink()
    with pytest.raises(TagshipError) as caught:
        load("churn", bench.repo)
    assert caught.value.message == (
        "churn cannot be loaded: no version of churn is live; and not from the pipeline's output:"
        f" {bench.repo}/models/churn/model.bin does not exist"
    )
    assert caught.value.hint == "tagship deploy churn; or: dvc repro, or dvc pull"


def _edit(path: Path, data: bytes) -> None:
    """Change a file of a version in place, with the times that it had."""
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _damage(directory: Path, kind: str) -> None:
    model = directory / "model.bin"
    directory.chmod(0o755)
    if kind == "bits":
        _edit(model, b"model 3\n")
    elif kind == "short":
        _edit(model, b"model")
    elif kind == "missing":
        model.unlink()
    elif kind == "link":
        model.rename(directory.parent / "model.bin")
        model.symlink_to("../model.bin")
    else:
        (directory / "more.bin").write_bytes(b"more")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("bits", "model.bin has other bytes than it was deployed with"),
        ("short", "model.bin is cut short: has 5 bytes instead of 8"),
        ("missing", "model.bin is missing"),
        ("link", "model.bin is not a regular file"),
        ("more", "more.bin is not of this version"),
    ],
)
@pytest.mark.live
def test_with_verify_nothing_is_loaded_that_was_not_deployed(
    bench: Workbench, kind: str, what: str
) -> None:
    _damage(bench.current.resolve(), kind)
    loaded: list[Path] = []
    for model in ("churn", resolve("churn", bench.repo)):
        with pytest.raises(Corrupt) as caught:
            load(model, bench.repo, loader=loaded.append, verify=True)
        assert caught.value.message == f"churn 1.0.0: {what}"
        assert caught.value.hint == "tagship deploy churn@1.0.0 --force"
    assert loaded == []


@pytest.mark.parametrize("way", ["written", "replaced", "changed and changed back"])
@pytest.mark.live
def test_with_verify_what_is_changed_while_it_is_loaded_is_not_used(
    bench: Workbench, way: str
) -> None:
    path = bench.current.resolve() / "model.bin"
    path.parent.chmod(0o755)

    def change(loaded: Path) -> str:
        if way == "replaced":
            path.with_name("new").write_bytes(b"model 1\n")
            path.with_name("new").rename(path)
        else:
            _edit(path, b"model 3\n")
        text = loaded.read_text()
        if way == "changed and changed back":
            _edit(path, b"model 1\n")
        return text

    with pytest.raises(Corrupt, match=r"^churn 1\.0\.0 was changed while it was being loaded"):
        load("churn", bench.repo, loader=change, verify=True)


@pytest.mark.live
def test_what_is_loaded_knows_what_was_resolved(bench: Workbench) -> None:
    live = resolve("churn", bench.repo)
    for active in (load("churn", bench.repo, loader=_text), load(live, loader=_text)):
        assert active.live == live
        assert active.live is not None
        assert active.live.lock is active.lock
        assert active.lock is not live.lock


@pytest.mark.live
def test_what_no_loader_knows_cannot_be_asked(bench: Workbench) -> None:
    active = load("churn", bench.repo, loader=_text)
    for ask in (lambda: active.answer([1]), active.example, lambda: active.signature):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.message == "churn: no loader knows how to ask a builtins.str"


@pytest.mark.live
def test_resolve_names_a_directory_and_never_the_link(bench: Workbench) -> None:
    live = resolve("churn", bench.repo)
    assert live.directory == bench.folder / "versions" / os.readlink(bench.current).split("/")[1]
    assert live.path == live.directory / "model.bin"


@pytest.mark.live
def test_what_is_read_of_a_version_is_never_an_old_answer(bench: Workbench) -> None:
    """Not even where a file was written anew with the same size and time."""
    assert resolve("churn", bench.repo).version == "1.0.0"
    path = bench.current.resolve() / "metadata.json"
    before, good = path.stat(), path.read_bytes()
    for data, error in [
        (good.replace(b'"version": "1.0.0"', b'"version": "9.0.0"'), None),
        (good.replace(b'"tagger": "', b'"tagger":["'), "line "),
        (good.replace(b'"tagger": "', b'"tagge_": "'), "tag.tagger is missing"),
    ]:
        path.chmod(0o600)
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        if error is None:
            assert resolve("churn", bench.repo).version == json.loads(data)["version"]
            continue
        with pytest.raises(Corrupt, match=error):
            resolve("churn", bench.repo)
    path.write_bytes(good)
    assert resolve("churn", bench.repo).version == "1.0.0"


def test_a_pickle_is_loaded_only_where_somebody_says_so(bench: Workbench) -> None:
    import joblib

    joblib.dump({"depth": 4}, bench.repo / "models/churn/model.joblib")
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.joblib\n"
    )
    bench.commit()
    bench.manager.release()
    outcome = bench.manager.deploy()
    assert outcome.report is not None
    assert outcome.report.detail == "model.joblib is a pickle, and not loaded"
    with pytest.raises(TagshipError, match="is a pickle: loading it runs whatever code is in it"):
        load("churn", bench.repo)
    assert load("churn", bench.repo, allow_pickle=True).model == {"depth": 4}


@pytest.mark.live
def test_a_name_that_no_loader_reads_is_an_error_and_not_a_guess(bench: Workbench) -> None:
    with pytest.raises(TagshipError, match=r"no loader reads model\.bin"):
        load("churn", bench.repo)


def test_under_constant_switching_a_reader_never_sees_a_mixed_or_missing_version(
    bench: Workbench,
) -> None:
    """Two opens through the link would: that is why it is resolved once."""
    for number in (1, 2):
        (bench.repo / "models/churn/self_test.json").write_text(f"model {number}\n")
        (bench.repo / "dvc.yaml").write_text(
            "artifacts:\n  churn:\n    path: models/churn/model.bin\n"
            "    meta: {self_test: models/churn/self_test.json}\n"
        )
        bench.ship(f"model {number}\n")
    store = bench.store
    names, stop = store.directories(), threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for name in names:
                store.switch(name)

    writer = threading.Thread(target=flip)
    writer.start()
    try:
        for _ in range(500):
            live = resolve("churn", bench.repo)
            assert live.path.read_text() == (live.directory / "self_test.json").read_text()
    finally:
        stop.set()
        writer.join()


@pytest.mark.live
def test_loading_imports_neither_git_nor_dvc(bench: Workbench) -> None:
    code = (
        "import sys, json, tagship; tagship.load(tagship.at('churn', '1'), loader=str);"
        "tagship.watch('churn', changed=lambda *_: None).close();"
        "print(json.dumps([m for m in ('git', 'dvc', 'rich', 'numpy') if m in sys.modules]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=bench.repo, capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize("kind", ["folder", "foreign"])
@pytest.mark.live
def test_a_link_that_is_not_ours_is_not_followed(bench: Workbench, kind: str) -> None:
    bench.current.unlink()
    if kind == "folder":
        bench.current.mkdir()
    else:
        bench.current.symlink_to("/etc")
    with pytest.raises(Refused):
        resolve("churn", bench.repo)


def test_outside_of_a_repository_there_is_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not a DVC repository"):
        resolve("churn", tmp_path)
