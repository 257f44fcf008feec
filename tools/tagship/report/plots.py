"""DVC's plots of a model at commits, beside each other: Vega-Lite specs and pictures.

Which files are plots, and how, is declared in dvc.yaml, in the form that DVC 3.67 reads
(``dvc/schema.py``, ``dvc/repo/plots``). Everything is read from the commits with Git, and from
DVC's cache here: no remote is used, and no file of the work tree is opened. What cannot be drawn
gets a note, never an error.
"""

import base64
import dataclasses
import functools
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import dvc_render
from dvc_render.exceptions import DvcRenderError
from dvc_render.vega_templates import Template

from tagship.dvc import pipeline, pointers, stages
from tagship.dvc.content import Content
from tagship.dvc.pointers import Pointer
from tagship.dvc.stages import Plots, Stage, Stages
from tagship.errors import Corrupt, NotFound, Refused, TagshipError, Unavailable
from tagship.registry import artifacts
from tagship.report import plot_data
from tagship.report.charts import one_line
from tagship.report.plot_data import Row
from tagship.text import json_reader
from tagship.workspace.source import Source

LARGEST = 4_000_000  # bytes of one file
MOST_POINTS = 1_000  # of a line; more are thinned out
MOST_FILES = 12  # of a folder of plots
DEEPEST = 50  # levels of a template
BUILT_IN = {template.DEFAULT_NAME: template for template in dvc_render.TEMPLATES}
LINES = ("linear", "simple", "smooth")
PICTURES = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# The page's colours: of the live version, of the one before it, of text. See templates/report.css.
COLOURS = ("var(--live)", "var(--before)")
INK = "var(--ink)"
STEP, VALUE = "step", "value"
OVERRIDING = ("$schema", "usermeta")  # vega-embed would take options of its own from them
# Places in a template that stay empty: sizes, zoom, title; and those for several files or columns.
DROPPED = frozenset(
    Template.anchor(name) for name in ("title", "plot_width", "plot_height", "zoom_and_pan")
)
OF_MANY = frozenset(Template.anchor(name) for name in ("row", "column", "shape", "stroke_dash"))
REV, FILE, FIELD = "rev", "filename", "field"  # dvc-render's names


@dataclass(frozen=True)
class Side:
    """A version whose plots are shown, and its commit."""

    version: str
    commit: str


@dataclass(frozen=True)
class Picture:
    """A plot that is an image; ``uri`` is a ``data:`` URI, only for an ``<img>``."""

    version: str
    path: str
    uri: str


@dataclass(frozen=True)
class Plot:
    """One plot of all sides.

    Attributes:
        name: its path, or its name in dvc.yaml.
        title: as dvc.yaml has it, or else the name.
        spec: Vega-Lite, rows included, the version in the field ``rev``; None if there is none.
        versions: those that are drawn.
        notes: what is left out, and why.
    """

    name: str
    title: str
    spec: dict[str, Any] | None = None
    pictures: tuple[Picture, ...] = ()
    versions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """A column y over a column x, each with its file; None: the last column, and the index."""

    path: str
    y: str | None
    x_path: str
    x: str | None


@dataclass(frozen=True)
class Definition:
    """A plot as dvc.yaml declares it, paths from the repository's top."""

    name: str
    series: tuple[Series, ...]
    template: str
    labels: dict[str, str]
    header: bool = True

    @property
    def title(self) -> str:
        """As dvc.yaml has it, or else the name."""
        return self.labels.get("title") or self.name


@dataclass(frozen=True)
class _Commit:
    """One side, and what its commit declares."""

    source: Source
    content: Content
    side: Side
    recorded: list[Stages]
    definitions: list[Definition]
    notes: tuple[str, ...]


def read(source: Source, model: str, sides: Sequence[Side]) -> tuple[Plot, ...]:
    """The plots of a model at several versions; the first side that has a definition decides."""
    commits, notes = [], []
    for side in sides:
        try:
            commits.append(_commit(source, model, side))
            notes += [f"{side.version}: {note}" for note in commits[-1].notes]
        except TagshipError as error:
            notes.append(f"{side.version}: {_shown(error)}")
    definitions: dict[tuple[str, int], Definition] = {}
    for commit in commits:
        count: Counter[str] = Counter()
        for definition in commit.definitions:
            definitions.setdefault((definition.name, count[definition.name]), definition)
            count[definition.name] += 1
    plots = [plot for definition in definitions.values() for plot in _plots(definition, commits)]
    if notes:
        plots.append(Plot(model, model, notes=tuple(notes)))
    return tuple(plots)


def _shown(error: TagshipError) -> str:
    return f"{error.message} ({error.hint})"


