"""The schemas of the files that evaltrace writes, and documents held against them.

`is_valid` is fast and says yes or no; `violations` is slow and says where and why.
Both take plain JSON values (dicts, lists, texts, numbers) and never raise for what
these contain.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from evaltrace.errors import UnknownName
from evaltrace.untrusted import clean, excerpt, first_part, one_line

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Step = str | int
Document = Any

_SUFFIX = ".schema.json"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MESSAGE_WIDTH = 200
_KEY_WIDTH = 80
_DEEPEST = 64
"""Nesting that is looked at; the schemas themselves describe less than ten levels."""
_LARGEST = 10**100
"""A larger integer is no larger to any rule, and CPython refuses to print the longest."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A place in a document that breaks a rule; `path` is like `$.metrics.tokens['x y'][0]`."""

    path: str
    message: str


def schema_names() -> list[str]:
    """List the names of the schemas, sorted."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in _folder().glob("*" + _SUFFIX))


def schema_text(name: str) -> str:
    """Read a schema as it is written; UnknownName when there is none of that name."""
    names = schema_names()
    if name not in names:
        near = difflib.get_close_matches(name, names) or names
        hint = f"Did you mean {' or '.join(near)}?"
        raise UnknownName("no such schema", where=one_line(name, _KEY_WIDTH), hint=hint)
    return (_folder() / (name + _SUFFIX)).read_text("utf-8")


def read_schema(name: str) -> dict[str, Any]:
    """Read a schema; UnknownName when there is none of that name."""
    schema: dict[str, Any] = json.loads(schema_text(name))
    return schema


def is_valid(document: Document, name: str = "trace") -> bool:
    """Tell whether a document fits a schema and can be written as JSON."""
    try:
        msgspec.json.encode(document)
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError):
        return not violations(document, name, limit=1)
    return fits(document, name)


def fits(document: Document, name: str = "trace") -> bool:
    """Tell whether a document fits a schema; it was written as JSON already."""
    check = _fast_check(name)
    try:
        if check(document):
            return True
    except Exception:
        pass  # Each release of the checker refuses odd values with errors of its own.
    return not violations(document, name, limit=1)


def violations(document: Document, name: str = "trace", limit: int = 100) -> list[Violation]:
    """Say where and why a document breaks a schema or cannot be written as JSON.

    Gives at most `limit` violations. A broken alternative is reported by the parts of
    the one that was meant, as far as the type of the value tells.
    """
    validator = _reference_validator(name)
    faults = (
        violation
        for found in validator.iter_errors(_tamed(document))
        for error in _pertinent(found)
        for violation in _told(error)
    )
    return list(islice(chain(_unwritable(document), faults), limit))


def _folder() -> Path:
    """Find the schemas: inside an installed package, beside `src` in a checkout."""
    inside = Path(__file__).parent / "schemas"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "schemas"


@cache
def _fast_check(name: str) -> Callable[[Document], bool]:
    import jsonschema_rs

    schema = _counting(read_schema(name))
    others = [_counting(read_schema(other)) for other in schema_names()]
    registry = jsonschema_rs.Registry([(other["$id"], other) for other in others])
    return jsonschema_rs.Draft202012Validator(schema, registry=registry).is_valid


def _counting(schema: Any) -> Any:
    """Give a schema that counts an object's keys where it has to have all that it may have."""
    # To look for each of them would take as long as all other rules together.
    if isinstance(schema, list):
        return [_counting(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    rules = {key: _counting(part) for key, part in schema.items()}
    keys = rules.get("properties")
    closed = rules.get("additionalProperties") is False and "patternProperties" not in rules
    if closed and isinstance(keys, dict) and sorted(keys) == sorted(rules.get("required", ())):
        del rules["required"]
        rules["minProperties"] = len(keys)
    return rules


@cache
def _reference_validator(name: str) -> Any:
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry, Resource

    schema = read_schema(name)
    others = [read_schema(other) for other in schema_names()]
    registry: Registry[Any] = Registry().with_resources(
        (other["$id"], Resource.from_contents(other)) for other in others
    )
    # NaN and the infinities are numbers to Python, but not to JSON.
    types = Draft202012Validator.TYPE_CHECKER.redefine("number", lambda _, value: _finite(value))
    extended: Any = validators.extend  # the stubs leave it untyped
    strict = extended(Draft202012Validator, type_checker=types)
    return strict(schema, registry=registry)


def _finite(value: object) -> bool:
    if isinstance(value, float):
        return value - value == 0
    return isinstance(value, int) and not isinstance(value, bool)


def _tamed(value: Document, depth: int = _DEEPEST) -> Document:
    """Copy a document without what the validator cannot print: no verdict changes by it."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return max(min(value, _LARGEST), -_LARGEST)
    if isinstance(value, dict):
        return {_tamed(key): _tamed(item, depth - 1) for key, item in value.items() if depth > 0}
    if isinstance(value, list):
        return [_tamed(item, depth - 1) for item in value if depth > 0]
    return value


def _unwritable(document: Document) -> Iterator[Violation]:
    """Find what keeps a document from being written as JSON."""
    reason = _refusal(document)
    if reason is None:
        return
    culprits = False
    for path, leaf in _leaves(document):
        leaf_reason = _refusal(leaf)
        if leaf_reason:
            culprits = True
            yield Violation(_path(path), leaf_reason)
    if not culprits:
        yield Violation("$", reason)


def _refusal(value: Document) -> str | None:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return "text that is not valid Unicode (a lone surrogate)"
    except RecursionError:
        return "nested too deeply to be written as JSON"
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(value, int):
            return "an integer of too many digits to be written as JSON"
        return excerpt(f"cannot be written as JSON: {error}", _MESSAGE_WIDTH)
    return None


def _leaves(document: Document) -> Iterator[tuple[list[Step], Document]]:
    """Give all keys and scalar values with their paths, in order, without recursion."""
    rest: list[tuple[list[Step], Document]] = [([], document)]
    while rest:
        path, value = rest.pop()
        if len(path) > _DEEPEST * 2:
            continue
        below: list[tuple[Step, Document]] = []
        if isinstance(value, dict):
            yield from (([*path, key], key) for key in value)
            below = list(value.items())
        elif isinstance(value, list):
            below = list(enumerate(value))
        else:
            yield path, value
        rest.extend(([*path, step], item) for step, item in reversed(below))


def _pertinent(error: ValidationError) -> Iterator[ValidationError]:
    """Replace "fits no alternative" by the faults of the alternative of the value's type."""
    alternatives: dict[Step, list[ValidationError]] = {}
    for fault in error.context or ():
        alternatives.setdefault(fault.relative_schema_path[0], []).append(fault)
    meant = [faults for faults in alternatives.values() if not any(map(_wrong_type, faults))]
    if len(meant) == 1:
        for fault in meant[0]:
            yield from _pertinent(fault)
    else:
        yield error


def _wrong_type(error: ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _told(error: ValidationError) -> Iterator[Violation]:
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        value: Any = error.instance
        unknown = [key for key in value if key not in schema["properties"]]
        yield from (Violation(_path([*error.absolute_path, key]), "unknown key") for key in unknown)
    else:
        yield Violation(_path(error.absolute_path), excerpt(_message(error), _MESSAGE_WIDTH))


def _message(error: ValidationError) -> str:
    value, wanted = error.instance, _wanted(error)
    if wanted:
        return f"found {_shown(value)}, expected {' or '.join(wanted)}"
    if error.validator == "required":
        return error.message.replace("is a required property", "is missing")
    if error.validator == "minimum":
        return f"{_shown(value)} is below {error.validator_value}"
    if error.validator == "maximum":
        return f"{_shown(value)} is above {error.validator_value}"
    return error.message


def _wanted(error: ValidationError) -> list[str]:
    """List the types or the values that a place may have, where that is what is wrong."""
    rule: Any = error.validator_value
    if error.validator == "type":
        return [rule] if isinstance(rule, str) else list(rule)
    if error.validator in ("enum", "const"):
        return [json.dumps(value) for value in (rule if error.validator == "enum" else [rule])]
    wrong = [fault for fault in error.context or () if _wrong_type(fault)]
    return [name for fault in wrong for name in _wanted(fault)]


def _shown(value: Document) -> str:
    """Name a value by its JSON type, and short ones by themselves."""
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list):
        return f"an array of {len(value)} items"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return excerpt(repr(value) if isinstance(value, str) else str(value), 60)


def _path(steps: Any) -> str:
    return "$" + "".join(_step(step) for step in steps)


def _step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    key = str(step)
    if _IDENTIFIER.fullmatch(key) and len(key) <= _KEY_WIDTH:
        return f".{key}"
    quoted = first_part(key, _KEY_WIDTH).replace("\\", "\\\\").replace("'", "\\'")
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)
    return f"['{shown}{'…' if len(key) > _KEY_WIDTH else ''}']"
