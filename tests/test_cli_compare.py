"""`evaltrace compare`, `audit` and `power` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner, Result

from evaltrace import schema
from evaltrace.cli import main
from evaltrace.trace import Origin, Task
from job_dirs import write_job
from traces import minimal_trace

HOSTILE = "<script>alert(1)</script>\x1b[31m|`x`\n::error::y"


def run(*arguments: object, **given: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **given)


def compare(*arguments: object, **given: Any) -> Result:
    return run("compare", *arguments, **given)


def lines(rewards: dict[str, list[float]], job: str = "job") -> str:
    """Give JSONL of traces: each task with the rewards of its attempts."""
    origin = Origin(kind="harness", harness="harbor", job_name=job)
    return "".join(
        msgspec.json.encode(
            minimal_trace(
                trace_id=f"{job}-{task}-{number}",
                origin=origin,
                task_id=f"{task}__{number}",
                task=Task(name=task),
                attempt=number,
                test_reward=reward,
                rewards={"reward": reward},
                status="pass" if reward >= 1 else "fail",
            )
        ).decode()
        + "\n"
        for task, attempts in rewards.items()
        for number, reward in enumerate(attempts, 1)
    )


NAMES = [f"task-{number}" for number in range(10)]


@pytest.fixture
def arms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two files of traces: ten tasks, of which the baseline solves one and the treatment nine."""
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text(lines({name: [float(name == "task-0")] for name in NAMES}, "a"))
    Path("b.jsonl").write_text(lines({name: [float(name != "task-9")] for name in NAMES}, "b"))
    return "a.jsonl", "b.jsonl"


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


# What is compared.


def test_the_report_goes_to_standard_output(arms: tuple[str, str]) -> None:
    result = compare(*arms)
    assert result.exit_code == 0, result.output
    assert "10 tasks" in result.stdout
    assert "80.0 points" in result.stdout
    assert len(result.stdout.splitlines()) <= 45
    assert "\x1b" not in result.stdout
    assert len(compare(*arms, "--full").stdout) > len(result.stdout)


def test_json_is_valid_and_the_same_twice(arms: tuple[str, str]) -> None:
    first, second = (compare(*arms, "--format", "json").stdout for _ in range(2))
    assert first == second
    document = json.loads(first)
    assert schema.violations(document, "comparison") == []
    assert document["pairs"]["tasks"] == 10
    assert document["reward"]["difference"]["estimate"] == pytest.approx(0.8)
    assert document["arms"]["baseline"]["label"] == "a"


def test_a_label_names_an_arm(arms: tuple[str, str]) -> None:
    found = json.loads(compare("old=a.jsonl", "new tool=b.jsonl", "--format", "json").stdout)
    assert found["arms"]["baseline"]["label"] == "old"
    assert found["arms"]["treatment"]["label"] == "new tool"


def test_a_path_with_an_equals_sign_is_a_path(arms: tuple[str, str]) -> None:
    Path("b.jsonl").rename("k=5.jsonl")
    Path("x=y").mkdir()
    Path("a.jsonl").rename("x=y/a.jsonl")
    found = json.loads(compare("./x=y/a.jsonl", "k=5.jsonl", "--format", "json").stdout)
    assert found["pairs"]["tasks"] == 10
    assert found["inputs"][1]["name"] == "k=5.jsonl"


def test_one_arm_can_come_from_standard_input(arms: tuple[str, str]) -> None:
    given = Path("a.jsonl").read_text()
    found = json.loads(compare("base=-", "b.jsonl", "--format", "json", input=given).stdout)
    assert found["arms"]["baseline"]["label"] == "base"
    assert found["pairs"]["tasks"] == 10


def test_job_directories_are_read(tmp_path: Path) -> None:
    specs = [{"task": name, "reward": reward} for name, reward in (("x", 0.0), ("y", 1.0))]
    a = write_job(tmp_path / "a", "first", specs)
    b = write_job(tmp_path / "b", "second", [{**spec, "reward": 1.0} for spec in specs])
    found = json.loads(compare(a, b, "--format", "json").stdout)
    assert found["pairs"]["tasks"] == 2
    assert [row["form"] for row in found["inputs"]] == ["jobs", "jobs"]
    assert str(tmp_path) not in json.dumps(found)


