"""Capsules beside the objects: what a release writes, what it adds, and what a failure leaves."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagship import ModelVersionManager
from tagship.carry import capsule, index, oci
from tagship.carry.carrier import Changed
from tagship.carry.folder import Folder
from tagship.carry.index import Entry
from tagship.errors import Corrupt, Interrupted, Refused, TagshipError, Unavailable
from tagship.registry import tags
from tagship.release import capsules
from tagship.workspace import encapsulate
from tests.carrying import Carrying
from tests.export import registry as fake
from tests.hosts import Following
from tests.workbench import MODEL, PATH, Workbench, run


def place(bench: Workbench) -> Path:
    return bench.repo.parent / "dvc-remote"


def listed(bench: Workbench) -> dict[str, Entry]:
    path = place(bench) / "tagship" / MODEL / "index.json"
    return index.parse(path.read_bytes() if path.exists() else b"", MODEL, "here")


def check(bench: Workbench, *names: str) -> None:
    """The index has these tags, and the capsule of each is there and says the same."""
    entries = listed(bench)
    assert sorted(entries) == sorted(names)
    source = bench.manager.source
    known = {str(tag.name): tag for tag in tags.read(source.repository, MODEL)}
    for name, entry in entries.items():
        data = (place(bench) / "tagship" / MODEL / "capsules" / entry.capsule).read_bytes()
        assert capsule.digest(data) == entry.capsule
        assert len(data) == entry.size
        assert entry.object == known[name].object_id
        assert data == encapsulate.capsule_of(source, known[name])


def block(bench: Workbench) -> Path:
    """Nothing can be written beside the objects: a file is in the way."""
    path = place(bench) / "tagship"
    path.parent.mkdir(exist_ok=True)
    if path.is_dir():
        path.rename(place(bench) / "moved")
    path.write_text("")
    return path


def unblock(bench: Workbench) -> None:
    (place(bench) / "tagship").unlink()
    if (place(bench) / "moved").exists():
        (place(bench) / "moved").rename(place(bench) / "tagship")


def test_a_release_writes_the_capsule_beside_the_objects(bench: Workbench) -> None:
    result = bench.cli("release", "churn", "--push", "--capsule")
    assert result.code == 0, result.err
    assert result.err == ""
    assert result.out.splitlines()[-2:] == [
        "  tag pushed to origin",
        f"  capsule in {place(bench)}",
    ]
    check(bench, "churn@v1.0.0")
    assert bench.dvc("gc", "--workspace", "--cloud", "--force", "--quiet") == ""
    check(bench, "churn@v1.0.0")  # DVC tidies up its own


def test_without_it_none_is_written(bench: Workbench) -> None:
    assert bench.cli("release", "churn", "--push").code == 0
    assert listed(bench) == {}
    released = json.loads(bench_json(bench))
    assert released["capsule_in"] is None


def bench_json(bench: Workbench) -> str:
    bench.train("model 2\n")
    return bench.cli("release", "churn", "--push", "--json").out


def test_the_setting_writes_it_each_time(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text("tagship: {capsule: true}\ntrain: {depth: 4}\n")
    bench.commit()
    bench.cli("release", "churn", "--push", "--push-branch")
    check(bench, "churn@v1.0.0")
    bench.cli("assign", "churn@1.0.0", "prod", "--push", "--no-capsule")
    check(bench, "churn@v1.0.0")
    bench.cli("assign", "churn@1.0.0", "dev", "--push")
    check(bench, "churn@v1.0.0", "churn#prod#1", "churn#dev#2")
    assert bench.manager.release_plan(force=True, push=True).capsule
    assert not bench.manager.release_plan(force=True, push=True, capsule=False).capsule


def test_every_tag_gets_one(bench: Workbench) -> None:
    bench.cli("release", "churn", "--push")  # left out
    bench.train("model 2\n")
    bench.cli("release", "churn", "--push", "--capsule")
    names = ["churn@v1.0.0", "churn@v1.1.0"]
    check(bench, *names)
    for command, name in (
        ("assign churn@1.1.0 prod", "churn#prod#1"),
        ("unassign churn prod --yes", "churn#prod!#2"),
        ("withdraw churn@1.1.0 --yes", "churn@v1.1.0!"),
        ("deprecate churn --yes", "churn@deprecated"),
    ):
        result = bench.cli(*command.split(), "--push", "--capsule")
        assert (result.code, result.err) == (0, ""), result
        assert result.out.endswith(f"  capsule in {place(bench)}\n")
        names.append(name)
        check(bench, *names)


def test_a_tag_that_is_here_alone_gets_none_and_a_note_says_when(bench: Workbench) -> None:
    result = bench.cli("release", "churn", "--capsule")
    note = "hosts follow pushed tags: the capsule is written with tagship release churn --push"
    assert f"{note} --capsule" in result.err
    assert listed(bench) == {}
    assert bench.cli("release", "churn", "--push", "--capsule").code == 0
    check(bench, "churn@v1.0.0")
    result = bench.cli("assign", "churn@1.0.0", "prod", "--capsule")
    assert "written with tagship assign churn@1.0.0 prod --push --capsule" in result.err
    check(bench, "churn@v1.0.0")


def test_without_a_git_remote_the_tags_here_count(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    result = bench.cli("release", "churn", "--capsule")
    assert (result.code, result.out.splitlines()[-1]) == (0, f"  capsule in {place(bench)}")
    bench.cli("assign", "churn@1.0.0", "prod", "--capsule")
    check(bench, "churn@v1.0.0", "churn#prod#1")


def test_a_release_stands_where_its_capsule_cannot_be_written(bench: Workbench) -> None:
    path = block(bench)
    result = bench.cli("release", "churn", "--push", "--capsule")
    assert result.code == 1
    assert result.err == (
        "error: the tag churn@v1.0.0 is pushed, but hosts that follow the store do not see it yet:"
        f" {path}/churn is reached by a link, or is of another kind\n"
        f"hint: namei -l {path}/churn; then: tagship release churn --push --capsule\n"
    )
    assert "churn@v1.0.0" in run(bench.repo, "git", "ls-remote", "--tags", "origin")
    unblock(bench)
    result = bench.cli("release", "churn", "--push", "--capsule")
    assert result.code == 0, result.err
    assert result.out.splitlines()[0].startswith("churn 1.0.0 is released as churn@v1.0.0")
    check(bench, "churn@v1.0.0")
    again = bench.cli("release", "churn", "--push", "--capsule")
    assert (again.code, "carries churn 1.0.0 already" in again.err) == (1, True)
    assert bench.cli("release", "churn", "--push", "--capsule", "--if-changed").code == 0


def test_without_a_git_remote_nothing_is_called_pushed(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    block(bench)
    for words in (["release", "churn"], ["assign", "churn@1.0.0", "prod"]):
        result = bench.cli(*words, "--capsule")
        made = "is made, but hosts that follow the store do not see it yet"
        assert (result.code, made in result.err, "push" in result.err) == (1, True, False), result
        assert result.err.endswith(f"; then: tagship {' '.join(words)} --capsule\n")
    unblock(bench)
    assert bench.cli("assign", "churn@1.0.0", "prod", "--capsule").code == 0
    check(bench, "churn@v1.0.0", "churn#prod#1")


def test_a_later_commit_with_the_same_bytes_completes_it_too(bench: Workbench) -> None:
    bench.cli("release", "churn", "--push")
    (bench.repo / "README").write_text("more\n")
    bench.commit()
    result = bench.cli("release", "churn", "--push", "--capsule", "--json")
    released = json.loads(result.out)
    assert released["version"] == "1.0.0"
    assert released["commit"] == bench.git("rev-parse", "churn@v1.0.0^{commit}").strip()
    check(bench, "churn@v1.0.0")


@pytest.mark.parametrize(
    "command", ["assign churn@1.1.0 prod", "unassign churn dev --yes", "withdraw churn@1.1.0 --yes",
                "deprecate churn --yes"],
)  # fmt: skip
def test_a_stage_s_tag_stands_and_the_hint_completes_it(bench: Workbench, command: str) -> None:
    bench.release()
    bench.release("model 2\n")
    bench.manager.assign("1.0.0", "dev")
    bench.git("push", "--quiet", "--tags", "origin")
    bench.manager.publish_capsules()
    before = set(listed(bench))
    block(bench)
    words = [*command.split(), "--push", "--capsule"]
    result = bench.cli(*words)
    assert result.code == 1
    hint = result.err.splitlines()[-1].partition("; then: ")[2]
    assert hint == f"tagship {command.removesuffix(' --yes')} --push --capsule"
    unblock(bench)
    assert set(listed(bench)) == before
    result = bench.cli(*hint.split()[1:], *(["--yes"] if "--yes" in words else []))
    assert (result.code, result.err) == (0, "")
    assert len(listed(bench)) == len(before) + 1
    tag_names = [str(tag.name) for tag in tags.read(bench.manager.source.repository, MODEL)]
    check(bench, *tag_names)


def test_what_cannot_be_carried_is_refused_before_anything_is_done(bench: Workbench) -> None:
    for url, words in (
        ("ssh://example.com/dvc", "nothing carries versions at ssh://example.com/dvc"),
        ("http://127.0.0.1:1/dvc", "http://127.0.0.1:1/dvc can only be read"),
        ("s3://bucket/dvc", "the remote store would send this host's credentials"),
    ):
        if url.startswith("s3"):
            (bench.repo / ".dvc/config").write_text(
                "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://bucket/dvc\n"
                "    endpointurl = https://evil.example.com\n"
            )
        else:
            bench.dvc("remote", "modify", "--quiet", "store", "url", url)
        bench.commit()
        with pytest.raises(Refused) as caught:
            bench.manager.release(push=True, capsule=True)
        assert caught.value.message.startswith(words)
    assert bench.git("tag") == ""
    bench.dvc("remote", "modify", "--quiet", "--local", "store", "url", "s3://bucket/dvc")
    bench.dvc("remote", "modify", "--quiet", "--local", "store", "version_aware", "true")
    with pytest.raises(Refused, match="hosts that ask no Git server need them by digest"):
        capsules.place_of(bench.manager.source, MODEL)


def test_a_large_model_that_git_keeps_is_refused_before_anything_is_done(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.git("rm", "--quiet", "--cached", f"{PATH}.dvc")
    for name in (f"{PATH}.dvc", "models/churn/.gitignore"):
        (bench.repo / name).unlink()
    bench.commit()
    monkeypatch.setattr(capsules, "LARGEST_CAPSULE", 7)
    with pytest.raises(Refused, match="churn is too large for a capsule: Git keeps 8 bytes of it"):
        bench.manager.release(push=True, capsule=True)
    assert bench.git("tag") == ""
    monkeypatch.undo()
    bench.manager.release(push=True, capsule=True)
    check(bench, "churn@v1.0.0")


def test_a_capsule_that_would_be_too_large_is_refused_before_anything_is_done(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as by a file of metrics, which a host reads too."""
    monkeypatch.setattr(encapsulate, "LARGEST_CAPSULE", encapsulate.ROOM + 300)
    for release in (
        lambda: bench.manager.release_plan(push=True, capsule=True),
        lambda: bench.manager.release(push=True, capsule=True),
    ):
        with pytest.raises(Refused) as caught:
            release()
        start = "churn is too large for a capsule: what is read of its commit has "
        assert caught.value.message.startswith(start)
    assert bench.git("tag") == ""
    bench.manager.release(push=True)
    monkeypatch.undo()
    bench.manager.release(push=True, capsule=True)
    check(bench, "churn@v1.0.0")


