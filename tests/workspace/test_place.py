"""A host that asks no Git server: it follows the index and the capsules in a place."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from tagship.carry.carrier import LARGEST_INDEX, Capsule
from tagship.errors import InvalidName, Unavailable
from tagship.git import packed, quarantine
from tagship.git.quarantine import Examined
from tagship.git.run import Repository
from tagship.host import agent
from tagship.manager.agent import Agent
from tagship.progress import nobody
from tagship.text import clock
from tagship.workspace import carried, place, settled, witness
from tagship.workspace.carried import Carried
from tests import carrying
from tests.carrying import Carrying
from tests.hosts import Following
from tests.workbench import Result, run

LIVE = "churn: in order, live 1.0.0\n"
NOTHING = (
    "churn: waiting, live -\n"
    "  nothing of churn was published in {} yet\n"
    "    fix: is churn its name, in tagship.toml? If so, publish it where it is released: tagship"
    " release churn --push --capsule\n"
)
HEAVY = ("dvc", "git", "asyncio", "yaml", "tomllib", "tagship.deploy", "tagship.signing")


@pytest.fixture
def alone(host: Following) -> Carrying:
    """A host that follows the DVC remote with the capsules of 1.0.0; nothing was fetched yet."""
    found = carrying.of(host)
    found.carry()
    return found


@pytest.fixture
def first(alone: Carrying) -> Carrying:
    """1.0.0 is live."""
    alone.sync()
    assert alone.live() == "model 1\n"
    return alone


def test_a_release_goes_live_from_a_place_alone(alone: Carrying) -> None:
    shutil.rmtree(alone.origin)  # there is no Git server
    result = alone.sync()
    assert (result.code, result.err) == (0, "")
    assert alone.live() == "model 1\n"
    alone.passes(0, LIVE)
    assert alone.cli("verify").code == 0
    assert sorted(alone.kept()) == ["churn@v1.0.0"]


def test_what_is_said_of_a_version_is_what_git_says(first: Carrying) -> None:
    commands = (("show", "churn@1.0.0"), ("list", "churn"), ("why", "churn"), ("status",))
    said = [first.cli(*words) for words in commands]
    assert all(result.code == 0 and not result.err for result in said), said
    shutil.rmtree(first.mirror)
    first.file.unlink()
    super(Carrying, first).follow()  # from Git
    assert first.cli("fetch").code == 0
    assert [first.cli(*words) for words in commands] == said


def test_a_host_follows_a_place_through_its_life(first: Carrying) -> None:
    """A release, a rollback by hand, the next release, a withdrawal; a stage on the way."""
    first.release("model 2\n")
    first.passes(0, LIVE)  # it is not in the place yet
    first.carry()
    assert first.report()["live"] == "1.1.0"
    assert not (first.mirror / "shallow").exists()  # the commit before it is here
    assert first.cli("rollback", "churn", "--yes").code == 0
    assert (first.live(), first.report()["live"]) == ("model 1\n", "1.0.0")
    first.bench.git("commit", "--quiet", "--allow-empty", "--message", "Something else")
    first.release("model 3\n")
    first.carry()
    assert first.report()["live"] == "1.2.0"
    assert (first.mirror / "shallow").read_text() == first.bench.git("rev-parse", "HEAD")
    first.publish("churn@v1.2.0!")
    first.carry()
    assert first.report()["live"] == "1.0.0"  # 1.1.0 was rolled back
    first.publish("churn#prod#1", at="churn@v1.1.0")
    first.carry()
    first.follow("#prod")
    assert first.report()["live"] == "1.1.0"
    first.publish("churn#prod#2", at="churn@v1.0.0")
    first.carry()
    assert (first.report()["live"], first.live()) == ("1.0.0", "model 1\n")
    assert sorted(first.kept()) == [
        "churn#prod#1", "churn#prod#2", "churn@v1.0.0", "churn@v1.1.0", "churn@v1.2.0",
        "churn@v1.2.0!",
    ]  # fmt: skip
    fsck = ("git", "-c", "remote.tagship.promisor=true", "fsck", "--no-dangling")
    run(first.mirror, *fsck)
    log = run(first.mirror, "git", "log", "--format=%s", "refs/tags/churn@v1.2.0")
    assert len(log.splitlines()) == 1  # Git asks for no parent of it


def test_a_deploy_by_hand_takes_what_was_fetched(first: Carrying) -> None:
    first.release("model 2\n")
    first.carry()
    assert first.cli("fetch").out == "1 new tag\n  churn@v1.1.0\n"
    assert first.cli("deploy", "churn", "--yes").code == 0
    assert first.live() == "model 2\n"


def test_a_place_that_is_not_there_stops_what_is_new_alone(first: Carrying) -> None:
    away = first.remote.rename(first.top / "away")
    told = first.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", "1.0.0")
    what = f"nothing could be fetched: {first.remote} is not there"
    assert [each["what"] for each in told["reasons"]] == ["1.0.0 is live", what]
    status = first.cli("status")
    assert status.code == 1 and "nothing could be fetched since" in status.out
    away.rename(first.remote)
    first.passes(0, LIVE)


def test_nothing_was_released_into_the_place(host: Following) -> None:
    empty = carrying.of(host)
    empty.passes(3, NOTHING.format(empty.remote))
    assert NOTHING.format(empty.remote).partition("\n")[2] in empty.cli("status").out
    result = empty.cli("deploy", "churn", "--yes")
    assert result.code == 1
    assert result.err.startswith("error: churn has no released version\nhint: tagship fetch; or: ")
    lines = empty.cli("status").out
    assert f"{empty.remote} has no version of churn that was seen here" in lines
    assert "git" not in result.err + lines


def cut_short(host: Carrying) -> str:
    host.write_index(host.index_file.read_bytes()[:-5])
    return "is damaged: "


def of_another_model(host: Carrying) -> str:
    data = host.index_file.read_bytes()
    host.write_index(data.replace(b'"model":"churn"', b'"model":"spam"'))
    return "is of spam"


def with_another_model(host: Carrying) -> str:
    data = host.index_file.read_bytes()
    host.write_index(data.replace(b'"churn@v1.0.0"', b'"spam@v1.0.0"'))
    return "has spam@v1.0.0, of another model"


def without_end(host: Carrying) -> str:
    with host.index_file.open("r+b") as file:
        file.truncate(LARGEST_INDEX + 1)
    return f"is damaged: it is longer than {LARGEST_INDEX:,} bytes"


WRITE = "write it again where the model is released: tagship release churn --push --capsule"
BRING = "bring it again: tagship unbundle FILE"


@pytest.mark.parametrize("spoil", [cut_short, of_another_model, with_another_model, without_end])
@pytest.mark.parametrize(("kind", "fix"), [("index", WRITE), ("bundle", BRING)])
def test_an_index_that_was_never_read_is_named_by_each_command(
    host: Following, spoil: Callable[[Carrying], str], kind: str, fix: str
) -> None:
    one = carrying.of(host, kind=kind)
    one.carry()
    good = one.index_file.read_bytes()
    what = f"the index of churn in {one.remote} {spoil(one)}"
    fetch = f"{fix}; then: tagship fetch"
    one.cli("fetch")
    for words in ("deploy churn --yes", "deploy churn@1.0 --yes", "show churn"):
        by_hand = one.cli(*words.split())
        assert by_hand.code == 1 and by_hand.err.startswith(f"error: {what}"), by_hand
        assert by_hand.err.endswith(f"\nhint: {fetch}\n")
    for words in ("sync", "sync --dry-run"):
        row, told, last = one.cli(*words.split()).out.splitlines()
        assert (row, last) == ("churn: unknown, live -", f"    fix: {fix}")
        assert told.startswith(f"  {what}")
    status = one.cli("status")
    assert status.code == 1
    assert status.out.splitlines() == [f"{row}, latest -", told, f"    fix: {fetch}"]
    for words in ("list churn", "models"):
        assert one.cli(*words.split()).err == f"note: churn: {told.strip()}: {fetch}\n"
    assert what in one.cli("fleet").out
    one.index_file.write_bytes(good)
    assert one.cli("fetch").code == 0
    assert one.cli("deploy", "churn", "--yes").code == 0
    assert one.live() == "model 1\n"


def test_a_folder_called_as_a_file_of_the_place_is_named(first: Carrying) -> None:
    """It stops what it is about alone: not the models beside it."""
    first.release("model 2\n")
    rows = first.carry()
    first.carry("spam")
    first.follow(more='[follow.spam]\ntrack = "latest"\n')
    for path, model, why in (
        (first.remote / Capsule("churn", rows["churn@v1.1.0"].capsule).path, "churn", "refused"),
        (first.remote / "tagship/spam/index.json", "spam", "unknown"),
    ):
        path.unlink()
        path.mkdir()
        said = {row["model"]: row for row in json.loads(first.sync("--json").out)}
        assert said[model]["why"] == why
        (what,) = [each["what"] for each in said[model]["reasons"] if "folder" in each["what"]]
        assert what.endswith(f"{path} is a folder")
        path.rename(f"{path}.old")
        first.carry()
    assert first.live() == "model 2\n"


def test_an_object_of_the_place_that_is_a_folder_is_named(alone: Carrying) -> None:
    path = alone.object_of("model 1\n")
    path.unlink()
    path.mkdir()
    assert f"{path} is a folder" in alone.sync().out
    by_hand = alone.cli("deploy", "churn", "--yes")
    assert by_hand.code == 1
    assert by_hand.err.startswith(f"error: {path} is a folder\nhint: move it away: mv {path} ")
    path.rename(f"{path}.old")
    alone.bench.dvc("push", "--quiet")
    assert alone.cli("deploy", "churn", "--yes").code == 0


def test_a_new_host_is_told_of_a_damaged_index(alone: Carrying) -> None:
    cut_short(alone)
    folder = alone.top / "srv"
    words = ("host", "init", str(folder), "--index", str(alone.remote), "--follow", "churn")
    assert alone.bench.cli_in(alone.top, *words).code == 0
    said = alone.bench.cli_in(folder, "sync")
    assert (said.code, said.err) == (1, "")
    assert f"  the index of churn in {alone.remote} is damaged: " in said.out
    assert said.out.endswith(f"    fix: {WRITE}\n")
    done = alone.bench.cli("release", "churn", "--push", "--capsule")  # as it says
    assert done.code == 0 and "it is written anew" in done.out + done.err
    assert alone.bench.cli_in(folder, "sync").code == 0


def test_a_damaged_index_is_told_beside_what_was_seen(first: Carrying) -> None:
    cut_short(first)
    first.sync()
    status = first.cli("status")
    assert (status.code, status.out.splitlines()[0]) == (
        1,
        "churn: unknown, live 1.0.0, latest 1.0.0",
    )
    assert first.cli("list", "churn").err.endswith(f"{WRITE}; then: tagship fetch\n")
    assert first.cli("deploy", "churn@1.0.0", "--yes").code == 0
    super(Carrying, first).follow()  # Git: what a place had is no matter
    assert first.cli("list", "churn").err == ""


def test_a_host_has_no_work_tree_and_no_clone_to_point_to(first: Carrying) -> None:
    assert first.cli("release", "churn") == Result(
        1, "",
        f"error: {first.folder} is a host, which has no work tree to release from\n"
        "hint: release in a clone of the repository, with --capsule\n",
    )  # fmt: skip


def test_two_models_are_two_indexes(first: Carrying) -> None:
    first.follow(more='[follow.spam]\ntrack = "latest"\n')
    result = first.sync()
    nothing = NOTHING.format(first.remote).replace("churn", "spam")
    assert result == Result(3, f"{LIVE}{nothing}", "")
    record = carried.read(first.mirror)
    assert record.marks.keys() == {"churn"}  # a place without an index has no mark of it
    assert record.place == str(first.remote)


def test_a_folder_of_bundles_is_followed_too(host: Following) -> None:
    bundles = carrying.of(host, kind="bundle")
    bundles.carry()
    bundles.sync()
    assert bundles.live() == "model 1\n"


@pytest.mark.parametrize("kind", ["index", "bundle"])
def test_a_stage_whose_version_was_not_brought_is_told(host: Following, kind: str) -> None:
    """Its tag is here, and that of its version is not: in the next bundle, or in nobody's clone."""
    one = carrying.of(host, kind=kind)
    host.publish("churn#prod#1", at="churn@v1.0.0")
    one.carry()
    one.follow("#prod")
    assert one.report()["live"] == "1.0.0"
    host.release("model 2\n")
    host.publish("churn#prod#2", at="churn@v1.1.0")
    rows = one.carry()
    commit = host.bench.git("rev-parse", "churn@v1.1.0^{}")[:10]
    what = f"#prod names a version whose tag is not here (commit {commit})"
    fix = {
        "bundle": "bring its bundle: tagship unbundle FILE",
        "index": "publish it where it is released: tagship release churn --push --capsule",
    }[kind]
    one.show({name: entry for name, entry in rows.items() if name != "churn@v1.1.0"})
    told = f"  {what}\n    fix: {fix}\n"
    one.passes(3, f"churn: waiting, live 1.0.0\n{told}")
    status = one.cli("status")
    assert (status.code, told in status.out) == (3, True), status
    by_hand = one.cli("deploy", "churn#prod", "--yes")
    assert (by_hand.code, by_hand.err) == (1, f"error: {what}\nhint: {fix}\n")
    one.show(rows)
    assert one.report()["live"] == "1.1.0"


