"""How a store is reached, and what is said where it is not: for all that is kept in one."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tagship.disk import access
from tagship.errors import Refused, TagshipError, Unavailable
from tagship.stores import opened
from tagship.stores.failures import Kind, StoreError
from tagship.stores.store import Store
from tagship.text import redact


@dataclass(frozen=True)
class Advice:
    """What helps a person whose place is not reached.

    Attributes:
        page: of the documentation.
        options: where options such as ``endpointurl`` stand.
        rights: who needs which.
    """

    page: str
    options: str
    rights: str

    def hint(self, kind: Kind) -> str:
        """What to do about a failure of a store."""
        keys = f"by a profile or the environment: {self.page}"
        reach = f"is it reachable from here? Its address: endpointurl, {self.options}"
        hints = {
            Kind.CREDENTIALS: f"give this account its keys, {keys}",
            Kind.DENIED: f"{self.rights}: {self.page}",
            Kind.EXPIRED: f"give this account new keys, {keys}",
            Kind.CLOCK: "set the clock of this machine: timedatectl set-ntp true",
            Kind.NO_BUCKET: "make the bucket, or name another one",
            Kind.UNREACHABLE: reach,
            Kind.SILENT: reach,
        }
        return hints.get(kind, f"try again later; see {self.page}")


def store(address: str, options: Mapping[str, Any]) -> Store:
    """The store at an address; it is not asked yet.

    Args:
        address: ``s3://``, ``gs://``, ``azure://`` or ``https://``.
        options: DVC's of a remote there.

    Raises:
        Unavailable: the package that reaches it is not installed.
        Refused: an option has no counterpart.
    """
    found = opened.of({**options, "url": address})
    if found is not None:
        return found
    scheme = address.partition("://")[0]
    try:
        import obstore  # noqa: F401 - of the extras
    except ImportError:
        what = f"{scheme}:// needs obstore, which is not installed"
        extra = scheme if scheme in ("s3", "gs", "azure") else "s3"
        raise Unavailable(what, f'pip install "tagship[{extra}]"') from None
    what = f"{redact.text(address)} cannot be reached by obstore with its options and credentials"
    raise Refused(what, "docs/settings.md has the options that it takes")


@contextlib.contextmanager
def asked(title: str, done: str, advice: Advice) -> Iterator[None]:
    """Turn what a place raises into what it means; where it is read, something may not be there.

    Raises:
        Unavailable: as ``unavailable``.
    """
    try:
        yield
    except (StoreError, OSError) as error:
        if done == "read" and isinstance(error, FileNotFoundError):
            raise
        raise unavailable(title, error, done, advice) from None


def unavailable(title: str, error: Exception, done: str, advice: Advice) -> TagshipError:
    """Why a place could not be read, or written to."""
    if isinstance(error, TagshipError):
        return error
    if isinstance(error, StoreError):
        return Unavailable(f"{title} cannot be {done}: {error}", advice.hint(error.kind))
    if isinstance(error, OSError):
        message, hint = access.explain(error)
        return Unavailable(f"{title} cannot be {done}: {message}", hint)
    text = redact.text(str(error))[:300] or type(error).__name__
    return Unavailable(f"{title} cannot be {done}: {text}", f"see {advice.page}")
