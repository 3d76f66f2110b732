"""The comparison as workflow commands: annotations on the run of a GitHub Action.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions. Every line is a
command of ours, and no text in it can end it or begin another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from evaltrace.comparison import Comparison, Finding
from evaltrace.untrusted import one_line

if TYPE_CHECKING:
    from evaltrace.gate import Decision, Outcome

_Level = Literal["error", "warning", "notice"]

_GATE_LEVELS: dict[Decision, _Level] = {
    "fails": "error",
    "undecided": "warning",
    "holds": "notice",
}
_LOSSES: tuple[Finding | None, ...] = ("worse", "leaning_worse")
_MOST_BLOCKERS = 5
_MOST_TASKS = 10
_WIDTH = 500


def render_github(comparison: Comparison, outcomes: Sequence[Outcome] = ()) -> str:
    """Write a few annotations: the verdict, the gate, blockers of the audit, tasks lost."""
    lines = []
    for arm in (comparison, *comparison.further):
        lines += [*_arm_lines(arm)]
    for outcome in outcomes:
        level = _GATE_LEVELS[outcome.decision]
        lines.append(_command(level, f"gate {outcome.decision}", outcome.sentence))
    return "".join(lines)


def _arm_lines(arm: Comparison) -> Iterator[str]:
    against = f"{arm.arms.treatment.label} against {arm.arms.baseline.label}"
    worse = arm.verdict.finding in _LOSSES
    yield _command("warning" if worse else "notice", against, arm.verdict.sentence)
    blockers = [item.message for item in arm.audit if item.grade == "blocker"]
    for message in blockers[:_MOST_BLOCKERS]:
        yield _command("error", f"audit blocker: {against}", message)
    if len(blockers) > _MOST_BLOCKERS:
        rest = len(blockers) - _MOST_BLOCKERS
        yield _command("error", f"audit blocker: {against}", f"and {rest} more")
    lost = [one_line(flip.task, 100) for flip in arm.flips.lost]
    if lost:
        more = len(lost) - _MOST_TASKS
        names = ", ".join(lost[:_MOST_TASKS]) + (f" and {more} more" if more > 0 else "")
        yield _command("warning", f"tasks lost: {against}", f"{len(lost)} lost: {names}")


def _command(level: _Level, title: str, message: str) -> str:
    return (
        f"::{level} title={_property(one_line(title, 100))}::{_text(one_line(message, _WIDTH))}\n"
    )


def _text(text: str) -> str:
    # A line break would end the command; one_line leaves none, this is for those after it.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
