"""ModelVersionManager: the six methods, and deploying from a notebook."""

from pathlib import Path

import pytest

from tagship import ModelVersionManager, NotFound, Refused, TagshipError
from tests.workbench import PATH, Workbench, dvc


def test_the_six_methods_tell_one_story(bench: Workbench) -> None:
    manager = bench.manager
    assert manager.get_current_version() is None
    (bench.repo.parent / "new.bin").write_text("model 1, trained\n")
    assert manager.deploy_model(bench.repo.parent / "new.bin").place.version == "1.0.0"
    (bench.repo.parent / "new.bin").write_text("model 2, trained\n")
    assert manager.deploy_model(str(bench.repo.parent / "new.bin")).place.version == "1.1.0"
    live = manager.get_current_version()
    assert live is not None
    assert (live.version, live.path.read_text()) == ("1.1.0", "model 2, trained\n")
    assert [(row.version, row.live) for row in manager.list_versions()] == [
        ("1.0.0", False),
        ("1.1.0", True),
    ]
    assert manager.rollback_to_version("1.0").place.version == "1.0.0"
    assert [v.keep for v in manager.cleanup_old_versions(keep=1).verdicts] == [False, True]
    actions = [event.action for event in manager.get_deployment_history()]
    assert actions == ["deploy", "deploy", "rollback", "cleanup"]


@pytest.mark.parametrize("source", ["1.0.0", "v1.0", "latest", "churn@v1.0.0", None])
@pytest.mark.released
def test_a_version_or_a_tag_is_deployed_as_it_is(bench: Workbench, source: str | None) -> None:
    head = bench.git("rev-parse", "HEAD")
    assert bench.manager.deploy_model(source).place.version == "1.0.0"
    assert bench.git("rev-parse", "HEAD") == head


def test_only_the_model_is_committed(bench: Workbench) -> None:
    (bench.repo / "README").write_text("being edited\n")
    (bench.repo / "staged").write_text("staged\n")
    bench.git("add", "staged")
    before = bench.git("status", "--porcelain")
    (bench.repo.parent / "new.bin").write_text("model 2\n")
    bench.manager.deploy_model(bench.repo.parent / "new.bin", message="Deeper trees")
    assert bench.git("status", "--porcelain") == before
    assert bench.git("show", "--name-only", "--format=%s", "HEAD") == (
        "Deeper trees\n\nmodels/churn/model.bin.dvc\n"
    )
    assert bench.live() == "model 2\n"


def test_a_model_in_place_is_tracked_and_deployed(bench: Workbench) -> None:
    (bench.repo / PATH).write_text("model 2\n")
    assert bench.manager.deploy_model(bench.repo / PATH).place.version == "1.0.0"
    assert bench.live() == "model 2\n"


def test_a_model_that_git_keeps_stays_with_git(bench: Workbench) -> None:
    (bench.repo / "plain.bin").write_text("model 1\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: plain.bin\n")
    bench.commit()
    (bench.repo.parent / "new.bin").write_text("model 2\n")
    bench.manager.deploy_model(bench.repo.parent / "new.bin")
    assert (bench.current / "plain.bin").read_text() == "model 2\n"
    assert not (bench.repo / "plain.bin.dvc").exists()


