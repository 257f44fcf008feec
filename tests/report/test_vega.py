"""Vega for a page: bundled once, kept in the cache, and read from there only if it is right."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from tagship.report import page, vega


@dataclass
class Bundler:
    """What is asked of vl-convert, which takes three seconds for it."""

    __version__: str = "1.0"
    vl_convert: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(__file__=__file__))
    calls: int = 0

    def javascript_bundle(self, snippet: str) -> str:
        self.calls += 1
        return f"{snippet} // é {self.__version__}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scripts are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tagship"


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_vega_itself_is_kept_and_needs_no_care_in_a_page(folder: Path) -> None:
    vl_convert = pytest.importorskip("vl_convert")
    script = vega.script(vl_convert)
    (file,) = folder.iterdir()
    assert file.name.startswith(f"vega-{vl_convert.__version__}-")
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o644)
    unable = SimpleNamespace(__version__=vl_convert.__version__, vl_convert=vl_convert.vl_convert)
    assert vega.script(unable) == script  # read, not bundled again
    assert "window.vegaEmbed" in script
    assert page.code_in_script(script) == script


def test_it_is_bundled_once(folder: Path) -> None:
    first, second = Bundler(), Bundler()
    script = vega.script(first)
    assert script == "window.vegaEmbed = vegaEmbed; // é 1.0\n"
    assert vega.script(second) == script
    assert (first.calls, second.calls) == (1, 0)


def test_another_version_takes_the_place_of_the_one_before(folder: Path) -> None:
    vega.script(Bundler("1.0"))
    (folder / "other.js").touch()
    size = Path(__file__).stat().st_size
    assert vega.script(Bundler("2.0")) == "window.vegaEmbed = vegaEmbed; // é 2.0\n"
    assert kept(folder) == ["other.js", f"vega-2.0-{size}.js"]


def _cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def _empty(file: Path) -> None:
    os.truncate(file, 0)


def _edited(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"alert(1)")


def _others_may_write(file: Path) -> None:
    file.chmod(0o666)


def _a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _not_ours(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(file, 65534, -1)


@pytest.mark.parametrize(
    "spoil",
    [_cut_short, _empty, _edited, _others_may_write, _a_link, _a_pipe, _not_ours],
    ids=lambda spoil: spoil.__name__,
)
def test_what_is_not_as_it_was_kept_is_bundled_anew(
    folder: Path, spoil: Callable[[Path], None]
) -> None:
    script = vega.script(Bundler())
    (file,) = folder.iterdir()
    spoil(file)
    again, then = Bundler(), Bundler()
    assert vega.script(again) == vega.script(then) == script
    assert (again.calls, then.calls) == (1, 0)
    assert file.is_file()
    assert not file.is_symlink()


@pytest.mark.parametrize("place", ["/dev/null/cache", "relative"])
def test_without_a_place_to_keep_it_nothing_is_kept_and_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    monkeypatch.setenv("HOME", "/dev/null")
    bundler = Bundler()
    assert vega.script(bundler) == vega.script(bundler)
    assert bundler.calls == 2
    assert not (tmp_path / "relative").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_nothing_is_kept_in_the_home_of_another_account(folder: Path) -> None:
    folder.parent.mkdir()
    os.chown(folder.parent, 65534, -1)
    bundler = Bundler()
    assert vega.script(bundler) == vega.script(bundler)
    assert bundler.calls == 2
    assert kept(folder.parent) == []
