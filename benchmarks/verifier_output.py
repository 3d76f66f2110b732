"""What a verifier's tests leave: the report of the cases, and the output of pytest."""

from __future__ import annotations

from random import Random
from typing import Any

from written_text import Texts

Json = dict[str, Any]


def to_ctrf(rng: Random, texts: Texts, *, passed: bool, size: float) -> Json:
    """Make up a report: one case for some 500 characters of output, at most 60."""
    count = rng.randint(3, max(4, min(60, int(size / 500))))
    failed = set() if passed else set(rng.sample(range(count), k=rng.randint(1, 3)))
    tests = []
    for number in range(count):
        case: Json = {"name": f"tests/test_app.py::test_{texts.word(rng)}_{number}"}
        case |= {"status": "failed" if number in failed else "passed"}
        case["duration"] = rng.randint(1, 900)
        if number in failed:
            trace = texts.output(rng, 800)
            case |= {"message": "AssertionError: assert 1 == 2", "trace": trace}
        tests.append(case)
    summary: Json = {"tests": count, "passed": count - len(failed), "failed": len(failed)}
    summary |= {"pending": 0, "skipped": 0, "other": 0, "start": 1767607200, "stop": 1767607209}
    return {"results": {"tool": {"name": "pytest"}, "summary": summary, "tests": tests}}


def to_stdout(rng: Random, texts: Texts, report: Json, size: float) -> str:
    """Write the report as `pytest -v` does, with about `size` characters of noise."""
    cases, summary = report["results"]["tests"], report["results"]["summary"]
    broken = [case for case in cases if case["status"] == "failed"]
    noise = int(size * rng.lognormvariate(-0.72, 1.2))
    lines = [texts.output(rng, min(noise // 2, 400_000))]
    lines += ["=" * 25 + " test session starts " + "=" * 25, f"collected {len(cases)} items", ""]
    lines += [f"{case['name']} {case['status'].upper()}" for case in cases]
    if broken:
        lines += ["", "=" * 35 + " FAILURES " + "=" * 35]
    for case in broken:
        title = case["name"].rpartition("::")[2]
        lines += [f"{' ' + title + ' ':_^80}", texts.code(rng, 500), f"E       {case['message']}"]
    lines += [texts.output(rng, min(noise // 2, 400_000))]
    counts = [f"{len(broken)} failed"] if broken else []
    counts += [f"{summary['passed']} passed"] if summary["passed"] else []
    return "\n".join([*lines, f"{' ' + ', '.join(counts) + ' in 9.13s ':=^80}", ""])
