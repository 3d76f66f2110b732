"""The changes of a trial's runs: what they add up to, and why they may lack something."""

from __future__ import annotations

from typing import Any

import pytest

from evaltrace.agentlogs.code_changes import RebuiltChanges, rebuild_changes
from evaltrace.agentlogs.edit_calls import edits_of_call
from evaltrace.agentlogs.transcript import EDITS_LIMIT, Transcript
from evaltrace.patches.edits import Edit, Hunk

OUTPUT = "Exit code: 0\nWall time: 0 seconds\nOutput:\n"
WRITE = ("write_file", {"file_path": "/app/new.py", "content": "x = 1\n"}, False)
Step = tuple[str, Any, bool | None]


def run(*steps: Step, output: str = "", **given: Any) -> Transcript:
    """Make a run of calls: name, input, and whether it failed (None: it has no result)."""
    made = Transcript(cwd="/app", **given)
    for number, (name, value, failed) in enumerate(steps):
        made.call(str(number), name, input=value)
        for edit in edits_of_call(name, value):
            made.edited(str(number), edit)
        if failed is not None:
            made.returned(str(number), failed=failed, output=output)
    return made


def changes(*transcripts: Transcript) -> RebuiltChanges:
    found = rebuild_changes(transcripts)
    assert found is not None
    return found


def test_edits_of_tools_alone_are_complete() -> None:
    found = changes(run(WRITE, ("bash", {"command": "ls"}, False)))
    assert (found.doubts, found.left_out, found.stats.complete) == ([], {}, True)
    assert found.diff.endswith("+++ b/new.py\n@@ -0,0 +1 @@\n+x = 1\n")
    assert (found.stats.source, found.stats.files_changed) == ("reconstructed", 1)
    assert (found.stats.lines_added, found.stats.lines_removed) == (1, 0)


@pytest.mark.parametrize(
    ("step", "doubt"),
    [
        (("bash", {"command": "make install"}, False), "a shell command may have written"),
        (("bash", {"command": "make install"}, True), "a shell command may have written"),
        (("bash", {"session": 4}, False), "a shell command may have written"),
        (("mcp__files__write_note", {}, False), "a tool of an MCP server may have written"),
        (("mcp__files__createFile", {}, False), "a tool of an MCP server may have written"),
        (("write_file", {"file_path": "a", "content": ""}, None), "an edit has no result"),
        (("edit_file", {"instructions": "do it"}, False), "an edit is of an unknown form"),
    ],
)
def test_what_may_have_written_besides_makes_a_doubt(step: Step, doubt: str) -> None:
    found = changes(run(WRITE, step))
    assert (found.doubts, found.stats.complete) == ([doubt], False)
    assert [row.path for row in found.stats.files] == ["new.py"]


@pytest.mark.parametrize(
    "step",
    [
        ("mcp__files__read_note", {}, False),
        ("write_file", {"file_path": "a", "content": ""}, True),
        ("str_replace_editor", {"command": "view", "path": "/app/new.py"}, False),
        ("bash", {"command": "apply_patch <<'E'\n*** Begin Patch\n*** Add File: b\n+b\n"
                             "*** End Patch\nE\n"}, False),
    ],
)  # fmt: skip
def test_what_cannot_have_written_makes_none(step: Step) -> None:
    found = changes(run(WRITE, step))
    assert (found.doubts, found.stats.complete) == ([], True)


ADD = "*** Begin Patch\n*** Add File: b\n+b\n*** End Patch"


@pytest.mark.parametrize(
    "command",
    [
        f"apply_patch <<'EOF'\n{ADD}\nEOF\nsed -i s/x/y/ b.py && rm -rf src",
        f"rm x; apply_patch <<'EOF'\n{ADD}\nEOF",
        f"apply_patch <<'EOF' > out\n{ADD}\nEOF",
        f"apply_patch '{ADD}'; rm x",
        f"bash -lc \"apply_patch <<'EOF'\n{ADD}\nEOF\nrm x\"",
        ["bash", "-lc", f"apply_patch <<'EOF'\n{ADD}\nEOF\nrm x"],
        ["bash", "-lc", f"apply_patch '{ADD}'; rm x"],
        f"{ADD}\nrm x",
        f"apply_patch <<'EOF'\n{ADD}\nEOF\napply_patch <<'EOF'\n{ADD}\nEOF\n",
        f"apply_patch <<EOF\n{ADD.replace('+b', '+$(rm x)')}\nEOF",
        f'apply_patch "{ADD.replace("+b", "+`rm x`")}"',
        f"apply_patch '{ADD.replace('+b', chr(39) + '; rm x; ' + chr(39))}'",
        f"apply_patch <<'EOF'\n{ADD.replace('+b', '+b' + chr(10) + 'EOF' + chr(10) + 'rm x')}\nEOF",
    ],
)
def test_what_a_script_does_besides_its_patch_makes_a_doubt(command: str | list[str]) -> None:
    found = changes(run(("bash", {"command": command}, False)))
    assert (found.doubts[0], found.stats.complete) == ("a shell command may have written", False)
    assert "b" in [row.path for row in found.stats.files]


