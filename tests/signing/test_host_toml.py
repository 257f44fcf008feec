"""Who may write to host.toml, and to what it names, may choose whom the host trusts."""

import os
from pathlib import Path

import pytest

from tagship.errors import Refused
from tagship.signing import policy
from tests.hosts import Following


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a host.toml that asks for signed tags."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    folder = tmp_path / "etc" / "tagship"
    folder.mkdir(parents=True)
    (folder / "signers").write_text("")
    (folder / "host.toml").write_text('require_signed = true\nallowed_signers = "signers"\n')
    return folder


def read(folder: Path, *, is_for_reading: bool = False) -> policy.Policy:
    """The policy of a host beside the folder."""
    return policy.read(folder.parents[1] / "host", is_for_reading=is_for_reading)


@pytest.mark.parametrize("name", ["host.toml", "signers", ".", "..", "../.."])
@pytest.mark.parametrize(("bits", "who"), [(0o002, "everybody"), (0o020, "its group")])
def test_what_others_can_write_to_is_refused(place: Path, name: str, bits: int, who: str) -> None:
    path = (place / name).resolve()
    mode = path.stat().st_mode
    path.chmod(mode | bits)
    what = f"{who} can write to {path}, and so choose whom this host trusts"
    with pytest.raises(Refused) as caught:
        read(place)
    assert caught.value.message == what
    assert caught.value.hint.startswith(f"chmod go-w {path}; or, if it is not yours: ")
    assert read(place, is_for_reading=True).require_signed
    path.chmod(mode)
    assert read(place).require_signed


def test_a_link_to_a_file_is_as_safe_as_what_it_leads_to(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (place / "signers").rename(folder / "signers")
    (place / "signers").symlink_to(folder / "signers")
    assert read(place).allowed_signers == place / "signers"
    folder.chmod(0o777)
    with pytest.raises(Refused, match=f"everybody can write to {folder}, "):
        read(place)


def test_a_folder_with_the_sticky_bit_and_a_file_that_nobody_may_change_are_fine(
    place: Path,
) -> None:
    place.parent.chmod(0o1777)
    (place / "host.toml").chmod(0o444)
    place.chmod(0o555)
    assert read(place).require_signed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_account_is_refused(place: Path) -> None:
    os.chown(place / "signers", 4321, 4321)
    with pytest.raises(Refused, match="4321 can write to"):
        read(place)


def test_a_file_that_is_not_there_is_said_where_it_is_needed(place: Path) -> None:
    (place / "signers").unlink()
    assert read(place).allowed_signers == place / "signers"


def test_no_pass_goes_by_such_a_file_and_status_answers(host: Following, place: Path) -> None:
    (place / "host.toml").write_text("")
    host.sync()
    (place / "host.toml").chmod(0o666)
    result = host.sync()
    assert (result.code, result.err.partition(",")[0]) == (
        1, f"error: everybody can write to {place}/host.toml",
    )  # fmt: skip
    assert "can write to" not in host.cli("status").err
    assert host.live() == "model 1\n"
