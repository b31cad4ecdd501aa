"""DPDK device arguments in a manifest are completed or refused."""

from __future__ import annotations

import pytest

from datapaths.grout.ports.devargs import Meeting, complete, parse
from datapaths.grout.ports.names import device_of, wire_of

MAC = bytes.fromhex("020000000001")


@pytest.mark.parametrize(
    ("text", "meeting", "completed"),
    [
        ("", Meeting.WIRE, "net_tap_eth1,iface=w-eth1,mac=02:00:00:00:00:01"),
        ("net_tap0", Meeting.WIRE, "net_tap0,iface=w-eth1,mac=02:00:00:00:00:01"),
        ("net_tap0,iface=x,mac=fixed", Meeting.WIRE, "net_tap0,iface=x,mac=fixed"),
        ("net_tap0,remote=eth1", Meeting.DEVICE, "net_tap0,iface=w-eth1,remote=n-eth1"),
        ("net_af_xdp0,iface=eth1", Meeting.DEVICE, "net_af_xdp0,iface=n-eth1"),
        (
            "net_af_packet0,framecnt=64",
            Meeting.DEVICE,
            "net_af_packet0,iface=n-eth1,framesz=1792,blocksz=28672,framecnt=64",
        ),
        ("0000:05:00.0", Meeting.NONE, "0000:05:00.0"),
        ("0000:05:00.0,representor=0", Meeting.NONE, "0000:05:00.0,representor=0"),
    ],
)
def test_devargs_get_defaults_for_omitted_parameters(
    text: str, meeting: Meeting, completed: str
) -> None:
    devargs = parse(text)
    assert devargs.meeting is meeting
    assert str(complete(devargs, "eth1", MAC)) == completed


@pytest.mark.parametrize("text", ["net_tap0,iface", "net_tap0, iface=x", "net_tap0,=x", "a,,b=c"])
def test_devargs_that_dpdk_would_misread_are_refused(text: str) -> None:
    with pytest.raises(OSError, match="want DEVICE"):
        parse(text)


def test_devargs_longer_than_grouts_field_are_refused() -> None:
    with pytest.raises(OSError, match="longer than 127"):
        complete(parse("net_tap0,iface=" + "x" * 120), "eth1", MAC)


def test_device_names_fit_ifnamsiz_and_are_unique() -> None:
    long = ("pe-tenant-10000", "pe-tenant-10001")
    names = {name(port) for port in (*long, "eth1") for name in (device_of, wire_of)}
    assert len(names) == 6
    assert all(len(name) <= 15 for name in names)
