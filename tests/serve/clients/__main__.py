"""``python -m tests.serve.clients``: install them, for ``make serve-test``."""

from tests.serve import clients

clients.install()
