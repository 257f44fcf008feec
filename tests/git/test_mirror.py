"""A mirror of the tags of a server, which may be gone, slow, set back or hostile."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tagship.errors import Locked, NoAnswer, NotFound, Refused, Unavailable
from tagship.git import bounded, commits, mirror
from tagship.git.bounded import Limit, TooMuch
from tagship.git.mirror import Changes
from tagship.git.run import Repository
from tagship.git.tree import Blobs, MissingBlobs
from tagship.registry import tags
from tests.git import smart_http
from tests.git.smart_http import Handler, Server
from tests.workbench import copy_tree, run

CHURN = ("churn@*", "churn#*")
FILES = {"dvc.yaml": "artifacts: {}\n", "models/churn.dvc": "outs: []\n", "params.yaml": "a: 1\n"}
QUICK = Limit(silence=20, total=60, traffic=20 << 20)


@dataclass(frozen=True)
class Origin:
    """A bare repository that is mirrored, and the mirror of a host."""

    folder: Path

    @property
    def top(self) -> Path:
        return self.folder / "origin.git"

    @property
    def url(self) -> str:
        return f"file://{self.top}"

    @property
    def place(self) -> Path:
        return self.folder / "host" / ".tagship" / "mirror.git"

    def git(self, *arguments: str) -> str:
        return run(self.top, "git", *arguments).strip()

    def tag(self, name: str, at: str = "main", message: str = "a tag") -> None:
        self.git("tag", "--force", "--annotate", "--message", message, name, at)

    def fetch(self, *patterns: str, url: str = "", limit: Limit = QUICK) -> Changes:
        """Open the mirror, or make it, and fetch."""
        address = url or self.url
        repository = mirror.open_or_make(self.place, address, plain=True)
        return mirror.fetch(repository, address, patterns or CHURN, self.told.append, limit)

    @property
    def told(self) -> list[str]:
        return TOLD

    def kept(self) -> dict[str, str]:
        """What was ever seen: the id by the name of the tag."""
        return refs(self.place, "refs/tags")

    def here(self) -> dict[str, str]:
        """The same of the server."""
        return {n: i for n, i in refs(self.top, "refs/tags").items() if n.startswith("churn")}


TOLD: list[str] = []


def refs(top: Path, below: str) -> dict[str, str]:
    form = "--format=%(refname:strip=2) %(objectname)"
    command = ("git", f"--git-dir={top}", "for-each-ref", form, below)
    done = subprocess.run(command, capture_output=True, check=True)
    lines = os.fsdecode(done.stdout).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines)
    return dict(pairs)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server with two versions and a stage of churn, and a version of another model."""
    folder = tmp_path_factory.mktemp("mirror")
    work = folder / "work"
    who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for part in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{part}_NAME": "Ada", f"GIT_{part}_EMAIL": "ada@example.com"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in who.items():
            patch.setenv(name, value)
        run(folder, "git", "init", "--quiet", "--initial-branch=main", "work")
        for version in ("1.0.0", "1.1.0"):
            for name, text in FILES.items():
                (work / name).parent.mkdir(exist_ok=True)
                (work / name).write_text(text + f"# {version}\n")
            run(work, "git", "add", "--all")
            run(work, "git", "commit", "--quiet", "--message", version)
            run(work, "git", "tag", "--annotate", "--message", version, f"churn@v{version}")
        run(work, "git", "tag", "--annotate", "--message", "up", "churn#prod#1")
        run(work, "git", "tag", "--annotate", "--message", "other", "other@v1.0.0")
        run(folder, "git", "clone", "--quiet", "--bare", "--template=", "work", "origin.git")
        run(folder / "origin.git", "git", "config", "uploadpack.allowFilter", "true")
        run(folder / "origin.git", "git", "pack-refs", "--all")
    shutil.rmtree(work)
    return folder


