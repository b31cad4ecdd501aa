"""What holds for every test."""

import pkgutil

import pytest
from hypothesis import settings

import tests

# An assert in a helper says what it compared, too.
pytest.register_assert_rewrite(
    *(f"tests.{each.name}" for each in pkgutil.iter_modules(tests.__path__) if each.ispkg)
)

settings.register_profile("dualpath", deadline=None)  # how busy a machine is, is no failure
settings.load_profile("dualpath")
