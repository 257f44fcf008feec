"""tagship.toml: what a host follows; read in its own folder alone, and only if it is its own."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from tagship.errors import Corrupt, Refused
from tagship.host import project
from tagship.registry.refs import Wanted
from tagship.workspace import find, host_file
from tagship.workspace.host_file import HostFile

WHOLE = """
name = "edge-1"
[source]
git = "ssh://git@git.example.com/team/models.git"
remote = "s3://bucket/dvc"
[source.options]
endpointurl = "https://s3.example.com"
read_timeout = 90
[source.remotes]
big = "s3://big/dvc"
other = {url = "gs://other/dvc", options = {projectname = "p"}}
[deploy]
keep = 3
min_free = "5 GB"
smoke_test = false
[follow.churn]
track = "#prod"
[follow.fraud]
track = "^1.2"
gate = {http = "http://127.0.0.1:8080/ready"}
[follow.spam]
[window]
days = ["mon", "tue"]
start = "07:00"
length = "9h"
"""
SHORT = '[source]\ngit = "/srv/models.git"\n'


def parsed(text: str) -> HostFile:
    return host_file.parse(text.encode(), Path("tagship.toml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a host."""
    place = tmp_path / "srv"
    place.mkdir(mode=0o755)
    (place / "tagship.toml").write_text(SHORT)
    (place / "tagship.toml").chmod(0o644)
    return place


def test_every_value_is_read() -> None:
    file = parsed(WHOLE)
    assert (file.name, file.upstream.text) == (
        "edge-1",
        "ssh://git@git.example.com/team/models.git",
    )
    assert {model: follow.rule.text for model, follow in file.follow.items()} == {
        "churn": "#prod", "fraud": "^1.2", "spam": "latest",
    }  # fmt: skip
    assert file.follow["fraud"].gate is not None and file.follow["churn"].gate is None
    assert (file.settings.keep, file.settings.min_free_bytes) == (3, 5_000_000_000)
    assert (file.settings.smoke_test, file.settings.root) == (False, ".")
    assert file.window is not None and file.window.days == {0, 1}


def test_a_remote_without_options_has_those_of_the_source() -> None:
    remotes = parsed(WHOLE).remotes
    own = {"endpointurl": "https://s3.example.com", "read_timeout": 90}
    assert remotes.remote("source") == {"url": "s3://bucket/dvc", **own}
    assert remotes.remote("BIG") == {"url": "s3://big/dvc", **own}
    assert remotes.remote("other") == {"url": "gs://other/dvc", "projectname": "p"}
    assert remotes.whole["core"] == {"remote": "source"}


def test_all_of_it_is_the_hosts_own_so_its_credentials_may_go_there() -> None:
    remotes = parsed(WHOLE).remotes
    assert remotes.host == remotes.whole


def test_a_file_of_two_lines_is_enough_to_read() -> None:
    file = parsed(SHORT)
    assert (file.follow, file.window) == ({}, None)
    assert file.settings.smoke_test == "installed"
    assert "remote" not in file.remotes.whole["core"]


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("colour = 1\n" + SHORT, "has an unknown key 'colour'", "there are: name"),
        ("[sources]\n", "has an unknown key 'sources'", "did you mean source?"),
        ("name = 3\n" + SHORT, "name in tagship.toml may not be 3", "a text in quotes"),
        ("", "source.git in tagship.toml is missing", "a text in quotes"),
        ("source = 1", "source in tagship.toml may not be 1", "a table"),
        ("[source]\ngit = 1", "source.git in tagship.toml may not be 1", "a text in quotes"),
        (SHORT + 'gti = "x"', "source in tagship.toml has an unknown key 'gti'", "mean git?"),
        (SHORT + 'remote = "dvc"', "source.remote in tagship.toml may not be 'dvc'", "absolute"),
        (SHORT + 'remote = "https://ada:pw@h/x"', "may not be 'https://h/x'", "environment"),
        (SHORT + 'remote = "https://h/x?sig=pw"', "may not be 'https://h/x'", "environment"),
        (SHORT + '[source.options]\npassword = "pw"', "would be a secret", "docs/hosts.md"),
        (SHORT + '[source.options]\nsession_token = "pw"', "would be a secret", "a profile"),
        (SHORT + "[source.options]\nregion = []", "source.options.region", "one value"),
        (SHORT + "[source.remotes.x]\nurl = 1", "source.remotes.x.url", "a text"),
        (SHORT + "[deploy]\nkeep = 0", "deploy.keep in tagship.toml may not be 0", "hosts.md"),
        (SHORT + "[deploy]\nroot = 'x'", "deploy in tagship.toml has an unknown key", "there are"),
        (SHORT + '[deploy]\nsmoke_test = "yes"', "deploy.smoke_test", "docs/hosts.md"),
        (SHORT + '[deploy]\nmin_free = "much"', "deploy.min_free", "docs/hosts.md"),
        (SHORT + "[follow.churn]\ntrack = 1.2", "follow.churn.track", "a text in quotes"),
        (SHORT + '[follow.churn]\ntrack = "new"', "follow.churn.track", "^1.2"),
        (SHORT + '[follow.churn]\ntrak = "1"', "an unknown key 'trak'", "did you mean track?"),
        (SHORT + '[follow."a b"]', "'a b', which is no name of a model", "[follow.churn]"),
        (SHORT + '[follow."../x"]', "'../x', which is no name of a model", "[follow.churn]"),
        (SHORT + "[window]\ndays = []", "window.start in tagship.toml is missing", "07:00"),
    ],
)
def test_what_may_not_be_is_named_with_its_key(text: str, what: str, hint: str) -> None:
    with pytest.raises(Refused) as error:
        parsed(text)
    assert what in error.value.message
    assert hint in error.value.hint
    assert "pw" not in str(error.value)


