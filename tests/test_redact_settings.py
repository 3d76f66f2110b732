"""What names a value in JSON, which values are known, whole files and short keys."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.cli import main
from evaltrace.redact import (
    Finding,
    Redactor,
    copy_redacted,
    fair_share,
    known_in,
    known_values,
    read_key,
    scan_file,
)
from evaltrace.redact.documents import rewrite_document
from evaltrace.redact.known import MOST, SIZE
from evaltrace.redact.scanning import PIECE, pieces_of
from trial_dirs import write_trial

REDACTOR = Redactor(key=b"test")
PASSWORD = "hunter2x9"
TOKEN = "gh" + "p_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2"


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALTRACE_REDACTION_KEY", "a key for the tests")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# Files.


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_document_is_read_as_json_with_and_without_a_line_end(tmp_path: Path, end: str) -> None:
    text = (
        f'{{"items":[{{"name":"DB_PASSWORD","value":"{PASSWORD}"}}],'
        f'"args":["--api-token",\n"q1w2e3r4t5z6a"]}}{end}'
    )
    job = tmp_path / "job"
    job.mkdir()
    (job / "a.json").write_text(text)
    assert len(list(scan_file(job / "a.json", "a.json", REDACTOR))) == 2
    copy_redacted(job, tmp_path / "copy", REDACTOR)
    after = (tmp_path / "copy" / "a.json").read_text()
    assert PASSWORD not in after
    assert "q1w2e3r4t5z6a" not in after


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
def test_the_last_piece_of_a_file_ends_with_it(size: int) -> None:
    content = (b"x" * 1022 + b'"\n') * (size // 1024) + b'{"last": "line"}'
    pieces = list(pieces_of(BytesIO(content[-size:])))
    assert b"".join(pieces) == content[-size:]
    assert pieces[-1].endswith(b'{"last": "line"}')
    assert len(pieces) == -(-size // PIECE)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_no_character_of_two_bytes_is_cut(tmp_path: Path, encoding: str) -> None:
    lines = f"{'y' * 1000}\n" * (PIECE // 2000)
    path = tmp_path / "wide.txt"
    path.write_bytes(f"\ufeff{lines}{lines}last {TOKEN}".encode(encoding))
    (found,) = scan_file(path, "wide.txt", REDACTOR)
    assert isinstance(found, Finding)
    assert found[1:4] == (2 * lines.count("\n") + 1, "", "github-token")


# Names of values.


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ('{"value": "here", "name": "A"}', "A"),
        ('{"value": "here", "extra": {"name": "no", "x": 1}, "name": "A"}', "A"),
        ('{"name": "A", "extra": {"x": ["y"]}, "value": "here"}', "A"),
        ('{"A": {"value": "here"}}', "A"),
        ('{"A": {"b": {"c": "d"}, "value": "here"}}', "A"),
        ('[{"name": "no"}, {"value": "here"}]', "value"),
        ('[{"value": "here"}, {"name": "no"}]', "value"),
        ('{"A": [{"b": "c"}, "here"]}', "A"),
        ('{"value": {"name": "no"}, "x": "here"}', "x"),
    ],
)
def test_the_name_of_a_value_stands_before_behind_or_around_it(document: str, name: str) -> None:
    names: list[str] = []

    def note(text: str, behind: str, _offset: int) -> str:
        names.extend([behind] * (text == "here"))
        return text

    assert rewrite_document(document, note) == document
    assert names == [name]


def test_a_secret_before_its_name_is_replaced() -> None:
    text = json.dumps([{"value": PASSWORD, "name": "DB_PASSWORD"}])
    assert PASSWORD not in REDACTOR.text(text)[0]


# Known values.


def test_a_value_of_settings_ends_with_its_line() -> None:
    text = b"[[[\ngithub.com:\n    oauth_token: q1w2e3r4t5z6\n"
    assert known_values([("hosts.yml", text)]) == ("q1w2e3r4t5z6",)


def test_of_very_many_values_some_are_known_and_it_is_said() -> None:
    lines = b"".join(b"A%d_TOKEN=q1w2e3r%dt5z6\n" % (n, n) for n in range(5 * MOST))
    long = b"".join(b"A%d_TOKEN=%d%s\n" % (n, n, b"aB3dE5" * 500) for n in range(500))
    few = (b'{"a_token": "opaque/value+9"}', b'{"b_token": "opaque/value+8"}')
    assert len(known_values([(".env", lines)])) == MOST + 1
    assert SIZE < sum(map(len, known_values([(".env", long)]))) < SIZE + 8000
    for many in (lines, long):
        files = [(".env", many), ("auth.json", few[0]), ("hosts.yml", many), ("mcp.json", few[1])]
        known, problems = fair_share([known_values([file]) for file in files], "job/trial")
        assert {"opaque/value+9", "opaque/value+8"} <= set(known)
        assert 50 < len(known) <= MOST
        assert sum(map(len, known)) <= SIZE
        assert [(p.code, p.path) for p in problems] == [("known_values_left", "job/trial")]
        assert problems[0].hint


@given(st.lists(st.lists(st.text(min_size=1, max_size=4), max_size=6), max_size=4))
def test_where_there_is_room_all_values_are_known(found: list[list[str]]) -> None:
    known, problems = fair_share(found, "x")
    assert (set(known), problems) == ({value for row in found for value in row}, [])
    less, said = fair_share(found, "x", most=3)
    assert len(less) == min(3, len(known))
    assert bool(said) == (len(known) > 3)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.text("aB3/é", min_size=8, max_size=12), min_size=40, max_size=60, unique=True))
def test_each_of_many_known_values_is_found(values: list[str]) -> None:
    redactor = Redactor((), key=b"test", known=values)
    text = "\n".join(f"x {value} y" for value in values)
    after, _ = redactor.text(text)
    assert not any(value in after for value in values)
    assert [redactor.text(f"x {value} y")[1] for value in values] == [
        {"known-value": 1} for _ in values
    ]


def test_scanning_a_job_knows_the_values_of_its_settings(tmp_path: Path) -> None:
    trial = write_trial(tmp_path / "job", "one")
    (trial / "agent" / ".mcp.json").write_text('{"env": {"X_TOKEN": "q1w2-e3r4-t5z6"}}')
    (trial / "agent" / "notes.txt").write_text("it said q1w2-e3r4-t5z6 to me\n")
    assert known_in(tmp_path) == (("q1w2-e3r4-t5z6",), [])
    done = run("scan", tmp_path / "job", "--format", "json")
    found = {Path(row["file"]).name: row["rule"] for row in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 3
    assert found == {".mcp.json": "known-value", "notes.txt": "known-value"}


# The key.


@pytest.mark.parametrize(("key", "codes"), [("x" * 15, ["redaction_key_short"]), ("x" * 16, [])])
def test_a_key_that_can_be_guessed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, codes: list[str]
) -> None:
    monkeypatch.setenv("EVALTRACE_REDACTION_KEY", key)
    given_, problem = read_key()
    assert given_ == key.encode()
    assert [found.code for found in (problem,) if found] == codes
    (tmp_path / "a.txt").write_text("nothing\n")
    said = "can be guessed" in run("scan", tmp_path).stderr
    assert said == bool(codes)
    assert key not in run("scan", tmp_path).output
