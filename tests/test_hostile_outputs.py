"""What traces say can neither drive a terminal, nor break out of a report, nor name a file."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path, PurePath
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from aggregated import the_trial
from evaltrace import Store, Trace, compare_traces, render_markdown, render_webpage, schema
from evaltrace.cli import main
from evaltrace.files import read_traces, write_jsonl
from evaltrace.files.dataset import write_dataset
from evaltrace.record import recording
from evaltrace.redact import Redactor, copy_redacted
from evaltrace.reports.machine import render_github, render_junit
from evaltrace.trace import Tool
from job_dirs import write_job
from traces import distinct_trace, minimal_trace

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
EVIL = (
    "\x1b]0;pwn\x07\x1b[31m\x9b2J\x7f\u202e\u2067\u200f\u061c\r\n::error::pwn\n| a | b |\n"
    "```\n</details><img src=x onerror=alert(1)><script>alert(1)</script>\x00\u2028"
    "[x](javascript:alert(1))"
)
"""Added to each text of a trace that the schema leaves free."""
STEERING = "\x7f\x9b2J\u202e\u2067\u200f\u061c"
"""What JSON and names of files may hold, and a terminal acts on."""

SIGNS = ("=", "+", "-", "@", "\t", "\r")
PATHS = ("../../../evil", "/evil/abs", "C:\\evil", "CON", "a/../../evil", "..", ".", "x\x00y", "~")


def planted(trace: Trace, evil: str = EVIL) -> Trace:
    """Add a hostile text to every text and every key of a trace that may be any text."""
    document = json.loads(msgspec.json.encode(trace))
    for holder, key in list(_places(document)):
        before = holder[key]
        if isinstance(before, str):
            holder[key] = before + evil
            if not schema.is_valid(document):
                holder[key] = before
    assert document["trace_id"].endswith(evil)
    return msgspec.convert(document, Trace)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def arms() -> tuple[list[Trace], list[Trace]]:
    """Two arms of planted traces that pair."""
    baseline = [distinct_trace(), minimal_trace(trace_id="b-1", test_reward=0.0, status="fail")]
    treatment = [distinct_trace(), minimal_trace(trace_id="t-1")]
    return [planted(trace) for trace in baseline], [planted(trace) for trace in treatment]


def saved(path: Path, traces: list[Trace]) -> Path:
    out = BytesIO()
    write_jsonl(out, map(msgspec.json.encode, traces))
    path.write_bytes(out.getvalue())
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [os.fspath(argument) for argument in arguments])


class Planted:
    """Files, a store, a job and recordings whose every text is hostile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        baseline, treatment = arms()
        self.task = baseline[0].trace_id
        self.file = saved(folder / "a.jsonl", baseline)
        self.other = saved(folder / "b.jsonl", treatment)
        self.one = saved(folder / "one.jsonl", baseline[:1])
        self.event = (baseline[0].events or [])[0].id
        self.store = folder / "runs.db"
        with Store(self.store) as store:
            store.add_all(baseline)
        self.spans = folder / "spans.json"
        assert run("export", "otlp", self.one, "--content", "-o", self.spans).exit_code == 0
        self.job = write_job(folder, "job\x1b[31m\u202e", ["one"])
        (the_trial(self.job) / "result.json").write_text("{\x1b]0;x\x07")
        self.good = write_job(folder, f"good{STEERING}", [f"task{STEERING}"])
        self.recordings = folder / "recordings"
        with recording(f"agent{EVIL}", f"type{EVIL}", folder=self.recordings) as live:
            live.event(f"event{EVIL}", {"text": EVIL})
        self.secret = folder / "secret\x1b[31m.txt"
        self.secret.write_text("x\x1b[31m PASSWORD=hunter2hunter2XQ\n")
        self.broken = folder / "broken\x1b[31m.json"
        self.broken.write_text('{"\x1b[31m": 1, "status": "\x9b2J"')


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(tmp_path_factory.mktemp("planted"))


