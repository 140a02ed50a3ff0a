from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import services
from annotation.models import ConsentRecord, Draft, Exclusion, Outcome, Rater
from annotation.tree.walk import CHOSEN, IMPLIED
from calibration.models import CalibrationAnswer
from modeling.models import QualityFlag
from modeling.watching.journeys import find_person, tell_journey
from tests.every_step import GATING, GRID, TRAINING
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


def tell(person):
    return tell_journey(find_person(person.study, person.rater.pseudonym))


def chapter(journey, label):
    return next(each for each in journey.chapters if each.label == label)


def titles(journey, label):
    return [entry.title for entry in chapter(journey, label).entries]


def configure(study, kind, config):
    study.steps.filter(kind=kind).update(config=config)


def test_someone_who_just_came_has_one_open_chapter():
    journey = tell(come(make_study(), minutes_ago=4))
    assert [(each.label, each.minutes) for each in journey.chapters] == [("Consent", None)]
    assert (journey.outcome_label, journey.total_minutes, journey.focus) == ("Inside", None, None)


def test_each_step_has_its_minutes_and_the_open_one_its_beginning():
    person = come(make_study(), took=(1, 2.5))
    journey = tell(person)
    assert [each.label for each in journey.chapters] == ["Consent", "Training", "Gating"]
    assert [each.minutes for each in journey.chapters[:2]] == pytest.approx([1, 2.5])
    assert journey.chapters[2].begun_at - person.started_at == timedelta(minutes=3.5)
    assert journey.chapters[2].minutes is None


def test_a_finished_journey_has_every_step_and_a_length():
    journey = tell(complete(make_study(), minutes=30))
    assert len(journey.chapters) == 6
    assert journey.total_minutes == pytest.approx(30)
    assert not journey.came_back


def test_the_answer_to_the_consent_page_is_told():
    person = come(make_study(), outcome=Outcome.NO_CONSENT)
    ConsentRecord.objects.create(enrollment=person, given=False, version=3)
    assert titles(tell(person), "Consent") == ["Declined version 3 of the consent page"]


def test_wrong_practice_says_what_was_answered_and_what_is_right():
    study = make_study()
    configure(study, "training", TRAINING)
    person = come(study, took=(1,))
    wrong = {
        "marks": {"statement": ["social_focus"]},
        "ratings": {"benevolence": 1, "security": 2, "universalism": 4},
    }
    attempt(person, "training", "soup", False, answers=wrong)
    attempt(person, "training", "swim", False, answers={"marks": {"statement": []}, "ratings": {}})
    attempt(person, "training", "soup", True)
    entries = chapter(tell(person), "Training").entries
    assert [(entry.title, entry.mark) for entry in entries] == [
        ("Wrong: practice post soup", "wrong"),
        ("Wrong: practice post swim", "wrong"),
        ("Right: practice post soup", "right"),
    ]
    assert entries[0].details == (
        "Kindness: rated 1; right is 5",
        "Fairness to all: rated 4; right is 1",
    )
    assert entries[1].details == ("The statement: marked nothing; right is “One person's own life”",)
    assert entries[2].details == ()


def test_practice_that_was_changed_since_is_told_without_details():
    study = make_study()
    person = come(study, took=(1,))
    configure(study, "training", {"posts": "gone"})
    attempt(person, "training", "swim", False, answers={"marks": {}, "ratings": {}})
    assert titles(tell(person), "Training") == ["Wrong: practice post swim"]
    configure(study, "training", TRAINING)
    attempt(person, "training", "of old", False)
    assert titles(tell(person), "Training")[1] == "Wrong: practice post of old"


def test_gate_answers_say_how_the_value_was_rated_and_the_decision_closes_them():
    study = make_study()
    configure(study, "gating", GATING)
    person = come(study, took=(1, 1), outcome=Outcome.SCREENED_OUT)
    attempt(person, "gating", "lock", True, answers={"marks": {}, "ratings": {"security": 4}})
    attempt(person, "gating", "duty", False, answers={"marks": {}, "ratings": {}})
    decide(person, "gating", False, "1 of 3 right, 2 needed")
    entries = chapter(tell(person), "Gating").entries
    assert entries[0].details[0].endswith(": rated 4; it is expressed")
    assert entries[1].details[0].endswith(": not opened; it is not expressed")
    assert (entries[2].title, entries[2].mark) == ("Failed: 1 of 3 right, 2 needed", "wrong")


def test_a_failed_grid_says_what_was_chosen():
    study = make_study()
    configure(study, "attention_check", GRID)
    person = come(study, took=(1, 1, 1, 1))
    attempt(person, "attention_check", "check", False, answers={"item": "1", "told": "0", "page": "1"})
    decide(person, "attention_check", False, "not answered as asked")
    (entry,) = chapter(tell(person), "Attention check").entries
    assert (entry.title, entry.mark) == ("Did not answer as asked", "wrong")
    assert entry.details == ("Chose “Not at all” where “Mostly” was asked for",)


def test_posts_are_told_with_time_ratings_and_looks_away():
    study = make_study()
    person = come(study, took=(1, 1, 1))
    lowest = study.value_system.scale_min
    ratings = [lowest] * len(study.value_keys)
    ratings[2], ratings[4] = lowest + 1, lowest + 3
    read_posts(person, study.posts.all()[:2], minutes=2, ratings=tuple(ratings))
    first = person.assignments.get(position=1)
    person.annotations.filter(post=first.post).update(rationale="Because <b>", codes=(CHOSEN, IMPLIED) * 5)
    visit(person, "labeling", str(first.pk), away=2, away_ms=500)
    journey = tell(person)
    told, other = chapter(journey, "Labeling").posts
    assert (told.position, told.key, told.minutes, told.n_away, told.rationale) == (
        1, "p1", pytest.approx(2), 2, "Because <b>",
    )  # fmt: skip
    assert [each.rsplit(" ", 1)[1] for each in told.ratings] == [str(lowest + 3), str(lowest + 1)]
    assert (told.n_chosen, other.n_chosen, other.n_away) == (5, 10, 0)
    assert (journey.n_posts, journey.median_post_minutes) == (2, pytest.approx(2))


