"""The deploy cell: the plan, the question, the act, and what is shown of each."""

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagship import Held, NotFound, Refused, SelfTestFailed, notebook
from tagship.notebook import Deployed, Proposal, Question
from tagship.text import words
from tests.workbench import PATH, Workbench

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
jupyter_client = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipywidgets")


def plan(bench: Workbench, **options: Any) -> Proposal:
    """The plan alone; it must touch nothing."""
    before = bench.state()
    made = notebook.deploy("churn", start=bench.repo, confirm=False, **options)
    assert isinstance(made, Proposal)
    assert bench.changes(before) == set()
    return made


def deployed(bench: Workbench, **options: Any) -> Deployed:
    done = notebook.deploy("churn", start=bench.repo, confirm=True, **options)
    assert isinstance(done, Deployed)
    return done


@pytest.fixture
def ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Any]:
    """Asks in this process, as in a notebook that a person looks at: a test of either workspace."""
    bench = Workbench(tmp_path / "repo", monkeypatch, capsys)
    bench.monkeypatch.setattr(notebook, "_can_ask", lambda: True)

    def asked(**options: Any) -> Question:
        before = bench.state()
        question = notebook.deploy("churn", start=bench.repo, **options)
        assert isinstance(question, Question)
        assert bench.changes(before) == set()
        return question

    yield asked


def head(bench: Workbench) -> str:
    return bench.git("rev-parse", "--short=10", "HEAD").strip()


# ---- the plan


def test_the_first_plan_says_what_would_be_released_and_deployed(bench: Workbench) -> None:
    assert repr(plan(bench)) == (
        "churn: nothing -> 1.0.0\n"
        f"  release: makes the tag churn@v1.0.0 at commit {head(bench)}; not pushed\n"
        "  size: 8 B\n"
        "  accuracy: 0.75, higher is better"
    )


@pytest.mark.live
def test_the_plan_of_a_new_version_compares_it_with_the_live_one(bench: Workbench) -> None:
    bench.train("model 2, larger\n", accuracy=0.5)
    assert repr(plan(bench, bump="major", push=True)) == (
        "churn: 1.0.0 -> 2.0.0\n"
        f"  release: makes the tag churn@v2.0.0 at commit {head(bench)}; pushed to origin\n"
        "  size: 16 B\n"
        "  commits since 1.0.0: 1\n"
        f"  note: the commit {head(bench)} is on no branch of origin: a clone gets it with the tag"
        " alone (git push origin HEAD:main; a release with --push-branch pushes both)\n"
        "  accuracy: 0.75 -> 0.5, -0.25, worse (higher is better)"
    )


