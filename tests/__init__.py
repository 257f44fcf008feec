"""Tests of tagship; what fails in the workbench shows what it compared."""

import pytest

pytest.register_assert_rewrite("tests.workbench")
