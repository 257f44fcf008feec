"""What was read lately is kept, up to a weight."""

import pytest

from tagship.text import safe_yaml
from tagship.text.recent import Recent


def test_a_value_is_made_once_and_the_one_not_used_for_longest_goes_first() -> None:
    asked: list[str] = []
    recent: Recent[str, str] = Recent(3)

    def get(key: str, weight: int = 1) -> str:
        def make() -> tuple[str, int]:
            asked.append(key)
            return key.upper(), weight

        return recent.get(key, make)

    assert [get(key) for key in "abcabc"] == list("ABCABC")
    assert asked == list("abc")
    get("a")  # so b was not used for longest
    get("d")
    assert [get(key) for key in "acd"] == list("ACD")
    assert asked == list("abcd")
    get("b")
    assert asked == list("abcdb")


def test_what_is_heavier_than_all_that_is_kept_is_given_and_dropped() -> None:
    recent: Recent[str, int] = Recent(2)
    assert recent.get("a", lambda: (1, 3)) == 1
    assert recent.get("a", lambda: (2, 1)) == 2
    assert recent.get("a", lambda: (3, 1)) == 2


def test_what_cannot_be_made_is_asked_again() -> None:
    recent: Recent[str, int] = Recent(2)

    def fail() -> tuple[int, int]:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        recent.get("a", fail)
    assert recent.get("a", lambda: (1, 1)) == 1


def test_a_document_that_is_not_valid_is_told_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="line 3"):
            safe_yaml.values(b"a: 1\nb: [\n")


def test_a_value_that_is_too_heavy_drives_out_no_other() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.get("kept", lambda: (1, 1))
    assert recent.get("heavy", lambda: (2, 3)) == 2
    assert recent.get("heavy", lambda: (4, 3)) == 4
    assert recent.get("kept", lambda: (5, 1)) == 1
