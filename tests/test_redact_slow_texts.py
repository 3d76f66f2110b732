"""Texts and settings made to be slow, or to take memory: they come to an end soon."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

import evaltrace.redact
from bombs import run_limited
from evaltrace.redact import RULES, Redactor, known_values
from evaltrace.redact.contexts import PERSONAL
from evaltrace.redact.encoded import find_known
from evaltrace.redact.markers import is_replaced
from evaltrace.redact.named import _names, find_named
from evaltrace.redact.spans import compiled
from pattern_ways import Ways
from planted_secrets import some
from trial_dirs import write_trial

PATTERN_SECONDS, TEXT_SECONDS = 1.0, 3.0
"""CPU time after which a child is ended; a tenth of it is enough."""


class Used(NamedTuple):
    """A compiled pattern, and whether texts are searched for it, not only begun with it."""

    name: str
    pattern: re.Pattern[str]
    searched: bool


def patterns() -> Iterator[Used]:
    for module in pkgutil.iter_modules(evaltrace.redact.__path__, "evaltrace.redact."):
        loaded = importlib.import_module(module.name)
        source = inspect.getsource(loaded)
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern):
                calls = set(re.findall(rf"\b{name}\.(\w+)", source))
                yield Used(f"{module.name}.{name}", value, not calls <= {"match", "fullmatch"})
    for rule in (*RULES, *PERSONAL):
        yield Used(rule.name, compiled(rule), not rule.anchored)
    for weak in (False, True):
        yield Used(f"names, {weak}", _names(weak), True)


def test_no_two_ways_lead_through_a_repetition() -> None:
    used = list(patterns())
    assert len(used) > 90
    assert [name for name, pattern, _ in used if Ways(pattern).doubled()] == []


@pytest.mark.parametrize(
    ("pattern", "doubled"),
    [
        ("(?:a+)+b", True),
        ("(?:ab|[ad]b)*c", True),
        ("(?:a|ab|b)*c", True),
        (r"(?:\w|v\d)(?:-(?:\w\d{0,2}|v\d{1,2}))*", True),
        ("(?i:(?:k|K-)*k)x", False),
        (r"(?:\w\d{0,2}|v\d{3})(?:-(?:[a-z]\d{0,2}|v\d{3}))*", False),
        ("(?:ab?)*c", False),
        ("[^a-z]*(?:a[^a-z]*)*", False),
    ],
)
def test_two_ways_are_seen(pattern: str, doubled: bool) -> None:
    assert Ways(re.compile(pattern)).doubled() is doubled


def ended_by(child: str) -> tuple[int, str]:
    """Run a function of this file in a child, which is ended where a step takes too long."""
    done = subprocess.run(
        [sys.executable, "-c", f"import test_redact_slow_texts as t; t.{child}()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.rpartition("\n")[2] + done.stderr


def limited(name: str, seconds: float, step: Callable[[], object]) -> None:
    print(name, flush=True)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # nobody catches it: it ends the process
    step()
    signal.setitimer(signal.ITIMER_PROF, 0)


def look_for_patterns() -> None:
    for name, pattern, searched in patterns():
        for text in {*Ways(pattern).pumped(12_000)}:
            look = pattern.findall if searched else pattern.fullmatch
            limited(f"{name} {text[:40]!r}", PATTERN_SECONDS, lambda: look(text))  # noqa: B023
    print("done", end="")


def test_no_pattern_is_slow_where_its_repetitions_fail() -> None:
    assert ended_by("look_for_patterns") == (0, "done")


WORD = "qwzrtplkjhgfdmnbvcxsaeiouy" * 2
SECRET = "API_TOKEN=q1w2e3r4t5z6a\n"
KEY_OPENS = "-----BEGIN PRIVATE" + " KEY-----\n"
KEY_ENDS = "-----END PRIVATE" + " KEY-----"

TEXTS = {
    "names of versions": f"API_TOKEN={WORD[:36]}-{'v137-' * 32}!\n",
    "markers": ("[redacted:github-token:a75cd671]\n" * 100 + SECRET) * 150,
    "names in names": "token=" * 20_000,
    "secrets in secrets": "token=a1" * 10_000,
    "keys in headers": f"Abc: {KEY_OPENS}" * 8000,
    "ends of keys": ("\n" * 2000 + KEY_ENDS) * 80,
    "values before names": '[{"name":"A_TOKEN"},{"value":"' + '","value":"' * 15_000 + '"}]',
}


def look_for_secrets() -> None:
    redactor = Redactor(key=b"test")
    redactor.text(SECRET)
    for name, text in TEXTS.items():
        limited(name, TEXT_SECONDS, lambda: redactor.text(text))  # noqa: B023
    settings = {".env": b"\n" * 60_000, "config.toml": b"a." * 20_000 + b"a = 1"}
    settings["auth.json"] = json.dumps({"x-" * 50_000: "a value"}).encode()
    for name, content in settings.items():
        limited(name, TEXT_SECONDS, lambda: known_values([(name, content)]))  # noqa: B023
    marker = "[redacted:github-token:a75cd671]"
    places = [(at, at + len(marker)) for at in range(0, 20_000 * len(marker), len(marker))]
    text = marker * len(places)
    limited("many markers", TEXT_SECONDS, lambda: [is_replaced(text, *at, places) for at in places])
    random = Random(3)
    values = [some(random, "aBcD3fGh1jK", 40) for _ in range(8000)]
    texts = [f"{n} {some(random, 'aBcD3fGh1jK', 16_000)}" for n in range(100)]
    limited(
        "8,000 values in long texts",
        TEXT_SECONDS,
        lambda: [list(find_known(text, tuple(values))) for text in texts],
    )
    knowing = redactor.knowing([some(random, "aBcD3fGh1jK", 60) for _ in range(1000)])
    knowing.text(SECRET)
    limited(
        "1,000 known values",
        TEXT_SECONDS,
        lambda: [knowing.text(f"{SECRET}{n} {'gh' + 'p_' + WORD[:36]}{n}") for n in range(300)],
    )
    print("done", end="")


def test_texts_and_settings_made_to_be_slow_come_to_an_end() -> None:
    assert ended_by("look_for_secrets") == (0, "done")


def test_names_in_markers_name_no_secret() -> None:
    text = "[redacted:github-token:a75cd671]\n" * 3 + SECRET
    (found,) = find_named(text, weak=False)
    assert text[found.start : found.end] == "q1w2e3r4t5z6a"


@pytest.mark.parametrize("part", ["token=a1", "pass=a1", "AccountKey=a1"])
def test_of_secrets_in_secrets_none_is_left(part: str) -> None:
    redactor = Redactor(key=b"test")
    after, counts = redactor.text(part * 2000)
    assert counts == {"secret-value": 1}
    assert re.fullmatch(rf"{part[:-2]}\[redacted:secret-value:\w{{8}}\]", after)


def test_settings_of_very_many_secrets_cost_a_trial_little(tmp_path: Path) -> None:
    trial = write_trial(tmp_path / "job", "one")
    lines = b"".join(b"A%d_TOKEN=q1w2%dE3r4%dt5z6\n" % (n, n, n) for n in range(100_000))
    for folder in ("one", "two"):
        (trial / "agent" / folder).mkdir(parents=True)
        (trial / "agent" / folder / ".env").write_bytes(lines)
    (trial / "agent" / ".env").write_bytes(b"\n" * 60_000)
    out = tmp_path / "out.json"
    done = run_limited(
        ["aggregate", tmp_path / "job", "-o", out, "--no-cache"], seconds=20, memory=1 << 30
    )
    assert done.code == 0, done.err
    (trace,) = json.loads(out.read_bytes())["traces"]
    assert "known_values_left" in [problem["code"] for problem in trace["problems"]]
