import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from calibration.derivation.adaptive import choose_next, expect_errors, fit_mixture, learn
from calibration.derivation.choosing import METHODS
from calibration.derivation.comparison import ADAPTIVE, RANDOM, compare, correlate, estimate
from calibration.derivation.coverage import Coverage
from calibration.derivation.forecasting import PENALTIES, forecast
from tests.calibration.derivation.raters import draw_factor_raters


def compare_briefly(responses, n_questions=3, methods=("greedy",), seed=0, **options):
    return compare(
        responses,
        n_questions,
        methods,
        rng=np.random.default_rng(seed),
        n_rater_folds=3,
        n_post_folds=2,
        n_resamples=200,
        **options,
    )


def get_step(comparison, method, n_questions):
    (step,) = (s for s in comparison.steps if (s.method, s.n_questions) == (method, n_questions))
    return step


@pytest.fixture(scope="module")
def of_views():
    """Raters who order the values of a post by their own view of its kind."""
    responses = draw_factor_raters(noise=0.3, n_posts=16)
    return compare_briefly(responses, methods=tuple(METHODS), adaptive_lengths=(2,))


def test_no_question_gains_nothing(of_views):
    for method in (*METHODS, RANDOM):
        assert get_step(of_views, method, 0).gain.mean == 0
        assert get_step(of_views, method, 0).error == of_views.consensus_error


@pytest.mark.parametrize("method", list(METHODS))
def test_two_questions_about_two_planted_factors_forecast_new_raters_on_new_posts(of_views, method):
    two = get_step(of_views, method, 2)
    assert two.gain.low > 0.5
    assert two.error.high < 0.5 * of_views.consensus_error.low
    assert two.gain.mean > get_step(of_views, RANDOM, 2).gain.mean
    assert two.gain.n_raters == 60


def test_raters_who_have_nothing_in_common_gain_nothing():
    responses = np.random.default_rng(1).integers(0, 7, (45, 8, 5))
    comparison = compare_briefly(responses, methods=tuple(METHODS))
    for method in (*METHODS, RANDOM):
        gain = get_step(comparison, method, 3).gain
        assert gain.low < 0.03
        assert gain.mean < 0.05


def test_the_same_seed_gives_the_same_comparison_and_another_another():
    responses = draw_factor_raters(n_raters=24, noise=1.0)
    first, again, other = (compare_briefly(responses, seed=seed) for seed in (3, 3, 4))
    assert first == again != other


def test_the_length_is_cut_to_what_the_posts_of_a_fold_allow():
    responses = draw_factor_raters(n_posts=6, noise=0.5)
    comparison = compare_briefly(responses, 9, coverage=Coverage(most_per_post=1))
    assert comparison.longest == 3
    assert max(step.n_questions for step in comparison.steps) == 3


def test_pairs_without_a_rho_are_counted():
    responses = draw_factor_raters(n_raters=24, noise=0.5)
    responses[4, :3] = 2
    assert compare_briefly(responses).n_undefined == 3


def test_too_small_a_pre_study_is_refused():
    with pytest.raises(ValueError, match="9 raters, 8 posts and 4 values are too few"):
        compare_briefly(draw_factor_raters(n_raters=9))


def test_rho_is_scipys_and_a_forecast_without_order_counts_as_none():
    rng = np.random.default_rng(2)
    forecasts, truth = rng.random((6, 9)), rng.integers(0, 4, (6, 9))
    expected = [spearmanr(a, b).statistic for a, b in zip(forecasts, truth, strict=True)]
    assert_allclose(correlate(forecasts, truth), expected)


def test_an_interval_is_over_raters_who_have_the_number():
    drawn = np.random.default_rng(3).integers(0, 50, (500, 50))
    per_rater = np.random.default_rng(4).normal(1, 1, 50)
    per_rater[:10] = np.nan
    found = estimate(per_rater, drawn)
    assert found.n_raters == 40
    assert found.mean == pytest.approx(np.nanmean(per_rater))
    width = 2 * 1.96 * np.nanstd(per_rater) / np.sqrt(40)
    assert found.high - found.low == pytest.approx(width, rel=0.2)
    assert np.isnan(estimate(np.full(50, np.nan), drawn).mean)


