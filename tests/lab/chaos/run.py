"""Runs steps, one after the other, and judges each."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.lab.chaos.faults import Fault, allowed_s
from tests.lab.chaos.plan import TOGETHER, Step
from tests.lab.chaos.world import World
from tests.lab.ping import FlowResult, flows
from tests.lab.scenario import LOGS
from tests.lab.waiting import SLOWNESS

WHOLE_S = 120.0  # after which everything has to agree
RATE_PER_S = 25.0  # of each flow: the guest has one CPU
_LONG_S = 20.0
_BUGS = ("Traceback (most recent call last)", "CRITICAL")


@dataclass(slots=True)
class Outcome:
    """What a step did to packets, and how long until nothing differed."""

    step: Step
    allowed_s: float
    whole_s: float = 0.0
    waited_for: str = ""  # what differed last
    flows: list[FlowResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        sent = sum(flow.transmitted for flow in self.flows)
        lost = sum(flow.lost for flow in self.flows)
        gap_s = max((flow.lost_for_s for flow in self.flows), default=0.0)
        figures = (
            f"{lost:>5} of {sent:>5} lost, gap {gap_s:6.2f} s of {self.allowed_s:4.0f} s, "
            f"whole after {self.whole_s:5.1f} s"
        )
        if self.whole_s > _LONG_S and self.waited_for:
            figures += f" ({self.waited_for[:160]})"
        lines = [f"{TOGETHER.join(self.step):44} {figures}", *self.problems]
        return "\n    FAILED: ".join(lines)


class Runner:
    """Does steps in one world; `say` gets a line about each."""

    def __init__(
        self, world: World, faults: Mapping[str, Fault], say: Callable[[str], object]
    ) -> None:
        self._world = world
        self._faults = faults
        self._say = say
        self._read: dict[str, int] = {}  # bytes of each log that were looked at
        list(self._bugs())

    def run(self, steps: Sequence[Step], failed: Callable[[Outcome], object]) -> list[Outcome]:
        """Do all steps; after a failure `failed` is called, and then pe1 is restarted."""
        outcomes: list[Outcome] = []
        for number, step in enumerate(steps, 1):
            outcome = self.step(step)
            outcomes.append(outcome)
            self._say(f"{number:>3} {outcome}")
            if outcome.problems:
                failed(outcome)
                self._heal()
        return outcomes

    def step(self, step: Step) -> Outcome:
        world = self._world
        outcome = Outcome(step, allowed_s([self._faults[name] for name in step]) * SLOWNESS)
        with flows(*world.pairs(), rate_per_s=RATE_PER_S / SLOWNESS) as results:
            time.sleep(0.5)
            try:
                with world.churn():
                    for name in step:
                        self._faults[name].inject(world)
                    world.mend()
                outcome.whole_s, outcome.waited_for = world.wait_until_whole(WHOLE_S)
            except Exception as error:
                outcome.problems.append(f"{type(error).__name__}: {error}"[:1500])
        outcome.flows = results
        outcome.problems += [*_losses(outcome), *itertools.islice(self._bugs(), 5)]
        return outcome

    def _heal(self) -> None:
        try:
            self._world.mend()
            self._world.heal()
            self._world.wait_until_whole(WHOLE_S)
        except Exception as error:
            self._say(f"    not whole after a restart either: {error}"[:600])

    def _bugs(self) -> Iterator[str]:
        """Yield lines of logs that no fault excuses."""
        for log in sorted(LOGS.glob("pe1-*.log")):
            text = log.read_text(errors="replace")
            start = self._read.get(log.name, 0)
            self._read[log.name] = len(text)
            for line in text[start:].splitlines():
                if any(bug in line for bug in _BUGS):
                    yield f"{log.name}: {line[:300]}"


def _losses(outcome: Outcome) -> Iterator[str]:
    for number, flow in enumerate(outcome.flows, 1):
        if not outcome.allowed_s:
            if flow.lost:
                yield f"flow {number}: {flow}; none may be lost"
        elif flow.lost_for_s > outcome.allowed_s:
            yield f"flow {number}: {flow}; {outcome.allowed_s:g} s are allowed"
