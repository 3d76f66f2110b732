"""Jobs by URL: planned and read from an S3 server with the same bytes as from the disk."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from aggregated import EXAMPLES, copy_examples
from evaltrace.aggregate import open_plan, read_record
from evaltrace.errors import NothingFound, Problem, UnreadablePath
from evaltrace.plan import Options, Plan, plan_aggregation
from evaltrace.remote import Parcel, Spool, spool_plan
from evaltrace.remote.arriving import Habits
from evaltrace.source import Source
from s3_server import client, put, s3_server, upload

OPTIONS = Options(prices="none")
JOB, TRIAL = "baseline", "baseline/crawler-off-by-one__6EWq3iu"


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_examples(tmp_path_factory.mktemp("examples"), trials=3)


@pytest.fixture(scope="module")
def jobs(server: None, disk: Path) -> str:
    return upload(disk, "runs/jobs")


@pytest.fixture
def bucket(server: None) -> str:
    name = f"bucket-{uuid4()}"
    client().create_bucket(Bucket=name)
    return name


def lines_of(plan: Plan) -> list[bytes | None]:
    return [read_record(entry, plan.options).line for entry in plan.entries]


def lines_from(plan: Plan, parcel: Parcel) -> tuple[list[bytes | None], list[Problem]]:
    lines, problems = [], []
    with closing(parcel.fetch()) as fetched:
        for entry, trial in zip(plan.entries, fetched, strict=True):
            assert trial.trial == entry.path
            job = replace(entry.job, path=trial.path.parent) if entry.job else None
            here = replace(entry, folder=trial.path.parent, name=trial.path.name, job=job)
            lines.append(read_record(here, plan.options).line)
            problems += trial.problems(entry.label)
    return lines, problems


def parcel_of(plan: Plan, spool: Spool) -> Parcel:
    return spool.parcel(entry.path for entry in plan.entries)


def planned(url: str, folder: Path) -> tuple[Spool, Plan]:
    spool = spool_plan(url, folder)
    with spool.at_hand():
        return spool, plan_aggregation([spool.root], OPTIONS)


def contents(folder: Path) -> dict[str, bytes | None]:
    source = Source(folder)
    return {path: source.read(path) for path in source.walk("")}


def folders(folder: Path, below: str = "") -> list[str]:
    source = Source(folder)
    inner = [f"{below}/{name}".lstrip("/") for name in source.folders(below)]
    return [path for name in inner for path in (name, *folders(folder, name))]


@pytest.mark.parametrize("below", ["", JOB, TRIAL])
def test_traces_from_s3_are_those_from_disk(
    jobs: str, disk: Path, below: str, tmp_path: Path
) -> None:
    local = plan_aggregation([disk / below], OPTIONS)
    spool, plan = planned(f"{jobs}/{below}".rstrip("/"), tmp_path)
    assert (plan.inputs, plan.problems, spool.problems) == (local.inputs, local.problems, [])
    assert lines_from(plan, parcel_of(plan, spool)) == (lines_of(local), [])


def test_a_bucket_can_be_named_itself(bucket: str, tmp_path: Path) -> None:
    upload(EXAMPLES / TRIAL, "the-trial", bucket)
    shutil.copytree(EXAMPLES / TRIAL, tmp_path / bucket / "the-trial")
    local = plan_aggregation([tmp_path / bucket], OPTIONS)
    (folder := tmp_path / "plan").mkdir()
    spool, plan = planned(f"s3://{bucket}/", folder)
    assert plan.inputs == local.inputs
    assert lines_from(plan, parcel_of(plan, spool)) == (lines_of(local), [])


def test_a_parcel_is_fetched_where_the_plan_is_not(jobs: str, disk: Path, tmp_path: Path) -> None:
    spool, plan = planned(f"{jobs}/{TRIAL}", tmp_path)
    parcel = pickle.loads(pickle.dumps(parcel_of(plan, spool)))
    shutil.rmtree(spool.tree.parent)
    local = plan_aggregation([disk / TRIAL], OPTIONS)
    assert lines_from(plan, parcel) == (lines_of(local), [])


def test_fetched_trials_are_gone_again(bucket: str, tmp_path: Path) -> None:
    large = bytes(5 * 2**20)
    put(bucket, {f"j/{name}/result.json": b"{}" for name in "abc"} | {"j/a/agent/large": large})
    (folder := tmp_path / "plan").mkdir()
    (place := tmp_path / "fetched").mkdir()
    spool = spool_plan(f"s3://{bucket}/j", folder)
    with closing(spool.parcel([spool.root / name for name in "abc"]).fetch(place)) as fetched:
        first = next(fetched)
        assert contents(first.path)["agent/large"] == large
        assert [path.stat().st_size for path in place.glob("*/*")] == [len(large)]
        second = next(fetched)
        assert list(place.glob("*/*")) == []
        assert (contents(first.path), list(contents(second.path))) == ({}, ["result.json"])
    assert list(place.iterdir()) == []


def test_what_a_killed_worker_leaves_lies_where_the_plan_does(jobs: str, tmp_path: Path) -> None:
    spool, plan = planned(f"{jobs}/{TRIAL}", tmp_path)
    with closing(parcel_of(plan, spool).fetch()) as fetched:
        assert next(fetched).path.is_relative_to(tmp_path)


def test_a_fetched_trial_has_its_own_files_only(bucket: str, tmp_path: Path) -> None:
    trials = {
        "a": {"agent/log.txt": b"long " * 999, "agent/s/1.jsonl": b"one", "agent/s/2.jsonl": b"2"},
        "b": {"agent/log.txt": b"short", "agent/s/3.jsonl": b"three"},
        "c": {"agent/log.txt": b"", "agent/s/1.jsonl": b"1", "agent/s/4.jsonl": b"4" * 10},
        "d": {"agent/s/3.jsonl": b"other", "agent/s/log.txt": b"x", "agent/s/x.png": b"picture"},
        "e": {"agent/s/3.jsonl": b"last", "agent/s/x.png": b"pic"},
    }
    for name, files in trials.items():
        files["result.json"] = b'"%s"' % name.encode()
        put(bucket, {f"j/{name}/{key}": content for key, content in files.items()})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    with closing(spool.parcel([spool.root / name for name in trials]).fetch(reads=1)) as fetched:
        found = {trial.trial.name: contents(trial.path) for trial in fetched}
    assert found == trials


def test_only_what_planning_reads_is_fetched_for_the_plan(bucket: str, tmp_path: Path) -> None:
    trial = ["result.json", "config.json", "trial.log", "agent/command-0/command.txt"]
    inner = ["agent/sessions/x/config.json", "verifier/test-stderr.txt", "agent/trajectory.json"]
    put(bucket, {f"j/a/{name}": b"{}" for name in [*trial, *inner]} | {"j/job.log": b"long"})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    with spool.at_hand():
        found, inner = contents(spool.root), folders(spool.root)
    assert found == {
        "a/result.json": b"{}",
        "a/config.json": b"{}",
        "a/agent/command-0/command.txt": b"{}",
        # Only that these are there tells something.
        "a/verifier/test-stderr.txt": b"",
        "job.log": b"",
    }
    assert inner == ["a", "a/agent", "a/agent/command-0", "a/verifier"]


def test_a_trial_copied_into_a_trial_is_left_to_the_outer_one(bucket: str, tmp_path: Path) -> None:
    inner = ["result.json", "agent/command-0/command.txt", "verifier/test-stderr.txt"]
    put(bucket, {f"j/a/{name}": b"{}" for name in inner})
    put(bucket, {f"j/a/artifacts/x/y/b/{name}": b"{}" for name in inner})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    assert spool.problems == []
    with spool.at_hand():
        assert sorted(contents(spool.root)) == sorted(f"a/{name}" for name in inner)


def test_jobs_may_have_the_names_of_what_trials_have_in_them(bucket: str, tmp_path: Path) -> None:
    jobs = ["agent/t", "steps/t", "some/t", "whole/verifier"]
    inner = ["config.json", "verifier/config.json", "agent/command-0/command.txt"]
    put(bucket, {f"j/{job}/{name}": b"{}" for job in jobs for name in inner})
    put(bucket, {"j/whole/job.log": b"", "j/whole/config.json": b"{}"})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    with spool.at_hand():
        found = contents(spool.root)
    trials = {f"{job}/{name}" for job in jobs for name in (inner[0], inner[2])}
    assert set(found) == {*trials, "whole/config.json", "whole/job.log"}


def test_a_folder_of_a_trial_is_a_folder_without_trials(bucket: str, tmp_path: Path) -> None:
    put(bucket, {"j/a/result.json": b"{}", "j/a/verifier/reward.txt": b"1"})
    with pytest.raises(NothingFound):
        planned(f"s3://{bucket}/j/a/verifier", tmp_path)


def test_sizes_and_fingerprints_follow_the_content(bucket: str, tmp_path: Path) -> None:
    put(bucket, {"j/a/result.json": b"{}", "j/a/agent/log.txt": b"one", "j/b/result.json": b"{}"})
    seen = []
    for number, text in enumerate((b"one", b"two", b"two")):
        put(bucket, {"j/a/agent/log.txt": text})
        (folder := tmp_path / str(number)).mkdir()
        spool = spool_plan(f"s3://{bucket}/j", folder)
        trials = [spool.root / "a", spool.root / "b"]
        assert spool.sizes(trials) == [5, 2]
        seen.append(spool.fingerprints(trials))
    assert seen[0][0] != seen[1][0]
    assert seen[1] == seen[2]
    assert seen[0][1] == seen[1][1]


def test_large_files_arrive_in_parts(bucket: str, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 17 + b"the end"
    put(bucket, {"j/a/agent/log.txt": content, "j/a/result.json": b"{}"})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        assert contents(next(fetched).path)["agent/log.txt"] == content


def test_what_no_reader_opens_is_fetched_when_one_does(bucket: str, tmp_path: Path) -> None:
    names = ["agent/screen.png", "agent/trajectory.json"]
    put(bucket, {f"j/a/{name}": name.encode() for name in [*names, "result.json"]})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        source = Source(next(fetched).path)
        assert [source.size(name) for name in names] == list(map(len, names))
        put(bucket, {"j/a/agent/screen.png": b"another"})
        client().delete_object(Bucket=bucket, Key="j/a/agent/trajectory.json")
        assert [source.read(name) for name in names] == [b"another", None]
        assert [(row.code, row.path, row.message) for row in source.problems] == [
            ("changed_while_read", "agent/screen.png", "changed while it was read"),
            ("changed_while_read", "agent/trajectory.json", "removed after it was listed"),
        ]
        assert [source.size(name) for name in names] == [len(b"another"), 0]


def test_files_that_are_asked_for_are_fetched_ahead_from_then_on() -> None:
    habits = Habits()
    keys = ["agent/log.txt", "agent/trajectory.json", "artifacts/x/1.json", "agent/shot.png"]
    assert [habits.expects(key) for key in keys] == [True, False, True, False]
    for _ in range(8):
        habits.learn(keys, ["agent/log.txt"])
    assert [habits.expects(key) for key in keys] == [True, False, False, False]
    habits.learn(keys, ["agent/trajectory.json", "artifacts/x/1.json"])
    assert [habits.expects(key) for key in keys] == [True, True, True, False]
    assert habits.expects("artifacts/x/2.json")


def test_names_that_never_come_again_are_not_remembered_without_end() -> None:
    habits = Habits()
    habits.learn((f"agent/{number}/a.txt" for number in range(10_000)), ())
    for _ in range(8):
        habits.learn(["agent/log.txt"], ())
    assert habits.expects("agent/log.txt")


ODD = {
    "j/a/../../escaped": "leads out",
    "j/a//twice": "empty",
    "j/a/agent\\log.txt": "Windows",
    "j/C:/log.txt": "Windows",
    "j/a/bell\x07": "control",
    f"j/a/{'n' * 300}": "longer than",
}


@pytest.mark.parametrize("key", ODD, ids=list(ODD.values()))
def test_a_strange_name_costs_only_its_object(key: str, bucket: str, tmp_path: Path) -> None:
    put(bucket, {"j/a/result.json": b"{}", "j/a/agent/log.txt": b"fine", key: b"odd"})
    (folder := tmp_path / "plan").mkdir()
    spool = spool_plan(f"s3://{bucket}/j", folder)
    [problem] = spool.problems
    assert problem.code == "unusable_name"
    assert ODD[key] in problem.message
    (place := tmp_path / "fetched").mkdir()
    with closing(spool.parcel([spool.root / "a"]).fetch(place)) as fetched:
        trial = next(fetched).path
        assert set(contents(trial)) == {"result.json", "agent/log.txt"}
        assert {path.name for path in tmp_path.iterdir()} == {"plan", "fetched"}


def test_an_object_that_is_a_folder_too_is_left_out(bucket: str, tmp_path: Path) -> None:
    put(bucket, {"j/a/agent": b"odd", "j/a/agent/log.txt": b"x", "j/a/result.json": b"{}"})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    assert [(row.code, row.path) for row in spool.problems] == [("unusable_name", "j/a/agent")]


def test_empty_objects_that_stand_for_folders_are_folders(bucket: str, tmp_path: Path) -> None:
    marks = {"j/": b"", "j/a/": b"", "j/a/agent/": b"", "j/a/artifacts/": b""}
    put(bucket, marks | {"j/a/result.json": b"{}", "j/a/agent/log.txt": b""})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    assert spool.problems == []
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        trial = next(fetched)
        assert trial.faults == ()
        assert "artifacts" in folders(trial.path)
        assert contents(trial.path)["agent/log.txt"] == b""


def test_names_with_spaces_signs_and_accents_arrive(bucket: str, tmp_path: Path) -> None:
    names = ["with space", "50%25 off", "a+b&c=d", "#1?", "é~ü", "[x]{y}", ".hidden"]
    put(bucket, {f"j/a/{name}/log.txt": name.encode() for name in names})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    assert spool.problems == []
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        trial = next(fetched).path
        expected = {f"{name}/log.txt": name.encode() for name in names}
        assert contents(trial) == expected


def test_more_folders_than_listings_at_a_time_are_all_found(bucket: str, tmp_path: Path) -> None:
    # In the order of keys `t--/` is before `t-/`, in that of names after it.
    names = ["t" + "-" * length for length in range(66)]
    put(bucket, {f"j/{name}/a": b"" for name in names})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    with spool.at_hand():
        assert Source(spool.root).folders() == names


def test_trials_of_different_shape_keep_their_own(bucket: str, tmp_path: Path) -> None:
    shapes = {"a": ["agent/x"], "b": ["x"], "c": ["agent/deep/x", "verifier/x"], "d": ["agent/x"]}
    put(bucket, {f"j/{name}/{path}": b"1" for name, paths in shapes.items() for path in paths})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    seen = {}
    for trial in spool.parcel([spool.root / name for name in shapes]).fetch(reads=1):
        seen[trial.path.name] = sorted([*contents(trial.path), *folders(trial.path)])
    assert seen == {
        "a": ["agent", "agent/x"],
        "b": ["x"],
        "c": ["agent", "agent/deep", "agent/deep/x", "verifier", "verifier/x"],
        "d": ["agent", "agent/x"],
    }


def test_what_the_plan_has_fetched_is_not_fetched_again(bucket: str, tmp_path: Path) -> None:
    put(bucket, {"j/a/result.json": b"{}", "j/a/trial.log": b"log"})
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    client().delete_object(Bucket=bucket, Key="j/a/result.json")
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        trial = next(fetched)
        assert trial.faults == ()
        assert contents(trial.path)["result.json"] == b"{}"


def test_what_changes_after_the_plan_is_told(bucket: str, tmp_path: Path) -> None:
    before = {"j/a/result.json": b"{}", "j/a/changed": b"before", "j/a/gone": b"soon"}
    put(bucket, before)
    spool = spool_plan(f"s3://{bucket}/j", tmp_path)
    put(bucket, {"j/a/changed": b"afterwards"})
    client().delete_object(Bucket=bucket, Key="j/a/gone")
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        trial = next(fetched)
        found = {(row.code, row.path, row.message) for row in trial.problems("j/a")}
        assert found == {
            ("changed_while_read", "j/a/changed", "changed while it was read"),
            ("changed_while_read", "j/a/gone", "removed after it was listed"),
        }
        assert contents(trial.path) == {"result.json": b"{}", "changed": b"afterwards"}


def test_memory_and_other_file_systems_are_read_as_well(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(f"{EXAMPLES / JOB}/", "/there/jobs/baseline/", recursive=True)
    local = plan_aggregation([EXAMPLES / JOB], OPTIONS)
    spool, plan = planned("memory://there/jobs/baseline", tmp_path)
    assert lines_from(plan, parcel_of(plan, spool)) == (lines_of(local), [])
    assert spool.fingerprints([plan.entries[0].path]) == [None]


def test_of_copies_below_several_urls_the_first_url_has_the_one_that_is_kept() -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for name in "edcba":
        memory.put(f"{EXAMPLES / TRIAL}/", f"/copies/{name}/job/trial/", recursive=True)
    with open_plan([f"memory://copies/{name}" for name in "cadbea"], OPTIONS) as plan:
        kept = plan.spools[0].root
        assert (len(plan.spools), plan.spools[0].url) == (5, "memory://copies/a")
        assert [entry.path.is_relative_to(kept) for entry in plan.entries] == [True]


def test_a_name_that_is_no_text_costs_only_its_file(tmp_path: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe({f"/odd/j/a/{name}": b"{}" for name in ("result.json", os.fsdecode(b"caf\xe9"))})
    spool = spool_plan("memory://odd/j", tmp_path)
    assert [(row.code, row.path) for row in spool.problems] == [("unusable_name", "j/a/caf\\xe9")]
    with closing(spool.parcel([spool.root / "a"]).fetch()) as fetched:
        assert contents(next(fetched).path) == {"result.json": b"{}"}


@pytest.mark.parametrize(
    ("name", "what"), [("none", "no such folder"), ("file.json", "not a folder")]
)
def test_places_without_jobs_are_told_apart(
    name: str, what: str, bucket: str, tmp_path: Path
) -> None:
    put(bucket, {"file.json": b"{}"})
    with pytest.raises(UnreadablePath, match=what):
        spool_plan(f"s3://{bucket}/{name}", tmp_path)
