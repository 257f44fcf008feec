"""Hints by the words of Git, curl and ssh, which real servers say to tests/lab."""

import pytest

from tagship.git import advice, run
from tagship.git.run import CommandFailed

SSH, HTTPS = "git@git.example.com:team/models.git", "https://git.example.com/team/models.git"
CHECK = "git ls-remote --heads {}"
CERTIFICATE = f"see what is wrong with its certificate: curl --verbose {HTTPS}; "
PROXY = "see what the proxy asks for and allows: echo $HTTPS_PROXY; "


@pytest.mark.parametrize(
    ("shown", "message", "hint"),
    [
        (SSH, "git: Host key verification failed.", "compare its key with "),
        (SSH, "No ED25519 host key is known for git.example.com and", "compare its key with "),
        ("ssh://git@git.example.com:22/x", "Host key verification failed.", "compare its key with"),
        (SSH, "git@git.example.com: Permission denied (publickey).", "give the server the public"),
        (SSH, "Permission denied (publickey,password).", "give the server the public half"),
        (HTTPS, f"Authentication failed for '{HTTPS}/'", "the token is wrong, has ended, or "),
        (HTTPS, "server certificate verification failed. CAfile: none", CERTIFICATE),
        (HTTPS, "SSL certificate problem: certificate has expired", CERTIFICATE),
        (HTTPS, "SSL certificate problem: self-signed certificate", CERTIFICATE),
        (HTTPS, "SSL: no alternative certificate subject name matches target", CERTIFICATE),
        (HTTPS, "Problem with the SSL CA cert (path? access rights?)", CERTIFICATE),
        (HTTPS, "CONNECT tunnel failed, response 407", PROXY),
        (HTTPS, "Received HTTP code 403 from proxy after CONNECT", PROXY),
        (HTTPS, "Could not resolve proxy: proxy.example.com", PROXY),
        (HTTPS, "Failed to connect to proxy.example.com port 8888 after 2 ms", PROXY),
        (HTTPS, "Failed to connect to git.example.com port 443 after 2 ms", None),
        (HTTPS, "Could not resolve host: git.example.com", None),
        (HTTPS, f"repository '{HTTPS}/' not found", None),
        (SSH, "ssh: connect to host git.example.com port 22: Connection refused", None),
    ],
)
def test_a_refusal_has_a_hint_that_helps(shown: str, message: str, hint: str | None) -> None:
    advised = advice.of(f"git: {message}", shown, CHECK.format(shown))
    assert advised is None if hint is None else str(advised).startswith(hint)


def test_a_host_key_is_asked_for_by_the_name_of_the_host() -> None:
    for shown in (SSH, "ssh://git@git.example.com:22/x", "git.example.com:x"):
        advised = advice.of("Host key verification failed.", shown, CHECK)
        assert str(advised).endswith("add it to known_hosts: ssh-keyscan git.example.com")


FRAMED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /etc/tagship/known_hosts to get rid of this message.
Host key for git.example.com has changed and you have requested strict checking.
Host key verification failed.
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
"""


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            FRAMED,
            "git: Host key for git.example.com has changed and you have requested strict checking.;"
            " Host key verification failed.; Could not read from remote repository.",
        ),
        (
            "fatal: Authentication failed for 'https://git.example.com/x/'",
            "git: Authentication failed for 'https://git.example.com/x/'",
        ),
        ("\n  stderr: 'fatal: bad object HEAD'", "git: bad object HEAD"),  # as GitPython has it
    ],
)
def test_an_error_is_short_and_whole(stderr: str, message: str) -> None:
    assert run.failure(CommandFailed(128, stderr)).message == message
