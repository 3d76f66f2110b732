"""Subsets of many units at once: which are kept, as bits, and the sums over those kept.

A subset is a column of bytes, eight units to a byte. Sums go through a table of all 256 sums of
each eight units: the same numbers as a product with a matrix of zeros and ones, in a fiftieth of
its memory, in the same order on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltrace.stats.compiled import raw_stream

_AT_A_TIME = 1 << 14
"""Sums that are added up together."""

Kept = NDArray[np.uint8]
"""Shape (bytes, subsets)."""


def every_subset(units: int) -> Kept:
    """List all subsets of up to 32 units but the empty one."""
    numbers = np.arange(1, 2**units, dtype="<u4")
    return np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, 4).T)


def random_subsets(units: int, count: int, seed: int) -> Kept:
    """Draw subsets in which each unit is kept with probability 1/2.

    From the raw stream of PCG64, which numpy keeps the same from version to version.
    """
    rows = -(-units // 8)
    raw = raw_stream(seed).random_raw(-(-rows * count // 8))
    return raw.astype("<u8", copy=False).view(np.uint8)[: rows * count].reshape(rows, count)


def kept_sums(kept: Kept, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up the rows of `columns` (units, m) that each subset keeps; shape (m, subsets)."""
    units, width = columns.shape
    rows = -(-units // 8)
    padded = np.zeros((rows * 8, width))
    padded[:units] = columns
    tables = _tables(padded.reshape(rows, 8, width))
    sums = np.empty((width, kept.shape[1]))
    # A few subsets at a time stay in the processor's cache.
    some = max(1, _AT_A_TIME // max(1, width))
    for first in range(0, kept.shape[1], some):
        part = slice(first, first + some)
        sums[:, part] = _sums(kept[:rows, part], tables).T
    return sums


def _sums(kept: Kept, tables: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros((kept.shape[1], tables.shape[2]))
    found = np.empty_like(sums)
    # All columns of a unit lie side by side: one look-up finds them together.
    for row, table in zip(kept, tables, strict=True):
        sums += table.take(row, axis=0, out=found, mode="clip")
    return sums


def _tables(eights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up each 256 choices of eight units, (rows, 8, m) to (rows, 256, m), unit by unit."""
    rows, _, width = eights.shape
    tables = np.zeros((rows, 256, width))
    for bit in range(8):
        known = 1 << bit
        tables[:, known : 2 * known] = tables[:, :known] + eights[:, bit, None]
    return tables
