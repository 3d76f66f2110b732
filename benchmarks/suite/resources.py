"""Memory, start-up, and reading the output back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from suite.rows import Row, unmeasured
from suite.setting import Setting, aggregation, missing, whole_evaltrace
from suite.timing import command, cpu_of, interleaved, peak_of, run_command

_HEAVY = (
    "numpy scipy pyarrow duckdb pandas fsspec obstore distributed ray jinja2 jsonschema msgspec "
    "jsonschema_rs tabulate unidiff asyncio multiprocessing"
)


def measure(setting: Setting) -> list[Row]:
    """Measure all three."""
    return [*_memory(setting), *_start(setting), *_reading_back(setting)]


def _memory(setting: Setting) -> list[Row]:
    few, many = (setting.jobs_of("small", count) for count in (100, 10_000))
    large = setting.jobs_of("full", 1000)
    rows = []
    for events in ("none", "full"):
        cases = {
            str(folder): whole_evaltrace(
                *aggregation(folder, "-o", setting.out("memory.json"), "--events", events)
            )
            for folder in (few, many, large)
        }
        # Peaks hardly vary: fewer rounds do.
        found = interleaved(cases, min(setting.rounds, 3))
        peaks = [peak_of(found, str(folder)) for folder in (few, many, large)]
        rows.append(
            Row(
                f"peak memory, events {events}: 10,000 trials against 100",
                peaks[1] / peaks[0],
                1.05,
                "x",
                note=f"{peaks[1]:.0f} MB against {peaks[0]:.0f} MB",
            )
        )
        for folder, peak in ((many, peaks[1]), (large, peaks[2])):
            biggest = _largest(folder)
            name = f"peak memory, events {events}, {folder.name.replace('-', ' trials: ')}"
            note = f"64 MB plus twice the largest file of {biggest:.1f} MB"
            rows.append(Row(name, peak, 64 + 2 * biggest, "MB", note=note))
    return rows


def _largest(folder: Path) -> float:
    """Give the size of the largest file below 8 MB, in MB."""
    sizes = (path.stat().st_size / 1e6 for path in folder.rglob("*") if path.is_file())
    return max(size for size in sizes if size < 8)


def _start(setting: Setting) -> list[Row]:
    cases = {
        "help": whole_evaltrace("--help"),
        "pass": command(sys.executable, "-c", "pass"),
    }
    found = interleaved(cases, 5 * setting.rounds)
    ask = "import sys, evaltrace.cli; heavy = sys.argv[1].split(); "
    ask += "print(*[name for name in heavy if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", ask, _HEAVY], capture_output=True, text=True, check=True
    ).stdout.strip()
    times = [1000 * cpu_of(found, name) for name in ("help", "pass")]
    note = f"{times[0]:.0f} ms against {times[1]:.0f} ms; heavy imports: {loaded or 'none'}"
    return [
        Row("`evaltrace --help` against `python -c pass`", times[0] / times[1], 6, "x", note=note)
    ]


def _reading_back(setting: Setting) -> list[Row]:
    """Measure on one file, and on two of half the size for the comparison."""
    folder, out = setting.jobs_of("full", 1000), setting.out("whole.json")
    run_command(sys.executable, "-m", "evaltrace", *aggregation(folder, "-o", out))
    arms = []
    for arm in ("baseline", "with-mcp"):
        arms.append(setting.out(f"{arm}.json"))
        given = aggregation(folder / arm, "--arm", arm, "-o", arms[-1])
        run_command(sys.executable, "-m", "evaltrace", *given)
    for path in (out, *arms):
        _double(path)
    first = _first_id(out)
    commands: dict[str, tuple[str | Path, ...]] = {
        "validate": ("validate", out),
        "show": ("show", out),
        "show, one trace": ("show", out, first),
        "compare": ("compare", *arms),
    }
    size = out.stat().st_size / 1e6
    rows = []
    for name, asked in commands.items():
        title = f"peak memory of `{name}` on {size:.0f} MB of JSON"
        reason = missing(name.partition(",")[0])
        if reason:
            rows.append(unmeasured(title, reason))
            continue
        used = run_command(sys.executable, "-m", "evaltrace", *asked)
        note = f"{used.cpu:.1f} s of the processor"
        rows.append(Row(title, used.peak, 60, "MB", note=note))
    return rows


def _double(path: Path) -> None:
    """Give a file of traces each of them twice, under another id."""
    aside = path.with_suffix(".part")
    head = b'{"schema_version":"1.0","trace_id":"'
    with path.open("rb") as file, aside.open("wb") as doubled:
        for line in file:
            if line.startswith(head):
                doubled.write(head + b"again-" + line[len(head) :].rstrip(b",\n") + b",\n")
            doubled.write(line)
    aside.replace(path)


def _first_id(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(10_000).decode(errors="replace")
    return head.partition('"trace_id":"')[2].partition('"')[0]
