from __future__ import annotations

import hashlib
import json
import re
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.untrusted import (
    MAX_DEPTH,
    MAX_ITEMS,
    PrintableJson,
    bounded,
    clean,
    digest,
    excerpt,
    is_bounded,
    one_line,
    printable,
    printable_json,
    shorten,
)

NOISE = st.text(
    st.sampled_from(
        "\x00\x07\x08\t\n\r\x1b\x7f\x80\x9f\u061c\u200e\u200f\u2069"
        "\x90\x9b\x9c\x9d\u202e\u2066\u2028\ud800[]()PX^_\\;?0m7AKhe é"
    )
    | st.characters()
)
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;5;196;1mred\x1b[m", "red"),
        ("\x1b[2J\x1b[1;1Hhome", "home"),
        ("\x1b[?25l\x1b[?1049hhidden", "hidden"),
        ("\x1b[4 q|", "|"),
        ("\x1b7saved\x1b8", "saved"),
        ("\x1b(Bascii\x1b)0", "ascii"),
        ("\x1bcreset\x1bM", "reset"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;cm0gLXJm\x1b\\text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0\x1b\\text", "text"),
        ("\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x90dcs\x9ctext", "text"),
        ("abc\x08\x08\x08xyz", "abcxyz"),
        ("ring\x07", "ring"),
        ("safe\roverwritten", "safeoverwritten"),
        ("one\r\ntwo", "one\ntwo"),
        ("a\tb\nc", "a\tb\nc"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("a\u200eb\u200fc\u061cd", "abcd"),
        ("\u2028line\u2029", "line"),
        ("\x00\x7f\x85", ""),
        ("\ud83d", "\ufffd"),
        ("café 日本 😀", "café 日本 😀"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b\x1b[31mx", "x"),
    ],
)
def test_only_the_text_itself_is_printed(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("start", ["\x1b]0;title", "\x1bPq", "\x9d0;", "\x90", "\x1b_"])
def test_a_control_string_without_an_end_hides_its_own_line_only(start: str) -> None:
    assert printable(f"one\n{start}two\nthree") == "one\n\nthree"


@given(NOISE)
def test_nothing_that_steers_a_terminal_survives(text: str) -> None:
    shown = printable(text)
    assert not UNSAFE.search(shown)
    assert printable(shown) == shown
    shown.encode("utf-8")


@given(NOISE, st.integers(0, 40))
def test_one_line_is_one_line_and_no_wider_than_asked(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert line.splitlines() in ([], [line])
    assert not UNSAFE.search(line)


def test_one_line_says_that_it_was_cut() -> None:
    assert one_line("a  b\nc", 5) == "a b c"
    assert one_line("abcdef", 5) == "abcd…"
    assert one_line("ab" + "\x1b[31m" * 20 + "cd", 5) == "ab…"


def test_clean_replaces_lone_surrogates_only() -> None:
    assert clean("a\ud800b\udfffc") == "a\ufffdb\ufffdc"
    assert clean("\x1b[31mé\n") == "\x1b[31mé\n"


def test_digest_names_the_algorithm() -> None:
    assert digest(b"abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()


@given(st.text(max_size=300), st.integers(0, 200))
def test_short_texts_stay_and_long_ones_keep_head_and_tail(text: str, limit: int) -> None:
    kept = shorten(text, limit)
    if len(text) <= limit:
        assert kept == text
        return
    head, cut, tail = re.fullmatch(
        r"(.*?)\n\[\.\.\. (\d+) characters cut \.\.\.\]\n(.*)", kept, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + int(cut) + len(tail) == len(text)
    assert len(kept) <= max(limit, 0) or limit < 100


def test_shortening_to_next_to_nothing_keeps_next_to_nothing() -> None:
    assert shorten("abcdef", 0) == "\n[... 6 characters cut ...]\n"
    assert shorten("abcdef", 1) == "\n[... 6 characters cut ...]\n"
    assert shorten("ab\tcd\tef", 4) == "ab\n[... 4 characters cut ...]\nef"
    assert shorten("abcdef", 4) == "ab\n[... 4 characters cut ...]\n"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one two three four five", ("one two", "four five")),
        ("one two thr\neefour fi\nve six", ("one two", "fi\nve six")),
        ('{"one":"two","three":"four"}', ('{"one":', ':"four"}')),
        ("/one/two-three/four/five", ("/one/two-t", "four/five")),
        ("a" * 24, ("a" * 10, "")),
        ("é" * 24, ("é" * 10, "é" * 10)),
    ],
)
def test_texts_are_cut_between_words(text: str, kept: tuple[str, str]) -> None:
    shown = shorten(text, 20)
    assert (shown.partition("\n[...")[0], shown.partition("...]\n")[2]) == kept


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one two", "one two"),
        ("one\ttwo  three\nfour five", "one two three …"),
        ("a" * 30, "…"),
        ("one " + "a" * 400, "one …"),
    ],
)
def test_an_excerpt_has_whole_words_only(text: str, line: str) -> None:
    assert excerpt(text, 18) == line


@given(NOISE, st.integers(0, 40))
def test_an_excerpt_is_one_line_and_no_wider_than_asked(text: str, width: int) -> None:
    line = excerpt(text, width)
    assert len(line) <= width
    assert line.splitlines() in ([], [line])
    assert not UNSAFE.search(line)


def test_shortened_text_with_its_note_is_no_longer_than_the_limit() -> None:
    assert len(shorten("x" * 1001, 1000)) <= 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON)
def test_bounded_values_can_be_written_as_json(value: Any) -> None:
    json.dumps(bounded(value, 50), allow_nan=False).encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from("abc")), inner),
    )
)  # fmt: skip
def test_a_small_value_is_copied_unchanged(value: Any) -> None:
    assert bounded(value, 10_000) == value


