"""What is advised after an error of a cloud library: credentials, the address, or the bucket."""

import contextlib
import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tagship.dvc import remote_errors
from tagship.dvc.remote_errors import Settings
from tagship.stores.failures import Kind, StoreError
from tests.workbench import Workbench

MODIFY = "dvc remote modify --local store"
DOWN = (
    "If it is down, ask who runs it: what is live stays live, so change nothing."
    " If the address is wrong:"
)
PROFILE = (
    f"{MODIFY} profile PROFILE, a profile of ~/.aws that may use the bucket;"
    " or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
PASSWORD = f"{MODIFY} auth basic, and in the same way user NAME and password PASSWORD"
S3, OWN = {"url": "s3://models/dvc"}, {"url": "s3://models/dvc", "endpointurl": "http://minio:9000"}
HTTP, SSH = {"url": "https://store.example.com/dvc"}, {"url": "ssh://ada@store.example.com:22/dvc"}


def hint(error: BaseException, options: dict[str, str], **environment: str) -> str | None:
    return remote_errors.hint(error, Settings("store", options, environment))


def hint_of_store(kind: Kind, options: dict[str, str], **environment: str) -> str:
    return remote_errors.of_store(StoreError(kind), Settings("store", options, environment))


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_s3_without_credentials_is_told_how_to_give_them() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    for error in (
        exceptions.NoCredentialsError(),
        exceptions.PartialCredentialsError(provider="env", cred_var="secret"),
        exceptions.ProfileNotFound(profile="models"),
        PermissionError("Access Denied"),  # as s3fs translates it
        exceptions.ClientError({"Error": {"Code": "403"}}, "HeadObject"),
    ):
        assert hint(error, S3) == PROFILE


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        ({"profile": "models"}, {}, " --profile models"),
        ({}, {"AWS_PROFILE": "my models"}, " --profile 'my models'"),
        ({}, {}, ""),
    ],
    ids=["of the remote", "of the environment", "the default one"],
)
def test_a_profile_of_sso_is_told_to_sign_in(
    options: dict[str, str], environment: dict[str, str], words: str
) -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    way = (
        f"aws sso login{words}; where nobody can sign in, a profile with keys:"
        f" {MODIFY} profile PROFILE"
    )
    for error in (
        exceptions.TokenRetrievalError(provider="sso", error_msg="expired"),
        exceptions.SSOTokenLoadError(error_msg="there is none"),
        exceptions.UnauthorizedSSOTokenError(),
    ):
        assert hint(error, S3 | options, **environment) == way
    assert hint_of_store(Kind.SIGNED_OUT, S3 | options, **environment) == way


TEXT = "DefaultEndpointsProtocol=https;AccountName=wine;AccountKey=c2VzYW1l;"
OF_AZURE = "AZURE_STORAGE_CONNECTION_STRING"
PARTS = "with an AccountKey or a SharedAccessSignature"


@pytest.mark.parametrize(
    ("options", "environment", "address", "change", "key"),
    [
        (
            {"connection_string": TEXT}, {}, "https://wine.blob.core.windows.net",
            f"{MODIFY} connection_string TEXT", f"{MODIFY} connection_string TEXT, {PARTS}",
        ),
        (
            {"connection_string": f"{TEXT}BlobEndpoint=http://10.0.0.7:10000/wine"}, {},
            "http://10.0.0.7:10000/wine",
            f"{MODIFY} connection_string TEXT", f"{MODIFY} connection_string TEXT, {PARTS}",
        ),
        (
            {}, {OF_AZURE: f"{TEXT}EndpointSuffix=core.chinacloudapi.cn"},
            "https://wine.blob.core.chinacloudapi.cn",
            f"set {OF_AZURE}", f"set {OF_AZURE}, {PARTS}",
        ),
        (
            {"account_name": "wine", "account_key": "c2VzYW1l"}, {},
            "https://wine.blob.core.windows.net",
            f"{MODIFY} account_name NAME", f"{MODIFY} account_key KEY",
        ),
        (
            {"account_name": "wine", "sas_token": "sv=1&sig=c2VzYW1l"}, {},
            "https://wine.blob.core.windows.net",
            f"{MODIFY} account_name NAME", f"{MODIFY} sas_token TOKEN",
        ),
        (
            {"client_id": "ada"}, {"AZURE_STORAGE_ACCOUNT_NAME": "wine"},
            "https://wine.blob.core.windows.net", f"{MODIFY} account_name NAME",
            f"{MODIFY} client_secret SECRET, and in the same way client_id ID and tenant_id ID",
        ),
    ],
    ids=["connection string", "with an address", "of the environment", "key", "sas", "client"],
)  # fmt: skip
def test_azure_is_told_of_the_option_that_it_goes_by(
    options: dict[str, str], environment: dict[str, str], address: str, change: str, key: str
) -> None:
    options = {"url": "azure://models/dvc", **options}
    reach = f"is {address} reachable from here? {DOWN} {change}"
    assert hint(ConnectionResetError(), options, **environment) == reach
    assert hint_of_store(Kind.UNREACHABLE, options, **environment) == reach
    assert hint(PermissionError("Forbidden"), options, **environment) == key
    assert hint_of_store(Kind.DENIED, options, **environment) == key
    assert "c2VzYW1l" not in reach + key


