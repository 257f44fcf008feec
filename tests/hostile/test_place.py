"""A place of capsules that misbehaves, or that somebody else writes to: nothing of it goes live.

Each row is one way in which an index or a capsule is not what a release wrote. The host says which
tag or index it is about and why, keeps what is live, and follows the next release that is right.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from tagship.carry import capsule, carrier, index
from tagship.carry.carrier import LARGEST_INDEX
from tagship.carry.folder import Folder
from tagship.carry.index import Entry
from tagship.errors import Unavailable
from tagship.git import packed, quarantine, run
from tagship.git.run import CommandFailed, Repository
from tagship.stores.stream import Allowance
from tagship.workspace import carried, encapsulate, place
from tests import carrying, hosts
from tests.carrying import Carrying
from tests.git.test_quarantine import entry, name, pack, tag
from tests.hosts import Following
from tests.workbench import Result, Workbench

NEW = "churn@v1.1.0"
LIVE = "churn: in order, live 1.0.0\n"


@pytest.fixture
def first(begun: Callable[[str], Path], copied: Callable[[Path], Workbench]) -> Carrying:
    """1.0.0 is live by a place; 1.1.0 is released, and not in the place yet."""
    template = begun("following")
    host = carrying.of(hosts.moved(copied(template), template))
    host.carry()
    host.passes(0, LIVE)
    host.release("model 2\n")
    return host


def untouched(host: Following) -> dict[str, str]:
    """All that must stay as it is: everything but the mirror and what a pass notes."""
    own = ("host/.tagship/", "dvc-remote/tagship/", "capsule")
    return {path: what for path, what in host.bench.state().items() if not path.startswith(own)}


def changed_pack(data: bytes, change: Callable[[dict[str, packed.Object]], bytes]) -> bytes:
    read = capsule.parse(data, "of a test")
    head = data[: len(data) - len(read.pack)]
    return head + change(packed.read(read.pack))


def with_more(*more: bytes) -> Callable[[bytes], bytes]:
    """A capsule with more entries in its pack."""

    def change(objects: dict[str, packed.Object]) -> bytes:
        return pack(*(each.packed for each in objects.values()), *more)

    return lambda data: changed_pack(data, change)


def without(kind: str) -> Callable[[bytes], bytes]:
    """A capsule that lacks an object of a kind."""

    def change(objects: dict[str, packed.Object]) -> bytes:
        lost = min(each.id for each in objects.values() if each.kind == kind)
        return packed.write(each for each in objects.values() if each.id != lost)

    return lambda data: changed_pack(data, change)


def headed(**how: object) -> Callable[[bytes], bytes]:
    """A capsule with another first line."""

    def change(data: bytes) -> bytes:
        line, _, rest = data.partition(b"\n")
        return json.dumps({**json.loads(line), **how}).encode() + b"\n" + rest

    return change


BOMB = entry("blob", bytes(300 << 20))
STRANGER = entry("blob", b"a stranger\n")
OF_NEW = "churn@v1.1.0: the capsule of churn@v1.1.0 in PLACE is damaged: "
OF_PACK = "churn@v1.1.0: the capsule of churn@v1.1.0 is damaged: "
CAPSULES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut short in its pack": (
        lambda data: data[:-40], f"{OF_PACK}it is cut short, or its bytes were changed",
    ),
    "cut short in its first line": (
        lambda data: data[:30], f"{OF_NEW}it is no capsule, or is cut short",
    ),
    "a flipped bit": (
        lambda data: data[:-30] + bytes([data[-30] ^ 1]) + data[-29:],
        f"{OF_PACK}it is cut short, or its bytes were changed",
    ),
    "a foreign object": (
        with_more(STRANGER),
        "churn@v1.1.0: the capsule of churn@v1.1.0 has 1 objects that it does not need, such as",
    ),
    "a pack bomb": (
        with_more(BOMB), f"{OF_PACK}it has a blob of 314,572,800 bytes: more than is taken",
    ),
    "a pack of deltas": (
        with_more(entry(7, bytes(20))), f"{OF_PACK}it has deltas, which are not taken",
    ),
    "billions of objects": (
        lambda data: data.replace(b"PACK\0\0\0\2" + data[data.index(b"PACK") + 8 :][:4],
                                  b"PACK\0\0\0\2\xff\xff\xff\xff"),
        f"{OF_PACK}it has 4,294,967,295 objects; at most 100,000 are taken",
    ),
    "without a folder": (without("tree"), f"{OF_PACK}it is not whole: "),
    "without a file": (without("blob"), f"{OF_PACK}it is not whole: "),
    "without its commit": (without("commit"), f"{OF_PACK}it lacks the object "),
    "without its tag": (without("tag"), f"{OF_PACK}it lacks the object "),
    "of a newer schema": (
        headed(schema=2),
        "churn@v1.1.0: the capsule of churn@v1.1.0 in PLACE is of schema 2; this tagship knows 1",
    ),
    "of another tag": (headed(tag="churn@v1.0.0"), f"{OF_NEW}it is of churn@v1.0.0"),
    "of another model": (headed(tag="spam@v1.1.0"), f"{OF_NEW}it is of spam@v1.1.0"),
    "of another object": (headed(object="1" * 40), f"{OF_NEW}it has the tag object 1111111"),
    "of another commit": (headed(commit="1" * 40), f"{OF_PACK}"),
    "no capsule": (lambda data: b"<html>\n", f"{OF_NEW}it is no capsule, or is cut short"),
}  # fmt: skip


@pytest.mark.parametrize("case", CAPSULES)
def test_a_bad_capsule_is_named_and_stops_its_own_tag_alone(first: Carrying, case: str) -> None:
    change, why = CAPSULES[case]
    first.replace(NEW, change)
    before = untouched(first)
    told = first.report()
    assert (told["code"], told["why"], told["live"]) == (3, "refused", "1.0.0")
    (said,) = [each["what"] for each in told["reasons"]]
    assert said.startswith(why.replace("PLACE", str(first.remote)))
    assert untouched(first) == before
    assert sorted(first.kept()) == ["churn@v1.0.0"]
    status = first.cli("status")
    assert status.code == 3 and said in status.out
    assert f"{said}\n" in first.cli("fetch").out
    # the next release is right, and one of a good capsule too
    first.release("model 3\n")
    rows = {name: entry for name, (entry, _) in first.capsules().items()}
    first.carry()
    assert first.report()["live"] == "1.2.0"
    assert rows.keys() == first.kept().keys()


def shortened(host: Carrying) -> None:
    """The capsule's file itself is cut short: the index has the right digest."""
    rows = host.carry()
    file = host.remote / carrier.Capsule("churn", rows[NEW].capsule).path
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1])


