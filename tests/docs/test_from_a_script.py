"""docs/from-a-script.md, from a folder of dated files to a deploy; every block of it is run."""

import json
from pathlib import Path

import pytest

from tests.docs import pages
from tests.workbench import Workbench, run

PAGE = pages.page("from-a-script.md")
FILES = ("model_final.cbm", "model_final_v3.cbm", "churn_2026-03-01.cbm")


def commands(heading: str, folder: Path) -> list[str]:
    """The blocks under a heading; the folders of the page's machine lie below ``folder``."""
    text = pages.section(PAGE, heading)
    for name in ("/mnt", "/srv"):
        text = text.replace(f"{name}/", f"{folder}{name}/")
    return pages.blocks(text)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    """The folder after the first part of the page: a repository with three versions."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.MonkeyPatch.context() as monkeypatch:
        from tests import conftest

        conftest._seal(monkeypatch, folder)
        for name in ("work", "old", "mnt", "srv/app"):
            (folder / name).mkdir(parents=True)
        for number, name in enumerate(FILES, 1):
            (folder / "old" / name).write_text(f"CBM1 model {number}\n")
        start, make, push = commands("Files with dates in their names", folder)
        pages.run(folder / "work", start)
        run(folder, "git", "init", "--quiet", "--bare", "origin.git")
        run(folder / "work", "git", "remote", "add", "origin", "../origin.git")
        (folder / "listed").write_text(pages.run(folder / "work", make))
        pages.run(folder / "work", push)
    return folder


def test_dated_files_become_versions_in_the_order_of_their_dates(imported: Path) -> None:
    *_, third, second, first = (imported / "listed").read_text().splitlines()
    assert [row.split("\t")[0:3] for row in (first, second, third)] == [
        ["0.1.0", "", "2025-11-03 09:00:00"],
        ["0.2.0", "", "2026-01-19 16:30:00"],
        ["0.3.0", "", "2026-03-01 12:00:00"],
    ]
    form = "--format=%cI %s"
    assert run(imported / "work", "git", "log", form).splitlines()[:3] == [
        f"2026-03-01T12:00:00Z Import {FILES[2]}",
        f"2026-01-19T16:30:00Z Import {FILES[1]}",
        f"2025-11-03T09:00:00Z Import {FILES[0]}",
    ]
    for name in FILES:
        assert name in PAGE