def test_bounded_leaves_its_argument_alone() -> None:
    value = {"list": ["x" * 100]}
    bounded(value, 10)
    assert value == {"list": ["x" * 100]}


def nested(kind: str, depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"k": value}
    return value


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("list", "[list of 1 items, nested too deeply]"),
        ("object", "[object of 1 keys, nested too deeply]"),
    ],
)
def test_nesting_beyond_the_limit_is_noted_where_it_was(kind: str, note: str) -> None:
    assert bounded(nested(kind, MAX_DEPTH), 10) == nested(kind, MAX_DEPTH)
    value = bounded(nested(kind, MAX_DEPTH + 2), 10)
    for _ in range(MAX_DEPTH):
        value = value[0] if kind == "list" else value["k"]
    assert value == note


def test_items_beyond_the_limit_are_counted() -> None:
    kept = bounded(list(range(MAX_ITEMS + 7)), 10)
    assert kept == [*range(MAX_ITEMS), "[... 7 items cut ...]"]
    kept = bounded({str(n): n for n in range(MAX_ITEMS + 7)}, 10)
    assert len(kept) == MAX_ITEMS + 1
    assert kept["[...]"] == "[... 7 keys cut ...]"
    assert len(bounded(list(range(MAX_ITEMS)), 10)) == MAX_ITEMS


def test_keys_are_cleaned_and_shortened() -> None:
    (key,) = bounded({"k\ud800" * 500: 1}, 10)
    assert len(key) <= 200
    assert key.startswith("k\ufffd")


def test_keys_that_become_one_are_counted_as_cut() -> None:
    kept = bounded({chr(0xD800): 1, chr(0xD801): 2}, 10)
    assert kept == {"\ufffd": 2, "[...]": "[... 1 keys cut ...]"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NOISE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NOISE, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([3, 50]), st.integers(0, 3))
def test_a_value_is_bounded_when_bounding_changes_nothing(
    value: Any, limit: int, depth: int
) -> None:
    assert is_bounded(value, limit, depth) == (bounded(value, limit, depth) == value)


@pytest.mark.parametrize(
    "value", [[0] * (MAX_ITEMS + 1), dict.fromkeys(map(str, range(MAX_ITEMS + 1))), {"k" * 201: 1}]
)
def test_what_has_too_many_items_or_too_long_a_key_is_not_bounded(value: Any) -> None:
    assert not is_bounded(value, 1000)


@given(NOISE)
def test_cleaning_replaces_lone_surrogates_and_nothing_else(text: str) -> None:
    assert clean(text) == re.sub("[\ud800-\udfff]", "\ufffd", text)


@given(NOISE, st.lists(st.integers(min_value=0, max_value=200), max_size=6))
def test_json_in_blocks_cut_anywhere_is_escaped_as_in_one(text: str, cuts: list[int]) -> None:
    encoded = json.dumps([clean(text)], ensure_ascii=False).encode()
    places = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    out = BytesIO()
    stream = PrintableJson(out)
    for start, end in pairwise(places):
        assert stream.write(encoded[start:end]) == end - start
    stream.finish()
    assert out.getvalue().decode() == printable_json(encoded)
    assert not UNSAFE.search(out.getvalue().decode())
    assert json.loads(out.getvalue()) == [clean(text)]


def test_what_a_broken_document_ends_with_is_not_lost() -> None:
    out = BytesIO()
    stream = PrintableJson(out)
    stream.write(b'"\xe2\x80')
    stream.finish()
    assert out.getvalue() == b'"\xe2\x80'
