import math

import numpy as np
import pytest
from scipy import stats

from annotation.models import Annotation, Assignment, Enrollment, Exclusion, Outcome, Rater
from annotation.tree.walk import CHOSEN, IMPLIED
from modeling import readings
from modeling.inclusion import DEFAULT, InclusionRule, Raters
from modeling.models import FitRun, PostScore, QualityFlag
from modeling.quality.rules import RULES
from modeling.readings import (
    Reading,
    compare_values,
    explain_absence,
    find_model_scores,
    list_onlookers,
    measure_habit,
    measure_spread,
    read_post,
    read_rater,
    spearman,
)
from tests.modeling.rated_by_hand import make_study, rate
from tests.modeling.watching.people import come, complete, read_posts

# --- the correlation ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_values", [2, 3, 7, 19])
@pytest.mark.parametrize("n_levels", [2, 7, 100])
def test_rho_is_scipys_with_ties_and_with_missing_values(n_values, n_levels):
    rng = np.random.default_rng(7)
    n_compared = 0
    for share_missing in (0.0, 0.3):
        for _ in range(25):
            a, b = rng.integers(0, n_levels, (2, n_values))
            gone = rng.random((2, n_values)) < share_missing
            first = [None if out else int(x) for x, out in zip(a, gone[0], strict=True)]
            second = [None if out else int(x) for x, out in zip(b, gone[1], strict=True)]
            both = ~gone.any(axis=0)
            rho = spearman(first, second)
            assert spearman(second, first) == rho
            if both.sum() < 2 or len(set(a[both])) == 1 or len(set(b[both])) == 1:
                assert rho is None
                continue
            assert rho == pytest.approx(stats.spearmanr(a[both], b[both]).statistic, abs=1e-12)
            n_compared += 1
    assert n_compared > 3


def test_equal_and_reversed_orders_are_exactly_one_and_minus_one():
    assert spearman([0, 0, 3, 6, 5], [1, 1, 2, 4, 3]) == 1.0
    assert spearman([0, 1, 2, 3], [6, 5, 4, 1]) == -1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([2, 2, 2], [1, 2, 3]),
        ([1, 2, 3], [0, 0, 0]),
        ([1, None], [2, 3]),
        ([], []),
        ([5, 1, None], [3, 3, 1]),
    ],
)
def test_where_one_side_is_constant_or_too_little_is_shared_there_is_no_rho(first, second):
    assert spearman(first, second) is None


def test_vectors_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="3 and 2 values"):
        spearman([1, 2, 3], [1, 2])


# --- one post ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_who_counts_comes_first_and_the_others_say_why_they_do_not():
    study = make_study()
    rate(study, (1, 1, 1), phase=Enrollment.Phase.REHEARSAL, origin=Rater.Origin.TEST)
    excluded = rate(study, (2, 2, 2))
    Exclusion.objects.create(enrollment=excluded, reason="careless")
    rate(study, (3, 3, 3), person=come(study))
    rate(study, (4, 4, 4), phase=Enrollment.Phase.PILOT)
    counted = rate(study, (5, 5, 5))
    rate(study, None, (6, 6, 6))  # another post
    rows = read_post(study, study.posts.get(key="p1"), DEFAULT)
    assert [(row.ratings[0], row.why_not) for row in rows] == [
        (5, ""),
        (1, "a rehearsal"),
        (2, "excluded"),
        (3, "did not complete the study"),
        (4, "the pilot"),
    ]
    assert rows[0].pseudonym == counted.rater.pseudonym
    assert rows[1].untold == ""  # the kind, 'Rehearsal', says it
    assert rows[2].untold == "excluded"


@pytest.mark.django_db
def test_another_rule_counts_others():
    study = make_study()
    rate(study, (4, 4, 4), phase=Enrollment.Phase.PILOT)
    rows = read_post(study, study.posts.get(key="p1"), InclusionRule(with_pilot=True))
    assert [row.why_not for row in rows] == [""]


