"""What Dualpath uses of grout's API: messages by name, and fields of structs."""

from __future__ import annotations

REQUESTS = (
    *("GR_HELLO", "GR_EVENT_SUBSCRIBE", "GR_EVENT_UNSUBSCRIBE", "GR_PING"),
    *("GR_IFACE_ADD", "GR_IFACE_DEL", "GR_IFACE_GET", "GR_IFACE_LIST", "GR_IFACE_SET"),
    *("GR_IFACE_STATS_GET", "GR_STATS_GET"),
    *("GR_NH_CONFIG_GET", "GR_NH_CONFIG_SET", "GR_NH_ADD", "GR_NH_DEL", "GR_NH_LIST"),
    *("GR_IP4_ROUTE_ADD", "GR_IP4_ROUTE_DEL", "GR_IP4_ROUTE_GET", "GR_IP4_ROUTE_LIST"),
    *("GR_IP6_ROUTE_ADD", "GR_IP6_ROUTE_DEL", "GR_IP6_ROUTE_GET", "GR_IP6_ROUTE_LIST"),
    *("GR_IP4_ADDR_ADD", "GR_IP4_ADDR_DEL", "GR_IP4_ADDR_LIST", "GR_IP4_FIB_INFO_LIST"),
    *("GR_IP6_ADDR_ADD", "GR_IP6_ADDR_DEL", "GR_IP6_ADDR_LIST", "GR_IP6_FIB_INFO_LIST"),
    "GR_IP6_IFACE_RA_SET",
    "GR_IP6_FIB_DEFAULT_SET",
    *("GR_FDB_ADD", "GR_FDB_DEL", "GR_FDB_LIST", "GR_FDB_CONFIG_GET", "GR_FDB_CONFIG_SET"),
    *("GR_FLOOD_ADD", "GR_FLOOD_DEL", "GR_FLOOD_LIST"),
    *("GR_EVENT_IFACE_ADD", "GR_EVENT_IFACE_POST_ADD", "GR_EVENT_IFACE_REMOVE"),
    *("GR_EVENT_IFACE_POST_RECONFIG", "GR_EVENT_IFACE_STATUS_UP", "GR_EVENT_IFACE_STATUS_DOWN"),
    "GR_EVENT_IFACE_MAC_CHANGE",
    *("GR_EVENT_NEXTHOP_NEW", "GR_EVENT_NEXTHOP_DELETE", "GR_EVENT_NEXTHOP_UPDATE"),
    *("GR_EVENT_IP_ADDR_ADD", "GR_EVENT_IP_ADDR_DEL"),
    *("GR_EVENT_IP_ROUTE_ADD", "GR_EVENT_IP_ROUTE_DEL"),
    *("GR_EVENT_IP6_ADDR_ADD", "GR_EVENT_IP6_ADDR_DEL"),
    *("GR_EVENT_IP6_ROUTE_ADD", "GR_EVENT_IP6_ROUTE_DEL"),
    *("GR_EVENT_FDB_ADD", "GR_EVENT_FDB_DEL", "GR_EVENT_FDB_UPDATE"),
    *("GR_EVENT_FLOOD_ADD", "GR_EVENT_FLOOD_DEL"),
)
"""Events as well: grout numbers them in the same space."""

_FIB = ("max_routes", "num_tbl8")
_NEXTHOP = ("type", "origin", "iface_id", "vrf_id", "nh_id")
_FDB = ("bridge_id", "mac", "vlan_id", "iface_id", "vtep.af", "vtep.ipv6", "flags", "last_seen")
_FLOOD = ("type", "vrf_id", "vtep.vni", "vtep.addr.af", "vtep.addr.ipv6")


def _under(prefix: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}.{field}" for field in fields)