def test_an_open_post_and_a_released_one_say_so():
    study = make_study(posts=3)
    person = come(study, took=(1, 1, 1))
    one, two, _ = study.posts.order_by("pk")
    read_posts(person, [one], status="released")
    step = study.steps.get(kind="labeling")
    person.assignments.create(step=step, post=two, position=2)
    back, is_open = chapter(tell(person), "Labeling").posts
    assert (back.status, is_open.status, is_open.minutes) == ("went back to the pool", "open now", None)


def test_calibration_and_questionnaire_answers_are_counted_and_not_shown():
    study = make_study(steps=("consent", "vcq", "questionnaire"), questions=2)
    person = come(study, took=(1, 5, 1), outcome=Outcome.COMPLETED)
    for minutes, question in enumerate(study.calibration_questions.all()):
        answer = CalibrationAnswer.objects.create(enrollment=person, question=question, rating=3)
        set_time(answer, answered_at=ago(10 - minutes))
    person.questionnaire_responses.create(
        questionnaire=study.questionnaires.get(), version=4, answers={"age": "a secret of theirs"}
    )
    journey = tell(person)
    assert titles(journey, "Value Calibration Questionnaire") == [
        "2 answers, 1.0 minutes from the first to the last"
    ]
    assert titles(journey, "Questionnaire") == ["Answered “demographics”, version 4"]
    assert "secret" not in repr(journey)


def test_a_draft_is_named_and_its_answers_are_not():
    study = make_study()
    person = come(study, took=(1, 1))
    step = study.steps.get(kind="gating")
    Draft.objects.create(enrollment=person, step=step, fields="rate-power=4", page="p", number=1)
    journey = tell(person)
    assert titles(journey, "Gating") == ["A page is open; its answers so far are kept as a draft"]
    assert "rate-power" not in repr(journey)


def test_time_running_out_stands_in_the_step_that_was_open():
    study = make_study()
    person = come(study, minutes_ago=60, took=(1, 30, 1), timed_out_at=ago(50))
    journey = tell(person)
    assert titles(journey, "Training") == ["The time was over: timed out", "Came back later and went on"]
    assert journey.came_back
    gone = come(study, minutes_ago=60, took=(1,), outcome=Outcome.TIMED_OUT, timed_out_at=ago(50))
    journey = tell(gone)
    assert titles(journey, "Training") == ["The time was over: timed out"]
    assert not journey.came_back


def test_active_time_leaves_out_what_was_spent_elsewhere():
    study = make_study()
    person = come(study, took=(1, 1))
    visit(person, "training", minutes=3, away=1, away_ms=60_000)
    visit(person, "gating", minutes=2)
    focus = tell(person).focus
    assert (focus.n_pages, focus.n_noted, focus.n_away) == (2, 1, 1)
    assert focus.active_minutes == pytest.approx(4)
    assert focus.away_minutes == pytest.approx(1)


def test_flags_and_exclusion_are_told():
    person = complete(make_study())
    QualityFlag.objects.create(enrollment=person, rule="a rule of old", number=1, limit=2)
    Exclusion.objects.create(enrollment=person, reason="Because.")
    journey = tell(person)
    assert [name for name, _ in journey.flags] == ["a rule of old"]
    assert journey.exclusion.reason == "Because."


def test_of_someone_who_withdrew_only_the_proof_is_told():
    study = make_study()
    person = come(study, took=(1, 1, 1))
    read_posts(person, study.posts.all())
    before = person.rater.pseudonym
    services.withdraw(person)
    assert find_person(study, before) is None
    journey = tell(person)
    assert journey.withdrawn_at is not None
    assert journey.erased["annotation"] == 3
    assert (journey.arrived_at, journey.chapters, journey.focus) == (None, [], None)


def test_imported_ratings_are_a_chapter_of_their_own():
    study = make_study()
    person = come(study, outcome=Outcome.COMPLETED, origin=Rater.Origin.IMPORTED)
    n_values = len(study.value_keys)
    person.annotations.create(post=study.posts.first(), ratings=(2,) * n_values, codes=(CHOSEN,) * n_values)
    journey = tell(person)
    assert [each.label for each in journey.chapters] == ["Imported ratings"]
    assert len(journey.chapters[0].posts) == 1


def test_somebody_of_another_study_is_not_found():
    assert find_person(make_study(), come(make_study()).rater.pseudonym) is None


def test_a_long_journey_takes_no_more_queries():
    study = make_study(posts=9)
    configure(study, "training", TRAINING)

    def count(n):
        person = come(study, took=(1, 1, 1))
        read_posts(person, study.posts.all()[:n])
        for _ in range(n):
            attempt(person, "training", "swim", False, answers={"marks": {}, "ratings": {}})
            visit(person, "labeling", "1")
        with CaptureQueriesContext(connection) as queries:
            tell(person)
        return len(queries)

    count(1)  # the value tree is read once per process
    assert count(1) == count(9) <= 14


def test_only_a_journey_over_midnight_needs_the_day():
    study = make_study()
    assert tell(come(study, minutes_ago=3000, took=(1,), timed_out_at=ago(60))).spans_days
    person = come(study)
    assert not tell(person).spans_days
