"""What can go wrong in the lab itself, as opposed to in what it tests."""


class LabError(Exception):
    """The lab cannot do what was asked; the text is one sentence that says what to do."""