def _commit(source: Source, model: str, side: Side) -> _Commit:
    if not source.blobs.has(side.commit):
        what = f"its commit {side.commit[:10]} is not in this clone"
        raise NotFound(what, "git fetch --tags")
    folder = artifacts.pipeline_of(model)[0]
    read = functools.partial(source.blobs.read, side.commit)
    entry = pipeline.models(read, folder).get(model)
    if entry is None:
        raise NotFound(
            f"commit {side.commit[:10]} declares no model {model}", f"tagship list {model}"
        )
    path, top = artifacts.readable(entry).path, pipeline.at(read, folder)
    recorded = pointers.stages_at(source.blobs, side.commit, folder, path)
    definitions = list(_definitions(stages.related(recorded, path), top.plots, folder))
    problems = [problem.message for of_lock in recorded for problem in of_lock.problems]
    notes = tuple(dict.fromkeys([*problems, *top.notes]))
    return _Commit(source, source.content(offline=True), side, recorded, definitions, notes)


def _definitions(related: list[Stage], top: Plots, folder: str) -> Iterator[Definition]:
    """The plots of the stages that made or evaluate the model, and theirs on dvc.yaml's top level.

    If no stage is related (a model from ``dvc add``): all on the top level.
    """
    for stage in related:
        for path, options in stage.plots:
            yield _definition(path, "", options)
    outs = {path for stage in related for path in stage.outs}
    for name, options in top:
        definition = _definition(name, folder, options)
        paths = [series.path for series in definition.series]
        if not related or any(stages.holds(out, path) for path in paths for out in outs):
            yield definition


def _definition(name: str, folder: str, options: dict[str, Any]) -> Definition:
    x, y = options.get("x"), options.get("y")
    texts = {key: value for key, value in options.items() if isinstance(value, str)}
    by_file = y if isinstance(y, dict) and y else {name: None if y == {} else y}
    series = [
        Series(
            stages.join(folder, str(path)),
            column,
            stages.join(folder, str(_first(x)) if isinstance(x, dict) and x else str(path)),
            _column(next(iter(x.values()), None) if isinstance(x, dict) else x),
        )
        for path, columns in by_file.items()
        for column in _columns(columns)
    ]
    path = name if isinstance(y, dict) else stages.join(folder, name)
    labels = {key: texts[key] for key in ("title", "x_label", "y_label") if texts.get(key)}
    template = texts.get("template") or "linear"
    return Definition(path, tuple(series), template, labels, options.get("header") is not False)


def _columns(value: Any) -> list[str | None]:
    many = value if isinstance(value, list) and value else [value]
    return [_column(name) for name in many]


def _column(value: Any) -> str | None:
    return None if value is None or value == [] else str(value)


def _first(mapping: dict[Any, Any]) -> Any:
    return next(iter(mapping))


def _plots(definition: Definition, commits: Sequence[_Commit]) -> Iterator[Plot]:
    """One plot; for a folder, one for each file in it on either side."""
    files: dict[str, dict[str, bytes | TagshipError]] = {}
    notes: list[str] = []
    paths = {path for series in definition.series for path in (series.path, series.x_path)}
    for commit in commits:
        for path in sorted(paths):
            try:
                for name, data in _files(commit, path):
                    files.setdefault(name, {})[commit.side.version] = data
            except TagshipError as error:
                notes.append(f"{commit.side.version}: {_shown(error)}")
    if len(definition.series) == 1 and definition.series[0].path not in files and files:
        yield from _folder(definition, commits, files, notes)
        return
    yield _plot(definition, commits, files, notes)


def _folder(
    definition: Definition,
    commits: Sequence[_Commit],
    files: dict[str, dict[str, bytes | TagshipError]],
    notes: list[str],
) -> Iterator[Plot]:
    names = sorted(files)
    (series,) = definition.series
    for name in names[:MOST_FILES]:
        of_file = dataclasses.replace(series, path=name, x_path=name)
        yield _plot(
            dataclasses.replace(definition, name=name, series=(of_file,)), commits, files, []
        )
    if len(names) > MOST_FILES:
        notes = [*notes, f"{len(names) - MOST_FILES} more files in it are left out"]
    if notes:
        yield Plot(definition.name, definition.title, notes=tuple(notes))


def _plot(
    definition: Definition,
    commits: Sequence[_Commit],
    files: dict[str, dict[str, bytes | TagshipError]],
    notes: list[str],
) -> Plot:
    notes, versions = list(notes), [commit.side.version for commit in commits]
    empty = Plot(definition.name, definition.title)
    pictures, rows, drawn = [], [], []
    for version in versions:
        there = {name: files[name][version] for name in files if version in files[name]}
        try:
            suffix = posixpath.splitext(definition.series[0].path)[1].lower()
            if suffix in PICTURES:
                pictures += _pictures(definition, there, version, PICTURES[suffix])
            else:
                rows += _rows(definition, there, version, notes)
            drawn.append(version)
        except TagshipError as error:
            if there or not notes:
                notes.append(f"{version}: {_shown(error)}")
    spec = None
    if rows:
        try:
            spec = _spec(definition, rows, drawn, _template(definition, commits))
        except (TagshipError, DvcRenderError) as error:
            notes.append(_shown(error) if isinstance(error, TagshipError) else str(error))
    return dataclasses.replace(
        empty,
        spec=spec,
        pictures=tuple(pictures),
        versions=tuple(drawn) if spec or pictures else (),
        notes=tuple(dict.fromkeys(notes)),
    )


