"""DVC's plots at commits, with a real pipeline, a real cache and real Git."""

import base64
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tagship.report import plots
from tagship.report.plots import Plot, Side
from tagship.workspace.find import find
from tests.workbench import Workbench

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


class Pipeline:
    """A model that a stage makes out of ``source/``, with plots of its own, committed version by
    version."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.sides = bench, list[Side]()
        bench.git("rm", "--quiet", "models/churn/model.bin.dvc")

    def commit(self, files: dict[str, str | bytes], plots: Any, top: Any = None) -> Side:
        """Have the stage make these files, declare the plots, commit; the version."""
        version = f"1.{len(self.sides)}.0"
        shutil.rmtree(self.bench.repo / "source", ignore_errors=True)
        for name, content in {"model.bin": f"model {version}", **files}.items():
            path = self.bench.repo / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        stage = {
            "cmd": "rm -rf out && mkdir out && cp -r source/. out",
            "deps": ["source"],
            "outs": ["out/model.bin"],
            "plots": plots,
        }
        declared = {
            "vars": [{"kind": "g"}],
            "stages": {"train": stage},
            "artifacts": {"churn": {"path": "out/model.bin"}},
            **({"plots": top} if top else {}),
        }
        (self.bench.repo / "dvc.yaml").write_text(json.dumps(declared))
        self.bench.dvc("repro", "--quiet")
        self.sides.append(Side(version, self.bench.commit(version)))
        return self.sides[-1]

    def declare(self, plots: Any) -> None:
        """Have dvc.yaml of the last version declare other plots, which DVC may refuse."""
        file = self.bench.repo / "dvc.yaml"
        declared = json.loads(file.read_text())
        declared["stages"]["train"]["plots"] = plots
        file.write_text(json.dumps(declared))
        self.sides[-1] = Side(self.sides[-1].version, self.bench.commit())

    def read(self) -> tuple[Plot, ...]:
        """The plots of all versions, the newest first."""
        return plots.read(find(self.bench.repo)[0], "churn", self.sides[::-1])

    def drop_from_cache(self, content: str) -> None:
        """Take an object out of DVC's cache."""
        for path in (self.bench.repo / ".dvc" / "cache").rglob("*"):
            if path.is_file() and path.read_bytes() == content.encode():
                path.unlink()


@pytest.fixture
def pipeline(bench: Workbench) -> Pipeline:
    return Pipeline(bench)


def rows(plot: Plot) -> list[dict[str, Any]]:
    assert plot.spec is not None
    values: list[dict[str, Any]] = plot.spec["data"]["values"]
    return values


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a spec."""
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from nodes(inner)
    if isinstance(value, dict):
        yield value


CURVE = {"out/curve.csv": {"x": "step", "y": "loss", "title": "The loss", "cache": False}}


def test_two_versions_are_beside_each_other(pipeline: Pipeline) -> None:
    pipeline.commit({"curve.csv": "step,loss,other\n1,0.5,9\n2,0.4,9\n"}, [CURVE])
    pipeline.commit({"curve.csv": "step,loss,other\n1,0.3,9\n"}, [CURVE])
    (plot,) = pipeline.read()
    assert (plot.name, plot.title, plot.notes) == ("out/curve.csv", "The loss", ())
    assert plot.versions == ("1.1.0", "1.0.0")
    added = {"filename": "out/curve.csv", "field": "loss"}
    kept = [{key: row[key] for key in ("step", "loss", "rev")} for row in rows(plot)]
    assert kept == [
        {"step": 1, "loss": 0.3, "rev": "1.1.0"},
        {"step": 1, "loss": 0.5, "rev": "1.0.0"},
        {"step": 2, "loss": 0.4, "rev": "1.0.0"},
    ]
    assert {key for row in rows(plot) for key in row} <= {"step", "loss", "rev", *added}


def test_a_plot_is_for_readers(pipeline: Pipeline) -> None:
    """No zoom that catches the wheel, no boxes and sliders, the page's own colours."""
    confusion = {"out/c.csv": {"template": "confusion", "x": "actual", "y": "predicted"}}
    pipeline.commit({"curve.csv": "step,loss\n1,0.5\n", "c.csv": "actual,predicted\na,b\na,a\n"},
                    [CURVE, confusion])  # fmt: skip
    line, matrix = pipeline.read()
    for plot in (line, matrix):
        assert plot.spec is not None
        all_nodes = list(nodes({**plot.spec, "data": {}}))
        assert not [node for node in all_nodes if {"bind", "$schema", "url"} & set(node)]
        assert not [node for node in all_nodes if isinstance(node.get("width"), int)]
        assert "<DVC_METRIC" not in json.dumps(plot.spec)
    scales = [
        node["scale"] for node in nodes(line.spec) if node.get("field") == "rev" and "scale" in node
    ]
    assert scales == [{"domain": ["1.0.0"], "range": ["var(--live)"]}]
    assert {"name": "showValues", "value": True} in list(nodes(matrix.spec))
    assert "black" not in json.dumps(matrix.spec)
    assert len(rows(matrix)) == 2