@pytest.mark.live
def test_which_way_is_better_is_as_the_user_says(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text("tagship: {better: {accuracy: lower}}\n")
    bench.train("model 2\n", accuracy=0.5)
    assert repr(plan(bench)).endswith("accuracy: 0.75 -> 0.5, -0.25, better (lower is better)")


@pytest.mark.released
def test_what_head_has_is_not_released_twice(bench: Workbench) -> None:
    released = head(bench)
    line = f"release: is done: churn@v1.0.0 at commit {released}"
    assert line in repr(plan(bench))
    (bench.repo / "README").write_text("another commit, the same model\n")
    bench.commit()
    assert line in repr(plan(bench))
    assert deployed(bench).version == "1.0.0"
    assert bench.git("tag") == "churn@v1.0.0\n"


def test_a_version_that_was_released_is_deployed_by_its_name(shipped: Workbench) -> None:
    assert repr(plan(shipped, version="1.0")).startswith(
        "churn: 1.1.0 -> 1.0.0\n  release: is done"
    )
    assert deployed(shipped, version="1.0", reason="fewer trees").version == "1.0.0"
    assert shipped.live() == "model 1\n"
    assert shipped.manager.get_deployment_history()[-1].reason == "fewer trees"


def test_a_tag_that_waits_to_be_pushed_is_pushed(shipped: Workbench) -> None:
    assert f"churn@v1.1.0 at commit {head(shipped)}; the tag is pushed to origin" in repr(
        plan(shipped, push=True)
    )
    done = deployed(shipped, push=True)
    assert (done.changed, done.pushed_to) == (False, "origin")
    assert "churn@v1.1.0" in shipped.git("ls-remote", "--tags", "origin")


@pytest.mark.live
def test_html_shows_the_same_and_escapes_what_it_shows(bench: Workbench) -> None:
    (bench.repo / "metrics.json").write_text('{"<script>": 1, "a&b": "<i>", "loss": 2}\n')
    bench.train("model 2\n")
    html = plan(bench)._repr_html_()
    assert "<b>churn: 1.0.0 &rarr; 1.1.0</b>" in html
    for text in ("&lt;script&gt;", "a&amp;b", "&lt;i&gt;", "lower is better"):
        assert text in html
    assert "<script>" not in html
    assert "<i>" not in html


# ---- the act


def test_with_confirm_it_releases_deploys_tests_and_tells_the_state(bench: Workbench) -> None:
    done = deployed(bench, message="the first", reason="try it")
    event = bench.manager.get_deployment_history()[-1]
    assert repr(done) == (
        "churn 1.0.0 is live\n"
        f"  time:          {event.at.replace('T', ' ').rstrip('Z')} UTC\n"
        f"  deployment id: {event.id}\n"
        "  self-test:     skipped: no loader reads model.bin\n"
        "  tag:           churn@v1.0.0\n"
        "  link:          models/churn/current\n"
        "state:\n"
        "  live version:  1.0.0, 1 version on disk\n"
        f"  link active:   yes, points to versions/v1.0.0_{event.id}/model.bin\n"
        "  file:          accessible"
    )
    html = done._repr_html_()
    for _, text in done.rows:
        assert text in html
    assert bench.live() == "model 1\n"
    assert "the first" in bench.git("tag", "--list", "--format=%(contents)")
    assert event.reason == "try it"


def test_what_is_live_and_intact_is_left_and_its_state_shown(shipped: Workbench) -> None:
    before = shipped.state()
    first = shipped.manager.get_deployment_history()[-1]
    for confirm in (True, None):  # there is nothing to ask
        done = notebook.deploy("churn", start=shipped.repo, confirm=confirm)
        assert isinstance(done, Deployed)
        assert repr(done).startswith("churn 1.1.0 is live and intact: nothing to do\n")
        assert (done.deployment, done.versions) == (first.id, 2)
    assert repr(plan(shipped)).startswith("churn 1.1.0 is live and intact\n  accuracy: ")
    assert shipped.changes(before) == set()


def test_a_model_answers_its_self_test_once_it_is_live(bench: Workbench) -> None:
    catboost_model(bench, tolerance=0)
    assert deployed(bench).self_test.detail == "2 answers as released"
    assert bench.manager.self_test("1.0").verdict == "passed"
    with pytest.raises(NotFound, match=r"churn has no version 3\.0"):
        bench.manager.self_test("3.0")


def test_the_cell_shows_what_else_there_is_to_know(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("deploy: {keep: 1}\n")
    shipped.train("model 3\n")
    (first,) = shipped.folder.glob("versions/v1.0.0_*")
    renamed, cleaned = deployed(shipped).notes
    assert renamed == "the section deploy: in params.yaml is now tagship: rename it"
    assert cleaned.startswith(f"cleaned up: removed {first.name}; ")


def test_a_live_version_that_fails_its_self_test_fails_the_cell(bench: Workbench) -> None:
    catboost_model(bench, wrong=0.5)
    (bench.repo / "params.yaml").write_text("tagship: {smoke_test: false}\n")
    bench.commit()
    with pytest.raises(SelfTestFailed) as caught:
        deployed(bench)
    assert caught.value.message.startswith(
        "churn 1.0.0 is live, but model.cbm does not answer as it was released"
    )
    assert caught.value.hint.endswith("; or go back with: tagship rollback churn")


def catboost_model(bench: Workbench, tolerance: float = 0, wrong: float = 0) -> None:
    """Declare a real model with a self-test; ``wrong`` is added to what it should answer."""
    catboost = pytest.importorskip("catboost")
    rows = [[0, 1], [1, 0], [2, 1], [3, 0]]
    model = catboost.CatBoostClassifier(
        iterations=5, depth=2, verbose=False, allow_writing_files=False
    )
    model.fit(rows, [0, 0, 1, 1])
    model.save_model(bench.folder / "model.cbm")
    outputs = (model.predict_proba(rows[:2]) + wrong).tolist()
    allowed = {"absolute": tolerance, "relative": tolerance}
    (bench.folder / "self_test.json").write_text(
        json.dumps({"schema": 1, "inputs": rows[:2], "outputs": outputs, "tolerance": allowed})
    )
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.cbm\n"
        "    meta: {self_test: models/churn/self_test.json}\n"
    )
    bench.commit("Keep the model in Git")


# ---- where it is refused


def test_where_nobody_can_be_asked_it_says_so_and_does_nothing(bench: Workbench) -> None:
    before = bench.state()
    with pytest.raises(Refused) as caught:
        notebook.deploy("churn", start=bench.repo)
    assert caught.value.message == (
        "nobody can be asked here whether to deploy churn 1.0.0, so nothing was done"
    )
    assert caught.value.hint == (
        'deploy("churn", confirm=True) does it; confirm=False shows the plan'
    )
    assert bench.changes(before) == set()


@pytest.mark.parametrize("confirm", [True, False, None])
def test_training_that_is_not_committed_is_refused_before_anything_is_asked(
    bench: Workbench, ask: Any, confirm: bool | None
) -> None:
    (bench.repo / PATH).write_text("model 2\n")
    before = bench.state()
    with pytest.raises(
        Refused, match=r"models/churn/model\.bin was changed: it differs from .*"
    ) as caught:
        notebook.deploy("churn", start=bench.repo, confirm=confirm)
    assert caught.value.hint.startswith("dvc add models/churn/model.bin, then commit")
    assert bench.changes(before) == set()


def test_without_ipywidgets_it_says_how_to_get_buttons(bench: Workbench, ask: Any) -> None:
    bench.monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(Refused, match="ipywidgets is not installed") as caught:
        ask()
    assert caught.value.hint == 'pip install "tagship[notebook]", or say confirm=True'


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not a DVC repository"):
        notebook.deploy("churn", start=tmp_path)


def test_an_unknown_model_or_version_is_said_to_be_unknown(bench: Workbench) -> None:
    with pytest.raises(NotFound, match="there is no model chrun"):
        notebook.deploy("chrun", start=bench.repo)
    with pytest.raises(NotFound, match=r"churn has no version 9\.0"):
        notebook.deploy("churn", "9.0", start=bench.repo)


# ---- the question


def test_the_deploy_button_does_what_was_shown(bench: Workbench, ask: Any) -> None:
    question = ask(message="by a click")
    labels = [(button.description, button.disabled) for button in (question.go, question.cancel)]
    assert labels == [("Deploy 1.0.0", False), ("Cancel", False)]
    assert repr(question).startswith("churn: nothing -> 1.0.0\n")
    assert repr(question).endswith('without one: deploy("churn", confirm=True)')
    question.go.click()
    assert (question.go.disabled, question.cancel.disabled) == (True, True)
    assert question.result is not None
    assert question.status.value == question.result._repr_html_()
    assert "churn 1.0.0 is live" in question.status.value
    assert bench.live() == "model 1\n"


def test_while_it_acts_it_says_what_it_does(bench: Workbench, ask: Any) -> None:
    bench.monkeypatch.setattr(notebook, "PAUSE", 0)  # each report is shown
    question = ask()
    told: list[str] = []
    question.status.observe(lambda change: told.append(change["new"]), "value")
    question.go.click()
    said = [re.sub(r"<[^>]*>", "", html) for html in told[:-1]]
    acts = [text for text in said if " B " not in text]
    assert acts == [
        "releasing churn@v1.0.0 ...",
        "deploying 1.0.0 ...",
        "testing the live version ...",
    ]
    assert "copying 8 B of 8 B ..." in said


def test_the_cancel_button_does_nothing_and_ends_the_question(bench: Workbench, ask: Any) -> None:
    before = bench.state()
    question = ask()
    question.cancel.click()
    question.go.click()  # too late
    assert "nothing was done" in question.status.value
    assert (question.go.disabled, question.cancel.disabled, question.result) == (True, True, None)
    assert bench.changes(before) == set()


def test_a_double_click_deploys_once(bench: Workbench, ask: Any) -> None:
    question = ask()
    question.go.click()
    question.go.click()
    assert bench.actions() == [("deploy", "succeeded", "1.0.0")]


@pytest.mark.parametrize("happened", ["deployed", "committed", "released", "edited"])
def test_what_is_not_as_it_was_shown_any_more_is_not_done(
    shipped: Workbench, ask: Any, happened: str
) -> None:
    shipped.train("model 3\n")
    question = ask()
    if happened == "deployed":
        shipped.manager.deploy("1.0")
        told = "1.0.0 is live by now, so nothing was done"
    elif happened == "committed":
        shipped.train("model 4\n")
        told = f"1.2.0 of commit {head(shipped)} would be deployed by now, so nothing was done"
    elif happened == "released":
        shipped.release()
        told = "1.2.0 was released or deployed by somebody else, so nothing was done"
    else:
        (shipped.repo / PATH).write_text("model 4\n")
        told = "models/churn/model.bin was changed: it differs from models/churn/model.bin.dvc"
    before = shipped.state()
    question.go.click()
    assert f"error: {told}" in question.status.value
    assert "hint: " in question.status.value
    assert question.result is None
    assert shipped.changes(before) == set()


def test_a_deploy_that_fails_shows_its_error_and_no_traceback(shipped: Workbench, ask: Any) -> None:
    shipped.release("model 3\n")  # its directory is not here: its bytes are needed
    question = ask()
    shutil.rmtree(shipped.repo / ".dvc/cache")
    shutil.rmtree(shipped.repo.parent / "dvc-remote")
    question.go.click()
    assert "error: " in question.status.value
    assert "Traceback" not in question.status.value
    assert shipped.live() == "model 2\n"
    assert shipped.actions()[-1] == ("deploy", "failed", "1.2.0")


# ---- what was rolled back, failed or is held


def test_a_version_that_was_rolled_back_is_not_deployed_again(shipped: Workbench) -> None:
    event = shipped.manager.rollback_to_version(reason="wrong on snow").event
    assert event is not None
    note = (
        f"1.1.0 is passed over (rolled back to 1.0.0 by {event.actor}, {words.moment(event.at)}"
        " UTC: wrong on snow); to deploy it: tagship deploy churn@1.1.0"
    )
    proposal = plan(shipped)
    assert f"  note: {note}\n" in repr(proposal)
    assert note in html.unescape(proposal._repr_html_())
    before = shipped.actions()
    state = deployed(shipped)
    assert (state.version, state.changed, state.notes) == ("1.0.0", False, (note,))
    assert (shipped.live(), shipped.actions()) == ("model 1\n", before)
    assert deployed(shipped, version="latest").notes == (note,)
    assert deployed(shipped, version="1.1.0").version == "1.1.0"


def test_a_new_release_is_deployed_after_a_rollback(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    shipped.train("model 3\n")
    assert deployed(shipped).version == "1.2.0"


def test_a_held_model_is_left_and_said_to_be_held(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    shipped.manager.hold("2099-12-01", reason="the audit")
    before = shipped.state()
    for version in (None, "latest", "1.1"):
        for confirm in (True, False):
            with pytest.raises(Held, match=r"^churn is held by .* UTC: the audit\n"):
                notebook.deploy("churn", start=shipped.repo, confirm=confirm, version=version)
    assert shipped.changes(before) == set()
    assert deployed(shipped, version="1.1.0").version == "1.1.0"


@pytest.mark.parametrize("since", ["hold", "rollback"])
def test_a_click_does_not_undo_what_somebody_decided_since(
    shipped: Workbench, ask: Any, since: str
) -> None:
    shipped.release("model 3\n")
    shipped.manager.deploy()
    shipped.manager.rollback_to_version()
    shipped.release("model 4\n")
    question = ask()
    if since == "hold":
        shipped.manager.hold()
    else:
        shipped.manager.rollback_to_version()
    before = shipped.state()
    question.go.click()
    assert "error: " in question.status.value
    assert shipped.changes(before) == set()


def test_a_rule_that_is_confirmed_holds_nothing(shipped: Workbench) -> None:
    assert deployed(shipped, version="1.0").notes == ()
    event = shipped.manager.get_deployment_history()[-1]
    assert (event.version, event.rule, event.until) == ("1.0.0", "1.0", None)
    proposal = plan(shipped, version="1.0.0")
    assert proposal.done
    (note,) = deployed(shipped, version="1.1.0").notes  # not what is followed
    assert note.startswith("no other version goes live by itself; to end it: tagship resume churn ")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "error: interrupted"),
        (ValueError("a <b>"), "error: this should not have happened: ValueError: a &lt;b&gt;"),
    ],
)
def test_whatever_happens_is_shown_in_the_cell(
    bench: Workbench, ask: Any, error: BaseException, told: str
) -> None:
    """A callback's own traceback goes to a log that nobody reads."""
    question = ask()

    def fail(*_: object) -> None:
        raise error

    bench.monkeypatch.setattr(notebook, "_carry_out", fail)
    question.go.click()
    assert told in question.status.value
    assert "hint: see what is live: tagship status churn" in question.status.value