@pytest.fixture
def origin(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    copy_tree(str(made / "origin.git"), str(tmp_path / "origin.git"))
    for part in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{part}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{part}_EMAIL", "ada@example.com")
    TOLD.clear()
    return Origin(tmp_path)


@pytest.fixture
def http(origin: Origin) -> Iterator[Server]:
    with smart_http.serve(origin.folder) as server:
        yield server


def web(server: Server) -> str:
    return f"{server.address}/origin.git"


# --- what a fetch brings


def test_a_first_fetch_brings_the_tags_of_a_model_and_no_blob(origin: Origin) -> None:
    changes = origin.fetch()
    assert changes == Changes(("churn#prod#1", "churn@v1.0.0", "churn@v1.1.0"))
    assert origin.kept() == origin.here()
    kinds = run(origin.place, "git", "cat-file", "--batch-all-objects", "--batch-check")
    assert " blob " not in kinds
    assert sorted(path.name for path in origin.place.iterdir()) == [
        "HEAD", "config", "objects", "packed-refs", "refs",
    ]  # fmt: skip


def test_over_http_it_is_the_same(origin: Origin, http: Server) -> None:
    origin.fetch(url=web(http))
    assert origin.kept() == origin.here()


def test_over_ssh_it_is_the_same(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = origin.folder / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    for address in (f"ssh://git@git.example.com{origin.top}", f"git.example.com:{origin.top}"):
        assert len(origin.fetch(url=address).new) == 3
        assert origin.kept() == origin.here()
        shutil.rmtree(origin.place)


def test_nothing_new_is_one_fetch_and_one_question(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.fetch()
    trace = origin.folder / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    assert origin.fetch() == Changes()
    begun = [line for line in trace.read_text().splitlines() if '"event":"cmd_name"' in line]
    names = [line.partition('"name":"')[2].partition('"')[0] for line in begun]
    assert names == ["fetch", "upload-pack", "for-each-ref"]


def test_a_new_release_is_new_once(origin: Origin) -> None:
    origin.fetch()
    origin.tag("churn@v1.2.0")
    assert origin.fetch() == Changes(("churn@v1.2.0",))
    assert origin.fetch() == Changes()
    assert origin.kept() == origin.here()


def test_another_model_is_not_fetched_until_it_is_followed(origin: Origin) -> None:
    origin.fetch()
    assert origin.fetch("other@*", "other#*") == Changes(("other@v1.0.0",))
    assert origin.fetch() == Changes()
    assert "other@v1.0.0" in origin.kept()


def test_no_pattern_of_two_models_takes_what_is_of_the_other(origin: Origin) -> None:
    origin.tag("churn-b@v1.0.0")
    assert "churn-b@v1.0.0" not in origin.fetch().new


@pytest.mark.parametrize(
    "name",
    [
        "churn@$(id>pwned)`id>pwned`", "churn#'\"", "churn@é-ü", "churn@\udcff", "churn#-rf",
        "churn#a/b/c#1", "churn@v1.0.0-rc.1+x", "churn#;&|<>%00", "churn#" + "x" * 240,
    ],
)  # fmt: skip
def test_a_strange_name_is_a_name(origin: Origin, name: str) -> None:
    a_tag = origin.git("rev-parse", "churn@v1.1.0")
    origin.git("update-ref", "--end-of-options", f"refs/tags/{name}", a_tag)
    assert name in origin.fetch().new
    assert origin.kept()[name] == a_tag
    assert origin.fetch() == Changes()
    assert not list(origin.folder.rglob("pwned"))


# --- a server that takes back, moves, hides


def test_what_a_server_removes_stays(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    origin.git("tag", "--delete", "churn@v1.1.0")
    for _ in range(2):
        assert origin.fetch() == Changes(vanished=("churn@v1.1.0",))
        assert origin.kept() == before


def test_a_server_that_is_set_back_changes_nothing(origin: Origin) -> None:
    copy_tree(str(origin.top), str(origin.folder / "old"))
    origin.tag("churn@v1.2.0")
    origin.tag("churn#prod#2")
    origin.fetch()
    before = origin.kept()
    shutil.rmtree(origin.top)
    (origin.folder / "old").rename(origin.top)
    assert origin.fetch() == Changes(vanished=("churn#prod#2", "churn@v1.2.0"))
    assert origin.kept() == before


def test_a_server_that_hides_all_tags_changes_nothing(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    origin.git("config", "transfer.hideRefs", "refs/tags")
    assert origin.fetch().vanished == tuple(sorted(before))
    assert origin.kept() == before
    origin.git("config", "--unset", "transfer.hideRefs")
    assert origin.fetch() == Changes()


def test_a_moved_tag_keeps_its_first_object(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    origin.tag("churn@v1.1.0", "main~1", "moved")
    origin.tag("churn@v1.2.0")
    assert origin.fetch() == Changes(new=("churn@v1.2.0",), moved=("churn@v1.1.0",))
    assert origin.fetch() == Changes(moved=("churn@v1.1.0",))
    assert {name: origin.kept()[name] for name in before} == before


def test_a_tag_that_comes_back_is_neither_new_nor_moved(origin: Origin) -> None:
    origin.fetch()
    was = origin.git("rev-parse", "churn@v1.1.0")
    origin.git("tag", "--delete", "churn@v1.1.0")
    origin.fetch()
    origin.git("update-ref", "refs/tags/churn@v1.1.0", was)
    assert origin.fetch() == Changes()


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a")])
def test_a_folder_where_a_tag_was_hinders_no_other(origin: Origin, first: str, second: str) -> None:
    origin.tag(f"churn#{first}")
    origin.fetch()
    before = origin.kept()
    origin.git("tag", "--delete", f"churn#{first}")
    origin.tag(f"churn#{second}")
    origin.tag("churn@v1.2.0")
    after = Changes(vanished=(f"churn#{first}",), impossible=(f"churn#{second}",))
    assert origin.fetch() == Changes(("churn@v1.2.0",), (), after.vanished, after.impossible)
    assert origin.fetch() == after
    assert {name: origin.kept()[name] for name in before} == before


def test_what_differs_is_a_comparison_of_two_lists() -> None:
    seen = {"a": "1", "b": "2", "c/d": "3", "e": "4", "f/g": "5", "f/h/i": "6"}
    kept = {"a": "1", "b": "9", "c": "3", "e/x": "4", "f/h": "7", "z": "8"}
    changes = Changes(("f/g",), ("b",), ("c", "e/x", "f/h", "z"), ("c/d", "e", "f/h/i"))
    assert mirror.compare(seen, kept) == replace(changes, lost=("b", "c", "e/x", "f/h", "z"))
    of_one = [{f"m#{name}": i for name, i in tags.items()} for tags in (seen, kept)]
    assert mirror.compare(*of_one).lost == ()  # a is as it was


def test_what_is_new_beside_nothing_that_was_seen_is_foreign() -> None:
    kept = {"m@v1": "1", "m#prod#1": "2", "n@v1": "3"}
    seen = {"m@v1": "9", "m@v2": "8", "n@v1": "3", "n@v2": "7", "o@v1": "6"}
    lost = ("m#prod#1", "m@v1")
    changes = Changes(("n@v2", "o@v1"), ("m@v1",), ("m#prod#1",), foreign=("m@v2",), lost=lost)
    assert mirror.compare(seen, kept) == changes


def test_a_redirect_is_not_followed(origin: Origin, http: Server) -> None:
    with smart_http.serve(origin.folder) as other:

        def elsewhere(handler: Handler, answer: bytes) -> bool:
            handler.send_response(302)
            handler.send_header("Location", f"{other.address}{handler.path}")
            handler.end_headers()
            return True

        http.misbehave = elsewhere
        with pytest.raises(Unavailable) as caught:
            origin.fetch(url=web(http))
        assert other.asked == []
    assert caught.value.hint == "the server names another address: use that one"


def test_a_server_that_asks_for_a_password_is_told_with_what_gives_one(
    origin: Origin, http: Server
) -> None:
    def ask(handler: Handler, answer: bytes) -> bool:
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", "Basic")
        handler.end_headers()
        return True

    http.misbehave = ask
    with pytest.raises(Unavailable, match="terminal prompts disabled") as caught:
        origin.fetch(url=web(http))
    log_in = "log in with a credential helper: git config --global credential.helper store"
    assert caught.value.hint == f"{log_in} && git ls-remote --heads {web(http)}"


def showing_also(*names: bytes) -> smart_http.Misbehave:
    """Show tags that no server of Git has."""

    def misbehave(handler: Handler, answer: bytes) -> bool:
        head, _, content = answer.partition(b"\r\n\r\n")
        if b" refs/tags/" not in content:
            return False
        identity = content.partition(b" refs/tags/")[0][-40:]
        more = b"".join(line(identity + b" refs/tags/" + name + b"\n") for name in names)
        handler.reply(head + b"\r\n\r\n" + more + content)
        return True

    return misbehave


@pytest.mark.parametrize("name", [b"churn@../x", b"churn@v1.lock", b"churn@\x1b[2J"])
def test_a_name_that_git_cannot_have_is_passed_over(
    origin: Origin, http: Server, name: bytes
) -> None:
    http.misbehave = showing_also(name)
    with contextlib.suppress(Unavailable):
        origin.fetch(url=web(http))
    assert origin.kept().items() <= origin.here().items()
    http.misbehave = lambda _handler, _answer: False
    origin.fetch(url=web(http))
    assert origin.kept() == origin.here()


@pytest.mark.parametrize("depth", [700, 2500])  # a name that a mirror can keep; and a longer one
def test_a_tag_in_many_folders_leaves_none_that_cannot_be_walked_through(
    origin: Origin, http: Server, depth: int
) -> None:
    origin.fetch(url=web(http))
    http.misbehave = showing_also(b"churn#" + b"a/" * depth + b"b")
    with contextlib.suppress(Unavailable):
        origin.fetch(url=web(http))
    assert max(len(path.relative_to(origin.place).parts) for path in origin.place.rglob("*")) < 50
    http.misbehave = lambda _handler, _answer: False
    assert not origin.fetch(url=web(http)).new


def test_a_tag_and_a_folder_of_its_name_at_once_are_told_and_change_nothing_wrong(
    origin: Origin, http: Server
) -> None:
    origin.fetch(url=web(http))
    before = origin.kept()
    http.misbehave = showing_also(b"churn#a", b"churn#a/b")
    with pytest.raises(Unavailable):
        origin.fetch(url=web(http))
    assert origin.kept() == before
    http.misbehave = lambda _handler, _answer: False
    assert origin.fetch(url=web(http)) == Changes()


def test_no_pattern_fetches_nothing(origin: Origin, http: Server) -> None:
    repository = mirror.open_or_make(origin.place, web(http), plain=True)
    assert mirror.fetch(repository, web(http), ()) == Changes()
    assert http.asked == []


def test_a_server_with_other_objects_is_told(origin: Origin) -> None:
    shutil.rmtree(origin.top)
    run(origin.folder, "git", "init", "--quiet", "--bare", "--object-format=sha256", "origin.git")
    tree = origin.git("hash-object", "-t", "tree", "-w", os.devnull)
    origin.git("tag", "churn@v1.0.0", origin.git("commit-tree", "-m", "first", tree))
    with pytest.raises(Unavailable, match="sha256"):
        origin.fetch()


# --- a server that sends without end, or stops


def line(data: bytes) -> bytes:
    return f"{len(data) + 4:04x}".encode() + data


def endless_refs(write: Callable[[bytes], object]) -> None:
    for number in range(1 << 30):
        write(b"".join(line(b"%040x refs/tags/churn@v%d.0.%d" % (1, number, n)) for n in range(99)))


def endless_pack(write: Callable[[bytes], object]) -> None:
    write(line(b"\x01PACK" + (2).to_bytes(4, "big") + b"\0\x0f\xff\xff"))
    size = 60_000
    header = bytes([0xB0 | size & 15, 0x80 | size >> 4 & 127, size >> 11])
    while True:
        write(line(b"\x01" + header + zlib.compress(os.urandom(size), 0)))


def endless_words(write: Callable[[bytes], object]) -> None:
    while True:
        write(line(b"\x02" + b"still counting\n" * 4000))


@pytest.mark.parametrize("endless", [endless_refs, endless_pack, endless_words])
def test_a_server_that_sends_without_end_is_cut_off(
    origin: Origin, http: Server, endless: Callable[[Callable[[bytes], object]], None]
) -> None:
    origin.fetch(url=web(http))
    before = origin.kept()
    origin.tag("churn@v1.2.0")

    def misbehave(handler: Handler, answer: bytes) -> bool:
        asked = b"refs/tags/" in answer if endless is endless_refs else b"packfile" in answer
        if asked:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/x-git-upload-pack-result")
            handler.end_headers()
            before, packfile, _ = answer.partition(b"\r\n\r\n")[2].partition(b"packfile\n")
            handler.wfile.write((before + packfile) if packfile else b"")
            endless(handler.wfile.write)
        return asked

    http.misbehave = misbehave
    with pytest.raises(TooMuch) as caught:
        origin.fetch(url=web(http))
    assert caught.value.message.startswith(f"{web(http)} sends too much: Git was ended after ")
    assert caught.value.hint == f"check its address: git ls-remote --heads {web(http)}"
    assert origin.kept() == before
    assert packs(origin) == {".idx", ".pack", ".promisor"}
    http.misbehave = lambda _handler, _answer: False
    assert origin.fetch(url=web(http)) == Changes(("churn@v1.2.0",))
    assert packs(origin) == {".idx", ".pack", ".promisor"}


def object_without_end(kind: int, size: int) -> Callable[[Callable[[bytes], object]], None]:
    """A pack with an object of that size, which comes as a few bytes: it is all zeros."""

    def send(write: Callable[[bytes], object]) -> None:
        bits, header = size >> 4, bytes([kind << 4 | size & 15 | 0x80])
        while bits:
            header, bits = header + bytes([bits & 127 | (0x80 if bits >> 7 else 0)]), bits >> 7
        write(line(b"\x01PACK" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + header))
        squeezed = zlib.compressobj()
        while piece := squeezed.compress(bytes(1 << 20)) + squeezed.flush(zlib.Z_SYNC_FLUSH):
            write(line(b"\x01" + piece))

    return send


COMMIT, TREE, TAG = 1, 2, 4  # types of objects in a pack: gitformat-pack(5)
HARD = Limit(silence=60, total=120, file=1 << 20, memory=1 << 29)


@pytest.mark.parametrize(
    ("send", "of"),
    [
        (endless_pack, "1,048,576 bytes of a file"),
        (object_without_end(TAG, 3 << 30), "536,870,912 bytes of memory"),
        (object_without_end(TREE, 3 << 30), "536,870,912 bytes of memory"),
        (object_without_end(COMMIT, 1 << 50), "536,870,912 bytes of memory"),
    ],
    ids=["a pack", "a tag", "a tree", "a commit"],
)
def test_what_has_no_end_is_cut_off_though_nobody_looks(
    origin: Origin, http: Server, send: Callable[[Callable[[bytes], object]], None], of: str
) -> None:
    origin.fetch(url=web(http))
    before = origin.kept()
    origin.tag("churn@v1.2.0")

    def misbehave(handler: Handler, answer: bytes) -> bool:
        if b"packfile" in answer:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/x-git-upload-pack-result")
            handler.end_headers()
            head = answer.partition(b"\r\n\r\n")[2].partition(b"packfile\n")
            handler.wfile.write(head[0] + head[1])
            send(handler.wfile.write)
        return b"packfile" in answer

    http.misbehave = misbehave
    with pytest.raises(TooMuch) as caught:
        origin.fetch(url=web(http), limit=HARD)
    assert caught.value.message == f"{web(http)} sends too much: Git was ended at {of}"
    assert origin.kept() == before
    assert packs(origin) == {".idx", ".pack", ".promisor"}
    http.misbehave = lambda _handler, _answer: False
    assert origin.fetch(url=web(http)) == Changes(("churn@v1.2.0",))


def test_a_fetch_that_ends_sooner_than_a_look_is_bounded_too(origin: Origin) -> None:
    origin.fetch()
    origin.tag("churn@v1.2.0", message=os.urandom(60_000).hex())
    with pytest.raises(TooMuch, match="16,384 bytes of a file"):
        origin.fetch(limit=Limit(silence=20, total=60, file=1 << 14))
    assert origin.fetch().new == ("churn@v1.2.0",)


def test_without_git_a_bounded_fetch_says_so(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.fetch()
    (origin.folder / "bin").mkdir()
    (origin.folder / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(origin.folder / "bin"))
    with pytest.raises(Unavailable, match="git is not installed"):
        origin.fetch(limit=HARD)


def packs(origin: Origin) -> set[str]:
    """The kinds of files beside the packs."""
    return {path.suffix for path in (origin.place / "objects" / "pack").iterdir()}


def cut_at(size: int) -> smart_http.Misbehave:
    """Send so many bytes of a pack, and end the connection."""

    def misbehave(handler: Handler, answer: bytes) -> bool:
        if b"packfile" in answer:
            handler.reply(answer, size)
        return b"packfile" in answer

    return misbehave


@pytest.mark.parametrize("size", [0, 20, 200, 900])
def test_a_link_that_is_cut_changes_nothing_and_the_next_fetch_goes_on(
    origin: Origin, http: Server, size: int
) -> None:
    http.misbehave = cut_at(size)
    with pytest.raises(Unavailable):
        origin.fetch(url=web(http))
    assert origin.kept() == {}
    http.misbehave = lambda _handler, _answer: False
    assert len(origin.fetch(url=web(http)).new) == 3
    assert origin.kept() == origin.here()


def test_a_silent_server_is_ended_and_named(origin: Origin, http: Server) -> None:
    over = threading.Event()
    http.misbehave = lambda _handler, _answer: over.wait(60)
    with pytest.raises(NoAnswer) as caught:
        origin.fetch(url=web(http), limit=Limit(silence=0.5, total=60))
    over.set()
    assert caught.value.message == f"{web(http)} did not answer within 0.5 seconds"


def test_a_person_is_told_whom_a_fetch_waits_for(
    origin: Origin, http: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "SLOW", 0.1)
    over = threading.Event()
    http.misbehave = lambda _handler, _answer: over.wait(60)
    with pytest.raises(NoAnswer):
        origin.fetch(url=web(http), limit=Limit(silence=0.7, total=60))
    over.set()
    assert origin.told == [f"waiting for {web(http)}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_loses_nothing_and_is_told(origin: Origin) -> None:
    host = origin.folder / "host"
    host.mkdir()
    try:
        run(host, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(host))
    except AssertionError:
        pytest.skip("no file system can be mounted here")
    try:
        origin.fetch()
        before = origin.kept()
        origin.tag("churn@v1.2.0", message=os.urandom(60_000).hex())
        with pytest.raises(Unavailable, match="No space left on device") as caught:
            origin.fetch()
        assert caught.value.hint == f"make room: df -h {origin.place}"
        assert origin.kept() == before
        assert packs(origin) == {".idx", ".pack", ".promisor"}
        run(host, "mount", "-o", "remount,size=4m", str(host))
        assert origin.fetch() == Changes(("churn@v1.2.0",))
    finally:
        run(origin.folder, "umount", str(host))


FETCH = """
import sys
from pathlib import Path
from tagship.git import mirror
place, url = Path(sys.argv[1]), sys.argv[2]
mirror.fetch(mirror.open_or_make(place, url, plain=True), url, ["churn@*", "churn#*"])
"""


def started(origin: Origin, url: str) -> "subprocess.Popen[bytes]":
    """A process that fetches, with all that it starts in a group of its own."""
    path = {"PYTHONPATH": str(Path(mirror.__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(origin.place), url], env={**os.environ, **path},
        start_new_session=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_what_a_killed_fetch_leaves_is_removed_by_the_next(origin: Origin, http: Server) -> None:
    halfway, over = threading.Event(), threading.Event()

    def stop_halfway(handler: Handler, answer: bytes) -> bool:
        if b"packfile" not in answer:
            return False
        handler.reply(answer, 700)
        handler.wfile.flush()
        halfway.set()
        return over.wait(60)

    http.misbehave = stop_halfway
    process = started(origin, web(http))
    assert halfway.wait(60)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    over.set()
    (origin.place / "objects" / "pack" / "tmp_pack_Ab12Cd").write_bytes(b"PACK")
    (origin.place / "packed-refs.lock").write_bytes(b"")
    http.misbehave = lambda _handler, _answer: False
    assert len(origin.fetch(url=web(http)).new) == 3
    assert packs(origin) == {".idx", ".pack", ".promisor"}
    assert not list(origin.place.rglob("*.lock"))
    assert origin.told == []


@pytest.mark.parametrize(
    "name",
    [
        "packed-refs.lock", "packed-refs.new", "shallow.lock",
        "refs/seen/churn@v1.1.0.lock", "refs/seen/churn@v1.2.0.lock", "refs/tags/churn@v1.2.0.lock",
    ],
)  # fmt: skip
def test_a_lock_that_a_killed_git_left_hinders_nobody(origin: Origin, name: str) -> None:
    origin.fetch()
    origin.tag("churn@v1.2.0")
    (origin.place / name).parent.mkdir(parents=True, exist_ok=True)
    (origin.place / name).write_bytes(b"")
    origin.git("tag", "--delete", "churn@v1.1.0")
    assert origin.fetch() == Changes(("churn@v1.2.0",), vanished=("churn@v1.1.0",))
    assert not [*origin.place.rglob("*.lock"), *origin.place.glob("*.new")]


def test_a_lock_of_a_git_that_is_at_work_stays(origin: Origin) -> None:
    origin.fetch()
    origin.tag("churn@v1.2.0")
    lock = origin.place / "refs" / "seen" / "churn@v1.2.0.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_bytes(b"")
    with subprocess.Popen(["cat"], cwd=origin.place, stdin=subprocess.PIPE) as worker:
        with pytest.raises(Unavailable, match=r"File exists|cannot lock ref"):
            origin.fetch()
        assert lock.exists()
        worker.kill()
    assert origin.fetch().new == ("churn@v1.2.0",)


def test_of_two_fetches_at_once_one_waits(origin: Origin, http: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(origin.fetch, url=web(http)) for _ in range(2)]
    assert sorted(len(each.result().new) for each in both) == [0, 3]
    assert origin.kept() == origin.here()


def test_a_fetch_that_waits_in_vain_says_so(origin: Origin) -> None:
    repository = mirror.open_or_make(origin.place, origin.url)
    with (origin.place.parent / "mirror.git.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Locked) as caught:
            mirror.fetch(repository, origin.url, CHURN, limit=Limit(silence=0.3))
    assert caught.value.message == f"another process fetches into {origin.place}"


# --- a mirror that is gone, damaged, or of another


def test_a_mirror_that_was_removed_is_made_anew(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    shutil.rmtree(origin.place)
    assert origin.fetch().new == tuple(sorted(before))
    assert origin.kept() == before


def spoil_pack(place: Path) -> None:
    (pack,) = (place / "objects" / "pack").glob("*.pack")
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 8] = b"\0" * 8
    pack.write_bytes(data)


def cut_pack(place: Path) -> None:
    (pack,) = (place / "objects" / "pack").glob("*.pack")
    pack.chmod(0o600)
    os.truncate(pack, 100)


def remove(name: str) -> Callable[[Path], None]:
    def spoil(place: Path) -> None:
        path = place / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    spoil.__name__ = f"no_{name}"
    return spoil


def fill(name: str, data: bytes) -> Callable[[Path], None]:
    def spoil(place: Path) -> None:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)

    spoil.__name__ = f"bad_{name}"
    return spoil


def make_file(place: Path) -> None:
    shutil.rmtree(place)
    place.write_bytes(b"no folder")


def make_link(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")


SPOILED = [
    spoil_pack, cut_pack, remove("HEAD"), remove("config"), remove("objects"), remove("refs"),
    remove("packed-refs"), fill("packed-refs", b"\0\1\2 no refs\n"), fill("HEAD", b""),
    fill("config", b"[core\n"), fill("config", b"[core]\n\tsshCommand = touch pwned\n"),
    fill("refs/tags/churn@v1.2.0", b""), fill("refs/seen/churn@v1.1.0", b""), make_file, make_link,
]  # fmt: skip


def test_an_old_commit_with_a_bad_time_zone_is_no_damage(origin: Origin) -> None:
    commit = origin.git("cat-file", "commit", "main").replace(" +0000\n", " +051800\n")
    words = ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    made = subprocess.run(
        words, cwd=origin.top, input=f"{commit}\n", text=True, check=True, capture_output=True
    )
    origin.tag("churn@v0.1.0", made.stdout.strip())
    origin.fetch()
    assert "churn@v0.1.0" in origin.kept()
    assert not mirror.repair(mirror.of(origin.place), origin.url, CHURN)


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_mirror_that_is_damaged_is_whole_after_the_next_release(
    origin: Origin, spoil: Callable[[Path], None]
) -> None:
    origin.fetch()
    spoil(origin.place)
    origin.tag("churn@v1.2.0")
    origin.fetch()
    repository = mirror.of(origin.place)
    mirror.repair(repository, origin.url, CHURN)  # what a reader calls that meets the damage
    origin.fetch()
    assert origin.kept() == origin.here()
    assert len(tags.read(mirror.of(origin.place), "churn")) == 4
    for commit in ("churn@v1.0.0", "churn@v1.2.0"):
        assert commits.commit(repository, f"refs/tags/{commit}").author == "Ada <ada@example.com>"
    left = [path.name for path in origin.place.parent.iterdir() if path.name != "elsewhere"]
    assert sorted(left) == ["mirror.git", "mirror.git.lock"]


@pytest.mark.parametrize("spoil", [spoil_pack, cut_pack], ids=lambda spoil: spoil.__name__)
def test_a_damaged_mirror_remembers_what_it_can_still_read(
    origin: Origin, spoil: Callable[[Path], None]
) -> None:
    origin.fetch()
    spoil(origin.place)
    moved = origin.kept()["churn@v1.0.0"]
    origin.tag("churn@v1.2.0")
    origin.fetch()
    origin.git("tag", "--delete", "churn@v1.1.0")
    origin.tag("churn@v1.2.0", "main~1", "moved")
    repository = mirror.open_or_make(origin.place, origin.url)
    mirror.repair(repository, origin.url, CHURN, origin.told.append)
    changes = origin.fetch()
    assert "churn@v1.2.0" in changes.moved
    assert origin.kept()["churn@v1.0.0"] == moved
    assert any(text.startswith("the mirror was damaged, and was fetched anew") for text in TOLD)


def test_a_commit_that_cannot_be_read_is_told_with_what_helps(origin: Origin) -> None:
    origin.fetch()
    commit = origin.git("rev-parse", "main")
    cut_pack(origin.place)
    with pytest.raises(Unavailable) as caught:
        Blobs(mirror.of(origin.place)).read(commit, "dvc.yaml")
    assert caught.value.message.startswith(f"Git cannot read the files of commit {commit[:10]}: ")
    assert caught.value.hint == f"fetch it again: rm -r {origin.place} && tagship fetch"


def test_a_mirror_that_is_whole_is_not_made_anew(origin: Origin) -> None:
    origin.fetch()
    before = origin.place.stat().st_ino
    assert not mirror.repair(mirror.of(origin.place), origin.url, CHURN)
    assert origin.place.stat().st_ino == before


def test_a_server_that_fails_leaves_a_damaged_mirror_as_it_is(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    cut_pack(origin.place)
    origin.top.rename(origin.folder / "away")
    with pytest.raises(Unavailable):
        origin.fetch()
    assert origin.kept() == before
    assert sorted(path.name for path in origin.place.parent.iterdir()) == [
        "mirror.git", "mirror.git.lock",
    ]  # fmt: skip


# --- another address


def at_another_address(origin: Origin) -> Origin:
    """A copy of the server, by another address, which has forgotten a version."""
    (origin.folder / "other").mkdir()
    copy_tree(str(origin.top), str(origin.folder / "other" / "origin.git"))
    other = Origin(origin.folder / "other")
    other.git("tag", "--delete", "churn@v1.1.0")
    return other


def test_what_was_seen_at_another_address_stays(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    other = at_another_address(origin)
    other.tag("churn@v1.2.0")
    for url in (other.url, str(other.top)):
        changes = origin.fetch(url=url)
        assert changes.vanished == ("churn@v1.1.0",)
        assert {name: origin.kept()[name] for name in before} == before
    assert origin.kept()["churn@v1.2.0"] == other.here()["churn@v1.2.0"]
    assert origin.fetch() == Changes(vanished=("churn@v1.2.0",))  # and back again


def test_tags_of_another_repository_that_contradict_were_moved(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    other = at_another_address(origin)
    other.tag("churn@v1.0.0", message="another one")
    assert origin.fetch(url=other.url).moved == ("churn@v1.0.0",)
    assert origin.kept() == before


def test_a_mirror_of_an_older_tagship_that_names_its_address_goes_on(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    config = origin.place / "config"
    config.write_text(config.read_text() + '[tagship]\n\turl = "/elsewhere"\n')
    assert origin.fetch() == Changes()
    assert origin.kept() == before
    assert "elsewhere" not in config.read_text()


def test_a_blob_that_the_new_address_lacks_is_told(origin: Origin) -> None:
    origin.fetch()
    blob = origin.git("rev-parse", "main:dvc.yaml")
    run(origin.folder, "git", "init", "--quiet", "--bare", "empty.git")
    url = f"file://{origin.folder}/empty.git"
    assert len(origin.fetch(url=url).vanished) == 3
    with pytest.raises(Unavailable, match="does not give 1 of 1 blobs"):
        mirror.bring_blobs(mirror.of(origin.place), url, [blob])
    mirror.bring_blobs(mirror.of(origin.place), origin.url, [blob])
    assert Blobs(mirror.of(origin.place)).absent([blob]) == []


# --- what is no tag of a commit takes no name


LIGHT = {
    "a commit": ("main",),
    "a blob": ("main:dvc.yaml",),
    "a tree": ("main^{tree}",),
    "a tag of a tree": ("--annotate", "--message", "x", "main^{tree}"),
    "a tag of a blob": ("--annotate", "--message", "x", "main:dvc.yaml"),
    "a tag without end": ("--annotate", "--message", "x" * 120_000, "main"),
}


@pytest.mark.parametrize("kind", LIGHT)
def test_what_never_counts_takes_no_name(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(mirror, "LARGEST", 100_000)
    *options, target = LIGHT[kind]
    origin.git("tag", *options, "churn@v1.2.0", origin.git("rev-parse", target))
    changes = origin.fetch()
    assert changes.lightweight == ("churn@v1.2.0",)
    assert len(changes.new) == 3
    assert origin.fetch() == Changes(lightweight=("churn@v1.2.0",))
    assert "churn@v1.2.0" not in origin.kept()
    origin.tag("churn@v1.2.0")
    assert origin.fetch() == Changes(("churn@v1.2.0",))
    assert origin.kept() == origin.here()


def test_what_never_counts_is_no_folder_in_the_way_of_a_tag(origin: Origin) -> None:
    origin.git("tag", "churn#a", "main")
    origin.fetch()
    origin.git("tag", "--delete", "churn#a")
    origin.tag("churn#a/b")
    assert origin.fetch() == Changes(("churn#a/b",))


def test_a_tag_that_became_none_was_moved(origin: Origin) -> None:
    origin.fetch()
    before = origin.kept()
    origin.git("tag", "--force", "churn@v1.1.0", "main")
    assert origin.fetch() == Changes(moved=("churn@v1.1.0",))
    assert origin.kept() == before


def test_what_an_older_tagship_kept_of_them_makes_room(origin: Origin) -> None:
    origin.git("tag", "churn@v1.2.0", "main")
    origin.git("tag", "churn#a", "main")
    origin.fetch()
    for name in ("churn@v1.2.0", "churn#a"):
        run(origin.place, "git", "update-ref", f"refs/tags/{name}", origin.git("rev-parse", "main"))
    origin.git("tag", "--delete", "churn#a")
    origin.tag("churn@v1.2.0")
    origin.tag("churn#a/b")
    origin.fetch()
    assert origin.fetch() == Changes()
    assert origin.kept() == origin.here()


def test_the_last_changes_are_known_without_the_server(origin: Origin) -> None:
    origin.fetch()
    origin.tag("churn@v1.1.0", "main~1", "moved")
    origin.git("tag", "--delete", "churn@v1.0.0")
    origin.git("tag", "churn@v1.2.0", "main")
    changes = origin.fetch()
    assert changes == Changes((), ("churn@v1.1.0",), ("churn@v1.0.0",), (), ("churn@v1.2.0",))
    origin.top.rename(origin.folder / "away")
    assert mirror.changes(mirror.of(origin.place), CHURN) == changes


# --- a person accepts a tag that was moved


def accept(origin: Origin, name: str = "churn@v1.1.0") -> tuple[str, str]:
    repository = mirror.open_or_make(origin.place, origin.url)
    pair = mirror.moved(repository, name)
    assert pair is not None
    mirror.accept(repository, name, *pair)
    return pair


def test_a_tag_that_was_accepted_is_moved_no_more_and_the_first_one_is_kept(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "MANY_PACKS", 0)  # repack drops what no ref has
    origin.fetch()
    assert mirror.moved(mirror.of(origin.place), "churn@v1.1.0") is None
    origin.tag("churn@v1.1.0", "main~1", "moved")
    assert origin.fetch() == Changes(moved=("churn@v1.1.0",))
    first, then = accept(origin)
    assert (then, origin.kept()) == (origin.here()["churn@v1.1.0"], origin.here())
    origin.tag("churn@v1.2.0")
    assert origin.fetch() == Changes(("churn@v1.2.0",))
    assert refs(origin.place, "refs/before") == {first: first}
    spoil_pack(origin.place)
    assert mirror.repair(mirror.of(origin.place), origin.url, CHURN)
    assert origin.kept() == origin.here()


def test_a_mirror_that_is_made_anew_keeps_what_was_before_an_acceptance(origin: Origin) -> None:
    origin.fetch()
    origin.tag("churn@v1.1.0", "main~1", "moved")
    origin.fetch()
    first, _ = accept(origin)
    fill("refs/seen/churn@v1.1.0", b"")(origin.place)
    assert mirror.repair(mirror.of(origin.place), origin.url, CHURN)
    assert refs(origin.place, "refs/before") == {first: first}


def test_what_is_no_tag_cannot_be_accepted(origin: Origin) -> None:
    origin.fetch()
    origin.git("tag", "--force", "churn@v1.1.0", "main")
    origin.fetch()
    with pytest.raises(Refused, match="no annotated tag any more"):
        mirror.moved(mirror.of(origin.place), "churn@v1.1.0")


def test_a_tag_that_moved_on_meanwhile_is_not_accepted(origin: Origin) -> None:
    origin.fetch()
    origin.tag("churn@v1.1.0", "main~1", "moved")
    origin.fetch()
    first, then = accept(origin)
    with pytest.raises(Unavailable):
        mirror.accept(mirror.of(origin.place), "churn@v1.1.0", first, then)
    assert origin.kept()["churn@v1.1.0"] == then


@pytest.mark.parametrize("left", ["mirror.git.old", ".mirror.git.0123456789ab.tmp"])
def test_a_swap_that_was_killed_is_finished(origin: Origin, left: str) -> None:
    origin.fetch()
    before = origin.kept()
    beside = origin.place.with_name(left)
    if left.endswith("old"):
        origin.place.rename(beside)
    else:
        copy_tree(str(origin.place), str(beside))
    origin.git("tag", "--delete", "churn@v1.1.0")
    assert origin.fetch() == Changes(vanished=("churn@v1.1.0",))
    assert origin.kept() == before
    assert not beside.exists()


def test_what_was_never_fetched_is_told(origin: Origin) -> None:
    with pytest.raises(NotFound) as caught:
        mirror.of(origin.place)
    assert caught.value.hint == "tagship fetch"


def test_a_hook_s_repository_and_templates_do_not_count(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = origin.folder / "template"
    (template / "hooks").mkdir(parents=True)
    hook = template / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {origin.folder}/pwned\n")
    hook.chmod(0o755)
    run(origin.folder, "git", "config", "--global", "init.templateDir", str(template))
    run(origin.folder, "git", "config", "--global", "core.hooksPath", str(template / "hooks"))
    monkeypatch.setenv("GIT_DIR", str(origin.top))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(origin.top / "objects"))
    before = sorted(origin.top.rglob("*"))
    origin.fetch()
    assert sorted(origin.top.rglob("*")) == before
    assert not (origin.folder / "pwned").exists()


def test_a_protocol_that_is_not_allowed_is_not_reached_by_a_rewritten_address(
    origin: Origin,
) -> None:
    program = f"ext::sh -c touch% {origin.folder}/pwned"
    run(origin.folder, "git", "config", "--global", "protocol.ext.allow", "always")
    run(origin.folder, "git", "config", "--global", f"url.{program}.insteadOf", origin.url)
    with pytest.raises(Unavailable, match="transport 'ext' not allowed"):
        origin.fetch()
    assert not (origin.folder / "pwned").exists()


def test_a_person_may_allow_fewer_protocols(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "https:ssh")
    with pytest.raises(Unavailable, match="transport 'file' not allowed"):
        origin.fetch()


def test_many_packs_are_put_together_and_nothing_is_lost(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "MANY_PACKS", 2)
    origin.fetch()
    repository = mirror.of(origin.place)
    blob = origin.git("rev-parse", "main:dvc.yaml")
    mirror.bring_blobs(repository, origin.url, [blob])
    origin.tag("churn@v1.2.0")
    origin.fetch()
    assert len(list((origin.place / "objects" / "pack").glob("*.pack"))) == 1
    assert Blobs(repository).absent([blob]) == []
    assert len(tags.read(repository, "churn")) == 4
    assert origin.fetch() == Changes()


# --- blobs


def contents(origin: Origin, repository: Repository) -> list[bytes | None]:
    commit = origin.git("rev-parse", "main")
    blobs = Blobs(repository)
    return [blobs.read(commit, name) for name in FILES]


EXPECTED = [f"{text}# 1.1.0\n".encode() for text in FILES.values()]


def test_a_blob_that_was_left_out_is_told_from_no_such_path(origin: Origin) -> None:
    origin.fetch()
    commit = origin.git("rev-parse", "main")
    blobs = Blobs(mirror.of(origin.place))
    assert blobs.read(commit, "nothing") is None
    with pytest.raises(MissingBlobs) as caught:
        blobs.read(commit, "dvc.yaml")
    assert caught.value.ids == (origin.git("rev-parse", "main:dvc.yaml"),)
    assert caught.value.message == f"Git lacks dvc.yaml of commit {commit[:10]}"
    assert caught.value.hint == "tagship fetch"


def test_all_that_is_missing_of_a_folder_is_told_at_once(origin: Origin) -> None:
    origin.fetch()
    commit = origin.git("rev-parse", "main")
    blobs = Blobs(mirror.of(origin.place))
    ids = [named.id for named in blobs.ending(commit, "")]
    assert len(ids) == 3
    asks: list[Callable[[], object]] = [
        lambda: blobs.small(ids),
        lambda: blobs._with_sizes(list(blobs.ending(commit, ""))),
    ]
    for ask in asks:
        with pytest.raises(MissingBlobs) as caught:
            ask()
        assert sorted(caught.value.ids) == sorted(ids)
    with pytest.raises(MissingBlobs):
        blobs.entries(commit, "models")
    with pytest.raises(MissingBlobs):
        blobs.content(ids[0])
    with pytest.raises(MissingBlobs):
        blobs.write(ids[0], origin.folder / "copy")
    assert blobs.absent(ids) == ids
    mirror.bring_blobs(mirror.of(origin.place), origin.url, ids)
    assert blobs.absent(ids) == []
    assert len(blobs.small(ids)) == 3
    assert [entry.path for entry in blobs.entries(commit, "models")] == ["models/churn.dvc"]


@pytest.mark.parametrize("kind", ["file", "http", "old protocol", "no filter", "no filter, old"])
def test_blobs_come_by_their_ids_from_each_kind_of_server(
    origin: Origin, http: Server, kind: str
) -> None:
    http.old = "old" in kind
    if "no filter" in kind:
        origin.git("config", "uploadpack.allowFilter", "false")
    url = origin.url if kind == "file" else web(http)
    origin.fetch(url=url)
    repository = mirror.of(origin.place)
    ids = [origin.git("rev-parse", f"main:{name}") for name in FILES]
    mirror.bring_blobs(repository, url, ids)
    assert contents(origin, repository) == EXPECTED
    assert origin.fetch(url=url) == Changes()


def test_blobs_that_are_here_ask_no_server(origin: Origin, http: Server) -> None:
    origin.fetch(url=web(http))
    repository = mirror.of(origin.place)
    ids = [origin.git("rev-parse", f"main:{name}") for name in FILES]
    mirror.bring_blobs(repository, web(http), ids)
    asked = len(http.asked)
    mirror.bring_blobs(repository, web(http), ids)
    mirror.bring_blobs(repository, web(http), [])
    assert len(http.asked) == asked


def test_a_blob_that_the_server_lacks_is_an_error_with_its_settings(origin: Origin) -> None:
    origin.fetch()
    with pytest.raises(Unavailable) as caught:
        mirror.bring_blobs(mirror.of(origin.place), origin.url, ["a" * 40])
    assert caught.value.message == f"{origin.url} does not give 1 of 1 blobs, such as aaaaaaaaaa"
    assert "uploadpack.allowAnySHA1InWant" in caught.value.hint


# --- accounts


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
def test_root_reads_a_mirror_of_another_account_and_does_not_fetch_into_it(origin: Origin) -> None:
    origin.fetch()
    for path in [origin.place.parent, *origin.place.parent.rglob("*")]:
        os.chown(path, 4242, 4242)
    ours = subprocess.run(
        ["git", "for-each-ref"], cwd=origin.place, capture_output=True, text=True, check=False
    )
    assert "dubious ownership" in ours.stderr
    repository = mirror.of(origin.place)
    assert len(tags.read(repository, "churn")) == 3
    assert len(tags.ids(repository, "churn")) == 3
    commit = commits.commit(repository, "refs/tags/churn@v1.1.0")
    assert Blobs(repository).read(commit.id, "nothing") is None
    acts: list[Callable[[], object]] = [
        origin.fetch,
        lambda: mirror.bring_blobs(repository, origin.url, ["a" * 40]),
        lambda: mirror.repair(repository, origin.url, CHURN),
    ]
    for act in acts:
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.hint == "fetch as that account: sudo -u '#4242' tagship fetch"


def test_a_person_s_rules_for_bare_repositories_are_of_others(origin: Origin) -> None:
    run(origin.folder, "git", "config", "--global", "safe.bareRepository", "explicit")
    origin.fetch()
    assert len(tags.read(mirror.of(origin.place), "churn")) == 3
