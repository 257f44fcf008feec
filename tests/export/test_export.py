"""A version in a folder of its own, with descriptions that their own tools read and load."""

import contextlib
import errno
import functools
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tagship import (
    Corrupt,
    InvalidName,
    NotFound,
    Refused,
    SelfTestFailed,
    TagshipError,
    Unavailable,
)
from tagship.disk.atomic import remove_tree
from tagship.disk.files import digest
from tagship.export.export import Exported, export
from tagship.progress import Advance, Progress, silent
from tagship.registry.refs import Ref
from tagship.workspace.find import find
from tests import conftest
from tests.workbench import PATH, Result, Workbench

ROWS = [[float(i), float(i % 3)] for i in range(30)]
FRAMEWORKS = {".cbm": "catboost", ".keras": "keras"}
Copied = Callable[[Path], Workbench]
Deployed = Callable[[str], Path]


def run(
    bench: Workbench,
    ref: str = "churn@1.0.0",
    *formats: str,
    target: Path | None = None,
    progress: Progress = silent,
) -> Exported:
    """Export as the command would: everything is read again."""
    source, host = find(bench.repo)
    return export(source, host, Ref.parse(ref), formats or ("cyclonedx",), target, progress)


def tree(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()
    )


def declare(bench: Workbench, path: str, more: str = "") -> None:
    """Declare another file as the model, and commit that."""
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n  churn:\n    path: {path}\n{more}")
    bench.commit()


def forget(bench: Workbench) -> None:
    """Lose DVC's cache here."""
    remove_tree(bench.repo / ".dvc" / "cache")


def damage(path: Path, data: bytes = b"model X\n") -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"


# --- texts alone


@pytest.mark.released
def test_without_a_target_the_texts_come_back_and_nothing_is_written(bench: Workbench) -> None:
    before = bench.state()
    exported = run(bench, "churn", "huggingface", "cyclonedx", "huggingface")
    assert (exported.model, exported.version, exported.tag) == ("churn", "1.0.0", "churn@v1.0.0")
    assert exported.commit == bench.git("rev-parse", "HEAD").strip()
    assert exported.formats == ("huggingface", "cyclonedx")
    assert list(exported.descriptions) == ["README.md", "bom.cdx.json"]
    assert (exported.directory, exported.files) == (None, ())
    assert bench.changes(before) == set()


def test_the_description_and_the_labels_are_those_of_the_tags_commit(bench: Workbench) -> None:
    declare(bench, PATH, "    desc: of then\n    labels: [then]\n")
    bench.release()
    declare(bench, PATH, "    desc: of now\n")
    text = run(bench, "churn@1.0.0", "huggingface").descriptions["README.md"]
    assert "of then" in text
    assert "- then\n" in text
    assert "of now" not in text


@pytest.mark.live
def test_a_deployed_version_is_described_as_it_was_deployed(bench: Workbench) -> None:
    bom = json.loads(run(bench).descriptions["bom.cdx.json"])
    (sha256,) = bom["metadata"]["component"]["hashes"]
    assert sha256["content"] == digest(bench.current / "model.bin").sha256
    assert bom["metadata"]["timestamp"] == "2026-11-20T12:00:00Z"


@pytest.mark.released
def test_a_version_that_was_taken_back_can_still_be_exported(
    bench: Workbench, target: Path
) -> None:
    bench.git("tag", "-m", "no", "churn@v1.0.0!")
    assert run(bench, "churn@1.0.0", target=target).version == "1.0.0"


