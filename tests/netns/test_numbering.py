"""A node index comes from its interface, in whichever namespace that is."""

from __future__ import annotations

import pytest

from controller.intent.node import Namespaces
from controller.intent.numbering import IndexSource, number
from controller.manifests.numbering import looking
from datapaths.linux.addresses import addresses_of
from tests.netns.namespaces import run
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.netns


@rule("Node.index.interface")
def test_node_index_is_kept_when_its_interface_is_moved(namespaces: tuple[str, str]) -> None:
    forwarding, host = namespaces
    run(f"ip -n {host} link add eth0 type veth peer name eth1")
    run(f"ip -n {host} addr add 192.168.11.3/24 dev eth0 valid_lft 3600 preferred_lft 3600")
    run(f"ip -n {host} addr add fd00::7/64 dev eth0 nodad")
    look = looking(forwarding)(Namespaces(host=host))
    assert number(IndexSource("eth0"), look) == 3
    assert [str(address) for address in look("eth0")][:2] == ["192.168.11.3/24", "fd00::7/64"]
    run(f"ip -n {host} link set eth0 netns {forwarding}")
    run(f"ip -n {forwarding} addr add 192.168.11.3/24 dev eth0")
    assert number(IndexSource("eth0"), look) == 3


def test_missing_interface_is_named(namespaces: tuple[str, str]) -> None:
    with pytest.raises(OSError, match="no such interface"):
        addresses_of("eth7", (*namespaces, "no-such-namespace"))
    assert [str(address) for address in addresses_of("lo", ("",))][:1] == ["127.0.0.1/8"]
