"Agreement, significance and raters: known answers, laws that must hold for any numbers, and simulations of what intervals and tests promise."

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from zenkai_research.core.errors import BadOption
from zenkai_research.stats import agreement, raters, significance
from zenkai_research.stats.agreement import emd, estimate, fit_logistic, krcc, pairwise_accuracy, plcc, plcc_mapped, resamples, rmse_mapped, separated, srcc

CORRELATIONS = (srcc, krcc, plcc, plcc_mapped)
numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))


@st.composite
def pairs_of_columns(draw, smallest=5):
    n = draw(st.integers(smallest, 30))
    column = st.one_of(st.lists(numbers, min_size=n, max_size=n), st.lists(st.integers(0, 3).map(float), min_size=n, max_size=n))
    return np.array(draw(column)), np.array(draw(column))


def is_same(a, b, tolerance=1e-9):
    return np.isnan(a) and np.isnan(b) or abs(a - b) < tolerance


# Correlations


@given(pairs_of_columns())
@settings(deadline=None, max_examples=150)
def test_correlations_are_those_of_scipy(columns):
    x, y = columns
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert all(np.isnan(statistic(x, y)) for statistic in CORRELATIONS)
        return
    assert is_same(srcc(x, y), stats.spearmanr(x, y).statistic)
    assert is_same(krcc(x, y), stats.kendalltau(x, y).statistic)
    if np.ptp(x) > 1e-3 * np.abs(x).max() and np.ptp(y) > 1e-3 * np.abs(y).max():
        assert is_same(plcc(x, y), stats.pearsonr(x, y).statistic, 1e-6)


