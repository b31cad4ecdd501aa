"""Names, types and labels of metrics are an interface: docs/METRICS.md lists them."""

from __future__ import annotations

import asyncio
import re
import subprocess
from dataclasses import replace

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from controller.metrics.server import OPENMETRICS
from dualpath.model.view import BgpSession
from tests.architecture import ROOT
from tests.fakes.metrics import exposition, full_view, live_metrics
from tests.promtool import promtool

PAGE = (ROOT / "docs" / "METRICS.md").read_text()
ROW = re.compile(r"^- `(dualpath_\w+)` (gauge|counter|histogram)(?: \{([^}]*)\})?:", re.MULTILINE)
HOSTILE = 'x"\n\\} 1\ndualpath_ready 0'


def parsed(text: str) -> list[Metric]:
    """Return the families of OpenMetrics. Raises ValueError."""
    return list(openmetrics(text))  # type: ignore[no-untyped-call]  # the library's


async def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    listed = {
        name: (type_, tuple(sorted(re.findall(r"`(\w+)`", labels))))
        for name, type_, labels in ROW.findall(PAGE)
    }
    assert await live_metrics() == listed


async def test_openmetrics_are_valid_by_the_strict_parser() -> None:
    families = parsed(await exposition(full_view(), OPENMETRICS))
    assert len(families) > 40


async def test_a_histogram_is_cumulative_and_has_a_sum() -> None:
    text = await exposition(full_view())
    assert 'dualpath_convergence_seconds_bucket{le="1.0"} 4.0' in text
    assert 'dualpath_convergence_seconds_bucket{le="+Inf"} 5.0' in text
    assert "dualpath_convergence_seconds_sum 12.5" in text
    assert 'dualpath_switch_seconds_count{outcome="rolled_back"} 5.0' in text


async def test_text_of_frr_cannot_forge_a_metric() -> None:
    """A peer's name is FRR's text, and FRR speaks to the fabric."""
    view = full_view()
    session = BgpSession(HOSTILE, HOSTILE, 1, HOSTILE, bfd=HOSTILE)
    view.state = replace(view.state, sessions=(session,))
    families = {f.name: f for f in parsed(await exposition(view, OPENMETRICS))}
    assert [sample.value for sample in families["dualpath_ready"].samples] == [1.0]


def test_promtool_accepts_what_a_scrape_gets() -> None:
    try:
        program = promtool()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    text = asyncio.run(exposition(full_view()))
    done = subprocess.run([program, "check", "metrics"], input=text, text=True, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
