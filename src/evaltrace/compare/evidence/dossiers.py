"""What stands behind a flip: two trials of one task, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from evaltrace.compare.audit.values import shown
from evaltrace.compare.evidence.overlap import share_in_both
from evaltrace.compare.sides import Trial
from evaltrace.compare.spending.quantities import to_amount
from evaltrace.compare.treatment.treated import Treated
from evaltrace.comparison import Attempt, ChangedTests, Divergence, Patches, PatchSize
from evaltrace.trace import CodeStats, TraceError
from evaltrace.untrusted import one_line

_MOST_NAMES = 20
_NAME_WIDTH = 200
_ID_WIDTH = 300


def to_attempt(trial: Trial, treated: Treated) -> Attempt:
    """Say of a trial what to open and what became of it."""
    trace = trial.trace
    calls = treated.calls(trial)
    trace_id, task_id = trace.trace_id, trace.task_id
    return Attempt(
        trace_id=trace_id if len(trace_id) <= _ID_WIDTH else one_line(trace_id, _ID_WIDTH),
        task_id=task_id if len(task_id) <= _ID_WIDTH else one_line(task_id, _ID_WIDTH),
        status=trace.status,
        value=trial.value,
        error=_error(trace.error),
        cost_usd=known_cost(trial),
        tool_calls=trace.metrics.tool_calls,
        treatment_calls=None if calls is None else calls[0],
    )


def known_cost(trial: Trial) -> float | None:
    """Give what a trial cost; None where that is unknown or beyond any sense."""
    return to_amount(trial.trace.metrics.cost.usd)


def _error(error: TraceError | None) -> str | None:
    return None if error is None else one_line(f"{error.type} ({error.cause})", _NAME_WIDTH)


def typical_trial(trials: Sequence[Trial]) -> Trial:
    """Choose the first of some trials that ended as most of them did, the first in a tie."""
    passed = sum(trial.passed is True for trial in trials)
    failed = sum(trial.passed is False for trial in trials)
    if passed == failed:
        return trials[0]
    return next(trial for trial in trials if trial.passed is (passed > failed))


def compare_tests(baseline: Trial, treatment: Trial) -> ChangedTests | None:
    """Find the tests that passed in one trial and failed in the other; None without tests.

    Compared are those that passed or failed in both.
    """
    cases = baseline.read_cases(), treatment.read_cases()
    if cases[0] is None or cases[1] is None:
        return None
    before, after = _decided(cases[0]), _decided(cases[1])
    shared = sorted(before.keys() & after.keys())
    fixed = [name for name in shared if after[name] and not before[name]]
    broken = [name for name in shared if before[name] and not after[name]]
    return ChangedTests(
        compared=len(shared),
        fixed=len(fixed),
        broken=len(broken),
        fixed_tests=_shown(fixed),
        broken_tests=_shown(broken),
    )


def _decided(cases: dict[str, str]) -> dict[str, bool]:
    ends = ("passed", "failed")
    return {name: status == "passed" for name, status in cases.items() if status in ends}


def _shown(names: Sequence[str]) -> list[str]:
    return [one_line(name, _NAME_WIDTH) for name in names[:_MOST_NAMES]]


def compare_patches(baseline: Trial, treatment: Trial) -> Patches | None:
    """Set the code changes of two trials side by side; None where neither is known."""
    before, after = baseline.trace.code_stats, treatment.trace.code_stats
    if before is None and after is None:
        return None
    patches = baseline.read_patch(), treatment.read_patch()
    paths = [set(patch.paths or ()) for patch in patches]
    return Patches(
        baseline=_size(before),
        treatment=_size(after),
        files_in_both=_shown(sorted(paths[0] & paths[1])),
        overlap=_overlap(patches[0].diff, patches[1].diff),
    )


def _size(stats: CodeStats | None) -> PatchSize | None:
    if stats is None:
        return None
    return PatchSize(
        files=stats.files_changed, added=stats.lines_added, removed=stats.lines_removed
    )


def _overlap(baseline: str | None, treatment: str | None) -> float | None:
    """Compare the diffs, where both are there and whole."""
    if baseline is None or treatment is None:
        return None
    return share_in_both(baseline, treatment)


def find_divergence(baseline: Trial, treatment: Trial) -> Divergence | None:
    """Find the first tool call in which two trials differ; None where none does, or is known."""
    moves, others = baseline.read_moves(), treatment.read_moves()
    if moves is None or others is None:
        return None
    both = zip_longest(moves, others)
    for step, (before, after) in enumerate(both, start=1):
        if before != after:
            return Divergence(step=step, baseline=_move(before), treatment=_move(after))
    return None


def _move(text: str | None) -> str | None:
    """Show a call with its secrets masked, and without a word that is cut: it may be one."""
    if text is None:
        return None
    head, space, _ = text.rpartition(" ")
    return shown(f"{head}{space}…" if text.endswith("…") else text, width=_NAME_WIDTH)
