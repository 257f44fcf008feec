"""docs/faq.md: each message is one of the source; what it advises is run where that is cheap.

Not made here: damaged bytes in a remote, another account, a missing or another framework and a
lock, which have tests of their own; their messages are compared with the source all the same.
"""

import ast
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tagship.stores.failures import Kind
from tagship.text import clock
from tests import test_docs
from tests.docs import pages
from tests.workbench import PATH, Result, Workbench

PAGE = pages.page("faq.md")
MESSAGES = [heading.strip("`") for heading in re.findall(r"^### (.+)$", PAGE, re.MULTILINE)]
GITS_OWN = "git: detected dubious ownership in repository at"
FEW = 8  # letters of a pattern that matches by its own words
Situation = Callable[[Workbench], Iterator[str]]


def texts() -> list[ast.JoinedStr | ast.Constant]:
    """Every text in the source of tagship."""
    return [
        node
        for file in (pages.ROOT / "tools/tagship").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    ]


def patterns() -> list[re.Pattern[str]]:
    """What each text may become: anything may stand where a value does."""
    forms = []
    for node in texts():
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        fixed = [str(part.value) if isinstance(part, ast.Constant) else None for part in parts]
        if len(re.findall(r"[a-z]", "".join(part or "" for part in fixed))) >= FEW:
            form = "".join(".*" if part is None else re.escape(part) for part in fixed)
            forms.append(re.compile(form, re.DOTALL))
    return forms


def test_every_message_of_the_page_is_one_of_the_source() -> None:
    known = patterns()
    foreign = [
        message
        for message in MESSAGES
        for inner in [message.removeprefix("churn is ")]  # some are put together of two texts
        if not any(form.fullmatch(message) or form.fullmatch(inner) for form in known)
    ]
    assert [message for message in foreign if not message.startswith(GITS_OWN)] == []
    assert len(MESSAGES) >= 20


def test_what_the_page_says_of_a_store_are_its_own_words() -> None:
    """The address before it may be any text, so the source alone does not tell."""
    ends = [line.split(": ")[-1] for line in MESSAGES if line.startswith("the DVC remote store, ")]
    assert len(ends) == 2
    assert {*ends} <= {kind.value for kind in Kind}
    assert not any(line.startswith("DVC remote error") for line in MESSAGES)


# ---- situations: each ends with the command that prints the message


def _not_a_repository(bench: Workbench) -> Iterator[str]:
    shutil.rmtree(bench.repo)
    bench.repo.mkdir()
    bench.monkeypatch.chdir(bench.repo)
    yield "init"


def _not_declared(bench: Workbench) -> Iterator[str]:
    (bench.repo / "dvc.yaml").write_text("# none\n")
    bench.commit()
    yield "release churn"


def _not_committed(bench: Workbench) -> Iterator[str]:
    (bench.repo / PATH).write_text("model 2\n")
    bench.track(PATH)
    yield "release churn"


def _same_bytes(bench: Workbench) -> Iterator[str]:
    bench.release()
    (bench.repo / "README").write_text("docs\n")
    bench.commit()
    yield "release churn"


def _released_already(bench: Workbench) -> Iterator[str]:
    bench.release()
    yield "release churn"


def _not_built(bench: Workbench) -> Iterator[str]:
    test_docs._train_in_a_stage(bench)
    (bench.repo / "data.txt").write_text("more data\n")
    bench.commit()
    yield "release churn"


def _detached(bench: Workbench) -> Iterator[str]:
    bench.git("switch", "--quiet", "--detach")
    bench.train("model 2\n")
    yield "release churn"


def _unknown_author(bench: Workbench) -> Iterator[str]:
    bench.git("config", "user.useConfigOnly", "true")
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        bench.monkeypatch.delenv(f"GIT_{name}")
    yield "release churn"


def _no_remote(bench: Workbench) -> Iterator[str]:
    bench.dvc("remote", "remove", "--quiet", "store")
    bench.commit()
    yield "release churn --push"


def _no_default(bench: Workbench) -> Iterator[str]:
    bench.dvc("remote", "default", "--unset", "--quiet")
    bench.commit()
    yield "release churn --push"


def _older_clone(bench: Workbench) -> Iterator[str]:
    bench.manager.release(push=True)
    bench.git("tag", "--delete", "churn@v1.0.0")
    yield "deploy churn@1.0 --yes"


def _older_clone_that_is_live(bench: Workbench) -> Iterator[str]:
    bench.ship()
    bench.train("model 2\n")
    bench.manager.release(push=True)
    bench.git("tag", "--delete", "churn@v1.1.0")
    yield "deploy churn --yes"


def _lightweight(bench: Workbench) -> Iterator[str]:
    bench.manager.release(push=True)
    bench.git("tag", "--force", "churn@v1.0.0", "HEAD")
    yield "deploy churn@1.0 --yes"


