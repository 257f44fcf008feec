"""docs/from-a-script.md, from a folder of dated files to a deploy; every block of it is run."""

import shutil
from pathlib import Path

import pytest

from tests import conftest
from tests.docs import pages
from tests.workbench import run

PAGE = pages.page("from-a-script.md")
FIRST = "Files with dates in their names"
FILES = ("model_final.cbm", "model_final_v3.cbm", "churn_2026-03-01.cbm")


def commands(heading: str, folder: Path) -> list[str]:
    """The blocks under a heading; the folders of the page's machine lie below ``folder``."""
    text = pages.section(PAGE, heading)
    for name in ("/mnt", "/srv"):
        text = text.replace(f"{name}/", f"{folder}{name}/")
    return pages.blocks(text)


def save(path: Path, number: int) -> None:
    """A model of CatBoost; those of two numbers differ."""
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(
        iterations=1, depth=1, verbose=False, allow_writing_files=False, random_seed=number
    )
    model.fit([[0, number], [1, 2]], [0, 1]).save_model(str(path))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    """The folder after the first part of the page: a repository with three versions."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.MonkeyPatch.context() as monkeypatch:
        conftest._seal(monkeypatch, folder)
        for name in ("work", "old", "mnt", "srv/app"):
            (folder / name).mkdir(parents=True)
        for number, name in enumerate(FILES):
            save(folder / "old" / name, number)
        start, make, push = commands(FIRST, folder)
        pages.run(folder / "work", start)
        run(folder, "git", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
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
        f"2026-03-01T12:00:00+00:00 Import {FILES[2]}",
        f"2026-01-19T16:30:00+00:00 Import {FILES[1]}",
        f"2025-11-03T09:00:00+00:00 Import {FILES[0]}",
    ]
    for name in FILES:
        assert name in PAGE


def test_a_file_that_is_missing_or_the_same_makes_no_version(
    imported: Path, tmp_path: Path
) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(imported / "origin.git"), "work")
    (tmp_path / "old").symlink_to(imported / "old")
    (tmp_path / "mnt").symlink_to(imported / "mnt")
    function = commands(FIRST, imported)[1].partition("\nversion 0.1.0")[0]
    for file in ("gone.cbm", FILES[2]):
        told = pages.bash(
            tmp_path / "work", f"{function}\nversion 0.4.0 2026-04-01T09:00:00Z {file}"
        )
        assert told.code == 1, told
    assert "churn@v0.4.0" not in run(tmp_path / "work", "git", "tag")


@pytest.fixture
def place(imported: Path, tmp_path: Path) -> Path:
    """A machine with a clone of it in srv/models."""
    for name in ("srv/app", "old"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mnt").symlink_to(imported / "mnt")
    run(tmp_path, "git", "clone", "--quiet", str(imported / "origin.git"), "srv/models")
    return tmp_path


def same(path: Path, imported: Path, number: int) -> bool:
    return path.read_bytes() == (imported / "old" / FILES[number]).read_bytes()


def test_the_scripts_link_follows_a_deploy_and_a_rollback(imported: Path, place: Path) -> None:
    deploy, link = commands("From a deploy script", place)
    pages.run(place, deploy)
    pages.run(place, link)
    assert same(place / "srv/app/churn.cbm", imported, 2)
    pages.run(place / "srv/models", "tagship deploy churn@0.1 --yes --no-smoke-test")
    assert same(place / "srv/app/churn.cbm", imported, 0)


def test_the_script_of_the_page_does_what_it_is_said_to_do(imported: Path, place: Path) -> None:
    script = pages.blocks(pages.section(PAGE, "From a deploy script"), "")[0]
    script = script.replace("/srv/", f"{place}/srv/").replace(
        "git@git.example.com:team/models.git", str(imported / "origin.git")
    )
    script = script.replace("systemctl restart app", "true")
    pages.run(place, f"set -- 0.2.0\n{script}")
    assert same(place / "srv/app/churn.cbm", imported, 1)


def test_versions_that_gto_registered_are_listed_and_deployed(imported: Path, place: Path) -> None:
    clone = place / "srv/models"
    for tag in run(clone, "git", "tag").split():  # the message that GTO writes, and no more
        words = f'Registering artifact "churn" version "{tag.partition("@")[2]}"'
        run(clone, "git", "tag", "--force", "--annotate", "--message", words, tag, f"{tag}^{{}}")
    [block] = commands("From GTO", place)
    said = pages.run(clone, block)
    assert "churn 0.3.0 is live" in said
    assert same(clone / "models/churn/current/model.cbm", imported, 2)


def test_a_version_of_mlflows_registry_becomes_one(
    imported: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{place}/mlruns")
    (place / "logged").mkdir()
    save(place / "logged/model.cb", 4)
    client = mlflow.MlflowClient()
    client.create_registered_model("churn")
    for _ in range(7):
        client.create_model_version("churn", f"file:{place}/logged")
    function = (
        "version() {" + pages.section(PAGE, FIRST).partition("version() {")[2].partition("\n}\n")[0]
    )
    [block] = commands("From MLflow", place)
    shutil.copytree(place / "srv/models", place / "work", symlinks=True)
    pages.run(place / "work", f"{function}\n}}\n{block}")
    assert "0.7.0" in pages.run(place / "work", "git tag --list 'churn@*'")
