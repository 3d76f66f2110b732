"""Files of requests, and the protobuf of those that are no JSON."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.otlp import read_otlp, read_requests
from evaltrace.otlp.protobuf import NotProtobuf, from_protobuf, to_protobuf
from evaltrace.otlp.requests import batches, write_requests
from otlp_spans import request, span

ONE = request(span(1, name="a"), span(2, 1, attributes={"x": [1, "b", 2.5, True], "y": {"z": -1}}))
TWO = request(span(3, status={"code": 2, "message": "no"}))

# As the protobuf library of Google writes ONE.
REFERENCE = bytes.fromhex(
    "0ae4010a1c0a1a0a0c736572766963652e6e616d65120a0a086d792d6167656e7412c3010a070a057465737473"
    "12350a105b8efff798038103d269b633813fc60c120800000000000000012a016130013900ca94295272861841"
    "00942f65527286187a001280010a105b8efff798038103d269b633813fc60c1208000000000000000222080000"
    "0000000000012a067370616e203230013900942f655272861841005ecaa0527286184a1f0a0178121a2a180a02"
    "18010a030a01620a092100000000000004400a0210014a190a0179121432120a100a017a120b18ffffffffffff"
    "ffffff017a00"
)


def test_protobuf_is_what_the_reference_writes() -> None:
    assert to_protobuf(ONE) == REFERENCE
    assert from_protobuf(REFERENCE) == ONE


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(content: bytes) -> None:
    try:
        found = from_protobuf(content)
    except NotProtobuf:
        return
    assert isinstance(found, dict)


@given(st.integers(1, len(REFERENCE) - 1))
def test_a_message_that_was_cut_is_never_read_as_the_whole(length: int) -> None:
    try:
        found = from_protobuf(REFERENCE[:length])
    except NotProtobuf:
        return
    assert found != ONE


def test_fields_that_nobody_knows_are_skipped() -> None:
    unknown = b"\xfa\x01\x03abc" + b"\xf0\x01\x05" + b"\xf9\x01" + bytes(8) + b"\xfd\x01" + bytes(4)
    assert from_protobuf(unknown + REFERENCE + unknown) == ONE


def test_a_message_nested_without_end_is_refused() -> None:
    value = b""
    for _ in range(120):
        value = b"\x0a" + _length(len(value)) + value
        value = b"\x2a" + _length(len(value)) + value
    with pytest.raises(NotProtobuf, match="deeply"):
        from_protobuf(value, "any")


def _length(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128, value >> 7])


def lines(*documents: Any) -> bytes:
    return b"".join(msgspec.json.encode(document) + b"\n" for document in documents)


FILES = {
    "document": lines(ONE),
    "indented": msgspec.json.format(msgspec.json.encode(ONE)),
    "protobuf": to_protobuf(ONE),
    "collector": len(to_protobuf(ONE)).to_bytes(4, "big") + to_protobuf(ONE),
    "gzip": gzip.compress(lines(ONE)),
    "blank lines": b"\n\n" + lines(ONE) + b"\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_every_form_of_a_file_is_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "spans"
    path.write_bytes(content)
    assert list(read_requests(path)) == [ONE]


def test_several_requests_of_a_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    framed = [len(m).to_bytes(4, "big") + m for m in (to_protobuf(ONE), to_protobuf(TWO))]
    for content in (lines(ONE, TWO), b"".join(framed), lines([ONE, TWO])):
        path.write_bytes(content)
        assert list(read_requests(path)) == [ONE, TWO]


def test_a_broken_line_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(lines(ONE) + b'{"resourceSp\n' + lines(TWO))
    first, problem, last = read_requests(path)
    assert (first, last) == (ONE, TWO)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.path) == ("malformed_request", "spans.jsonl:2")


def test_what_cannot_be_unpacked_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    path.write_bytes(b"\x28\xb5\x2f\xfdrest")
    with pytest.raises(UnreadablePath, match="zstd"):
        list(read_requests(path))


def test_a_compressed_file_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "spans.gz"
    path.write_bytes(gzip.compress(lines(ONE)) + gzip.compress(lines(TWO))[:30])
    first, problem = read_requests(path)
    assert first == ONE
    assert isinstance(problem, Problem)
    assert (problem.code, problem.path) == ("malformed_request", "spans.gz")


@pytest.mark.parametrize("length", [91, 123])
def test_protobuf_that_looks_like_json_is_read(length: int, tmp_path: Path) -> None:
    # Its second byte, the length of what follows, is an opening bracket or brace.
    shape = request(span(1, name=""))
    shape["resourceSpans"][0].pop("resource")
    shape["resourceSpans"][0]["scopeSpans"][0].pop("scope")
    name = "x" * (length - to_protobuf(shape)[1])
    shape["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] = name
    content = to_protobuf(shape)
    assert content[1] == length
    path = tmp_path / "spans.pb"
    path.write_bytes(content)
    assert list(read_requests(path)) == [shape]


def test_a_message_that_is_broken_does_not_end_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    messages = (to_protobuf(ONE), b"\x0a\xff", to_protobuf(TWO))
    path.write_bytes(b"".join(len(m).to_bytes(4, "big") + m for m in messages))
    first, problem, last = read_requests(path)
    assert (first, last) == (ONE, TWO)
    assert isinstance(problem, Problem)


def test_a_large_file_of_something_else_is_not_read_to_its_end(tmp_path: Path) -> None:
    zeros, log = tmp_path / "zeros", tmp_path / "log"
    with zeros.open("wb") as out:
        out.truncate(2 << 30)
    log.write_text("no json\n" * 5000)
    [problem] = read_requests(zeros)
    assert isinstance(problem, Problem)
    with pytest.raises(UnreadablePath, match="no file of requests"):
        list(read_requests(log))


def test_a_document_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaltrace.otlp.requests._LONGEST", 1000)
    path = tmp_path / "spans"
    for content in (b'{"a": "' + b"x" * 2000, gzip.compress(b" " * 2000), b"\n" + b" " * 2000):
        path.write_bytes(content)
        with pytest.raises(UnreadablePath, match="longer"):
            list(read_requests(path))
    path.write_bytes(lines(*[ONE] * 20))
    assert list(read_requests(path)) == [ONE] * 20


def test_a_document_of_very_many_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.otlp.requests._MOST_VALUES", 1000)
    path = tmp_path / "spans"
    for content in (b'{"a": [' + b"[]," * 500 + b"0]}", b'{"a":\n[' + b"9," * 1000 + b"0]}"):
        path.write_bytes(gzip.compress(content))
        with pytest.raises(UnreadablePath, match="more than 1,000 values"):
            list(read_requests(path))


def test_a_problem_that_comes_again_is_told_once_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    path.write_text(json.dumps({"resourceSpans": [1, "a", 2.5, {"scopeSpans": 1}]}))
    messages = [found.message for found in read_otlp([path]) if isinstance(found, Problem)]
    assert messages == [
        "a group of spans that is no object (3 times)",
        "no list where each group of spans should be",
    ]


@pytest.mark.parametrize("form", ["json", "jsonl", "protobuf"])
@pytest.mark.parametrize("requests", [[], [ONE], [ONE, TWO]])
def test_what_is_written_is_read_again(
    form: str, requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = io.BytesIO()
    spans = write_requests(out, requests, form)
    path = tmp_path / "spans"
    path.write_bytes(out.getvalue())
    groups = [group for found in read_requests(path) for group in found.get("resourceSpans", [])]
    assert groups == [group for one in requests for group in one["resourceSpans"]]
    assert spans == sum(len(group["scopeSpans"][0]["spans"]) for group in groups)


@given(st.lists(st.integers(0, 7), max_size=5), st.integers(1, 4), st.integers(1, 2000))
def test_batches_hold_every_span_once_within_their_bounds(
    sizes: list[int], most: int, weight: int
) -> None:
    requests = [
        request(*(span(10 * n + i + 1) for i in range(size))) for n, size in enumerate(sizes)
    ]
    found = list(batches(requests, most, weight))
    spans = [
        [s for group in one["resourceSpans"] for s in group["scopeSpans"][0]["spans"]]
        for one in found
    ]
    assert all(len(part) <= most for part in spans)
    assert all(
        len(part) <= 1 or len(msgspec.json.encode(part)) <= weight + 2 * len(part) for part in spans
    )
    given = [s for one in requests for s in one["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert [s for part in spans for s in part] == given
