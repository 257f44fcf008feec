"""Keys that botocore finds: of a role, of a program, of SSO; with moto's IAM and STS, and its S3.

While these tests run, moto gives nothing without the right to it.
"""

import hashlib
import json
import os
import shlex
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tagship.stores import keys
from tagship.stores.failures import Kind, StoreError
from tagship.stores.options import Profile
from tests.stores import network, places, servers, tamper, trials
from tests.stores.answers import content
from tests.stores.servers import BUCKET
from tests.stores.tamper import Proxy
from tests.stores.test_credentials import live, refused
from tests.stores.trials import FOLDER, Shop

EVERYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


@dataclass(frozen=True)
class Account:
    """What AWS has of this host: a user whose one right is to assume a role that may use S3."""

    shop: Shop
    user: str
    role: str

    @property
    def credentials(self) -> str:
        """~/.aws/credentials: of the user, and of nobody."""
        return f"{self.user}[stranger]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = x\n"

    def config(self, *lines: str, profile: str = "models") -> str:
        """~/.aws/config."""
        text = f"[profile {profile}]\nregion = us-east-1\n" + "".join(f"{line}\n" for line in lines)
        return text.replace("ROLE", self.role)


@pytest.fixture(scope="module")
def account(opened: Callable[[str], Shop]) -> Iterator[Account]:
    shop = opened("moto")
    made = _make(shop)
    enforce(shop, "0")
    yield made
    enforce(shop, "inf")


def enforce(shop: Shop, count: str) -> None:
    """Have moto ask for rights after so many requests."""
    kind = {"Content-Type": "text/plain"}
    url = f"{shop.server.address}/moto-api/reset-auth"
    urllib.request.urlopen(urllib.request.Request(url, count.encode(), kind)).close()


def _make(shop: Shop) -> Account:
    import boto3

    iam = boto3.client(
        "iam", endpoint_url=shop.server.address, region_name="us-east-1",
        aws_access_key_id="anybody", aws_secret_access_key="anything",
    )  # fmt: skip
    iam.create_user(UserName="host")
    iam.put_user_policy(UserName="host", PolicyName="p", PolicyDocument=_may("sts:AssumeRole"))
    key = iam.create_access_key(UserName="host")["AccessKey"]
    trust = json.dumps({"Version": "2012-10-17", "Statement": [EVERYBODY]})
    role = iam.create_role(RoleName="models", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="models", PolicyName="p", PolicyDocument=_may("s3:*"))
    user = (
        f"[host]\naws_access_key_id = {key['AccessKeyId']}\n"
        f"aws_secret_access_key = {key['SecretAccessKey']}\n"
    )
    return Account(shop, user, role)


