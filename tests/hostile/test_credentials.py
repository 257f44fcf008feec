"""Credentials of this host go to no address that only the repository names: a server listens."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.workbench import PATH, Workbench

SECRET = "s3cr3t"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDHOST", "AWS_SECRET_ACCESS_KEY": SECRET}
KEY_OPTIONS = "access_key_id = AKIDHOST\n    secret_access_key = s3cr3t"
BASIC = "auth = basic\n    user = ada\n    password = s3cr3t"


@dataclass
class Listener:
    """What arrived at a server on loopback: the header that would carry credentials, or none."""

    url: str
    heard: list[str] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener("")

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            names = ("Authorization", "X-Amz-Security-Token", "X-Key")
            found.heard.append("".join(self.headers.get(name, "") for name in names))
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815 - their names there

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def _set_up(bench: Workbench, repository: str, host: str) -> None:
    """A released model, the bytes of which are in the remote alone."""
    bench.release()
    shutil.rmtree(bench.repo / ".dvc/cache")
    section = "['remote \"store\"']\n    "
    (bench.repo / ".dvc/config").write_text(f"[core]\n    remote = store\n{section}{repository}\n")
    if host:
        (bench.repo / ".dvc/config.local").write_text(f"{section}{host}\n")
    bench.commit("Name a remote")


S3 = "url = s3://models/x\n    region = us-east-1\n    "
# what the repository says, what the host says, and the host's environment
ONLY_THEIRS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "http, a password of the host": ("url = {url}/x", BASIC, {}, "url {url}/x"),
    "http, a header of the host": (
        "url = {url}/x", "auth = custom\n    custom_auth_header = X-Key\n    password = s3cr3t", {},
        "url {url}/x",
    ),
    "S3, keys in the environment": (
        S3 + "endpointurl = {url}", "", KEYS, "endpointurl {url}"
    ),
    "S3, keys of config.local": (S3 + "endpointurl = {url}", KEY_OPTIONS, {}, "endpointurl {url}"),
    "S3, nobody names keys, a machine may have some": (
        S3 + "endpointurl = {url}", "", {}, "endpointurl {url}"
    ),
    "another port of a host that is named": (
        S3 + "endpointurl = {url}", "endpointurl = http://127.0.0.1:9", KEYS, ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONLY_THEIRS)
def test_an_address_that_only_the_repository_names_hears_nothing(
    bench: Workbench, listener: Listener, case: str
) -> None:
    repository, host, environment, named = ONLY_THEIRS[case]
    for name, value in environment.items():
        bench.monkeypatch.setenv(name, value)
    if case.startswith("another"):  # what a pull brought shadows what the user's own file says
        _set_up(bench, repository.format(url=listener.url), "")
        own = f"['remote \"store\"']\n    url = s3://models/x\n    {host}\n"
        (bench.repo.parent / "home/config").write_text(own)
    else:
        _set_up(bench, repository.format(url=listener.url), host)
    for command in ("deploy churn --yes", "release churn --force", "export churn -o x",
                    "status churn", "list churn", "show churn", "verify churn"):  # fmt: skip
        done = bench.cli(*command.split())
        assert SECRET not in done.out + done.err
    assert listener.heard == []
    refused = bench.cli("deploy", "churn", "--yes")
    assert refused.code == 1
    assert refused.err.startswith(
        f"error: the remote store would send this host's credentials to {listener.url}"
    )
    if named:  # the hint is the command that puts it right
        words = f"store {named.format(url=listener.url)}"
        hint = f"hint: if this is right, set it on this host: dvc remote modify --local {words}\n"
        assert refused.err.endswith(hint)
        bench.dvc(*hint.partition("dvc ")[2].split())
        bench.cli("deploy", "churn", "--yes")
        assert listener.heard != [] or "nobody" in case


@pytest.mark.parametrize(
    ("repository", "host", "environment", "carries"),
    [
        ("url = {url}/x", "", {}, ""),  # nothing is sent
        ("url = {url}/x\n    " + BASIC, "", {}, "Basic"),  # the repository's own
        ("url = {url}/x", "url = {url}/x\n    " + BASIC, {}, "Basic"),  # the host's own
        (S3 + "endpointurl = {url}\n    " + KEY_OPTIONS, "", {}, "AKIDHOST"),
        (S3 + "endpointurl = {url}", "endpointurl = {url}", KEYS, "AKIDHOST"),
        (S3 + "endpointurl = {url}", "", {**KEYS, "AWS_ENDPOINT_URL": "{url}"}, "AKIDHOST"),
        (S3 + "endpointurl = {url}\n    allow_anonymous_login = true", "", KEYS, ""),
    ],
)
def test_what_is_the_repositorys_own_or_named_by_the_host_goes_on(
    bench: Workbench, listener: Listener, repository: str, host: str,
    environment: dict[str, str], carries: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        bench.monkeypatch.setenv(name, value.format(url=listener.url))
    _set_up(bench, repository.format(url=listener.url), host.format(url=listener.url))
    done = bench.cli("deploy", "churn", "--yes")
    assert done.code == 1  # the server has nothing
    assert "would send" not in done.err
    assert listener.heard != []
    assert all(carries in one if carries else one == "" for one in listener.heard)


def test_a_remote_of_git_is_one_that_git_knows(bench: Workbench, listener: Listener) -> None:
    """Another repository in the work tree has hooks of its own, and an address may be a program."""
    bench.git("init", "--quiet", "--bare", "evil")
    hook = bench.repo / "evil/hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {bench.repo.parent}/fired\n")
    hook.chmod(0o755)
    evil = f"touch {bench.repo.parent}/fired"
    for remote in ("./evil", "evil", f"ext::sh -c {evil}", f"--upload-pack={evil}", listener.url,
                   f"--receive-pack={evil}", "file:///etc", "git@127.0.0.1:x"):  # fmt: skip
        (bench.repo / "params.yaml").write_text(f"tagship:\n  git_remote: '{remote}'\n")
        bench.git("add", "params.yaml")
        bench.git("commit", "--quiet", "--message", "Name a remote of Git")
        done = bench.cli("release", "churn", "--push")
        assert (done.code, done.err.splitlines()[0]) == (1, f"error: Git has no remote {remote}")
    assert listener.heard == []
    assert not (bench.repo.parent / "fired").exists()
    bench.git("push", "--quiet", "./evil", "HEAD:refs/heads/main")  # as Git itself would
    assert (bench.repo.parent / "fired").exists()


def test_what_of_the_tag_says_another_remote_does_not_count(
    bench: Workbench, listener: Listener
) -> None:
    """The configuration of today is used; an output may choose among its remotes alone."""
    _set_up(bench, "url = ../../dvc-remote", "")
    text = (bench.repo / f"{PATH}.dvc").read_text()
    (bench.repo / f"{PATH}.dvc").write_text(text + "  remote: evil\n")
    bench.commit()
    bench.git("tag", "--annotate", "--message=x", "churn@v1.1.0")
    assert "remote 'evil' doesn't exist" in bench.cli("deploy", "churn", "--yes").err
    assert listener.heard == []
