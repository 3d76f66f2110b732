"""Other people's implementations give the same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray

from evaltrace import stats
from evaltrace.stats import published

approx = pytest.approx

Vector = NDArray[np.float64]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """The packages we check against may warn about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("api", "stats.contingency_tables", "stats.multitest", "stats.proportion"):
            import_module(f"statsmodels.{name}")
        yield


def _values(seed: int, n: int) -> Vector:
    return np.random.default_rng(seed).lognormal(0, 1, n)


@pytest.mark.parametrize(("x", "n"), [(0, 7), (3, 7), (7, 7), (61, 100)])
def test_one_proportion_agrees_with_statsmodels(x: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    assert stats.wilson(x / n, n, 0.1) == approx(proportion_confint(x, n, 0.1, "wilson"))
    assert published.clopper_pearson(x, n, 0.1) == approx(proportion_confint(x, n, 0.1, "beta"))


@pytest.mark.parametrize(("b", "c"), [(0, 4), (5, 5), (9, 2), (30, 41)])
def test_mcnemar_agrees_with_statsmodels(b: int, c: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    table, found = [[10, b], [c, 10]], published.mcnemar(b, c)
    assert found.exact == approx(mcnemar(table, exact=True).pvalue)
    assert found.asymptotic == approx(mcnemar(table, exact=False, correction=False).pvalue)
    if b != c:
        assert found.corrected == approx(mcnemar(table, exact=False, correction=True).pvalue)


@pytest.mark.parametrize("attempts", [1, 3, 5])
def test_plus_two_is_the_t_interval_of_statsmodels_with_two_more(attempts: int) -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    d = np.random.default_rng(attempts).integers(-attempts, attempts + 1, 40) / attempts
    joined = np.append(d, [attempts**-0.5, -(attempts**-0.5)])
    expected = DescrStatsW(joined).tconfint_mean(0.1)
    assert stats.plus_two(d, attempts, 0.1) == approx(expected)


@pytest.mark.parametrize("clusters", [3, 8])
def test_clustered_errors_agree_with_statsmodels(clusters: int) -> None:
    from statsmodels.api import OLS

    d, groups = _values(1, 40), np.random.default_rng(2).integers(0, clusters, 40)
    found = published.clustered_errors(d, groups.tolist())
    fit = OLS(d, np.ones(40)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert found.cr1 == approx(float(fit.bse[0]))
    uncorrected = {"groups": groups, "use_correction": False}
    fit = OLS(d, np.ones(40)).fit(cov_type="cluster", cov_kwds=uncorrected)
    assert found.cr0 == approx(float(fit.bse[0]))


def test_jackknifed_error_leaves_out_one_cluster_at_a_time() -> None:
    d, groups = _values(3, 20), np.repeat([0, 1, 2, 3], [2, 3, 5, 10])
    means = [d[groups != group].mean() for group in range(4)]
    expected = np.sqrt(3 / 4 * sum((mean - d.mean()) ** 2 for mean in means))
    assert published.clustered_errors(d, groups.tolist()).cr3 == approx(expected)


def test_adjusted_p_agree_with_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = (_values(4, 12) / 20).clip(0, 1)
    assert stats.holm(p.tolist()) == approx(multipletests(p, method="holm")[1])
    assert stats.benjamini_hochberg(p.tolist()) == approx(multipletests(p, method="fdr_bh")[1])


def test_equivalence_agrees_with_statsmodels() -> None:
    from statsmodels.stats.weightstats import ttost_paired

    x, y = _values(5, 15), _values(6, 15)
    p, lower, upper = ttost_paired(x, y, -1.0, 0.8)
    assert published.tost(x - y, -1.0, 0.8) == approx((p, lower[1], upper[1]))


def test_strata_agree_with_statsmodels() -> None:
    from statsmodels.stats.contingency_tables import StratifiedTable

    tables = np.random.default_rng(7).integers(1, 20, (5, 2, 2))
    expected = StratifiedTable(list(tables.astype(float))).test_null_odds(correction=False)
    found = published.cochran_mantel_haenszel([tuple(table.ravel().tolist()) for table in tables])
    assert found == approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("seed", range(5))
def test_sign_flip_agrees_with_scipy_on_small_data(seed: int) -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(seed)
    for d in (rng.integers(-3, 4, 11) / 3, rng.normal(0.3, 1, 11)):
        exact = permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        found = stats.sign_flip(d)
        assert found.exact
        assert found.p == approx(exact.pvalue)


@pytest.mark.parametrize("seed", range(3))
def test_signed_ranks_agree_with_scipy(seed: int) -> None:
    from scipy.stats import wilcoxon

    d = np.random.default_rng(seed).normal(0.4, 1, 13)
    found = published.wilcoxon(d)
    expected = wilcoxon(d, method="exact")
    assert found.p == approx(expected.pvalue)
    assert min(found.statistic, 13 * 14 / 2 - found.statistic) == expected.statistic


def test_t_agrees_with_scipy() -> None:
    from scipy.stats import ttest_1samp

    d = _values(8, 9) - 1
    expected, found = ttest_1samp(d, 0), published.paired_t(d, 0.1)
    assert (found.t, found.p) == approx((expected.statistic, expected.pvalue))
    assert found[2:] == approx(tuple(expected.confidence_interval(0.9)))
    assert stats.mean_t(d, 0.1) == approx(found[2:])


def test_typical_ratio_is_the_t_test_of_logs_in_scipy() -> None:
    from scipy.stats import ttest_rel

    b, a = _values(9, 20), _values(10, 20)
    test = ttest_rel(np.log(b), np.log(a))
    low, high = np.exp(test.confidence_interval(0.95))
    expected = (float(np.exp(np.log(b / a).mean())), low, high, test.pvalue)
    assert stats.geometric_ratio(b, a) == approx(expected)


@pytest.mark.parametrize("table", [(0, 4, 3, 5), (2, 9, 8, 9), (5, 5, 5, 5)])
def test_fisher_agrees_with_scipy(table: tuple[int, int, int, int]) -> None:
    from scipy.stats import fisher_exact

    x, n, y, m = table
    expected = fisher_exact([[x, n - x], [y, m - y]]).pvalue
    assert published.fisher_exact(x, n, y, m) == approx(expected)


@pytest.mark.parametrize("row", [(0, 1, 1, 1), (1, 3, 4, 5), (2, 7, 2, 3), (5, 5, 0, 4)])
def test_likelihood_is_the_integral_of_two_betas(row: tuple[int, int, int, int]) -> None:
    from scipy.integrate import quad
    from scipy.stats import beta

    x, n, y, m = row
    first, second = beta(1 + x, 1 + n - x), beta(1 + y, 1 + m - y)
    expected, _ = quad(lambda p: float(second.pdf(p) * first.cdf(p)), 0, 1)
    assert stats.likelihood_higher(x, n, y, m) == approx(expected)


@pytest.mark.parametrize("row", [(0, 3, 2, 3), (1, 3, 4, 5), (2, 7, 2, 3)])
def test_chance_of_a_difference_is_hypergeometric(row: tuple[int, int, int, int]) -> None:
    from scipy.stats import hypergeom

    x, n, y, m = row
    deal = hypergeom(n + m, x + y, m)
    seen = abs(y / m - x / n) - 1e-12
    expected = sum(deal.pmf(z) for z in range(m + 1) if abs(z / m - (x + y - z) / n) >= seen)
    assert stats.chance_of_difference(*row) == approx(expected)


def test_fieller_is_the_t_test_inverted() -> None:
    from scipy.stats import ttest_1samp

    top, bottom = _values(11, 30) + 1, _values(12, 30) + 1
    for ratio in published.fieller(top, bottom, 0.1):
        assert ratio is not None
        assert ttest_1samp(top - ratio * bottom, 0).pvalue == approx(0.1)


def test_t_power_agrees_with_statsmodels() -> None:
    from statsmodels.stats.power import TTestPower

    expected = TTestPower().power(0.3 / 0.7, 40, 0.05)
    assert published.t_power(0.3, 0.7, 40) == approx(expected, abs=1e-4)
