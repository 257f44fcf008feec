"""Trials of the hints in a report's notes: why a plot, or a part of it, is not drawn."""

import json
import re
import shutil

from tagship.report import plots
from tests.hints.trials import Said, trial, write
from tests.workbench import Workbench

GOOD = "step,loss\n1,0.5\n2,0.4\n"
LINE = {"out/curve.csv": {"x": "step", "y": "loss"}}
TEMPLATE = '{"data": {"values": "<DVC_METRIC_DATA>"}, "mark": "line"}'


def drawn(bench: Workbench) -> Said:
    """The notes of a report about the last commit."""
    side = plots.Side("1.0.0", bench.git("rev-parse", "HEAD").strip())
    notes = [n for plot in plots.read(bench.manager.source, "churn", [side]) for n in plot.notes]
    hints = [match[1] for note in notes if (match := re.search(r" \((.*)\)$", note))]
    return Said(1 if notes else 0, "\n".join(notes), tuple(hints))


def plotted(bench: Workbench, files: dict[str, str], declared: object) -> None:
    """Commit files of plots, and what dvc.yaml says of them."""
    for name, text in files.items():
        write(bench, name, text)
    pipeline = {"artifacts": {"churn": {"path": "models/churn/model.bin"}}, "plots": [declared]}
    write(bench, "dvc.yaml", json.dumps(pipeline))
    bench.commit()


def drawing(
    hint: str,
    name: str,
    wrong: dict[str, str],
    declared: object,
    *,
    does: str,
    right: dict[str, str] | None = None,
    then: object = None,
) -> None:
    """Register a trial: files that are wrong, and the files that the user then writes."""

    def arrange(bench: Workbench) -> None:
        plotted(bench, wrong, declared)

    def fix(bench: Workbench) -> None:
        plotted(bench, right or {"out/curve.csv": GOOD}, then or declared)

    arrange.__name__ = name
    trial(hint, command=drawn, does=does, by=fix)(arrange)


AGAIN = "write it again: dvc repro"
drawing(
    "report.plot_data.read",
    "a_plot_of_another_format",
    {"out/curve.txt": GOOD},
    {"out/curve.txt": {}},
    does="see dvc plots",
    then=LINE,
)
drawing(
    "report.plot_data.read/2",
    "a_plot_without_rows",
    {"out/curve.csv": ""},
    LINE,
    does="see dvc plots show",
)
drawing(
    "report.plot_data.read/3",
    "a_plot_with_too_many_rows",
    {"out/curve.csv": "step,loss\n" + "1,0.5\n" * 100_001},
    LINE,
    does="write fewer of them",
)
drawing(
    "report.plot_data._table",
    "a_plot_that_is_no_table",
    {"out/curve.csv": 'step,loss\n"' + "x" * 200_000 + '",1\n'},
    LINE,
    does=AGAIN,
)
drawing(
    "report.plot_data._parse",
    "a_plot_that_is_no_json",
    {"out/curve.json": "{"},
    {"out/curve.json": {"x": "step", "y": "loss"}},
    does=AGAIN,
    right={"out/curve.json": '[{"step": 1, "loss": 0.5}]'},
)
drawing(
    "report.plots._rows",
    "a_plot_of_two_files_of_other_lengths",
    {"out/a.csv": "step\n1\n", "out/b.csv": "loss\n1\n2\n"},
    {"both": {"x": {"out/a.csv": "step"}, "y": {"out/b.csv": "loss"}}},
    does="write them again: dvc repro",
    right={"out/a.csv": "step\n1\n2\n", "out/b.csv": "loss\n1\n2\n"},
)
drawing(
    "report.plots._check_columns",
    "a_plot_of_a_column_that_is_none",
    {"out/curve.csv": GOOD},
    {"out/curve.csv": {"x": "step", "y": "nothing"}},
    does="fix plots: in dvc.yaml",
    then=LINE,
)
drawing(
    "report.plots._template",
    "a_template_that_is_none",
    {"out/curve.csv": GOOD},
    {"out/curve.csv": {"x": "step", "y": "loss", "template": "none"}},
    does="dvc plots templates",
    then={"out/curve.csv": {"x": "step", "y": "loss", "template": "linear"}},
)


def template(hint: str, name: str, wrong: str, does: str) -> None:
    """Register a trial of a template of the repository's own."""
    own = {"out/curve.csv": {"x": "step", "y": "loss", "template": "own"}}
    files = {"out/curve.csv": GOOD, ".dvc/plots/own.json": wrong}
    right = {".dvc/plots/own.json": TEMPLATE}
    drawing(hint, name, files, own, does=does, right=right)


OWN = "report.plots._own_template"
template(OWN, "a_template_that_is_no_json", "{", "fix .dvc/plots/own.json")
template(f"{OWN}/2", "a_template_that_is_a_list", "[]", "fix .dvc/plots/own.json")
template(
    f"{OWN}/3",
    "a_template_of_vega",
    '{"$schema": "https://vega.github.io/schema/vega/v5.json"}',
    "see dvc plots",
)
template(
    f"{OWN}/4",
    "a_template_that_loads_something",
    '{"data": {"url": "x"}}',
    "take url and href out of .dvc/plots/own.json",
)
template(
    "report.plots._names",
    "a_template_that_is_nested_too_deeply",
    '{"a": ' * 90 + "1" + "}" * 90,
    "fix .dvc/plots/own.json",
)


@trial(
    "report.plots._commit",
    command=lambda b: drawn_at(b, "0" * 40),
    does="git fetch --tags",
    again=drawn,
)
def a_plot_of_a_commit_that_is_not_here(_: Workbench) -> None: ...


def drawn_at(bench: Workbench, commit: str) -> Said:
    side = plots.Side("1.0.0", commit)
    notes = [n for plot in plots.read(bench.manager.source, "churn", [side]) for n in plot.notes]
    return Said(1, "\n".join(notes), tuple(n.partition(" (")[2].rstrip(")") for n in notes))


def cached(bench: Workbench) -> None:
    """A plot that DVC keeps, and that is in its remote alone."""
    write(bench, "out/curve.csv", GOOD)
    bench.track("out/curve.csv")
    plotted(bench, {}, LINE)
    bench.dvc("push", "--quiet")
    shutil.rmtree(bench.repo / ".dvc/cache/files")


@trial("report.plots._bytes/2", command=drawn, does="dvc fetch")
def a_plot_that_is_in_the_remote_alone(bench: Workbench) -> None:
    cached(bench)
