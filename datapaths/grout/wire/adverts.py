"""Router advertisements (RFC 4861): struct gr_ip6_ra_set_req in gr_ip6.h."""

from __future__ import annotations

import sys

from datapaths.grout.wire.table import Api

SET = "GR_IP6_IFACE_RA_SET"
_BITS_AT, _BITS_BYTES = 2, 2  # after iface_id; a compiler gives no offset of a bit field
_INTERVAL_AND_LIFETIME = 0b11
_SELDOM_S = 0xFFFF


def encode_no_default_router(api: Api, iface: int) -> bytes:
    """Return the payload that makes an interface advertise a router lifetime of 0.

    grout answers every solicitation, even with advertisements disabled. Only a lifetime of 0 keeps
    a host from taking a default route from it (RFC 4861 section 4.2).
    """
    request = bytearray(
        api.pack("gr_ip6_ra_set_req", iface_id=iface, interval=_SELDOM_S, lifetime=0)
    )
    bits = _INTERVAL_AND_LIFETIME.to_bytes(_BITS_BYTES, sys.byteorder)
    request[_BITS_AT : _BITS_AT + _BITS_BYTES] = bits
    return bytes(request)
