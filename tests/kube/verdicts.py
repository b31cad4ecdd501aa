"""What becomes of a spec at the API server, and what the controller's own validator says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from controller.intent.aliases import modernise
from controller.intent.passwords import PasswordReader
from controller.intent.rules import Complaints
from controller.intent.schema import GROUP, InvalidSpec, parse
from controller.kubernetes.objects import Collection

Yaml = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a spec is refused; nothing is said of one that is taken."""

    complaints: Sequence[str] = ()

    @property
    def taken(self) -> bool:
        return not self.complaints


def validator(kind: str, spec: Yaml, passwords: PasswordReader) -> Verdict:
    """Judge a spec by itself, as the node does that reads it from a file."""
    complaints = Complaints()
    modern = modernise(kind, passwords.resolve(spec, Path(), complaints), complaints)
    try:
        parse(kind, modern)
    except InvalidSpec as error:
        complaints.found += error.complaints
    return Verdict([f"{c.path}: {c.message}" for c in complaints.found])


def api(client: httpx.Client, kind: str, spec: Yaml) -> Verdict:
    """Create an object with a spec without storing it; unknown fields are refused."""
    answer = client.post(
        Collection(GROUP, kind).path("default"),
        params={"dryRun": "All", "fieldValidation": "Strict"},
        json={"apiVersion": GROUP, "kind": kind, "metadata": {"name": "x"}, "spec": spec},
    )
    if answer.is_success:
        return Verdict()
    assert answer.status_code in (400, 422), answer.text
    told = answer.json()
    causes = told.get("details", {}).get("causes", ())
    each = [f"{cause['field']}: {cause['message']}" for cause in causes]
    return Verdict(each or [told["message"]])
