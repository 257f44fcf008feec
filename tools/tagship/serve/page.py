"""The page ``/docs``: the OpenAPI description for a person, without a script or another file."""

import html as escaping
import json
from collections.abc import Iterator
from typing import Any

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; padding: .5rem 0; }
h2 { font: 600 1rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
h2 b { display: inline-block; min-width: 3.5rem; }
pre { background: #8882; padding: .75rem; overflow-x: auto; border-radius: .25rem; }
td { padding: 0 1rem .25rem 0; vertical-align: top; }
"""
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def html(description: dict[str, Any]) -> str:
    """The page.

    Args:
        description: what ``/openapi.json`` says.
    """
    info = description["info"]
    title = f"{info['title']} {info['version']}"
    parts = [part for path in description["paths"].items() for part in _path(*path)]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme"'
        f' content="light dark"><style>{STYLE}</style><h1>{_text(title)}</h1>'
        f"<p>{_text(info.get('description', ''))}</p>"
        f'<p><a href="openapi.json">openapi.json</a></p>{"".join(parts)}'
    )


def _path(path: str, operations: dict[str, Any]) -> Iterator[str]:
    for method, operation in operations.items():
        yield f"<section><h2><b>{_text(method.upper())}</b> {_text(path)}</h2>"
        yield f"<p>{_text(operation.get('summary', ''))}</p>"
        rows = [
            (f"{each['name']} ({each['in']})", each.get("description", ""))
            for each in operation.get("parameters", ())
        ]
        rows += [(s, each.get("description", "")) for s, each in operation["responses"].items()]
        yield f"<table>{''.join(map(_row, rows))}</table>"
        yield from _example(path, operation)
        yield "</section>"


def _row(cells: tuple[str, str]) -> str:
    return f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"


def _example(path: str, operation: dict[str, Any]) -> Iterator[str]:
    """How to ask, as a command."""
    content = operation.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example")
    if example is not None:
        body = json.dumps(example)
        command = f"curl ADDRESS{path} --json '{body}'"
        yield f"<pre>{_text(command)}</pre>"


def _text(value: object) -> str:
    return escaping.escape(str(value))
