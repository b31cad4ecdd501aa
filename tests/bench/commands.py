"""CPU time until a command runs, and routes per second into a pipe, beside a bare interpreter.

Run as `python -m tests.bench.commands [--routes N]`; figures are the best of several runs. The
server is a stand-in that sends the same prepared messages, so that only the command is measured.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import Process
from pathlib import Path
from typing import Any

import grpc

from dualpath.pb import inspect_pb2 as pb
from dualpath.pb import inspect_pb2_grpc as pb_grpc

RUNS = 7
ROWS = 512  # in a message, as the controller sends them
STARTS = (
    ["--help"],
    ["--version"],
    ["__complete", "st"],
    ["__complete", "validate", "--node"],
    ["status"],  # without a daemon
)


def cpu_s(command: list[str]) -> float:
    """Return the least user and system time of several runs."""
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, took)
    return best


class Server(pb_grpc.InspectServicer):
    def __init__(self, routes: int) -> None:
        self._messages = [message(at) for at in range(0, routes, ROWS)]

    def ListRoutes(self, request: Any, context: Any) -> Iterator[pb.ListRoutesResponse]:  # noqa: ANN401
        yield from self._messages


def message(first: int) -> pb.ListRoutesResponse:
    """Return a message with ROWS routes, over one of a hundred nexthops each."""
    found = pb.ListRoutesResponse()
    for number in range(first, first + ROWS):
        via = pb.Nexthop(
            id=number % 100 + 1, gateway=f"192.0.2.{number % 100}", vni=100, vtep="192.0.2.1"
        )
        found.routes.add(
            vrf="red",
            family="FAMILY_IPV4",
            prefix=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32",
            protocol="bgp",
            desired=via,
            programmed=via,
            state="ROW_STATE_PROGRAMMED",
            session=2,
        ).changed_at.GetCurrentTime()
    return found


def serve(listen: str, routes: int) -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_InspectServicer_to_server(Server(routes), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(listen)
    server.start()
    server.wait_for_termination()


@contextmanager
def served(routes: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        listen = f"unix:{directory}/inspect.sock"
        process = Process(target=serve, args=(listen, routes))
        process.start()
        while not Path(directory, "inspect.sock").exists():
            time.sleep(0.1)
        try:
            yield listen
        finally:
            process.terminate()
            process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", type=int, default=1_000_000)
    routes = parser.parse_args().routes
    bare = cpu_s([sys.executable, "-c", "pass"])
    print(f"{'a bare interpreter':<36}{bare:6.3f} s of CPU")
    dualpath = [sys.executable, "-m", "controller.cli"]
    for words in STARTS:
        took = cpu_s(
            [*dualpath, "--connect", "unix:/none.sock", *words]
            if words[0] != "__complete"
            else [*dualpath, *words]
        )
        print(f"dualpath {' '.join(words):<27}{took:6.3f} s of CPU, {took / bare:4.1f} x")
    with served(routes) as listen:
        for form in ("table", "wide", "json"):
            began = time.monotonic()
            command = [*dualpath, "--connect", listen, "routes", "-o", form]
            subprocess.run(command, stdout=subprocess.PIPE, check=True)
            took = time.monotonic() - began
            print(f"dualpath routes -o {form:<17}{routes / took:10,.0f} routes/s into a pipe")


if __name__ == "__main__":
    main()