def test_three_arms_are_each_held_against_the_first(arms: tuple[str, str]) -> None:
    found = json.loads(compare("a=a.jsonl", "b=b.jsonl", "c=a.jsonl", "--format", "json").stdout)
    assert [arm["arms"]["treatment"]["label"] for arm in (found, *found["further"])] == ["b", "c"]
    assert len(found["matrix"]) == 3
    assert schema.violations(found, "comparison") == []


def test_options_reach_the_comparison(arms: tuple[str, str]) -> None:
    Path("map.txt").write_text("task-0 renamed\n")
    options = ["--alpha", "0.1", "--seed", "7", "--on-missing", "as-fail", "--task-map", "map.txt"]
    options += ["--on-duplicate", "first", "--treatment", "config", "--pass-threshold", "0.5"]
    found = json.loads(compare(*arms, *options, "--format", "json").stdout)
    assert found["method"]["alpha"] == 0.1
    assert found["method"]["seed"] == 7
    assert found["method"]["on_missing"] == "as-fail"
    assert found["method"]["on_duplicate"] == "first"
    assert found["metric"]["pass_threshold"] == 0.5
    assert found["reward"]["confidence"] == pytest.approx(0.9)
    assert (found["treatment"]["kind"], found["treatment"]["guessed"]) == ("config", False)
    assert "renamed" in [row["task"] for row in found["tasks"]]


# The gate.


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        ([], 0),
        (["reward.difference.low < -0.05"], 0),
        (["reward.difference.low > 5%"], 3),
        (["reward.difference.low < -0.05", "pairs.tasks >= 10"], 3),
        (["cost.ratio.estimate > 1.5"], 4),
        (["cost.ratio.estimate > 1.5", "reward.difference.low < -0.05"], 4),
        (["cost.ratio.estimate > 1.5", "pairs.tasks >= 10"], 3),
    ],
)
def test_the_exit_code_is_the_gates(
    arms: tuple[str, str], conditions: list[str], code: int
) -> None:
    options = [part for condition in conditions for part in ("--fail-on", condition)]
    # Nothing that could be a blocker differs between the files.
    assert not [row for row in audited(*arms) if row["grade"] == "blocker"]
    result = compare(*arms, *options)
    assert result.exit_code == code, result.output
    said = [line for line in result.stderr.splitlines() if line.startswith("gate: ")]
    assert len(said) == len(conditions)


def audited(*arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("audit", *arguments, "--format", "json").stdout)
    return found


def test_without_pairs_the_gate_is_undecided(arms: tuple[str, str]) -> None:
    Path("b.jsonl").write_text(lines({"other": [1.0]}))
    assert compare(*arms).exit_code == 0
    result = compare(*arms, "--fail-on", "reward.difference.low < -0.05")
    assert result.exit_code == 4
    assert "no task has a valid value in both arms" in result.stderr


def test_a_wrong_field_is_wrong_usage_before_anything_is_read(arms: tuple[str, str]) -> None:
    result = compare("missing.json", "b.jsonl", "--fail-on", "reward.diference.low < 0")
    assert result.exit_code == 2
    assert "reward.difference.low" in result.stderr
    assert "missing.json" not in result.stderr


# Where the report goes.


def test_the_form_follows_the_name_of_the_file(arms: tuple[str, str]) -> None:
    names = ["r.md", "r.json", "r.html", "r.xml", "r.txt"]
    options = [part for name in names for part in ("-o", f"out/{name}")]
    result = compare(*arms, *options, "--fail-on", "pairs.tasks > 3")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == (
        "written to out/r.md, out/r.json, out/r.html, out/r.xml, out/r.txt"
    )
    assert Path("out/r.md").read_text().startswith("#")
    assert read("out/r.json")["pairs"]["tasks"] == 10
    assert Path("out/r.html").read_text().lower().startswith("<!doctype html>")
    assert ET.parse("out/r.xml").getroot().get("failures") is not None
    assert "10 tasks" in Path("out/r.txt").read_text()
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(names)


