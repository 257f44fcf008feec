"""A host that is fed by bundles: what goes live, what does not, and what was seen counts."""

import shutil
from pathlib import Path

import pytest

from tests.carrying import Carrying
from tests.hosts import Following
from tests.workbench import PATH, Result


@pytest.fixture
def fed(host: Following) -> Carrying:
    """A host that follows a folder in which nothing is yet; 1.0.0 is released."""
    carrying = Carrying(host.bench, address=str(host.top / "bundles"), kind="bundle")
    carrying.follow()
    return carrying


def bundle(host: Carrying, version: str) -> Path:
    file = host.top / f"churn-{version}.tar"
    file.unlink(missing_ok=True)
    host.bench.manager.bundle(file, version)
    return file


def digest(host: Carrying) -> str:
    return host.bench.manager.bundle(host.top / "digest.tar", "1.0.0").digest


def feed(host: Carrying, version: str, *more: str) -> Result:
    """Carry a version to the host."""
    return host.cli("unbundle", str(bundle(host, version)), *more)


def test_a_host_is_fed_rolls_back_and_is_fed_again(fed: Carrying) -> None:
    place = Path(fed.address)
    assert feed(fed, "1.0.0", "--yes") == Result(
        0,
        f"churn@v1.0.0 is in {place} (1 object, 8 B)\n  new: churn@v1.0.0\n"
        f"  digest: {digest(fed)}\n",
        "",
    )
    assert fed.sync().code == 0
    assert fed.live() == "model 1\n"
    fed.release("model 2\n")
    assert feed(fed, "1.1.0").code == 0  # the first one was seen: nobody is asked
    assert fed.sync().code == 0
    assert fed.live() == "model 2\n"
    assert fed.cli("rollback", "churn", "--yes").code == 0
    assert fed.live() == "model 1\n"
    assert "  new: nothing\n" in feed(fed, "1.1.0").out
    fed.sync()
    assert fed.live() == "model 1\n"
    fed.release("model 3\n")
    assert feed(fed, "1.2.0").code == 0
    assert fed.sync().code == 0
    assert fed.live() == "model 3\n"


def test_an_older_bundle_is_taken_in_and_goes_live_by_its_name_alone(fed: Carrying) -> None:
    fed.release("model 2\n")
    feed(fed, "1.1.0", "--yes")
    fed.sync()
    assert feed(fed, "1.0.0").code == 0
    fed.passes(0, "churn: in order, live 1.1.0\n")
    assert fed.live() == "model 2\n"
    assert fed.cli("deploy", "churn@1.0.0", "--yes").code == 0
    assert fed.live() == "model 1\n"


def test_a_stage_means_behind_the_gap_what_it_means_in_git(fed: Carrying) -> None:
    fed.follow("#prod")
    fed.release("model 2\n")
    fed.publish("churn#prod#1", at="HEAD~")
    feed(fed, "1.0.0", "--yes")
    fed.sync()
    assert fed.live() == "model 1\n"
    fed.publish("churn#prod#2")
    feed(fed, "1.1.0")
    fed.sync()
    assert fed.live() == "model 2\n"
    fed.publish("churn@v1.1.0!")
    fed.publish("churn#prod#3", at="HEAD~")
    assert "  new: churn#prod#3, churn@v1.1.0!\n" in feed(fed, "1.0.0").out
    fed.sync()
    assert fed.live() == "model 1\n"


def test_many_new_tags_have_a_line_each(fed: Carrying) -> None:
    for number in range(1, 13):
        fed.publish(f"churn#prod#{number}")
    _, *new, _ = feed(fed, "1.0.0", "--yes").out.splitlines()
    names = sorted(["churn@v1.0.0", *(f"churn#prod#{number}" for number in range(1, 13))])
    lines = [f"    {name}" for name in names[:10]]
    assert new == ["  new: 13 tags", *lines, "    and 3 more"]