def _files(commit: _Commit, path: str) -> Iterator[tuple[str, bytes | TagshipError]]:
    """The files at or below a path at a commit: their bytes, or why they are not here."""
    source = commit.source
    out = pointers.find_out(source.blobs, commit.side.commit, commit.recorded, path)
    for pointer in commit.content.files(out.pointers):
        name = posixpath.join(posixpath.dirname(path), pointer.path)
        try:
            yield name, _bytes(commit.content, name, pointer)
        except TagshipError as error:
            yield name, error


def _bytes(content: Content, name: str, pointer: Pointer) -> bytes:
    size = content.size(pointer)
    if size is not None and size > LARGEST:
        raise Refused(f"{name} has more than {LARGEST // 1_000_000} MB", "write less of it")
    data = content.read(pointer)
    if data is None:
        raise Unavailable(f"{name} is not in the DVC cache here", "dvc fetch")
    return data


def _data(files: dict[str, bytes | TagshipError], path: str) -> bytes:
    data = files.get(path)
    if data is None:
        raise NotFound(f"{path} is not there", "write it again: dvc repro")
    if isinstance(data, TagshipError):
        raise data
    return data


def _pictures(
    definition: Definition, files: dict[str, bytes | TagshipError], version: str, kind: str
) -> list[Picture]:
    path = definition.series[0].path
    text = base64.b64encode(_data(files, path)).decode()
    return [Picture(version, path, f"data:{kind};base64,{text}")]


def _rows(
    definition: Definition,
    files: dict[str, bytes | TagshipError],
    version: str,
    notes: list[str],
) -> list[Row]:
    """The rows of one version, under the names that ``_fields`` gives."""
    x_name, y_name = _fields(definition)
    keep = definition.template not in BUILT_IN  # the repository's own template may name any column
    rows: list[Row] = []
    for series in definition.series:
        of_file = plot_data.read(_data(files, series.path), series.path, header=definition.header)
        y = series.y if series.y is not None else list(of_file[0])[-1]
        x_rows = of_file
        if series.x_path != series.path:
            data = _data(files, series.x_path)
            x_rows = plot_data.read(data, series.x_path, header=definition.header)
        _check_columns(of_file, y, series.path)
        if series.x is not None:
            _check_columns(x_rows, series.x, series.x_path)
            if len(x_rows) != len(of_file):
                what = f"{series.x_path} and {series.path} have not as many rows"
                raise Corrupt(what, "write them again: dvc repro")
        label = {REV: version, FILE: series.path, FIELD: y}
        points: list[Row] = [
            {
                **(row if keep else {}),
                x_name: index if series.x is None else x_row.get(series.x),
                y_name: row.get(y),
                **label,
            }
            for index, (row, x_row) in enumerate(zip(of_file, x_rows, strict=False))
        ]
        rows += _thinned(definition, points, series.path, version, notes)
    return rows


def _check_columns(rows: list[Row], column: str, path: str) -> None:
    if not any(column in row for row in rows):
        raise Corrupt(f"{path} has no column {column}", "fix plots: in dvc.yaml")


