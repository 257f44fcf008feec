"""The process of one generation: loads a version, says that it is ready, and answers.

``python -m tagship.serve.child DESCRIPTOR ROOT MODEL DIRECTORY PARENT``; the descriptor is of a
socket, PARENT the id of the process that started it.
It ends with the process that started it, whatever ends that one.
"""

import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.disk import program
from tagship.errors import TagshipError
from tagship.host import live as host_live
from tagship.serve import in_process, wire
from tagship.serve.in_process import InProcess

if TYPE_CHECKING:
    from tagship.serve.generation import Arrays


def main(channel: socket.socket, root: Path, model: str, directory: str) -> None:
    """Load, and answer until nobody asks any more."""
    try:
        loaded = in_process.load(host_live.at(model, directory, root=root))
    except TagshipError as error:
        wire.send(channel, wire.error_of(error))
        return
    wire.send(channel, {"ready": asdict(loaded.signature)})
    while True:
        try:
            _, inputs = wire.receive(channel)
            _answer(channel, loaded, inputs)
        except OSError:  # whoever asked is gone
            return


def _answer(channel: socket.socket, loaded: InProcess, inputs: "Arrays") -> None:
    try:
        outputs = loaded.answer(inputs)
    except TagshipError as error:
        wire.send(channel, wire.error_of(error))
    else:
        wire.send(channel, {}, outputs)


if __name__ == "__main__":
    program.die_with_parent(int(sys.argv[5]))
    os.dup2(2, 1)  # what a framework prints belongs into the log
    main(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
