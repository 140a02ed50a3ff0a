"""An honest fit passes; every leak that is planted here is found by the check that it is named with."""

from dataclasses import replace

import numpy as np
import pytest

from modeling.estimators import audit as auditing
from modeling.estimators import fitting, plan, units
from modeling.estimators.audit import (
    ANSWERS,
    CHECKS,
    CONTROL,
    GIVEN_AWAY,
    HELD_OUT,
    NULL_STUDY,
    OWN_RATING,
    SET_APART,
    audit,
    cheap_settings,
)
from modeling.estimators.consensus import build_text_regressor, mean_ratings
from modeling.estimators.members import forest
from modeling.estimators.members.history import mean_residuals
from modeling.estimators.prepared import prepare
from tests.modeling.estimators.data import draw_data

TINY = replace(
    cheap_settings(method="forest"), n_trees=8, n_consensus_folds=2, n_inner_trees=2, n_calibration_cells=4
)
SMALL = {"n_raters": 8, "n_posts": 12}
STUDIES = {
    "text and answers": {},
    "text": {"has_answers": False},
    "answers": {"has_text": False},
    "ratings alone": {"has_text": False, "has_answers": False},
    "dense with text": {"per_post": None, "has_answers": False},
    "dense": {"per_post": None, "has_answers": False, "has_text": False},
}


def fit_after(leaky_prepare):
    """A fit that is honest but for how it prepares."""

    def leaky_fit(data, settings):
        ready = leaky_prepare(data, settings)
        pieces = {
            unit.name: units.do_unit(ready, settings, unit) for unit in units.list_units(ready, settings)
        }
        result = fitting.assemble(ready, settings, pieces)
        # A consensus may be planted with more columns than there are values.
        tables = {
            name: {key: table[:, : data.ratings.shape[1]] for key, table in getattr(result, name).items()}
            for name in ("predictions", "new_predictions")
        }
        return replace(result, **tables)

    return leaky_fit


def audit_prepared(data, leaky_prepare, checks):
    return audit(data, TINY, fit=fit_after(leaky_prepare), prepare=leaky_prepare, checks=checks)


def finding_of(found, name):
    (finding,) = [each for each in found.findings if each.name == name]
    return finding


def mean_of_others(data):
    ratings = data.ratings
    totals, counts = np.zeros((data.n_posts, ratings.shape[1])), np.bincount(data.posts)
    np.add.at(totals, data.posts, ratings)
    return (totals[data.posts] - ratings) / (counts[data.posts] - 1)[:, None]


def mean_of_raters(data):
    totals, counts = np.zeros((data.n_raters, data.ratings.shape[1])), np.bincount(data.raters)
    np.add.at(totals, data.raters, data.ratings)
    return totals / counts[:, None]


def spread_of_posts(data):
    means = mean_ratings(data.ratings, data.posts, data.n_posts)
    return np.sqrt(mean_ratings(np.square(data.ratings - means[data.posts]), data.posts, data.n_posts))


# ---- honest


@pytest.mark.parametrize(("study", "seed"), [(study, seed) for seed, study in enumerate(STUDIES, start=1)])
def test_an_honest_fit_passes(study, seed):
    found = audit(draw_data(seed=seed, **SMALL, **STUDIES[study]), replace(TINY, seed=seed))
    assert found.passed, [finding.sentence for finding in found.findings if finding.passed is False]
    assert [finding.name for finding in found.findings] == list(CHECKS)


@pytest.mark.parametrize("method", ["blend", "mixed", "consensus"])
def test_every_method_passes(method):
    found = audit(draw_data(), replace(TINY, method=method), checks=(HELD_OUT, SET_APART))
    assert [finding.passed for finding in found.findings] == [True, True]


@pytest.mark.parametrize("per_post", [1, 2])
def test_what_cannot_be_checked_is_neither_passed_nor_failed(per_post):
    data = draw_data(n_raters=4, per_post=per_post, has_answers=False)
    found = audit(data, TINY, checks=(SET_APART, NULL_STUDY, GIVEN_AWAY, ANSWERS))
    assert found.passed
    assert finding_of(found, SET_APART).passed is None
    assert finding_of(found, ANSWERS).sentence == "There are no answers, so there is nothing to check."
    alone = finding_of(found, NULL_STUDY)
    assert (alone.passed is None) == (per_post == 1)
    assert np.isnan(alone.limit) == (per_post == 1)
    assert finding_of(found, GIVEN_AWAY).passed is None


def test_values_that_were_not_shown_are_no_obstacle():
    data = draw_data(has_text=False)
    ratings = data.ratings.copy()
    ratings[data.raters == 3, 1] = np.nan
    assert audit(replace(data, ratings=ratings), TINY).passed


def test_a_seed_repeats_an_audit():
    data, checks = draw_data(has_text=False), (NULL_STUDY, OWN_RATING)
    assert audit(data, TINY, checks=checks) == audit(data, TINY, checks=checks)


def test_checks_can_be_chosen_and_only_those_there_are():
    told = []
    found = audit(draw_data(), TINY, checks=[ANSWERS], report=told.append)
    assert told == [ANSWERS] == [finding.name for finding in found.findings]
    with pytest.raises(ValueError, match="there is no check guess; there are held-out ratings, raters"):
        audit(draw_data(), TINY, checks=["guess"])


# ---- planted


def others_mean(data, settings):
    means = mean_of_others(data)
    return replace(prepare(data, settings), consensus=means, consensus_apart=means)


