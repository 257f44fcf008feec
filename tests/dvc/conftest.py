"""The forms of DVC pipelines, built once a session and copied."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import budget
from tests.dvc import forms
from tests.dvc.forms import Form

LEVELS = ("system", "global", "repo", "local")  # of DVC's configuration


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Form], Path]:
    """The folder that a form was built in; each is built when a test first asks for it."""
    folders: dict[str, Path] = {}

    def build(form: Form) -> Path:
        if form.name not in folders:
            folder = tmp_path_factory.mktemp("form")
            with budget.shared():
                forms.build(form, folder)
            folders[form.name] = folder
        return folders[form.name]

    return build


@pytest.fixture
def grown(built: Callable[[Form], Path], tmp_path: Path) -> Callable[[Form], Path]:
    """Give a test its own copy of the repository of a form."""
    return lambda form: forms.copy(built(form), tmp_path / "form")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A file for each level of DVC's configuration."""
    for level in ("system", "global"):
        (tmp_path / level).mkdir()
        monkeypatch.setenv(f"DVC_{level.upper()}_CONFIG_DIR", str(tmp_path / level))
    (tmp_path / "repo" / ".dvc").mkdir(parents=True)
    own = tmp_path / "repo" / ".dvc"
    files = [tmp_path / "system/config", tmp_path / "global/config"]
    return dict(zip(LEVELS, [*files, own / "config", own / "config.local"], strict=True))
