"""Taking back the mark of a branch that has ratings: asked first, with and without scripts."""

import pytest

from annotation.models import Annotation
from annotation.selectors import get_open_assignment
from annotation.tree.walk import Reading
from tests.every_step import FOCUS, build_study
from tests.visitor import draft_path, enter, form_data, rate_social_focus, read, step_path

pytestmark = pytest.mark.django_db
BOTH = frozenset({"personal_focus", "social_focus"})
MARKS = {
    "statement": BOTH,
    "personal_focus": frozenset({"openness"}),
    "openness": frozenset({"enjoyment"}),
}
RATINGS = {"hedonism": 4} | dict.fromkeys(FOCUS, 2)


@pytest.fixture
def study():
    return build_study("labeling", "vcq")


@pytest.fixture
def assignment(client, study):
    return get_open_assignment(enter(client, study))


@pytest.fixture(params=["by a mark", "by the button"])
def send(request, client, study, assignment):
    """Send the form as a mark does with scripts, or as its button does without."""

    def send(marks, ratings=RATINGS, **more):
        data = form_data(assignment, Reading(MARKS | marks, ratings), **more)
        if request.param == "by a mark":
            return form_of(client.post(draft_path(study, "labeling"), data | {"reveal": "yes"}))
        return form_of(client.post(step_path(study, "labeling"), data))

    return send


def form_of(response):
    page = read(response)
    form = page.form(identifier="path-form")
    form.text = page.text
    return form


def press(client, form, name, value):
    """Press one of the question's buttons."""
    sent = {key: control.values for key, control in form.controls.items() if control.kind != "submit"}
    return client.post(form.action, sent | {name: value})


def chosen(form, name):
    return sorted(form.controls[name].values)


def test_it_is_asked_first_and_nothing_is_lost_meanwhile(send):
    form = send({"statement": {"social_focus"}}, rationale="So far")
    assert "You have taken back “One person's own life”" in form.text
    assert form.controls["keep"].options == form.controls["close"].options == ["personal_focus"]
    assert chosen(form, "open-statement") == sorted(BOTH)
    assert chosen(form, "rate-hedonism") == ["4"]
    assert chosen(form, "rate-security") == ["2"]
    assert form.controls["rationale"].values == ["So far"]
    assert not Annotation.objects.exists()


def test_keeping_it_leaves_all_as_it_was(client, send):
    form = form_of(press(client, send({"statement": {"social_focus"}}), "keep", "personal_focus"))
    assert "keep" not in form.controls
    assert chosen(form, "open-statement") == sorted(BOTH)
    assert chosen(form, "rate-hedonism") == ["4"]


def test_removing_it_takes_its_ratings_and_leaves_the_others(client, send):
    form = form_of(press(client, send({"statement": {"social_focus"}}), "close", "personal_focus"))
    assert "close" not in form.controls
    assert chosen(form, "open-statement") == ["social_focus"]
    assert "rate-hedonism" not in form.controls
    assert chosen(form, "rate-security") == ["2"]
    assert not Annotation.objects.exists()


def test_it_is_asked_again_as_long_as_nothing_was_chosen(client, send):
    form = send({"statement": {"social_focus"}})
    sent = {key: control.values for key, control in form.controls.items() if control.kind != "submit"}
    again = form_of(client.post(form.action, sent))
    assert again.controls["keep"].options == ["personal_focus"]
    assert not Annotation.objects.exists()
    assert form_of(press(client, again, "close", "personal_focus")).controls["open-statement"].values == [
        "social_focus"
    ]


def test_a_mark_set_while_it_is_asked_is_not_lost_with_the_branch(client, send):
    form = send({"statement": set()}, dict(RATINGS))
    assert form.controls["close"].options == ["personal_focus", "social_focus"]
    form = form_of(press(client, form, "close", "personal_focus"))
    assert chosen(form, "open-statement") == ["social_focus"]
    assert form.controls["close"].options == ["social_focus"]
    form = form_of(press(client, form, "close", "social_focus"))
    assert chosen(form, "open-statement") == ["none"]


def test_a_question_left_without_any_answer_is_left_so(client, study, assignment):
    data = form_data(assignment, rate_social_focus())
    del data["open-statement"]
    form = form_of(client.post(step_path(study, "labeling"), data))
    form = form_of(press(client, form, "close", "social_focus"))
    assert chosen(form, "open-statement") == []


def test_a_question_of_one_answer_goes_back_to_the_first_until_the_second_is_confirmed(client, send):
    form = send({"personal_focus": {"self_enhancement"}})
    assert chosen(form, "open-personal_focus") == ["openness"]
    assert chosen(form, "rate-hedonism") == ["4"]
    form = form_of(press(client, form, "close", "openness"))
    assert chosen(form, "open-personal_focus") == ["self_enhancement"]
    assert chosen(form, "open-statement") == sorted(BOTH)
    assert "rate-hedonism" not in form.controls
    assert "rate-power" in form.controls


def test_a_third_answer_chosen_meanwhile_is_the_one_that_counts(client, send):
    form = send({"personal_focus": {"self_enhancement"}})
    sent = {key: control.values for key, control in form.controls.items() if control.kind != "submit"}
    again = form_of(client.post(form.action, sent | {"open-personal_focus": "none"}))
    assert chosen(form_of(press(client, again, "close", "openness")), "open-personal_focus") == ["none"]


@pytest.mark.parametrize("key", ["statement", "nothing", "", "\x00", "security"])
def test_a_forged_button_closes_nothing(client, study, assignment, key):
    for name in ("close", "keep"):
        data = form_data(assignment, rate_social_focus()) | {name: key, f"instead-{key}": "openness"}
        form = form_of(client.post(step_path(study, "labeling"), data))
        assert chosen(form, "rate-security") == ["3"]
        assert chosen(form, "open-statement") == ["social_focus"]
    assert not Annotation.objects.exists()
