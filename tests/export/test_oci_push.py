"""An image pushed to a registry, and held to its tag there; and every bad answer."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagship import Corrupt, InvalidName, NotFound, Refused, TagshipError, Unavailable, Workspace
from tagship.export import oci
from tagship.export import push as pushes
from tagship.host import process
from tagship.stores import registry_login
from tagship.stores.registry_address import Address, is_here
from tagship.stores.registry_login import Login
from tests.accounts import OWNER, READER, Accounts
from tests.export import registry
from tests.export.registry import Answer, FakeRegistry, Misbehave, digest
from tests.workbench import Result, Workbench

NAME = "models/churn"


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with registry.running() as running:
        yield running


@pytest.fixture
def other() -> Iterator[FakeRegistry]:
    with registry.running() as running:
        yield running


def push(bench: Workbench, fake: FakeRegistry, *more: str) -> Result:
    place = f"{fake.host}/{NAME}"
    return bench.cli("export", "churn", "--format", "oci", "--push", place, *more)


def verify(bench: Workbench, fake: FakeRegistry, name: str) -> list[str]:
    verification = Workspace(bench.repo).verify_image(f"docker://{fake.host}/{NAME}@{name}")
    return [f"{problem.path} {problem.what}" for problem in verification.problems]


def sign_in(bench: Workbench, host: str, user: str = "ada:secret") -> None:
    """As ``podman login`` does it."""
    folder = bench.repo.parent / "home" / "containers"
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(user.encode()).decode()
    (folder / "auth.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


# --- good answers


@pytest.mark.released
def test_an_image_is_pushed_by_its_version(bench: Workbench, fake: FakeRegistry) -> None:
    name = bench.manager.image_digest()
    before = bench.state()
    result = push(bench, fake)
    assert (result.code, result.err) == (
        0,
        f"note: name it by its digest: {fake.host}/{NAME}@{name}\n",
    )
    assert result.out.startswith(
        f"churn 1.0.0 is in {fake.host}/{NAME}:1.0.0\n  {name} (churn:1.0.0)\n  pushed: "
    )
    assert bench.changes(before) == set()
    assert fake.manifests["1.0.0"] == fake.manifests[name]
    assert digest(fake.manifests[name]) == name
    assert len(fake.blobs) == 3
    assert all(digest(data) == blob for blob, data in fake.blobs.items())
    assert fake.pushes == ["blob", "blob", "blob", "manifest"]
    assert verify(bench, fake, name) == []


@pytest.mark.released
def test_what_is_there_is_not_sent_again(bench: Workbench, fake: FakeRegistry) -> None:
    push(bench, fake)
    fake.asked.clear()
    result = json.loads(push(bench, fake, "--json").out)
    assert (result["pushed"], result["sent"]) == (f"{fake.host}/{NAME}:1.0.0", 0)
    assert fake.pushes == []
    fake.manifests.clear()  # a push that was cut short
    del fake.blobs[next(iter(fake.blobs))]
    assert push(bench, fake).code == 0
    assert fake.pushes == ["blob", "manifest"]


@pytest.mark.released
def test_an_image_that_is_there_is_not_written_here(
    bench: Workbench, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(bench, fake)

    def write(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(oci, "write", write)
    result = push(bench, fake)
    assert (result.code, "0 B that the registry did not have" in result.out) == (0, True)
    assert push(bench, fake, "--force").code != 0  # that asks for it


@pytest.mark.released
def test_a_tag_of_another_image_is_refused_before_a_layout_is_written(
    bench: Workbench, fake: FakeRegistry, tmp_path: Path
) -> None:
    push(bench, fake)
    bench.release("model 2\n")
    target = tmp_path / "image"
    place = f"{fake.host}/{NAME}:1.0.0"
    words = ("export", "churn", "--format", "oci", "--push", place, "-o", str(target))
    assert "is another image" in bench.cli(*words).err
    assert not target.exists()
    assert bench.cli(*words, "--force").code == 0
    assert target.exists()


@pytest.mark.released
def test_a_layout_and_a_push_go_together(
    bench: Workbench, fake: FakeRegistry, tmp_path: Path
) -> None:
    result = push(bench, fake, "-o", str(tmp_path / "image"))
    assert result.out.startswith(
        f"churn 1.0.0 is in {tmp_path}/image and {fake.host}/{NAME}:1.0.0\n"
    )
    assert (tmp_path / "image" / "index.json").exists()


@pytest.mark.released
def test_a_tag_of_another_image_is_left_alone_without_force(
    bench: Workbench, fake: FakeRegistry
) -> None:
    push(bench, fake)
    first = fake.manifests["1.0.0"]
    bench.release("model 2\n")
    place = f"{fake.host}/{NAME}:1.0.0"
    fake.asked.clear()
    result = bench.cli("export", "churn", "--format", "oci", "--push", place)
    assert result == Result(
        1,
        "",
        f"error: {place} is another image: {digest(first)}\n"
        "hint: give another tag, or replace it: --force\n",
    )
    assert fake.pushes == []
    assert fake.manifests["1.0.0"] == first
    forced = bench.cli("export", "churn", "--format", "oci", "--push", place, "--force")
    assert forced.code == 0, forced.err
    assert digest(fake.manifests["1.0.0"]) == bench.manager.image_digest()


def test_a_build_of_a_version_has_a_tag_of_its_own(bench: Workbench, fake: FakeRegistry) -> None:
    bench.release(version="1.0.0+cu12")
    assert push(bench, fake).code == 0
    assert "1.0.0_cu12" in fake.manifests


# --- signing in


def bearer(realm: str, token: str = "t0ken") -> Misbehave:
    """Asks for a token of ``realm``, and gives it to ada."""

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        given = headers.get("Authorization", "")
        if path.startswith("/token?"):
            basic = "Basic " + base64.b64encode(b"ada:secret").decode()
            good = given == basic
            return (200, {}, json.dumps({"token": token}).encode()) if good else (401, {}, b"")
        if given == f"Bearer {token}":
            return None
        challenge = f'Bearer realm="{realm}/token",service="s",scope="repository:{NAME}:pull,push"'
        return 401, {"WWW-Authenticate": challenge}, b""

    return answer


@pytest.mark.released
def test_a_token_is_asked_for_with_the_login(bench: Workbench, fake: FakeRegistry) -> None:
    fake.misbehave = bearer(f"http://{fake.host}")
    sign_in(bench, fake.host)
    assert push(bench, fake).code == 0
    tokens = [path for _, path, _ in fake.asked if path.startswith("/token?")]
    assert tokens == ["/token?service=s&scope=repository%3Amodels%2Fchurn%3Apull%2Cpush"]
    assert verify(bench, fake, bench.manager.image_digest()) == []


@pytest.mark.released
def test_user_and_password_are_given_where_asked(bench: Workbench, fake: FakeRegistry) -> None:
    basic = "Basic " + base64.b64encode(b"ada:secret").decode()

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if headers.get("Authorization") == basic:
            return None
        return 401, {"WWW-Authenticate": 'Basic realm="r"'}, b""

    fake.misbehave = answer
    result = push(bench, fake)
    assert (result.code, result.err) == (
        1,
        f"error: {fake.host} asks for a login, and here is none (401)\n"
        f"hint: podman login {fake.host}\n",
    )
    sign_in(bench, fake.host, "eve:guessed")
    assert "does not accept the login" in push(bench, fake).err
    sign_in(bench, f"{fake.host}/models")
    assert push(bench, fake).code == 0


def test_no_login_is_taken_from_netrc(bench: Workbench, fake: FakeRegistry) -> None:
    bench.release()
    (bench.repo.parent / "home" / ".netrc").write_text("default login ada password secret\n")
    push(bench, fake)
    assert {authorization for *_, authorization in fake.asked} == {""}


@pytest.mark.released
def test_a_redirect_to_another_host_loses_the_credentials(
    bench: Workbench, fake: FakeRegistry, other: FakeRegistry
) -> None:
    """As to a store of blobs: by its address alone."""
    sign_in(bench, fake.host)
    usual = bearer(f"http://{fake.host}")
    fake.misbehave = usual
    push(bench, fake)
    other.blobs = fake.blobs

    def moved(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if "/blobs/sha256:" in path and headers.get("Authorization") == "Bearer t0ken":
            return 307, {"Location": f"http://{other.host}{path}?signature=1"}, b""
        return usual(method, path, headers)

    fake.misbehave = moved
    other.misbehave = lambda method, path, headers: (
        200, {}, other.blobs[path.partition("?")[0].rpartition("/")[2]],
    )  # fmt: skip
    assert verify(bench, fake, bench.manager.image_digest()) == []
    assert other.asked != []
    assert {authorization for *_, authorization in other.asked} == {""}


# --- bad answers


PUT_OTHER = {"Docker-Content-Digest": f"sha256:{'0' * 64}"}
ERROR = b'{"errors": [{"code": "X", "message": "not\\u001b[31m today"}]}'
Row = tuple[Misbehave, type[TagshipError], str]


def on(method: str, part: str, answer: Answer) -> Misbehave:
    return lambda asked, path, _: answer if asked == method and part in path else None


PUSHES: dict[str, Row] = {
    "401": (on("HEAD", "", (401, {}, b"")), Refused, "asks for a login, and here is none (401)"),
    "403": (
        on("POST", "", (403, {}, ERROR)),
        Refused,
        r"denies access to models/churn (403: not\x1b[31m today)",
    ),
    "404": (on("POST", "", (404, {}, b"")), Refused, "has no repository models/churn (404)"),
    "429": (
        on("POST", "", (429, {"Retry-After": "0"}, b"")),
        Unavailable,
        "has too much to do (429)",
    ),
    "500": (on("PUT", "blobs", (500, {}, b"{")), Unavailable, "answers with an error (500)"),
    "another digest of a blob": (
        on("PUT", "blobs", (201, PUT_OTHER, b"")),
        Corrupt,
        f"took sha256:{'0' * 64} for sha256:",
    ),
    "another digest of the manifest": (
        on("PUT", "manifests", (201, PUT_OTHER, b"")),
        Corrupt,
        f"took sha256:{'0' * 64} for sha256:",
    ),
    "a blob that is not kept": (
        on("PUT", "blobs", (201, {}, b"")),
        Corrupt,
        "does not have sha256:",
    ),
    "a manifest that is not kept": (
        on("PUT", "manifests", (201, {}, b"")),
        Corrupt,
        "has other bytes for sha256:",
    ),
    "no place for an upload": (on("POST", "", (202, {}, b"")), Unavailable, "(202)"),
    "an upload to a place without TLS": (
        on("POST", "", (202, {"Location": "http://example.com/x"}, b"")),
        Refused,
        "leads to http://example.com, which has no TLS",
    ),
    "redirects without end": (
        on("GET", "manifests", (307, {"Location": "/v2/models/churn/manifests/1.0.0"}, b"")),
        Unavailable,
        "redirects without end",
    ),
    "a redirect to a file": (
        on("GET", "manifests", (307, {"Location": "file:///etc/passwd"}, b"")),
        Refused,
        "leads to file://?, which has no TLS",
    ),
    "tokens of a place without TLS": (
        on("HEAD", "", (401, {"WWW-Authenticate": 'Bearer realm="http://example.com/t"'}, b"")),
        Refused,
        "leads to http://example.com, which has no TLS",
    ),
    "no token": (
        lambda _, path, headers: (
            (200, {}, b"[]")
            if path.startswith("/t")
            else (401, {"WWW-Authenticate": f'Bearer realm="http://{headers["Host"]}/t"'}, b"")
        ),
        Unavailable,
        "gives no token",
    ),
    "a manifest without end": (
        on("GET", "manifests", (200, {}, b" " * (5 << 20))),
        Corrupt,
        "has a manifest without end",
    ),
}


@pytest.mark.released
@pytest.mark.parametrize("what", sorted(PUSHES))
def test_a_bad_answer_to_a_push_is_told(bench: Workbench, fake: FakeRegistry, what: str) -> None:
    fake.misbehave, kind, error = PUSHES[what]
    before = bench.state()
    with pytest.raises(TagshipError) as caught:
        bench.manager.export_image(push=f"{fake.host}/{NAME}")
    assert type(caught.value) is kind
    assert error in caught.value.message
    assert caught.value.hint
    assert bench.changes(before) == set()
    assert "1.0.0" not in fake.manifests


@pytest.mark.released
def test_a_registry_that_is_busy_for_a_while_is_asked_again(
    bench: Workbench, fake: FakeRegistry
) -> None:
    busy = iter([429, 503, 429])

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        status = next(busy, None) if method == "PUT" else None
        return (status, {"Retry-After": "0"}, b"") if status else None

    fake.misbehave = answer
    assert push(bench, fake).code == 0
    assert verify(bench, fake, bench.manager.image_digest()) == []


@pytest.mark.released
def test_a_tag_that_moves_while_it_is_pushed_is_told(bench: Workbench, fake: FakeRegistry) -> None:
    other = b'{"schemaVersion": 2}'

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if method == "GET" and path.endswith("manifests/1.0.0") and "1.0.0" in fake.manifests:
            return 200, {}, other
        return None

    fake.misbehave = answer
    with pytest.raises(Corrupt, match=r"has other bytes for 1\.0\.0 by now"):
        bench.manager.export_image(push=f"{fake.host}/{NAME}")


@pytest.mark.released
def test_nobody_there_is_told(bench: Workbench) -> None:
    result = bench.cli("export", "churn", "--format", "oci", "--push", "127.0.0.1:1/churn")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "error: 127.0.0.1:1 cannot be reached: connection refused\n"
        "hint: curl -I http://127.0.0.1:1/v2/\n"
    )


@pytest.mark.released
def test_other_bytes_of_a_registry_are_refused(bench: Workbench, fake: FakeRegistry) -> None:
    push(bench, fake)
    name = bench.manager.image_digest()
    layer = next(blob for blob, data in fake.blobs.items() if data.startswith(b"models/model.bin"))
    good = fake.blobs[layer]
    fake.blobs[layer] = good[:600] + b"\1" + good[601:]
    tampered = "model.bin the layer has other bytes than its digest says"
    assert verify(bench, fake, name) == [tampered]
    fake.blobs[layer] = good[:1000]
    assert verify(bench, fake, name) == [tampered]
    fake.blobs[layer] = good + b"more"
    assert verify(bench, fake, name) == ["model.bin cannot be read: is longer than the image says"]
    del fake.blobs[layer]
    assert verify(bench, fake, name) == ["model.bin cannot be read: a part of it is missing"]
    fake.blobs[layer] = good
    fake.manifests[name] += b" "
    with pytest.raises(Corrupt, match="has other bytes than its digest says"):
        verify(bench, fake, name)
    del fake.manifests[name]
    with pytest.raises(NotFound, match="there is no image docker://"):
        verify(bench, fake, name)


@pytest.mark.released
def test_an_image_in_a_registry_is_named_by_its_digest(
    bench: Workbench, fake: FakeRegistry
) -> None:
    result = bench.cli("verify", f"docker://{fake.host}/{NAME}:1.0.0")
    assert result.code == 2
    assert "has no digest, and a tag may name another image tomorrow" in result.err
    assert fake.asked == []


@pytest.mark.released
@pytest.mark.parametrize("place", ["churn", "Example.com/Churn", "x.com/a:b:c", "x.com/../a"])
def test_another_text_is_no_place_to_push_to(bench: Workbench, place: str) -> None:
    with pytest.raises(InvalidName, match="is no image in a registry"):
        bench.manager.export_image(push=place)


@pytest.mark.released
def test_a_push_to_a_digest_is_refused(bench: Workbench) -> None:
    with pytest.raises(InvalidName, match="has a digest"):
        bench.manager.export_image(push=f"x.com/a@sha256:{'0' * 64}")
    with pytest.raises(InvalidName, match="needs a place"):
        bench.manager.export_image()


def test_a_push_of_what_is_no_image_is_a_mistake_in_the_command(bench: Workbench) -> None:
    result = bench.cli("export", "churn", "--format", "mlflow", "--push", "x.com/a")
    assert result.code == 2
    assert "only an image is pushed: --format oci" in result.err


# --- addresses and logins


def test_an_address_is_read_and_written() -> None:
    text = f"registry.example.com:5000/models/churn:1.0.0_cu12@sha256:{'0' * 64}"
    assert str(Address.parse(text)) == text
    assert Address.parse("localhost/a").url == "http://localhost/v2/a"
    assert Address.parse("docker.io/ada/a").url == "https://registry-1.docker.io/v2/ada/a"
    assert Address.parse("example.com/a").url == "https://example.com/v2/a"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost:5000", True),
        ("127.8.0.1", True),
        ("[::1]:5", True),
        ("localhost.evil.com", False),
    ],
)
def test_only_this_machine_needs_no_tls(host: str, here: bool) -> None:
    assert is_here(host) is here


def test_the_login_of_the_nearest_name_counts(tmp_path: Path) -> None:
    auths = {
        "x.com": {"auth": base64.b64encode(b"a:1").decode()},
        "x.com/models": {"auth": base64.b64encode(b"b:2:3").decode()},
    }
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": auths}))
    environment = {"REGISTRY_AUTH_FILE": str(path)}
    assert registry_login.find(Address.parse("x.com/models/a"), environment) == Login("b", "2:3")
    assert registry_login.find(Address.parse("x.com/other"), environment) == Login("a", "1")
    assert registry_login.find(Address.parse("y.com/models"), environment) is None
    assert "2:3" not in repr(Login("b", "2:3"))


def test_docker_s_file_counts_where_podman_has_none(tmp_path: Path) -> None:
    auths = {"https://index.docker.io/v1/": {"auth": base64.b64encode(b"a:1").decode()}}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": auths}))
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert registry_login.find(Address.parse("docker.io/a/b"), environment) == Login("a", "1")


def test_a_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-safe"
    helper.write_text('#!/bin/sh\nread host\nprintf \'{"Username":"%s","Secret":"s"}\' "$host"\n')
    helper.chmod(0o755)
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"credHelpers": {"x.com": "safe", "y.com": "none"}}))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    environment = {"REGISTRY_AUTH_FILE": str(path)}
    assert registry_login.find(Address.parse("x.com/a"), environment) == Login("x.com", "s")
    with pytest.raises(
        Unavailable, match=r"docker-credential-none, which keeps the login of y\.com"
    ):
        registry_login.find(Address.parse("y.com/a"), environment)


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": {"x.com": {"auth": "!"}}}'])
def test_a_file_of_logins_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "auth.json").write_text(text)
    environment = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    with pytest.raises(Corrupt, match=r"login"):
        registry_login.find(Address.parse("x.com/a"), environment)


# --- the history


def events(bench: Workbench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bench.cli("history", "churn", "--json").out)
    return found


@pytest.mark.live
def test_a_push_is_in_the_history_of_a_model_that_is_deployed_here(
    bench: Workbench, fake: FakeRegistry
) -> None:
    name, before = bench.manager.image_digest(), events(bench)
    assert push(bench, fake).code == 0
    *others, event = events(bench)
    assert others == before
    told = {key: event[key] for key in ("seq", "action", "status", "version", "directory", "image")}
    assert told == {
        "seq": len(before) + 1, "action": "push", "status": "succeeded", "version": "1.0.0",
        "directory": None, "image": f"{fake.host}/{NAME}:1.0.0@{name}",
    }  # fmt: skip
    assert push(bench, fake).code == 0  # the same again is no event
    assert len(events(bench)) == len(others) + 1
    shown = bench.cli("history", "churn", "--action", "push").out
    assert f"{fake.host}/{NAME}:1.0.0@{name}" in shown
    bench.cli("export", "churn", "--format", "oci", "--push", f"{fake.host}/{NAME}:stable")
    assert [each["image"] for each in events(bench)[len(before) :]] == [
        f"{fake.host}/{NAME}:1.0.0@{name}",
        f"{fake.host}/{NAME}:stable@{name}",
    ]
    assert bench.cli("status", "churn").code == 0


@pytest.mark.live
def test_a_push_changes_nothing_of_what_goes_live(bench: Workbench, fake: FakeRegistry) -> None:
    bench.ship("model 2\n")
    assert bench.cli("rollback", "churn", "--yes").code == 0
    status = bench.cli("status", "churn", "--json").out
    assert push(bench, fake).code == 0
    assert bench.cli("status", "churn", "--json").out == status
    assert "1.1.0 is passed over" in bench.cli("deploy", "churn", "--yes").out  # as before
    assert bench.cli("current", "churn").out == "1.0.0\n"


def test_a_push_by_an_account_that_may_only_read_is_no_event(
    accounts: Accounts, fake: FakeRegistry
) -> None:
    def push_by(uid: int) -> list[str]:
        place = f"{fake.host}/{NAME}"
        result = accounts.run(uid, f"export churn --format oci --push {place} --force")
        assert (result.code, result.err.count("note: ")) == (0, 1), result
        history = accounts.run(READER, "history churn --action push --json")
        return [event["actor"] for event in json.loads(history.out)]

    assert push_by(READER) == []
    assert push_by(OWNER) == [str(OWNER)]


@pytest.mark.live
def test_a_push_is_told_to_have_happened_though_the_history_cannot_say_so(
    bench: Workbench, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "WAIT", 0.0)
    before = events(bench)
    with bench.store.locked(process.owner("a deploy")):
        result = push(bench, fake)
    assert result.code == 0
    assert "note: it is pushed, and the history does not say so: " in result.err
    assert events(bench) == before
