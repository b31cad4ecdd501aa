"""Damages bytes, as hostile or broken peers would. Pure."""

import random
from collections.abc import Sequence

INTERESTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 28, 30, 127, 128, 254, 255)


def mutated(source: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    """Return bytes with up to eight places damaged; one of ten is left as it is."""
    damaged = bytearray(data)
    for _ in range(source.choice((0, 1, 1, 1, 2, 2, 4, 4, 8, 8))):
        damage(source, damaged, corpus)
    return bytes(damaged)


def damage(source: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = source.randrange(len(data) + 1)
    match source.randrange(8):
        case 0 if at < len(data):
            data[at] = source.choice(INTERESTING)
        case 1 if at < len(data):
            data[at] ^= 1 << source.randrange(8)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + source.randrange(1, 9)]
        case 4:
            data[at:at] = source.randbytes(source.randrange(1, 9))
        case 5:
            data += source.choice(corpus)
        case 6:
            other = source.choice(corpus)
            start = source.randrange(len(other) + 1)
            data[at:at] = other[start : start + source.randrange(1, 64)]
        case _:  # a length: of a message or of an attribute, most often on a word
            data[at & ~3 : (at & ~3) + 2] = source.randrange(1 << 16).to_bytes(2, "little")
