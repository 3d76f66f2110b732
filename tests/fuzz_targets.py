"""What is fuzzed: for each reader of outside input its good inputs, and a way to try another.

An attempt may raise EvaltraceError and nothing else; what a reader gives back is checked to be
writable, whole traces also against the schema.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from agent_logs import Run, write_claude
from aggregated import EXAMPLES, aggregate_bytes
from comparisons import hostile_comparison, sample_comparison
from evaltrace import Store, Trace, mentions, pricefile, schema, times, untrusted
from evaltrace.agentlogs import READERS, apply_patch, read_transcript, shells, unified
from evaltrace.agentlogs.sightings import reading_of, sightings_in
from evaltrace.agentlogs.transcript import Transcript
from evaltrace.aggregate import write_aggregation
from evaltrace.compare.pairing import read_task_map
from evaltrace.errors import Problem
from evaltrace.files import read_documents, read_traces
from evaltrace.gate import evaluate, parse_condition
from evaltrace.jsontext import Malformed, decode
from evaltrace.patches import count_changes, rebuild
from evaltrace.patches.edits import Edit
from evaltrace.plan import Options, plan_aggregation
from evaltrace.record import recover
from evaltrace.redact import Redactor, known_values, read_rules, redact_trace, scan
from evaltrace.source import Source
from evaltrace.store import header
from evaltrace.testlogs import read_tests
from evaltrace.viewer import format_summary, format_timeline, format_tree, search_traces
from other_logs import write_atif, write_codex, write_gemini
from otlp_spans import request, span
from testlogs import FIXTURES

DATA = Path(__file__).parent / "data" / "agentlogs"
_ANY = msgspec.json.Decoder(Any)
Attempt = Callable[[int, bytes], object]


@dataclass(frozen=True)
class Target:
    """A reader: good inputs, and what tries a changed one, told which it was made of.

    `fixed` seeds are tried as they are, not mutated.
    """

    name: str
    seeds: Sequence[bytes]
    attempt: Attempt


def valid(trace: Trace) -> Trace:
    """Check that a trace can be written, and is a trace by the schema."""
    document = json.loads(msgspec.json.encode(trace))
    assert schema.is_valid(document), schema.violations(document, limit=3)
    return trace


@cache
def examples() -> list[Trace]:
    """Aggregate the example jobs; nobody changes what this gives."""
    document = json.loads(aggregate_bytes(EXAMPLES))
    return [msgspec.convert(trace, Trace) for trace in document["traces"]]


class _Files:
    """A folder of good files, one of which at a time is replaced by an attempt."""

    def __init__(self, folder: Path, read: Callable[[Path], object]) -> None:
        self.folder, self.read = folder, read
        self.paths = sorted(path for path in folder.rglob("*") if path.is_file())
        self.seeds = [path.read_bytes() for path in self.paths]

    def attempt(self, number: int, content: bytes) -> None:
        self.paths[number].write_bytes(content)
        try:
            self.read(self.folder)
        finally:
            self.paths[number].write_bytes(self.seeds[number])

    def target(self, name: str) -> Target:
        return Target(name, self.seeds, self.attempt)


# Agent logs.


def _written(transcript: Transcript | None) -> None:
    if transcript is None:
        return
    for part in ("events", "usage", "model_usage", "response", "truncated", "mcp_servers"):
        msgspec.json.encode(getattr(transcript, part))
    rebuild([edit for call in transcript.calls.values() for edit in call.edits], cwd=transcript.cwd)


def _read_log(agent: str | None, folder: Path) -> None:
    source = Source(folder.parent)
    _written(read_transcript(source, folder.name, agent))
    without = {problem.code for problem in source.problems if not problem.hint}
    assert not without, without


def _logs(folder: Path) -> Iterator[tuple[str, str | None, Path]]:
    agents = {"claude": "claude-code", "copilot_cli": "copilot-cli", "goose_text": "goose"}
    for place in sorted(path for path in DATA.glob("*/*") if path.is_dir()):
        fixture = place.parent.name
        name = agents.get(fixture, fixture.replace("_", "-").removesuffix("-atif"))
        copy = shutil.copytree(place, folder / f"{fixture}-{place.name}" / "agent")
        yield f"log-{fixture}-{place.name}", name if name in READERS else None, copy
    run = Run(mcp_calls=(("codesearch/find", True),), subagent="inline")
    writers: dict[str, Callable[[Path, Run], object]] = {
        "claude-code": write_claude,
        "codex": write_codex,
        "gemini-cli": write_gemini,
        "atif": partial(write_atif, version="0.25.0", agent="claude-code"),
    }
    for name, write in writers.items():
        place = folder / f"made-{name}" / "agent"
        place.mkdir(parents=True)
        write(place, run)
        yield f"log-made-{name}", name if name in READERS else None, place


def log_targets(folder: Path) -> list[Target]:
    """Give a target for each log of an agent that there is a fixture of."""
    return [
        _Files(place, partial(_read_log, agent)).target(name)
        for name, agent, place in _logs(folder)
    ]


def _read_tests(folder: Path) -> None:
    source = Source(folder.parent)
    found = read_tests(source, folder.name)
    msgspec.json.encode(found[0] if found else None)


def test_log_targets(folder: Path) -> list[Target]:
    """Give a target for what test runners write: reports, and what they print."""
    files = []
    for path in sorted(path for path in FIXTURES.rglob("*") if path.is_file()):
        place = folder / f"tests-{path.name}" / "verifier"
        place.mkdir(parents=True)
        report = {".json": "ctrf.json", ".xml": "junit.xml"}.get(path.suffix, "test-stdout.txt")
        for name in {report, "test-stdout.txt" if path.suffix != ".xml" else report}:
            shutil.copy(path, place / name)
        files.append(_Files(place, _read_tests).target(f"tests-{path.name}"))
    return files


test_log_targets.__test__ = False  # type: ignore[attr-defined]


# Whole jobs.


def _read_job(folder: Path) -> None:
    from io import BytesIO

    out = BytesIO()
    plan = plan_aggregation([folder], Options(prices="none"))
    write_aggregation(plan, out, form="json")
    document = json.loads(out.getvalue())
    for trace in document["traces"]:
        assert schema.is_valid(trace), schema.violations(trace, limit=3)
    assert schema.is_valid({**document, "traces": []}, "traces")


def job_targets(folder: Path) -> list[Target]:
    """Give a target for jobs as Harbor writes them: of one trial each, of several versions."""
    from job_dirs import write_job

    targets = []
    for version in ("0.1.40", "0.6.1", "0.14.0", "0.25.0"):
        job = write_job(folder / "jobs", f"job-{version}", ["one"], version=version)
        targets.append(_Files(job, _read_job).target(f"harbor-{version}"))
    for number, trial in enumerate(sorted((EXAMPLES / "with-codesearch").glob("*__*"))[:4]):
        job = folder / f"example-{number}"
        shutil.copytree(trial, job / trial.name)
        targets.append(_Files(job, _read_job).target(f"harbor-example-{number}"))
    return targets


# Texts.


def _json_text(_: int, content: bytes) -> None:
    try:
        decode(content, _ANY)
        decode(content, msgspec.json.Decoder(Trace))
    except Malformed:
        return


def _untrusted(_: int, content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    untrusted.printable(text).encode()
    untrusted.one_line(text, 80).encode()
    untrusted.shorten(untrusted.clean(text), 100).encode()
    assert not set(untrusted.printable(text)) & set("\x1b\x9b\x07\x00\r")


def _times(_: int, content: bytes) -> None:
    texts = content.decode("utf-8", "replace").split("\n")
    for stamp in texts:
        times.parse_time(stamp)
        times.to_utc(stamp)
        times.elapsed_s(texts[0], stamp)


def _shell(_: int, content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    shells.may_write(text, "/app")
    patch = apply_patch.find_patch(text)
    apply_patch.without_patch(text)
    if patch is not None:
        apply_patch.to_edits(patch[1])


def _patch(_: int, content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    msgspec.json.encode(count_changes(text, source="artifact", complete=True))
    edits = unified.edits_of_diff(untrusted.clean(text))
    edits += apply_patch.to_edits(untrusted.clean(text))
    made = rebuild(edits, cwd="/app")
    if made.diff:
        msgspec.json.encode(count_changes(made.diff, source="reconstructed", complete=False))


def _rebuild(_: int, content: bytes) -> None:
    try:
        edits = msgspec.json.decode(content, type=list[Edit])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for unanchored in (False, True):
        made = rebuild(edits, cwd="/app", unanchored=unanchored)
        if made.diff is not None:
            made.diff.encode("utf-8", "strict" if content.isascii() else "replace")


def _sighting(_: int, content: bytes) -> None:
    command, _sep, output = content.decode("utf-8", "replace").partition("\n")
    reading = reading_of("bash", "shell", {"command": command})
    if reading is not None:
        list(sightings_in(reading, output))


def _redact(redactor: Redactor, _: int, content: bytes) -> None:
    list(scan(content, redactor))
    text = content.decode("utf-8", "surrogateescape")
    once, _counts = redactor.text(text)
    assert once.count("\n") == text.count("\n")
    known_values([("auth.json", content), ("config.toml", content), ("x.env", content)])


def _redact_trace(redactor: Redactor, _: int, content: bytes) -> None:
    try:
        trace = msgspec.json.decode(content, type=Trace)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    made, _counts = redact_trace(redactor, trace)
    again, _counts = redact_trace(redactor, made)
    assert msgspec.json.encode(again) == msgspec.json.encode(made)


def _conditions(comparisons: list[Any], _: int, content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    condition = parse_condition(text)
    for comparison in comparisons:
        evaluate(condition, comparison).sentence.encode("utf-8", "surrogateescape")


def _validated(_: int, content: bytes) -> None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return
    for name in ("trace", "traces", "comparison"):
        found = schema.violations(document, name, limit=3)
        assert schema.is_valid(document, name) is not bool(found)
        assert all(untrusted.printable(row.message) == row.message for row in found)


def _viewed(_: int, content: bytes) -> None:
    try:
        trace = msgspec.json.decode(content, type=Trace)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for text in (format_timeline(trace), format_tree(trace), format_summary(trace)):
        text.encode()
        assert not set(text) & set("\x1b\x9b\x07\x00\r")
    list(search_traces("the", trace))


def _used(others: list[Trace], _: int, content: bytes) -> None:
    """Do with a trace all that can be done with it: keep, compare, report, export it."""
    from evaltrace import compare_traces, render_comparison, render_markdown, render_webpage
    from evaltrace.otlp import to_otlp

    try:
        trace = msgspec.json.decode(content, type=Trace)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    with Store(":memory:") as store:
        store.add(trace)
        list(store.read_all())
    json.dumps(to_otlp(trace, content=True), allow_nan=False)
    comparison = compare_traces(others[:1], [*others[1:], trace])
    if schema.is_valid(json.loads(msgspec.json.encode(trace))):
        assert schema.is_valid(json.loads(msgspec.json.encode(comparison)), "comparison")
    for text in (render_comparison(comparison), render_markdown(comparison)):
        text.encode()
        assert not set(text) & set("\x1b\x9b\x07\x00\r")
    render_webpage(comparison).encode()


def _tabled(folder: Path, _: int, content: bytes) -> None:
    from evaltrace.files.dataset import write_dataset
    from evaltrace.trace import Tool

    try:
        trace = msgspec.json.decode(content, type=Trace)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_dataset(folder, [trace], tool=Tool(name="evaltrace", version="0"))
    assert [valid_again.trace_id for valid_again in read_traces(folder)] == [trace.trace_id]


def _pattern(_: int, content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    try:
        mentions.check_pattern(text)
    except ValueError:
        return


def _otlp(_: int, content: bytes) -> None:
    from evaltrace.otlp import from_otlp
    from evaltrace.otlp.protobuf import NotProtobuf, from_protobuf

    try:
        document = json.loads(content) if content[:1] in b"{[ " else from_protobuf(content)
    except (ValueError, RecursionError, NotProtobuf):
        return
    for made in from_otlp(document):
        if isinstance(made, Trace):
            valid(made)
        else:
            assert made.hint


_GOOD_SHELL = [
    b"cd /app && sed -i 's/a/b/g' main.py | tee out.txt > /dev/null 2>&1",
    b"cat <<'EOF' > x.py\nprint(\"$(date)\")\nEOF\npython -m pytest -q || true",
    b'for f in *.py; do awk \'{print $1 > "x"}\' "$f"; done; git apply <<X\nX\n',
    b'bash -lc \'apply_patch <<"EOF"\n*** Begin Patch\n*** Update File: a.py\n@@\n-x\n+y\n'
    b"*** End Patch\nEOF'",
    b"find . -name '*.py' -exec grep -n \"def\\|class\" {} + | head -n 5; (cd x; ls `pwd`)",
]
_GOOD_PATCHES = [
    b"*** Begin Patch\n*** Add File: a.py\n+x\n+y\n*** Update File: b.py\n*** Move to: c.py\n"
    b"@@ def f():\n context\n-old\n+new\n*** End of File\n*** Delete File: d.py\n*** End Patch\n",
    b"diff --git a/x.py b/x.py\nindex 1..2 100644\n--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,4 @@ def f\n"
    b" a\n-b\n+c\n+d\n e\n\\ No newline at end of file\n",
    b'diff --git "a/caf\\303\\251.md" "b/caf\\303\\251.md"\nrename from "a"\nrename to b\n',
    b"--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n--- /dev/null\n+++ b/y\n@@ -0,0 +1,2 @@\n+a\n+b\n",
    b"diff --git a/i.png b/i.png\nBinary files a/i.png and b/i.png differ\n",
]
_GOOD_EDITS = [
    b'[{"path": "/app/a.py", "before": "a\\nb\\nc\\n", "after": "a\\nX\\nc\\n"},'
    b' {"path": "a.py", "hunks": [{"lines": [" a", "-X", "+Y", " c"], "start": 1}]},'
    b' {"path": "/app/b.py", "created": true, "after": "one\\ntwo"},'
    b' {"path": "/app/b.py", "replacements": [{"old": "one", "new": "1", "every": true}]},'
    b' {"path": "/app/b.py", "moved_to": "/app/c.py"}, {"path": "d.py", "deleted": true},'
    b' {"path": "/app/a.py", "sighted": true, "hunks": [{"lines": [" Y", " c"], "start": 2,'
    b' "at_end": true, "ended_open": true, "below": ["a"]}]}]'
]
_GOOD_SIGHTS = [
    b"cat main.py\nimport os\nprint(1)\n",
    b"sed -n '1,3p' a.py && nl -ba b.py | head -n 5\na\nb\nc\n     1\tx\n     2\ty\n",
    b"cd /app; head -c 10 x; grep -n def *.py\nabcdefghij\nmain.py:3:def f():\n",
    b"git diff\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
]
_GOOD_CONDITIONS = [
    b"reward.difference.low < -0.05 and not (pairs.tasks < 25 or verdict.finding != 'better')",
    b"len(flips.lost) == 1 or sensitivity.tipping_point == null",
    b"reward.difference.low<5% and .pairs.tasks >= +3.6e-2",
    b"not sensitivity.survives == false",
]
_GOOD_TIMES = [b"2026-01-05T10:00:00.250000Z\n2026-01-05T10:00:00+02:00\n20260105T100000\n1e9"]
_GOOD_PATTERNS = [b"sg (search|grep)\\b", b"(?P<a>x{2,5})|[a-z]+?$", b"(?i)codesearch\\s+(?!x)"]
_GOOD_PRICES = b'{"name": "ours", "models": {"m-1": {"input": 3, "output": 15.5, "cache_read": 1}}}'
_GOOD_RULES = b'{"rules": [{"name": "my-key", "pattern": "mk_[a-z0-9]{20,40}", "title": "x"}]}'


def text_targets() -> list[Target]:
    """Give the targets that need no file: texts, values, documents."""
    traces = [msgspec.json.encode(trace) for trace in examples()[:3]]
    comparisons: list[Any] = [sample_comparison(), hostile_comparison()]
    redactor = Redactor(key=b"fuzz", known=("Tr0ub4dor&3-known",), personal=True)
    secret = b'{"env": {"API_KEY": "sk-proj-' + b"a1B2" * 12 + b'"}, "url": "https://u:pw1x@h/"}'
    texts = [b"Authorization: Bearer abcdefghijklmnop\nPASSWORD='hunter2!x'\n" + secret, secret]
    written = [msgspec.json.encode(row) for row in comparisons]
    return [
        Target("json", [*traces, *_GOOD_EDITS], _json_text),
        Target("untrusted", [*_GOOD_SHELL, *texts], _untrusted),
        Target("times", _GOOD_TIMES, _times),
        Target("shell", _GOOD_SHELL, _shell),
        Target("patch", _GOOD_PATCHES, _patch),
        Target("rebuild", _GOOD_EDITS, _rebuild),
        Target("sighting", _GOOD_SIGHTS, _sighting),
        Target("redact", [*texts, *_GOOD_SHELL], partial(_redact, redactor)),
        Target("redact-trace", traces, partial(_redact_trace, redactor)),
        Target("gate", _GOOD_CONDITIONS, partial(_conditions, comparisons)),
        Target("validate", [*traces, *written], _validated),
        Target("view", traces, _viewed),
        Target("used", traces, partial(_used, examples()[:2])),
        Target("pattern", _GOOD_PATTERNS, _pattern),
        Target("otlp", _otlp_seeds(), _otlp),
    ]


def _otlp_seeds() -> list[bytes]:
    from evaltrace.otlp import to_otlp
    from evaltrace.otlp.protobuf import to_protobuf

    message = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}])
    foreign = request(
        span(1, name="invoke_agent x", **{"gen_ai.operation.name": "invoke_agent"}),
        span(2, 1, name="chat m", **{"gen_ai.input.messages": message, "gen_ai.usage.x": 3}),
    )
    own = to_otlp(examples()[0], content=True)
    documents = [foreign, own]
    return [*(json.dumps(row).encode() for row in documents), *map(to_protobuf, documents)]


# Files.


def _read_file(path: Path, read: Callable[[Path], object]) -> Attempt:
    def attempt(_: int, content: bytes) -> None:
        path.write_bytes(content)
        read(path)

    return attempt


def _all_traces(path: Path) -> None:
    for _, kind, document in read_documents(path):
        assert kind in ("trace", "traces", "malformed"), (kind, document)
    list(read_traces(path))


def _prices(path: Path) -> None:
    pricefile._read.cache_clear()
    pricefile.read_prices(str(path))


def _store(path: Path) -> None:
    pause, header._PAUSE_S = header._PAUSE_S, 0.0  # one that was cut is looked at several times
    try:
        _read_store(path)
    finally:
        header._PAUSE_S = pause


def _read_store(path: Path) -> None:
    with closing(Store(path, read_only=True)) as store:
        for session in store.get_sessions(10):
            store.get_traces(session.id)
            store.summary(session.id)
        store.search("the")
        assert all(isinstance(problem, Problem) for problem in store.check())
        list(store.read_all())


def _requests(path: Path) -> None:
    from evaltrace.otlp import read_otlp

    for made in read_otlp([path]):
        if isinstance(made, Trace):
            valid(made)


def _recovered(folder: Path) -> None:
    for made in recover(folder, dry_run=True):
        if isinstance(made, Trace):
            valid(made)
        else:
            assert made.hint


def file_targets(folder: Path) -> list[Target]:
    """Give the targets that read a file of evaltrace's own, or of its user."""
    trial = next((EXAMPLES / "baseline").glob("crawler*"))
    jobs, lines = (aggregate_bytes(trial, form=form) for form in ("json", "jsonl"))
    targets = [
        Target("traces", [jobs, lines], _read_file(folder / "traces.json", _all_traces)),
        Target("prices", [_GOOD_PRICES], _read_file(folder / "prices.json", _prices)),
        Target(
            "prices-toml",
            [b'name = "x"\n[models."m-1"]\ninput = 3\noutput = 15.5\n'],
            _read_file(folder / "prices.toml", _prices),
        ),
        Target("rules", [_GOOD_RULES], _read_file(folder / "rules.json", read_rules)),
        Target(
            "task-map",
            [b'{"a": "b", "c": "d"}', b"a b\n# c\nc d\n"],
            _read_file(folder / "map.txt", lambda path: read_task_map(str(path))("a")),
        ),
        Target("otlp-file", _otlp_seeds(), _read_file(folder / "spans.json", _requests)),
    ]
    with Store(folder / "seed.db") as store:
        store.add_all(examples()[:2])
    seed = (folder / "seed.db").read_bytes()
    targets.append(Target("store", [seed], _read_file(folder / "store.db", _store)))
    small = [msgspec.json.encode(trace) for trace in examples()[:3]]
    targets.append(Target("dataset", small, partial(_tabled, folder / "dataset")))
    return [*targets, _journal_target(folder / "recordings")]


def _journal_target(folder: Path) -> Target:
    from evaltrace.record import recording

    run = recording("agent", "fix", folder=folder, context={"a": 1})
    with run.step("planner", "look around"):
        run.event("file_read", {"path": "a.py", "lines": 3})
        run.event("llm_call", {"model": "m", "input_tokens": 3, "cost_usd": 0.1})
    run.event("error", {"message": "it broke"})
    [journal] = (folder / ".journals").glob("*.jsonl")
    content = journal.read_bytes()
    run.end("success")
    shutil.rmtree(folder)
    journal.parent.mkdir(parents=True)
    journal.write_bytes(content)
    return _Files(folder, _recovered).target("journal")


def all_targets(folder: Path) -> list[Target]:
    """Give every target; `folder` is where their files are put."""
    place = folder / "logs"
    place.mkdir(parents=True)
    return [
        *text_targets(),
        *file_targets(folder),
        *log_targets(place),
        *test_log_targets(folder / "verifiers"),
        *job_targets(folder),
    ]


def seeded(target: Target, number: int) -> tuple[Random, int]:
    """Give the chance of the n-th attempt, and the seed that it starts from."""
    random = Random(f"{target.name} {number}")
    return random, random.randrange(len(target.seeds))
