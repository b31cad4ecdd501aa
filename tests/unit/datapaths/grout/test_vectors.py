"""Recordings of a real grout, each with its expected meaning beside it.

`UPDATE_VECTORS=1 pytest` rewrites the expectations; review the difference like code. `record` makes
the recordings.
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest

from datapaths.grout.wire.frames import Framer, request
from datapaths.grout.wire.table import DecodeError, api, versions
from tests.unit.datapaths.grout.render import decoder_of, render

VECTORS = sorted((Path(__file__).parents[3] / "vectors" / "grout").glob("*.hex"))
MUTATIONS = 20


def messages(path: Path) -> list[tuple[str, bytes]]:
    lines = (line.split(" ") for line in path.read_text().splitlines())
    return [(name, bytes.fromhex(text)) for name, text in lines]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_recording_decodes_as_expected(path: Path) -> None:
    table = next(api(v) for v in versions() if api(v).release == path.stem)
    text = "".join(render(table, name, payload) + "\n" for name, payload in messages(path))
    expected = path.with_suffix(".txt")
    if os.environ.get("UPDATE_VECTORS"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_every_version_has_a_recording() -> None:
    assert {api(version).release for version in versions()} == {path.stem for path in VECTORS}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_any_input_is_decoded_or_a_decode_error(path: Path) -> None:
    chance = random.Random(7)
    table = api(versions()[0])
    for name, payload in messages(path):
        for _ in range(MUTATIONS):
            changed = bytearray(payload[: chance.randrange(len(payload) + 1)])
            for _ in range(min(3, len(changed))):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            with contextlib.suppress(DecodeError):
                decoder_of(name)(table, bytes(changed))


def test_random_stream_is_an_error_or_incomplete() -> None:
    chance = random.Random(7)
    for _ in range(300):
        framer = Framer()
        framer.feed(chance.randbytes(chance.randrange(400)))
        try:
            while framer.run():
                pass
            framer.event()
        except DecodeError:
            pass


@pytest.mark.parametrize("cut", range(41))
def test_frames_do_not_depend_on_where_the_stream_is_cut(cut: int) -> None:
    stream = request(7, 0, b"") + request(7, 2, b"abcd") + request(8, 0, b"")
    framer, found = Framer(), []
    for part in (stream[:cut], stream[cut:]):
        framer.feed(part)
        while run := framer.run():
            rows = zip(run.ids.tolist(), run.errnos.tolist(), run.payloads, strict=True)
            found += [(id_, errno, row.tobytes()) for id_, errno, row in rows]
    assert found == [(7, 0, b""), (7, 2, b"abcd"), (8, 0, b"")]
