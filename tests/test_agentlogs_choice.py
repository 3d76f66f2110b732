from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from evaltrace.agentlogs import (
    LOGS,
    READERS,
    TRAJECTORY,
    aider,
    atif,
    claude_code,
    codex,
    copilot_cli,
    cursor_cli,
    gemini_cli,
    goose,
    mini_swe_agent,
    opencode,
    openhands,
    qwen_coder,
    read_transcript,
    swe_agent,
    trae_agent,
)
from evaltrace.source import Source

GOOSE = {"type": "message", "message": {"role": "assistant", "content": [{"text": "Done."}]}}
AIDER = "# aider chat started at 2026-01-05 10:00:00\n#### Go\n\nDone.\n"
PRINTED = '{"role": "assistant", "content": "x", "input_tokens": 5}\n'


def written(folder: Path, *names: str) -> Source:
    texts = {"goose.txt": json.dumps(GOOSE), "aider.chat.history.md": AIDER, "oracle.txt": PRINTED}
    for name in names:
        (folder / name).write_text(texts[name])
    return Source(folder)


@pytest.mark.parametrize("agent", ["aider", "aider@0.86", "aider 0.86.1", "aider v2", "aider@main"])
def test_a_version_after_the_name_does_not_change_the_reader(tmp_path: Path, agent: str) -> None:
    source = written(tmp_path, "goose.txt", "aider.chat.history.md")
    transcript = read_transcript(source, "", agent)
    assert transcript is not None
    assert transcript.sources["events"] == "aider.chat.history.md"
    assert source.problems == []


@pytest.mark.parametrize("agent", ["oracle", "oracle@1.0", "nop 2"])
def test_a_versioned_agent_without_a_model_has_no_log(tmp_path: Path, agent: str) -> None:
    assert read_transcript(written(tmp_path, "oracle.txt"), "", agent) is None


@pytest.mark.parametrize("agent", [None, "aider-like", "aider fork", "@1", "my.module:Agent"])
def test_a_second_format_is_reported_for_an_unknown_agent(
    tmp_path: Path, agent: str | None
) -> None:
    source = written(tmp_path, "goose.txt", "aider.chat.history.md")
    transcript = read_transcript(source, "", agent)
    assert transcript is not None
    assert transcript.sources["events"] == "goose.txt"
    (problem,) = source.problems
    assert (problem.code, problem.path) == ("other_log_ignored", "aider.chat.history.md")
    assert "of aider" in problem.message
    assert "of goose" in problem.message


def test_one_format_of_an_unknown_agent_is_no_problem(tmp_path: Path) -> None:
    source = written(tmp_path, "goose.txt", "oracle.txt")
    assert read_transcript(source, "", "mine") is not None
    assert source.problems == []


def test_the_table_of_logs_names_what_the_readers_read() -> None:
    table = {
        "claude-code": (claude_code.STREAM,),
        "codex": (codex.STREAM,),
        "gemini-cli": (gemini_cli.PRINTED,),
        "openhands": (openhands.TRAJECTORY,),
        "mini-swe-agent": (mini_swe_agent.LOG,),
        "swe-agent": (swe_agent.COPY, swe_agent.OUTPUT),
        "cursor-cli": cursor_cli.STREAMS,
        "opencode": (opencode.STREAM,),
        "qwen-coder": (qwen_coder.PRINTED, qwen_coder.SESSIONS),
        "goose": (goose.OUTPUT,),
        "copilot-cli": (copilot_cli.STREAM, copilot_cli.COPY, copilot_cli.SESSIONS),
        "aider": (aider.HISTORY, aider.OUTPUT),
        "trae-agent": (trae_agent.LOG,),
    }
    assert table == LOGS
    assert atif.TRAJECTORY == TRAJECTORY


@pytest.mark.parametrize("place", sorted(set(READERS.values())))
def test_every_reader_is_where_the_table_says(tmp_path: Path, place: str) -> None:
    module, _, name = place.partition(":")
    assert getattr(import_module(module), name)(Source(tmp_path), "") is None


def test_only_the_reader_that_is_needed_is_loaded(tmp_path: Path) -> None:
    written(tmp_path, "goose.txt")
    code = (
        "import sys; from pathlib import Path; from evaltrace.agentlogs import read_transcript;"
        "from evaltrace.source import Source;"
        f"assert read_transcript(Source(Path({str(tmp_path)!r})), '', 'goose');"
        "print(*(name for name in sys.modules if name.startswith('evaltrace.agentlogs.')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "evaltrace.agentlogs.goose" in loaded
    assert not {"evaltrace.agentlogs.codex", "evaltrace.agentlogs.atif"} & set(loaded)
