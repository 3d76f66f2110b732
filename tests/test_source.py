from __future__ import annotations

import ctypes
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.source import MAX_LINE, Source, Tell, listing, readable, reading, supplied
from evaltrace.source.supplies import supply_of

ANY = msgspec.json.Decoder()
COUNT = msgspec.json.Decoder(dict[str, int])


def codes(source: Source) -> list[str]:
    return [problem.code for problem in source.problems]


def lines(source: Source, path: str) -> list[tuple[int, bytes]]:
    return [(number, bytes(line)) for number, line in source.lines(path)]


def in_time(call: Callable[[], Any], seconds: float = 5) -> Any:
    """Run a call that must not block; a thread that hangs is given up."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, "blocked"
    return results[0]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "job"
    (root / "b" / "deep").mkdir(parents=True)
    (root / "a").mkdir()
    for name in ("z.txt", "a/one.txt", "b/two.txt", "b/deep/three.txt", "B.txt"):
        (root / name).write_text(name)
    return root


# Listing.


def test_listings_are_sorted_and_apart(tree: Path) -> None:
    source = Source(tree)
    assert source.folders() == ["a", "b"]
    assert source.files() == ["B.txt", "z.txt"]
    assert source.files("b") == ["two.txt"]
    assert source.folders("b/deep") == []


def test_what_is_not_there_is_empty_and_no_problem(tree: Path) -> None:
    source = Source(tree)
    assert source.folders("gone") == source.files("gone/too") == []
    assert list(source.walk("gone")) == []
    assert source.read("gone") is None
    assert source.read_text("gone", 10) is None
    assert source.read_json("gone", ANY) is None
    assert lines(source, "gone") == []
    assert source.size("gone") == 0
    assert source.problems == []


def test_files_and_folders_are_told_apart(tree: Path) -> None:
    source = Source(tree)
    assert source.has("z.txt")
    assert not source.has("a")
    assert source.has_folder("a")
    assert source.has_folder("")
    assert not source.has_folder("z.txt")
    assert source.size("z.txt") == 5
    assert source.size("a") == 0
    assert source.read("a") is None


def test_walk_gives_all_files_in_order(tree: Path) -> None:
    source = Source(tree)
    everything = ["B.txt", "z.txt", "a/one.txt", "b/two.txt", "b/deep/three.txt"]
    assert list(source.walk("")) == everything
    assert list(source.walk("b")) == ["b/two.txt", "b/deep/three.txt"]


def test_walk_says_where_it_turned_back(tree: Path) -> None:
    source = Source(tree)
    assert list(source.walk("", depth=1)) == ["B.txt", "z.txt", "a/one.txt", "b/two.txt"]
    assert [(p.code, p.path) for p in source.problems] == [("nested_too_deeply", "b")]


@pytest.mark.parametrize(
    "path",
    ["../secret", "a/../../secret", "{top}/secret", "/secret", "/a/one.txt", "./z.txt",
     "a//one.txt", "b/"],
)  # fmt: skip
def test_paths_lead_downwards_only(tree: Path, path: str) -> None:
    (tree.parent / "secret").write_text("secret")
    source = Source(tree)
    path = path.format(top=tree.parent)
    assert not source.has(path)
    assert source.read(path) is None


def test_an_absolute_path_is_no_path_even_where_its_parts_exist(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    root = tmp_path / "job"
    copy = root / str(outside).lstrip("/")
    copy.parent.mkdir(parents=True)
    copy.write_text("inside")
    source = Source(root)
    assert source.read(str(outside)) is None
    assert source.read(str(outside).lstrip("/")) == b"inside"
    assert source.files(str(tmp_path)) == []


def test_a_crowded_directory_is_cut_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 50)
    for number in range(60):
        (tmp_path / f"{number}.txt").touch()
    source = Source(tmp_path)
    assert len(source.files()) == 50
    assert codes(source) == ["too_many_entries"]


def test_entries_that_are_no_files_count_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 50)
    for number in range(60):
        (tmp_path / f"{number}.txt").symlink_to("nothing")
    source = Source(tmp_path)
    assert source.files() == []
    assert sorted(codes(source)) == ["broken_link"] * 50 + ["too_many_entries"]


def test_many_entries_and_many_problems_take_no_time(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number}").symlink_to("nothing")
        (tmp_path / f"f{number}").touch()
    source = Source(tmp_path)
    assert len(in_time(source.files, 10)) == 3000
    assert len(source.problems) == 3000


# Links.


def link(place: Path, target: str | Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize("absolute", [False, True])
def test_links_inside_are_followed(tree: Path, absolute: bool) -> None:
    link(tree / "c" / "file", tree / "a/one.txt" if absolute else "../a/one.txt")
    link(tree / "c" / "folder", tree / "b" if absolute else "../b")
    source = Source(tree)
    assert source.read("c/file") == b"a/one.txt"
    assert source.read("c/folder/deep/three.txt") == b"b/deep/three.txt"
    assert source.size("c/file") == 9
    assert source.problems == []


@pytest.mark.parametrize("absolute", [False, True])
def test_links_out_are_reported_and_not_followed(tree: Path, absolute: bool) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    link(tree / "c" / "file", outside / "secret" if absolute else "../../outside/secret")
    link(tree / "c" / "folder", outside if absolute else "../../outside")
    source = Source(tree)
    assert source.files("c") == source.folders("c") == []
    assert source.read("c/file") is None
    assert source.read("c/folder/secret") is None
    assert list(source.walk("c")) == []
    assert sorted((p.code, p.path) for p in source.problems) == [
        ("link_outside", "c/file"),
        ("link_outside", "c/folder"),
    ]
    assert all(problem.hint for problem in source.problems)


def test_a_link_out_through_a_linked_folder_is_not_followed(tree: Path) -> None:
    outside = tree.parent / "outside"
    outside.write_text("secret")
    link(tree / "b" / "deep" / "leak", "../../../outside")
    link(tree / "short", "b/deep")
    source = Source(tree)
    assert source.read("short/three.txt") == b"b/deep/three.txt"
    assert source.read("short/leak") is None
    assert [(p.code, p.path) for p in source.problems] == [("link_outside", "short/leak")]


def test_a_sibling_with_the_same_start_of_its_name_is_outside(tree: Path) -> None:
    (tree.parent / "job2").mkdir()
    (tree.parent / "job2" / "secret").write_text("secret")
    link(tree / "leak", "../job2/secret")
    source = Source(tree)
    assert source.read("leak") is None
    assert codes(source) == ["link_outside"]


def test_the_boundary_may_lie_above_the_directory(tree: Path) -> None:
    link(tree / "a" / "shared", "../z.txt")
    assert Source(tree / "a").read("shared") is None
    assert Source(tree / "a", boundary=tree).read("shared") == b"z.txt"


def test_a_directory_reached_by_a_link_is_its_own_boundary(tree: Path) -> None:
    link(tree.parent / "alias", "job")
    link(tree / "inner", "a/one.txt")
    source = Source(tree.parent / "alias")
    assert source.read("inner") == b"a/one.txt"
    assert source.problems == []


def test_broken_and_circular_links_are_reported_once(tree: Path) -> None:
    link(tree / "gone", "nowhere")
    link(tree / "one", "two")
    link(tree / "two", "one")
    link(tree / "self", "self")
    source = Source(tree)
    for _ in range(2):
        assert source.files() == ["B.txt", "z.txt"]
        assert source.read("one") is None
    assert sorted((p.code, p.path) for p in source.problems) == [
        ("broken_link", name) for name in ("gone", "one", "self", "two")
    ]


def test_a_link_upwards_is_not_walked_for_ever(tree: Path) -> None:
    link(tree / "b" / "up", "..")
    link(tree / "here", ".")
    source = Source(tree)
    assert (source.folders(), source.folders("b")) == (["a", "b"], ["deep"])
    assert len(list(source.walk(""))) == 5
    assert source.problems == []


def test_folders_linked_to_one_another_are_walked_once(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(12)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
        for other in names:
            if other != name:
                link(tmp_path / name / other, f"../{other}")
    source = Source(tmp_path)
    found = in_time(lambda: list(source.walk("")))
    real = {os.path.realpath(tmp_path / path) for path in found}
    assert len(found) == len(real) == 12


@pytest.mark.parametrize("target", ["a/one.txt", "nothing", "/etc", "b"])
def test_a_directory_with_a_link_in_it_is_not_plain(tree: Path, target: str) -> None:
    assert Source(tree).is_plain()
    (tree / "link").symlink_to(target)
    assert not Source(tree).is_plain()
    assert Source(tree / "b").is_plain()


def test_a_link_that_is_turned_outwards_later_is_not_followed(tree: Path) -> None:
    (tree.parent / "secret").write_text("secret")
    link(tree / "turned", "z.txt")
    source = Source(tree)
    assert source.has("turned")
    (tree / "turned").unlink()
    link(tree / "turned", "../secret")
    assert source.read("turned") is None
    assert codes(source) == ["unreadable"]


# What is no regular file.


@pytest.fixture
def specials(tmp_path: Path) -> Iterator[Path]:
    os.mkfifo(tmp_path / "fifo")
    link(tmp_path / "to_fifo", "fifo")
    listener = socket.socket(socket.AF_UNIX)
    # A socket's path is short; tmp_path is not always.
    folder = os.open(tmp_path, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{folder}/socket")
    os.close(folder)
    (tmp_path / "file.txt").write_text("text")
    yield tmp_path
    listener.close()


def test_pipes_and_sockets_are_never_opened(specials: Path) -> None:
    source = Source(specials)
    assert in_time(source.files) == ["file.txt"]
    for name in ("fifo", "to_fifo", "socket"):
        assert not source.has(name)
        assert in_time(lambda name=name: source.read(name) or b"none") == b"none"
        assert in_time(lambda name=name: lines(source, name)) == []
    assert in_time(lambda: list(source.walk(""))) == ["file.txt"]


ASKS: dict[str, Callable[[Source, str], Any]] = {
    "read": lambda source, path: source.read(path),
    "read_text": lambda source, path: source.read_text(path, 10),
    "read_json": lambda source, path: source.read_json(path, ANY),
    "lines": lambda source, path: lines(source, path) or None,
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("folder", "a directory"),
        ("fifo", "a named pipe"),
        ("to_fifo", "a named pipe"),
        ("socket", "a socket"),
        ("up", "a link to a directory above it"),
    ],
)
def test_what_lies_in_the_place_of_a_file_is_reported(
    specials: Path, ask: str, name: str, what: str
) -> None:
    (specials / "folder").mkdir()
    link(specials / "up", ".")
    source = Source(specials, label="job")
    assert not source.has(name)
    assert source.exists(name)
    assert source.problems == []
    assert in_time(lambda: (ASKS[ask](source, name), "asked")) == (None, "asked")
    (problem,) = source.problems
    assert (problem.code, problem.path) == ("not_a_file", f"job/{name}")
    assert problem.message == f"{what}, not a regular file"
    assert problem.hint


def test_a_device_is_no_file() -> None:
    source = Source(Path("/dev"))
    assert source.exists("null")
    assert in_time(lambda: source.read("null") or b"none") == b"none"
    assert "a device, not a regular file" in {p.message for p in source.problems}


def test_names_that_differ_in_a_stray_byte_stay_apart() -> None:
    names = [readable(os.fsdecode(b"job" + byte)) for byte in (b"\xff", b"\xfe")]
    assert names == ["job\\xff", "job\\xfe"]


def test_a_file_that_becomes_a_pipe_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("text")
    source = Source(tmp_path)
    assert source.has("log")
    path.unlink()
    os.mkfifo(path)
    assert in_time(lambda: source.read("log") or b"none") == b"none"
    assert codes(source) == ["unreadable"]


def test_a_file_that_vanishes_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("text")
    source = Source(tmp_path)
    assert source.has("log")
    (tmp_path / "log").unlink()
    assert lines(source, "log") == []
    assert source.size("log") == 0
    assert [(p.code, p.message) for p in source.problems] == [
        ("unreadable", "No such file or directory")
    ]


def _give_up_root() -> None:
    """Drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, so that permissions hold for root too."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0) != 0:
                os._exit(77)


