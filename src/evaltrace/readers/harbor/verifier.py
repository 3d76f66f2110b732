"""What the verifier said: rewards, output, single tests.

Source: Harbor format reference, section 1.3.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from evaltrace.readers.harbor.records import VerifierResult
from evaltrace.readers.harbor.version import Version
from evaltrace.source import Source
from evaltrace.trace import TestCase, Tests, TestSummary, Truncation
from evaltrace.untrusted import clean, shorten

OUTPUT_LIMIT = 1_000_000
"""Bytes kept of one test output."""

_MESSAGE_LIMIT = 8192
_NAME_LIMIT = 1000
_MILLISECONDS = 1e11
"""A CTRF start above this is in milliseconds since 1970, one below in seconds."""


class _CtrfTest(msgspec.Struct):
    name: str | None = None
    status: str | None = None
    duration: float | None = None
    start: float | None = None
    message: str | None = None
    trace: str | None = None


class _CtrfResults(msgspec.Struct):
    tests: list[_CtrfTest] | None = None


class _Ctrf(msgspec.Struct):
    results: _CtrfResults | None = None


_CTRF = msgspec.json.Decoder(_Ctrf, strict=False)
_REWARDS = msgspec.json.Decoder(dict[str, Any])


def read_rewards(
    source: Source, folder: str, result: VerifierResult | None, version: Version
) -> tuple[dict[str, float] | None, str | None]:
    """Give all rewards and where they come from: the result, else the verifier's files.

    Where both files exist, reward.json counts since 0.7.0 and reward.txt before.
    """
    if result is not None and result.rewards:
        return _finite(source, "result.json", dict(result.rewards)), "result.json: verifier_result"
    names = ["reward.json", "reward.txt"]
    if version.before("0.7.0"):
        names.reverse()
    for name in names:
        path = f"{folder}/{name}"
        if source.has(path):
            read = _read_json_rewards if name.endswith("json") else _read_text_reward
            rewards = read(source, path)
            if rewards:
                return rewards, path
    return None, None


def _read_json_rewards(source: Source, path: str) -> dict[str, float] | None:
    rewards = source.read_json(path, _REWARDS)
    return _finite(source, path, rewards) if rewards else None


def _read_text_reward(source: Source, path: str) -> dict[str, float] | None:
    text = source.read_text(path, 1000)
    if text is None:
        return None
    try:
        return _finite(source, path, {"reward": float(text.text.strip())})
    except ValueError:
        what = "the file is empty" if not text.text.strip() else "not a number"
        source.report("reward_unreadable", path, what, "The verifier wrote no usable reward.")
        return None


def _finite(source: Source, path: str, rewards: dict[str, Any]) -> dict[str, float] | None:
    """Keep the rewards that are finite numbers; report the others."""
    kept = {}
    for key, value in rewards.items():
        if isinstance(value, int | float) and math.isfinite(value):
            kept[clean(key)] = float(value)
        else:
            source.report(
                "reward_not_a_number",
                path,
                f"reward {clean(key)!r} is {value if value is not None else 'NaN or null'}",
                "It is left out; mend the verifier so that it writes a finite number.",
            )
    return kept or None


def pick_reward(rewards: dict[str, float] | None) -> tuple[float | None, str | None]:
    """Pick the reward that the status goes by: `reward`, else the only one there is."""
    if not rewards:
        return None, None
    if "reward" in rewards:
        return rewards["reward"], "reward"
    if len(rewards) == 1:
        return next((value, key) for key, value in rewards.items())
    return None, None


def read_output(source: Source, folder: str) -> tuple[str | None, list[Truncation]]:
    """Read what the tests printed; standard error too where it was kept apart (to 0.1.44)."""
    parts, cuts = [], []
    for name, heading in (("test-stdout.txt", ""), ("test-stderr.txt", "== standard error ==\n")):
        path = f"{folder}/{name}"
        text = source.read_text(path, OUTPUT_LIMIT)
        if text is None or not text.text:
            continue
        parts.append(heading + clean(text.text))
        if text.digest:
            cuts.append(
                Truncation(
                    field="test_output",
                    original_length=text.length,
                    kept_length=len(text.text.encode()),
                    unit="bytes",
                    digest=text.digest,
                )
            )
    return "\n".join(parts) or None, cuts


def read_tests(source: Source, folder: str) -> Tests | None:
    """Read the tests one by one from `ctrf.json`."""
    path = f"{folder}/ctrf.json"
    if not source.has(path):
        return None
    report = source.read_json(path, _CTRF)
    tests = report.results.tests if report and report.results else None
    if tests is None:
        return None
    return summed([_case(test) for test in tests])


def summed(cases: list[TestCase]) -> Tests:
    """Count test cases by status; the counts are of the cases, not what a report claims."""
    statuses = [case.status for case in cases]
    return Tests(
        summary=TestSummary(
            total=len(cases),
            passed=statuses.count("passed"),
            failed=statuses.count("failed"),
            skipped=statuses.count("skipped"),
            other=statuses.count("other"),
        ),
        cases=cases,
        source="ctrf",
    )


def _case(test: _CtrfTest) -> TestCase:
    message = test.message or test.trace
    return TestCase(
        name=shorten(clean(test.name or "unnamed"), _NAME_LIMIT),
        status=_status(test.status),
        duration_ms=_milliseconds(test),
        message=shorten(clean(message), _MESSAGE_LIMIT) if message else None,
    )


def _status(word: str | None) -> Any:
    if word in ("passed", "failed", "skipped"):
        return word
    return "skipped" if word == "pending" else "other"


def _milliseconds(test: _CtrfTest) -> float | None:
    # CTRF says milliseconds; pytest's reporter wrote seconds, which its start time shows.
    if test.duration is None or not math.isfinite(test.duration):
        return None
    seconds = test.start is not None and 0 < test.start < _MILLISECONDS
    return round(test.duration * 1000, 3) if seconds else test.duration
