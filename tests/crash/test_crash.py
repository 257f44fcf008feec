"""A few points of the sweep of ``make crash-test``: what a kill or a bad disk leaves, and mends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tagship import ModelVersionManager
from tests.crash import __main__ as program
from tests.crash import cases, tracing
from tests.crash.harness import Found, Point, Sweep, acts

pytestmark = pytest.mark.skipif(bool(tracing.missing()), reason=tracing.missing() or "strace")

MODEL, PRIVATE = "repo/models/churn", "repo/models/churn/.tagship"
TAKEN = "place"
SWITCH = f"rename {MODEL}/.current.tmp {MODEL}/current"
RECORD = f"{MODEL}/.deployment_history.json.tmp"
# a case, whose call it is, the call, what is done to it, what is live then
SAMPLE = (
    ("unbundle", "python", f"fsync {TAKEN}/files/md5/3b", "KILL", "old"),
    ("unbundle", "python", f"write {TAKEN}/tagship/churn/.index.json.tmp", "KILL", "old"),
    ("unbundle", "python", f"fsync {TAKEN}/tagship/churn", "KILL", "new"),
    ("unbundle", "python", f"write {TAKEN}/tagship/churn/.index.json.tmp", "ENOSPC", "old"),
    ("unbundle", "index-pack", f"write {TAKEN}/tagship/.unbundle.tmp/.git.tmp/objects/pack/"
     "tmp_pack_TMP", "ENOSPC", "old"),
    ("bundle", "python", "rename .x.tar.tmp/bundle x.tar", "KILL", "old"),
    ("deploy", "python", f"write {PRIVATE}/.intent.json.tmp", "KILL", "old"),
    ("deploy", "python", f"write {PRIVATE}/staging/ID/model.bin", "KILL", "old"),
    ("deploy", "python", f"chmod {MODEL}/versions/v1.1.0_ID", "KILL", "old"),
    ("deploy", "python", SWITCH, "KILL", "old"),
    ("deploy", "python", f"openat {RECORD}", "KILL", "new"),
    ("deploy", "python", f"unlink {PRIVATE}/intent.json", "KILL", "new"),
    ("deploy", "python", f"write {PRIVATE}/.intent.json.tmp", "TERM", "old"),
    ("deploy", "python", f"write {PRIVATE}/staging/ID/model.bin", "TERM", "old"),
    ("deploy", "python", SWITCH, "TERM", "new"),
    ("deploy", "python", f"write {RECORD}", "TERM", "new"),
    ("deploy", "python", f"unlink {PRIVATE}/intent.json", "TERM", "new"),
    ("deploy", "python", f"write {PRIVATE}/staging/ID/model.bin", "ENOSPC", "old"),
    ("deploy", "python", SWITCH, "EIO", "old"),
    ("deploy", "python", f"write {RECORD}", "ENOSPC", "new"),
    ("cleanup", "python", f"fsync {PRIVATE}/trash", "KILL", "new"),
    ("deploy with a cleanup", "python", f"fsync {PRIVATE}/trash", "KILL", "new"),
    ("deploy with a cleanup", "python", f"fsync {PRIVATE}/trash", "EIO", "new"),
    ("deploy that fails its check", "python", f"openat {RECORD}", "KILL", "old"),
    ("undeploy", "python", f"unlink {MODEL}/current", "KILL", "old"),
    ("undeploy", "python", f"fsync {MODEL}/versions", "KILL", "new"),
    ("undeploy", "python", f"rmdir {MODEL}/versions", "KILL", "new"),
    ("sync", "python", "rename host/churn/.current.tmp host/churn/current", "KILL", "old"),
    ("sync", "python", "openat host/churn/.deployment_history.json.tmp", "KILL", "new"),
    ("sync", "fetch", "fsync host/.tagship/mirror.git/objects/pack/tmp_pack_TMP", "KILL", "old"),
    ("sync without Git", "index-pack", "write host/.tagship/mirror.git/objects/pack/tmp_pack_TMP",
     "KILL", "old"),
    ("sync without Git", "update-ref", "fsync host/.tagship/mirror.git/refs/tags/churn@v1.1.0.lock",
     "KILL", "old"),
    ("sync whose gate fails", "python", "unlink host/churn/.tagship/intent.json", "KILL", "old"),
    ("release", "tag", "rename repo/.git/refs/tags/churn@v1.1.0.lock"
     " repo/.git/refs/tags/churn@v1.1.0", "KILL", "old"),
    ("export of an image", "python", "openat out/.image.tmp/index.json", "KILL", "old"),
    ("export of an image", "python", "rename out/.image.tmp out/image", "EIO", "old"),
    ("export of an image", "python", "fsync out", "EIO", "old"),
    ("unpack", "python", "write out/.image.tmp/model.bin", "ENOSPC", "old"),
    ("unpack", "python", "fsync out", "KILL", "new"),
    ("unpack", "python", "write out/.image.tmp/model.bin", "TERM", "old"),
    ("export of an image", "python", "openat out/.image.tmp/index.json", "TERM", "old"),
    ("bundle", "python", "rename .x.tar.tmp/bundle x.tar", "TERM", "new"),
    ("cleanup", "python", f"fsync {PRIVATE}/trash", "TERM", "new"),
    ("sync", "python", "rename host/churn/.current.tmp host/churn/current", "TERM", "new"),
)  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    folder = tmp_path_factory.mktemp("crash")
    with cases.sealed(folder):
        prepared = Sweep(folder / "templates", folder / "point")
        for name in sorted({"first deploy", *(case for case, *_ in SAMPLE)}):
            cases.build(cases.named(name), prepared.templates / name)
        yield prepared


@pytest.fixture(scope="module")
def called(sweep: Sweep) -> dict[tuple[str, str], list[tracing.Call]]:
    """The calls of each command of the sample."""
    return {
        (name, program): tracing.calls(sweep.whole(cases.named(name), program).log, sweep.scratch)
        for name, program in sorted(
            {("first deploy", "python"), *((case, program) for case, program, *_ in SAMPLE)}
        )
    }


@pytest.mark.parametrize(("case", "program", "what", "inject", "live"), SAMPLE)
def test_a_command_cut_short_leaves_the_old_or_the_new_and_the_next_one_mends_it(
    sweep: Sweep,
    called: dict[tuple[str, str], list[tracing.Call]],
    case: str, program: str, what: str, inject: str, live: str,
) -> None:  # fmt: skip
    calls = called[case, program]
    step = [call.what for call in calls].index(what)
    act, call = list(acts(calls))[step]
    result = sweep.attempt(Point(case, program, step, call, inject, act))
    assert (result.problems, result.live) == ([], live)


@pytest.mark.parametrize(("what", "version", "status"), [
    (f"write {PRIVATE}/staging/ID/model.bin", "1.0.0", 3), (SWITCH, "1.1.0", 3),
    (f"write {RECORD}", "1.1.0", 3), (f"unlink {PRIVATE}/intent.json", "1.1.0", 0),
])  # fmt: skip
def test_a_deploy_that_sigterm_ends_is_told_as_it_is_and_the_next_one_succeeds(
    sweep: Sweep, called: dict[tuple[str, str], list[tracing.Call]],
    what: str, version: str, status: int,
) -> None:  # fmt: skip
    case, calls = cases.named("deploy"), called["deploy", "python"]
    step = [call.what for call in calls].index(what)
    assert sweep.strike(case, Point("deploy", "python", step, calls[step], tracing.TERM))[1] == []
    repo = sweep.scratch / "repo"
    told = cases.command(repo, "status churn")
    assert (told.code, f", live {version}, latest 1.1.0\n" in told.out) == (status, True)
    assert cases.command(repo, "verify churn").code == 0
    assert cases.command(repo, case.command).code == 0
    assert cases.command(repo, "current churn").out == "1.1.0\n"
    assert cases.command(repo, "status churn").code == 0


@pytest.mark.parametrize("case", ["deploy", "first deploy", "cleanup", "undeploy", "unpack"])
def test_what_is_renamed_into_place_is_durable_and_so_is_the_rename(
    called: dict[tuple[str, str], list[tracing.Call]], case: str
) -> None:
    assert tracing.not_durable(called[case, "python"]) == []


@pytest.mark.parametrize(("case", "harmless"), [
    # an intent that comes back is closed again: the history has it
    ("deploy", [f"fsync {PRIVATE}"]),
    # versions/, staging/ and trash/ are made one after another: the last sync does for all
    ("first deploy", [f"fsync {MODEL}", *[f"fsync {PRIVATE}"] * 2]),
    # what is in the trash has no mode to keep
    ("cleanup", [f"fsync {PRIVATE}/trash/v1.0.0_ID", f"fsync {PRIVATE}/trash/v1.1.0_ID"]),
])  # fmt: skip
def test_no_sync_can_be_left_out_unseen(
    called: dict[tuple[str, str], list[tracing.Call]], case: str, harmless: list[str]
) -> None:
    calls = called[case, "python"]
    syncs = [number for number, call in enumerate(calls) if call.name == "fsync"]
    unseen = [calls[index].what for index in syncs
              if not tracing.not_durable(calls[:index] + calls[index + 1 :])]  # fmt: skip
    assert unseen == harmless


def test_a_log_tells_what_a_power_cut_would_lose() -> None:
    log = """\
