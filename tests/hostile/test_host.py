"""A server, a store or a file that misbehaves, and a host that follows by itself.

The attacks are those of The Update Framework's specification, section 1.5.2, as far as they concern
one host. Where nothing helps, the name of the test says so.
"""

import json
import os
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tagship.git import mirror
from tagship.git.bounded import Limit
from tagship.host import agent
from tagship.manager.agent import Agent
from tagship.progress import nobody
from tagship.text import clock, words
from tests import accounts as other_accounts
from tests import hosts
from tests.git import smart_http
from tests.hosts import Following, tags
from tests.signing import test_model_sig
from tests.workbench import Result, Workbench, run

SECRET = "s3cr3t"
LITTLE = Limit(silence=60, total=300, traffic=1 << 20)
IMPATIENT = Limit(silence=1, total=2, traffic=1 << 20)


def live(host: Following) -> tuple[str | None, list[tuple[str, str, str | None]]]:
    """What must not change: the bytes that are live, and the history."""
    return host.live(), host.actions()


@pytest.fixture
def second(begun: Callable[[str], Path], copied: Callable[[Path], Workbench]) -> Following:
    """1.0.0 was live, and 1.1.0 is."""
    template = begun("following_on")
    host = hosts.moved(copied(template), template)
    assert host.live() == "model 2\n"
    return host


