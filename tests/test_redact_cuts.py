"""A text is cut where that leaves no half of a secret, or the halves are replaced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aggregated import EXAMPLES, aggregate, edit_json, the_trial
from evaltrace.patches.gitdiff import render_file
from evaltrace.patches.lines import Block
from evaltrace.redact import Redactor
from evaltrace.source import Source
from evaltrace.source.texts import read_head_and_tail
from evaltrace.untrusted import excerpt, first_part, shorten
from planted_secrets import ALNUM, some

RNG = Random(11)
TOKEN = "gh" + "p_" + some(RNG, ALNUM, 36)
KNOWN = "Zq4" + some(RNG, ALNUM, 30)
PHRASE = "correct 4horses battery staple9"
VALUE = some(RNG, ALNUM, 22) + "!"
NAMED = f"API_PASSWORD={VALUE}"
REDACTOR = Redactor(key=b"of these tests only", known=[KNOWN, PHRASE])
LIMIT = 4000
LEFT = 12
"""Characters of a secret that may not be left; of the shortest half, fewer are."""

SURROUNDINGS = {
    "lines": ("some words of a log\n", "\n", "\n"),
    "words": ("some words of a log ", " ", " "),
    "json": ('"path":"src/a","size":[1,2],', '{"text":"', '"},'),
    "address": ("segment-1/of_an/address.html?a=b&c=d/", "/", "/"),
    "digits": ("0123456789abcdef", "/", "/"),
    "names": ("abcdef-ghij_klmnop", "-", "-"),
}
"""What stands on both sides of a secret again and again, right before it, and right behind."""

Cut = Callable[[str, Path], str]


def _shortened(text: str, _folder: Path) -> str:
    return shorten(text, LIMIT)


def _read(text: str, folder: Path) -> str:
    (folder / "log.txt").write_text(text)
    found = Source(folder).read_text("log.txt", LIMIT)
    assert found is not None
    assert len(found.text.encode()) <= LIMIT + 60
    return found.text


def _texts(secret: str, surroundings: str, step: int) -> Iterator[str]:
    """Give texts that are cut at each place of a secret, at the end of the head or of the cut."""
    around, before, behind = SURROUNDINGS[surroundings]
    filling = around * (3 * LIMIT // len(around))
    placed = f"{before}{secret}{behind}"
    for place in range(LIMIT // 2 - len(placed) - 30, LIMIT // 2 + 3, step):
        head = filling[:place] + placed
        yield head + filling[: 2 * LIMIT]
        yield filling[: 2 * LIMIT] + placed + filling[len(filling) - place :]


def _parts(secret: str, text: str) -> list[str]:
    starts = range(len(secret) - LEFT + 1)
    return [secret[at : at + LEFT] for at in starts if secret[at : at + LEFT] in text]


@pytest.mark.parametrize(("cut", "step"), [(_shortened, 1), (_read, 3)])
@pytest.mark.parametrize(
    ("secret", "surroundings"),
    [
        (secret, name)
        for secret in (TOKEN, KNOWN, PHRASE, NAMED)
        for name in SURROUNDINGS
        # Whole, it is one word with all that follows.
        if (secret, name) not in ((NAMED, "digits"), (NAMED, "names"))
    ],
)
def test_no_half_of_a_secret_is_left_at_a_cut(
    tmp_path: Path, cut: Cut, step: int, secret: str, surroundings: str
) -> None:
    looked_for = VALUE if secret is NAMED else secret
    for text in _texts(secret, surroundings, step):
        shown, _ = REDACTOR.text(cut(text, tmp_path))
        assert _parts(looked_for, shown) == []


def _job_of(folder: Path, secret: str) -> Path:
    """Make a job of one trial that printed the same secret again and again where it is cut."""
    [first, *_] = sorted(path for path in (EXAMPLES / "baseline").iterdir() if path.is_dir())
    job = folder / "job"
    shutil.copytree(first, job / first.name)
    trial = the_trial(job)
    few = f"{secret}\n" * (70_000 // len(secret))
    ends, middle = "some words of a log\n" * 23_500, "more words\n" * 15_000
    said = f"{ends}{few}{middle}{few}{ends}"
    (trial / "agent" / ".mcp.json").write_text(
        json.dumps({"mcpServers": {"search": {"env": {"SEARCH_TOKEN": KNOWN}}}})
    )
    (trial / "agent" / "claude-code.txt").write_text(few)
    shutil.rmtree(trial / "agent" / "sessions")
    (trial / "verifier" / "test-stdout.txt").write_text(said)

    def fail(result: dict[str, Any]) -> None:
        result["exception_info"] = {
            "exception_type": "RuntimeError",
            "exception_message": few,
            "exception_traceback": few,
            "occurred_at": "2026-01-01T00:00:00",
        }

    def test(report: dict[str, Any]) -> None:
        tests = report["results"]["tests"]
        tests[0] |= {"status": "failed", "message": few, "name": few.replace("\n", " ")}

    def say(trajectory: dict[str, Any]) -> None:
        step = next(step for step in trajectory["steps"] if step.get("tool_calls"))
        step["message"] = step["reasoning_content"] = few
        step["tool_calls"][0]["arguments"] = {"content": few}
        step["observation"] = {"results": [{"content": few}]}

    edit_json(trial / "result.json", fail)
    edit_json(trial / "verifier" / "ctrf.json", test)
    edit_json(trial / "agent" / "trajectory.json", say)
    return job


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else [*value, *value.values()]:
            yield from _strings(item)


@pytest.mark.parametrize("secret", [TOKEN, KNOWN, NAMED])
def test_a_trace_has_no_half_of_a_secret_that_was_printed_all_the_time(
    tmp_path: Path, secret: str
) -> None:
    document = aggregate(_job_of(tmp_path, secret), redact=Redactor(key=REDACTOR.key))
    looked_for = VALUE if secret is NAMED else secret
    assert len(document["traces"]) == 1
    assert len(document["traces"][0]["truncated"]) >= 4
    assert [text for text in _strings(document) if _parts(looked_for, text)] == []


@pytest.mark.parametrize("size", range(20, 120))
def test_quoted_lines_and_parts_of_texts_end_between_words(size: int) -> None:
    text = f"an error that quotes 1 line: {TOKEN} and goes on for a good while after it"
    for part in (excerpt(text, size).removesuffix(" …"), first_part(text, size)):
        assert text.startswith(part)
        assert TOKEN in part or _parts(TOKEN, part) == []


@pytest.mark.parametrize("indent", range(30, 90))
def test_the_heading_of_a_hunk_has_no_half_of_a_token(indent: int) -> None:
    line = f"key{' ' * indent}= {TOKEN}\n"
    rest = [f" {number}\n" for number in range(9)]
    diff = render_file("a", "a", [Block([line, *rest], [line, *rest, " new\n"])])
    assert diff is not None
    (heading,) = (row for row in diff.text.splitlines() if row.startswith("@@"))
    assert heading.startswith("@@ -8,3 +8,4 @@ key")
    assert TOKEN in heading or _parts(TOKEN, heading) == []


@pytest.mark.parametrize("limit", [10, 300, 3000, 30_000])
def test_a_file_and_its_content_are_cut_alike(tmp_path: Path, limit: int) -> None:
    content = "\n".join(f"line {n} of a résumé" * (n % 5) for n in range(3000)).encode()
    (tmp_path / "log.txt").write_bytes(content)
    read = Source(tmp_path).read_text("log.txt", limit)
    assert read is not None
    assert read == read_head_and_tail(content, len(content), limit)
    assert read.length == len(content)
    head, _, tail = read.text.partition("\n[... ")
    cut, _, tail = tail.partition(" bytes cut ...]\n")
    assert int(cut) == len(content) - len((head + tail).encode())
    assert content.decode().startswith(head)
    assert content.decode().endswith(tail)


def test_a_whole_word_before_a_note_is_no_half_of_a_secret() -> None:
    text = "the npm_config_cache\n[... 9 characters cut ...]\nwhole words"
    assert REDACTOR.text(text)[0] == text
