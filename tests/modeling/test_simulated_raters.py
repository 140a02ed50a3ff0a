import numpy as np
import pytest

from annotation.errors import StudyClosed
from annotation.models import Annotation, Attempt, Enrollment, GateDecision, Outcome, Post, Rater
from annotation.recruitment import build_entry_path
from annotation.tree.walk import CHOSEN, IMPLIED
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from modeling import simulated_raters
from modeling.simulated_raters import Cast, walk_directly
from modeling.simulation.browser import walk_study
from tests.every_step import EVERY_STEP, build_study
from tests.factories import QuestionnaireFactory, StepFactory, StudyFactory, ValueSystemFactory, load_nineteen
from tests.visitor import Visitor

pytestmark = pytest.mark.django_db


def go(study, numbers, on_progress=lambda done, total: None):
    walk_directly(Cast(study), numbers, on_progress=on_progress)


def walk_pages(study, number):
    cast = Cast(study)
    entry = build_entry_path(study, cast.name(number), simulated=True)
    return walk_study(Visitor(), entry, cast.build_mind(number))


def rows_of(study):
    """What the raters of a study left, without ids and times."""
    posts = Annotation.objects.filter(enrollment__study=study).order_by(
        "enrollment_id", "assignment__position"
    )
    answers = CalibrationAnswer.objects.filter(enrollment__study=study).order_by("enrollment_id", "pk")
    about = QuestionnaireResponse.objects.filter(enrollment__study=study).order_by("enrollment_id")
    return (
        list(posts.values_list("post__key", "ratings", "codes", "opened")),
        list(answers.values_list("question__position", "rating")),
        list(about.values_list("questionnaire__key", "answers")),
    )


@pytest.fixture
def study():
    return StudyFactory(posts=4, posts_per_rater=3, strategy="fixed")


def describe(enrollment):
    """The kinds of rows one rater left, and their number."""
    (response,) = QuestionnaireResponse.objects.filter(enrollment=enrollment)
    annotations = enrollment.annotations.select_related("assignment")
    return {
        "origin": enrollment.rater.origin,
        "outcome": enrollment.outcome,
        "finished": enrollment.finished_at is not None,
        "consent": (enrollment.consent_record.given, enrollment.consent_record.version),
        "steps": sorted(enrollment.step_completions.values_list("step__kind", flat=True)),
        "assignments": list(enrollment.assignments.values_list("position", "status", "post__key")),
        "annotations": sorted((each.assignment.position, len(each.ratings)) for each in annotations),
        "vcq": list(
            enrollment.calibration_answers.values_list("question__position", flat=True).order_by("pk")
        ),
        "asked of the rater": sorted(response.answers),
    }


def test_a_walk_by_services_and_one_through_the_pages_leave_the_same_kind_of_rows(study):
    go(study, [1])
    assert walk_pages(study, 2).outcome == Outcome.COMPLETED
    direct, over_pages = Enrollment.objects.order_by("pk")
    assert describe(direct) == describe(over_pages)
    assert describe(direct)["origin"] == Rater.Origin.SIMULATED
    assert describe(direct)["annotations"] == [(1, 10), (2, 10), (3, 10)]


@pytest.mark.parametrize("walk", [lambda study: go(study, [1, 2, 3]), lambda study: walk_pages(study, 1)])
def test_ratings_stand_where_a_branch_was_opened_and_only_there(walk):
    study = StudyFactory(
        value_system=ValueSystemFactory(tree=load_nineteen()), posts=8, posts_per_rater=8, strategy="fixed"
    )
    walk(study)
    tree = load_nineteen()
    for annotation in Annotation.objects.all():
        for key, rating, code in zip(study.value_keys, annotation.ratings, annotation.codes, strict=True):
            is_open = tree.parent(key).key in annotation.opened
            assert code == (CHOSEN if is_open else IMPLIED)
            assert 0 <= rating <= (6 if is_open else 0)
    assert len({annotation.ratings for annotation in Annotation.objects.all()}) > 1