def test_a_stage_whose_version_has_no_tag_on_the_server_is_told(host: Following) -> None:
    host.follow("#prod")
    host.bench.git("tag", "--annotate", "--message", "x", "churn#prod#1", "churn@v1.0.0^{}")
    host.bench.git("push", "--quiet", "origin", ":churn@v1.0.0", "churn#prod#1")
    fix = "    fix: push the tag of its version, then: tagship sync"
    result = host.sync()
    assert (result.code, result.out.splitlines()[-1]) == (3, fix)
    host.bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    assert host.sync().code == 0
    assert host.live() == "model 1\n"


def test_a_withdrawn_version_alone_has_a_fix_that_works_elsewhere(first: Carrying) -> None:
    first.publish("churn@v1.0.0!")
    first.carry()
    first.sync()
    fix = "fix: release another one where the model is released: tagship release churn\n"
    assert fix in first.cli("status").out


def test_a_folder_of_bundles_that_is_not_there_is_filled_by_a_bundle(
    host: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first one, and once the folder was taken away: in a full and in a quick pass."""
    bundles = carrying.of(host, kind="bundle")
    bundles.carry()
    away = host.remote.rename(host.top / "away")
    told = (
        f"  nothing could be fetched: {host.remote} is not there\n"
        "    fix: mount it, or bring a bundle: tagship unbundle FILE\n"
    )
    bundles.passes(1, f"churn: unknown, live -\n{told}")
    away.rename(host.remote)
    bundles.sync()
    monkeypatch.setattr(witness, "TICK", -(10**12))
    bundles.passes(0, LIVE)
    assert agent.read(bundles.folder).settled is not None
    host.remote.rename(away)
    for full in (False, True):
        if full:
            monkeypatch.setattr(settled, "look", lambda *_: None)
        bundles.passes(1, f"churn: unknown, live 1.0.0\n{told}")


def test_a_host_of_bundles_is_told_what_comes_first(host: Following) -> None:
    folder = host.top / "srv"
    words = ("host", "init", str(folder), "--bundle", str(host.top / "b"), "--follow", "churn")
    made = host.bench.cli_in(host.top, *words).out
    here = f"tagship -C {folder}"
    assert made.endswith(f"; now: {here} unbundle FILE; then: {here} sync\n")


def test_another_place_takes_nothing_back(first: Carrying) -> None:
    other = first.top / "other"
    shutil.copytree(first.remote, other)
    first.release("model 2\n")
    first.carry()
    first.sync()
    replaced = Carrying(first.bench, address=str(other))
    replaced.follow()
    replaced.passes(0, "churn: in order, live 1.1.0\n")
    assert replaced.cli("fetch").out == (
        "0 new tags\nchurn@v1.1.0 is not there any more, and counts all the same\n"
    )


# --- from Git to a place, and back


def test_a_host_that_followed_git_follows_a_place(host: Following) -> None:
    host.sync()
    host.release("model 2\n")
    host.cli("fetch")  # its tag is seen; of its files nothing is here
    alone = carrying.of(host)
    alone.carry()
    shutil.rmtree(alone.origin)
    assert alone.report()["live"] == "1.1.0"
    assert not (alone.mirror / "shallow").exists()  # all parents are here


def test_a_file_that_the_mirror_of_git_lacks_comes_with_the_capsule(host: Following) -> None:
    host.follow("1.0.0")
    host.sync()
    host.release("model 2\n")
    host.sync()
    alone = carrying.of(host)
    alone.follow("1.0.0")
    alone.carry()
    shutil.rmtree(alone.origin)
    assert alone.cli("deploy", "churn@1.1.0", "--yes").code == 0
    assert alone.live() == "model 2\n"


def test_a_host_that_followed_a_place_follows_git_with_a_new_mirror(first: Carrying) -> None:
    first.release("model 2\n")
    first.carry()
    first.sync()
    first.publish("churn#dev#1")
    first.carry()
    first.cli("fetch")
    first.serve("tag", "--delete", "churn#dev#1")
    super(Carrying, first).follow()
    result = first.sync()
    note = "note: the mirror was fed from another place, and was fetched anew\n"
    assert result == Result(0, "churn: in order, live 1.1.0\n", note)
    assert not (first.mirror / "carried.json").exists()
    assert sorted(first.kept()) == ["churn#dev#1", "churn@v1.0.0", "churn@v1.1.0"]
    first.passes(0, "churn: in order, live 1.1.0\n")
    first.release("model 3\n")
    assert first.report()["live"] == "1.2.0"


# --- a mirror that is damaged


def test_a_damaged_mirror_is_made_anew_from_the_place(first: Carrying) -> None:
    first.release("model 2\n")
    first.carry()
    first.sync()
    for pack in (first.mirror / "objects" / "pack").glob("*"):
        pack.unlink()
    result = first.sync()
    note = "note: the mirror was damaged, and was fetched anew\n"
    assert result == Result(0, "churn: in order, live 1.1.0\n", note)
    assert sorted(first.kept()) == ["churn@v1.0.0", "churn@v1.1.0"]


def test_what_a_damaged_mirror_saw_stays_though_the_place_shows_it_no_more(first: Carrying) -> None:
    first.release("model 2\n")
    rows = first.carry()
    first.sync()
    (before,) = [first.kept()]
    first.show({"churn@v1.0.0": rows["churn@v1.0.0"]})
    tree = run(first.mirror, "git", "rev-parse", "refs/tags/churn@v1.0.0^{tree}").strip()
    found = [p for p in (first.mirror / "objects/pack").glob("*.idx") if tree in contents(p)]
    for file in found:  # the pack of 1.0.0 alone
        pack = file.with_suffix(".pack")
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:12] + bytes(pack.stat().st_size - 12))
    result = first.sync()
    note = "note: the mirror was damaged, and was fetched anew\n"
    assert result == Result(0, "churn: in order, live 1.1.0\n", note)
    assert first.kept() == before
    assert first.cli("verify").code == 0


def contents(index: Path) -> str:
    with index.open("rb") as file:
        done = subprocess.run(["git", "show-index"], stdin=file, check=True, capture_output=True)
    return done.stdout.decode()


def test_what_cannot_be_read_any_more_is_counted(first: Carrying) -> None:
    first.show({})
    for pack in (first.mirror / "objects" / "pack").glob("*"):
        pack.unlink()
    result = first.sync()
    assert "1 tags could not be read, and count as not seen" in result.err
    assert result.code == 3
    assert first.live() == "model 1\n"


def test_many_packs_are_put_together(first: Carrying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagship.git.mirror.MANY_PACKS", 2)
    for number in range(1, 4):
        first.publish(f"churn#dev#{number}")
        first.carry()
        first.sync()
    packs = list((first.mirror / "objects" / "pack").glob("*.pack"))
    assert len(packs) <= 2
    run(first.mirror, "git", "-c", "remote.tagship.promisor=true", "fsck", "--no-dangling")
    assert first.cli("verify").code == 0


# --- a pass without news


@pytest.fixture
def calm(first: Carrying, monkeypatch: pytest.MonkeyPatch) -> Carrying:
    """A host whose last pass found all in order, and kept that."""
    monkeypatch.setattr(witness, "TICK", 0)
    first.sync()
    first.passes(0, LIVE)
    assert settled.look(first.folder, None, nobody) is not None
    return first


def test_a_pass_without_news_starts_no_process_and_asks_once(calm: Carrying) -> None:
    code = (
        "import subprocess, sys\n"
        "from tagship.carry.folder import Folder\nfrom tagship.cli.main import main\n"
        "started, asked, index = [], [], Folder.index\n"
        "def ask(self, *words):\n    asked.append(words)\n    return index(self, *words)\n"
        "def start(self, *words, **more): raise AssertionError(words)\n"
        "Folder.index, subprocess.Popen.__init__ = ask, start\n"
        f"sys.argv = ['tagship', '-C', {str(calm.folder)!r}, 'sync']\n"
        "try: main()\nexcept SystemExit as stop: print(stop.code)\n"
        "print([words[0] for words in asked], len(asked[0][1]))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    assert calm.process(code=code) == Result(0, f"{LIVE}0\n['churn'] 64\n[]\n", "")


def test_a_pass_without_news_says_what_a_full_one_says(calm: Carrying) -> None:
    full = calm.report("--no-smoke-test")
    before = calm.bench.state()
    calm.at(clock.now() + timedelta(minutes=5))
    assert calm.report() == full
    assert calm.bench.changes(before) == {"host/.tagship/agent.json"}


def test_news_in_the_place_make_a_full_pass(calm: Carrying) -> None:
    calm.release("model 2\n")
    assert settled.look(calm.folder, None, nobody) is not None
    calm.carry()
    assert settled.look(calm.folder, None, nobody) is None
    assert calm.report()["live"] == "1.1.0"


def test_an_index_that_became_endless_makes_a_full_pass(calm: Carrying) -> None:
    with calm.index_file.open("wb") as file:
        file.truncate(2 * LARGEST_INDEX)
    assert settled.look(calm.folder, None, nobody) is None
    told = calm.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", "1.0.0")


def test_a_place_that_does_not_answer_is_asked_once(calm: Carrying) -> None:
    calm.remote.rename(calm.top / "away")
    rows = settled.look(calm.folder, None, nobody)
    assert rows is not None and rows[0].why.exit_code == 1
    assert calm.report()["why"] == "unknown"


def test_several_models_are_asked_at_the_same_time(calm: Carrying) -> None:
    models = {f"m{number}": f"{number:064x}" for number in range(9)}
    for model in models:
        calm.write_index(b'{"schema":1,"model":"%s","tags":{}}' % model.encode(), model)
    marks = {m: found.mark for m in models if (found := calm.carrier.index(m))}
    carried.write(calm.mirror, Carried(str(calm.remote), marks))
    where = str(calm.remote)
    assert carried.is_same(calm.mirror, where, {}, list(models))
    calm.write_index(b"{}", "m7")
    assert not carried.is_same(calm.mirror, where, {}, list(models))
    assert not carried.is_same(calm.mirror, where, {}, ["churn"])
    assert not carried.is_same(calm.mirror, "/elsewhere", {}, list(models))


def test_an_option_that_json_does_not_have_costs_a_full_pass_each_time(calm: Carrying) -> None:
    text = calm.file.read_text()
    calm.file.write_text(text.replace("[deploy]", "[source.options]\nsince = 2026-01-01\n[deploy]"))
    calm.sync()
    calm.sync()
    assert settled.look(calm.folder, None, nobody) is None


def test_a_record_that_cannot_be_read_costs_a_repeat(calm: Carrying) -> None:
    (calm.mirror / "carried.json").write_text("{")
    assert settled.look(calm.folder, None, nobody) is None
    calm.passes(0, LIVE)
    assert carried.read(calm.mirror).marks.keys() == {"churn"}


# --- many capsules


def test_capsules_are_looked_at_in_batches(
    alone: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "MANY", 2)
    for number in range(1, 5):
        alone.publish(f"churn#dev#{number}")
    alone.carry()
    alone.sync()
    assert len(alone.kept()) == 5
    assert alone.live() == "model 1\n"


def test_git_looks_at_no_more_than_so_many_inflated_bytes_together(
    alone: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    hold = quarantine.hold

    def held(packs: Sequence[Examined], beside: Path | None) -> AbstractContextManager[Repository]:
        sizes.append(len(packs))
        return hold(packs, beside)

    monkeypatch.setattr(quarantine, "hold", held)
    monkeypatch.setattr(packed, "INFLATED", 2000)
    for number in range(1, 5):
        alone.publish(f"churn#dev#{number}")
    alone.carry()
    alone.sync()
    assert len(alone.kept()) == 5
    assert sum(sizes) == 5 and len(sizes) > 1


def test_no_more_than_so_many_bytes_of_capsules_come_at_a_time(
    alone: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "ALTOGETHER", 1000)
    told = alone.report()
    what = f"{alone.remote} has more than 1,000 bytes of new capsules"
    assert told["reasons"][-1]["what"] == f"nothing could be fetched: {what}"
    assert alone.live() is None


# --- tagship host init


@pytest.mark.parametrize("kind", ["index", "bundle"])
def test_a_host_of_a_place_is_made(kind: str, tmp_path: Path) -> None:
    made = Agent(tmp_path / "srv").init(**{kind: str(tmp_path / "place")}, follow=["churn"])
    assert made.file.read_text() == (
        "# What this host follows, and how. It names programs: nobody else may write to it.\n"
        f'\n[source]\n{kind} = "{tmp_path}/place"\n\n[follow."churn"]\ntrack = "latest"\n'
    )


@pytest.mark.parametrize("given", [{}, {"git": "/x.git", "index": "/place"}])
def test_a_host_has_one_source(given: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidName) as caught:
        Agent(tmp_path / "srv").init(**given)
    assert caught.value.message == "give one of --git, --index and --bundle"
    assert not (tmp_path / "srv").exists()


def test_the_same_on_the_command_line(alone: Carrying) -> None:
    folder = alone.top / "srv"
    words = ("host", "init", str(folder), "--index", str(alone.remote), "--follow", "churn")
    made = alone.bench.cli_in(alone.top, *words)
    assert made == Result(0, f"wrote {folder}/tagship.toml; now: tagship -C {folder} sync\n", "")
    assert alone.bench.cli_in(folder, "sync").code == 0
    metadata = json.loads((folder / "churn" / "current" / "metadata.json").read_text())
    assert metadata["tag"]["name"] == "churn@v1.0.0"


def test_a_file_is_no_folder_of_bundles(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("")
    for name, what in (("x.tar", "not a folder"), ("none", "not there")):
        with pytest.raises(Unavailable) as caught:
            carried.check_there(str(tmp_path / name), has_bundles=True)
        assert caught.value.message == f"{tmp_path / name} is {what}"
    carried.check_there(str(tmp_path), has_bundles=True)