@given(pairs_of_columns(), st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_counts_stand_for_a_resample(columns, seed):
    "A statistic of counts is the statistic of the pictures written out as often as counted."
    x, y = columns
    counts = resamples(len(x), 3, seed=seed)
    whole = separated(y)
    for statistic in (srcc, krcc, plcc, pairwise_accuracy):
        for count, found in zip(counts.astype(int), statistic(x, y, counts), strict=True):
            again = np.repeat(np.arange(len(x)), count)
            if statistic is plcc and min(np.ptp(x[again]) / (np.ptp(x) or 1), np.ptp(y[again]) / (np.ptp(y) or 1)) < 1e-2:
                continue  # what is left of a resample without its one wild value is beyond the precision of sums over all
            expected = statistic(x[again], y[again], **({"pairs": whole[np.ix_(again, again)]} if statistic is pairwise_accuracy else {}))
            assert is_same(found, expected, 1e-5), statistic.__name__


@given(pairs_of_columns())
@settings(deadline=None, max_examples=60)
def test_laws_of_correlations(columns):
    x, y = columns
    for statistic in (srcc, krcc, plcc):
        value = statistic(x, y)
        assert np.isnan(value) or -1 <= value <= 1
        assert is_same(value, statistic(y, x)) and is_same(value, -statistic(-x, y))
    unique, ranks = np.unique(x, return_inverse=True)
    for statistic in (srcc, krcc):
        assert is_same(statistic(x, y), statistic(np.exp(ranks / 4), y)), "only the order counts"
    assert is_same(srcc(x, x), 1 if len(unique) > 1 else np.nan)


def test_spearman_of_a_textbook():
    "Hours of television and IQ, ten pupils: the worked example of many introductions; rho = -29/165."
    iq, hours = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert srcc(iq, hours) == pytest.approx(-29 / 165)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x", [[], [1.0], [1, 2], [5, 5, 5, 5, 5, 5], [1, 2, np.nan, 4, 5, 6], [1, 2, np.inf, 4, 5, 6]], ids=str)
def test_what_cannot_be_measured_is_nan(x):
    y = np.arange(len(x), dtype=float)
    for statistic in (*CORRELATIONS, rmse_mapped, pairwise_accuracy):
        if statistic is pairwise_accuracy and len(x) == 6 and np.isfinite(x).all():
            assert statistic(x, y) == 0.5, "a constant has every pair half right"
            continue
        assert np.isnan(statistic(x, y)), statistic.__name__
        assert np.isnan(statistic(x, y, np.ones((2, len(x))))).all() and len(statistic(x, y, np.ones((2, len(x))))) == 2
    assert not fit_logistic(x, y).fitted and np.isnan(fit_logistic(x, y)([1.0, 2.0])).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_scale_and_offset_do_not_matter(scale):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    y += x
    counts = resamples(50, 20)
    for statistic in CORRELATIONS:
        assert statistic(x * scale, y) == pytest.approx(statistic(x, y), abs=1e-6)
        assert np.allclose(statistic(x * scale, y, counts), statistic(x, y, counts), atol=1e-5)
    assert plcc(1e6 + x, y) == pytest.approx(plcc(x, y), abs=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: srcc([1, 2, 3], [1, 2]),
        lambda: srcc([[1, 2, 3]], [[1, 2, 3]]),
        lambda: srcc([1, 2, 3], [1, 2, 3], np.ones((2, 4))),
        lambda: fit_logistic([1, 2, 3], [1, 2]),
        lambda: fit_logistic([1, 2, 3], [1, 2, 3], 3),
        lambda: resamples(5, 0),
        lambda: resamples(1),
        lambda: resamples(5, groups=[1, 1, 1, 1, 1]),
        lambda: resamples(5, groups=[1, 2]),
        lambda: separated([1, 2], confidence=1),
        lambda: pairwise_accuracy([1, 2, 3], [1, 2, 3], pairs=np.ones((2, 2))),
        lambda: agreement.interval([1, 2], 95),
        lambda: emd([1, -1], [1, 1]),
        lambda: emd([1, 1], [1, 1, 1]),
        lambda: emd([1, 1], [1, 1], r=0),
        lambda: significance.holm([0.5, 1.5]),
        lambda: significance.letters([[1, 2, 3]]),
        lambda: significance.dependent_correlations(0.5, 0.4, 0.3, 50, "hotelling"),
        lambda: significance.permutation_test([1, 2, 3], [1, 2], [1, 2, 3]),
        lambda: raters.opinions([[0.5, 0.5]]),
        lambda: raters.opinions([[1, -1]]),
        lambda: raters.opinions([1, 2]),
        lambda: raters.opinions([[1, 2]], [1, 2, 3]),
        lambda: raters.reliability([1, 2, 3], [1, 2]),
    ],
)
def test_wrong_arguments_are_refused(call):
    with pytest.raises(BadOption):
        call()


# The logistic mapping


@pytest.mark.filterwarnings("ignore::scipy.optimize.OptimizeWarning")
@pytest.mark.parametrize("shape", ["logistic", "noise", "line", "heavy tail", "falling", "few values", "step"])
def test_no_other_fit_is_better(shape):
    "scipy's curve_fit from forty starts does not find a lower error."
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    rising, falling = 20 + 60 / (1 + np.exp(-(x - 0.5) / 0.4)), 80 / (1 + np.exp(2 * x))
    y = {"logistic": rising, "noise": 0 * x, "falling": falling, "few values": np.round(x) * 10, "step": 80.0 * (x > 0.3)}.get(shape, 50 + 10 * x)
    y = y + rng.normal(0, 5, 200)
    if shape == "heavy tail":
        x = np.exp(2 * x)
    if shape == "few values":
        x = np.round(x)
    curve = fit_logistic(x, y)
    ours, best = np.sum((curve(x) - y) ** 2), np.inf
    vqeg = lambda x, top, bottom, middle, width: bottom + (top - bottom) / (1 + np.exp(np.clip(-(x - middle) / abs(width), -500, 500)))
    for _ in range(40):
        start = (*rng.permutation([y.max(), y.min()]), rng.choice(x), x.std() * np.exp(rng.normal()))
        try:
            best = min(best, np.sum((vqeg(x, *optimize.curve_fit(vqeg, x, y, start, maxfev=2000)[0]) - y) ** 2))
        except RuntimeError:  # it did not converge
            continue
    assert ours <= best * (1.1 if shape == "step" else 1.002), "what is steeper than 1/100 of the spread is not looked for"
    grid = np.linspace(x.min(), x.max(), 500)
    steps = np.diff(curve(grid))
    assert (steps >= -1e-9).all() or (steps <= 1e-9).all()
    assert plcc_mapped(x, y) == pytest.approx(np.sign(steps.sum()) * plcc(curve(x), y), abs=1e-5)
    assert rmse_mapped(x, y) == pytest.approx(np.sqrt(ours / 200), rel=1e-4)
    assert plcc(fit_logistic(x, y, 5)(x), y) >= plcc(curve(x), y) - 1e-4, "five parameters hold the four"
    assert abs(plcc_mapped(x, y)) >= abs(plcc(x, y)) - 1e-3, "a line is a wide logistic"


