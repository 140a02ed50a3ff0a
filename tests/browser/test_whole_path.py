"""The whole way as the paper ran it, and what happens to answers that are not submitted yet."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.beginner import Beginner, Typist
from tests.browser.person import (
    FIRST_QUESTION,
    NEW_IDEAS,
    NOTHING,
    NOTHING_AT_ALL,
    OPENNESS,
    OTHERS,
    SELF,
    Person,
    tab_to,
)
from tests.browser.test_participant_path import WITHOUT_SCRIPTS, each_way

pytestmark = pytest.mark.browser
MINE = (
    "enrollment_id IN (SELECT e.id FROM annotation_enrollment e "
    "JOIN annotation_rater r ON r.id = e.rater_id WHERE r.external_id = ?)"
)


@pytest.mark.parametrize(
    ("wide", "options"),
    [(1280, {}), (390, {}), (1280, WITHOUT_SCRIPTS), (390, WITHOUT_SCRIPTS)],
    ids=["wide", "narrow", "wide, no scripts", "narrow, no scripts"],
)
def test_a_person_walks_the_whole_study(open_page, site, wide, options):
    person = Beginner(open_page(wide, **options), has_scripts=not options)
    person.walk()
    person.expect_heading("Thank you, you are done")

    def count(table: str, more: str = "") -> int:
        ((number,),) = site.query(f"SELECT count(*) FROM {table} WHERE {MINE} {more}", person.rater_id)  # noqa: S608
        return number

    assert count("annotation_annotation") == 1
    assert count("annotation_gatedecision", "AND passed") == 3  # two checks and the gate
    assert count("annotation_attempt", "AND is_right") == 4 + 4 + 2
    assert count("calibration_calibrationanswer") == 25
    assert count("calibration_questionnaireresponse") == 2
    assert count("annotation_draft") == 0
    assert count("annotation_pagevisit") > 30
    noted = site.query(f"SELECT client FROM annotation_pagevisit WHERE {MINE}", person.rater_id)  # noqa: S608
    assert all(("viewport" in client) is person.has_scripts for (client,) in noted)


def test_the_keyboard_alone_walks_the_whole_study(open_page, site):
    person = Typist(open_page())
    person.walk()
    person.expect_heading("Thank you, you are done")
    rows = "SELECT e.outcome FROM annotation_enrollment e JOIN annotation_rater r ON r.id = e.rater_id"
    ended = site.query(f"{rows} WHERE r.external_id = ?", person.rater_id)
    assert ended == [("completed",)]


@pytest.fixture
def held_mark(someone):
    """Someone at their first post, and what is sent for their first mark: the test lets it go."""
    person = someone()
    person.start()
    person.consent()
    asked: list[Route] = []

    def hold(route):
        if not asked and "reveal=yes" in (route.request.post_data or ""):
            asked.append(route)
        else:
            route.continue_()

    person.page.route(re.compile("/draft/$"), hold)
    return person, asked


def await_question(person, asked):
    """Wait until what the first mark brings was asked for."""
    while not asked:
        person.page.wait_for_timeout(20)
    return asked[0]


def test_enter_on_the_button_counts_when_what_a_mark_brings_arrives_just_before(held_mark):
    person, asked = held_mark
    person.choose(person.box(FIRST_QUESTION, NOTHING))
    question = await_question(person, asked)
    tab_to(person.page, person.page.get_by_role("button", name="Continue"))
    person.page.evaluate("document.getElementById('path-form').dataset.seen = 'yes'")
    question.continue_()
    expect(person.page.locator("#path-form[data-seen]")).to_have_count(0)
    person.page.keyboard.press("Enter")
    person.expect_post(2)


@pytest.mark.parametrize("way", ["mouse", "space bar"])
def test_a_press_counts_when_what_a_mark_brings_arrives_while_it_lasts(held_mark, way):
    person, asked = held_mark
    page, second = person.page, person.box(FIRST_QUESTION, OTHERS)
    person.choose(person.box(FIRST_QUESTION, SELF))
    question = await_question(person, asked)
    second.focus()
    box = second.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down() if way == "mouse" else page.keyboard.down("Space")
    with page.expect_response(re.compile("/draft/$")):
        question.continue_()
    page.evaluate("new Promise(requestAnimationFrame)")
    page.mouse.up() if way == "mouse" else page.keyboard.up("Space")
    expect(second).to_be_checked()
    expect(person.question(SELF)).to_be_visible()
    expect(person.question(OTHERS)).to_be_visible()


def test_what_a_mark_brings_arrives_after_a_press_that_changes_nothing(held_mark):
    person, asked = held_mark
    person.choose(person.box(FIRST_QUESTION, SELF))
    question = await_question(person, asked)
    person.page.mouse.move(2, 400)
    person.page.mouse.down()
    with person.page.expect_response(re.compile("/draft/$")):
        question.continue_()
    person.page.evaluate("new Promise(requestAnimationFrame)")
    expect(person.question(SELF)).to_be_hidden()
    person.page.mouse.up()
    expect(person.question(SELF)).to_be_visible()


def test_nothing_moves_for_whoever_asked_for_stillness(open_page):
    moving = """[...document.querySelectorAll('*')].filter((one) => { const is = getComputedStyle(one);
        return [is.transitionDuration, is.animationDuration].some((s) => parseFloat(s) > 0)
            || is.scrollBehavior === 'smooth'; }).length"""
    still, lively = (Beginner(open_page(reduced_motion=wish)) for wish in ("reduce", "no-preference"))
    for person in (still, lively):
        person.start()
        expect(person.page.get_by_label("I want to take part")).to_be_visible()
    assert still.page.evaluate(moving) == 0
    assert lively.page.evaluate(moving) > 0  # so the count sees what moves


@each_way
def test_a_wrong_practice_answer_is_explained_and_asked_again(open_page, options):
    person = Beginner(open_page(**options), has_scripts=not options)
    person.begin()
    post = person.training.posts[0]
    wrong = (
        {child.key for child in person.tree.root.child_branches} - post.marks[person.tree.root.key]
    ).pop()
    person.mark_branch(person.tree.root.key, frozenset({wrong}))
    person.go_on()
    expect(person.page.get_by_text(post.why[person.tree.root.key])).to_be_visible()
    expect(person.page.get_by_role("region")).to_have_count(1)  # nothing opens below a wrong answer
    expect(person.page.get_by_text("Practice post 1 of 4")).to_be_visible()


def test_answers_are_there_again_on_another_device_before_they_are_submitted(someone, open_page):
    person = someone()
    person.start()
    person.consent()
    person.read(NEW_IDEAS)
    with person.page.expect_response(re.compile("/draft/$")):
        pass
    elsewhere = Person(open_page(390))
    elsewhere.rater_id = person.rater_id
    elsewhere.open_link()
    elsewhere.page.get_by_role("button", name="Go on where you were").click()
    for value, number in NEW_IDEAS.ratings.items():
        expect(elsewhere.level(value, number)).to_be_checked()
    expect(elsewhere.page.get_by_label("What in the post made you")).to_have_value(NEW_IDEAS.rationale)


def test_an_answer_sent_without_a_connection_goes_out_by_itself_when_it_is_back(someone, rows_of):
    person = someone()
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    person.page.context.set_offline(True)
    person.press_continue()
    expect(person.page.get_by_text("Not saved yet: the connection is gone")).to_be_visible()
    person.expect_post(1)
    person.page.context.set_offline(False)
    person.expect_post(2)
    assert len(rows_of(person)["annotations"]) == 1


def test_a_reply_that_is_lost_on_its_way_leads_to_one_annotation_and_no_complaint(someone, rows_of):
    person = someone()
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    lost = []

    def lose_the_first_reply(route):
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch(max_redirects=0))  # the server has it
            route.abort("connectionreset")
        else:
            route.continue_()

    person.page.route(re.compile(r"/step/\d+/$"), lose_the_first_reply)
    person.go_on()
    person.expect_post(2)
    expect(person.page.get_by_text("had already submitted")).to_be_hidden()
    assert len(rows_of(person)["annotations"]) == 1


def test_a_server_that_fails_for_a_moment_is_asked_again(someone, rows_of):
    person = someone()
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    failures = []

    def fail_once(route):
        if route.request.method == "POST" and not failures:
            failures.append(route)
            route.fulfill(status=503, body="<html><body>busy</body></html>")
        else:
            route.continue_()

    person.page.route(re.compile(r"/step/\d+/$"), fail_once)
    person.press_continue()
    expect(person.page.get_by_text("Not saved yet: the server did not take it")).to_be_visible()
    person.expect_post(2)
    assert len(rows_of(person)["annotations"]) == 1


@each_way
def test_a_branch_with_ratings_closes_only_after_a_question(someone, options):
    person = someone(**options)
    person.start()
    person.consent()
    person.mark(FIRST_QUESTION, SELF)
    person.mark(SELF, OPENNESS)
    person.level("Pleasure", 3).check()
    for answer in ("Keep", "Remove"):
        person.box(FIRST_QUESTION, SELF).uncheck()
        if not person.has_scripts:
            person.go_on()
        expect(person.page.get_by_text("The rating below it will be removed")).to_be_visible()
        expect(person.level("Pleasure", 3)).to_be_checked()
        person.page.get_by_role("button", name=answer, exact=True).click()
        expect(person.page.get_by_role("button", name="Remove", exact=True)).to_be_hidden()
        if answer == "Keep":
            expect(person.level("Pleasure", 3)).to_be_checked()
    expect(person.question(SELF)).to_be_hidden()
    person.expect_post(1)


def test_digits_and_arrows_choose_numbers(someone):
    person = someone()
    person.start()
    person.consent()
    person.mark(FIRST_QUESTION, SELF)
    person.mark(SELF, OPENNESS)
    person.level("Pleasure", 1).focus()
    person.page.keyboard.press("6")
    expect(person.level("Pleasure", 6)).to_be_checked()
    person.page.keyboard.press("ArrowLeft")
    expect(person.level("Pleasure", 5)).to_be_checked()
    person.page.keyboard.press("9")
    expect(person.level("Pleasure", 5)).to_be_checked()


def test_the_scale_is_wide_enough_for_a_finger(someone):
    person = someone(390, has_touch=True)
    person.start()
    person.consent()
    person.mark(FIRST_QUESTION, SELF)
    person.mark(SELF, OPENNESS)
    boxes = [person.level("Pleasure", number).bounding_box() for number in range(1, 8)]
    assert min(box["width"] for box in boxes) >= 24
    assert min(box["height"] for box in boxes) >= 40
    person.level("Pleasure", 7).tap()
    expect(person.level("Pleasure", 7)).to_be_checked()


def test_at_four_hundred_per_cent_nothing_scrolls_sideways_and_all_can_be_reached(someone):
    person = someone(320, device_scale_factor=4)  # 1280 px at 400 %
    person.start()
    person.consent()
    person.read(NEW_IDEAS)
    assert person.page.evaluate("document.documentElement.scrollWidth") <= 320
    person.go_on()
    person.expect_post(2)


def test_someone_who_withdraws_leaves_no_answer(someone, site, rows_of):
    person = someone()
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    person.go_on()
    person.expect_post(2)
    person.page.get_by_role("link", name="Leave and delete my answers").click()
    person.page.get_by_role("button", name="Leave and delete my answers").click()
    expect(person.page.locator("[data-outcome=withdrew]")).to_be_visible()
    assert not any(rows_of(person).values())
    person.page.reload()
    expect(person.page.locator("[data-outcome=withdrew]")).to_be_visible()