def test_rows_come_from_the_commit_and_the_cache_whatever_is_in_the_work_tree(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = {"out/curve.csv": {"x": "step", "y": "loss"}}
    pipeline.commit({"curve.csv": "step,loss\n1,0.5\n"}, [cached])
    (pipeline.bench.repo / "out" / "curve.csv").unlink()
    (pipeline.bench.repo / "out" / "curve.csv").write_text("step,loss\n7,7\n")
    (pipeline.bench.repo / "linear").write_text("no template at all")
    monkeypatch.chdir(pipeline.bench.repo)
    (plot,) = pipeline.read()
    assert [(row["step"], row["loss"]) for row in rows(plot)] == [(1, 0.5)]


def test_what_the_cache_lacks_is_told_and_the_other_version_is_drawn(pipeline: Pipeline) -> None:
    cached = {"out/curve.csv": {"x": "step", "y": "loss"}}
    pipeline.commit({"curve.csv": "step,loss\n1,0.5\n"}, [cached])
    pipeline.commit({"curve.csv": "step,loss\n1,0.4\n"}, [cached])
    pipeline.drop_from_cache("step,loss\n1,0.5\n")
    before = pipeline.bench.state()
    (plot,) = pipeline.read()
    assert plot.versions == ("1.1.0",)
    assert plot.notes == ("1.0.0: out/curve.csv is not in the DVC cache here (dvc fetch)",)
    assert [row["loss"] for row in rows(plot)] == [0.4]
    assert pipeline.bench.changes(before) == set()


def test_a_definition_of_the_top_level_draws_columns_of_several_files(pipeline: Pipeline) -> None:
    top = [
        {"scores": {"x": "step", "y": {"out/a.csv": ["loss", "gain"], "out/b.csv": "loss"},
                    "title": "Scores", "x_label": "epoch"}},
        {"other": {"y": {"elsewhere.csv": "x"}}},
    ]  # fmt: skip
    (pipeline.bench.repo / "elsewhere.csv").write_text("x\n1\n")
    declared = [{"out/a.csv": {"cache": False, "x": "step", "y": "loss"}}, "out/b.csv"]
    files: dict[str, str | bytes] = {
        "a.csv": "step,loss,gain\n1,2,3\n",
        "b.csv": "step,loss\n1,4\n",
    }
    pipeline.commit(files, declared, top)
    a, b, scores = pipeline.read()
    assert (a.name, b.name, scores.name) == ("out/a.csv", "out/b.csv", "scores")
    assert scores.title == "Scores"
    assert [(row["step"], row["value"], row["filename::field"]) for row in rows(scores)] == [
        (1, 2, "out/a.csv::loss"),
        (1, 3, "out/a.csv::gain"),
        (1, 4, "out/b.csv::loss"),
    ]
    assert '"title": "epoch"' in json.dumps(scores.spec)


def test_x_may_come_from_another_file_of_as_many_rows(pipeline: Pipeline) -> None:
    top = [{"both": {"x": {"out/x.csv": "t"}, "y": {"out/y.csv": "v"}}}]
    pipeline.commit({"x.csv": "t\n5\n6\n", "y.csv": "v\n1\n2\n"}, ["out/x.csv", "out/y.csv"], top)
    both = pipeline.read()[-1]
    assert [(row["t"], row["v"]) for row in rows(both)] == [(5, 1), (6, 2)]
    pipeline.commit({"x.csv": "t\n5\n", "y.csv": "v\n1\n2\n"}, ["out/x.csv", "out/y.csv"], top)
    assert pipeline.read()[-1].notes == (
        "1.1.0: out/x.csv and out/y.csv have not as many rows (write them again: dvc repro)",
    )


def test_without_x_and_y_it_is_the_last_column_over_the_index(pipeline: Pipeline) -> None:
    pipeline.commit({"a.json": '[{"u": 1, "v": 5}, {"u": 1, "v": 6}]'}, ["out/a.json"])
    (plot,) = pipeline.read()
    assert [(row["step"], row["value"]) for row in rows(plot)] == [(0, 5), (1, 6)]
    assert '"title": "v"' in json.dumps(plot.spec)


def test_a_model_of_dvc_add_has_the_plots_of_the_top_level(bench: Workbench) -> None:
    with (bench.repo / "dvc.yaml").open("a") as file:
        file.write("plots:\n  - roc.json: {x: fpr, y: tpr}\n")
    (bench.repo / "roc.json").write_text('{"roc": [{"fpr": 0, "tpr": 0}, {"fpr": 1, "tpr": 1}]}')
    side = Side("1.0.0", bench.commit())
    (plot,) = plots.read(find(bench.repo)[0], "churn", [side])
    assert [(row["fpr"], row["tpr"]) for row in rows(plot)] == [(0, 0), (1, 1)]


def test_pictures_are_in_the_page(pipeline: Pipeline) -> None:
    pipeline.commit({"a.png": PIXEL, "b.svg": SVG}, ["out/a.png", "out/b.svg"])
    png, svg = pipeline.read()
    assert png.spec is None
    assert [(p.version, p.uri) for p in png.pictures] == [
        ("1.0.0", "data:image/png;base64," + base64.b64encode(PIXEL).decode())
    ]
    assert svg.pictures[0].uri == "data:image/svg+xml;base64," + base64.b64encode(SVG).decode()


def test_each_file_of_a_folder_is_a_plot(pipeline: Pipeline) -> None:
    files: dict[str, str | bytes] = {f"pics/{n:02}.png": PIXEL + bytes([n]) for n in range(14)}
    pipeline.commit({**files, "pics/00.csv": "a,b\n1,2\n"}, ["out/pics"])
    drawn = pipeline.read()
    assert [plot.name for plot in drawn[:3]] == [
        "out/pics/00.csv",
        "out/pics/00.png",
        "out/pics/01.png",
    ]
    assert drawn[0].spec is not None
    assert len(drawn[1].pictures) == 1
    assert drawn[-1].notes == ("3 more files in it are left out",)
    assert len(drawn) == plots.MOST_FILES + 1


def test_a_template_of_the_repository_is_filled(pipeline: Pipeline) -> None:
    own = {
        "data": {"values": "<DVC_METRIC_DATA>"},
        "mark": "bar",
        "usermeta": {"embedOptions": {"actions": True}},
        "encoding": {"x": {"field": "<DVC_METRIC_X>"}, "y": {"field": "<DVC_METRIC_Y>"},
                     "color": {"field": "third"}},
    }  # fmt: skip
    folder = pipeline.bench.repo / ".dvc" / "plots"
    folder.mkdir()
    (folder / "own.json").write_text(json.dumps(own))
    declared = {"out/a.csv": {"template": "own", "x": "a", "y": "b"}}
    pipeline.commit({"a.csv": "a,b,third\n1,2,3\n"}, [declared])
    (plot,) = pipeline.read()
    assert plot.spec is not None
    assert plot.spec["mark"] == "bar"
    assert "usermeta" not in plot.spec
    assert plot.spec["encoding"]["x"] == {"field": "a"}
    assert rows(plot)[0]["third"] == 3


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('{"data": {"url": "https://x.example/d.csv"}, "mark": "bar"}',
         "the template .dvc/plots/own.json loads something, and this page loads nothing"
         " (take url and href out of .dvc/plots/own.json)"),
        ('{"layer": [{"mark": {"type": "image", "url": "https://x.example/a.png"}}]}',
         "the template .dvc/plots/own.json loads something, and this page loads nothing"
         " (take url and href out of .dvc/plots/own.json)"),
        ('{"$schema": "https://vega.github.io/schema/vega/v5.json", "marks": []}',
         "the template .dvc/plots/own.json is Vega, and only Vega-Lite is drawn"
         " (see dvc plots)"),
        ('{"a":' * 60 + "1" + "}" * 60, "the template .dvc/plots/own.json is nested too deeply"
         " (fix .dvc/plots/own.json)"),
        ('{"data": {"values": NaN}}', "the template .dvc/plots/own.json is not valid JSON"
         " (fix .dvc/plots/own.json)"),
        ("{", "the template .dvc/plots/own.json is not valid JSON"
         " (fix .dvc/plots/own.json)"),
        ("[]", "the template .dvc/plots/own.json is not a JSON object"
         " (fix .dvc/plots/own.json)"),
        ('{"mark": "bar"}', "Template 'own' is not using '<DVC_METRIC_DATA>' anchor"),
    ],
    ids=["data", "image", "Vega", "deep", "NaN", "no JSON", "no object", "no rows"],
)  # fmt: skip
def test_a_template_that_loads_something_or_is_none_is_told(
    pipeline: Pipeline, text: str, note: str
) -> None:
    folder = pipeline.bench.repo / ".dvc" / "plots"
    folder.mkdir()
    (folder / "own.json").write_text(text)
    pipeline.commit(
        {"a.csv": "a,b\n1,2\n"}, [{"out/a.csv": {"template": "own", "x": "a", "y": "b"}}]
    )
    (plot,) = pipeline.read()
    assert (plot.spec, plot.notes) == (None, (note,))