COMMANDS: dict[str, list[str]] = {
    "aggregate": ["aggregate", "{job}", "-o", "{folder}/out.json"],
    "aggregate --strict": ["aggregate", "{job}", "-o", "{folder}/out.json", "--strict"],
    "show": ["show", "{file}"],
    "show one": ["show", "{one}", "{task}"],
    "show nothing": ["show", "{file}", "no\x1b[31mthing"],
    "show --timeline": ["show", "{one}", "--timeline"],
    "show --tree": ["show", "{one}", "--tree"],
    "show --summary": ["show", "{one}", "--summary"],
    "show --event": ["show", "{one}", "--event", "{event}"],
    "show --store": ["show", "--store", "{store}"],
    "search": ["search", "pwn", "{file}"],
    "search --regex": ["search", "--regex", "pwn", "{file}"],
    "search --store": ["search", "pwn", "--store", "{store}"],
    "search of nothing": ["search", "no\x1b[31mthing", "{file}"],
    "store sessions": ["store", "sessions", "--store", "{store}"],
    "store events": ["store", "events", "{task}", "--store", "{store}"],
    "store search": ["store", "search", "pwn", "--store", "{store}"],
    "store stats": ["store", "stats", "--store", "{store}"],
    "store check": ["store", "check", "--store", "{store}"],
    "compare": ["compare", "{file}", "{other}"],
    "compare --fail-on": ["compare", "{file}", "{other}", "--fail-on", "pairs.tasks < 9"],
    "compare markdown": ["compare", "{file}", "{other}", "--format", "markdown"],
    "audit": ["audit", "{file}", "{other}"],
    "validate": ["validate", "{file}", "{broken}"],
    "query table": ["query", "FROM trials", "{file}"],
    "query events": ["query", "SELECT name, input, output FROM events", "{file}"],
    "query csv": ["query", "FROM trials", "{file}", "--format", "csv"],
    "query json": ["query", "FROM trials", "{file}", "--format", "json"],
    "show json": ["show", "{file}", "--format", "json"],
    "search json": ["search", "pwn", "{file}", "--format", "json"],
    "compare json": ["compare", "{file}", "{other}", "--format", "json"],
    "validate json": ["validate", "{broken}", "--format", "json"],
    "scan json": ["scan", "{secret}", "--format", "json"],
    "store sessions json": ["store", "sessions", "--store", "{store}", "--format", "json"],
    "store events json": ["store", "events", "--store", "{store}", "--format", "json"],
    "metrics": ["metrics", "--store", "{store}", "--once"],
    "query fault": ["query", "SELECT \x1b[31mx FROM trials", "{file}"],
    "scan": ["scan", "{secret}"],
    "record list": ["record", "list", "{recordings}"],
    "compare junit": ["compare", "{file}", "{other}", "--format", "junit"],
    "compare github": ["compare", "{file}", "{other}", "--format", "github"],
    "audit json": ["audit", "{file}", "{other}", "--format", "json"],
    "query jsonl": ["query", "FROM trials", "{file}", "--format", "jsonl"],
    "export otlp": ["export", "otlp", "{file}", "-o", "{folder}/otlp.json"],
    "import otlp": ["import", "otlp", "{spans}", "-o", "{folder}/imported.json"],
    "redact": ["redact", "{file}", "-o", "{folder}/redacted.jsonl"],
    "no such file": ["show", "{folder}/no\x1b[31mfile\u202e"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_lets_a_trace_drive_the_terminal(name: str, place: Planted) -> None:
    done = run(*(part.format(**vars(place)) for part in COMMANDS[name]))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.output
    assert UNSAFE.findall(done.output) == []


STREAMS: dict[str, list[str]] = {
    "aggregate": ["aggregate", "{good}", "-q", "--no-cache"],
    "aggregate jsonl": ["aggregate", "{good}", "-q", "--no-cache", "--format", "jsonl"],
    "store export": ["store", "export", "--no-redact", "--store", "{store}"],
    "store export jsonl": [
        "store", "export", "--no-redact", "--store", "{store}", "--format", "jsonl",
    ],
    "import otlp": ["import", "otlp", "{spans}"],
    "export otlp": ["export", "otlp", "{one}", "--content"],
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_json_on_standard_output_drives_no_terminal_and_says_the_same(
    name: str, place: Planted, tmp_path: Path
) -> None:
    command = [part.format(**vars(place)) for part in STREAMS[name]]
    suffix = "jsonl" if "otlp" in name or "jsonl" in name else "json"
    file = tmp_path / f"file.{suffix}"
    assert run(*command, "-o", file).exit_code == 0
    done = run(*command, "-o", "-")
    assert done.exit_code == 0, done.output
    assert UNSAFE.findall(done.stdout) == []
    kept = file.read_bytes().decode()
    assert {"\x7f", "\x9b", "\u202e", "\u2067", "\u200f", "\u061c"} <= set(kept)
    assert _values(done.stdout, suffix) == _values(kept, suffix)


def _values(text: str, suffix: str) -> list[Any]:
    lines = text.rstrip("\n").split("\n") if suffix == "jsonl" else [text]
    return [json.loads(line) for line in lines]


def test_the_text_of_a_trace_is_still_shown(place: Planted) -> None:
    shown = run("show", place.one, place.task).output
    assert "pwn" in shown
    assert "pwn" in run("search", "pwn", place.file).output


# Reports.


@pytest.fixture(scope="module")
def comparison() -> Any:
    return compare_traces(*arms())


def test_html_of_planted_traces_has_no_markup_of_theirs(comparison: Any) -> None:
    page = render_webpage(comparison)
    assert "Content-Security-Policy" in page
    found = _Elements()
    found.feed(page)
    names = [name for name, _ in found.elements]
    assert "img" not in names
    assert names.count("script") == names.count("style") == 1
    attributes = [pair for _, given in found.elements for pair in given]
    assert [name for name, _ in attributes if name.startswith("on")] == []
    links = [value for name, value in attributes if name in ("href", "src")]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert UNSAFE.findall(page) == []


class _Elements(HTMLParser):
    """Collects the elements of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))


def test_markdown_of_planted_traces_stays_in_its_tables_and_folds(comparison: Any) -> None:
    text = render_markdown(comparison)
    assert "<img" not in text
    assert "<script" not in text
    assert re.findall(r"(?<!\\)\]\(", text) == []
    assert text.count("<details>") == text.count("</details>")
    assert text.count("\n```") % 2 == 0
    assert UNSAFE.findall(text) == []
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


def test_annotations_of_planted_traces_are_ours_alone(comparison: Any) -> None:
    lines = render_github(comparison).splitlines()
    assert lines
    assert all(re.match(r"::(?:error|warning|notice) title=[^:,]*::", line) for line in lines)
    assert UNSAFE.findall("".join(lines)) == []


def test_junit_of_planted_traces_is_well_formed(comparison: Any) -> None:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(render_junit(comparison))
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "properties", "property",
        "system-out", "error", "skipped",
    }  # fmt: skip


@pytest.mark.parametrize("sign", SIGNS)
def test_cells_that_begin_a_formula_are_defused(sign: str, tmp_path: Path) -> None:
    formula = f"{sign}cmd|' /C calc'!A0"
    file = saved(tmp_path / "a.jsonl", [minimal_trace(task_id=formula, arm=formula)])
    done = run("query", "SELECT task_id, arm FROM trials", file, "--format", "csv")
    [_, row] = csv.reader(StringIO(done.output))
    assert all(not cell.startswith(SIGNS) for cell in row)
    assert "calc" in row[0]


# Names of files.


def _everything(folder: Path) -> set[PurePath]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.mark.parametrize("evil", PATHS)
def test_no_text_of_a_trace_is_a_path(evil: str, tmp_path: Path) -> None:
    inner = tmp_path / "deep" / "inner"
    inner.mkdir(parents=True)
    made = minimal_trace(trace_id=evil, task_id=evil, arm=evil)
    made.origin.job_name = made.origin.path = made.task.name = evil
    write_dataset(inner / "set", [made], tool=Tool(name="evaltrace", version="0"))
    assert [trace.task_id for trace in read_traces(inner / "set")] == [evil]
    with recording(evil, evil, folder=inner / "recordings", arm=evil) as live:
        live.event(evil)
    with Store(inner / "store.db") as store:
        store.add(made)
    saved(inner / "a.jsonl", [made])
    export = ["store", "export", "--store", inner / "store.db"]
    for command in (export, ["redact", inner / "a.jsonl"]):
        done = run(*command, "-o", inner / "again.jsonl")
        assert done.exit_code == 0, done.output
        assert [trace.task_id for trace in read_traces(inner / "again.jsonl")] == [evil]
    found = _everything(tmp_path)
    assert {path.parts[:2] for path in found} == {("deep",), ("deep", "inner")}
    assert not {"..", ".", "~"} & {part for path in found for part in path.parts}
    assert len(list((inner / "recordings").glob("trace_*.json"))) == 1


def test_a_redacted_copy_stays_in_its_folder_whatever_names_and_links_say(tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    outside = tmp_path / "outside.txt"
    outside.write_text("PASSWORD=hunter2hunter2XQ")
    (job / "link.txt").symlink_to(outside)
    (job / "folder").symlink_to(tmp_path)
    for name in (b"..evil", b"new\nline.txt", b"\xff.txt", b"-o", b"C:\\x.txt"):
        with open(os.fsencode(job) + b"/" + name, "wb") as file:
            file.write(b"x")
    copy = tmp_path / "copies" / "copy"
    copy.parent.mkdir()
    copy_redacted(job, copy, Redactor(key=b"k"))
    assert {path.name for path in copy.iterdir()} == {
        "..evil", "new\nline.txt", os.fsdecode(b"\xff.txt"), "-o", "C:\\x.txt",
    }  # fmt: skip
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    assert outside.read_text() == "PASSWORD=hunter2hunter2XQ"
    shutil.rmtree(copy)
