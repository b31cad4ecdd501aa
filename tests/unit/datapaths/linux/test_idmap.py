"""The user ids of FRR's users outside their user namespace."""

from __future__ import annotations

import pytest

from datapaths.linux import idmap


@pytest.mark.parametrize(
    "kept",
    [set[int](), {0}, {1}, {987}, {101, 103}, {65535}, {70000}, {1, 2, 65534, 65535}],
)
def test_root_maps_to_an_unprivileged_uid_and_ids_are_unique(kept: set[int]) -> None:
    text = idmap.lines(kept)
    assert idmap.outside(text, 0) == idmap.FIRST
    everybody: dict[int, int] = {}
    for line in text.splitlines():
        inside, outside, count = map(int, line.split())
        everybody |= zip(
            range(inside, inside + count), range(outside, outside + count), strict=True
        )
    assert sorted(everybody) == list(range(idmap.COUNT))
    assert len(set(everybody.values())) == idmap.COUNT
    own = {number for number, outside in everybody.items() if number == outside}
    assert own == {number for number in kept if 0 < number < idmap.COUNT}
    assert idmap.outside(text, idmap.COUNT) is None
    assert len(text.splitlines()) < 340  # the kernel's limit, user_namespaces(7)


def test_map_lines_have_the_kernels_format() -> None:
    assert idmap.lines({987}) == "0 2130706432 987\n987 987 1\n988 2130707420 64548\n"


def test_unknown_user_frr_maps_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idmap, "USER", "no-such-user")
    monkeypatch.setattr(idmap, "GROUPS", ("no-such-group",))
    assert (idmap.frr_users(), idmap.frr_groups()) == (set(), set())
    monkeypatch.setattr(idmap, "USER", "daemon")
    monkeypatch.setattr(idmap, "GROUPS", ("adm", "daemon"))
    assert idmap.frr_users() == {1}
    assert idmap.frr_groups() == {1, 4}
