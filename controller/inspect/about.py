"""The datapath's capabilities and facts, for Status."""

from __future__ import annotations

import asyncio

from controller.inspect.view import QueriedDatapath
from datapaths.base import Capabilities, DatapathError, Facts
from dualpath.pb import inspect_pb2 as pb

PATIENCE_S = 2.0  # people ask for Status when something is wrong: answer soon


async def about(datapath: QueriedDatapath) -> pb.DatapathStatus:
    """Ask the datapath now; return why it is unavailable if it does not answer."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return _message(await datapath.capabilities(), await datapath.facts())
    except TimeoutError:
        return pb.DatapathStatus(unavailable=f"no answer for {PATIENCE_S:.0f} s")
    except DatapathError as error:
        return pb.DatapathStatus(unavailable=str(error))


def _message(capabilities: Capabilities, facts: Facts) -> pb.DatapathStatus:
    message = pb.DatapathStatus(name=capabilities.name, version=capabilities.version)
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
