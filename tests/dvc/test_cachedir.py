"""DVC's cache folder as text tells it, held against what DVC itself says of the same files."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagship.dvc import cachedir
from tests.dvc.conftest import LEVELS

LINES = [
    "[core]",
    "[cache]",
    "['remote \"a\"']",
    "['remote \"b\"']",
    '[remote "a"]',
    "[db]",
    "[[core]]",
    "    remote = a",
    "remote = B",
    "analytics = false",
    "autostage = true",
    "autostage = perhaps",
    "    url = ../store",
    "    url = s3://bucket/x",
    "url = gopher://x",
    "url = a, b",
    "url = ~/x",
    "    dir = /srv/cache",
    "dir = /mnt/x",
    "dir = cache",
    "dir = ../up",
    "dir = ~/c",
    "dir = /a, /b",
    "dir = /srv/c # why",
    'dir = "/srv/c"',
    "dir=/srv/c",
    "dir = /srv/%(x)s",
    "type = reflink",
    "type = hardlink,symlink",
    "shared = group",
    "jobs = 4",
    "# note",
    "",
    "DIR = /srv/C",
    "x",
    "hardlink_lock = true",
    "dir = /srv/\u00e9",
    "dir = /srv/c\r",
    "dir = /srv/c\u2028x",
]


def of_dvc(place: dict[str, Path]) -> tuple[str | None, bool] | None:
    """The folder by DVC, and whether the host's own files name it; None where DVC refuses them."""
    from dvc.config import Config, merge

    host: dict[str, Any] = {}
    try:
        config = Config(dvc_dir=str(place["repo"].parent))
        for level in ("system", "global", "local"):
            merge(host, config.load_one(level))
        folder = config["cache"].get("dir")
        return folder, folder is not None and folder == host["cache"].get("dir")
    except Exception:
        return None


def of_tagship(place: dict[str, Path]) -> tuple[str | None, bool] | None:
    cache = cachedir.read(place["repo"].parents[1])
    if cache is None:
        return None
    return str(cache.folder) if cache.folder else None, cache.named


USUAL = "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://models/x\n"
SHARED = "[cache]\n    dir = /srv/dvc-cache\n"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, (None, False)),
        ({"repo": ""}, (None, False)),
        ({"repo": USUAL}, (None, False)),
        ({"repo": USUAL, "local": SHARED}, ("/srv/dvc-cache", True)),
        ({"repo": SHARED}, ("/srv/dvc-cache", False)),
        ({"repo": SHARED, "global": SHARED}, ("/srv/dvc-cache", True)),
        ({"system": SHARED, "repo": "[cache]\n    dir = /other\n"}, ("/other", False)),
        ({"system": SHARED, "local": "[cache]\n    dir = /other\n"}, ("/other", True)),
    ],
)
def test_what_dvc_writes_is_understood(
    place: dict[str, Path], texts: dict[str, str], expected: tuple[str | None, bool]
) -> None:
    for level, text in texts.items():
        place[level].write_text(text)
    assert of_tagship(place) == expected == of_dvc(place)


@pytest.mark.parametrize(
    "text",
    ["[cache]\n    dir = relative\n", "[cache]\n    type = hardlink\n", "# a note\n", "[core\n",
     "['remote \"x\"']\n", "[core]\n[core]\n", "remote = x\n", "\udcff"],
)  # fmt: skip
@pytest.mark.parametrize("level", LEVELS)
def test_of_anything_else_dvc_is_asked(place: dict[str, Path], level: str, text: str) -> None:
    place[level].write_bytes(text.encode("utf-8", "surrogateescape"))
    assert of_tagship(place) is None


def test_it_never_says_other_than_dvc(place: dict[str, Path]) -> None:
    @settings(max_examples=300)
    @given(st.dictionaries(st.sampled_from(LEVELS), st.lists(st.sampled_from(LINES), max_size=6)))
    def check(files: dict[str, list[str]]) -> None:
        for level, path in place.items():
            path.unlink(missing_ok=True)
            if level in files:
                path.write_text("\n".join(files[level]), encoding="utf-8", newline="")
        answer = of_tagship(place)
        assert answer is None or answer == of_dvc(place)

    check()
