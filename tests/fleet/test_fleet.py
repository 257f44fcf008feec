"""``tagship fleet``: the table, JSON and the page, from a folder or of this host alone."""

import json
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tagship.errors import NotFound, Refused
from tagship.fleet import others, overview, page
from tagship.fleet.place import Contents, Name
from tagship.fleet.reading import Reading
from tagship.fleet.status_object import Hold
from tagship.manager.agent import Agent
from tagship.text import clock
from tagship.workspace import host_file
from tagship.workspace.rollout import Said
from tests.browser import ARGUMENTS, CHROMIUM
from tests.fleet import objects
from tests.fleet.objects import NOON, Shared
from tests.hosts import Following
from tests.workbench import Workbench

EVIL = '<img src=x onerror=alert(1)><script>alert("x")</script>'


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """A folder with two hosts and two models, at noon."""
    monkeypatch.setattr(clock, "now", lambda: NOON)
    shared = Shared(tmp_path / "fleet")
    shared.put(objects.status())
    shared.put(objects.status("fraud", why="blocked", reason=f"passed over: {EVIL}"))
    shared.put(objects.status(host="edge-2", at=clock.stamp(NOON - timedelta(hours=5))))
    return shared


def test_the_fleet_is_a_table_with_what_to_look_at_first(bench: Workbench, shared: Shared) -> None:
    result = bench.cli_in(shared.path.parent, "fleet", "--from", str(shared.path))
    at, before = "2026-11-30 11:59:00", "2026-11-30 07:00:00"
    late = "nothing was heard of it for 5 hours"
    assert result.out.splitlines() == [
        "churn: 1.2.0 on 2 hosts",
        "fraud: 1.2.0 on 1 host",
        "",
        "Host\tModel\tLive\tDesired\tState\tHeard of\tNotes",
        f"edge-2\tchurn\t1.2.0\t1.2.0\tlate\t{before}\t{late}",
        f"edge-1\tfraud\t1.2.0\t1.2.0\tblocked\t{at}\tpassed over: {EVIL}",
        f"edge-1\tchurn\t1.2.0\t1.2.0\tin order\t{at}\t",
    ]
    assert (result.code, result.err) == (3, "")


def test_the_fleet_as_json_names_each_state(bench: Workbench, shared: Shared) -> None:
    roster = shared.path.parent / "hosts"
    roster.write_text("edge-1\nedge-2\nedge-3\n")
    words = ("fleet", "churn", "--from", str(shared.path), "--roster", str(roster), "--json")
    result = bench.cli_in(shared.path.parent, *words)
    value = json.loads(result.out)
    assert [(row["host"], row["model"], row["state"]) for row in value["rows"]] == [
        ("edge-1", "churn", "in order"),
        ("edge-2", "churn", "late"),
        ("edge-3", None, "missing"),
    ]
    first = value["rows"][0]
    assert (first["why"], first["is_well"], first["signed"]) == ("in_order", True, "unsigned")
    assert first["since"] == "2026-11-20T10:15:03Z"
    assert (value["is_well"], result.code) == (False, 3)


def test_an_older_status_is_known_the_next_time(bench: Workbench, shared: Shared) -> None:
    def state() -> str:
        result = bench.cli_in(
            shared.path.parent, "fleet", "churn", "--from", str(shared.path), "--json"
        )
        return str(json.loads(result.out)["rows"][0]["state"])

    assert state() == "in order"
    shared.put(objects.status(seq=2))
    assert state() == "replayed"


def test_a_model_that_no_host_has_is_told_with_the_nearest(
    bench: Workbench, shared: Shared
) -> None:
    result = bench.cli_in(shared.path.parent, "fleet", "chrun", "--from", str(shared.path))
    assert result.code == 1
    assert result.err == (
        f"error: no host tells of chrun in {shared.path}\nhint: did you mean churn?\n"
    )


def test_no_host_and_no_place_is_an_error(bench: Workbench) -> None:
    result = bench.cli("fleet")
    assert result.code == 1
    assert result.err == (
        f"error: there is no tagship.toml in {bench.repo}\n"
        "hint: tagship fleet --from s3://BUCKET/PREFIX\n"
    )


