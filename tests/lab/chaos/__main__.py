"""Runs in the lab: `python -m tests.lab shell -c 'python -m tests.lab.chaos --seed 3'`."""

import argparse
import os
import sys
from functools import partial

from tests.lab import artefacts
from tests.lab.chaos import faults, plan
from tests.lab.chaos.plan import Step
from tests.lab.chaos.run import Outcome, Runner
from tests.lab.chaos.world import World
from tests.lab.plan import Datapath
from tests.lab.scenario import LOGS, Scenario


def main() -> int:
    arguments = _parse()
    datapath = Datapath(arguments.datapath)
    known = faults.every(datapath, bridged_only=arguments.bridged)
    names = [name for name in known if not arguments.only or name.startswith(tuple(arguments.only))]
    if arguments.list:
        say("\n".join(f"{name:30} a gap of {known[name].gap_s:g} s" for name in sorted(names)))
        return 0
    sequences = {str(seed): plan.from_seed(seed, arguments.steps, names) for seed in arguments.seed}
    if arguments.plan:
        sequences = {"plan": plan.parse(arguments.plan, list(known))}
    scenario = Scenario()
    try:
        failed = _run_all(World(scenario, datapath, bridged_only=arguments.bridged), sequences)
    finally:
        scenario.clean()
    if failed and arguments.shrink:
        _shrink(datapath, failed, bridged_only=arguments.bridged)
    return 1 if failed else 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _run_all(world: World, sequences: dict[str, list[Step]]) -> list[Step]:
    """Run all sequences in one fabric; return the first that failed, up to its failure."""
    datapath, known = world.datapath, faults.every(world.datapath, bridged_only=world.bridged_only)
    first: list[Step] = []
    for name, steps in sequences.items():
        say(f"== {datapath} {name}: {len(steps)} steps")
        runner = Runner(world, known, say)
        outcomes = runner.run(steps, partial(_keep, world.fabric.scenario, name))
        bad = [index for index, outcome in enumerate(outcomes) if outcome.problems]
        lost = sum(flow.lost for outcome in outcomes for flow in outcome.flows)
        say(f"== {datapath} {name}: {len(steps) - len(bad)} of {len(steps)} held, {lost} lost")
        for index in bad:
            single = plan.text([steps[index]])
            say(f"   again: {_again(datapath, single, bridged_only=world.bridged_only)}")
        if bad and not first:
            first = steps[: bad[0] + 1]
            before = _again(datapath, plan.text(first), bridged_only=world.bridged_only)
            say(f"   and with what came before: {before}")
    return first


def _again(datapath: Datapath, text: str, *, bridged_only: bool) -> str:
    bridged = "BRIDGED=1 " if bridged_only else ""
    return f"make chaos {bridged}DATAPATH={datapath} PLAN='{text}'"


def _keep(scenario: Scenario, name: str, outcome: Outcome) -> None:
    directory = f"chaos-{name}-{plan.text([outcome.step])}"
    artefacts.write(artefacts.directory_for(directory), LOGS, scenario.routers)


def _shrink(datapath: Datapath, steps: list[Step], *, bridged_only: bool) -> None:
    """Look for fewer faults that fail too, each time in a fabric of its own."""

    def fails(fewer: list[Step]) -> bool:
        scenario = Scenario()
        try:
            world = World(scenario, datapath, bridged_only=bridged_only)
            runner = Runner(world, faults.every(datapath), lambda _: None)
            bad = any(runner.step(step).problems for step in fewer)
        finally:
            scenario.clean()
        say(f"   {'fails' if bad else 'holds'}: {plan.text(fewer)}")
        return bad

    if not fails(steps):
        say("   it does not fail every time: nothing was left out")
        return
    smallest = plan.text(plan.shrink(steps, fails))
    say(f"   the smallest: {_again(datapath, smallest, bridged_only=bridged_only)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.chaos", description=__doc__)
    parser.add_argument("--datapath", choices=list(Datapath), default=Datapath.KERNEL)
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one sequence each")
    parser.add_argument("--steps", type=int, default=20, help="of each seed (default 20)")
    parser.add_argument(
        "--bridged", action="store_true", help="an L2VNI alone: runs without VRF devices"
    )
    parser.add_argument("--only", nargs="+", help="faults that begin so: kill: hand:fdb")
    parser.add_argument("--plan", help="these faults: kill:bgpd+hand:fdb,flap:short")
    parser.add_argument("--shrink", action="store_true", help="look for a smaller sequence")
    parser.add_argument("--list", action="store_true", help="list the faults")
    arguments = parser.parse_args()
    if "DUALPATH_LAB_INSIDE" not in os.environ and not arguments.list:
        parser.error("it runs inside the lab: make chaos")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