@pytest.mark.django_db
def test_reasons_of_rules_that_leave_more_people_out():
    study = make_study()
    late = complete(study)
    late.timed_out_at = late.finished_at
    assert explain_absence(late, InclusionRule(with_timed_out=False)) == "ran out of time"
    machine = complete(study, origin=Rater.Origin.SIMULATED)
    assert explain_absence(machine, InclusionRule(raters=Raters.PEOPLE)) == "simulated"
    assert explain_absence(complete(study), InclusionRule(raters=Raters.SIMULATED)) == "not simulated"
    person = rate(study, (1, 2, 3))
    QualityFlag.objects.create(enrollment=person, rule=RULES[0].key, number=1, limit=1)
    rows = read_post(study, study.posts.get(key="p1"), InclusionRule(without_flags=(RULES[0].key,)))
    assert [row.why_not for row in rows] == ["flagged"]


@pytest.mark.django_db
def test_a_spread_leaves_out_what_was_not_shown_and_counts_what_was_implied():
    study = make_study()
    rate(study, (0, 2, None))
    rate(study, (4, 2, None))
    third = rate(study, (0, None, None))
    Annotation.objects.filter(enrollment=third).update(codes=(IMPLIED, 0, 0))
    rows = read_post(study, study.posts.get(key="p1"), DEFAULT)
    first, second, last = (measure_spread(rows, place) for place in range(3))
    assert (first.n, first.n_implied) == (3, 1)
    assert first.mean == pytest.approx(4 / 3)
    assert first.sd == pytest.approx(np.std([0, 4, 0], ddof=1))
    assert (second.n, second.mean, second.sd) == (2, 2.0, 0.0)
    assert (last.n, last.mean, last.sd) == (0, None, None)


def test_one_rating_has_no_deviation():
    reading = Reading(1, None, "", (3,), (CHOSEN,), "", "")
    assert measure_spread([reading], 0).sd is None


@pytest.mark.django_db
def test_who_was_given_a_post_without_rating_it_is_listed():
    study = make_study()
    post = study.posts.get(key="p1")
    step = study.steps.get(kind="labeling")
    read_posts(complete(study), [post])
    has_it, gave_back = come(study), come(study)
    Assignment.objects.create(enrollment=has_it, step=step, post=post, position=1)
    Assignment.objects.create(enrollment=gave_back, step=step, post=post, position=1, status="released")
    assert [(each.pseudonym, each.has_it_open) for each in list_onlookers(study, post)] == [
        (gave_back.rater.pseudonym, False),
        (has_it.rater.pseudonym, True),
    ]


def make_fit(study, *, outdated=None, settings=None):
    return FitRun.objects.create(
        study=study,
        key=f"{study.slug}-{study.fit_runs.count()}",
        settings=settings or {},
        data_hash="",
        code_version="",
        consensus_name="",
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=1,
        n_annotations=1,
        has_simulated=False,
        outdated_at=outdated,
    )


@pytest.mark.django_db
def test_a_model_says_what_the_newest_valid_fit_by_the_same_rule_says():
    study = make_study()
    post = study.posts.get(key="p1")
    assert find_model_scores(study, post, DEFAULT) is None
    fit = make_fit(study)
    assert find_model_scores(study, post, DEFAULT).scores is None
    PostScore.objects.create(fit_run=fit, post=post, scores=(1.5, 2.5, 0.5), is_out_of_fold=True)
    newer = make_fit(study, outdated=complete(study).finished_at)
    PostScore.objects.create(fit_run=newer, post=post, scores=(6, 6, 6), is_out_of_fold=False)
    make_fit(study, settings={"inclusion": InclusionRule(with_pilot=True).as_dict()})
    says = find_model_scores(study, post, DEFAULT)
    assert (says.fit_id, says.scores, says.is_out_of_fold) == (fit.pk, (1.5, 2.5, 0.5), True)


# --- one rater ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_rater_is_compared_with_the_others_of_the_same_posts():
    study = make_study()
    person = rate(study, (0, 3, 6), (1, 1, 1), (0, 0, 5))
    rate(study, (0, 2, 5), (1, 2, 3))
    rate(study, (6, 3, 0))
    Exclusion.objects.create(enrollment=rate(study, (6, 6, 6)), reason="does not count")
    found = read_rater(person, DEFAULT)
    by_key = {post.key: post for post in found.posts}
    assert by_key["p1"].rhos == [1.0, -1.0]
    assert by_key["p1"].others == (3.0, 2.5, 2.5)
    assert by_key["p1"].difference == pytest.approx((3 + 0.5 + 3.5) / 3)
    assert by_key["p1"].gaps[0] == (3.5, 2)
    assert (by_key["p2"].rho, by_key["p2"].n_undefined) == (None, 1)  # this rater's answer is constant
    assert (by_key["p3"].n_others, by_key["p3"].difference) == (0, None)
    assert [post.key for post in found.posts] == ["p1", "p2", "p3"]  # the most different first
    assert (found.rho, found.n_pairs, found.n_defined, found.n_undefined) == (0.0, 3, 2, 1)
    assert found.n_left_out == 0


