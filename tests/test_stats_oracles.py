"""Every value of the reference table is met by a function of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aggregated import CORPUS
from evaltrace import stats
from evaltrace.stats import planning, published

TABLE = CORPUS.parent / "reference" / "oracles.json"
ORACLES: dict[str, Any] = (
    {entry["id"]: entry for entry in json.loads(TABLE.read_text())["oracles"]}
    if TABLE.is_file()
    else {}
)

ADMISSIONS = (  # men admitted, men rejected, women admitted, women rejected; Berkeley 1973
    (512, 313, 89, 19),
    (353, 207, 17, 8),
    (120, 205, 202, 391),
    (138, 279, 131, 244),
    (53, 138, 94, 299),
    (22, 351, 24, 317),
)


def _table(both: int, only_B: int, only_A: int, none: int) -> dict[str, Any]:
    n = both + only_B + only_A + none
    p = published.mcnemar(only_B, only_A)
    d = [1.0] * only_B + [-1.0] * only_A + [0.0] * (both + none)
    return {
        "p_asym": p.asymptotic,
        "p_cc": p.corrected,
        "p_exact": p.exact,
        "p_mid": p.mid_p,
        "tango": published.tango(only_B, only_A, n),
        "newcombe": published.newcombe(both, only_B, only_A, none),
        "bonett_price": published.bonett_price(only_B, only_A, n)[2:],
        "wald": published.wald(only_B, only_A, n),
        "diff": (only_B - only_A) / n,
        "plus2_z": stats.plus_two(d, 1, quantile="z"),
        "plus2_t": stats.plus_two(d, 1),
    }


def _tango(alpha: float) -> Callable[[Any], Any]:
    return lambda given: published.tango(given["only_B"], given["only_A"], given["n"], alpha)


def _bonett_price(given: Any) -> dict[str, Any]:
    found = published.bonett_price(given["only_B"], given["only_A"], given["n"])
    return {"est": found.estimate, "se": found.error, "ci": found[2:]}


def _sleep(given: Any) -> dict[str, Any]:
    t, flips = published.paired_t(given["d"]), stats.sign_flip(given["d"])
    assert flips.exact
    return {
        "t": t.t,
        "p_t": t.p,
        "ci": t[2:],
        "p_signflip": flips.p,
        "p_signflip_mid": flips.mid_p,
    }


def _darwin(given: Any) -> dict[str, Any]:
    t, flips = published.paired_t(given["d"]), stats.sign_flip(given["d"])
    return {
        "p": flips.p,
        "p_mid": flips.mid_p,
        "subset_ci": stats.subset_mean(given["d"], pseudo=None),
        "t": t.t,
        "p_t": t.p,
        "t_ci": t[2:],
    }


def _wilcoxon(given: Any) -> dict[str, Any]:
    found = published.wilcoxon([x - y for x, y in zip(given["x"], given["y"], strict=True)])
    return {"V": found.statistic, "p": found.p, "hl": found.estimate, "ci": found[3:]}


def _differences(given: Any) -> dict[str, Any]:
    d, k = given["d"], given["k"]
    flips = stats.sign_flip(d)
    z, t = stats.plus_two(d, k, quantile="z"), stats.plus_two(d, k)
    found = {"p": flips.p, "p_mid": flips.mid_p, "z": z, "t": t, "plus2_z": z, "plus2_t": t}
    return found | {"mean": sum(d) / len(d), "t_ci": stats.mean_t(d)}


def _clusters(given: Any) -> dict[str, Any]:
    d, clusters = given["d"], given["g"]
    errors, flips = published.clustered_errors(d, clusters), stats.sign_flip(d, clusters)
    return {
        "mean": sum(d) / len(d),
        "cr0": errors.cr0,
        "cr1": errors.cr1,
        "cr3": errors.cr3,
        "naive_se": errors.plain,
        "p": flips.p,
        "p_mid": flips.mid_p,
        "sf2": stats.subset_mean(d, clusters, pseudo=1.0),
    }


def _ratios(given: Any) -> dict[str, Any]:
    top, bottom = given["y1"], given["y2"]
    typical = stats.geometric_ratio(top, bottom)
    return {
        "est": sum(top) / sum(bottom),
        "delta_log_t": published.delta_log(top, bottom),
        "fieller": published.fieller(top, bottom),
        "subset": stats.subset_ratio(top, bottom),
        "gmr": typical.estimate,
        "gmr_ci": (typical.low, typical.high),
    }


def _passing(given: Any) -> dict[str, Any]:
    return {
        "pass_at": [stats.any_of(**one) for one in given],
        "pass_hat": [stats.all_of(**one) for one in given],
    }


def _adjusted(given: Any) -> dict[str, Any]:
    return {"holm": stats.holm(given["p"]), "bh": stats.benjamini_hochberg(given["p"])}


def _t_power(given: Any) -> dict[str, Any]:
    sd = given["sd"]
    return {
        "power": published.t_power(0.1, sd, 50),
        "n": published.needed_tasks_of_t(0.1, sd),
        "mde": planning.visible_difference(sd**2, 50, None),
    }


def _attempts(rates: list[float], k: int) -> list[list[float]]:
    return [[1.0] * round(x * k) + [0.0] * (k - round(x * k)) for x in rates]


def _parts(given: Any) -> dict[str, Any]:
    k = given["k"]
    found = planning.variance_parts(_attempts(given["XA"], k), _attempts(given["XB"], k))
    return {
        "sA2": found.within_a,
        "sB2": found.within_b,
        "omega2": found.between,
        "total": found.total,
    }


def _chance_flips(given: Any) -> list[float]:
    k = given["k"]
    rows = [(a, k, b, k) for a, b in zip(given["xa"], given["xb"], strict=True)]
    observed, expected = stats.chance_flips(rows, given["step"])
    return [observed, expected, expected / observed]


def _gate(given: Any) -> dict[str, Any]:
    b, c = given["b"], given["c"]
    d = [1.0] * b + [-1.0] * c + [0.0] * (given["n"] - b - c)
    bounds = stats.plus_two(d, 1, 0.1, quantile="z")
    verdict = published.not_worse(bounds, given["margin"])
    return {"lower": bounds.low, "upper": bounds.high, "verdict": verdict}


def _missing(given: Any) -> dict[str, Any]:
    found = published.missing_bounds([[x] for x in given["A"]], [[x] for x in given["B"]])
    return {
        "errors_as_fail": found.as_failures,
        "worst_for_B": found.worst,
        "best_for_B": found.best,
        "common_tasks": found.common_tasks,
        "common_diff": found.common_difference,
    }


def _strata(_: Any) -> dict[str, Any]:
    found = published.cochran_mantel_haenszel(ADMISSIONS)
    return {"chi2": found.statistic, "p": found.p}


def _tost(given: Any) -> Any:
    d = [x - y for x, y in zip(given["y1"], given["y2"], strict=True)]
    return published.tost(d, given["low"], given["upp"])


WILSON = ("8_10", "0_10", "10_10", "81_263", "15_148", "0_20", "1_29")
EDGES = ("allzero_n10_k1", "allwin_n10_k1", "b6_c0_n10", "b5_c0_n10", "b5_c1_n10", "allzero_n50_k5")

METHODS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        [f"wilson_{name}" for name in WILSON],
        lambda given: stats.wilson(given["x"] / given["n"], given["n"]),
    ),
    **dict.fromkeys(
        ["clopper_8_10", "clopper_0_10", "clopper_10_10"],
        lambda given: published.clopper_pearson(given["x"], given["n"]),
    ),
    **dict.fromkeys(
        ["paired_cavo_2012", "paired_bentur_2009", "paired_ezra_2010", "tb2_real"],
        lambda given: _table(**given),
    ),
    **dict.fromkeys(["tango_40_20_160", "tango_4_9_3_16", "tango_53_16_8_9"], _tango(0.05)),
    "tango_43_0_1_0_90": _tango(0.1),
    "bonett_price_12_4_26_6": _bonett_price,
    "sleep": _sleep,
    "darwin": _darwin,
    "hollander_wolfe": _wilcoxon,
    **dict.fromkeys(
        ["k5_n10", *(f"edge_{name}" for name in EDGES)],
        _differences,
    ),
    "plus2_identity": lambda given: stats.plus_two(given["d"], given["k"]),
    "clusters_4": _clusters,
    "ratio_of_means": _ratios,
    "pass_at_k": _passing,
    "holm_bh_15": _adjusted,
    "holm_bh_5": _adjusted,
    "miller_n": lambda given: published.needed_tasks(given["delta"], given["omega2"]),
    "mde": lambda given: [
        published.detectable_difference(1 / 9 + 2 / 6 / k, given["n"]) for k in (1, 10)
    ],
    "ttest_power": _t_power,
    "size_prop_ps": lambda given: published.needed_tasks_of_proportions(
        given["p1"], given["p2"], given["phi"], power=given["power"]
    ),
    "var_parts": _parts,
    "flip_prob": lambda given: [stats.likelihood_higher(a, n, b, m) for b, m, a, n in given],
    "fisher_flip": lambda given: {
        "zero": [published.fisher_exact(0, k, k, k) for k in given["k"]],
        "one": [published.fisher_exact(1, k, k, k) for k in given["k"]],
    },
    "chance_flips": _chance_flips,
    "tost": _tost,
    "gate": _gate,
    "manski": _missing,
    "cace": lambda given: published.complier_effect(given["itt"], given["use"]),
    "ucb_cmh": _strata,
}


def _agrees(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, dict):
        return all(_agrees(found[key], value, tolerance) for key, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            _agrees(one, other, tolerance) for one, other in zip(found, expected, strict=True)
        )
    if isinstance(expected, str):
        return bool(found == expected)
    return bool(abs(found - expected) <= tolerance)


@pytest.mark.skipif(not ORACLES, reason="the table of reference values is not here")
def test_no_reference_value_is_left_out() -> None:
    assert sorted(ORACLES) == sorted(METHODS)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_reference_value_is_met(name: str) -> None:
    if name not in ORACLES:
        pytest.skip("the table of reference values is not here")
    entry = ORACLES[name]
    found = METHODS[name](entry["input"])
    assert _agrees(found, entry["expected"], entry["tol"] + 1e-12), found


@pytest.mark.parametrize(
    ("expected", "agrees"),
    [({"p": [1.0, 2.0]}, True), ({"p": [1.0, 2.1]}, False), ({"p": [1.0]}, False)],
)
def test_a_wrong_value_would_be_seen(expected: Any, agrees: bool) -> None:
    assert _agrees({"p": (1.0, 2.0), "q": 1}, expected, 1e-3) is agrees
