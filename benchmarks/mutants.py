"""Documents with one or two faults, or none that counts, made of valid ones by a seed.

    python benchmarks/mutants.py [--count 20000] [--seed 1]

Holds the fast check of evaltrace's schemas against the reference package on all of them, and
exits 1 if the two ever disagree.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

Document = Any

_VALUES: tuple[Document, ...] = (
    *(None, True, False, 0, 1, -1, 2**53, 10**30, -0.0, 0.5, 1.0, -2.5, 1e300),
    *(
        "",
        "x",
        "1.0",
        "pass",
        "claude-code",
        "2026-01-05T10:00:00Z",
        "not a time",
        "\0",
        "é\U0001f600",
    ),
    *([], [None], ["x"], [{}], {}, {"x": 1}, {"name": "x"}, {"id": "e1", "type": "message"}),
)
_KEYS = ("x", "name", "type", "id", "$ref", "", "total")


class Verdicts(NamedTuple):
    """What evaltrace says of a document, and the two packages: the fast one, the reference."""

    ours: bool
    fast: bool
    reference: bool


def mutants(documents: list[Document], count: int, seed: int) -> Iterator[Document]:
    """Make so many mutants of valid documents."""
    rng = Random(seed)
    for _ in range(count):
        mutant = copy.deepcopy(rng.choice(documents))
        for _ in range(rng.choice((1, 1, 1, 2))):
            _mutate(rng, mutant)
        yield mutant


def _mutate(rng: Random, document: Document) -> None:
    places = list(_places(document))
    holder, key = rng.choice(places)
    change = rng.choice(_CHANGES)
    change(rng, holder, key)


def _places(value: Document) -> Iterator[tuple[Document, Any]]:
    """Give all places as the container and the key in it."""
    rows = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, below in rows:
        yield value, key
        if isinstance(below, dict | list):
            yield from _places(below)


def _replace(rng: Random, holder: Document, key: Any) -> None:
    holder[key] = copy.deepcopy(rng.choice(_VALUES))


def _remove(rng: Random, holder: Document, key: Any) -> None:
    del holder[key]


def _add(rng: Random, holder: Document, key: Any) -> None:
    value = copy.deepcopy(rng.choice(_VALUES))
    if isinstance(holder, list):
        holder.insert(key, value)
    else:
        holder[rng.choice(_KEYS)] = value


def _copy_sibling(rng: Random, holder: Document, key: Any) -> None:
    others = list(holder) if isinstance(holder, dict) else range(len(holder))
    holder[key] = copy.deepcopy(holder[rng.choice(list(others))])


def _nudge(rng: Random, holder: Document, key: Any) -> None:
    """Change a value into a near one of the same type, or of the other kind of number."""
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = rng.choice((-value, value + 1, value / 3, float(value), -1))
    elif isinstance(value, str):
        holder[key] = rng.choice((value[1:], value.upper(), value + "x", f" {value}", value * 2))
    else:
        _replace(rng, holder, key)


_CHANGES: tuple[Callable[[Random, Document, Any], None], ...] = (
    _replace,
    _remove,
    _add,
    _copy_sibling,
    _nudge,
)


def verdicts(documents: Iterable[Document]) -> Iterator[tuple[Document, Verdicts]]:
    """Judge each document as a trace, in three ways."""
    import jsonschema_rs
    from jsonschema import Draft202012Validator

    from evaltrace.schema import fits, read_schema

    schema = read_schema("trace")
    fast, reference = jsonschema_rs.Draft202012Validator(schema), Draft202012Validator(schema)
    for document in documents:
        row = Verdicts(fits(document), fast.is_valid(document), reference.is_valid(document))
        yield document, row


def seeds(folder: Path, *, trials: int = 40) -> list[Document]:
    """Aggregate made-up jobs into a folder and give their traces, the shorter ones."""
    from evaltrace import aggregate_jobs
    from job_directories import write_jobs

    write_jobs(folder / "jobs", kind="small", trials=trials)
    aggregate_jobs([folder / "jobs"], folder / "traces.json")
    traces = json.loads((folder / "traces.json").read_bytes())["traces"]
    return sorted(traces, key=lambda trace: len(json.dumps(trace)))[: trials // 2]


def main() -> int:
    """Judge the mutants; give the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        documents = seeds(Path(folder))
    valid, apart = 0, 0
    for document, row in verdicts(mutants(documents, given.count, given.seed)):
        valid += row.reference
        if len(set(row)) > 1:
            apart += 1
            print(f"{row}: {json.dumps(document)[:2000]}")
    print(
        f"{given.count} mutants of {len(documents)} traces, "
        f"{valid} of them valid: {apart} disagreements"
    )
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
