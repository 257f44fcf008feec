"""The two notebooks of this repository, run from start to end in a clone of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship import ModelVersionManager
from tests import training
from tests.training import Demo
from tests.workbench import run

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 600  # for one cell; training takes the longest
ANEW = {"l2_leaf_reg: 3.0": "l2_leaf_reg: 2.0"}  # of ml.train: the demo did not train that one


@dataclass(frozen=True)
class Told:
    """What a cell of a notebook that was run showed, as text, in order."""

    outputs: dict[str, list[str]]
    error: str = ""


@pytest.fixture
def clone(tmp_path: Path, demo: Demo) -> Path:
    """What is committed and changed here, committed; without tags, with the demo's cache."""
    folder = tmp_path / "clone"
    training.clone(folder)
    run(folder, "git", "remote", "remove", "origin")
    demo.share(folder)
    training.set_parameters(folder / "params.yaml", training.QUICKLY | ANEW)
    # Else DVC looks for the bytes of the committed one, which another machine has trained.
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "Train another one")
    return folder


def play(notebook: Path, confirm: bool | None, folder: Path) -> Told:
    """Run a notebook in a folder, with a parameter set as papermill sets it."""
    book = nbformat.read(notebook, as_version=4)
    [parameters] = [c for c in book.cells if "parameters" in c.metadata.get("tags", [])]
    at = book.cells.index(parameters) + 1
    book.cells.insert(at, nbformat.v4.new_code_cell(f"confirm = {confirm}", id="injected"))
    error = ""
    try:
        nbclient.NotebookClient(
            book, timeout=SECONDS, allow_errors=False, resources={"metadata": {"path": str(folder)}}
        ).execute()
    except nbclient.exceptions.CellExecutionError as failed:
        error = str(failed)
    texts = {
        cell.id: [out.data["text/plain"] if "data" in out else out.get("text", "")
                  for out in cell.outputs]
        for cell in book.cells
        if cell.cell_type == "code"
    }  # fmt: skip
    return Told(texts, error)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_it_is_before_it_is_run(path: Path) -> None:
    book = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert book.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None] == []
    assert len({cell.id for cell in book.cells}) == len(book.cells)
    [parameters] = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert parameters.source.endswith("\nconfirm = None")  # so it asks whoever has a browser
    assert [cell.source.count("deploy(") for cell in cells if "deploy(" in cell.source] == [1]


def test_both_notebooks_are_there() -> None:
    assert [path.name for path in NOTEBOOKS] == [
        "EfficientNetB0_finetuning.ipynb",
        "Machine_learning.ipynb",
    ]


def test_the_machine_learning_notebook_trains_and_deploys(clone: Path) -> None:
    book = clone / "notebooks" / "Machine_learning.ipynb"
    manager = ModelVersionManager("ml_model", clone)

    asked = play(book, None, book.parent)  # all but the deploy: nobody is there to ask
    assert "error: nobody can be asked here whether to deploy ml_model 1.0.0" in asked.error
    assert 'hint: deploy("ml_model", confirm=True) does it' in asked.error
    assert manager.get_deployment_history() == []
    assert "300 rounds of depth 4" in "".join(asked.outputs["reproduce"])

    done = play(book, True, book.parent)
    assert done.error == ""
    assert "Stage 'ml_train' didn't change, skipping" in "".join(done.outputs["reproduce"])
    plan, state = done.outputs["deploy-it"]
    assert plan.startswith("ml_model: nothing -> 1.0.0\n")
    assert state.startswith("ml_model 1.0.0 is live\n")
    assert "\n  self-test:     passed: 5 answers as released\n" in state
    assert run(clone, "git", "status", "--porcelain") == ""

    again = play(book, True, clone)  # from the top, as a script would start it
    assert again.error == ""
    assert again.outputs["deploy-it"][0].startswith("ml_model 1.0.0 is live and intact")

    live = manager.get_current_version()
    assert live is not None
    assert live.version == "1.0.0"
    events = [(e.action, e.status, e.version) for e in manager.get_deployment_history()]
    assert events == [("deploy", "succeeded", "1.0.0")]


def test_the_vision_notebook_trains_and_deploys(clone: Path) -> None:
    book = clone / "notebooks" / "EfficientNetB0_finetuning.ipynb"
    done = play(book, True, book.parent)
    assert done.error == ""
    plan, state = done.outputs["deploy-it"]
    assert plan.startswith("dl_model: nothing -> 1.0.0\n")
    assert "\n  self-test:     passed: 6 answers as released\n" in state
    manager = ModelVersionManager("dl_model", clone)
    live = manager.get_current_version()
    assert live is not None
    assert (live.version, live.path.name) == ("1.0.0", "model.keras")
    events = [(e.action, e.status, e.version) for e in manager.get_deployment_history()]
    assert events == [("deploy", "succeeded", "1.0.0")]
    assert run(clone, "git", "status", "--porcelain") == ""
