import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from statsmodels.regression.mixed_linear_model import MixedLM

from modeling.estimators.members import mixed
from modeling.estimators.members.base import Rows
from modeling.estimators.members.mixed import MixedEffects, unpack

NAN = np.nan


def draw(n_raters=60, n_posts=80, n_each=25, n_values=4, seed=0, n_questions=3):
    """Raters with shifts and slopes of their own, of which answers tell a part; the true means come along."""
    rng = np.random.default_rng(seed)
    consensus = rng.uniform(1, 5, (n_posts, n_values))
    answers = rng.normal(0, 1, (n_raters, n_questions))
    shifts = rng.normal(0, 0.5, (n_raters, n_values)) + rng.normal(0, 0.5, (n_raters, 1))
    if n_questions:
        shifts += answers @ rng.normal(0, 0.5, (n_questions, n_values))
    slopes = rng.normal(0, 0.2, (n_raters, 1)) * np.ones(n_values)
    raters = np.repeat(np.arange(n_raters), n_each)
    posts = np.concatenate([rng.permutation(n_posts)[:n_each] for _ in range(n_raters)])
    truth = consensus[posts] + shifts[raters] + slopes[raters] * (consensus[posts] - 3)
    ratings = truth + rng.normal(0, 0.8, truth.shape)
    return Rows(consensus[posts], ratings, raters, posts, answers, (-10, 16)), truth


def take(rows, keep):
    return Rows(
        rows.consensus[keep],
        rows.ratings[keep],
        rows.raters[keep],
        rows.posts[keep],
        rows.answers,
        rows.scale,
    )


def fit(rows, history=True, seed=0):
    return MixedEffects().fit(rows, history=history, seed=seed)


def error_of(predicted, wanted):
    return np.abs(predicted - wanted).mean()


def test_known_raters_are_foretold_nearer_than_by_the_consensus_on_posts_not_fitted_to():
    rows, truth = draw()
    new = rows.posts >= 60
    fitted = fit(take(rows, ~new))
    predicted = fitted.predict(rows.consensus[new], fitted.known[rows.raters[new]])
    assert error_of(predicted, truth[new]) < 0.4 * error_of(rows.consensus[new], truth[new])


def test_new_raters_are_foretold_from_their_answers():
    rows, truth = draw(n_raters=200)
    new = rows.raters >= 140
    fitted = fit(take(rows, ~new), history=False)
    assert fitted.known is None
    predicted = fitted.predict(rows.consensus[new], fitted.describe(rows.answers)[rows.raters[new]])
    nobody = fitted.predict(rows.consensus[new], np.zeros((new.sum(), 8)))
    assert error_of(predicted, truth[new]) < 0.8 * error_of(nobody, truth[new])


def test_shifts_of_one_value_are_those_of_a_random_intercept_model():
    # Without slopes to speak of the model is statsmodels's, up to how the covariances are drawn together.
    rng = np.random.default_rng(1)
    raters = np.repeat(np.arange(80), 12)
    ratings = 3 + rng.normal(0, 1, 80)[raters] + rng.normal(0, 1, len(raters))
    posts = rng.integers(0, 400, len(raters))
    rows = Rows(np.full((960, 1), 3.0), ratings[:, None], raters, posts, np.zeros((80, 0)), (-5, 11))
    fitted = fit(rows)
    theirs = MixedLM(ratings, np.ones((960, 1)), raters).fit()
    effects = np.array([theirs.random_effects[k].iloc[0] for k in range(80)]) + theirs.fe_params[0]
    ours = fitted.predict(np.full((80, 1), 3.0), fitted.known)[:, 0]
    assert_allclose(ours, effects, atol=0.05)


def test_raters_without_rows_are_as_their_answers_say_and_without_answers_average():
    rows, _ = draw()
    fitted = fit(take(rows, rows.raters != 7))
    assert_allclose(fitted.known[7], fitted.describe(rows.answers[[7]])[0], atol=1e-9)
    assert_array_equal(fitted.describe(np.full((1, 3), NAN)), np.zeros((1, 8)))


def test_few_rows_move_a_rater_less_than_many():
    rows, _ = draw(n_questions=0)
    once = np.flatnonzero(rows.raters == 0)[:1]
    rows.ratings[rows.raters == 0] = rows.consensus[rows.raters == 0] + 4
    many = fit(rows).known[0, :4]
    few = fit(take(rows, np.sort(np.r_[once, np.flatnonzero(rows.raters != 0)]))).known[0, :4]
    assert (few > 0.2).all() and (few < many - 0.3).all() and (many < 4.2).all()


def test_values_not_shown_are_made_out_from_those_that_were():
    rows, truth = draw(n_raters=80)
    rng = np.random.default_rng(2)
    gaps = np.where(rng.random(rows.ratings.shape) < 0.3, NAN, rows.ratings)
    gaps[0] = NAN
    missing = np.isnan(gaps)
    fitted = fit(Rows(rows.consensus, gaps, rows.raters, rows.posts, rows.answers, rows.scale))
    predicted = fitted.predict(rows.consensus, fitted.known[rows.raters])
    assert error_of(predicted[missing], truth[missing]) < 0.5 * error_of(
        rows.consensus[missing], truth[missing]
    )


