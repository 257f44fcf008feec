"""YAML that readers of 1.1 (PyYAML, in MLflow and at Hugging Face) and of 1.2 read alike.

In 1.1 ``on`` is true, ``1:30`` is 90, and ``1e-05`` is a text. https://yaml.org/type/
"""

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from tagship.text import escape

_PLAIN = re.compile(r"[A-Za-z][\w./-]*(?: [\w./-]+)*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Representer(SafeRepresenter):
    """Quotes every text that either version could take for something else."""

    def text(self, value: str) -> ScalarNode:
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')

    def number(self, value: float) -> ScalarNode:
        text = repr(value)
        if "." not in text:
            text = text.replace("e", ".0e")
        return self.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(str, _Representer.text)
_Representer.add_representer(float, _Representer.number)


def dump(value: dict[str, Any]) -> str:
    """A mapping of JSON values as YAML, in its own order; floats must be finite."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel says None, takes bool
    writer.width = 1 << 20  # a line a value
    text = StringIO()
    writer.dump(value, text)
    return escape.escaped(text.getvalue())  # what it means is in quotes
