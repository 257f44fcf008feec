"""What a pass tells of a host: a status object a model, in a place that all hosts share."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tagship.errors import Refused
from tagship.fleet import place, reading, status_object
from tagship.fleet.place import Folder, Name
from tagship.fleet.signature import Signed
from tagship.workspace import host_file
from tests import accounts
from tests.fleet.objects import NOON
from tests.hosts import Following
from tests.workbench import run


def shares(host: Following, more: str = "") -> Path:
    """The host writes its status into a folder."""
    folder = host.top / "fleet"
    folder.mkdir(exist_ok=True)
    host.follow(more=f'[report]\nstatus = "{folder}"\n{more}')
    return folder


def status_of(folder: Path, name: str = "churn/edge-1.json") -> dict[str, Any]:
    """A status object."""
    value = json.loads((folder / name).read_bytes())
    assert isinstance(value, dict)
    return value


def test_a_pass_writes_what_is_live_and_what_should_be(host: Following) -> None:
    folder = shares(host)
    host.at(NOON)
    assert host.sync().err == ""
    tag = host.kept()["churn@v1.0.0"]
    status = status_of(folder)
    assert status.pop("id") == json.loads((host.folder / ".tagship/agent.json").read_text())["id"]
    assert len(status.pop("seen")) == 16
    (event,) = host.events()
    assert status == {
        "schema": 1,
        "model": "churn",
        "host": "edge-1",
        "at": "2026-11-30T12:00:00Z",
        "seq": 1,
        "tagship": "0.1.0",
        "why": "in_order",
        "reason": "1.0.0 is live",
        "live": {
            "version": "1.0.0",
            "tag_object": tag,
            "deployment": event.id,
            "since": "2026-11-30T12:00:00Z",
        },
        "desired": {"version": "1.0.0", "tag_object": tag},
        "smoke_test": "skipped",
    }
    assert os.listdir(folder / "churn") == ["edge-1.json"]


def test_it_is_written_again_only_when_something_changed_or_an_hour_went_by(
    host: Following,
) -> None:
    folder = shares(host)
    host.at(NOON)
    host.sync()
    host.at(NOON + timedelta(minutes=59))
    host.sync()
    assert status_of(folder)["seq"] == 1
    host.release("model 2\n")
    host.sync()
    status = status_of(folder)
    assert (status["seq"], status["live"]["version"]) == (2, "1.1.0")
    host.at(NOON + timedelta(minutes=119))
    host.sync()
    assert status_of(folder)["seq"] == 3
    assert status_of(folder)["at"] == "2026-11-30T13:59:00Z"


def test_a_rollback_is_told_with_what_was_taken_back(host: Following) -> None:
    folder = shares(host)
    host.sync()
    host.release("model 2\n")
    host.sync()
    tags = host.kept()
    assert host.cli("rollback", "churn", "--yes", "--reason", "wrong labels").code == 0
    assert status_of(folder)["live"]["version"] == "1.1.0"  # a pass tells
    host.sync()
    status = status_of(folder)
    assert (status["why"], status["live"]["version"]) == ("in_order", "1.0.0")
    assert status["failed"] == [tags["churn@v1.1.0"]]
    assert "1.1.0 is passed over: rolled back to 1.0.0" in status["reason"]
    assert "wrong labels" in status["reason"]


def test_a_hold_is_told(host: Following) -> None:
    folder = shares(host)
    host.sync()
    host.cli("hold", "churn", "--until", "2099-01-01", "--reason", "audit <b>")
    host.sync()
    hold = status_of(folder)["hold"]
    assert (hold["until"], hold["reason"]) == ("2099-01-01T00:00:00Z", "audit <b>")


def test_a_dry_run_tells_nobody(host: Following) -> None:
    folder = shares(host)
    host.sync("--dry-run")
    assert os.listdir(folder) == []


def test_a_host_with_a_key_signs(host: Following) -> None:
    key = host.top / "host_key"
    run(host.top, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    signers = host.top / "signers"
    signers.write_text(f"edge-1 {Path(f'{key}.pub').read_text()}")
    folder = shares(host, f'sign = "{key}"\nsigners = "{signers}"\n')
    assert host.sync().err == ""
    data = (folder / "churn" / "edge-1.json").read_bytes()
    assert len(data) <= status_object.LONGEST
    ((each,), _) = reading.read(Folder(folder), None, signers)
    assert each.signed is Signed.SIGNED


def test_a_key_that_cannot_sign_leaves_the_status_unsigned_with_a_note(host: Following) -> None:
    key = host.top / "host_key"
    run(host.top, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key))
    folder = shares(host, f'sign = "{key}"\n')
    result = host.sync()
    assert result.code == 0
    assert result.err == (
        f"note: {key} makes signatures that are too long, so the status is not signed: take an"
        " ed25519 key\n"
    )
    assert "signature" not in status_of(folder)
    key.unlink()
    host.release("model 2\n")
    assert "note: the status of this host is not signed: " in host.sync().err
    assert status_of(folder)["live"]["version"] == "1.1.0"


# --- what goes wrong is a note, and the pass goes on


def test_a_place_that_is_down_is_a_note_and_is_told_again_by_the_next_pass(
    host: Following,
) -> None:
    folder = shares(host)
    folder.rmdir()
    result = host.sync()
    assert (result.code, host.live()) == (0, "model 1\n")
    why = f"{folder} is not there"
    assert result.err == f"note: the status of this host could not be written: {why}\n"
    assert host.sync("-q").err == f"note: the status of this host could not be written: {why}\n"
    folder.mkdir()
    assert host.sync().err == ""
    assert status_of(folder)["seq"] == 1


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_store_that_is_down_is_a_note(
    host: Following, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(place, "PUT", 1.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if kind == "silent":
            server.listen()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        options = f'endpointurl = "{address}"\nregion = "us-east-1"\n'
        host.follow(more=f'[report]\nstatus = "s3://bucket/fleet"\n[report.options]\n{options}')
        result = host.sync()
    assert (result.code, host.live()) == (0, "model 1\n")
    told = {"closed": "s3://bucket/fleet ", "silent": "s3://bucket/fleet did not answer in time"}
    assert f"note: the status of this host could not be written: {told[kind]}" in result.err
    assert "secret" not in result.err


FULL = """
mount -t tmpfs -o size=4k,nr_inodes=4 tmpfs "$1" && mkdir "$1/churn" && exec 2>&1
head -c 4096 /dev/zero > "$1/fill"
"$3" -m tagship -C "$2" sync
rm "$1/fill" && mount -o remount,ro "$1"
"$3" -m tagship -C "$2" sync
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_place_that_is_full_or_read_only_is_a_note(host: Following) -> None:
    folder = shares(host)
    words = (str(folder), str(host.folder), sys.executable)
    command = ["unshare", "--mount", "sh", "-c", FULL, "sh", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(done.stderr)
    notes = [line for line in done.stdout.splitlines() if line.startswith("note: ")]
    what = f"note: the status of this host could not be written: {folder} cannot be written: "
    assert notes[0].startswith(f"{what}No space left on device")
    assert "read-only" in notes[1].lower()
    assert done.stdout.count("churn: in order, live 1.0.0") == 2
    assert host.live() == "model 1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
def test_a_place_without_the_right_to_write_is_unavailable() -> None:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is of this account alone
        Path(folder).chmod(0o755)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgid(accounts.READER)
            os.setuid(accounts.READER)
            failed = place.put(Folder(Path(folder)), {Name("churn", "edge-1"): b"x"})
            os.write(writer, str(*failed.values()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        told = os.read(reader, 1000).decode()
        os.close(reader)
        os.close(writer)
    assert told.startswith(f"{folder} cannot be written: 4343 may not write to {folder}, which")


# --- who else is there


def test_another_host_of_the_same_name_is_told_within_the_hour(host: Following) -> None:
    folder = shares(host)
    host.at(NOON)
    host.sync()
    own = status_of(folder)
    other = {**own, "id": "f" * 16, "seq": 40}
    (folder / "churn" / "edge-1.json").write_text(json.dumps(other))
    host.at(NOON + timedelta(minutes=61))
    host.sync()
    assert status_of(folder)["twin"] == "f" * 16
    assert status_of(folder)["id"] == own["id"]
    host.at(NOON + timedelta(minutes=122))
    host.sync()
    assert "twin" not in status_of(folder)  # it is gone


def test_a_copy_of_a_hosts_folder_is_another_host_of_the_same_name(host: Following) -> None:
    folder = shares(host)
    host.at(NOON)
    host.sync()
    copy = {**status_of(folder), "seq": 9}  # it went on by itself
    (folder / "churn" / "edge-1.json").write_text(json.dumps(copy))
    host.at(NOON + timedelta(minutes=61))
    host.sync()
    assert status_of(folder)["twin"] == copy["id"]


def test_a_roster_without_this_host_is_a_note_and_an_unreadable_one_too(host: Following) -> None:
    roster = host.top / "hosts"
    shares(host, f'roster = "{roster}"\n')
    roster.write_text("# our hosts\nedge-2\nedge-3  # in the cellar\n")
    note = f"note: this host is edge-1, and the roster {roster} does not have it\n"
    assert host.sync().err == note
    roster.write_text("edge-1\n<b>\n")
    host.release("model 2\n")
    result = host.sync()
    assert result.err == f"note: {roster}, line 2: '<b>' is no name of a host\n"
    assert (result.code, host.live()) == (0, "model 2\n")


# --- [report] of tagship.toml


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("mail = 1", "report in {} has an unknown key 'mail'"),
        ('status = "fleet"', "report.status in {} may not be 'fleet'"),
        ('status = "https://x/fleet"', "report.status in {} may not be 'https://x/fleet'"),
        ('status = "s3://a:b@x/fleet"', "report.status in {} may not be 's3://x/fleet'"),
        ('sign = "key"', "report.sign in {} may not be 'key'"),
        ("roster = 1", "report.roster in {} may not be 1"),
        ('notify = "mail"', "report.notify in {} may not be 'mail'"),
        ('notify = ["mail"]', "report.notify in {} may not be ['mail']"),
        ("notify = []", "report.notify in {} may not be []"),
        ('[report.options]\nsecret_access_key = "x"',
         "report.options.secret_access_key in {} would be a secret, in a file that others may"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(tmp_path: Path, table: str, error: str) -> None:
    file = tmp_path / "tagship.toml"
    with pytest.raises(Refused) as caught:
        host_file.parse(f'[source]\ngit = "/x"\n[report]\n{table}\n'.encode(), file)
    assert error.format(file) in caught.value.message


def test_a_name_that_no_file_can_have_is_refused_with_a_place(tmp_path: Path) -> None:
    text = 'name = "../edge 1"\n[source]\ngit = "/x"\n'
    assert host_file.parse(text.encode(), tmp_path / "tagship.toml").name == "../edge 1"
    with pytest.raises(Refused, match="the status of this host is a file of its name"):
        host_file.parse(f'{text}[report]\nstatus = "/y"\n'.encode(), tmp_path / "tagship.toml")


def test_a_place_in_the_bucket_of_the_remote_has_its_options(tmp_path: Path) -> None:
    text = (
        '[source]\ngit = "/x"\nremote = "s3://bucket/dvc"\n'
        '[source.options]\nendpointurl = "https://s3.example.com"\n'
        '[source.remotes]\nother = {url = "s3://other/dvc", options = {region = "x"}}\n'
        "[report]\n"
    )

    def options(more: str) -> dict[str, Any]:
        file = host_file.parse((text + more).encode(), tmp_path / "tagship.toml")
        return dict(file.reports.options)

    usual = {"endpointurl": "https://s3.example.com"}
    assert options('status = "s3://bucket/fleet"') == usual
    assert options('status = "s3://other/fleet"') == {"region": "x"}
    assert options('status = "s3://third/fleet"') == {}
    assert options('status = "gs://bucket/fleet"') == {}
    assert options('status = "s3://bucket/x"\n[report.options]\nregion = "y"') == {"region": "y"}
