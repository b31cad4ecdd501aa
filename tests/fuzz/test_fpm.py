"""A short run of the fuzzer as a unit test; the long one is `python -m tests.fuzz.fpm`."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.fpm import ALLOWED_KIB, run


def test_mutated_sessions_raise_decode_errors_only_and_leak_no_memory() -> None:
    # In a process of its own: what other tests left would count as its memory.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        report = pool.submit(run, 10_000, seed=7).result()
    assert report.messages >= 10_000
    assert min(report.routes, report.others, report.decode_errors, report.framing_errors) > 0
    assert report.grown_kib < ALLOWED_KIB
