"""``tagship compare``: which of two versions is better, and what changed."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tagship.cli import compare as cli_compare
from tagship.inspect import compare
from tagship.inspect.compare import Change
from tests import conftest, workbench
from tests.test_docs import _train_in_a_stage
from tests.workbench import PATH, Workbench

STAGES = """\
stages:
  train:
    cmd: cp data.txt models/churn/model.bin && cp scores.json metrics.json
    deps: [data.txt, scores.json, train.py]
    params: [train.depth]
    outs: [models/churn/model.bin]
    metrics: [metrics.json: {cache: false}]
artifacts:
  churn: {path: models/churn/model.bin, type: model, meta: {self_test: models/churn/test.json}}
"""


def self_test(inputs: object, outputs: object, tolerance: float = 0) -> str:
    value = {
        "schema": 1, "inputs": inputs, "outputs": outputs,
        "tolerance": {"absolute": tolerance, "relative": 0},
    }  # fmt: skip
    return json.dumps(value)


@pytest.fixture(scope="module")
def two_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``two`` has, made once."""
    folder = tmp_path_factory.mktemp("two")
    with conftest.prepared(template, folder) as bench:
        train_twice(bench)
        workbench.slim(folder)
    return folder


@pytest.fixture
def two(two_template: Path, copied: Callable[[Path], Workbench]) -> Workbench:
    """1.0.0, which is live, and 1.1.0: other data, another parameter, other metrics."""
    return copied(two_template)


def train_twice(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text(STAGES)
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / "train.py").write_text("the code\n")
    (bench.repo / "data.txt").write_text("model a\n")
    (bench.repo / "scores.json").write_text('{"accuracy": 0.75}\n')
    (bench.repo / "models/churn/test.json").write_text(self_test([[1, 2]], [[0.5, 0.5]]))
    bench.dvc("repro", "--quiet")
    bench.commit("Train in a stage")
    bench.ship()
    (bench.repo / "data.txt").write_text("model b, larger\n")
    (bench.repo / "params.yaml").write_text("train:\n  depth: 6\n")
    (bench.repo / "scores.json").write_text('{"accuracy": 0.875, "loss": 0.5}\n')
    (bench.repo / "models/churn/test.json").write_text(self_test([[1, 2, 3]], [[0.5, 0.5]]))
    bench.dvc("repro", "--quiet")
    bench.commit("Train on more data")
    bench.commit("Write it down")
    bench.release()


def test_by_default_the_live_version_is_held_against_the_latest(two: Workbench) -> None:
    comparison = two.manager.compare()
    assert (comparison.before.version, comparison.before.live) == ("1.0.0", True)
    assert (comparison.after.version, comparison.after.live, comparison.after.on_disk) == (
        "1.1.0",
        False,
        False,
    )
    assert [(m.name, m.difference, m.verdict, m.note) for m in comparison.metrics] == [
        ("accuracy", 0.125, "better", None),
        ("loss", None, None, "new"),
    ]
    assert comparison.params == (Change("train.depth", 4, 6),)
    assert [change.name for change in comparison.inputs] == ["data.txt", "scores.json"]
    assert comparison.commands == ()
    assert comparison.architecture is None  # neither was loaded
    assert comparison.self_test == (Change("input", [2], [3]),)
    assert [commit.subject for commit in comparison.commits] == [
        "Write it down", "Train on more data"
    ]  # fmt: skip
    assert (comparison.ahead, comparison.behind) == (2, 0)


