"""tc filters of the clsact ingress hook, to and from rtnetlink bytes: flower and u32 with mirred.

A filter's class id is a fingerprint of all its options: so a dump shows whether a filter is the
wanted one, without decoding it. Both classifiers dump the class id, and clsact does not use it.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final

from datapaths.linux.wire.matches import (
    ETH_P_802_2,
    ETH_P_ALL,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    ETH_P_JUMBO,
    Action,
    Rule,
    flower_keys,
    u32_selector,
)
from dualpath.netlink.message import (
    Message,
    attribute,
    request,
    u32,
)
from dualpath.netlink.numbers import (
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    RTM_DELTFILTER,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
)

# linux/rtnetlink.h struct tcmsg: family, ifindex, handle, parent, info
TCMSG: Final = struct.Struct("=BxxxiIII")


TC_H_CLSACT, CLSACT_HANDLE, CLSACT_INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2  # pkt_sched.h
# linux/pkt_cls.h: continue with the next filter; go on to the stack; consumed
TC_ACT_UNSPEC, TC_ACT_OK, TC_ACT_STOLEN = -1, 0, 4
TCA_EGRESS_REDIR, TCA_EGRESS_MIRROR = 1, 2  # linux/tc_act/tc_mirred.h
TCA_KIND, TCA_OPTIONS = 1, 2

# linux/pkt_cls.h
TCA_FLOWER_CLASSID, TCA_FLOWER_ACT = 1, 3
TCA_U32_CLASSID, TCA_U32_ACT = 1, 7
CLASSIDS = {"flower": TCA_FLOWER_CLASSID, "u32": TCA_U32_CLASSID}

_MIRRED: Final = struct.Struct("=IIiiiiI")  # struct tc_mirred: tc_gen, eaction, ifindex

# Outside the priorities that people choose and that the kernel assigns. All filters of one priority
# have one classifier and one ethertype.
TWIN_PRIORITIES = range(31000, 31100)
WIRE_PRIORITIES = range(31200, 31300)  # to and from a DPDK port
_LEVELS = {
    ETH_P_ARP: 1,
    ETH_P_802_2: 2,
    ETH_P_IP: 3,
    ETH_P_IPV6: 4,
    ETH_P_ALL: 5,
    ETH_P_JUMBO: 6,
}


class Classifier(Enum):
    """flower, or u32 where the kernel lacks it; u32 cannot match behind IP options."""

    FLOWER = "flower"
    U32 = "u32"


@dataclass(frozen=True, slots=True)
class Filter:
    """An existing or wanted filter on a device's ingress."""

    classifier: str
    priority: int
    ethertype: int
    handle: int  # 0: the kernel chooses
    fingerprint: int


def compile_rule(
    classifier: Classifier, rule: Rule, target: int, priorities: range = TWIN_PRIORITIES
) -> tuple[Filter, bytes]:
    """Return a filter that sends the rule's frames to the device `target`, and its options."""
    flower = classifier is Classifier.FLOWER
    keys = flower_keys(rule) if flower else u32_selector(rule)
    action = TCA_FLOWER_ACT if flower else TCA_U32_ACT
    # A filter without an action accepts the frame (tcf_exts_exec in net/pkt_cls.h): LEAVE.
    acts = b"" if rule.action is Action.LEAVE else _mirred(rule.action, target)
    options = keys + (attribute(action | NLA_F_NESTED, acts) if acts else b"")
    fingerprint = _digest(f"{classifier.value}{rule.ethertype}".encode() + options)
    filter_ = Filter(
        classifier.value,
        _priority(classifier, rule.ethertype, priorities),
        rule.ethertype,
        # Derived from the keys: flower rejects a second filter with equal keys, but replaces the
        # filter of the same handle in place.
        _digest(keys) & 0x7FFFFFFF if flower else 0,
        fingerprint,
    )
    return filter_, options + u32(CLASSIDS[classifier.value], fingerprint)


def for_all_frames(priorities: range) -> list[Filter]:
    """Return what names, to `remove`, every filter for all frames, of either classifier."""
    return [
        Filter(classifier.value, _priority(classifier, ETH_P_ALL, priorities), ETH_P_ALL, 0, 0)
        for classifier in Classifier
    ]


def _priority(classifier: Classifier, ethertype: int, priorities: range) -> int:
    above = 0 if classifier is Classifier.FLOWER else 50
    return priorities.start + above + _LEVELS[ethertype]


def clsact(index: int) -> bytes:
    """Return the request for a clsact qdisc on a device. EEXIST means that it exists."""
    body = TCMSG.pack(0, index, CLSACT_HANDLE, TC_H_CLSACT, 0) + attribute(TCA_KIND, b"clsact\0")
    return request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)


def add(index: int, filter_: Filter, options: bytes) -> bytes:
    """Return the request for a filter; it replaces one of the same handle."""
    flags = NLM_F_CREATE
    return request(RTM_NEWTFILTER, flags, _head(index, filter_) + _options(options))


def remove(index: int, filter_: Filter) -> bytes:
    return request(RTM_DELTFILTER, 0, _head(index, filter_))


def dump(index: int) -> bytes:
    return request(RTM_GETTFILTER, NLM_F_DUMP, TCMSG.pack(0, index, 0, CLSACT_INGRESS, 0))


def decode(message: Message, priorities: range = TWIN_PRIORITIES) -> Filter | None:
    """Decode one filter of a dump; None if it is not ours, or is a hash table of u32."""
    if message.type != RTM_NEWTFILTER:
        return None
    _, _, handle, _, info = message.fixed(TCMSG)
    found = message.attributes(TCMSG)
    classifier = found.text(TCA_KIND)
    priority, ethertype = info >> 16, _swapped(info & 0xFFFF)
    if priority not in priorities or classifier not in CLASSIDS or not handle:
        return None
    options = found.nested(TCA_OPTIONS)
    if CLASSIDS[classifier] not in options:
        return None
    return Filter(classifier, priority, ethertype, handle, options.u32(CLASSIDS[classifier]))


def _head(index: int, filter_: Filter) -> bytes:
    info = filter_.priority << 16 | _swapped(filter_.ethertype)
    head = TCMSG.pack(0, index, filter_.handle, CLSACT_INGRESS, info)
    return head + attribute(TCA_KIND, filter_.classifier.encode() + b"\0")


def _options(options: bytes) -> bytes:
    return attribute(TCA_OPTIONS | NLA_F_NESTED, options)


def _mirred(action: Action, target: int) -> bytes:
    kind, verdict = {
        Action.COPY: (TCA_EGRESS_MIRROR, TC_ACT_UNSPEC),
        Action.SHARE: (TCA_EGRESS_MIRROR, TC_ACT_OK),
        Action.REDIRECT: (TCA_EGRESS_REDIR, TC_ACT_STOLEN),
    }[action]
    parameters = attribute(2, _MIRRED.pack(0, 0, verdict, 0, 0, kind, target))  # TCA_MIRRED_PARMS
    options = attribute(2 | NLA_F_NESTED, parameters)  # TCA_ACT_OPTIONS
    return attribute(1 | NLA_F_NESTED, attribute(1, b"mirred\0") + options)  # the first action


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2s(data, digest_size=4).digest()) or 1


def _swapped(value: int) -> int:
    """Convert an ethertype to or from tcm_info's lower half, which is in network order."""
    swapped: int = struct.unpack("=H", struct.pack("!H", value))[0]
    return swapped
