import pytest

from annotation.models import Annotation, Attempt, Draft, StepCompletion
from annotation.tree.walk import Reading
from tests.every_step import FOCUS, TRAINING, build_study, know_training
from tests.visitor import (
    RaterClient,
    arrive,
    draft_path,
    enter,
    freeze_rows,
    rate_social_focus,
    read,
    reading_data,
    step_path,
)

pytestmark = pytest.mark.django_db
SELF = frozenset({"personal_focus"})


@pytest.fixture
def study():
    return build_study("training", "vcq")


@pytest.fixture
def here(client, study):
    enter(client, study)
    return step_path(study, "training")


@pytest.fixture
def right(study):
    return know_training(study)


def form_of(response):
    return read(response).form(identifier="path-form")


def send(client, study, item, reading, **more):
    return client.post(step_path(study, "training"), reading_data(study, item, reading, **more))


def test_the_first_post_is_shown_with_the_first_question_alone_and_opening_it_stores_nothing(client, here):
    before = freeze_rows()
    response = client.get(here)
    assert read(response).find("data-post-text").text == "I swim because it is fun."
    assert "Four posts to begin with." in read(response).text
    assert [control.name for control in form_of(response).questions()] == ["open-statement"]
    assert freeze_rows() == before


def test_a_wrong_answer_is_explained_asked_again_and_kept_as_an_attempt(client, study, here):
    wrong = Reading({"statement": frozenset({"social_focus"})}, {})
    response = send(client, study, "swim", wrong, shown=["statement"])
    assert response.status_code == 422
    assert "It speaks of the swimmer alone." in read(response).text
    assert form_of(response).controls["open-statement"].values == ["social_focus"]
    assert Attempt.objects.get().answers == {"marks": {"statement": ["social_focus"]}, "ratings": {}}
    assert not Attempt.objects.get().is_right


def test_the_next_level_opens_only_below_a_right_answer(client, study, here):
    both = Reading({"statement": frozenset({"personal_focus", "social_focus"})}, {})
    response = send(client, study, "swim", both, shown=["statement"])
    assert list(form_of(response).controls) == ["page", "item", "shown", "open-statement"]
    response = send(client, study, "swim", Reading({"statement": SELF}, {}), shown=["statement"])
    assert response.status_code == 200
    assert "That is right." in read(response).text
    assert "open-personal_focus" in form_of(response).controls
    assert "open-openness" not in form_of(response).controls
    assert Attempt.objects.count() == 1


def test_every_level_is_judged_on_its_way_down(client, study, here, right):
    marks = dict(right["swim"].marks)
    steps_down = ["statement", "personal_focus", "openness"]
    for depth, key in enumerate(steps_down):
        reached = Reading({each: marks[each] for each in steps_down[: depth + 1]}, {})
        response = send(client, study, "swim", reached, shown=steps_down[: depth + 1])
        assert response.status_code == 200, key
    response = send(client, study, "swim", Reading(marks, {"hedonism": 1}))
    assert response.status_code == 422
    assert "It is all about the fun." in read(response).text
    assert "That is right." not in read(response).text


def test_nobody_goes_on_before_all_is_right(client, study, here, right):
    for _ in range(3):
        send(client, study, "swim", rate_social_focus(1))
    assert not StepCompletion.objects.exists()
    assert read(client.get(here)).find("data-post-text").text == "I swim because it is fun."
    assert client.get(step_path(study, "vcq")).url == here
    assert send(client, study, "swim", right["swim"]).url == here
    assert read(client.get(here)).find("data-post-context").text == "Who lives in your house?"
    response = send(client, study, "soup", right["soup"])
    assert response.url == step_path(study, "vcq")
    assert list(Attempt.objects.values_list("is_right", flat=True)) == [False] * 3 + [True] * 2
    assert not Annotation.objects.exists()


@pytest.mark.parametrize(("benevolence", "is_right"), [(5, True), (4, True), (3, False)])
def test_a_rating_within_the_tolerance_is_right(client, study, here, right, benevolence, is_right):
    send(client, study, "swim", right["swim"])
    ratings = dict.fromkeys(FOCUS, 2) | {"benevolence": benevolence}
    response = send(client, study, "soup", Reading(right["soup"].marks, ratings))
    assert (response.status_code == 303) is is_right
    assert ("About benevolence." in response.content.decode()) is not is_right


def test_what_is_missing_is_asked_without_being_called_wrong(client, study, here, right):
    send(client, study, "swim", right["swim"])
    ratings = {key: rating for key, rating in right["soup"].ratings.items() if key != "security"}
    response = send(client, study, "soup", Reading(right["soup"].marks, ratings))
    assert response.status_code == 422
    assert "Please choose a number." in read(response).text
    assert "About security." not in read(response).text
    assert Attempt.objects.filter(item="soup").count() == 0


def test_an_unfinished_post_comes_back_as_it_was_left_on_any_device_without_a_judgement(client, study, here):
    wrong = reading_data(study, "swim", Reading({"statement": SELF | {"social_focus"}}, {}))
    client.post(draft_path(study, "training"), wrong)
    device = RaterClient()
    arrive(device, study)
    for browser in (client, device):
        response = browser.get(here)
        assert response.status_code == 200
        assert form_of(response).controls["open-statement"].values == ["personal_focus", "social_focus"]
        assert "open-personal_focus" not in form_of(response).controls
    assert not Attempt.objects.exists()


def test_a_draft_goes_when_its_post_is_right(client, study, here, right):
    client.post(draft_path(study, "training"), reading_data(study, "swim", Reading({"statement": SELF}, {})))
    send(client, study, "swim", right["swim"])
    assert not Draft.objects.exists()
    assert form_of(client.get(here)).controls["open-statement"].values == []


@pytest.mark.parametrize("item", ["swim", "nothing", "", "\x00", "x" * 5000])
def test_a_stale_tab_and_a_forged_post_lead_on_and_store_nothing(client, study, here, right, item):
    send(client, study, "swim", right["swim"])
    before = freeze_rows()
    response = send(client, study, item, right["swim"])
    assert (response.status_code, response.url) == (303, here)
    assert freeze_rows() == before


def test_whoever_stands_at_a_practice_post_that_is_taken_out_goes_on(client, study, here, right):
    send(client, study, "swim", right["swim"])
    study.steps.filter(kind="training").update(config=TRAINING | {"posts": TRAINING["posts"][:1]})
    assert client.get(here).url == step_path(study, "vcq")