@given(pairs_of_columns(smallest=6))
@settings(deadline=None, max_examples=40)
def test_mapping_is_finite_and_monotone(columns):
    x, y = columns
    curve = fit_logistic(x, y)
    if np.ptp(x) > 1e-9 and np.ptp(y) > 1e-9:
        values = curve(np.sort(x))
        assert curve.fitted and np.isfinite(values).all()
        steps = np.diff(values)
        slack = 1e-7 * np.ptp(values)
        assert (steps >= -slack).all() or (steps <= slack).all()


# Distributions and pairs


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=10).filter(lambda v: all(map(sum, zip(*v, strict=True)))))
@settings(deadline=None)
def test_emd_is_the_earth_movers_distance(votes):
    p, q = np.array(votes, dtype=float).T
    classes = np.arange(len(p))
    assert emd(p, q, r=1, normalised=False) == pytest.approx(stats.wasserstein_distance(classes, classes, p, q))
    assert emd(p, q, r=2) == pytest.approx(np.sqrt(np.mean((np.cumsum(p / p.sum()) - np.cumsum(q / q.sum())) ** 2)))
    assert emd(p, q) == emd(q, p) and emd(p, p) == 0


def test_pairs_that_people_separate():
    rng = np.random.default_rng(2)
    mos, error, x = rng.normal(50, 10, 40), rng.uniform(1, 6, 40), rng.normal(size=40).round(1)
    right = counted = 0
    for i in range(40):
        for j in range(i):
            if 2 * stats.norm.sf(abs(mos[i] - mos[j]) / np.hypot(error[i], error[j])) < 0.05:
                counted += 1
                right += 0.5 if x[i] == x[j] else float((x[i] > x[j]) == (mos[i] > mos[j]))
    pairs = separated(mos, error)
    assert pairs.sum() == 2 * counted and not pairs.diagonal().any()
    assert pairwise_accuracy(x, mos, pairs=pairs) == pytest.approx(right / counted)
    assert separated(mos, least=8).sum() == (np.abs(np.subtract.outer(mos, mos)) > 8).sum()


# Dependent correlations


