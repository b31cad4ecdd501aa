"""Which networks overlap a given one, found by an index."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.addresses import Network
from controller.intent.overlaps import Overlaps


def small(version: int) -> st.SearchStrategy[Network]:
    """Return networks that often overlap: all are within one of 256 addresses."""
    base, longest = ("10.0.0.0", 32) if version == 4 else ("2001:db8::", 128)
    first = int(ipaddress.ip_address(base))

    def network(offset: int, shorter: int) -> Network:
        address = ipaddress.ip_address(first + (offset >> shorter << shorter))
        return ipaddress.ip_network(f"{address}/{longest - shorter}")

    return st.builds(network, st.integers(0, 255), st.integers(0, 8))


networks = st.one_of(small(4), small(6))


@given(st.lists(networks, max_size=20), networks)
def test_overlaps_are_those_that_a_look_at_all_finds(entries: list[Network], one: Network) -> None:
    index = Overlaps()
    named = [(network, f"owner {number}") for number, network in enumerate(entries)]
    for network, owner in named:
        index.add(network, owner)
    assert index.of(one) == [(it, owner) for it, owner in named if it.overlaps(one)]


def test_whole_address_space_overlaps_everything_of_its_version() -> None:
    index = Overlaps()
    index.add(ipaddress.ip_network("10.0.0.0/8"), "four")
    index.add(ipaddress.ip_network("::/0"), "six")
    assert [owner for _, owner in index.of(ipaddress.ip_network("0.0.0.0/0"))] == ["four"]
    assert [owner for _, owner in index.of(ipaddress.ip_network("2001:db8::1/128"))] == ["six"]
