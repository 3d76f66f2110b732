"""Questions to a large store: many traces, many events in one, many programs at once.

    python benchmarks/store.py [--quick] [--rounds N] [--keep FOLDER]

Prints a Markdown table: milliseconds of the processor for one question, as the median of the
rounds in a process of its own, and the peak memory of that process. `measure` is a group of the
suite as well. `--keep` names a folder for the stores (2 GB), to be used again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from evaltrace.store import Store
from evaltrace.trace import (
    Agent,
    AgentConfig,
    Cost,
    Durations,
    Event,
    Metrics,
    Origin,
    Task,
    Tokens,
    Tools,
    Trace,
    Usage,
)
from suite.rows import Row, render_rows
from suite.setting import Setting

TRACES, EVENTS, WRITERS, EACH = 100_000, 1_000_000, 8, 10_000
RARE = "heisenbug"
_WORDS = [f"word{number}" for number in range(5000)]
_TYPES = ("message", "tool_call", "llm_call", "file_read", "tests_run")
_QUESTION_MS = 100.0


def made_up_events(number: int, seed: int = 1) -> Iterator[Event]:
    """Make events of a kilobyte each: one in a thousand failed, one in 200,000 is rare."""
    rng = Random(seed)
    for n in range(1, number + 1):
        rare = f" {RARE}" if n % 200_000 == 7 else ""
        yield Event(
            id=str(n),
            type=_TYPES[n % 5],
            name="bash",
            status="error" if n % 1000 == 0 else "ok",
            parent_id=str(n // 10 * 10) if n % 10 else None,
            started_at=f"2026-01-{1 + n // 86400:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:"
            f"{n % 60:02}Z",
            duration_ms=float(n % 5000),
            input={"command": " ".join(rng.choices(_WORDS, k=12))},
            output=f"{' '.join(rng.choices(_WORDS, k=40))} common{rare}",
            usage=Usage(input_tokens=10, output_tokens=3),
            cost_usd=0.001,
        )


def made_up_traces(number: int) -> Iterator[Trace]:
    """Make traces with three events each, of ten arms; one is rare."""
    rng = Random(2)
    for n in range(number):
        passed = rng.random() < 0.5
        words = " ".join(rng.choices(_WORDS, k=60))
        yield Trace(
            trace_id=f"{rng.getrandbits(64):016x}",
            task_id=f"task-{n % 500}__{n}",
            task_instruction=f"{words} {RARE}" if n == number // 2 else words,
            agent_config=AgentConfig(agent=Agent(name="agent")),
            test_reward=float(passed),
            metrics=Metrics(
                tokens=Tokens(total=n), cost=Cost(usd=0.25), durations=Durations(total_s=60.0)
            ),
            status="pass" if passed else "fail",
            origin=Origin(kind="harness", started_at=f"2026-01-{1 + n % 28:02}T12:00:00Z"),
            task=Task(name=f"task-{n % 500}"),
            arm=f"arm {n % 10}",
            tools=Tools(),
            events=list(made_up_events(3, n)),
        )


def questions_of_many(store: Store) -> dict[str, Callable[[], object]]:
    """What is asked of a store with many traces."""
    some = store.get_sessions(1, 777)[0].id
    return {
        "pass rate by arm": store.arms,
        "session by id": lambda: store.get_session(some),
        "whole trace by id": lambda: store.read(some),
        "rare word": lambda: _some(store.search(RARE)),
        "two words": lambda: store.search("word17 word99"),
        "50 latest sessions": store.get_sessions,
    }


def questions_of_one(store: Store) -> dict[str, Callable[[], object]]:
    """What is asked of one session with many events."""
    [session] = store.get_sessions()
    number, name = session.total_events, session.id
    ask = partial(store.get_traces, name)
    return {
        "first page": ask,
        "page in the middle": lambda: ask(after=number // 2),
        "of one type": lambda: ask("tool_call", after=number // 2),
        "of two types": lambda: ask(["tool_call", "message"]),
        "errors": lambda: ask(errors=True),
        "took 4.9 s or more": lambda: ask(min_duration_ms=4900),
        "took a minute or more (none)": lambda: ask(min_duration_ms=60_000),
        "in the last minute": lambda: _some(ask(start_time=_last(store, name, number - 60))),
        "of one type, took 4.99 s": lambda: ask("message", min_duration_ms=4990),
        "children of one": lambda: _some(ask(parent_id=str(number // 20 * 10))),
        "without a parent": lambda: ask(roots=True, after=number // 2),
        "rare word": lambda: _some(store.search(RARE, session_id=name)),
        "word of all": lambda: _some(store.search("common", session_id=name)),
        "phrase": lambda: store.search('"word17 word99"', session_id=name),
        "errors with a word": lambda: _some(ask(search_text="common", errors=True)),
        "summary": lambda: store.summary(name),
        "event by id": lambda: _some(store.get_event(name, str(number - 3))),
    }


def _last(store: Store, session: str, seq: int) -> str | None:
    return store.get_traces(session, after=seq, limit=1)[0].started_at


def _some(found: object) -> object:
    if not found:
        raise AssertionError("nothing was found")
    return found


def ask(path: Path, kind: str, rounds: int) -> None:
    """Ask everything, and print the milliseconds and the peak memory in megabytes as JSON."""
    taken: dict[str, list[float]] = {}
    with Store(path, read_only=True) as store:
        questions = questions_of_one(store) if kind == "one" else questions_of_many(store)
        for _ in range(rounds):
            for name, question in questions.items():
                start = time.process_time()
                question()
                taken.setdefault(name, []).append(1000 * (time.process_time() - start))
    peak = _peak_mb()
    print(json.dumps({"ms": {name: median(found) for name, found in taken.items()}, "mb": peak}))


def _peak_mb() -> float:
    """Give this process's own peak: its usage begins with that of the one that started it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def _asked(path: Path, kind: str, rounds: int) -> dict[str, object]:
    command = [sys.executable, __file__, "--ask", str(path), "--kind", kind, "--rounds"]
    done = subprocess.run([*command, str(rounds)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _built(path: Path, fill: Callable[[Store], object]) -> float | None:
    """Write a store once; give the seconds of the processor that it took, None if it was there."""
    if path.exists():
        return None
    aside = path.with_suffix(".part")
    aside.unlink(missing_ok=True)
    start = time.process_time()
    with Store(aside) as store:
        fill(store)
    aside.rename(path)
    return time.process_time() - start


def _fill_one(number: int, store: Store) -> None:
    session = store.start_session("one long run")
    store.save_traces(made_up_events(number), session.id)


def measure(setting: Setting) -> list[Row]:
    """Measure all of it, as rows of the suite."""
    traces, events = setting.trials(TRACES), setting.trials(EVENTS)
    many, one = setting.out(f"many-{traces}.db"), setting.out(f"one-{events}.db")
    small = setting.out(f"one-{events // 10}.db")
    seconds = _built(many, lambda store: store.add_all(made_up_traces(traces)))
    rows = []
    if seconds is not None:
        rows.append(Row(f"traces added a second, {traces:,}", traces / seconds, unit="/s"))
    seconds = _built(one, partial(_fill_one, events))
    if seconds is not None:
        rows.append(Row(f"events saved a second, {events:,}", events / seconds, unit="/s"))
    _built(small, partial(_fill_one, events // 10))
    found = _asked(many, "many", setting.rounds)
    limits = {"pass rate by arm": 15.0, "session by id": 1.0, "rare word": 1.0}
    rows += _rows(f"{traces:,} traces", found, limits, None)
    large, less = _asked(one, "one", setting.rounds), _asked(small, "one", setting.rounds)
    rows += _rows(f"{events:,} events", large, {}, _QUESTION_MS)
    ratio = float(str(large["mb"])) / float(str(less["mb"]))
    note = f"{large['mb']:.1f} MB and {less['mb']:.1f} MB"
    title = f"peak memory of the questions, {events:,} events over {events // 10:,}"
    rows.append(Row(title, ratio, 1.1, "x", note=note))
    return [*rows, *_contended(setting)]


def _rows(
    size: str, found: dict[str, object], limits: dict[str, float], limit: float | None
) -> list[Row]:
    taken = found["ms"]
    assert isinstance(taken, dict)
    return [Row(f"{size}: {name}", ms, limits.get(name, limit), "ms") for name, ms in taken.items()]


def _save(path: Path, writer: int, number: int) -> None:
    """Save events into one of two sessions: a hundred one by one, a hundred at once, and so on."""
    events = made_up_events(number, writer)
    with Store(path) as store:
        waiting: list[Event] = []
        for n, event in enumerate(events):
            if n // 100 % 2:
                waiting.append(event)
                if len(waiting) == 100:
                    store.save_traces(waiting, f"s-{writer % 2}")
                    waiting = []
            else:
                store.save_trace(event, f"s-{writer % 2}")
        store.save_traces(waiting, f"s-{writer % 2}")


def _look(path: Path, ended: Callable[[], bool]) -> None:
    with Store(path) as store:
        while not ended():
            for session in store.get_sessions():
                totals = store.summary(session.id)
                assert totals is not None
                assert sum(row.events for row in totals.by_type) == totals.session.total_events
                store.search("common", session_id=session.id, limit=3)


def _contended(setting: Setting) -> list[Row]:
    """Let programs write at once while two read; count what is missing, and what failed."""
    each = setting.trials(EACH)
    path = setting.out("contended.db")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    writers = [context.Process(target=_save, args=(path, n, each)) for n in range(WRITERS)]
    readers = [context.Process(target=_look, args=(path, ended.is_set)) for _ in range(2)]
    start = time.perf_counter()
    for process in writers + readers:
        process.start()
    for process in writers:
        process.join()
    wall = time.perf_counter() - start
    ended.set()
    for process in readers:
        process.join()
    failed = sum(process.exitcode != 0 for process in writers + readers)
    with Store(path) as store:
        lost = WRITERS * each - store.stats().events
        faults = len(store.check())
    title = f"{WRITERS} programs save {each:,} events each while 2 read: lost, failed, faults"
    note = f"{wall:.0f} s on the wall, {WRITERS * each / wall:,.0f} events a second"
    return [Row(title, float(lost + failed + faults), 0.0, note=note)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the stores stay")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", default="one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        ask(given.ask, given.kind, given.rounds)
        return
    with nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        print(render_rows(measure(Setting(folder, quick=given.quick, rounds=given.rounds))))


if __name__ == "__main__":
    main()
