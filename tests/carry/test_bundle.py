"""The form of a bundle: what is written is read back, and anything else is refused in words."""

import dataclasses
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tagship.carry import bundle
from tagship.carry.bundle import Bad, Head, Reader, Writer
from tagship.disk import files, tar
from tagship.errors import Corrupt, Refused

ROOT = Path(__file__).parents[2]
NAMES = ("tagship/churn/index.json", "files/md5/ab/" + "c" * 30)
LARGE = os.urandom(3 * files.BLOCK + 77)
RELEASED = {"churn@v1.0.0": "a" * 40}
HEAD = Head(1, "churn", ("churn@v1.0.0",), 1, len(LARGE), RELEASED)


def nothing(count: int) -> None:
    """No progress."""


def write(folder: Path, head: Head = HEAD, name: str = NAMES[0]) -> bytes:
    """A bundle of a small member and a large one."""
    made = io.BytesIO()
    writer = Writer(made.write)
    writer.add(bundle.HEAD, head.data)
    writer.add(name, b"{}\n")
    (folder / "large").write_bytes(LARGE)
    md5 = hashlib.md5(LARGE).hexdigest()
    writer.add_file(NAMES[1], folder / "large", len(LARGE), md5, nothing)
    assert writer.finish() == hashlib.sha256(sums(made.getvalue())).hexdigest()
    return made.getvalue()