@pytest.mark.parametrize(
    "command",
    [
        f"cd /app && apply_patch <<'EOF'\n{ADD}\nEOF\ngit diff | cat",
        f"apply_patch '{ADD}'",
        f'apply_patch "{ADD}" && ls',
        f"apply_patch {ADD}",
        f"cat <<'EOF' | apply_patch\n{ADD}\nEOF",
        f"bash -lc \"apply_patch <<'EOF'\n{ADD}\nEOF\"",
        ["bash", "-lc", f"apply_patch <<'EOF'\n{ADD}\nEOF\n"],
        ["/bin/sh", "-c", f"cd /app && apply_patch '{ADD}'"],
        ["apply_patch", ADD],
        f"apply_patch <<'EOF'\n{ADD.replace('+b', '+$(rm x) `y`')}\nEOF",
        f"{ADD}\n",
    ],
)
def test_a_script_that_only_applies_a_patch_makes_none(command: str | list[str]) -> None:
    found = changes(run(("bash", {"command": command}, False)))
    assert (found.doubts, found.stats.complete) == ([], True)


@pytest.mark.parametrize("failed", [True, None])
def test_a_patch_in_a_shell_that_did_not_succeed_makes_a_doubt(failed: bool | None) -> None:
    call = ("bash", {"command": f"apply_patch <<'EOF'\n{ADD}\nEOF\n"}, failed)
    assert changes(run(WRITE, call)).doubts == ["a shell command may have written"]


def test_scratch_in_the_working_directory_makes_a_doubt() -> None:
    made = run(WRITE, ("bash", {"command": "rm -rf /tmp/repo/src"}, False))
    assert changes(made).doubts == []
    made.cwd = "/tmp/repo"
    assert changes(made).doubts == ["a shell command may have written"]


@pytest.mark.parametrize(
    "name",
    [
        *("write_to_file", "replace_in_file", "apply_diff", "create_new_file", "move_file"),
        *("delete_path", "computercontroller__automation_script", "code_execution__execute"),
        *("llm_based_edit", "workflow", "batch"),
    ],
)
@pytest.mark.parametrize("failed", [False, True, None])
def test_a_tool_that_is_not_known_makes_a_doubt(name: str, failed: bool | None) -> None:
    made = run(WRITE)
    made.call("t", name, input={"path": "b.py"})
    if failed is not None:
        made.returned("t", failed=failed, output="ok")
    assert made.calls["t"].kind == "other"
    assert changes(made).doubts == ["a tool of an unknown kind may have written"]


@pytest.mark.parametrize(
    "name",
    [
        *("finish", "think", "Skill", "SlashCommand", "AskUserQuestion", "mark_task_complete"),
        *("ToolSearch", "todo__write", "TodoWrite", "web_search", "update_plan", "list_agents"),
    ],
)
def test_a_tool_that_is_known_to_be_harmless_makes_none(name: str) -> None:
    assert changes(run(WRITE, (name, {"text": "x"}, False))).doubts == []


@pytest.mark.parametrize("name", ["Task", "task", "spawn_agent", "subagent__execute_task"])
def test_a_subagent_makes_a_doubt_unless_the_log_shows_what_it_did(name: str) -> None:
    made = run(WRITE, (name, {"prompt": "edit it"}, False))
    task = made.calls["1"].event
    assert task is not None
    asked = {"parent_id": task.id, "role": "user", "text": "edit it"}
    made.add("message", **asked)
    assert changes(made).doubts == ["a subagent may have written"]
    inner = made.call("2", "bash", parent_id=task.id, input={"command": "ls"})
    made.returned("2", failed=False, output="a")
    assert changes(made).doubts == []
    inner.command = "rm a"
    assert changes(made).doubts == ["a shell command may have written"]


def test_a_subagent_is_told_of_by_its_own_messages_too() -> None:
    made = run(WRITE, ("Task", {"prompt": "look"}, False), ("Task", {"prompt": "look"}, False))
    for call in ("1", "2"):
        assert changes(made).doubts == ["a subagent may have written"]
        event = made.calls[call].event
        assert event is not None
        made.add("message", role="assistant", text="Done.", parent_id=event.id)
    assert changes(made).doubts == []


def test_a_log_without_events_does_not_tell_what_a_subagent_did() -> None:
    made = run(WRITE, ("Task", {"prompt": "look"}, False), keep_events=False)
    assert changes(made).doubts == ["a subagent may have written"]


def test_a_reason_is_given_once() -> None:
    shell = ("bash", {"command": "make"}, False)
    assert changes(run(WRITE, shell, shell), run(shell)).doubts == [
        "a shell command may have written"
    ]


