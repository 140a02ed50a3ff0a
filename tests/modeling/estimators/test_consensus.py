import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from modeling.estimators.consensus import PanelConsensus, TextConsensus, mean_ratings
from tests.modeling.estimators.data import draw_data

NAN = np.nan


def fit_text(data, to_fit, seed=0):
    consensus = TextConsensus(n_folds=3, rng=np.random.default_rng(seed))
    return consensus.fit(data.texts, data.ratings, data.posts, to_fit, data.scale)


def fit_panel(data, seed=0):
    consensus = PanelConsensus(rng=np.random.default_rng(seed))
    return consensus.fit(data.raters, data.ratings, data.posts, data.n_posts)


def first_to_fit(data, n=11):
    return np.arange(data.n_posts) < n


def test_mean_ratings_are_over_those_who_rated_the_value_and_nan_where_nobody_did():
    means = mean_ratings(np.array([[0, NAN], [3, 4], [NAN, NAN]]), np.array([0, 0, 2]), 3)
    np.testing.assert_array_equal(means, [[1.5, 4], [NAN, NAN], [NAN, NAN]])


@pytest.fixture(scope="module")
def data():
    return draw_data()


@pytest.fixture(scope="module")
def fitted(data):
    return fit_text(data, first_to_fit(data))


@given(post=st.integers(0, 10), ratings=st.lists(st.integers(0, 6), min_size=15, max_size=15))
@examples(max_examples=10)
def test_a_posts_own_ratings_leave_its_own_score_unchanged(data, fitted, post, ratings):
    changed = data.ratings.copy()
    changed[data.posts == post] = np.reshape(ratings, (5, 3))
    again = fit_text(replace(data, ratings=changed), first_to_fit(data))
    np.testing.assert_array_equal(again.post_scores_[post], fitted.post_scores_[post])


def test_a_posts_ratings_do_change_the_scores_of_others(data, fitted):
    changed = data.ratings.copy()
    changed[data.posts == 0] = 6 - changed[data.posts == 0]
    again = fit_text(replace(data, ratings=changed), first_to_fit(data))
    assert not np.array_equal(again.post_scores_[1:], fitted.post_scores_[1:])


def test_held_out_ratings_change_nothing_and_every_post_has_a_score(data, fitted):
    changed = np.where((data.posts > 10)[:, None], 6 - data.ratings, data.ratings)
    again = fit_text(replace(data, ratings=changed), first_to_fit(data))
    np.testing.assert_array_equal(again.post_scores_, fitted.post_scores_)
    assert fitted.post_scores_.shape == (16, 3)
    assert not np.isnan(fitted.post_scores_).any()
    np.testing.assert_array_equal(fitted.out_of_fold_, first_to_fit(data))


def test_scores_learn_from_the_words_and_stay_on_the_scale():
    data = draw_data(n_posts=60, n_raters=20, per_post=10)
    fitted = fit_text(data, first_to_fit(data, 45))
    means = mean_ratings(data.ratings, data.posts, data.n_posts)
    for value in range(3):
        assert np.corrcoef(fitted.post_scores_[45:, value], means[45:, value])[0, 1] > 0.5
    lowest, highest = fitted.post_scores_.min(), fitted.post_scores_.max()
    assert 0 <= lowest < highest <= 6


def test_the_rater_plays_no_part_in_what_the_text_says(data, fitted):
    said = fitted.predict(np.array([0, 7, 99]), np.array([4, 4, 4]))
    assert (said == said[0]).all()


def test_posts_without_text_are_neither_fitted_to_nor_left_without_a_score(data):
    blank = replace(data, texts=(*data.texts[:-6], " ", "", "", *data.texts[-3:]))
    fitted = fit_text(blank, np.ones(16, bool))
    assert fitted.out_of_fold_.sum() == 13
    scores = fitted.post_scores_[10:13]
    assert (scores == scores[0]).all()
    assert not np.isnan(scores).any()


def test_a_post_without_ratings_of_some_value_is_scored_but_not_fitted_to(data):
    ratings = data.ratings.copy()
    ratings[data.posts == 2, 1] = NAN
    fitted = fit_text(replace(data, ratings=ratings), first_to_fit(data))
    assert not fitted.out_of_fold_[2]
    assert not np.isnan(fitted.post_scores_).any()


def test_one_value_is_enough():
    data = draw_data(n_values=1)
    assert fit_text(data, first_to_fit(data)).post_scores_.shape == (16, 1)


def test_one_post_to_fit_to_is_too_few(data):
    with pytest.raises(ValueError, match=r"at least two posts to fit to that have text.*there are 1"):
        fit_text(data, first_to_fit(data, 1))


def test_texts_without_a_word_are_refused_with_the_reason(data):
    with pytest.raises(ValueError, match="share too little to learn from"):
        fit_text(replace(data, texts=("🎉",) * 16), first_to_fit(data))


def test_the_smallest_study_of_two_posts_to_fit_to_has_scores(data):
    fitted = fit_text(data, first_to_fit(data, 2))
    assert not np.isnan(fitted.post_scores_).any()


@given(st.integers(0, 79), st.integers(0, 6), st.integers(0, 20))
def test_what_a_rater_is_shown_by_the_panel_does_not_depend_on_their_own_rating(row, rating, seed):
    data = draw_data(has_text=False)
    changed = data.ratings.copy()
    changed[row] = rating
    pair = data.raters[[row]], data.posts[[row]]
    before = fit_panel(data, seed).predict(*pair)
    after = fit_panel(replace(data, ratings=changed), seed).predict(*pair)
    np.testing.assert_array_equal(after, before)


def test_each_panel_is_shown_the_mean_of_the_other():
    data = draw_data(has_text=False)
    shown = fit_panel(data).predict(data.raters, data.posts)
    for post in range(data.n_posts):
        rows = np.flatnonzero(data.posts == post)
        seen = {tuple(row) for row in shown[rows]}
        assert len(seen) <= 2
        for one in seen:
            panel = rows[(shown[rows] != one).any(axis=1)]
            if len(panel):
                np.testing.assert_allclose(data.ratings[panel].mean(axis=0), one)


def test_panels_differ_in_size_by_one_at_most_whatever_the_order_of_rows():
    data = draw_data(has_text=False, per_post=7)
    ratings = np.arange(len(data.ratings), dtype=float)[:, None] ** 2
    order = np.random.default_rng(3).permutation(len(ratings))
    data = replace(data, ratings=ratings[order], raters=data.raters[order], posts=data.posts[order])
    shown = fit_panel(data).predict(data.raters, data.posts)
    for post in range(data.n_posts):
        _, sizes = np.unique(shown[data.posts == post], return_counts=True)
        assert sorted(sizes) == [3, 4]


def test_somebody_who_did_not_rate_the_post_is_shown_the_mean_of_all():
    data = draw_data(has_text=False)
    consensus = fit_panel(data)
    stranger = np.setdiff1d(np.arange(10), data.raters[data.posts == 3])[:1]
    np.testing.assert_allclose(
        consensus.predict(stranger, np.array([3])), [data.ratings[data.posts == 3].mean(axis=0)]
    )


def test_the_only_rater_of_a_post_is_shown_nothing():
    consensus = PanelConsensus(rng=np.random.default_rng(0)).fit(
        np.array([0, 0, 1]), np.array([[5.0], [1.0], [2.0]]), np.array([0, 1, 1]), 2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            consensus.predict(np.array([0, 0, 1]), np.array([0, 1, 1])), [[NAN], [2], [1]]
        )