7 openat(AT_FDCWD</w/repo>, "/w/repo/a.tmp", O_WRONLY|O_CREAT, 0600) = 3</w/repo/a.tmp>
7 rename("/w/repo/a.tmp", "/w/repo/a") = 0
7 openat(AT_FDCWD</w/repo>, "/w/repo/b.tmp", O_WRONLY|O_CREAT, 0600) = 3</w/repo/b.tmp>
7 write(3</w/repo/b.tmp>, "\\"/w/repo/c\\"", 11) = 11
7 fsync(3</w/repo/b.tmp>) = 0
7 rename("/w/repo/b.tmp", "/w/repo/b") = 0
7 fsync(3</w/repo>) = 0
7 write(1</dev/null>, "done", 4) = 4
"""
    assert tracing.not_durable(tracing.calls(log, Path("/w"))) == [
        "repo/a.tmp is not synced when it is renamed to repo/a",
        "repo is not synced when repo/b comes",
    ]
    struck = tracing.struck('7 rename("/w/repo/a.tmp", "/w/repo/a") = ?\n', Path("/w"))
    assert struck == [tracing.Call("rename", 1, "rename repo/a.tmp repo/a")]


def test_a_sweep_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    result = Found("k", "deploy", "fsync", tracing.KILL, -9, "old", ["mended"], "", [])
    file = tmp_path / "found.jsonl"
    lines = [
        program.line(result, "this code"),
        program.line(replace(result, key="o"), "other code"),
    ]
    file.write_text("\n".join([*lines, '{"cut sho']))
    assert list(program.read(file, "this code")) == [result]


@pytest.mark.parametrize(
    ("name", "fetches", "is_new"),
    [("deploy", False, True), ("deploy with a fetch", True, True),
     ("deploy from a store", True, True),
     ("rollback", False, False), ("rollback to a tag", False, True)],
)  # fmt: skip
def test_a_case_starts_where_its_command_does_what_its_name_says(
    tmp_path: Path, name: str, fetches: bool, is_new: bool
) -> None:
    case = cases.named(name)
    with cases.sealed(tmp_path):
        cases.build(case, tmp_path / "work")
        repo = tmp_path / "work" / "repo"
        manager = ModelVersionManager("churn", repo)
        assert (manager.plan().to_fetch > 0) == fetches
        before = set((repo / "models/churn/versions").iterdir())
        assert cases.command(repo, case.command).code == 0
        assert bool(set((repo / "models/churn/versions").iterdir()) - before) == is_new
        live = manager.get_current_version()
        assert live is not None
        assert live.version == case.after
