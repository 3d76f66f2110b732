"""Totals as metric families of Prometheus: names, types, units and help texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from evaltrace.metrics.labels import Sums
from evaltrace.metrics.totals import STEP_BOUNDS_S, Totals

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_GAUGES = (
    (
        "runs",
        "evaltrace_runs",
        "Runs by what started them and by status.",
        ("intent_type", "status"),
    ),
    ("tokens", "evaltrace_tokens", "Tokens; input excludes the cache.", ("kind", "model")),
    ("cost", "evaltrace_cost_dollars", "Cost in US dollars, where it is known.", ("model",)),
    ("errors", "evaltrace_errors", "Runs that ended in an error, by its cause.", ("cause",)),
    ("events", "evaltrace_events", "Events by type.", ("type",)),
)
"""Field of Totals, name, help and labels of each. Gauges, for all can fall: see docs/metrics.md."""


def to_families(totals: Totals | None) -> Iterator[Metric]:
    """Give the metric families of some totals; of None, only that the store cannot be read."""
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily(
        "evaltrace_up", "Whether the store could be read.", value=float(totals is not None)
    )
    if totals is None:
        return
    for field, name, text, labels in _GAUGES:
        sums: Sums = getattr(totals, field)
        family = GaugeMetricFamily(name, text, labels=labels)
        for values, numbers in sums.items():
            family.add_metric(values, numbers[0])
        yield family
    yield _step_durations(totals.steps)
    for name, text, number in (
        ("evaltrace_running_runs", "Runs in the store that have not ended.", totals.running),
        ("evaltrace_store_size_bytes", "Size of the store on disk.", totals.size_bytes),
    ):
        yield GaugeMetricFamily(name, text, value=number)


def _step_durations(steps: Sums) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "evaltrace_step_duration_seconds",
        "Time that ended steps took, by the agent that did them.",
        labels=("agent_name",),
    )
    bounds = [*(repr(float(bound)) for bound in STEP_BOUNDS_S), "+Inf"]
    for values, (_, seconds, *counts) in steps.items():
        # A bucket counts everything up to its bound.
        buckets = list(zip(bounds, accumulate(counts), strict=True))
        family.add_metric(values, buckets, seconds)
    return family