DENIED = """
import json, sys
from pathlib import Path
import msgspec
from evaltrace.source import Source
source = Source(Path(sys.argv[1]))
read = [source.read("locked.txt"), source.read_text("locked.txt", 5), list(source.lines("locked.txt")),
        source.read_json("locked.txt", msgspec.json.Decoder()), source.files("shut"),
        list(source.walk("shut")), source.read("shut/inside.txt"), source.has("to_shut"),
        source.read("open.txt").decode()]
print(json.dumps([read, [[p.code, p.path, p.message] for p in source.problems]]))
"""  # noqa: E501


@pytest.mark.skipif(sys.platform != "linux", reason="drops capabilities as Linux has them")
def test_what_may_not_be_read_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "open.txt").write_text("open")
    (tmp_path / "locked.txt").write_text("{}")
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "inside.txt").touch()
    link(tmp_path / "to_shut", "shut/inside.txt")
    (tmp_path / "locked.txt").chmod(0)
    (tmp_path / "shut").chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", DENIED, str(tmp_path)],
            preexec_fn=_give_up_root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        (tmp_path / "shut").chmod(0o700)
    if done.returncode == 77:
        pytest.skip("capabilities cannot be dropped here")
    assert done.stderr == ""
    read, problems = json.loads(done.stdout)
    assert read == [None, None, [], None, [], [], None, False, "open"]
    assert sorted(problems) == [
        ["unreadable", path, "Permission denied"] for path in ("locked.txt", "shut", "to_shut")
    ]


