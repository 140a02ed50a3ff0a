from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from modeling.estimators import fitting
from modeling.estimators.fitting import FitSettings, fit
from modeling.stats.agreement import human_model
from tests.modeling.estimators.data import TINY, draw_data

NAN = np.nan


def assert_same_predictions(one, other):
    assert one.predictions.keys() == other.predictions.keys()
    for name, predicted in one.predictions.items():
        np.testing.assert_array_equal(other.predictions[name], predicted, err_msg=name)
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.consensus_scores, other.consensus_scores)


def notes_of(result):
    return " ".join(result.notes)


@pytest.fixture(scope="module")
def data():
    return draw_data()


@pytest.fixture(scope="module")
def fitted(data):
    return fit(data, TINY)


@pytest.mark.parametrize("has_text", [True, False])
@pytest.mark.parametrize("has_answers", [True, False])
@pytest.mark.parametrize("per_post", [5, None])
def test_posts_are_held_out_never_single_ratings(has_text, has_answers, per_post, monkeypatch):
    data = draw_data(has_text=has_text, has_answers=has_answers, per_post=per_post)
    fitted_rows = []
    honest = fitting.ForestPerValue.fit_predict

    def watch(self, features, ratings, wanted, **options):
        fitted_rows.append(len(features))
        return honest(self, features, ratings, wanted, **options)

    monkeypatch.setattr(fitting.ForestPerValue, "fit_predict", watch)
    result = fit(data, TINY)
    to_fit = ~result.held_out & ~result.set_aside
    assert result.held_out.any() and to_fit.any()
    assert not (result.held_out & result.set_aside).any()
    assert not to_fit[data.posts[result.test_rows]].any()
    # All rows of a post lie on one side, and the forests were given those of the other side alone.
    np.testing.assert_array_equal(result.test_rows, np.flatnonzero(result.held_out[data.posts]))
    assert fitted_rows == [to_fit[data.posts].sum()] * 2
    for predicted in result.predictions.values():
        assert predicted.shape == (len(result.test_rows), 3)
        assert not np.isnan(predicted).any()
    np.testing.assert_array_equal(result.scored_posts, np.flatnonzero(result.held_out))
    assert result.scores.shape == (10, result.held_out.sum(), 3)
    n_features = 3 + (4 if result.set_aside.any() else 3)
    assert len(result.feature_names) == n_features
    assert result.importances.shape == (3, n_features)  # of the forests that know the person
    np.testing.assert_allclose(result.importances.sum(axis=1), 1)


@given(st.integers(0, 4), st.lists(st.integers(0, 6), min_size=15, max_size=15))
@examples(max_examples=8)
def test_ratings_of_a_held_out_post_change_no_prediction(data, fitted, nth, ratings):
    post = np.flatnonzero(fitted.held_out)[nth % fitted.held_out.sum()]
    changed = data.ratings.copy()
    changed[data.posts == post] = np.reshape(ratings, (5, 3))
    assert_same_predictions(fitted, fit(replace(data, ratings=changed), TINY))


@pytest.mark.parametrize("per_post", [5, None])
def test_without_a_questionnaire_held_out_ratings_change_no_prediction_either(per_post):
    data = draw_data(has_answers=False, per_post=per_post)
    result = fit(data, TINY)
    changed = np.where(result.held_out[data.posts][:, None], 6 - data.ratings, data.ratings)
    assert_same_predictions(result, fit(replace(data, ratings=changed), TINY))


def test_ratings_to_fit_to_do_change_predictions(data, fitted):
    changed = np.where(fitted.held_out[data.posts][:, None], data.ratings, 6 - data.ratings)
    again = fit(replace(data, ratings=changed), TINY)
    assert not np.array_equal(again.predictions["personalized"], fitted.predictions["personalized"])


@given(st.integers(0, 79), st.integers(0, 6))
@examples(max_examples=8)
def test_with_panels_and_residuals_no_feature_of_a_row_holds_its_own_rating(row, rating):
    data = draw_data(has_text=False, has_answers=False)
    changed = data.ratings.copy()
    changed[row] = rating
    rows = [describe_rows(each)[row] for each in (data, replace(data, ratings=changed))]
    np.testing.assert_array_equal(rows[0], rows[1])


def describe_rows(data, seed=3):
    """The features of each row as `fit` makes them."""
    to_fit = np.arange(data.n_posts) < 11
    nobody = np.zeros(data.n_posts, bool)
    consensus_rng, calibration_rng = np.random.default_rng(seed).spawn(2)
    seen = fitting._fit_consensus(data, to_fit, TINY, consensus_rng).predict(data.raters, data.posts)
    return np.hstack(
        [seen, fitting._describe_raters(data, seen, to_fit, nobody, TINY, calibration_rng).per_row]
    )


