"""What holds when the clock, a withdrawal and answers meet in the same instant."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import services
from annotation.errors import Refused
from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    Enrollment,
    GateDecision,
    Outcome,
    Rater,
    StepCompletion,
    Withdrawal,
)
from annotation.recruitment import Entry
from annotation.selectors import get_current_step, get_labeling_item, get_open_assignment
from tests.annotation.test_concurrency import at_once
from tests.every_step import GATING, build_study
from tests.factories import EnrollmentFactory, StudyFactory
from tests.visitor import mark_nothing

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]
LATER = timedelta(days=1)


def test_no_reading_is_lost_when_the_time_of_twenty_people_runs_out_as_they_submit():
    study = StudyFactory(steps=("labeling",), posts=40, posts_per_rater=2)
    people = [EnrollmentFactory(study=study) for _ in range(20)]
    pages = [(get_open_assignment(person), get_current_step(person)) for person in people]
    now = timezone.now() + LATER
    results = at_once(
        *(lambda a=a, s=s: services.submit_annotation(a, s, mark_nothing()) for a, s in pages),
        lambda: services.time_out_overdue(now),
        lambda: services.time_out_overdue(now),
    )
    assert {type(result) for result in results[:20]} == {Annotation}
    assert sum(results[20:]) == 20
    assert Annotation.objects.count() == 20
    for person in Enrollment.objects.all():
        assert person.timed_out_at is not None
        person = services.go_on_after_time_out(person)
        assert list(person.assignments.values_list("position", "status")) == [(1, "submitted"), (2, "open")]


def test_people_who_come_back_at_once_never_push_an_open_post_past_its_cap():
    study = StudyFactory(steps=("labeling",), posts=6, posts_per_rater=1, redundancy_cap=2)
    first = [EnrollmentFactory(study=study) for _ in range(12)]
    services.time_out_overdue(timezone.now() + LATER)
    results = at_once(
        *(lambda p=person: services.go_on_after_time_out(p) for person in first),
        *(lambda n=n: services.enroll(study, Entry(f"new-{n:02d}", "study", "session")) for n in range(12)),
    )
    assert not [result for result in results if isinstance(result, Exception)]
    live = Assignment.objects.exclude(status=Assignment.Status.RELEASED)
    assert max(Counter(live.values_list("post", flat=True)).values()) == 2
    assert live.count() == 12


def test_ten_withdrawals_at_once_are_one():
    enrollment = EnrollmentFactory(study__steps=("labeling",))
    results = at_once(*(lambda: services.withdraw(enrollment) for _ in range(10)))
    assert {type(result) for result in results} == {Enrollment}
    assert (Withdrawal.objects.count(), Rater.objects.count()) == (1, 1)


@pytest.mark.parametrize("attempt", range(5))
def test_whatever_is_sent_while_someone_withdraws_leaves_nothing_of_it(attempt):
    enrollment = EnrollmentFactory(study__steps=("labeling", "vcq"))
    step, assignment = get_current_step(enrollment), get_open_assignment(enrollment)
    item, now = get_labeling_item(enrollment, step), timezone.now()
    results = at_once(
        lambda: services.withdraw(enrollment),
        lambda: services.submit_annotation(assignment, step, mark_nothing()),
        lambda: services.save_draft(enrollment, step, item, "rate-power=1", page="p", number=1),
        lambda: services.record_visit(enrollment, step, item, shown_at=now, client={}),
        lambda: services.time_out_overdue(now + LATER),
    )
    failures = [result for result in results if isinstance(result, Exception)]
    assert {type(failure) for failure in failures} <= {Refused}
    enrollment.refresh_from_db()
    assert enrollment.outcome == Outcome.WITHDREW
    for relation in ("annotations", "assignments", "drafts", "page_visits", "step_completions"):
        assert not getattr(enrollment, relation).exists(), relation


@pytest.mark.parametrize("attempt", range(5))
def test_someone_who_leaves_one_study_as_they_enter_another_is_in_that_one(attempt):
    entry = Entry("person", "study", "session")
    enrollment = services.enroll(StudyFactory(), entry)
    other = StudyFactory()
    results = at_once(lambda: services.withdraw(enrollment), lambda: services.enroll(other, entry))
    assert not [result for result in results if isinstance(result, Exception)]
    assert Enrollment.objects.get(study=other).rater.external_id == entry.rater_id
    enrollment.refresh_from_db()
    assert enrollment.rater.external_id != entry.rater_id


def test_the_last_answer_of_a_gate_sent_ten_times_decides_once():
    enrollment = EnrollmentFactory(study=build_study("gating", "vcq"))
    step = get_current_step(enrollment)
    keys = [post["key"] for post in GATING["posts"]]

    def answer(item, is_right):
        services.record_gate_answer(
            enrollment, step, item, answers={}, is_right=is_right, n_items=len(keys), threshold=2
        )

    for item in keys[:-1]:
        answer(item, False)
    results = at_once(*(lambda n=n: answer(keys[-1], n % 2 == 0) for n in range(10)))
    assert results == [None] * 10
    assert Attempt.objects.count() == len(keys)
    assert GateDecision.objects.count() == 1
    enrollment.refresh_from_db()
    assert enrollment.outcome == Outcome.SCREENED_OUT


def test_an_attention_check_answered_ten_times_at_once_counts_once():
    enrollment = EnrollmentFactory(study=build_study("number", "grid", "vcq"))
    step = get_current_step(enrollment)
    results = at_once(
        *(
            lambda: services.record_attention_answer(enrollment, step, answers={}, is_right=False)
            for _ in range(10)
        )
    )
    assert results == [None] * 10
    assert (Attempt.objects.count(), GateDecision.objects.count()) == (1, 1)
    assert StepCompletion.objects.count() == 1


def test_twenty_saves_of_a_page_that_overtake_one_another_leave_the_last():
    enrollment = EnrollmentFactory(study__steps=("labeling",))
    step = get_current_step(enrollment)
    item = get_labeling_item(enrollment, step)
    results = at_once(
        *(
            lambda n=n: services.save_draft(enrollment, step, item, f"number-{n}", page="p", number=n)
            for n in range(1, 21)
        )
    )
    assert True in results
    assert enrollment.drafts.get().fields == "number-20"
