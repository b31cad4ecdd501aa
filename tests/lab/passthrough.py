"""A host in the fabric's own routing, whose FRR speaks BGP on the leg (L3Passthrough)."""

from tests.lab.fabric import Fabric, Pe
from tests.lab.hosts import Host
from tests.lab.manifests import GROUP
from tests.lab.plan import PePlan
from tests.lab.waiting import wait_until

SERVICES = ("198.51.100.1", "2001:db8:51::1")  # announced by the host of pe1


def legs(plan: PePlan) -> tuple[str, str]:
    """Return the host's addresses on the leg."""
    return f"10.20{plan.index}.0.{2 + plan.index}", f"2001:db8:20{plan.index}::{2 + plan.index}"


def routers(plan: PePlan) -> tuple[str, str]:
    return f"10.20{plan.index}.0.1", f"2001:db8:20{plan.index}::1"


def passthrough(plan: PePlan) -> str:
    v4, v6 = f"10.20{plan.index}.0.0/24", f"2001:db8:20{plan.index}::/64"
    return f"""\
---
apiVersion: {GROUP}
kind: L3Passthrough
metadata: {{name: host}}
spec:
  hostNetns: {plan.name}-pt
  hostSession:
    asn: {plan.asn}
    hostASN: {plan.host_asn}
    localCIDR: {{ipv4: {v4}, ipv6: "{v6}"}}
"""


def speaker(plan: PePlan) -> str:
    """Return frr.conf of the first host: it advertises its services and accepts every route."""
    (v4, v6), (router4, router6) = SERVICES, routers(plan)
    sessions = "".join(
        f" neighbor {router} remote-as {plan.asn}\n neighbor {router} timers connect 1\n"
        for router in (router4, router6)
    )
    return f"""\
hostname lab
router bgp {plan.host_asn}
 bgp router-id {legs(plan)[0]}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
{sessions} address-family ipv4 unicast
  network {v4}/32
  neighbor {router4} activate
 exit-address-family
 address-family ipv6 unicast
  network {v6}/128
  neighbor {router6} activate
 exit-address-family
exit
"""


def make_host(fabric: Fabric, pe: Pe) -> Host:
    """Create the namespace of the host end; the product waited for it."""
    host = Host(fabric.scenario.namespace(f"{pe.name}-pt"), *legs(pe.plan))
    wait_until(lambda: f"{host.v6}/" in host.namespace.ip("address"), "the leg", 60)
    return host
