from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import Enrollment, Exclusion, Outcome, Rater, Study
from jobs.models import Job
from modeling.models import QualityFlag
from modeling.watching import overview
from modeling.watching.overview import watch
from tests.factories import StepFactory
from tests.modeling.watching.people import (
    ago,
    attempt,
    come,
    complete,
    decide,
    make_study,
    read_posts,
    set_time,
    visit,
)

pytestmark = pytest.mark.django_db


def fresh(study, asked=""):
    overview.memory.clear()
    return watch(study, asked)


def line(seen, label):
    return next(line for line in seen.funnel if line.label == label)


def test_a_study_without_people_has_zeros_and_no_times():
    seen = fresh(make_study())
    assert (seen.head.came, seen.head.inside, seen.head.completed) == (0, 0, 0)
    assert [step.reached for step in seen.funnel] == [0] * 6
    assert seen.total_minutes is None
    assert seen.pay is None
    assert all(step.minutes is None for step in seen.funnel)
    assert seen.coverage.n_posts == 3
    assert [(bar.low, bar.n_posts) for bar in seen.coverage.bars] == [(0, 3)]


def test_a_study_without_steps_and_posts_can_be_watched():
    seen = fresh(make_study(steps=(), posts=0, state=Study.State.DRAFT))
    assert seen.funnel == []
    assert seen.coverage.bars == []
    assert seen.coverage.mean is None


def test_the_funnel_counts_who_reached_finished_and_left_each_step():
    study = make_study()
    complete(study)
    complete(study)
    come(study, outcome=Outcome.NO_CONSENT)
    come(study, took=(1, 2), outcome=Outcome.SCREENED_OUT)
    come(study, took=(1, 2, 3), outcome=Outcome.TIMED_OUT)
    come(study, took=(1, 2, 3), minutes_ago=8)  # finished the gate 2 minutes ago
    come(study, took=(1,), minutes_ago=55)
    come(study, outcome=Outcome.WITHDREW)
    seen = fresh(study)
    assert seen.head.came == 8
    assert seen.head.inside == 2
    assert seen.n_active == 1
    assert [(step.reached, step.finished, step.active, step.quiet) for step in seen.funnel] == [
        (7, 6, 0, 0),  # who withdrew left no trace of where
        (6, 5, 0, 1),
        (5, 4, 0, 0),
        (4, 2, 1, 0),
        (2, 2, 0, 0),
        (2, 2, 0, 0),
    ]
    assert line(seen, "Consent").left == [("No consent", 1)]
    assert line(seen, "Gating").left == [("Screened out", 1)]
    assert line(seen, "Labeling").left == [("Timed out", 1)]
    assert line(seen, "Consent").reached_share == 875
    outcomes = {key: n for key, _, n, _ in seen.outcomes}
    assert outcomes == {"completed": 2, "no_consent": 1, "screened_out": 1, "timed_out": 1, "withdrew": 1}


def test_a_step_put_in_later_is_where_those_inside_stand_and_not_where_the_finished_are():
    study = make_study()
    complete(study)
    come(study, took=(1, 1, 1), minutes_ago=5)
    StepFactory(study=study, position=50, kind="debrief")
    seen = fresh(study)
    assert line(seen, "Debrief").reached == 0
    assert line(seen, "Labeling").active == 1


def test_minutes_of_a_step_run_from_the_end_of_the_one_before_or_from_the_arrival():
    study = make_study()
    for minutes in (1, 2, 3, 4, 5):
        come(study, took=(minutes, 10 * minutes), minutes_ago=200)
    seen = fresh(study)
    consent, training = line(seen, "Consent").minutes, line(seen, "Training").minutes
    assert (consent.n, consent.low, consent.median, consent.high) == pytest.approx((5, 2, 3, 4), abs=0.001)
    assert (training.low, training.median, training.high) == pytest.approx((20, 30, 40), abs=0.001)
    assert line(seen, "Gating").minutes is None


