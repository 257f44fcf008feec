"""Keys that are unknown, wrong, or without the right; and where keys must not go."""

import json
import os
from pathlib import Path

import pytest

from tests import workbench
from tests.stores import answers, network, places, servers, tamper, trials
from tests.stores.answers import content
from tests.stores.places import aws
from tests.stores.servers import PASSWORD, SECRET
from tests.stores.tamper import Proxy
from tests.stores.trials import CREDENTIALS, FOLDER, Ran, Shop
from tests.workbench import Result

PROFILE = "hint: dvc remote modify --local store profile PROFILE, a profile of ~/.aws"


def refused(result: Result, *words: str) -> None:
    """Refused in an error and a hint, which have these words; no secret is among them."""
    assert result.code == 1, result.out
    assert trials._noise(result.err) == []
    assert [line[:7] for line in result.err.splitlines()].count("error: ") == 1
    for word in (*words, "hint: "):
        assert word in result.err
    for secret in trials.SECRETS:
        assert secret not in result.err


def live(repo: Path) -> bytes:
    return (repo / "models/churn/current/model.bin").read_bytes()


def trained(shop: Shop) -> Path:
    """A workspace with a model that is not released yet."""
    repo = shop.workspace(shop.server.address)
    workbench.train(repo, os.urandom(1000))
    return repo


def tags(repo: Path) -> str:
    return workbench.run(repo, "git", "tag")


# --- S3: rights


@pytest.mark.at("seaweedfs")
def test_who_may_only_read_deploys_and_releases_nothing(shop: Shop) -> None:
    repo = trained(shop)
    before = tags(repo)
    reader = {**shop.environment, **aws("reader")}
    refused(trials.tagship(repo, reader, "release", "churn").result, "error: ", PROFILE)
    assert tags(repo) == before
    trials.tagship(repo, reader, "deploy", "churn", "--yes").check()
    assert live(repo) == content(2)


@pytest.mark.at("seaweedfs")
@pytest.mark.parametrize(
    ("key", "secret"),
    [("stranger", SECRET), ("unknown", SECRET), ("writer", "wrong")],
    ids=["without the right", "unknown", "with a wrong secret"],
)
def test_keys_that_do_not_fit_are_refused_with_the_way_to_name_others(
    shop: Shop, key: str, secret: str
) -> None:
    repo = shop.workspace(shop.server.address)
    refused(shop.deploy(repo, **aws(key, secret)).result, PROFILE)
    assert live(repo) == content(1)


# --- S3: where keys are looked for


KEYS = f"aws_access_key_id = writer\naws_secret_access_key = {SECRET}\n"
PRINTED = {"Version": 1, "AccessKeyId": "writer", "SecretAccessKey": SECRET}
WAYS = {
    "the default profile": ({"credentials": f"[default]\n{KEYS}"}, {}, {}),
    "a profile of the remote": (
        {"credentials": f"[models]\n{KEYS}"}, {"profile": "models"}, {},
    ),
    "a profile of the environment": (
        {"credentials": f"[models]\n{KEYS}"}, {}, {"AWS_PROFILE": "models"},
    ),
    "a profile in config": (
        {"config": f"[profile models]\nregion = us-east-1\n{KEYS}"}, {"profile": "models"}, {},
    ),
    "a program": (
        {"config": f"[profile models]\ncredential_process = echo '{json.dumps(PRINTED)}'\n"},
        {"profile": "models"}, {},
    ),
    "options of the remote": (
        {}, {"access_key_id": "writer", "secret_access_key": SECRET}, {},
    ),
    "the environment before a profile": (
        {"credentials": "[default]\naws_access_key_id = x\naws_secret_access_key = y\n"}, {},
        aws("writer"),
    ),
    "a profile before the environment": (
        {"credentials": f"[models]\n{KEYS}"}, {"profile": "models"}, aws("unknown"),
    ),
}  # fmt: skip


@pytest.mark.at("seaweedfs")
@pytest.mark.parametrize("way", WAYS)
def test_keys_are_found_where_dvc_finds_them_and_no_metadata_is_asked(shop: Shop, way: str) -> None:
    files, options, environment = WAYS[way]
    network.asked.clear()
    with trials.home(shop, **files) as own:
        repo = shop.workspace(shop.server.address, options)
        words = ("deploy", "churn", "--yes")
        trials.tagship(repo, {**own, **environment}, *words).check()
    assert live(repo) == content(2)
    assert network.asked == []


