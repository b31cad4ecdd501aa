"""Every check and every test, one after the other, and one sum: `python -m tests.everything`."""