def test_one_person_is_every_quartile():
    study = make_study()
    complete(study, minutes=30)
    total = fresh(study).total_minutes
    assert (total.n, total.low, total.median, total.high) == pytest.approx((1, 30, 30, 30), abs=0.001)


def test_pay_is_that_of_the_median_person_who_completed():
    study = make_study(reward=400)
    for minutes in (20, 30, 90):
        complete(study, minutes=minutes, minutes_ago=200)
    come(study, outcome=Outcome.TIMED_OUT, ended_after=300, minutes_ago=400)
    pay = fresh(study).pay
    assert (pay.hourly, pay.reward, pay.minimum, pay.is_below) == ("£8.00", "£4.00", "£6.00", False)
    assert not pay.is_settled
    study.reward, study.currency = 399, Study.Currency.USD
    pay = fresh(study).pay
    assert (pay.hourly, pay.minimum, pay.fair_reward, pay.is_below) == ("$7.98", "$8.00", "$4.00", True)


def test_without_a_reward_no_pay_is_told():
    study = make_study(reward=None)
    complete(study)
    assert fresh(study).pay is None


def test_rehearsals_and_test_participants_are_never_counted():
    study = make_study(reward=500, target_participants=10)
    for origin in (Rater.Origin.TEST, Rater.Origin.SIMULATED, Rater.Origin.PROLIFIC):
        person = complete(study, phase=Enrollment.Phase.REHEARSAL, origin=origin)
        read_posts(person, study.posts.all())
        decide(person, "attention_check", False)
        attempt(person, "training", "t1", False, True)
    complete(study, origin=Rater.Origin.TEST)
    seen = fresh(study)
    assert seen.head.came == 0
    assert seen.groups == [(seen.group, 0)]
    assert all(step.reached == 0 and step.minutes is None for step in seen.funnel)
    assert seen.coverage.n_ratings == 0
    assert seen.checks.failed_attention == []
    assert seen.checks.training == []
    assert seen.forecast.completed == 0
    assert seen.pay is None


def test_pilot_people_and_simulated_raters_are_groups_apart():
    study = make_study()
    complete(study, minutes=10)
    complete(study, minutes=20, phase=Enrollment.Phase.PILOT)
    complete(study, minutes=20, phase=Enrollment.Phase.PILOT)
    complete(study, minutes=5, origin=Rater.Origin.SIMULATED)
    seen = fresh(study)
    assert [(group.key, n) for group, n in seen.groups] == [("live", 1), ("pilot", 2), ("simulated", 1)]
    assert seen.group.key == "live"
    assert fresh(study, "pilot").total_minutes.median == pytest.approx(20, abs=0.001)
    assert fresh(study, "pilot").head.came == 2
    assert fresh(study, "simulated").head.came == 1
    assert fresh(study, "no such group").group.key == "live"
    study.reward = 100
    assert fresh(study, "simulated").pay is None


def test_a_pilot_is_watched_as_one_and_a_study_of_simulated_raters_shows_them():
    pilot = make_study(state=Study.State.PILOT)
    complete(pilot)
    assert fresh(pilot).group.key == "pilot"
    simulated = make_study()
    complete(simulated, origin=Rater.Origin.SIMULATED)
    assert fresh(simulated).group.key == "simulated"


def test_imported_ratings_have_coverage_and_no_times():
    study = make_study()
    person = come(study, outcome=Outcome.COMPLETED, origin=Rater.Origin.IMPORTED)
    read_posts(person, study.posts.all()[:2])
    seen = fresh(study)
    assert seen.group.key == "imported"
    assert seen.total_minutes is None
    assert seen.coverage.n_ratings == 2


@pytest.mark.parametrize(
    ("minutes_silent", "is_active", "is_silent"), [(9, True, False), (11, False, False), (31, False, True)]
)
def test_any_stored_deed_is_a_sign_of_life(minutes_silent, is_active, is_silent):
    study = make_study()
    person = come(study, minutes_ago=50)
    visit(person, "training", minutes=50 - minutes_silent)
    seen = fresh(study)
    assert (seen.n_active == 1, seen.presence.n_silent == 1) == (is_active, is_silent)
    assert any("silent" in problem.title for problem in seen.problems) == is_silent