def longer(host: Carrying) -> None:
    rows = host.carry()
    file = host.remote / carrier.Capsule("churn", rows[NEW].capsule).path
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b"x" * 1000)


def missing(host: Carrying) -> None:
    rows = host.carry()
    (host.remote / carrier.Capsule("churn", rows[NEW].capsule).path).unlink()


def huge(host: Carrying) -> None:
    rows = host.carry()
    host.show({**rows, NEW: replace(rows[NEW], size=1 << 40)})


FILES: dict[Callable[[Carrying], None], str] = {
    shortened: "it is cut short, or its bytes were changed",
    longer: "it is longer than the index says",
    missing: "it is not there",
    huge: "it has 1,099,511,627,776 bytes",
}


@pytest.mark.parametrize("spoil", FILES, ids=lambda spoil: spoil.__name__)
def test_a_capsule_that_is_not_the_one_of_the_index_is_not_read(
    first: Carrying, spoil: Callable[[Carrying], None]
) -> None:
    spoil(first)
    what = OF_NEW.replace("PLACE", str(first.remote)) + FILES[spoil]
    again = "write it again where the model is released: tagship release MODEL --push --capsule"
    first.passes(3, f"churn: refused, live 1.0.0\n  {what}\n    fix: {again}\n")
    assert f"  {what}\n    fix: {again}\n" in first.cli("status").out
    assert first.live() == "model 1\n"