@pytest.mark.parametrize(
    ("test", "r1", "r2", "r12", "n", "statistic", "digits"),
    [
        ("steiger", 0.4, 0.5, 0.1, 103, -0.89, 2),  # Steiger 1980, Case A, p. 249: -.8913 from rounded intermediate results
        ("meng", 0.63, -0.03, -0.19, 15, 1.68, 2),  # Meng, Rosenthal and Rubin 1992, p. 173
        ("williams", 0.3, 0.4, 0.5, 100, -1.0767, 4),  # Silver, Hittner and May 2006 (DEPCOR), this one and the next two
        ("steiger", 0.3, 0.4, 0.5, 100, -1.0718, 4),
        ("meng", 0.3, 0.4, 0.5, 100, -1.0707, 4),
        ("meng", 0.5, 0.2, 0.0, 50, 1.62, 2),  # May and Hittner 1997, table on p. 477, from here on
        ("meng", 0.5, 0.2, 0.2, 50, 1.80, 2),
        ("meng", 0.5, 0.2, 0.6, 50, 2.50, 2),
        ("meng", 0.5, 0.2, 0.8, 50, 3.50, 2),
        ("meng", 0.7, 0.4, 0.1, 50, 2.10, 2),
        ("meng", 0.7, 0.4, 0.5, 50, 2.66, 2),
        ("meng", 0.7, 0.4, 0.8, 50, 4.05, 2),
    ],
)
def test_published_examples(test, r1, r2, r12, n, statistic, digits):
    found, p = significance.dependent_correlations(r1, r2, r12, n, test)
    assert round(found, digits) == statistic
    assert p == pytest.approx(2 * (stats.t.sf(abs(found), n - 3) if test == "williams" else stats.norm.sf(abs(found))))
    assert significance.dependent_correlations(r2, r1, r12, n, test)[0] == pytest.approx(-found)


def test_published_p_values():
    "DEPCOR's and the paper's own."
    assert significance.dependent_correlations(0.3, 0.4, 0.5, 100, "williams")[1] == pytest.approx(0.2843, abs=5e-5)
    assert significance.dependent_correlations(0.3, 0.4, 0.5, 100, "steiger")[1] == pytest.approx(0.2838, abs=5e-5)
    assert significance.dependent_correlations(0.63, -0.03, -0.19, 15, "meng")[1] / 2 == pytest.approx(0.047, abs=5e-4)  # printed one-tailed


@pytest.mark.filterwarnings("error")
def test_dependent_correlations_at_the_edge():
    for test in ("steiger", "williams", "meng"):
        assert significance.dependent_correlations(0.5, 0.5, 0.3, 50, test) == (0, 1)
        assert np.isnan(significance.dependent_correlations(1.0, 0.5, 0.5, 50, test)).all()
        assert np.isnan(significance.dependent_correlations(0.6, 0.5, 0.5, 3, test)).all()
        assert significance.dependent_correlations(np.array([0.6, 0.5]), 0.5, 0.5, 40, test)[1].shape == (2,)


# Many comparisons


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.5))
def test_holm_is_his_stepwise_procedure(p, level):
    "Holm 1979: go through the sorted p-values, reject while p(k) <= level/(n - k + 1), stop at the first that is not."
    adjusted = significance.holm(p)
    rejected = np.zeros(len(p), bool)
    for k, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] * (len(p) - k) > level:
            break
        rejected[i] = True
    assert ((adjusted <= level) == rejected).all() and (adjusted >= p).all() and (adjusted <= 1).all()


def test_holm_leaves_out_what_was_not_tested():
    found = significance.holm([[np.nan, 0.01], [0.04, np.nan]])
    assert np.isnan(found[0, 0]) and found[0, 1] == 0.02 and found[1, 0] == 0.04


@given(st.integers(0, 9), st.data())
def test_letters_say_what_the_matrix_says(k, data):
    different = np.zeros((k, k), bool)
    for i in range(k):
        for j in range(i):
            different[i, j] = different[j, i] = data.draw(st.booleans())
    words = significance.letters(np.where(different, 0.01, 0.5))
    assert all(words)
    for i in range(k):
        for j in range(i):
            assert different[i, j] == (not set(words[i]) & set(words[j]))
    holders = {letter: {i for i in range(k) if letter in words[i]} for letter in set("".join(words))}
    assert not any(a < b for a in holders.values() for b in holders.values()), "no letter is idle"
    assert k == 0 or words[0][0] == "a"


# What intervals and tests promise


def correlated(rng, n, *, scene=0.0, groups=None):
    "Opinions and two equally good scorers that share errors, with parts of them common to groups."
    common = lambda: np.sqrt(1 - scene) * rng.normal(size=n) + (np.sqrt(scene) * rng.normal(size=n)[groups] if scene else 0)
    y, shared = common(), common()
    return y, y + 0.7 * shared + common(), y + 0.7 * shared + common()