def test_who_should_have_been_timed_out_and_was_not_is_a_problem():
    study = make_study(estimated_minutes=5)
    come(study, minutes_ago=study.allowed_minutes + 4)
    assert fresh(study).presence.n_overdue == 0
    come(study, minutes_ago=study.allowed_minutes + 6)
    come(study, minutes_ago=900, timed_out_at=ago(800))  # came back: that is theirs to do
    seen = fresh(study)
    assert seen.presence.n_overdue == 1
    assert any("should have been timed out" in problem.title for problem in seen.problems)


def test_who_ran_out_of_time_and_went_on_is_counted_apart():
    study = make_study()
    complete(study, timed_out_at=ago(5))
    come(study, outcome=Outcome.TIMED_OUT, timed_out_at=ago(5))
    come(study, timed_out_at=ago(5))
    assert fresh(study).head.went_on == 2


def test_checks_are_counted_by_step_and_by_person():
    study = make_study()
    StepFactory(study=study, position=20, kind="attention_check")
    second = study.steps.get(position=20)
    for first_passed, second_passed in ((True, True), (False, True), (False, False)):
        person = complete(study)
        person.gate_decisions.create(
            step=study.steps.get(position=5), passed=first_passed, reason="as it was"
        )
        person.gate_decisions.create(step=second, passed=second_passed, reason="as it was")
        decide(person, "gating", True)
    decide(come(study, outcome=Outcome.SCREENED_OUT), "gating", False)
    checks = fresh(study).checks
    assert [(check.decided, check.failed) for check in checks.attention] == [(3, 2), (3, 1)]
    assert checks.failed_attention == [(1, 1), (2, 1)]
    assert [(gate.decided, gate.passed, gate.passed_share) for gate in checks.gates] == [(4, 3, 0.75)]


def test_practice_is_counted_by_post():
    study = make_study()
    for tries in ((False, False, True), (True,), (False,)):
        attempt(come(study, took=(1,)), "training", "t1", *tries)
    attempt(come(study), "gating", "g1", False)
    checks = fresh(study).checks
    (practice,) = checks.training
    assert (practice.key, practice.right, practice.wrong, practice.wrong_per_person) == ("t1", 2, 3, 1.5)
    (gate,) = checks.gate_posts
    assert (gate.right, gate.wrong, gate.wrong_per_person) == (0, 1, None)


def test_flagged_and_excluded_people_are_counted_once_each():
    study = make_study()
    person = complete(study)
    for rule in ("too_fast", "long_string"):
        QualityFlag.objects.create(enrollment=person, rule=rule, number=1, limit=2)
    Exclusion.objects.create(enrollment=person, reason="Because.")
    other = complete(make_study())
    QualityFlag.objects.create(enrollment=other, rule="too_fast", number=1, limit=2)
    checks = fresh(study).checks
    assert (checks.n_flagged, checks.n_excluded) == (1, 1)


def test_ratings_of_those_who_left_are_not_counted():
    study = make_study(redundancy_cap=2)
    one, two, three = study.posts.order_by("pk")
    read_posts(complete(study), [one, two])
    read_posts(come(study, took=(1, 1, 1)), [one])
    read_posts(come(study, took=(1, 1, 1), outcome=Outcome.TIMED_OUT), [one, three], status="released")
    coverage = fresh(study).coverage
    assert (coverage.n_posts, coverage.n_ratings, coverage.fewest, coverage.most) == (3, 3, 0, 2)
    assert (coverage.target, coverage.target_is_cap, coverage.n_at_target) == (2, True, 1)
    assert [(bar.low, bar.high, bar.n_posts, bar.is_short) for bar in coverage.bars] == [
        (0, 0, 1, True),
        (1, 1, 1, True),
        (2, 2, 1, False),
    ]