class Oracle:
    """A consensus that knows what it must not know."""

    name = "text"
    description = "a leak"

    def __init__(self, data):
        self.known = {
            (rater, post): row for rater, post, row in zip(data.raters, data.posts, data.ratings, strict=True)
        }
        self.post_scores_ = np.zeros((data.n_posts, 3))
        self.out_of_fold_ = np.zeros(data.n_posts, bool)

    def predict(self, raters, posts):
        mean = np.full(3, 3.0)
        return np.array([self.known.get(pair, mean) for pair in zip(raters, posts, strict=True)])


def test_a_leak_would_show_as_a_rho_near_one(monkeypatch):
    data = draw_data(n_raters=20, n_posts=40, per_post=10, n_values=3)
    settings = replace(TINY, n_trees=40, max_features=1.0, min_rows_in_leaf=1)

    def judge():
        result = fit(data, settings)
        rows = result.test_rows
        return human_model(data.ratings[rows], data.posts[rows], result.predictions["personalized"], 40).rho

    honest = judge()
    monkeypatch.setattr(fitting, "_fit_consensus", lambda *args: Oracle(data))
    assert judge() > 0.97 > 0.9 > honest > 0.3


@pytest.mark.parametrize("has_answers", [True, False])
def test_the_scores_of_all_pairs_hold_the_predictions_of_those_that_were_asked(has_answers):
    data = draw_data(has_answers=has_answers)
    result = fit(data, TINY)
    place = {post: index for index, post in enumerate(result.scored_posts)}
    posts = [place[post] for post in data.posts[result.test_rows]]
    scores = result.scores[data.raters[result.test_rows], posts]
    np.testing.assert_array_equal(scores, result.predictions["personalized"].astype(np.float32))


def test_noise_is_not_predicted():
    rng = np.random.default_rng(5)
    data = draw_data(n_raters=20, n_posts=60, per_post=8, n_values=6)
    noise = replace(data, ratings=rng.integers(0, 7, data.ratings.shape).astype(float))
    for has_text, has_answers in [(True, True), (True, False), (False, True), (False, False)]:
        result = fit(
            replace(
                noise,
                texts=data.texts if has_text else ("",) * 60,
                answers=data.answers if has_answers else None,
            ),
            TINY,
        )
        rows = result.test_rows
        rho = human_model(noise.ratings[rows], noise.posts[rows], result.predictions["personalized"], 60).rho
        assert abs(rho) < 0.12  # about three standard errors of 17 posts with 8 raters


def test_knowing_the_person_helps_where_people_differ():
    data = draw_data(n_raters=30, n_posts=60, per_post=10, n_values=5)
    result = fit(data, replace(TINY, n_trees=40))
    rows = result.test_rows
    rho = {
        name: human_model(data.ratings[rows], data.posts[rows], predicted, 60).rho
        for name, predicted in result.predictions.items()
    }
    assert rho["personalized"] > rho["text_forest"] + 0.1
    assert rho["personalized"] > rho["text"] + 0.1


def test_a_seed_repeats_a_fit_exactly_whatever_the_number_of_threads(data, fitted, monkeypatch):
    assert_same_predictions(fitted, fit(data, TINY))
    honest = fitting.ForestPerValue.__init__

    def single(self, **settings):
        honest(self, **settings, n_jobs=1)

    monkeypatch.setattr(fitting.ForestPerValue, "__init__", single)
    assert_same_predictions(fitted, fit(data, TINY))
    other = fit(data, replace(TINY, seed=5))
    assert not np.array_equal(other.held_out, fitted.held_out)


def test_a_dense_study_without_questionnaire_sets_posts_aside_that_are_neither_fitted_nor_scored():
    data = draw_data(per_post=None, has_answers=False)
    result = fit(data, TINY)
    assert result.set_aside.sum() == round(0.35 * 16)
    chosen = [name for name in result.feature_names if name.startswith("post ")]
    assert len(chosen) == 4
    for name in chosen:
        assert result.set_aside[int(name.removeprefix("post ").split(":")[0])]
    assert not result.set_aside[data.posts[result.test_rows]].any()
    assert not result.set_aside[result.scored_posts].any()
    assert "set aside as calibration; they are neither fitted nor scored" in notes_of(result)


def test_ratings_of_posts_set_aside_do_reach_the_person(data):
    data = draw_data(per_post=None, has_answers=False)
    result = fit(data, TINY)
    changed = np.where(result.set_aside[data.posts][:, None], 6 - data.ratings, data.ratings)
    changed[data.raters == 0] = data.ratings[data.raters == 0]
    again = fit(replace(data, ratings=changed), TINY)
    np.testing.assert_array_equal(again.predictions["text"], result.predictions["text"])
    assert not np.array_equal(again.predictions["personalized"], result.predictions["personalized"])


