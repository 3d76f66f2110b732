"""What a reading call showed of files: as much as is certain, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from evaltrace.agentlogs.sightings import reading_of, sightings_in
from evaltrace.agentlogs.transcript import EDITS_LIMIT, Transcript
from evaltrace.patches.edits import Edit

CHUNK = (
    "Chunk ID: a1b2c3\nWall time: 0.0000 seconds\nProcess exited with code 0\n"
    "Original token count: 9\nOutput:\n"
)
PLAIN = "Exit code: 0\nWall time: 0 seconds\nOutput:\n"


def seen(name: str, given: Any, output: str, kind: str = "shell") -> list[Edit]:
    reading = reading_of(name, kind, given)
    return list(sightings_in(reading, output)) if reading else []


def codex(script: Any, printed: str, **given: Any) -> list[Edit]:
    return seen("exec_command", {"cmd": script, **given}, CHUNK + printed)


def hunk(edit: Edit) -> tuple[int | None, list[str], bool]:
    [only] = edit.hunks
    assert edit.before is None
    assert edit.sighted
    assert all(line[0] == " " for line in only.lines)
    return only.start, [line[1:] for line in only.lines], only.at_end


# Which commands.


@pytest.mark.parametrize(
    "script",
    [
        "cat x.py",
        "cat -- 'x.py'",
        "cat x.py 2>/dev/null",
        "bash -lc 'cat x.py'",
        ["bash", "-lc", "cat x.py"],
        ["cat", "x.py"],
        "sed -n '1,200p' x.py",
        'sed -n "1,9p" x.py;',
        "sed -n '1,$p' x.py",
        "head x.py",
        "head -n 3 x.py",
        "head -3 x.py",
        "tail -n 9 x.py",
        "tail -n +1 x.py",
        "cat x.py | head -50",
        "cat x.py | sed -n '1,40p'",
    ],
)
def test_a_file_that_was_printed_to_its_end_is_known_whole(script: Any) -> None:
    assert codex(script, "one\ntwo\n") == [Edit("x.py", before="one\ntwo\n", sighted=True)]


@pytest.mark.parametrize(
    ("script", "start", "at_end"),
    [
        ("sed -n '5,6p' x", 5, False),
        ("sed -n '5,+1p' x", 5, False),
        ("sed -n '5,9p' x", 5, True),
        ("sed -n -e '5,$p' x", 5, True),
        ("head -2 x", 1, False),
        ("tail -n 2 x", None, True),
        ("tail -n +7 x", 7, True),
        ("sed -n '3,20p' x | head -2", 3, False),
        ("cat x | tail -n +4 | sed -n '2,3p'", 5, False),
    ],
)
def test_a_part_of_a_file_has_the_numbers_that_were_asked_for(
    script: str, start: int | None, at_end: bool
) -> None:
    [edit] = codex(script, "one\ntwo\n")
    assert hunk(edit) == (start, ["one", "two"], at_end)


@pytest.mark.parametrize(
    "script",
    [
        "cat a b",
        "cat $FILE",
        "cat *.py",
        "cat x > y",
        "cat <<EOF",
        "cat x | grep one",
        "cat x || true",
        "cat x & cat y",
        "nl x",
        "nl -bt x",
        "sed '1,5p' x",
        "sed -n '1,5p;9q' x",
        "sed -n '/a/,/b/p' x",
        "sed -n '6,5p' x",
        "sed -n '0,5p' x",
        "sed -n '1,5p' x y",
        "sed -i -n '1,5p' x",
        "head -c 9 x",
        "tail -f x",
        "cat -A x",
        "cat `ls`",
        "cat $(ls)",
        "cat x; git status",
        "rg one | head -3",
        "cat",
        "cat -",
        "python x.py",
        "cat 'x",
        "cd a b && cat x",
        "cd - && cat x",
        ["bash", "-lc", "cat x", "y"],
        ["cat", 1],
        None,
        7,
    ],
)
def test_a_command_that_is_not_certain_shows_nothing(script: Any) -> None:
    assert codex(script, "one\ntwo\n") == []


def test_numbers_before_the_lines_are_taken_off() -> None:
    # The last line is left out: its line end is the program's.
    printed = "     5\tone\n     6\t\n     7\t\tthree\n     8\tfour\n"
    for script in ("nl -ba x | sed -n '5,8p'", "cat -n x | sed -n '5,9p'"):
        [edit] = codex(script, printed)
        assert hunk(edit) == (5, ["one", "", "\tthree"], False)
    assert codex("nl -ba x | sed -n '4,8p'", printed) == []
    assert codex("nl -ba x", "     1\tone\n     1\ttwo\n") == []


def test_paths_are_meant_from_the_folder_of_the_command() -> None:
    assert [edit.path for edit in codex("cat x", "1\n", workdir="/app")] == ["/app/x"]
    script = "cd src && cd lib; cat ../x"
    assert [edit.path for edit in codex(script, "1\n", workdir="/app")] == ["/app/src/lib/../x"]
    assert [edit.path for edit in codex("cd /srv\ncat x", "1\n", workdir="/app")] == ["/srv/x"]


# Several at once.


def test_texts_between_two_files_say_where_one_ends() -> None:
    script = "cat a && echo '--- b' && sed -n '1,9p' b"
    found = codex(script, "1\n2\n--- b\n3\n")
    assert [(edit.path, edit.before) for edit in found] == [("a", "1\n2\n"), ("b", "3\n")]
    assert codex(script, "1\n--- b\n--- b\n3\n") == []
    assert codex(script, "no line end--- b\n3\n") == []


def test_a_loop_over_certain_files_is_read() -> None:
    for body in (
        'echo "F:$f"; head -n 9 "$f"',
        "printf 'F:x\\n'; head $f",
        "echo F:${f}; cat ${f}",
    ):
        script = f"for f in src/{{a,b}}.py; do {body}; done"
        found = codex(script, "F:src/a.py\n1\nF:src/b.py\n2\n")
        expected = [] if "printf" in body else [("src/a.py", "1\n"), ("src/b.py", "2\n")]
        assert [(edit.path, edit.before) for edit in found] == expected
    assert codex("for f in *.py; do echo F:$f; cat $f; done", "F:a.py\n1\n") == []
    assert codex("for f in a b; do echo '$f'; cat $f; done", "a\n1\nb\n2\n") == []


def test_files_without_a_text_between_are_split_by_full_counts_only() -> None:
    script = "sed -n '1,2p' a\nsed -n '4,5p' b"
    found = codex(script, "1\n2\n4\n5\n")
    assert [hunk(edit) for edit in found] == [(1, ["1", "2"], False), (4, ["4", "5"], False)]
    assert codex(script, "1\n2\n4\n") == []
    assert codex("cat a; cat b", "1\n2\n") == []


# How much of the output.


@pytest.mark.parametrize("header", [CHUNK, PLAIN, ""])
def test_the_header_of_an_output_is_no_part_of_the_file(header: str) -> None:
    [edit] = seen("shell", {"command": ["bash", "-lc", "cat x"]}, header + "one\ntwo\n")
    assert edit.before == "one\ntwo\n"


@pytest.mark.parametrize(
    "header",
    [
        "Chunk ID: a\nWall time: 1 seconds\nProcess running with session ID 5\nOutput:\n",
        "Chunk ID: a\nWall time: 1 seconds\nProcess exited with code 1\nOutput:\n",
        "Exit code: 1\nWall time: 0 seconds\nOutput:\n",
        CHUNK + "Warning: truncated output (original token count: 9)\nTotal output lines: 9\n\n",
    ],
)
def test_an_output_that_is_not_whole_for_another_reason_shows_nothing(header: str) -> None:
    assert seen("exec_command", {"cmd": "cat x"}, header + "one\ntwo\n") == []


@pytest.mark.parametrize(
    "cut",
    ["tw…12 tokens truncated…ne", "[... omitted 3 of 9 lines ...]", "<response clipped>"],
)
def test_nothing_is_taken_past_a_cut(cut: str) -> None:
    [edit] = codex("cat x", f"one\n{cut}\nlast\n")
    assert hunk(edit) == (1, ["one"], False)
    [edit] = codex("cat a; echo =b=; cat b", f"one\n=b=\ntwo\n{cut}\nlast\n")[1:]
    assert hunk(edit) == (1, ["two"], False)


def test_an_end_without_a_line_feed_is_kept() -> None:
    assert [edit.before for edit in codex("cat x", "one\ntwo")] == ["one\ntwo"]
    [edit] = codex("sed -n '4,9p' x", "one\ntwo")
    assert edit.hunks[0].sides() == (["one\n", "two"], ["one\n", "two"])


@pytest.mark.parametrize(
    "printed", ["", "cat: x: No such file or directory\n", "sed: can't read x\n"]
)
def test_a_complaint_is_no_content(printed: str) -> None:
    assert codex("cat x", printed) == []
    assert [edit.path for edit in codex("cat x; echo =; cat y", f"{printed}=\nfine\n")] == ["y"]


def test_text_that_was_not_utf_8_shows_nothing() -> None:
    assert codex("cat x", "fine\nbad \ufffd byte\n") == []


def test_more_lines_than_were_asked_for_show_nothing() -> None:
    assert codex("head -2 x", "one\ntwo\nthree\n") == []


def test_a_shell_that_trims_its_output_is_believed_by_full_counts_only() -> None:
    given = {"command": "sed -n '4,7p' /app/x"}
    [edit] = seen("Bash", given, "  one\ntwo\n\nfour")
    assert hunk(edit) == (5, ["two", ""], False)
    assert seen("Bash", given, "one\ntwo\nthree") == []
    assert seen("Bash", {"command": "cat /app/x"}, "one\ntwo\nthree") == []
    assert seen("Bash", {"command": "tail -n 3 /app/x"}, "one\ntwo\nthree") == []


def test_a_shell_that_remembers_its_folder_needs_a_whole_path() -> None:
    for script, path in [("cat -n x", None), ("cat -n /x", "/x"), ("cd /a && cat -n x", "/a/x")]:
        found = seen("Bash", {"command": script}, "     1\tone\n     2\ttwo\n     3\tthree")
        assert [edit.path for edit in found] == ([path] if path else [])


# Tools that read.


@pytest.mark.parametrize(
    ("name", "given", "output", "kind"),
    [
        ("Read", {"file_path": "x"}, "     7→one\n     8→\n     9→end\n\n<note>", "read"),
        ("Read", {"file_path": "x"}, "7\tone\n8\t\n9\tend", "read"),
        ("read", {"filePath": "x"}, "<file>\n00007| one\n00008| \n00009| end\n</file>", "read"),
        ("str_replace_editor", {"command": "view", "path": "x"},
         "Here's the result of running `cat -n` on x:\n     7\tone\n     8\t\n     9\te", "edit"),
    ],
)  # fmt: skip
def test_numbered_lines_of_a_reading_tool_are_known(
    name: str, given: dict[str, Any], output: str, kind: str
) -> None:
    [edit] = seen(name, given, output, kind)
    assert edit.path == "x"
    assert hunk(edit) == (7, ["one", ""], False)


def test_a_line_that_a_tool_may_have_shortened_ends_what_is_known() -> None:
    [edit] = seen("Read", {"file_path": "x"}, f"1\ta\n2\tb\n3\t{'c' * 2000}\n4\td\n5\te", "read")
    assert hunk(edit) == (1, ["a"], False)


def test_the_text_of_a_reading_tool_is_whole_if_it_ends_like_a_file() -> None:
    given = {"absolute_path": "/x"}
    [edit] = seen("read_file", given, "one\ntwo\n", "read")
    assert edit.before == "one\ntwo\n"
    [edit] = seen("read_file", given, "one\ntwo\nthree", "read")
    assert hunk(edit) == (2, ["two"], False)
    assert seen("read_file", {**given, "offset": 5}, "one\ntwo\n", "read") == []
    assert seen("read_file", given, "L1: one\nL2: two\n", "read") == []
    assert seen("write_file", {"file_path": "/x"}, "one\n", "edit") == []


# In a transcript.


def transcript(output: str, *, failed: bool = False, **given: Any) -> Transcript:
    made = Transcript(**given)
    made.call("1", "exec_command", input={"cmd": "cat x"})
    made.returned("1", failed=failed, output=output)
    return made


@pytest.mark.parametrize("keep_events", [True, False])
def test_a_call_keeps_what_it_showed_unless_it_failed(keep_events: bool) -> None:
    long = "".join(f"{number}\n" for number in range(50_000))
    [edit] = transcript(CHUNK + long, keep_events=keep_events).shown("1")
    assert edit.before == long
    assert transcript(CHUNK + long, failed=True).shown("1") == []


def test_the_last_result_of_a_call_counts() -> None:
    made = transcript(CHUNK + "one\n")
    made.returned("1", failed=False, output=CHUNK + "two\n")
    assert [edit.before for edit in made.shown("1")] == ["two\n"]


def test_what_another_log_saw_is_adopted_uncut() -> None:
    long = "".join(f"{number}\n" for number in range(50_000))
    made = Transcript()
    made.call("1", "exec_command", input={"cmd": "cat x"})
    made.adopt_calls(transcript(CHUNK + long))
    assert [edit.before for edit in made.shown("1")] == [long]


def test_edits_take_the_room_of_what_was_seen() -> None:
    made = transcript(CHUNK + "one\n" * (EDITS_LIMIT // 8))
    assert len(made.shown("1")) == 1
    made.call("2", "write_file", input={})
    made.edited("2", Edit("y", after="y" * (EDITS_LIMIT - 9)))
    assert made.edits_lost == 0
    assert made.shown("1") == []
    made.returned("1", failed=False, output=CHUNK + "a line that does not fit\n")
    assert made.shown("1") == []


def test_a_line_that_only_speaks_of_what_is_missing_does_not_hide_a_cut_below_it() -> None:
    printed = "omitted and omitted\nomitted\nkept\n[... 9 lines omitted ...]\nlast\n"
    [edit] = codex("cat x", printed)
    assert hunk(edit) == (1, ["omitted and omitted", "omitted", "kept"], False)
