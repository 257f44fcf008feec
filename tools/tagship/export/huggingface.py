"""A model card for the Hugging Face Hub: README.md, YAML for the Hub on top, Markdown for people.

The fields: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tagship.export import facts, yaml_writer
from tagship.host.metadata import Made, Metadata
from tagship.registry.artifacts import Artifact
from tagship.text import escape, yaml

README = "README.md"
OTHER_TASK = "other"  # the Hub requires a task for each result
_BLOCKS = re.compile(r"[#>+=~-]")  # what begins a heading, a list, a quotation or a rule
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f]"
)  # which make a text a binary file for Git and for the Hub


class _Code(str):
    """A text shown as code: Markdown would make a mail address of ``churn@v1.2.0``."""


def files(metadata: Metadata, artifact: Artifact) -> dict[str, str]:
    """The model card.

    Only metrics that are finite numbers go to the Hub's ``model-index``; the table has them all.
    """
    parts = [
        f"---\n{yaml_writer.dump(_front_matter(metadata, artifact))}---",
        *_body(metadata, artifact),
    ]
    return {README: "\n\n".join(part for part in parts if part) + "\n"}


def _front_matter(metadata: Metadata, artifact: Artifact) -> dict[str, Any]:
    metrics = [
        {"type": name, "value": value}
        for name, value in metadata.metrics.items()
        if _is_finite(value)
    ]
    task = facts.task(artifact.labels, metadata.architecture) or OTHER_TASK
    result = {
        "task": {"type": task},
        # the commit records which data it was
        "dataset": {"type": "dvc", "name": metadata.tag.name, "revision": metadata.commit.id},
        "metrics": metrics,
    }
    described = facts.description(metadata)
    fields = {
        "license": facts.license_name(artifact),
        "library_name": described.library,
        "tags": facts.tags(artifact, described.tags),
        "model-index": [{"name": metadata.model, "results": [result]}] if metrics else None,
    }
    return {name: value for name, value in fields.items() if value}


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _body(metadata: Metadata, artifact: Artifact) -> Iterator[str]:
    yield f"# {_plain(f'{metadata.model} {metadata.version}')}"
    yield _paragraph(artifact.description)
    yield _table(("what", "value"), _summary(metadata))
    yield from _section("How to load it", _load(metadata))
    yield from _section("Metrics", _table(("metric", "value"), metadata.metrics.items()))
    params = yaml.flat(metadata.params)
    yield from _section("Parameters", _table(("parameter", "value"), params.items()))
    architecture = metadata.architecture or {}
    yield from _section("Architecture", _table(("what", "value"), architecture.items()))
    yield from _section("How it was made", "\n\n".join(map(_stage, metadata.lineage)))
    rows = [(file.path, file.size, file.sha256 or "-") for file in metadata.files]
    yield from _section("Files", _table(("file", "bytes", "SHA-256"), rows))


def _section(heading: str, text: str) -> Iterator[str]:
    if text:
        yield f"## {heading}"
        yield text


def _summary(metadata: Metadata) -> Iterator[tuple[str, Any]]:
    yield "version", metadata.version
    yield "Git tag", _Code(metadata.tag.name)
    yield "tagged by", f"{metadata.tag.tagger}, {metadata.tag.at}"
    yield "Git commit", _Code(metadata.commit.id)
    yield "author", f"{metadata.commit.author}, {metadata.commit.at}"
    yield "size", f"{metadata.size:,} bytes"
    name = facts.framework_name(metadata)
    if name:
        yield "framework", f"{name} {metadata.tools.get(name, '')}".strip()
    if metadata.smoke_test:
        yield "smoke test", metadata.smoke_test


def _load(metadata: Metadata) -> str:
    code = facts.description(metadata).code
    return f"```python\n{code}\n```" if code else ""


def _stage(stage: Made) -> str:
    rows = [
        (what, file["path"], file["md5"] or "-")
        for what, side in (("read", stage["deps"]), ("wrote", stage["outs"]))
        for file in side
    ]
    return f"{_paragraph('{stage}: {command}'.format(**stage))}\n\n" + _table(
        ("", "path", "MD5"), rows
    )


def _table(heading: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [_row(cells) for cells in rows]
    return "\n".join([_row(heading), _row(["---"] * len(heading)), *lines]) if lines else ""


def _row(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(value: Any) -> str:
    if isinstance(value, _Code):
        return f"`{value}`"
    return _plain(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _paragraph(text: str) -> str:
    """A text as one paragraph, even if its first letters would begin another block."""
    plain = _plain(text)
    return f"\\{plain}" if _BLOCKS.match(plain) else plain


def _plain(text: str) -> str:
    """A text on one line, with Markdown's special characters escaped."""
    line = escape.shown(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", line)
