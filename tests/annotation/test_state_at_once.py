"""A study's state holds when several people, or people and its researcher, act in the same instant."""

from collections import Counter

import pytest

from annotation import services
from annotation.errors import Refused, StudyClosed
from annotation.models import Enrollment, Study, StudyEvent
from annotation.recruitment import Entry
from tests.annotation.test_concurrency import at_once
from tests.every_step import build_study

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]


def move(to):
    study = Study.objects.get()
    return lambda: services.change_state(study, to, reason="It is time.")


def come(number):
    study = Study.objects.get()
    entry = Entry(f"rater-{number:03d}", "study-1", "session-1")
    return lambda: services.enroll(study, entry)


def test_of_ten_who_launch_at_once_one_does_and_one_version_is_frozen():
    build_study("consent", "labeling", state="draft")
    results = at_once(*(move("live") for _ in range(10)))
    assert Counter(type(result) for result in results) == {Study: 1, Refused: 9}
    assert StudyEvent.objects.filter(action="state").count() == 1
    assert Study.objects.get().versions.count() == 1


def test_different_moves_at_once_leave_the_one_that_is_in_the_log():
    build_study("consent", "labeling", state="draft")
    results = at_once(*(move(to) for to in ["pilot", "live", "closed"] * 4))
    assert Counter(type(result) for result in results) == {Study: 1, Refused: 11}
    event = StudyEvent.objects.get(action="state")
    assert (event.detail["from"], event.detail["to"]) == ("draft", Study.objects.get().state)


def test_nobody_is_inside_a_draft_that_a_pilot_became_as_they_came():
    for _ in range(5):
        study = build_study("consent", "labeling", state="pilot")
        back, *arrived = at_once(move("draft"), *(come(number) for number in range(12)))
        study.refresh_from_db()
        n_inside = Enrollment.objects.count()
        if isinstance(back, Refused):
            assert (study.state, n_inside) == ("pilot", 12)
        else:
            assert (study.state, n_inside) == ("draft", 0)
            assert {type(result) for result in arrived} == {StudyClosed}
        Enrollment.objects.all().delete()
        Study.objects.all().delete()


def test_people_who_come_as_the_study_goes_live_are_of_one_phase_or_the_other_as_the_log_has_it():
    build_study("consent", "labeling", state="pilot")
    live, *arrived = at_once(move("live"), *(come(number) for number in range(20)))
    assert isinstance(live, Study)
    assert {type(result) for result in arrived} == {Enrollment}
    version = Study.objects.get().current_version
    for enrollment in Enrollment.objects.all():
        assert (enrollment.phase == "live") == (enrollment.study_version == version)