def _not_pushed(bench: Workbench) -> Iterator[str]:
    bench.release()
    shutil.rmtree(bench.repo.parent / "dvc-remote" / "files")
    cache, kept = bench.repo / ".dvc/cache", bench.repo.parent / "other-machine"
    cache.rename(kept)
    yield "deploy churn --yes"
    kept.rename(cache)  # on the machine that has it
    yield ""
    shutil.rmtree(cache)


def _no_terminal(bench: Workbench) -> Iterator[str]:
    bench.release()
    yield "deploy churn"


def _moved_tag(bench: Workbench) -> Iterator[str]:
    bench.ship()
    bench.git("tag", "--force", "--annotate", "--message", "again", "churn@v1.0.0", "HEAD")
    yield "deploy churn@1.0 --yes"


def _dubious(bench: Workbench) -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a repository to another account")
    for folder in (bench.repo, bench.repo / ".git"):
        os.chown(folder, 4242, 4242)
    yield "list churn"


def _first_version(bench: Workbench) -> Iterator[str]:
    bench.release()
    bench.ship("model 2\n")
    yield "rollback churn --yes"


def _rolled_back(bench: Workbench) -> Iterator[str]:
    bench.ship()
    bench.ship("model 2\n")
    bench.monkeypatch.setenv("LOGNAME", "ada")
    bench.manager.rollback_to_version(reason="wrong on snow")
    yield "deploy churn@1.1 --yes"


def _held(bench: Workbench) -> Iterator[str]:
    bench.ship()
    bench.monkeypatch.setenv("LOGNAME", "ada")
    bench.manager.hold(clock.moment("2026-12-03T12:00:00Z"), reason="the audit")
    yield "deploy churn --yes"


def _nothing_live(bench: Workbench) -> Iterator[str]:
    bench.release()
    yield "current churn"


SITUATIONS: dict[str, Situation] = {
    "not a DVC repository": _not_a_repository,
    "there is no model": _not_declared,
    "models/churn/model.bin.dvc differs": _not_committed,
    "the bytes of churn": _same_bytes,
    "this commit carries": _released_already,
    "churn was not built": _not_built,
    "HEAD is detached": _detached,
    "Git does not know": _unknown_author,
    "DVC has no remote": _no_remote,
    "no DVC remote is the default": _no_default,
    "churn has no version": _older_clone,
    "churn 1.0.0 is live and intact": _older_clone_that_is_live,
    "the tag churn@v1.0.0 is here": _lightweight,
    "md5:": _not_pushed,
    "not a terminal": _no_terminal,
    "the tag churn@v1.0.0 was moved": _moved_tag,
    "git: detected dubious": _dubious,
    "churn has no good version": _first_version,
    "churn@1.1 is blocked": _rolled_back,
    "churn is held": _held,
    "no version of churn is live": _nothing_live,
}


@pytest.mark.parametrize("begin", SITUATIONS)
def test_a_message_is_printed_as_on_the_page_and_its_commands_help(
    bench: Workbench, begin: str
) -> None:
    [message] = [message for message in MESSAGES if message.startswith(begin)]
    situation = SITUATIONS[begin](bench)
    command = next(situation)
    here = replace(bench, repo=Path()) if command == "init" else bench
    printed = here.cli(*shlex.split(command))
    assert known(message, bench) in printed_lines(printed, bench)
    next(situation, None)
    [block] = pages.blocks(pages.section(PAGE, f"`{message}`"))
    for line in block.splitlines():
        follow(here, line)
    next(situation, None)
    if not block.splitlines()[-1].startswith("tagship"):
        again = here.cli(*shlex.split(command))
        assert again.code == 0, again.err
        assert known(message, bench) not in printed_lines(again, bench)


def printed_lines(result: Result, bench: Workbench) -> list[str]:
    lines = (result.out + result.err).splitlines()
    return [known(line.removeprefix("error: "), bench) for line in lines]


def known(line: str, bench: Workbench) -> str:
    """A message without what differs from run to run: commits, times, the repository's place."""
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", line)
    line = line.replace(str(bench.repo.parent / "dvc-remote"), "/srv/store")
    return re.sub(r"\b[0-9a-f]{10}\b", "COMMIT", line.replace(str(bench.repo), "/srv/models"))


def follow(bench: Workbench, line: str) -> None:
    """Run a line of a block; tagship and dvc in this process, which is faster."""
    program, *arguments = shlex.split(line)
    if program == "tagship":
        result = bench.cli(*arguments)
        assert result.code == 0, result.err
    elif program == "dvc":
        bench.dvc(*arguments, "--quiet")
    else:
        pages.run(bench.repo, line)


def test_the_script_of_the_exit_codes_goes_on_during_a_hold_and_ends_after_a_failure(
    shipped: Workbench,
) -> None:
    [script] = pages.blocks(pages.section(pages.page("cli.md"), "Exit codes"))
    assert pages.run(shipped.repo, script) == "1.1.0\n"
    shipped.manager.hold(reason="the audit")
    assert pages.run(shipped.repo, script) == "churn is held: nothing was deployed\n"
    (shipped.folder / "deployment_history.json").write_text("[")
    assert pages.bash(shipped.repo, script).code == 1
