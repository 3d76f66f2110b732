"""The fast check of the schemas and the reference package agree, on broken traces too."""

import json
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

from aggregated import EXAMPLES, aggregate_bytes

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
made = import_module("mutants")


def test_both_checkers_agree_on_mutants() -> None:
    traces = json.loads(aggregate_bytes(EXAMPLES))["traces"]
    counts: Counter[bool] = Counter()
    for document, verdicts in made.verdicts(made.mutants(traces, 300, seed=7)):
        assert len(set(verdicts)) == 1, (verdicts, document)
        counts[verdicts.reference] += 1
    assert min(counts[True], counts[False]) > 30


def test_both_checkers_accept_what_is_written() -> None:
    traces = json.loads(aggregate_bytes(EXAMPLES))["traces"]
    assert all(all(verdicts) for _, verdicts in made.verdicts(traces))