def test_noise_of_missing_values_is_expected_as_the_likelihood_has_it():
    # EM never lowers the likelihood; a wrong expectation of what is missing would.
    rows, _ = draw(n_raters=30, n_values=3, n_questions=0)
    present = np.random.default_rng(3).random(rows.ratings.shape) < 0.7
    away = rows.consensus - 3
    residuals = np.where(present, rows.ratings - rows.consensus, 0.0)
    design = mixed._Design(rows.raters, 30, away, residuals, present)

    def likelihood(covariances):
        total = 0.0
        for rater in range(30):
            own = np.flatnonzero(rows.raters == rater)
            effects = np.vstack([np.hstack([np.eye(3), np.diag(away[k])])[present[k]] for k in own])
            noise = np.zeros((len(effects), len(effects)))
            first = 0
            for k in own:
                n = present[k].sum()
                noise[first : first + n, first : first + n] = covariances.noise[
                    np.ix_(present[k], present[k])
                ]
                first += n
            whole = noise + effects @ covariances.vectors @ effects.T
            left = np.concatenate([residuals[k][present[k]] for k in own])
            total -= np.linalg.slogdet(whole)[1] + left @ np.linalg.solve(whole, left)
        return total

    covariances, steps = design.first_covariances(), []
    for _ in range(6):
        steps.append(likelihood(covariances))
        vectors, uncertainty = design.posterior(covariances, np.zeros((30, 6)))
        covariances = mixed._Covariances(
            (vectors.T @ vectors + uncertainty.sum(axis=0)) / 30,
            design.noise(covariances, vectors, uncertainty) / present.any(axis=1).sum(),
        )
    assert (np.diff(steps) > 0).all()


def test_a_consensus_that_is_off_is_recalibrated_and_a_good_one_is_left_alone():
    rows, truth = draw()
    squeezed = Rows(
        3 + 0.5 * (rows.consensus - 3) + 1, rows.ratings, rows.raters, rows.posts, rows.answers, rows.scale
    )
    fitted = fit(squeezed)
    predicted = fitted.predict(squeezed.consensus, fitted.known[rows.raters])
    assert error_of(predicted, truth) < 0.3
    # With four posts each a different way off, what one teaches misleads about another.
    few = take(rows, rows.posts < 4)
    off = np.random.default_rng(4).normal(0, 1, (4, 4))[few.posts]
    alone = fit(Rows(few.consensus + off, few.ratings, few.raters, few.posts, few.answers, few.scale))
    assert np.abs(alone.slopes - np.eye(4)).max() < 0.5


def test_a_missing_consensus_is_taken_as_the_values_mean():
    rows, _ = draw()
    rows.consensus[::7, 1] = NAN
    rows.consensus[3] = NAN
    fitted = fit(rows)
    predicted = fitted.predict(rows.consensus, fitted.known[rows.raters])
    assert np.isfinite(predicted).all()
    nowhere = Rows(
        np.full_like(rows.consensus, NAN), rows.ratings, rows.raters, rows.posts, rows.answers, rows.scale
    )
    assert np.isfinite(fit(nowhere).predict(nowhere.consensus, fit(nowhere).known[rows.raters])).all()


def test_the_scores_of_all_pairs_are_the_predictions_of_each():
    rows, _ = draw()
    fitted = fit(rows)
    posts = rows.consensus[:9].copy()
    posts[0, 2] = NAN
    pairs = [fitted.predict(posts, np.repeat(fitted.known[[k]], 9, axis=0)) for k in range(60)]
    for value in range(4):
        assert_allclose(fitted.score_all(value, posts, fitted.known), np.array(pairs)[:, :, value], rtol=1e-5)


def test_predictions_stay_on_the_scale():
    rows, _ = draw()
    narrow = Rows(rows.consensus, np.clip(rows.ratings, 2, 4), rows.raters, rows.posts, rows.answers, (2, 4))
    fitted = fit(narrow)
    predicted = fitted.predict(narrow.consensus, fitted.known[narrow.raters])
    assert predicted.min() >= 2 and predicted.max() <= 4


@pytest.mark.parametrize("history", [True, False])
def test_what_was_packed_unpacks_to_the_same(history):
    rows, _ = draw()
    fitted = fit(rows, history)
    again = unpack(fitted.pack())
    vectors = fitted.describe(rows.answers)
    assert_array_equal(
        again.predict(rows.consensus[:60], again.describe(rows.answers)),
        fitted.predict(rows.consensus[:60], vectors),
    )
    assert (again.known is None) == (fitted.known is None)
    assert again.scale == fitted.scale


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("slopes", np.zeros((2, 2))),
        ("centre", np.full(4, NAN)),
        ("effects", np.zeros((3, 8), int)),
        ("answer_spreads", np.zeros(3)),
        ("scale", np.array([6, 0])),
        ("known", np.zeros((5, 3))),
        ("shift", None),
    ],
)
def test_arrays_that_are_no_mixed_model_are_refused(name, broken):
    arrays = fit(draw()[0]).pack()
    if broken is None:
        del arrays[name]
    else:
        arrays[name] = broken
    with pytest.raises(ValueError, match=name):
        unpack(arrays)


def test_raters_all_alike_and_single_posts_do_no_harm():
    flat = Rows(
        np.full((20, 3), 2.0),
        np.full((20, 3), 2.0),
        np.repeat([0, 1], 10),
        np.tile(range(10), 2),
        np.ones((2, 1)),
        (0, 6),
    )
    fitted = fit(flat)
    assert_allclose(fitted.predict(flat.consensus, fitted.known[flat.raters]), 2.0, atol=1e-6)
    lone = Rows(
        np.ones((1, 3)), np.ones((1, 3)) * 4, np.zeros(1, int), np.zeros(1, int), np.zeros((1, 0)), (0, 6)
    )
    assert np.isfinite(fit(lone).known).all()
    with pytest.raises(ValueError, match="no row has a rating"):
        fit(
            Rows(
                np.ones((1, 3)),
                np.full((1, 3), NAN),
                np.zeros(1, int),
                np.zeros(1, int),
                np.zeros((1, 0)),
                (0, 6),
            )
        )
