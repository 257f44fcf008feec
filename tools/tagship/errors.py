"""The errors of tagship: few, for callers to tell apart; each has a hint that helps."""

import errno
import os
import shlex
from pathlib import Path


class TagshipError(Exception):
    """What went wrong, in one line for a person.

    Args:
        message: what is wrong, naming the thing.
        hint: a command or an action that helps; may be empty.
    """

    exit_code = 1  # of the command
    repaired: tuple[str, ...] = ()  # what an interrupted run had left, and was repaired first

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # shown with a traceback, in a notebook

    def follows(self, what: str) -> None:
        """Say first what the error follows from."""
        self.message = f"{what}; {self.message}"
        self.args = (self.message,)


class InvalidName(TagshipError):
    """A model, version or tag that cannot exist, whatever the repository holds."""

    exit_code = 2


class NotFound(TagshipError):
    """A repository, model, version or file that is not there."""


class NoProject(NotFound):
    """A folder, ``start``, that is in no DVC repository. Git may know why."""

    def __init__(self, message: str, hint: str, start: Path) -> None:
        super().__init__(message, hint)
        self.start = start


class Refused(TagshipError):
    """The state of the repository or of the models folder does not allow it."""


class Unchanged(Refused):
    """There is nothing to release: a version has what HEAD has of the model, here or elsewhere.

    ``unpushed``: that one was to be pushed too, and the remote does not have its tag.
    """

    unpushed = False


class NotTrusted(Refused):
    """A tag, or the files of a version, that this host does not accept: no use in another try.

    It was moved, holds the object of another tag, or is not signed as host.toml asks for.
    """


class Held(Refused):
    """A person holds the model, or its rollout has not come to this host: nothing goes by itself.

    ``is_over``: the hold should have ended by now, and nobody resumed the model.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "", *, is_over: bool = False) -> None:
        super().__init__(message, hint)
        self.is_over = is_over


class Locked(TagshipError):
    """Another process works on the same model."""


class Corrupt(TagshipError):
    """Bytes that do not match their digest, or a file that cannot be parsed."""


class Forbidden(TagshipError):
    """This account may not read a file or a folder: how it is cannot be told."""


class Unavailable(TagshipError):
    """A remote, Git, DVC or the disk failed; a retry may help."""


class NoRoom(Unavailable):
    """The disk has too little room, or less would stay free than the settings ask for."""


class NoAnswer(Unavailable):
    """A remote was silent for too long. Whether it did what it was asked to do is not known."""


class SelfTestFailed(TagshipError):
    """The model does not load, or does not give the answers that it was released with."""


class FailedHere(SelfTestFailed):
    """It fails by something of this host, such as the time that it may take."""


class Interrupted(KeyboardInterrupt):
    """An operation was interrupted halfway: what is done, and the command that continues."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; go on with: {hint}")
        self.message = message
        self.hint = hint


def hint_of(error: OSError) -> str:
    """A hint for an error of the operating system that has none of its own."""
    where = shlex.quote(os.fspath(error.filename)) if isinstance(error.filename, str) else "."
    hints = {
        errno.EACCES: f"check the permissions: namei -l {where}",
        errno.EPERM: f"check the permissions: namei -l {where}",
        errno.EROFS: f"it is mounted read-only: findmnt --target {where}",
        errno.ENOTDIR: f"a part of the path is not a folder: namei -l {where}",
        errno.EISDIR: f"a folder lies where a file should: ls -ld {where}",
        errno.ELOOP: f"links lead to each other: namei -l {where}",
        errno.ENAMETOOLONG: "use shorter names",
        errno.EMFILE: "this process may open more files with: ulimit -n 4096",
        errno.ENFILE: "close other programs: the system has too many files open",
        errno.EIO: "check the disk: dmesg | tail",
        errno.ESTALE: f"mount the network's folder again: findmnt --target {where}",
    }
    return hints.get(error.errno or 0, "tagship status")


def of_gone_folder() -> NotFound:
    """The error of a process whose working directory was removed."""
    return NotFound("the working directory is gone", "cd to another one")


def explain(error: TagshipError | OSError) -> tuple[str, str]:
    """The message and the hint of an error."""
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_folder_gone():
        error = of_gone_folder()
    if isinstance(error, TagshipError):
        return error.message, error.hint
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}", hint_of(error)


def _is_folder_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - it alone says so
    except FileNotFoundError:
        return True
    return False
