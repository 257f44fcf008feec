"""What DVC's options of a remote are to obstore: a plan, or what has no counterpart. Pure.

The options are DVC's (3.67, ``dvc/config_schema.py``), the keys of a plan those of obstore 0.12
(``obstore.store``). An option without a counterpart sends the whole remote through DVC's own file
system: half of a user's options would be worse than a slower transfer. ``tests/stores`` goes
through DVC's schema, so that no option is forgotten; docs/settings.md has the table.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Options = Mapping[str, object]
Environment = Mapping[str, str]

# Options of every scheme that change no byte on its way: DVC's own pace, and what is deprecated.
NEUTRAL = frozenset({"url", "jobs", "checksum_jobs", "no_traverse", "listobjects", "verify"})
TIMES = frozenset({"read_timeout", "connect_timeout", "connection_timeout", "timeout"})
MAPPED = {
    "s3": frozenset({
        "region", "profile", "credentialpath", "endpointurl", "access_key_id",
        "secret_access_key", "session_token", "allow_anonymous_login", "ssl_verify", "sse",
        "sse_kms_key_id", "cache_regions", "use_ssl",
    }),
    "gs": frozenset({"projectname", "credentialpath", "endpointurl", "allow_anonymous_login"}),
    "azure": frozenset({
        "connection_string", "sas_token", "account_name", "account_key", "tenant_id", "client_id",
        "client_secret", "allow_anonymous_login",
    }),
    "http": frozenset({"ssl_verify", "method"}),
}  # fmt: skip
MAPPED["https"] = MAPPED["http"]
# Of ~/.aws/config: what botocore goes by, and a store of obstore would not.
OF_AWS_CONFIG = re.compile(
    r"^\s*(s3|services|addressing_style|endpoint_url|use_\w+_endpoint|ca_bundle|proxies)\s*=",
    re.MULTILINE,
)
PLAIN = re.compile(r"[A-Za-z0-9._/ -]*")  # what a store's path keeps as it is
GOOGLE_KINDS = ("service_account", "authorized_user")  # of credentials that obstore reads


class NoCounterpart(Exception):
    """An option, or what it says, that obstore has nothing for."""


@dataclass(frozen=True)
class Plan:
    """How obstore reaches a remote.

    Attributes:
        scheme: ``s3``, ``gs``, ``azure`` or ``http``.
        place: the bucket or container; of HTTP the URL.
        prefix: the path of all objects there.
        config: obstore's configuration of the store.
        client: obstore's options of the HTTP client, besides times.
        profile: of ~/.aws: its keys are botocore's to find; None where they are in ``config``.
        read_only: whether DVC's own file system does the pushes: HTTP has no one way of them, and
            obstore asks for keys of Google where an anonymous one pushes.
    """

    scheme: str
    place: str
    prefix: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    profile: "Profile | None" = None
    read_only: bool = False


@dataclass(frozen=True)
class Profile:
    """Where botocore looks for keys: the profile and the file that are named, None where not."""

    name: str | None
    file: str | None


def plan(options: Options, environment: Environment) -> Plan:
    """How obstore reaches the remote with these options.

    Raises:
        NoCounterpart: it cannot, as DVC would.
        OSError: a file of certificates, which an option names, cannot be read.
    """
    given = {name: value for name, value in options.items() if value not in (None, False, "")}
    scheme = str(options.get("url", "")).partition("://")[0].lower()
    if scheme not in MAPPED:
        raise NoCounterpart("url")
    for name in sorted(given):
        if name not in MAPPED[scheme] | NEUTRAL | TIMES:
            raise NoCounterpart(name)
    client = _certificates(options, environment)
    if scheme in ("http", "https"):
        return _http(str(options["url"]), client, environment)
    parts = urlsplit(str(options["url"]))
    prefix = parts.path.strip("/")
    if not parts.netloc or parts.query or parts.fragment or not PLAIN.fullmatch(prefix):
        raise NoCounterpart("url")
    of_scheme = {"s3": _s3, "gs": _gs, "azure": _azure}[scheme]
    return of_scheme(Plan(scheme, parts.netloc, prefix, {}, client), given, environment)


def _certificates(options: Options, environment: Environment) -> dict[str, Any]:
    """The options of the client: which certificates it takes."""
    client: dict[str, Any] = {}
    verify = options.get("ssl_verify")
    if verify is False or verify == "":
        client["allow_invalid_certificates"] = True
    bundle = verify if isinstance(verify, str) and verify else environment.get("AWS_CA_BUNDLE")
    if bundle:
        client["root_certificate"] = Path(str(bundle)).expanduser().read_bytes()
    return client


def _http(url: str, client: dict[str, Any], environment: Environment) -> Plan:
    """HTTP without credentials: a redirect would take those to any other host."""
    parts = urlsplit(url)
    if parts.username or parts.query or not PLAIN.fullmatch(parts.path):
        raise NoCounterpart("url")
    if _in_netrc(parts.hostname or "", environment):
        raise NoCounterpart("~/.netrc")
    return Plan("http", url.rstrip("/"), client={**client, "allow_http": True}, read_only=True)


def _in_netrc(host: str, environment: Environment) -> bool:
    """Whether ~/.netrc, which DVC's own file system reads, may have credentials for a host."""
    try:
        home = environment.get("HOME", "/nonexistent")
        text = Path(environment.get("NETRC") or f"{home}/.netrc").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return bool(re.search(rf"\bmachine\s+{re.escape(host)}\b|\bdefault\b", text))


