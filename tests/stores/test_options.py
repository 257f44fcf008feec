"""Each option of DVC's remotes has a counterpart in obstore, or DVC's own does the remote."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dvc.config_schema import REMOTE_SCHEMAS

from tagship.stores import options
from tagship.stores.options import NoCounterpart, Plan, Profile

TOP = Path(__file__).parents[2]

KEYS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}
URLS = {
    "s3": "s3://bucket/a/b", "gs": "gs://bucket/a", "azure": "azure://container/a",
    "http": "http://127.0.0.1:1/a", "https": "https://example.com/a",
}  # fmt: skip
LOGIN: dict[str, dict[str, object]] = {"azure": {"account_name": "a", "account_key": "YQ=="}}


def plan(scheme: str, environment: Mapping[str, str] = KEYS, /, **given: Any) -> Plan:
    url = given.pop("url", URLS[scheme])
    return options.plan({"url": url, **LOGIN.get(scheme, {}), **given}, environment)


def table() -> dict[str, tuple[set[str], set[str]]]:
    """The page's: by scheme, the options that obstore does, and those that it does not."""
    text = (TOP / "docs/settings.md").read_text()
    part = text.partition("## Which remotes are streamed by obstore")[2].partition("\n## ")[0]
    cells = [line.split("|")[1:4] for line in part.splitlines() if line.startswith("| ")][1:]
    names = [[re.findall(r"`([a-z_]+)`", cell) for cell in row[1:]] for row in cells]
    return {
        scheme: (set(done), set(own))
        for (first, *_), (done, own) in zip(cells, names, strict=True)
        for scheme in re.findall(r"`?(\w+)(?:://)?`?", first)
    }


@pytest.mark.parametrize("scheme", URLS)
def test_the_table_has_each_option_of_dvcs_schema(scheme: str) -> None:
    rows = table()
    done, own = (rows["all"][i] | rows[scheme][i] for i in (0, 1))
    schema = {str(getattr(name, "schema", name)) for name in REMOTE_SCHEMAS[scheme]}
    assert schema - done - own == set()
    assert done == options.MAPPED[scheme] | options.NEUTRAL | options.TIMES
    assert not done & own


@pytest.mark.parametrize("scheme", URLS)
def test_an_option_without_a_counterpart_sends_the_remote_through_dvcs_own(scheme: str) -> None:
    known = options.MAPPED[scheme] | options.NEUTRAL | options.TIMES
    for option in REMOTE_SCHEMAS[scheme]:
        name = str(getattr(option, "schema", option))
        if name not in known:
            with pytest.raises(NoCounterpart):
                plan(scheme, **{name: True})
    with pytest.raises(NoCounterpart):
        plan(scheme, an_option_of_next_year="x")


def test_the_keys_of_s3_are_looked_for_where_botocore_does() -> None:
    def keys(environment: Mapping[str, str], /, **given: Any) -> tuple[object, ...]:
        found = plan("s3", environment, **given)
        return found.config.get("access_key_id"), found.config.get("session_token"), found.profile

    own = {"access_key_id": "C", "secret_access_key": "D"}
    token = {**KEYS, "AWS_SESSION_TOKEN": "T"}
    assert keys(KEYS) == ("A", None, None)
    assert keys(token) == ("A", "T", None)
    assert keys(token, **own) == ("C", None, None)
    assert keys({**KEYS, "AWS_PROFILE": "p"}) == ("A", None, None)
    assert keys(KEYS, profile="p") == (None, None, Profile("p", None))
    assert keys({}, credentialpath="/k") == (None, None, Profile(None, "/k"))
    assert keys({}) == (None, None, Profile(None, None))
    assert plan("s3", {}, allow_anonymous_login=True).config["skip_signature"] is True
    for wrong in ({"access_key_id": "C"}, {"secret_access_key": "D"}):
        with pytest.raises(NoCounterpart):
            keys(KEYS, **wrong)


