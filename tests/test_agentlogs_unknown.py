from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_logs import write_lines
from damaged_logs import counted, read_cuts, read_damaged, rows
from evaltrace.agentlogs import unknown
from evaltrace.agentlogs.transcript import Spending, Transcript, tally
from evaltrace.agentlogs.usage_shapes import to_usage
from evaltrace.patches.edits import Edit, Replacement
from evaltrace.source import Source
from evaltrace.trace import Usage

FIXTURE = Path(__file__).parent / "data" / "agentlogs" / "unknown"
Json = dict[str, Any]


def read(source: Source, folder: str = "agent") -> Transcript:
    transcript = unknown.read(source, folder)
    assert transcript is not None
    return transcript


def lines(tmp_path: Path, *rows: Json, name: str = "run.jsonl") -> Transcript:
    write_lines(tmp_path / name, rows)
    return read(Source(tmp_path), "")


def counts(given: int, output: int, **more: Any) -> Json:
    return {"usage": {"input_tokens": given, "output_tokens": output}, **more}


@pytest.fixture(scope="module")
def run() -> Transcript:
    return read(Source(FIXTURE))


def test_everything_found_is_of_low_confidence(run: Transcript) -> None:
    assert run.doubt == "unknown log format: read by shapes from agent/logs/run.jsonl"
    assert set(run.sources) == {"events", "tools", "usage", "cost", "response"}
    assert all(text.endswith("(low confidence)") for text in run.sources.values())


def test_usage_is_summed_over_responses_once_each(run: Transcript) -> None:
    # (1000 - 200) + (1300 - 1000) + (1200 - 1100) = 1200; r-2 is there twice
    assert run.usage == Usage(input_tokens=1200, output_tokens=100, cache_read_input_tokens=2300)
    assert list(run.model_usage) == ["model-a"]
    assert "sum of counts, each id once" in run.sources["usage"]
    assert run.spending == Spending(0.03, "reported")


def test_calls_and_results_are_found(run: Transcript) -> None:
    assert rows(run) == {
        ("bash", None): (1, 0),
        ("str_replace", None): (1, 0),
        ("mcp__docs__search", "docs"): (1, 1),
    }
    assert run.calls["c-1"].command == "make test"
    assert run.calls["c-2"].edits == [Edit("/app/parser.py", replacements=(Replacement("a", "b"),))]


def test_messages_are_found(run: Transcript) -> None:
    assert (run.prompt, run.turns, run.model) == ("Fix the parser.", 3, "model-a")
    assert [row.text for row in run.events if row.type == "message"] == [
        "Fix the parser.",
        "I look first.",
        "Fixed.",
    ]
    assert run.response is not None
    assert (run.response.result, run.response.subtype) == ("Fixed.", None)


def test_anthropic_blocks_are_found(tmp_path: Path) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    told = {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True}
    transcript = lines(
        tmp_path,
        {"message": {"id": "m1", "role": "assistant", "content": [use], **counts(5, 1)}},
        {"message": {"role": "user", "content": [told]}},
    )
    assert transcript.calls["t1"].failed is True
    assert transcript.calls["t1"].command == "ls"
    assert (transcript.turns, transcript.usage) == (1, Usage(input_tokens=5, output_tokens=1))


def test_counts_that_never_fall_are_a_running_total(tmp_path: Path) -> None:
    transcript = lines(tmp_path, counts(10, 1), counts(10, 4), counts(30, 9))
    assert transcript.usage == Usage(input_tokens=30, output_tokens=9)
    assert "never went down" in transcript.sources["usage"]


def test_counts_that_fall_are_summed(tmp_path: Path) -> None:
    transcript = lines(tmp_path, counts(10, 1), counts(30, 9), counts(20, 2))
    assert transcript.usage == Usage(input_tokens=60, output_tokens=12)


def test_a_last_count_that_is_the_sum_is_the_total(tmp_path: Path) -> None:
    transcript = lines(tmp_path, counts(10, 9), counts(30, 2), counts(40, 11))
    assert transcript.usage == Usage(input_tokens=40, output_tokens=11)
    assert "the sum of all before" in transcript.sources["usage"]


def test_an_id_around_a_list_is_not_that_of_its_items(tmp_path: Path) -> None:
    document = {"id": "session", "turns": [counts(10, 9), counts(30, 2)]}
    (tmp_path / "run.json").write_text(json.dumps(document, indent=2))
    assert read(Source(tmp_path), "").usage == Usage(input_tokens=40, output_tokens=11)