def test_what_the_stages_read_is_listed_with_dvcs_digests(bench: Workbench) -> None:
    for name in ("source.txt", "prepare.py"):
        (bench.repo / name).write_text("x\n")
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n"
        "  prepare:\n    cmd: cp source.txt ready.txt\n"
        "    deps: [source.txt, prepare.py]\n    outs: [ready.txt]\n"
        "  train:\n    cmd: mkdir -p out && cp ready.txt out/model.bin\n"
        "    deps: [ready.txt]\n    outs: [out/model.bin]\n"
        "artifacts:\n  churn:\n    path: out/model.bin\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.release()
    bom = json.loads(run(bench, "churn").descriptions["bom.cdx.json"])
    md5 = {"name": "dvc:md5", "value": "401b30e3b8b5d629635a5c613cdb7919"}  # of "x\n"
    assert [(component["name"], component["data"][0]["type"], component["properties"])
            for component in bom["components"] if component["type"] == "data"] == [
        ("prepare.py", "source-code", [md5]),
        ("source.txt", "dataset", [md5]),
        ("ready.txt", "dataset", [md5, {"name": "dvc:stage", "value": "prepare"}]),
    ]  # fmt: skip
    model = bom["metadata"]["component"]
    assert md5 in model["properties"]
    assert model["modelCard"]["modelParameters"]["datasets"] == [
        {"ref": "data:source.txt"}, {"ref": "data:ready.txt"}
    ]  # fmt: skip


# --- into a folder


@pytest.mark.parametrize("deployed", [True, False])
def test_the_folder_has_the_versions_files_and_the_descriptions(
    bench: Workbench, target: Path, deployed: bool
) -> None:
    bench.ship() if deployed else bench.release()
    bench.train("model 2\n")
    before = bench.state()
    exported = run(bench, "churn@1.0.0", "huggingface", "cyclonedx", target=target)
    assert tree(target) == ["README.md", "bom.cdx.json", "model.bin"]
    assert (target / "model.bin").read_bytes() == b"model 1\n"
    assert exported.directory == target
    (file,) = exported.files
    hashed = digest(target / "model.bin")
    assert (file.path, file.size, file.sha256) == ("model.bin", 8, hashed.sha256)
    assert {
        name: (target / name).read_text() for name in exported.descriptions
    } == exported.descriptions
    assert file.sha256 in exported.descriptions["README.md"]
    assert bench.changes(before) == {f"out/{name}" for name in tree(target)}


@pytest.mark.live
def test_the_same_version_gives_the_same_bytes(bench: Workbench, tmp_path: Path) -> None:
    formats = ("huggingface", "cyclonedx")
    texts = [run(bench, "churn", *formats, target=tmp_path / str(i)).descriptions for i in range(2)]
    assert texts[0] == texts[1]
    assert texts[0] == run(bench, "churn", *formats).descriptions


@pytest.mark.live
def test_what_is_exported_can_be_changed_and_thrown_away(bench: Workbench, target: Path) -> None:
    run(bench, target=target)
    assert (target.stat().st_mode & 0o700, (target / "model.bin").stat().st_mode & 0o777) == (
        0o700,
        0o644,
    )
    (target / "model.bin").write_bytes(b"another")
    shutil.rmtree(target)
    assert bench.live() == "model 1\n"


def test_a_folder_and_an_executable_file_are_exported_as_they_are(
    bench: Workbench, target: Path
) -> None:
    (bench.repo / "net/deep").mkdir(parents=True)
    (bench.repo / "net/run.sh").write_text("#!/bin/sh\n")
    (bench.repo / "net/run.sh").chmod(0o755)
    (bench.repo / "net/deep/weights").write_bytes(b"\0\1")
    declare(bench, "net")
    bench.release()
    run(bench, target=target)
    assert tree(target) == ["bom.cdx.json", "net/deep/weights", "net/run.sh"]
    assert os.access(target / "net/run.sh", os.X_OK)
    assert not os.access(target / "net/deep/weights", os.X_OK)


@pytest.mark.live
def test_a_deployed_version_needs_neither_cache_nor_remote(bench: Workbench, target: Path) -> None:
    forget(bench)
    remove_tree(bench.repo.parent / "dvc-remote")
    run(bench, target=target)
    assert (target / "model.bin").read_bytes() == b"model 1\n"