def test_standard_output_and_files_together(arms: tuple[str, str]) -> None:
    result = compare(*arms, "--format", "github", "-o", "-", "-o", "r.json")
    assert result.exit_code == 0
    assert result.stdout.startswith("::notice title=b against a::")
    assert read("r.json")["pairs"]["tasks"] == 10


def test_a_format_names_the_form_of_other_files(arms: tuple[str, str]) -> None:
    assert compare(*arms, "--format", "json", "-o", "report").exit_code == 0
    assert read("report")["pairs"]["tasks"] == 10


def test_quiet_says_nothing(arms: tuple[str, str]) -> None:
    result = compare(*arms, "-q", "-o", "r.json", "--fail-on", "pairs.tasks > 99")
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["Missing argument"]),
        (["a.jsonl", ""], ["empty path"]),
        (["a.jsonl", "b="], ["empty path"]),
        (["a.jsonl", "=b.jsonl"], ["label"]),
        (["a.jsonl", "x\x1b[2J=b.jsonl"], ["label"]),
        (["x=a.jsonl", "x=b.jsonl"], ["two arms are labelled x"]),
        (["-", "b=-"], ["standard input"]),
        (["a.jsonl", "b.jsonl", "--alpha", "0.7"], ["Alpha"]),
        (["a.jsonl", "b.jsonl", "--alpha", "x"], ["--alpha"]),
        (["a.jsonl", "b.jsonl", "--seed", "-1"], ["--seed"]),
        (["a.jsonl", "b.jsonl", "--pass-threshold", "nan"], ["threshold"]),
        (["a.jsonl", "b.jsonl", "--on-missing", "zero"], ["--on-missing"]),
        (["a.jsonl", "b.jsonl", "--tool-pattern", "("], ["--tool-pattern"]),
        (["a.jsonl", "b.jsonl", "--treatment", "weather"], ["weather", "mcp:NAME"]),
        (["a.jsonl", "b.jsonl", "--task-map", "no(file"], ["task map", "position"]),
        (["a.jsonl", "b.jsonl", "--format", "pdf"], ["--format"]),
        (["a.jsonl", "b.jsonl", "--fail-on", "1 < 2"], ["expected a field"]),
        (["a.jsonl", "b.jsonl", "-o", "report.pdf"], ["report.pdf", "--format", ".html"]),
        (["a.jsonl", "b.jsonl", "-o", "x.json", "--format", "html"], ["html", "-o -"]),
        (["a.jsonl", "b.jsonl", "-o", "x.json", "-o", "./x.json"], ["the same place"]),
    ],
)
def test_wrong_usage_is_said_and_nothing_is_written(
    arms: tuple[str, str], arguments: list[str], words: list[str]
) -> None:
    before = sorted(Path().rglob("*"))
    result = compare(*arguments)
    assert result.exit_code == 2, result.output
    assert all(word in result.stderr for word in words), result.stderr
    assert "\x1b" not in result.stderr
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.jsonl", "missing.json"], ["missing.json"]),
        (["a.jsonl", "x=missing/dir"], ["missing/dir"]),
        (["a.jsonl", "broken.json"], ["broken.json"]),
        (["a.jsonl", "empty"], ["empty"]),
        (["a.jsonl", "b.jsonl", "--metric", "speed"], ["speed"]),
        (["a.jsonl", "b.jsonl", "--arm-by", "model"], ["--arm-by"]),
        (["a.jsonl"], ["one arm"]),
        (["a.jsonl", "b.jsonl", "-o", "empty/x.html", "-o", "b.jsonl/x.json"], ["b.jsonl"]),
    ],
)
def test_failures_say_what_and_where_and_leave_no_file(
    arms: tuple[str, str], arguments: list[str], words: list[str]
) -> None:
    Path("broken.json").write_text('{"traces": [{"trace_id"')
    Path("empty").mkdir()
    before = sorted(Path().rglob("*"))
    outputs = [] if "-o" in arguments else ["-o", "out/r.html", "-o", "out/r.md"]
    result = compare(*arguments, *outputs)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    assert all(word in result.stderr for word in words), result.stderr
    assert sorted(Path().rglob("*")) == before


