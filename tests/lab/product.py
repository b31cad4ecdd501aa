"""How the lab starts the product: the one place that knows the controller's command line."""

from pathlib import Path

from tests.lab.plan import Datapath, PePlan
from tests.lab.processes import Daemon, run
from tests.lab.scenario import Scenario


def listen_address(pe: PePlan) -> str:
    return f"unix:{pe.state}/inspect.sock"


def grout_socket(pe: PePlan) -> Path:
    return pe.state / "grout.sock"


def grcli(pe: PePlan, *words: str) -> str:
    """Run a command of grout's own, which fails when grout refuses it."""
    return run(["grcli", "-e", "-s", str(grout_socket(pe)), *words])


def signal_grout(pe: PePlan, name: str) -> None:
    """Send a signal to a PE's grout, by name: KILL, STOP, CONT."""
    run(["pkill", f"-{name}", "-f", f"^grout .*{grout_socket(pe)}"])


def make_controller(scenario: Scenario, pe: PePlan, extra: tuple[str, ...] = ()) -> Daemon:
    """Return a PE's controller, not started yet; it starts whatever else it needs itself."""
    dpdk = ("--start-grout", f"--grout-sock={grout_socket(pe)}")
    shared = (f"--grout-netns={pe.grout}",)
    argv = [
        "controller",
        f"--datapath={pe.datapath}",
        f"--frr-netns={pe.control}",
        f"--netns={pe.name}",
        f"--frr-name={pe.name}",
        f"--listen={listen_address(pe)}",
        f"--config={pe.state / 'manifest.yaml'}",
        f"--state-dir={pe.state}",
        *(dpdk if pe.datapath is Datapath.DPDK or pe.switches else ()),
        *(shared if pe.shared or pe.switches else ()),
        *(word.replace("{state}", str(pe.state)).replace("{name}", pe.name) for word in extra),
    ]
    return scenario.daemon(f"{pe.name}-controller", argv)