def test_a_total_of_money_is_believed(tmp_path: Path) -> None:
    transcript = lines(tmp_path, counts(1, 1), {"cost_usd": 0.2}, {"total_cost_usd": 0.7})
    assert transcript.spending == Spending(0.7, "reported")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, (9, 2, None, None)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, (5, None, None, 4)),
        ({"prompt_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2},
         (3, None, 2, 4)),
        ({"prompt_tokens": 9, "cache_read_tokens": 4, "cache_write_tokens": 2}, (3, None, 2, 4)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, (5, None, None, 4)),
        ({"prompt_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 7},
         (5, None, 7, 4)),
        ({"input_tokens": 9, "cache_read_input_tokens": 4}, (9, None, None, 4)),
        ({"input_tokens": 9, "output_tokens": 2, "cached_input_tokens": 4}, (5, 2, None, 4)),
        ({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}}, (5, None, None, 4)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3,
          "cachedContentTokenCount": 4}, (5, 5, None, 4)),
        ({"inputTokens": 9, "outputTokens": 2, "cacheReadInputTokens": 4}, (9, 2, None, 4)),
        ({"inputTokens": 9, "outputTokens": 2, "cachedInputTokens": 4}, (5, 2, None, 4)),
        ({"inputTokens": 0, "outputTokens": 0}, (0, 0, None, None)),
    ],
)  # fmt: skip
def test_known_shapes_of_usage_leave_the_cache_out(
    shape: Json, expected: tuple[int | None, ...]
) -> None:
    kinds = ("input_tokens", "output_tokens", "cache_creation_input_tokens")
    names = (*kinds, "cache_read_input_tokens")
    assert to_usage(shape) == Usage(**dict(zip(names, expected, strict=True)))


@pytest.mark.parametrize(
    "shape", [{}, {"input_tokens": "9"}, {"tokens": 9}, {"input_tokens": True}, {"inputTokens": -1}]
)
def test_other_shapes_are_no_usage(shape: Json) -> None:
    assert to_usage(shape) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.json", '{"role": "assistant", "content": "x", "input_tokens": 5}'),
        ("my-config.json", '{"messages": [{"role": "assistant", "content": "x"}]}'),
        ("package.json", '{"input_tokens": 5}'),
        ("data.csv", '{"input_tokens": 5}'),
        ("notes.txt", "role: assistant\ncontent: hello\n"),
        ("task.json", '{"role": "user", "content": "Do it."}'),
        ("colours.json", '{"name": "red", "id": 7, "type": "colour"}'),
        ("empty.json", ""),
        ("cut.json", '{"role": "assistant", "content": "x'),
    ],
)
def test_what_is_no_log_is_passed_over_in_silence(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    source = Source(tmp_path)
    assert unknown.read(source, "") is None
    assert source.problems == []


def test_of_two_copies_one_is_counted(tmp_path: Path) -> None:
    responses = [counts(10, 1), counts(30, 9), counts(20, 2)]
    lines(tmp_path, *responses, name="a.jsonl")
    transcript = lines(tmp_path, *responses, name="b.txt")
    assert transcript.usage == Usage(input_tokens=60, output_tokens=12)
    assert transcript.doubt is not None
    assert "1 more files" in transcript.doubt


def test_no_more_than_some_files_are_looked_at(tmp_path: Path) -> None:
    for number in range(unknown.MAX_FILES + 1):
        (tmp_path / f"{number:03d}.txt").write_text(json.dumps(counts(1, 1)))
    source = Source(tmp_path)
    assert read(source, "").usage == Usage(input_tokens=1, output_tokens=1)
    assert [problem.code for problem in source.problems] == ["too_many_files"]


def test_folders_are_entered_to_a_depth(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcde")
    deep.mkdir(parents=True)
    (deep / "run.jsonl").write_text(json.dumps(counts(1, 1)))
    assert unknown.read(Source(tmp_path), "") is None
    (deep.parent / "run.jsonl").write_text(json.dumps(counts(1, 1)))
    assert read(Source(tmp_path), "").usage == Usage(input_tokens=1, output_tokens=1)


def test_without_events_the_counts_stay(run: Transcript) -> None:
    short = unknown.read(Source(FIXTURE), "agent", keep_events=False)
    assert short is not None
    assert short.events == []
    assert tally(short.calls.values()) == tally(run.calls.values())
    assert (short.usage, short.turns, short.prompt) == (run.usage, run.turns, run.prompt)
    assert [row.edits for row in short.calls.values()] == [row.edits for row in run.calls.values()]


def test_a_cut_log_loses_its_last_line_only() -> None:
    before = 0
    for transcript, source in read_cuts(unknown.read, FIXTURE / "agent", "logs/run.jsonl", step=13):
        assert {problem.code for problem in source.problems} <= {"not_json_lines"}
        assert counted(transcript) >= before
        before = counted(transcript)
    assert before == 9  # 3 messages with text, 3 calls with an event each


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_changed_byte_raises(data: st.DataObject) -> None:
    transcript, source = read_damaged(unknown.read, FIXTURE / "agent", data)
    # A damaged key hides the calls of its message, and no problem tells of a key.
    assert transcript is None or transcript.calls or source.problems


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "usage", "input_tokens", "id", "name", "tool_calls",
             "function", "arguments", "text", "model", "timestamp", "total_cost_usd", "call_id"]
        ),
        inner | st.sampled_from(["assistant", "user", "tool_use", "tool_result", "function_call"]),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(value=JSON_VALUES)
def test_no_shape_raises(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("agent")
    (folder / "run.json").write_text(json.dumps(value))
    (folder / "run.jsonl").write_text(f'{{"row": {json.dumps(value)}}}\n')
    transcript = unknown.read(Source(folder), "")
    assert transcript is None or transcript.doubt is not None
