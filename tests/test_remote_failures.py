"""What goes wrong with URLs ends with a name for it and advice, and not with a long wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from evaltrace.errors import EvaltraceError, OutputFailure, UnreadablePath
from evaltrace.remote import RemoteFolder, open_input, spool_plan
from evaltrace.remote.fetching import AHEAD, PART, Fetcher, File
from evaltrace.remote.listing import list_pages
from evaltrace.remote.opening import forget_stores
from evaltrace.remote.parcels import Delivery, Load, Parcel
from evaltrace.remote.places import Place
from evaltrace.remote.stores import Object, Store
from evaltrace.remote.threads import Threads, interruptible
from evaltrace.source import Source
from s3_server import BUCKET, unreliable_server


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A user without credentials, on a machine without a role."""
    pytest.importorskip("obstore", reason="evaltrace[remote] is not installed")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    forget_stores()
    yield monkeypatch
    forget_stores()


@pytest.fixture
def somebody(nobody: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    nobody.setenv("AWS_ACCESS_KEY_ID", "tests")
    nobody.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    return nobody


def failure(url: str, folder: Path) -> EvaltraceError:
    with pytest.raises(UnreadablePath) as caught:
        spool_plan(url, folder)
    return caught.value


def test_missing_credentials_are_told_with_what_to_set(
    nobody: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = failure("s3://bucket/jobs", tmp_path)
    assert error.what.startswith("no credentials")
    assert all(word in (error.hint or "") for word in ("AWS_PROFILE", "sso login", "Tried:"))


def test_a_profile_that_is_not_there_is_named(nobody: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobody.setenv("AWS_PROFILE", "evals-reader")
    assert "evals-reader" in str(failure("s3://bucket/jobs", tmp_path))


def test_a_profile_is_used(nobody: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "[reader]\naws_access_key_id = tests\naws_secret_access_key = tests\n"
    (tmp_path / "credentials").write_text(text)
    nobody.setenv("AWS_PROFILE", "reader")
    with unreliable_server({"a": b"content"}, []) as url:
        nobody.setenv("AWS_ENDPOINT_URL", url)
        with open_input(f"s3://{BUCKET}/a") as file:
            assert file.read() == b"content"


def test_a_public_bucket_needs_no_credentials(nobody: pytest.MonkeyPatch) -> None:
    nobody.setenv("AWS_SKIP_SIGNATURE", "true")
    with unreliable_server({"a": b"content"}, []) as url:
        nobody.setenv("AWS_ENDPOINT_URL", url)
        with open_input(f"s3://{BUCKET}/a") as file:
            assert file.read() == b"content"


def test_a_server_that_is_overloaded_is_asked_again(somebody: pytest.MonkeyPatch) -> None:
    failures = [(503, "SlowDown"), (500, "InternalError")]
    with unreliable_server({"a": b"content"}, failures) as url:
        somebody.setenv("AWS_ENDPOINT_URL", url)
        with open_input(f"s3://{BUCKET}/a") as file:
            assert file.read() == b"content"


@pytest.mark.parametrize(
    ("status", "code", "what", "hint"),
    [
        (400, "AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region><Code>", "region",
         "AWS_REGION to eu-west-1"),
        (404, "NoSuchBucket", "no such bucket", "spelling"),
        (403, "InvalidAccessKeyId", "not accepted", "AWS_PROFILE"),
        (403, "AccessDenied", "not permitted", "may list"),
    ],
)  # fmt: skip
def test_refusals_say_what_they_are_about(
    status: int, code: str, what: str, hint: str, somebody: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with unreliable_server({}, [(status, code)] * 9) as url:
        somebody.setenv("AWS_ENDPOINT_URL", url)
        error = failure(f"s3://{BUCKET}/jobs", tmp_path)
        assert what in error.what
        assert hint in (error.hint or "")
        with pytest.raises(OutputFailure):
            RemoteFolder(f"s3://{BUCKET}/parts").names()


@pytest.mark.parametrize("url", ["s3://", "s3:///key", "s3://bucket/a/..", "s3://bucket/../a"])
def test_what_is_no_url_of_a_folder_is_refused(url: str, tmp_path: Path) -> None:
    failure(url, tmp_path)


def test_an_unknown_scheme_is_told(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    assert "gopher" in str(failure("gopher://host/jobs", tmp_path))


def test_a_missing_extra_is_named(somebody: pytest.MonkeyPatch, tmp_path: Path) -> None:
    somebody.setitem(sys.modules, "obstore", None)
    assert "evaltrace[remote]" in (failure("s3://bucket/jobs", tmp_path).hint or "")


FORKED = """
import os
from evaltrace.remote import RemoteFolder
RemoteFolder("memory://x").names()
if os.fork() == 0:
    try:
        RemoteFolder("memory://x").names()
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_forked_process_is_told_instead_of_waiting_for_ever() -> None:
    pytest.importorskip("fsspec")
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "start this process anew" in done.stdout


class _Bucket:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes:
        return self.content[start : stop or None]


def test_a_disk_that_fills_up_is_no_shorter_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    size = PART + 5_000
    wanted = File(Object("a", size, "tag"), str(tmp_path / "a"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Fetcher(cast(Store, _Bucket(bytes(size))), reads=1) as fetcher:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1_000, before[1]))
        try:
            with pytest.raises(OSError, match="large"):
                fetcher.begin(wanted)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


class _Unreachable:
    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes:
        raise UnreadablePath("cannot be reached", where=key)


def test_a_store_that_fails_while_a_trial_is_read_ends_the_run(tmp_path: Path) -> None:
    found = (Object("agent/trajectory.json", 5, None),)
    load = Load.of(str(tmp_path / "job/trial"), "job/trial", found)
    parcel = Parcel(Place("s3", "b", "job"), str(tmp_path), (load,))
    with Fetcher(cast(Store, _Unreachable()), reads=1) as fetcher:
        fetched = Delivery(parcel, fetcher, None, str(tmp_path)).fetched(reads=1)
        assert Source(next(fetched).path).read("agent/trajectory.json") is None
        with pytest.raises(UnreadablePath, match="cannot be reached"):
            fetched.close()


class _WithoutRoom(_Bucket):
    def __init__(self, place: Path) -> None:
        self.place = place

    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes:
        self.place.unlink(missing_ok=True)
        return bytes(stop - start)


def test_a_large_file_that_cannot_be_kept_names_the_temporary_folder(tmp_path: Path) -> None:
    wanted = File(Object("a", PART + 1, "tag"), str(tmp_path / "a"))
    with Fetcher(cast(Store, _WithoutRoom(tmp_path / "a")), reads=1) as fetcher:
        fetcher.begin(wanted)
        with pytest.raises(UnreadablePath, match="temporary folder"):
            fetcher.settle(wanted)


class _Counting:
    """Objects of zeros; knows how many reads there were of each."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes:
        self.reads.append(key)
        return bytes(stop - start or 2**20)


def delivery(trials: dict[str, list[Object]], place: Path, fetcher: Fetcher) -> Delivery:
    loads = [Load.of(f"/plan/j/{name}", f"j/{name}", rows) for name, rows in trials.items()]
    parcel = Parcel(Place("s3", "b", "j"), str(place), tuple(loads))
    return Delivery(parcel, fetcher, None, str(place))


def test_a_trial_of_many_files_is_not_held_as_a_whole(tmp_path: Path) -> None:
    names, store = [f"agent/{number:02}.txt" for number in range(24)], _Counting()
    trials = {"a": [Object(name, 2**20, None) for name in names]}
    with (
        Fetcher(cast(Store, store), reads=4) as fetcher,
        closing(delivery(trials, tmp_path, fetcher).fetched(4)) as fetched,
    ):
        source = Source(next(fetched).path)
        assert len(store.reads) == AHEAD // 2**20
        for _ in range(2):
            assert [len(source.read(name) or b"") for name in names] == [2**20] * 24
        # What there was no room for came twice.
        assert len(store.reads) == 2 * 24 - AHEAD // 2**20
    assert source.problems == []


def test_large_files_of_few_trials_are_on_the_disk_at_a_time(tmp_path: Path) -> None:
    store = _Counting()
    trials = {f"t{number:02}": [Object("agent/log.txt", 5 * PART, None)] for number in range(9)}
    with (
        Fetcher(cast(Store, store), reads=9) as fetcher,
        closing(delivery(trials, tmp_path, fetcher).fetched(9)) as fetched,
    ):
        next(fetched)
        assert len(list(tmp_path.iterdir())) == 4


class _Long:
    ordered = True

    def __init__(self) -> None:
        self.pages_given = 0

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[Object]]:
        for number in range(2_000):
            self.pages_given += 1
            yield [Object(f"{prefix}{number}", 1, None)]


def test_a_listing_that_nobody_reads_does_not_go_on() -> None:
    store = _Long()
    with closing(list_pages(cast(Store, store), "", (["a", "b"], []), "top")) as pages:
        assert [len(next(pages)) for _ in range(3)] == [0, 1, 1]
    assert store.pages_given < 200


class _Kept:
    """A store that gives what S3 would, in pages of ten."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.ordered, self.keys = True, sorted(keys)

    def level(self, prefix: str) -> tuple[list[str], list[Object]]:
        rests = [key[len(prefix) :] for key in self.keys if key.startswith(prefix)]
        folders = {rest.partition("/")[0] for rest in rests if rest.find("/") > 0}
        objects = [Object(prefix + rest, 1, None) for rest in rests if rest and "/" not in rest]
        return sorted(folders), objects

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[Object]]:
        found = [key for key in self.keys if key.startswith(prefix) and key > (after or "")]
        for start in range(0, len(found), 10):
            yield [Object(key, 1, None) for key in found[start : start + 10]]


@pytest.mark.parametrize(
    ("jobs", "trials"),
    [(["one"], 65), (["one", "two-jobs", "two"], 150), ([f"{n}" for n in range(70)], 3)],
)
def test_however_a_listing_is_divided_it_has_all_objects(jobs: list[str], trials: int) -> None:
    names = [f"t-{number}{end}" for number in range(trials) for end in ("", "-b")]
    inside = [f"{name}/{file}" for name in names for file in ("", "config.json", "agent/log")]
    between = ["config.json", "result.json", "t-1", "t-2-b", "zz"]
    keys = {f"{job}/{name}" for job in jobs for name in (*inside, *between, "/odd")}
    keys |= {"readme", "two.md"}
    store = _Kept(keys)
    with closing(list_pages(cast(Store, store), "", store.level(""), "top")) as pages:
        found = [row.key.removeprefix("top/") for page in pages for row in page]
    assert set(found) == keys


def test_what_hangs_is_given_up_when_a_command_ends() -> None:
    never, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        never.wait()

    with Threads(1, patience=0.01) as threads:
        hanging, waiting = threads.submit(hang), threads.submit(hang)
        begun.wait()
    assert (hanging.done(), waiting.cancelled()) == (False, True)
    with pytest.raises(RuntimeError):
        threads.submit(hang)
    never.set()


def test_calls_wait_in_another_thread_so_that_the_main_one_hears_of_interrupts() -> None:
    assert interruptible(threading.current_thread) is not threading.main_thread()
    with Threads(1) as threads:
        thread = threads.submit(threading.current_thread)
        assert threads.submit(interruptible, threading.current_thread).result() is thread.result()
    with pytest.raises(ZeroDivisionError):
        interruptible(divmod, 1, 0)


def test_where_no_more_threads_are_to_be_had_fewer_do_it_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, begun = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    ready = threading.Event()
    with Threads(8) as threads:
        waiting = [threads.submit(ready.wait) for _ in range(5)]
        ready.set()
        assert [future.result() for future in waiting] == [True] * 5
