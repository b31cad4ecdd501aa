"""A real Open vSwitch, in the namespace of one node, with the kernel's datapath or its own."""

from pathlib import Path

from tests.lab.namespaces import Namespace
from tests.lab.processes import CommandFailed, run
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

DIRECTORY = Path("/run/openvswitch")  # where ovs-vsctl, and so the product, looks for it
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Switch:
    """ovsdb-server and ovs-vswitchd; there is room for one in the lab."""

    def __init__(self, scenario: Scenario, namespace: Namespace) -> None:
        database, socket = DIRECTORY / "conf.db", DIRECTORY / "db.sock"
        DIRECTORY.mkdir(exist_ok=True)
        database.unlink(missing_ok=True)
        run(["ovsdb-tool", "create", str(database), SCHEMA])
        server = ["ovsdb-server", f"--remote=punix:{socket}", str(database)]
        self._server = scenario.daemon("ovsdb-server", server)
        inside = namespace.inside("ovs-vswitchd", f"unix:{socket}")
        self._daemon = scenario.daemon("ovs-vswitchd", inside)

    def start(self) -> None:
        self._server.start()
        wait_until(self._initialised, "Open vSwitch's database", 20.0)
        self._daemon.start()

    def vsctl(self, *words: str) -> str:
        return run(["ovs-vsctl", "--timeout=20", *words])

    def ports(self, bridge: str) -> set[str]:
        return set(self.vsctl("list-ports", bridge).split())

    def _initialised(self) -> bool:
        try:
            self.vsctl("--no-wait", "init")
        except CommandFailed:
            return False
        return True
