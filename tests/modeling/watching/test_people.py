from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.models import Enrollment, Exclusion, Outcome, Rater
from modeling.models import QualityFlag
from modeling.watching.people import PER_PAGE, PeopleFilter, list_people
from tests.modeling.watching.people import ago, come, complete, make_study, read_posts, set_time, visit

pytestmark = pytest.mark.django_db


def list_lines(study, page=1, **wanted):
    return list(list_people(study, PeopleFilter(**wanted), page).object_list)


def names(study, **wanted):
    return [person.pseudonym for person in list_lines(study, **wanted)]


def name(person):
    return person.rater.pseudonym


def test_the_newest_come_first_and_each_is_described():
    study = make_study()
    done = complete(study, minutes=30, minutes_ago=90)
    read_posts(done, study.posts.all()[:2])
    QualityFlag.objects.create(enrollment=done, rule="too_fast", number=1, limit=2)
    Exclusion.objects.create(enrollment=done, reason="Because.")
    inside = come(study, took=(1, 2), minutes_ago=20)
    newest, oldest = list_lines(study)
    assert newest.pseudonym == name(inside)
    assert (newest.outcome_label, newest.step_label, newest.is_over) == ("Inside", "3. Gating", False)
    assert newest.minutes == pytest.approx(3, abs=0.01)
    assert (oldest.outcome_label, oldest.step_label, oldest.n_posts) == ("Completed", "", 2)
    assert (oldest.n_flags, oldest.is_excluded, newest.n_flags, newest.is_excluded) == (1, True, 0, False)
    assert oldest.minutes == pytest.approx(30, abs=0.01)


def test_rehearsals_are_listed_only_when_they_are_asked_for():
    study = make_study()
    live = come(study)
    test = come(study, phase=Enrollment.Phase.REHEARSAL, origin=Rater.Origin.TEST)
    pilot = come(study, phase=Enrollment.Phase.PILOT)
    simulated = come(study, origin=Rater.Origin.SIMULATED)
    assert set(names(study)) == {name(live), name(pilot), name(simulated)}
    assert names(study, group="rehearsal") == [name(test)]
    assert names(study, group="pilot") == [name(pilot)]
    assert names(study, group="live") == [name(live)]
    kinds = {person.pseudonym: person.kind for person in list_lines(study)}
    assert kinds == {name(live): "", name(pilot): "Pilot", name(simulated): "Simulated"}
    assert list_lines(study, group="rehearsal")[0].kind == "Rehearsal, Test participant"


def test_the_list_is_narrowed_by_outcome_and_by_silence():
    study = make_study()
    done = complete(study)
    active = come(study, minutes_ago=100, took=(1,))
    visit(active, "training", minutes=95)
    silent = come(study, minutes_ago=90, took=(1,))
    assert names(study, where="completed") == [name(done)]
    assert set(names(study, where="inside")) == {name(active), name(silent)}
    assert names(study, where="silent") == [name(silent)]


def test_a_step_finds_who_stands_there_and_who_left_there():
    study = make_study()
    complete(study)
    stands = come(study, took=(1,))
    left = come(study, took=(1,), outcome=Outcome.TIMED_OUT)
    come(study, took=(1, 1))
    come(study, outcome=Outcome.WITHDREW)
    training = study.steps.get(kind="training")
    assert set(names(study, step=training)) == {name(stands), name(left)}
    assert names(study, step=training, where="timed_out") == [name(left)]
    assert names(study, step=study.steps.get(kind="consent")) == []


def test_a_pseudonym_is_found_by_how_it_begins():
    study = make_study()
    people = [come(study) for _ in range(3)]
    for person, text in zip(people, ("abcd", "abce", "0bcd"), strict=True):
        set_time(person.rater, pseudonym=UUID(hex=text.ljust(32, "7")))
        person.rater.refresh_from_db()
    assert set(names(study, pseudonym="abc")) == {name(people[0]), name(people[1])}
    assert names(study, pseudonym=" ABCE ") == [name(people[1])]
    assert names(study, pseudonym=str(name(people[2]))) == [name(people[2])]
    assert names(study, pseudonym=name(people[2]).hex) == [name(people[2])]


@pytest.mark.parametrize(
    "text", ["rater", "abc%", "ab" * 20, "{abcd}", "urn:uuid:ab", "\u0661\u0662", "0x12"]
)
def test_what_begins_no_pseudonym_finds_nobody(text):
    study = make_study()
    come(study)
    assert names(study, pseudonym=text) == []


def test_another_studys_people_are_not_listed():
    study, other = make_study(), make_study()
    person = come(other)
    assert names(study) == []
    assert names(study, pseudonym=str(name(person))) == []


def test_a_long_list_comes_in_pages_and_costs_the_same():
    study = make_study()
    come(study)

    def count():
        with CaptureQueriesContext(connection) as queries:
            list_lines(study)
        return len(queries)

    few = count()
    for _ in range(PER_PAGE + 1):
        come(study, took=(1,), minutes_ago=5)
    assert count() == few <= 6
    assert len(list_lines(study)) == PER_PAGE
    assert len(list_lines(study, page=2)) == 2
    assert len(list_lines(study, page="no number")) == PER_PAGE
    assert len(list_lines(study, page=99)) == 2


def test_time_run_out_is_said_also_of_those_who_finished():
    study = make_study()
    complete(study, timed_out_at=ago(3))
    assert list_lines(study)[0].ran_out_of_time