# --- capsules that take long


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of capsules that were brought."""
    digests: list[str] = []
    blocks = Folder.blocks

    def noted(self: Folder, name: carrier.Name, allowance: Allowance) -> Iterator[bytes]:
        if isinstance(name, carrier.Capsule):
            digests.append(name.digest)
        return blocks(self, name, allowance)

    monkeypatch.setattr(Folder, "blocks", noted)
    return digests


def test_a_capsule_that_was_refused_is_not_looked_at_again(
    first: Carrying, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first.replace(NEW, with_more(STRANGER))
    told = first.report()
    status = first.cli("status")
    assert (told["why"], len(asked)) == ("refused", 1)
    for _ in range(2):
        assert first.report() == told
        assert first.cli("status") == status
        assert first.cli("fetch").code == 0
    assert len(asked) == 1
    first.release("model 3\n")  # the index is another one by now, and has the same capsule
    first.write_index(index.write("churn", {**rows_of(first), **newest(first)}))
    assert first.report()["live"] == "1.2.0"
    assert len(asked) == 2
    monkeypatch.setattr(carried, "judge", lambda: "a newer one")
    assert first.report()["why"] == "refused"
    assert len(asked) == 3
    first.carry()
    assert first.report()["why"] == "in_order"
    assert NEW in first.kept()


def rows_of(host: Carrying) -> dict[str, Entry]:
    return index.parse(host.index_file.read_bytes(), "churn", "a test")


def newest(host: Carrying) -> dict[str, Entry]:
    """What the index has of 1.2.0, whose capsule is put into the place."""
    entry, data = host.capsules()["churn@v1.2.0"]
    host.put(data)
    return {"churn@v1.2.0": entry}


@pytest.mark.parametrize("spoil", FILES, ids=lambda spoil: spoil.__name__)
def test_a_capsule_that_is_not_the_one_of_the_index_is_asked_for_again(
    first: Carrying, spoil: Callable[[Carrying], None]
) -> None:
    rows = first.carry()
    path = first.remote / carrier.Capsule("churn", rows[NEW].capsule).path
    good = path.read_bytes()
    spoil(first)
    assert first.report()["why"] == "refused"
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    first.show(rows)
    assert first.report()["live"] == "1.1.0"


@pytest.mark.parametrize("fails", ["to read", "to check"])
def test_a_capsule_that_git_failed_with_is_looked_at_again(
    first: Carrying, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*_: object) -> NoReturn:
        raise Unavailable("git: out of memory")

    def kill(repository: Repository, *words: str, **how: bytes) -> bytes:
        if "fsck" in words:
            raise CommandFailed(-9, "")
        return answer(repository, *words, **how)

    answer = run.answer

    first.carry()
    with monkeypatch.context() as patched:
        if fails == "to read":
            patched.setattr(encapsulate, "needed", fail)
        else:
            patched.setattr(run, "answer", kill)
        assert first.cli("fetch").out.startswith(f"0 new tags\n{NEW}: the capsule of {NEW} is ")
        assert carried.read(first.mirror).refused.keys() == {NEW}
    assert first.report()["live"] == "1.1.0"


def test_no_more_than_so_many_refused_capsules_are_remembered(
    first: Carrying, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "MOST_BAD", 1)
    first.release("model 3\n")
    first.replace(NEW, with_more(STRANGER))
    bad = rows_of(first)[NEW]
    first.replace("churn@v1.2.0", with_more(STRANGER))
    first.show({**rows_of(first), NEW: bad})
    assert len(first.report()["reasons"]) == 2
    assert len(carried.read(first.mirror).bad) == 1
    assert len(first.report()["reasons"]) == 2
    assert len(asked) == 3


def test_capsules_that_take_too_long_come_with_the_next_passes(
    first: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The highest version comes first, and what takes versions back before all."""
    monkeypatch.setattr(place, "PATIENCE", 0.0)
    first.release("model 3\n")
    first.release("model 4\n")
    first.publish("churn@v1.3.0!")
    first.carry()
    left = [3, 2, 1]
    kept = [{"churn@v1.3.0!"}, {"churn@v1.3.0"}, {"churn@v1.2.0"}, {NEW}]
    before = set(first.kept())
    for number, new in zip(left, kept, strict=False):
        told = first.report()
        assert (told["code"], told["why"]) == (1, "unknown")
        of = "capsule" if number == 1 else "capsules"
        what = f"not read in this pass: {number} {of} of churn in {first.remote}, as those before"
        assert what in told["reasons"][-1]["what"]
        status = first.cli("status")
        assert status.code == 1 and f"{what} took more than 0 s of" in status.out
        assert set(first.kept()) - before == new
        before |= new
    assert told["live"] == "1.2.0"
    first.passes(0, "churn: in order, live 1.2.0\n")
    assert set(first.kept()) - before == kept[-1]