def _s3(plan: Plan, given: Options, environment: Environment) -> Plan:
    config: dict[str, Any] = {"disable_tagging": True}
    path = environment.get("AWS_CONFIG_FILE") or f"{environment.get('HOME', '')}/.aws/config"
    text = _text(path)
    if OF_AWS_CONFIG.search(text):
        raise NoCounterpart(path)
    if not given.get("use_ssl", True) and not given.get("endpointurl"):
        raise NoCounterpart("use_ssl")
    endpoint = given.get("endpointurl") or _first(
        environment, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
    )
    if endpoint:
        config["endpoint"] = str(endpoint).rstrip("/")
    profile = str(given.get("profile") or environment.get("AWS_PROFILE") or "default")
    region = given.get("region") or _first(environment, "AWS_REGION", "AWS_DEFAULT_REGION")
    if region := region or _of_profile(text, profile, "region"):
        config["region"] = str(region)
    if "sse" in given:
        config["server_side_encryption"] = given["sse"]
    if "sse_kms_key_id" in given:
        config["sse_kms_key_id"] = given["sse_kms_key_id"]
    keys = _s3_keys(given, environment)
    if keys.get("session_token") and endpoint:  # it would follow a redirect to another host
        raise NoCounterpart("session_token")
    named = None
    if not keys:
        file = given.get("credentialpath")
        chosen = given.get("profile")
        named = Profile(str(chosen) if chosen else None, str(file) if file else None)
    return _with(plan, {**config, **keys}, allow_http=_is_plain(endpoint), profile=named)


def _s3_keys(given: Options, environment: Environment) -> dict[str, Any]:
    """The keys that options or environment have, in the order of botocore; else none."""
    own = ("access_key_id", "secret_access_key", "session_token")
    if given.get("allow_anonymous_login"):
        return {"skip_signature": True}
    if any(name in given for name in own):
        if not all(name in given for name in own[:2]):
            raise NoCounterpart("access_key_id")
        return {name: given[name] for name in own if name in given}
    if "profile" in given or not environment.get("AWS_ACCESS_KEY_ID"):
        return {}
    found = {name: environment.get(f"AWS_{name.upper()}") for name in own}
    return {name: value for name, value in found.items() if value}