@pytest.mark.released
def test_what_the_cache_lacks_is_fetched(bench: Workbench, target: Path) -> None:
    forget(bench)
    run(bench, target=target)
    assert (target / "model.bin").read_bytes() == b"model 1\n"


@pytest.mark.live
def test_a_damaged_version_directory_is_passed_over(bench: Workbench, target: Path) -> None:
    damage(bench.current.resolve() / "model.bin")
    run(bench, target=target)
    assert (target / "model.bin").read_bytes() == b"model 1\n"


@pytest.mark.live
def test_metadata_that_were_edited_with_the_file_deceive_nobody(
    bench: Workbench, target: Path
) -> None:
    live = bench.current.resolve()
    damage(live / "model.bin")
    hashed = digest(live / "model.bin")
    metadata = json.loads((live / "metadata.json").read_text())
    metadata["files"][0] |= {"md5": hashed.md5, "sha256": hashed.sha256}
    damage(live / "metadata.json", json.dumps(metadata).encode())
    run(bench, target=target)
    assert (target / "model.bin").read_bytes() == b"model 1\n"
    assert hashed.sha256 not in (target / "bom.cdx.json").read_text()


def cached(bench: Workbench) -> Path:
    """The only object in the cache."""
    (path,) = (path for path in (bench.repo / ".dvc/cache/files").rglob("*") if path.is_file())
    return path


@pytest.mark.released
def test_a_damaged_object_of_the_cache_is_fetched_again(bench: Workbench, target: Path) -> None:
    damage(cached(bench))
    run(bench, target=target)
    assert (target / "model.bin").read_bytes() == b"model 1\n"


@pytest.mark.released
def test_bytes_that_cannot_be_had_leave_nothing_behind(bench: Workbench, target: Path) -> None:
    damage(cached(bench))
    remove_tree(bench.repo.parent / "dvc-remote")
    before = sorted(target.parent.iterdir())
    with pytest.raises(Corrupt, match=r"other bytes for model\.bin than it was released with"):
        run(bench, target=target)
    assert sorted(target.parent.iterdir()) == before


# --- where it goes


