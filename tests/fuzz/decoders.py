"""Targets without a socket: what reads netlink, the bus, grout, manifests, vty answers, files."""

import gzip
import io
import json
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from controller.core.clock import SystemClock
from controller.core.state import State
from controller.intent import layout
from controller.intent.documents import ManifestError, read
from controller.intent.loader import merge
from controller.intent.node import NodeOverrides
from datapaths.grout.wire.frames import Framer
from datapaths.grout.wire.table import DecodeError as GroutError
from datapaths.grout.wire.table import api, versions
from dualpath.bus.wire import (
    VERSION,
    BusError,
    decode_from_bridge,
    decode_from_controller,
    encode_from_bridge,
)
from dualpath.netlink.message import DecodeError
from dualpath.pb import bus_pb2
from frr_bridge import convergence, report
from frr_bridge.bridge import Bridge
from frr_bridge.recording.pcapng import Feed, RecordingError
from frr_bridge.recording.pcapng import read as read_recording
from frr_bridge.recording.player import Player
from frr_bridge.rows import decode_rows
from frr_bridge.session import State as SessionState
from frr_bridge.session import reached
from frr_bridge.vty import parse
from frr_bridge.wire.columns import decode
from frr_bridge.wire.fpm import FpmFramer, FramingError
from tests.architecture import ROOT
from tests.fakes.zebra import MemoryBus
from tests.fuzz.fpm import recorded
from tests.fuzz.messages import filled
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.unit.datapaths.grout.render import decoder_of
from tests.unit.frr_bridge.wire.build import DictHandles

VECTORS = ROOT / "tests" / "vectors"
_LIFE = 400  # inputs that one bridge gets, so that they meet what earlier ones left


def recordings() -> Iterator[bytes]:
    for path in sorted((VECTORS / "recordings").glob("*.pcapng.gz")):
        yield gzip.decompress(path.read_bytes())


def a_bridge() -> Bridge:
    """Return a bridge that obeys FRR."""
    bridge = Bridge(MemoryBus(1 << 30), bgpd_died=lambda: False, answer=lambda _: None)
    for happened in reached(SessionState.LIVE):
        bridge.step(happened)
    return bridge


class Fpm(Target):
    """zebra's stream: framing, both decoders, and the bridge behind them."""

    name = "fpm"

    async def start(self) -> None:
        self.corpus = recorded()
        self._bridge, self._left = a_bridge(), _LIFE

    async def execute(self, data: bytes) -> str:
        self._left -= 1
        if not self._left:
            self._bridge, self._left = a_bridge(), _LIFE
        try:
            frames = FpmFramer().feed(data)
        except FramingError:
            return "bad frame"
        decoded = decode(frames.buffer, frames.offsets, DictHandles())
        self._bridge.receive_frames(frames)
        self._bridge.flush()
        return "bad message" if decoded.errors else "taken"


class Netlink(Target):
    """Notifications and dumps of FRR's namespace, and the bridge behind them."""

    name = "netlink"

    async def start(self) -> None:
        entries = (entry for data in recordings() for entry in read_recording(io.BytesIO(data)))
        self.corpus = [entry.data for entry in entries if entry.feed is Feed.NETLINK]
        self._bridge, self._left = a_bridge(), _LIFE

    async def execute(self, data: bytes) -> str:
        self._left -= 1
        if not self._left:
            self._bridge.end_dump()
            self._bridge, self._left = a_bridge(), _LIFE
            self._bridge.begin_dump()
        found = 0
        try:
            for row in decode_rows(data):
                found += 1
                self._bridge.receive_netlink(row)
        except DecodeError:
            return "bad message"
        finally:
            self._bridge.flush()
            self._bridge.collect()
        return "taken" if found else "ignored"


class Bus(Target):
    """Both directions of the bus, and the controller's state behind one of them."""

    name = "bus"

    async def start(self) -> None:
        source = random.Random(1)
        corpus: list[bytes] = []
        for _ in range(200):
            ours = filled(source, bus_pb2.BridgeMessage)
            ours.version = VERSION  # type: ignore[attr-defined]  # a field of this class
            corpus += [
                ours.SerializeToString(),
                filled(source, bus_pb2.ControllerMessage).SerializeToString(),
            ]
        self.corpus = corpus
        self._state, self._left = self._new_state(), _LIFE

    async def execute(self, data: bytes) -> str:
        self._left -= 1
        if not self._left:
            self._state, self._left = self._new_state(), _LIFE
        taken = "refused"
        try:
            decode_from_controller(data)
            taken = "taken"
        except BusError:
            pass
        try:
            _, _, event = decode_from_bridge(data)
        except BusError:
            return taken
        self._state.learn(event)
        return "taken"

    @staticmethod
    def _new_state() -> State:
        state = State(SystemClock(), lambda: None, lambda _: None, lambda _: None)
        state.subscribed(same_bridge=True)
        return state


