"""``python -m tests.serve.engines``: install them, for ``make ray-test``."""

from tests.serve import engines

for name in engines.NAMES:
    engines.install(name)
