"""Bombs: files and folders made to exhaust or mislead who reads them, and a child that has to.

Each takes the folder of a trial and puts itself into it, beside the trial's good files.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from traces import minimal_trace

Bomb = Callable[[Path], object]

LOG = "agent/claude-code.txt"
GIGABYTE = 1 << 30


class Survived(NamedTuple):
    """How a child ended: its exit code, what it wrote, CPU seconds and peak megabytes."""

    code: int
    out: bytes
    err: str
    seconds: float
    megabytes: int


def run_limited(
    command: Sequence[str | bytes | Path], *, seconds: int = 60, memory: int = 2 * GIGABYTE
) -> Survived:
    """Run evaltrace with limits of CPU time and of address space."""

    def limit() -> None:  # pragma: no cover - runs in the child
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command],
        capture_output=True,
        preexec_fn=limit,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    error, _, peak = done.stderr.decode("utf-8", "replace").rpartition("PEAK ")
    return Survived(done.returncode, done.stdout, error, spent, int(peak or 0) >> 10)


_MEASURED = """
import atexit, re, resource, sys
from evaltrace.cli import main
def tell():
    try:  # the usage of a process begins with that of the one that started it
        peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("PEAK", peak, file=sys.stderr)
atexit.register(tell)
main()
"""


class Answered(NamedTuple):
    """What became of one command of several: its exit code, what it wrote, CPU seconds."""

    code: int
    told: str
    seconds: float


def run_each(
    commands: Sequence[Sequence[str]], *, seconds: int = 60, memory: int = 3 * GIGABYTE
) -> tuple[list[Answered], int]:
    """Run commands one after the other in one limited child; give its peak in megabytes too."""

    def limit() -> None:  # pragma: no cover - runs in the child
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    done = subprocess.run(
        [sys.executable, "-c", _EACH],
        input=msgspec.json.encode(commands),
        capture_output=True,
        preexec_fn=limit,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    rows, peak = msgspec.json.decode(done.stdout, type=tuple[list[Answered], int])
    return rows, peak >> 10


_EACH = """
import json, re, sys, time
from click.testing import CliRunner
from evaltrace.cli import main
rows = []
for command in json.load(sys.stdin):
    begun = time.process_time()
    done = CliRunner().invoke(main, command)
    fault = done.exception
    told = done.output[-2000:] + ("" if isinstance(fault, SystemExit | None) else repr(fault))
    rows.append((done.exit_code, told, time.process_time() - begun))
print(json.dumps([rows, int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])]))
"""


def _insert(trial: Path, line: bytes) -> None:
    path = trial / LOG
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(b"\n".join([first, line, rest]))


# JSON.


def deep_line(trial: Path, depth: int = 100_000) -> None:
    _insert(trial, b'{"type":"user","x":' + b"[" * depth + b"]" * depth + b"}")


def _only_trajectory(trial: Path) -> None:
    (trial / LOG).unlink()
    shutil.rmtree(trial / "agent/sessions")


def deep_document(trial: Path, depth: int = 100_000) -> None:
    _only_trajectory(trial)
    (trial / "agent/trajectory.json").write_bytes(b'{"a":' * depth + b"1" + b"}" * depth)


def deep_result(trial: Path, depth: int = 100_000) -> None:
    (trial / "result.json").write_bytes(b"[" * depth)


def deep_report(trial: Path, depth: int = 100_000) -> None:
    for path in (trial / "verifier").glob("ctrf.json"):
        path.unlink()
    (trial / "verifier/junit.xml").write_bytes(b"<testsuites>" + b"<testsuite>" * depth)


def entity_bomb(trial: Path) -> None:
    for path in (trial / "verifier").glob("ctrf.json"):
        path.unlink()
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]><testsuite name="&e11;"/>'
    (trial / "verifier/junit.xml").write_text(text)


def long_number(trial: Path) -> None:
    path = trial / "result.json"
    body = path.read_bytes()
    path.write_bytes(body.replace(b'"reward": 1', b'"reward": ' + b"9" * 10_000))


def long_number_in_line(trial: Path) -> None:
    _insert(trial, b'{"type":"user","n":' + b"9" * 10_000 + b',"odd":"\\ud800"}')


def lone_surrogate(trial: Path) -> None:
    path = trial / "result.json"
    path.write_bytes(path.read_bytes().replace(b"{", b'{"odd": "\\ud800\\udc00\\ud800",', 1))


def duplicate_keys(trial: Path) -> None:
    path = trial / "result.json"
    path.write_bytes(path.read_bytes().replace(b"{", b'{"task_name": "other/first",', 1))


# Sizes.


def sparse_line(trial: Path, size: int = GIGABYTE // 20) -> None:
    with (trial / LOG).open("ab") as file:
        file.truncate(file.tell() + size)


def sparse_document(trial: Path, size: int = 2 * GIGABYTE) -> None:
    _only_trajectory(trial)
    with (trial / "agent/trajectory.json").open("r+b") as file:
        file.truncate(size)


def sparse_output(trial: Path, size: int = GIGABYTE // 20) -> None:
    with (trial / "verifier/test-stdout.txt").open("ab") as file:
        file.truncate(size)


def tiny_events(trial: Path, count: int = 50_000) -> None:
    with (trial / LOG).open("ab") as file:
        for _ in range(count // 1000):
            file.write(b'{"type":"system"}\n' * 1000)


def many_entries(trial: Path, count: int = 20_000) -> None:
    folder = trial / "agent/sessions/projects/-app"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        os.close(os.open(folder / f"{number}.jsonl", os.O_CREAT | os.O_WRONLY))


# Names and kinds of files.


def odd_names(trial: Path) -> None:
    folder = os.fsencode(trial) + b"/agent/sessions/projects/-app"
    os.makedirs(folder, exist_ok=True)
    for name in (b"new\nline.jsonl", b"\x1b]0;title\x07.jsonl", b"\xff\xfe.jsonl", b"-rf.jsonl"):
        with open(folder + b"/" + name, "wb") as file:
            file.write(b"{broken\n")


def fifo(trial: Path) -> None:
    (trial / LOG).unlink()
    os.mkfifo(trial / LOG)


def unix_socket(trial: Path) -> None:
    (trial / "result.json").unlink()
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(trial)  # the path of a socket has room for 108 bytes
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("result.json")
    finally:
        os.fchdir(here)
        os.close(here)


def device(trial: Path) -> None:
    _only_trajectory(trial)
    (trial / "agent/trajectory.json").unlink()
    os.mknod(trial / "agent/trajectory.json", 0o20644, os.makedev(1, 5))  # /dev/zero


def device_by_link(trial: Path) -> None:
    (trial / "agent/trajectory.json").unlink()
    (trial / "agent/trajectory.json").symlink_to("/dev/zero")


def link_loop(trial: Path) -> None:
    (trial / LOG).unlink()
    (trial / LOG).symlink_to("other")
    (trial / "agent/other").symlink_to("claude-code.txt")


def job_in_itself(trial: Path) -> None:
    (trial / "agent/sessions/again").symlink_to("../../..")
    (trial.parent / "again__SELF").symlink_to(".")


def deep_folders(trial: Path, levels: int = 60) -> None:
    """Go down beyond the longest path that a system call takes."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(trial / "agent/sessions")
        for _ in range(levels):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
        Path("last.jsonl").write_text("{}\n")
    finally:
        os.fchdir(here)
        os.close(here)


