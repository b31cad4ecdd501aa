"""The durations of convergence and switches, as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from dualpath.model.view import Histogram, Timing


def metrics_of(timing: Timing) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "dualpath_behind_seconds",
        "How long the datapath has not been what FRR and the intent want; 0: it is.",
        timing.behind_s,
    )
    convergence = HistogramMetricFamily(
        "dualpath_convergence_seconds",
        "Time from a change until nothing but retries was left to do.",
        labels=[],
    )
    _add(convergence, [], timing.convergence)
    yield convergence
    switch = HistogramMetricFamily(
        "dualpath_switch_seconds",
        "Time from the start of a switch of the datapath to its outcome.",
        labels=["outcome"],
    )
    for outcome, histogram in timing.switches:
        _add(switch, [outcome], histogram)
    yield switch


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    bounds = [*(str(bound) for bound in histogram.bounds_s), "+Inf"]
    buckets = list(zip(bounds, histogram.counts, strict=True))
    family.add_metric(labels, buckets, histogram.total_s)