# Names.


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"two\nlines", "two\\nlines"),
        (b"tab\there", "tab\\there"),
        (b"\x1b[31mred\x1b]0;title\x07", "red"),
        (b"latin-\xe9", "latin-\\xe9"),
        ("bidi\u202e".encode(), "bidi"),
        (b"-rf *", "-rf *"),
    ],
)
def test_odd_names_are_read_and_shown_safely(tmp_path: Path, name: bytes, shown: str) -> None:
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    with open(folder + b"/file.json", "wb") as file:
        file.write(b"{broken")
    source = Source(tmp_path, label="job")
    (path,) = source.walk("")
    assert source.read(path) == b"{broken"
    assert source.read_json(path, ANY) is None
    (problem,) = source.problems
    assert problem.path == f"job/{shown}/file.json"
    msgspec.json.encode(problem)


@pytest.mark.parametrize("path", ["\ud800", "\x00", "a\x00b", "\ud800/x", "x" * 5000])
def test_names_that_cannot_be_are_not_there(tmp_path: Path, path: str) -> None:
    source = Source(tmp_path)
    assert not source.has(path)
    assert source.read(path) is None
    assert source.files(path) == []


def test_a_problem_is_reported_once_and_on_one_line(tmp_path: Path) -> None:
    source = Source(tmp_path, label="job")
    for _ in range(3):
        source.report("odd", "x", "a\x1b[31m message\nof two lines", "hint")
    source.report("odd", "y", "another")
    assert [(p.path, p.message, p.hint) for p in source.problems] == [
        ("job/x", "a message\\nof two lines", "hint"),
        ("job/y", "another", None),
    ]
    source.report("whole", "", "the directory itself")
    assert source.problems[-1].path == "job"


