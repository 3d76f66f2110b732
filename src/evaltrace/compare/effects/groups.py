"""Groups: the effect among the tasks of one kind, where several kinds are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.compare.effects.differences import to_differences
from evaltrace.compare.effects.effect import paired_interval
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.fields import GROUPS
from evaltrace.compare.sides import Pair, Pairing
from evaltrace.comparison import Group, GroupRow, Interval, Metric
from evaltrace.stats.multiplicity import benjamini_hochberg, holm

LEAD = 0.1
"""Share of false ones to be expected among the rows called leads."""

_FEWEST_PAIRS = 2


def measure_groups(pairing: Pairing, metric: Metric, options: CompareOptions) -> list[Group]:
    """Measure the effect among the tasks of each value, for every field the pairs have one of.

    The p are adjusted over the rows of one field: Holm for deciding, Benjamini-Hochberg for
    exploring. A row with a single pair has an estimate alone.
    """
    present = {field for pair in pairing.pairs for field in pair.groups}
    asked = [field for field in options.group_by or GROUPS if field in present]
    fields = dict.fromkeys((*asked, *sorted(present)))
    return [_measure_group(field, pairing.pairs, metric, options) for field in fields]


def _measure_group(
    field: str, pairs: Sequence[Pair], metric: Metric, options: CompareOptions
) -> Group:
    members: dict[str, list[Pair]] = {}
    for pair in pairs:
        if field in pair.groups:
            members.setdefault(pair.groups[field], []).append(pair)
    found = {value: _measure(members[value], metric, options) for value in sorted(members)}
    tested = [(value, row.p) for value, row in found.items() if row.p is not None]
    strict = dict(zip([value for value, _ in tested], holm([p for _, p in tested]), strict=True))
    loose = dict(
        zip(strict, benjamini_hochberg([p for _, p in tested]), strict=True),
    )
    return Group(
        field=field,
        rows=[
            GroupRow(
                value=value,
                difference=difference,
                p_holm=strict.get(value),
                p_bh=loose.get(value),
                lead=value in loose and loose[value] <= LEAD,
            )
            for value, difference in found.items()
        ],
        ungrouped=len(pairs) - sum(map(len, members.values())),
    )


def _measure(pairs: Sequence[Pair], metric: Metric, options: CompareOptions) -> Interval:
    found = to_differences(pairs, options)
    if len(pairs) < _FEWEST_PAIRS:
        return Interval(estimate=found.values[0], n=1, note="one pair: no interval")
    return paired_interval(found.values, found.attempts, metric.kind, options, found.clusters)
