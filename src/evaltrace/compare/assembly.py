"""Arms in, a comparison out: every part measured once, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from evaltrace.compare.audit.arms import audit_arms
from evaltrace.compare.collector import collector_paused
from evaltrace.compare.counting import count_trials, to_arms, to_pairs
from evaltrace.compare.effects.effect import finding_of, measure_effect
from evaltrace.compare.effects.groups import measure_groups
from evaltrace.compare.effects.passing import measure_pass_at_k
from evaltrace.compare.effects.sensitivity import judge_sensitivity
from evaltrace.compare.evidence.flips import find_flips, to_task_rows
from evaltrace.compare.notes import describe_method, gather_problems
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.pairing import name_tasks, pair_tasks
from evaltrace.compare.planning.power import plan_power, plan_power_from
from evaltrace.compare.reading.metric import find_metric, to_metric
from evaltrace.compare.reading.paths import Reading, read_path, to_reading
from evaltrace.compare.reading.splitting import is_one_arm, to_side, to_sides
from evaltrace.compare.sides import Pairing, Side
from evaltrace.compare.spending.measurement import measure_spending
from evaltrace.compare.spending.origins import find_cost_origins
from evaltrace.compare.treatment.compliance import judge_compliance
from evaltrace.compare.treatment.tool_use import to_tool_rows
from evaltrace.compare.treatment.treated import Treated, find_treatment
from evaltrace.compare.verdict import Evidence, give_verdict
from evaltrace.comparison import (
    Arms,
    AuditItem,
    Cell,
    Comparison,
    Effect,
    Finding,
    Interval,
    Metric,
    Power,
    Sensitivity,
)
from evaltrace.errors import ArmsUnclear, Problem, UnknownName
from evaltrace.stats.multiplicity import holm
from evaltrace.trace import Tool, Trace
from evaltrace.version import __version__

Named = Sequence[tuple[str | None, str | Path]]
"""Arms as they were named: a label or None, and the path of their traces."""


@collector_paused()
def compare_paths(arms: Named, options: CompareOptions | None = None) -> Comparison:
    """Compare arms: files of traces, jobs, or one of these that holds all arms.

    The first arm is the baseline; each further one is compared with it. Raises UnreadablePath,
    NotATraceFile, NothingFound, ArmsUnclear, UnknownName.
    """
    options = options or CompareOptions()
    problems: list[Problem] = []
    sides = _read_sides(arms, options, problems)
    return _compare(sides, options, problems)


def compare_traces(
    baseline: Iterable[Trace], treatment: Iterable[Trace], options: CompareOptions | None = None
) -> Comparison:
    """Compare two sets of traces that are in memory; raises as compare_paths does."""
    options = options or CompareOptions()
    metric = find_metric(options.metric)
    readings = [
        (label, to_reading(label, list(traces), metric, options))
        for label, traces in (("baseline", baseline), ("treatment", treatment))
    ]
    problems: list[Problem] = []
    sides = _to_arms(readings, options, problems)
    return _compare(sides, options, problems)


@collector_paused()
def audit_paths(
    arms: Named, options: CompareOptions | None = None
) -> tuple[Arms, list[AuditItem], list[Problem]]:
    """Say in what the first two arms differ besides the treatment; raises as compare_paths does."""
    options = options or CompareOptions()
    problems: list[Problem] = []
    baseline, treatment = _two(_read_sides(arms, options, problems))
    metric = _metric_of([baseline, treatment], options)
    treated = _find_treatment([baseline, treatment], treatment, options)
    pairing = pair_tasks(baseline, treatment, options)
    items = audit_arms(baseline, treatment, pairing, treated, metric=metric, options=options)
    return to_arms(baseline, treatment), items, gather_problems(problems, [baseline, treatment])


@collector_paused()
def plan_paths(
    arms: Named, options: CompareOptions | None = None
) -> tuple[Power, Metric, list[Problem]]:
    """Say what a design like this one can show: of one arm, or of two; raises as compare_paths."""
    options = options or CompareOptions()
    problems: list[Problem] = []
    readings = _read(arms, options)
    label, reading = readings[0]
    if len(readings) == 1 and options.arm_by is None and is_one_arm(reading):
        if options.cluster_by is not None:
            hint = "Name a treatment too: how groups differ in the effect, one arm does not tell."
            raise ArmsUnclear("--cluster-by needs two arms", hint=hint)
        sides = [to_side(label, reading, problems)]
        problems += reading.problems
        problems += name_tasks(sides, options)
    else:
        sides = list(_two(_to_arms(readings, options, problems)))
    metric = _metric_of(sides, options)
    if len(sides) == 1:
        found = plan_power_from(sides[0], metric, options)
    else:
        found = plan_power(pair_tasks(sides[0], sides[1], options), metric, options)
    return found, metric, gather_problems(problems, sides)


def _metric_of(sides: Sequence[Side], options: CompareOptions) -> Metric:
    return to_metric(find_metric(options.metric), sides, options.pass_threshold)


def _two(sides: list[Side]) -> tuple[Side, Side]:
    if len(sides) == 2:
        return sides[0], sides[1]
    labels = ", ".join(side.label for side in sides)
    hint = "Name two paths, or split one by a field that has two values (--arm-by FIELD)."
    raise ArmsUnclear(f"{len(sides)} arms, where two are wanted", where=labels, hint=hint)


def _read_sides(arms: Named, options: CompareOptions, problems: list[Problem]) -> list[Side]:
    return _to_arms(_read(arms, options), options, problems)


def _read(arms: Named, options: CompareOptions) -> list[tuple[str | None, Reading]]:
    metric = find_metric(options.metric)
    return [(label, read_path(Path(path), metric, options)) for label, path in arms]


def _to_arms(
    readings: Sequence[tuple[str | None, Reading]],
    options: CompareOptions,
    problems: list[Problem],
) -> list[Side]:
    if not readings:
        raise ArmsUnclear("no path was named", hint="Name a baseline and a treatment.")
    for _, reading in readings:
        problems += reading.problems
    sides = to_sides(readings, options.arm_by, problems)
    problems += name_tasks(sides, options)
    return sides


def _find_treatment(sides: list[Side], treatment: Side, options: CompareOptions) -> Treated:
    try:
        return find_treatment(sides[0], treatment, options.treatment, arms=sides)
    except ValueError as error:
        raise UnknownName(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Duel:
    """A baseline and a treatment, paired, with what differs and by how much."""

    baseline: Side
    treatment: Side
    treated: Treated
    pairing: Pairing
    effect: Effect


@collector_paused()
def _compare(sides: list[Side], options: CompareOptions, problems: list[Problem]) -> Comparison:
    metric = _metric_of(sides, options)
    duels = [_meet(sides, treatment, metric, options) for treatment in sides[1:]]
    effects = [duel.effect for duel in duels]
    if len(effects) > 1:
        _adjust([effect.difference for effect in effects])
    whole, *further = (_compare_two(duel, metric, options, problems) for duel in duels)
    if further:
        whole.further, whole.matrix = further, _to_matrix(sides, effects, metric, options)
    return whole


def _meet(sides: list[Side], treatment: Side, metric: Metric, options: CompareOptions) -> _Duel:
    treated = _find_treatment(sides, treatment, options)
    pairing = pair_tasks(sides[0], treatment, options)
    return _Duel(sides[0], treatment, treated, pairing, measure_effect(pairing, metric, options))


def _adjust(differences: Sequence[Interval]) -> None:
    """Adjust the p of several treatments held against one baseline (Holm 1979)."""
    tested = [difference for difference in differences if difference.p is not None]
    adjusted = holm([difference.p for difference in tested if difference.p is not None])
    for difference, p in zip(tested, adjusted, strict=True):
        difference.p_adjusted = float(p)


def _to_matrix(
    sides: list[Side], effects: Sequence[Effect], metric: Metric, options: CompareOptions
) -> list[Cell]:
    """Hold every arm against every other; those against the first are adjusted already."""
    cells = []
    known = {side.label: effect for side, effect in zip(sides[1:], effects, strict=True)}
    for first, second in combinations(sides, 2):
        if first is sides[0]:
            difference = known[second.label].difference
        else:
            pairing = pair_tasks(first, second, options)
            difference = measure_effect(pairing, metric, options).difference
        found = finding_of(difference, options.alpha, metric.better)
        cells.append(
            Cell(
                baseline=first.label,
                treatment=second.label,
                difference=difference,
                finding=_weakened(found, difference, options),
            )
        )
    return cells


def _finding(
    difference: Interval, sensitivity: Sensitivity, metric: Metric, options: CompareOptions
) -> Finding | None:
    """Decide what may be said, with several treatments and unbounded missing values in mind."""
    found = finding_of(difference, options.alpha, metric.better)
    if options.on_missing == "bounds":
        names = ("worst_case", "best_case")
        bounds = {row.finding for row in sensitivity.analyses if row.name in names} - {None}
        if bounds:
            found = bounds.pop() if len(bounds) == 1 else "no_difference_shown"
    return _weakened(found, difference, options)


def _weakened(
    found: Finding | None, difference: Interval, options: CompareOptions
) -> Finding | None:
    """Let a finding lean only, where it does not hold for as many treatments."""
    if difference.p_adjusted is None or difference.p_adjusted <= options.alpha:
        return found
    weaker: dict[Finding | None, Finding] = {"better": "leaning_better", "worse": "leaning_worse"}
    return weaker.get(found, found)


def _compare_two(
    duel: _Duel, metric: Metric, options: CompareOptions, problems: list[Problem]
) -> Comparison:
    baseline, treatment, treated = duel.baseline, duel.treatment, duel.treated
    pairing, effect = duel.pairing, duel.effect
    sensitivity = judge_sensitivity(pairing, metric, options)
    spending = measure_spending(pairing, options)
    audit = audit_arms(baseline, treatment, pairing, treated, metric=metric, options=options)
    compliance = judge_compliance(baseline, treatment, pairing, treated, options, metric)
    pairs = to_pairs(pairing)
    denominators = count_trials(baseline, treatment, pairing)
    return Comparison(
        tool=Tool(name="evaltrace", version=__version__),
        arms=to_arms(baseline, treatment),
        metric=metric,
        treatment=treated.record,
        verdict=give_verdict(
            Evidence(
                label=treatment.label,
                metric=metric,
                finding=_finding(effect.difference, sensitivity, metric, options),
                bounded=options.on_missing == "bounds",
                effect=effect,
                pairs=pairs,
                denominators=denominators,
                cost=spending.cost,
                audit=audit,
                compliance=compliance,
                sensitivity=sensitivity,
            )
        ),
        denominators=denominators,
        pairs=pairs,
        audit=audit,
        compliance=compliance,
        reward=effect,
        sensitivity=sensitivity,
        flips=find_flips(pairing, treated),
        cost=spending.cost,
        tokens=spending.tokens,
        time=spending.time,
        turns=spending.turns,
        tool_calls=spending.tool_calls,
        per_solved=spending.per_solved,
        cost_origins=find_cost_origins(pairing, spending),
        tools=to_tool_rows(baseline, treatment, treated),
        groups=measure_groups(pairing, metric, options),
        pass_at_k=measure_pass_at_k(pairing, options),
        power=plan_power(pairing, metric, options),
        method=describe_method(options, metric, effect, treated, pairing),
        tasks=to_task_rows(pairing, treated),
        inputs=[*baseline.sources, *treatment.sources],
        problems=gather_problems(problems, [baseline, treatment]),
    )