def test_a_model_that_is_new_to_the_repository_becomes_tracked(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  wine:\n    path: models/wine/model.bin\n")
    bench.commit()
    (bench.repo.parent / "new.bin").write_text("model 1\n")
    manager = ModelVersionManager("wine", bench.repo)
    assert manager.deploy_model(bench.repo.parent / "new.bin").place.version == "1.0.0"
    assert (bench.repo / "models/wine/model.bin.dvc").is_file()


def test_a_folder_is_deployed_whole(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  wine:\n    path: models/wine/bundle\n")
    bench.commit()
    new = bench.repo.parent / "new"
    new.mkdir()
    for name in ("a", "b"):
        (new / name).write_text(name)
    outcome = ModelVersionManager("wine", bench.repo).deploy_model(new)
    assert sorted(p.name for p in (outcome.path / "bundle").iterdir()) == ["a", "b"]


def test_what_a_stage_writes_is_made_by_dvc_repro(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: echo 1 > out.bin\n    outs: [out.bin]\n"
        "artifacts:\n  churn:\n    path: out.bin\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    before = bench.state()
    (bench.repo.parent / "new.bin").write_text("model 2\n")
    with pytest.raises(Refused, match=r"out\.bin is written by the stage train") as caught:
        bench.manager.deploy_model(bench.repo.parent / "new.bin")
    assert caught.value.hint.startswith("dvc repro train, commit what changed, then: ")
    (bench.repo.parent / "new.bin").unlink()
    assert bench.state() == before


def test_where_git_refuses_the_commit_the_files_are_as_they_were(bench: Workbench) -> None:
    hook = bench.repo / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho fatal: not on a Friday >&2\nexit 1\n")
    hook.chmod(0o755)
    new = bench.repo.parent / "new.bin"
    new.write_text("model 2\n")
    status = bench.git("status", "--porcelain")
    pointer = (bench.repo / f"{PATH}.dvc").read_text()
    with pytest.raises(TagshipError, match="not on a Friday"):
        bench.manager.deploy_model(new)
    assert bench.git("status", "--porcelain") == status
    assert (bench.repo / PATH).read_text() == "model 1\n"
    assert (bench.repo / f"{PATH}.dvc").read_text() == pointer
    assert bench.git("tag") == ""


def test_a_file_that_is_not_there_is_said_to_be_not_there(bench: Workbench) -> None:
    before = bench.state()
    with pytest.raises(NotFound, match=r"there is no file .*gone\.bin"):
        bench.manager.deploy_model(Path("gone.bin"))
    assert bench.state() == before


def test_a_folder_around_the_model_or_the_deployments_or_in_them_is_refused(
    shipped: Workbench,
) -> None:
    own = shipped.repo / PATH
    (shipped.repo / f"{PATH}.dvc").unlink()
    own.unlink()
    (own / "part").mkdir(parents=True)
    (own / "part" / "weights.bin").write_text("model 3\n")
    shipped.track(PATH)
    shipped.commit()
    other = shipped.repo / "models/fraud"
    (other / "versions").mkdir(parents=True)
    shipped.monkeypatch.chdir(shipped.repo)
    before = shipped.state()
    around = ["", ".", "..", "models", "models/churn", other]
    inside = [own / "part", own / "part/weights.bin", shipped.folder / "versions", shipped.current]
    for given in around:
        with pytest.raises(Refused, match=r" contains .*, and cannot become model\.bin"):
            shipped.manager.deploy_model(given)
    for given in inside:
        with pytest.raises(Refused, match=r"( is in | contains ).*, and cannot become model\.bin"):
            shipped.manager.deploy_model(given)
    assert shipped.state() == before
    assert shipped.manager.deploy_model("models/churn/model.bin").place.version == "1.2.0"


def test_an_object_that_no_loader_knows_is_refused(bench: Workbench) -> None:
    before = bench.state()
    with pytest.raises(NotFound, match=r"no loader can save a builtins\.object"):
        bench.manager.deploy_model(object())
    assert bench.state() == before


def test_a_dvc_repository_may_lie_below_gits_top(bench: Workbench) -> None:
    """Then GTO names the model after its folder: ``sub:wine``, in a tag ``sub=wine@v1.0.0``."""
    sub = bench.repo / "sub"
    sub.mkdir()
    dvc(sub, "init", "--quiet", "--subdir")
    (sub / "model.bin").write_text("model 1\n")
    dvc(sub, "add", "--quiet", "model.bin")
    (sub / "dvc.yaml").write_text("artifacts:\n  wine:\n    path: model.bin\n")
    bench.commit()
    manager = ModelVersionManager("sub:wine", sub)
    assert manager.release().tag == "sub=wine@v1.0.0"
    path = manager.deploy().path
    assert (path / "model.bin").read_text() == "model 1\n"
    assert path.is_relative_to(sub / "models")


def test_a_model_of_another_kind_is_refused_before_anything_is_touched(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: models/churn/model.cbm\n")
    bench.commit()
    (bench.repo.parent / "new.joblib").write_text("a pickle")
    before = bench.state()
    with pytest.raises(Refused, match=r"new\.joblib cannot become model\.cbm"):
        bench.manager.deploy_model(bench.repo.parent / "new.joblib")
    linear = pytest.importorskip("sklearn.linear_model").LogisticRegression()
    with pytest.raises(Refused, match=r"model\.cbm cannot hold a model of joblib"):
        bench.manager.deploy_model(linear)
    assert bench.state() == before


def test_a_traceback_shows_the_hint_too(bench: Workbench) -> None:
    with pytest.raises(NotFound) as caught:
        bench.manager.deploy()
    assert caught.value.__notes__ == ["hint: git fetch --tags; or: tagship release churn"]
