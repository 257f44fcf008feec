"""A loader of somebody else's, whose models never load: each self-test fails."""

from pathlib import Path
from typing import Any


class Bad:
    """Reads what the tests release."""

    framework, suffixes, safe, requirement = "bad", (".bin",), True, "bad"

    def load(self, path: Path) -> Any:
        raise ValueError(f"{path.name} has a wrong size")
