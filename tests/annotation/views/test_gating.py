import pytest

from annotation.models import Annotation, Attempt, Enrollment, GateDecision, Outcome
from annotation.tree.walk import Reading
from tests.every_step import ALL_CODES, GATING, build_study, know_gate
from tests.visitor import (
    draft_path,
    enter,
    find_codes,
    freeze_rows,
    mark_nothing,
    rate_social_focus,
    read,
    reading_data,
    step_path,
)

pytestmark = pytest.mark.django_db
POSTS = ("boss", "lock", "duty")


@pytest.fixture
def study():
    return build_study("gating", "labeling")


@pytest.fixture
def here(client, study):
    enter(client, study)
    return step_path(study, "gating")


def answer(client, study, *n_right):
    """Answer the posts in order, those whose number is given rightly; return all responses."""
    right = know_gate(study)
    wrong = {"boss": mark_nothing(), "lock": mark_nothing(), "duty": right["duty"]}
    hedonist = {
        "statement": frozenset({"personal_focus"}),
        "personal_focus": frozenset({"openness"}),
        "openness": frozenset({"enjoyment"}),
    }
    wrong["duty"] = Reading(hedonist, {"hedonism": 5})
    here = step_path(study, "gating")
    return [
        client.post(here, reading_data(study, item, (right if number in n_right else wrong)[item]))
        for number, item in enumerate(POSTS, start=1)
    ]


def test_opening_the_gate_stores_nothing(client, here):
    before = freeze_rows()
    assert read(client.get(here)).find("data-post-text").text == "I decide here."
    assert freeze_rows() == before


def test_each_post_is_answered_once_and_no_answer_says_what_was_right(client, study, here):
    responses = answer(client, study, 1, 3)
    assert [response.url for response in responses] == [here, here, step_path(study, "labeling")]
    assert list(Attempt.objects.values_list("item", "is_right")) == [
        ("boss", True),
        ("lock", False),
        ("duty", True),
    ]
    decision = GateDecision.objects.get()
    assert (decision.passed, decision.reason) == (True, "2 of 3 right, 2 needed")
    assert not Annotation.objects.exists()


def test_pages_after_right_and_wrong_answers_are_the_same(client, study):
    pages = []
    for rater, right in (("rater-right", (1, 2)), ("rater-wrong", (3,))):
        enter(client, study, rater)
        client.post(step_path(study, "gating"), reading_data(study, "boss", know_gate(study)["boss"]))
        answer(client, study, *right)
        pages.append(read(client.get(step_path(study, "gating"), follow=True)).text)
    assert "right" not in pages[0].lower()


def test_too_few_right_answers_screen_out_kindly_with_the_code_of_that(client, study, here):
    *_, response = answer(client, study, 2)
    last = client.get(response.url)
    assert Enrollment.objects.get().outcome == Outcome.SCREENED_OUT
    assert read(last).find("data-outcome").attributes["data-outcome"] == "screened_out"
    assert find_codes(last.content.decode(), ALL_CODES.values()) == {ALL_CODES[Outcome.SCREENED_OUT]}


@pytest.mark.parametrize("item", ["boss", "duty", "", "\x00", "nothing"])
def test_a_stale_tab_a_post_ahead_and_a_forged_one_lead_on_and_store_nothing(client, study, here, item):
    client.post(here, reading_data(study, "boss", mark_nothing()))
    before = freeze_rows()
    response = client.post(here, reading_data(study, item, know_gate(study)["boss"]))
    assert (response.status_code, response.url) == (303, here)
    assert freeze_rows() == before


def test_what_is_missing_is_asked_and_stores_nothing(client, study, here):
    before = freeze_rows()
    unfinished = Reading(rate_social_focus().marks, {"security": 3})
    response = client.post(here, reading_data(study, "boss", unfinished))
    assert response.status_code == 422
    assert read(response).text.count("Please choose a number.") == 4
    assert freeze_rows() == before


def test_a_branch_taken_back_is_asked_about_before_its_ratings_go(client, study, here):
    reading = Reading(mark_nothing().marks, rate_social_focus().ratings)
    response = client.post(here, reading_data(study, "boss", reading))
    assert response.status_code == 200
    assert "The 5 ratings below it will be removed." in read(response).text
    assert not Attempt.objects.exists()


def test_a_mark_reveals_what_stands_below_it(client, study, here):
    sent = reading_data(study, "boss", Reading(rate_social_focus().marks, {}), reveal="yes")
    response = client.post(draft_path(study, "gating"), sent)
    assert "rate-security" in read(response).form(identifier="path-form").controls


def test_whoever_stands_at_a_gate_whose_open_post_is_taken_out_goes_on(client, study, here):
    client.post(here, reading_data(study, "boss", mark_nothing()))
    study.steps.filter(kind="gating").update(config=GATING | {"posts": GATING["posts"][:1], "threshold": 1})
    assert client.get(here).url == step_path(study, "labeling")