def test_forecasts_are_those_of_scikit_learns_ridge():
    rng = np.random.default_rng(5)
    answers = rng.normal(size=(40, 6))
    ratings = answers @ rng.normal(size=(6, 5)) + rng.normal(size=(40, 5))
    new = rng.normal(size=(7, 6))
    ridge = RidgeCV(PENALTIES).fit(answers, ratings)
    assert_allclose(forecast(answers, ratings, new), ridge.predict(new), atol=1e-8)


# --- adapting ----------------------------------------------------------------------------------


@pytest.fixture
def types():
    """Raters of four types that a first question tells apart into pairs; which one asks next depends on the pair."""
    rng = np.random.default_rng(6)
    #                 pair  within A  within B  and what is to be forecast
    of_type = np.array([[0, 0, 3, 0, 0], [0, 6, 3, 6, 6], [6, 3, 0, 0, 6], [6, 3, 6, 6, 0]], dtype=float)
    return np.clip(of_type[np.arange(40) % 4] + 0.2 * rng.standard_normal((40, 5)), 0, 6)


def test_what_is_asked_next_depends_on_the_answer(types):
    askable = np.array([True, True, True, False, False])
    start = learn(fit_mixture(types, within=0.1), 0, 0.0)
    other = learn(fit_mixture(types, within=0.1), 0, 6.0)
    asked = [choose_next(each, askable, ~askable, range(7)) for each in (start, other)]
    assert asked == [1, 2]


def test_one_gaussian_asks_everyone_the_same(types):
    askable = np.array([True, True, True, False, False])
    beliefs = [learn(fit_mixture(types, within=1.0), 0, answer) for answer in (0.0, 6.0)]
    assert len({choose_next(each, askable, ~askable, range(7)) for each in beliefs}) == 1


def test_expected_errors_are_those_of_answering_and_looking(types):
    belief = learn(fit_mixture(types, within=0.4), 0, 1.0)
    targets = np.array([False, True, False, True, True])
    for cell, expected in enumerate(expect_errors(belief, targets, range(7))):
        if cell == 0:
            continue
        variance, total, error = belief.covariance[cell, cell], 0.0, 0.0
        for answer in range(7):
            chance = belief.weights @ np.exp(-((answer - belief.means[:, cell]) ** 2) / (2 * variance))
            after = learn(belief, cell, answer)
            spread = after.weights @ np.square(after.means - after.forecast)
            total += chance
            error += chance * (np.diag(after.covariance) + spread)[targets].sum()
        assert expected == pytest.approx(error / total)


def test_a_mixture_keeps_the_mean_and_the_spread_whatever_the_share_within(types):
    for within in (0.2, 1.0):
        belief = fit_mixture(types, within, covariance=np.cov(types.T, bias=True))
        assert_allclose(belief.forecast, types.mean(axis=0))
        total = belief.covariance + np.cov(belief.means.T, bias=True)
        assert_allclose(total, np.cov(types.T, bias=True), atol=1e-12)


def test_no_cell_is_asked_twice_and_asking_ends(types):
    belief, everything = fit_mixture(types, within=0.5), np.ones(5, dtype=bool)
    for answer in types[0]:
        belief = learn(belief, choose_next(belief, everything, everything, range(7)), answer)
    assert sorted(belief.answered) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no cell is left"):
        choose_next(belief, everything, everything, range(7))


def test_a_share_out_of_range_is_refused(types):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        fit_mixture(types, within=0.0)


def test_the_verdict_is_paired_and_against_the_best_fixed_method(of_views):
    (verdict,) = of_views.verdicts
    gains = {method: get_step(of_views, method, 2).gain.mean for method in (*METHODS, ADAPTIVE)}
    best = max(METHODS, key=gains.__getitem__)
    assert verdict.rival == best
    assert verdict.gain.mean == pytest.approx(gains[ADAPTIVE] - gains[best])
    assert verdict.is_won == (verdict.gain.low > 0 and verdict.error.mean <= 0)