@pytest.fixture
def signed(host: Following, tmp_path: Path) -> Following:
    """The host asks for tags that ada signed, and for signed files; what is released has both."""
    folder = tmp_path / "home" / "tagship"
    folder.mkdir()
    for name in ("ada", "mallory"):
        run(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
    run(folder, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", "files")
    kind, data, _ = (folder / "ada.pub").read_text().split()
    (folder / "allowed_signers").write_text(f'ada@example.com namespaces="git" {kind} {data}\n')
    (folder / "host.toml").write_text(
        'require_signed = true\nallowed_signers = "allowed_signers"\nmodel_keys = "files.pub"\n'
        'signing_key = "files"\n'
    )
    sign_with(host, "ada")
    host.release("model 2\n")
    return host


def sign_with(host: Following, name: str) -> None:
    key = host.top / "home" / "tagship" / f"{name}.pub"
    for setting in (("gpg.format", "ssh"), ("tag.gpgSign", "true"), ("user.signingKey", str(key))):
        host.bench.git("config", *setting)


def bound(monkeypatch: pytest.MonkeyPatch, limit: Limit) -> None:
    """From now on a fetch waits so long, and takes so much."""
    monkeypatch.setattr(mirror.fetch, "__defaults__", (nobody, limit))


# --- a server of Git that misbehaves


def packet(content: bytes) -> bytes:
    """A pkt-line: gitprotocol-common(5)."""
    return b"%04x" % (len(content) + 4) + content


def endless_pack() -> Iterator[bytes]:
    """The pieces of a pack of one object, which has a terabyte: gitformat-pack(5)."""
    size = 1 << 40
    head = bytes([0x80 | 3 << 4 | size & 15])  # a blob; more of its size follows, 7 bits a byte
    size >>= 4
    while size:
        head += bytes([(0x80 if size >> 7 else 0) | size & 0x7F])
        size >>= 7
    yield b"PACK" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + head
    content = zlib.compressobj(0)
    while True:
        yield content.compress(bytes(1 << 15)) + content.flush(zlib.Z_SYNC_FLUSH)


def test_a_server_that_was_set_back_changes_nothing(second: Following) -> None:
    """Replay: what was seen is kept, and a rollback by hand needs no server."""
    before = live(second)
    second.serve("tag", "-d", "churn@v1.1.0")
    second.passes(0, "churn: in order, live 1.1.0\n")
    assert live(second) == before
    assert sorted(second.kept()) == ["churn@v1.0.0", "churn@v1.1.0"]
    assert second.cli("fetch").out == (
        "0 new tags\nchurn@v1.1.0 is not there any more, and counts all the same\n"
    )


def test_an_empty_list_of_tags_undeploys_nothing_and_is_told(second: Following) -> None:
    before, polled = live(second), agent.read(second.folder).fetched_at
    second.serve("tag", "-d", "churn@v1.0.0", "churn@v1.1.0")
    second.at(clock.now() + timedelta(minutes=5))
    told = "the repository has nothing of churn any more"
    for _ in range(2):
        second.passes(1, (
            f"churn: unknown, live 1.1.0\n  {told}\n"
            "    fix: is it mounted, and its address right in tagship.toml? Then: tagship sync\n"
        ))  # fmt: skip
    status = second.cli("status")
    assert (status.code, told in status.out) == (1, True)
    state = agent.read(second.folder)
    assert (state.fetched_at, state.failure) == (polled, told)
    second.bench.git("push", "--quiet", "origin", "--tags")
    second.passes(0, "churn: in order, live 1.1.0\n")
    assert not agent.read(second.folder).failing_since
    second.serve("tag", "-d", "churn@v1.0.0", "churn@v1.1.0")
    shutil.rmtree(second.mirror)
    what = "1.1.0 is live, but its tag is not here, and there is no newer version"
    second.passes(3, f"churn: drifted, live 1.1.0\n  {what}\n    fix: tagship fetch\n")
    assert live(second) == before


def test_another_repository_makes_nothing_live_until_a_person_accepts_a_tag(
    second: Following,
) -> None:
    before, seen = live(second), second.kept()
    second.serve("tag", "-d", "churn@v1.0.0")
    second.serve("tag", "--force", "-a", "-m", "again", "churn@v1.1.0", "main")
    second.release("model 3\n", "1.3.0")
    other = second.report()
    assert (other["code"], other["why"], other["live"]) == (3, "refused", "1.1.0")
    assert other["reasons"][1]["what"] == (
        "of the tags of churn that were seen, the repository has none: is it another repository?"
        " Nothing new of it goes live"
    )
    assert (live(second), second.kept()) == (before, seen)
    assert "churn@v1.3.0" not in second.cli("fetch").out
    assert "fetch --accept churn@v1.1.0" in second.cli("status").out
    second.bench.git("push", "--quiet", "--force", "origin", "churn@v1.1.0")  # the right one again
    second.passes(0, "churn: in order, live 1.3.0\n  1.3.0 is live\n")


def test_other_tags_alone_count_once_one_of_them_is_accepted(second: Following) -> None:
    second.serve("tag", "-d", "churn@v1.0.0", "churn@v1.1.0")
    for version in ("1.3.0", "1.4.0"):
        second.release(f"model {version}\n", version)
    assert second.report()["live"] == "1.1.0"
    assert second.cli("fetch", "--accept", "churn@v1.3.0").code == 0
    assert second.events()[-1].reason == "it was not seen"
    second.passes(0, "churn: in order, live 1.4.0\n  1.4.0 is live\n")


def test_a_live_version_whose_tag_vanished_is_told(second: Following) -> None:
    second.serve("tag", "-d", "churn@v1.1.0")
    second.passes(0, "churn: in order, live 1.1.0\n")
    what = "1.1.0 is live, and its tag is not in the repository any more"
    assert f"  {what}; what was seen counts all the same\n" in second.cli("status").out


def test_a_withdrawal_that_was_seen_cannot_be_hidden(second: Following) -> None:
    second.publish("churn@v1.1.0!")
    second.passes(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n")
    second.serve("tag", "-d", "churn@v1.1.0!")
    second.passes(0, "churn: in order, live 1.0.0\n")


def test_a_new_host_cannot_know_what_a_server_hides(host: Following) -> None:
    """Replay on a host that saw nothing: seed its mirror from another one."""
    host.release("model 2\n")
    host.serve("tag", "-d", "churn@v1.1.0")
    host.passes(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n")


def test_a_freeze_is_not_seen(second: Following) -> None:
    """A server that shows nothing new looks like one that has nothing new."""
    before = live(second)
    frozen = second.top / "frozen.git"
    shutil.copytree(second.origin, frozen)
    second.release("model 3\n")
    shutil.rmtree(second.origin)
    frozen.rename(second.origin)
    second.passes(0, "churn: in order, live 1.1.0\n")
    assert live(second) == before


def test_a_moved_tag_is_refused_and_named_and_the_next_version_goes_live(
    second: Following,
) -> None:
    before, seen = live(second), second.kept()
    moved = "churn@v1.1.0: it was moved; the tag that was seen first counts"
    accept = "tagship fetch --accept churn@v1.1.0"
    second.bench.train("model 3\n")
    second.bench.git("push", "--quiet", "origin", "main")
    second.serve("tag", "--force", "-a", "-m", "again", "churn@v1.1.0", "main")
    for _ in range(2):
        second.passes(3, f"churn: refused, live 1.1.0\n  {moved}\n    fix: {accept}\n")
    assert (live(second), second.kept()) == (before, seen)
    second.bench.git("push", "--quiet", "--force", "origin", "churn@v1.1.0")  # set back again
    second.passes(0, "churn: in order, live 1.1.0\n")


@pytest.mark.following
def test_a_tag_that_was_moved_before_it_went_live_does_not_go_live(host: Following) -> None:
    host.release("model 2\n")
    assert host.cli("fetch").code == 0
    host.serve("tag", "--force", "-a", "-m", "again", "churn@v1.1.0", "churn@v1.0.0^{commit}")
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "refused", "1.0.0")
    assert [each["what"] for each in told["reasons"]] == [
        "churn@v1.1.0: it was moved; the tag that was seen first counts",
        "1.1.0 is not deployed: the tag churn@v1.1.0 is refused",
    ]


def move(host: Following, tag: str = "churn@v1.1.0", content: str = "model X\n") -> None:
    """From now on the server shows another object, of other bytes, under the name of a tag."""
    host.bench.train(content)
    host.bench.git("push", "--quiet", "origin", "main")
    host.object_of(content).parent.mkdir(exist_ok=True)
    host.object_of(content).write_text(content)
    host.serve("tag", "--force", "-a", "-m", "again", tag, "main")


def test_a_moved_tag_that_a_person_accepts_goes_live_and_the_history_says_who(
    second: Following,
) -> None:
    move(second)
    first = second.kept()["churn@v1.1.0"]
    assert second.report()["why"] == "refused"
    accepted = second.cli("fetch", "--accept", "churn@v1.1.0", "--reason", "built anew")
    assert accepted == Result(0, "0 new tags\nchurn@v1.1.0 was moved, and was accepted\n", "")
    assert second.kept() == tags(second.origin)
    assert "the tag churn@v1.1.0 was accepted" in second.cli("status").out
    second.passes(0, "churn: in order, live 1.1.0\n  1.1.0 is live\n")
    assert second.live() == "model X\n"
    second.passes(0, "churn: in order, live 1.1.0\n")
    assert second.cli("status").code == 0
    event = second.events()[2]
    assert (event.action, event.version, event.tag) == ("accept", "1.1.0", "churn@v1.1.0")
    assert event.tag_object == second.kept()["churn@v1.1.0"]
    assert event.reason == f"it was {first[:10]}: built anew"
    assert event.actor
    again = second.cli("fetch", "--accept", "churn@v1.1.0")
    assert again.err.startswith("error: churn@v1.1.0 was not moved\n")
    second.release("model 3\n")
    assert second.report()["live"] == "1.2.0"


def test_an_acceptance_is_of_one_object(second: Following) -> None:
    move(second)
    assert second.cli("fetch", "--accept", "churn@v1.1.0").code == 0
    move(second, content="model Y\n")
    told = second.report()
    assert (told["why"], second.live()) == ("refused", "model 2\n")


def test_the_assignment_of_a_stage_is_accepted_too(second: Following) -> None:
    second.follow("#prod")
    second.publish("churn#prod#1", at="churn@v1.1.0")
    second.sync()
    second.serve("tag", "--force", "-a", "-m", "again", "churn#prod#1", "churn@v1.0.0^{commit}")
    assert second.report()["live"] == "1.1.0"
    assert second.cli("fetch", "--accept", "churn#prod#1").code == 0
    second.passes(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n")


def test_a_tag_that_moved_before_the_mirror_was_made_anew_is_accepted_too(
    second: Following,
) -> None:
    move(second)
    shutil.rmtree(second.mirror)
    told = second.report()
    assert (told["why"], second.live()) == ("refused", "model 2\n")
    assert second.cli("fetch").code == 0
    status = second.cli("status")
    assert "fix: tagship fetch --accept churn@v1.1.0\n" in status.out
    assert second.cli("fetch", "--accept", "churn@v1.1.0").code == 0
    assert (second.report()["why"], second.live()) == ("in_order", "model X\n")


NOT_ACCEPTED = {
    "nonsense": "not the name of a tag: 'nonsense'",
    "other@v1.0.0": "this host does not follow other",
    "churn@v1.0.0": "churn@v1.0.0 was not moved",
    "churn@v7.0.0": "churn@v7.0.0 was not moved",
    "churn@v1.1.0": "churn@v1.1.0 is no annotated tag any more",
}


def test_what_cannot_be_accepted_changes_nothing(second: Following) -> None:
    second.serve("tag", "--force", "churn@v1.1.0", "main")
    before, seen = live(second), second.kept()
    for name, message in NOT_ACCEPTED.items():
        result = second.cli("fetch", "--accept", name)
        assert (result.code, result.out) == (2 if name == "nonsense" else 1, "")
        assert result.err.startswith(f"error: {message}\n")
        assert (live(second), second.kept()) == (before, seen)


def test_an_acceptance_that_was_cut_short_is_finished_by_the_next(
    second: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(second)
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "accept", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Agent(second.folder).fetch(["churn@v1.1.0"])
    assert (second.report()["why"], second.live()) == ("refused", "model 2\n")
    assert second.cli("fetch", "--accept", "churn@v1.1.0").code == 0
    assert (second.report()["why"], second.live()) == ("in_order", "model X\n")


def test_a_lightweight_tag_is_told_and_takes_no_name_from_a_release(second: Following) -> None:
    second.serve("tag", "churn@v1.2.0", "main")
    told = "0 new tags\nchurn@v1.2.0 is no annotated tag of a commit, and does not count\n"
    assert second.cli("fetch") == Result(0, told, "")
    second.passes(0, "churn: in order, live 1.1.0\n")
    second.serve("tag", "-d", "churn@v1.2.0")
    second.release("model 3\n", "1.2.0")
    second.passes(0, "churn: in order, live 1.2.0\n  1.2.0 is live\n")


def test_another_address_of_the_repository_goes_on_with_what_was_seen(second: Following) -> None:
    before, seen = live(second), second.kept()
    second.follow(git=str(second.origin))
    second.passes(0, "churn: in order, live 1.1.0\n")
    second.origin.rename(second.top / "moved.git")
    second.follow(git=f"file://{second.top}/moved.git")
    run(second.top / "moved.git", "git", "tag", "-d", "churn@v1.1.0")
    second.passes(0, "churn: in order, live 1.1.0\n")
    assert (live(second), second.kept()) == (before, seen)
    run(second.top / "moved.git", "git", "tag", "-a", "-m", "x", "churn@v1.1.0", "churn@v1.0.0^{}")
    assert second.report()["why"] == "refused"
    assert (live(second), second.kept()) == (before, seen)


def test_a_folder_of_refs_where_a_tag_was_takes_no_tag_away(second: Following) -> None:
    before, seen = live(second), second.kept()
    second.serve("tag", "-d", "churn@v1.1.0")
    second.serve("tag", "-a", "-m", "x", "churn@v1.1.0/x", "main")
    second.passes(0, "churn: in order, live 1.1.0\n")
    assert (live(second), second.kept()) == (before, seen)
    second.serve("tag", "-d", "churn@v1.1.0/x")
    second.release("model 3\n")
    assert second.report()["live"] == "1.2.0"


def test_the_tag_object_of_another_version_or_model_does_not_count(second: Following) -> None:
    """Old A with new B: the name of a tag is in its object, which Git does not compare."""
    before = live(second)
    second.serve("update-ref", "refs/tags/churn@v2.0.0", tags(second.origin)["churn@v1.0.0"])
    told = second.report()
    assert (told["code"], told["live"]) == (3, "1.1.0")
    what = "2.0.0 could not be deployed: the tag churn@v2.0.0 holds the tag object of churn@v1.0.0"
    assert (told["did"], told["why"]) == ([what], "refused")
    assert (second.report()["did"], second.report()["why"]) == ([], "refused")
    assert live(second) == before
    second.release("model 3\n", "2.1.0")
    assert second.report()["live"] == "2.1.0"


@pytest.mark.parametrize("what", ["main:dvc.yaml", "main^{tree}", "churn@v1.0.0"])
@pytest.mark.parametrize("how", ["a tag object", "a ref alone"])
def test_what_is_no_tag_of_a_commit_is_no_version_and_stops_nothing(
    second: Following, what: str, how: str
) -> None:
    if how == "a ref alone":
        second.serve(
            "update-ref", "refs/tags/churn@v0.9.0", second.serve("rev-parse", what).strip()
        )
    else:
        second.serve("tag", "-a", "-m", "x", "churn@v0.9.0", what)
    second.passes(0, "churn: in order, live 1.1.0\n")
    second.release("model 3\n")
    assert second.report()["live"] == "1.2.0"


def test_a_server_that_hangs_is_waited_for_no_longer_than_that(
    second: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection, and says nothing."""
    before = live(second)
    bound(monkeypatch, IMPATIENT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        second.follow(git=f"ssh://git@127.0.0.1:{server.getsockname()[1]}/models.git")
        told = second.report()
    assert (told["code"], told["why"], live(second)) == (1, "unknown", before)
    assert "did not answer within" in told["reasons"][-1]["what"]


@pytest.fixture
def http(host: Following) -> Iterator[smart_http.Server]:
    with smart_http.serve(host.top) as server:
        yield server


def test_a_redirect_is_not_followed(signed: Following, http: smart_http.Server) -> None:
    def elsewhere(handler: smart_http.Handler, _answer: bytes) -> bool:
        handler.send_response(302)
        handler.send_header("Location", f"{http.address}/origin.git{handler.path[9:]}")
        handler.end_headers()
        return handler.path.startswith("/moved.git")

    http.misbehave = elsewhere
    signed.follow(git=f"{http.address}/moved.git")
    told = signed.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", None)
    assert not any(path.startswith("/origin.git") for path in http.asked)


@pytest.mark.parametrize("what", ["packs", "messages"])
def test_a_server_that_sends_without_end_is_cut_off(
    signed: Following, http: smart_http.Server, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Endless data: of the pack (gitprotocol-pack(5), side-band 1), or of what it says (2)."""
    bound(monkeypatch, LITTLE)

    def endless(handler: smart_http.Handler, answer: bytes) -> bool:
        if b"\r\n\r\n" not in answer or b"packfile" not in answer:
            return False
        handler.send_response(200)
        handler.send_header("Content-Type", "application/x-git-upload-pack-result")
        handler.end_headers()
        handler.wfile.write(packet(b"packfile\n"))
        band = b"\x01" if what == "packs" else b"\x02"
        for piece in endless_pack():  # until Git is ended, and the connection with it
            handler.wfile.write(packet(band + piece))
        return True

    http.misbehave = endless
    signed.follow(git=f"{http.address}/origin.git")
    told = signed.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", None)
    assert "sends too much: Git was ended after" in told["reasons"][-1]["what"]
    http.misbehave = lambda _handler, _answer: False
    bound(monkeypatch, mirror.FETCH)
    assert signed.report()["live"] == "1.1.0"


# --- signatures


def test_what_is_signed_goes_live(signed: Following) -> None:
    signed.passes(0, "churn: in order, live 1.1.0\n  1.1.0 is live\n")


def test_a_withdrawal_and_a_stage_count_only_if_signed(signed: Following) -> None:
    """Who has the server and no key can neither take a version back nor choose another."""
    signed.release("model 3\n")
    signed.sync()
    assert signed.live() == "model 3\n"
    signed.bench.git("config", "tag.gpgSign", "false")
    signed.publish("churn@v1.2.0!")
    for _ in range(2):
        told = signed.report()
        assert (told["code"], told["why"], told["live"]) == (3, "refused", "1.2.0")
        assert "the tag churn@v1.2.0! is not signed" in told["reasons"][-1]["what"]
    sign_with(signed, "ada")
    signed.publish("churn@v1.2.0!#2")
    assert signed.report()["live"] == "1.1.0"
    signed.follow(track="#prod")
    sign_with(signed, "mallory")
    signed.publish("churn#prod#1", at="churn@v1.0.0")
    assert (signed.report()["why"], signed.live()) == ("refused", "model 2\n")
    sign_with(signed, "ada")
    signed.publish("churn#prod#2", at="churn@v1.1.0")
    signed.passes(0, "churn: in order, live 1.1.0\n")


def test_a_deprecation_counts_only_if_signed_and_is_named(signed: Following) -> None:
    signed.sync()
    signed.bench.git("config", "tag.gpgSign", "false")
    signed.publish("churn@deprecated")
    what = "churn@deprecated does not count: the tag churn@deprecated is not signed"
    told = signed.report()
    assert (told["code"], told["why"], told["live"]) == (3, "refused", "1.1.0")
    assert told["reasons"][0]["what"].startswith(what)
    assert what in signed.cli("status").out
    assert signed.cli("deploy", "churn@1.1.0", "--yes").code == 0
    sign_with(signed, "ada")
    later = (clock.now() + timedelta(minutes=1)).isoformat(timespec="seconds")
    signed.bench.monkeypatch.setenv("GIT_COMMITTER_DATE", later)
    signed.release("model 3\n")  # it counts no more for all
    signed.passes(0, "churn: in order, live 1.2.0\n  1.2.0 is live\n")
    signed.publish("churn@deprecated#2")
    told = signed.report()
    assert (told["why"], told["live"]) == ("drifted", "1.2.0")
    assert "1.2.0 is live, but churn is deprecated" in told["reasons"][0]["what"]
    refused = signed.cli("deploy", "churn@1.1.0", "--yes").err
    again = "release again where the model is released: tagship release churn"
    assert refused == f"error: churn is deprecated\nhint: if it counts again, {again}\n"


@pytest.mark.parametrize(
    "how", ["not signed", "by a stranger", "by a revoked key", "by a key that ran out"]
)
def test_a_tag_goes_live_only_with_a_signature_that_counts(signed: Following, how: str) -> None:
    signed.sync()
    before = live(signed)
    if how == "not signed":
        signed.bench.git("config", "tag.gpgSign", "false")
    else:
        sign_with(signed, "mallory" if how == "by a stranger" else "ada")
    signed.release("model 3\n")
    if how == "by a revoked key":
        policy = signed.top / "home" / "tagship" / "host.toml"
        policy.write_text(policy.read_text() + 'revoked_keys = "ada.pub"\n')
    if how == "by a key that ran out":
        signers = signed.top / "home" / "tagship" / "allowed_signers"
        signers.write_text(signers.read_text().replace("namesp", 'valid-before="20200101",namesp'))
    told = signed.report()
    assert (told["code"], told["why"], told["live"]) == (3, "refused", "1.1.0")
    assert "churn@v1.2.0" in told["did"][0]
    again = signed.report()  # it waits for no time, and is not tried again
    assert (again["code"], again["why"], again["did"]) == (3, "refused", [])
    assert again["until"] is None
    assert "1.2.0 is not deployed: the tag churn@v1.2.0 is not signed" in str(again["reasons"])
    assert live(signed) == before


def test_once_its_key_counts_a_tag_that_was_refused_goes_live_at_once(signed: Following) -> None:
    signed.sync()
    sign_with(signed, "mallory")
    signed.release("model 3\n")
    assert signed.report()["why"] == "refused"
    folder = signed.top / "home" / "tagship"
    kind, data, _ = (folder / "mallory.pub").read_text().split()
    with (folder / "allowed_signers").open("a") as file:
        file.write(f'mallory@example.com namespaces="git" {kind} {data}\n')
    signed.passes(0, "churn: in order, live 1.2.0\n  1.2.0 is live\n")


def test_after_a_tag_that_was_refused_a_later_one_goes_live(signed: Following) -> None:
    signed.sync()
    sign_with(signed, "mallory")
    signed.release("model 3\n")
    assert signed.report()["why"] == "refused"
    sign_with(signed, "ada")
    signed.release("model 4\n")
    signed.passes(0, "churn: in order, live 1.3.0\n  1.3.0 is live\n")


def test_what_is_live_and_broken_is_not_deployed_again_if_its_key_was_revoked(
    signed: Following,
) -> None:
    signed.sync()
    policy = signed.top / "home" / "tagship" / "host.toml"
    policy.write_text(policy.read_text() + 'revoked_keys = "ada.pub"\n')
    shutil.rmtree(signed.model / "versions")
    for did in (1, 0):
        told = signed.report()
        assert (told["code"], told["why"], len(told["did"])) == (5, "broken", did)
        assert "1.1.0 is not deployed again: the tag churn@v1.1.0" in str(told["reasons"])


def test_bytes_that_the_store_swapped_do_not_go_live_though_md5_is_broken(
    signed: Following,
) -> None:
    """Two texts of one MD5: only the signature of the files tells them apart."""
    signed.release(test_model_sig.TWIN)
    place = signed.object_of(test_model_sig.TWIN)
    place.chmod(0o644)
    place.write_bytes(test_model_sig.OTHER_TWIN)
    told = signed.report()
    assert (told["code"], told["live"]) == (3, None)
    assert "could not be deployed" in told["did"][0]
    place.write_bytes(test_model_sig.TWIN)
    assert signed.report("--retry")["live"] == "1.2.0"


def test_files_that_nobody_signed_do_not_go_live(signed: Following) -> None:
    policy = signed.top / "home" / "tagship" / "host.toml"
    text = policy.read_text()
    policy.write_text(text.replace('signing_key = "files"\n', ""))
    signed.release("model 3\n")
    told = signed.report()
    assert (told["code"], told["why"], told["live"]) == (3, "refused", None)
    assert "the files of churn 1.2.0 are not signed" in told["did"][0]
    events = signed.actions()
    assert (signed.report()["did"], signed.actions()) == ([], events)


# --- a store that misbehaves


def test_bytes_that_were_swapped_in_the_store_do_not_go_live(second: Following) -> None:
    """Old A with new B: the object of 1.0.0 in the place of that of 1.2.0."""
    before = live(second)
    second.release("model 3\n")
    place = second.object_of("model 3\n")
    place.chmod(0o644)
    place.write_text("model 1\n")
    told = second.report()
    assert (told["code"], told["why"], told["live"]) == (3, "waiting", "1.1.0")
    assert (second.live(), second.actions()[:2]) == before
    assert second.actions()[2:] == [("deploy", "failed", "1.2.0")]


def test_an_object_without_end_is_cut_off_at_its_size(second: Following) -> None:
    second.release("model 3\n")
    place = second.object_of("model 3\n")
    place.chmod(0o644)
    os.truncate(place, 1 << 40)  # a terabyte of nothing
    told = second.report()
    assert (told["code"], told["live"]) == (3, "1.1.0")
    assert "sends more for md5:" in told["did"][0]
    assert "than the 8 bytes of it" in told["did"][0]
    assert sum(file.stat().st_size for file in second.model.rglob("*")) < 1 << 20


def test_a_store_that_is_down_stops_what_is_new_alone(second: Following) -> None:
    second.release("model 3\n")
    aside = second.top / "aside"
    second.remote.rename(aside)
    told = second.report()
    assert (told["code"], told["why"], told["live"]) == (3, "waiting", "1.1.0")
    assert second.cli("rollback", "churn", "--yes").code == 0
    assert second.live() == "model 1\n"
    aside.rename(second.remote)


# --- no network, no mirror


@pytest.mark.parametrize("url", ["https://no-such-host.invalid/models.git", "file:///no/such.git"])
def test_without_the_server_all_goes_on_but_what_is_new(second: Following, url: str) -> None:
    second.serve("config", "uploadpack.hideRefs", "refs")
    moved = second.top / "away.git"
    second.origin.rename(moved)
    told = second.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", "1.1.0")
    assert second.cli("current", "churn").out == "1.1.0\n"
    assert second.cli("rollback", "churn", "--yes").code == 0
    assert second.live() == "model 1\n"
    before = live(second)
    second.follow(git=url)
    assert second.report()["why"] == "unknown"
    assert live(second) == before


def test_status_tells_since_when_the_server_does_not_answer(second: Following) -> None:
    def row() -> dict[str, object]:
        (row,) = json.loads(second.cli("status", "--json").out)
        return {key: row[key] for key in ("fetched_at", "failing_since", "why")}

    fetched = clock.now()
    second.at(fetched)
    second.sync()
    last = clock.stamp(fetched)
    assert row() == {"fetched_at": last, "failing_since": None, "why": "in_order"}
    away = second.origin.with_name("away.git")
    second.origin.rename(away)
    began = fetched + timedelta(minutes=5)
    for minutes in (5, 10):
        second.at(fetched + timedelta(minutes=minutes))
        assert second.sync().code == 1
        since = clock.stamp(began)
        assert row() == {"fetched_at": last, "failing_since": since, "why": "unknown"}
    why = second.cli("fetch").err.splitlines()[0].removeprefix("error: ")
    what = (
        f"nothing could be fetched since {words.moment(since)} UTC: {why}; the last fetch that"
        f" succeeded: {words.moment(last)} UTC"
    )
    status = second.cli("status")
    assert (status.code, f"  {what}\n    fix: tagship fetch\n" in status.out) == (1, True)
    away.rename(second.origin)
    assert second.cli("fetch").code == 0
    assert second.cli("status") == Result(0, "churn: in order, live 1.1.0, latest 1.1.0\n", "")


def test_status_tells_that_nothing_was_fetched_for_a_day(second: Following) -> None:
    fetched = clock.now()
    second.at(fetched)
    second.sync()
    second.at(fetched + timedelta(hours=23))
    assert second.cli("status").out == "churn: in order, live 1.1.0, latest 1.1.0\n"
    second.at(fetched + timedelta(hours=25))
    late = (
        f"  the tags are as of {words.moment(clock.stamp(fetched))} UTC: nothing was fetched since"
    )
    assert late in second.cli("status").out
    assert second.cli("status").code == 0


def test_a_time_that_is_none_counts_as_no_time(second: Following) -> None:
    file = second.folder / ".tagship" / "agent.json"
    for time_of_it in ("nonsense", "0000-00-00", "9999-12-31T23:59:59-12:00"):
        for key in ("fetched_at", "failing_since"):
            file.write_text(json.dumps({key: time_of_it}))
            status = second.cli("status", "--json").out
            assert json.loads(status)[0][key] is None


def test_a_tag_that_was_moved_stays_refused_while_the_server_does_not_answer(
    second: Following,
) -> None:
    second.serve("tag", "--force", "-a", "-m", "again", "churn@v1.1.0", "churn@v1.0.0^{commit}")
    assert second.report()["why"] == "refused"
    away = second.origin.with_name("away.git")
    second.origin.rename(away)
    moved = "churn@v1.1.0: it was moved; the tag that was seen first counts"
    told = second.report()
    assert (told["code"], told["reasons"][0]) == (1, {"why": "refused", "what": moved})
    status = second.cli("status").out
    assert f"  {moved}\n    fix: tagship fetch --accept churn@v1.1.0\n" in status
    shutil.rmtree(second.mirror)
    assert second.report()["why"] == "unknown"


def damage_nothing_left(folder: Path) -> None:
    shutil.rmtree(folder)


def damage_packs(folder: Path) -> None:
    for pack in folder.rglob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(b"PACK")


def damage_refs(folder: Path) -> None:
    (folder / "packed-refs").write_bytes(b"\0\1\n")


def damage_objects(folder: Path) -> None:
    shutil.rmtree(folder / "objects")


def damage_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def damage_a_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("/nowhere")


def damage_configuration(folder: Path) -> None:
    """Another one could name programs."""
    (folder / "config").write_text(f"[core]\n\tfsmonitor = touch {folder.parent}/ran\n[nonsense")


DAMAGES = [
    damage_nothing_left, damage_packs, damage_refs, damage_objects, damage_a_file, damage_a_link,
    damage_configuration,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_mirror_that_is_damaged_is_made_anew_and_nothing_live_changes(
    second: Following, damage: Callable[[Path], None]
) -> None:
    before = live(second)
    damage(second.mirror)
    assert second.cli("current", "churn") == Result(0, "1.1.0\n", "")
    status = second.cli("status")
    assert "live 1.1.0" in status.out, status
    assert second.report()["why"] == "in_order"
    assert live(second) == before
    assert second.kept() == tags(second.origin)
    assert not (second.folder / ".tagship" / "ran").exists()
    damage(second.mirror)
    assert second.cli("rollback", "churn", "--yes").code == 0
    assert second.live() == "model 1\n"
    second.bench.monkeypatch.setenv("GIT_COMMITTER_DATE", f"{time.time() + 60:.0f} +0000")
    second.release("model 3\n")
    assert second.report()["live"] == "1.2.0"


# --- what stands in tagship.toml


@pytest.mark.parametrize(
    "url",
    [
        f"https://ada:{SECRET}@example.invalid/models.git", f"https://{SECRET}@example.invalid/m",
        f"https://example.invalid/models.git?token={SECRET}", f"ssh://ada:{SECRET}@example.invalid/m",
        f"ada:{SECRET}@example.invalid:models.git",
    ],
)  # fmt: skip
def test_a_secret_in_an_address_is_refused_and_written_nowhere(second: Following, url: str) -> None:
    before = live(second)
    second.follow(git=url)
    for command in ("sync", "sync --json", "fetch", "-v sync", "deploy churn --yes"):
        result = second.cli(*command.split())
        assert SECRET not in result.out + result.err
    second.follow(more=f'[source.remotes]\nx = "https://a:{SECRET}@example.invalid/"\n')
    for command in ("sync", "status", "current churn", "deploy churn --yes"):
        result = second.cli(*command.split())
        assert SECRET not in result.out + result.err
    assert live(second) == before
    files = [path for path in second.folder.rglob("*") if path.is_file() and path != second.file]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.skipif(bool(other_accounts.missing()), reason=other_accounts.missing() or "accounts")
def test_a_tagship_toml_of_another_account_runs_nothing(second: Following) -> None:
    before = live(second)
    second.release("model 3\n")
    os.chown(second.file, other_accounts.READER, other_accounts.READER)
    for command in ("sync", "fetch", "deploy churn --yes", "rollback churn --yes"):
        result = second.cli(*command.split())
        assert (result.code, result.out) == (1, "")
        assert f"error: {other_accounts.READER} can write to {second.file}" in result.err
    assert second.cli("current", "churn").out == "1.1.0\n"
    assert second.cli("status").code in (0, 3)
    assert live(second) == before


def test_what_others_can_write_to_runs_nothing_and_is_read_all_the_same(
    second: Following,
) -> None:
    canary = second.top / "ran"
    second.follow(gate=f'command = ["/usr/bin/touch", "{canary}"]\npass = "1 of 1"\nwatch = 0')
    second.release("model 3\n")
    for path in (second.file, second.folder):
        mode = path.stat().st_mode
        path.chmod(mode | 0o002)
        for command in ("sync", "sync --dry-run", "fetch", "deploy churn --yes"):
            result = second.cli(*command.split())
            assert (result.code, result.out) == (1, "")
            assert result.err.startswith(f"error: everybody can write to {path}")
        assert second.cli("current", "churn").out == "1.1.0\n"
        for command in ("status", "list churn", "history churn", "verify churn"):
            assert "everybody" not in second.cli(*command.split()).err
        path.chmod(mode)
    assert not canary.exists()
    assert second.report()["live"] == "1.2.0"
    assert canary.exists()


STATE = (
    ".tagship", ".tagship/mirror.git", ".tagship/mirror.git/packed-refs",
    ".tagship/mirror.git/refs/tags", ".tagship/mirror.git/objects/pack", "churn",
    "churn/.tagship", "churn/versions", "churn/deployment_history.json",
)  # fmt: skip


@pytest.mark.parametrize("bit", [0o020, 0o002])
def test_a_host_whose_tags_or_models_others_can_write_to_does_nothing(
    second: Following, bit: int
) -> None:
    (second.mirror / "refs" / "tags").mkdir(exist_ok=True)
    before, who = live(second), "its group" if bit == 0o020 else "everybody"
    second.release("model 3\n")
    for name in STATE:
        path = second.folder / name
        mode = path.stat().st_mode
        path.chmod(mode | bit)
        for command in ("sync", "deploy churn --yes"):
            told = f"{who} can write to {path}, and so choose what goes live here"
            hint = f"chmod -R go-w {path}; or, if it is not yours: ls -ld {path}"
            assert second.cli(*command.split()) == Result(1, "", f"error: {told}\nhint: {hint}\n")
        path.chmod(mode)
    path = second.folder / STATE[0]
    path.chmod(0o777)
    assert second.cli("current", "churn").out == "1.1.0\n"
    assert live(second) == before
    run(second.folder, "chmod", "-R", "go-w", str(path))
    assert second.report()["live"] == "1.2.0"


def test_a_link_to_a_folder_that_others_can_write_to_is_seen_through(second: Following) -> None:
    (second.top / "open").mkdir()
    second.model.rename(second.top / "open" / "churn")
    second.model.symlink_to(second.top / "open" / "churn")
    assert second.report()["why"] == "in_order"
    (second.top / "open").chmod(0o777)
    result = second.cli("sync")
    assert result.err.startswith(f"error: everybody can write to {second.top}/open, and so choose")


def test_whatever_the_umask_a_host_makes_nothing_that_others_can_write_to(
    host: Following,
) -> None:
    mask = os.umask(0)
    try:
        host.passes(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n")
        host.release("model 2\n")
        result = host.sync()
        assert (result.err, host.live()) == ("", "model 2\n")
    finally:
        os.umask(mask)
    left = [path for path in host.folder.rglob("*") if not path.is_symlink()]
    assert [path for path in left if path.stat().st_mode & 0o022] == []


def test_one_in_a_folder_above_or_in_a_repository_does_not_count(host: Following) -> None:
    inside = host.folder / "inside"
    inside.mkdir()
    result = host.bench.cli_in(inside, "sync")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: there is no tagship.toml in {inside}\n")
    copy = host.bench.repo / "tagship.toml"
    shutil.copyfile(host.file, copy)
    told = f"{copy} is in a DVC repository, and names programs: a host has a folder of its own"
    hint = "tagship host init DIR --git URL"
    for command in ("sync", "fetch"):
        assert host.bench.cli(command) == Result(1, "", f"error: {told}\nhint: {hint}\n")


@pytest.mark.parametrize("text", ["[", "sync = true", '[source]\ngit = "/x"\nremotes = 1\n'])
def test_a_broken_file_stops_every_act_and_no_reader(second: Following, text: str) -> None:
    second.file.write_text(text)
    before = second.bench.state()
    for command in ("sync", "fetch", "deploy churn --yes", "rollback churn --yes"):
        result = second.cli(*command.split())
        assert (result.code, result.out) == (1, "")
        assert "this should not" not in result.err
    for command in ("current churn", "status", "list churn", "history churn"):
        result = second.cli(*command.split())
        assert result.code in (0, 3), result
        assert "1.1.0" in result.out
    assert second.bench.changes(before) == set()