def test_two_jobs_at_once_lose_nothing(bench: Workbench, tmp_path: Path) -> None:
    bench.release()
    bench.git("push", "--quiet", "--tags", "origin")
    jobs = []
    for number in range(3):
        run(
            tmp_path,
            "git",
            "clone",
            "--quiet",
            str(bench.repo.parent / "origin.git"),
            f"job{number}",
        )
        clone = tmp_path / f"job{number}"
        (clone / ".dvc/config.local").write_text(
            f"['remote \"store\"']\n    url = {place(bench)}\n"
        )
        jobs.append(clone)

    def assign(number: int) -> Any:
        manager = ModelVersionManager(MODEL, jobs[number])
        for _ in range(20):
            try:
                return manager.assign("1.0.0", f"stage-{number}", push=True, capsule=True)
            except (Unavailable, Refused):  # the number of the tag was given meanwhile
                run(jobs[number], "git", "fetch", "--quiet", "--tags", "--force")
        raise AssertionError

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(assign, range(3)))
    bench.git("fetch", "--quiet", "--tags")
    bench.manager.publish_capsules()
    check(bench, *[str(tag.name) for tag in tags.read(bench.manager.source.repository, MODEL)])


@pytest.mark.released
def test_who_loses_the_race_reads_again(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.git("push", "--quiet", "--tags", "origin")
    write, raced = Folder.write_index, list[int]()
    other = Entry("a" * 40, "b" * 64, 1)

    def race(self: Folder, model: str, data: bytes, before: str) -> None:
        if not raced:
            raced.append(1)
            write(self, model, index.write(model, {"churn#prod#1": other}), before)
        write(self, model, data, before)

    monkeypatch.setattr(Folder, "write_index", race)
    published = bench.manager.publish_capsules()
    assert published.tags == ("churn@v1.0.0",)
    assert listed(bench)["churn#prod#1"] == other
    assert set(listed(bench)) == {"churn#prod#1", "churn@v1.0.0"}


@pytest.mark.released
def test_a_place_that_changes_all_the_time_is_given_up(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.git("push", "--quiet", "--tags", "origin")

    def changed(self: Folder, model: str, data: bytes, before: str) -> None:
        raise Changed

    monkeypatch.setattr(Folder, "write_index", changed)
    monkeypatch.setattr(capsules, "LONGEST_WAIT", 0)
    with pytest.raises(Unavailable, match=r"others write the index of churn in .* all the time"):
        bench.manager.publish_capsules()


@pytest.mark.released
def test_a_user_who_does_not_wait_is_told_what_goes_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "put", interrupted)
    bench.git("push", "--quiet", "--tags", "origin")
    with pytest.raises(Interrupted) as caught:
        bench.manager.assign("1.0.0", "prod", push=True, capsule=True)
    assert caught.value.hint == "tagship assign churn@1.0.0 prod --push --capsule"


def fill(bench: Workbench, data: bytes) -> None:
    path = place(bench) / "tagship" / MODEL
    path.mkdir(parents=True, exist_ok=True)
    (path / "index.json").write_bytes(data)


@pytest.mark.released
def test_a_damaged_index_is_written_anew_where_all_tags_are(bench: Workbench) -> None:
    bench.manager.assign("1.0.0", "prod")
    bench.git("push", "--quiet", "--tags", "origin")
    fill(bench, b'{"schema": 1')
    result = bench.cli("release", "churn", "--push", "--capsule")
    assert result.code == 0, result.err
    assert "is damaged" in result.err
    assert "it is written anew" in result.err
    check(bench, "churn@v1.0.0", "churn#prod#1")
    bench.git("tag", "--delete", "churn#prod#1")
    fill(bench, b'{"schema": 1')
    with pytest.raises(Corrupt) as caught:
        bench.manager.publish_capsules()
    assert caught.value.hint == "git fetch --tags, then the same again"


def spoil(bench: Workbench, lost: str, damaged: str) -> list[str]:
    """The capsule of one tag is gone, and a byte of another one's is changed; the notes of that."""
    folder, entries = place(bench) / "tagship" / MODEL / "capsules", listed(bench)
    (folder / entries[lost].capsule).unlink()
    bad = folder / entries[damaged].capsule
    data = bad.read_bytes()
    bad.chmod(0o644)
    bad.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return [
        f"the capsule of {lost} in {place(bench)} was lost: it is written anew",
        f"the capsule of {damaged} in {place(bench)} was damaged: it is written anew",
    ]


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("words", ["release churn", "assign churn@1.1.0 prod"])
def test_who_repeats_a_command_repairs_capsules(bench: Workbench, words: str, remote: bool) -> None:
    how = ["--push", "--capsule"] if remote else ["--capsule"]
    if not remote:
        bench.git("remote", "remove", "origin")
    bench.cli("release", "churn", *how)
    bench.train("model 2\n")
    bench.cli("release", "churn", *how)
    bench.cli("assign", "churn@1.1.0", "prod", *how)
    notes = spoil(bench, "churn@v1.1.0", "churn@v1.0.0")
    result = bench.cli(*words.split(), *how)
    assert result.code == 0, result.err
    assert sorted(result.err.splitlines()) == sorted(f"note: {note}" for note in notes)
    check(bench, "churn@v1.0.0", "churn@v1.1.0", "churn#prod#1")
    assert bench.manager.publish_capsules().tags == ()


def test_a_release_writes_a_lost_capsule_anew_on_its_way(bench: Workbench) -> None:
    bench.cli("release", "churn", "--push", "--capsule")
    (place(bench) / "tagship" / MODEL / "capsules" / listed(bench)["churn@v1.0.0"].capsule).unlink()
    bench.train("model 2\n")
    result = bench.cli("release", "churn", "--push", "--capsule")
    assert "the capsule of churn@v1.0.0" in result.err
    check(bench, "churn@v1.0.0", "churn@v1.1.0")


@pytest.mark.released
def test_an_entry_of_the_index_that_leads_nowhere_is_mended(bench: Workbench) -> None:
    bench.git("push", "--quiet", "--tags", "origin")
    bench.manager.publish_capsules()
    entry = replace(listed(bench)["churn@v1.0.0"], capsule="b" * 64)
    fill(bench, index.write(MODEL, {"churn@v1.0.0": entry}))
    assert bench.manager.publish_capsules().tags == ("churn@v1.0.0",)
    check(bench, "churn@v1.0.0")


@pytest.mark.released
def test_an_index_of_a_newer_tagship_is_left_as_it_is(bench: Workbench) -> None:
    bench.git("push", "--quiet", "--tags", "origin")
    fill(bench, b'{"schema": 9, "anything": 1}')
    with pytest.raises(Refused, match="of schema 9; this tagship knows 1"):
        bench.manager.publish_capsules()
    assert (
        place(bench) / "tagship/churn/index.json"
    ).read_bytes() == b'{"schema": 9, "anything": 1}'


@pytest.mark.released
def test_what_is_elsewhere_otherwise_is_noted(bench: Workbench, tmp_path: Path) -> None:
    bench.manager.assign("1.0.0", "prod")
    bench.git("push", "--quiet", "--tags", "origin")
    theirs = Entry("a" * 40, "b" * 64, 1)
    fill(bench, index.write(MODEL, {"churn#prod#1": theirs}))
    published = bench.manager.publish_capsules()
    assert published.notes == (
        f"{place(bench)} has another tag churn#prod#1, which counts there: aaaaaaaaaa",
    )
    assert listed(bench)["churn#prod#1"] == theirs
    bench.git("tag", "--delete", "churn@v1.0.0")
    fill(bench, index.write(MODEL, {"churn#prod#1": theirs}))
    (_, note) = bench.manager.publish_capsules().notes
    assert note.startswith("no capsule of churn@v1.0.0: not in this clone")
    bench.git("tag", "--annotate", "--message", "moved", "churn@v1.0.0")
    assert "no capsule of churn@v1.0.0: it is another tag on origin" in (
        bench.manager.publish_capsules().notes
    )


def test_a_tag_whose_files_are_not_here_is_noted_and_the_new_one_counts(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.cli("release", "churn", "--push")
    bench.train("model 2\n")
    make: Callable[..., bytes] = encapsulate.capsule_of

    def partly(source: Any, tag: Any) -> bytes:
        if str(tag.name) == "churn@v1.0.0":
            raise Unavailable("Git lacks the blob 1234", "git fetch --refetch")
        return make(source, tag)

    monkeypatch.setattr(encapsulate, "capsule_of", partly)
    released = bench.manager.release(push=True, capsule=True)
    assert released.warnings[-1] == "no capsule of churn@v1.0.0: Git lacks the blob 1234"
    assert set(listed(bench)) == {"churn@v1.1.0"}

    def never(source: Any, tag: Any) -> bytes:
        raise Unavailable("Git lacks the blob 1234", "git fetch --refetch")

    monkeypatch.setattr(encapsulate, "capsule_of", never)
    bench.train("model 3\n")
    with pytest.raises(TagshipError) as caught:
        bench.manager.release(push=True, capsule=True)
    assert caught.value.hint == "git fetch --refetch; then: tagship release churn --push --capsule"


# --- another place, which gets the objects too


def set_capsule(bench: Workbench, value: str) -> None:
    (bench.repo / "params.yaml").write_text(f"tagship: {{capsule: {json.dumps(value)}}}\n")
    bench.commit()


def test_a_registry_alone_feeds_a_host(host: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Git server and no DVC remote are there when it looks."""
    monkeypatch.setattr(oci, "SETTLE", 0.1)
    bench = host.bench
    with fake.running() as registry:
        address = f"docker://{registry.host}/models"
        set_capsule(bench, address)
        result = bench.cli("assign", "churn@1.0.0", "dev", "--push")  # 1.0.0 was released before
        assert (result.code, result.out.splitlines()[-1]) == (0, f"  capsule in {address}")
        alone = Carrying(bench, address=address)
        alone.follow("#prod")
        for each in (host.remote, host.origin):
            each.rename(each.with_suffix(".away"))
        told = "churn: waiting, live -\n  no version is there to follow by #prod\n"
        assert alone.sync().out == f"{told}    fix: tagship list churn\n"
        for each in (host.remote, host.origin):
            each.with_suffix(".away").rename(each)
        bench.train("model 2\n")
        bench.manager.release(push=True)
        bench.manager.assign("1.1.0", "prod", push=True)
        for each in (host.remote, host.origin):
            each.rename(each.with_suffix(".away"))
        assert alone.report()["live"] == "1.1.0"
        assert alone.live() == "model 2\n"
        alone.follow("1.0.0")
        assert alone.report()["live"] == "1.0.0"
        assert alone.cli("verify").code == 0


@pytest.mark.parametrize("kind", ["file", "folder", "empty file"])
def test_another_place_gets_each_object(bench: Workbench, tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        for name in (f"{PATH}.dvc", PATH):
            (bench.repo / name).unlink()
        (bench.repo / PATH).mkdir()
        for name in ("a", "b", "same"):
            (bench.repo / PATH / name).write_text("b" if name == "same" else name)
        bench.track(PATH)
        bench.commit()
    if kind == "empty file":
        bench.train(b"")
    other = tmp_path / "other"
    other.mkdir()
    set_capsule(bench, str(other))
    bench.manager.release(push=True)

    def names(top: Path) -> dict[str, bytes]:
        files = (top / "files").rglob("*")
        return {f.relative_to(top).as_posix(): f.read_bytes() for f in files if f.is_file()}

    assert names(other) == names(place(bench)) != {}
    assert not (place(bench) / "tagship").exists()
    assert set(index.parse((other / "tagship/churn/index.json").read_bytes(), MODEL, "")) == {
        "churn@v1.0.0"
    }


def test_an_object_that_is_gone_is_told_and_completed_later(
    bench: Workbench, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    set_capsule(bench, str(other))
    bench.manager.release(push=True, capsule=False)
    cache, remote = bench.repo / ".dvc/cache", place(bench)
    cache.rename(tmp_path / "cache")
    remote.rename(tmp_path / "remote")
    published = bench.manager.publish_capsules()
    assert published.tags == ()
    assert published.notes[0].startswith("no capsule of churn@v1.0.0: the DVC remote")
    (tmp_path / "cache").rename(cache)
    assert bench.manager.publish_capsules().tags == ("churn@v1.0.0",)


@pytest.mark.parametrize("value", ["there", "s3://ada:hunter2@bucket", ""])
def test_a_place_that_is_none_is_refused(bench: Workbench, value: str) -> None:
    set_capsule(bench, value)
    with pytest.raises(Refused, match=r"tagship.capsule in params.yaml may not be"):
        bench.manager.release(push=True)


def test_what_dvc_2_tracked_is_told(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    set_capsule(bench, str(tmp_path / "other"))
    pointer = bench.repo / f"{PATH}.dvc"
    pointer.write_text(pointer.read_text().replace("  hash: md5\n", ""))
    md5 = hashlib.md5(b"model 1\n").hexdigest()
    cache = bench.repo / ".dvc/cache"
    (cache / md5[:2]).mkdir()
    (cache / md5[:2] / md5[2:]).write_bytes(b"model 1\n")
    bench.commit()
    with pytest.raises(Refused) as caught:
        bench.manager.release(push=True)
    assert caught.value.message.startswith("DVC 2 tracked models/churn/model.bin")
    assert bench.git("tag") == ""
    assert caught.value.hint.startswith("dvc cache migrate --dvc-files")
