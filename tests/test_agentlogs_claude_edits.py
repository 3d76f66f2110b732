"""What Claude Code's structured results say about files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.agentlogs.claude_edits import to_edit
from evaltrace.patches.edits import Edit, Hunk

ORIGINAL = "one\ntwo\nthree\n"


def edited(old: str, new: str, **fields: Any) -> dict[str, Any]:
    given = {"filePath": "/app/a.py", "oldString": old, "newString": new}
    return given | {"originalFile": ORIGINAL, "structuredPatch": [], "replaceAll": False} | fields


def test_an_edit_has_both_contents() -> None:
    edit = to_edit(edited("two", "2"))
    assert edit == Edit("/app/a.py", created=False, before=ORIGINAL, after="one\n2\nthree\n")


@pytest.mark.parametrize(("every", "after"), [(False, "b a\n"), (True, "b b\n")])
def test_one_or_every_occurrence(every: bool, after: str) -> None:
    edit = to_edit(edited("a", "b", originalFile="a a\n", replaceAll=every))
    assert edit is not None
    assert edit.after == after


def test_taking_out_a_line_takes_its_end_along_where_the_patch_says_so() -> None:
    rows = [{"oldStart": 1, "oldLines": 3, "newStart": 1, "newLines": 2}]
    rows[0] |= {"lines": [" one", "-two", " three"]}  # type: ignore[dict-item]
    edit = to_edit(edited("two", "", structuredPatch=rows))
    assert edit is not None
    assert edit.after == "one\nthree\n"


def test_a_text_that_is_not_in_the_file_leaves_the_patch_to_tell() -> None:
    rows = [{"oldStart": 1, "oldLines": 2, "newStart": 1, "newLines": 2}]
    rows[0] |= {"lines": [" one", "-two", "+zwei"]}  # type: ignore[dict-item]
    edit = to_edit(edited("\u201ctwo\u201d", "zwei", structuredPatch=rows))
    assert edit is not None
    assert (edit.after, edit.hunks) == (None, (Hunk((" one", "-two", "+zwei"), start=1),))


def test_a_new_file() -> None:
    result = {"type": "create", "filePath": "/app/n.py", "content": "x\n", "structuredPatch": []}
    assert to_edit(result) == Edit("/app/n.py", created=True, after="x\n")


def test_an_empty_old_text_makes_the_file() -> None:
    edit = to_edit(edited("", "all of it\n", originalFile=None))
    assert edit == Edit("/app/a.py", created=True, after="all of it\n")


def test_a_file_written_over_has_its_original() -> None:
    result = {"type": "update", "filePath": "f", "content": "b\n", "originalFile": "a\n"}
    assert to_edit(result) == Edit("f", created=False, before="a\n", after="b\n")


def test_a_lacking_original_is_found_by_taking_the_patch_back() -> None:
    rows = [
        {"oldStart": 1, "newStart": 1, "lines": [" a", "-b", "+B", " c"]},
        {"oldStart": 8, "newStart": 8, "lines": [" h", "+i", " j"]},
    ]
    content = "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\n"
    edit = to_edit({"type": "update", "filePath": "f", "content": content, "structuredPatch": rows})
    assert edit is not None
    assert edit.before == "a\nb\nc\nd\ne\nf\ng\nh\nj\n"


def test_a_patch_that_does_not_fit_tells_no_original() -> None:
    rows = [{"oldStart": 1, "newStart": 1, "lines": [" other", "-b", "+B"]}]
    edit = to_edit({"type": "update", "filePath": "f", "content": "a\n", "structuredPatch": rows})
    assert edit is not None
    assert (edit.before, edit.created) == (None, False)


def test_several_replacements_follow_each_other() -> None:
    parts = [{"old_string": "one", "new_string": "1"}, {"old_string": "1", "new_string": "I"}]
    result = {"filePath": "f", "edits": parts, "originalFileContents": ORIGINAL}
    edit = to_edit(result)
    assert edit is not None
    assert edit.after == "I\ntwo\nthree\n"


def test_a_notebook() -> None:
    result = {"notebook_path": "n.ipynb", "original_file": "{}", "updated_file": '{"cells": []}'}
    assert to_edit(result) == Edit("n.ipynb", before="{}", after='{"cells": []}')


def test_marks_of_an_open_end_are_no_lines() -> None:
    lines = ["-a", "\\ No newline at end of file", "+b"]
    rows = [{"oldStart": 1, "newStart": 1, "oldLines": 1, "newLines": 1, "lines": lines}]
    edit = to_edit(edited("x", "y", originalFile=None, structuredPatch=rows))
    assert edit is not None
    [hunk] = edit.hunks
    assert (hunk.lines, hunk.ended_open, hunk.ends_open) == (("-a", "+b"), True, False)


@pytest.mark.parametrize("result", [None, "Error: no such file", [], {"stdout": "x"}, {"file": {}}])
def test_results_of_other_tools_are_no_edits(result: Any) -> None:
    assert to_edit(result) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
            ["filePath", "content", "oldString", "newString", "originalFile", "structuredPatch",
             "lines", "oldStart", "newStart", "edits", "type"]), inner),
    )
)  # fmt: skip
def test_odd_results_never_raise(result: Any) -> None:
    edit = to_edit(result)
    assert edit is None or isinstance(edit.path, str)


LINES = st.lists(st.sampled_from(["a", "b", "", "x y"]), min_size=1, max_size=8)


@given(LINES, st.integers(0, 7), st.integers(0, 3), LINES)
def test_replacing_whole_lines_is_what_str_replace_does(
    lines: list[str], at: int, count: int, new: list[str]
) -> None:
    at = min(at, len(lines) - 1)
    old = "\n".join(lines[at : at + count + 1]) + "\n"
    original = "\n".join(lines) + "\n"
    edit = to_edit(edited(old, "\n".join(new), originalFile=original))
    assert edit is not None
    assert edit.after == original.replace(old, "\n".join(new), 1)
