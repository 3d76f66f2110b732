"""A pool of made-up code, prose and program output, from which pieces are cut."""

from __future__ import annotations

from random import Random

_WORDS = [
    "cache",
    "index",
    "token",
    "batch",
    "order",
    "route",
    "stream",
    "query",
    "table",
    "field",
    "value",
    "merge",
    "parse",
    "retry",
    "limit",
    "offset",
    "buffer",
    "record",
    "schema",
    "worker",
    "signal",
    "ledger",
    "invoice",
    "customer",
    "payment",
    "session",
    "gateway",
    "planner",
    "geocode",
    "upload",
    "archive",
    "monitor",
    "metric",
    "bucket",
    "region",
    "shard",
    "replica",
    "cursor",
    "filter",
]
_PARTS = [first + last for first in "aeiou" for last in "lnrst"]
_SIZE = 1_500_000


class Texts:
    """Cuts pieces of a wanted length out of long texts, at the ends of lines."""

    def __init__(self, seed: int) -> None:
        rng = Random(f"texts/{seed}")
        made = ("".join(rng.choices(_PARTS, k=rng.randint(2, 4))) for _ in range(3000))
        self._words = [*_WORDS, *made]
        self._code = self._fill(rng, self._code_line)
        self._prose = self._fill(rng, self._sentence)
        self._output = self._fill(rng, self._output_line)

    def word(self, rng: Random) -> str:
        """Draw a word."""
        return rng.choice(self._words)

    def code(self, rng: Random, size: int) -> str:
        """Cut out lines of code; at least eight."""
        return _cut(rng, self._code, max(size, 300))

    def prose(self, rng: Random, size: int) -> str:
        """Cut out sentences, without the line feed at the end."""
        return _cut(rng, self._prose, max(size, 20)).rstrip("\n")

    def output(self, rng: Random, size: int) -> str:
        """Cut out what programs print."""
        return _cut(rng, self._output, max(size, 20)).rstrip("\n")

    def _fill(self, rng: Random, line: object) -> str:
        lines, size = [], 0
        while size < _SIZE:
            lines.append(line(rng))  # type: ignore[operator]
            size += len(lines[-1]) + 1
        return "\n".join(lines) + "\n"

    def _code_line(self, rng: Random) -> str:
        a, b, c = rng.choices(self._words, k=3)
        indent = "    " * rng.randint(0, 3)
        shapes = (
            f"def {a}_{b}({c}: str, limit: int = {rng.randint(1, 999)}) -> list[str]:",
            f'{indent}"""Give the {a} of the {b}, sorted by {c}."""',
            f"{indent}if {a}.{b}_{c} is None or len({a}) > {rng.randint(1, 999)}:",
            f"{indent}{a}_{b} = [{c}.strip() for {c} in {a}.{b}]",
            f'{indent}raise ValueError(f"no {a} for {{{b}!r}}: \\"{c}\\" — {rng.random()}")',
            f"{indent}return {a}({b}, {c}={rng.random():.6f})",
            "",
        )
        return rng.choice(shapes)

    def _sentence(self, rng: Random) -> str:
        words = rng.choices(self._words, k=rng.randint(5, 14))
        end = rng.choice((".", ".", ":", f" `{words[0]}.py`.", " — see above."))
        return " ".join(words).capitalize() + end

    def _output_line(self, rng: Random) -> str:
        a, b = rng.choices(self._words, k=2)
        shapes = (
            f"src/{a}_{b}.py:{rng.randint(1, 900)}:    return self.{b}[{rng.randint(0, 99)}]",
            f"2026-01-05 10:{rng.randint(0, 59):02}:{rng.randint(0, 59):02} INFO {a}: {b} done",
            f"-rw-r--r-- 1 root root {rng.randint(100, 99999):>6} Jan  5 10:00 {a}_{b}.py",
            f"\x1b[32m✓\x1b[0m {a} {b} ({rng.randint(1, 400)} ms)",
            f"E       AssertionError: assert {rng.random():.5f} == {rng.random():.5f}",
        )
        return rng.choice(shapes)


def _cut(rng: Random, text: str, size: int) -> str:
    at = text.index("\n", rng.randrange(max(len(text) - size - 2000, 1))) + 1
    return text[at : text.index("\n", min(at + size, len(text) - 1)) + 1]
