"""SIGTERM and SIGHUP end a command as Ctrl+C does: what it has begun is given up in order."""

import os
import signal
import time
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGTERM, signal.SIGHUP)
SAME = 2.0  # seconds in which another signal asks for the same: a lost terminal, systemd, a user


class Ending:
    """Ends a command by an exception, which passes through all that it has begun.

    Attributes:
        signal: the first signal that came; None where none did.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._last = 0.0
        self._watched: list[signal.Signals] = []

    @property
    def code(self) -> int:
        """The exit code of a command that was interrupted, as shells count them."""
        return 128 + (self.signal or signal.SIGINT)

    @property
    def words(self) -> str:
        """What is said of it: ``interrupted``, and by which signal, where it was not Ctrl+C."""
        return f"interrupted by {self.signal.name}" if self.signal else "interrupted"

    def watch(self) -> None:
        """Wait for the signals. One that is ignored, as with nohup, stays so, here and in children.

        A program that is executed has the usual actions of the others: see execve(2).
        """
        for number in NUMBERS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._on_signal)
                self._watched.append(number)

    def stop(self) -> None:
        """Leave the signals to the system again: a command that is over has nothing to give up.

        Not one that was interrupted, which has that to say yet.
        """
        while self._watched and self.signal is None:
            signal.signal(self._watched.pop(), signal.SIG_DFL)

    def leave(self) -> NoReturn:
        """End the process as its signal does: systemd takes that for a stop, and 143 for a failure.

        Where a signal cannot end it, as the first process of a container, with the exit code.
        """
        if self.signal is not None:
            signal.signal(self.signal, signal.SIG_DFL)
            os.kill(os.getpid(), self.signal)
        os._exit(self.code)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Interrupt the command; what cleans up then is interrupted by a later signal alone."""
        now = time.monotonic()
        is_same = self.signal is not None and now - self._last < SAME
        if is_same:
            return
        self.signal, self._last = self.signal or signal.Signals(number), now
        raise KeyboardInterrupt
