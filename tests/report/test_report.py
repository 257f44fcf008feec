"""What a report knows, and the page it becomes, in a real Chromium without a network."""

import base64
import hashlib
import html
import itertools
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship import NotFound, Refused
from tagship.host import history, process
from tagship.report import collect, page
from tagship.report.collect import ModelReport, Report
from tagship.text import clock
from tagship.workspace.find import find
from tests import conftest
from tests.browser import ARGUMENTS, CHROMIUM
from tests.workbench import Workbench, dvc

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\u2028'\"&<!--"
)
CURVE = "step,loss\n1,0.9\n2,0.6\n3,0.5\n"


def of(bench: Workbench, *models: str) -> Report:
    return collect.collect(*find(bench.repo), models)


def churn_report(bench: Workbench) -> ModelReport:
    """The report on ``churn``."""
    (report,) = of(bench, "churn").models
    return report


def rewrite_history(bench: Workbench, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    path = bench.folder / history.FILE_NAME
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


# What a report knows


@pytest.mark.live
def test_it_tells_what_is_live_since_when_by_whom_and_why(bench: Workbench) -> None:
    bench.release("model 2\n")
    bench.manager.deploy(reason="it is better")
    report = churn_report(bench)
    assert report.live is not None
    assert report.live.period is not None
    assert report.live.described is not None
    event = report.live.period.event
    assert (report.live.place.version, report.latest, report.behind) == ("1.1.0", "1.1.0", False)
    assert (event.actor, event.reason) == (process.actor(), "it is better")
    assert report.live.period.since == history.moment_of(event)
    assert report.live.described.tag.name == "churn@v1.1.0"
    assert report.live.described.commit.author == "Ada <ada@example.com>"
    assert (report.before, report.compared, report.notes) == ("1.0.0", ("1.1.0", "1.0.0"), ())
    assert [e.action for e in report.events] == ["deploy", "deploy"]
    assert [point.value for point in report.sizes] == [8, 8]


def test_a_rollback_is_told_with_what_it_left(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version(reason="slow")
    report = churn_report(shipped)
    assert report.gone_back is not None
    assert (report.gone_back.reason, report.latest, report.behind) == ("slow", "1.1.0", True)
    assert (report.before, report.compared) == ("1.1.0", ("1.0.0", "1.1.0"))


def test_a_model_without_versions_and_one_that_was_never_deployed(bench: Workbench) -> None:
    empty = churn_report(bench)
    assert (empty.live, empty.latest, empty.versions, empty.events) == (None, None, (), ())
    assert "No version of churn is released yet." in page.html(of(bench))
    bench.release()
    report = churn_report(bench)
    assert (report.live, report.latest, report.behind) == (None, "1.0.0", True)
    assert report.compared == ("1.0.0",)
    assert "No version of churn is live on this host. The latest version is 1.0.0." in page.html(
        of(bench)
    )


def test_another_model_is_not_found(bench: Workbench) -> None:
    with pytest.raises(NotFound) as caught:
        of(bench, "chum")
    assert (caught.value.message, caught.value.hint) == (
        "there is no model chum",
        "did you mean churn?",
    )


def test_metrics_come_and_go_and_are_not_always_numbers(bench: Workbench) -> None:
    for number, text in enumerate(
        ['{"accuracy": 0.7, "old": 1}', "{}", '{"accuracy": NaN, "name": "x", "ok": true}',
         '{"accuracy": 0.8, "val": {"loss": 0.4}}'],
    ):  # fmt: skip
        (bench.repo / "metrics.json").write_text(text)
        bench.ship(f"model {number + 2}\n")
    report = churn_report(bench)
    accuracy, loss, old = report.series
    assert [point.value for point in accuracy.points] == [0.7, None, None, 0.8]
    assert [point.live for point in accuracy.points] == [False, False, False, True]
    assert accuracy.odd == (("1.2.0", "nan"),)
    assert (accuracy.better, loss.better, old.better) == ("higher", "lower", None)
    assert (loss.name, old.name) == ("val.loss", "old")
    assert accuracy.change is not None
    assert accuracy.change.note == "not a number"
    assert "1.2.0: nan is not a finite number, so it is not drawn." in page.html(of(bench))


def test_metrics_beyond_a_dozen_are_named_without_a_chart(bench: Workbench) -> None:
    (bench.repo / "metrics.json").write_text(json.dumps({f"m{n:02}": n for n in range(15)}))
    bench.ship("model 2\n")
    report = churn_report(bench)
    assert [series.name for series in report.series] == [f"m{n:02}" for n in range(12)]
    assert report.other_metrics == ("m12", "m13", "m14")
    assert "Without a chart: m12, m13, m14." in page.html(of(bench))


def test_a_history_that_cannot_be_read_is_told_and_the_rest_is_there(shipped: Workbench) -> None:
    (shipped.folder / history.FILE_NAME).write_text("[{")
    report = churn_report(shipped)
    assert report.live is not None
    assert report.live.place.version == "1.1.0"
    assert [row.version for row in report.versions] == ["1.0.0", "1.1.0"]
    broken = "deployment_history.json"
    assert report.notes == (
        f"{broken} is not a valid history file, line 1: fix it, or start a new one:"
        f" mv {broken} {broken}.broken",
        "the history has no event for the live version: tagship status churn shows the fix",
    )
    assert html.escape(report.notes[0]) in page.html(of(shipped))


def test_an_event_without_a_date_is_in_the_table_and_there_is_no_time_line(
    shipped: Workbench,
) -> None:
    rewrite_history(shipped, lambda events: [{**events[0], "at": "soon"}, *events[1:]])
    report = churn_report(shipped)
    assert (report.periods, report.marks, len(report.events)) == ((), (), 2)
    assert report.notes[0] == "no timeline: event 1 has 'soon' for a date"
    text = page.html(of(shipped))
    assert '<time datetime="soon">soon</time>' in text
    assert "<h3>Timeline</h3>" not in text


def test_a_live_version_whose_commit_is_not_in_this_clone(shipped: Workbench) -> None:
    shipped.git("tag", "--delete", "churn@v1.1.0")
    shipped.git("reset", "--quiet", "--hard", "HEAD~1")
    shipped.git("update-ref", "-d", "ORIG_HEAD")
    shipped.git("reflog", "expire", "--expire=now", "--all")
    shipped.git("gc", "--quiet", "--prune=now")
    report = churn_report(shipped)
    assert report.live is not None
    assert report.live.place.version == "1.1.0"
    assert [row.version for row in report.versions] == ["1.0.0"]
    commit = report.live.described.commit.id[:10] if report.live.described else ""
    assert [plot.notes for plot in report.plots] == [
        (f"1.1.0: its commit {commit} is not in this clone (git fetch --tags)",)
    ]
    page.html(of(shipped))


def test_a_link_that_was_changed_by_hand_is_told(shipped: Workbench) -> None:
    first, _ = sorted(path.name for path in (shipped.folder / "versions").iterdir())
    shipped.current.unlink()
    shipped.current.symlink_to(f"versions/{first}")
    mend = "tagship status churn shows the fix"
    assert churn_report(shipped).notes == (
        f"the history has no event for the live version: {mend}",
    )
    shipped.current.unlink()
    shipped.current.symlink_to("/tmp")
    assert churn_report(shipped).notes == (f"current is not a link to a version: {mend}",)
    shipped.current.unlink()
    shipped.current.symlink_to("versions/v9.0.0_20261120_120000")
    assert churn_report(shipped).notes == (f"the files of the live version are gone: {mend}",)
    page.html(of(shipped))


def test_a_model_that_is_declared_no_more_has_its_history(shipped: Workbench) -> None:
    shipped.git("tag", "--delete", "churn@v1.0.0", "churn@v1.1.0")
    (shipped.repo / "dvc.yaml").write_text("artifacts: {}\n")
    shipped.commit()
    (report,) = of(shipped).models
    assert (report.model, report.versions, len(report.events)) == ("churn", (), 2)
    assert (
        "the model is not declared and has no tags in this clone; only its history is here"
        in report.notes
    )
    page.html(of(shipped))


def many_events(events: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The last event, ``count`` times, six hours apart, of 40 versions; then itself."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    copies = [
        {
            **events[-1],
            "seq": number,
            "at": clock.stamp(start + timedelta(hours=6 * number)),
            "version": f"0.{number // 75}.0",
            "directory": f"v0.{number // 75}.0_20260101_000000",
            "action": "rollback" if number % 7 == 6 else "deploy",
            "reason": f"reason {number}",
        }
        for number in range(count)
    ]
    last = {**events[-1], "seq": count, "at": "2028-12-31T00:00:00Z"}
    return [*copies, last]


def test_of_thousands_of_events_the_newest_are_shown(shipped: Workbench) -> None:
    rewrite_history(shipped, lambda events: many_events(events, 3_000))
    report = churn_report(shipped)
    assert (len(report.events), report.event_count) == (200, 3_001)
    assert (len(report.periods), len(report.marks), report.earlier) == (200, 200, 2_801)
    assert report.events[0].version == "1.1.0"
    text = " ".join(page.html(of(shipped)).split())
    assert "The newest 200 deployments are shown; 2,801 older ones are not." in text
    assert (
        "The newest 200 of 3,001 events. For all of them: <code>tagship history churn</code>."
        in text
    )


def test_collecting_changes_nothing(shipped: Workbench) -> None:
    before = shipped.state()
    page.html(of(shipped))
    assert shipped.changes(before) == set()


# The file


def test_the_file_is_replaced(shipped: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("something else")
    page.write(of(shipped), path)
    text = path.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [other.name for other in tmp_path.iterdir() if ".tmp" in other.name] == []


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "folder",
            "{}/folder is a folder: a report is written to a file",
            "give another one with -o FILE",
        ),
        (
            "link",
            "{}/link is a link: a report is written to a file",
            "give another one with -o FILE",
        ),
        ("none/report.html", "no such folder: {}/none", "mkdir -p {}/none"),
    ],
)
def test_what_is_no_file_is_left_alone(
    bench: Workbench, tmp_path: Path, name: str, message: str, hint: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with pytest.raises((NotFound, Refused)) as caught:
        page.write(of(bench), tmp_path / name)
    assert caught.value.message == message.format(tmp_path)
    assert caught.value.hint == hint.format(tmp_path)
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("package", ["jinja2", "vl_convert"])
def test_a_missing_extra_is_told(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    report = of(bench)
    monkeypatch.setattr(page, "_vega", page._vega.__wrapped__)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Refused) as caught:
        page.write(report, tmp_path / "report.html")
    assert caught.value.message == f"a report needs {package}, which is not installed"
    assert caught.value.hint == 'pip install "tagship[report]"'
    assert not (tmp_path / "report.html").exists()


# What stands in a script


@given(st.recursive(st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_json_in_a_script_ends_nothing_and_comes_back(value: Any) -> None:
    text = page.in_script({"value": value, "more": HOSTILE})
    assert json.loads(text) == {"value": value, "more": HOSTILE}
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.isascii()


@pytest.mark.parametrize(
    ("code", "safe"),
    [
        ("a='</script>'", r"a='<\/script>'"),
        ("a='</SCRIPT '", r"a='<\/SCRIPT '"),
        ("a=/<!--/", r"a=/\x3C!--/"),
        ("a='</b>'", "a='</b>'"),
    ],
)
def test_code_in_a_script_does_not_end_it(code: str, safe: str) -> None:
    assert page.code_in_script(code) == safe


def test_the_policy_lets_these_scripts_run_and_nothing_load(shipped: Workbench) -> None:
    text = page.html(of(shipped))
    policy = html.unescape(
        re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0]
    )
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
        for code in scripts
    }
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert set(rules.pop("script-src").split()) == hashes
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-11-03T05:31:22Z", "3 Nov 2026, 05:31"),
        ("2026-11-03T23:30:00-02:00", "4 Nov 2026, 01:30"),
        (datetime(2026, 1, 9, 8, 7, tzinfo=UTC), "9 Jan 2026, 08:07"),
        ("<soon>", "<soon>"),
    ],
)
def test_moments_are_for_people_in_utc(value: Any, text: str) -> None:
    assert page.day(value) == text


