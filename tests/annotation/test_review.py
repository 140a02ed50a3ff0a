from datetime import date, timedelta

import pytest
from django.utils import timezone

from annotation import services
from annotation.launch import find_faults
from annotation.models import Enrollment, Outcome, Rater
from annotation.review import get_minutes, has_rehearsed, review_study
from annotation.services import erase_rehearsal, preview_step
from modeling.simulated_raters import Cast
from modeling.simulated_raters import rehearse as walk
from tests.every_step import ALL_CODES, build_study
from tests.factories import EnrollmentFactory

pytestmark = pytest.mark.django_db
SOUND = {"reward": 675, "currency": "GBP", "estimated_minutes": 45, "retain_until": date(2999, 1, 1)}


def make(*names, **fields):
    return build_study(*(names or ("consent", "labeling")), **(SOUND | fields))


def topic_of(study, key):
    (topic,) = (topic for topic in review_study(study) if topic.key == key)
    return topic


def take(study, minutes, outcome=Outcome.COMPLETED, origin=Rater.Origin.PROLIFIC):
    """Somebody took so many minutes and ended so."""
    enrollment = services.finish(EnrollmentFactory(study=study, rater__origin=origin), outcome)
    Enrollment.objects.filter(pk=enrollment.pk).update(
        started_at=enrollment.finished_at - timedelta(minutes=minutes)
    )
    return enrollment


def rehearse(study):
    take(study, 20, origin=Rater.Origin.TEST)


def test_a_sound_study_that_was_rehearsed_is_in_order_in_every_topic():
    study = make(state="draft")
    rehearse(study)
    assert [topic.title for topic in review_study(study) if not topic.is_fine] == []


def test_the_faults_by_topic_are_those_that_block_the_launch():
    study = make(
        "labeling", "number", "training", reward=1, attention_consequence="end", max_minutes=50, consent={}
    )
    study.steps.filter(kind="training").update(config={})
    study.posts.update(text=" ")
    faults = [fault for topic in review_study(study) for fault in topic.faults]
    assert len(faults) >= 6
    assert sorted(faults) == sorted(find_faults(study))


class TestPay:
    def test_no_reward_is_a_word_and_no_fault(self):
        topic = topic_of(make(reward=None), "pay")
        assert (topic.faults, len(topic.warnings)) == ([], 1)

    @pytest.mark.parametrize(("reward", "currency"), [(450, "GBP"), (600, "USD")])
    def test_prolifics_minimum_for_the_announced_time_is_enough(self, reward, currency):
        assert topic_of(make(reward=reward, currency=currency), "pay").is_fine

    @pytest.mark.parametrize(
        ("reward", "currency", "says"),
        [
            (
                449,
                "GBP",
                "£4.49 for 45 minutes is £5.99 an hour; Prolific's minimum is £6.00: pay £4.50 at least",
            ),
            (
                599,
                "USD",
                "$5.99 for 45 minutes is $7.99 an hour; Prolific's minimum is $8.00: pay $6.00 at least",
            ),
        ],
    )
    def test_less_is_a_fault_that_names_what_would_do(self, reward, currency, says):
        study = make(reward=reward, currency=currency)
        (fault,) = find_faults(study)
        assert says in fault
        assert topic_of(study, "pay").faults == [fault]

    def test_the_median_of_those_who_finished_is_judged_once_there_are_three(self):
        study = make(reward=450)
        for minutes in (60, 50):
            take(study, minutes)
        assert topic_of(study, "pay").warnings == []
        take(study, 10)
        assert "below Prolific's minimum of £6.00" in topic_of(study, "pay").warnings[0]
        assert "3 people took 50.0 minutes (median), £5.40 an hour." in topic_of(study, "pay").notes[1]

    def test_only_people_who_finished_in_earnest_count(self):
        study = make()
        take(study, 30)
        take(study, 31, origin=Rater.Origin.SIMULATED)
        take(study, 32, origin=Rater.Origin.TEST)
        take(study, 33, outcome=Outcome.SCREENED_OUT)
        EnrollmentFactory(study=study)
        assert get_minutes(study, Outcome.COMPLETED) == [pytest.approx(30)]

    def test_screening_out_is_to_be_paid_by_the_minutes_it_took(self):
        study = make("consent", "gating", "labeling")
        assert "£0.10 at least (as long as nobody knows their minutes)" in topic_of(study, "pay").notes[-1]
        take(study, 6, outcome=Outcome.SCREENED_OUT)
        assert "£0.60 at least (they took 6.0 minutes (median))" in topic_of(study, "pay").notes[-1]
        assert topic_of(study, "pay").is_fine

    def test_a_screen_out_that_would_cost_the_whole_reward_is_named(self):
        study = make("consent", "gating", "labeling", reward=60, estimated_minutes=6)
        take(study, 6, outcome=Outcome.SCREENED_OUT)
        assert "is not below the reward of £0.60" in topic_of(study, "pay").warnings[0]