def _may(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


ROLE = ("role_arn = ROLE", "source_profile = host")


def deploy(
    account: Account, profile: str, *lines: str,
    files: Mapping[str, str] = MappingProxyType({}), **environment: str,
) -> tuple[Path, trials.Ran]:  # fmt: skip
    """Deploy with a profile, in a process of its own."""
    shop, address = account.shop, account.shop.server.address
    aws = {"credentials": account.credentials, "config": account.config(*lines), **files}
    with trials.home(shop, **aws) as own:
        repo = shop.workspace(address, {"profile": profile})
        stated = {**own, "AWS_ENDPOINT_URL_STS": address, **environment}
        return repo, trials.tagship(repo, stated, "deploy", "churn", "--yes")


def test_a_role_is_assumed_and_its_keys_fetch(account: Account) -> None:
    repo, ran = deploy(account, "models", *ROLE)
    ran.check()
    assert live(repo) == content(2)
    assert network.asked == []


def test_the_keys_that_assume_a_role_fetch_nothing_themselves(account: Account) -> None:
    repo, ran = deploy(account, "host")
    refused(ran.result, "denies access (403 AccessDenied)", "profile PROFILE")
    assert live(repo) == content(1)


# --- without a process


@pytest.fixture
def profile(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., keys.Provider]:
    """What gives the keys of a profile, by its lines in ~/.aws/config."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", account.shop.server.address)
    for name, value in places.NO_METADATA.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(account.credentials)

    def provider(*lines: str) -> keys.Provider:
        (tmp_path / ".aws/config").write_text(account.config(*lines))
        return keys.provider({}, Profile("models", None))

    return provider


def fetched(account: Account, provider: keys.Provider) -> bytes:
    """An object of the store, by obstore with these keys: as from Amazon's own address."""
    import obstore
    from obstore.store import S3Store

    given: Any = {
        "credential_provider": provider, "client_options": {"allow_http": True},
        "config": {"endpoint": account.shop.server.address, "region": "us-east-1"},
    }  # fmt: skip
    store = S3Store(BUCKET, prefix=FOLDER, **given)
    first = next(page[0] for page in obstore.list(store) if page)
    return bytes(obstore.get(store, str(first["path"])).bytes())


def program(answer: Mapping[str, Any]) -> str:
    """The line of a profile whose keys a program prints."""
    return f"credential_process = echo {shlex.quote(json.dumps({'Version': 1, **answer}))}"


def test_keys_that_end_are_taken_by_obstore(
    account: Account, profile: Callable[..., keys.Provider]
) -> None:
    assumed = profile(*ROLE)
    assert fetched(account, assumed)
    given = assumed()
    printed = {
        "AccessKeyId": given["access_key_id"], "SecretAccessKey": given["secret_access_key"],
        "SessionToken": given["token"], "Expiration": given["expires_at"].isoformat(),
    }  # fmt: skip
    of_program = profile(program(printed))
    assert of_program() == given
    assert fetched(account, of_program)


def test_keys_of_a_role_are_renewed_before_they_end(profile: Callable[..., keys.Provider]) -> None:
    provider = profile(*ROLE, "duration_seconds = 900")  # botocore asks 15 minutes before
    first, second = provider(), provider()
    assert first["access_key_id"] != second["access_key_id"]
    assert first["token"] != second["token"]


@pytest.mark.filterwarnings("ignore:Can not control echo")
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("role_arn = ROLE", "source_profile = stranger"), "(InvalidClientTokenId)"),
        (("role_arn = ROLE", "source_profile = absent"), '"absent" referenced in the profile'),
        (("role_arn = ROLE", "source_profile = models"), "Infinite loop"),
        ((*ROLE, "mfa_serial = arn:aws:iam::123456789012:mfa/ada"), "mfa_serial, and there is no"),
        (("credential_process = /nonexistent/keys",), "credential_process: [Errno 2]"),
        (("credential_process = echo no keys",), "credential_process: Expecting value"),
        (("credential_process = sh -c 'echo not today >&2; exit 3'",), "custom-process: not today"),
        ((program({}),), "Missing required key in response: 'AccessKeyId'"),
        ((), ""),
    ],
    ids=["denied", "no such source", "a loop", "a code", "no such program", "no JSON", "it fails",
         "no key", "none"],
)  # fmt: skip
def test_why_there_are_no_keys_is_told(
    profile: Callable[..., keys.Provider], monkeypatch: pytest.MonkeyPatch,
    lines: tuple[str, ...], words: str,
) -> None:  # fmt: skip
    with open(os.devnull) as nobody, pytest.raises(StoreError) as caught:
        monkeypatch.setattr("sys.stdin", nobody)
        profile(*lines)
    assert caught.value.kind is Kind.CREDENTIALS
    assert words in caught.value.detail
    assert "\n" not in caught.value.detail


def test_a_role_of_an_sts_out_of_reach_is_no_role(
    profile: Callable[..., keys.Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{servers.free_ports(1)[0]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match=f"no credentials for it .*connect.*{address}"):
        profile(*ROLE)


# --- SSO

ACCOUNT = ("sso_account_id = 1", "sso_role_name = r")
START = "https://x.awsapps.com/start"
SSO = (f"sso_start_url = {START}", "sso_region = us-east-1", *ACCOUNT)
SESSION = ("sso_session = corp", *ACCOUNT, "[sso-session corp]", *SSO[:2])


@pytest.fixture
def portal(account: Account) -> Iterator[Proxy]:
    """What answers in place of AWS's sign-in, and counts."""
    with tamper.running(Proxy(account.shop.upstream)) as proxy:
        yield proxy
        assert proxy.asked == 0


def at(portal: Proxy) -> dict[str, str]:
    return dict.fromkeys(("AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC"), portal.address)


@pytest.mark.parametrize("lines", [SSO, SESSION], ids=["of the profile", "a session of several"])
def test_a_profile_of_sso_without_a_session_asks_nobody(
    profile: Callable[..., keys.Provider], portal: Proxy, monkeypatch: pytest.MonkeyPatch,
    lines: tuple[str, ...],
) -> None:  # fmt: skip
    for name, value in at(portal).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=r"nobody is signed in .*Token for .* does not exist"):
        profile(*lines)


def test_a_session_of_sso_that_ended_is_told_with_the_way_to_sign_in(
    account: Account, portal: Proxy
) -> None:
    ended = {
        "startUrl": START, "region": "us-east-1", "accessToken": "t",
        "expiresAt": "2020-01-01T00:00:00Z",
    }  # fmt: skip
    name = hashlib.sha1(b"corp").hexdigest()  # as botocore calls the file of a session
    files = {f"sso/cache/{name}.json": json.dumps(ended)}
    repo, ran = deploy(account, "models", *SESSION, files=files, **at(portal))
    refused(
        ran.result, "its profile is of AWS SSO, and nobody is signed in here (", "has expired",
        "hint: aws sso login --profile models; where nobody can sign in, a profile with keys: dvc",
    )  # fmt: skip
    assert live(repo) == content(1)
    assert network.asked == []
