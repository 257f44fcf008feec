"""The keys of S3: those of the plan, or what botocore finds in ~/.aws, by SSO or a role.

obstore looks in fewer places: of a profile it knows nothing, and asks the address of a cloud's
metadata instead. botocore takes a third of a second to import, so it is asked only then.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from tagship.stores.failures import Kind, StoreError
from tagship.stores.options import Profile
from tagship.text import redact

OWN = ("access_key_id", "secret_access_key", "session_token")
NO_TERMINAL = "its role wants a code of a device, mfa_serial, and there is no terminal to ask on"
Provider = Callable[[], dict[str, Any]]


def provider(config: dict[str, Any], profile: Profile | None) -> Provider:
    """What gives obstore the keys; those in ``config`` are taken out of it.

    Raises:
        StoreError: botocore finds none.
    """
    given = {name: config.pop(name, None) for name in OWN}
    if profile is None:
        key, secret, token = (given[name] for name in OWN)
        fixed = _as_obstore(key, secret, token, None)
        return lambda: fixed
    return _found(profile)


def _found(profile: Profile) -> Provider:
    import botocore.session

    session = botocore.session.Session(profile=profile.name)
    if profile.file:
        session.set_config_variable("credentials_file", profile.file)
    with _failures():
        credentials = session.get_credentials()
        if credentials is None:
            raise StoreError(Kind.CREDENTIALS)
        credentials.get_frozen_credentials()

    def current() -> dict[str, Any]:
        with _failures():
            keys = credentials.get_frozen_credentials()  # renewed by botocore where they end
        end = getattr(credentials, "_expiry_time", None)
        # obstore takes no other time zone than Python's own of UTC, botocore's is dateutil's
        end = end.astimezone(UTC) if end else None
        return _as_obstore(keys.access_key, keys.secret_key, keys.token, end)

    return current


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn what botocore raises while it looks for keys into what it means."""
    from botocore import exceptions

    try:
        yield
    except (exceptions.SSOError, exceptions.TokenRetrievalError) as error:
        raise StoreError(Kind.SIGNED_OUT, _line(error)) from None
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:  # of STS, the second
        raise StoreError(Kind.CREDENTIALS, _line(error)) from None
    except EOFError:
        raise StoreError(Kind.CREDENTIALS, NO_TERMINAL) from None
    except (OSError, ValueError) as error:  # the program is not there, or prints no JSON
        raise StoreError(Kind.CREDENTIALS, f"credential_process: {_line(error)}") from None


def _line(error: Exception) -> str:
    return redact.text(" ".join(str(error).split()))


def _as_obstore(key: Any, secret: Any, token: Any, end: Any) -> dict[str, Any]:
    return {
        "access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": end,
    }  # fmt: skip