def with_spread(data, settings):
    """The spread of all ratings of a post, the scored one among them, beside the consensus."""
    ready, spread = prepare(data, settings), spread_of_posts(data)[data.posts]
    return replace(
        ready,
        consensus=np.hstack([ready.consensus, spread]),
        consensus_apart=np.hstack([ready.consensus_apart, spread]),
    )


def with_spread_of_others_mean(data, settings):
    both = np.hstack([mean_of_others(data), spread_of_posts(data)[data.posts]])
    return replace(prepare(data, settings), consensus=both, consensus_apart=both)


def profile_of_all_rows(data, settings):
    ready = prepare(data, settings)
    return replace(ready, answers=mean_of_raters(replace(data, ratings=data.ratings - ready.consensus)))


def text_in_fold(data, settings):
    """The text model says of the posts that it was fitted to what it was fitted to."""
    ready = prepare(data, settings)
    seen = np.flatnonzero(ready.to_fit)
    means = mean_ratings(data.ratings, data.posts, data.n_posts)
    reader = build_text_regressor().fit([data.texts[post] for post in seen], means[seen])
    said = np.clip(reader.predict(data.texts), *data.scale)[data.posts]
    return replace(ready, consensus=said)


def oracle(data, settings):
    means = mean_ratings(data.ratings, data.posts, data.n_posts)[data.posts]
    return replace(prepare(data, settings), consensus=means)


def answers_of_ratings(data, settings):
    return prepare(replace(data, answers=mean_of_raters(data)), settings)


def met_before(data, settings):
    ready = prepare(data, settings)
    return replace(ready, consensus_apart=ready.consensus)


NO_TEXT, NO_ANSWERS = {"has_text": False}, {"has_answers": False}
LEAKS = {
    "mean of all others as the consensus": (others_mean, NO_TEXT, {SET_APART, GIVEN_AWAY}),
    "spread of a post beside its text": (with_spread, {}, {HELD_OUT, SET_APART, OWN_RATING}),
    "spread of a post beside a panel": (with_spread, NO_TEXT, {HELD_OUT, SET_APART, OWN_RATING}),
    "spread beside the mean of all others": (
        with_spread_of_others_mean,
        NO_TEXT,
        {HELD_OUT, SET_APART, OWN_RATING},
    ),
    "profile of all rows": (profile_of_all_rows, NO_ANSWERS, {HELD_OUT, OWN_RATING}),
    "profile of all rows beside a panel": (
        profile_of_all_rows,
        NO_TEXT | NO_ANSWERS,
        {HELD_OUT, OWN_RATING},
    ),
    "text model in its own fold": (text_in_fold, {}, {OWN_RATING}),
    "mean rating for the text's": (oracle, {}, {HELD_OUT, OWN_RATING}),
    "mean rating for the panel's": (oracle, NO_TEXT, {HELD_OUT, OWN_RATING}),
    "mean ratings for answers": (answers_of_ratings, {}, {HELD_OUT, SET_APART, OWN_RATING}),
    "new raters in the consensus": (met_before, NO_TEXT, {SET_APART}),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(leak):
    leaky_prepare, data, expected = LEAKS[leak]
    found = audit_prepared(draw_data(seed=5, **data), leaky_prepare, expected)
    assert set(found.failed) == expected
    assert not found.passed


def test_a_mean_of_others_makes_a_triumph_of_nothing_with_new_raters():
    """Nothing tells raters apart here, yet beside rows of the same post the mean of others says who gave what."""
    data = draw_data(n_raters=24, n_posts=40, per_post=8, has_text=False, seed=5)
    leaky, honest = audit_prepared(data, others_mean, [NULL_STUDY]), audit(data, TINY, checks=[NULL_STUDY])
    assert leaky.failed == (NULL_STUDY,)
    assert finding_of(leaky, NULL_STUDY).measured > 1.5 * finding_of(leaky, NULL_STUDY).limit
    assert "new raters" in finding_of(leaky, NULL_STUDY).sentence
    assert honest.passed


def test_answers_made_of_the_ratings_before_the_fit_are_found():
    data = draw_data()
    found = audit(replace(data, answers=mean_of_raters(data)), TINY, checks=(HELD_OUT, ANSWERS))
    assert found.failed == (ANSWERS,)
    assert "'question " in finding_of(found, ANSWERS).sentence


def test_a_control_that_knows_the_person_is_found(monkeypatch):
    monkeypatch.setitem(units._SEES, plan.PERMUTED, "both")
    found = audit(draw_data(has_text=False), TINY, checks=(NULL_STUDY, CONTROL))
    assert found.failed == (CONTROL,)


def test_a_history_with_the_own_rating_is_found(monkeypatch):
    def whole_history(rows, *, seed):
        per_rater = mean_residuals(rows, seed=seed)[1]
        return per_rater[rows.raters], per_rater

    for module in (forest, auditing):
        monkeypatch.setattr(module, "mean_residuals", whole_history)
    found = audit(draw_data(has_text=False, has_answers=False), TINY, checks=(HELD_OUT, OWN_RATING))
    assert found.failed == (OWN_RATING,)


def test_held_out_rows_that_are_fitted_to_are_found(monkeypatch):
    honest_plan = plan.plan_tasks

    def with_some_held_out_rows(ready, settings):
        tasks = honest_plan(ready, settings)
        main = tasks[plan.MAIN]
        tasks[plan.MAIN] = replace(main, fit_rows=np.concatenate([main.fit_rows, main.predict_rows[::4]]))
        return tasks

    for module in (fitting, units, auditing):
        monkeypatch.setattr(module, "plan_tasks", with_some_held_out_rows)
    found = audit(draw_data(), TINY, checks=(HELD_OUT, SET_APART, OWN_RATING))
    assert found.failed == (HELD_OUT,)
