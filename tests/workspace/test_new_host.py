"""tagship host init: a folder, and a tagship.toml that can be read again."""

from pathlib import Path

import pytest

from tagship.errors import InvalidName, Refused, TagshipError
from tagship.host import project
from tagship.registry.refs import Ref
from tagship.workspace import host_file, new_host
from tagship.workspace.upstream import Address

GIT = "ssh://git@git.example.com/team/models.git"


def at(url: str) -> Address:
    return new_host.address(git=url)


def test_what_is_written_says_what_was_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "srv" / "models"
    refs = [Ref.parse("churn#prod"), Ref.parse("fraud@^1.2"), Ref.parse("spam")]
    made = new_host.make(
        folder, at(GIT), remote="s3://b/dvc", endpoint="https://s3.example.com", follow=refs,
        name='the "first"',
    )  # fmt: skip
    assert made.models == ("churn", "fraud", "spam")
    file = host_file.read(folder)
    assert (file.name, file.upstream.text) == ('the "first"', GIT)
    assert file.remotes.remote("source") == {
        "url": "s3://b/dvc", "endpointurl": "https://s3.example.com",
    }  # fmt: skip
    assert {model: each.rule.text for model, each in file.follow.items()} == {
        "churn": "#prod", "fraud": "^1.2", "spam": "latest",
    }  # fmt: skip
    assert project.find_host(folder) == folder
    assert f"{made.file.stat().st_mode & 0o777:o}" == "644"


def test_without_models_the_file_shows_how_to_name_one(tmp_path: Path) -> None:
    made = new_host.make(tmp_path / "srv", at(GIT))
    text = made.file.read_text()
    assert "# [follow.MODEL]" in text and '# remote = "s3://bucket/dvc"' in text
    assert host_file.read(tmp_path / "srv").follow == {}


def test_there_is_one_already(tmp_path: Path) -> None:
    made = new_host.make(tmp_path / "srv", at(GIT))
    text = made.file.read_bytes()
    with pytest.raises(Refused, match="is there already"):
        new_host.make(tmp_path / "srv", at("/other.git"))
    assert made.file.read_bytes() == text


@pytest.mark.parametrize(
    "git", ["https://ada:pw@h/x.git", "ext::sh -c pw", "-upw", "http://h/x?token=pw", "x y", ""]
)
def test_an_address_that_may_not_be_is_refused_before_anything_is_made(
    tmp_path: Path, git: str
) -> None:
    with pytest.raises(TagshipError) as error:
        new_host.make(tmp_path / "srv", at(git))
    assert "pw@" not in str(error.value) and "token=pw" not in str(error.value)
    assert not (tmp_path / "srv").exists()


@pytest.mark.parametrize("git", ["http://h/x.git", "git://h/x.git"])
def test_an_address_that_a_fetch_would_refuse_is_refused_at_once(
    tmp_path: Path, git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(Refused, match="is not encrypted") as error:
        new_host.make(tmp_path / "srv", at(git))
    assert error.value.hint == (
        "use https or ssh; or require signed tags: require_signed in host.toml"
    )
    assert not (tmp_path / "srv").exists()
    (tmp_path / "tagship").mkdir()
    (tmp_path / "tagship" / "host.toml").write_text(
        'require_signed = true\nallowed_signers = "keys"\n'
    )
    new_host.make(tmp_path / "srv", at(git))
    assert host_file.read(tmp_path / "srv").upstream.text == git


@pytest.mark.parametrize(
    ("kind", "text", "what", "hint"),
    [
        ("index", "docker://127.0.0.1:5598", "is no repository in a registry",
         "give docker://HOST/NAME in lower case: docker://registry.example.com/models/churn"),
        ("index", "docker://h.example/Models/churn", "is no repository in a registry",
         "give docker://HOST/NAME in lower case: docker://registry.example.com/models/churn"),
        ("index", "docker://h.example/models/churn:latest", "names an image",
         "without it: docker://h.example/models/churn"),
        ("index", "ftp://h.example/models", "nothing carries versions at",
         "give a folder, s3://BUCKET/PREFIX, gs://, azure://, or docker://HOST/NAME"),
        ("bundle", "TOP/x.tar", "is no folder, and --bundle names the one",
         "give a folder: --bundle /srv/bundles; then: tagship unbundle FILE"),
        ("bundle", "TOP/srv", "is in the folder of the host", "give another folder: --bundle"),
        ("bundle", "TOP/srv/bundles", "is in the folder of the host",
         "give another folder: --bundle /srv/bundles"),
    ],
)  # fmt: skip
def test_a_place_that_cannot_have_versions_is_refused(
    tmp_path: Path, kind: str, text: str, what: str, hint: str
) -> None:
    (tmp_path / "x.tar").write_text("")
    source = Address(kind, text.replace("TOP", str(tmp_path)))
    with pytest.raises(TagshipError, match=what) as error:
        new_host.make(tmp_path / "srv", source, follow=[Ref("churn")])
    assert error.value.hint.startswith(hint)
    assert not (tmp_path / "srv").exists()


def test_an_endpoint_is_of_a_store(tmp_path: Path) -> None:
    bundles = new_host.address(bundle="/srv/bundles")
    with pytest.raises(InvalidName, match="--endpoint is of a store"):
        new_host.make(tmp_path / "srv", bundles, endpoint="http://h.example")
    new_host.make(tmp_path / "srv", bundles, remote="s3://b/dvc", endpoint="http://h.example")


def test_a_model_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidName, match="churn is named twice"):
        new_host.make(tmp_path / "srv", at(GIT), follow=[Ref("churn"), Ref.parse("churn#prod")])


def test_a_folder_in_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".dvc").mkdir(parents=True)
    with pytest.raises(Refused, match="is in a DVC repository"):
        new_host.make(tmp_path / "repo" / "srv", at(GIT))
    assert not (tmp_path / "repo" / "srv").exists()


def test_a_folder_that_others_can_write_to_is_refused_and_stays_empty(tmp_path: Path) -> None:
    folder = tmp_path / "srv"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(Refused, match="everybody can write to"):
        new_host.make(folder, at(GIT))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("option", ["git", "remote", "name"])
def test_a_text_that_is_no_utf8_is_refused_before_a_folder_is_made(
    tmp_path: Path, option: str
) -> None:
    git = f"{GIT}\udce9" if option == "git" else GIT
    remote, name = ("caf\udce9" if option == each else None for each in ("remote", "name"))
    with pytest.raises(InvalidName, match="is no UTF-8, which tagship"):
        new_host.make(tmp_path / "new", at(git), remote=remote, name=name)
    assert not (tmp_path / "new").exists()
