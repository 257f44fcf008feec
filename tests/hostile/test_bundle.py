"""A bundle from anybody: what is not as it was released is refused, and nothing of it is anywhere.

The sums of all these bundles are right, and so are the digests of capsules: whoever forges one can
compute them. The form of the tar is in ``tests/carry/test_bundle.py``.
"""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tagship import TagshipError, Workspace
from tagship.carry import bundle as form
from tagship.carry import capsule
from tagship.errors import Corrupt, NotTrusted, Refused
from tagship.export import unbundle
from tagship.export.unbundle import Origin
from tests.export import bundles
from tests.export.bundles import Forged
from tests.export.test_unbundle import files, take
from tests.git.test_quarantine import entry, pack
from tests.workbench import Workbench, run

Forge = Callable[[Forged], object]


@pytest.fixture
def file(bench: Workbench, tmp_path: Path) -> Path:
    """The bundle of 1.0.0, which is released."""
    bench.manager.bundle(tmp_path / "x.tar", "1.0.0")
    return tmp_path / "x.tar"


@pytest.fixture
def gap(tmp_path: Path) -> Path:
    """A folder where no repository is."""
    (tmp_path / "gap").mkdir()
    return tmp_path / "gap"


def refused(gap: Path, file: Path, data: bytes) -> TagshipError:
    """What is said; nothing is left, inside or outside."""
    file.write_bytes(data)
    before = sorted(gap.parent.rglob("*"))
    with pytest.raises(TagshipError) as caught:
        take(gap, file)
    assert sorted(gap.parent.rglob("*")) == before
    assert caught.value.hint
    return caught.value


def more_objects(forged: Forged) -> None:
    """An object that no version has, before the sums."""
    forged.members["files/md5/ff/" + "f" * 30] = b"foreign"


def first_object(forged: Forged) -> None:
    """The same before the object of the version."""
    name = forged.of("files/")
    data = forged.members.pop(name)
    forged.members["files/md5/00/" + "0" * 30] = b"foreign"
    forged.members[name] = data


def no_object(forged: Forged) -> None:
    del forged.members[forged.of("files/")]


def tag_of_another(forged: Forged) -> None:
    data = forged.members[bundles.INDEX]
    forged.members[bundles.INDEX] = data.replace(b"churn@v1.0.0", b"churn@v9.0.0")
    forged.change(form.HEAD, lambda head: head.update(versions=["churn@v9.0.0"]))


def another_object(forged: Forged) -> None:
    forged.change(
        bundles.INDEX, lambda index: index["tags"]["churn@v1.0.0"].update(object="a" * 40)
    )


def other_model(forged: Forged) -> None:
    forged.head(lambda head: dataclasses.replace(head, tag="vision@v1.0.0"))


def other_commit(forged: Forged) -> None:
    forged.head(lambda head: dataclasses.replace(head, commit="b" * 40))


def newer_capsule(forged: Forged) -> None:
    forged.head(lambda head: dataclasses.replace(head, schema=2))


def foreign_blob(forged: Forged) -> None:
    """A capsule with a file that nobody reads."""
    found = capsule.parse(forged.members[forged.of("capsules/")], "here").pack
    count = int.from_bytes(found[8:12], "big")
    entries = found[12:-20]
    forged.put_pack(pack(entries, entry("blob", b"hidden"), count=count + 1))


def bomb(forged: Forged) -> None:
    """A gigabyte of zeros in a megabyte."""
    forged.put_pack(pack(entry("blob", bytes(1 << 28)), entry("blob", bytes(1 << 20)), count=2))