def test_a_model_whose_capsules_take_too_long_holds_up_no_other(
    first: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "PATIENCE", 0.0)
    first.release("model 3\n")
    first.publish("spam@v1.0.0")
    first.follow(more='[follow.spam]\ntrack = "latest"\n')
    first.carry()
    first.carry("spam")
    fetched = first.cli("fetch")
    assert fetched.code == 1
    assert fetched.err.startswith("error: not read in this pass: 1 capsule of churn in ")
    assert "spam@v1.0.0" in first.kept()


# --- the index


def of_another_model(host: Carrying) -> str:
    data = host.index_file.read_bytes().replace(b'"model":"churn"', b'"model":"spam"')
    host.write_index(data)
    return f"the index of churn in {host.remote} is of spam"


def with_another_model(host: Carrying) -> str:
    data = host.index_file.read_bytes().replace(b'"churn@v1.1.0"', b'"spam@v1.1.0"')
    host.write_index(data)
    return f"the index of churn in {host.remote} has spam@v1.1.0, of another model"


def of_a_newer_schema(host: Carrying) -> str:
    host.write_index(host.index_file.read_bytes().replace(b'"schema":1', b'"schema":2'))
    return f"the index of churn in {host.remote} is of schema 2; this tagship knows 1"


def cut_short(host: Carrying) -> str:
    host.write_index(host.index_file.read_bytes()[:-5])
    return f"the index of churn in {host.remote} is damaged: "


def a_page(host: Carrying) -> str:
    host.write_index(b"<html>Sign in</html>")
    return f"the index of churn in {host.remote} is damaged: "


def endless(host: Carrying) -> str:
    with host.index_file.open("wb") as file:
        file.truncate(2 * LARGEST_INDEX)
    return (
        f"the index of churn in {host.remote} is damaged: it is longer than {LARGEST_INDEX:,} bytes"
    )


def of_a_folder(host: Carrying) -> str:
    data = host.index_file.read_bytes().replace(b'"churn@v1.1.0"', b'"../../churn@v1.1.0"')
    host.write_index(data)
    return f"the index of churn in {host.remote} is damaged: "


def of_a_name_that_git_cannot_have(host: Carrying) -> str:
    host.write_index(host.index_file.read_bytes().replace(b'"churn@v1.1.0"', b'"churn#a//b"'))
    return f"the index of churn in {host.remote} is damaged: 'churn#a//b' is no tag"


def of_a_name_in_many_folders(host: Carrying) -> str:
    name = b'"churn#' + b"a/" * 3000 + b'b"'
    host.write_index(host.index_file.read_bytes().replace(b'"churn@v1.1.0"', name))
    return f"the index of churn in {host.remote} is damaged: 'churn#a/a/"


INDEXES = (
    of_another_model, with_another_model, of_a_newer_schema, cut_short, a_page, endless,
    of_a_folder, of_a_name_that_git_cannot_have, of_a_name_in_many_folders,
)  # fmt: skip