def _of_profile(text: str, profile: str, key: str) -> str | None:
    """A value of ~/.aws/config."""
    if not text:
        return None
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    section = profile if profile == "default" else f"profile {profile}"
    return parser.get(section, key, fallback=None)


def _gs(plan: Plan, given: Options, environment: Environment) -> Plan:
    endpoint = given.get("endpointurl") or environment.get("STORAGE_EMULATOR_HOST")
    config: dict[str, Any] = {"base_url": str(endpoint).rstrip("/")} if endpoint else {}
    home = environment.get("HOME", "")
    usual = f"{home}/.config/gcloud/application_default_credentials.json"
    if given.get("allow_anonymous_login") or (endpoint and not given.get("credentialpath")):
        config["skip_signature"] = True
    else:
        file = given.get("credentialpath") or environment.get("GOOGLE_APPLICATION_CREDENTIALS")
        config["application_credentials"] = _google(str(file or usual))
    found = _with(plan, config, allow_http=_is_plain(endpoint))
    return replace(found, read_only="skip_signature" in config)


def _google(path: str) -> str:
    """A file of credentials of a kind that obstore reads; another is DVC's."""
    try:
        kind = json.loads(_text(path) or "{}").get("type")
    except (ValueError, AttributeError):
        kind = None
    if kind not in GOOGLE_KINDS:
        raise NoCounterpart("credentialpath")
    return path


def _azure(plan: Plan, given: Options, environment: Environment) -> Plan:
    text = given.get("connection_string") or environment.get("AZURE_STORAGE_CONNECTION_STRING")
    values = _connection(str(text or ""))
    name = values.get("AccountName") or _either(given, environment, "account_name")
    if not name:
        raise NoCounterpart("account_name")
    config: dict[str, Any] = {"account_name": name, "disable_tagging": True}
    endpoint = values.get("BlobEndpoint")
    if endpoint:
        config["endpoint"] = endpoint.rstrip("/")
    key = values.get("AccountKey") or _either(given, environment, "account_key")
    sas = values.get("SharedAccessSignature") or _either(given, environment, "sas_token")
    client = {option: _either(given, environment, option) for option in CLIENT}
    if key:
        config["account_key"] = key
    elif sas:
        config["sas_key"] = sas
    elif all(client.values()):
        config |= client
    elif given.get("allow_anonymous_login"):
        config["skip_signature"] = True
    else:
        raise NoCounterpart("account_key")
    return _with(plan, config, allow_http=_is_plain(endpoint))


CLIENT = ("tenant_id", "client_id", "client_secret")
KNOWN = {"AccountName", "AccountKey", "BlobEndpoint", "SharedAccessSignature",
         "DefaultEndpointsProtocol", "EndpointSuffix", "QueueEndpoint", "TableEndpoint",
         "FileEndpoint"}  # fmt: skip


def connection(text: str) -> dict[str, str]:
    """The values of a connection string of Azure, ``Key=value;...``."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {key.strip(): value for key, _, value in pairs}


def _connection(text: str) -> dict[str, str]:
    """The same, where obstore knows them all."""
    values = connection(text)
    suffix = values.get("EndpointSuffix", "core.windows.net")
    protocol = values.get("DefaultEndpointsProtocol", "https")
    if not values.keys() <= KNOWN or (
        "BlobEndpoint" not in values and (suffix, protocol) != ("core.windows.net", "https")
    ):
        raise NoCounterpart("connection_string")
    return values


def _either(given: Options, environment: Environment, name: str) -> str | None:
    value = given.get(name) or environment.get(f"AZURE_STORAGE_{name.upper()}")
    return str(value) if value else None


def _with(
    plan: Plan, config: dict[str, Any], *, allow_http: bool, profile: Profile | None = None
) -> Plan:
    client = {**plan.client, "allow_http": allow_http}
    return replace(plan, config=config, client=client, profile=profile)


def _is_plain(endpoint: object) -> bool:
    return str(endpoint or "").startswith("http://")


def _first(environment: Environment, *names: str) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
