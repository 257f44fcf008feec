"""A hint for a word that is none of those that there are."""

import difflib
from collections.abc import Iterable


def near(word: object, known: Iterable[str]) -> str:
    """The nearest word, or all that there are."""
    names = list(known)
    nearest = difflib.get_close_matches(str(word), names, 1)
    return f"did you mean {nearest[0]}?" if nearest else "there are: " + ", ".join(names)
