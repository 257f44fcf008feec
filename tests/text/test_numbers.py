"""Numbers that nobody would write: an error that names the file, wherever they stand."""

import pytest

from tagship.text import json_reader, numbers, safe_yaml, toml

DIGITS = "9" * 10_000
LETTERS = "f" * 10_000


@pytest.mark.parametrize("text", [f"a = {DIGITS}", f"a = [{{b = {DIGITS}}}]", f"a = 0x{LETTERS}",
                                  f"a = {1 << 64}"])  # fmt: skip
def test_toml_has_numbers_of_64_bits(text: str) -> None:
    with pytest.raises(ValueError, match=numbers.TOO_LONG):
        toml.parse(text.encode())


def test_what_toml_has_is_read() -> None:
    assert toml.parse(f"a = {1 << 62}\nb = [1.5, true]".encode()) == {
        "a": 1 << 62,
        "b": [1.5, True],
    }
    with pytest.raises(ValueError, match="nested too deeply"):
        toml.parse(b"a = " + b"[" * 100_000)
    with pytest.raises(ValueError, match="utf-8"):
        toml.parse(b"a = '\xff'")


def test_so_do_yaml_and_json_say_it() -> None:
    with pytest.raises(ValueError, match=numbers.TOO_LONG):
        safe_yaml.values(f"a: {DIGITS}\n".encode())
    with pytest.raises(ValueError, match=numbers.TOO_LONG):
        json_reader.parse(f'{{"a": {DIGITS}}}'.encode())
