from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from modeling.estimators.members import boosting
from modeling.estimators.members.base import Rows
from modeling.estimators.members.boosting import PooledBoosting, describe_posts, unpack

NAN = np.nan


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(boosting, "MAX_ROUNDS", 60)


def draw(n_raters=60, n_posts=60, n_each=20, n_values=4, seed=0, n_questions=3):
    rng = np.random.default_rng(seed)
    consensus = np.round(rng.uniform(0, 6, (n_posts, n_values)), 1)
    answers = rng.integers(0, 7, (n_raters, n_questions)).astype(float)
    level = rng.normal(0, 0.7, n_raters)
    if n_questions:
        level += np.where(answers[:, 0] > 3, 1.0, -1.0)
    raters = np.repeat(np.arange(n_raters), n_each)
    posts = np.concatenate([rng.permutation(n_posts)[:n_each] for _ in range(n_raters)])
    truth = consensus[posts] + level[raters][:, None]
    ratings = np.clip(np.rint(truth + rng.normal(0, 0.5, truth.shape)), 0, 6)
    return Rows(consensus[posts], ratings, raters, posts, answers, (0, 6))


def take(rows, keep):
    return replace(
        rows,
        consensus=rows.consensus[keep],
        ratings=rows.ratings[keep],
        raters=rows.raters[keep],
        posts=rows.posts[keep],
    )


def fit(rows, history=True, seed=0):
    return PooledBoosting().fit(rows, history=history, seed=seed)


def error_of(predicted, rows):
    return np.nanmean(np.abs(predicted - rows.ratings))


@pytest.mark.parametrize("n_questions", [0, 3])
def test_known_raters_are_foretold_nearer_than_by_the_consensus_on_posts_not_fitted_to(n_questions):
    rows = draw(n_questions=n_questions)
    new = take(rows, rows.posts >= 45)
    fitted = fit(take(rows, rows.posts < 45))
    assert error_of(fitted.predict(new.consensus, fitted.known[new.raters]), new) < 0.75 * error_of(
        new.consensus, new
    )


def test_new_raters_are_foretold_from_their_answers():
    rows = draw(n_raters=120)
    new = take(rows, (rows.raters >= 80) & (rows.posts >= 45))
    fitted = fit(take(rows, (rows.raters < 80) & (rows.posts < 45)), history=False)
    assert fitted.known is None
    predicted = fitted.predict(new.consensus, fitted.describe(rows.answers)[new.raters])
    assert error_of(predicted, new) < 0.85 * error_of(new.consensus, new)


def test_where_nothing_can_be_learnt_the_consensus_is_returned():
    rows = draw(n_questions=0, n_posts=6, n_each=3, n_raters=8)
    noise = np.random.default_rng(0).integers(0, 7, rows.ratings.shape).astype(float)
    fitted = fit(
        replace(rows, ratings=np.where(rows.posts[:, None] < 3, noise, rows.consensus)), history=False
    )
    predicted = fitted.predict(rows.consensus, fitted.describe(rows.answers)[rows.raters])
    assert np.abs(predicted - rows.consensus).mean() < 1


def test_a_rows_own_rating_never_reaches_its_own_features():
    # The leak would be a profile that holds the row's post: change one post's ratings and look at its rows.
    rows = draw()
    changed = rows.ratings.copy()
    changed[rows.posts == 5] = 6 - changed[rows.posts == 5]
    features, *_ = boosting._tabulate(rows, True, 1)
    after, *_ = boosting._tabulate(replace(rows, ratings=changed), True, 1)
    here = np.tile(rows.posts == 5, rows.n_values)
    assert_array_equal(features[here], after[here])
    assert (features[~here] != after[~here]).any()


def test_the_scores_of_all_pairs_are_the_predictions_of_each():
    for history, n_questions in ((True, 3), (True, 0), (False, 3), (False, 0)):
        rows = draw(n_raters=20, n_questions=n_questions)
        fitted = fit(rows, history)
        vectors = fitted.known if history else fitted.describe(rows.answers)
        posts = rows.consensus[:9].copy()
        posts[0, 2], posts[1] = NAN, NAN
        pairs = [fitted.predict(posts, np.repeat(vectors[[k]], 9, axis=0)) for k in range(20)]
        for value in range(4):
            assert_array_equal(fitted.score_all(value, posts, vectors), np.array(pairs)[:, :, value])


def test_gaps_everywhere_are_no_obstacle():
    rows = draw()
    rows.answers[3], rows.answers[::4, 1] = NAN, NAN
    rows.consensus[::6, 0], rows.consensus[9] = NAN, NAN
    rows.ratings[::5, 3], rows.ratings[11] = NAN, NAN
    for history in (True, False):
        fitted = fit(take(rows, rows.raters != 7), history)
        vectors = fitted.known if history else fitted.describe(rows.answers)
        predicted = fitted.predict(rows.consensus, vectors[rows.raters])
        assert np.isfinite(predicted).all()
        assert predicted.min() >= 0 and predicted.max() <= 6
    assert_array_equal(fit(take(rows, rows.raters != 7)).known[7, 3:], np.zeros(6))


def test_a_seed_repeats_the_fit_whatever_the_threads():
    rows = draw(n_raters=20)
    one = PooledBoosting().fit(rows, history=True, seed=3)
    other = PooledBoosting().fit(rows, history=True, seed=3, n_threads=2)
    assert_array_equal(
        one.predict(rows.consensus, one.known[rows.raters]),
        other.predict(rows.consensus, other.known[rows.raters]),
    )


def test_posts_are_described_by_the_values_place_among_the_others():
    described = describe_posts(np.array([[1.0, 3.0, 3.0, NAN]]), 1)
    assert_allclose(described, [[1, 3, 7 / 3, 3, 1 / 3, 1, 3, 3, NAN]])


@pytest.mark.parametrize("history", [True, False])
def test_what_was_packed_unpacks_to_the_same(history):
    rows = draw(n_raters=20)
    fitted = fit(rows, history)
    again = unpack(fitted.pack())
    vectors = fitted.describe(rows.answers)[rows.raters]
    assert_array_equal(again.predict(rows.consensus, vectors), fitted.predict(rows.consensus, vectors))
    assert (again.known is None) == (not history)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("rater_features", np.array([9, 1])),
        ("rater_features", np.array([3, 7])),
        ("centre", np.full(4, NAN)),
        ("scale", np.array([6, 0])),
        ("known", np.zeros((5, 2))),
        ("cuts", np.zeros(3, np.uint8)),
        ("centre", None),
    ],
)
def test_arrays_that_are_no_boosting_model_are_refused(name, broken):
    arrays = fit(draw(n_raters=12)).pack()
    key = name if name in arrays else f"forest_{name}"
    if broken is None:
        del arrays[key]
    else:
        arrays[key] = broken
    with pytest.raises(ValueError, match="cuts|features|centre|scale|known"):
        unpack(arrays)


def test_rows_without_a_rating_are_refused():
    rows = draw(n_raters=3)
    with pytest.raises(ValueError, match="no row has a rating"):
        fit(replace(rows, ratings=np.full_like(rows.ratings, NAN)))
