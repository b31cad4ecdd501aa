"""Records as text: the key, and the value."""

from __future__ import annotations

import ipaddress

from dualpath.model.layer2 import EthernetSegment, Flood, Lsp, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import Nexthop
from dualpath.model.records import Record


def describe(record: Record) -> tuple[str, str]:
    """Return a record's key and value as text: `100 10.0.0.1`, `router MAC 02:...`."""
    match record:
        case Nexthop():
            return str(record.id), str(record)
        case RemoteVtep(vni, vtep, mac):
            return f"{vni} {ipaddress.ip_address(vtep)}", f"router MAC {mac.hex(':')}"
        case Flood(vni, vtep):
            return f"{vni} {ipaddress.ip_address(vtep)}", ""
        case EthernetSegment(id_, vteps):
            return str(id_), "vteps " + ", ".join(str(ipaddress.ip_address(v)) for v in vteps)
        case Mac(vni, mac, segment=segment) if segment:
            return f"{vni} {mac.hex(':')}", f"segment {segment}"
        case Mac(vni, mac, vtep):
            return (
                f"{vni} {mac.hex(':')}",
                f"vtep {ipaddress.ip_address(vtep)}" if vtep else "local",
            )
        case Neighbor(vni, address, mac):
            return f"{vni} {ipaddress.ip_address(address)}", mac.hex(":")
        case Lsp(label, nexthops):
            return str(label), ", ".join(nexthops)
        case _:
            return str(record.key), ""