@pytest.mark.parametrize("spoil", INDEXES, ids=lambda spoil: spoil.__name__)
def test_a_bad_index_is_named_and_what_was_seen_stays(
    first: Carrying, spoil: Callable[[Carrying], str]
) -> None:
    first.carry()
    why = spoil(first)
    before = untouched(first)
    told = first.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", "1.0.0")
    assert [each["what"] for each in told["reasons"]][1:] == [told["reasons"][1]["what"]]
    assert told["reasons"][1]["what"].startswith(why)
    assert untouched(first) == before
    assert sorted(first.kept()) == ["churn@v1.0.0"]
    fetched = first.cli("fetch")
    assert fetched.code == 1 and fetched.err.startswith(f"error: {why}")


def test_a_bad_index_stops_its_own_model_alone(first: Carrying) -> None:
    first.follow(more='[follow.spam]\ntrack = "latest"\n')
    first.carry()
    first.write_index(b"{}", "spam")
    rows = {row["model"]: row for row in json.loads(first.sync("--json").out)}
    assert (rows["churn"]["why"], rows["churn"]["live"]) == ("in_order", "1.1.0")
    assert rows["spam"]["why"] == "unknown"


def test_an_index_that_goes_back_changes_nothing(first: Carrying) -> None:
    """Replay: an older index, and one without a tag."""
    older = first.index_file.read_bytes()
    first.carry()
    assert first.report()["live"] == "1.1.0"
    first.write_index(older)
    first.passes(0, "churn: in order, live 1.1.0\n")
    for data in (b'{"schema":1,"model":"churn","tags":{}}', b""):
        first.write_index(data) if data else first.index_file.unlink()
        told = first.report()
        assert (told["code"], told["live"], first.live()) == (1, "1.1.0", "model 2\n")
        assert told["reasons"][0]["what"] == f"{first.remote} has nothing of churn any more"
        assert sorted(first.kept()) == ["churn@v1.0.0", "churn@v1.1.0"]
    assert "churn@v1.1.0 is not there any more, and counts" in first.cli("fetch").out


def test_a_moved_tag_does_not_count_until_a_person_says_so(first: Carrying) -> None:
    first.carry()
    first.sync()
    kept = first.kept()
    first.bench.train("model 3\n")
    first.bench.dvc("push", "--quiet")
    first.bench.git("tag", "--force", "-a", "-m", "x", NEW, "HEAD")
    first.carry()
    moved = f"{NEW}: it was moved; the tag that was seen first counts"
    fix = f"    fix: tagship fetch --accept {NEW}\n"
    first.passes(3, f"churn: refused, live 1.1.0\n  {moved}\n{fix}")
    assert (first.kept(), first.live()) == (kept, "model 2\n")
    assert first.cli("fetch", "--accept", NEW).out == (
        f"0 new tags\n{NEW} was moved, and was accepted\n"
    )
    assert first.report()["live"] == "1.1.0"
    assert first.live() == "model 3\n"


def test_a_tag_that_was_moved_and_whose_capsule_is_bad_is_named(first: Carrying) -> None:
    first.carry()
    first.sync()
    first.bench.git("tag", "--force", "-a", "-m", "x", NEW, "HEAD")
    first.replace(NEW, lambda data: data[:-40])
    told = first.report()
    assert (told["why"], told["live"]) == ("refused", "1.1.0")
    assert told["reasons"][0]["what"].startswith(OF_PACK)
    assert first.cli("fetch", "--accept", NEW).code == 1


def test_a_name_for_the_object_of_another_tag_does_not_count(first: Carrying) -> None:
    """The index has a new version, whose object is the tag of 1.0.0."""
    rows = first.carry()
    first.sync()
    first.show({**rows, "churn@v2.0.0": rows["churn@v1.0.0"]})
    told = first.report()
    assert (told["code"], told["live"]) == (3, "1.1.0")
    assert first.live() == "model 2\n"


