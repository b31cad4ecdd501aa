"""What holds for every test."""

from hypothesis import settings

settings.register_profile("dualpath", deadline=None)  # how busy a machine is, is no failure
settings.load_profile("dualpath")