BAD: dict[str, tuple[Forge, str]] = {
    "a foreign object at the end": (more_objects, "where SHA256SUMS should be"),
    "a foreign object": (first_object, "it has files/md5/00/000"),
    "no object": (no_object, "it has SHA256SUMS where files/md5/"),
    "an object with other bytes": (lambda f: f.put_object(b"model !\n"), "has other bytes"),
    "an object that is longer": (lambda f: f.put_object(b"x" * 9), "has 9 bytes, and may have 8"),
    "an object that is cut": (lambda f: f.put_object(b"mod"), "has other bytes"),
    "another tag": (tag_of_another, "it is of churn@v1.0.0"),
    "another tag object": (another_object, "it has the tag object"),
    "the capsule of another model": (other_model, "it is of vision@v1.0.0"),
    "a capsule of another commit": (other_commit, "the capsule of churn@v1.0.0 is damaged"),
    "a foreign file in a capsule": (foreign_blob, "1 objects that it does not need"),
    "a pack bomb": (bomb, "more than is taken"),
    "a pack of nothing": (lambda f: f.put_pack(pack()), "it lacks the object"),
    "no pack": (lambda f: f.put_pack(b"PACK"), "it is cut short"),
    "no capsule": (lambda f: f.put_capsule(b"{}"), "it is no capsule"),
    "more objects than there are": (
        lambda f: f.change(form.HEAD, lambda head: head.update(objects=2)),
        "its versions have 1 objects of 8 bytes, and not 2 of 8",
    ),
    "more bytes than there are": (
        lambda f: f.change(form.HEAD, lambda head: head.update(size=9)),
        "its versions have 1 objects of 8 bytes, and not 1 of 9",
    ),
    "more bytes than there is room": (
        lambda f: f.change(form.HEAD, lambda head: head.update(size=1 << 56)),
        "has no room for churn",
    ),
    "fewer bytes than there are": (
        lambda f: f.change(form.HEAD, lambda head: head.update(size=7)),
        "has 8 bytes, and may have 7",
    ),
    "another version in its head": (
        lambda f: f.change(form.HEAD, lambda head: head.update(versions=["churn@v2.0.0"])),
        "its index has other versions than its bundle.json",
    ),
    "an index of another model": (
        lambda f: f.change(bundles.INDEX, lambda index: index.update(model="vision")),
        "is of vision",
    ),
    "a capsule that is too long": (
        lambda f: f.change(
            bundles.INDEX, lambda index: index["tags"]["churn@v1.0.0"].update(size=1 << 40)
        ),
        "its capsules have more than",
    ),
    "a capsule that is longer than the index says": (
        lambda f: f.change(
            bundles.INDEX, lambda index: index["tags"]["churn@v1.0.0"].update(size=9)
        ),
        "bytes, and may have 9",
    ),
    "a capsule by another digest": (
        lambda f: f.members.update({f.of("capsules/"): b"other bytes"}),
        "has other bytes than its digest says",
    ),
    "a newer bundle": (
        lambda f: f.change(form.HEAD, lambda head: head.update(schema=2)),
        "of schema 2; this tagship knows 1",
    ),
    "a newer index": (
        lambda f: f.change(bundles.INDEX, lambda index: index.update(schema=2)),
        "of schema 2; this tagship knows 1",
    ),
    "a newer capsule": (newer_capsule, "of schema 2; this tagship knows 1"),
}


@pytest.mark.released
def test_what_was_not_released_so_is_refused(file: Path, gap: Path) -> None:
    """One test, as each bundle is forged from the same one."""
    data = file.read_bytes()
    for name, (forge, said) in BAD.items():
        forged = Forged(file)
        forge(forged)
        error = refused(gap, file, forged.data)
        assert said in error.message, name
        if "newer" in name:
            assert error.hint == "pip install --upgrade tagship"
        if "room" in name:  # not by ``cleanup``: that removes what is deployed
            place = gap / "place"
            more = "or begin a new folder for bundles: docs/air-gap.md"
            assert error.hint == f"make room: df -h {place}; {more}"
        file.write_bytes(data)
    assert take(gap, file).new == ("churn@v1.0.0",)


