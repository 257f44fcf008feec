"""What an error of a cloud library means for a remote, and the command that helps. Pure.

The libraries (botocore, aiohttp, asyncssh, google, azure) share no class, and not all are
installed: classes are compared by their names, along the chain of causes.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tagship.stores import options as store_options
from tagship.stores.failures import Kind, StoreError
from tagship.text import redact

CREDENTIALS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "NoAuthTokenError", "DefaultCredentialsError", "CredentialUnavailableError", "AuthError",
})  # fmt: skip
SIGNED_OUT = frozenset({"SSOError", "TokenRetrievalError"})  # of botocore
DENIED = frozenset({
    "PermissionError", "PermissionDenied", "ClientAuthenticationError", "RefreshError",
})  # fmt: skip
UNREACHABLE = frozenset({
    "ConnectionError", "HTTPClientError", "ClientConnectionError", "gaierror", "ConnectionLost",
    "ConnectError", "ConnectTimeout", "ServiceRequestError", "TransportError",
})  # fmt: skip
AZURE = "AZURE_STORAGE_CONNECTION_STRING"
CLIENT = store_options.CLIENT
UNKNOWN_HOST_KEY = "HostKeyNotVerifiable"  # of asyncssh


@dataclass(frozen=True)
class Settings:
    """What a remote goes by on this host.

    Attributes:
        name: DVC's name of the remote.
        options: the remote's options.
        environment: of this process.
    """

    name: str
    options: Mapping[str, object]
    environment: Mapping[str, str]

    @property
    def scheme(self) -> str:
        """Of its URL: ``s3``, ``azure``, ..."""
        return str(self.options.get("url", "")).partition("://")[0].lower()

    @property
    def modify(self) -> str:
        """The command that sets an option, without the option."""
        return f"dvc remote modify --local {shlex.quote(redact.text(self.name))}"

    def has(self, option: str) -> bool:
        """Whether an option says something."""
        return bool(self.options.get(option))


def hint(error: BaseException, settings: Settings) -> str | None:
    """The command that helps after an error of a remote.

    Args:
        error: what the library of the remote raised.
        settings: the remote's.

    Returns:
        None where the error means something else than credentials, rights or the address.
    """
    errors = list(_chain(error))
    names = {kind.__name__ for error in errors for kind in type(error).__mro__}
    if names & SIGNED_OUT:
        return _sign_in(settings)
    if "AuthError" in names and settings.scheme == "azure":
        return f"{settings.modify} connection_string TEXT; or, in the same way, account_name NAME"
    if names & CREDENTIALS:
        return _credentials(settings)
    if any(_code(error) == "NoSuchBucket" for error in errors):
        return f"make the bucket, or name one that is there: {settings.modify} url URL"
    if UNKNOWN_HOST_KEY in names:
        return f"confirm the key of the server once: ssh {_host(settings.options)}"
    if any(_code(error) in (401, 403, "AccessDenied") for error in errors) or (
        names & DENIED and not any(getattr(error, "filename", None) for error in errors)
    ):
        return _credentials(settings)
    return _reach(settings) if names & UNREACHABLE else None


def of_store(error: StoreError, settings: Settings) -> str:
    """The command that helps after an error of a store.

    Args:
        error: what it means.
        settings: the remote's.
    """
    modify = settings.modify
    if error.kind in (Kind.CREDENTIALS, Kind.DENIED, Kind.EXPIRED):
        return _credentials(settings)
    hints = {
        Kind.SIGNED_OUT: _sign_in(settings),
        Kind.NO_BUCKET: f"make the bucket, or name one that is there: {modify} url URL",
        Kind.CLOCK: "set the clock of this machine, then try again: timedatectl set-ntp true",
        Kind.REGION: f"{modify} region REGION",
        Kind.CERTIFICATE: _certificate(settings),
        Kind.BUSY: f"try again later; fewer objects at a time ask less of it: {modify} jobs 4",
        Kind.UNREACHABLE: _reach(settings),
    }
    return hints.get(error.kind, "try again; if it stays: dvc remote list")


def _credentials(settings: Settings) -> str:
    modify, scheme = settings.modify, settings.scheme
    if scheme == "azure":
        return _azure_credentials(settings)
    ways = {
        "s3": f"{modify} profile PROFILE, a profile of ~/.aws that may use the bucket;"
        " or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "gs": f"{modify} credentialpath FILE; or: gcloud auth application-default login",
        "ssh": f"{modify} keyfile FILE, and in the same way user NAME",
        "webdavs": f"{modify} user NAME, and in the same way password PASSWORD",
        "https": f"{modify} auth basic, and in the same way user NAME and password PASSWORD",
    }
    secure = {"http": "https", "webdav": "webdavs"}.get(scheme, scheme)
    return ways.get(secure, f"give this machine its credentials: {modify} OPTION VALUE")


def _azure_credentials(settings: Settings) -> str:
    """What was used, anew: it comes before everything else that could be given."""
    modify = settings.modify
    if settings.has("connection_string"):
        return f"{modify} connection_string TEXT, with an AccountKey or a SharedAccessSignature"
    if AZURE in settings.environment:
        return f"set {AZURE}, with an AccountKey or a SharedAccessSignature"
    if settings.has("account_key"):
        return f"{modify} account_key KEY"
    if settings.has("sas_token"):
        return f"{modify} sas_token TOKEN"
    if any(settings.has(option) for option in CLIENT):
        return f"{modify} client_secret SECRET, and in the same way client_id ID and tenant_id ID"
    return f"{modify} account_key KEY; or: az login"


def _sign_in(settings: Settings) -> str:
    profile = settings.options.get("profile") or settings.environment.get("AWS_PROFILE")
    words = ["--profile", redact.text(str(profile))] if profile else []
    return (
        f"{shlex.join(['aws', 'sso', 'login', *words])}; where nobody can sign in, a profile with"
        f" keys: {settings.modify} profile PROFILE"
    )


def _certificate(settings: Settings) -> str:
    if settings.scheme in ("s3", "http", "https"):
        return f"{settings.modify} ssl_verify FILE, the certificates of who signed it"
    return "set SSL_CERT_FILE to a file with the certificates of who signed it"


def _reach(settings: Settings) -> str:
    options, modify = settings.options, settings.modify
    if settings.scheme == "s3" and not settings.has("endpointurl"):
        return f"is the network up? For a store of your own, name it: {modify} endpointurl URL"
    if settings.scheme == "azure":
        address, change = _azure_address(settings)
    else:
        option = "endpointurl" if settings.has("endpointurl") else "url"
        address, change = str(options.get(option)), f"{modify} {option} URL"
    return (
        f"is {redact.text(address)} reachable from here? If it is down, ask who runs it: what is"
        f" live stays live, so change nothing. If the address is wrong: {change}"
    )


def _azure_address(settings: Settings) -> tuple[str, str]:
    """The address of an account, and how another one is given."""
    text = settings.options.get("connection_string") or settings.environment.get(AZURE)
    values = store_options.connection(str(text or ""))
    name = settings.options.get("account_name") or settings.environment.get(
        "AZURE_STORAGE_ACCOUNT_NAME"
    )
    name = values.get("AccountName") or name or "ACCOUNT"
    suffix = values.get("EndpointSuffix", "core.windows.net")
    address = values.get("BlobEndpoint") or f"https://{name}.blob.{suffix}"
    if settings.has("connection_string"):
        return address, f"{settings.modify} connection_string TEXT"
    if text:
        return address, f"set {AZURE}"
    return address, f"{settings.modify} account_name NAME"


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


def _host(options: Mapping[str, object]) -> str:
    try:
        return shlex.quote(urlsplit(str(options.get("url"))).hostname or "HOST")
    except ValueError:
        return "HOST"