def test_it_reads_well_in_a_pipe(two: Workbench) -> None:
    first, second = (two.git("rev-parse", f"churn@v{v}^{{}}").strip() for v in ("1.0.0", "1.1.0"))
    md5s = "".join(
        f"{change.name}\t{change.before[:10]}\t{change.after[:10]}\n"
        for change in two.manager.compare().inputs
    )
    assert two.cli("compare", "churn").out == (
        "churn: 1.0.0 -> 1.1.0\n"
        "1.1.0 is better in 1 metric\n"
        "\n"
        "\t1.0.0\t1.1.0\n"
        "state\tlive\tnot on disk\n"
        "released\t2026-11-20 12:00:00\t2026-11-20 12:00:00\n"
        "tag\tchurn@v1.0.0\tchurn@v1.1.0\n"
        f"commit\t{first[:10]}\t{second[:10]}\n"
        "author\tAda <ada@example.com>\tAda <ada@example.com>\n"
        "size\t111 B\t122 B\n"
        "\n"
        "METRIC\t1.0.0\t1.1.0\tCHANGE\tVERDICT\tBETTER IS\n"
        "accuracy\t0.75\t0.875\t+0.125\tbetter\thigher\n"
        "loss\t-\t0.5\t\tnew\tlower\n"
        "\n"
        "PARAMETER\t1.0.0\t1.1.0\n"
        "train.depth\t4\t6\n"
        "\n"
        "READ (MD5)\t1.0.0\t1.1.0\n"
        f"{md5s}"
        "\n"
        "SELF-TEST\t1.0.0\t1.1.0\n"
        "input\t[2]\t[3]\n"
        "\n"
        "COMMIT\tAT (UTC)\tAUTHOR\tSUBJECT\n"
        f"{second[:10]}\t2026-11-20 12:00:00\tAda <ada@example.com>\tWrite it down\n"
        f"{two.git('rev-parse', 'HEAD~1')[:10]}\t2026-11-20 12:00:00\tAda <ada@example.com>"
        "\tTrain on more data\n"
        "\n"
        "2 commits in 1.1.0 alone\n"
        "the same: commands\n"
        "architecture: n/a (the smoke test of 1.0.0 was skipped: no loader reads model.bin)\n"
    )


def test_json_has_everything(two: Workbench) -> None:
    value = json.loads(two.cli("compare", "churn", "1.0", "1.1", "--json").out)
    assert value["params"] == [{"name": "train.depth", "before": 4, "after": 6}]
    assert value["metrics"][0]["better"] == "higher"
    assert value["before"]["commit"] == two.git("rev-parse", "churn@v1.0.0^{}").strip()


def test_markdown_for_a_pull_request(two: Workbench) -> None:
    out = two.cli("compare", "churn", "--markdown").out
    assert out.startswith("## churn: 1.0.0 -> 1.1.0\n\n1.1.0 is better in 1 metric\n\n|")
    assert (
        "| METRIC | 1.0.0 | 1.1.0 | CHANGE | VERDICT | BETTER IS |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| accuracy | 0.75 | 0.875 | +0.125 | better | higher |\n"
        "| loss | - | 0.5 |  | new | lower |\n"
    ) in out


def test_markdown_takes_no_text_for_anything_else() -> None:
    text = cli_compare.as_markdown(["a_b", (("x|y",), [("<script>*`[",)])])
    assert text == "## a\\_b\n\n| x\\|y |\n| --- |\n| &lt;script>\\*\\`\\[ |"


def test_one_version_is_held_against_the_live_one(two: Workbench) -> None:
    two.manager.deploy("1.1")
    comparison = json.loads(two.cli("compare", "churn", "1.0", "--json").out)
    assert (comparison["before"]["version"], comparison["after"]["version"]) == ("1.1.0", "1.0.0")
    assert (comparison["ahead"], comparison["behind"]) == (0, 2)
    assert comparison["metrics"][0]["verdict"] == "worse"
    assert "2 commits in 1.1.0 alone" in two.cli("compare", "churn", "1.0").out


def test_a_version_held_against_itself_is_the_same(two: Workbench) -> None:
    out = two.cli("compare", "churn", "1.0", "1.0").out
    assert "the same: params, data and code, commands, self-test, commits\n" in out
    assert "accuracy\t0.75\t0.75\t+0\tsame\thigher\n" in out


def test_where_the_live_version_is_the_latest_the_one_before_it_is_held_against_it(
    two: Workbench,
) -> None:
    two.manager.deploy("1.1")
    comparison = two.manager.compare()
    assert (comparison.before.version, comparison.after.version) == ("1.0.0", "1.1.0")
    assert comparison.after.live


