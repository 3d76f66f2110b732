"""Quantiles and tails of the normal and the t distribution; scipy.special loads on first use."""

from __future__ import annotations

from evaltrace.stats.compiled import special


def normal_quantile(p: float) -> float:
    """Give z with P(Z <= z) = p."""
    return float(special().ndtri(p))


def t_quantile(p: float, freedom: float) -> float:
    """Give t with P(T <= t) = p at that many degrees of freedom."""
    return float(special().stdtrit(freedom, p))


def normal_two_sided(z: float) -> float:
    """Give P(|Z| >= |z|)."""
    return float(2 * special().ndtr(-abs(z)))


def t_above(t: float, freedom: float) -> float:
    """Give P(T >= t) at that many degrees of freedom."""
    return float(special().stdtr(freedom, -t))


def t_two_sided(t: float, freedom: float) -> float:
    """Give P(|T| >= |t|) at that many degrees of freedom."""
    return 2 * t_above(abs(t), freedom)