def test_a_name_for_a_commit_does_not_count(first: Carrying) -> None:
    rows = first.carry()
    first.sync()
    commit = first.bench.git("rev-parse", "HEAD").strip()
    first.show({**rows, "churn@v2.0.0": replace(rows[NEW], object=commit)})
    first.passes(0, "churn: in order, live 1.1.0\n")
    assert "churn@v2.0.0 is no annotated tag of a commit" in first.cli("fetch").out


def test_a_tag_of_a_tag_does_not_bring_a_version_without_its_files(first: Carrying) -> None:
    """It would be here already, so its own capsule would not be asked for."""
    row, data = first.capsules()[NEW]
    read = capsule.parse(data, "of a test")
    objects = packed.read(read.pack)
    outer = tag(objects[row.object].content, b"churn#prod#1", b"tag")
    entries = (objects[row.object].packed, objects[read.head.commit].packed, entry("tag", outer))
    object_id = name("tag", outer)
    bad = capsule.write("churn#prod#1", object_id, read.head.commit, pack(*entries))
    rows = first.carry()
    del rows[NEW]
    first.show({**rows, "churn#prod#1": Entry(object_id, first.put(bad), len(bad))})
    assert "is no annotated tag of the commit" in first.report()["reasons"][0]["what"]
    first.carry()
    assert first.report()["live"] == "1.1.0"


def test_names_that_cannot_be_kept_side_by_side_are_told(first: Carrying) -> None:
    first.publish("churn#prod#1")
    first.bench.git("tag", "-a", "-m", "x", "churn#dev", "HEAD")
    rows = first.carry()
    first.cli("fetch")
    first.show({**rows, "churn#dev/eu#1": rows["churn#prod#1"], "churn#new": rows[NEW]})
    told = first.cli("fetch")
    assert told == Result(
        0,
        "1 new tag\n  churn#new\nchurn#dev/eu#1 cannot be kept beside a tag that was seen\n",
        "",
    )
    assert first.kept().keys() == {*rows, "churn#new"}
    assert first.report()["live"] == "1.1.0"


# --- signatures


def test_what_is_not_signed_does_not_go_live_where_signatures_are_asked_for(
    first: Carrying,
) -> None:
    folder = first.top / "home" / "tagship"
    folder.mkdir()
    (folder / "allowed_signers").write_text("")
    (folder / "host.toml").write_text(
        'require_signed = true\nallowed_signers = "allowed_signers"\n'
    )
    first.carry()
    before = untouched(first)
    told = first.report()
    assert (told["code"], told["why"], told["live"]) == (3, "refused", "1.0.0")
    assert "is not signed" in told["reasons"][-1]["what"]
    changed = {path for path, what in untouched(first).items() if before.get(path) != what}
    assert changed <= {"host/churn/deployment_history.json"}


def test_a_quarantine_that_was_cut_short_is_swept(first: Carrying) -> None:
    left = first.mirror.with_name(f".{first.mirror.name}.0123456789ab.tmp")
    (left / "objects").mkdir(parents=True)
    first.carry()
    first.sync()
    assert not left.exists()
    assert [path.name for path in first.mirror.parent.glob(".*")] == []


def test_the_pack_of_a_bomb_is_never_given_to_git(
    first: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Git was asked")

    first.replace(NEW, with_more(BOMB))
    monkeypatch.setattr(quarantine, "hold", refuse)
    assert first.report()["why"] == "refused"
    bomb = struct.pack(">4sII", b"PACK", 2, 1) + b"\xbf\xff\xff\xff\x7f" + zlib.compress(bytes(9))
    first.replace(NEW, lambda d: d[: d.index(b"PACK")] + bomb + hashlib.sha1(bomb).digest())
    assert first.report()["why"] == "refused"


def test_bytes_that_were_swapped_in_the_place_do_not_go_live(first: Carrying) -> None:
    object_file = first.object_of("model 2\n")
    object_file.chmod(0o644)
    object_file.write_bytes(b"MODEL 2\n")  # the place has the objects, too
    first.carry()
    told = first.report()
    assert (told["live"], first.live()) == ("1.0.0", "model 1\n")
