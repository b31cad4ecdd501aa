"""Errors of the lab itself, not of what it tests."""


class LabError(Exception):
    """The lab cannot do what was asked; the text is one sentence that says what to do."""
