"""Watch which version is live: a thread reads the link, and calls back where it leads elsewhere."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tagship.errors import TagshipError
from tagship.host import live as host_live
from tagship.host import project
from tagship.host.live import Live

logger = logging.getLogger("tagship")
Changed = Callable[[Live | None, Live], object]
Failed = Callable[[Exception], object]
AGAIN = 1.0  # seconds until what failed is looked at again, though the link is the same


class Watch:
    """A thread that looks at the link ``current`` of a model, until ``close``.

    ``with`` closes it at the end of the block.

    Attributes:
        live: the version that ``changed`` was called with last; it is kept from a cleanup.
    """

    def __init__(
        self, model: str, start: Path, root: Path | None, every: float,
        changed: Changed, failed: Failed,
    ) -> None:  # fmt: skip
        self.live: Live | None = None
        self._model, self._start, self._root = model, start, root
        self._every, self._changed, self._failed = every, changed, failed
        self._link = host_live.store(model, start, root).current
        self._seen: tuple[object, ...] = ()
        self._again = 0.0  # a moment of time.monotonic; 0 where nothing failed
        self._told = ""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {model}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; no callback begins afterwards. Waits for one that runs, unless called by it."""
        self._closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._look()
            self._closed.wait(self._every)

    def _look(self) -> None:
        try:
            seen = _look_at(self._link)
            if seen == self._seen and not self._is_due:
                return
            self._seen = seen
            live = host_live.resolve(self._model, self._start, root=self._root)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
            self._fail(error)
            return
        self._again, self._told = 0.0, ""
        old, self.live = self.live, live
        if old is None or (old.directory, old.seq) != (live.directory, live.seq):
            self._call(self._changed, old, live)

    @property
    def _is_due(self) -> bool:
        return 0 < self._again <= time.monotonic()

    def _fail(self, error: Exception) -> None:
        """Tell a failure, once until it is another one or is over."""
        self._again = time.monotonic() + AGAIN
        words = f"{type(error).__name__}: {error}"
        if words != self._told:
            self._told = words
            self._call(self._failed, error)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call back; what that raises is its own affair, and ends nothing here."""
        if self._closed.is_set():
            return
        try:
            function(*arguments)
        except (Exception, SystemExit):
            logger.exception("the callback of the watch of %s failed", self._model)


def watch(
    model: str,
    start: Path | str = ".",
    *,
    every: float = 0.1,
    changed: Changed,
    failed: Failed | None = None,
    root: Path | str | None = None,
) -> Watch:
    """Call a function when another version of a model is live, from a thread.

    The link is read every ``every`` seconds; a network's file system, where nobody is told of
    changes, needs nothing else. The callbacks are called one after the other.

    Args:
        model: its name.
        start: a folder in the workspace; or the folder of a host.
        every: seconds between two looks.
        changed: is called with the version before (None at first) and the live one: at once, if
            one is live; then at each change, also where the same went live again by another event.
            Several changes between two looks are one.
        failed: is called with the error where it cannot be told what is live, or nothing is: once,
            not at each look. By default it is logged as a warning.
        root: a plain folder of models instead, as for ``load``.

    Raises:
        NotFound: there is no workspace and no host.
        InvalidName: it is not a model's name.
    """

    def warn(error: Exception) -> None:
        words = error.message if isinstance(error, TagshipError) else str(error)
        logger.warning("%s is not watched right now: %s", model, words)

    named = project.named_root(Path(start), root)
    # absolute: the working directory can change meanwhile
    return Watch(model, project.absolute(start), named, every, changed, failed or warn)


def _look_at(link: Path) -> tuple[object, ...]:
    """What changes at each switch, and when the link is removed; empty texts where there is none.

    The inode number and its time too: a version that went live again has the same target.
    """
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(link)
        return os.readlink(link), status.st_ino, status.st_ctime_ns
    return ("",)
