"""The schemas, the types they mirror, and the verdicts on documents."""

from __future__ import annotations

import copy
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from comparisons import hostile_comparison, poor_comparison, sample_comparison, three_arms
from evaltrace import schema
from evaltrace import trace as tr
from evaltrace.comparison import COMPARISON_VERSION, Comparison
from evaltrace.errors import Problem, UnknownName
from evaltrace.reports.machine import render_json
from traces import distinct_trace, minimal_trace

ROOT = Path(__file__).parents[1]
TRACE, TRACES = schema.read_schema("trace"), schema.read_schema("traces")
COMPARISON = schema.read_schema("comparison")
DISTINCT, MINIMAL = msgspec.to_builtins(distinct_trace()), msgspec.to_builtins(minimal_trace())


# The schemas and the types say the same.


def _records(kind: inspect.Type, found: dict[str, Any]) -> dict[str, Any]:
    """Collect the record types below a type, by name."""
    if isinstance(kind, inspect.StructType | inspect.DataclassType):
        if kind.cls.__name__ in found:
            return found
        found[kind.cls.__name__] = kind
        below = [field.type for field in kind.fields]
    else:
        below = [
            *getattr(kind, "types", ()),
            *(getattr(kind, name) for name in ("item_type", "value_type") if hasattr(kind, name)),
        ]
    for part in below:
        _records(part, found)
    return found


RECORDS = _records(inspect.type_info(tr.Trace), {})
FILE_RECORDS = {cls.__name__: inspect.type_info(cls) for cls in (tr.Input, tr.Tool)}
LATER = {"redaction"}  # fields that traces of earlier versions do not have, and are valid without
FOREIGN = {"Problem", "Tool"}  # records of a comparison that the other schemas define
COMPARISON_RECORDS = {
    name: kind
    for name, kind in _records(inspect.type_info(Comparison), {}).items()
    if name not in FOREIGN
}


def _schema_of(name: str) -> Any:
    if name == "Trace":
        return TRACE
    return {**TRACE["$defs"], **TRACES["$defs"]}[name]


def _comparison_schema_of(name: str) -> Any:
    return COMPARISON if name == "Comparison" else COMPARISON["$defs"][name]


def _shape_of_type(kind: inspect.Type) -> frozenset[Any]:
    """The alternatives that a type allows, in the words of JSON Schema."""
    match kind:
        case inspect.UnionType(types=types):
            return frozenset().union(*map(_shape_of_type, types))
        case inspect.StructType(cls=cls) | inspect.DataclassType(cls=cls):
            return frozenset({("record", cls.__name__)})
        case inspect.ListType(item_type=item):
            return frozenset({("array", _shape_of_type(item))})
        case inspect.DictType(value_type=item):
            return frozenset({("object", _shape_of_type(item))})
        case inspect.LiteralType(values=values):
            return frozenset(("value", value) for value in values)
    return frozenset(
        {
            {
                inspect.AnyType: "any",
                inspect.NoneType: "null",
                inspect.StrType: "string",
                inspect.BoolType: "boolean",
                inspect.IntType: "integer",
                inspect.FloatType: "number",
            }[type(kind)]
        }
    )


def _shape_of_schema(node: Any) -> frozenset[Any]:
    if isinstance(node, bool) or not {"$ref", "anyOf", "enum", "const", "type"} & node.keys():
        return frozenset({"any"})
    if "$ref" in node:
        whole = {TRACE["$id"]: "Trace", "#": "Comparison"}
        name = whole.get(node["$ref"]) or node["$ref"].rpartition("/")[2]
        return frozenset({("record", name)})
    if "anyOf" in node:
        return frozenset().union(*map(_shape_of_schema, node["anyOf"]))
    if "enum" in node:
        return frozenset("null" if value is None else ("value", value) for value in node["enum"])
    if "const" in node:
        assert isinstance(node["const"], str)
        return frozenset({"string"})
    names = [node["type"]] if isinstance(node["type"], str) else node["type"]
    parts = {"array": "items", "object": "additionalProperties"}
    return frozenset(
        (name, _shape_of_schema(node.get(parts[name], True))) if name in parts else name
        for name in names
    )


@pytest.mark.parametrize("name", [*RECORDS, *FILE_RECORDS])
def test_schema_and_type_agree_key_by_key(name: str) -> None:
    _assert_agree(_schema_of(name), {**RECORDS, **FILE_RECORDS}[name])


