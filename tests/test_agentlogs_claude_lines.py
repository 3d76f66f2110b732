"""Lines that are decoded together are what they are one by one, faults and all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.agentlogs.claude_code import shapes
from evaltrace.agentlogs.claude_code.shapes import Turn, turns
from evaltrace.agentlogs.faults import LineFaults
from evaltrace.source import Source

Read = tuple[list[tuple[int, type[Turn], Turn]], dict[str, tuple[int, int, str]], int]

TALK = (
    b'{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"\xe2\x80\x94"}]}}'
)
OTHER = b'{"type":"result","is_error":false,"modelUsage":{"a":{"inputTokens":1}}}'
PIECES = (
    TALK,
    TALK,
    OTHER,
    b'{"type":"user","toolUseResult":"\xff"}',  # not UTF-8, where nobody looks
    b'{"type":"user","message":"\xff"}',
    b'{"type":"user","message":"\\ud800"}',
    b'{"type":"user","message":7}',
    b'{"type":"user","message":{"id":',
    b'{"id":"n"}}',
    b"{}",
    b"npm warn",
    b"",
)
ENDS = (b"\n", b"\n", b"\n", b"", b" ", b"\r\n", b"\n\n")


def read(folder: Path, log: bytes, *, sound: bool = False, few: bool = False) -> Read:
    (folder / "log").write_bytes(log)
    faults = LineFaults("log")
    found = [
        (number, type(turn), turn)
        for number, turn in turns(Source(folder), faults, sound=sound, few=few)
    ]
    return found, faults.found, faults.lines


@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS)), max_size=6),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_lines_are_the_same_together_and_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[bytes, bytes]], cut: bool
) -> None:
    log = b"".join(piece + end for piece, end in pieces)
    log = log[:-1] if cut else log
    folder = tmp_path_factory.getbasetemp()
    assert read(folder, log) == read(folder, log, few=True)


def test_a_value_over_two_lines_is_two_faulty_lines(tmp_path: Path) -> None:
    log = b'{"type":"user","message":\n{"id":"a"}} {"type":"user"}\n'  # two lines, two values
    found, faults, lines = read(tmp_path, log)
    assert (found, lines) == ([], 2)
    assert sum(count for count, _, _ in faults.values()) == 2


def test_a_sound_log_ends_at_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    log = TALK + b'\n{"type":"user","toolUseResult":"\xff"}\n'
    found, faults, _ = read(tmp_path, log, sound=True)
    assert found == []
    assert list(faults) == ["mended_lines"]
    assert len(read(tmp_path, log)[0]) == 2


def test_a_large_log_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = b"\n".join([TALK, OTHER, TALK])
    small = read(tmp_path, log)
    monkeypatch.setattr(shapes, "_LINES_AT_ONCE", 2)
    assert read(tmp_path, log) == small
    monkeypatch.setattr(shapes, "_AT_ONCE", len(log) - 1)
    assert read(tmp_path, log) == small
    assert [number for number, _, _ in small[0]] == [1, 2, 3]