@pytest.mark.parametrize("y", [{}, [], {"out/a.csv": []}, None])
def test_without_a_column_the_last_one_is_drawn(pipeline: Pipeline, y: object) -> None:
    pipeline.commit({"a.csv": "a,b\n1,2\n"}, ["out/a.csv"])
    pipeline.declare([{"out/a.csv": {"y": y}}])
    (plot,) = pipeline.read()
    assert plot.notes == ()
    assert [row["value"] for row in rows(plot)] == [2]


def test_a_name_with_a_nul_and_one_outside_name_no_file(pipeline: Pipeline) -> None:
    pipeline.commit({"a.csv": "a\n1\n"}, ["out/a.csv"])
    pipeline.declare(["out/a\0.csv", "/etc/passwd.csv", "../a.csv"])
    notes = [note for plot in pipeline.read() for note in plot.notes]
    assert len(notes) == 3
    assert all("is tracked by neither DVC nor Git" in note for note in notes)


def test_what_cannot_be_drawn_is_told_in_words(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "LARGEST", 1_000_000)
    row = "a,b\n1,2\n"
    files: dict[str, str | bytes] = {
        "a.csv": row, "b.csv": row, "c.csv": row, "c.json": "{", "d.npy": "x",
        "e.csv": "a\n" * 600_000, "f.csv": "", "g.csv": row,
    }  # fmt: skip
    declared = [
        {"out/a.csv": {"y": "z"}}, {"out/b.csv": {"x": "z", "y": "b"}},
        {"out/c.csv": {"template": "/etc/passwd"}}, "out/c.json", "out/d.npy", "out/e.csv",
        "out/f.csv",
    ]  # fmt: skip
    pipeline.commit(files, declared)
    pipeline.declare([*declared, "out/${nowhere}.csv"])
    drawn = pipeline.read()
    assert [plot.spec for plot in drawn] == [None] * len(drawn)
    assert [plot.notes for plot in drawn] == [
        ("1.0.0: out/a.csv has no column z (fix plots: in dvc.yaml)",),
        ("1.0.0: out/b.csv has no column z (fix plots: in dvc.yaml)",),
        ("there is no template /etc/passwd (dvc plots templates)",),
        ("1.0.0: out/c.json is not valid JSON (write it again: dvc repro)",),
        ("1.0.0: out/d.npy is not CSV, TSV, JSON or YAML (see dvc plots)",),
        ("1.0.0: out/e.csv has more than 1 MB (write less of it)",),
        ("1.0.0: out/f.csv has no rows (see dvc plots show)",),
        (
            "1.0.0: stage train in dvc.yaml cannot be resolved: failed to parse"
            " 'stages.train.plots' in 'dvc.yaml': Could not find 'nowhere'",
        ),
    ]