# Reading whole files.


def test_a_file_over_the_limit_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    source = Source(tmp_path)
    assert source.read("file", 5) == b"12345"
    assert source.problems == []
    assert source.read("file", 4) is None
    assert [(p.code, p.message) for p in source.problems] == [
        ("too_large", "5 bytes; at most 4 are read")
    ]


def test_a_sparse_giant_costs_nothing(tmp_path: Path) -> None:
    with open(tmp_path / "giant.json", "wb") as file:
        file.truncate(10 * 2**40)
    source = Source(tmp_path)
    assert source.read_json("giant.json", ANY) is None
    assert codes(source) == ["too_large"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"caf\xc3\xa9\r\n", "café\r\n"),
        (b"\xef\xbb\xbftext", "text"),
        (b"bad \xff byte", "bad \ufffd byte"),
        (b"nul\x00", "nul\x00"),
    ],
)
def test_texts_are_decoded_leniently(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "file").write_bytes(data)
    found = Source(tmp_path).read_text("file", 100)
    assert found is not None
    assert (found.text, found.length, found.digest) == (text, len(data), None)


def test_a_long_text_keeps_head_and_tail_and_the_digest_of_all(tmp_path: Path) -> None:
    data = b"head" + b" x" * 1_500_000 + b" tail"
    (tmp_path / "file").write_bytes(data)
    found = Source(tmp_path).read_text("file", 100)
    assert found is not None
    cut = len(data) - 100
    assert found.text == f"head{' x' * 23}\n[... {cut} bytes cut ...]\n{'x ' * 23}tail"
    assert found.length == len(data)
    assert found.digest == "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("character", ["é", "日", "😀"])
