"""The signature of a status object, by a real ssh-keygen."""

import json
from pathlib import Path

import pytest

from tagship.errors import Unavailable
from tagship.fleet import reading, signature, status_object
from tagship.fleet.place import Folder
from tagship.fleet.signature import Signed
from tests.fleet import objects
from tests.fleet.objects import Shared
from tests.workbench import run


def key(folder: Path, name: str, kind: str = "ed25519", words: str = "") -> Path:
    """A key of a host, and its line in ``signers``."""
    file = folder / name
    run(folder, "ssh-keygen", "-q", "-t", kind, "-N", words, "-C", "", "-f", str(file))
    with (folder / "signers").open("a") as signers:
        signers.write(f"{name} {Path(f'{file}.pub').read_text()}")
    return file


def test_only_what_the_key_of_a_host_signed_counts_as_signed(tmp_path: Path) -> None:
    shared, signers = Shared(tmp_path / "fleet"), tmp_path / "signers"
    keys = {host: key(tmp_path, host) for host in ("edge-1", "edge-2")}
    own = objects.status()
    text = signature.sign(status_object.payload(own), keys["edge-1"])
    shared.put(objects.status(signature=text))
    shared.put(objects.status("fraud"))
    shared.put(objects.status("pricing", signature=text))  # of another object
    other = objects.status(host="edge-2")
    text_2 = signature.sign(status_object.payload(other), keys["edge-1"])
    shared.put(objects.status(host="edge-2", signature=text_2))  # by the key of another host
    shared.put(objects.status("spam", signature="A" * 400))

    def states(file: Path | None) -> dict[str, Signed]:
        readings, _ = reading.read(Folder(shared.path), None, file)
        return {each.name.key: each.signed for each in readings}

    assert states(signers) == {
        "churn/edge-1.json": Signed.SIGNED,
        "churn/edge-2.json": Signed.FORGED,
        "fraud/edge-1.json": Signed.UNSIGNED,
        "pricing/edge-1.json": Signed.FORGED,
        "spam/edge-1.json": Signed.FORGED,
    }
    assert set(states(None).values()) == {Signed.UNCHECKED, Signed.UNSIGNED}
    changed = json.loads((shared.path / "churn/edge-1.json").read_bytes())
    shared.write("churn/edge-1.json", json.dumps({**changed, "why": "broken"}).encode())
    assert states(signers)["churn/edge-1.json"] is Signed.FORGED
    shared.write("churn/edge-1.json", json.dumps(changed, indent=4).encode())  # no value changed
    assert states(signers)["churn/edge-1.json"] is Signed.SIGNED


def test_a_key_that_cannot_sign_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot sign: .*No such file or directory") as caught:
        signature.sign(b"x", tmp_path / "none")
    assert caught.value.hint.startswith("make one without a passphrase: ssh-keygen -t ed25519")
    with pytest.raises(Unavailable, match=r"cannot sign: .*passphrase"):
        signature.sign(b"x", key(tmp_path, "edge-3", words="a passphrase"))
    loose = key(tmp_path, "edge-4")
    loose.chmod(0o644)
    with pytest.raises(Unavailable, match="cannot sign"):
        signature.sign(b"x", loose)


def test_signers_that_cannot_be_read_are_no_forgery(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the signers of status objects cannot be read"):
        reading.read(Folder(tmp_path), None, tmp_path / "none")