@pytest.mark.parametrize("language", ["en", "de"])
def test_steps_of_every_kind_are_passed_by_services_and_through_the_pages(language):
    study = build_study(*EVERY_STEP, posts=5, language=language, strategy="fixed")
    go(study, [1])
    assert walk_pages(study, 2).outcome == Outcome.COMPLETED
    direct, over_pages = Enrollment.objects.order_by("pk")
    assert describe(direct) == describe(over_pages)
    assert not GateDecision.objects.filter(passed=False).exists()
    assert Attempt.objects.filter(is_right=True).count() == Attempt.objects.count() == 14


def test_the_same_number_gives_the_same_answers_and_another_number_others(study):
    twin = StudyFactory(posts=4, posts_per_rater=3, strategy="fixed")
    for each in (study, twin):
        go(each, [1])
    assert rows_of(study) == rows_of(twin)
    third = StudyFactory(posts=4, posts_per_rater=3, strategy="fixed")
    go(third, [2])
    assert rows_of(third) != rows_of(study)


def test_the_pages_too_give_the_same_answers_for_the_same_number(study):
    twin = StudyFactory(posts=4, posts_per_rater=3, strategy="fixed")
    for each in (study, twin):
        walk_pages(each, 1)
    assert rows_of(study) == rows_of(twin)


def test_another_seed_of_the_study_is_another_cast(study):
    other = StudyFactory(posts=4, posts_per_rater=3, strategy="fixed", seed=2)
    for each in (study, other):
        go(each, [1])
    assert rows_of(study) != rows_of(other)


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(study, monkeypatch):
    whole = StudyFactory(posts=4, posts_per_rater=3, strategy="fixed")
    go(whole, [1, 2, 3])

    def cut(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(study, Cast(study).list_unfinished(3), cut)
    assert Cast(study).list_unfinished(3) == [3]
    go(study, Cast(study).list_unfinished(3))
    assert Cast(study).list_unfinished(3) == []
    assert rows_of(study) == rows_of(whole)
    assert Enrollment.objects.filter(study=study).count() == 3


def test_a_rater_cut_off_in_the_middle_of_a_walk_leaves_nothing_behind(study, monkeypatch):
    def break_off(*args):
        raise OSError("the power went")

    monkeypatch.setitem(simulated_raters.WALKERS, "vcq", break_off)
    with pytest.raises(OSError, match="the power went"):
        go(study, [1])
    assert not Rater.objects.exists()
    assert not Annotation.objects.exists()


def test_a_walk_through_pages_that_was_cut_off_goes_on_at_the_same_post(study):
    cast = Cast(study)
    mind = cast.build_mind(1)
    mind.question = None  # breaks at the calibration questionnaire
    with pytest.raises(TypeError):
        walk_study(Visitor(), build_entry_path(study, cast.name(1), simulated=True), mind)
    assert Annotation.objects.count() == 3
    assert cast.list_unfinished(1) == [1]
    assert walk_pages(study, 1).outcome == Outcome.COMPLETED
    assert (Enrollment.objects.count(), Annotation.objects.count()) == (1, 3)
    assert cast.list_unfinished(1) == []


def test_walking_a_finished_rater_again_changes_nothing(study):
    go(study, [1])
    before = rows_of(study)
    go(study, [1])
    assert rows_of(study) == before
    assert Enrollment.objects.count() == 1


def test_a_real_person_of_the_same_name_is_not_mistaken_for_a_simulated_one(study):
    Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id=Cast(study).name(1))
    assert Cast(study).list_unfinished(1) == [1]
    go(study, [1])
    assert Enrollment.objects.get().rater.is_simulated


def test_a_full_study_ends_the_walk_of_those_who_come_too_late():
    study = StudyFactory(posts=2, posts_per_rater=2, redundancy_cap=1)
    go(study, [1, 2])
    outcomes = list(Enrollment.objects.order_by("pk").values_list("outcome", flat=True))
    assert outcomes == [Outcome.COMPLETED, Outcome.STUDY_FULL]
    assert Cast(study).list_unfinished(2) == []


