"""Redaction of files and folders: rules of one's own, the key, copies, and the commands."""

from __future__ import annotations

import json
import os
import resource
import stat
from pathlib import Path
from random import Random

import msgspec
import pytest
from click.testing import CliRunner, Result

from evaltrace import trace as tr
from evaltrace.cli import main
from evaltrace.errors import OutputFailure
from evaltrace.files import read_traces
from evaltrace.redact import (
    Finding,
    Place,
    Redactor,
    RuleRefused,
    SecretsLeft,
    copy_redacted,
    read_key,
    read_rules,
    scan,
)
from evaltrace.redact.copies import check_clean
from evaltrace.redact.scanning import PIECE, pieces_of, scan_file
from planted_secrets import some
from traces import minimal_trace

REDACTOR = Redactor(key=b"test")
TOKEN = "gh" + "p_" + some(Random(7), "aBcD3fGh1jK", 36)


# Rules of one's own.


def written(folder: Path, rules: object, name: str = "rules.json") -> Path:
    path = folder / name
    path.write_text(rules if isinstance(rules, str) else json.dumps({"rules": rules}))
    return path


def test_own_rules_find_what_they_say(tmp_path: Path) -> None:
    text = '[[rules]]\nname = "acme-key"\npattern = "acme-(?P<secret>[a-z0-9]{8,20})"\n'
    rules = read_rules(written(tmp_path, text, "rules.toml"))
    after, counts = Redactor([*rules], key=b"k").text("so ACME acme-12ab34cd56 x")
    assert counts == {"acme-key": 1}
    assert after.startswith("so ACME acme-[redacted:acme-key:")


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"name": "a", "pattern": "("}, "no regular expression"),
        ({"name": "a", "pattern": "[[a]b"}, "read in two ways"),
        ({"name": "a", "pattern": "[a--b]c"}, "read in two ways"),
        ({"name": "A b", "pattern": "abc"}, "a name has small letters"),
        ({"name": "jwt", "pattern": "abc"}, "built in"),
        ({"name": "a", "pattern": "a{0,3}"}, "match nothing"),
        ({"name": "a", "pattern": "ab+"}, "without an upper bound"),
        ({"name": "a", "pattern": "(?:ab{1,3}){1,9}"}, "within a repetition"),
        ({"name": "a", "pattern": "(?:a|ab){1,9}c"}, "alternatives within a repetition"),
        ({"name": "a", "pattern": "a{1,99}a{1,99}a{1,99}b"}, "ways at one place"),
        ({"name": "a", "pattern": r"(?<=x)abc"}, "looks around"),
        ({"name": "a", "pattern": r"(a)b\1"}, "looks around or back"),
        ({"name": "a", "pattern": "abc", "check": "moon"}, "no such check"),
        ({"name": "a", "pattern": "a" * 3000}, "longer than"),
        ({"name": "a", "pattern": "abc", "colour": 1}, "no file of rules"),
    ],
)
def test_rules_that_could_do_harm_are_refused(
    tmp_path: Path, rule: dict[str, str], fault: str
) -> None:
    with pytest.raises(RuleRefused, match=fault):
        read_rules(written(tmp_path, [rule]))


def test_own_rules_are_looked_for_in_the_text_as_it_is(tmp_path: Path) -> None:
    rules = read_rules(written(tmp_path, [{"name": "own", "pattern": "clé[0-9]{6}é"}]))
    redactor = Redactor([*rules], key=b"k")
    assert not redactor.is_clean("la clé582913é".encode())
    assert redactor.is_clean("la clè582913è".encode())
    assert redactor.text("la clé582913é")[1] == {"own": 1}


def test_a_missing_file_of_rules_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuleRefused, match="cannot read"):
        read_rules(tmp_path / "none.json")


# The key.


def test_the_key_is_made_once_and_for_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALTRACE_REDACTION_KEY", raising=False)
    first, problem = read_key(tmp_path / "home")
    assert problem is None
    assert len(first) >= 32
    assert read_key(tmp_path / "home") == (first, None)
    assert read_key(tmp_path / "other")[0] != first
    path = tmp_path / "home" / "redaction.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_key_of_the_environment_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALTRACE_REDACTION_KEY", "the key of the team")
    assert read_key(tmp_path / "home") == (b"the key of the team", None)
    assert not (tmp_path / "home").exists()


