"""Which faults come when: from a seed, from text, and smaller after a failure. Pure."""

import random
from collections.abc import Callable, Sequence

Step = tuple[str, ...]  # faults at once
TOGETHER, AFTER = "+", ","
_TWO_OF = 3  # one step of so many has two faults


def from_seed(seed: int, count: int, names: Sequence[str]) -> list[Step]:
    """Return `count` steps. Every fault comes once before one comes twice."""
    source = random.Random(seed)
    pool: list[str] = []

    def draw() -> str:
        if not pool:
            pool.extend(source.sample(sorted(names), len(names)))
        return pool.pop()

    steps: list[Step] = []
    for _ in range(count):
        first = draw()
        second = draw() if len(names) > 1 and source.randrange(_TWO_OF) == 0 else first
        steps.append((first,) if first == second else (first, second))
    return steps


def parse(text: str, names: Sequence[str]) -> list[Step]:
    """Read "kill:bgpd+hand:routes,flap:spine". Raises ValueError, which names the fault."""
    steps = [
        tuple(word.strip() for word in step.split(TOGETHER)) for step in text.split(AFTER) if step
    ]
    unknown = sorted({name for step in steps for name in step} - set(names))
    if unknown:
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are {' '.join(names)}")
    return steps


def text(steps: Sequence[Step]) -> str:
    return AFTER.join(TOGETHER.join(step) for step in steps)


def shrink(steps: Sequence[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """Return a smaller sequence that fails too: no step and no fault can be left out of it.

    Expects that `steps` fails. Halves go first, then single steps, then one fault of two.
    """
    left = list(steps)
    size = max(1, len(left) // 2)
    while True:
        smaller = _without(left, size, fails)
        if smaller is not None:
            left = smaller
            size = min(size, max(1, len(left) // 2))
        elif size > 1:
            size //= 2
        else:
            break
    for index, step in enumerate(left):
        for name in step if len(step) > 1 else ():
            alone = [*left[:index], (name,), *left[index + 1 :]]
            if fails(alone):
                left = alone
                break
    return left


def _without(
    steps: list[Step], size: int, fails: Callable[[list[Step]], bool]
) -> list[Step] | None:
    """Return the steps without `size` of them in a row that still fail, None if all are needed."""
    if len(steps) <= 1:
        return None
    for start in range(0, len(steps), size):
        rest = [*steps[:start], *steps[start + size :]]
        if rest and fails(rest):
            return rest
    return None
