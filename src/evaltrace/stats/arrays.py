"""Input made safe for arithmetic: vectors of finite numbers, units that are kept together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Clusters = Sequence[Hashable | None]


def to_vector(values: ArrayLike, name: str = "values", *, length: int | None = None) -> Vector:
    """Turn numbers into a vector; ValueError for what is not finite, or of another length."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, not {vector.ndim}")
    if length is not None and len(vector) != length:
        raise ValueError(f"{name}: expected {length} values, not {len(vector)}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name}: every value must be a finite number")
    return vector


def to_rates(values: ArrayLike, name: str = "rates", *, length: int | None = None) -> Vector:
    """Turn numbers into a vector; ValueError for what lies outside 0 to 1."""
    vector = to_vector(values, name, length=length)
    if vector.size and (vector.min() < -1e-9 or vector.max() > 1 + 1e-9):
        raise ValueError(f"{name}: every value must lie between 0 and 1")
    return vector.clip(0.0, 1.0)


def to_counts(values: ArrayLike, name: str, length: int) -> Vector:
    """Turn numbers of attempts, or one for all, into a vector; ValueError below 1."""
    array = np.asarray(values, dtype=np.float64)
    vector = to_vector(np.full(length, array) if array.ndim == 0 else array, name, length=length)
    if vector.size and vector.min() < 1:
        raise ValueError(f"{name}: every task needs at least one attempt")
    return vector


def unit_sums(columns: NDArray[np.float64], clusters: Clusters | None) -> NDArray[np.float64]:
    """Add up rows that are kept together; a row whose cluster is None stands alone."""
    if clusters is None:
        return columns
    if len(clusters) != len(columns):
        raise ValueError(f"clusters: expected {len(columns)} values, not {len(clusters)}")
    numbers: dict[Hashable, int] = {}
    of_row = [
        numbers.setdefault(("alone", row) if cluster is None else ("in", cluster), len(numbers))
        for row, cluster in enumerate(clusters)
    ]
    sums = np.zeros((len(numbers), columns.shape[1]))
    np.add.at(sums, of_row, columns)
    return sums


def check_alpha(alpha: float) -> None:
    """Refuse an error rate that is none."""
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")
