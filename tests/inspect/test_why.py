"""``tagship why``: the chain from the live file to its tag, commit, author, data and params."""

import json
import os
import shutil

import pytest

from tagship.inspect import why
from tagship.inspect.why import Input
from tests.workbench import PATH, Workbench


@pytest.fixture
def staged(bench: Workbench) -> Workbench:
    """Two stages: one makes the data, the other the model; 1.0.0 is live."""
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / "raw.txt").write_text("raw\n")
    (bench.repo / "scores.json").write_text('{"accuracy": 0.75}\n')
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n"
        "  prepare: {cmd: cp raw.txt data.txt, deps: [raw.txt], outs: [data.txt]}\n"
        "  train:\n    cmd: cp data.txt models/churn/model.bin\n    deps: [data.txt]\n"
        "    params: [train.depth]\n    outs: [models/churn/model.bin]\n"
        "  judge:\n    cmd: cp scores.json metrics.json\n"
        "    deps: [models/churn/model.bin, scores.json]\n"
        "    metrics: [metrics.json: {cache: false}]\n"
        "artifacts: {churn: {path: models/churn/model.bin}}\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit("Train in two stages")
    bench.manager.release(message="the first")
    bench.manager.deploy(reason="it is better")
    return bench


def test_the_chain_leads_from_the_live_file_to_the_data(staged: Workbench) -> None:
    why = staged.manager.why()
    assert (why.version, why.path) == ("1.0.0", (staged.current / "model.bin").resolve())
    assert why.path.read_text() == "raw\n"
    assert why.problems == ()
    assert why.event is not None
    assert (why.event.action, why.event.reason) == ("deploy", "it is better")
    assert why.tag.name == "churn@v1.0.0"
    assert "the first" in why.tag.message
    assert why.commit.author == "Ada <ada@example.com>"
    assert why.commit.message == "Train in two stages"
    prepare, train = why.steps
    assert prepare.inputs == (Input("raw.txt", "2306b4377429730ee03a806cff76e92b", None),)
    assert [(dependency.path, dependency.stage) for dependency in train.inputs] == [
        ("data.txt", "prepare")
    ]
    assert train.params == {"train.depth": 4}
    assert why.metrics == {"accuracy": 0.75}


def test_it_reads_as_a_chain(staged: Workbench) -> None:
    why = staged.manager.why()
    assert why.event is not None
    at = why.event.at.replace("T", " ").removesuffix("Z")
    assert staged.cli("why", "churn").out == (
        f"churn 1.0.0 is live: {why.path}\n"
        f"  made live:  {at} UTC by {why.event.actor} on {why.event.host},"
        f" deploy {why.event.id}: it is better\n"
        "  smoke test: skipped: no loader reads model.bin\n"
        f"  tag:        churn@v1.0.0 ({why.tag.object[:10]})\n"
        "              2026-11-20 12:00:00 UTC by Ada <ada@example.com>\n"
        f"  commit:     {why.commit.id[:10]} Train in two stages\n"
        "              2026-11-20 12:00:00 UTC by Ada <ada@example.com>\n"
        "  files:\n"
        "    model.bin: 4 B  md5 2306b4377429730ee03a806cff76e92b\n"
        "  metrics:\n"
        "    accuracy: 0.75\n"
        "  made by:    prepare: cp raw.txt data.txt\n"
        "    read:\n"
        "      raw.txt: md5 2306b4377429730ee03a806cff76e92b\n"
        "  made by:    train: cp data.txt models/churn/model.bin\n"
        "    read:\n"
        "      data.txt: written by prepare\n"
        "    params:\n"
        "      train.depth: 4\n"
    )


def test_a_model_that_no_stage_made_has_the_parameters_beside_it(shipped: Workbench) -> None:
    out = shipped.cli("why", "churn").out
    assert "  made by:    no stage of dvc.yaml; it was tracked as it is\n" in out
    assert out.endswith("  params:\n    train: {'depth': 4}\n")
    assert json.loads(shipped.cli("why", "churn", "--json").out)["steps"] == []


def test_after_a_rollback_it_is_the_rollback_that_made_it_live(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version(reason="wrong on snow")
    event = shipped.manager.why().event
    assert event is not None
    assert (event.action, event.version, event.reason) == ("rollback", "1.0.0", "wrong on snow")


def test_neither_git_nor_dvc_is_asked(shipped: Workbench) -> None:
    shutil.rmtree(shipped.repo / ".git")
    shutil.rmtree(shipped.repo / ".dvc" / "cache")
    shipped.monkeypatch.setenv("PATH", "/nonexistent")
    assert why.why("churn", shipped.repo).version == "1.1.0"


def test_an_edited_file_is_told(shipped: Workbench) -> None:
    live = (shipped.current / "model.bin").resolve()
    live.chmod(0o644)
    live.write_text("longer than it was\n")
    out = shipped.cli("why", "churn").out
    assert "\n  model.bin has 19 bytes instead of 8\n" in out


def test_a_link_that_was_changed_by_hand_has_no_event(shipped: Workbench) -> None:
    older = min(os.listdir(shipped.folder / "versions"))
    shipped.current.unlink()
    shipped.current.symlink_to(f"versions/{older}")
    assert shipped.manager.why().event is None
    assert "current was changed by hand: no event made it live" in shipped.cli("why", "churn").out


def test_bad_input_is_told(bench: Workbench) -> None:
    bench.refuses("why chrun", "there is no model chrun", "did you mean churn?")
    bench.refuses("why churn", "no version of churn is live", "tagship deploy churn")
    bench.ship()
    (bench.current / "metadata.json").resolve().chmod(0o644)
    (bench.current / "metadata.json").resolve().write_text("{")
    assert bench.cli("why", "churn").code == 1