def sums(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        member = opened.extractfile(bundle.SUMS)
        assert member is not None
        return member.read()


def pieces(data: bytes, size: int = 100_003) -> Iterator[bytes]:
    """As a pipe gives them."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(data: bytes, folder: Path, name: str = NAMES[0], most: int = len(LARGE)) -> str:
    """Read what ``write`` wrote."""
    target = folder / "read"
    target.unlink(missing_ok=True)
    reader = Reader(pieces(data), "x.tar")
    assert reader.head() == HEAD
    assert reader.take(name, 100) == b"{}\n"
    file = reader.receive(NAMES[1], most, target, nothing)
    assert target.read_bytes() == LARGE
    assert file.md5 == hashlib.md5(LARGE).hexdigest()
    return reader.finish()


def refused(data: bytes, folder: Path) -> str:
    with pytest.raises(Corrupt) as caught:
        read(data, folder)
    assert caught.value.hint
    assert "sha256sum" in caught.value.hint or "is no bundle" in caught.value.message
    return caught.value.message.removeprefix("the bundle x.tar is damaged: ")


def test_a_bundle_is_read_back_and_equal_members_give_equal_bytes(tmp_path: Path) -> None:
    data = write(tmp_path)
    assert data == write(tmp_path)
    assert read(data, tmp_path) == hashlib.sha256(sums(data)).hexdigest()


def test_other_programs_read_it_too(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(write(tmp_path))
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", "../x.tar"], cwd=tmp_path / "out", check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", bundle.SUMS], cwd=tmp_path / "out", check=True)


def test_a_long_name_and_many_bytes_are_told_in_the_header(tmp_path: Path) -> None:
    name = f"tagship/{'m' * 120}/index.json"
    data = write(tmp_path, name=name)
    assert read(data, tmp_path, name)
    made = io.BytesIO()
    Writer(made.write).add(bundle.HEAD, HEAD.data)
    huge = Reader(iter([made.getvalue(), tar.head("huge", 9 << 30)]), "x.tar")
    huge.head()
    with pytest.raises(Corrupt, match="huge has 9663676416 bytes, and may have 5"):
        huge.take("huge", 5)


def test_a_file_that_changed_meanwhile_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"other")
    with pytest.raises(Bad):
        Writer(io.BytesIO().write).add_file("a", tmp_path / "file", 5, "0" * 32, nothing)


def test_a_bundle_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        starts = [member.offset for member in opened]
    ends = {start + more for start in starts for more in (0, 1, 511, 512, 513, 700)}
    for end in sorted({*ends, len(data) - 1, len(data) - tar.BLOCK, len(data) - 1024} - {0}):
        assert refused(data[:end], tmp_path).startswith("it is cut short, in "), end
    assert refused(b"", tmp_path) == "it is empty"
    assert refused(data + b"\0", tmp_path) == "it has bytes behind its end"


def test_a_flipped_bit_anywhere_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        offsets = [at for m in opened for at in range(m.offset, m.offset_data + 512, 61)]
    for offset in (*offsets, len(data) - 1, len(data) - 1600):
        changed = bytearray(data)
        changed[offset] ^= 4
        with pytest.raises((Corrupt, Refused, AssertionError)):
            read(bytes(changed), tmp_path)


def member(name: str = NAMES[0], **values: object) -> bytes:
    """A header of a tar, as of another program."""
    made = tarfile.TarInfo(name)
    made.mode, made.size = 0o444, 3
    for key, value in values.items():
        setattr(made, key, value)
    return made.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (member(type=tarfile.SYMTYPE, linkname="/etc/passwd"), f"it has a link: {NAMES[0]}"),
        (member(type=tarfile.LNKTYPE, linkname="../x"), f"it has a link: {NAMES[0]}"),
        (member(type=tarfile.CHRTYPE), f"it has a device: {NAMES[0]}"),
        (member(type=tarfile.BLKTYPE), f"it has a device: {NAMES[0]}"),
        (member(type=tarfile.FIFOTYPE), f"it has a pipe: {NAMES[0]}"),
        (member(type=tarfile.DIRTYPE), f"it has a folder: {NAMES[0]}"),
        (member(type=tarfile.GNUTYPE_SPARSE), f"it has a file with holes: {NAMES[0]}"),
        (member("/etc/passwd"), "it has a path that leads out: /etc/passwd"),
        (member("../../etc/passwd"), "it has a path that leads out: ../../etc/passwd"),
        (member(bundle.HEAD), "it has a member twice: bundle.json"),
        (member("files/\x1b[2J"), f"it has files/\\x1b[2J where {NAMES[0]} should be"),
        (member(mode=0o4755), f"{NAMES[0]} has another mode, owner, time or size than a bundle"),
        (tar.head(NAMES[0], 101), f"{NAMES[0]} has 101 bytes, and may have 100"),
        (tar.head(NAMES[0], 1 << 50), f"{NAMES[0]} has {1 << 50} bytes, and may have 100"),
        (b"\xff" * 512, f"{NAMES[0]} is not where it should be"),
        (bytes(512), f"it ends where {NAMES[0]} should be"),
    ],
)  # fmt: skip
def test_what_is_no_member_of_ours_is_refused(tmp_path: Path, header: bytes, said: str) -> None:
    data = write(tmp_path)
    start = data.index(NAMES[0].encode())
    assert refused(data[:start] + header + data[start + 512 :], tmp_path).startswith(said)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x1f\x8b\x08" + bytes(600), "it is compressed by gzip"),
        (b"# v2 git bundle\n" + bytes(600), "it is a bundle of Git"),
        (b"a text of some length\n" * 60, "it does not begin with bundle.json"),
        (member("other"), "it does not begin with bundle.json"),
        (bytes(10240), "it does not begin with bundle.json"),
        (b"short", "it does not begin with bundle.json"),
    ],
)
def test_what_is_no_bundle_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    assert refused(data, tmp_path) == f"x.tar is no bundle: {said}"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (Head(1, "churn", (), 1, 1, {}), "names no versions"),
        (Head(1, "churn", ("churn@v1.0.0", "churn@v1.0.0"), 1, 1, {}), "names them twice"),
        (Head(1, "churn", ("churn@v1",), 1, 1, {}), "out of form"),
        (Head(1, "churn", ("churn@v1.0.0",), 1, 1, {"churn@v1.0.0": "a"}), "out of form"),
        (Head(1, "../churn", ("churn@v1.0.0",), 1, 1, {}), "out of form"),
        (Head(1, "churn", ("churn@v1.0.0",), 1 << 40, 1, {}), "names 1099511627776 objects"),
        (Head(1, "churn", ("churn@v1.0.0",), 1, -1, {}), "names 1 objects"),
    ],
)
def test_a_head_out_of_form_is_refused(tmp_path: Path, head: Head, said: str) -> None:
    assert said in refused(write(tmp_path, head), tmp_path)


def test_a_bundle_of_a_newer_tagship_is_named_so(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="of schema 2; this tagship knows 1") as caught:
        read(write(tmp_path, Head(2, "churn", ("churn@v1.0.0",), 1, 1, {})), tmp_path)
    assert caught.value.hint == "pip install --upgrade tagship"


def test_sums_that_lie_are_refused(tmp_path: Path) -> None:
    data = write(tmp_path)
    told = sums(data)
    lie = told.replace(told[:4], b"0000" if told[:4] != b"0000" else b"1111", 1)
    assert refused(data.replace(told, lie), tmp_path) == (
        "its SHA256SUMS has other sums than its members"
    )


def test_the_head_is_as_its_schema_says() -> None:
    schema = json.loads((ROOT / "docs/schemas/bundle.schema.json").read_text())
    jsonschema.validate(json.loads(HEAD.data), schema)
    assert list(schema["properties"]) == [field.name for field in dataclasses.fields(Head)]
