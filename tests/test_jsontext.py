from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaltrace.jsontext import Malformed, begins_object, decode


class Inner(msgspec.Struct, rename="camel"):
    count: int | None = None
    some_name: str | None = None


class Outer(msgspec.Struct):
    name: str | None = None
    inner: Inner | None = None
    rows: list[Inner | str] | None = None
    by_key: dict[str, Inner] | None = None
    raw: msgspec.Raw = msgspec.Raw(b"null")


ANY = msgspec.json.Decoder()
OUTER = msgspec.json.Decoder(Outer)
NUMBER = msgspec.json.Decoder(int)


def fault(data: bytes, decoder: msgspec.json.Decoder[Any] = ANY) -> str:
    with pytest.raises(Malformed) as caught:
        decode(data, decoder)
    assert str(caught.value)
    return caught.value.code


def outcome(data: bytes, decoder: msgspec.json.Decoder[Any]) -> str:
    try:
        decode(data, decoder)
    except Malformed as error:
        return error.code
    return "read"


@pytest.mark.parametrize(
    ("data", "value", "mended"),
    [
        (b'{"a": 1}', {"a": 1}, None),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, "byte order mark"),
        (b'{"a": NaN}', {"a": None}, "NaN"),
        (b"[Infinity, -Infinity, NaN, NaN]", [None] * 4, "Infinity, -Infinity, NaN"),
        (b"[1e999, -1e999, 1.5]", [None, None, 1.5], "number out of range"),
        (b'["\\ud800", "x"]', ["\ufffd", "x"], "lone surrogate"),
        (b'{"\\udc00": "\\ud83d\\ude00"}', {"\ufffd": "😀"}, "lone surrogate"),
        (b'["\xff\xfe caf\xc3\xa9"]', ["\ufffd\ufffd café"], "invalid UTF-8"),
        (b'["\xed\xa0\x80"]', ["\ufffd\ufffd\ufffd"], "invalid UTF-8"),
        (b'["a\tb\x01"]', ["a\tb\x01"], "unusual spelling"),
        (b'\x1b[32m{"a": 1}\x1b[0m', {"a": 1}, "terminal escapes"),
        (b"1" * 30, int("1" * 30), None),
        (b"[-" + b"1" * 30 + b", NaN]", [-int("1" * 30), None], "NaN"),
        (b"[1, " + b"1" * 5000 + b"]", [1, None], "number out of range"),
        (b"\xef\xbb\xbf[NaN, 1e999, \"\xff\"]", [None, None, "\ufffd"],
         "byte order mark, invalid UTF-8, NaN, number out of range"),
        (b" \n null \n", None, None),
        (b'{"a": 1, "a": 2}', {"a": 2}, None),
    ],
)  # fmt: skip
def test_what_can_be_read_is_read_and_what_was_mended_is_named(
    data: bytes, value: Any, mended: str | None
) -> None:
    assert decode(data, ANY) == (value, mended)
    assert decode(memoryview(data), ANY) == (value, mended)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  \n",
        b"{",
        b'{"a": 1',
        b'{"a": 1} trailing',
        b'{"a": 1}{"b": 2}',
        b"{'a': 1}",
        b"[1,]",
        b"undefined",
        b'"open',
        b"\xef\xbb\xbf",
        b"\x00\x00",
        b"npm warn deprecated x@1",
        b"\x1b[31mError: 1\x1b[0m",
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    assert fault(data) == "not_json"


def nest(depth: int, inside: bytes = b"1", kind: str = "list") -> bytes:
    start, end = (b"[", b"]") if kind == "list" else (b'{"k":', b"}")
    return start * depth + inside + end * depth


# Later interpreters let compiled code go deeper; how deep depends on the machine.
TOO_DEEP = 10_000 if sys.version_info < (3, 12) else 1_000_000


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("inside", [b"1", b"NaN", b'"\xff"', b'"\\ud800"'])
def test_five_hundred_levels_are_read_and_ten_thousand_are_too_deep(
    kind: str, inside: bytes
) -> None:
    value, _ = decode(nest(500, inside, kind), ANY)
    for _ in range(500):
        value = value[0] if kind == "list" else value["k"]
    assert value in (1, None, "\ufffd")
    assert fault(nest(TOO_DEEP, inside, kind)) == "too_deep"


@pytest.mark.parametrize("depth", [900, 1_000, 1_200])
@pytest.mark.parametrize("inside", [b"1", b"NaN"])
def test_near_the_interpreters_limit_depth_is_read_or_refused(depth: int, inside: bytes) -> None:
    assert outcome(nest(depth, inside), ANY) in ("read", "too_deep")


def test_depth_is_refused_from_deep_within_the_stack_too() -> None:
    def down(levels: int) -> str:
        return fault(nest(400, b"NaN")) if levels == 0 else down(levels - 1)

    assert down(sys.getrecursionlimit() - 400) == "too_deep"