def test_intervals_hold_what_they_should():
    "Coverage of the 95 % bootstrap intervals for a normal distribution with rho = 1/2, where all true values are known."
    rng, inside, n = np.random.default_rng(3), [], 80
    truth = {plcc: 0.5, srcc: 6 / np.pi * np.arcsin(0.25), krcc: 2 / np.pi * np.arcsin(0.5)}
    for i in range(250):
        x, e = rng.normal(size=(2, n))
        y, counts = 0.5 * x + np.sqrt(0.75) * e, resamples(n, 400, seed=i)
        inside.append([low <= value <= high for statistic, value in truth.items() for _, low, high in [estimate(statistic, x, y, counts)]])
    assert ((np.mean(inside, axis=0) > 0.90) & (np.mean(inside, axis=0) < 0.98)).all(), np.mean(inside, axis=0)


def test_groups_need_their_own_bootstrap():
    "Where groups share a scene, resampling pictures is far too sure, resampling groups is about right."
    rng, inside, groups = np.random.default_rng(4), [], np.repeat(np.arange(40), 8)
    truth = 6 / np.pi * np.arcsin(1 / np.sqrt(1 + 0.49 + 1) / 2)
    for i in range(150):
        y, x, _ = correlated(rng, 320, scene=0.8, groups=groups)
        both = [estimate(srcc, x, y, resamples(320, 300, which, seed=i)) for which in (None, groups)]
        inside.append([low <= truth <= high for _, low, high in both])
    plain, grouped = np.mean(inside, axis=0)
    assert plain < 0.75 and grouped > 0.88, (plain, grouped)


def test_tests_are_as_wrong_as_they_say():
    "Type-I error at 5 % for two scorers that are equally good, independent pictures."
    rng, p, n = np.random.default_rng(5), [], 60
    for i in range(300):
        y, x1, x2 = correlated(rng, n)
        counts = resamples(n, 300, seed=i)
        r1, r2, r12 = plcc(x1, y), plcc(x2, y), plcc(x1, x2)
        s1, s2 = srcc(x1, y, counts), srcc(x2, y, counts)
        p.append([*(significance.dependent_correlations(r1, r2, r12, n, test)[1] for test in ("steiger", "williams", "meng")),
                  significance.permutation_test(x1, x2, y, draws=299, seed=i).p, significance.permutation_test(x1, x2, y, ranks=False, draws=299, seed=i).p,
                  significance.compare(x1, x2, y, counts).p, significance.difference_p(srcc(x1, y), srcc(x2, y), s1, s2, n)])  # fmt: skip
    error = np.mean(np.array(p) < 0.05, axis=0)
    assert (error < 0.09).all() and (error > 0.015).all(), error


def test_tests_with_groups_are_as_wrong_as_they_say():
    rng, p, groups = np.random.default_rng(6), [], np.repeat(np.arange(40), 6)
    for i in range(200):
        y, x1, x2 = correlated(rng, 240, scene=0.8, groups=groups)
        counts = resamples(240, 300, groups, seed=i)
        p.append([significance.permutation_test(x1, x2, y, draws=299, groups=groups, seed=i).p,
                  significance.difference_p(srcc(x1, y), srcc(x2, y), srcc(x1, y, counts), srcc(x2, y, counts), 40),
                  significance.dependent_correlations(plcc(x1, y), plcc(x2, y), plcc(x1, x2), 240)[1]])  # fmt: skip
    error = np.mean(np.array(p) < 0.05, axis=0)
    assert (error[:2] < 0.10).all() and error[2] > 0.15, error  # the formula knows nothing of groups


def test_tests_find_a_difference():
    rng = np.random.default_rng(7)
    y, x1, _ = correlated(rng, 300)
    worse = x1 + rng.normal(0, 1.5, 300)
    counts = resamples(300, 500)
    assert significance.permutation_test(x1, worse, y, draws=999).p < 0.01 and significance.compare(x1, worse, y, counts).p < 0.01
    assert significance.difference_p(srcc(x1, y), srcc(worse, y), srcc(x1, y, counts), srcc(worse, y, counts), 300) < 0.01


