"""A place of status objects: what is read is bounded, and other files are not opened."""

import os
import shutil
from pathlib import Path

import pytest

from tagship.errors import Refused, TagshipError, Unavailable
from tagship.fleet import at_once, place
from tagship.fleet.place import Folder, Name
from tests.fleet import objects
from tests.fleet.objects import NOON, Shared


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    folder = tmp_path / "fleet"
    folder.mkdir()
    return Shared(folder)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("churn/edge-1.json", ("churn", "edge-1")),
        ("team%3Achurn/edge.1.json", ("team:churn", "edge.1")),
        ("a%2Fb/edge-1.json", ("a/b", "edge-1")),
        ("churn/edge-1", None),
        ("churn/.json", None),
        ("churn/..json", None),
        ("churn/-rf.json", None),
        ("churn/../edge-1.json", None),
        ("../churn/edge-1.json", None),
        ("..%2Fchurn/edge-1.json", None),
        ("%2E%2E/edge-1.json", None),
        ("churn/%2e%2e.json", None),
        ("churn/a/b.json", None),
        ("churn//edge-1.json", None),
        ("edge-1.json", None),
        ("/etc/edge-1.json", None),
        ("a b/edge-1.json", None),
        ("churn/edge 1.json", None),
        ("churn/<b>.json", None),
        (f"churn/{'h' * 65}.json", None),
        (f"{'m' * 256}/edge-1.json", None),
        ("churn/edge-1.json\n", None),
    ],
)
def test_only_names_of_a_model_and_a_host_are_read(key: str, name: Name | None) -> None:
    found = place.parse(key)
    assert found == name
    assert found is None or found.key == key


def test_what_is_no_status_object_is_told_and_not_opened(shared: Shared, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    shared.put(objects.status())
    shared.write("churn/README", b"x")
    shared.write("churn/.edge-1.json.0123456789ab.tmp", b"half")
    (shared.path / "churn" / "edge-2.json").symlink_to(secret)
    (shared.path / "fraud").symlink_to(tmp_path)
    os.mkfifo(shared.path / "churn" / "edge-3.json")
    contents = place.read(Folder(shared.path))
    assert [found.name for found in contents.objects] == [("churn", "edge-1")]
    assert contents.odd == ("churn/README",)
    assert not contents.is_cut


def test_an_object_of_10_mb_is_not_read(shared: Shared) -> None:
    file = shared.write("churn/edge-1.json", b"")
    os.truncate(file, 10_000_000)
    (found,) = place.read(Folder(shared.path)).objects
    assert (found.data, found.problem) == (b"", "it has more than 16000 bytes")
    assert len(Folder(shared.path).get("churn/edge-1.json")) == 16001  # it grew meanwhile


def test_more_objects_than_are_read_are_told(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "MOST", 3)
    for number in range(5):
        shared.put(objects.status(host=f"edge-{number}"))
    contents = place.read(Folder(shared.path))
    assert (len(contents.objects), contents.is_cut) == (3, True)


def test_only_the_models_that_are_asked_for_are_read(shared: Shared) -> None:
    shared.put(objects.status())
    shared.put(objects.status("fraud", "edge-2"))
    contents = place.read(Folder(shared.path), ["fraud"])
    assert [found.name for found in contents.objects] == [("fraud", "edge-2")]
    assert contents.names == {Name("churn", "edge-1"), Name("fraud", "edge-2")}


def test_an_object_appears_whole_with_the_mode_for_all_to_read(shared: Shared) -> None:
    name = Name("a/b", "edge-1")
    assert place.put(Folder(shared.path), {name: b"1"}) == {}
    assert place.put(Folder(shared.path), {name: b"2"}) == {}
    file = shared.path / "a%2Fb" / "edge-1.json"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"2", 0o644)
    assert os.listdir(file.parent) == ["edge-1.json"]


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    away = Folder(tmp_path / "away")
    (error,) = place.put(away, {Name("churn", "edge-1"): b"1"}).values()
    assert (error.message, error.hint) == (
        f"{away.path} is not there",
        f"mount it, or make it: mkdir -p {away.path}",
    )
    with pytest.raises(Unavailable, match="is not there"):
        place.read(away)
    assert not away.path.exists()


def test_a_link_in_the_place_of_a_models_folder_is_not_followed(
    shared: Shared, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (shared.path / "churn").symlink_to(tmp_path / "elsewhere")
    (error,) = place.put(Folder(shared.path), {Name("churn", "edge-1"): b"1"}).values()
    assert "is a link" in error.message
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("address", ["ssh://host/x", "https://host/x", "file:///x"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(Refused, match="no status objects can be in"):
        place.of(address, {})


def test_an_option_without_a_counterpart_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be reached by obstore"):
        place.of("s3://bucket/fleet", {"sse_customer_key": "x"})


def test_what_never_answers_is_not_waited_for() -> None:
    import threading

    never, calls = threading.Event(), []

    def ask(number: int) -> int:
        calls.append(number)
        if number:
            never.wait()
        return number

    assert at_once.ask(ask, [0, 1, 2], 0.2, threads=3) == {0: 0}
    never.set()


def test_after_a_place_that_fails_the_other_objects_are_not_tried() -> None:
    class Down:
        title, count = "s3://down", 0

        def entries(self) -> list[place.Entry]:
            raise OSError("down")

        def get(self, key: str) -> bytes:
            raise OSError("down")

        def put(self, key: str, data: bytes) -> None:
            self.count += 1
            raise ValueError("an error of some library, at s3://ada:secret@down")

    down = Down()
    names = [Name("churn", f"edge-{number}") for number in range(9)]
    failed = place.put(down, dict.fromkeys(names, b"1"))
    assert down.count == 1
    assert {str(error) for error in failed.values()} == {
        "s3://down cannot be written: an error of some library, at s3://down"
    }
    with pytest.raises(TagshipError, match="s3://down cannot be read: down"):
        place.read(down)


def test_a_folder_that_cannot_be_listed_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(Unavailable):
        place.read(Folder(file))
    shutil.copy(file, tmp_path / "copy")
    assert NOON.tzinfo is not None