def test_a_place_that_is_empty_or_not_there(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty, none = tmp_path / "empty", tmp_path / "none"
    result = bench.cli_in(tmp_path, "fleet", "--from", str(empty))
    assert (result.code, result.out) == (3, f"no host has told of itself in {empty}\n")
    result = bench.cli_in(tmp_path, "fleet", "--from", str(none))
    assert (result.code, result.err.splitlines()[0]) == (1, f"error: {none} is not there")


def test_a_host_shows_all_hosts_of_its_place_or_itself_alone(host: Following) -> None:
    host.at(NOON)
    host.sync()
    result = host.cli("fleet")
    assert result.code == 0
    assert result.out.splitlines()[0] == "churn: 1.0.0 on 1 host"
    assert "edge-1\tchurn\t1.0.0\t1.0.0\tin order" in result.out
    before = host.bench.state()
    host.cli("fleet", "--json")
    assert host.bench.changes(before) == set()  # who only reads changes nothing
    (host.model / "current" / "model.bin").resolve().unlink()
    assert host.cli("fleet").code == 5

    shared = Shared(host.top / "fleet")
    shared.put(objects.status(host="edge-2"))
    host.follow(more=f'[report]\nstatus = "{shared.path}"\n')
    host.sync()
    hosts = [row.host for row in Agent(host.folder).fleet().rows]
    assert hosts == ["edge-1", "edge-2"]
    said = others.of_host(host_file.read(host.folder))("churn")
    assert said == (Said("edge-2", "a" * 40, True, frozenset()),)


def test_a_model_that_this_host_does_not_follow(host: Following) -> None:
    result = host.cli("fleet", "fraud")
    assert (result.code, result.err.splitlines()[0]) == (
        1,
        "error: this host does not follow fraud",
    )


# --- the page


class Tags(HTMLParser):
    """The names of the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def everything() -> overview.Overview:
    """An overview with each kind of note."""
    hold = Hold(EVIL, "2026-12-01T00:00:00Z", EVIL)
    states = [
        objects.status(),
        objects.status(host="edge-2", why="held", hold=hold),
        objects.status(host="edge-3", why="broken", reason=EVIL),
        objects.status(host="edge-4", at="2026-11-30T06:00:00Z"),
        objects.status("fraud", twin="f" * 16, smoke_test="skipped"),
        objects.status("team:pricing", host="edge-2", live=None, why="behind", reason=EVIL),
    ]
    readings = [Reading(Name(each.model, each.host), each.written, each) for each in states]
    readings.append(Reading(Name("fraud", "edge-5"), NOON, problem=f"damaged: {EVIL}"))
    contents = Contents(odd=(EVIL,))
    return overview.of(EVIL, readings, contents, NOON, roster=["edge-1", "edge-9"])


def test_the_page_has_no_script_and_loads_nothing() -> None:
    text = page.page(everything())
    tags = Tags(text)
    assert tags.names.isdisjoint({"script", "img", "link", "iframe", "object", "svg", "form"})
    assert tags.attributes.isdisjoint({"src", "href", "style", "onerror", "onclick"})
    assert "alert(&quot;x&quot;)" in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_the_page_is_written_whole_and_replaces_no_other_file(tmp_path: Path) -> None:
    target = tmp_path / "fleet.html"
    page.write(everything(), target)
    page.write(everything(), target)
    assert target.read_text().endswith("</html>\n")
    with pytest.raises(Refused, match=r"does not end in \.html"):
        page.write(everything(), tmp_path / "tagship.toml")
    with pytest.raises(NotFound, match="no such folder"):
        page.write(everything(), tmp_path / "none" / "fleet.html")
    (tmp_path / "link.html").symlink_to(target)
    with pytest.raises(Refused, match="not a regular file"):
        page.write(everything(), tmp_path / "link.html")


def test_the_command_writes_the_page(bench: Workbench, shared: Shared) -> None:
    folder = shared.path.parent
    bench.cli_in(folder, "fleet", "--from", str(shared.path), "-o", str(folder / "fleet.html"))
    assert "<h1>2 hosts, 2 models</h1>" in (folder / "fleet.html").read_text()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The page as Chromium lays it out: width of its content, of the window, and what it said."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    file = tmp_path_factory.mktemp("page") / "fleet.html"
    page.write(everything(), file)
    sizes: dict[str, Any] = {}
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for name, scheme, width in (("light", "light", 1280), ("phone", "dark", 360)):
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": width, "height": 800}
            )
            tab = context.new_page()
            said: list[str] = []
            tab.on("console", lambda message, said=said: said.append(message.text))
            tab.on("dialog", lambda dialog, said=said: said.append(dialog.message))
            tab.on("request", lambda request, said=said: said.append(request.url))
            tab.goto(file.as_uri())
            wide = tab.evaluate("document.documentElement.scrollWidth")
            paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            tab.screenshot(path=str(file.with_name(f"{name}.png")), full_page=True)
            sizes[name] = [wide, width, paper, said, file.as_uri()]
        browser.close()
    yield sizes


@pytest.mark.parametrize("name", ["light", "phone"])
def test_the_page_fits_its_window_in_light_and_in_dark(pages: dict[str, Any], name: str) -> None:
    wide, width, paper, said, uri = pages[name]
    assert wide == width
    assert paper == {"light": "rgb(255, 255, 255)", "phone": "rgb(20, 24, 29)"}[name]
    assert said == [uri]  # nothing else was asked for, nothing was said