def test_a_difference_has_its_sign() -> None:
    assert [page.difference(value) for value in (0.0123456, -0.5, -1e-7)] == [
        "+0.01235",
        "\N{MINUS SIGN}0.5",
        "\N{MINUS SIGN}1e-07",
    ]


# In a browser


@dataclass
class Tab:
    """A page in the browser, and what it said and asked for."""

    page: "Page"
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def run(self, code: str) -> Any:
        return self.page.evaluate(code)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def story(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on two models with deploys, a failure, a rollback and plots; hostile text in all."""
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as monkeypatch:
        conftest._seal(monkeypatch, folder)
        for name in ("repo", "origin.git"):
            shutil.copytree(template / name, folder / name, symlinks=True)
        bench = Workbench(folder / "repo", monkeypatch, cast("pytest.CaptureFixture[str]", None))
        _tell(bench)
        path = folder / "report.html"
        page.write(of(bench), path)
    return path


def _tell(bench: Workbench) -> None:
    declared = """
artifacts:
  churn: {path: models/churn/model.bin, desc: HOSTILE, labels: [HOSTILE, tabular]}
  fraud: {path: models/fraud/model.bin}
metrics: [churn.json]
plots:
  - curve.csv: {x: step, y: loss, title: HOSTILE}
  - confusion.csv: {template: confusion, x: actual, y: predicted}
  - flat.csv: {template: bar_horizontal, x: n, y: name}
  - many: {x: step, y: {curve.csv: [loss, step]}}
  - pic.svg
""".replace("HOSTILE", json.dumps(HOSTILE, ensure_ascii=False).replace("\u2028", "\\u2028"))
    (bench.repo / "dvc.yaml").write_text(declared)
    (bench.repo / "curve.csv").write_text(CURVE)
    classes = [f"{HOSTILE if n == 0 else 'class'} {n}" for n in range(4)]
    table = [["actual", "predicted"], *([a, b] for a in classes for b in classes)]
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table]
    (bench.repo / "confusion.csv").write_text("\n".join(lines))
    (bench.repo / "flat.csv").write_text(f'name,n\n"{HOSTILE.replace(chr(34), "")}",3\nb,1\n')
    (bench.repo / "pic.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30">'
        '<rect width="90" height="30"/>'
        "<script>window.hacked=1</script></svg>"
    )
    fraud = bench.repo / "models/fraud/model.bin"
    fraud.parent.mkdir()
    fraud.write_bytes(b"fraud\n")
    dvc(bench.repo, "add", "--quiet", "models/fraud/model.bin")
    for number in range(3):
        scores = {"accuracy": 0.7 + number / 20, "val.loss": 1 - number / 5, HOSTILE: number}
        (bench.repo / "churn.json").write_text(json.dumps(scores))
        bench.train(f"model {number}\n")
        bench.commit(f"Train {HOSTILE}")
        bench.manager.release(message=HOSTILE, force=True)
        bench.manager.deploy(reason=HOSTILE)
    bench.manager.rollback_to_version(reason=HOSTILE)
    failed = {"status": "failed", "error": HOSTILE, "actor": HOSTILE, "version": "9.9.9"}

    def spread(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        story = [*events[:2], {**events[2], **failed}, *events[2:]]
        days = [clock.now() - timedelta(days=3 * (len(story) - n)) for n in range(len(story))]
        return [{**e, "at": clock.stamp(day)} for e, day in zip(story, days, strict=True)]

    rewrite_history(bench, spread)


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Callable[..., Tab]]:
    contexts = []

    def opened(path: Path, *, width: int = 1100, print_it: bool = False, **options: Any) -> Tab:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_offline(True)
        tab = Tab(context.new_page())
        context.route("**/*", lambda route: _only_files(route, tab, path))
        tab.page.on("console", lambda message: tab.said.append(message.text))
        tab.page.on("pageerror", lambda error: tab.said.append(str(error)))
        if print_it:
            tab.page.emulate_media(media="print")
        tab.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            tab.page.wait_for_selector("html[data-drawn]", timeout=60_000)
        return tab

    yield opened
    for context in contexts:
        context.close()


def _only_files(route: Any, tab: Tab, path: Path) -> None:
    if route.request.url == path.as_uri():
        route.continue_()
    else:
        tab.asked.append(route.request.url)
        route.abort()


MARKS = """[...document.querySelectorAll('.chart')].map(chart => [chart.id, chart.querySelectorAll(
  '.mark-symbol > path, .mark-rect > path, .mark-line > path').length])"""


def test_every_chart_is_drawn_and_nothing_is_asked_for(
    story: Path, open_page: Callable[..., Tab]
) -> None:
    tab = open_page(story)
    assert (tab.said, tab.asked) == ([], [])
    marks = dict(tab.run(MARKS))
    kinds = ["timeline", "metric-0", "metric-1", "metric-2", "sizes"]
    plots = [f"plot-{number}" for number in range(4)]
    assert sorted(marks) == sorted(f"m1-{name}" for name in (*kinds, *plots))
    assert min(marks.values()) >= 2, marks
    # four times live, five marks; a matrix of 16 cells for each of two versions
    assert marks["m1-timeline"] >= 9
    assert marks["m1-plot-1"] >= 32


@pytest.mark.parametrize("name", [".git/config", "models/churn/deployment_history.json", "x"])
@pytest.mark.live
def test_what_is_no_page_is_not_replaced(bench: Workbench, name: str) -> None:
    before = bench.state()
    with pytest.raises(Refused, match=r"does not end in \.html"):
        page.write(of(bench), bench.repo / name)
    assert bench.changes(before) == set()


def test_hostile_text_is_text(story: Path, open_page: Callable[..., Tab]) -> None:
    tab = open_page(story)
    assert tab.run("window.hacked") is None
    shown = tab.run("document.body.textContent")
    visible = HOSTILE.replace("\u2028", " ")
    assert shown.replace("\u2028", " ").count(visible) >= 10
    assert tab.run("document.querySelectorAll('img').length") == 2
    assert tab.run("[...document.images].every(i => i.src.startsWith('data:image/svg+xml'))")
    assert tab.run("document.scripts.length") == 3


PANES = "[...document.querySelectorAll('#m1-plot-1 .role-scope > g > path.background')]"


@pytest.mark.parametrize("width", [320, 390, 768, 1100])
def test_the_page_fits_every_screen(story: Path, open_page: Callable[..., Tab], width: int) -> None:
    tab = open_page(story, width=width)
    root = "document.documentElement"
    assert tab.run(f"{root}.scrollWidth <= {root}.clientWidth")
    assert tab.run(
        "[...document.querySelectorAll('.chart')].every(c => c.scrollWidth <= c.clientWidth)"
    )
    if width >= 768:
        return
    # panes that stand side by side on a desk stand in a column here
    lefts = tab.run(f"{PANES}.map(p => Math.round(p.getBoundingClientRect().left))")
    assert len(lefts) >= 2
    assert len(set(lefts)) == 1


def test_a_phone_may_be_turned(story: Path, open_page: Callable[..., Tab]) -> None:
    tab = open_page(story, width=844)
    lefts = f"new Set({PANES}.map(p => Math.round(p.getBoundingClientRect().left))).size"
    assert tab.run(lefts) == 2
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.page.wait_for_selector("#m1-plot-1[data-drawn='358']")  # the page has margins of 16
    assert tab.run(lefts) == 1
    root = "document.documentElement"
    assert tab.run(f"{root}.scrollWidth <= {root}.clientWidth")
    widths = "[...document.querySelectorAll('.chart svg')].map(svg => svg.clientWidth)"
    assert max(tab.run(widths)) <= 390


CONTRASTS = """(() => {
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return numbers(getComputedStyle(document.body).backgroundColor);
  };
  const nodes = [...document.querySelectorAll('body *')].filter(node =>
    [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) &&
    !node.closest('script, noscript, style') && node.getClientRects().length);
  return nodes.filter(node => !node.closest('.mark-text.role-mark')).map(node => {
    const style = getComputedStyle(node);
    const ink = node.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(numbers(ink)), light(behind(node))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)];
  }).sort((one, other) => one[0] - other[0]);
})()"""
PAPER = "getComputedStyle(document.body).backgroundColor"
BAR = (
    """getComputedStyle(document.querySelector('#m1-timeline .mark-rect.role-mark > path')).fill"""
)


def test_light_and_dark_differ_and_both_can_be_read(
    story: Path, open_page: Callable[..., Tab]
) -> None:
    tabs = {scheme: open_page(story, color_scheme=scheme) for scheme in ("light", "dark")}
    assert tabs["light"].run(PAPER) == "rgb(255, 255, 255)"
    assert tabs["dark"].run(PAPER) == "rgb(20, 24, 29)"
    assert tabs["light"].run(BAR) != tabs["dark"].run(BAR)
    for tab in tabs.values():
        contrasts = tab.run(CONTRASTS)
        assert len(contrasts) > 100
        # 4.5: Web Content Accessibility Guidelines 2.2, 1.4.3
        assert contrasts[0][0] >= 4.5, contrasts[:3]


def test_the_reader_may_change_to_dark_without_a_new_drawing(
    story: Path, open_page: Callable[..., Tab]
) -> None:
    tab = open_page(story, color_scheme="light")
    before = tab.run(BAR)
    tab.page.emulate_media(color_scheme="dark")
    assert tab.run(PAPER) == "rgb(20, 24, 29)"
    assert tab.run(BAR) != before


def test_print_is_light_whatever_the_screen_is(story: Path, open_page: Callable[..., Tab]) -> None:
    light = open_page(story, color_scheme="light")
    printed = open_page(story, color_scheme="dark", print_it=True, width=720)
    assert printed.run(PAPER) == "rgb(255, 255, 255)"
    assert printed.run(BAR) == light.run(BAR)
    root = "document.documentElement"
    assert printed.run(f"{root}.scrollWidth <= {root}.clientWidth")
    assert printed.page.pdf().startswith(b"%PDF-")


def test_a_bar_and_a_mark_tell_their_story(story: Path, open_page: Callable[..., Tab]) -> None:
    tab = open_page(story)
    tooltips = []
    for selector in (".mark-rect.role-mark > path", ".mark-symbol.role-mark > path"):
        tab.page.locator(f"#m1-timeline {selector}").nth(3).hover()
        tab.page.wait_for_selector("#vg-tooltip-element.visible")
        tooltips.append(tab.run("document.getElementById('vg-tooltip-element').innerText"))
        tab.page.mouse.move(0, 0)
    bar, mark = (
        dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line) for text in tooltips
    )
    assert (bar["Live"], bar["Until (UTC)"]) == ("1.1.0", "is live")
    assert bar["Why"].startswith("</script>")
    assert (mark["What"], mark["Version"], mark["Live before"]) == ("rollback", "1.1.0", "1.2.0")
    assert tab.run("window.hacked") is None


def test_charts_and_tables_are_named_for_who_cannot_see_them(
    story: Path, open_page: Callable[..., Tab]
) -> None:
    tab = open_page(story)
    labels = tab.run(
        "[...document.querySelectorAll('.chart')].map(c => c.getAttribute('aria-label'))"
    )
    assert labels[:2] == [
        "Timeline of churn with 4 periods of a live version;"
        " the same events are in the history below.",
        "accuracy of 3 versions, from 0.7 to 0.8; live is 1.1.0 with 0.75.",
    ]
    assert tab.run("[...document.querySelectorAll('thead th')].every(h => h.scope === 'col')")
    assert tab.run("[...document.images].every(i => i.alt)")
    levels = tab.run("[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(later - level <= 1 for level, later in itertools.pairwise(levels))


def test_without_javascript_the_tables_and_a_note_are_there(
    story: Path, open_page: Callable[..., Tab]
) -> None:
    tab = open_page(story, java_script_enabled=False)
    assert tab.page.locator("noscript p").is_visible()
    assert tab.page.locator("text=History on this host").is_visible()
    assert tab.page.locator("tr.is-live th").inner_text() == "1.1.0"


def test_thousands_of_events_are_drawn_in_a_moment(
    shipped: Workbench, tmp_path: Path, open_page: Callable[..., Tab]
) -> None:
    rewrite_history(shipped, lambda events: many_events(events, 3_000))
    path = tmp_path / "many.html"
    page.write(of(shipped), path)
    began = time.monotonic()
    tab = open_page(path, width=390)
    assert time.monotonic() - began < 20
    assert tab.said == []
    root = "document.documentElement"
    assert tab.run(f"{root}.scrollWidth <= {root}.clientWidth")
    assert dict(tab.run(MARKS))["m1-timeline"] >= 400


def test_a_chart_that_cannot_be_drawn_says_so(
    story: Path, tmp_path: Path, open_page: Callable[..., Tab]
) -> None:
    path = tmp_path / "broken.html"
    text = story.read_text(encoding="utf-8")
    text = text.replace('"m1-sizes":{', '"m1-sizes":{"mark":"no mark"},"old":{', 1)
    path.write_text(text, encoding="utf-8")
    tab = open_page(path)
    assert tab.page.locator("#m1-sizes").inner_text().startswith("This chart cannot be drawn: ")
    assert min(count for name, count in tab.run(MARKS) if name != "m1-sizes") >= 2


def test_no_secret_of_a_url_is_in_the_page(bench: Workbench) -> None:
    url = "https://ada:sesame@example.com/x?token=sesame"
    (bench.repo / "loss.csv").write_text(f"step,loss,{url}\n1,0.9,{url}\n2,0.6,{url}\n")
    declared = {
        "artifacts": {"churn": {"path": "models/churn/model.bin", "desc": url, "labels": [url]}},
        "plots": [
            {"loss.csv": {"x": "step", "y": "loss", "title": url, "x_label": url}},
            {"other": {"x": "step", "y": {"loss.csv": url}, "y_label": url}},
            {url: {"template": url}},
        ],
        "metrics": ["metrics.json"],
    }
    (bench.repo / "dvc.yaml").write_text(json.dumps(declared))
    (bench.repo / "metrics.json").write_text(json.dumps({url: 0.5}))
    bench.commit(f"Train on {url}")
    bench.manager.release(message=url)
    bench.manager.deploy(reason=url)
    text = page.html(of(bench))
    assert "https://example.com/x" in text
    assert "sesame" not in text


def test_a_folder_that_takes_no_file_is_told_with_the_option_for_another(
    shipped: Workbench,
) -> None:
    result = shipped.cli("report", "-o", "/proc/report.html")
    assert result.code == 1
    assert result.err.startswith("error: /proc/report.html cannot be written: ")
    assert "\nhint: give another one with -o FILE; or see ls -ld /proc\n" in result.err
