"""Single objects as files, and folders where each name is committed once."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from evaltrace.errors import OutputFailure, UnreadablePath
from evaltrace.files import Folder, LocalFolder
from evaltrace.remote import RemoteFolder, is_url, open_input, whole_object
from evaltrace.remote.planned import Planned
from s3_server import BUCKET, client, keys, s3_server, unreliable_server


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/key", True),
        ("memory://x", True),
        ("https://host/file.json", True),
        ("jobs/s3:/x", False),
        ("C://jobs", False),
        ("./s3://bucket", False),
        (Path("s3://bucket"), False),
    ],
)
def test_urls_are_told_from_paths(path: object, expected: bool) -> None:
    assert is_url(path) is expected


@pytest.mark.parametrize("size", [0, 5, 9 * 2**20 + 3])
def test_an_object_is_read_as_a_stream(server: None, size: int) -> None:
    content = (b"a line\n" * (size // 7 + 1))[:size]
    client().put_object(Bucket=BUCKET, Key="stream", Body=content)
    with open_input(f"s3://{BUCKET}/stream") as file:
        assert file.read(3) == content[:3]
        assert b"".join(file) == content[3:]


def test_an_object_replaced_while_it_is_read_is_not_mixed(server: None) -> None:
    client().put_object(Bucket=BUCKET, Key="replaced", Body=b"a" * 13 * 2**20)
    with open_input(f"s3://{BUCKET}/replaced") as file:
        file.read(1)
        client().put_object(Bucket=BUCKET, Key="replaced", Body=b"b" * 13 * 2**20)
        with pytest.raises(UnreadablePath, match="changed or removed"):
            file.read()


def test_a_missing_object_is_named(server: None) -> None:
    with pytest.raises(UnreadablePath, match=f"no such object: s3://{BUCKET}/none"):
        open_input(f"s3://{BUCKET}/none").__enter__()


def test_a_single_file_is_read_over_http() -> None:
    pytest.importorskip("aiohttp")
    with (
        unreliable_server({"t.json": b"{}\n"}, []) as url,
        open_input(f"{url}/evals/t.json") as file,
    ):
        assert file.read() == b"{}\n"


@pytest.mark.parametrize("size", [11, 12 * 2**20])
def test_an_output_appears_whole(server: None, size: int) -> None:
    url = f"s3://{BUCKET}/whole-{size}"
    with whole_object(url) as file:
        file.write(b"x" * size)
        assert f"whole-{size}" not in keys()
    with open_input(url) as read:
        assert read.read() == b"x" * size


def test_an_output_that_fails_leaves_nothing(server: None) -> None:
    def failing() -> None:
        with whole_object(f"s3://{BUCKET}/half") as file:
            file.write(b"x" * 12 * 2**20)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert "half" not in keys()
    assert "Uploads" not in client().list_multipart_uploads(Bucket=BUCKET)


def test_an_output_is_refused_before_the_work(server: None) -> None:
    with pytest.raises(OutputFailure, match="no such bucket"):
        whole_object("s3://not-there/x").__enter__()
    with pytest.raises(OutputFailure, match="no name"):
        whole_object(f"s3://{BUCKET}/folder/").__enter__()


@pytest.fixture(params=["disk", "s3", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return LocalFolder(tmp_path / "parts")
    if request.param == "s3":
        request.getfixturevalue("server")
        return RemoteFolder(f"s3://{BUCKET}/{uuid4()}")
    pytest.importorskip("fsspec")
    return RemoteFolder(f"memory://{uuid4()}/parts")


def finished(folder: Folder, tmp_path: Path, content: bytes) -> Path:
    path = Path(folder.scratch() or tmp_path, f".evaltrace-{uuid4()}")
    path.write_bytes(content)
    return path


def test_a_name_is_committed_once(folder: Folder, tmp_path: Path) -> None:
    assert folder.names() == set()
    assert folder.commit("part-1", finished(folder, tmp_path, b"first")) is True
    second = finished(folder, tmp_path, b"second")
    assert folder.commit("part-1", second) is False
    assert not second.exists()
    assert folder.read("part-1") == b"first"
    with folder.open("part-1") as file:
        assert file.read() == b"first"
    assert folder.names() == {"part-1"}


def test_of_many_at_once_one_commits(folder: Folder, tmp_path: Path) -> None:
    sources = [finished(folder, tmp_path, b"%d" % number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda source: folder.commit("part", source), sources))
    assert sum(won) == 1
    assert folder.read("part") == b"%d" % won.index(True)


def test_what_is_not_there(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.read("none")
    with pytest.raises(FileNotFoundError):
        folder.open("none")
    folder.remove("none")


def test_what_is_removed_can_be_committed_again(folder: Folder, tmp_path: Path) -> None:
    folder.commit("a", finished(folder, tmp_path, b"1"))
    folder.remove("a")
    assert folder.names() == set()
    assert folder.commit("a", finished(folder, tmp_path, b"2")) is True


def test_a_folder_is_the_same_in_another_process(folder: Folder, tmp_path: Path) -> None:
    folder.commit("a", finished(folder, tmp_path, b"1"))
    other: Folder = pickle.loads(pickle.dumps(folder))
    assert (other.place, other.read("a")) == (folder.place, b"1")


def test_a_large_part_is_committed_once(server: None, tmp_path: Path) -> None:
    folder = RemoteFolder(f"s3://{BUCKET}/{uuid4()}")
    content = os.urandom(2**20) * 12
    assert folder.commit("large", finished(folder, tmp_path, content)) is True
    assert folder.commit("large", finished(folder, tmp_path, bytes(12 * 2**20))) is False
    assert folder.read("large") == content


@pytest.mark.parametrize("name", ["plain", "a b", "50%41?mode=rw#x", "ä"])
def test_what_was_planned_is_found_again_wherever_it_lies(tmp_path: Path, name: str) -> None:
    (folder := tmp_path / name).mkdir()
    made = Planned.make(folder)
    made.add_folders(["job", "job/trial", "job/other"])
    made.add("job/trial/config.json", b"{}")
    made.add("job/trial/result.json", b"[1]")
    made.add_size("job/other/result.json", 7)
    made.close()
    with closing(Planned(folder)) as planned:
        assert planned.names("job/trial") == {"config.json": "file", "result.json": "file"}
        assert planned.content("job/trial/result.json") == b"[1]"
        assert planned.content("job/other/result.json") is None
        assert planned.size("job/other/result.json") == 7
        assert planned.content("job/trial/config.json") == b"{}"
        assert planned.content("job/trial") is planned.content("nowhere/x") is None
