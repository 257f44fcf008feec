"""The overview as one HTML page: hosts by models. No script, and nothing is loaded from elsewhere.

All text of others is escaped; it stands between tags and in quotes alone.
"""

import html
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from tagship.disk import atomic
from tagship.errors import NotFound, Refused, hint_of
from tagship.fleet.overview import Mark, Overview, Row, span
from tagship.text import clock, escape, words
from tagship.workspace.state import Why

CSS = Path(__file__).with_name("page.css")
# Content Security Policy, https://www.w3.org/TR/CSP3/
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
TONES = ("good", "warn", "bad")
_BAD = (Why.BROKEN, Why.FAILED)
_BAD_MARKS = (Mark.FORGED, Mark.TWIN, Mark.REPLAYED, Mark.MISSING, Mark.SILENT, Mark.DAMAGED)


def write(view: Overview, path: Path) -> None:
    """Write the page; an existing file is replaced in one step.

    Raises:
        Refused: ``path`` is no file, does not end in .html, or cannot be written.
        NotFound: its folder does not exist.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise Refused(f"{path} is not a regular file", "give another name with -o FILE")
    if path.suffix.lower() not in (".html", ".htm"):  # it could replace something else
        raise Refused(f"{path} does not end in .html", "give another name with -o FILE")
    if not path.parent.is_dir():
        where = shlex.quote(str(path.parent))
        raise NotFound(f"no such folder: {path.parent}", f"mkdir -p {where}")
    try:
        atomic.write(path, page(view).encode())
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", hint_of(error)) from None


def page(view: Overview) -> str:
    """The page. Pure, but for its style sheet."""
    count = words.count(len(view.hosts), "host")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>Fleet: {count}</title>",
        f"<style>{CSS.read_text(encoding='utf-8')}</style></head><body>",
        f"<header><h1>{count}, {words.count(len(view.models), 'model')}</h1>",
        f'<p class="muted small">Read from {_text(view.place)} at {_moment(view.at)}.'
        " All times are UTC.</p>",
        *_sums(view),
        "</header><main>",
        *_to_look_at(view),
        *_versions(view),
        *_matrix(view),
        "</main>",
        '<footer class="muted small"><p>Made by tagship fleet. What a host says of itself is shown'
        " as it was read; see the trust limits in docs/fleet.md.</p></footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _text(value: str) -> str:
    """Text of anybody, for between tags and in quotes."""
    return html.escape(escape.line(value))


def _moment(at: datetime) -> str:
    return words.moment(clock.stamp(at))


def _sums(view: Overview) -> Iterator[str]:
    """How many hosts are well, and how many are not, by the worst of their models."""
    tones = dict.fromkeys(view.hosts, "good")
    for row in view.rows:
        tones[row.host] = max(tones[row.host], tone(row), key=("good", "warn", "bad").index)
    counts = {each: list(tones.values()).count(each) for each in ("good", "warn", "bad")}
    texts = {"good": "in order", "warn": "to look at", "bad": "in trouble"}
    yield '<ul class="sums">'
    for each, count in counts.items():
        if count or each == "good":
            noun = "host" if count == 1 else "hosts"
            yield f'<li><b class="{each}">{count}</b>{noun} {texts[each]}</li>'
    yield "</ul>"


def _tones(view: Overview) -> dict[str, str]:
    """How bad each host is, by the worst of its models."""
    tones = dict.fromkeys(view.hosts, "good")
    for row in view.rows:
        tones[row.host] = max(tones[row.host], tone(row), key=TONES.index)
    return tones


def tone(row: Row) -> str:
    """How bad a row is: ``good``, ``warn`` or ``bad``."""
    if row.why in _BAD or any(note.mark in _BAD_MARKS for note in row.notes):
        return "bad"
    return "good" if row.is_well else "warn"


def _to_look_at(view: Overview) -> Iterator[str]:
    """What is wrong with the place itself, and with hosts of which nothing is known."""
    lines = [f"{name} is no status object" for name in view.odd]
    if view.is_cut:
        lines.append("there is more than tagship reads")
    if not view.rows:
        lines.append("No host has told of itself yet.")
    if lines:
        yield "".join(f'<p class="note warn">{_text(line)}</p>' for line in lines)


def _versions(view: Overview) -> Iterator[str]:
    """For each model, its versions and on how many hosts they are live."""
    if not view.models:
        return
    yield '<h2>Versions</h2><div class="versions">'
    for model in view.models:
        versions = view.versions(model)
        total = sum(count for _, count in versions)
        rows = "".join(
            f'<dt>{_text(version)}</dt><dd><meter min="0" max="{total}" value="{count}"'
            f' aria-hidden="true"></meter></dd><dd>{words.count(count, "host")}</dd>'
            for version, count in versions
        )
        yield f"<section><h3>{_text(model)}</h3><dl>{rows}</dl></section>"
    yield "</div>"


def _matrix(view: Overview) -> Iterator[str]:
    if not view.hosts:
        return
    cells = {(row.host, row.model): row for row in view.rows}
    heads = "".join(f'<th scope="col">{_text(model)}</th>' for model in view.models)
    yield '<h2>Hosts</h2><div class="wide" role="region" aria-label="Hosts" tabindex="0"><table>'
    yield f'<thead><tr><th scope="col">Host</th>{heads}</tr></thead><tbody>'
    tones, heard = _tones(view), _heard(view)
    for host in sorted(view.hosts, key=lambda name: (-TONES.index(tones[name]), name)):
        yield f'<tr><th scope="row">{_text(host)}{heard.get(host, "")}</th>'
        if (missing := cells.get((host, ""))) is not None:
            width = max(len(view.models), 1)
            yield f'<td data-model="" colspan="{width}">{"".join(_cell(missing))}</td>'
        else:
            for model in view.models:
                row = cells.get((host, model))
                inner = "".join(_cell(row)) if row else ""
                yield f'<td data-model="{_text(model)}">{inner}</td>'
        yield "</tr>"
    yield "</tbody></table></div>"


def _heard(view: Overview) -> dict[str, str]:
    """When each host was heard of last."""
    last: dict[str, datetime] = {}
    for row in view.rows:
        if row.at is not None:
            last[row.host] = max(row.at, last.get(row.host, row.at))
    return {
        host: f'<p class="note"><time datetime="{clock.stamp(at)}">{_ago(view.at - at)}</time></p>'
        for host, at in last.items()
    }


def _cell(row: Row) -> Iterator[str]:
    if row.model:
        yield f"<b>{_text(row.live or '-')}</b>"
    yield f'<span class="state {tone(row)}">{_text(row.word)}</span>'
    if row.desired and row.desired != row.live:
        yield f'<p class="note">should be {_text(row.desired)}</p>'
    yield from (f'<p class="note">{_text(note.what)}</p>' for note in row.notes)


def _ago(age: timedelta) -> str:
    text = span(age)
    return "just now" if text.startswith("less") else f"{text} ago"