def test_a_template_in_the_path_of_a_plot_is_filled_in(pipeline: Pipeline) -> None:
    pipeline.commit({"g.csv": "a,b\n1,2\n"}, ["out/${kind}.csv"])
    (plot,) = pipeline.read()
    assert (plot.name, [row["value"] for row in rows(plot)]) == ("out/g.csv", [2])


def test_a_long_line_is_thinned_out_and_a_matrix_never(pipeline: Pipeline) -> None:
    many = "a,b\n" + "".join(f"{n},{n % 2}\n" for n in range(5_000))
    matrix = {"template": "confusion", "x": "a", "y": "b"}
    pipeline.commit(
        {"a.csv": many, "b.csv": many}, [{"out/a.csv": {"x": "a", "y": "b"}}, {"out/b.csv": matrix}]
    )
    line, counted = pipeline.read()
    assert line.notes == ("1.0.0: 1,000 of the 5,000 rows of out/a.csv are drawn",)
    drawn = [row["a"] for row in rows(line)]
    assert (len(drawn), drawn[0], drawn[-1]) == (1_000, 0, 4_999)
    assert len(rows(counted)) == 5_000


def test_a_commit_that_is_not_here_or_has_no_such_model_is_told(pipeline: Pipeline) -> None:
    side = pipeline.commit({"curve.csv": "step,loss\n1,0.5\n"}, [CURVE])
    source, _ = find(pipeline.bench.repo)
    gone, other = (
        Side("0.9.0", "f" * 40),
        Side("0.1.0", pipeline.bench.git("rev-parse", "HEAD~1").strip()),
    )
    curve, notes = plots.read(source, "churn", [side, gone])
    assert curve.versions == ("1.0.0",)
    assert notes.notes == ("0.9.0: its commit ffffffffff is not in this clone (git fetch --tags)",)
    assert plots.read(source, "churn", [other]) == ()
    (missing,) = plots.read(source, "fraud", [side])
    assert missing.notes == (
        f"1.0.0: commit {side.commit[:10]} declares no model fraud (tagship list fraud)",
    )


def test_a_plot_that_one_version_lacks_is_of_the_other_alone(pipeline: Pipeline) -> None:
    pipeline.commit({"curve.csv": "step,loss\n1,0.5\n"}, [CURVE])
    pipeline.commit({"new.csv": "a,b\n1,2\n"}, ["out/new.csv"])
    new, curve = pipeline.read()
    assert (new.name, new.versions) == ("out/new.csv", ("1.1.0",))
    assert (curve.name, curve.versions) == ("out/curve.csv", ("1.0.0",))


@pytest.mark.parametrize("name", ["a.b", "a'b", "a[0]", "</script>", "rev", "a b"])
def test_a_column_of_any_name_is_drawn_under_a_plain_one(pipeline: Pipeline, name: str) -> None:
    pipeline.commit(
        {"a.json": json.dumps([{"n": 1, name: 2}])}, [{"out/a.json": {"x": "n", "y": name}}]
    )
    (plot,) = pipeline.read()
    assert plot.notes == ()
    assert [(row["n"], row["y"]) for row in rows(plot)] == [(1, 2)]
    assert json.dumps({"title": name})[1:-1] in json.dumps(plot.spec)
