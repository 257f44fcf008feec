"""Which addresses Git may be given, and that none of them shows a secret."""

import pytest

from tagship.errors import Refused
from tagship.git import address

FORMS = "give it as https://HOST/PATH, ssh://USER@HOST/PATH, file:///PATH or /PATH"


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("https://git.example.com/team/models.git", "https"),
        ("https://git.example.com:8443/~ada/models", "https"),
        ("ssh://git@git.example.com:22/team/models.git", "ssh"),
        ("ssh://git@[::1]/models.git", "ssh"),
        ("git@git.example.com:team/models.git", "ssh"),
        ("git.example.com:models", "ssh"),
        ("git@[::1]:models", "ssh"),
        ("file:///srv/git/models.git", "file"),
        ("file:///srv/a@b:c", "file"),
        ("/srv/git/models.git", "file"),
        ("/srv/a model's folder", "file"),
    ],
)
def test_an_address_has_a_protocol_that_git_may_use(text: str, protocol: str) -> None:
    assert address.check(text) == protocol


@pytest.mark.parametrize(
    "text",
    [
        "", "models", "../models.git", "~/models.git", "-", "--upload-pack=touch x", "-oProxy:x",
        "ext::sh -c id", "fd::3", "::x", "foreign::https://h/x", "ftp://h/x", "git+ssh://h/x",
        "HTTPS://h/x", "file://host/x", "file://x", "https:///x", "https://", "ssh://-oProxy=x/y",
        "ssh://ada@-oProxy=x/y", "ada@-oProxy:x", "-h:x", "h:x\ny", "h:\x1b[2J", "h :x",
        "javascript:", "h::x",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_repository_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        address.check(text, plain=True, signed=True)
    assert caught.value.message.startswith("not an address of a repository: ")
    assert caught.value.hint == FORMS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://ada:secret@h/x", "the address has a user or a password: https://h/x"),
        ("https://secret@h/x", "the address has a user or a password: https://h/x"),
        ("http://ada:secret@h/x", "the address has a user or a password: http://h/x"),
        ("git://ada:secret@h/x", "the address has a user or a password: git://h/x"),
        ("https://h/x?token=secret", "the address has a query: https://h/x"),
        ("ssh://ada:secret@h/x", "the address has a password: ssh://h/x"),
        ("ada:secret@h:x", "the address has a password: h:x"),
        ("ada:secret@h", "the address has a password: h"),
        ("ftp://ada:secret@h/x", "not an address of a repository: 'ftp://h/x'"),
        ("ada:secret@h x:y", "the address has a password: h x:y"),
        ("secret@h x:y", "not an address of a repository: 'h x:y'"),
    ],
)
def test_a_secret_is_refused_and_not_shown(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        address.check(text, plain=True, signed=True)
    assert caught.value.message == message
    assert "secret" not in caught.value.hint


def test_http_and_git_are_asked_for_by_name() -> None:
    with pytest.raises(Refused, match="http is not encrypted: http://h/x"):
        address.check("http://h/x", signed=True)
    with pytest.raises(Refused, match="git:// is not encrypted: git://h/x") as caught:
        address.check("git://h/x", plain=True)
    assert "require_signed in host.toml" in caught.value.hint
    assert address.check("http://h/x", plain=True) == "http"
    assert address.check("git://h/x", signed=True) == "git"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git@git.example.com:team/models.git", "git@git.example.com:team/models.git"),
        ("ssh://git@git.example.com:22/x", "ssh://git@git.example.com:22/x"),
        ("git.example.com:team/models.git", "git.example.com:team/models.git"),
        ("git:secret@git.example.com:x", "git.example.com:x"),
        ("ssh://git:secret@git.example.com/x", "ssh://git.example.com/x"),
        ("https://secret@git.example.com/x", "https://git.example.com/x"),
        ("/srv/a@b:c", "/srv/a@b:c"),
    ],
)
def test_the_user_of_ssh_is_shown_and_no_other(text: str, shown: str) -> None:
    assert address.shown_as(text) == shown