class Grout(Target):
    """grout's answers and events: each message's decoder, and the framing."""

    name = "grout"

    async def start(self) -> None:
        self._api = api(versions()[0])
        self._messages: list[tuple[str, bytes]] = []
        for path in sorted((VECTORS / "grout").glob("*.hex")):
            lines = (line.split(" ") for line in path.read_text().splitlines())
            self._messages += [(name, bytes.fromhex(text)) for name, text in lines]
        self.corpus = [payload for _, payload in self._messages]

    def input(self, source: random.Random) -> bytes:
        name, payload = source.choice(self._messages)
        return name.encode() + b" " + mutated(source, payload, self.corpus)

    async def execute(self, data: bytes) -> str:
        name, _, payload = data.partition(b" ")
        framer = Framer()
        try:
            framer.feed(payload)
            while framer.run():
                pass
            framer.event()
        except GroutError:
            pass
        try:
            decoder_of(name.decode())(self._api, payload)
        except GroutError:
            return "refused"
        return "taken"


class Manifests(Target):
    """Files of manifests, from text to devices and settings of FRR."""

    name = "manifests"

    async def start(self) -> None:
        files = [*(ROOT / "examples").glob("*.yaml"), *(VECTORS / "openperouter").rglob("*.yaml")]
        self.corpus = [path.read_bytes() for path in sorted(files) if path.stat().st_size < 20_000]

    async def execute(self, data: bytes) -> str:
        overrides = NodeOverrides(index=1)
        try:
            found = merge(read(data.decode(errors="replace"), "fuzz.yaml"), overrides)
        except ManifestError:
            return "refused"
        intent = layout.compile(found, found.node, 1500)
        return "taken" if all(status.ready for status in intent.statuses) else "in part"


class VtyAnswers(Target):
    """What zebra and bgpd print, after JSON: the report and the questions about convergence."""

    name = "vty"

    async def start(self) -> None:
        peer = {
            "bgpState": "Established", "remoteAs": 65000, "bgpTimerUpMsec": 100000,
            "gracefulRestartInfo": {"endOfRibRecv": {"ipv4Unicast": True}},
            "addressFamilyInfo": {"l2VpnEvpn": {"acceptedPrefixCounter": 4}},
            "lastResetDueTo": "Peer closed the session",
        }  # fmt: skip
        answers: Sequence[Any] = (
            {"default": {"vrfId": 0, "vrfName": "default", "192.168.1.0": peer}},
            {"red": {"vrfName": "red", "10.0.0.1": {**peer, "bgpState": "Active"}}},
            {
                "100": {"vni": 100, "type": "L3", "inKernel": "True", "tenantVrf": "red"},
                "numL2Vnis": 1,
            },
            {"vrfs": [{"vrf": "red", "vni": 100, "vxlanIntf": "vx100", "state": "Up"}]},
        )
        text = b"router bgp 65001 vrf red\n bgp graceful-restart select-defer-time 240\n"
        self.corpus = [*(json.dumps(answer).encode() for answer in answers), text]
        self._answers = answers

    def input(self, source: random.Random) -> bytes:
        if source.randrange(3) == 0:
            return super().input(source)
        return json.dumps(_changed(source, source.choice(self._answers))).encode()

    async def execute(self, data: bytes) -> str:
        text = data.decode(errors="replace")
        convergence.defer_times(text)
        try:
            value = parse(text)
        except (ValueError, RecursionError):
            return "refused"
        encode_from_bridge(report.report(value, value, value, 1.0), epoch=1, sequence=1)
        convergence.waits_for(value, known={"default/192.168.1.0"}, bgpd_age_s=1.0)
        convergence.waits_for(value, known=(), bgpd_age_s=1e6)
        convergence.older_than(value, 5.0)
        convergence.deferred(value, text, bgpd_age_s=1.0)
        convergence.missing_vnis(value, {100})
        convergence.established(value)
        return "taken"


_WRONG: tuple[Any, ...] = (
    *(None, {}, [], "", 0, -1, "x", [None], {"x": 1}, True),
    *(
        2**70,
        10**400,
        1e308,
        float("inf"),
        float("nan"),
        "\ud800",
        "\0",
        {"9" * 5000: {}},
        {"²": {}},
    ),
)


def _changed(source: random.Random, value: Any) -> Any:  # noqa: ANN401  JSON
    """Return JSON with some of its values replaced by others."""
    if source.randrange(8) == 0:
        return source.choice(_WRONG)
    if isinstance(value, dict):
        return {key: _changed(source, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_changed(source, inner) for inner in value]
    return value


def _begin(recording: bytes, most: int) -> bytes:
    """Return the blocks of a recording that fit into `most` bytes."""
    end = 0
    while end + (size := int.from_bytes(recording[end + 4 : end + 8], sys.byteorder)) <= most:
        end += size
    return recording[:end]


class Recording(Target):
    """A recording in a bug report: the reader, and the player behind it."""

    name = "recording"

    async def start(self) -> None:
        self.corpus = [_begin(data, most) for data in recordings() for most in (1 << 10, 8 << 10)]

    async def execute(self, data: bytes) -> str:
        player = Player(MemoryBus(1 << 30))
        try:
            for _ in player.play(read_recording(io.BytesIO(data))):
                pass
        except RecordingError:
            return "refused"
        return "taken"