@pytest.mark.parametrize("limit", range(20, 32))
def test_a_cut_falls_between_characters(tmp_path: Path, character: str, limit: int) -> None:
    data = (character * 200).encode()
    (tmp_path / "file").write_bytes(data)
    found = Source(tmp_path).read_text("file", limit)
    assert found is not None
    head, note, tail = found.text.split("\n")
    assert set(head) == set(tail) == {character}
    kept = len((head + tail).encode())
    assert note == f"[... {len(data) - kept} bytes cut ...]"
    assert limit - 8 < kept <= limit


@given(data=st.binary(min_size=1, max_size=300), limit=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_any_bytes_make_a_text(data: bytes, limit: int, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "file").write_bytes(data)
    found = Source(folder).read_text("file", limit)
    assert found is not None
    assert found.length == len(data)
    assert (found.digest is None) == (len(data) <= limit)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_json"),
        (b" \n", "empty_json"),
        (b'{"a": 1', "malformed_json"),
        (b"[" * 10**6 + b"]" * 10**6, "too_deep"),
        (b"[1]", "wrong_shape"),
    ],
)
def test_a_document_that_cannot_be_used_is_one_problem(
    tmp_path: Path, data: bytes, code: str
) -> None:
    (tmp_path / "file.json").write_bytes(data)
    source = Source(tmp_path)
    for _ in range(2):
        assert source.read_json("file.json", COUNT) is None
    assert codes(source) == [code]
    assert source.problems[0].hint


