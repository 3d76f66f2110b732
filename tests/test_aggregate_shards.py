"""Shards and parts: the same bytes whatever an engine does, each trial exactly once."""

from __future__ import annotations

import json
import pickle
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregated import aggregate_bytes, through
from dying_workers import without
from evaltrace.aggregate import (
    Done,
    Lost,
    Outcome,
    Shard,
    Sharded,
    aggregate_jobs,
    heavy_first,
    plan_id,
    sharded_through,
    sharding,
    to_shards,
    workers_pay,
    write_share,
)
from evaltrace.aggregate.parts import part_name
from evaltrace.errors import EngineFailure, OutputFailure, StrictFailure
from evaltrace.files import LocalFolder, committed
from evaltrace.plan import Options, Plan, plan_aggregation
from job_dirs import write_job

TASKS = [f"task-{number:02}" for number in range(9)]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = write_job(tmp_path_factory.mktemp("jobs"), "job", TASKS)
    next(job.glob("task-04__*/result.json")).write_text("{")  # a problem among the traces
    return job


@pytest.fixture(scope="module")
def plan(job: Path) -> Plan:
    return plan_aggregation([job], Options(prices="none"))


@pytest.fixture(scope="module")
def serial(job: Path) -> bytes:
    return aggregate_bytes(job)


