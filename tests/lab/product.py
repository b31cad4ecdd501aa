"""How the lab starts what it tests: the one place that knows the controller's command line."""

from pathlib import Path

from tests.lab.plan import Datapath, PePlan
from tests.lab.processes import Daemon
from tests.lab.scenario import Scenario


def listen_address(pe: PePlan) -> str:
    return f"unix:{pe.state}/inspect.sock"


def grout_socket(pe: PePlan) -> Path:
    return pe.state / "grout.sock"


def make_controller(scenario: Scenario, pe: PePlan, extra: tuple[str, ...] = ()) -> Daemon:
    """Return a PE's controller, not started yet; it starts whatever else it needs itself."""
    dpdk = ("--start-grout", f"--grout-sock={grout_socket(pe)}")
    argv = [
        "controller",
        f"--datapath={pe.datapath}",
        f"--frr-netns={pe.control}",
        f"--netns={pe.name}",
        f"--frr-name={pe.name}",
        f"--listen={listen_address(pe)}",
        f"--config={pe.state / 'manifest.yaml'}",
        f"--state-dir={pe.state}",
        *(dpdk if pe.datapath is Datapath.DPDK else ()),
        *extra,
    ]
    return scenario.daemon(f"{pe.name}-controller", argv)
