"""Models that Git keeps, where Git changes the bytes on their way into a commit."""

import pytest

from tests.workbench import Workbench

RELEASED = "churn 1.0.0 is released"


@pytest.fixture
def plain(bench: Workbench) -> Workbench:
    """A model, ``plain.txt``, that Git keeps."""
    (bench.repo / "plain.txt").write_text("hello\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: plain.txt\n")
    bench.commit()
    return bench


def test_a_file_behind_a_filter_is_not_released(plain: Workbench) -> None:
    (plain.repo / ".gitattributes").write_text("*.txt filter=crypt\n")
    for name in ("clean", "smudge"):
        plain.git("config", f"filter.crypt.{name}", "tr a-z n-za-m")
    plain.git("add", "--renormalize", "plain.txt")
    plain.commit()
    assert plain.git("show", "HEAD:plain.txt") == "uryyb\n"
    before = plain.state()
    plain.refuses(
        "release churn",
        "Git keeps plain.txt through the filter crypt: a deploy would have other bytes",
        "give it to DVC: git rm --cached plain.txt && dvc add plain.txt, and commit",
    )
    assert plain.state() == before


@pytest.mark.parametrize("attribute", ["-filter", "!filter", "diff=crypt"])
def test_a_file_behind_no_filter_is_released(attribute: str, plain: Workbench) -> None:
    (plain.repo / ".gitattributes").write_text(f"*.txt {attribute}\n")
    plain.commit()
    result = plain.cli("release", "churn")
    assert (RELEASED in result.out, result.err) == (True, "")


def test_line_ends_that_git_converts_are_told(plain: Workbench) -> None:
    plain.git("config", "core.autocrlf", "true")
    (plain.repo / "plain.txt").write_bytes(b"one\r\ntwo\r\n")
    plain.commit()
    result = plain.cli("release", "churn")
    assert RELEASED in result.out
    assert result.err == (
        "note: plain.txt has other bytes in Git than here, as Git converts line ends: a deploy has"
        " Git's (to keep it as it is: git rm --cached plain.txt && dvc add plain.txt, and commit)\n"
    )
    assert plain.cli("deploy", "churn", "--yes").code == 0
    assert (plain.current / "plain.txt").read_bytes() == b"one\ntwo\n"


def test_of_a_folder_each_file_counts(bench: Workbench) -> None:
    (bench.repo / "parts").mkdir()
    (bench.repo / "parts/a.bin").write_text("a\n")
    (bench.repo / "parts/b c.txt").write_text("b\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: parts\n")
    (bench.repo / ".gitattributes").write_text("*.txt filter=crypt\n")
    bench.commit()
    done = bench.cli("release", "churn")
    assert done.err.startswith("error: Git keeps parts/b c.txt through the filter crypt: ")
    (bench.repo / ".gitattributes").write_text("*.md filter=crypt\n")
    bench.commit()
    assert RELEASED in bench.cli("release", "churn").out