# Parquet: each takes the path of a file.


def one_value_everywhere(path: Path, rows: int = 1_000_000, size: int = 4_000_000) -> None:
    """Write one trace of 4 MB, in a few KB, and say that it is that of a million rows."""
    import pyarrow as pa

    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [_trace_text(size)])
    _write_parquet(path, pa.table({"trace": column}), dictionary_pagesize_limit=GIGABYTE)


def many_columns(path: Path, count: int = 6_000) -> None:
    import pyarrow as pa

    columns = {f"c{number}": [1] for number in range(count)}
    _write_parquet(path, pa.table({"trace": [_trace_text()], **columns}))


def many_groups(path: Path, count: int = 1_000) -> None:
    import pyarrow as pa

    _write_parquet(path, pa.table({"trace": [_trace_text()] * count}), row_group_size=1)


def long_footer(path: Path, size: int = GIGABYTE // 10) -> None:
    """Leave a hole for a footer of 100 MB."""
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.seek(size)
        file.write((size - 100).to_bytes(4, "little") + b"PAR1")


def lying_footer(path: Path) -> None:
    """Claim a footer that is longer than the file."""
    many_groups(path, 1)
    body = path.read_bytes()
    path.write_bytes(body[:-8] + (1 << 23).to_bytes(4, "little") + b"PAR1")


def empty_footer(path: Path) -> None:
    path.write_bytes(b"PAR1" + bytes(100) + bytes(4) + b"PAR1")


def deep_columns(path: Path, depth: int = 500) -> None:
    import pyarrow as pa

    kind, value = pa.string(), "x"
    for _ in range(depth):
        kind, value = pa.list_(kind), [value]  # type: ignore[assignment]
    _write_parquet(path, pa.table({"trace": [_trace_text()], "a": pa.array([value], kind)}))


def _write_parquet(path: Path, table: Any, **options: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(
        table, path, compression="zstd", write_statistics=False, store_schema=False, **options
    )


def _trace_text(size: int = 0) -> str:
    return msgspec.json.encode(minimal_trace(task_instruction="x" * size)).decode()


PARQUET: dict[str, tuple[Bomb, str]] = {
    "one value everywhere": (one_value_everywhere, "1,000 times its size"),
    "6,000 columns": (many_columns, "more than 5,000"),
    "1,000 row groups": (many_groups, ""),
    "footer of 100 MB": (long_footer, "its footer claims"),
    "footer longer than the file": (lying_footer, "its footer claims"),
    "empty footer": (empty_footer, "its footer claims"),
    "columns 500 deep": (deep_columns, "nested"),
}
"""By name: the bomb, and what its error says; nothing where it is read."""

BOMBS: dict[str, tuple[Bomb, set[str]]] = {
    "deep line": (deep_line, {"too_deep_lines"}),
    "deep document": (deep_document, {"too_deep"}),
    "deep result": (deep_result, {"too_deep"}),
    "deep XML": (deep_report, {"malformed_tests"}),
    "XML entities": (entity_bomb, {"malformed_tests"}),
    "number of 10,000 digits": (long_number, {"mended_json"}),
    "number of 10,000 digits in a line": (long_number_in_line, {"mended_lines"}),
    "lone surrogates": (lone_surrogate, {"mended_json"}),
    "duplicate keys": (duplicate_keys, set()),
    "long line": (sparse_line, {"line_too_long"}),
    "document of 2 GB": (sparse_document, {"too_large"}),
    "long output": (sparse_output, set()),
    "tiny events": (tiny_events, set()),
    "20,000 entries": (many_entries, set()),
    "odd names": (odd_names, {"not_json_lines"}),
    "named pipe": (fifo, {"not_a_file"}),
    "socket": (unix_socket, {"not_a_file"}),
    "device": (device, {"not_a_file"}),
    "device by a link": (device_by_link, {"link_outside"}),
    "links in a loop": (link_loop, {"broken_link"}),
    "job in itself": (job_in_itself, set()),
    "path too long": (deep_folders, {"unreadable"}),
}
"""By name: the bomb, and the codes of the problems it has to make; none where it is read."""