@pytest.mark.released
def test_a_bundle_that_is_cut_or_changed_anywhere_is_refused(file: Path, gap: Path) -> None:
    data = file.read_bytes()
    chance = random.Random(22)  # the same each time
    for header, start, size in bundles.offsets(data):
        ends = {header, header + 512, start + size // 2, start + size}
        for end in ends:
            assert isinstance(refused(gap, file, data[:end]), Corrupt)
        for offset in (header + chance.randrange(345), start + chance.randrange(size)):
            changed = bytearray(data)
            changed[offset] ^= 1 << chance.randrange(8)
            refused(gap, file, bytes(changed))
    file.write_bytes(data)
    take(gap, file)


@pytest.mark.released
def test_too_many_objects_and_capsules_are_refused_before_they_are_read(
    file: Path, gap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file.read_bytes()
    monkeypatch.setattr(form, "MOST", 0)
    assert "names 1 objects; 0 may be in a bundle" in refused(gap, file, data).message
    monkeypatch.undo()
    monkeypatch.setattr(unbundle, "CAPSULES", 100)
    assert "its capsules have more than 100 bytes" in refused(gap, file, data).message


# --- by what this host asks for


@pytest.fixture
def trust(bench: Workbench, tmp_path: Path) -> Path:
    """The folder of host.toml, which asks for tags that ada signed, and for signed files."""
    folder = tmp_path / "home" / "tagship"
    folder.mkdir()
    for name in ("ada", "mallory"):
        run(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
    for name in ("files", "others"):
        run(folder, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", name)
    kind, data, _ = (folder / "ada.pub").read_text().split()
    (folder / "allowed_signers").write_text(f'ada@example.com namespaces="git" {kind} {data}\n')
    write_policy(folder, key="files")
    bench.git("config", "gpg.format", "ssh")
    bench.git("config", "user.signingKey", str(folder / "ada.pub"))
    bench.git("config", "tag.gpgSign", "true")
    return folder


def write_policy(folder: Path, key: str, *, signed: bool = True) -> None:
    tags = 'require_signed = true\nallowed_signers = "allowed_signers"\n' if signed else ""
    (folder / "host.toml").write_text(
        f'{tags}model_keys = "files.pub"\nsigning_key = "{key}"\n' if key else tags
    )


def bundled(bench: Workbench, trust: Path, file: Path) -> bytes:
    """The latest version, bundled where nothing is asked for."""
    policy = (trust / "host.toml").read_text()
    (trust / "host.toml").unlink()
    file.unlink(missing_ok=True)
    bench.manager.bundle(file)
    (trust / "host.toml").write_text(policy)
    return file.read_bytes()


def test_a_signed_bundle_is_taken_and_nobody_is_asked(
    bench: Workbench, trust: Path, gap: Path, tmp_path: Path
) -> None:
    bench.release()
    bench.git("tag", "-a", "--no-sign", "-m", "unsigned", "churn#prod#1", "HEAD")
    bench.git("tag", "-a", "-m", "signed", "churn#prod#2", "HEAD")
    bundled(bench, trust, tmp_path / "x.tar")
    told: list[str] = []
    taken = Workspace(gap, tell=told.append).unbundle(tmp_path / "x.tar", gap / "place")
    assert taken.new == ("churn#prod#2", "churn@v1.0.0")
    assert taken.left_out == ("churn#prod#1",)
    assert told == ["left out, as this host asks for signed tags: churn#prod#1"]


@pytest.mark.parametrize(
    ("signer", "key", "said"),
    [
        ("", "files", "the tag churn@v1.0.0 is not signed, and this host asks for it"),
        ("mallory", "files", "the tag churn@v1.0.0 is not signed by a key that counts here"),
        ("ada", "", "the files of churn 1.0.0 are not signed, and this host asks for it"),
        ("ada", "others", "signed by a key that does not count here"),
    ],
)
def test_what_is_not_signed_as_this_host_asks_is_refused(
    bench: Workbench, trust: Path, gap: Path, tmp_path: Path, signer: str, key: str, said: str
) -> None:
    if signer:
        bench.git("config", "user.signingKey", str(trust / f"{signer}.pub"))
    else:
        bench.git("config", "tag.gpgSign", "false")
    (trust / "host.toml").write_text(f'signing_key = "{key}"\n' if key else "")
    bench.release()
    write_policy(trust, "files")
    data = bundled(bench, trust, tmp_path / "x.tar")
    error = refused(gap, tmp_path / "x.tar", data)
    assert isinstance(error, NotTrusted)
    assert said in error.message


@pytest.mark.released
def test_files_that_are_not_those_of_their_signature_are_refused(
    bench: Workbench, trust: Path, gap: Path, tmp_path: Path
) -> None:
    """Somebody with the key of tags alone moves the signature of files to other files."""
    bench.train("model 2\n")
    bench.release()
    message = bench.git("tag", "-l", "--format=%(contents:body)", "churn@v1.1.0")
    trailers = [line for line in message.splitlines() if line.startswith("Model-")]
    bench.train("model 3\n")
    bench.git("tag", "-a", "-m", "\n".join(["churn 1.2.0", "", *trailers]), "churn@v1.2.0")
    data = bundled(bench, trust, tmp_path / "x.tar")
    assert trailers
    assert isinstance(refused(gap, tmp_path / "x.tar", data), Corrupt)


@pytest.mark.released
def test_a_bundle_of_another_repository_is_shown_with_what_tells_it(
    bench: Workbench, file: Path, gap: Path
) -> None:
    origins: list[Origin] = []

    def never(origin: Origin) -> bool:
        origins.append(origin)
        return False

    with pytest.raises(NotTrusted):
        Workspace(gap).unbundle(file, gap / "place", accept=never)
    (tag,) = origins[0].versions
    assert tag.commit == bench.git("rev-parse", "HEAD").strip()
    assert tag.object_id == bench.git("rev-parse", "churn@v1.0.0").strip()
    take(gap, file)
    before = files(gap)
    bench.git("tag", "-d", "churn@v1.0.0")
    bench.git("commit", "--quiet", "--allow-empty", "-m", "elsewhere")
    bench.git("tag", "-a", "-m", "another one", "churn@v1.0.0")
    file.unlink()
    bench.manager.bundle(file)
    with pytest.raises(Refused, match="or the tag was moved"):
        take(gap, file)
    assert files(gap) == before
