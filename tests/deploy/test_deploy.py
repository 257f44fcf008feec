"""Deploy: a tagged version into versions/, ``current`` onto it, and the event into the history."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from tagship import Corrupt, ModelVersionManager, Refused, SelfTestFailed
from tagship.disk import atomic
from tagship.dvc.pointers import Cached
from tagship.host import history, metadata
from tagship.host.link import version_of
from tagship.text import words
from tests.workbench import Workbench


@pytest.mark.released
def test_a_deploy_makes_a_read_only_directory_and_a_relative_link(bench: Workbench) -> None:
    outcome = bench.manager.deploy()
    name = outcome.place.directory
    assert bench.current.readlink() == Path(f"versions/{name}")
    assert sorted(os.listdir(outcome.path)) == ["metadata.json", "model.bin"]
    assert bench.live() == "model 1\n"
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (outcome.path, outcome.path / "model.bin")]
    assert modes == [0o555, 0o444]
    assert outcome.event is not None
    assert name == f"v1.0.0_{outcome.event.id}"


@pytest.mark.released
def test_modes_do_not_depend_on_the_umask(bench: Workbench) -> None:
    old = os.umask(0o077)
    try:
        outcome = bench.manager.deploy()
    finally:
        os.umask(old)
    assert stat.S_IMODE((outcome.path / "model.bin").stat().st_mode) == 0o444
    assert stat.S_IMODE((outcome.path / "metadata.json").stat().st_mode) == 0o444
    assert stat.S_IMODE(outcome.path.stat().st_mode) == 0o555


@pytest.mark.live
def test_the_history_tells_what_was_done_by_whom_and_why(bench: Workbench) -> None:
    bench.release("model 2\n")
    bench.manager.deploy(reason="better on bare ground")
    first, second = bench.manager.get_deployment_history()
    assert (first.seq, second.seq) == (1, 2)
    assert second.previous == history.Place("1.0.0", first.directory or "")
    assert (second.version, second.tag) == ("1.1.0", "churn@v1.1.0")
    assert second.commit == bench.git("rev-parse", "HEAD").strip()
    assert second.tag_object == bench.git("rev-parse", "churn@v1.1.0").strip()
    assert second.reason == "better on bare ground"
    assert second.actor
    assert second.host


@pytest.mark.live
def test_deploying_what_is_live_and_intact_does_nothing(bench: Workbench) -> None:
    before = bench.state()
    outcome = bench.manager.deploy()
    assert outcome.event is None
    assert bench.state() == before


@pytest.mark.live
def test_deploying_what_is_live_and_edited_deploys_it_again(bench: Workbench) -> None:
    edited = bench.current / "model.bin"
    edited.chmod(0o644)
    edited.write_text("tampered\n")
    outcome = bench.manager.deploy()
    assert outcome.event is not None
    assert bench.live() == "model 1\n"


@pytest.mark.live
def test_force_deploys_what_is_live_again(bench: Workbench) -> None:
    outcome = bench.manager.deploy(force=True)
    assert outcome.event is not None
    assert len(os.listdir(bench.folder / "versions")) == 2


@pytest.mark.live
def test_two_deploys_in_one_second_get_two_directories(bench: Workbench) -> None:
    names = {bench.manager.deploy(force=True).place.directory for _ in range(5)}
    assert len(names) == 5
    events = bench.manager.get_deployment_history()  # what was live two deploys ago is cleaned up
    assert [event.action for event in events].count("deploy") == 6
    assert [event.seq for event in events] == list(range(1, 11))
    assert len({event.id for event in events}) == 10


@pytest.mark.released
def test_the_metadata_is_complete_and_read_from_the_tag(bench: Workbench) -> None:
    bench.train("model 2\n", accuracy=0.9)
    released = bench.manager.release(message="deeper trees")
    (bench.repo / "metrics.json").write_text('{"accuracy": 0.1}')  # not at the tag
    outcome = bench.manager.deploy()
    written = metadata.read(outcome.path)
    assert written.metrics == {"accuracy": 0.9}
    assert written.params == {"train": {"depth": 4}}
    assert written.tag.name == "churn@v1.1.0"
    assert "deeper trees" in written.tag.message
    assert written.commit.id == released.commit
    assert written.commit.author == "Ada <ada@example.com>"
    assert [(f.path, f.size) for f in written.files] == [("model.bin", 8)]
    assert written.size == 8
    assert set(written.tools) == {"tagship", "dvc", "python"}
    assert written.deployment is not None
    assert written.deployment.seq == 2 - 1


@pytest.mark.released
def test_a_bad_object_in_the_cache_is_dropped_and_the_remote_is_asked(bench: Workbench) -> None:
    cached = _cached(bench)
    cached.chmod(0o644)
    cached.write_text("corrupt\n")
    cached.chmod(0o444)
    bench.manager.deploy()
    assert bench.live() == "model 1\n"
    assert not cached.exists()


@pytest.mark.parametrize(
    "content", [b"", b"model 2\n", b"model 1"], ids=["empty", "other", "short"]
)
@pytest.mark.live
def test_bad_bytes_in_cache_and_remote_never_go_live(bench: Workbench, content: bytes) -> None:
    bench.release("model 3\n")
    cached = _cached(bench, "model 3\n")
    remote = bench.repo.parent / "dvc-remote/files/md5" / cached.parent.name / cached.name
    for place in (cached, remote):
        place.chmod(0o644)
        place.write_bytes(content)
        place.chmod(0o444)
    with pytest.raises(Corrupt, match="the DVC remote has other bytes"):
        bench.manager.deploy()
    assert bench.live() == "model 1\n"
    assert bench.actions()[-1] == ("deploy", "failed", "1.1.0")
    assert os.listdir(bench.folder / ".tagship/staging") == []
    assert len(os.listdir(bench.folder / "versions")) == 1


@pytest.mark.released
def test_bytes_that_the_cache_lacks_come_from_the_remote_and_fill_no_cache(
    bench: Workbench,
) -> None:
    _cached(bench).unlink()
    bench.manager.deploy()
    assert bench.live() == "model 1\n"
    assert not _cached(bench).exists()


@pytest.mark.released
def test_the_work_tree_and_the_index_are_left_as_they_are(bench: Workbench) -> None:
    bench.release("model 2\n")
    (bench.repo / "README").write_text("being edited\n")
    (bench.repo / "staged").write_text("staged\n")
    bench.git("add", "staged")
    before = bench.git("status", "--porcelain")
    bench.manager.deploy("1.0.0")
    assert bench.git("status", "--porcelain") == before
    assert (bench.repo / "models/churn/model.bin").read_text() == "model 2\n"


@pytest.mark.live
def test_a_plan_tells_what_would_change_and_changes_nothing(bench: Workbench) -> None:
    bench.train("model 2, larger\n", accuracy=0.875)
    bench.commit("Write")
    bench.manager.release()
    before = bench.state()
    plan = bench.manager.plan()
    assert bench.state() == before
    assert plan.source is not None
    assert (plan.source.version, plan.version) == ("1.0.0", "1.1.0")
    assert (plan.commits, plan.size, plan.to_fetch, plan.live) == (2, 16, 0, False)
    assert plan.metrics == {"accuracy": (0.75, 0.875)}


def test_a_model_that_does_not_load_never_goes_live(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.cbm").write_bytes(b"CBM1 and no model")
    _declare(bench, "models/churn/model.cbm")
    bench.manager.release()
    with pytest.raises(SelfTestFailed, match=r"model.cbm is (cut short|no CatBoost model)"):
        bench.manager.deploy()
    assert not bench.current.is_symlink()
    assert bench.actions() == [("deploy", "failed", "1.0.0")]
    with pytest.raises(Refused, match=r"the deploy of 1\.0\.0 failed, .*: model.cbm is") as told:
        bench.manager.deploy(smoke_test=False)
    assert told.value.hint == "tagship deploy churn@1.0.0"
    assert bench.manager.deploy("1.0.0", smoke_test=False).place.version == "1.0.0"


@pytest.mark.live
def test_a_version_that_fails_once_it_is_live_is_taken_back_for_good(
    bench: Workbench, tmp_path: Path
) -> None:
    """A model that loads when it is staged, and never again: what an after-switch test is for."""
    _install_fragile_loader(bench, tmp_path)
    (bench.repo / "models/churn/model.fragile").write_text("x")
    (bench.repo / "params.yaml").write_text("tagship: {after_switch: self_test}\n")
    _declare(bench, "models/churn/model.fragile")
    bench.manager.release()
    with pytest.raises(
        SelfTestFailed, match=r"failed its check once it was live.*1.0.0 is live again"
    ):
        bench.manager.deploy()
    assert bench.live() == "model 1\n"
    actions = [event.action for event in bench.manager.get_deployment_history()]
    assert actions == ["deploy", "deploy", "reject", "rollback"]
    bench.monkeypatch.setenv("PYTHONPATH", "")
    verdicts = bench.manager.cleanup_old_versions(keep=5).verdicts
    assert [v.directory[:6] for v in verdicts if not v.keep] == ["v1.1.0"]


def test_a_deploy_cleans_up_and_says_what_it_removed(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("tagship: {keep: 2}\n")
    shipped.release("model 3\n")
    (first,) = shipped.folder.glob("versions/v1.0.0_*")
    freed = sum(file.stat().st_size for file in first.iterdir())
    result = shipped.cli("deploy", "churn", "--yes")
    assert (result.code, result.err) == (0, "")
    assert f"  cleaned up:    removed {first.name}; {words.size(freed)} freed\n" in result.out
    assert "  live version:  1.2.0, 2 versions on disk\n" in result.out
    assert _on_disk(shipped) == ["1.1.0", "1.2.0"]
    done = [("deploy", "succeeded", "1.2.0"), ("cleanup", "succeeded", "1.0.0")]
    assert shipped.actions()[-2:] == done
    shipped.release("model 4\n")
    told = json.loads(shipped.cli("deploy", "churn", "--yes", "--json").out)
    assert ([name[:6] for name in told["removed"]], told["freed"] > 0) == (["v1.1.0"], True)


def test_by_default_a_deploy_keeps_five_versions(bench: Workbench) -> None:
    for number in range(1, 8):
        bench.ship(f"model {number}\n" if number > 1 else None)
    assert _on_disk(bench) == [f"1.{minor}.0" for minor in range(2, 7)]
    bench.manager.deploy("1.0")  # what was removed is checked out again
    assert bench.live() == "model 1\n"


def test_without_automatic_cleanup_all_versions_stay(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text("tagship: {auto_cleanup: false, keep: 1}\n")
    bench.commit()
    for number in range(2, 6):
        bench.ship(f"model {number}\n")
    assert len(bench.store.directories()) == 4


def test_a_deploy_that_fails_a_rollback_and_what_is_live_already_clean_nothing_up(
    shipped: Workbench,
) -> None:
    shipped.ship("model 3\n")
    before = shipped.store.directories()
    (shipped.repo / "params.yaml").write_text("tagship: {keep: 1}\n")
    assert shipped.cli("deploy", "churn", "--yes").code == 0
    assert shipped.store.directories() == before
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    assert shipped.store.directories() == before
    shipped.release("model 4\n")
    atomic.remove_tree(shipped.repo / ".dvc" / "cache")
    atomic.remove_tree(shipped.repo.parent / "dvc-remote")
    assert shipped.cli("deploy", "churn", "--yes").code == 1
    assert shipped.store.directories() == before


def test_a_cleanup_that_fails_is_a_warning(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("tagship: {keep: 1}\n")
    shipped.release("model 3\n")
    (shipped.folder / ".tagship" / "pins.json").write_text("no JSON")
    result = shipped.cli("deploy", "churn", "--yes")
    assert (result.code, shipped.live()) == (0, "model 3\n")
    assert result.err.startswith("note: the cleanup after the deploy failed: ")
    assert result.err.endswith("; again: tagship cleanup churn\n")
    assert len(shipped.store.directories()) == 3


@pytest.mark.released
def test_the_bytes_of_the_plan_and_of_the_disk_are_json_for_programs(bench: Workbench) -> None:
    plan = bench.cli("deploy", "churn", "--dry-run", "--json")
    assert (plan.code, json.loads(plan.out)["size"]) == (0, 8)
    result = bench.cli("deploy", "churn", "--yes", "--json")
    assert (result.code, json.loads(result.out)["place"]["version"]) == (0, "1.0.0")


@pytest.mark.released
def test_a_deploy_from_a_hook_asks_the_repository_that_it_was_told(
    bench: Workbench, tmp_path: Path
) -> None:
    """Git exports GIT_DIR to its hooks."""
    bench.monkeypatch.setenv("GIT_DIR", str(tmp_path / "origin.git"))
    assert ModelVersionManager("churn", bench.repo).deploy().place.version == "1.0.0"


def _on_disk(bench: Workbench) -> list[str]:
    return sorted(version_of(name) for name in bench.store.directories())


def _cached(bench: Workbench, content: str = "model 1\n") -> Path:
    from tagship.disk import files

    copy = bench.repo.parent / "content"
    copy.write_text(content)
    return bench.manager.source.content().cache.path(Cached("", files.digest(copy).md5))


def _declare(bench: Workbench, path: str) -> None:
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n  churn:\n    path: {path}\n")
    bench.commit()


def _install_fragile_loader(bench: Workbench, tmp_path: Path) -> None:
    """A loader package of somebody else's, whose models load once for each file that is left."""
    package = tmp_path / "site"
    info = package / "fragile-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tagship.loaders]\nfragile = fragile:Fragile\n")
    (package / "fragile.py").write_text(
        "from pathlib import Path\n"
        f"TICKETS = Path({str(tmp_path / 'tickets')!r})\n"
        "class Fragile:\n"
        "    framework, suffixes, safe, requirement = 'fragile', ('.fragile',), True, 'fragile'\n"
        "    def load(self, path):\n"
        "        next(TICKETS.iterdir()).unlink()\n"
        "        return path\n"
        "    def describe(self, model): return {}\n"
        "    def predict(self, model, inputs): return inputs\n"
        "    def accepts(self, model): return False\n"
        "    def save(self, model, path): ...\n"
    )
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "one").touch()
    from tagship import loaders

    bench.monkeypatch.syspath_prepend(str(package))
    bench.monkeypatch.setenv("PYTHONPATH", str(package), prepend=os.pathsep)
    loaders.known.cache_clear()


@pytest.mark.parametrize("what", ["bytes", "model", "path", "self_test", "commit"])
def test_a_directory_whose_metadata_differ_from_the_tag_is_not_used(
    shipped: Workbench, what: str
) -> None:
    shipped.manager.rollback_to_version()
    (directory,) = shipped.folder.glob("versions/v1.1.0_*")
    path = directory / "metadata.json"
    described = json.loads(path.read_text())
    for place in (directory, path, directory / "model.bin"):
        place.chmod(0o755)
    if what == "bytes":
        (directory / "model.bin").write_bytes(b"altered\n")
        digests = {name: hashlib.new(name, b"altered\n").hexdigest() for name in ("md5", "sha256")}
        described["files"][0].update(digests)
    elif what == "commit":
        described["commit"]["id"] = "0" * 40
    else:
        described[what] = "other" if what == "model" else "metadata.json"
    path.write_text(json.dumps(described))
    (directory / "model.bin").chmod(0o444)
    path.chmod(0o444)
    directory.chmod(0o555)
    outcome = shipped.manager.deploy("1.1.0")
    assert (shipped.live(), outcome.path == directory) == ("model 2\n", False)
    assert shipped.cli("verify", "churn@1.1.0").code == 1
    assert shipped.cli("status").code == 0