STRUCTS: dict[str, tuple[str, ...]] = {
    "gr_api_request": ("id", "type", "payload_len"),
    "gr_api_response": ("for_id", "status", "payload_len"),
    "gr_api_event": ("ev_type", "payload_len"),
    "gr_hello_req": ("api_version", "version"),
    "gr_hello_resp": ("max_ifaces",),
    "gr_event_subscribe_req": ("suppress_self_events", "ev_type"),
    "gr_iface": (
        *("id", "type", "mode", "flags", "state", "mtu", "vrf_id", "domain_id", "speed", "cp_id"),
        *("name", "description"),
    ),
    "gr_iface_set_req": ("set_attrs", "iface"),
    "gr_iface_add_resp": ("iface_id",),
    "gr_iface_del_req": ("iface_id",),
    "gr_iface_get_req": ("iface_id", "name"),
    "gr_iface_list_req": ("type",),
    "gr_iface_info_port": (
        *("n_rxq", "n_txq", "rxq_size", "txq_size", "mac", "devargs", "driver_name"),
    ),
    "gr_iface_info_vrf": (*_under("ipv4", _FIB), *_under("ipv6", _FIB), "mac"),
    "gr_iface_info_bridge": ("ageing_time", "flags", "mac", "n_members", "members"),
    "gr_iface_info_vxlan": (
        *("vni", "encap_vrf_id", "dst_port", "local.af", "local.ipv6", "mac", "flags"),
    ),
    "gr_iface_stats": (
        *("iface_id", "rx_packets", "rx_bytes", "rx_drops", "tx_packets", "tx_bytes", "tx_errors"),
        *("cp_rx_packets", "cp_rx_bytes", "cp_tx_packets", "cp_tx_bytes"),
    ),
    "gr_iface_stats_get_resp": ("n_stats",),
    "gr_stat": ("name", "topo_order", "packets", "batches", "cycles"),
    "gr_stats_get_req": ("flags", "cpu_id", "pattern"),
    "gr_stats_get_resp": ("n_stats",),
    "gr_nexthop": _NEXTHOP,
    "gr_nexthop_info_l3": ("state", "flags", "af", "prefixlen", "ipv6", "mac"),
    "gr_nexthop_info_group": ("n_members",),
    "gr_nexthop_group_member": ("nh_id", "weight"),
    "gr_nh_add_req": ("exist_ok", "nh"),
    "gr_nh_del_req": ("missing_ok", *_under("nh", _NEXTHOP)),
    "gr_nh_list_req": ("vrf_id", "type", "max_count", "include_internal"),
    "gr_nh_config_set_req": (
        *("max_count", "lifetime_reachable_sec", "lifetime_unreachable_sec", "max_held_pkts"),
        *("max_ucast_probes", "max_bcast_probes"),
    ),
    "gr_nh_config_get_resp": (
        *("max_count", "lifetime_reachable_sec", "lifetime_unreachable_sec", "max_held_pkts"),
        *("max_ucast_probes", "max_bcast_probes", "used_count"),
    ),
    "gr_ip4_route_add_req": (
        *("vrf_id", "dest.ip", "dest.prefixlen", "nh", "nh_id", "origin", "exist_ok"),
    ),
    "gr_ip4_route_del_req": ("vrf_id", "dest.ip", "dest.prefixlen", "missing_ok"),
    "gr_ip4_route_get_req": ("vrf_id", "dest"),
    "gr_ip4_route_list_req": ("vrf_id", "max_count"),
    "gr_ip4_route": ("dest.ip", "dest.prefixlen", "vrf_id", "origin", *_under("nh", _NEXTHOP)),
    "gr_ip6_route_add_req": (
        *("vrf_id", "dest.ip", "dest.prefixlen", "nh", "nh_id", "origin", "exist_ok"),
    ),
    "gr_ip6_route_del_req": ("vrf_id", "dest.ip", "dest.prefixlen", "missing_ok"),
    "gr_ip6_route_get_req": ("vrf_id", "dest"),
    "gr_ip6_route_list_req": ("vrf_id", "max_count"),
    "gr_ip6_route": ("dest.ip", "dest.prefixlen", "vrf_id", "origin", *_under("nh", _NEXTHOP)),
    "gr_ip4_ifaddr": ("iface_id", "addr.ip", "addr.prefixlen"),
    "gr_ip6_ifaddr": ("iface_id", "addr.ip", "addr.prefixlen"),
    "gr_ip4_addr_add_req": ("addr", "exist_ok"),
    "gr_ip6_addr_add_req": ("addr", "exist_ok"),
    "gr_ip4_addr_del_req": ("addr", "missing_ok"),
    "gr_ip6_addr_del_req": ("addr", "missing_ok"),
    "gr_ip4_addr_list_req": ("vrf_id", "iface_id"),
    "gr_ip6_addr_list_req": ("vrf_id", "iface_id"),
    "gr_ip6_ra_set_req": ("iface_id", "interval", "lifetime"),
    "gr_ip4_fib_info_list_req": ("vrf_id",),
    "gr_ip6_fib_info_list_req": ("vrf_id",),
    "gr_ip6_fib_default_set_req": ("max_routes",),
    "gr_fib4_info": ("vrf_id", "max_routes", "used_routes", "num_tbl8", "used_tbl8"),
    "gr_fib6_info": ("vrf_id", "max_routes", "used_routes", "num_tbl8", "used_tbl8"),
    "gr_fdb_entry": _FDB,
    "gr_fdb_add_req": ("fdb", "exist_ok"),
    "gr_fdb_del_req": ("bridge_id", "mac", "vlan_id", "missing_ok"),
    "gr_fdb_list_req": ("bridge_id", "iface_id", "flags"),
    "gr_fdb_config_get_resp": ("max_entries", "used_entries"),
    "gr_fdb_config_set_req": ("max_entries",),
    "gr_flood_entry": _FLOOD,
    "gr_flood_add_req": ("entry", "exist_ok"),
    "gr_flood_del_req": ("entry", "missing_ok"),
    "gr_flood_list_req": ("type", "vrf_id"),
}
"""A field that is itself a struct, or a flexible array, only marks a place."""