def test_an_input_is_never_replaced(arms: tuple[str, str]) -> None:
    Path("link.json").symlink_to("b.jsonl")
    before = Path("b.jsonl").read_text()
    for output in (["-o", "b.jsonl", "--format", "json"], ["-o", "link.json"]):
        result = compare(*arms, *output)
        assert result.exit_code == 1
        assert "replace an input" in result.stderr
    assert Path("b.jsonl").read_text() == before


def test_nothing_is_written_into_a_job(arms: tuple[str, str], tmp_path: Path) -> None:
    job = write_job(tmp_path / "jobs", "sample", ["task-1"])
    before = sorted(tmp_path.rglob("*"))
    result = compare(arms[0], job, "-o", job / "report.html")
    assert result.exit_code == 1
    assert "inside the job sample" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_report_survives_a_failure(arms: tuple[str, str]) -> None:
    Path("r.md").write_text("earlier")
    assert compare("a.jsonl", "missing.json", "-o", "r.md").exit_code == 1
    assert Path("r.md").read_text() == "earlier"


def test_problems_are_summed_up_on_standard_error(tmp_path: Path) -> None:
    job = write_job(tmp_path, "sample", ["one", "two"])
    next(job.glob("two__*/result.json")).write_text("")
    result = compare(f"a={job}", f"b={job}")
    assert result.exit_code == 0
    assert "problem" in result.stderr
    assert "empty_json" in result.stderr


def test_hostile_names_cannot_drive_the_terminal_or_the_page(arms: tuple[str, str]) -> None:
    Path("a.jsonl").write_text(lines({HOSTILE: [0.0], "calm": [1.0]}))
    Path("b.jsonl").write_text(lines({HOSTILE: [1.0], "calm": [1.0]}))
    outputs = ["-o", "-", "-o", "r.html", "-o", "r.md", "-o", "r.xml", "-o", "r.json"]
    result = compare(*arms, "--full", *outputs, "--fail-on", "len(flips.gained) > 0")
    assert result.exit_code == 3
    assert "\x1b" not in result.output
    assert not [line for line in result.output.splitlines() if line.startswith("::error::y")]
    assert "<script>alert" not in Path("r.html").read_text()
    assert "<script>alert" not in Path("r.md").read_text()
    assert "\x1b" not in Path("r.xml").read_text()
    ET.parse("r.xml")
    assert read("r.json")["flips"]["gained"][0]["task"].startswith("<script>alert(1)")


# The parts alone.


def test_the_audit_alone_is_that_of_the_comparison(arms: tuple[str, str]) -> None:
    whole = json.loads(compare(*arms, "--format", "json").stdout)
    assert audited(*arms) == whole["audit"]
    shown = run("audit", *arms)
    assert shown.exit_code == 0
    assert shown.stdout
    assert run("audit", *arms, "a.jsonl").exit_code == 2
    assert run("audit", "a.jsonl", "missing").exit_code == 1


def test_power_alone_is_that_of_the_comparison(arms: tuple[str, str]) -> None:
    whole = json.loads(compare(*arms, "--format", "json").stdout)
    found = json.loads(run("power", *arms, "--format", "json").stdout)
    assert found == whole["power"]
    assert run("power", *arms).stdout
    assert run("power", *arms, "a.jsonl").exit_code == 2


def test_power_needs_only_a_baseline(arms: tuple[str, str]) -> None:
    Path("a.jsonl").write_text(lines({name: [0.0, 1.0, 1.0] for name in NAMES}))
    result = run("power", "a.jsonl", "--format", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["tasks"], found["attempts"]) == (10, 3)
    assert found["smallest_visible"] > 0
    assert run("power", "missing").exit_code == 1


@pytest.mark.parametrize("command", ["compare", "audit", "power"])
def test_help_has_an_example_and_the_arms(command: str) -> None:
    text = run(command, "--help").output
    assert "Example:" in text
    assert "BASELINE" in text
