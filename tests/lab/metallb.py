"""MetalLB on a node, for the router: FRR with the configuration that frr-k8s renders."""

from tests.lab.fabric import Pe
from tests.lab.frr import Frr, Settings
from tests.lab.plan import PePlan
from tests.lab.scenario import Scenario


def services(plan: PePlan) -> tuple[str, str]:
    """Return a node's service addresses."""
    return f"10.96.{plan.index}.10", f"fd00:10:96:{plan.index}::10"


def take_services(pe: Pe) -> None:
    """Let the node answer for its services, as kube-proxy would."""
    for service in services(pe.plan):
        pe.node.ip("address", "replace", service, "dev", "lo")


def started(scenario: Scenario, pe: Pe) -> Frr:
    """Return the node's own FRR, which is independent of the router's."""
    take_services(pe)
    settings = Settings(daemons=("mgmtd", "zebra", "bgpd"), configuration=metallb(pe.plan))
    made = scenario.frr(f"metallb{pe.plan.index}", pe.node, settings)
    made.start()
    return made


def metallb(plan: PePlan) -> str:
    """Return frr.conf as frr-k8s renders it for one router with both families."""
    v4, v6 = services(plan)
    router4, router6 = plan.pool_gateways
    sessions = "".join(
        f" neighbor {router} remote-as {plan.asn}\n neighbor {router} timers connect 1\n"
        for router in plan.pool_gateways
    )
    return f"""\
hostname lab
ip prefix-list services seq 5 permit {v4}/32
ipv6 prefix-list services seq 5 permit {v6}/128
route-map out permit 10
 match ip address prefix-list services
exit
route-map out permit 20
 match ipv6 address prefix-list services
exit
route-map in permit 10
exit
router bgp {plan.host_asn}
 bgp router-id {plan.routed_addresses[0]}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart preserve-fw-state
 no bgp network import-check
{sessions} address-family ipv4 unicast
  network {v4}/32
  neighbor {router4} activate
  neighbor {router4} route-map in in
  neighbor {router4} route-map out out
 exit-address-family
 address-family ipv6 unicast
  network {v6}/128
  neighbor {router6} activate
  neighbor {router6} route-map in in
  neighbor {router6} route-map out out
 exit-address-family
exit
"""