@pytest.mark.parametrize("name", COMPARISON_RECORDS)
def test_schema_and_type_of_a_comparison_agree_key_by_key(name: str) -> None:
    _assert_agree(_comparison_schema_of(name), COMPARISON_RECORDS[name])


def _assert_agree(node: Any, kind: Any) -> None:
    fields = {field.encode_name: field for field in kind.fields}
    assert list(node["properties"]) == list(fields)
    assert {key: _shape_of_schema(value) for key, value in node["properties"].items()} == {
        key: _shape_of_type(field.type) for key, field in fields.items()
    }
    left_out = getattr(kind.cls, "__struct_config__", None)
    sparse = left_out is not None and left_out.omit_defaults
    written = [key for key, field in fields.items() if field.required or not sparse]
    assert node["required"] == [key for key in written if key not in LATER]
    assert node["type"] == "object"
    assert node["additionalProperties"] is False


def test_every_definition_is_a_type_and_every_type_is_defined_once() -> None:
    assert set(TRACE["$defs"]) == set(RECORDS) - {"Trace"}
    assert set(TRACES["$defs"]) == set(FILE_RECORDS)
    assert "Problem" in RECORDS  # it travels in traces, and beside them
    assert inspect.type_info(Problem) == RECORDS["Problem"]
    assert set(COMPARISON["$defs"]) == set(COMPARISON_RECORDS) - {"Comparison"}


def test_only_events_leave_absent_fields_out() -> None:
    assert [name for name in RECORDS if len(_schema_of(name)["required"]) < 3] == ["Event"]


@pytest.mark.parametrize(
    ("document", "version"),
    [(TRACE, tr.SCHEMA_VERSION), (TRACES, tr.SCHEMA_VERSION), (COMPARISON, COMPARISON_VERSION)],
    ids=["trace", "traces", "comparison"],
)
def test_version_and_identifier_name_the_current_version(
    document: dict[str, Any], version: str
) -> None:
    assert document["properties"]["schema_version"]["const"] == version
    assert document["$id"].endswith(f"/{version}.json")


