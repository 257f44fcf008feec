"""The link ``current``, or a version that somebody chose instead while the server runs."""

import threading
from dataclasses import dataclass, field, replace

from tagship.host import live as host_live
from tagship.host.live import Live
from tagship.host.store import Store
from tagship.serve.follow import LiveLink, Look


@dataclass
class Steered:
    """What a model answers with: a target of ``follow.Follow``. It begins with the link.

    ``choose`` may be called while another thread looks.
    """

    store: Store
    model: str
    _chosen: Look | None = field(default=None, init=False)
    _choices: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def choose(self, version: str | None) -> None:
        """Answer with a version, whatever the link says; None: with what is live.

        A version that was refused is tried again at once when it is chosen again.
        """
        with self._lock:
            self._choices += 1
            look = Look(version, f"choice {self._choices}") if version else None
            self._chosen = look

    def look(self) -> Look:
        """What should answer: the version as it was chosen, then its directory."""
        return self._chosen or LiveLink(self.store, self.model).look()

    def resolve(self) -> Live:
        """That version, with a lock on its directory."""
        chosen = self._chosen
        if chosen is None:
            return LiveLink(self.store, self.model).resolve()
        live = host_live.at(self.model, chosen.directory, root=self.store.folder.parent)
        with self._lock:
            if self._chosen is chosen:  # else there was another choice meanwhile
                self._chosen = replace(chosen, directory=live.directory.name)
        return live