def test_lost_edits_and_doubts_of_the_log_count() -> None:
    large = run(WRITE)
    large.edited("0", Edit("/app/large", after="x" * (EDITS_LIMIT + 1)))
    assert changes(large).doubts == ["1 edits were too large to keep"]
    assert changes(run(WRITE, doubt="it was cut off")).doubts == ["it was cut off"]


def test_a_run_that_shows_no_work_is_a_doubt() -> None:
    assert changes(run(WRITE), run()).doubts == ["the log shows no work"]
    assert changes(run(WRITE), run(turns=2)).doubts == []


def test_no_edits_and_nothing_that_may_write_is_an_empty_change() -> None:
    found = changes(run(("bash", {"command": "cat /app/a"}, False)))
    assert (found.diff, found.stats.files, found.stats.complete) == ("", [], True)
    assert (found.stats.files_changed, found.stats.lines_added) == (0, 0)


@pytest.mark.parametrize(
    "transcripts",
    [
        [],
        [run()],
        [run(("bash", {"command": "make"}, False))],
        [run(turns=3, doubt="its edits are not in it")],
    ],
)
def test_a_log_that_cannot_tell_gives_nothing(transcripts: list[Transcript]) -> None:
    assert rebuild_changes(transcripts) is None


def test_looks_alone_do_not_tell_what_a_shell_wrote() -> None:
    look = ("exec_command", {"cmd": "cat a"}, False)
    silent = run(look, ("exec_command", {"cmd": "make"}, False), output=f"{OUTPUT}one\n")
    assert [edit.before for edit in silent.shown("0")] == ["one\n"]
    assert rebuild_changes([silent]) is None


def test_runs_add_up_in_their_order() -> None:
    first = run(("write_file", {"file_path": "/app/a", "content": "1\n2\n"}, False))
    second = run(("edit", {"file_path": "a", "old_string": "2", "new_string": "3"}, False))
    assert changes(first, second).diff.endswith("+++ b/a\n@@ -0,0 +1,2 @@\n+1\n+3\n")
    assert changes(second, first).left_out.keys() == {"a"}


def test_edits_without_a_call_count() -> None:
    made = run(turns=1)
    made.edited(None, Edit("/app/a", created=True, after="x\n"))
    assert [row.path for row in changes(made).stats.files] == ["a"]


def test_what_was_read_before_an_edit_gives_the_lines_around_it() -> None:
    patch = "*** Begin Patch\n*** Update File: a\n@@\n-two\n+2\n*** End Patch"
    look = ("exec_command", {"cmd": "cat a", "workdir": "/app"}, False)
    blind = changes(run(("apply_patch", {"input": patch}, False)))
    assert blind.left_out.keys() == {"a"}
    found = changes(
        run(look, ("apply_patch", {"input": patch}, False), output=f"{OUTPUT}one\ntwo\n")
    )
    assert (found.left_out, found.stats.complete) == ({}, True)
    assert found.diff.endswith("@@ -1,2 +1,2 @@\n one\n-two\n+2\n")


def test_counts_are_known_of_files_that_the_diff_cannot_show() -> None:
    made = run(WRITE)
    made.edited("0", Edit("/app/b", created=False, hunks=(Hunk(("-x", "+y", "+z")),)))
    made.edited("0", Edit("/app/c", created=False))
    found = changes(made)
    assert found.doubts == ["2 files could not be rebuilt"]
    rows = [(row.path, row.added, row.removed) for row in found.stats.files]
    assert rows == [("b", 2, 1), ("c", None, None), ("new.py", 1, 0)]
    assert (found.stats.files_changed, found.stats.lines_added, found.stats.lines_removed) == (
        3,
        3,
        1,
    )


def test_a_name_that_looks_like_two_does_not_mislead_the_counts() -> None:
    name = "k b/k"
    found = changes(run(("write_file", {"file_path": f"/app/{name}", "content": "1\n"}, False)))
    assert [(row.path, row.change, row.added) for row in found.stats.files] == [(name, "added", 1)]


@pytest.mark.parametrize(
    ("tool", "writes"),
    [
        ("commit_search", False),
        ("list_commits", False),
        ("find_references", False),
        ("runQuery", True),
        ("keyword_search", False),
        ("nls_search", False),
        ("read_file", False),
        ("resolve-library-id", False),
        ("getDefinition", False),
        ("reformat", True),
        ("query_and_save", True),
        ("get_or_create", True),
        ("python", True),
        ("navigate", True),
        ("search_replace", True),
        ("execute_sql", True),
        ("applyPatch", True),
    ],
)
def test_a_servers_tool_by_its_name(tool: str, writes: bool) -> None:
    transcript = Transcript()
    transcript.turns = 1
    transcript.call("c1", f"mcp__server__{tool}", input={})
    transcript.returned("c1", failed=False, output="ok")
    rebuilt = rebuild_changes([transcript])
    assert (rebuilt is None) == writes  # nothing edited, and perhaps written: nothing known
