"""A check: a function, its cases, and the capabilities that a datapath needs for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from datapaths.base import Feature
from datapaths.conformance.subject import Subject
from dualpath.model.kinds import Kind

Run = Callable[..., Awaitable[None]]

WITHOUT_ENVIRONMENT = "it needs a program that acts beside the datapath"


@dataclass(frozen=True, slots=True)
class Needs:
    """The capabilities that a datapath needs for a check."""

    kinds: frozenset[Kind] = frozenset()
    features: frozenset[Feature] = frozenset()
    environment: bool = False
    looks_up: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.kinds | other.kinds,
            self.features | other.features,
            self.environment or other.environment,
            self.looks_up or other.looks_up,
        )


def needs(*what: Kind | Feature, environment: bool = False, looks_up: bool = False) -> Needs:
    kinds = frozenset(item for item in what if isinstance(item, Kind))
    features = frozenset(item for item in what if isinstance(item, Feature))
    return Needs(kinds, features, environment, looks_up)


NOTHING = Needs()


@dataclass(frozen=True, slots=True)
class Case:
    """One set of arguments for a check, with its name and additional needs."""

    name: str
    arguments: tuple[Any, ...] = ()
    needs: Needs = NOTHING


ONE = Case("")


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one case. Raises Violation."""

    name: str  # "routes.an_empty_batch_succeeds"
    sentence: str
    needs: Needs
    run: Callable[[Subject], Awaitable[None]]

    def excluded(self, subject: Subject) -> str:
        """Return why the check does not apply to a datapath, "" if it does."""
        capabilities = subject.capabilities
        if missing := self.needs.kinds - capabilities.kinds:
            return f"{capabilities.name} has no {', '.join(kind.name for kind in sorted(missing))}"
        if lacking := self.needs.features & capabilities.lacks:
            return f"{capabilities.name} lacks {', '.join(sorted(lacking))}"
        if self.needs.environment and subject.environment is None:
            return WITHOUT_ENVIRONMENT
        if self.needs.looks_up and not capabilities.looks_up:
            return f"{capabilities.name} has no lookup"
        return ""


class Chapter:
    """The checks of one subject, in their order in the source."""

    def __init__(self, name: str, common: Needs, before: Run | None = None) -> None:
        self.checks: list[Check] = []
        self._name = name
        self._common = common
        self._before = before  # runs before each check

    def check(
        self, needed: Needs = Needs(), cases: Iterable[Case] = (ONE,)
    ) -> Callable[[Run], Run]:
        """Register a function as a check, once for each case. Its name is a sentence."""

        def add(run: Run) -> Run:
            for case in cases:
                self.checks.append(self._one(run, case, needed))
            return run

        return add

    def _one(self, run: Run, case: Case, needed: Needs) -> Check:
        async def checked(subject: Subject) -> None:
            if self._before:
                await self._before(subject)
            await run(subject, *case.arguments)

        name, sentence = f"{self._name}.{run.__name__}", run.__name__.replace("_", " ")
        if case.name:
            name, sentence = f"{name}[{case.name}]", f"{sentence} ({case.name})"
        return Check(name, sentence, self._common | needed | case.needs, checked)