def test_azure_without_an_account_is_told_what_names_one() -> None:
    class AuthError(Exception):  # as DVC's own of Azure is called
        pass

    way = f"{MODIFY} connection_string TEXT; or, in the same way, account_name NAME"
    assert hint(AuthError(), {"url": "azure://models"}) == way


@pytest.mark.parametrize("url", ["gs://models", "azure://models"])
def test_certificates_are_named_where_dvc_has_no_option_for_them(url: str) -> None:
    way = "set SSL_CERT_FILE to a file with the certificates of who signed it"
    assert hint_of_store(Kind.CERTIFICATE, {"url": url}) == way
    own = f"{MODIFY} ssl_verify FILE, the certificates of who signed it"
    assert hint_of_store(Kind.CERTIFICATE, S3) == hint_of_store(Kind.CERTIFICATE, HTTP) == own


def test_an_endpoint_that_cannot_be_reached_is_named() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    reach = f"is http://minio:9000 reachable from here? {DOWN} {MODIFY} endpointurl URL"
    for error in (
        exceptions.EndpointConnectionError(endpoint_url="http://minio:9000"),
        exceptions.ConnectTimeoutError(endpoint_url="http://minio:9000"),
        exceptions.SSLError(endpoint_url="http://minio:9000", error="self-signed"),
        caused(OSError("cannot reach it"), socket.gaierror(-2, "Name or service not known")),
    ):
        assert hint(error, OWN) == reach
    without = f"is the network up? For a store of your own, name it: {MODIFY} endpointurl URL"
    assert hint(ConnectionRefusedError(), S3) == without
    assert hint(ConnectionResetError(), HTTP) == (
        f"is https://store.example.com/dvc reachable from here? {DOWN} {MODIFY} url URL"
    )


def test_a_bucket_that_is_not_there_is_told_from_an_object_that_is_not() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    bucket, key = (
        caused(FileNotFoundError(code), exceptions.ClientError({"Error": {"Code": code}}, "Get"))
        for code in ("NoSuchBucket", "NoSuchKey")
    )
    assert hint(bucket, S3) == f"make the bucket, or name one that is there: {MODIFY} url URL"
    assert hint(key, S3) is None


def test_ssh_is_told_of_its_key_and_of_the_servers() -> None:
    asyncssh = pytest.importorskip("asyncssh")
    denied = asyncssh.PermissionDenied("Permission denied for user ada")
    assert hint(denied, SSH) == f"{MODIFY} keyfile FILE, and in the same way user NAME"
    unknown = asyncssh.HostKeyNotVerifiable("Host key is not trusted")
    for options, host in ((SSH, "store.example.com"), ({"url": "ssh://[x"}, "HOST")):
        assert hint(unknown, options) == f"confirm the key of the server once: ssh {host}"


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("gs://models", f"{MODIFY} credentialpath FILE; or: gcloud auth application-default login"),
        ("azure://models", f"{MODIFY} account_key KEY; or: az login"),
        ("webdavs://x/y", f"{MODIFY} user NAME, and in the same way password PASSWORD"),
        ("http://x/y", PASSWORD),
        ("oss://models", f"give this machine its credentials: {MODIFY} OPTION VALUE"),
    ],
)
def test_each_kind_of_remote_has_its_own_options(url: str, way: str) -> None:
    assert hint(PermissionError("Forbidden"), {"url": url}) == way