def test_the_maximum_allowed_time_is_shown_with_its_rule():
    (note,) = topic_of(make(estimated_minutes=20), "time").notes
    assert "2 + 2t + 2√t: for 20 minutes, 51." in note


def test_the_minutes_of_test_participants_who_walked_all_of_it_are_told():
    study = make()
    rehearse(study)
    preview_step(study, study.steps.first())
    assert topic_of(study, "time").notes[1] == (
        "1 test participant went through the whole study in 20.0 minutes (median)."
    )


@pytest.mark.parametrize(
    ("names", "minutes", "warns"), [(1, 45, True), (1, 4, False), (2, 45, False), (0, 45, False)]
)
def test_one_attention_check_is_too_few_for_a_long_study(names, minutes, warns):
    study = make("consent", *["number"] * names, "labeling", estimated_minutes=minutes)
    assert bool(topic_of(study, "attention").warnings) == warns


class TestCodes:
    def test_missing_ones_are_named(self):
        assert "who end with: Completed" in topic_of(make(codes={}), "codes").warnings[0]

    def test_two_that_differ_in_capitals_alone_are_named(self):
        codes = ALL_CODES | {Outcome.COMPLETED: "done1234", Outcome.TIMED_OUT: "DONE1234"}
        (warning,) = topic_of(make(codes=codes), "codes").warnings
        assert "same code but for capital letters: DONE1234" in warning

    def test_one_that_another_study_has_too_is_named(self):
        study = make()
        assert topic_of(study, "codes").is_fine
        make(codes={Outcome.COMPLETED: ALL_CODES[Outcome.COMPLETED]})
        assert ALL_CODES[Outcome.COMPLETED] in topic_of(study, "codes").warnings[0]


class TestRehearsal:
    def test_it_is_missed_until_somebody_came_to_the_end(self):
        study = make(state="draft")
        preview_step(study, study.steps.last())
        EnrollmentFactory(study=study, rater__origin=Rater.Origin.TEST)
        assert not has_rehearsed(study)
        assert not topic_of(study, "rehearsal").is_fine
        rehearse(study)
        assert has_rehearsed(study)

    def test_a_rehearsal_that_was_erased_has_been_one(self):
        study = make(state="draft")
        rehearse(study)
        erase_rehearsal(study)
        assert has_rehearsed(study)
        other = make(state="draft")
        EnrollmentFactory(study=other, rater__origin=Rater.Origin.TEST)
        erase_rehearsal(other)
        assert not has_rehearsed(other)

    def test_neither_people_nor_simulated_raters_who_finish_are_one(self):
        study = make()
        take(study, 20)
        walk(Cast(study, rehearses=True), [1], on_progress=lambda done, total: None)
        assert not has_rehearsed(study)


@pytest.mark.parametrize(("days", "says"), [(None, "No day is set"), (-1, "is over"), (0, None), (1, None)])
def test_the_day_by_which_personal_data_goes_is_asked_for(days, says):
    day = None if days is None else timezone.localdate() + timedelta(days=days)
    warnings = topic_of(make(retain_until=day), "retention").warnings
    assert [says in warning for warning in warnings] == ([True] if says else [])
