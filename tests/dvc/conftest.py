"""The forms of DVC pipelines, built once a session and copied."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dvc import forms
from tests.dvc.forms import Form


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Form], Path]:
    """The folder that a form was built in; each is built when a test first asks for it."""
    folders: dict[str, Path] = {}

    def build(form: Form) -> Path:
        if form.name not in folders:
            folder = tmp_path_factory.mktemp("form")
            forms.build(form, folder)
            folders[form.name] = folder
        return folders[form.name]

    return build


@pytest.fixture
def grown(built: Callable[[Form], Path], tmp_path: Path) -> Callable[[Form], Path]:
    """Give a test its own copy of the repository of a form."""
    return lambda form: forms.copy(built(form), tmp_path / "form")