def test_a_study_that_is_not_live_takes_no_simulated_rater_in(study):
    study.state = "closed"
    study.save()
    with pytest.raises(StudyClosed):
        go(study, [1])
    assert not Rater.objects.exists()


@pytest.mark.parametrize("slug", ["s", "a" * 50])
def test_every_number_has_a_name_of_its_own_that_the_link_takes(slug):
    study = StudyFactory(slug=slug, posts=1, posts_per_rater=1)
    cast = Cast(study)
    names = {cast.name(number) for number in [*range(1, 120), 100_001, 100_002]}
    assert len(names) == 121
    assert all(len(name) <= 64 for name in names)
    assert walk_pages(study, 100_001).outcome == Outcome.COMPLETED


def test_posts_are_read_as_their_authors_meant_them_where_that_is_noted():
    study = StudyFactory(posts=60)
    pks = list(Post.objects.order_by("pk").values_list("pk", flat=True))
    Post.objects.update(metadata={"expresses": {}})
    Post.objects.filter(pk__in=pks[:30]).update(metadata={"expresses": {study.value_keys[3]: 3}})
    profiles = np.array(list(Cast(study).profiles.values()))
    gained = profiles[:30].mean(axis=0) - profiles[30:].mean(axis=0)
    assert gained.argmax() == 3
    assert gained[3] > np.delete(gained, 3).max() + 0.5


def test_progress_counts_raters(study):
    told = []
    go(study, [1, 2], lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


EVERY_KIND = [
    {"key": "one", "kind": "single", "label": "One?", "prefer_not_to_say": True, "required": True},
    {"key": "some", "kind": "multiple", "label": "Some?", "min": 2, "max": 2, "required": True},
    {"key": "grid", "kind": "grid", "label": "Rows?", "prefer_not_to_say": True, "required": True},
    {"key": "year", "kind": "number", "label": "Year?", "min": 1990, "max": 2026, "prefer_not_to_say": True},
    {"key": "words", "kind": "text", "label": "Words?", "prefer_not_to_say": True, "required": True},
]
OPTIONS = [{"value": value, "label": value.upper()} for value in "abc"]
EVERY_KIND[0]["options"] = OPTIONS
EVERY_KIND[1]["options"] = [*OPTIONS, {"value": "none", "label": "None of these", "exclusive": True}]
EVERY_KIND[2]["options"] = [{"value": value, "label": f"Level {value}"} for value in range(1, 7)]
EVERY_KIND[2]["rows"] = [{"key": f"row_{number}", "label": f"Row {number}"} for number in range(4)]


@pytest.mark.parametrize("walk", [lambda study, number: go(study, [number]), walk_pages])
def test_every_kind_of_question_is_answered_as_what_it_is(walk):
    study = StudyFactory(steps=(), posts=1)
    definition = {"key": "all", "version": 1, "title": "All", "items": EVERY_KIND}
    QuestionnaireFactory(study=study, key="all", definition=definition)
    StepFactory(study=study, position=1, kind="questionnaire", config={"questionnaire": "all"})
    for number in range(1, 6):
        walk(study, number)
    responses = [response.answers for response in QuestionnaireResponse.objects.all()]
    assert len(responses) == 5
    for answers in responses:
        assert set(answers) == {"one", "some", "row_0", "row_1", "row_2", "row_3", "year", "words"}
        assert answers["one"] in ("a", "b", "c", "prefer_not_to_say")
        assert answers["some"] == ["none"] or len(answers["some"]) == 2
        assert 1990 <= answers["year"] <= 2026
        assert all(answers[f"row_{row}"] in (1, 2, 3, 4, 5, 6, "prefer_not_to_say") for row in range(4))
    assert len({answers["year"] for answers in responses}) > 1