# ---- in other processes


@pytest.fixture
def kernel(bench: Workbench) -> Iterator[Any]:
    """A client of a new IPython kernel, in the workspace."""
    manager, client = jupyter_client.start_new_kernel(cwd=str(bench.repo))
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(client: Any, code: str, *, allow_stdin: bool) -> list[dict[str, Any]]:
    """The messages that a kernel sends to whoever looks on while it runs ``code``."""
    found: list[dict[str, Any]] = []
    client.execute_interactive(
        code, allow_stdin=allow_stdin, timeout=60, output_hook=found.append, stdin_hook=None
    )
    return [message for message in found if message["msg_type"] != "status"]


def test_a_front_end_with_a_person_gets_the_plan_the_buttons_and_then_the_state(
    bench: Workbench, kernel: Any
) -> None:
    code = "from tagship.notebook import deploy\nquestion = deploy('churn')\nquestion"
    shown = outputs(kernel, code, allow_stdin=True)
    plan, buttons = (m["content"] for m in shown if m["msg_type"] == "display_data")
    assert plan["data"]["text/plain"].startswith("churn: nothing -> 1.0.0\n")
    assert set(plan["data"]) == {"text/plain", "text/html"}
    assert set(buttons["data"]) == {"text/plain", notebook.WIDGET_VIEW}
    assert buttons["data"]["text/plain"] == (
        'The buttons need a browser; without one: deploy("churn", confirm=True)'
    )
    clicked = outputs(kernel, "question.go.click()", allow_stdin=True)
    [update] = [m["content"] for m in clicked if m["msg_type"] == "update_display_data"]
    assert update["transient"] == buttons["transient"]  # in the place of the buttons
    assert update["data"]["text/plain"].startswith("churn 1.0.0 is live\n")
    assert bench.live() == "model 1\n"


