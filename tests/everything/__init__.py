"""Runs every check and every test in turn, and prints one sum: `python -m tests.everything`."""