def test_without_a_place_for_the_key_it_lasts_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALTRACE_REDACTION_KEY", raising=False)
    (tmp_path / "file").write_text("")
    first, problem = read_key(tmp_path / "file" / "home")
    assert problem is not None
    assert problem.code == "redaction_key_not_kept"
    assert read_key(tmp_path / "file" / "home")[0] != first


# Folders.


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with a bit of everything, its secrets in a text, a log, a patch and settings."""
    folder = tmp_path / "job"
    (folder / "trial/agent").mkdir(parents=True)
    settings = {"mcpServers": {"s": {"env": {"S_TOKEN": "unlike/others+1"}}}}
    (folder / "trial/agent/.mcp.json").write_text(json.dumps(settings, indent=2))
    log = json.dumps({"content": json.dumps({"out": f"x {TOKEN}", "again": "unlike/others+1"})})
    (folder / "trial/agent/log.jsonl").write_text(f'{{"a": 1}}\nno json\n{log}\n')
    (folder / "trial/patch.diff").write_bytes(
        f"@@ -1 +1 @@\n-a\n+b {TOKEN}\r\n".encode() + b"\xff\n"
    )
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\0\0\1\2")
    (folder / "dump.bin").write_bytes(b"\0\1" + TOKEN.encode() + b"\0")
    (folder / "link").symlink_to("trial/patch.diff")
    os.mkfifo(folder / "pipe")
    return folder


def test_a_folder_is_copied_without_its_secrets(job: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in job.rglob("*") if path.is_file()}
    copied = copy_redacted(job, tmp_path / "copy", REDACTOR)
    assert {path: path.read_bytes() for path in before} == before
    texts = {
        path.name: path.read_bytes() for path in (tmp_path / "copy").rglob("*.*") if path.is_file()
    }
    assert sorted(texts) == [".mcp.json", "image.png", "log.jsonl", "patch.diff"]
    whole = b"".join(texts.values())
    assert TOKEN.encode() not in whole
    assert b"unlike/others+1" not in whole
    assert texts["image.png"] == (job / "image.png").read_bytes()
    assert texts["patch.diff"].endswith(b"]\r\n\xff\n")
    inner = json.loads(json.loads(texts["log.jsonl"].splitlines()[2])["content"])
    assert inner["again"].startswith("[redacted:known-value:")
    assert copied.files == 4
    assert copied.counts == {"github-token": 2, "known-value": 2}
    told = {problem.path: problem.code for problem in copied.problems}
    assert told == {"link": "not_scanned", "pipe": "not_scanned", "dump.bin": "secret_in_binary"}


def test_a_copy_is_the_same_every_time(job: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        copy_redacted(job, tmp_path / name, REDACTOR)
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.is_file():
            other = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert other.read_bytes() == path.read_bytes()


def test_a_copy_never_lies_in_what_is_copied_nor_replaces_anything(
    job: Path, tmp_path: Path
) -> None:
    for target in (job, job / "trial" / "copy", tmp_path, job / "trial"):
        with pytest.raises(OutputFailure):
            copy_redacted(job, target, REDACTOR)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["job"]


def test_a_secret_that_is_left_is_an_error(job: Path) -> None:
    with pytest.raises(SecretsLeft, match="a secret is left"):
        check_clean(job, REDACTOR)


class Careless(Redactor):
    """Takes one secret at a time out of a text, and so does not get to the end of many."""

    def places(self, text: str) -> list[Place]:
        return super().places(text)[:1]


def test_a_copy_with_a_secret_left_in_it_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / f"{TOKEN}.txt").write_text(f"{TOKEN} x\n" * 30)
    with pytest.raises(SecretsLeft, match=r"a secret is left \(github-token\)") as raised:
        copy_redacted(tmp_path / "job", tmp_path / "copy", Careless(key=b"test"))
    assert TOKEN not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def test_names_with_secrets_are_problems_of_a_copy(tmp_path: Path) -> None:
    folder = tmp_path / "job" / f"of-{TOKEN}" / "agent"
    folder.mkdir(parents=True)
    for name in ("a.txt", "b.txt", f"{TOKEN}.log"):
        (folder / name).write_text("nothing\n")
    (folder / f"link-{TOKEN}").symlink_to("nowhere")
    copied = copy_redacted(tmp_path / "job", tmp_path / "copy", REDACTOR)
    marker = REDACTOR.places(TOKEN)[0].marker
    told = [(problem.code, problem.path) for problem in copied.problems]
    assert sorted(told) == [
        ("not_scanned", f"of-{marker}/agent/link-{marker}"),
        ("secret_in_name", f"of-{marker}"),
        ("secret_in_name", f"of-{marker}/agent/{marker}.log"),
    ]
    assert copied.files == 3
    done = run("redact", tmp_path / "job", "-o", tmp_path / "again")
    assert TOKEN not in done.output
    assert done.output.count("its name has what looks like a secret") == 2


def test_nothing_is_left_behind_where_a_copy_fails(job: Path, tmp_path: Path) -> None:
    (job / "long.txt").write_bytes(b"x\n" * 100_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OutputFailure, match="File too large"):
            copy_redacted(job, tmp_path / "copy", REDACTOR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job"]


def test_long_files_are_read_in_pieces_that_cut_no_key(tmp_path: Path) -> None:
    line = b"x" * 1023 + b"\n"
    key = b"-----BEGIN A PRIVATE" + b" KEY-----\n" + (b"A" * 64 + b"\n") * 60
    content = line * (PIECE // 1024 - 2) + key + b"-----END A PRIVATE" + b" KEY-----\n" + line
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        pieces = list(pieces_of(file))
    assert b"".join(pieces) == content
    assert [b"BEGIN" in piece for piece in pieces] == [False, True]
    assert [b"END" in piece for piece in pieces] == [False, True]


def test_a_scan_says_the_line_and_the_name() -> None:
    text = f'first\n{{"a": {{"auth": "{TOKEN}"}}}}\nlast {TOKEN}\n'
    rows = [finding[1:4] for finding in scan(text, REDACTOR)]
    assert rows == [(2, "auth", "github-token"), (3, "", "github-token")]
    assert TOKEN not in str(list(scan(text, REDACTOR)))


def test_wide_characters_hide_no_secret(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        path = tmp_path / encoding
        path.write_bytes(f"first line\nx {TOKEN}".encode(encoding))
        found = list(scan_file(path, "x", REDACTOR))
        assert [f[:4] for f in found if isinstance(f, Finding)] == [("x", 2, "", "github-token")]


# The commands.


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALTRACE_REDACTION_KEY", "a key for the tests")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def file_of(folder: Path, *traces: tr.Trace, name: str = "traces.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(msgspec.json.encode(trace) + b"\n" for trace in traces))
    return path


def test_traces_are_written_again_without_secrets(tmp_path: Path) -> None:
    events = [tr.Event(id="1", type="t", output=f"a {TOKEN}")]
    path = file_of(tmp_path, minimal_trace(events=events), minimal_trace(trace_id="t-2"))
    for name in ("out.json", "out.jsonl"):
        done = run("redact", path, "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert "1  github-token" in done.output
        assert TOKEN not in (tmp_path / name).read_text()
        assert [trace.trace_id for trace in read_traces(tmp_path / name)] == ["t-1", "t-2"]
        assert run("validate", tmp_path / name).exit_code == 0
    again = run("redact", tmp_path / "out.json", "-o", tmp_path / "again.json")
    assert again.exit_code == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "out.json").read_bytes()


def test_a_file_with_a_secret_left_around_its_traces_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.redact.Redactor", Careless)
    problem = {"code": "odd", "path": "a", "message": f"{TOKEN} x " * 30, "hint": None}
    whole = {
        "schema_version": "1.0",
        "tool": {"name": "evaltrace", "version": "1"},
        "inputs": [],
        "traces": [],
        "problems": [problem],
    }
    path = tmp_path / "traces.json"
    path.write_text(json.dumps(whole))
    done = run("redact", path, "-o", tmp_path / "out.json")
    assert done.exit_code == 1
    assert "a secret is left (github-token)" in done.output
    assert TOKEN not in done.output
    assert [item.name for item in tmp_path.iterdir()] == ["traces.json"]


def test_nothing_is_redacted_in_place(tmp_path: Path) -> None:
    path = file_of(tmp_path, minimal_trace())
    before = path.read_bytes()
    assert run("redact", path, "-o", path).exit_code == 2
    assert run("redact", path).exit_code == 2
    assert path.read_bytes() == before


def test_a_secret_in_what_names_a_trace_is_no_find(tmp_path: Path) -> None:
    path = file_of(tmp_path, minimal_trace(trace_id=TOKEN))
    assert run("redact", path, "-o", tmp_path / "out.json").exit_code == 0


def test_a_job_directory_becomes_a_copy(job: Path, tmp_path: Path) -> None:
    done = run("redact", job, "-o", tmp_path / "copy")
    assert done.exit_code == 0
    assert "dump.bin: left out" in done.output
    assert run("scan", tmp_path / "copy").exit_code == 0


def test_a_scan_finds_and_does_not_tell(job: Path, tmp_path: Path) -> None:
    done = run("scan", job, "--format", "json")
    assert done.exit_code == 3
    assert TOKEN not in done.output
    found = json.loads(done.stdout)
    assert found["rules"] == {"github-token": 3, "known-value": 2}
    assert {row["rule"] for row in found["findings"]} == {"github-token", "known-value"}
    assert set(found["findings"][0]) == set(Finding._fields)
    clean = tmp_path / "clean.txt"
    clean.write_text("nothing")
    assert run("scan", clean).exit_code == 0
    assert run("scan", tmp_path / "none").exit_code == 1


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_scan_tells_no_secret_by_a_name(tmp_path: Path, form: str) -> None:
    folder = tmp_path / f"of-{TOKEN}"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({TOKEN: {"api_token": "q1w2e3r4t5z6"}}))
    (folder / "b.json").write_text(json.dumps({TOKEN: f"by {TOKEN}"}))
    (folder / f"{TOKEN}.txt").symlink_to("nowhere")
    file_of(folder, minimal_trace(trace_id=TOKEN, test_output=f"a {TOKEN}"))
    done = run("scan", folder, "--format", form)
    assert done.exit_code == 3
    assert TOKEN not in done.output
    assert "of-[redacted:github-token:" in done.output
    found = [row.rule for row in scan((folder / "b.json").read_bytes(), REDACTOR)]
    assert found == ["github-token"] * 2


def test_a_scan_of_traces_names_the_trace_and_the_field(tmp_path: Path) -> None:
    path = file_of(tmp_path, minimal_trace(test_output=f"a {TOKEN}"))
    done = run("scan", path)
    assert done.exit_code == 3
    assert f"{path}: t-1: test_output  github-token:" in done.output


def test_settings_that_are_named_are_looked_for(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text('A_TOKEN = "unlike/others+1"\n')
    log = tmp_path / "log"
    log.write_text("it was unlike/others+1\n")
    assert run("scan", log).exit_code == 0
    assert run("scan", log, "--config", settings).exit_code == 3
    assert run("scan", log, "--config", tmp_path / "none").exit_code == 1


def test_of_too_many_named_settings_it_is_said_that_some_are_left(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text("".join(f'A{n}_TOKEN = "unlike/others+{n}"\n' for n in range(1_100)))
    log = tmp_path / "log"
    log.write_text("nothing\n")
    done = run("scan", log, "--config", settings)
    assert "only 1,000 of the secrets in settings files are looked for" in done.output


def test_rules_are_listed(tmp_path: Path) -> None:
    own = written(tmp_path, [{"name": "acme-key", "pattern": "acme-[a-z]{4,9}"}])
    table = run("redact", "rules", "--rule", own).output
    assert "anthropic-key" in table
    assert "acme-key" in table
    listed = json.loads(run("redact", "rules", "--format", "json").output)
    assert {"name", "title", "kind", "pattern"} <= set(listed[0])
