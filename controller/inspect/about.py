"""What the datapath says of itself, for Status."""

from __future__ import annotations

import asyncio

from controller.inspect.view import Asked
from datapaths.base import Capabilities, DatapathError, Facts
from dualpath.pb import inspect_pb2 as pb

PATIENCE_S = 2.0  # Status is what one asks when something is wrong


async def about(datapath: Asked) -> pb.DatapathStatus:
    """Ask now; who does not answer is said to be silent."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return _message(await datapath.capabilities(), await datapath.facts())
    except TimeoutError:
        return pb.DatapathStatus(unavailable=f"it says nothing for {PATIENCE_S:.0f} s")
    except DatapathError as error:
        return pb.DatapathStatus(unavailable=str(error))


def _message(said: Capabilities, facts: Facts) -> pb.DatapathStatus:
    message = pb.DatapathStatus(name=said.name, version=said.version)
    for name, value in facts.values:
        message.facts.add(name=name, value=value)
    for fib in facts.fibs:
        message.fibs.add(
            vrf=fib.vrf,
            family=pb.Family.Value("FAMILY_IPV4" if fib.family.width == 4 else "FAMILY_IPV6"),
            used=fib.used,
            limit=fib.limit,
            blocks=fib.blocks,
        )
    for node in facts.nodes:
        message.nodes.add(
            name=node.name, packets=node.packets, batches=node.batches, cycles=node.cycles
        )
    return message