def run(bench: Workbench, code: str) -> Any:
    """Run a notebook of one cell as nbconvert and papermill do."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    where = {"metadata": {"path": str(bench.repo)}}
    nbclient.NotebookClient(book, timeout=60, resources=where).execute()
    return book


def test_a_notebook_without_a_person_fails_in_two_lines(bench: Workbench) -> None:
    with pytest.raises(nbclient.exceptions.CellExecutionError) as caught:
        run(bench, "from tagship.notebook import deploy\ndeploy('churn')")
    said = str(caught.value)
    assert "error: nobody can be asked here whether to deploy churn 1.0.0" in said
    assert 'hint: deploy("churn", confirm=True) does it' in said
    assert "Traceback" not in said
    assert ", line " not in said


def test_a_notebook_without_a_person_shows_the_plan_and_the_state(bench: Workbench) -> None:
    book = run(bench, "from tagship.notebook import deploy\ndeploy('churn', confirm=True)")
    plan, state = (output.data for output in book.cells[0].outputs)
    assert plan["text/plain"].startswith("churn: nothing -> 1.0.0\n")
    assert state["text/plain"].startswith("churn 1.0.0 is live\n")
    assert "<table" in state["text/html"]


@pytest.mark.parametrize("python", [[], ["-m", "IPython"]], ids=["python", "ipython"])
def test_a_console_needs_to_be_told(bench: Workbench, python: list[str]) -> None:
    code = "from tagship.notebook import deploy\nprint(deploy('churn'{}))"
    asking, told = (
        subprocess.run(
            [sys.executable, *python, "-c", code.format(more)],
            cwd=bench.repo,
            capture_output=True,
            text=True,
            check=False,
        )
        for more in ("", ", confirm=True")
    )
    hint = 'hint: deploy("churn", confirm=True) does it; confirm=False shows the plan\n'
    assert asking.returncode == 1
    assert (asking.stdout + asking.stderr).endswith(hint)
    assert (told.returncode, told.stderr) == (0, "")
    assert "churn 1.0.0 is live\n  time:          " in told.stdout
    assert bench.live() == "model 1\n"


def test_it_needs_no_ipython_to_be_imported(bench: Workbench) -> None:
    code = "import sys, tagship.notebook; sys.exit('IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
