"""Fuzzes what reads a socket: `python -m tests.fuzz SOCKET... [--seconds N] [--seed S]`.

Each target gets inputs that are damaged recordings or odd messages, for so many seconds. A finding
is anything that it raises, or memory that grows. The seed of each input is printed with a finding:
`--seed S --count 1` gives that input alone.
"""

import argparse
import asyncio
import gc
import logging
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fuzz import decoders, servers
from tests.fuzz.target import Target

_ALL: tuple[type[Target], ...] = (
    decoders.Fpm,
    decoders.Netlink,
    decoders.Bus,
    servers.Inspect,
    servers.Datapath,
    decoders.Grout,
    servers.Metrics,
    decoders.Manifests,
    decoders.VtyAnswers,
    servers.VtySocket,
    decoders.Recording,
)
TARGETS = {target.name: target for target in _ALL}
ALLOWED_KIB = 48 << 10  # growth of the resident set after the first third
MOST_FINDINGS = 10


@dataclass(slots=True)
class Report:
    """What one target did."""

    target: str
    executions: int = 0
    took_s: float = 0.0
    grown_kib: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)  # where -> how to get it again

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {answer}" for answer, count in self.answers.most_common())
        line = (
            f"{self.target:11} {self.executions:>8} executions in {self.took_s:.0f} s: {answers}; "
            f"memory grew {self.grown_kib} KiB; {len(self.findings)} findings"
        )
        return "\n".join([line, *(f"  {at}\n    {how}" for at, how in self.findings.items())])


async def fuzz(name: str, seconds: float, seed: int, count: int = 0) -> Report:
    """Feed a target for some seconds, or `count` inputs."""
    target = TARGETS[name]()
    report = Report(name)
    await target.start()
    began = time.monotonic()
    at_third = 0
    while report.executions < count if count else time.monotonic() < began + seconds:
        await _one(target, report, seed + report.executions)
        if seconds and not at_third and time.monotonic() > began + seconds / 3:
            at_third = _resident_kib()
        if report.executions % 64 == 0:
            await asyncio.sleep(0)
    report.took_s = time.monotonic() - began
    report.grown_kib = _resident_kib() - at_third if at_third else 0
    if report.grown_kib > ALLOWED_KIB:
        report.findings["memory"] = f"it grew by {report.grown_kib} KiB"
    try:
        await target.stop()
    except Exception as error:
        report.findings["afterwards"] = repr(error)
    return report


async def _one(target: Target, report: Report, seed: int) -> None:
    data = target.input(random.Random(seed))
    report.executions += 1
    try:
        report.answers[await target.execute(data)] += 1
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        if len(report.findings) < MOST_FINDINGS:
            again = f"python -m tests.fuzz {target.name} --seed {seed} --count 1"
            report.findings.setdefault(where[:300], f"{again}: {data[:80].hex()}")


def _resident_kib() -> int:
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("socket", nargs="*", metavar="SOCKET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=10.0, help="of each (default 10)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--count", type=int, default=0, help="so many inputs, however long it takes"
    )
    options = parser.parse_args(arguments)
    names = options.socket or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target is called {unknown[0]}; there are {', '.join(TARGETS)}")
    logging.disable()
    found = 0
    for name in names:
        report = asyncio.run(fuzz(name, options.seconds, options.seed, options.count))
        sys.stdout.write(f"{report}\n")
        sys.stdout.flush()
        found += len(report.findings)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