def test_without_a_cap_the_target_is_what_all_wanted_people_would_give():
    study = make_study(target_participants=30, posts_per_rater=2)
    assert fresh(study).coverage.target == 20
    study.target_participants = None
    assert fresh(study).coverage.target is None


def test_the_forecast_goes_by_the_last_hour_and_else_by_the_last_day():
    study = make_study(target_participants=20)
    for _ in range(6):
        complete(study, minutes=5, minutes_ago=20)
    forecast = fresh(study).forecast
    assert (forecast.missing, forecast.per_hour, forecast.pace) == (14, 6, "the last hour")
    assert forecast.at - timezone.now() == pytest.approx(timedelta(hours=14 / 6), abs=timedelta(seconds=5))
    Enrollment.objects.update(finished_at=ago(300))
    forecast = fresh(study).forecast
    assert (forecast.per_hour, forecast.pace) == (0.25, "the last 24 hours")
    Enrollment.objects.filter(pk__in=Enrollment.objects.values("pk")[:2]).update(finished_at=ago(3000))
    assert fresh(study).forecast.at is None


def test_no_forecast_when_nobody_can_come_and_none_needed_when_the_target_is_reached():
    study = make_study(target_participants=6)
    for _ in range(7):
        complete(study, minutes=5, minutes_ago=20)
    forecast = fresh(study).forecast
    assert (forecast.missing, forecast.at, forecast.share) == (0, None, 1000)
    study.target_participants, study.state = 20, Study.State.PAUSED
    assert fresh(study).forecast.at is None


def test_failed_jobs_of_this_study_are_problems_for_a_week():
    study = make_study()

    def fail(key, study_id, days):
        Job.objects.create(
            kind="fit",
            key=key,
            payload={"study": study_id},
            state=Job.State.FAILED,
            error="It broke.",
            finished_at=timezone.now() - timedelta(days=days),
        )

    fail("mine", study.pk, 1)
    fail("old", study.pk, 8)
    fail("other", study.pk + 1, 1)
    found = [problem for problem in fresh(study).problems if "failed" in problem.title]
    assert [problem.text for problem in found] == ["It broke."]


def test_faults_of_an_open_study_are_problems():
    study = make_study(steps=())
    assert any("no steps" in problem.text for problem in fresh(study).problems)
    study.state = Study.State.CLOSED
    assert fresh(study).problems == []


def test_people_who_found_no_post_are_a_problem():
    study = make_study()
    come(study, took=(1, 1, 1), outcome=Outcome.STUDY_FULL)
    assert any("found no post left" in problem.title for problem in fresh(study).problems)


def populate(study, n):
    for _ in range(n):
        person = complete(study)
        read_posts(person, study.posts.all())
        decide(person, "attention_check", False)
        decide(person, "gating", True)
        attempt(person, "training", "t1", False, True)
        come(study, took=(1, 2), outcome=Outcome.SCREENED_OUT)
        come(study, took=(1,), minutes_ago=5)


def count_queries(study):
    overview.memory.clear()
    with CaptureQueriesContext(connection) as cold:
        watch(study)
    with CaptureQueriesContext(connection) as warm:
        watch(study)
    return len(cold), len(warm)


def test_the_number_of_queries_does_not_grow_with_the_study():
    study = make_study()
    populate(study, 1)
    watch(study)  # the value tree is read once per process
    few = count_queries(study)
    populate(study, 5)
    assert count_queries(study) == few
    cold, warm = few
    assert cold <= 26
    assert warm == 2  # the path and the jobs; all else is remembered


def test_what_was_just_counted_is_not_counted_again(monkeypatch):
    study = make_study()
    complete(study)
    assert fresh(study).head.came == 1
    complete(study)
    assert watch(study).head.came == 1
    assert fresh(study).head.came == 2


def test_times_bear_a_clock_that_went_back():
    study = make_study()
    person = come(study, took=(1, 1))
    first = person.step_completions.order_by("pk").first()
    set_time(first, at=first.at - timedelta(minutes=5))
    assert fresh(study).funnel[0].minutes.n == 1