@pytest.mark.filterwarnings("error")
def test_comparing_what_cannot_be_compared():
    y, flat = np.arange(20.0), np.ones(20)
    assert np.isnan(significance.permutation_test(flat, y, y).p) and np.isnan(significance.compare(flat, y, y, resamples(20, 50)).p)
    assert np.isnan(significance.permutation_test([1, 2], [2, 1], [1, 2]).p)
    assert np.isnan(significance.difference_p(np.nan, 0.5, [np.nan, np.nan], [0.4, 0.5], 20))


def test_permutation_recomputes_what_it_exchanges():
    "The product of signs and sums is what writing the exchange out gives."
    rng = np.random.default_rng(8)
    u, v, y = (stats.zscore(stats.rankdata(values)) for values in rng.normal(size=(3, 30)))
    m, d = (u + v) / 2, (u - v) / 2
    signs = rng.choice([-1.0, 1.0], (5, 30))
    found = significance._exchanged(signs @ np.stack([d, d * y, m * d], axis=1), m, d, y)
    for sign, value in zip(signs, found, strict=True):
        one, other = np.where(sign > 0, u, v), np.where(sign > 0, v, u)
        assert value == pytest.approx(np.corrcoef(one, y)[0, 1] - np.corrcoef(other, y)[0, 1])


# Raters


def test_reliability_of_simulated_raters():
    "Ratings of known truth: reliability, ceiling and halves as they really are."
    rng, n, k, sd = np.random.default_rng(9), 400, 20, 15.0
    truth = rng.normal(50, 10, n)
    ratings = truth[:, None] + rng.normal(0, sd, (n, k))
    mos, error = ratings.mean(1), agreement.standard_error(ratings.std(1, ddof=1), k)
    assert raters.reliability(mos, error) == pytest.approx(100 / (100 + sd**2 / k), abs=0.02)
    top = raters.ceiling(mos, error, draws=50)
    assert top.srcc.value == pytest.approx(srcc(truth, mos), abs=0.015) and top.plcc.value == pytest.approx(plcc(truth, mos), abs=0.015)
    assert top.krcc.value == pytest.approx(krcc(truth, mos), abs=0.02) and top.rmse == pytest.approx(np.sqrt(np.mean((truth - mos) ** 2)), rel=0.1)
    halves = srcc(ratings[:, ::2].mean(1), ratings[:, 1::2].mean(1))
    assert top.split_half.value == pytest.approx(halves, abs=0.03) and top.split_half.low < top.split_half.value < top.split_half.high


def test_halves_are_dealt_without_putting_back():
    "Two voters who agree always do; two who never agree give halves that are opposites."
    assert raters.split_halves([[2, 0, 0], [0, 2, 0], [0, 0, 2], [0, 2, 0]])[:2] == pytest.approx((1, 1))
    votes = np.random.default_rng(0).multinomial(9, [0.2, 0.3, 0.5], 50)
    assert -1 <= raters.split_halves(votes)[0] <= 1
    assert np.isnan(raters.split_halves([[1, 0], [0, 1], [1, 0]])).all()


@pytest.mark.filterwarnings("error")
def test_raters_at_the_edge():
    mos, std, n = raters.opinions([[0, 0], [1, 0], [3, 1]], [0, 100])
    assert np.isnan(mos[0]) and mos[1:].tolist() == [0, 25] and np.isnan(std[:2]).all() and std[2] == 50 and n.tolist() == [0, 1, 4]
    assert np.isnan(raters.reliability([1, 1, 1], [0, 0, 0])) and np.isnan(raters.ceiling([5, 5, 5], [1, 1, 1]).srcc.value)
    assert raters.reliability([1, 2, 3], [9, 9, 9]) == 0 and raters.reliability([1, 2, 3], [0, 0, 0]) == 1
    assert np.isnan(raters.outlier_ratio([], [], [])) and raters.outlier_ratio([1, 2], [1, 9], [1, 1]) == 0.5
    assert np.isnan(agreement.standard_error([1.0], [0])).all()
    worst, z = raters.outliers([1, 2, 50], [1, 2, 3], [1, np.nan, 1])
    assert worst.tolist() == [2] and np.isnan(z[1])