@pytest.mark.released
def test_an_empty_folder_is_filled(bench: Workbench, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(bench, target=empty).directory == empty
    assert tree(empty) == ["bom.cdx.json", "model.bin"]
    assert not list(tmp_path.rglob(".*.tmp"))


@pytest.mark.released
def test_a_folder_in_one_that_is_not_there_is_refused(bench: Workbench, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        run(bench, target=tmp_path / "a" / "b")
    assert str(caught.value) == f"there is no folder {tmp_path / 'a'}"
    assert caught.value.hint == f"mkdir -p {tmp_path / 'a'}"
    assert not (tmp_path / "a").exists()


@pytest.mark.released
def test_a_relative_path_and_a_link_lead_to_the_real_place(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert run(bench, target=Path("link")).directory == tmp_path / "real"
    assert run(bench, target=Path("x/../plain")).directory == tmp_path / "plain"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.released
def test_what_is_there_is_never_written_over(bench: Workbench, target: Path, kind: str) -> None:
    if kind == "folder":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.touch()
    before = bench.state()
    with pytest.raises(Refused) as caught:
        run(bench, target=target)
    assert str(caught.value) == f"{target} exists and is not an empty folder"
    assert caught.value.hint == "give a folder that does not exist"
    assert bench.changes(before) == set()


@pytest.mark.parametrize(
    "place",
    [
        "models",
        "models/churn",
        "models/other",
        "models/churn/mine",
        "models/other/deep/mine",
        "models/churn/versions/mine",
        "models/other/versions/mine",
        "models/churn/current",
        "models/churn/current/mine",
        "models/churn/.tagship/staging/mine",
        ".git/mine",
        ".dvc/cache/mine",
        "../elsewhere/.GIT/mine",
        "link/mine",
    ],
)
@pytest.mark.live
def test_it_never_goes_where_versions_and_tools_keep_their_own(
    bench: Workbench, place: str
) -> None:
    (bench.repo / "link").symlink_to("models/churn/versions")
    before = bench.state()
    target = bench.repo / place
    with pytest.raises(Refused) as caught:
        run(bench, target=target)
    assert str(caught.value) == (
        f"{target} lies where models are deployed, or where Git or DVC keep their own"
    )
    assert caught.value.hint == "give a folder elsewhere: -o ../export"
    assert bench.changes(before) == set()
    assert not (bench.repo.parent / "elsewhere").exists()


@pytest.mark.released
def test_nor_in_the_place_of_the_folder_that_one_is_in(bench: Workbench) -> None:
    folder = bench.repo.parent / "empty"
    folder.mkdir()
    bench.monkeypatch.chdir(folder)
    result = bench.cli("export", "churn", "--format", "cyclonedx", "-o", ".")
    message = "error: . is the folder that you are in\nhint: give a new one: -o ./export\n"
    assert result == Result(1, "", message)
    assert folder.samefile(".")


@pytest.mark.released
def test_an_empty_folder_keeps_its_mode(bench: Workbench) -> None:
    folder = bench.repo.parent / "empty"
    folder.mkdir(mode=0o700)
    run(bench, target=folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "model.bin").exists()


@pytest.mark.released
def test_output_is_where_one_stands_and_not_where_the_workspace_is(bench: Workbench) -> None:
    place = bench.repo.parent / "elsewhere"
    place.mkdir()
    bench.monkeypatch.chdir(place)
    result = bench.cli("export", "churn", "--format", "cyclonedx", "-o", "mine")
    assert (result.code, result.err) == (0, "")
    assert (place / "mine" / "model.bin").exists()


@pytest.mark.live
def test_nor_into_another_workspaces_versions(bench: Workbench, tmp_path: Path) -> None:
    other = tmp_path / "other" / "models" / "m"
    (other / ".tagship").mkdir(parents=True)
    with pytest.raises(Refused):
        run(bench, target=other / "versions" / "v1")
    (tmp_path / "plain" / "versions").mkdir(parents=True)
    run(bench, target=tmp_path / "plain" / "versions" / "v1")  # no model's folder


@pytest.mark.released
def test_a_cache_elsewhere_is_dvcs_own_too(bench: Workbench, tmp_path: Path) -> None:
    bench.dvc("cache", "dir", "--local", str(tmp_path / "shared"))
    with pytest.raises(Refused):
        run(bench, target=tmp_path / "shared" / "mine")


@pytest.mark.parametrize(
    ("name", "format_name", "own"),
    [
        ("README.md", "huggingface", "README.md"),
        ("readme.md", "huggingface", "README.md"),
        ("MLmodel", "cyclonedx", None),
        ("bom.cdx.json", "cyclonedx", "bom.cdx.json"),
    ],
)
def test_a_file_of_the_model_is_never_written_over(
    bench: Workbench, target: Path, name: str, format_name: str, own: str | None
) -> None:
    (bench.repo / "net").mkdir()
    (bench.repo / "net" / name).write_text("model\n")
    declare(bench, f"net/{name}")
    bench.release()
    if own is None:
        run(bench, "churn", format_name, target=target)
        assert (target / name).read_text() == "model\n"
        return
    with pytest.raises(Refused) as caught:
        run(bench, "churn", format_name, target=target)
    assert str(caught.value) == (f"{name} of churn would lie where {own} of the export goes")
    assert caught.value.hint == (
        "choose another format, or rename the model's file and release it again"
    )
    assert not target.exists()
    assert run(bench, "churn", format_name).descriptions  # the texts alone harm nothing


# --- when it fails


def stopping(error: BaseException) -> Progress:
    """Raises once the first bytes were copied."""

    @contextlib.contextmanager
    def progress(doing: str, total: int | None) -> Iterator[Advance]:
        def advance(count: int) -> None:
            if doing == "copying":
                raise error

        yield advance

    return progress


@pytest.mark.parametrize("deployed", [True, False])
def test_an_interrupted_export_leaves_nothing(
    bench: Workbench, tmp_path: Path, deployed: bool
) -> None:
    bench.ship() if deployed else bench.release()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        run(bench, target=tmp_path / "a", progress=stopping(KeyboardInterrupt()))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.live
def test_a_full_disk_is_told_and_leaves_nothing(bench: Workbench, target: Path) -> None:
    before = bench.state()
    full = OSError(errno.ENOSPC, "No space left on device", "somewhere")
    with pytest.raises(Unavailable) as caught:
        run(bench, target=target, progress=stopping(full))
    assert str(caught.value) == (
        f"{target} could not be written: No space left on device ({target.parent})"
    )
    room = f"make room: df -h {target.parent}; or give a folder on another disk"
    assert caught.value.hint == room
    assert bench.changes(before) == set()
    assert not target.exists()


@pytest.mark.released
def test_a_place_that_cannot_be_made_is_told(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound, match=r"there is no folder .*file"):
        run(bench, target=tmp_path / "file" / "out")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.released
def test_somebody_who_takes_the_place_meanwhile_keeps_it(bench: Workbench, target: Path) -> None:

    @contextlib.contextmanager
    def progress(doing: str, total: int | None) -> Iterator[Advance]:
        target.mkdir(exist_ok=True)
        (target / "theirs").touch()
        yield lambda count: None

    with pytest.raises(Unavailable, match="Directory not empty"):
        run(bench, target=target, progress=progress)
    assert tree(target) == ["theirs"]
    assert not [path for path in target.parent.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("ref", "formats", "error", "said"),
    [
        ("churn@9", ("cyclonedx",), NotFound, "churn has no version 9"),
        ("chorn", ("cyclonedx",), NotFound, "there is no model chorn"),
        ("churn@1.0.0", ("onnx",), NotFound, "there is no format onnx"),
        ("churn@1.0.0", ("mlflow",), Refused, "mlflow needs a loader, and none reads model.bin"),
    ],
)
@pytest.mark.released
def test_bad_input_is_refused_before_anything_is_made(
    bench: Workbench,
    target: Path,
    ref: str,
    formats: tuple[str, ...],
    error: type[TagshipError],
    said: str,
) -> None:
    for place in (None, target):
        with pytest.raises(error) as caught:
            run(bench, ref, *formats, target=place)
        assert str(caught.value) == said
        assert caught.value.hint
    assert not target.exists()


@pytest.mark.released
def test_no_format_at_all_is_refused(bench: Workbench) -> None:
    with pytest.raises(NotFound, match="there is no format to export in"):
        export(*find(bench.repo), Ref.parse("churn"), ())


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidName):
        Ref.parse("churn@..")


@pytest.mark.live
def test_a_tag_that_was_moved_is_refused(bench: Workbench, target: Path) -> None:
    bench.train("model 2\n")
    bench.git("tag", "--force", "-m", "moved", "churn@v1.0.0")
    for place in (None, target):
        with pytest.raises(Refused, match="was moved since it was deployed here"):
            run(bench, target=place)
    assert not target.exists()


# --- pickles


def test_a_pickle_is_described_and_never_loaded(
    bench: Workbench, target: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    code = f"cos\nsystem\n(S'touch {trap}'\ntR."
    declare(bench, "models/churn/model.pkl")
    (bench.repo / "models/churn/model.pkl").write_text(code)
    bench.track("models/churn/model.pkl")
    bench.commit()
    bench.release()
    run(bench, "churn", "huggingface", "cyclonedx", target=target)
    assert (target / "model.pkl").read_text() == code
    assert "loading it runs whatever code is in it" in (target / "README.md").read_text()
    with pytest.raises(Refused) as caught:
        run(bench, "churn", "mlflow", target=tmp_path / "other")
    assert str(caught.value) == "mlflow takes no joblib model, as model.pkl is"
    assert caught.value.hint == "the formats that do: huggingface, cyclonedx, oci"
    assert not trap.exists()


# --- real models, read by the tools whose formats they are


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MLflow tells nobody what it does, and writes nothing beside the tests."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())


@pytest.fixture
def loaded(quiet: None) -> Callable[[Path], Any]:
    """MLflow's own way to load what lies in a folder."""
    pyfunc = pytest.importorskip("mlflow.pyfunc")
    return lambda folder: pyfunc.load_model(str(folder))


@pytest.fixture
def frame() -> Callable[..., Any]:
    return lambda rows, *columns: pytest.importorskip("pandas").DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def catboost_model() -> Any:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(
        iterations=5, depth=3, verbose=False, allow_writing_files=False
    )
    labels = ["abc"[int(row[1])] for row in ROWS]
    return model.fit(catboost.Pool(ROWS, labels, feature_names=["rain", "wind"]))


@pytest.fixture(scope="module")
def keras_model() -> Any:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Input((2,)), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential(layers)


def release(bench: Workbench, model: Any, path: str, more: str = "") -> str:
    """Save a model, have DVC track it, release it; the version."""
    declare(bench, path, more)
    place = bench.repo / path
    place.unlink(missing_ok=True)
    saved = {".cbm": "save_model", ".keras": "save"}[place.suffix]
    getattr(model, saved)(str(place))
    bench.track(path)
    bench.commit("Train")
    return bench.release()


@pytest.fixture(scope="module")
def deployed_model(
    template: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], Path]:
    """A workspace with a model at this path that is live: its smoke test takes seconds."""

    @functools.cache
    def deploy(path: str) -> Path:
        folder = tmp_path_factory.mktemp("deployed")
        model = request.getfixturevalue(f"{FRAMEWORKS[Path(path).suffix]}_model")
        labels = "    labels: [tabular, classification, 'license:mit']\nmetrics: [metrics.json]\n"
        with conftest.prepared(template, folder) as bench:
            release(bench, model, path, labels)
            bench.manager.deploy()
        return folder

    return deploy


def refuses(folder: Path, load: Callable[[Path], Any], data: Any, said: str) -> None:
    exceptions = pytest.importorskip("mlflow.exceptions")
    with pytest.raises(exceptions.MlflowException, match=said):
        load(folder).predict(data)


@pytest.mark.parametrize("deployed", [True, False])
def test_mlflow_predicts_with_catboost_and_holds_it_to_its_columns(
    template: Path, copied: Copied, deployed_model: Deployed, target: Path, catboost_model: Any,
    loaded: Any, frame: Any, deployed: bool,
) -> None:  # fmt: skip
    path = "models/churn/model.cbm"
    bench = copied(deployed_model(path) if deployed else template)
    if not deployed:
        release(bench, catboost_model, path)
    run(bench, "churn", "mlflow", target=target)
    assert tree(target) == ["MLmodel", "model.cbm", "python_env.yaml", "requirements.txt"]
    rows = frame(ROWS, "rain", "wind")
    answers = loaded(target).predict(rows)
    assert answers.tolist() == catboost_model.predict(ROWS).tolist()
    assert sorted({row[0] for row in answers.tolist()}) == ["a", "b", "c"]
    # extra columns go, and the order is mended
    turned = frame([[*row[::-1], 9.0] for row in ROWS], "wind", "rain", "more")
    assert loaded(target).predict(turned).tolist() == answers.tolist()
    refuses(target, loaded, frame(ROWS, "rain", "wrong"), "missing inputs")
    refuses(target, loaded, frame([["a", 1.0]], "rain", "wind"), "Incompatible input types")
    native = pytest.importorskip("mlflow.catboost").load_model(str(target))
    assert type(native).__name__ == "CatBoostClassifier"


def test_a_model_that_was_trained_on_a_matrix_takes_a_matrix(
    bench: Workbench, target: Path, loaded: Any
) -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostRegressor(iterations=5, verbose=False, allow_writing_files=False)
    model.fit(ROWS, [row[1] for row in ROWS])
    release(bench, model, "models/churn/model.cbm")
    run(bench, "churn", "mlflow", target=target)
    assert loaded(target).predict(ROWS).tolist() == model.predict(ROWS).tolist()
    refuses(target, loaded, [[0.0]], "missing inputs")


def test_mlflow_predicts_with_a_regression_as_its_loss_wants(
    bench: Workbench, target: Path, loaded: Any, frame: Any
) -> None:
    """Poisson's answers are exponents of what the trees give."""
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostRegressor(
        iterations=5, loss_function="Poisson", verbose=False, allow_writing_files=False
    )
    model.fit(ROWS, [row[1] for row in ROWS])
    release(bench, model, "models/churn/model.cbm")
    run(bench, "churn", "mlflow", target=target)
    answers = loaded(target).predict(frame(ROWS, "0", "1"))
    assert answers.tolist() == model.predict(ROWS).tolist()
    assert str(loaded(target).metadata.signature.outputs) == "[Tensor('float64', (-1,))]"


def test_a_categorical_feature_is_a_text_in_the_signature(
    bench: Workbench, target: Path, loaded: Any, frame: Any
) -> None:
    catboost = pytest.importorskip("catboost")
    rows = [[float(i), "xyz"[i % 3]] for i in range(30)]
    model = catboost.CatBoostClassifier(
        iterations=5, cat_features=["town"], verbose=False, allow_writing_files=False
    )
    data = frame(rows, "age", "town")
    model.fit(data, [i % 3 for i in range(30)])
    release(bench, model, "models/churn/model.cbm")
    architecture = bench.manager.deploy().report
    assert architecture is not None
    assert (architecture.architecture or {})["categorical"] == ["town"]
    run(bench, "churn", "mlflow", target=target)
    assert loaded(target).predict(data).tolist() == model.predict(data).tolist()
    assert str(loaded(target).metadata.signature.inputs) == (
        "['age': double (required), 'town': string (required)]"
    )
    refuses(target, loaded, frame([[1.0, 2.0]], "age", "town"), "Incompatible input types")


@pytest.mark.parametrize("deployed", [True, False])
def test_mlflow_predicts_with_keras_and_holds_it_to_its_shapes(
    template: Path, copied: Copied, deployed_model: Deployed, target: Path, keras_model: Any,
    loaded: Any, deployed: bool,
) -> None:  # fmt: skip
    numpy = pytest.importorskip("numpy")
    path = "models/churn/net.keras"
    bench = copied(deployed_model(path) if deployed else template)
    if not deployed:
        release(bench, keras_model, path)
    run(bench, "churn", "mlflow", target=target)
    assert tree(target) == ["MLmodel", "net.keras", "python_env.yaml", "requirements.txt"]
    rows = numpy.asarray(ROWS, "float32")
    answers = loaded(target).predict(rows)
    own = pytest.importorskip("keras").saving.load_model(target / "net.keras")
    assert answers.tolist() == own.predict(rows, verbose=0).tolist()
    refuses(target, loaded, rows[:, :1], "does not match expected shape")
    refuses(target, loaded, rows.astype("int64"), "dtype of input int64 does not match expected")
    native = pytest.importorskip("mlflow.keras").load_model(str(target))
    assert native.predict(rows, verbose=0).tolist() == answers.tolist()


def test_a_network_of_two_inputs_takes_them_by_name_and_in_their_types(
    bench: Workbench, target: Path, loaded: Any
) -> None:
    keras, numpy = pytest.importorskip("keras"), pytest.importorskip("numpy")
    words = keras.Input((3,), dtype="int32", name="words")
    rest = keras.Input((2,), name="rest")
    flat = keras.layers.Flatten()(keras.layers.Embedding(10, 2)(words))
    both = keras.layers.Concatenate()([flat, rest])
    model = keras.Model([words, rest], keras.layers.Dense(1)(both))
    release(bench, model, "models/churn/model.keras")
    run(bench, "churn", "mlflow", target=target)
    data = {
        "words": numpy.asarray([[1, 2, 3], [4, 5, 6]], "int32"),
        "rest": numpy.asarray([[0, 1], [2, 3]], "float32"),
    }
    expected = model.predict(data, verbose=0).tolist()
    assert loaded(target).predict(data).tolist() == expected
    refuses(target, loaded, {"words": data["words"]}, "missing inputs")


@pytest.mark.parametrize("path", ["models/churn/model.cbm", "models/churn/net.keras"])
def test_every_format_at_once_satisfies_every_validator(
    copied: Copied, deployed_model: Deployed, target: Path, path: str, loaded: Any
) -> None:
    bench = copied(deployed_model(path))
    exported = run(bench, "churn", "huggingface", "cyclonedx", "mlflow", target=target)
    assert tree(target) == sorted(
        ["MLmodel", "README.md", "bom.cdx.json", Path(path).name, "python_env.yaml",
         "requirements.txt"]
    )  # fmt: skip
    validator = pytest.importorskip("cyclonedx.validation.json").JsonStrictValidator
    version = pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_6
    assert validator(version).validate_str((target / "bom.cdx.json").read_text()) is None
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(target / "README.md").data
    assert (data.library_name, data.license) == (FRAMEWORKS[Path(path).suffix], "mit")
    _, results = pytest.importorskip("huggingface_hub.repocard_data").model_index_to_eval_results(
        data.to_dict()["model-index"]
    )
    assert [(result.metric_type, result.metric_value, result.task_type) for result in results] == [
        ("accuracy", 0.75, "tabular-classification")
    ]
    assert results[0].dataset_revision == exported.commit
    assert loaded(target).metadata.metadata["git_tag"] == "churn@v1.0.0"


# --- what was never deployed is looked at, as a deploy would


def test_a_model_that_does_not_answer_as_released_is_not_exported(
    bench: Workbench, target: Path, catboost_model: Any
) -> None:
    test = {"schema": 1, "inputs": ROWS[:1], "outputs": [[0.0, 0.0, 1.0]],
            "tolerance": {"absolute": 1e-6, "relative": 0}}  # fmt: skip
    (bench.repo / "models/churn/self_test.json").write_text(json.dumps(test))
    more = "    meta: {self_test: models/churn/self_test.json}\n"
    release(bench, catboost_model, "models/churn/model.cbm", more)
    with pytest.raises(SelfTestFailed, match="does not answer as it was released"):
        run(bench, "churn", "cyclonedx", target=target)
    assert not target.exists()


def test_without_the_framework_a_model_is_described_but_for_its_architecture(
    bench: Workbench, target: Path, tmp_path: Path, catboost_model: Any
) -> None:
    release(bench, catboost_model, "models/churn/model.cbm")
    (tmp_path / "without").mkdir()
    (tmp_path / "without/catboost.py").write_text("raise ImportError('no', name='catboost')")
    bench.monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    with pytest.raises(Refused, match="its architecture is not known") as caught:
        run(bench, "churn", "mlflow", target=target)
    assert "tagship deploy churn@1.0.0" in caught.value.hint
    assert not target.exists()
    exported = run(bench, "churn", "huggingface", target=target)
    assert "\nlibrary_name: catboost\n" in exported.descriptions["README.md"]
    assert "## Architecture" not in exported.descriptions["README.md"]


def test_with_smoke_tests_off_nothing_is_loaded(
    bench: Workbench, target: Path, keras_model: Any
) -> None:
    (bench.repo / "params.yaml").write_text("tagship:\n  smoke_test: false\n")
    release(bench, keras_model, "models/churn/model.keras")
    exported = run(bench, "churn", "mlflow", target=target)
    assert "signature" not in exported.descriptions["MLmodel"]
