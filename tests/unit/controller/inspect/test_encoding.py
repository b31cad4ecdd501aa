from __future__ import annotations

from controller.inspect.encoding import Encoded, Rows, encoded_time
from dualpath.pb import inspect_pb2 as pb

AT = 1_700_000_000.25


def test_pieces_make_the_rows_that_fields_make() -> None:
    long = "x" * 20_000  # its length takes three bytes
    prefixes = ["10.0.0.0/8", long, "", "2001:db8::/32"]
    desired = [pb.Nexthop(id=1, gateway="192.0.2.1"), None, pb.Nexthop(), pb.Nexthop(device=long)]
    message = Rows(pb.ListRoutesResponse, "prefix", "desired", "changed_at").message(
        ["red", "blue", "red", "red"],
        (
            [prefix.encode() for prefix in prefixes],
            [one.SerializeToString() if one else b"" for one in desired],
            [encoded_time(AT)] * 4,
        ),
        lambda vrf: pb.Route(vrf=vrf, state=pb.ROW_STATE_STALE),
    )
    rows = [
        pb.Route(vrf=vrf, state=pb.ROW_STATE_STALE, prefix=prefix, desired=one)
        for vrf, prefix, one in zip(["red", "blue", "red", "red"], prefixes, desired, strict=True)
    ]
    for row in rows:
        row.changed_at.FromMilliseconds(int(AT * 1000))
    rows[2].ClearField("desired")  # an empty message is as none
    assert list(message.routes) == rows


def test_a_message_is_encoded_once() -> None:
    made: list[int] = []

    def make(number: int) -> pb.Nexthop | None:
        made.append(number)
        return pb.Nexthop(id=number) if number else None

    encoded = Encoded(make)
    assert [encoded[n] for n in (0, 5, 0, 5)] == [b"", b"\x08\x05"] * 2
    assert made == [0, 5]


def test_no_time_is_empty() -> None:
    assert encoded_time(0.0) == b""