def test_a_million_levels_do_not_crash_the_interpreter() -> None:
    code = (
        "import msgspec; from evaltrace.jsontext import *\n"
        "for text in (b'[' * 10**6 + b']' * 10**6, b'{\"a\":' * 10**6, b'[' * 10**6 + b'NaN'):\n"
        "    for kind in (msgspec.json.Decoder(), msgspec.json.Decoder(msgspec.Raw)):\n"
        "        try: decode(text, kind)\n"
        "        except Malformed as error: print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) <= {"too_deep", "not_json"}
    assert done.stdout.count("too_deep") >= 3


def test_a_field_of_the_wrong_type_is_left_out_and_named() -> None:
    outer, mended = decode(b'{"name": 5, "inner": {"count": "x", "someName": "kept"}}', OUTER)
    assert outer == Outer(inner=Inner(some_name="kept"))
    assert mended == "unexpected type at name, unexpected type at inner.count"


def test_renamed_fields_are_found_by_the_name_in_the_text() -> None:
    outer, mended = decode(b'{"inner": {"someName": [], "count": 1}}', OUTER)
    assert (outer.inner, mended) == (Inner(count=1), "unexpected type at inner.someName")


def test_an_item_of_the_wrong_type_is_left_out_of_its_list() -> None:
    outer, mended = decode(b'{"rows": [{"count": 1}, 7, "text", {"count": "x"}]}', OUTER)
    assert outer.rows == [Inner(count=1), "text", Inner()]
    assert mended == "unexpected type at rows[1], unexpected type at rows[2].count"


def test_a_fault_below_a_dictionary_costs_the_dictionary_and_says_so() -> None:
    outer, mended = decode(b'{"name": "kept", "by_key": {"a": {"count": "x"}}}', OUTER)
    assert outer == Outer(name="kept")
    assert mended == "unexpected type at by_key"


def test_many_fields_of_the_wrong_type_do_not_cost_the_line() -> None:
    rows = [{"count": "x", "someName": "kept"}] * 40
    outer, mended = decode(json.dumps({"rows": rows}).encode(), OUTER)
    assert outer.rows == [Inner(some_name="kept")] * 40
    assert mended is not None
    assert mended.count("unexpected type") == 40


@pytest.mark.parametrize(
    ("data", "decoder"),
    [(b"[1]", OUTER), (b'"text"', NUMBER), (b'{"by_key": 1}', NUMBER)],
)
def test_a_document_of_another_shape_is_named_as_such(
    data: bytes, decoder: msgspec.json.Decoder[Any]
) -> None:
    assert fault(data, decoder) == "wrong_shape"


def test_endless_faults_end() -> None:
    rows = [{"count": "x"}] * 1000
    assert fault(json.dumps({"rows": rows}).encode(), OUTER) == "wrong_shape"


def test_raw_values_are_found_intact_inside_a_mended_document() -> None:
    outer, _ = decode(b'{"name": 5, "raw": {"a": [1, "\\u00e9", NaN]}}', OUTER)
    assert decode(bytes(outer.raw), ANY)[0] == {"a": [1, "é", None]}


@pytest.mark.parametrize("inside", [b"1e999", b'"\xff"', b"1" * 5000])
def test_what_the_fast_parser_skips_over_in_a_raw_value_is_mended_later(inside: bytes) -> None:
    outer, _ = decode(b'{"raw": [' + inside + b"]}", OUTER)
    value, mended = decode(memoryview(outer.raw), ANY)
    assert value in ([None], ["\ufffd"])
    assert mended


# What cannot be an object is told by its beginning.


@pytest.mark.parametrize(
    "line",
    [
        b"npm warn deprecated", b"[1]", b"42", b'"text"', b"null", b"  \t}", b"\xef\xbb\xbf[",
        b"\x1b[31mError\x1b[0m", b"\x1b]0;title\x07$ ls", "\u2714 done".encode(), b"\xff{",
    ],
)  # fmt: skip
def test_noise_is_told_by_its_beginning(line: bytes) -> None:
    assert not begins_object(line)
    assert not begins_object(memoryview(line))


OBJECT = msgspec.json.Decoder(dict[str, Any])
BEGINNINGS = st.lists(
    st.sampled_from(
        [b"\xef\xbb\xbf", b" ", b"\t", b"\r", b"\x00", b"\x07", b"\x1b", b"\x1b[", b"\x1b]",
         b"\x9d", b"\xc2\x9b", b"\xc2\x9c", b"\xc2\x9d", b"\xc2\xa0", b"\xe2\x80\xa8",
         b"\xe2\x81\xa6", b"\xe2\x82\xac", b"\xe2", b"\xff", b"0;", b"31m", b"\x1b[0m",
         b"\x1b]0;t\x07", b"\x1b\\", b"x", b"{", b'{"a": 1}', b'{"a": "\x07x"}',
         b'{"a": "\x1b[0m"}']
    ),
    min_size=1,
).map(b"".join)  # fmt: skip


@given(BEGINNINGS)
@settings(max_examples=2000)
@example(b'\x1b]0;t\xc2\x9c{"a": "\x07x"}')
@example(b'\x1b[0m\x1b]0;title\x07{"a": 1}')
@example(b'\xc2\x9b31m{"a": "\x1b[0m"}')
def test_no_line_that_can_be_read_is_taken_for_noise(line: bytes) -> None:
    if not begins_object(line):
        assert outcome(line, OBJECT) != "read"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**90), 10**90)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=40,
)


@given(JSON)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    assert decode(json.dumps(value).encode(), ANY) == (value, None)
    assert decode(json.dumps(value, ensure_ascii=False, indent=1).encode(), ANY) == (value, None)


@given(JSON)
def test_any_json_value_comes_back_from_behind_a_byte_order_mark(value: Any) -> None:
    assert decode(b"\xef\xbb\xbf" + json.dumps(value).encode(), ANY) == (value, "byte order mark")


TOKENS = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"NaN", b"1e999",
         b"-", b"9" * 40, b"\xff", b"\xef\xbb\xbf", b"\x1b[", b'"name"', b'"rows"', b'"raw"',
         b"true", b"null", b"\x00", b" ", b"\n"]
    )
).map(b"".join)  # fmt: skip


@given(st.binary() | TOKENS)
@example(b"-")
@example(b'{"\\')
def test_no_bytes_raise_anything_but_malformed(data: bytes) -> None:
    for decoder in (ANY, OUTER, NUMBER):
        assert outcome(data, decoder) in ("read", "not_json", "too_deep", "wrong_shape")
