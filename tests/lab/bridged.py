"""The standard topology with its L2VNI alone, which needs no VRF devices.

So it runs straight in namespaces of a kernel without them (`--mode straight`), ten times as quickly
as in a VM.
"""

from tests.lab import hosts, manifests
from tests.lab.fabric import Fabric, Options
from tests.lab.plan import HOST_BRIDGE, L2_VNI, PePlan, Topology
from tests.lab.scenario import Scenario


def manifest(pe: PePlan) -> str:
    vni = f"""\
apiVersion: {manifests.GROUP}
kind: L2VNI
metadata: {{name: stretched}}
spec:
  vni: {L2_VNI}
  hostMaster: {{type: LinuxBridge, linuxBridge: {{lifecycle: Managed}}}}
"""
    return "---\n".join((manifests.node(pe), manifests.underlay(pe), vni))


def started(scenario: Scenario, topology: Topology, timeout_s: float = 60.0) -> Fabric:
    """Return a fabric whose bridged hosts reach one another."""
    made = Fabric(scenario, topology, Options(files=manifest))
    for spine in made.spines:
        spine.start()
    for pe in made.pes:
        pe.start()
    for pe in made.pes:
        hosts.attach(pe.bridged.namespace, HOST_BRIDGE, pe.node, port=pe.plan.bridged)
        v4, v6 = pe.plan.bridged_addresses
        hosts.configure(pe.bridged.namespace, "eth0", [f"{v4}/24", f"{v6}/64"], [])
    made.wait_for_bgp(timeout_s)
    made.wait_until_live(timeout_s)
    one, *others = made.pes
    for other in others:
        for target in (other.bridged.v4, other.bridged.v6):
            one.bridged.wait_for_ping(target, timeout_s)
    return made
