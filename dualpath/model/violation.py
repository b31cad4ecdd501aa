"""Errors in manifests, with their positions: for messages, logs and JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of one resource, or one error of a file."""

    file: str = ""  # "" if no file is at fault
    line: int = 0  # from 1; 0 is the file as a whole
    column: int = 0  # from 1
    kind: str = ""  # "L3VNI"; "" for an error of the file
    name: str = ""
    field: str = ""  # "spec.neighbors[0].port"
    message: str = ""
    suggestion: str = ""  # what the user probably meant

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def sentence(self) -> str:
        """Return the field, the error, and the suggestion."""
        meant = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.field}: {self.message}{meant}" if self.field else f"{self.message}{meant}"

    def __str__(self) -> str:
        """Return the line as a compiler prints it."""
        owner = f"{self.kind} {self.name}".strip()
        return ": ".join(part for part in (self.place, owner, self.sentence) if part)
