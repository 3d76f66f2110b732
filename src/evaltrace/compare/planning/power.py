"""Power: what a design like this one could show, and which design would do."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.compare.effects.differences import (
    Differences,
    mean_attempts,
    to_differences,
    usable_clusters,
)
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.planning.needs import (
    FEWEST_PLANNED,
    Design,
    Values,
    describe_needs,
    find_needs,
)
from evaltrace.compare.sides import Pairing, Side, Trial
from evaltrace.compare.wording import amount, counted, percent
from evaltrace.comparison import Metric, Need, Noise, Power
from evaltrace.stats.planning import (
    ATTEMPTS_SHARE,
    Parts,
    assume_parts,
    parts_of_one_arm,
    smallest_margin,
    smallest_visible,
    variance_parts,
    visible_difference,
    within_tasks,
)
from evaltrace.stats.published import clustered_errors


def plan_power(
    pairing: Pairing, metric: Metric, options: CompareOptions, power: float = 0.8
) -> Power:
    """Say what these pairs could have shown, and how many tasks or attempts would show less.

    The smallest visible difference and margin are in closed form, or drawn for a few tasks;
    needs are by simulation from the pass rates and the noise seen, or by the t interval for
    quantities without limits. Fewer than 5 tasks or 10 groups are no ground to plan on.
    """
    baseline, treatment = _values(pairing)
    found = to_differences(pairing.pairs, options)
    seen = variance_parts(baseline, treatment)
    attempts = mean_attempts(found.attempts)
    limited = _attempts_of(metric, attempts)
    effect, groups = _grouping(found)
    visible = smallest_visible(
        found.values, limited,
        alpha=options.alpha, power=power, design_effect=effect, groups=groups,
    )  # fmt: skip
    margin = smallest_margin(
        found.values, limited,
        alpha=options.alpha, power=power, design_effect=effect, groups=groups,
    )  # fmt: skip
    design = Design(
        baseline, attempts, assume_parts(seen, attempts), _assumption(seen),
        visible, margin, effect, groups,
    )  # fmt: skip
    return _to_power(design, metric, options, power)


def plan_power_from(
    baseline: Side, metric: Metric, options: CompareOptions, power: float = 0.8
) -> Power:
    """Say what a comparison with this baseline could show, before any treatment ran.

    The treatment is taken to be as noisy as the baseline, with as many tasks and attempts, and
    its effect to vary between tasks by the usual share of the noise.
    """
    tasks: dict[str, list[float]] = {}
    for trial in baseline.trials:
        if trial.value is not None:
            tasks.setdefault(trial.task, []).append(trial.value)
    values = [tasks[name] for name in sorted(tasks)]
    attempts = mean_attempts([len(row) for row in values])
    parts = Parts(None, None, None, None)
    if metric.kind != "number" or within_tasks(values) is not None:
        parts = parts_of_one_arm(values)
    visible = None
    if parts.total is not None:
        visible = visible_difference(
            parts.total, len(values), _attempts_of(metric, attempts),
            alpha=options.alpha, power=power,
        )  # fmt: skip
    assumed = (
        "no treatment ran: its attempts are taken to be as noisy as the baseline's, and its "
        "effect to differ between tasks by the usual share of the noise"
    )
    design = Design(values, attempts, parts, assumed, visible, None)
    return _to_power(design, metric, options, power)


def find_smallest_visible(
    pairing: Pairing, metric: Metric, options: CompareOptions
) -> float | None:
    """Find the smallest difference that these pairs would have shown with 80 % power."""
    found = to_differences(pairing.pairs, options)
    effect, groups = _grouping(found)
    return smallest_visible(
        found.values,
        _attempts_of(metric, mean_attempts(found.attempts)),
        alpha=options.alpha,
        design_effect=effect,
        groups=groups,
    )


def _grouping(found: Differences) -> tuple[float, int | None]:
    """Give the design effect of groups, 1 at least, and their number; None without groups."""
    clusters, _ = usable_clusters(found.clusters)
    if clusters is None:
        return 1.0, None
    alone = clusters.count(None)
    return max(1.0, design_effect(found) or 1.0), alone + len(set(clusters) - {None})


def design_effect(found: Differences) -> float | None:
    """Give the squared ratio of the clustered to the plain standard error, where clustered."""
    clusters, _ = usable_clusters(found.clusters)
    if clusters is None:
        return None
    errors = clustered_errors(found.values, clusters)
    return (errors.cr1 / errors.plain) ** 2 if errors.plain > 0 else None


def _attempts_of(metric: Metric, attempts: float) -> float | None:
    """Give the attempts where values have limits; None where they have none."""
    return None if metric.kind == "number" else attempts


def _values(pairing: Pairing) -> tuple[Values, Values]:
    def of(trials: Sequence[Trial]) -> list[float]:
        return [trial.value for trial in trials if trial.value is not None]

    return (
        [of(pair.valid_baseline) for pair in pairing.pairs],
        [of(pair.valid_treatment) for pair in pairing.pairs],
    )


def _assumption(seen: Parts) -> str | None:
    """Say which part of the noise the data do not tell."""
    known = [value for value in (seen.within_a, seen.within_b) if value is not None]
    if len(known) == 2:
        return None
    if known:
        return "an arm has no repeated attempts: it is taken to be as noisy as the other"
    return (
        f"no task was repeated: {percent(ATTEMPTS_SHARE)} of the variance of single attempts is "
        "put down to the attempts, as is usual"
    )


def _to_power(design: Design, metric: Metric, options: CompareOptions, power: float) -> Power:
    tasks, parts = len(design.baseline), design.parts
    needs = find_needs(design, metric, options, power)
    noise = None
    if parts.total is not None and not design.has_few_groups:
        noise = Noise(
            between_tasks=parts.between,
            baseline_attempts=parts.within_a,
            treatment_attempts=parts.within_b,
            difference=parts.total,
            assumed=design.assumed,
        )
    return Power(
        tasks=tasks,
        attempts=design.attempts if tasks else 0.0,
        power=power,
        smallest_visible=design.visible,
        smallest_margin=design.margin,
        noise=noise,
        needs=needs,
        statement=_statement(design, needs, metric, power),
    )


def _statement(design: Design, needs: Sequence[Need], metric: Metric, power: float) -> str:
    tasks = len(design.baseline)
    if not tasks:
        return "No task has a value that counts: there is nothing to plan from."
    plural = "" if design.attempts == 1 else "s"
    attempts = f"{design.attempts:.3g}" if design.attempts < 100 else f"{design.attempts:,.0f}"
    present = f"{counted(tasks, 'task')} x {attempts} attempt{plural}"
    if design.has_few_groups:
        told = f"{present} are in {design.groups} groups"
        return f"{told}: too few groups to say what could have been shown."
    if design.visible is None and not needs:
        wanting = " or how many would do" if tasks < FEWEST_PLANNED else ""
        return f"{present} are too few to say what could be shown{wanting}."
    shown = (
        "no difference would be"
        if design.visible is None
        else f"a difference of {amount(design.visible, metric)} or more would be"
    )
    told = f"With {present}, {shown} shown in {percent(power)} of comparisons."
    if tasks < FEWEST_PLANNED:
        told += " They are too few to say how many would do."
    assumed = [] if design.assumed is None else [f"Assumed: {design.assumed}."]
    return " ".join([told, *describe_needs(needs, metric), *assumed])
