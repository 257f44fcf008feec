"""Room for a text that another process reads or writes, and that nobody needs afterwards."""

import os
from typing import BinaryIO


def file() -> BinaryIO:
    """A new file without a name; in memory where the system can, as no folder may be writable.

    Not for what may be large: Linux counts it as memory of this process.
    """
    if hasattr(os, "memfd_create"):  # Linux 3.17
        try:
            return os.fdopen(os.memfd_create("tagship"), "w+b")
        except OSError:  # forbidden by a sandbox
            pass
    import tempfile

    return tempfile.TemporaryFile()
