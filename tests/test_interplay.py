"""Beside GTO and DVC: they read what we write, and we read what they write."""

import json
import sys
from pathlib import Path

import pytest

from tagship import NotFound, Refused
from tagship.registry.refs import Ref
from tests.workbench import Workbench, run


def _gto(bench: Workbench, *arguments: str) -> str:
    return run(bench.repo, str(Path(sys.executable).with_name("gto")), *arguments)


def _at(bench: Workbench, minute: int) -> None:
    """GTO orders by the time of a tag, to the second."""
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", f"{1795176000 + 60 * minute} +0000")


def test_gto_shows_and_tells_the_history_of_our_releases(bench: Workbench) -> None:
    bench.release()
    _at(bench, 1)
    bench.release("model 2\n")
    assert json.loads(_gto(bench, "show", "--json"))["churn"]["version"] == "v1.1.0"
    rows = json.loads(_gto(bench, "history", "churn", "--json"))
    assert [(row["event"], row["version"], row["ref"]) for row in rows] == [
        ("registration", "v1.1.0", "churn@v1.1.0"),
        ("registration", "v1.0.0", "churn@v1.0.0"),
    ]


def test_what_gto_registered_is_listed_and_deployed(bench: Workbench) -> None:
    _gto(bench, "register", "churn", "--version", "v0.3.0")
    assert [(r.version, r.size, r.metrics) for r in bench.manager.list_versions()] == [
        ("0.3.0", 8, {"accuracy": 0.75})
    ]
    assert bench.manager.deploy().place.version == "0.3.0"
    bench.train("model 2\n")
    assert bench.release() == "0.4.0"


def test_the_holder_of_a_stage_of_gto_is_deployed(bench: Workbench) -> None:
    bench.release()
    _gto(bench, "assign", "churn", "--version", "v1.0.0", "--stage", "prod")
    _at(bench, 1)
    bench.release("model 2\n")
    result = bench.cli("deploy", "churn#prod", "--yes")
    assert (result.code, bench.live()) == (0, "model 1\n")
    assert [row.stages for row in bench.manager.list_versions()] == [("prod",), ()]
    _at(bench, 2)
    _gto(bench, "assign", "churn", "--version", "v1.1.0", "--stage", "prod")
    assert bench.cli("deploy", "churn#prod", "--yes").code == 0
    assert bench.live() == "model 2\n"
    _at(bench, 3)
    _gto(bench, "deprecate", "churn", "v1.1.0", "prod")
    assert bench.cli("deploy", "churn#prod", "--yes").code == 0  # the holder before it, as in GTO
    assert bench.live() == "model 1\n"
    with pytest.raises(NotFound, match="no version of churn holds the stage dev"):
        bench.manager.plan(Ref.parse("churn#dev"))


def test_what_gto_deregistered_is_not_offered_and_its_number_not_given_again(
    bench: Workbench,
) -> None:
    bench.release()
    _at(bench, 1)
    bench.release("model 2\n")
    _at(bench, 2)
    _gto(bench, "deprecate", "churn", "v1.1.0")
    assert bench.manager.deploy().place.version == "1.0.0"
    with pytest.raises(Refused, match=r"churn 1\.1\.0 was withdrawn"):
        bench.manager.deploy("1.1.0")
    assert [(r.version, r.offered) for r in bench.manager.list_versions()] == [
        ("1.0.0", True),
        ("1.1.0", False),
    ]
    bench.train("model 3\n")
    assert bench.release() == "1.2.0"


def test_a_model_that_gto_deprecated_is_not_offered(bench: Workbench) -> None:
    bench.release()
    _at(bench, 1)
    _gto(bench, "deprecate", "churn")
    with pytest.raises(Refused, match="churn is deprecated"):
        bench.manager.deploy()


def test_dvc_gets_what_we_released(bench: Workbench, tmp_path: Path) -> None:
    bench.release()
    bench.release("model 2\n")
    for version, content in (("v1.0.0", "model 1\n"), ("v1.1.0", "model 2\n")):
        out = tmp_path / version
        bench.dvc("artifacts", "get", str(bench.repo), "churn", "--rev", version, "-o", str(out))
        assert out.read_text() == content


def test_dvc_gc_with_all_tags_keeps_what_is_released(bench: Workbench) -> None:
    bench.release()
    bench.release("model 2\n")
    bench.train("never released\n")
    bench.commit()
    bench.train("model 4\n")
    bench.dvc("gc", "--all-tags", "--workspace", "--force", "--quiet")
    run(bench.repo.parent, "rm", "-rf", "dvc-remote")
    for version, content in (("1.0.0", "model 1\n"), ("1.1.0", "model 2\n")):
        bench.manager.deploy(version)
        assert bench.live() == content


def test_dvc_does_not_look_into_what_is_deployed(bench: Workbench) -> None:
    bench.ship()
    bench.ship("model 2\n")
    assert bench.dvc("status") == "Data and pipelines are up to date.\n"
    assert bench.git("status", "--porcelain") == ""


def test_a_malformed_tag_breaks_nothing(bench: Workbench) -> None:
    bench.release()
    for name in ("churn@created", "churn@v1.2", "churn@1.0.0", "nightly", "churn@v01.0.0"):
        bench.git("tag", "-m", "odd", name)
    bench.git("tag", "churn@v9.0.0")  # lightweight
    assert bench.manager.deploy().place.version == "1.0.0"
    assert [row.version for row in bench.manager.list_versions()] == ["1.0.0"]
