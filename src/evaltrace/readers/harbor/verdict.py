"""What the verifier said about a trial as a whole, its steps joined.

Source: Harbor format reference, sections 1.3 and 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evaltrace.readers.harbor import verifier
from evaltrace.readers.harbor.records import StepResult, TrialResult
from evaltrace.readers.harbor.runs import Steps
from evaltrace.readers.harbor.version import Version
from evaltrace.source import Source
from evaltrace.testlogs import read_tests
from evaltrace.testlogs.cases import added, to_doubt
from evaltrace.trace import Tests, Truncation


@dataclass
class Verdict:
    """The verifier's side of a trial; `rewards_from` names the file that gave the rewards."""

    rewards: dict[str, float] | None
    rewards_from: str | None
    output: str | None = None
    tests: Tests | None = None
    tested_by: str | None = None
    truncated: list[Truncation] = field(default_factory=list)


def read_verdict(
    source: Source, result: TrialResult | None, steps: Steps, version: Version
) -> Verdict:
    """Read what the verifier said; the rewards of a multi-step trial are the harness's own."""
    verdict = Verdict(*_rewards(source, "verifier", result, version))
    if not steps:
        _add_folder(source, "verifier", verdict)
        return verdict
    parts = []
    for name, step in steps:
        if step is None or not (step.verifier_result and step.verifier_result.rewards):
            _rewards(source, f"steps/{name}/verifier", step, version)  # for the problems
        part = Verdict(None, None)
        _add_folder(source, f"steps/{name}/verifier", part)
        parts.append((name, part))
    _join(parts, verdict)
    return verdict


def _rewards(
    source: Source, folder: str, result: TrialResult | StepResult | None, version: Version
) -> tuple[dict[str, float] | None, str | None]:
    if result is None:
        return verifier.read_rewards(source, folder, version)
    recorded = verifier.recorded_rewards(source, result.verifier_result)
    if recorded[0] is None:
        verifier.report_unrecorded(source, folder, version)
    return recorded


def _add_folder(source: Source, folder: str, verdict: Verdict) -> None:
    verdict.output, verdict.truncated, texts = verifier.read_output(source, folder)
    found = read_tests(source, folder, texts)
    if found is not None:
        verdict.tests, verdict.tested_by = found


def _join(parts: list[tuple[str, Verdict]], verdict: Verdict) -> None:
    outputs = [f"== step {name} ==\n{part.output}" for name, part in parts if part.output]
    verdict.output = "\n".join(outputs) or None
    verdict.truncated = [cut for _, part in parts for cut in part.truncated]
    tested = [(name, part.tests) for name, part in parts if part.tests]
    if tested:
        verdict.tests = _joined(tested)
        files = {
            (part.tested_by or "").replace(f"steps/{name}/", "steps/*/", 1) for name, part in parts
        }
        verdict.tested_by = ", ".join(sorted(files - {""}))


def _joined(parts: list[tuple[str, Tests]]) -> Tests:
    """Join the tests of several steps: each is named by its step."""
    cases, doubts = [], []
    formats = list(dict.fromkeys(tests.source for _, tests in parts))
    for name, tests in parts:
        if tests.doubt:
            doubts.append(f"{name}: {tests.doubt}")
        for case in tests.cases:
            case.name = f"{name}: {case.name}"
            cases.append(case)
    if len(formats) > 1:
        doubts.append(f"the steps have different formats: {', '.join(formats)}")
    summary = added([tests.summary for _, tests in parts])
    return Tests(summary=summary, cases=cases, source=formats[0], doubt=to_doubt(doubts))