@pytest.mark.live
def test_a_first_version_has_nothing_to_be_compared_with(bench: Workbench) -> None:
    bench.refuses(
        "compare churn",
        "churn has no version before 1.0.0 to compare it with",
        "after the next one: tagship release churn",
    )


@pytest.mark.released
def test_the_only_version_deployed_is_compared_with_the_one_released_before(
    bench: Workbench,
) -> None:
    bench.ship("model 2\n")
    comparison = bench.manager.compare()
    assert (comparison.before.version, comparison.after.version) == ("1.0.0", "1.1.0")


def test_what_the_settings_say_of_a_metric_decides(two: Workbench) -> None:
    (two.repo / "params.yaml").write_text(
        "train:\n  depth: 6\ntagship:\n  better: {accuracy: lower}\n"
    )
    assert two.manager.compare().metrics[0].verdict == "worse"


def test_a_version_without_metrics_says_so(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text("artifacts: {churn: {path: models/churn/model.bin}}\n")
    bench.commit("No metrics")
    bench.ship()
    out = bench.cli("compare", "churn", "1.0", "1.0").out
    assert "neither version has metrics\n" in out
    assert "METRIC" not in out


def test_what_neither_version_has_is_not_called_the_same(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text("artifacts: {churn: {path: models/churn/model.bin}}\n")
    (bench.repo / "params.yaml").write_text("tagship: {keep: 3}\n")
    bench.commit("As after dvc add")
    bench.ship()
    bench.ship("model 2\n")
    why = "not recorded: no stage makes churn"
    out = bench.cli("compare", "churn").out
    assert "neither version has metrics\n" in out
    assert "the same:" not in out
    assert out.endswith(
        f"params: n/a ({why})\n"
        f"data and code: n/a ({why})\n"
        f"commands: n/a ({why})\n"
        "architecture: n/a (the smoke test of 1.0.0 was skipped: no loader reads model.bin)\n"
        "self-test: n/a (none defined)\n"
    )
    assert f"data and code: n/a ({why})\n" in bench.cli("compare", "churn", "--markdown").out
    value = json.loads(bench.cli("compare", "churn", "--json").out)
    assert (value["params"], value["inputs"], value["commands"]) == ([], [], [])
    assert value["unknown"] == {
        "params": why,
        "inputs": why,
        "commands": why,
        "architecture": "the smoke test of 1.0.0 was skipped: no loader reads model.bin",
        "self_test": "none defined",
    }


def test_a_stage_without_parameters_and_dependencies_has_none_to_compare(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train: {cmd: echo a > models/churn/model.bin, outs: [models/churn/model.bin]}\n"
        "artifacts: {churn: {path: models/churn/model.bin}}\n"
    )
    (bench.repo / f"{PATH}.dvc").unlink()
    bench.dvc("repro", "--quiet")
    bench.commit("Train in a stage that reads nothing")
    bench.release()
    out = bench.cli("compare", "churn", "1.0", "1.0").out
    assert "the same: commands, commits\n" in out
    assert "params: n/a (not recorded: the stages have none)\n" in out
    assert "data and code: n/a (not recorded: the stages have none)\n" in out


@pytest.mark.live
def test_a_model_that_a_stage_makes_from_now_on_is_compared_with_one_of_dvc_add(
    bench: Workbench,
) -> None:
    _train_in_a_stage(bench)
    bench.release()
    comparison = bench.manager.compare()
    assert [change.name for change in comparison.commands] == ["train"]
    assert comparison.commands[0].before is None
    assert comparison.unknown.keys() == {"architecture", "self_test"}


def test_data_outside_without_an_md5_is_not_called_the_same(two: Workbench) -> None:
    lock = two.repo / "dvc.lock"
    entry = re.compile(r"(- path: train\.py\n +hash: md5\n) +md5: \w+\n")
    text, count = entry.subn(r"\1      etag: abc\n", lock.read_text())
    assert count == 1
    lock.write_text(text)
    two.commit("As DVC records a dependency in a bucket")
    two.git("tag", "--annotate", "--message=x", "churn@v1.2.0")
    two.commit("Once more")
    two.git("tag", "--annotate", "--message=x", "churn@v1.3.0")
    out = two.cli("compare", "churn", "1.2", "1.3").out
    assert "data and code: n/a (not recorded: DVC has no MD5 of train.py)\n" in out
    assert "the same: params, commands, self-test\n" in out


@pytest.mark.parametrize(
    ("before", "after", "row"),
    [
        ("0.75", "NaN", "accuracy\t0.75\tnan\t\tnot a number\thigher\n"),
        ("0.75", '"good"', "accuracy\t0.75\tgood\t\tanother type\thigher\n"),
        ('"good"', '"bad"', "accuracy\tgood\tbad\t\t\thigher\n"),
        ("0.75", "Infinity", "accuracy\t0.75\tinf\t\tnot a number\thigher\n"),
        ("0.75", "[1, 2]", "accuracy\t0.75\t-\t\tgone\thigher\n"),
    ],
)
def test_odd_metrics_are_told_as_they_are(
    bench: Workbench, before: str, after: str, row: str
) -> None:
    for number, metric in enumerate((before, after)):
        (bench.repo / "metrics.json").write_text(f'{{"accuracy": {metric}}}\n')
        bench.train(f"model {number + 1}\n")
        bench.ship()
    result = bench.cli("compare", "churn", "1.0", "1.1")
    assert result.code == 0
    assert row in result.out
    json.loads(bench.cli("compare", "churn", "1.0", "1.1", "--json").out)


def test_a_self_test_that_is_here_no_more_is_not_known(two: Workbench) -> None:
    two.git("rm", "--quiet", "models/churn/test.json")
    path = two.repo / "dvc.yaml"
    path.write_text(path.read_text().replace(", meta: {self_test: models/churn/test.json}", ""))
    (two.repo / "data.txt").write_text("model c\n")
    two.dvc("repro", "--quiet")
    two.commit("Without a self-test")
    two.release()
    out = two.cli("compare", "churn").out
    assert "self-test: n/a (none defined)\n" in out


def test_a_shallow_clone_says_what_it_cannot_know(two: Workbench, tmp_path: Path) -> None:
    two.git("push", "--quiet", "origin", "main")
    clone = tmp_path / "shallow"
    two.git("clone", "--quiet", "--depth", "1", f"file://{two.repo.parent}/origin.git", str(clone))
    two.git("push", "--quiet", "origin", "--tags")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(str(clone), tmp_path / "elsewhere" / "repo")
    shallow = Workbench(tmp_path / "elsewhere" / "repo", two.monkeypatch, two.capture)
    shallow.git("fetch", "--quiet", "--depth", "1", "origin", "tag", "churn@v1.0.0")
    shallow.git("fetch", "--quiet", "--depth", "1", "origin", "tag", "churn@v1.1.0")
    comparison = shallow.manager.compare("1.0", "1.1")
    assert (comparison.ahead, comparison.behind, comparison.commits) == (None, None, ())
    why = "shallow or incomplete clone: git fetch --unshallow --tags"
    assert f"commits: n/a ({why})\n" in shallow.cli("compare", "churn", "1.0", "1.1").out
    assert f"({why})" in shallow.cli("compare", "churn", "1.0", "1.1", "--markdown").out
    assert '"ahead": null' in shallow.cli("compare", "churn", "1.0", "1.1", "--json").out
    (tmp_path / "elsewhere" / "dvc-remote").symlink_to(two.repo.parent / "dvc-remote")
    shallow.manager.deploy("1.0")
    assert shallow.manager.plan("1.1").commits is None
    assert "  commits between: n/a" in shallow.cli("deploy", "churn", "--dry-run").out
    shallow.git("fetch", "--quiet", "--unshallow", "--tags")
    assert shallow.manager.compare("1.0", "1.1").ahead == two.manager.compare("1.0", "1.1").ahead
    assert shallow.manager.plan("1.1").commits == two.manager.compare("1.0", "1.1").ahead


def test_a_shallow_clone_that_holds_both_counts(shipped: Workbench, tmp_path: Path) -> None:
    for number in range(3):
        shipped.commit(f"Change {number}")
    shipped.release("model 3\n")
    shipped.git("push", "--quiet", "origin", "main", "--tags")
    clone = tmp_path / "elsewhere" / "repo"
    origin = f"file://{shipped.repo.parent}/origin.git"
    shipped.git("clone", "--quiet", "--depth", "5", origin, str(clone))
    shallow = Workbench(clone, shipped.monkeypatch, shipped.capture)
    comparison = shallow.manager.compare("1.1", "1.2")
    assert (comparison.ahead, comparison.behind) == (4, 0)


def test_a_version_may_be_named_by_its_stage(two: Workbench) -> None:
    two.git("tag", "--annotate", "--message=x", "churn#prod#1", "churn@v1.0.0^{}")
    for stage, version in (("#prod", "1.0.0"), ("churn#prod", "1.0.0")):
        assert two.cli("compare", "churn", stage, "1.1").out.startswith("churn: 1.0.0 -> 1.1.0\n")
        assert str(two.manager.show(stage).version) == version
    two.refuses("compare churn '#test' 1.1", "no version of churn holds the stage test",
                "git fetch --tags; or: tagship list churn")  # fmt: skip


def test_commits_that_are_many_are_counted_and_the_newest_listed(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "MOST_COMMITS", 2)
    bench.ship()
    for number in range(4):
        bench.commit(f"Change {number}")
    bench.train("model 2\n")
    bench.release()
    comparison = bench.manager.compare()
    assert (len(comparison.commits), comparison.ahead) == (2, 5)
    assert "...\t\t\tand 3 commits more\n" in bench.cli("compare", "churn").out


def test_bad_input_is_told(two: Workbench) -> None:
    two.refuses("compare chrun", "there is no model chrun", "did you mean churn?")
    two.refuses(
        "compare churn 1.0 1.11.0",
        "churn has no version 1.11.0",
        "git fetch --tags; or: tagship list churn; did you mean 1.1.0?",
    )
    two.refuses(
        "compare churn 1.0 9",
        "churn has no version 9",
        "git fetch --tags; or: tagship list churn",
    )
    result = two.cli("compare", "churn", "--json", "--markdown")
    assert result.code == 2
    assert "--json and --markdown do not go together" in result.err


@pytest.mark.released
def test_nothing_live_is_told(bench: Workbench) -> None:
    bench.refuses(
        "compare churn",
        "no version of churn is live",
        "name the versions: tagship compare churn 1.0 1.1, or: tagship deploy churn",
    )
    assert bench.cli("compare", "churn", "1.0", "1.0").code == 0


def test_two_values_are_compared_by_name() -> None:
    assert compare.changes({"a": 1, "b": None, "gone": 0}, {"new": 2, "b": None, "a": 1}) == (
        Change("new", None, 2),
        Change("gone", 0, None),
    )
    assert compare.changes({"a": None}, {}) == (Change("a", None, None),)


def test_markdown_of_an_odd_name_stays_in_its_cell() -> None:
    odd = cli_compare.as_markdown([(("m|\n\n# Heading & ~~gone~~",), [])])
    assert odd == "| m\\| # Heading &amp; \\~\\~gone\\~\\~ |\n| --- |"


def test_no_secret_and_no_odd_yaml_value_comes_out(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text(
        "day: 2024-01-01\nrate: .nan\ndb: https://user:s3cret@db.example/x?token=abc\n"
    )
    bench.commit("See https://user:s3cret@db.example/x")
    bench.manager.release(force=True)  # DVC itself takes no date there
    bench.manager.deploy("1.0.0")
    result = bench.cli("compare", "churn", "1.0", "1.0", "--json")
    assert result.code == 0
    assert json.loads(result.out, parse_constant=pytest.fail)["params"] == []
    shown = bench.cli("show", "churn", "--json")
    params = json.loads(shown.out, parse_constant=pytest.fail)["params"]
    assert params == {"day": "2024-01-01", "rate": "nan", "db": "https://db.example/x"}
    assert "s3cret" not in result.out + bench.cli("compare", "churn", "1.0", "1.0").out
