"""Comparisons for the tests of reports: counts are derived from one table, intervals are given.

`sample_comparison` has everything, `poor_comparison` next to nothing, `hostile_comparison` has
the worst of texts wherever a text may stand, `three_arms` a second treatment. The intervals
were computed from the table by the formulas that the records name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace as copied

from evaltrace import comparison as c
from evaltrace.errors import Problem
from evaltrace.trace import Tool

# Task, category, difficulty; outcomes of the attempts in both arms (1 pass, 0 fail, s sandbox
# failed, p model provider failed, c cancelled, u no reward, - never started); calls of the
# treatment's tool; mean cost of an attempt in both arms.
TABLE = """
archive-duplicate-rows     archive easy   111 111 342 0.21 0.27
archive-empty-header       archive easy   111 111 230 0.18 0.22
archive-merge-streams      archive hard   000 111 654 0.64 0.71
archive-resume-offset      archive medium 010 111 443 0.42 0.49
billing-proration          billing hard   000 11s 78- 0.71 0.98
billing-refund-rounding    billing medium 110 111 224 0.33 0.41
billing-tax-tables         billing medium 111 111 322 0.37 0.50
billing-webhook-order      billing hard   000 000 957 0.88 1.52
cache-eviction-race        cache   hard   111 001 201 0.55 0.83
cache-key-collision        cache   medium 101 110 332 0.36 0.55
cache-ttl-jitter           cache   easy   111 111 101 0.16 0.19
config-env-override        config  easy   111 111 211 0.19 0.24
config-schema-upgrade      config  medium 001 111 545 0.44 0.52
config-secret-rotation     config  medium 100 110 333 0.41 0.55
export-csv-quoting         export  easy   111 11u 121 0.23 0.31
export-parquet-nulls       export  medium p11 111 343 0.39 0.47
export-stream-backpressure export  hard   000 000 866 0.92 1.47
parser-deep-nesting        parser  hard   100 110 435 0.58 0.84
parser-error-recovery      parser  hard   001 011 566 0.61 0.88
parser-unicode-escapes     parser  medium 110 101 222 0.35 0.47
queue-dead-letter          queue   medium 1c1 111 343 0.40 0.52
queue-priority-inversion   queue   hard   000 000 767 0.83 1.18
queue-visibility-timeout   queue   medium 010 011 455 0.47 0.61
search-rank-ties           search  medium 110 111 454 0.38 0.46
search-stemmer-cache       search  hard   s00 s10 -76 0.69 0.97
search-synonym-cycle       search  hard   001 --- --- 0.74 -
"""
STATUSES = {"1": "pass", "0": "fail", "s": "error", "p": "error", "c": "cancelled", "u": "error"}
ERRORS = {"s": "sandbox_failed", "p": "model_provider_failed", "c": "cancelled"}
PLUS_TWO = "plus-two t interval"
SIGN_FLIP = "exact sign-flip test, mid-p"
SUBSETS = "random-subset interval over tasks"
GEOMETRIC = "paired t interval of the logarithms"
WILSON = "Wilson interval at the effective number of tasks"


def interval(estimate: float, low: float | None, high: float | None, **rest: Any) -> c.Interval:
    return c.Interval(**{"estimate": estimate, "low": low, "high": high, "n": 25} | rest)


def difference(estimate: float, low: float, high: float, p: float, **rest: Any) -> c.Interval:
    return interval(estimate, low, high, p=p, method=PLUS_TWO, test=SIGN_FLIP, **rest)


# --- tasks, pairs and trials, counted from the table


def _attempts(task: str, outcomes: str, calls: str, cost: str, arm: str) -> Iterator[c.Attempt]:
    for number, outcome in enumerate(outcomes, 1):
        if outcome == "-":
            continue
        used = {
            "baseline": 0,
            "mcp": int(calls[number - 1]) if calls[number - 1] in "0123456789" else 0,
        }
        never_ran = outcome == "s"
        yield c.Attempt(
            trace_id=f"{task}__{arm[0]}{number}-0f{number}c{len(task):02}a7",
            task_id=f"{task}__{arm[0]}{number}",
            status=STATUSES[outcome],
            value=float(outcome) if outcome in "01" else None,
            error=ERRORS.get(outcome),
            cost_usd=None if never_ran else float(cost),
            tool_calls=None if never_ran else 14 + 3 * number + len(task) % 7,
            treatment_calls=None if never_ran else used[arm],
        )


def _mean(attempts: list[c.Attempt]) -> float | None:
    values = [attempt.value for attempt in attempts if attempt.value is not None]
    return sum(values) / len(values) if values else None


def _task(line: str) -> c.TaskRow:
    task, category, difficulty, before, after, calls, cost_before, cost_after = line.split()
    baseline = list(_attempts(task, before, calls, cost_before, "baseline"))
    treatment = list(_attempts(task, after, calls, cost_after, "mcp"))
    means = _mean(baseline), _mean(treatment)
    return c.TaskRow(
        task=task,
        baseline=baseline,
        treatment=treatment,
        baseline_mean=means[0],
        treatment_mean=means[1],
        difference=None if means[0] is None or means[1] is None else means[1] - means[0],
        baseline_cost=float(cost_before),
        treatment_cost=None if cost_after == "-" else float(cost_after),
        groups={"category": category, "difficulty": difficulty},
    )


def task_rows() -> list[c.TaskRow]:
    return [_task(line) for line in TABLE.strip().splitlines()]


def _denominators(side: list[list[c.Attempt]], paired: list[bool], planned: int) -> c.Denominators:
    trials = [attempt for attempts in side for attempt in attempts]
    causes = [t.error for t in trials if t.error and t.error != "cancelled"]
    cancelled = sum(t.error == "cancelled" for t in trials)
    valid = [sum(t.value is not None for t in attempts) for attempts in side]
    return c.Denominators(
        planned=planned,
        started=len(trials),
        finished=len(trials),
        errored=len(causes),
        errored_by_cause={cause: causes.count(cause) for cause in sorted(set(causes))},
        cancelled=cancelled,
        unscored=len(trials) - sum(valid) - len(causes) - cancelled,
        valid=sum(valid),
        in_pairs=sum(number for number, kept in zip(valid, paired, strict=True) if kept),
        tasks=sum(bool(attempts) for attempts in side),
        valid_tasks=sum(bool(number) for number in valid),
    )


def _outcomes(both: list[tuple[bool, bool]]) -> c.Outcomes:
    return c.Outcomes(
        n=len(both),
        both=both.count((True, True)),
        only_baseline=both.count((True, False)),
        only_treatment=both.count((False, True)),
        neither=both.count((False, False)),
    )


def _valid(attempts: list[c.Attempt]) -> list[bool]:
    return [attempt.value == 1 for attempt in attempts if attempt.value is not None]


def _outcome_tables(rows: list[c.TaskRow]) -> c.OutcomeTables:
    each = [(_valid(row.baseline), _valid(row.treatment)) for row in rows]
    return c.OutcomeTables(
        by_attempt=_outcomes(
            [
                (a.value == 1, b.value == 1)
                for row in rows
                for a, b in zip(row.baseline, row.treatment, strict=False)
                if a.value is not None and b.value is not None
            ]
        ),
        by_task_any=_outcomes([(any(a), any(b)) for a, b in each]),
        by_task_all=_outcomes([(all(a), all(b)) for a, b in each]),
    )


def _pairs(rows: list[c.TaskRow]) -> c.Pairs:
    paired = [row for row in rows if row.difference is not None]
    alone = [row.task for row in rows if row.treatment_mean is None]
    moved = [row.difference or 0 for row in paired]
    both = c.BothAttempts(
        baseline=c.Attempts(fewest=2, most=3, mean=72 / 25),
        treatment=c.Attempts(fewest=2, most=3, mean=72 / 25),
    )
    return c.Pairs(
        tasks=len(paired),
        only_baseline=len(alone),
        only_treatment=0,
        in_neither=0,
        only_baseline_tasks=alone,
        attempts=both,
        wins=sum(step > 0 for step in moved),
        ties=moved.count(0),
        losses=sum(step < 0 for step in moved),
        outcomes=_outcome_tables(paired),
        paired_by="name of the task",
    )


# --- flips

CHANCE = {
    "archive-merge-streams": (0.1, 0.9857),
    "archive-resume-offset": (0.4, 0.9286),
    "billing-proration": (0.1, 0.9714),
    "cache-eviction-race": (0.4, 0.0714),
    "config-schema-upgrade": (0.4, 0.9286),
    "billing-refund-rounding": (1.0, 0.7857),
    "search-rank-ties": (1.0, 0.7857),
    "search-stemmer-cache": (1.0, 0.8),
}


def _flip(row: c.TaskRow) -> c.Flip:
    before, after = _valid(row.baseline), _valid(row.treatment)
    chance, likelihood = CHANCE.get(row.task, (1.0, 0.7571 if row.difference else 0.5))
    return c.Flip(
        task=row.task,
        passed_baseline=sum(before),
        of_baseline=len(before),
        passed_treatment=sum(after),
        of_treatment=len(after),
        chance=chance,
        likelihood=likelihood,
        baseline=next(t for t in row.baseline if t.value == float(2 * sum(before) > len(before))),
        treatment=next(t for t in row.treatment if t.value == float(2 * sum(after) > len(after))),
    )


def _with_evidence(flip: c.Flip, fixed: list[str], broken: list[str]) -> c.Flip:
    flip.tests = c.ChangedTests(
        compared=12,
        fixed=len(fixed),
        broken=len(broken),
        fixed_tests=fixed,
        broken_tests=broken,
    )
    flip.patches = c.Patches(
        baseline=c.PatchSize(files=1, added=14, removed=3),
        treatment=c.PatchSize(files=3, added=41, removed=9),
        files_in_both=["src/streams/merge.py"],
        overlap=0.18,
    )
    flip.divergence = c.Divergence(
        step=2, baseline="Grep merge_streams", treatment="codesearch find_references merge_streams"
    )
    return flip


def _flips(rows: list[c.TaskRow]) -> c.Flips:
    moved = sorted(
        (row for row in rows if row.difference is not None),
        key=lambda row: (-abs(row.difference or 0), row.task),
    )
    gained = [_flip(row) for row in moved if (row.difference or 0) > 0.5]
    lost = [_flip(row) for row in moved if (row.difference or 0) < -0.5]
    steady = {0.0, 1.0}
    unstable = [
        _flip(row)
        for row in moved
        if abs(row.difference or 0) <= 0.5 and not {row.baseline_mean, row.treatment_mean} <= steady
    ]
    _with_evidence(gained[0], ["test_merge_keeps_order", "test_merge_empty"], [])
    _with_evidence(lost[0], [], ["test_eviction_under_load"])
    return c.Flips(
        gained=gained,
        lost=lost,
        unstable=unstable,
        unchanged=len(moved) - len(gained) - len(lost) - len(unstable),
        chance=c.ChanceFlips(step=2 / 3, observed=5, expected=2.9, false_share=0.58),
        statement=(
            "4 gained, 1 lost, 9 unstable, 11 unchanged. 5 tasks moved by 67 points or more; "
            "chance alone would give 2.9, so about 58% of these are noise."
        ),
    )


# --- what differs, and what the tool did


def _audit() -> list[c.AuditItem]:
    return [
        c.AuditItem(
            grade="blocker",
            code="instruction_differs",
            field="task_instruction",
            message="The instruction of 1 task differs between the arms: compare without it.",
            baseline="sha256:9f2c41d0 (1,204 characters)",
            treatment="sha256:51be07aa (1,266 characters)",
            tasks=["config-schema-upgrade"],
        ),
        c.AuditItem(
            grade="warning",
            code="missing_tasks",
            field="tasks",
            message="1 task ran only in the baseline: run it in the treatment too.",
            baseline="26 tasks",
            treatment="25 tasks",
            tasks=["search-synonym-cycle"],
        ),
        c.AuditItem(
            grade="warning",
            code="zero_in_one_arm",
            field="rewards",
            message=(
                "1 task fails in every attempt of the baseline in the same way and passes in the "
                "treatment: a broken set-up? Without it the difference is 17 points."
            ),
            baseline="0 of 3 passed",
            treatment="3 of 3 passed",
            tasks=["archive-merge-streams"],
        ),
        c.AuditItem(
            grade="note",
            code="concurrency_differs",
            field="job.concurrency",
            message="The jobs ran with different concurrency.",
            baseline="4",
            treatment="8",
        ),
        c.AuditItem(
            grade="note",
            code="run_windows_apart",
            field="started_at",
            message="The arms ran 5 hours apart.",
            baseline="2026-05-04T09:12:00Z to 2026-05-04T11:40:00Z",
            treatment="2026-05-04T16:45:00Z to 2026-05-04T19:02:00Z",
        ),
    ]


def _tool_use(side: list[list[c.Attempt]], *, treated: bool) -> c.ToolUse:
    trials = [attempt for attempts in side for attempt in attempts]
    calls = [t.treatment_calls for t in trials if t.treatment_calls is not None]
    if not treated:
        return c.ToolUse(
            trials=len(trials),
            ran=len(calls),
            unknown=0,
            available=1,
            connected=1,
            not_connected=0,
            used=1,
            answered=1,
            never_used=0,
            contaminated=1,
            calls=2,
            failed_calls=0,
            contaminated_trials=["parser-error-recovery__b3"],
        )
    used = sum(number > 0 for number in calls)
    return c.ToolUse(
        trials=len(trials),
        ran=len(calls),
        unknown=0,
        available=len(calls),
        connected=len(calls) - 1,
        not_connected=1,
        used=used,
        answered=used - 1,
        never_used=len(calls) - used,
        contaminated=0,
        calls=sum(calls),
        failed_calls=9,
    )


def _compliance(rows: list[c.TaskRow]) -> c.Compliance:
    treatment = _tool_use([row.treatment for row in rows], treated=True)
    rate = treatment.used / treatment.ran
    return c.Compliance(
        baseline=_tool_use([row.baseline for row in rows], treated=False),
        treatment=treatment,
        use_rate=rate,
        as_run=difference(0.2066667, 0.0369809, 0.3457352, 0.0083),
        among_compliant=difference(
            0.2133333, 0.0401, 0.3561, 0.0076, note="not randomised: tasks choose the tool"
        ),
        complier=interval(0.2066667 / rate, 0.0402, 0.3589, method=SUBSETS),
        unused=interval(
            0.0, None, None, n=1, note="1 task whose trials never called it: too few to tell"
        ),
        statement=(
            f"codesearch was used in {treatment.used} of {treatment.ran} treatment trials that "
            f"ran ({rate:.0%}); 1 trial of the baseline had it too."
        ),
    )


def _tools(treatment: c.ToolUse) -> list[c.ToolRow]:
    def use(calls: int, errors: int, trials: int, valid: int, passed: int) -> c.UseOfTool:
        return c.UseOfTool(calls=calls, errors=errors, trials=trials, valid=valid, passed=passed)

    references = treatment.calls - 120
    return [
        c.ToolRow(
            server="codesearch",
            tool="find_references",
            kind="mcp",
            treated=True,
            baseline=use(2, 0, 1, 1, 1),
            treatment=use(references, 3, 68, 67, 50),
        ),
        c.ToolRow(
            server="codesearch",
            tool="keyword_search",
            kind="mcp",
            treated=True,
            baseline=use(0, 0, 0, 0, 0),
            treatment=use(120, 6, 55, 54, 41),
        ),
        c.ToolRow(
            server=None,
            tool="Grep",
            kind="search",
            treated=False,
            baseline=use(412, 4, 76, 74, 40),
            treatment=use(131, 1, 49, 47, 33),
        ),
        c.ToolRow(
            server=None,
            tool="Bash",
            kind="shell",
            treated=False,
            baseline=use(655, 58, 77, 75, 40),
            treatment=use(602, 51, 73, 72, 54),
        ),
    ]


# --- the effect and what surrounds it


def _effect() -> c.Effect:
    return c.Effect(
        baseline=c.ArmValue(
            mean=0.5384615,
            low=0.3885532,
            high=0.6817225,
            n_tasks=26,
            n_trials=75,
            paired_mean=0.5466667,
            method=WILSON,
        ),
        treatment=c.ArmValue(
            mean=0.7533333,
            low=0.6003997,
            high=0.8612616,
            n_tasks=25,
            n_trials=72,
            paired_mean=0.7533333,
            method=WILSON,
        ),
        difference=difference(0.2066667, 0.0369809, 0.3457352, 0.0083008),
        confidence=0.95,
        assumption=(
            "The tasks are a sample of the tasks you care about, and attempts at one task are "
            "independent of each other."
        ),
        smallest_visible=0.2099424,
        alternatives=[
            interval(0.2066667, 0.0563601, 0.3569732, p=0.0090929, method="paired t over tasks"),
            interval(0.2066667, 0.0441554, 0.3385606, method="Bonett-Price (plus-two, normal)"),
        ],
    )


def _sensitivity() -> c.Sensitivity:
    def row(name: Any, meaning: str, found: c.Interval, primary: bool = False) -> c.Analysis:
        return c.Analysis(
            name=name, meaning=meaning, primary=primary, difference=found, finding="better"
        )

    return c.Sensitivity(
        survives=True,
        analyses=[
            row(
                "valid_only",
                "only rewards that may be counted",
                difference(0.2066667, 0.0369809, 0.3457352, 0.0083008),
                True,
            ),
            row(
                "as_run",
                "every recorded reward, whatever the error",
                difference(0.2066667, 0.0369809, 0.3457352, 0.0083008),
            ),
            row(
                "missing_as_fail",
                "a missing reward is a fail",
                difference(0.2, 0.0373811, 0.3329892, 0.0085754),
            ),
            row(
                "worst_case",
                "missing fails in the treatment, passes in the baseline",
                difference(0.16, 0.0003441, 0.2959522, 0.0317383),
            ),
            row(
                "best_case",
                "missing passes in the treatment, fails in the baseline",
                difference(0.24, 0.0670603, 0.3773841, 0.0030518),
            ),
        ],
        missing=c.Missing(
            baseline=3,
            baseline_of=78,
            treatment=3,
            treatment_of=75,
            p=1.0,
            differential=False,
            statement="3 of 78 baseline trials and 3 of 75 treatment trials have no valid reward.",
        ),
        tipping_point=None,
        statement="The finding is the same however missing rewards are counted.",
    )


def _pass_at_k() -> list[c.PassAtK]:
    def row(k: int, tasks: int, *numbers: tuple[float, float, float]) -> c.PassAtK:
        names = [
            f"{arm}_{kind}"
            for kind in ("any_of", "all_of")
            for arm in ("baseline", "treatment", "difference")
        ]
        found = {
            name: interval(
                *number, n=tasks, method=SUBSETS if name.startswith("difference") else WILSON
            )
            for name, number in zip(names, numbers, strict=True)
        }
        return c.PassAtK(k=k, tasks=tasks, dropped=25 - tasks, **found)

    one = (0.5466667, 0.391304, 0.693441), (0.7533333, 0.600581, 0.861171)
    moved = (0.2066667, 0.037037, 0.340365)
    return [
        row(1, 25, *one, moved, *one, moved),
        row(
            2,
            25,
            (0.68, 0.50474, 0.815865),
            (0.8666667, 0.689709, 0.950019),
            (0.1866667, 0.015292, 0.333333),
            (0.4133333, 0.252265, 0.595359),
            (0.64, 0.463826, 0.785107),
            (0.2266667, 0.014116, 0.401375),
        ),
        row(
            3,
            20,
            (0.8, 0.574158, 0.922281),
            (0.85, 0.629414, 0.949765),
            (0.05, -0.111111, 0.2),
            (0.3, 0.141031, 0.528009),
            (0.5, 0.292273, 0.707727),
            (0.2, -0.1, 0.444444),
        ),
    ]


def _groups() -> list[c.Group]:
    def row(value: str, n: int, low: Any, holm: float, bh: float, lead: bool) -> c.GroupRow:
        estimate, bottom, top, p = low
        found = difference(estimate, bottom, top, p, n=n)
        return c.GroupRow(value=value, difference=found, p_holm=holm, p_bh=bh, lead=lead)

    return [
        c.Group(
            field="category",
            rows=[
                row("archive", 4, (0.4166667, -0.3247387, 0.8802943, 0.25), 1.0, 0.4, False),
                row("billing", 4, (0.3333333, -0.3557433, 0.8001877, 0.25), 1.0, 0.4, False),
                row("cache", 3, (-0.2222222, -0.7610256, 0.4943589, 0.5), 1.0, 0.5, False),
                row("config", 3, (0.3333333, -0.4276922, 0.8276922, 0.25), 1.0, 0.4, False),
                row("export", 3, (0.0, -0.5445055, 0.5445055, 0.5), 1.0, 0.5, False),
                row("parser", 3, (0.2222222, -0.4219557, 0.6886224, 0.25), 1.0, 0.4, False),
                row("queue", 3, (0.1111111, -0.489723, 0.6230564, 0.5), 1.0, 0.5, False),
                row("search", 2, (0.4166667, -0.704599, 1.0, 0.25), 1.0, 0.4, False),
            ],
        ),
        c.Group(
            field="difficulty",
            rows=[
                row("easy", 5, (0.0, -0.3146389, 0.3146389, 0.5), 0.5, 0.5, False),
                row("hard", 9, (0.2777778, -0.1441804, 0.5987259, 0.15625), 0.3125, 0.2344, False),
                row(
                    "medium", 11, (0.2424242, -0.0069601, 0.4172165, 0.015625), 0.0469, 0.0469, True
                ),
            ],
        ),
    ]


# --- what was spent


def quantity(
    name: str,
    unit: str,
    amounts: tuple[float, float],
    ratios: tuple[tuple[float, float, float], ...],
    note: str | None = None,
) -> c.Quantity:
    """A quantity known in every trial; `amounts` are means of a trial, `ratios` in order."""
    found = [
        interval(*ratio, n=n, method=method)
        for ratio, n, method in zip(
            ratios, (25, 25, 12), (SUBSETS, GEOMETRIC, GEOMETRIC), strict=True
        )
    ]
    sides = [
        c.Amount(
            total=72 * mean,
            mean=mean,
            p90=1.9 * mean,
            known=72,
            trials=72,
            lost=lost * mean,
            lost_known=lost,
            uncounted=lost + 1,
        )
        for mean, lost in zip(amounts, (2, 0), strict=True)
    ]
    return c.Quantity(
        name=name,
        unit=unit,
        baseline=sides[0],
        treatment=sides[1],
        ratio=found[0],
        typical=found[1],
        solved_by_both=found[2],
        known_pairs=25,
        pairs=25,
        note=note,
    )


def _spending() -> dict[str, Any]:
    def ratios(ratio: float, width: float = 0.08) -> tuple[tuple[float, float, float], ...]:
        each = ratio, 1 + (ratio - 1) * 0.9, 1 + (ratio - 1) * 0.8
        return tuple((r, r - width, r + 1.2 * width) for r in each)

    cost = ((1.3811966, 1.2932099, 1.4559102), (1.33325, 1.2758785, 1.3932012))
    return {
        "cost": quantity(
            "cost", "usd", (0.4669444, 0.6419444), (*cost, (1.2875326, 1.2311502, 1.3464971))
        ),
        "tokens": c.Tokens(
            input=quantity("input tokens", "tokens", (21_480.0, 24_910.0), ratios(1.16)),
            output=quantity("output tokens", "tokens", (6_310.0, 6_420.0), ratios(1.02, 0.05)),
            cache_creation=quantity(
                "cache creation tokens", "tokens", (30_200.0, 41_700.0), ratios(1.38)
            ),
            cache_read=quantity(
                "cache read tokens", "tokens", (412_000.0, 655_000.0), ratios(1.59, 0.15)
            ),
            total=quantity("total tokens", "tokens", (27_790.0, 31_330.0), ratios(1.13)),
            total_with_cache=quantity(
                "total with cache tokens", "tokens", (469_990.0, 728_030.0), ratios(1.55, 0.14)
            ),
        ),
        "time": c.Time(
            agent=quantity("agent time", "s", (311.0, 352.0), ratios(1.13)),
            total=quantity("total time", "s", (402.5, 441.0), ratios(1.1)),
        ),
        "turns": quantity("turns", "turns", (22.4, 24.1), ratios(1.08)),
        "tool_calls": quantity("tool calls", "calls", (31.2, 29.9), ratios(0.96, 0.06)),
        "per_solved": c.PerSolved(
            baseline=0.8560976,
            treatment=0.8580531,
            ratio=interval(1.0022842, 0.7279979, 1.3067283, method=SUBSETS),
            per_extra_solved=0.8632258,
        ),
        "cost_origins": c.CostOrigins(
            parts=[
                _origin("cache read tokens", "tokens", 412_000.0, 655_000.0),
                _origin("output tokens", "tokens", 6_310.0, 6_420.0),
                _origin("results of codesearch", "characters", 0.0, 18_400.0),
                _origin("results of built-in tools", "characters", 52_000.0, 44_300.0),
                _origin("reasoning", "characters", 9_100.0, 9_230.0),
            ],
            statement=(
                "Most of the extra cost is context read again: +243,000 cache read tokens a trial; "
                "results of codesearch add 18,400 characters, reasoning grew by 1 %."
            ),
        ),
    }


def _origin(name: str, unit: Any, before: float, after: float) -> c.Origin:
    return c.Origin(
        name=name, unit=unit, baseline=before, treatment=after, difference=after - before
    )


def _power() -> c.Power:
    return c.Power(
        tasks=25,
        attempts=2.88,
        power=0.8,
        smallest_visible=0.2099424,
        smallest_margin=0.1786206,
        noise=c.Noise(
            between_tasks=0.0469444,
            baseline_attempts=0.1333333,
            treatment_attempts=0.1133333,
            difference=0.1325926,
        ),
        needs=[
            c.Need(difference=0.05, tasks=418, attempts=3, power=0.8, fixed="attempts"),
            c.Need(difference=0.1, tasks=106, attempts=3, power=0.8, fixed="attempts"),
            *(
                c.Need(
                    difference=step,
                    tasks=25,
                    attempts=100,
                    power=power,
                    fixed="tasks",
                    note="more than 100 attempts",
                )
                for step, power in ((0.05, 0.21), (0.1, 0.52))
            ),
        ],
        statement=(
            "With 25 tasks x 2.88 attempts, a difference of 21 points or more would be shown in "
            "80% of comparisons."
        ),
    )


# --- whole comparisons


def sample_comparison(**changes: Any) -> c.Comparison:
    """A full comparison: 25 tasks, 3 attempts, an MCP server that helped; `changes` replace."""
    rows = task_rows()
    paired = [row.difference is not None for row in rows]
    compliance = _compliance(rows)
    assert compliance.treatment is not None
    fields = {
        "tool": Tool(name="evaltrace", version="0.2.0"),
        "arms": c.Arms(
            baseline=c.Arm(
                label="baseline",
                jobs=["2026-05-04__09-12-00"],
                agent="claude-code 2.1.9",
                model="anthropic/claude-sonnet-4-6",
            ),
            treatment=c.Arm(
                label="codesearch",
                jobs=["2026-05-04__16-45-00"],
                agent="claude-code 2.1.9",
                model="anthropic/claude-sonnet-4-6",
            ),
        ),
        "metric": c.Metric(
            name="reward",
            field="test_reward",
            kind="binary",
            better="higher",
            pass_threshold=1.0,
        ),
        "treatment": c.Treatment(
            kind="mcp",
            name="codesearch",
            guessed=True,
            statement="The MCP server codesearch, which only the treatment has.",
        ),
        "verdict": c.Verdict(
            finding="better",
            sentence=(
                "codesearch solved 20.7 points more, 95 % interval +3.7 to +34.6, 25 tasks x 2 to "
                "3 attempts, at 1.38 times the cost."
            ),
            robust=True,
            blockers=1,
            caveats=[
                "1 blocker in the audit: the arms differ in more than the treatment, so the "
                "difference cannot be put down to it.",
                "1 trial of the baseline had the tool too.",
            ],
        ),
        "denominators": c.BothDenominators(
            baseline=_denominators([row.baseline for row in rows], paired, 78),
            treatment=_denominators([row.treatment for row in rows], paired, 78),
        ),
        "pairs": _pairs(rows),
        "audit": _audit(),
        "compliance": compliance,
        "reward": _effect(),
        "sensitivity": _sensitivity(),
        "flips": _flips(rows),
        **_spending(),
        "tools": _tools(compliance.treatment),
        "groups": _groups(),
        "pass_at_k": _pass_at_k(),
        "power": _power(),
        "method": c.Method(
            seed=1,
            alpha=0.05,
            subsets=20_000,
            on_duplicate="all",
            on_missing="valid",
            cluster_by=None,
            clusters=None,
            versions={"evaltrace": "0.2.0", "numpy": "2.4.6"},
            notes=["Attempts are averaged into their task first: the task is the unit."],
        ),
        "tasks": rows,
        "inputs": [
            _input("baseline", "baseline.json", 78),
            _input("codesearch", "codesearch.json", 75),
        ],
        "problems": [
            Problem(
                code="unreadable_result",
                path="2026-05-04__16-45-00/search-synonym-cycle__t1/result.json",
                message="the file is empty",
                hint="run the trial again",
            )
        ],
    }
    return c.Comparison(**{**fields, **changes})


def _input(arm: str, name: str, traces: int) -> c.ComparedInput:
    return c.ComparedInput(
        arm=arm,
        name=name,
        form="file",
        traces=traces,
        digest="sha256:" + f"{traces:02x}c4e1" * 10 + "ab12",
        jobs=["2026-05-04__09-12-00" if arm == "baseline" else "2026-05-04__16-45-00"],
        harness="harbor 0.25.0",
    )


def _unknown_quantity(name: str, unit: str) -> c.Quantity:
    nothing = c.Amount(total=None, mean=None, p90=None, known=0, trials=4)
    return c.Quantity(
        name=name,
        unit=unit,
        baseline=nothing,
        treatment=nothing,
        known_pairs=0,
        pairs=4,
        note=f"{name} known for 0 of 4 pairs",
    )


def _poor_tasks() -> list[c.TaskRow]:
    def trial(task: str, arm: str, value: float) -> c.Attempt:
        status = "pass" if value else "fail"
        return c.Attempt(
            trace_id=f"{task}__{arm}", task_id=f"{task}__{arm}", status=status, value=value
        )

    return [
        c.TaskRow(
            task=f"task-{number}",
            baseline=[trial(f"task-{number}", "a", value)],
            treatment=[trial(f"task-{number}", "b", value)],
            baseline_mean=value,
            treatment_mean=value,
            difference=0.0,
        )
        for number, value in enumerate((1.0, 1.0, 0.0, 1.0), 1)
    ]


def _poor_fields(rows: list[c.TaskRow]) -> dict[str, Any]:
    unknown = _unknown_quantity
    nothing = difference(0.0, -0.6, 0.6, 1.0, n=4)
    arm = c.ArmValue(
        mean=0.75, low=0.222, high=0.969, n_tasks=4, n_trials=4, paired_mean=0.75, method=WILSON
    )
    counted = c.Denominators(started=4, finished=4, valid=4, in_pairs=4, tasks=4, valid_tasks=4)
    once = c.Attempts(fewest=1, most=1, mean=1.0)
    return {
        "metric": c.Metric(
            name="reward", field="test_reward", kind="binary", better="higher", pass_threshold=1.0
        ),
        "denominators": c.BothDenominators(baseline=counted, treatment=copied(counted)),
        "pairs": c.Pairs(
            tasks=4,
            only_baseline=0,
            only_treatment=0,
            in_neither=0,
            attempts=c.BothAttempts(baseline=once, treatment=once),
            wins=0,
            ties=4,
            losses=0,
            outcomes=_outcome_tables(rows),
            paired_by="name of the task",
        ),
        "reward": c.Effect(
            baseline=arm,
            treatment=copied(arm),
            difference=nothing,
            confidence=0.95,
            assumption="The tasks are a sample of the tasks you care about.",
        ),
        "flips": c.Flips(
            gained=[],
            lost=[],
            unstable=[],
            unchanged=4,
            chance=None,
            statement="0 gained, 0 lost, 0 unstable, 4 unchanged.",
        ),
        "cost": unknown("cost", "usd"),
        "tokens": c.Tokens(
            input=unknown("input tokens", "tokens"),
            output=unknown("output tokens", "tokens"),
            cache_creation=unknown("cache creation tokens", "tokens"),
            cache_read=unknown("cache read tokens", "tokens"),
            total=unknown("total tokens", "tokens"),
            total_with_cache=unknown("total with cache tokens", "tokens"),
        ),
        "time": c.Time(agent=unknown("agent time", "s"), total=unknown("total time", "s")),
        "turns": unknown("turns", "turns"),
        "tool_calls": unknown("tool calls", "calls"),
        "per_solved": c.PerSolved(
            baseline=None, treatment=None, ratio=None, note="cost known for 0 of 4 pairs"
        ),
        "cost_origins": c.CostOrigins(parts=[], statement="Nothing is known of tokens or texts."),
    }


def poor_comparison(**changes: Any) -> c.Comparison:
    """Four tasks of one attempt, two models, nothing known of cost, no task that changed."""
    rows = _poor_tasks()
    missing = c.Missing(
        baseline=0,
        baseline_of=4,
        treatment=0,
        treatment_of=4,
        p=None,
        differential=False,
        statement="No reward is missing.",
    )
    fields = {
        **_poor_fields(rows),
        "arms": c.Arms(
            baseline=c.Arm(label="old", model="openai/gpt-a"),
            treatment=c.Arm(label="new", model=None),
        ),
        "treatment": c.Treatment(
            kind="model", name=None, guessed=True, statement="The model, which differs."
        ),
        "verdict": c.Verdict(
            finding="no_difference_shown",
            sentence=(
                "~ No difference shown: new at 0.0 points, 95 % interval -60.0 to +60.0, "
                "4 tasks x 1 attempt, cost not known in enough pairs."
            ),
            robust=None,
        ),
        "audit": [],
        "compliance": c.Compliance(
            baseline=None, treatment=None, statement="The treatment is no tool."
        ),
        "sensitivity": c.Sensitivity(
            survives=None, analyses=[], missing=missing, statement="Nothing to vary."
        ),
        "tools": [],
        "groups": [],
        "pass_at_k": [],
        "power": c.Power(
            tasks=4,
            attempts=1.0,
            power=0.8,
            smallest_visible=None,
            smallest_margin=None,
            noise=None,
            needs=[],
            statement="4 tasks x 1 attempts are too few to say what could be shown.",
        ),
        "tasks": rows,
        "inputs": [],
        "problems": [],
    }
    return sample_comparison(**{**fields, **changes})


def three_arms(**changes: Any) -> c.Comparison:
    """The sample, and a second treatment against the same baseline."""
    sample = sample_comparison()
    other = sample_comparison(
        arms=c.Arms(
            baseline=sample.arms.baseline,
            treatment=copied(sample.arms.treatment, label="codesearch-lite"),
        ),
        verdict=c.Verdict(
            finding="leaning_better",
            sentence=(
                "Leaning, not shown: codesearch-lite solved 13.3 points more, 95 % interval -0.9 "
                "to +25.9, 25 tasks x 2 to 3 attempts, at 1.38 times the cost."
            ),
            robust=True,
        ),
        reward=copied(
            sample.reward,
            difference=difference(0.1333333, -0.0087, 0.2588, 0.0439, p_adjusted=0.0439),
        ),
        audit=[],
    )
    sample.reward.difference.p_adjusted = 0.0166
    matrix = [
        c.Cell(
            baseline="baseline",
            treatment="codesearch",
            difference=difference(0.2066667, 0.0369809, 0.3457352, 0.0083, p_adjusted=0.0166),
            finding="better",
        ),
        c.Cell(
            baseline="baseline",
            treatment="codesearch-lite",
            difference=difference(0.1333333, -0.0087, 0.2588, 0.0439, p_adjusted=0.0439),
            finding="leaning_better",
        ),
        c.Cell(
            baseline="codesearch",
            treatment="codesearch-lite",
            difference=difference(-0.0733333, -0.1904, 0.0521, 0.21),
            finding="no_difference_shown",
        ),
    ]
    fields = {"further": [other], "matrix": matrix, **changes}
    return copied(sample, **fields)


def nothing_known(**changes: Any) -> c.Comparison:
    """The three arms with null wherever a comparison may have it, and without clusters."""
    unknown: c.Comparison = _emptied(three_arms(), c.Comparison)
    return copied(unknown, **changes)


_hints_of = cache(get_type_hints)
"""The types of the fields of a record, worked out once for each kind of record."""


def _emptied(value: Any, kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return None
    if get_origin(kind) is list:
        return [_emptied(item, get_args(kind)[0]) for item in value]
    if not isinstance(value, Struct):
        return value
    hints = _hints_of(type(value))
    return copied(value, **{name: _emptied(getattr(value, name), hints[name]) for name in hints})


# --- the worst of texts

HOSTILE = (
    "<script>alert('x')</script><img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J",
    " | a `b` **c** ``` | d",
    "two\nlines\r\nand | more\n# heading\n- item",
    "\u202egnp.exe\u2066 \u200f",
    "long-" * 60,
    "整理整頓された家👩‍💻 ❤️ e\u0301",
    "@everyone #12 [link](javascript:alert(1)) ![i](http://x.example/p.png) </details> &amp;",
    "::error file=x::y %0A ]]> {{ 7*7 }} {% raw %}",
    "\x00\x08\u2028\ufffd\ufeffend",
)


def hostile_comparison(shift: int = 0, **changes: Any) -> c.Comparison:
    """The three arms with the worst of texts after every text that a trace may give.

    A text gets the same addition wherever it stands; with the shifts 0 to 9 it gets each.
    """
    spoiled: c.Comparison = _spoiled(three_arms(), c.Comparison, shift)
    return copied(spoiled, **changes)


def _spoiled(value: Any, kind: Any, shift: int) -> Any:
    if value is None or kind in (int, float, bool) or get_origin(kind) is Literal:
        return value
    if get_origin(kind) in (Union, UnionType):
        [inner] = [option for option in get_args(kind) if option is not type(None)]
        return _spoiled(value, inner, shift)
    if kind is str:
        return value + HOSTILE[(crc32(value.encode()) + shift) % len(HOSTILE)]
    if get_origin(kind) is list:
        return [_spoiled(item, get_args(kind)[0], shift) for item in value]
    if get_origin(kind) is dict:
        key, inner = get_args(kind)
        return {_spoiled(k, key, shift): _spoiled(v, inner, shift) for k, v in value.items()}
    parts = {
        name: _spoiled(getattr(value, name), hint, shift)
        for name, hint in _hints_of(kind).items()
        if name not in ("schema_version", "unit")
    }
    return replace(value, **parts) if kind is Problem else copied(value, **parts)
