"""A log file of this account alone: whole lines at its end, by several processes at once.

Linux locks the file for each write(2), so with O_APPEND one call a line keeps lines whole. After a
disk that was full, or a process that was killed, a line can lack its end; the next line that this
process writes begins anew. So an empty line is possible: readers pass over it.
"""

import errno
import logging
import os
import shlex
import stat
import threading
import time
from pathlib import Path

from tagship.disk import access
from tagship.errors import Refused, TagshipError

LOOK = 1.0  # seconds between two looks whether the file is still where it was
MODE = 0o600

logger = logging.getLogger("tagship")


class Appended:
    """A file that lines are appended to. logrotate may move it away: then it is made again.

    Args:
        path: the file; made with mode 0600 where it does not exist.
        apart: a folder that must not contain it.
        what: what it is, in errors.

    Raises:
        Refused: it is in that folder, is a link or no regular file, or another account can change
            it or read it.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, apart: Path, what: str) -> None:
        self.path, self._apart, self._what = path.absolute(), apart, what
        self._lock = threading.Lock()
        self._descriptor, self._is_cut = self._open()
        self._looked, self._is_stale = time.monotonic(), False

    def write(self, line: bytes) -> None:
        """Append a line, which has its line end.

        Raises:
            OSError: it could not be written, or not whole.
            Refused: the file was removed, and a new one may not be made there.
        """
        with self._lock:
            self._follow()
            data = b"\n" + line if self._is_cut else line
            written = os.write(self._descriptor, data)
            self._is_cut = written < len(data)
            if self._is_cut:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def reopen(self) -> None:
        """Open the file by its name again before the next line.

        A signal's handler may call it: it takes no lock, which its own thread may hold.
        """
        self._is_stale = True

    def close(self) -> None:
        """Close the file; nothing is written after that. Again does nothing."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _follow(self) -> None:
        now = time.monotonic()
        if self._is_stale or (now - self._looked > LOOK and self._is_elsewhere()):
            self._open_again()
            self._is_stale = False
        if now - self._looked > LOOK:
            self._looked = now

    def _is_elsewhere(self) -> bool:
        try:
            return not os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        except OSError:
            return True

    def _open_again(self) -> None:
        """The file of this name; where that may not be, lines go on into the one that is open."""
        try:
            descriptor, is_cut = self._open()
        except (OSError, TagshipError) as error:
            if not os.fstat(self._descriptor).st_nlink:  # what is written there is lost
                raise
            logger.error("%s cannot be opened again: %s", self.path, access.explain(error)[0])
            return
        os.close(self._descriptor)
        self._descriptor, self._is_cut = descriptor, is_cut

    def _open(self) -> tuple[int, bool]:
        """The descriptor, and whether the last line of the file has no end."""
        self._check_folders()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags, MODE)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise self._no_file() from None
            raise
        try:
            status = os.fstat(descriptor)
            self._check_own(status)
            last = os.pread(descriptor, 1, status.st_size - 1) if status.st_size else b"\n"
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, last != b"\n"

    def _check_folders(self) -> None:
        folder = self.path.parent.resolve()
        if folder.is_relative_to(self._apart.resolve()):
            raise Refused(
                f"{self.path} is in the models folder, {self._apart}",
                f"give {self._what} a place elsewhere, such as /var/log/tagship",
            )
        if not folder.is_dir():
            where = shlex.quote(str(self.path.parent))
            raise Refused(f"{self.path.parent} is not a folder", f"mkdir -p -m 0700 {where}")
        for above in (folder, *folder.parents):
            if who := access.who_else_writes(above):
                self._refuse(f"{who} can write to {above}", "go-w", above)

    def _check_own(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise self._no_file()
        if who := access.who_else_writes(self.path, status):
            self._refuse(f"{who} can write to {self.path}", "go-w", self.path)
        if status.st_mode & stat.S_IROTH:
            self._refuse(f"everybody can read {self.path}", "o-r", self.path)

    def _refuse(self, what: str, mode: str, path: Path) -> None:
        where = shlex.quote(str(path))
        raise Refused(
            f"{what}, and {self._what} is for this account alone",
            f"chmod {mode} {where}; or, if it is not yours: ls -ld {where}",
        )

    def _no_file(self) -> Refused:
        return Refused(
            f"{self.path} is not a regular file of one name",
            "give the file itself, not a link to it",
        )
