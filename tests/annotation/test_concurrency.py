"""Promises that hold with many people in the same instant, on a database that lets them in at once."""

import threading
from collections import Counter

import pytest
from django.db import connection

from annotation import services
from annotation.errors import AlreadySubmitted
from annotation.models import Annotation, Assignment, Enrollment, Outcome, Post, Rater, Study
from annotation.recruitment import Entry
from annotation.selectors import get_current_step, get_open_assignment
from calibration.models import CalibrationAnswer
from tests.factories import EnrollmentFactory, StudyFactory
from tests.visitor import RaterClient as Client
from tests.visitor import arrive, enter, form_data, mark_nothing, rate_social_focus, step_path

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]


def at_once(*calls):
    """Run the calls in threads that start together; return their results, or the errors they raised."""
    barrier = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def run(place, call):
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            results[place] = call()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    return results


def entry(number):
    return Entry(f"rater-{number:03d}", "study-1", "session-1")


def count_live(study):
    return [
        post.assignments.exclude(status=Assignment.Status.RELEASED).count()
        for post in study.posts.filter(purpose=Post.Purpose.LABELING)
    ]


@pytest.mark.parametrize("strategy", Study.Strategy.values)
def test_forty_people_at_once_fill_every_post_to_the_cap_and_none_beyond(strategy):
    study = StudyFactory(
        steps=("labeling",), posts=10, redundancy_cap=3, posts_per_rater=1, strategy=strategy
    )
    results = at_once(*(lambda n=n: services.enroll(study, entry(n)) for n in range(40)))
    assert Counter(type(result).__name__ for result in results) == {"Enrollment": 40}
    assert count_live(study) == [3] * 10
    with_a_post = Enrollment.objects.filter(assignments__isnull=False)
    assert with_a_post.distinct().count() == 30
    assert with_a_post.exclude(outcome="").count() == 0
    assert Enrollment.objects.filter(outcome=Outcome.STUDY_FULL, assignments__isnull=True).count() == 10


def test_nobody_goes_without_a_post_while_places_remain():
    study = StudyFactory(steps=("labeling",), posts=14, redundancy_cap=3, posts_per_rater=1)
    at_once(*(lambda n=n: services.enroll(study, entry(n)) for n in range(40)))
    counts = count_live(study)
    assert sum(counts) == 40
    assert max(counts) == 3
    assert max(counts) - min(counts) <= 1
    assert not Enrollment.objects.exclude(outcome="").exists()


def test_forty_people_who_label_on_never_pass_the_cap_or_get_a_post_twice():
    study = StudyFactory(steps=("labeling",), posts=12, redundancy_cap=3, posts_per_rater=2)

    def take_part(number):
        enrollment = services.enroll(study, entry(number))
        while assignment := get_open_assignment(enrollment):
            services.submit_annotation(assignment, get_current_step(enrollment), mark_nothing())
        return Enrollment.objects.get(pk=enrollment.pk).outcome

    outcomes = Counter(at_once(*(lambda n=n: take_part(n) for n in range(40))))
    assert count_live(study) == [3] * 12
    assert set(outcomes) <= {Outcome.COMPLETED, Outcome.STUDY_FULL}
    assert Annotation.objects.count() == 36
    assert Annotation.objects.values("enrollment", "post").distinct().count() == 36


def test_one_answer_sent_by_ten_at_once_is_one_annotation():
    enrollment = EnrollmentFactory(study__steps=("labeling",))
    assignment, step = get_open_assignment(enrollment), get_current_step(enrollment)
    results = at_once(
        *(lambda: services.submit_annotation(assignment, step, rate_social_focus(4)) for _ in range(10))
    )
    assert Counter(type(result) for result in results) == {Annotation: 1, AlreadySubmitted: 9}
    assert Annotation.objects.count() == 1
    assert list(enrollment.assignments.values_list("position", "status")) == [(1, "submitted"), (2, "open")]


def test_different_answers_to_one_post_at_once_leave_one_of_them_whole():
    enrollment = EnrollmentFactory(study__steps=("labeling",))
    assignment, step = get_open_assignment(enrollment), get_current_step(enrollment)
    readings = [rate_social_focus(rating) for rating in (1, 2, 3, 4, 5)] * 2
    results = at_once(
        *(lambda r=reading: services.submit_annotation(assignment, step, r) for reading in readings)
    )
    (winner,) = (result for result in results if isinstance(result, Annotation))
    assert Annotation.objects.get().ratings == winner.ratings


def test_one_person_arriving_ten_times_at_once_is_enrolled_once():
    study = StudyFactory(steps=("labeling",))
    results = at_once(*(lambda: services.enroll(study, entry(1)) for _ in range(10)))
    assert {type(result) for result in results} == {Enrollment}
    assert len({result.pk for result in results}) == 1
    assert (Rater.objects.count(), Enrollment.objects.count(), Assignment.objects.count()) == (1, 1, 1)


def test_yes_and_no_at_once_leave_one_answer_and_what_follows_from_it():
    enrollment = EnrollmentFactory(study__steps=("consent", "labeling"))
    step = get_current_step(enrollment)
    results = at_once(
        *(lambda g=given: services.record_consent(enrollment, step, given=g) for given in [True, False] * 5)
    )
    assert not [result for result in results if isinstance(result, Exception)]
    enrollment.refresh_from_db()
    if enrollment.consent_record.given:
        assert (enrollment.outcome, enrollment.assignments.count()) == ("", 1)
    else:
        assert (enrollment.outcome, enrollment.assignments.count()) == (Outcome.NO_CONSENT, 0)


def test_ten_button_presses_at_once_are_all_led_on_and_store_one_of_each():
    study = StudyFactory(steps=("labeling", "vcq"), posts_per_rater=1, questions=1)
    results = at_once(*(lambda: arrive(Client(), study).status_code for _ in range(10)))
    assert results == [303] * 10
    client = Client()
    enrollment = enter(client, study)
    cookies = client.cookies

    def press(path, data):
        each = Client()
        each.cookies = cookies
        return each.post(path, data).status_code

    label, ask = step_path(study, "labeling"), step_path(study, "vcq")
    sent = form_data(get_open_assignment(enrollment), rate_social_focus(2))
    assert at_once(*(lambda: press(label, sent) for _ in range(10))) == [303] * 10
    answer = {"item": "1", "rating": "5"}
    assert at_once(*(lambda: press(ask, answer) for _ in range(10))) == [303] * 10
    enrollment.refresh_from_db()
    assert enrollment.outcome == Outcome.COMPLETED
    assert (Annotation.objects.count(), CalibrationAnswer.objects.count()) == (1, 1)
    assert enrollment.step_completions.count() == 2