def test_live_in_the_wild_as_published(data):
    "Ghadiyaram and Bovik (2016) report a correlation of 0.9896 between halves of their raters."
    import pandas as pd

    labels = pd.read_csv(data / "clive" / "labels.csv")
    rho = raters.reliability(labels.mos, agreement.standard_error(labels.mos_std, 175))
    assert raters.spearman_brown(rho, 0.5) == pytest.approx(0.9896, abs=5e-4)


def test_koniq_as_published(data):
    "Hosu et al. (2020) report an SRCC of 0.973 between halves of the KonIQ-10k crowd, of which outliers were removed."
    import pandas as pd

    table = pd.read_csv(data / "labels" / "koniq10k_distributions_sets.csv")
    votes = table[[f"c{i}" for i in range(1, 6)]].mul(table.c_total, axis=0).round().to_numpy()
    assert raters.split_halves(votes, draws=2)[0] == pytest.approx(0.973, abs=0.005)


def test_no_interval_where_draws_lack_a_value():
    "A score that differs for one picture alone has no correlation in a third of the resamples: what the rest say excludes zero, and means nothing."
    mos, counts = np.arange(40.0), resamples(40, 1000)
    for one in (0, 20, 39):
        value, low, high = agreement.estimate(srcc, np.eye(40)[one], mos, counts)
        assert np.isfinite(value) and np.isnan([low, high]).all()
        assert np.isnan(significance.compare(np.eye(40)[one], mos, mos, counts)[1:]).all()
        assert np.isnan(significance.difference_p(value, 1.0, srcc(np.eye(40)[one], mos, counts), srcc(mos, mos, counts), 40))
    few = np.r_[np.full(25, np.nan), np.linspace(0, 1, 975)]  # as many as an end cuts off
    assert np.isfinite(agreement.interval(few)).all() and np.isnan(agreement.interval(np.r_[np.nan, few[:-1]])).all()
    assert agreement.interval(few, value=2.0)[1] == 2 and agreement.interval(few, value=-1.0)[0] == -1


def test_one_huge_value_makes_no_ties():
    x, y = [1, 3, 2, 4, 1e18], [1, 2, 3, 4, 5]
    once = np.ones((1, 5))
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic) == pytest.approx(srcc(x, y, once)[0])
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic) == pytest.approx(krcc(x, y, 2 * once)[0])
    assert pairwise_accuracy(x, y) == pytest.approx(0.9) == pytest.approx(pairwise_accuracy(y, x))


@pytest.mark.parametrize("n", [0, 1, 2, 2500])
def test_pairs_in_strips_are_those_of_the_whole(n):
    mos, error = np.random.default_rng(0).normal(size=(2, n))
    error = np.abs(error)
    apart = np.abs(np.subtract.outer(mos, mos))
    found = separated(mos, error, 0.3)
    assert found.dtype == bool and (found == (apart > 0.3) & (apart > stats.norm.ppf(0.975) * np.hypot.outer(error, error))).all()
    assert (separated(mos) == (apart > 0)).all()


def test_letters_do_not_explode():
    "Unordered p-values can ask for thousands of letters; ordered ones never need more than there are outputs."
    p = np.where(np.random.default_rng(0).random((80, 80)) < 0.4, 0.01, 0.5)
    assert significance.letters(p) == ["-"] * 80 and significance.shortened("-") == "-"
    apart = np.abs(np.subtract.outer(range(80), range(80)))
    assert len(set("".join(significance.letters(np.where(apart > 10, 0.01, 0.5))))) > 50
