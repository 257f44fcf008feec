"""What tests of the server begin with."""

from tests.serve.shelf import shelf

__all__ = ["shelf"]
