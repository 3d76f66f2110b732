"""Cold aggregation against the floor, and against the plain script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from suite.plain_script import FILES, LOG, write_plainly
from suite.rows import Row
from suite.setting import Setting, aggregation, evaltrace
from suite.timing import Rounds, cpu_of, in_fork, interleaved, ratio

_JSON = ("result.json", "config.json", "agent/trajectory.json")


def measure(setting: Setting) -> list[Row]:
    """Measure both kinds of trials; only the large ones are judged."""
    large = _cases(setting, "full", 1000)
    small = _cases(setting, "small", 10_000)
    rows = [*_floor(large, "1 MB", judged=True), *_floor(small, "75 KB", judged=False)]
    return [*rows, *_plain(large, "1 MB"), *_checked(setting)]


def raw_read(files: list[str]) -> int:
    """Read the files and drop them."""
    size = 0
    for name in files:
        with open(name, "rb", buffering=0) as file:
            size += len(file.read())
    return size


def parse(files: list[str]) -> int:
    """Read the files; parse documents whole and logs by line, with orjson."""
    import orjson

    count = 0
    for name in files:
        with open(name, "rb", buffering=0) as file:
            content = file.read()
        if name.endswith(LOG):
            for line in content.splitlines():
                try:
                    orjson.loads(line)
                except ValueError:
                    count += 1
        elif name.endswith(_JSON):
            orjson.loads(content)
    return count


def plain_files(folder: Path) -> list[str]:
    """List the files that the plain script reads."""
    trials = sorted(path.parent for path in folder.glob("*/*/config.json"))
    paths = (trial / name for trial in trials for name in FILES)
    return [str(path) for path in paths if path.exists()]


def _cases(setting: Setting, kind: str, count: int) -> Rounds:
    folder = setting.jobs_of(kind, count)  # type: ignore[arg-type]
    files, out = plain_files(folder), setting.out("cold.json")
    plain = setting.out("plain.json")
    cases = {
        "read": in_fork(lambda: raw_read(files)),
        "R": in_fork(lambda: parse(files)),
        "none": evaltrace(*aggregation(folder, "-o", out, "--events", "none")),
        "full": evaltrace(*aggregation(folder, "-o", out)),
        "plain none": in_fork(_plainly(folder, plain, events=False)),
        "plain full": in_fork(_plainly(folder, plain, events=True)),
    }
    return interleaved(cases, setting.rounds)


def _plainly(folder: Path, out: Path, *, events: bool, check: bool = False) -> Callable[[], object]:
    def write() -> object:
        from evaltrace import read_schema

        schema = read_schema("trace") if check else None
        return write_plainly(folder, out, events=events, schema=schema)

    return write


def _floor(found: Rounds, size: str, *, judged: bool) -> list[Row]:
    limits: list[float | None] = [0.25, 0.80] if judged else [None, None]
    seconds = {name: f"{cpu_of(found, name):.2f} s" for name in found}
    of = f"of {seconds['R']}"
    title = f"trials of {size}"
    return [
        Row(f"{title}: raw read of the same bytes", ratio(found, "read", "R"), unit="R", note=of),
        Row(
            f"{title}: cold aggregation, `--events none`",
            ratio(found, "none", "R"),
            limits[0],
            "R",
            note=f"{seconds['none']} {of}",
        ),
        Row(
            f"{title}: cold aggregation with events",
            ratio(found, "full", "R"),
            limits[1],
            "R",
            note=f"{seconds['full']} {of}",
        ),
    ]


def _plain(found: Rounds, size: str) -> list[Row]:
    return [
        Row(
            f"trials of {size}: plain script {label} events, its time over ours",
            ratio(found, f"plain {name}", name),
            limit,
            "x",
            "at least",
            f"{cpu_of(found, f'plain {name}'):.2f} s",
        )
        for name, label, limit in (("none", "without", 10), ("full", "with", 4))
    ]


def _checked(setting: Setting) -> list[Row]:
    """Time the validating script, on fewer trials as it takes so long."""
    folder, out = setting.jobs_of("full", 100), setting.out("checked.json")
    cases = {}
    for events, name in ((False, "none"), (True, "full")):
        cases[name] = evaltrace(*aggregation(folder, "-o", out, "--events", name))
        cases[f"plain {name}"] = in_fork(_plainly(folder, out, events=events, check=True))
    found = interleaved(cases, setting.rounds)
    return [
        Row(
            f"plain script with `jsonschema.validate` {label} events, its time over ours",
            ratio(found, f"plain {name}", name),
            limit,
            "x",
            "at least",
            f"{setting.trials(100)} trials",
        )
        for name, label, limit in (("none", "without", 35), ("full", "with", 15))
    ]
