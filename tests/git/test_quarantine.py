"""Packs from places that nobody trusts: what is taken, and what is refused before it is."""

import hashlib
import os
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Corrupt, Refused, TagshipError
from tagship.git import commits, mirror, packed, quarantine
from tagship.git.packed import BadPack
from tagship.git.quarantine import Examined
from tests.workbench import run

WHO = b"Ada <ada@example.com> 1700000000 +0000"
KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


def entry(kind: str | int, data: bytes, size: int | None = None) -> bytes:
    """An object as a pack has it."""
    number, rest = KINDS.get(str(kind), kind), len(data) if size is None else size
    assert isinstance(number, int)
    head = [number << 4 | rest & 15]
    rest >>= 4
    while rest:
        head[-1] |= 128
        head.append(rest & 127)
        rest >>= 7
    return bytes(head) + zlib.compress(data)


def pack(*entries: bytes, count: int | None = None, version: int = 2) -> bytes:
    head = struct.pack(">4sII", b"PACK", version, len(entries) if count is None else count)
    body = head + b"".join(entries)
    return body + hashlib.sha1(body).digest()


def name(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


def tree(**files: str) -> bytes:
    return b"".join(b"100644 %s\0" % n.encode() + bytes.fromhex(i) for n, i in files.items())


FILE = b"artifacts: {}\n"
FOLDER = tree(**{"dvc.yaml": name("blob", FILE), "elsewhere": "1" * 40})
COMMIT = (
    b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\nTrain\n"
    % (name("tree", FOLDER).encode(), b"2" * 40, WHO, WHO)
)  # fmt: skip


def tag(target: bytes, title: bytes = b"churn@v1.0.0", kind: bytes = b"commit") -> bytes:
    to = name(kind.decode(), target).encode()
    return b"object %s\ntype %s\ntag %s\ntagger %s\n\nA version\n" % (to, kind, title, WHO)


TAG = tag(COMMIT)
IDS = {"object_id": name("tag", TAG), "commit": name("commit", COMMIT)}
FILES = {name("tree", FOLDER), name("blob", FILE)}
ENTRIES = (entry("tag", TAG), entry("commit", COMMIT), entry("tree", FOLDER), entry("blob", FILE))


def examined(data: bytes | None = None, title: str = "churn@v1.0.0", **ids: str) -> Examined:
    names = {**IDS, **ids}
    data = pack(*ENTRIES) if data is None else data
    return quarantine.examine(title, names["object_id"], names["commit"], data)


def own(top: Path) -> list[str]:
    answer = run(top, "git", f"--git-dir={top}", "cat-file", "--batch-all-objects", "--batch-check")
    return [line.split()[0] for line in answer.splitlines()]


def test_a_pack_is_held_as_it_is_and_gone_afterwards(tmp_path: Path) -> None:
    one = examined()
    one.check(FILES)
    with quarantine.hold([one], tmp_path / "mirror.git") as repository:
        assert set(own(repository.top)) == {*IDS.values(), *FILES}
        assert commits.commit(repository, IDS["object_id"]).message == "Train"
        assert repository.top.parent == tmp_path
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_without_a_place_of_its_own_it_is_held_among_temporary_files(tmp_path: Path) -> None:
    with quarantine.hold([examined()]) as repository:
        assert len(own(repository.top)) == 4
    assert not repository.top.exists()


def test_a_pack_comes_into_a_mirror_whose_commit_ends_there(tmp_path: Path) -> None:
    place = tmp_path / "host" / "mirror.git"
    repository = mirror.open_or_make(place, "https://example.com/x")
    for _ in range(2):  # once more changes nothing
        quarantine.keep(repository, [examined()])
        assert set(own(place)) == {*IDS.values(), *FILES}
        assert (place / "shallow").read_text() == f"{IDS['commit']}\n"
        assert len(list((place / "objects" / "pack").glob("*.pack"))) == 1
        assert not list((place / "objects" / "pack").glob("tmp_*"))
    log = run(place, "git", f"--git-dir={place}", "log", "--format=%H %P", IDS["commit"])
    assert log == f"{IDS['commit']} \n"


def test_a_commit_whose_parent_is_there_does_not_end_there(tmp_path: Path) -> None:
    place = tmp_path / "mirror.git"
    repository = mirror.open_or_make(place, "https://example.com/x")
    first = b"tree %s\nauthor %s\ncommitter %s\n\nOne\n" % (
        name("tree", FOLDER).encode(), WHO, WHO,
    )  # fmt: skip
    then = first.replace(b"\nauthor", b"\nparent %s\nauthor" % name("commit", first).encode(), 1)
    packs = [
        quarantine.examine(
            f"churn@v{n}.0.0", name("tag", of), name("commit", target),
            pack(entry("tag", of), entry("commit", target), *ENTRIES[2:]),
        )
        for n, target in ((1, first), (2, then))
        for of in [tag(target, b"churn@v%d.0.0" % n)]
    ]  # fmt: skip
    quarantine.keep(repository, packs)
    assert not (place / "shallow").exists()
    assert len(own(place)) == 6


# --- what is refused


def changed(position: int) -> bytes:
    data = bytearray(pack(*ENTRIES))
    data[position] ^= 1
    return bytes(data)


def packed_with(*more: bytes) -> bytes:
    return pack(*ENTRIES, *more)


LONGER = "an object in it is longer than it says"
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "it is cut short"),
    "cut short": (lambda: pack(*ENTRIES)[:-30], "it is cut short, or its bytes were changed"),
    "a bit": (lambda: changed(60), "it is cut short, or its bytes were changed"),
    "no pack": (lambda: b"PACX" + pack(*ENTRIES)[4:], "it is no pack"),
    "another version": (lambda: pack(*ENTRIES, version=3), "it is no pack"),
    "too few": (lambda: pack(*ENTRIES, count=5), "it has fewer objects than it says"),
    "too many": (lambda: pack(*ENTRIES, count=3), "it has bytes beside its objects"),
    "a count": (
        lambda: pack(*ENTRIES, count=4_000_000_000),
        "it has 4,000,000,000 objects; at most 100,000 are taken",
    ),
    "twice": (lambda: packed_with(ENTRIES[3]), "it has an object twice"),
    "a delta": (lambda: packed_with(entry(6, b"x")), "it has deltas, which are not taken"),
    "a delta by id": (lambda: packed_with(entry(7, b"x")), "it has deltas, which are not taken"),
    "a kind": (lambda: packed_with(entry(5, b"x")), "an object in it is out of form"),
    "a size": (lambda: packed_with(b"\xbf" + b"\xff" * 30), "an object in it is out of form"),
    "longer": (lambda: packed_with(entry("blob", b"xx", 1)), LONGER),
    "shorter": (lambda: packed_with(entry("blob", b"x", 2)), LONGER.replace("longer", "shorter")),
    "no zlib": (lambda: packed_with(b"\x31zzz"), "an object in it cannot be inflated"),
    "half": (lambda: packed_with(entry("blob", b"x" * 50)[:-6]), "an object in it is cut short"),
    "a bomb that says so": (
        lambda: packed_with(entry("blob", bytes(300 << 20))),
        "it has a blob of 314,572,800 bytes: more than is taken",
    ),
    "a bomb that does not": (
        lambda: packed_with(entry("blob", bytes(300 << 20), 1)),
        LONGER,
    ),
    "a folder that is one": (
        lambda: packed_with(entry("tree", b"", 17 << 20)),
        "it has a tree of 17,825,792 bytes: more than is taken",
    ),
    "a message that is one": (
        lambda: packed_with(entry("tag", b"", 2 << 20)),
        "it has a tag of 2,097,152 bytes: more than is taken",
    ),
    "many messages": (
        lambda: packed_with(*(entry("commit", b"%d" % n + bytes(1 << 19)) for n in range(20))),
        "its tags and commits have more than 4,194,304 bytes",
    ),
    "no tag": (lambda: pack(*ENTRIES[1:]), f"it lacks the object {IDS['object_id'][:10]}"),
    "no commit": (
        lambda: pack(ENTRIES[0], *ENTRIES[2:]), f"it lacks the object {IDS['commit'][:10]}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_pack_is_refused_in_little_memory(case: str) -> None:
    data, why = BAD[case][0](), BAD[case][1]
    tracemalloc.start()
    with pytest.raises(Corrupt) as caught:
        examined(data)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert caught.value.message == f"the capsule of churn@v1.0.0 is damaged: {why}"
    hint = "write it again where the model is released: tagship release churn --push --capsule"
    assert caught.value.hint == hint


def test_of_a_pack_that_waits_for_others_no_content_is_kept() -> None:
    held = examined()
    assert {each.content for each in held.objects.values()} == {b""}
    assert held.size == sum(map(len, (TAG, COMMIT, FOLDER, FILE)))


def test_what_is_inflated_altogether_is_bounded() -> None:
    size = sum(map(len, (TAG, COMMIT, FOLDER, FILE)))
    assert packed.read(pack(*ENTRIES), size)
    with pytest.raises(BadPack, match="more than is taken"):
        packed.read(pack(*ENTRIES), size - 1)


def of(data: bytes, kind: str = "tag") -> dict[str, str]:
    return {"object_id": name(kind, data)}


OTHER = COMMIT.replace(b"Train", b"Other")
ON_FILE = b"object %s\ntype blob\ntag churn@v1.0.0\ntagger %s\n\n" % (
    name("blob", FILE).encode(),
    WHO,
)
NESTED = tag(TAG, kind=b"tag")
NOT_THE = f"is no annotated tag of the commit {IDS['commit'][:10]}"
TAGS: dict[str, tuple[bytes, dict[str, str], str]] = {
    "another name": (
        pack(entry("tag", tag(COMMIT, b"churn@v2.0.0")), *ENTRIES[1:]),
        of(tag(COMMIT, b"churn@v2.0.0")),
        "its tag has another name: 'churn@v2.0.0'",
    ),
    "another commit": (
        pack(entry("tag", tag(OTHER)), entry("commit", OTHER), *ENTRIES[1:]),
        of(tag(OTHER)),
        f"{name('tag', tag(OTHER))[:10]} {NOT_THE}",
    ),
    "a tag": (
        pack(entry("tag", NESTED), *ENTRIES),
        of(NESTED),
        f"{name('tag', NESTED)[:10]} {NOT_THE}",
    ),
    "of a file": (
        pack(entry("tag", ON_FILE), *ENTRIES[1:]),
        of(ON_FILE),
        f"{name('tag', ON_FILE)[:10]} {NOT_THE}",
    ),
    "the commit": (pack(*ENTRIES), of(COMMIT, "commit"), f"{IDS['commit'][:10]} {NOT_THE}"),
    "no commit": (
        pack(entry("tag", tag(b"x\n")), entry("commit", b"x\n")),
        {**of(tag(b"x\n")), "commit": name("commit", b"x\n")},
        f"the commit {name('commit', b'x' + bytes([10]))[:10]} is out of form",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TAGS)
def test_a_pack_has_the_tag_and_the_commit_that_it_says(case: str) -> None:
    data, ids, why = TAGS[case]
    with pytest.raises(Corrupt) as caught:
        examined(data, **ids)
    assert caught.value.message == f"the capsule of churn@v1.0.0 is damaged: {why}"


def test_what_nobody_needs_is_refused_and_what_is_missing() -> None:
    more = entry("blob", b"a stranger\n")
    with pytest.raises(Refused) as caught:
        examined(pack(*ENTRIES, more)).check(FILES)
    stranger = name("blob", b"a stranger\n")[:10]
    assert caught.value.message == (
        f"the capsule of churn@v1.0.0 has 1 objects that it does not need, such as {stranger}"
    )
    with pytest.raises(Corrupt) as missing:
        examined(pack(*ENTRIES[:3])).check(FILES)
    assert missing.value.message == (
        "the capsule of churn@v1.0.0 is damaged: 1 objects are missing, such as"
        f" {name('blob', FILE)[:10]}"
    )


ODD = {
    "a time zone": COMMIT.replace(b"+0000", b"+051800"),
    "a date": COMMIT.replace(b"1700000000", b"01700000000"),
    "no address": COMMIT.replace(b"Ada <ada@example.com>", b"Ada"),
    "two authors": COMMIT.replace(b"committer", b"author %s\ncommitter" % WHO),
}


@pytest.mark.parametrize("case", ODD)
def test_what_some_git_wrote_and_every_git_reads_is_taken(case: str, tmp_path: Path) -> None:
    odd = ODD[case]
    data = pack(entry("tag", tag(odd)), entry("commit", odd), *ENTRIES[2:])
    one = examined(data, **of(tag(odd)), commit=name("commit", odd))
    with quarantine.hold([one], tmp_path / "mirror.git") as repository:
        assert len(own(repository.top)) == 4


TREES = {
    "..": (tree(**{"..": "1" * 40}), "hasDotdot"),
    ".git": (tree(**{".git": "1" * 40}), "hasDotgit"),
    "a slash": (tree(**{"a/b": "1" * 40}), "fullPathname"),
    "twice": (tree(a="1" * 40) * 2, "duplicateEntries"),
    "not sorted": (tree(b="1" * 40, a="1" * 40), "treeNotSorted"),
    "no tree": (b"100644 a", "too-short tree object"),
}


@pytest.mark.parametrize("case", TREES)
def test_folders_that_no_git_writes_are_refused(case: str, tmp_path: Path) -> None:
    folder, word = TREES[case]
    commit = COMMIT.replace(name("tree", FOLDER).encode(), name("tree", folder).encode())
    data = pack(entry("tag", tag(commit)), entry("commit", commit), entry("tree", folder))
    one = examined(data, **of(tag(commit)), commit=name("commit", commit))
    place = tmp_path / "mirror.git"
    with pytest.raises(Corrupt) as caught, quarantine.hold([one], place):
        pytest.fail("it was taken")
    assert caught.value.message.startswith("the capsule of churn@v1.0.0 is damaged: ")
    assert word in caught.value.message
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_a_full_disk_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "mirror.git"
    repository = mirror.open_or_make(place, "https://example.com/x")
    limit = quarantine.INDEX.__class__(silence=9, total=9, file=512)
    monkeypatch.setattr(quarantine, "INDEX", limit)
    noise = os.urandom(4096)
    data = pack(*ENTRIES, entry("blob", noise))
    with pytest.raises(TagshipError):
        quarantine.keep(repository, [examined(data)])
    assert own(place) == []
    assert not (place / "shallow").exists()


@given(st.dictionaries(st.binary(max_size=70), st.just(None), min_size=1, max_size=20))
def test_a_pack_that_is_written_is_read_again(blobs: dict[bytes, None]) -> None:
    objects = packed.read(pack(*(entry("blob", each) for each in blobs)))
    assert {each.id for each in objects.values()} == {name("blob", each) for each in blobs}
    assert packed.read(packed.write([*objects.values(), *objects.values()])) == objects


@given(st.binary(max_size=300))
def test_no_bytes_make_another_error(data: bytes) -> None:
    for noise in (data, pack(data), pack(*ENTRIES[:2], data, count=3)):
        try:
            packed.read(noise)
        except BadPack:
            continue


def test_git_reads_what_is_written(tmp_path: Path) -> None:
    objects = packed.read(pack(*ENTRIES))
    done = subprocess.run(
        ["git", "index-pack", "--stdin", "--fsck-objects"], input=packed.write(objects.values()),
        cwd=mirror.make_empty(tmp_path / "x"), check=True, capture_output=True,
    )  # fmt: skip
    assert done.stdout.startswith(b"pack\t")
