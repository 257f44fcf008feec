"""The words for how a model is on a host, and the exit codes that go with them."""

import enum


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
    REFUSED = "refused", 3  # the tag was moved
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