@pytest.mark.parametrize("data", [b"[", b"\xff", b"a = " + b"[" * 5000])
def test_what_is_no_toml_is_told(data: bytes) -> None:
    with pytest.raises(Corrupt, match="is no TOML"):
        host_file.parse(data, Path("tagship.toml"))


def test_a_file_of_two_megabytes_is_not_read(folder: Path) -> None:
    (folder / "tagship.toml").write_bytes(SHORT.encode() + b"#" * (2 << 20))
    with pytest.raises(Corrupt, match="is longer than"):
        host_file.read(folder)


def test_it_is_found_in_the_folder_alone_and_never_above(folder: Path) -> None:
    inner = folder / "churn"
    inner.mkdir()
    assert project.find_host(folder) == folder
    assert project.find_host(inner) is None


def test_one_in_a_dvc_repository_does_not_count(folder: Path) -> None:
    (folder.parent / ".dvc").mkdir()
    assert project.find_host(folder) is None
    with pytest.raises(Refused, match="is in a DVC repository"):
        host_file.check_own(folder)


def test_one_that_git_tracks_is_refused(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    assert host_file.read(folder).upstream.text == "/srv/models.git"
    subprocess.run(["git", "add", "tagship.toml"], cwd=folder, check=True)
    with pytest.raises(Refused, match="Git tracks"):
        host_file.read(folder)


@pytest.mark.parametrize(
    ("place", "mode", "who"),
    [
        ("tagship.toml", 0o666, "everybody"),
        ("tagship.toml", 0o664, "its group"),
        (".", 0o777, "everybody"),
        (".", 0o775, "its group"),
        ("..", 0o777, "everybody"),
    ],
)
def test_one_that_others_can_write_to_is_refused(
    folder: Path, place: str, mode: int, who: str
) -> None:
    (folder / place).chmod(mode)
    with pytest.raises(Refused, match=f"{who} can write to") as error:
        host_file.read(folder)
    assert error.value.hint.startswith("chmod go-w ")


def test_a_folder_with_the_sticky_bit_above_it_is_fine(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    assert host_file.read(folder).upstream.text == "/srv/models.git"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_one_of_another_account_as_an_archive_brings_it_is_refused(folder: Path) -> None:
    os.chown(folder / "tagship.toml", 4321, 4321)
    with pytest.raises(Refused, match="4321 can write to"):
        host_file.read(folder)


def test_a_link_is_refused(folder: Path) -> None:
    shutil.move(folder / "tagship.toml", folder / "other.toml")
    (folder / "tagship.toml").symlink_to("other.toml")
    with pytest.raises(Refused, match="is not a regular file"):
        host_file.read(folder)


def test_who_only_reads_is_told_of_a_broken_file_and_reads_all_the_same(folder: Path) -> None:
    (folder / "tagship.toml").write_text("[")
    told: list[str] = []
    source, host = find.look(folder, told.append)
    assert (source.project, host.root, dict(host.rules)) == (folder, folder, {})
    assert "is no TOML" in told[0]
    with pytest.raises(Corrupt):
        find.find(folder)


@pytest.mark.parametrize(
    ("rule", "fits", "not_these"),
    [
        ("^1.2", ["1.2.0", "1.9.1", "1.2.7"], ["1.1.9", "2.0.0", "0.2.0"]),
        ("^1.2.3", ["1.2.3", "1.3.0"], ["1.2.2", "2.0.0"]),
        ("^1", ["1.0.0", "1.5.0"], ["0.9.0", "2.0.0"]),
        ("^0.2", ["0.2.0", "0.2.9"], ["0.1.9", "0.3.0", "1.0.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4", "0.0.2"]),
        ("^0", ["0.0.1", "0.9.0"], ["1.0.0"]),
    ],
)
def test_what_is_compatible(rule: str, fits: list[str], not_these: list[str]) -> None:
    from semver import Version

    wanted = Wanted.parse(rule, "m")
    assert wanted.text == rule
    assert all(wanted.fits(Version.parse(text)) for text in fits)
    assert not any(wanted.fits(Version.parse(text)) for text in not_these)
    assert str(wanted.select(map(Version.parse, [*fits, *not_these]))) == max(fits)


@pytest.mark.parametrize("name", ["", "/churn", "/.tagship/x", "/../link"])
def test_bundles_are_in_no_folder_of_the_host(folder: Path, name: str) -> None:
    (folder.parent / "link").symlink_to(folder)
    file = folder / "tagship.toml"
    file.write_text(f'[source]\nbundle = "{folder}{name}"\n[follow.churn]\n')
    for ask in (host_file.read, host_file.look):
        with pytest.raises(Refused, match="it is in the folder of the host") as caught:
            ask(folder)
        assert caught.value.hint == 'give another folder: bundle = "/srv/bundles"'
    file.write_text(f'[source]\nbundle = "{folder.parent}/bundles"\n[follow.churn]\n')
    assert host_file.read(folder).upstream.kind == "bundle"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_account_nobody_is_not_nobody(folder: Path) -> None:
    os.chown(folder / "tagship.toml", pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(Refused, match=r"^the account nobody can write to"):
        host_file.read(folder)
