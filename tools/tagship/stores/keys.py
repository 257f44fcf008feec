"""The keys of S3: those of the plan, or what botocore finds in ~/.aws, by SSO or a role.

obstore looks in fewer places: of a profile it knows nothing, and asks the address of a cloud's
metadata instead. botocore takes a third of a second to import, so it is asked only then.
"""

from collections.abc import Callable
from typing import Any

from tagship.stores.failures import Kind, StoreError
from tagship.stores.options import Profile

OWN = ("access_key_id", "secret_access_key", "session_token")
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
    from botocore.exceptions import BotoCoreError

    session = botocore.session.Session(profile=profile.name)
    if profile.file:
        session.set_config_variable("credentials_file", profile.file)
    try:
        credentials = session.get_credentials()
        if credentials is None:
            raise StoreError(Kind.CREDENTIALS)
        credentials.get_frozen_credentials()
    except BotoCoreError as error:
        raise StoreError(Kind.CREDENTIALS, str(error)) from None

    def current() -> dict[str, Any]:
        keys = credentials.get_frozen_credentials()  # renewed by botocore where they end
        return _as_obstore(
            keys.access_key, keys.secret_key, keys.token, getattr(credentials, "_expiry_time", None)
        )

    return current


def _as_obstore(key: Any, secret: Any, token: Any, end: Any) -> dict[str, Any]:
    return {
        "access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": end,
    }  # fmt: skip
