"""Quantiles and tails of the normal and the t distribution; scipy.special loads on first use."""

from __future__ import annotations


def normal_quantile(p: float) -> float:
    """Give z with P(Z <= z) = p."""
    from scipy.special import ndtri

    return float(ndtri(p))


def t_quantile(p: float, freedom: float) -> float:
    """Give t with P(T <= t) = p at that many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


def normal_two_sided(z: float) -> float:
    """Give P(|Z| >= |z|)."""
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))


def t_above(t: float, freedom: float) -> float:
    """Give P(T >= t) at that many degrees of freedom."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))


def t_two_sided(t: float, freedom: float) -> float:
    """Give P(|T| >= |t|) at that many degrees of freedom."""
    return 2 * t_above(abs(t), freedom)
