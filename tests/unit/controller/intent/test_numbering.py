"""A node index derived from an interface's address, as in OpenPERouter's static file."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest

from controller.intent.addresses import Interface
from controller.intent.documents import ManifestError, read
from controller.intent.loader import load, merge
from controller.intent.node import Namespaces, Node, NodeOverrides
from controller.intent.numbering import Addresses
from tests.unit.controller.intent.crd import VECTORS
from tests.unit.controller.intent.rulebook import rule

ETH0 = "nodeName: pe1\nnodeIndex:\n  interfaceName: eth0\n"


def having(*addresses: str) -> Addresses:
    """Return a reader of addresses for a node whose eth0 has these."""

    def read_addresses(name: str) -> Sequence[Interface]:
        if name != "eth0":
            raise OSError(errno.ENODEV, "there is no such interface")
        return [ipaddress.ip_interface(address) for address in addresses]

    return read_addresses


def node(text: str, *addresses: str, overrides: NodeOverrides | None = None) -> Node:
    look = having(*addresses)
    return merge(read(text, "n.yaml"), overrides or NodeOverrides(), look=lambda _: look).node


@rule("Node.index.interface")
@pytest.mark.parametrize(
    ("addresses", "cidr", "index"),
    [
        (["192.168.11.3/24"], "", 3),
        (["10.1.2.42/16"], "", 2 * 256 + 42),
        (["fd00::7/64", "192.168.11.3/24", "192.168.12.4/24"], "", 3),
        (["fe80::1/64", "fd00::7/64"], "", 7),
        (["192.168.12.4/24", "192.168.11.3/24"], "192.168.11.0/24", 3),
        (["192.168.11.3/24", "fd00::7/64"], "fd00::/64", 7),
        (["192.168.11.3/16"], "192.168.11.0/24", 11 * 256 + 3),  # by its own mask
        (["10.0.0.0/31"], "", 0),
        (["10.0.0.1/31"], "", 1),
        (["fd00::ffff:ffff/64"], "", 0xFFFF_FFFF),
    ],
)
def test_node_index_is_the_host_part_of_the_interfaces_address(
    addresses: list[str], cidr: str, index: int
) -> None:
    text = ETH0 + (f'  cidr: "{cidr}"\n' if cidr else "")
    assert node(text, *addresses).index == index


@rule("Node.index.interface")
def test_every_form_of_node_index_gives_the_same_number() -> None:
    kind = "apiVersion: dualpath.io/v1alpha1\nkind: Node\nmetadata: {name: pe1}\n"
    forms = [
        ETH0,
        "nodeName: pe1\nnodeIndexInterfaceName: eth0\n",
        "nodeName: pe1\nnodeIndex: 0\nnodeIndexInterfaceName: eth0\n",
        "nodeName: pe1\nnodeIndex: {index: 0, interfaceName: eth0, cidr: ''}\n",
        f"{kind}spec: {{nodeIndex: {{interfaceName: eth0}}}}\n",
    ]
    assert {node(text, "10.0.0.9/24").index for text in forms} == {9}
    assert node(ETH0, "10.0.0.9/24").source is None


@rule("Node.index.interface")
@pytest.mark.parametrize(
    ("text", "addresses", "complaint"),
    [
        (ETH0, [], "interface eth0 has no address; write `nodeIndex: {index: N}`"),
        (ETH0, ["fe80::1/64"], "interface eth0 has no address"),
        (
            ETH0 + "  cidr: 10.0.0.0/8\n",
            ["192.168.11.3/24"],
            "interface eth0 has no address within 10.0.0.0/8",
        ),
        (ETH0, ["10.0.0.1/32"], "10.0.0.1/32 of interface eth0 has no host part"),
        (ETH0, ["fd00::1:0:0:1/64"], "the host part of fd00::1:0:0:1/64 of interface eth0 exceeds"),
        (ETH0.replace("eth0", "eth9"), [], "interface eth9: there is no such interface"),
    ],
)
def test_underivable_node_index_is_an_error_with_its_line(
    text: str, addresses: list[str], complaint: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        node(text, *addresses)
    assert str(caught.value).startswith("n.yaml:2:1: pe1: nodeIndex: " + complaint)


@rule("Node.index.interface")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nodeIndex: {index: 5, interfaceName: eth0}\n", "interfaceName: `index` and `interfac"),
        ("nodeIndex: {cidr: 10.0.0.0/8}\n", "nodeIndex.cidr: `cidr` needs an `interfaceName`"),
        ("nodeIndex: {interfaceName: eth0, cidr: ten}\n", "nodeIndex.cidr: 'ten' is not a CIDR"),
        ("nodeIndex: {interfaceName: a/b}\n", "'a/b' is not an interface name"),
        ("nodeIndex: {interfaceNam: eth0}\n", "unknown field; did you mean interfaceName?"),
        ("nodeIndex: {index: '5'}\n", "nodeIndex: must be a whole number"),
        ("nodeIndex: true\n", "nodeIndex: must be a whole number"),
        ("nodeIndex: 5\nnodeIndexInterfaceName: eth0\n", "are mutually exclusive"),
    ],
)
def test_invalid_node_index_source_is_rejected(text: str, complaint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        node(text, "10.0.0.9/24")
    assert complaint in str(caught.value)


@rule("Node.index.interface")
def test_node_index_on_the_command_line_reads_no_interface() -> None:
    assert node(ETH0.replace("eth0", "eth9"), overrides=NodeOverrides(index=7)).index == 7


def test_node_index_uses_the_interface_of_the_selected_node() -> None:
    both = f"{ETH0}---\n{ETH0.replace('pe1', 'pe2').replace('eth0', 'eth9')}"
    assert node(both, "10.0.0.9/24", overrides=NodeOverrides(name="pe1")).index == 9


@rule("Manifest.all")
def test_node_index_error_does_not_hide_errors_of_resources() -> None:
    bad = (
        "apiVersion: network.openperouter.io/v1alpha1\nkind: L3VNI\nmetadata: {name: x}\nspec: {}\n"
    )
    with pytest.raises(ManifestError) as caught:
        node(f"{ETH0}---\n{bad}")
    assert len(caught.value.violations) == 3


@rule("Node.index.interface")
def test_openperouters_systemd_mode_node_file_gives_a_node_index() -> None:
    seen: list[Namespaces] = []
    addresses = having("10.0.0.1/24", "192.168.11.3/24")

    def look(namespaces: Namespaces) -> Addresses:
        seen.append(namespaces)
        return addresses

    found = load([Path(VECTORS) / "static" / "node-config.yaml"], look=look)
    assert (found.node.index, found.node.log_level, seen) == (3, "debug", [Namespaces()])