def test_a_session_token_goes_to_no_address_that_could_redirect_it() -> None:
    token = {**KEYS, "AWS_SESSION_TOKEN": "T"}
    assert plan("s3", token).config["session_token"] == "T"
    with pytest.raises(NoCounterpart):
        plan("s3", token, endpointurl="https://store.example.com")


def test_an_endpoint_a_region_and_certificates_come_from_options_environment_and_file(
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"PEM")
    (tmp_path / ".aws").mkdir()
    home = {**KEYS, "HOME": str(tmp_path)}
    config = tmp_path / ".aws/config"
    config.write_text("[default]\nregion = eu-west-1\n[profile p]\nregion = eu-west-2\n")
    assert plan("s3", home).config["region"] == "eu-west-1"
    assert plan("s3", {**home, "AWS_PROFILE": "p"}).config["region"] == "eu-west-2"
    assert plan("s3", {**home, "AWS_REGION": "x"}).config["region"] == "x"
    assert plan("s3", home, region="y").config["region"] == "y"
    found = plan("s3", {**home, "AWS_ENDPOINT_URL": "http://h:1/", "AWS_CA_BUNDLE": str(bundle)})
    assert (found.config["endpoint"], found.client) == (
        "http://h:1", {"root_certificate": b"PEM", "allow_http": True},
    )  # fmt: skip
    assert plan("s3", home, ssl_verify=False).client["allow_invalid_certificates"]
    for line in ("s3 =\n  addressing_style = virtual", "endpoint_url = http://h"):
        config.write_text(f"[default]\n{line}\n")
        with pytest.raises(NoCounterpart):
            plan("s3", home)


@pytest.mark.parametrize(
    ("scheme", "url"),
    [
        ("s3", "s3://"), ("s3", "s3://bucket/a%20b"), ("s3", "s3://bucket/a?x=1"),
        ("s3", "s3://bucket/\u00e4"), ("http", "http://u:p@host/a"), ("http", "http://host/a?t=1"),
    ],
)  # fmt: skip
def test_an_address_that_could_mean_something_else_is_dvcs_own(scheme: str, url: str) -> None:
    with pytest.raises(NoCounterpart):
        plan(scheme, url=url)


def test_http_with_credentials_is_dvcs_own(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert plan("http", home).place == "http://127.0.0.1:1/a"
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    with pytest.raises(NoCounterpart):
        plan("http", home)


def test_azure_takes_a_connection_string_or_an_account(tmp_path: Path) -> None:
    emulator = (
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        "BlobEndpoint=http://127.0.0.1:10000/a;"
    )

    def config(environment: Mapping[str, str] = KEYS, /, **given: Any) -> Any:
        return options.plan({"url": URLS["azure"], **given}, environment).config

    assert config(connection_string=emulator)["endpoint"] == "http://127.0.0.1:10000/a"
    assert config({"AZURE_STORAGE_CONNECTION_STRING": emulator})["account_key"] == "YQ=="
    assert config(account_name="a", sas_token="sv=1")["sas_key"] == "sv=1"
    login = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}
    assert config(account_name="a", **login)["client_secret"] == "s"
    cases: tuple[dict[str, str], ...] = (
        {}, {"account_name": "a"}, {"connection_string": "UseDevelopmentStorage=true"},
        {"connection_string": "AccountName=a;AccountKey=b;EndpointSuffix=example.com"},
    )  # fmt: skip
    for given in cases:
        with pytest.raises(NoCounterpart):
            config(**given)


def test_google_takes_a_file_that_obstore_reads(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps({"type": "service_account"}))
    assert plan("gs", {}, credentialpath=str(file)).config == {"application_credentials": str(file)}
    assert plan("gs", {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}).config
    file.write_text(json.dumps({"type": "external_account"}))
    with pytest.raises(NoCounterpart):
        plan("gs", {}, credentialpath=str(file))
    with pytest.raises(NoCounterpart):  # the machine's own
        plan("gs", {"HOME": str(tmp_path)})
    emulator = plan("gs", {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
    assert emulator.config == {"base_url": "http://127.0.0.1:1", "skip_signature": True}