def test_what_the_host_saw_counts_though_its_folder_was_emptied(fed: Carrying) -> None:
    feed(fed, "1.0.0", "--yes")
    fed.sync()
    for path in sorted(Path(fed.address).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    fed.bench.git("tag", "-f", "-a", "-m", "another one", "churn@v1.0.0")
    refused = feed(fed, "1.0.0", "--yes")
    assert refused.code == 1
    assert "was seen here: it is another repository's bundle, or the tag was moved" in refused.err
    assert not list(Path(fed.address).rglob("*"))
    assert fed.live() == "model 1\n"


def test_a_bundle_that_is_no_more_there_takes_nothing_back(fed: Carrying) -> None:
    feed(fed, "1.0.0", "--yes")
    fed.sync()
    (Path(fed.address) / "tagship/churn/index.json").unlink()
    fed.sync()
    assert fed.live() == "model 1\n"


def test_a_folder_that_was_removed_is_filled_anew(fed: Carrying) -> None:
    """As the page says of one that is full: what was seen counts, so nobody is asked."""
    feed(fed, "1.0.0", "--yes")
    fed.sync()
    fed.release("model 2\n")
    shutil.rmtree(fed.address)
    assert feed(fed, "1.1.0").code == 0
    fed.passes(0, "churn: in order, live 1.1.0\n  1.1.0 is live\n")
    assert fed.cli("status").code == 0
    assert fed.cli("rollback", "churn", "--yes").code == 0
    assert fed.live() == "model 1\n"


def test_an_index_that_is_damaged_is_removed_and_the_bundle_taken_in_again(fed: Carrying) -> None:
    feed(fed, "1.0.0", "--yes")
    fed.sync()
    damaged = Path(fed.address) / "tagship/churn/index.json"
    damaged.write_text("{")
    assert fed.sync().code == 1
    refused = feed(fed, "1.0.0")
    assert refused.err.endswith(f"remove it, and take the bundles in again: rm {damaged}\n")
    damaged.unlink()
    assert feed(fed, "1.0.0").code == 0
    fed.passes(0, "churn: in order, live 1.0.0\n")


def test_a_host_of_git_names_no_folder_for_bundles(host: Following) -> None:
    file = host.top / "x.tar"
    host.bench.manager.bundle(file, "1.0.0")
    told = host.cli("unbundle", str(file))
    assert told.code == 1
    assert "names no folder for bundles" in told.err
    assert 'or write bundle = "/srv/bundles" in [source], in place of git' in told.err


def test_a_model_that_names_a_remote_of_its_own_is_carried_too(fed: Carrying) -> None:
    """``remote:`` of an output: behind the gap its objects are in the same folder as all."""
    repo = fed.bench.repo
    fed.bench.dvc("remote", "add", "--quiet", "models", "../dvc-remote")
    told = repo / "models/churn/model.bin.dvc"
    told.write_text(told.read_text() + "  remote: models\n")
    fed.bench.commit()
    fed.bench.manager.release(force=True, push=True)
    assert feed(fed, "1.1.0", "--yes").code == 0
    synced = fed.sync()
    assert (synced.code, fed.live()) == (0, "model 1\n"), synced


def test_a_host_passes_on_what_it_has(fed: Carrying, host: Following) -> None:
    """Of its own mirror, with the same bytes as from a clone."""
    first = bundle(fed, "1.0.0")
    assert fed.cli("unbundle", str(first), "--yes").code == 0
    assert fed.sync().code == 0
    again = fed.top / "again.tar"
    assert fed.cli("bundle", "churn@1.0.0", "-o", str(again)).code == 0
    assert again.read_bytes() == first.read_bytes()
    fed.file.unlink()
    host.follow()
    assert host.sync().code == 0
    assert host.cli("bundle", "churn@1.0.0", "-o", str(fed.top / "git.tar")).code == 0
    assert (fed.top / "git.tar").read_bytes() == first.read_bytes()


def test_a_model_that_git_keeps_is_carried_in_its_capsule(fed: Carrying) -> None:
    repo = fed.bench.repo
    (repo / f"{PATH}.dvc").unlink()
    (repo / "models/churn/.gitignore").unlink()
    fed.bench.git("add", "--force", PATH)
    fed.bench.commit()
    fed.bench.manager.release(push=True, force=True)
    taken = feed(fed, "1.1.0", "--yes")
    assert taken.out.startswith(f"churn@v1.1.0 is in {fed.address} (0 objects, 0 B)\n")
    assert fed.sync().code == 0
    assert fed.live() == "model 1\n"
