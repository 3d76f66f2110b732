from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evaltrace.agentlogs import claude_code
from evaltrace.agentlogs.transcript import Transcript
from evaltrace.source import Source

Json = dict[str, Any]
TOOL = {"c1": "Read", "c2": "Bash", "c3": "Edit"}
EDIT = {"filePath": "/app/a", "oldString": "one", "newString": "two"}


def asked(call_id: str) -> Json:
    given = {"command": "ls"} if call_id == "c2" else {"file_path": "/app/a"}
    block = {"type": "tool_use", "id": call_id, "name": TOOL[call_id], "input": given}
    return {"type": "assistant", "message": {"id": f"m-{call_id}", "content": [block]}}


def told(call_id: str, content: Any = "shown", **line: Any) -> Json:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return {"type": "user", "message": {"content": [block]}, **line}


def read(
    folder: Path, stream: Sequence[Json | bytes], session: list[Json]
) -> tuple[Transcript, Source]:
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in stream]
    (folder / "claude-code.txt").write_bytes(b"\n".join(rows))
    place = folder / "sessions" / "projects" / "-app"
    place.mkdir(parents=True)
    (place / "s.jsonl").write_text("\n".join(map(json.dumps, session)), encoding="utf-8")
    source = Source(folder)
    transcript = claude_code.read(source, "")
    assert transcript is not None
    return transcript, source


def outputs(transcript: Transcript) -> Json:
    return {key: call.event and call.event.output for key, call in transcript.calls.items()}


@pytest.mark.parametrize(
    ("stream", "session"),
    [
        (["c1", "c2"], ["c1"]),  # the stream reaches further
        (["c1"], ["c1", "c2"]),
        (["c1", "c2"], ["c1", "c3"]),  # each has what the other has not
    ],
)
def test_events_of_either_log_come_with_their_results(
    tmp_path: Path, stream: list[str], session: list[str]
) -> None:
    logs = [
        [line for key in keys for line in (asked(key), told(key))] for keys in (stream, session)
    ]
    transcript, _ = read(tmp_path, *logs)
    assert outputs(transcript) == dict.fromkeys({**dict.fromkeys(session + stream)}, "shown")
    inputs = [call.event.input for call in transcript.calls.values() if call.event]
    assert None not in inputs


def test_a_result_that_only_the_stream_has_is_taken_over(tmp_path: Path) -> None:
    lines = [asked("c1"), asked("c2"), told("c2")]
    transcript, _ = read(tmp_path, [*lines, told("c1", "only here")], lines)
    assert outputs(transcript) == {"c1": "only here", "c2": "shown"}


def test_an_edit_is_taken_from_the_log_that_knows_its_content(tmp_path: Path) -> None:
    session = [asked("c3"), told("c3", toolUseResult=EDIT)]
    whole = {**EDIT, "originalFile": "one\n"}
    transcript, _ = read(tmp_path, [asked("c3"), told("c3", tool_use_result=whole)], session)
    [edit] = transcript.calls["c3"].edits
    assert (edit.before, edit.after) == ("one\n", "two\n")


def test_an_output_of_the_stream_that_is_not_utf_8_is_told_of(tmp_path: Path) -> None:
    lines = [asked("c1"), told("c1")]
    broken = json.dumps(told("c1")).encode().replace(b"shown", b"sho\xffn")
    _, source = read(tmp_path, [asked("c1"), broken], lines)
    assert [(problem.code, problem.path) for problem in source.problems] == [
        ("mended_lines", "claude-code.txt")
    ]


def test_a_number_out_of_range_does_not_cost_an_edit(tmp_path: Path) -> None:
    whole = json.dumps({**EDIT, "originalFile": "one\n", "structuredPatch": [{"oldStart": 77}]})
    line = json.dumps(told("c3", toolUseResult=0))
    odd = line.replace("0}", f"{whole}}}").replace("77", "1e999")
    transcript, _ = read(tmp_path, [asked("c3"), odd.encode()], [])
    [edit] = transcript.calls["c3"].edits
    assert edit.after == "two\n"