def _nodes(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every property and every definition of a schema."""
    for key in ("properties", "$defs"):
        for name, node in value.get(key, {}).items():
            yield f"{place}/{name}", node
            yield from _nodes(node, f"{place}/{name}")


@pytest.mark.parametrize("name", schema.schema_names())
def test_every_property_is_described(name: str) -> None:
    document = schema.read_schema(name)
    bare = [place for place, node in _nodes(document) if len(node.get("description", "")) < 10]
    assert bare == []
    assert document["title"]
    assert document["description"]


@pytest.mark.parametrize("name", schema.schema_names())
def test_numbers_that_can_be_absent_or_have_a_unit_say_so(name: str) -> None:
    for place, node in _nodes(schema.read_schema(name)):
        words = node["description"].lower()
        types = _shape_of_schema(node)
        if "null" in types and "/Event/" not in place:
            assert "null" in words, place
        if place.endswith("_s") and "number" in types:
            assert "second" in words, place
        if place.endswith("_ms"):
            assert "milliseconds" in words, place
        if place.endswith("usd"):
            assert "us dollars" in words, place


@pytest.mark.parametrize("name", schema.schema_names())
def test_schemas_obey_the_meta_schema(name: str) -> None:
    document = schema.read_schema(name)
    jsonschema.Draft202012Validator.check_schema(document)
    jsonschema_rs.Draft202012Validator(
        document,
        registry=jsonschema_rs.Registry([(other["$id"], other) for other in (TRACE, TRACES)]),
    )
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", schema.schema_names())
def test_counts_are_never_negative(name: str) -> None:
    nodes = dict(_nodes(schema.read_schema(name)))
    counts = [place for place, node in nodes.items() if "integer" in _shape_of_schema(node)]
    bounds = {place: nodes[place].get("minimum") for place in counts}
    numbered = {"/attempt", "/Evidence/line", "/Divergence/step", "/PassAtK/k"}
    numbered_from_one = numbered & set(bounds)
    assert {place for place, bound in bounds.items() if bound != 0} == numbered_from_one
    assert all(bounds[place] == 1 for place in numbered_from_one)


# Samples.


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        assert value
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        assert value
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _enum_values() -> set[Any]:
    return {v for _, node in _nodes(TRACE) for v in [*node.get("enum", ()), node.get("const")]}


def test_no_two_fields_of_the_distinct_trace_share_a_value() -> None:
    leaves = list(_leaves(DISTINCT))
    assert None not in leaves
    texts = [leaf for leaf in leaves if isinstance(leaf, str) and leaf not in _enum_values()]
    numbers = [leaf for leaf in leaves if type(leaf) in (int, float)]
    assert len(texts) == len(set(texts)) > 100
    assert len(numbers) == len(set(numbers)) > 60


def test_distinct_trace_survives_being_written_and_read() -> None:
    written = json.loads(json.dumps(DISTINCT))
    assert written == json.loads(msgspec.json.encode(distinct_trace()))
    assert list(_leaves(written)) == list(_leaves(DISTINCT))
    read = msgspec.json.decode(json.dumps(DISTINCT), type=tr.Trace)
    assert read == distinct_trace()
    assert msgspec.to_builtins(read) == DISTINCT


@pytest.mark.parametrize("document", [DISTINCT, MINIMAL], ids=["distinct", "minimal"])
def test_samples_are_valid(document: dict[str, Any]) -> None:
    assert schema.violations(document) == []
    assert schema.is_valid(document)


def _file(**changes: Any) -> Any:
    inputs = [tr.Input(job_name="tidy", harness="harbor", planned=3, found=2, absent=1, selected=2)]
    return {
        "schema_version": tr.SCHEMA_VERSION,
        "tool": msgspec.to_builtins(tr.Tool(name="evaltrace", version="0.1.0")),
        "inputs": msgspec.to_builtins(inputs),
        "traces": [DISTINCT, MINIMAL],
        "problems": [msgspec.to_builtins(Problem(code="unreadable", path="job/x", message="no"))],
        **changes,
    }


def test_a_file_of_traces_is_held_against_both_schemas() -> None:
    assert schema.is_valid(_file(), "traces")
    assert schema.violations(_file(), "traces") == []
    broken = _file(traces=[MINIMAL, {**MINIMAL, "task_id": None}])
    assert not schema.is_valid(broken, "traces")
    assert [v.path for v in schema.violations(broken, "traces")] == ["$.traces[1].task_id"]


# Comparisons.


@pytest.mark.parametrize(
    "comparison",
    [sample_comparison(), poor_comparison(), hostile_comparison(), three_arms()],
    ids=["sample", "poor", "hostile", "three arms"],
)
def test_comparisons_are_valid(comparison: Comparison) -> None:
    document = json.loads(render_json(comparison))
    assert schema.violations(document, "comparison") == []
    assert schema.is_valid(document, "comparison")


def test_every_record_of_a_comparison_is_closed() -> None:
    document = json.loads(render_json(three_arms()))
    assert len(_objects(document)) > 500
    for path in ("verdict", "reward.difference", "flips.gained.0.baseline", "further.0.power"):
        spoiled = copy.deepcopy(document)
        place: Any = spoiled
        for step in path.split("."):
            place = place[int(step) if step.isdigit() else step]
        first = next(iter(place))
        del place[first]
        place["surplus"] = 1
        found = {v.message for v in schema.violations(spoiled, "comparison")}
        assert found == {f"'{first}' is missing", "unknown key"}


def _objects(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in _objects(item)]
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in _objects(item))]
    return []


# Verdicts.


@cache
def _validators() -> tuple[Any, Any]:
    return jsonschema.Draft202012Validator(TRACE), jsonschema_rs.Draft202012Validator(TRACE)


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list) and value:
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _containers(item)


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 101, 10**30, 0.5, -0.5, 2.0, "", "pass", "fail", "utc", "x"]),
    st.just([]),
    st.just({}),
)


@st.composite
def _mutants(draw: st.DrawFn) -> Any:
    """A valid trace in which one or two things were changed."""
    mutant = copy.deepcopy(draw(st.sampled_from([DISTINCT, MINIMAL])))
    for _ in range(draw(st.integers(1, 2))):
        container = draw(st.sampled_from(list(_containers(mutant))))
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = draw(st.sampled_from(keys))
        match draw(st.sampled_from(["delete", "replace", "nest", "add", "copy"])):
            case "delete":
                del container[key]
            case "replace":
                container[key] = draw(_values)
            case "nest":
                container[key] = draw(st.sampled_from([[container[key]], {"text": container[key]}]))
            case "add" if isinstance(container, dict):
                container[draw(st.sampled_from(["extra", "name", "x y"]))] = draw(_values)
            case _:
                other = draw(st.sampled_from(list(_containers(mutant))))
                container[key] = copy.deepcopy(other)
    return mutant


@settings(max_examples=400, deadline=None)
@given(_mutants())
def test_both_validators_give_the_same_verdict(mutant: dict[str, Any]) -> None:
    reference, fast = _validators()
    verdict = reference.is_valid(mutant)
    assert fast.is_valid(mutant) is verdict
    assert schema.is_valid(mutant) is verdict
    assert (schema.violations(mutant) == []) is verdict


def _records_in(value: Any, node: Any, path: str) -> Iterator[tuple[str, Any, list[str]]]:
    """Give the objects of a document that the schema closes: path, object, required keys."""
    for choice in node.get("anyOf", [node]):
        target = TRACE["$defs"][choice["$ref"].rpartition("/")[2]] if "$ref" in choice else choice
        if isinstance(value, list) and "items" in target:
            for index, item in enumerate(value):
                yield from _records_in(item, target["items"], f"{path}[{index}]")
        if isinstance(value, dict) and "properties" in target:
            yield path, value, target["required"]
            for key, part in target["properties"].items():
                yield from _records_in(value.get(key), part, f"{path}.{key}")


CLOSED = list(_records_in(DISTINCT, TRACE, "$"))


def test_the_walk_over_the_sample_meets_every_record_but_those_in_maps() -> None:
    keys = {tuple(value) for _, value, _ in CLOSED}
    assert len(keys) == len(RECORDS) - 1  # ModelUsage stands in a map


@pytest.mark.parametrize("place", range(len(CLOSED)), ids=[path for path, _, _ in CLOSED])
def test_missing_and_unknown_keys_are_named_in_every_record(place: int) -> None:
    document = copy.deepcopy(DISTINCT)
    path, value, required = list(_records_in(document, TRACE, "$"))[place]
    del value[required[0]]
    assert not schema.fits(document)
    value["surplus"] = 1  # as many keys as it has to have
    assert not schema.fits(document)
    found = {(v.path, v.message) for v in schema.violations(document)}
    assert found == {
        (path, f"'{required[0]}' is missing"),
        (f"{path}.surplus", "unknown key"),
    }


def _with(path: str, value: Any) -> Any:
    document = copy.deepcopy(DISTINCT)
    *steps, last = path.split(".")
    container: Any = document
    for step in steps:
        container = container[int(step) if step.isdigit() else step]
    container[int(last) if last.isdigit() else last] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "path", "message"),
    [
        ("metrics.tokens.input", -1, "$.metrics.tokens.input", "-1 is below 0"),
        ("metrics.tokens.input", 1.5, "$.metrics.tokens.input", "found 1.5, expected integer or"),
        ("metrics.cost.usd", -0.1, "$.metrics.cost.usd", "-0.1 is below 0"),
        ("events.1.usage", "much", "$.events[1].usage", "found 'much', expected object or null"),
        ("events.1.role", [1], "$.events[1].role", "found an array of 1 items, expected string"),
        ("task", None, "$.task", "found null, expected object"),
        ("is_ok", True, "$.is_ok", "unknown key"),
        ("x y", 1, "$['x y']", "unknown key"),
        ("it's", 1, "$['it\\'s']", "unknown key"),
        ("\x1b[2J\u202e", 1, "$['\\u001b[2J\\u202e']", "unknown key"),
        ("rewards.part one", "1", "$.rewards['part one']", "found '1', expected number"),
        ("status", "won", "$.status", 'found \'won\', expected "pass" or "partial" or'),
        ("metrics.cost.source", "guessed", "$.metrics.cost.source", "found 'guessed', expected"),
        ("schema_version", "9", "$.schema_version", "found '9', expected \"1.0\""),
        (
            "bottlenecks.0.percentage_of_total",
            101,
            "$.bottlenecks[0].percentage_of_total",
            "101 is",
        ),
        ("test_reward", math.nan, "$.test_reward", "found nan, expected number or null"),
    ],
)
def test_violations_say_where_and_why(place: str, value: Any, path: str, message: str) -> None:
    document = _with(place, value)
    (violation,) = schema.violations(document)
    assert violation.path == path
    assert violation.message.startswith(message)
    assert not schema.is_valid(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("metrics.durations.total_s", -3.5),  # a clock was set back
        ("metrics.durations.total_s", 4),
        ("metrics.tokens.input", 2.0),
        ("test_reward", -1.0),
        ("attempt", 10**30),
        ("events.0.input", None),
        ("context", {"a": {"b": [1, None, {}]}}),
        ("agent_response", None),
        ("events", []),
    ],
)
def test_odd_but_sound_values_are_valid(place: str, value: Any) -> None:
    document = _with(place, value)
    assert schema.violations(document) == []
    assert schema.is_valid(document)


def test_a_fault_inside_an_optional_record_is_reported_where_it_is() -> None:
    document = _with("code_stats.files.0.added", "many")
    assert [v.path for v in schema.violations(document)] == ["$.code_stats.files[0].added"]


def test_messages_stay_short_and_violations_few() -> None:
    huge = {**MINIMAL, "task_id": ["x" * 10**6], "k" * 10**6: 1, "status": "y" * 10**6}
    found = schema.violations(huge)
    assert len(found) == 3
    assert all(len(v.message) <= 200 and len(v.path) <= 100 for v in found)
    crowd = {**MINIMAL, "events": [1] * 1000}
    assert len(schema.violations(crowd)) == 100
    assert len(schema.violations(crowd, limit=2)) == 2


@pytest.mark.parametrize(
    ("place", "value", "path"),
    [
        ("test_output", "a\udcffb", "$.test_output"),
        ("context", {"deep": [0, "\ud800"]}, "$.context.deep[1]"),
        ("context", {"\ud800": 1}, "$.context['\\ud800']"),
        ("events.0.input", {"n": 10**5000}, "$.events[0].input.n"),
        ("metrics.turns", 10**5000, "$.metrics.turns"),
    ],
    ids=["text", "within free data", "key", "integer within free data", "integer"],
)
def test_what_cannot_be_written_is_located(place: str, value: Any, path: str) -> None:
    document = _with(place, value)
    assert [v.path for v in schema.violations(document)] == [path]
    assert not schema.is_valid(document)


def test_a_forbidden_huge_integer_is_reported_twice_and_raises_nothing() -> None:
    found = schema.violations({**MINIMAL, "attempt": -(10**5000)})
    assert [v.path for v in found] == ["$.attempt", "$.attempt"]
    assert all(len(v.message) <= 200 for v in found)


def test_bottomless_nesting_is_reported() -> None:
    well: list[Any] = []
    for _ in range(100_000):
        well = [well]
    document = {**MINIMAL, "context": {"well": well}}
    assert [v.message for v in schema.violations(document)] == [
        "nested too deeply to be written as JSON"
    ]
    assert not schema.is_valid(document)
    while well:  # taken apart by hand: freeing it at once would recurse
        well = well.pop()


@pytest.mark.parametrize(
    "document", [None, [], 0, "text", "\ud800", {}, {1: 2}, {"a": {3}}], ids=ascii
)
def test_anything_else_is_invalid_too(document: Any) -> None:
    assert not schema.is_valid(document)
    assert schema.violations(document)


# Files.


def test_schemas_of_a_checkout_are_found() -> None:
    assert {"trace", "traces"} <= set(schema.schema_names())
    for name in schema.schema_names():
        path = ROOT / "schemas" / f"{name}.schema.json"
        assert schema.schema_text(name) == path.read_text("utf-8")
        assert schema.read_schema(name) == json.loads(path.read_text("utf-8"))


def test_schemas_of_an_installed_package_are_found(tmp_path: Path) -> None:
    for module in ("__init__", "errors", "untrusted", "schema"):
        target = tmp_path / "evaltrace" / f"{module}.py"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "src" / "evaltrace" / target.name, target)
    (tmp_path / "evaltrace" / "__init__.py").write_text("")
    shutil.copytree(ROOT / "schemas", tmp_path / "evaltrace" / "schemas")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from evaltrace import schema\n"
        "print(schema.__file__, schema.schema_names(), schema.is_valid({}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split(" ", 1) == [
        str(tmp_path / "evaltrace" / "schema.py"),
        f"{schema.schema_names()} False\n",
    ]


def test_a_schema_that_was_read_is_the_readers_own() -> None:
    schema.read_schema("trace")["required"].clear()
    assert schema.read_schema("trace") == TRACE
    assert not schema.is_valid({})


@pytest.mark.parametrize("name", ["trac", "../schemas/trace", "Trace", ""])
def test_an_unknown_schema_is_refused_with_near_names(name: str) -> None:
    for call in (schema.read_schema, schema.schema_text, lambda n: schema.is_valid({}, n)):
        with pytest.raises(UnknownName, match="trace"):
            call(name)
