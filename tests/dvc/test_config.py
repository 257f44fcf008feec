"""DVC's configuration is read once for the same texts, and anew for any other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tagship.dvc import config
from tagship.errors import Refused
from tests.workbench import Workbench, run

RELATIVE = "[core]\n    remote = store\n['remote \"store\"']\n    url = ../data\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text(RELATIVE)
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The projects whose configuration DVC itself was asked for."""
    asked: list[Path] = []

    def read(
        project: Path, of_dvc: Callable[[Path], config.DvcConfig] = config._read
    ) -> config.DvcConfig:
        asked.append(project)
        return of_dvc(project)

    monkeypatch.setattr(config, "_read", read)
    return asked


def url(project: Path) -> str:
    return str(config.read(project).remote("store")["url"])


def test_the_same_texts_are_read_once(project: Path, reads: list[Path]) -> None:
    first = config.read(project)
    assert config.read(project) == first
    assert first.whole["remote"]["store"]["url"] == str(project.parent / "project" / "data")
    assert reads == [project]


def test_who_changes_what_came_back_changes_nothing_else(project: Path) -> None:
    values = config.read(project)
    values.whole["remote"]["store"]["url"] = "elsewhere"
    values.whole["core"].clear()
    values.host["remote"]["store"] = {}
    assert config.read(project) == config._read(project)


@pytest.mark.parametrize("name", [".dvc/config", ".dvc/config.local", "of the account"])
def test_a_change_of_a_file_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own = project.parent / "own"
    own.mkdir()
    run(project, "git", "init", "--quiet")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(own))
    (own / "config").write_text("['remote \"store\"']\n    jobs = 1\n")
    (project / ".dvc" / "config.local").write_text("['remote \"store\"']\n    jobs = 2\n")
    file = own / "config" if name == "of the account" else project / name
    before = config.read(project)
    text = file.read_text()
    file.write_text(f"{text}    verify = true\n")
    assert config.read(project) != before
    assert config.read(project) == config._read(project)
    file.write_text(text)
    assert config.read(project) == before


def test_the_same_text_in_another_place_names_another_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another repository, or in the configuration of this host instead of this account."""
    other = project.parent / "deeper" / "project"
    (other / ".dvc").mkdir(parents=True)
    (other / ".dvc" / "config").write_text(RELATIVE)
    assert (url(project), url(other)) == (str(project / "data"), str(other / "data"))
    (project / ".dvc" / "config").write_text("")
    places = [project.parent / name for name in ("account/deep", "host")]
    for folder in places:
        folder.mkdir(parents=True)
    for variable, here in (("DVC_GLOBAL_CONFIG_DIR", 0), ("DVC_SYSTEM_CONFIG_DIR", 1)):
        for folder in places:
            (folder / "config").unlink(missing_ok=True)
        monkeypatch.setenv(variable, str(places[here]))
        (places[here] / "config").write_text(RELATIVE)
        assert url(project) == str(places[here].parent / "data")


def test_a_home_that_another_one_takes_the_place_of_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".dvc" / "config").write_text(RELATIVE.replace("../data", "~/data"))
    for name in ("one", "two"):
        monkeypatch.setenv("HOME", str(project.parent / name))
        assert url(project) == str(project.parent / name / "data")


def test_what_cannot_be_read_is_told_each_time(project: Path) -> None:
    (project / ".dvc" / "config").write_text("[core\n")
    for _ in range(2):
        with pytest.raises(Refused):
            config.read(project)
    (project / ".dvc" / "config").write_text(RELATIVE)
    assert url(project) == str(project / "data")


def test_an_option_of_the_former_kind_of_remote_stops_no_reader_and_is_named(
    shipped: Workbench,
) -> None:
    """The team moved from S3 to a folder; this host still has the endpoint of S3."""
    local = shipped.repo / ".dvc" / "config.local"
    head, endpoint = "['remote \"store\"']\n", "    endpointurl = http://x:9000\n"
    local.write_text(head + endpoint)
    for command in ("status", "verify", "list churn"):
        told = shipped.cli(*command.split())
        assert (told.code, told.err) == (0, "")
    shipped.train("model 3\n")
    what = "DVC: config file error: extra keys not allowed @ data['remote']['store']"
    shipped.refuses(
        "release churn",
        f"{what}['endpointurl']",
        "dvc remote modify --local --unset store endpointurl",
    )
    local.write_text(head + endpoint + "    profile = models\n")
    assert "hint: dvc remote remove --local store\n" in shipped.cli("release", "churn").err
    local.write_text(head + endpoint + "    profile = models\n    url = /elsewhere\n")
    assert "hint: fix .dvc/config.local\n" in shipped.cli("release", "churn").err
