"""The metric: which number of a trace is compared, and what kind of number it is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from evaltrace.compare.reading.fields import LARGEST, is_field, number_at, number_fields
from evaltrace.compare.sides import Side
from evaltrace.comparison import Metric
from evaltrace.errors import UnknownName
from evaltrace.trace import Trace

_SMALLER_IS_BETTER = ("metrics.", "agent_response.", "bottlenecks", "tests.summary.failed")
_COUNTS_FAILURES = re.compile(r"(^|_)(n_)?(failed|failures|errors|regressions)($|_)")
_UNITS = (("usd", "usd"), ("_s", "s"), ("_ms", "ms"), ("tokens.", "tokens"))


@dataclass(frozen=True, slots=True)
class MetricField:
    """Where the metric lies: `rewards` is its key there, else `path` leads to it."""

    name: str
    path: str
    rewards: str | None

    def read(self, trace: Trace) -> float | None:
        """Read the metric of a trace; None where it has none, or one beyond all measure."""
        if self.rewards is None:
            return number_at(trace, self.path)
        value = (trace.rewards or {}).get(self.rewards)
        return value if value is not None and abs(value) <= LARGEST else None

    @property
    def is_reward(self) -> bool:
        """Whether the verifier gave it."""
        return self.rewards is not None or self.path == "test_reward"

    @property
    def says_passed(self) -> bool:
        """Whether a trial passes by this metric; a count of failures leaves that to the reward."""
        return self.is_reward and not self.smaller_is_better

    @property
    def smaller_is_better(self) -> bool:
        """Whether less of it is better, by its name."""
        if self.rewards is not None:
            return bool(_COUNTS_FAILURES.search(self.rewards.lower()))
        return self.path.startswith(_SMALLER_IS_BETTER)


def find_metric(name: str) -> MetricField:
    """Find a metric by name: `reward`, a field of the trace, or else a reward's key."""
    if name in ("reward", "test_reward"):
        return MetricField("reward", "test_reward", None)
    key = name.removeprefix("rewards.")
    if key == name and "." in name and is_field(name):
        return MetricField(name, name, None)
    return MetricField(key, f"rewards.{key}", key)


def to_metric(field: MetricField, sides: Sequence[Side], threshold: float) -> Metric:
    """Describe the metric by the values seen; UnknownName when no trial has it."""
    trials = [trial for side in sides for trial in side.trials]
    # Only what counts says which values there are: an error's reward must change nothing.
    known = {trial.value for trial in trials if trial.value is not None}
    if not known and all(trial.recorded is None for trial in trials):
        _check_known(field, [trial.trace for trial in trials])
    return Metric(
        name=field.name,
        field=field.path,
        kind=_kind(known) if field.says_passed else "number",
        better="lower" if field.smaller_is_better else "higher",
        pass_threshold=threshold,
        unit=_unit(field),
    )


def can_fail(metric: Metric) -> bool:
    """Tell whether 0 of a metric is a failure: it is a reward, and more of it is better."""
    is_reward = metric.field == "test_reward" or metric.field.startswith("rewards.")
    return is_reward and metric.better == "higher"


def _kind(values: set[float]) -> Literal["binary", "fraction", "number"]:
    if values <= {0.0, 1.0}:
        return "binary"
    return "fraction" if min(values) >= 0 and max(values) <= 1 else "number"


def _unit(field: MetricField) -> str | None:
    if field.is_reward:
        return "reward"
    return next((unit for part, unit in _UNITS if part in field.path), None)


def _check_known(field: MetricField, traces: Iterable[Trace]) -> None:
    """Refuse a name that no trace has; a reward that is merely missing everywhere is data."""
    if field.path == "test_reward" or field.path in number_fields():
        return
    keys = sorted({key for trace in traces for key in trace.rewards or ()})
    near = difflib.get_close_matches(field.name, [*keys, *number_fields()], n=3, cutoff=0.5)
    names = near or list(dict.fromkeys(["reward", *keys]))[:8]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(names)}."
    raise UnknownName("no trial has this metric", where=field.name, hint=hint)
