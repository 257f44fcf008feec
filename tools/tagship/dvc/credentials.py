"""Which address may be given this host's credentials: DVC's options of a remote, checked. Pure.

``.dvc/config`` comes with the repository: whoever can push to it chooses an address, or a program.
``.dvc/config.local``, the user's and the system's configuration are this host's own. The options
are DVC's (3.67, ``dvc/config_schema.py``).
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tagship.errors import Refused
from tagship.text import redact

Options = Mapping[str, object]

ADDRESSES = ("url", "endpointurl", "oss_endpoint", "proxy_to", "data_proxy_target")
# Of an AWS or Google file of credentials, too, an entry may be a command that prints them.
PROGRAMS = ("bearer_token_command", "configpath", "credentialpath", "keyfile", "cert_path",
            "key_path", "kerb_ticket", "gdrive_user_credentials_file",
            "gdrive_service_account_json_file_path")  # fmt: skip
PASSWORDS = ("password", "token", "custom_auth_header", "passphrase", "access_key_id",
             "secret_access_key", "session_token", "sse_customer_key", "account_key",
             "connection_string", "sas_token", "client_secret", "oss_key_id",
             "oss_key_secret")  # fmt: skip
SECRETS = (*PROGRAMS, *PASSWORDS, "profile")
ASKED = ("ask_password", "ask_passphrase", "kerberos", "gss_auth")
GUARDS = ("ssl_verify", "use_ssl", "use_https", "port")  # how an address is verified
# A library that looks for credentials by itself does not do so with these options.
OWN_KEYS = {
    "s3": ("access_key_id", "secret_access_key"),
    "gs": (),
    "oss": ("oss_key_id", "oss_key_secret"),
    "azure": ("connection_string",),
}
BY_URL = ("http", "https", "webdav", "webdavs", "ssh", "hdfs", "webhdfs")  # their url is an address
PROVIDERS = re.compile(
    r"https://(s3(\.dualstack)?([.-][a-z]{2}(-[a-z]+)+-\d)?\.amazonaws\.com(\.cn)?"
    r"|storage\.googleapis\.com|oss(-[a-z0-9]+)+\.aliyuncs\.com):443"
)
ACCOUNT = re.compile(r"[a-z0-9]{3,24}")  # of Azure: it becomes a part of the host's name


def check(
    name: str, remote: Options, host: Mapping[str, Options], environment: Mapping[str, str]
) -> None:
    """Refuse a remote that would send this host's credentials where only the repository says.

    Args:
        name: DVC's name of the remote.
        remote: its options, from all of DVC's configuration.
        host: the remotes of the host's own configuration, by name.
        environment: of this process; it is the host's own too.

    Raises:
        Refused: with the command that names the address on this host.
    """
    own = {(option, _text(value)) for values in host.values() for option, value in values.items()}
    theirs = {o: _text(v) for o, v in remote.items() if (o, _text(v)) not in own}
    for option in PROGRAMS:
        if option in theirs:
            raise Refused(
                f"the remote {name} has the option {option} from .dvc/config, which comes with the"
                " repository and may name no program or file of this host",
                _naming(name, option, theirs[option]),
            )
    if not _uses_secrets(remote, theirs):
        return
    known = {origin(str(own[name])) for own in host.values() for name in ADDRESSES if name in own}
    known |= {origin(v) for k, v in environment.items() if k.startswith("AWS_ENDPOINT_URL")}
    for option, address in _chosen(remote, theirs):
        if origin(address) not in known:
            text = redact.text(address if "://" in address else f"{option} = {address}")
            raise Refused(
                f"the remote {name} would send this host's credentials to {text}, which only"
                " .dvc/config names, and that comes with the repository",
                _naming(name, option, address),
            )


def origin(address: str) -> str:
    """``scheme://host:port`` of an address; empty where it has no such form."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port or {"http": 80, "https": 443, "ssh": 22}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else ""


def _uses_secrets(remote: Options, theirs: Mapping[str, str]) -> bool:
    """Whether this host's credentials would be used: configured, asked for, or found."""
    if any(option in remote and option not in theirs for option in SECRETS):
        return True
    if any(_text(remote.get(option)) == "true" for option in ASKED):
        return True
    keys = OWN_KEYS.get(_scheme(remote))
    anonymous = _text(remote.get("allow_anonymous_login")) == "true"
    return keys is not None and not anonymous and not (keys and all(key in remote for key in keys))


def _chosen(remote: Options, theirs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What the repository chose of an address that is not the provider's own."""
    scheme = _scheme(remote)
    for option in ADDRESSES:
        if option in theirs and (option != "url" or scheme in BY_URL):
            address = theirs[option]
            if option == "oss_endpoint" and "://" not in address:
                address = f"https://{address}"
            if not PROVIDERS.fullmatch(origin(address)):
                yield option, address
    for option in GUARDS:
        if option in theirs and theirs[option] != "true":
            yield option, theirs[option]
    if not ACCOUNT.fullmatch(theirs.get("account_name", "account")):
        yield "account_name", theirs["account_name"]
    if "connection_string" in theirs:
        yield "connection_string", theirs["connection_string"]


def _text(value: object) -> str:
    """As the file has it: DVC reads ``false`` as False, and 9000 as a number."""
    text = str(value)
    return text.lower() if text.lower() in ("true", "false") else text


def _scheme(remote: Options) -> str:
    return str(remote.get("url", "")).partition("://")[0].lower()


def _naming(name: str, option: str, value: str) -> str:
    words = shlex.join([name, option, redact.text(value)])
    return f"if this is right, set it on this host: dvc remote modify --local {words}"