def _thinned(
    definition: Definition, rows: list[Row], path: str, version: str, notes: list[str]
) -> list[Row]:
    """Fewer rows for a line, with the first and the last; all rows for any other template."""
    count = len(rows)
    if definition.template not in LINES or count <= MOST_POINTS:
        return rows
    notes.append(f"{version}: {MOST_POINTS:,} of the {count:,} rows of {path} are drawn")
    last = MOST_POINTS - 1
    return [rows[index * (count - 1) // last] for index in range(MOST_POINTS)]


def _fields(definition: Definition) -> tuple[str, str]:
    """The names of x and y in the rows: their own if they can be used in an expression."""
    xs = {series.x for series in definition.series}
    ys = {series.y for series in definition.series}
    x = xs.pop() if len(xs) == 1 else None
    y = ys.pop() if len(ys) == 1 else None
    x_name = x if x and _is_plain(x) else "x" if x else STEP
    y_name = y if y and _is_plain(y) else "y" if y else VALUE
    return x_name, y_name if y_name != x_name or x == y else "y"


def _is_plain(name: str) -> bool:
    return name not in (REV, FILE, FIELD) and re.fullmatch(r"[A-Za-z_]\w*", name) is not None


def _template(definition: Definition, commits: Sequence[_Commit]) -> dict[str, Any]:
    """DVC's own template, or that of the repository at the first commit.

    dvc-render would look for a file of that name in the working directory.

    Raises:
        NotFound: there is no such template.
        Corrupt, Refused: it is not JSON, or loads something from elsewhere.
    """
    name = definition.template
    if name in BUILT_IN:
        return cast("dict[str, Any]", BUILT_IN[name].DEFAULT_CONTENT)
    for commit in commits:
        source = commit.source
        project = os.path.relpath(source.project.resolve(), source.repository.top.resolve())
        folder = posixpath.normpath(posixpath.join(project, ".dvc", "plots"))
        for path in (f"{folder}/{name}", f"{folder}/{name}.json", posixpath.normpath(name)):
            data = source.blobs.read(commit.side.commit, path)
            if data is not None:
                return _own_template(data, path)
    raise NotFound(f"there is no template {name}", "dvc plots templates")


def _own_template(data: bytes, path: str) -> dict[str, Any]:
    try:
        content = json_reader.parse(data)
    except ValueError:
        raise Corrupt(f"the template {path} is not valid JSON", f"fix {path}") from None
    if not isinstance(content, dict):
        raise Corrupt(f"the template {path} is not a JSON object", f"fix {path}")
    if "/schema/vega/" in str(content.get("$schema")):
        raise Refused(f"the template {path} is Vega, and only Vega-Lite is drawn", "see dvc plots")
    if _names(content, path) & {"url", "href"}:
        what = f"the template {path} loads something, and this page loads nothing"
        raise Refused(what, f"take url and href out of {path}")
    return content


def _names(content: dict[str, Any], path: str) -> set[str]:
    """Every key of a template, of whatever object in it."""
    names: set[str] = set()
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        names.update(*(node for node in level if isinstance(node, dict)))
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
    if level:
        raise Corrupt(f"the template {path} is nested too deeply", f"fix {path}")
    return names


def _spec(
    definition: Definition, rows: list[Row], versions: Sequence[str], template: dict[str, Any]
) -> dict[str, Any]:
    """The template, filled by dvc-render.

    Raises:
        DvcRenderError: it has no place for the rows.
    """
    x, y = _fields(definition)
    pairs = dict.fromkeys((str(row[FILE]), str(row[FIELD])) for row in rows)
    columns = {column for _, column in pairs}
    column = columns.pop() if len(columns) == 1 else VALUE
    dropped = DROPPED if len(pairs) > 1 else DROPPED | OF_MANY
    renderer = dvc_render.VegaRenderer(
        rows,
        definition.name,
        template=Template(_tamed(template, versions, dropped), name=definition.template),
        title="",
        x=x,
        y=y,
        x_label=one_line(definition.labels.get("x_label") or definition.series[0].x or STEP),
        y_label=one_line(definition.labels.get("y_label") or column),
        anchors_y_definitions=[{FILE: path, FIELD: column} for path, column in pairs],
        revs_with_datapoints=list(versions),
    )
    return cast("dict[str, Any]", renderer.get_filled_template(strict=False))


def _tamed(content: Any, versions: Sequence[str], dropped: frozenset[str]) -> Any:
    """A template without the parts that a page for readers does not need.

    Removed are wheel and drag (on a phone they would catch the page's scrolling), boxes to tick and
    sliders (a box counts as ticked), fixed sizes, and the title, which the page has itself.
    Versions and text get the page's colours, which follow its dark mode.
    """
    if isinstance(content, list):
        kept = [item for item in content if not _is_dropped("", item, dropped)]
        return [_tamed(item, versions, dropped) for item in kept]
    if not isinstance(content, dict):
        if content == Template.anchor("color"):
            scale = {"domain": list(versions), "range": list(COLOURS[: len(versions)])}
            return {"field": REV, "type": "nominal", "scale": scale, "title": None}
        return content
    tamed = {
        key: _tamed(value, versions, dropped)
        for key, value in content.items()
        if not _is_dropped(key, value, dropped)
    }
    bind = content.get("bind")
    if isinstance(bind, dict) and bind.get("input") == "checkbox":
        tamed["value"] = True
    if content.get("value") == "black":
        tamed["value"] = INK
    return tamed


def _is_dropped(key: str, value: Any, dropped: frozenset[str]) -> bool:
    if key in OVERRIDING:
        return True
    if isinstance(value, dict):
        named = value.get("text") == Template.anchor("title")
        return key == "bind" or value.get("bind") == "scales" or named
    is_size = key in ("width", "height") and isinstance(value, int)
    return is_size or (isinstance(value, str) and value in dropped)
