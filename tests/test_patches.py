from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.patches.counts import _parsed_changes, count_changes, unquoted
from evaltrace.patches.plain import plain_changes
from evaltrace.trace import CodeStats, FileChange

HEAD = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n"
EDIT = HEAD + "@@ -1,2 +1,3 @@\n-a\n+b\n+c\n d\n"


def counted(diff: str) -> CodeStats | None:
    return count_changes(diff, source="artifact", complete=True)


def files(diff: str) -> list[tuple[str, str, int | None, int | None]]:
    stats = counted(diff)
    assert stats is not None
    return [(file.path, file.change, file.added, file.removed) for file in stats.files]


def git(path: str, *lines: str) -> str:
    return "\n".join([f"diff --git a/{path} b/{path}", *lines, ""])


def test_changes_are_counted_by_file_and_in_all() -> None:
    diff = EDIT + git("new.py", "new file mode 100644", "--- /dev/null", "+++ b/new.py",
                      "@@ -0,0 +1,2 @@", "+1", "+2")  # fmt: skip
    assert count_changes(diff, source="agent_patch", complete=False) == CodeStats(
        source="agent_patch",
        complete=False,
        files=[
            FileChange(path="x.py", change="modified", added=2, removed=1),
            FileChange(path="new.py", change="added", added=2, removed=0),
        ],
        files_changed=2,
        lines_added=4,
        lines_removed=1,
    )


@pytest.mark.parametrize(
    ("lines", "change"),
    [
        (["deleted file mode 100644", "--- a/f", "+++ /dev/null", "@@ -1 +0,0 @@", "-x"],
         ("f", "deleted", 0, 1)),
        (["new file mode 100644", "index 0000000..e69de29"], ("f", "added", 0, 0)),
        (["deleted file mode 100644", "index e69de29..0000000"], ("f", "deleted", 0, 0)),
        (["old mode 100644", "new mode 100755"], ("f", "modified", 0, 0)),
        (["index 1..2 100644", "Binary files a/f and b/f differ"], ("f", "modified", None, None)),
        (["index 1..2 100644", "GIT binary patch", "literal 3", "KcmZQzU|;|M00aO5", ""],
         ("f", "modified", None, None)),
    ],
)  # fmt: skip
def test_kinds_of_change(lines: list[str], change: tuple[str, str, int, int]) -> None:
    assert files(git("f", *lines)) == [change]


def test_a_rename_goes_by_its_new_name() -> None:
    moved = "diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n"
    assert files(moved) == [("new", "renamed", 0, 0)]
    assert files(moved + "--- a/old\n+++ b/new\n@@ -1 +1 @@\n-a\n+b\n") == [
        ("new", "renamed", 1, 1)
    ]


def test_binary_files_add_no_lines_to_the_sum() -> None:
    stats = counted(EDIT + git("p.png", "Binary files a/p.png and b/p.png differ"))
    assert stats is not None
    assert (stats.files_changed, stats.lines_added, stats.lines_removed) == (2, 2, 1)


@pytest.mark.parametrize(
    ("diff", "path"),
    [
        ("--- x.py\n+++ x.py\n@@ -1 +1 @@\n-a\n+b\n", "x.py"),
        ("--- a/x.py\t2026-01-01 00:00:00 +0000\n+++ b/x.py\t2026-01-01\n@@ -1 +1 @@\n-a\n+b\n",
         "x.py"),
        ("Index: x\n====\n--- x\t(revision 1)\n+++ x\t(working copy)\n@@ -1 +1 @@\n-a\n+b\n", "x"),
        ("diff --git a/a b b/a b\n--- a/a b\t\n+++ b/a b\t\n@@ -1 +1 @@\n-a\n+b\n", "a b"),
        ("From 1 Mon\nSubject: x\n\n---\n x | 2 +-\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
         "-- \n2.4\n", "x"),
        ('diff --git "a/caf\\303\\251" "b/caf\\303\\251"\n--- "a/caf\\303\\251"\n'
         '+++ "b/caf\\303\\251"\n@@ -1 +1 @@\n-a\n+b\n', "café"),
    ],
)  # fmt: skip
def test_diffs_of_other_programs(diff: str, path: str) -> None:
    assert files(diff) == [(path, "modified", 1, 1)]


@pytest.mark.parametrize("odd", ["\x0c", "\x1c", "\x85", "\u2028", "\r", "\x00", "\ufeff"])
def test_odd_characters_within_a_line_do_not_end_it(odd: str) -> None:
    assert files(f"{HEAD}@@ -1 +1 @@\n-a{odd}b\n+c{odd}d\n") == [("x.py", "modified", 1, 1)]


def test_windows_line_ends_of_the_changed_file_or_of_the_whole_diff() -> None:
    assert files(f"{HEAD}@@ -1 +1 @@\n-a\r\n+b\r\n") == [("x.py", "modified", 1, 1)]
    assert files(EDIT.replace("\n", "\r\n")) == [("x.py", "modified", 2, 1)]


def test_content_that_looks_like_a_header_is_content() -> None:
    assert files(f"{HEAD}@@ -1,2 +1,2 @@\n a\n--- x\n+++ y\n") == [("x.py", "modified", 1, 1)]


