"""What is found of a set of planted secrets, and what is left of innocent texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from aggregated import CORPUS
from evaltrace.redact import RULES, Redactor, scan
from planted_secrets import Planted, innocents, planted

DOCS = Path(__file__).parents[1] / "docs" / "redaction.md"
REDACTOR = Redactor(key=b"test")


@cache
def redacted() -> list[tuple[Planted, str, Counter[str]]]:
    return [(item, *REDACTOR.text(item.text)) for item in planted()]


@cache
def innocent_finds() -> list[tuple[str, Counter[str]]]:
    return [(text, REDACTOR.text(text)[1]) for text in innocents()]


def is_gone(item: Planted, text: str) -> bool:
    return not any(part in text for part in item.gone)


def test_the_set_is_as_large_as_it_says() -> None:
    items = planted()
    assert len(items) >= 300
    assert len({item.rule for item in items}) >= 25
    assert len({item.text for item in items}) == len(items)
    assert len(set(innocents())) >= 3000
    for item in items:
        assert all(part in item.text for part in item.gone), item


def test_all_but_one_in_a_hundred_secrets_are_found() -> None:
    missed = [item for item, text, _ in redacted() if not is_gone(item, text)]
    assert len(missed) <= len(redacted()) / 100, missed


def test_secrets_of_another_seed_are_found_as_well() -> None:
    items = planted(seed=2)[::3]
    missed = [item for item in items if not is_gone(item, REDACTOR.text(item.text)[0])]
    assert len(missed) <= len(items) / 100, missed


def test_at_most_one_in_a_thousand_innocent_texts_is_touched() -> None:
    touched = [(text, counts) for text, counts in innocent_finds() if counts]
    assert len(touched) <= len(innocent_finds()) / 1000, touched


def test_redacted_texts_stay_what_they_are() -> None:
    for item, text, _ in redacted():
        assert text.count("\n") == item.text.count("\n"), item
        assert [line[:1] for line in text.splitlines()] == [
            line[:1] if not line.startswith(item.gone) else "[" for line in item.text.splitlines()
        ] or item.place not in ("diff", "removed"), item
        if is_json(item.text):
            assert is_json(text), (item, text)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_redacting_twice_is_redacting_once() -> None:
    for _, text, _ in redacted():
        assert REDACTOR.text(text) == (text, Counter())


def test_scanning_finds_what_redacting_replaces() -> None:
    for item, _, counts in redacted():
        found = Counter(finding.rule for finding in scan(item.text, REDACTOR))
        assert found == counts, item


def rows() -> dict[str, tuple[int, int, int]]:
    """Count for each rule: secrets planted, found under its name, finds where none was."""
    planted_of, found_of, false_of = Counter[str](), Counter[str](), Counter[str]()
    for item, text, counts in redacted():
        planted_of[item.rule] += 1
        found_of[item.rule] += item.rule in counts and is_gone(item, text)
        false_of.update(rule for rule in counts if rule != item.rule)
    for _, counts in innocent_finds():
        false_of.update(counts)
    names = sorted({*planted_of, *false_of})
    return {name: (planted_of[name], found_of[name], false_of[name]) for name in names}


def test_the_documentation_has_the_figures_of_each_rule() -> None:
    told = {
        name: (int(all_), int(found), int(false))
        for name, all_, found, false in re.findall(
            r"^\| `([a-z0-9-]+)` \| (\d+) \| (\d+) \| (\d+) \|$", DOCS.read_text(), re.M
        )
    }
    assert told == rows()


def test_the_documentation_names_every_rule() -> None:
    text = DOCS.read_text()
    assert [rule.name for rule in RULES if f"`{rule.name}`" not in text] == []


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus of real job directories")
def test_what_was_planted_in_real_jobs_is_found() -> None:
    lab = CORPUS / "lab-dev"
    told = json.loads((lab / "expected.json").read_text())
    secrets = sorted(set(_secrets_in(told)))
    assert secrets
    files = [path for path in sorted(lab.glob("jobs/*/*/agent/*.txt")) if path.is_file()]
    texts = [path.read_text("utf-8", "replace") for path in files]
    holding = [text for text in texts if any(secret in text for secret in secrets)]
    assert holding
    for text in holding:
        after, _ = REDACTOR.text(text)
        assert not any(secret in after for secret in secrets)


def _secrets_in(value: object) -> list[str]:
    if isinstance(value, dict):
        own = value.get("planted_secrets", [])
        inner = [secret for item in value.values() for secret in _secrets_in(item)]
        return inner + (own if isinstance(own, list) else [])
    if isinstance(value, list):
        return [s for item in value for s in _secrets_in(item)]
    return []
