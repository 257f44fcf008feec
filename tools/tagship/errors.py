"""The few errors that a caller tells apart; each carries the command that helps."""


class TagshipError(Exception):
    """What went wrong, in one line for a person.

    Args:
        message: what is wrong, naming the thing.
        hint: the command or the act that helps; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # for who sees a traceback, in a notebook


class InvalidName(TagshipError):
    """A model, version or tag that cannot exist, whatever the repository holds."""


class NotFound(TagshipError):
    """A repository, model, version or file that is not there."""


class Refused(TagshipError):
    """The state of the repository or of the models folder forbids the act."""


class Locked(TagshipError):
    """Another process works on the same model."""


class Corrupt(TagshipError):
    """Bytes that differ from what their digest promises, or a file that cannot be parsed."""


class Unavailable(TagshipError):
    """Something outside (a remote, Git, DVC, the disk) did not do its part; a retry may help."""


class SelfTestFailed(TagshipError):
    """The model does not load, or does not give the answers that it was released with."""