def test_no_newline_at_the_end_is_no_line() -> None:
    note = "\\ No newline at end of file"
    assert files(f"{HEAD}@@ -1 +1 @@\n-a\n{note}\n+b\n{note}\n") == [("x.py", "modified", 1, 1)]


@pytest.mark.parametrize(
    "diff",
    [
        "no diff at all\n",
        HEAD + "@@ -1,5 +1 @@\n-a\n+b\n",
        EDIT[: EDIT.rindex("+c")],
        "diff --cc x\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n- a\n -b\n++c\n",
        "[... 5 bytes cut ...]\n+a\n",
    ],
)
def test_what_is_no_whole_diff_is_not_counted(diff: str) -> None:
    assert counted(diff) is None


@pytest.mark.parametrize("diff", ["", "\n", " \n\n"])
def test_an_empty_diff_changes_nothing(diff: str) -> None:
    stats = counted(diff)
    assert stats is not None
    assert (stats.files, stats.files_changed, stats.lines_added) == ([], 0, 0)


@pytest.mark.parametrize(
    ("quoted", "path"),
    [
        ("plain", "plain"),
        ('"caf\\303\\251.md"', "café.md"),
        ('"caf\\303\\251 é"', "café é"),
        ('"say \\"hi\\""', 'say "hi"'),
        ('"tab\\tline\\nback\\\\slash"', "tab\tline\nback\\slash"),
        ('"\\377"', "\ufffd"),
        ('"\\777"', "\ufffd"),
        ('"\\z\\x41"', "zx41"),
        ('"', '"'),
        ('"open', '"open'),
        ('""', ""),
    ],
)
def test_quoted_names(quoted: str, path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert unquoted(quoted) == path


@given(st.text(st.characters(codec="utf-8", exclude_characters='\\"\n\t')))
def test_names_come_back_from_gits_quoting(name: str) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in name.encode())
    assert unquoted(f'"{octal}"') == name


PIECES = st.lists(
    st.sampled_from(
        ["diff --git a/x b/x", "--- a/x", "+++ b/x", "--- /dev/null", "+++ /dev/null",
         "@@ -1 +1 @@", "@@ -1,3 +1,2 @@", "@@ -0,0 +1 @@", "@@", "+a", "-b", " c", "",
         "\\ No newline", "\x00",
         "rename from x", "rename to y", "Binary files a/x and b/y differ", "GIT binary patch",
         "literal 3", "new file mode 100644", 'diff --git "a/\\303" "b/\\303"', "index 1..2",
         "\ud800",
         "@@ -99999999999999999999 +1 @@", "diff --git", "--- ", "+++ "]
    )
).map("\n".join)  # fmt: skip


@given(st.text() | PIECES)
def test_no_text_raises(diff: str) -> None:
    stats = counted(diff)
    if stats is not None:
        assert stats.files_changed == len(stats.files)
        for file in stats.files:
            file.path.encode()


# Plain diffs, which are not parsed.

PLAIN = st.sampled_from(
    ["+1\n", "-2\n", " 3\n", "--- a/f\n", "+++ b/f\n", "\\ No newline at end of file\n"]
)
ODD = st.sampled_from(
    ["\n", "\r\n", "@@ -1 +1 @@\n", "diff --git a/f b/f\n", "\\ what\n", "+", "x\n", "- \r\n"]
)
HEADS = st.sampled_from(
    [
        "",
        "new file mode 100644\n",
        "deleted file mode 100644\n",
        "old mode 100644\n",
        "index 1a..2b 100644\n",
        "index 1a..2b\n",
    ]
)


@st.composite
def diffs(draw: st.DrawFn) -> str:
    """Give a diff that is plain, or nearly."""
    text = ""
    for path in draw(st.lists(st.sampled_from(["f", "b/g.py", "ü", "a b"]), max_size=3)):
        old = draw(st.sampled_from([f"a/{path}"] * 3 + ["/dev/null"]))
        new = draw(st.sampled_from([f"b/{path}"] * 3 + ["/dev/null", "b/other"]))
        text += f"diff --git a/{path} b/{path}\n" + draw(HEADS) + f"--- {old}\n+++ {new}\n"
        for _ in range(draw(st.integers(0, 2))):
            lines = draw(st.lists(PLAIN | PLAIN | PLAIN | ODD, max_size=5))
            sizes = [sum(line[0] in sides for line in lines) for sides in ("- ", "+ ")]
            first, wrong = draw(st.integers(0, 1)), draw(st.sampled_from([0, 0, 0, 1]))
            text += f"@@ -{first},{sizes[0] + wrong} +{first},{sizes[1]} @@ def f():\n"
            text += "".join(lines)
    return text


@settings(max_examples=500, deadline=None)
@given(diffs())
def test_a_plain_diff_is_counted_as_a_parsed_one(diff: str) -> None:
    plain = plain_changes(diff)
    assert plain is None or plain == _parsed_changes(diff)


def test_what_git_writes_is_plain() -> None:
    for diff in (
        EDIT,
        EDIT + EDIT.replace("x.py", "y.py"),
        EDIT + "\\ No newline at end of file\n",
    ):
        assert plain_changes(diff) is not None
