"""What holds for every test."""

import pkgutil
import sys

import pytest
from hypothesis import settings

import tests

# An assert in a helper shows what it compared, too.
helpers = [each.name for each in pkgutil.walk_packages(tests.__path__, "tests.") if not each.ispkg]
pytest.register_assert_rewrite(*(name for name in helpers if name not in sys.modules))

settings.register_profile("dualpath", deadline=None)  # how busy a machine is, is no failure
settings.load_profile("dualpath")
