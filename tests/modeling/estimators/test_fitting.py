from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from modeling.estimators.data import METHODS, FitSettings
from modeling.estimators.fitting import assemble, fit
from modeling.estimators.prepared import prepare, unpack
from modeling.estimators.units import do_unit, list_units, unpack_piece
from modeling.stats.agreement import human_model
from tests.modeling.estimators.data import TINY, draw_data

NAN = np.nan
QUICK = replace(TINY, method="forest", n_curve_trees=0)
ALL = ("text", "text_forest", "person", "permuted", "forest", "boosting", "mixed", "level", "personalized")


def assert_same_predictions(one, other):
    for name in ("predictions", "new_predictions"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.keys() == theirs.keys()
        for key, predicted in ours.items():
            np.testing.assert_array_equal(theirs[key], predicted, err_msg=f"{name} {key}")
    np.testing.assert_array_equal(one.prepared.post_scores, other.prepared.post_scores)


def notes_of(result):
    return " ".join(result.notes)


def rho_of(data, result, name="personalized"):
    rows = result.test_rows
    return human_model(data.ratings[rows], data.posts[rows], result.predictions[name], data.n_posts).rho


@pytest.fixture(scope="module")
def data():
    return draw_data()


@pytest.fixture(scope="module")
def blended(data):
    return fit(data, TINY)


@pytest.fixture(scope="module")
def fitted(data):
    return fit(data, QUICK)


def test_a_blend_leaves_every_prediction_that_reports_compare(data, blended):
    assert set(blended.predictions) == set(ALL)
    assert set(blended.new_predictions) == set(ALL) - {"person", "permuted"}
    assert blended.curves.keys() == {"answers", "raters"}
    for predicted in blended.predictions.values():
        assert predicted.shape == (len(blended.test_rows), 3)
    for predicted in [*blended.new_predictions.values(), *blended.curves["answers"].values()]:
        assert predicted.shape == (len(blended.new_rows), 3)
    for (low, high), middle in [
        (blended.intervals, blended.predictions["personalized"]),
        (blended.new_intervals, blended.new_predictions["personalized"]),
    ]:
        assert (low <= middle).all() and (middle <= high).all()
    assert blended.importances.shape == (3, len(blended.feature_names)) == (3, 6)
    arrays = blended.pack()
    assert {f"prediction_{name}" for name in ALL} <= arrays.keys()
    assert {
        "weights_known",
        "weights_new",
        "member_names",
        "curve_answers",
        "curve_answers_3",
    } <= arrays.keys()
    assert not any(array.dtype.hasobject for array in arrays.values())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_serves_itself(data, method):
    result = fit(data, replace(TINY, method=method, n_curve_trees=0))
    if method == "consensus":
        np.testing.assert_array_equal(result.predictions["personalized"], result.predictions["text"])
    elif method != "blend":
        np.testing.assert_array_equal(result.predictions["personalized"], result.predictions[method])
        np.testing.assert_array_equal(result.new_predictions["personalized"], result.new_predictions[method])
    assert "forest" in result.predictions  # the paper's recipe is always there to compare with


def test_steps_done_apart_over_files_come_out_the_same(data, blended):
    prepared = unpack({name: np.array(array) for name, array in prepare(data, TINY).pack().items()})
    units = list_units(prepared, TINY)
    pieces = {
        unit.name: unpack_piece(do_unit(prepared, TINY, unit, n_threads=3).pack()) for unit in reversed(units)
    }
    assert_same_predictions(assemble(prepared, TINY, pieces), blended)


@given(st.integers(0, 4), st.lists(st.integers(0, 6), min_size=15, max_size=15))
@examples(max_examples=6)
def test_ratings_of_a_held_out_post_change_no_prediction(data, fitted, nth, ratings):
    held_out = np.flatnonzero(fitted.prepared.held_out)
    changed = data.ratings.copy()
    changed[data.posts == held_out[nth % len(held_out)]] = np.reshape(ratings, (5, 3))
    assert_same_predictions(fitted, fit(replace(data, ratings=changed), QUICK))


@pytest.mark.parametrize(
    "known",
    [{}, {"has_answers": False}, {"has_answers": False, "per_post": None}],
    ids=["vcq", "sparse", "dense"],
)
def test_no_member_of_the_blend_sees_a_held_out_rating(known):
    data = draw_data(**known)
    result = fit(data, TINY)
    changed = np.where(result.prepared.held_out[data.posts][:, None], 6 - data.ratings, data.ratings)
    assert_same_predictions(result, fit(replace(data, ratings=changed), TINY))


def test_ratings_by_raters_set_apart_change_no_prediction_of_new_raters(data, blended):
    apart = blended.prepared.set_apart[data.raters]
    changed = np.where(apart[:, None], 6 - data.ratings, data.ratings)
    again = fit(replace(data, ratings=changed), TINY)
    for name in (
        "text",
        "text_forest",
        "forest",
        "boosting",
        "mixed",
    ):  # weights are those of the model that serves
        np.testing.assert_array_equal(again.new_predictions[name], blended.new_predictions[name])
    for count, predicted in blended.curves["answers"].items():
        np.testing.assert_array_equal(again.curves["answers"][count], predicted)


def test_ratings_to_fit_to_do_change_predictions(data, fitted):
    changed = np.where(fitted.prepared.held_out[data.posts][:, None], data.ratings, 6 - data.ratings)
    again = fit(replace(data, ratings=changed), QUICK)
    assert not np.array_equal(again.predictions["personalized"], fitted.predictions["personalized"])


def test_noise_is_not_predicted():
    rng = np.random.default_rng(5)
    data = draw_data(n_raters=20, n_posts=60, per_post=8, n_values=6)
    noise = replace(data, ratings=rng.integers(0, 7, data.ratings.shape).astype(float))
    for has_text, has_answers in [(True, True), (True, False), (False, True), (False, False)]:
        one = replace(
            noise,
            texts=data.texts if has_text else ("",) * 60,
            answers=data.answers if has_answers else None,
        )
        assert (
            abs(rho_of(noise, fit(one, QUICK))) < 0.12
        )  # about three standard errors of 17 posts with 8 raters


def test_knowing_the_person_helps_where_people_differ():
    data = draw_data(n_raters=30, n_posts=60, per_post=10, n_values=5)
    result = fit(data, replace(TINY, n_trees=40, n_inner_trees=20, n_curve_trees=20))
    rho = {name: rho_of(data, result, name) for name in result.predictions}
    assert rho["personalized"] > rho["text_forest"] + 0.1
    assert rho["personalized"] > rho["text"] + 0.1
    assert rho["personalized"] >= rho["forest"]
    assert abs(rho["permuted"] - rho["text_forest"]) < 0.1
    new, rows = result.new_predictions, result.new_rows
    gained = {
        count: human_model(data.ratings[rows], data.posts[rows], predicted, 60).rho
        for count, predicted in result.curves["answers"].items()
    }
    assert gained[5] > gained[0] + 0.1
    error = {name: np.abs(predicted - data.ratings[rows]).mean() for name, predicted in new.items()}
    assert error["personalized"] < error["text"]


def test_a_seed_repeats_a_fit_exactly_whatever_the_number_of_threads(data, fitted):
    assert_same_predictions(fitted, fit(data, QUICK, n_threads=3))
    other = fit(data, replace(QUICK, seed=5))
    assert not np.array_equal(other.prepared.held_out, fitted.prepared.held_out)


def test_a_dense_study_without_questionnaire_sets_posts_aside_that_are_neither_fitted_nor_scored():
    data = draw_data(per_post=None, has_answers=False)
    result = fit(data, QUICK)
    set_aside = result.prepared.set_aside
    assert set_aside.sum() == round(0.35 * 16)
    chosen = [name for name in result.feature_names if name.startswith("post ")]
    assert len(chosen) == 4
    for name in chosen:
        assert set_aside[int(name.removeprefix("post ").split(":")[0])]
    assert not set_aside[data.posts[result.test_rows]].any()
    assert not set_aside[data.posts[result.new_rows]].any()
    assert "set aside as calibration; they are neither fitted nor scored" in notes_of(result)


def test_ratings_of_posts_set_aside_do_reach_the_person():
    data = draw_data(per_post=None, has_answers=False)
    result = fit(data, QUICK)
    changed = np.where(result.prepared.set_aside[data.posts][:, None], 6 - data.ratings, data.ratings)
    changed[data.raters == 0] = data.ratings[data.raters == 0]
    again = fit(replace(data, ratings=changed), QUICK)
    np.testing.assert_array_equal(again.predictions["text"], result.predictions["text"])
    assert not np.array_equal(again.predictions["personalized"], result.predictions["personalized"])


def test_a_dense_study_with_a_questionnaire_sets_nothing_aside():
    result = fit(draw_data(per_post=None), QUICK)
    assert not result.prepared.set_aside.any()
    assert "questionnaire of 3 questions" in notes_of(result)


def test_a_sparse_study_without_questionnaire_falls_back_on_residuals_and_says_so():
    result = fit(draw_data(has_answers=False), QUICK)
    assert not result.prepared.set_aside.any()
    assert sum(name.startswith("mean residual") for name in result.feature_names) == 3
    assert "Calibration: none; a rater is known by their mean residual per value" in notes_of(result)
    assert not len(result.new_rows) and not result.new_predictions


def test_posts_without_text_fall_back_on_a_panel_and_say_so():
    result = fit(draw_data(has_text=False), QUICK)
    assert result.prepared.consensus_name == "panel"
    assert {"panel", "panel_forest", "personalized"} <= set(result.predictions)
    assert "mean of other raters" in notes_of(result)
    assert "because the posts have no text" in notes_of(result)


def test_the_notes_count_posts_gaps_blank_texts_and_lonely_raters(data):
    answers = data.answers.copy()
    answers[1, :2] = NAN
    result = fit(replace(data, answers=answers, texts=("", *data.texts[1:])), QUICK)
    assert "What the model could see: the ratings of 12 posts; 4 posts were held out" in notes_of(result)
    assert "2 calibration answers are missing" in notes_of(result)
    assert "1 posts have no text" in notes_of(result)
    alone = draw_data(has_text=False, per_post=1)
    assert "16 annotations have no other rater" in notes_of(fit(alone, QUICK))


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
        fit(replace(data, ratings=ratings, texts=texts), QUICK)


@pytest.mark.parametrize("method", ["forest", "blend"])
@pytest.mark.parametrize(
    "known", [{}, {"has_text": False}, {"has_answers": False}], ids=["all", "no text", "no vcq"]
)
@pytest.mark.parametrize("per_post", [1, 2])
def test_two_raters_are_enough(known, per_post, method):
    data = draw_data(n_raters=2, per_post=per_post, **known)
    result = fit(data, replace(QUICK, method=method))
    is_missing = np.isnan(result.predictions["personalized"])
    # A blend that gave way to the consensus knows nothing of a post that nobody else rated.
    assert (
        is_missing.all()
        if (known, per_post, method) == ({"has_text": False}, 1, "blend")
        else not is_missing.any()
    )


@pytest.mark.parametrize("method", ["forest", "blend"])
@pytest.mark.parametrize(
    "known", [{}, {"has_text": False, "has_answers": False}], ids=["all", "ratings alone"]
)
def test_constant_ratings_are_predicted_as_such(known, method):
    data = draw_data(**known)
    flat = replace(data, ratings=np.full_like(data.ratings, 2))
    predicted = fit(flat, replace(QUICK, method=method)).predictions["personalized"]
    np.testing.assert_allclose(predicted, 2, atol=1e-5)


def test_a_dense_study_of_constant_ratings_is_refused_with_the_reason():
    data = draw_data(per_post=None, has_answers=False)
    with pytest.raises(ValueError, match="all raters gave the same ratings"):
        fit(replace(data, ratings=np.full_like(data.ratings, 2)), QUICK)


@pytest.mark.parametrize("has_text", [True, False])
@pytest.mark.parametrize("per_post", [5, None])
def test_one_value_is_enough(has_text, per_post):
    data = draw_data(n_values=1, has_text=has_text, has_answers=False, per_post=per_post)
    assert fit(data, TINY).predictions["personalized"].shape[1] == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"holdout_share": 2}, "between 0 and 1"),
        ({"n_trees": 0}, "n_trees is 0"),
        ({"n_consensus_folds": 1}, "folds"),
        ({"method": "magic"}, "method is 'magic'; it must be one of blend"),
    ],
)
def test_a_setting_out_of_range_is_refused(data, changed, message):
    with pytest.raises(ValueError, match=message):
        fit(data, replace(QUICK, **changed))


def test_progress_is_reported_from_nought_to_all(data):
    told = []
    fit(data, QUICK, report=lambda done, total, note: told.append((done, total, note)))
    assert [done for done, _, _ in told] == list(range(4))
    assert {total for _, total, _ in told} == {3}
    assert told[0][2] == "forest value_0"


def test_the_defaults_are_the_founding_papers():
    settings = FitSettings()
    assert (settings.n_trees, settings.max_features, settings.min_rows_in_leaf) == (500, 1 / 3, 5)
