"""`dualpath conformance` against a datapath in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest

from datapaths.remote.wire import request_to_pb
from dualpath.model.links import Vrf
from dualpath.pb import datapath_pb2 as pb
from dualpath.pb import datapath_pb2_grpc as pb_grpc
from tests.fakes.batches import upsert
from tests.unit.controller.cli.conftest import run


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    listen = f"unix:{tmp_path_factory.mktemp('served')}/d.sock"
    command = [sys.executable, "-m", "datapaths.remote.serve", "--datapath=memory"]
    with subprocess.Popen([*command, f"--listen={listen}"], stderr=subprocess.PIPE) as server:
        with grpc.insecure_channel(listen) as channel:
            grpc.channel_ready_future(channel).result(20)
        yield listen
        server.terminate()


def test_output_has_a_line_per_check_and_the_sum(address: str) -> None:
    result = run("conformance", address, "--only", "stream")
    assert result.code == 0
    *lines, total = result.out.splitlines()
    assert total == "4 passed, 0 failed, 1 skipped"
    assert "passed  stream  ports and facts can be read" in lines
    (skipped,) = [line for line in lines if line.startswith("skipped")]
    assert "beside the datapath" in skipped


def test_json_output_has_every_check(address: str) -> None:
    result = run("conformance", address, "--only", "routes.an_empty", "-o", "json")
    answer = json.loads(result.out)
    assert (answer["passed"], answer["failed"], answer["skipped"]) == (1, 0, 0)
    assert answer["checks"][0]["name"] == "routes.an_empty_batch_succeeds"


def test_conformance_run_cleans_up_and_spares_objects_in_use(address: str) -> None:
    assert run("conformance", address, "--only", "records.dump").code == 0
    with grpc.insecure_channel(address) as channel:
        stub = pb_grpc.DatapathStub(channel)  # type: ignore[no-untyped-call]  # generated
        for kind in range(1, 10):
            assert not [b for m in stub.Dump(pb.DumpRequest(kind=kind)) for b in m.records.upserts]
        batch = upsert(Vrf("precious", 10))
        stub.Apply(request_to_pb(batch))
        result = run("conformance", address)
        assert (result.code, result.out) == (1, "")
        assert "holds 1 VRF: the checks need an empty datapath" in result.err
        gone = request_to_pb(batch)
        gone.records.withdrawals.extend(gone.records.upserts)
        del gone.records.upserts[:]
        assert not stub.Apply(gone).failures


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("unix:/nowhere.sock",), 1, "no server answers at unix:/nowhere.sock"),
        (("192.0.2.1:5000",), 2, "is not on this host"),
        (("nonsense",), 2, "neither unix:/PATH nor"),
    ],
)
def test_unreachable_server_is_reported_in_one_sentence(
    arguments: tuple[str, ...], code: int, why: str
) -> None:
    result = run("conformance", *arguments)
    assert (result.code, result.out) == (code, "")
    assert why in result.err


def test_unknown_check_is_refused(address: str) -> None:
    result = run("conformance", address, "--only", "magic")
    assert result.code == 2
    assert "no check has 'magic'" in result.err
