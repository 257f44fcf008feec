"""The page's files, read as text."""

import re
from itertools import product

import pytest

from api.routes import PAGE

CSS = (PAGE / "page.css").read_text()
LIGHT, DARK = [
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
]
READ = [  # text on what is behind it
    *product(("ink", "quiet", "accent"), ("ground", "card")),
    *product(("ink",), ("field", "track", "news", "warning", "error")),
    ("quiet", "warning"), ("on-accent", "accent"),
]  # fmt: skip
SEEN = [
    ("accent", "track"),
    ("news-line", "card"),
    ("error-line", "card"),
    ("warning-line", "card"),
]


def luminance(colour: str) -> float:
    """Relative, of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_signs_stand_out_as_wcag_asks(colours: dict[str, str]) -> None:
    assert LIGHT.keys() == DARK.keys()
    for (front, behind), least in [
        *((pair, 4.5) for pair in READ),
        *((pair, 3.0) for pair in SEEN),
    ]:
        assert contrast(colours[front], colours[behind]) >= least, (front, behind)


def test_no_script_writes_markup() -> None:
    script = (PAGE / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