def test_a_dense_study_with_a_questionnaire_sets_nothing_aside():
    result = fit(draw_data(per_post=None), TINY)
    assert not result.set_aside.any()
    assert "questionnaire of 3 questions" in notes_of(result)


def test_a_sparse_study_without_questionnaire_falls_back_on_residuals_and_says_so():
    result = fit(draw_data(has_answers=False), TINY)
    assert not result.set_aside.any()
    assert sum(name.startswith("mean residual") for name in result.feature_names) == 3
    assert "Calibration: the rater's mean residual per value on the posts to fit to" in notes_of(result)


def test_posts_without_text_fall_back_on_a_panel_and_say_so():
    result = fit(draw_data(has_text=False), TINY)
    assert result.consensus_name == "panel"
    assert set(result.predictions) == {"panel", "panel_forest", "personalized"}
    assert "mean of other raters" in notes_of(result)
    assert "because the posts have no text" in notes_of(result)


def test_the_notes_count_posts_gaps_blank_texts_and_lonely_raters(data):
    answers = data.answers.copy()
    answers[1, :2] = NAN
    result = fit(replace(data, answers=answers, texts=("", *data.texts[1:])), TINY)
    assert "What the model could see: the ratings of 12 posts; 4 posts were held out" in notes_of(result)
    assert "2 calibration answers are missing" in notes_of(result)
    assert "1 posts have no text" in notes_of(result)
    alone = draw_data(has_text=False, per_post=1)
    assert "16 annotations have no other rater" in notes_of(fit(alone, TINY))


def test_values_that_were_not_shown_are_left_out_and_the_rest_is_fitted(data):
    ratings = data.ratings.copy()
    ratings[data.raters == 3, 1] = NAN
    result = fit(replace(data, ratings=ratings), TINY)
    assert not np.isnan(result.predictions["personalized"]).any()


@pytest.mark.parametrize("has_text", [True, False])
def test_a_value_that_nobody_rated_is_named(data, has_text):
    ratings = data.ratings.copy()
    ratings[:, 1] = NAN
    texts = data.texts if has_text else ("",) * 16
    with pytest.raises(ValueError, match="no post to fit to has a rating of value_1; load more"):
        fit(replace(data, ratings=ratings, texts=texts), TINY)


@pytest.mark.parametrize("has_text", [True, False])
@pytest.mark.parametrize("has_answers", [True, False])
@pytest.mark.parametrize("per_post", [1, 2])
def test_two_raters_are_enough(has_text, has_answers, per_post):
    data = draw_data(n_raters=2, per_post=per_post, has_text=has_text, has_answers=has_answers)
    result = fit(data, TINY)
    assert not np.isnan(result.predictions["personalized"]).any()


@pytest.mark.parametrize("has_text", [True, False])
@pytest.mark.parametrize("has_answers", [True, False])
def test_constant_ratings_are_predicted_as_such(data, has_text, has_answers):
    flat = replace(
        data,
        ratings=np.full_like(data.ratings, 2),
        texts=data.texts if has_text else ("",) * 16,
        answers=data.answers if has_answers else None,
    )
    np.testing.assert_allclose(fit(flat, TINY).predictions["personalized"], 2)


def test_a_dense_study_of_constant_ratings_is_refused_with_the_reason():
    data = draw_data(per_post=None, has_answers=False)
    with pytest.raises(ValueError, match="all raters gave the same ratings"):
        fit(replace(data, ratings=np.full_like(data.ratings, 2)), TINY)


@pytest.mark.parametrize("has_text", [True, False])
@pytest.mark.parametrize("per_post", [5, None])
def test_one_value_is_enough(has_text, per_post):
    data = draw_data(n_values=1, has_text=has_text, has_answers=False, per_post=per_post)
    assert fit(data, TINY).predictions["personalized"].shape[1] == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"holdout_share": 2}, "between 0 and 1"),
        ({"n_trees": 0}, "n_estimators"),
        ({"n_consensus_folds": 1}, "folds"),
    ],
)
def test_a_setting_out_of_range_is_refused(data, changed, message):
    with pytest.raises(ValueError, match=message):
        fit(data, replace(TINY, **changed))


def test_progress_is_reported_from_nought_to_all(data):
    told = []
    fit(data, TINY, report=lambda done, total, note: told.append((done, total, note)))
    assert [done for done, _, _ in told] == list(range(8))
    assert {total for _, total, _ in told} == {7}
    assert told[-1][2] == "value 3 of 3 without the person"


def test_the_defaults_are_the_founding_papers():
    settings = FitSettings()
    assert (settings.n_trees, settings.max_features, settings.min_rows_in_leaf) == (500, 1 / 3, 5)
