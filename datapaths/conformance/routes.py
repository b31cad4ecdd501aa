"""Checks of routes."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from dataclasses import replace

import numpy as np

from datapaths.base import Feature, Found, LooksUp
from datapaths.conformance.batches import batch, upsert, withdraw
from datapaths.conformance.checks import Case, Chapter, needs
from datapaths.conformance.subject import Subject
from datapaths.conformance.verdict import Violation, expect, expect_none
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import (
    BLACKHOLE,
    DROP_TYPES,
    PROHIBIT,
    UNREACHABLE,
    Member,
    Nexthop,
    NexthopType,
)
from dualpath.model.routes import Family, Op, RouteBatch

GATEWAY6 = bytes.fromhex("fd00" + "00" * 13 + "02")
V4 = {"0.0.0.0/0": 1, "20.0.0.0/8": 2, "20.1.2.0/24": 3, "20.1.2.3/32": 1, "20.3.0.0/16": 2}
V6 = {"::/0": 61, "2001:db8::/32": 61, "2001:db8::1/128": 61}
MANY = 20_000

FEATURES = {
    61: Feature.GATEWAY6_FOR_V4,
    62: Feature.DEVICE_NEXTHOP,
    UNREACHABLE: Feature.UNREACHABLE,
    PROHIBIT: Feature.PROHIBIT,
}
"""The features that a nexthop of an IPv4 route needs."""
FEATURES6 = {identity: feature for identity, feature in FEATURES.items() if identity != 61}
NAMES = {BLACKHOLE: "blackhole", UNREACHABLE: "unreachable", PROHIBIT: "prohibit"}


async def make_nexthops(subject: Subject) -> None:
    weight = 1 if subject.lacks(Feature.WEIGHTS) else 7
    found = [
        Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), subject.device),
        Nexthop(2, NexthopType.GATEWAY, bytes([10, 0, 0, 3]), subject.device),
        Nexthop(3, NexthopType.GROUP, members=(Member(1, 1), Member(2, weight))),
        Nexthop(61, NexthopType.GATEWAY, GATEWAY6, subject.device),
    ]
    if not subject.lacks(Feature.DEVICE_NEXTHOP):
        found.append(Nexthop(62, NexthopType.DEVICE, device=subject.device))
    expect_none(await subject.datapath.apply(upsert(*found)), "nexthops that must succeed")


chapter = Chapter("routes", needs(Kind.NEXTHOP, Kind.ROUTE), make_nexthops)
check = chapter.check


async def apply(subject: Subject, *rows: str) -> list[tuple[int, int]]:
    failures = await subject.datapath.apply(batch(*rows, vrf=subject.vrf))
    return [(row.index, row.errno) for row in failures]


async def make(subject: Subject, *rows: str) -> None:
    expect_none(await apply(subject, *rows), "rows that must succeed")


async def expect_dump(subject: Subject, wanted: dict[str, int]) -> None:
    expect(await subject.routes(), wanted, "dump(ROUTE)")


def added(rows: dict[str, int]) -> list[str]:
    return [f"+ {prefix} {identity}" for prefix, identity in rows.items()]


def many(subject: Subject, count: int, identity: int, op: Op = Op.UPSERT) -> RouteBatch:
    prefixes = (0x1E000000 + np.arange(count) * 256).astype(">u4").view(np.uint8).reshape(-1, 4)
    return RouteBatch(
        subject.vrf,
        Family.INET,
        np.full(count, op, np.uint8),
        prefixes,
        np.full(count, 24, np.uint8),
        np.full(count, 186 if op is Op.UPSERT else 0, np.uint8),
        np.full(count, identity, np.uint32),
    )


def set_case(name: str, rows: dict[str, int], features: dict[int, Feature]) -> Case:
    asked = {features[identity] for identity in rows.values() if identity in features}
    return Case(name, (rows,), needs(*asked))


def drops(*prefixes: str) -> dict[int, dict[str, int]]:
    return {
        identity: dict.fromkeys([prefix], identity)
        for identity, prefix in zip((BLACKHOLE, UNREACHABLE, PROHIBIT), prefixes, strict=True)
    }


SETS = [
    set_case("v4", V4, FEATURES),
    set_case("v6", V6, FEATURES6),
    set_case("v4 by v6", {"20.4.0.0/16": 61, "20.1.2.4/32": 61}, FEATURES),
    set_case("device", {"20.3.0.0/16": 62}, FEATURES),
    set_case("device6", {"2001:db8:3::/48": 62}, FEATURES6),
    *(
        set_case(NAMES[identity], rows, FEATURES)
        for identity, rows in drops("21.1.0.0/16", "21.2.0.0/16", "21.3.0.0/16").items()
    ),
    *(
        set_case(f"{NAMES[identity]}6", rows, FEATURES6)
        for identity, rows in drops("2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:4::/48").items()
    ),
]


@check(cases=SETS)
async def dump_returns_everything_applied(subject: Subject, rows: dict[str, int]) -> None:
    for _ in range(2):
        await make(subject, *added(rows))
        await expect_dump(subject, rows)


@check()
async def a_withdrawal_removes_only_its_prefix(subject: Subject) -> None:
    await make(subject, *added(V4))
    await make(subject, *added(V6))
    for _ in range(2):
        await make(subject, "- 20.1.2.0/24", "- 99.0.0.0/8")
        await make(subject, "- ::/0")
    rest = {**V4, **V6}
    del rest["20.1.2.0/24"], rest["::/0"]
    await expect_dump(subject, rest)


LAST_WINS: list[tuple[str, tuple[str, ...], dict[str, int], tuple[Feature, ...]]] = [
    ("twice", ("+ 20.0.0.0/8 1", "+ 20.0.0.0/8 2"), {"20.0.0.0/8": 2}, ()),
    ("delete then add", ("- 20.0.0.0/8", "+ 20.0.0.0/8 2"), {"20.0.0.0/8": 2}, ()),
    ("add then delete", ("+ 20.0.0.0/8 1", "- 20.0.0.0/8"), {}, ()),
    ("drop then not", (f"+ 20.0.0.0/8 {BLACKHOLE}", "+ 20.0.0.0/8 1"), {"20.0.0.0/8": 1}, ()),
    (
        "not then drop",
        ("+ 20.0.0.0/8 1", f"+ 20.0.0.0/8 {PROHIBIT}"),
        {"20.0.0.0/8": PROHIBIT},
        (Feature.PROHIBIT,),
    ),
    (
        "thrice",
        ("+ 20.0.0.0/8 1", "- 20.0.0.0/8", "+ 20.0.0.0/8 3"),
        {"20.0.0.0/8": 3},
        (),
    ),
]


@check(
    cases=[
        Case(f"{name}, {among}", (rows, left, padding), needs(*asked))
        for name, rows, left, asked in LAST_WINS
        for among, padding in (("alone", 0), ("among many", 50))
    ]
)
async def the_last_row_for_a_prefix_wins(
    subject: Subject, rows: tuple[str, ...], left: dict[str, int], padding: int
) -> None:
    others = {f"22.{i}.0.0/16": 1 for i in range(padding)}
    await make(subject, *added(others), *rows)
    await expect_dump(subject, others | left)


def changes(before: list[int], after: list[int], features: dict[int, Feature]) -> list[Case]:
    return [
        Case(
            f"{NAMES.get(one, one)} to {NAMES.get(other, other)}",
            (one, other),
            needs(*(features[identity] for identity in (one, other) if identity in features)),
        )
        for one in before
        for other in after
    ]


@check(cases=changes([1, 3, BLACKHOLE, UNREACHABLE], [2, 3, BLACKHOLE, PROHIBIT], FEATURES))
async def a_route_changes_into_any_other(subject: Subject, before: int, after: int) -> None:
    await make(subject, f"+ 20.0.0.0/8 {before}")
    await make(subject, f"+ 20.0.0.0/8 {after}")
    await expect_dump(subject, {"20.0.0.0/8": after})


@check(cases=changes([61, UNREACHABLE], [62, BLACKHOLE], FEATURES6))
async def an_ipv6_route_changes_into_any_other(subject: Subject, before: int, after: int) -> None:
    await make(subject, f"+ 2001:db8::/32 {before}")
    await make(subject, f"+ 2001:db8::/32 {after}")
    await expect_dump(subject, {"2001:db8::/32": after})


@check()
async def two_concurrent_batches_are_both_applied(subject: Subject) -> None:
    whole = many(subject, MANY, 1)
    halves = [whole.take(slice(start, None, 2)) for start in (0, 1)]
    for identity in (1, 2):
        wanted = [
            replace(half, nexthops=np.full(len(half), identity, np.uint32)) for half in halves
        ]
        for failures in await asyncio.gather(*map(subject.datapath.apply, wanted)):
            expect_none(failures, "rows that must succeed")
        found = await subject.routes()
        expect((len(found), set(found.values())), (MANY, {identity}), "dump(ROUTE)")


@check()
async def a_failed_row_stops_no_other_row(subject: Subject) -> None:
    failed = await apply(subject, "+ 20.1.0.0/16 1", "+ 20.2.0.0/16 999", "+ 20.3.0.0/16 2")
    expect(failed, [(1, errno.EINVAL)], "rows that failed")
    await expect_dump(subject, {"20.1.0.0/16": 1, "20.3.0.0/16": 2})


@check()
async def failures_keep_their_index_in_large_and_mixed_batches(subject: Subject) -> None:
    routes = many(subject, MANY, 1)
    bad = [0, 1, 4_368, 4_369, 10_000, 19_999]
    routes.nexthops[bad] = 999
    routes.nexthops[5::7] = BLACKHOLE
    routes.ops[3::11] = Op.WITHDRAW
    refused = sorted(i for i in bad if i % 7 != 5 and i % 11 != 3)
    failures = await subject.datapath.apply(routes)
    expect(sorted(row.index for row in failures), refused, "rows that failed")
    expect({row.errno for row in failures}, {errno.EINVAL}, "why they failed")
    upserts = int((routes.ops == Op.UPSERT).sum())
    expect(len(await subject.routes()), upserts - len(refused), "routes that dump(ROUTE) has")


@check()
async def every_row_of_a_large_batch_may_fail(subject: Subject) -> None:
    failures = await subject.datapath.apply(many(subject, MANY, 999))
    expect([row.index for row in failures] == list(range(MANY)), True, "every row failed, in order")
    gone = await subject.datapath.apply(many(subject, MANY, 0, Op.WITHDRAW))
    expect_none(gone, "withdrawals of absent routes")


@check()
async def a_missing_vrf_fails_its_upserts(subject: Subject) -> None:
    routes = batch("+ 20.0.0.0/8 1", "- 20.1.0.0/16", "+ 20.2.0.0/16 1", vrf="nowhere")
    failures = await subject.datapath.apply(routes)
    failed = [(row.index, row.errno) for row in failures]
    expect(failed, [(0, errno.ENODEV), (2, errno.ENODEV)], "rows that failed")
    if "nowhere" not in failures[0].reason:
        raise Violation(f"the reason does not name the VRF: {failures[0].reason!r}")


@check(needs(environment=True), [Case("v4", ("20.0.0.0/8", 1)), Case("v6", ("2001:db8::/32", 61))])
async def foreign_routes_are_neither_dumped_nor_changed(
    subject: Subject, prefix: str, identity: int
) -> None:
    assert subject.environment
    subject.environment.add_foreign(prefix)
    await expect_dump(subject, {})
    await make(subject, f"- {prefix}")
    if subject.lacks(Feature.SHARED_PREFIX):
        rows = batch(f"+ {prefix} {identity}", vrf=subject.vrf)
        failures = await subject.datapath.apply(rows)
        expect([row.errno for row in failures], [errno.EEXIST], "rows that failed")
        await expect_dump(subject, {})
    else:
        await make(subject, f"+ {prefix} {identity}")
        await expect_dump(subject, {prefix: identity})
    await make(subject, f"- {prefix}")
    expect(subject.environment.has_foreign(prefix), True, "another program's route remains")


@check()
async def a_new_process_finds_everything_installed(subject: Subject) -> None:
    await make(subject, *added(V4))
    await make(subject, *added(V6))
    await subject.reopen()
    await expect_dump(subject, {**V4, **V6})


@check()
async def routes_are_removed_with_their_nexthop(subject: Subject) -> None:
    await make(subject, "+ 20.0.0.0/8 1", "+ 21.0.0.0/8 2")
    first = Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), subject.device)
    expect_none(await subject.datapath.apply(withdraw(first)), "a withdrawal that must succeed")
    await expect_dump(subject, {"21.0.0.0/8": 2})
    expect_none(await subject.datapath.apply(upsert(first)), "a nexthop that comes back")


LOOKUPS = {
    "v4": (V4, "20.1.2.3", "20.1.2.3/32"),
    "v4 network": (V4, "20.1.2.9", "20.1.2.0/24"),
    "v4 default": (V4, "99.0.0.1", "0.0.0.0/0"),
    "v6": (V6, "2001:db8::1", "2001:db8::1/128"),
    "v6 network": (V6, "2001:db8::2", "2001:db8::/32"),
    "v6 default": (V6, "3001::1", "::/0"),
}


async def look_up(subject: Subject, address: str, vrf: str) -> Found | None:
    assert isinstance(subject.datapath, LooksUp)
    return await subject.datapath.look_up(vrf, ipaddress.ip_address(address).packed)


@check(needs(looks_up=True), [Case(name, asked) for name, asked in LOOKUPS.items()])
async def a_lookup_finds_the_longest_match(
    subject: Subject, rows: dict[str, int], address: str, prefix: str
) -> None:
    await make(subject, *added(rows))
    found = await look_up(subject, address, subject.vrf)
    if not found or not found.nexthop:
        raise Violation(f"a lookup of {address} finds no nexthop")
    expect(found.nexthop.id, rows[prefix], "the nexthop that a lookup finds")
    if found.prefix:  # the nexthop may be unknown
        text = f"{ipaddress.ip_address(found.prefix)}/{found.length}"
        expect(text, prefix, "the prefix that a lookup finds")


@check(needs(looks_up=True))
async def a_lookup_follows_a_group_to_its_members(subject: Subject) -> None:
    await make(subject, "+ 20.0.0.0/8 3")
    found = await look_up(subject, "20.1.1.1", subject.vrf)
    ways = sorted(way.nexthop.id for way in found.ways) if found else []
    expect(ways, [1, 2], "nexthops of the ways that a lookup finds")


@check(needs(looks_up=True), [Case("v4", ("99.0.0.1",)), Case("v6", ("3001::1",))])
async def a_lookup_without_a_route_finds_nothing(subject: Subject, address: str) -> None:
    """A VRF may end with a drop route of the datapath itself, which keeps packets in the VRF."""
    await make(subject, "+ 20.0.0.0/8 1")
    for vrf in (subject.vrf, "nowhere"):
        found = await look_up(subject, address, vrf)
        if found and not (found.nexthop and found.nexthop.type in DROP_TYPES):
            raise Violation(f"a lookup of {address} in {vrf} must find nothing, but got {found}")


@check()
async def an_empty_batch_succeeds(subject: Subject) -> None:
    await make(subject)
