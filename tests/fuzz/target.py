"""What a fuzz target is: something that reads bytes of others, and what it may answer."""

import random
from collections.abc import Sequence
from typing import ClassVar

from tests.fuzz.mutate import mutated


class Target:
    """Feeds one socket or decoder. Whatever `execute` raises is a finding."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.corpus: Sequence[bytes] = ()

    async def start(self) -> None:
        """Make what is fed, and the corpus."""

    async def stop(self) -> None:
        """End it. Raises when it is not whole any more: a finding too."""

    def input(self, source: random.Random) -> bytes:
        """Return one input."""
        return mutated(source, source.choice(self.corpus), self.corpus)

    async def execute(self, data: bytes) -> str:
        """Feed an input; return how it was taken, in a word."""
        raise NotImplementedError
