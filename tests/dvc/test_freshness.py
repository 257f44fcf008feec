"""Whether a model was built from the work tree: tagship's answer beside that of DVC itself."""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tagship.dvc import freshness
from tagship.git.run import Repository
from tests.dvc import forms
from tests.dvc.forms import FORMS, Form
from tests.workbench import dvc

BY_NAME = {form.name: form for form in FORMS}
FROZEN = {"frozen stage": {"train"}, "frozen stage upstream": {"prepare"}}  # DVC skips them


def ask(repo: Path, form: Form) -> freshness.Answer:
    paths = ("model.bin", "self_test.json") if "self-test" in form.name else (form.path,)
    return freshness.ask(Repository(repo, bare=False), repo / form.project, paths)


def tagship_says(repo: Path, form: Form) -> set[str]:
    """The stages that differ, without those that DVC skips."""
    return {d.stage for d in ask(repo, form).differences if d.kind == "stage"}


def dvc_says(repo: Path, form: Form) -> tuple[set[str], set[str]]:
    """What ``dvc status`` reports, and what ``dvc repro`` would run, of the same loaded stages."""
    from dvc.repo import lock_repo

    with opened(repo, form) as there, lock_repo(there):
        return _status(there, form), _would_run(there, form)


def dvc_would_run(repo: Path, form: Form) -> set[str]:
    """The stages that ``dvc repro --dry --allow-missing`` gets as far as running.

    A dry run of a stage whose data are missing ends with an error in DVC 3.67.
    """
    with opened(repo, form) as there:
        return _would_run(there, form)


@contextlib.contextmanager
def opened(repo: Path, form: Form) -> Iterator[Any]:
    """DVC's repository."""
    from dvc.repo import Repo

    with contextlib.chdir(repo / form.project), contextlib.closing(Repo()) as there:
        yield there


def _would_run(there: Any, form: Form) -> set[str]:
    from dvc.stage import Stage

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Stage, "run", lambda self, **options: None)
        stages = there.reproduce([form.target], dry=True, allow_missing=True)
    return {stage.addressing for stage in stages} - FROZEN.get(form.name, set())


def _status(there: Any, form: Form) -> set[str]:
    """The stages that ``dvc status`` reports, but for that they always run."""
    status = there.status([form.target], with_deps=True)
    stages = {stage for stage, reasons in status.items() if reasons != ["always changed"]}
    return stages - FROZEN.get(form.name, set())


@contextlib.contextmanager
def restored(*files: Path) -> Iterator[None]:
    """Give files their text again."""
    texts = {file: file.read_text() for file in files if file.exists()}
    yield
    for file, text in texts.items():
        file.write_text(text)


def append(file: Path) -> None:
    file.chmod(0o644)
    file.write_text(file.read_text() + "more\n")


def edits(repo: Path, form: Form) -> Iterator[str]:
    """Make each edit of a form that needs no data, and undo it after the caller looked."""
    for name, edit in (("parameter", form.param), ("command", form.command)):
        if edit is not None:
            with restored(repo / edit.path):
                edit.apply(repo)
                yield name
    if form.source is not None:
        with restored(repo / form.source):
            append(repo / form.source)
            yield "source"


def states(repo: Path, form: Form) -> Iterator[str]:
    """The states of a repository whose data are all here, one after the other."""
    yield "clean"
    yield from edits(repo, form)
    if form.data is not None:
        data, pointer = repo / form.data, repo / f"{forms.tracked(form)}.dvc"
        with restored(data, pointer):
            append(data)
            yield "data edited"
            forms.add(repo, form, forms.tracked(form))
            yield "data added"
    if (repo / form.path).is_file():
        with restored(repo / form.path):
            append(repo / form.path)
            yield "model edited"


def clone_states(repo: Path, clone: Path, form: Form) -> Iterator[str]:
    """The states of a clone that pulled nothing, and then the model alone."""
    yield "nothing pulled"
    if form.data is not None:
        name = f"{forms.tracked(form)}.dvc"
        with restored(repo / form.data, repo / name, clone / name):
            append(repo / form.data)
            forms.add(repo, form, forms.tracked(form))
            shutil.copyfile(repo / name, clone / name)
            yield "data added elsewhere"
    pulled = clone / form.path
    pulled.parent.mkdir(parents=True, exist_ok=True)
    if (repo / form.path).is_dir():
        shutil.copytree(repo / form.path, pulled)
    else:
        shutil.copyfile(repo / form.path, pulled)
    if form.name != "model in a folder":  # nobody can pull a part of a folder, for DVC
        yield "model pulled"
        if form.source is not None:
            with restored(clone / form.source):
                append(clone / form.source)
                yield "model pulled, source edited"


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_tagship_calls_changed_what_dvc_would_run(
    form: Form, grown: Callable[[Form], Path], tmp_path: Path
) -> None:
    """And what ``dvc status`` reports, where all data are here."""
    always = form.name == "always changed"  # DVC would run it in any case
    ours, theirs, status = {}, {}, {}
    repo = grown(form)
    for state in states(repo, form):
        ours[state] = tagship_says(repo, form)
        status[state], would_run = dvc_says(repo, form)
        theirs[state] = status[state] if always else would_run
    assert ours == theirs == status
    assert ours["clean"] == set()
    (tmp_path / "clone").mkdir()
    clone = forms.clone(repo, form, tmp_path / "clone")
    for state in clone_states(repo, clone, form):
        ours[state] = tagship_says(clone, form)
        theirs[state] = ours[state] if always else dvc_would_run(clone, form)
    assert ours == theirs
    assert ours["nothing pulled"] == set()


def test_a_process_of_dvc_gives_the_same_answers(grown: Callable[[Form], Path]) -> None:
    form = BY_NAME["two dvc.yaml"]
    repo = grown(form)
    answers = []
    for state in states(repo, form):
        output = dvc(repo, "repro", "--dry", "--allow-missing", form.target)
        answers.append((state, set(re.findall(r"Running stage '(.+)'", output))))
        assert answers[-1] == (state, tagship_says(repo, form))
    assert len({str(answer) for _, answer in answers}) > 2
