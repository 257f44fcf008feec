"""What a server says on standard error, in the same form in each of its processes."""

import logging
import time


def show() -> None:
    """Say on standard error which version answers from now on, and which is not taken."""
    form = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S UTC")
    form.converter = time.gmtime
    shown = logging.StreamHandler()
    shown.setFormatter(form)
    for name in ("tagship", "uvicorn", "asyncio"):
        logging.getLogger(name).addHandler(shown)
    logging.getLogger("tagship.serve").setLevel(logging.INFO)
