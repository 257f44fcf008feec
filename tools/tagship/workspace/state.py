"""The words for how a model is on a host, and the exit codes that go with them."""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagship.errors import TagshipError

if TYPE_CHECKING:
    from datetime import datetime


class State(enum.Enum):
    """How a model is."""

    IN_ORDER = "in_order"
    DRIFTED = "drifted"
    BROKEN = "broken"


class Why(enum.Enum):
    """Why a model is so, the worst last: a word, and the exit code of ``status`` and ``sync``."""

    IN_ORDER = "in_order", 0
    BEHIND = "behind", 3  # another version is desired, and a deploy makes it live
    HELD = "held", 3  # nothing goes live by itself
    WAITING = "waiting", 3  # for the window, for its turn, or until something is tried again
    BLOCKED = "blocked", 3  # all that the rule selects was rolled back, or failed
    REFUSED = "refused", 3  # the tag was moved, or is not signed as this host asks for
    DRIFTED = "drifted", 3  # what is live still answers, but is not as it was deployed
    UNKNOWN = "unknown", 1  # it cannot be told
    FAILED = "failed", 4  # a version was tried and taken back since the last success
    BROKEN = "broken", 5  # what is live cannot answer

    @property
    def exit_code(self) -> int:
        """Of ``tagship status`` and ``tagship sync``."""
        return self.value[1]

    @property
    def rank(self) -> int:
        """How bad it is, from 0."""
        return list(Why).index(self)

    @property
    def state(self) -> State:
        """What it comes to."""
        return {Why.IN_ORDER: State.IN_ORDER, Why.BROKEN: State.BROKEN}.get(self, State.DRIFTED)


@dataclass(frozen=True)
class Reason:
    """One thing that should be known of a model.

    Attributes:
        why, what: in a word, and in words.
        fix: what helps, as in the hint of an error; empty where nobody needs to do anything.
    """

    why: Why
    what: str
    fix: str = ""


def unfetched(error: TagshipError) -> Reason:
    """What it means that the tags could not be fetched: there may be others by now."""
    return Reason(Why.UNKNOWN, f"nothing could be fetched: {error.message}", error.hint)


@dataclass(frozen=True)
class Followed:
    """What a pass did with one model, and how it is now.

    Attributes:
        did: what it did, in words; empty where there was nothing to do.
        live: the version that is live.
        why: the worst of the reasons.
        reasons: how it is now.
        until: when there will be something to do, as far as that is known.
    """

    model: str
    did: tuple[str, ...]
    live: str | None
    why: Why
    reasons: tuple[Reason, ...]
    until: "datetime | None" = None

    @property
    def trouble(self) -> str:
        """A digest of what is live and not in order, and why; empty where all is in order."""
        if self.why.exit_code == 0:
            return ""
        import hashlib  # a pass that finds nothing new does without

        reasons = [f"{each.why.value[0]}: {each.what}" for each in self.reasons]
        # a history of before, or of another program, may have halves of surrogate pairs
        text = "\0".join([self.live or "", *reasons]).encode(errors="surrogatepass")
        return hashlib.sha256(text).hexdigest()