@pytest.mark.django_db
def test_the_place_is_the_share_of_the_others_who_agree_less_on_these_posts():
    study = make_study(posts=1)
    person = rate(study, (0, 3, 6))
    rate(study, (1, 2, 3))  # as this rater
    rate(study, (6, 3, 0))  # the other way round
    place = read_rater(person, DEFAULT).place
    # Means: this rater 0 (1, -1), the second 0 (1, -1), the third -1: one below, one equal.
    assert (place.share_below, place.n_others, place.reason) == (0.75, 2, "")


@pytest.mark.django_db
def test_without_others_there_is_no_place_and_no_rho():
    study = make_study()
    found = read_rater(rate(study, (0, 3, 6)), DEFAULT)
    assert (found.rho, found.n_pairs) == (None, 0)
    assert found.place.share_below is None
    assert found.place.reason


@pytest.mark.django_db
def test_of_a_crowd_the_first_are_compared_and_the_rest_is_counted(monkeypatch):
    study = make_study()
    person = rate(study, (0, 3, 6), (0, 3, 6))
    for _ in range(3):
        rate(study, (0, 1, 2), (0, 1, 2))
    rate(study, (2, 1, 0))
    monkeypatch.setattr(readings, "MOST_OTHERS", 2)
    found = read_rater(person, DEFAULT)
    assert found.n_left_out == 2 + 1
    assert {post.key: (post.n_others, post.rhos) for post in found.posts} == {
        "p1": (4, [1.0, 1.0]),
        "p2": (3, [1.0, 1.0]),
    }
    monkeypatch.setattr(readings, "MOST_PAIRS", 5)
    assert read_rater(person, DEFAULT).place.reason == "too many ratings to compare on a page"


@pytest.mark.django_db
def test_two_queries_whatever_a_rater_did(django_assert_num_queries):
    study = make_study(posts=6)
    person = rate(study, *[(0, 3, 6)] * 6)
    for _ in range(4):
        rate(study, *[(1, 1, 2)] * 6)
    person = Enrollment.objects.select_related("study").get(pk=person.pk)
    with django_assert_num_queries(2):
        read_rater(person, DEFAULT)


@pytest.mark.django_db
def test_means_of_a_value_are_of_the_same_posts():
    study = make_study()
    person = rate(study, (2, 0, None), (4, 0, 1), (6, 0, 1))
    rate(study, (0, 0, 6), (2, 0, 3))
    rows = compare_values(read_rater(person, DEFAULT).posts, 3)
    assert (rows[0].own, rows[0].others) == (4.0, 1.0)
    assert rows[0].difference == 3.0
    assert (rows[2].own, rows[2].others) == (1.0, 3.0)  # the first post was not rated for the third value


@pytest.mark.django_db
def test_a_habit_counts_lowest_and_implied_ratings():
    study = make_study()
    person = rate(study, (0, 0, 6), (0, None, 3))
    Annotation.objects.filter(enrollment=person, post__key="p1").update(codes=(IMPLIED, CHOSEN, CHOSEN))
    habit = measure_habit(read_rater(person, DEFAULT).posts, 0)
    assert (habit.n_ratings, habit.n_lowest, habit.n_implied) == (5, 3, 1)
    assert habit.share_lowest == pytest.approx(0.6)
    assert habit.mean == pytest.approx(9 / 5)
    nothing = measure_habit([], 0)
    assert (nothing.share_lowest, nothing.mean) == (None, None)


@pytest.mark.django_db
def test_who_does_not_count_is_compared_with_those_who_do():
    study = make_study()
    person = rate(study, (0, 3, 6), person=come(study, outcome=Outcome.SCREENED_OUT))
    rate(study, (0, 3, 6))
    found = read_rater(person, DEFAULT)
    assert found.rho == 1.0
    assert not math.isnan(found.place.share_below)