def test_other_errors_are_left_alone() -> None:
    for error in (
        OSError(28, "No space left on device"),
        PermissionError(13, "Permission denied", "/srv/models/.dvc/cache"),  # of this machine
        NotADirectoryError(20, "Not a directory", "x"),
        ValueError("odd"),
    ):
        assert hint(error, S3) is None


def test_no_secret_of_an_address_is_printed() -> None:
    text = hint(ConnectionResetError(), {"url": "https://ada:s3cret@store.example.com/d?key=abc"})
    assert text is not None
    assert "s3cret" not in text
    assert "abc" not in text


@pytest.fixture
def store(bench: Workbench) -> Iterator[Any]:
    """A server on loopback whose answer to everything is ``code``; and its address."""
    answer = SimpleNamespace(code=403, body=b"", url="")

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer.code)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - the names of http.server

        def log_message(self, *_: object) -> None:
            pass

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        answer.url = f"http://127.0.0.1:{server.server_port}"
        bench.release()
        shutil.rmtree(bench.repo / ".dvc/cache")
        yield answer


@pytest.mark.parametrize("code", [401, 403])
def test_a_web_server_that_asks_for_a_password(bench: Workbench, store: Any, code: int) -> None:
    store.code = code
    bench.dvc("remote", "modify", "--quiet", "--local", "store", "url", f"{store.url}/dvc")
    error, way = said(bench)
    assert error == f"error: the DVC remote store, {store.url}/dvc: it denies access ({code})"
    assert way == f"hint: {PASSWORD}"
    bench.train("model 2\n")
    assert said(bench, "release churn")[-1] == f"hint: {PASSWORD}"
    assert bench.git("tag") == "churn@v1.0.0\n"


@pytest.fixture
def s3(bench: Workbench, store: Any) -> Any:
    """The same as the endpoint of S3, with credentials of a kind."""
    pytest.importorskip("dvc_s3")
    bench.dvc("remote", "add", "--quiet", "--force", "--default", "store", "s3://models/churn")
    bench.dvc("remote", "modify", "--quiet", "--local", "store", "endpointurl", store.url)
    bench.monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bench.monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bench.monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        bench.monkeypatch.setenv(name, "sesame")
    return store


def said(bench: Workbench, command: str = "deploy churn --yes") -> list[str]:
    """What a command that fails prints, without the note that the remote is slow."""
    result = bench.cli(*command.split())
    assert result.code == 1
    return [line for line in result.err.splitlines() if not line.startswith("note: waiting")]


def test_s3_that_denies_these_credentials(bench: Workbench, s3: Any) -> None:
    s3.body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    denied = f"error: the DVC remote store, {s3.url}: it denies access (403 AccessDenied)"
    assert said(bench) == [denied, f"hint: {PROFILE}"]


def test_s3_without_credentials(bench: Workbench, s3: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        bench.monkeypatch.delenv(name)
    lacking = f"error: the DVC remote store, {s3.url}: there are no credentials for it"
    assert said(bench) == [lacking, f"hint: {PROFILE}"]
    bench.dvc("remote", "modify", "--quiet", "--local", "store", "profile", "models")
    missing = " (The config profile (models) could not be found)"
    assert said(bench) == [lacking + missing, f"hint: {PROFILE}"]


def test_s3_without_the_bucket(bench: Workbench, s3: Any) -> None:
    s3.code = 404
    s3.body = b"<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message></Error>"
    assert said(bench) == [
        f"error: the DVC remote store, {s3.url}: there is no such bucket or container"
        " (404 NoSuchBucket)",
        f"hint: make the bucket, or name one that is there: {MODIFY} url URL",
    ]
