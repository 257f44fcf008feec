"""What an error of a cloud library means for a remote, and the command that helps. Pure.

The libraries (botocore, aiohttp, asyncssh, google, azure) share no class, and not all are
installed: classes are compared by their names, along the chain of causes.
"""

import shlex
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tagship.stores.failures import Kind, StoreError
from tagship.text import redact

CREDENTIALS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "NoAuthTokenError", "TokenRetrievalError", "SSOError", "DefaultCredentialsError",
    "CredentialUnavailableError", "AuthError",
})  # fmt: skip
DENIED = frozenset({
    "PermissionError", "PermissionDenied", "ClientAuthenticationError", "RefreshError",
})  # fmt: skip
UNREACHABLE = frozenset({
    "ConnectionError", "HTTPClientError", "ClientConnectionError", "gaierror", "ConnectionLost",
    "ConnectError", "ConnectTimeout", "ServiceRequestError", "TransportError",
})  # fmt: skip
UNKNOWN_HOST_KEY = "HostKeyNotVerifiable"  # of asyncssh


def hint(error: BaseException, name: str, options: Mapping[str, object]) -> str | None:
    """The command that helps after an error of a remote.

    Args:
        error: what the library of the remote raised.
        name: DVC's name of the remote.
        options: the remote's options.

    Returns:
        None where the error means something else than credentials, rights or the address.
    """
    errors = list(_chain(error))
    names = {kind.__name__ for error in errors for kind in type(error).__mro__}
    modify = f"dvc remote modify --local {shlex.quote(redact.text(name))}"
    if names & CREDENTIALS:
        return _credentials(modify, _scheme(options))
    if any(_code(error) == "NoSuchBucket" for error in errors):
        return f"make the bucket, or name one that is there: {modify} url URL"
    if UNKNOWN_HOST_KEY in names:
        return f"confirm the key of the server once: ssh {_host(options)}"
    if any(_code(error) in (401, 403, "AccessDenied") for error in errors) or (
        names & DENIED and not any(getattr(error, "filename", None) for error in errors)
    ):
        return _credentials(modify, _scheme(options))
    return _reach(modify, options) if names & UNREACHABLE else None


def of_store(error: StoreError, name: str, options: Mapping[str, object]) -> str:
    """The command that helps after an error of a store.

    Args:
        error: what it means.
        name: DVC's name of the remote.
        options: the remote's options.
    """
    modify = f"dvc remote modify --local {shlex.quote(redact.text(name))}"
    if error.kind in (Kind.CREDENTIALS, Kind.DENIED, Kind.EXPIRED):
        return _credentials(modify, _scheme(options))
    hints = {
        Kind.NO_BUCKET: f"make the bucket, or name one that is there: {modify} url URL",
        Kind.CLOCK: "set the clock of this machine, then try again: timedatectl set-ntp true",
        Kind.REGION: f"{modify} region REGION",
        Kind.CERTIFICATE: f"{modify} ssl_verify FILE, the certificates of who signed it",
        Kind.BUSY: f"try again later; fewer objects at a time ask less of it: {modify} jobs 4",
        Kind.UNREACHABLE: _reach(modify, options),
    }
    return hints.get(error.kind, "try again; if it stays: dvc remote list")


def _credentials(modify: str, scheme: str) -> str:
    ways = {
        "s3": f"{modify} profile PROFILE, a profile of ~/.aws that may use the bucket;"
        " or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "gs": f"{modify} credentialpath FILE; or: gcloud auth application-default login",
        "azure": f"{modify} account_key KEY; or: az login",
        "ssh": f"{modify} keyfile FILE, and in the same way user NAME",
        "webdavs": f"{modify} user NAME, and in the same way password PASSWORD",
        "https": f"{modify} auth basic, and in the same way user NAME and password PASSWORD",
    }
    secure = {"http": "https", "webdav": "webdavs"}.get(scheme, scheme)
    return ways.get(secure, f"give this machine its credentials: {modify} OPTION VALUE")


def _reach(modify: str, options: Mapping[str, object]) -> str:
    endpoint = options.get("endpointurl")
    if _scheme(options) == "s3" and not endpoint:
        return f"is the network up? For a store of your own, name it: {modify} endpointurl URL"
    option = "endpointurl" if endpoint else "url"
    address = redact.text(str(options.get(option)))
    return f"is {address} reachable from here? To change it: {modify} {option} URL"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised from."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _code(error: BaseException) -> object:
    """The code of botocore's error, or the HTTP status of another one."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        code = response.get("Error", {}).get("Code")
        return int(code) if str(code).isdigit() else code
    statuses = (getattr(error, name, None) for name in ("status", "status_code", "code"))
    return next((status for status in statuses if isinstance(status, int)), None)


def _scheme(options: Mapping[str, object]) -> str:
    return str(options.get("url", "")).partition("://")[0].lower()


def _host(options: Mapping[str, object]) -> str:
    try:
        return shlex.quote(urlsplit(str(options.get("url"))).hostname or "HOST")
    except ValueError:
        return "HOST"