@pytest.mark.at("seaweedfs")
@pytest.mark.parametrize(
    "files", [{}, {"config": "[profile models]\nregion = us-east-1\n"}],
    ids=["no such profile", "without keys"],
)  # fmt: skip
def test_a_profile_without_keys_is_refused(shop: Shop, files: dict[str, str]) -> None:
    with trials.home(shop, **files) as own:
        repo = shop.workspace(shop.server.address, {"profile": "models"})
        environment = {**own, **places.NO_METADATA}
        ran = trials.tagship(repo, environment, "deploy", "churn", "--yes")
    refused(ran.result, PROFILE)
    assert live(repo) == content(1)


# --- Azure and HTTP


@pytest.mark.at("azurite")
def test_a_wrong_key_of_azure_is_refused(shop: Shop) -> None:
    wrong = servers.connection_string(shop.server.address, "d3Jvbmc=")
    repo = shop.workspace(shop.server.address, {"connection_string": wrong})
    way = "hint: dvc remote modify --local store connection_string TEXT, with an AccountKey"
    refused(shop.deploy(repo).result, way)
    assert live(repo) == content(1)


@pytest.mark.at("azurite")
def test_azure_without_an_account_is_told_what_names_it(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    options = shop.place.options(shop.server.address, FOLDER)
    del options["connection_string"]
    places.configure(repo, options)
    way = "hint: dvc remote modify --local store connection_string TEXT; or, in the same way, acc"
    refused(shop.deploy(repo).result, way)
    assert live(repo) == content(1)


@pytest.mark.at("azurite")
def test_a_connection_string_of_the_environment_is_taken(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    options = shop.place.options(shop.server.address, FOLDER)
    text = options.pop("connection_string")
    places.configure(repo, options)
    shop.deploy(repo, AZURE_STORAGE_CONNECTION_STRING=text).check()
    assert live(repo) == content(2)


def private(address: str, password: str) -> dict[str, str]:
    """The options of what nginx gives against a password."""
    return {
        "url": f"{address}/private/{FOLDER}", "auth": "basic", "user": "ada", "password": password,
    }  # fmt: skip


@pytest.mark.at("nginx")
def test_a_password_of_http_is_used_and_a_wrong_one_refused(shop: Shop) -> None:
    address = shop.server.address
    repo = shop.workspace(address, private(address, "wrong"))
    refused(shop.deploy(repo).result, "dvc remote modify --local store auth basic")
    assert live(repo) == content(1)
    repo = shop.workspace(address, private(address, PASSWORD))
    shop.deploy(repo).check()
    assert live(repo) == content(2)


@pytest.mark.at("nginx")
def test_a_web_server_without_ranges_gives_small_and_large_models(shop: Shop) -> None:
    address = shop.server.address
    repo = shop.workspace(address, {"url": f"{address}/rangeless/{FOLDER}"})
    shop.deploy(repo).check()
    shop.deploy(repo, "large").check()
    assert live(repo) == content(2)


# --- where keys must not go


def sent_elsewhere(
    shop: Shop, options: dict[str, str] | None = None, **environment: str
) -> tuple[Ran, Proxy]:
    """Deploy from a store that sends to another host; and what that host was asked."""
    other = Proxy(shop.upstream, kind=shop.place.scheme)
    proxy = Proxy(shop.upstream, answers.elsewhere, kind=shop.place.scheme)
    with tamper.running(other), tamper.running(proxy):
        proxy.elsewhere = other.address
        own = {k: v.replace("ADDRESS", proxy.address) for k, v in (options or {}).items()}
        repo = shop.workspace(proxy.address, own)
        ran = shop.deploy(repo, **environment)
        assert proxy.requests != []
    return ran, other


@pytest.mark.at("moto")
def test_a_token_of_a_session_follows_no_redirect(shop: Shop) -> None:
    _, other = sent_elsewhere(shop, AWS_SESSION_TOKEN="token-of-a-session")
    carried = {name for request in other.requests for name in request.headers}
    assert carried & set(CREDENTIALS) == set()
    assert "token-of-a-session" not in str(other.requests)


@pytest.mark.at("nginx")
@pytest.mark.parametrize(
    "options",
    [
        private("ADDRESS", PASSWORD),
        {"auth": "custom", "custom_auth_header": "X-Models", "password": PASSWORD},
    ],
    ids=["basic", "of a header of its own"],
)
def test_a_password_follows_no_redirect_to_another_host(
    shop: Shop, options: dict[str, str]
) -> None:
    ran, other = sent_elsewhere(shop, options)
    carried = {name for request in other.requests for name in request.headers}
    assert carried & {*CREDENTIALS, "x-models"} == set()
    assert PASSWORD not in ran.result.err