def test_a_document_that_was_mended_is_used_and_reported(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    source = Source(tmp_path)
    assert source.read_json("file.json", COUNT) == {"a": 1}
    assert codes(source) == ["mended_json"]
    assert "byte order mark" in source.problems[0].message


# Reading lines.


@pytest.fixture(params=["at once", "streamed"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "streamed":
        monkeypatch.setattr(reading, "_WHOLE", 0)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", []),
        (b"one", [(1, b"one")]),
        (b"one\n", [(1, b"one")]),
        (b"one\n\n  \n\r\ntwo\n", [(1, b"one"), (5, b"two")]),
        (b"one\r\ntwo\r\n", [(1, b"one\r"), (2, b"two\r")]),
        (b"\xef\xbb\xbfone\n", [(1, b"\xef\xbb\xbfone")]),
        (b" " * 100 + b"\n" + b"\t" * 100 + b"x\n", [(2, b"\t" * 100 + b"x")]),
        (b"a\x0cb\x1cc\xe2\x80\xa8d\n", [(1, b"a\x0cb\x1cc\xe2\x80\xa8d")]),
        (b"x" * 100 + b"\n" + b"y" * 100, [(1, b"x" * 100), (2, b"y" * 100)]),
    ],
)
def test_lines_are_numbered_and_blank_ones_passed_over(
    tmp_path: Path, data: bytes, expected: list[tuple[int, bytes]]
) -> None:
    (tmp_path / "log").write_bytes(data)
    source = Source(tmp_path)
    assert lines(source, "log") == expected
    assert source.problems == []


@pytest.mark.parametrize("size", [10, 2**20])
@pytest.mark.parametrize(
    ("rest", "expected", "codes"),
    [
        (b'"}', "", []),
        (b'\\ud83d"}', "\ufffd", ["mended_json"]),
        (b"", None, ["malformed_json"]),
    ],
)
def test_a_large_document_is_read_as_a_small_one(
    tmp_path: Path, size: int, rest: bytes, expected: str | None, codes: list[str]
) -> None:
    (tmp_path / "f.json").write_bytes(b'{"a": "' + b"x" * size + rest)
    source = Source(tmp_path)
    found = source.read_json("f.json", msgspec.json.Decoder(dict[str, str]))
    assert found == (None if expected is None else {"a": "x" * size + expected})
    assert [problem.code for problem in source.problems] == codes


@given(data=st.lists(st.sampled_from([b"\n", b" ", b"\r", b"x", b"{}", b"\xff"])).map(b"".join))
@settings(max_examples=60, deadline=None)
def test_both_ways_to_read_lines_agree(data: bytes, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("lines")
    (folder / "log").write_bytes(data)
    expected = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    assert lines(Source(folder), "log") == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_WHOLE", -1)
        assert lines(Source(folder), "log") == expected


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_line_of_fifty_megabytes_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as file:
        file.write(b"first\n")
        for _ in range(50):
            file.write(b"x" * 2**20)
        file.write(b"\nlast\n")
    source = Source(tmp_path)
    with peak_memory() as peak:
        assert lines(source, "log") == [(1, b"first"), (3, b"last")]
        assert peak() < 2.5 * MAX_LINE
    (problem,) = source.problems
    assert problem.code == "line_too_long"
    assert f"line 2 has {50 * 2**20 + 1} bytes" in problem.message


def test_a_long_line_at_the_end_without_a_line_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_WHOLE", 0)
    monkeypatch.setattr(reading, "MAX_LINE", 10)
    (tmp_path / "log").write_bytes(b"123456789\n" + b"x" * 25)
    source = Source(tmp_path)
    assert lines(source, "log") == [(1, b"123456789")]
    assert [p.message for p in source.problems] == ["line 2 has 25 bytes"]


def test_many_megabytes_of_lines_are_read_in_bounded_memory(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as file:
        for _ in range(64):
            file.write((b"x" * 1023 + b"\n") * 1024)
    source = Source(tmp_path)
    with peak_memory() as peak:
        assert sum(len(line) for _, line in source.lines("log")) == 64 * 1024 * 1023
        assert peak() < 2 * 2**20


@pytest.mark.parametrize("size", [100, 9 * 2**20])
def test_a_file_that_grows_while_it_is_read_is_reported_and_nothing_is_lost(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"x" * size + b"\nthird\n")
    source = Source(tmp_path)
    steps = source.lines("log")
    found = [bytes(next(steps)[1])]
    with path.open("ab") as file:
        file.write(b"fourth\n")
    found += [bytes(line) for _, line in steps]
    assert found[:3] == [b"first", b"x" * size, b"third"]
    assert codes(source) == ["changed_while_read"]
    assert lines(Source(tmp_path), "log")[3:] == [(4, b"fourth")]


def test_a_file_that_vanishes_while_it_is_read_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    source = Source(tmp_path)
    steps = source.lines("log")
    next(steps)
    path.unlink()
    assert [bytes(line) for _, line in steps] == [b"two"]
    assert codes(source) == ["changed_while_read"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
def test_many_logs_read_side_by_side_hold_no_files_open(tmp_path: Path) -> None:
    source = Source(tmp_path)
    for number in range(40):
        (tmp_path / f"{number}.log").write_bytes(b"one\ntwo\n")
    before = len(os.listdir("/proc/self/fd"))
    steps = [source.lines(name) for name in source.files()]
    assert [next(step)[0] for step in steps] == [1] * 40
    assert len(os.listdir("/proc/self/fd")) < before + 10


def test_a_reader_may_stop_early(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo\n")
    source = Source(tmp_path)
    steps = source.lines("log")
    assert bytes(next(steps)[1]) == b"one"
    steps.close()  # type: ignore[attr-defined]
    assert source.problems == []


# Nothing is ever written.


def state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in [".", *names]:
            path = Path(folder, name)
            status = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path)] = (status.st_mode, status.st_mtime_ns, data)
    return found


def test_reading_leaves_no_mark(tree: Path) -> None:
    link(tree / "gone", "nowhere")
    (tree / "empty.json").touch()
    before = state(tree.parent)
    source = Source(tree)
    for path in [*source.walk(""), "gone", "new", "new/file"]:
        source.read(path)
        source.read_text(path, 3)
        source.read_json(path, ANY)
        lines(source, path)
    assert source.problems
    assert state(tree.parent) == before


class _Kept:
    def __init__(self, files: dict[str, bytes], aside: Path) -> None:
        self.files, self.aside = files, aside

    def names(self, path: str) -> dict[str, str]:
        start = f"{path}/" if path else ""
        below = sorted(name[len(start) :] for name in self.files if name.startswith(start))
        return {name.partition("/")[0]: "dir" if "/" in name else "file" for name in below}

    def size(self, path: str) -> int:
        return len(self.files[path])

    def take(self, path: str, tell: Tell) -> bytes | str | None:
        if path == "gone":
            tell("changed_while_read", "removed", "Again.")
            return None
        if len(self.files[path]) < 1000:
            return self.files[path]
        (self.aside / "large").write_bytes(self.files[path])
        return str(self.aside / "large")


@pytest.mark.parametrize("size", [3, 40, 5000])
def test_what_is_supplied_is_read_as_from_the_disk(tmp_path: Path, size: int) -> None:
    text = ("é one\n\n" * size).encode()[: size * 4 + 1]
    files = {"agent/log.jsonl": text, "a.json": b'{"a": 1}', "agent/deep/x": b"x"}
    for name, content in files.items():
        (tmp_path / "disk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "disk" / name).write_bytes(content)
    (tmp_path / "aside").mkdir()
    found = []
    with supplied(str(tmp_path / "far"), _Kept(files, tmp_path / "aside")):
        for top in ("disk", "far", "far/agent", "disk/agent"):
            source = Source(tmp_path / top)
            log = "log.jsonl" if "/" in top else "agent/log.jsonl"
            found.append(
                (
                    list(source.walk("")),
                    source.read(log),
                    bytes(source.read_document(log) or b""),
                    [source.read_text(log, limit) for limit in (1, 7, 50, 10**6)],
                    [(n, bytes(line)) for few in (1, 0) for n, line in source.lines(log, few=few)],
                    (
                        source.size(log),
                        source.has("deep/x"),
                        source.read("none"),
                        source.read(log, 2),
                    ),
                    [(row.code, row.path) for row in source.problems],
                )
            )
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert not Source(tmp_path / "far").has("a.json")


def test_what_cannot_be_supplied_is_a_problem(tmp_path: Path) -> None:
    with supplied(str(tmp_path / "far"), _Kept({"gone": b""}, tmp_path)):
        source = Source(tmp_path / "far", label="job/trial")
        assert (source.read("gone"), list(source.lines("gone"))) == (None, [])
    assert [(row.code, row.path) for row in source.problems] == [
        ("changed_while_read", "job/trial/gone")
    ]


def test_what_is_supplied_and_then_not_there_is_a_problem(tmp_path: Path) -> None:
    kept = _Kept({"large": b"x" * 1000}, tmp_path)
    with supplied(str(tmp_path / "far"), kept):
        source = Source(tmp_path / "far")
        kept.take = lambda path, tell: str(tmp_path / "gone")  # type: ignore[method-assign]
        assert source.read("large") is None
    assert codes(source) == ["unreadable"]


def test_of_supplies_in_each_other_the_inner_one_counts(tmp_path: Path) -> None:
    outer, inner = (_Kept({name: b""}, tmp_path) for name in ("a", "b"))
    top = str(tmp_path)
    with supplied(top, outer), supplied(f"{top}/in", inner):
        assert supply_of(f"{top}/in") is inner
        assert [Source(f"{top}/{name}").files() for name in ("", "in", "in/side")] == [
            ["a"], ["b"], []
        ]  # fmt: skip


def test_threads_supply_and_read_side_by_side(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def supply(number: int) -> None:
        try:
            for each in range(1000):
                with supplied(f"/far/{number}/{each}", _Kept({}, tmp_path)):
                    assert supply_of(f"/far/{number}/{each}/a") is not None
        except Exception as error:
            failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=supply, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failures == []