@pytest.fixture(autouse=True, scope="module")
def shards_of_several_trials() -> Iterator[None]:
    """Nine trials in shards of four, as a thousand times more would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharding, "_SHARDS", 2)
        yield


class Unsteady:
    """An engine in this process: any order, and workers that die before or after a commit."""

    def __init__(self, seed: int, deaths: int, poison: frozenset[str] = frozenset()) -> None:
        self.random = random.Random(seed)
        self.deaths = deaths
        self.poison = poison

    def __call__(self, work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
        given = list(shards)
        self.random.shuffle(given)
        for shard in given:
            if {entry.task for entry in shard.entries} & self.poison:
                yield Lost(shard.name, "killed by SIGKILL")
            elif self.deaths and self.random.random() < 0.5:
                self.deaths -= 1
                if self.random.random() < 0.5:
                    work(shard)  # committed, and died before it could tell
                yield Lost(shard.name, "killed by SIGKILL")
            else:
                yield work(shard)


def test_parts_give_the_bytes_of_one_trial_after_the_other(
    tmp_path: Path, plan: Plan, serial: bytes, job: Path
) -> None:
    assert [len(shard.entries) for shard in to_shards(plan.entries, plan.options)] == [4, 4, 1]
    assert through(tmp_path / "parts", plan) == serial
    assert through(tmp_path / "parts", plan, form="jsonl") == aggregate_bytes(job, form="jsonl")
    assert b"malformed_json" in serial


class Sample:
    """What hypothesis need not print."""

    def __init__(self, plan: Plan, serial: bytes, factory: pytest.TempPathFactory) -> None:
        self.plan, self.serial, self.factory = plan, serial, factory


@pytest.fixture(scope="module")
def sample(plan: Plan, serial: bytes, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample(plan, serial, tmp_path_factory)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), deaths=st.integers(0, 2))
def test_deaths_at_any_time_lose_nothing_and_repeat_nothing(
    sample: Sample, seed: int, deaths: int
) -> None:
    folder = sample.factory.mktemp("parts")
    same = through(folder, sample.plan, Unsteady(seed, deaths)) == sample.serial
    again = through(folder, sample.plan, Unsteady(seed, 0)) == sample.serial
    assert (same, again) == (True, True)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 999), poison=st.sets(st.sampled_from(TASKS), min_size=1, max_size=2))
def test_a_trial_that_kills_every_worker_becomes_a_problem_and_costs_no_other(
    sample: Sample, seed: int, poison: set[str]
) -> None:
    folder = sample.factory.mktemp("parts")
    first = through(folder, sample.plan, Unsteady(seed, 0, frozenset(poison)))
    document = json.loads(first)
    assert document["traces"] == without(json.loads(sample.serial), poison)
    died = [row["path"] for row in document["problems"] if row["code"] == "worker_died"]
    assert sorted(path.partition("__")[0] for path in died) == sorted(f"job/{t}" for t in poison)
    # What was found out is known to the next run, whose workers would survive.
    again = through(folder, sample.plan)
    assert again == first


def test_a_trial_is_alone_when_it_is_given_up(tmp_path: Path, plan: Plan) -> None:
    rounds: list[list[str]] = []

    def engine(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
        rounds.append([entry.task for shard in shards for entry in shard.entries])
        # Whoever shares a worker with task-02 dies with it.
        doomed = "task-02" in rounds[-1]
        for shard in shards:
            yield Lost(shard.name, "killed by SIGKILL") if doomed else work(shard)

    document = json.loads(through(tmp_path, plan, engine))
    died = [row["path"] for row in document["problems"] if row["code"] == "worker_died"]
    assert [path.partition("__")[0] for path in died] == ["job/task-02"]
    assert len(document["traces"]) == len(TASKS) - 1
    assert ["task-02"] in rounds


def test_a_run_that_died_goes_on_where_it_ended(tmp_path: Path, plan: Plan, serial: bytes) -> None:
    def ends_early(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
        yield work(shards[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        through(tmp_path, plan, ends_early)
    written: list[str] = []

    def counting(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
        written.extend(shard.name[:10] for shard in shards)
        return map(work, shards)

    assert through(tmp_path, plan, counting) == serial
    assert written == ["part-00000", "part-00002"]


def test_a_part_that_is_there_is_taken_as_it_is(tmp_path: Path, plan: Plan) -> None:
    through(tmp_path, plan)
    first, _, _ = to_shards(plan.entries, plan.options)
    path = tmp_path / part_name(first.name)
    path.write_bytes(path.read_bytes().replace(b'"attempt":1', b'"attempt":7'))
    assert through(tmp_path, plan).count(b'"attempt":7') == 4


def longer(text: bytes) -> bytes:
    return re.sub(rb'"length":(\d+)', lambda row: b'"length":%d' % (int(row[1]) + 1), text, count=1)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-30], lambda text: b"", lambda text: b"x", longer]
)
def test_a_damaged_part_is_named(
    tmp_path: Path, plan: Plan, damage: Callable[[bytes], bytes]
) -> None:
    through(tmp_path, plan)
    path = sorted(tmp_path.glob("*.part"))[1]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OutputFailure, match=r"part-00001.*\n.*Remove it") as failure:
        through(tmp_path, plan)
    assert "damaged" in str(failure.value)


def test_a_part_that_cannot_be_read_is_no_fault_of_the_output(tmp_path: Path, job: Path) -> None:
    parts, out = tmp_path / "parts", tmp_path / "out.json"
    aggregate_jobs([job], out, parts=parts)
    part = sorted(parts.glob("*.part"))[1]
    part.unlink()
    part.mkdir()
    with pytest.raises(OutputFailure, match=r"cannot (read|commit).*part-00001"):
        aggregate_jobs([job], out, parts=parts)
    with pytest.raises(OutputFailure, match=r"is a file: .*out\.json"):
        aggregate_jobs([job], out, parts=out)


def test_parts_of_other_trials_are_refused(tmp_path: Path, plan: Plan) -> None:
    through(tmp_path, plan)
    first, second = sorted(tmp_path.glob("*.part"))[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(OutputFailure, match="not those of the plan"):
        through(tmp_path, plan)


def test_an_engine_that_leaves_out_a_shard_is_noticed(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(OutputFailure, match="left out"):
        through(tmp_path, plan, lambda work, shards: map(work, shards[1:]))


def test_what_is_done_is_named_by_trials_options_and_version(
    job: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {plan_id(plan.entries, plan.options)}
    for options in (Options(prices="none", events=False), Options(prices="none", arm="a")):
        names.add(plan_id(plan.entries, options))
    names.add(plan_id(plan.entries[1:], plan.options))
    again = plan_aggregation([job / "."], Options(prices="none"))
    names.add(plan_id(again.entries, again.options))  # the same
    monkeypatch.setattr(sharding, "__version__", "99")
    names.add(plan_id(plan.entries, plan.options))
    assert len(names) == 5


def test_shards_are_few_trials_each_and_not_too_many(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    [entry] = plan.entries[:1]

    def lengths(trials: int) -> set[int]:
        shards = to_shards([entry] * trials, plan.options)
        assert sum(len(shard.entries) for shard in shards) == trials
        return {len(shard.entries) for shard in shards[:-1]}

    monkeypatch.setattr(sharding, "_SHARDS", 128)
    assert lengths(100) == {1}
    assert lengths(1000) == {7}
    assert lengths(10_000) == {64}
    assert lengths(200_000) == {100}


@pytest.mark.parametrize("shares", [1, 2, 5])
def test_shares_are_all_trials_once(tmp_path: Path, plan: Plan, serial: bytes, shares: int) -> None:
    sharded = Sharded(map, LocalFolder(tmp_path))
    trials = [
        write_share(plan.entries, plan.options, sharded, (number, shares))
        for number in range(1, shares + 1)
    ]
    assert sum(trials) == len(TASKS)

    def idle(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
        raise AssertionError(shards)

    assert through(tmp_path, plan, idle) == serial


def test_strict_ends_at_the_first_problem_of_the_plan(tmp_path: Path, job: Path) -> None:
    plan = plan_aggregation([job], Options(prices="none", strict=True))
    with pytest.raises(StrictFailure, match="malformed_json"):
        through(tmp_path, plan, Unsteady(3, 2))


def test_an_engine_that_fails_ends_the_run(tmp_path: Path, job: Path) -> None:
    def failing(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
        raise EngineFailure("no cluster")

    out = tmp_path / "out.json"
    with pytest.raises(EngineFailure):
        aggregate_jobs([job], out, map=failing)
    assert list(tmp_path.iterdir()) == []


def test_a_library_user_passes_an_engine_and_a_folder(
    tmp_path: Path, job: Path, serial: bytes
) -> None:
    out, parts = tmp_path / "out.json", tmp_path / "parts"
    options = Options(prices="none")
    summary = aggregate_jobs([job], out, options=options, map=Unsteady(1, 2))
    assert out.read_bytes() == serial
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert aggregate_jobs([job], out, options=options, parts=parts) == summary
    assert out.read_bytes() == serial
    success = json.loads((parts / "_SUCCESS.json").read_text())
    assert (success["trials"], success["traces"]) == (9, summary.traces)
    assert success["bytes"] == len(serial)


def test_success_is_taken_back_when_another_plan_begins(tmp_path: Path, job: Path) -> None:
    out, parts = tmp_path / "out.json", tmp_path / "parts"
    aggregate_jobs([job], out, parts=parts)
    plan = plan_aggregation([job], Options(events=False))
    with sharded_through(map, plan, parts, out):
        assert not (parts / "_SUCCESS.json").exists()
    aggregate_jobs([job], out, parts=parts)
    with sharded_through(map, plan_aggregation([job]), parts, out):
        assert (parts / "_SUCCESS.json").exists()


def test_parts_may_not_lie_in_a_job(job: Path, tmp_path: Path) -> None:
    before = sorted(job.rglob("*"))
    with pytest.raises(OutputFailure, match=r"inside the job.*\n.*with --parts"):
        aggregate_jobs([job], tmp_path / "out.json", parts=job / "parts")
    assert sorted(job.rglob("*")) == before


def test_what_dead_runs_left_beside_the_output_is_removed_and_no_more(
    tmp_path: Path, plan: Plan
) -> None:
    dead = tmp_path / ".evaltrace-dead.parts"
    dead.mkdir()
    (dead / "part-00000-x.part").touch()
    with (
        sharded_through(map, plan, None, tmp_path / "one.json") as alive,
        sharded_through(map, plan, None, tmp_path / "two.json") as other,
    ):
        assert not dead.exists()
        folders = {Path(sharded.folder.place) for sharded in (alive, other)}
        assert set(tmp_path.iterdir()) == folders
    assert list(tmp_path.iterdir()) == []


def test_shards_can_be_sent_to_another_process(plan: Plan) -> None:
    shards = to_shards(plan.entries, plan.options)
    assert pickle.loads(pickle.dumps(shards)) == shards


# Folders and weights.


def test_a_name_is_committed_once(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "new")
    assert folder.names() == set()
    for text in (b"first", b"second"):
        with committed(folder, "name") as file:
            file.write(text)
    assert folder.read("name") == b"first"
    assert folder.names() == {"name"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["name"]


def test_what_fails_is_not_committed(tmp_path: Path) -> None:
    def fail() -> None:
        with committed(LocalFolder(tmp_path), "name") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_clearing_removes_what_is_unfinished_even_under_a_writer(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    with committed(folder, "name") as file:
        file.write(b"slow")
        with committed(folder, "name") as other:
            other.write(b"quick")
        folder.clear("name")
    assert folder.read("name") == b"quick"
    assert folder.names() == {"name"}


def test_a_run_leaves_those_of_other_plans_in_its_folder_alone(tmp_path: Path, job: Path) -> None:
    folder = LocalFolder(tmp_path / "parts")
    with committed(folder, "part-00000-another.part") as file:
        file.write(b"slow")
        aggregate_jobs([job], tmp_path / "out.json", parts=tmp_path / "parts")
    assert folder.read("part-00000-another.part") == b"slow"


def test_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputFailure, match="cannot make"),
        committed(LocalFolder(tmp_path / "file" / "parts"), "name"),
    ):
        pass


def test_shards_far_above_the_others_come_first_after_some(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", [f"task-{number:02}" for number in range(24)])
    next(job.glob("task-21__*/agent/claude-code.txt")).write_bytes(b"\n" * 3_000_000)
    plan = plan_aggregation([job])
    shards = [Shard(entry.task, (entry,)) for entry in plan.entries]
    order = [shard.name for shard in heavy_first(shards)]
    names = [shard.name for shard in shards]
    assert order == [*names[:16], "task-21", *names[16:21], *names[22:]]


def test_workers_pay_for_many_trials_or_large_ones(tmp_path: Path, plan: Plan) -> None:
    job = write_job(tmp_path, "job", ["small", "large"])
    next(job.glob("large__*/agent/claude-code.txt")).write_bytes(b"\n" * 20_000_000)
    assert not workers_pay(plan.entries)
    assert workers_pay([*plan.entries] * 500)
    assert workers_pay(plan_aggregation([job]).entries)
    assert not workers_pay(plan_aggregation([next(job.glob("large__*"))]).entries)
