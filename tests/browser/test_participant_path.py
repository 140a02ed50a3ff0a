"""What people in front of a browser do, and what is stored afterwards."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OWN_ROWS
from tests.browser.person import (
    FIRST_QUESTION,
    LABELING,
    NEW_IDEAS,
    NOTHING,
    NOTHING_AT_ALL,
    OPENNESS,
    OTHERS,
    SELF,
    SUCCESS,
    VCQ,
    VCQ_ANSWERS,
    tab_to,
)

pytestmark = pytest.mark.browser

WITHOUT_SCRIPTS = {"java_script_enabled": False}
each_way = pytest.mark.parametrize("options", [{}, WITHOUT_SCRIPTS], ids=["scripts", "no scripts"])


def count(rows):
    return {table: len(found) for table, found in rows.items()}


def expect_finish(page: Page, site) -> None:
    expect(page.get_by_role("heading", name="Thank you, you are done")).to_be_visible()
    ((code,),) = site.query(
        "SELECT code FROM annotation_completioncode c JOIN annotation_study s ON s.id = c.study_id "
        "WHERE outcome = 'completed' AND slug = 'demo'"
    )
    expect(page.get_by_text(code, exact=True)).to_be_visible()
    link = page.get_by_role("link", name="Return to Prolific")
    expect(link).to_have_attribute("href", re.compile(rf"^https://app\.prolific\.com/.*cc={code}$"))


def test_the_whole_path_leaves_the_same_rows_wide_narrow_and_without_scripts(someone, site, rows_of):
    stored = []
    for wide, options in ((1280, {}), (390, {}), (390, WITHOUT_SCRIPTS)):
        person = someone(wide, **options)
        person.walk()
        expect_finish(person.page, site)
        stored.append(rows_of(person))
    first = stored[0]
    numbers = {"assignments": 3, "annotations": 3, "VCQ": 3, "steps": 4}
    assert count(first) == {table: numbers.get(table, 1) for table in OWN_ROWS}
    assert [rating for _, rating in first["VCQ"]] == [answer - 1 for answer in VCQ_ANSWERS]
    assert first["annotations"][0][4] == NEW_IDEAS.rationale
    assert all(rows == first for rows in stored)


def test_htmx_shows_a_branch_as_it_is_marked_and_takes_it_away_again(someone):
    person = someone()
    person.start()
    person.consent()
    expect(person.question(SELF)).to_be_hidden()
    person.box(FIRST_QUESTION, SELF).check()
    person.box(SELF, OPENNESS).check()
    expect(person.page.get_by_role("group", name="Pleasure")).to_be_visible()
    person.box(FIRST_QUESTION, SELF).uncheck()
    expect(person.question(SELF)).to_be_hidden()
    expect(person.page.get_by_role("group", name="Pleasure")).to_be_hidden()
    person.expect_post(1)


def test_a_mark_counts_from_the_instant_its_box_appears(someone):
    person = someone()
    person.start()
    person.consent()
    person.page.evaluate(
        """() => new MutationObserver((_, observer) => {
             const labels = [...document.querySelectorAll("label")];
             const box = labels.find((label) => label.innerText.startsWith("Openness"));
             if (box) { observer.disconnect(); box.click(); }
           }).observe(document.body, {childList: true, subtree: true})"""
    )
    person.box(FIRST_QUESTION, SELF).check()
    expect(person.box(SELF, OPENNESS)).to_be_checked()
    expect(person.question(OPENNESS)).to_be_visible()


def test_none_of_these_and_the_branches_exclude_one_another(someone):
    person = someone()
    person.start()
    person.consent()
    person.mark(FIRST_QUESTION, SELF)
    person.mark(FIRST_QUESTION, OTHERS)
    person.box(FIRST_QUESTION, NOTHING).check()
    expect(person.box(FIRST_QUESTION, SELF)).not_to_be_checked()
    expect(person.box(FIRST_QUESTION, OTHERS)).not_to_be_checked()
    expect(person.question(SELF)).to_be_hidden()
    person.box(FIRST_QUESTION, OTHERS).check()
    expect(person.box(FIRST_QUESTION, NOTHING)).not_to_be_checked()
    expect(person.question(OTHERS)).to_be_visible()


def test_without_scripts_none_of_these_beside_a_branch_is_asked_about(someone, rows_of):
    person = someone(**WITHOUT_SCRIPTS)
    person.start()
    person.consent()
    person.box(FIRST_QUESTION, NOTHING).check()
    person.box(FIRST_QUESTION, SELF).check()
    person.go_on()
    expect(person.page.get_by_text("Please choose either")).to_be_visible()
    assert count(rows_of(person))["annotations"] == 0


def test_on_a_slow_line_nothing_that_is_answered_meanwhile_is_lost(someone):
    person = someone()
    person.start()
    person.consent()
    person.mark(FIRST_QUESTION, SELF)
    person.mark(SELF, OPENNESS)
    line = person.page.context.new_cdp_session(person.page)
    speed = {"downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.emulateNetworkConditions", {"offline": False, "latency": 400, **speed})
    person.box(SELF, SUCCESS).check()
    person.box(FIRST_QUESTION, OTHERS).check()
    person.level("Pleasure", 5).check()
    person.page.get_by_text("Say why (optional)").click()
    person.page.get_by_label("What in the post made you").fill("Written while waiting")
    expect(person.question(OTHERS)).to_be_visible()
    expect(person.question(SUCCESS)).to_be_visible()
    expect(person.level("Pleasure", 5)).to_be_checked()
    expect(person.page.get_by_label("What in the post made you")).to_have_value("Written while waiting")
    expect(person.page.get_by_label("What in the post made you")).to_be_focused()


@each_way
def test_a_double_click_on_continue_leaves_one_annotation(someone, rows_of, options):
    person = someone(**options)
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    person.page.get_by_role("button", name="Continue").dblclick()
    person.expect_post(2)
    assert count(rows_of(person))["annotations"] == 1
    person.read(NOTHING_AT_ALL)
    person.go_on()
    person.expect_post(3)
    assert count(rows_of(person))["annotations"] == 2


@each_way
def test_the_back_button_leads_to_where_one_is_and_loses_nothing(someone, rows_of, options):
    person = someone(**options)
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    person.go_on()
    person.expect_post(2)
    before = rows_of(person)
    person.page.go_back()
    person.page.goto("/s/demo/now/")
    person.expect_post(2)
    person.page.go_back()
    assert rows_of(person) == before
    person.page.goto("/s/demo/now/")
    person.read(NEW_IDEAS)
    person.go_on()
    person.expect_post(3)
    rows = rows_of(person)
    assert rows["annotations"][0] == before["annotations"][0]
    assert len(rows["annotations"]) == 2


@each_way
def test_answering_a_post_again_says_that_the_first_answer_stands(someone, rows_of, options):
    person = someone(**options)
    person.start()
    person.consent()
    first, second = person.page, person.page.context.new_page()
    person.turn_to(second)
    second.goto("/s/demo/now/")
    person.read(NEW_IDEAS)
    person.turn_to(first)
    person.read(NOTHING_AT_ALL)
    person.go_on()
    person.expect_post(2)
    before = rows_of(person)
    person.turn_to(second)
    person.go_on()
    expect(second.get_by_text("Your first answer stands.")).to_be_visible()
    person.expect_post(2)
    assert rows_of(person) == before
    person.turn_to(first)
    person.expect_post(2)
    person.read(NOTHING_AT_ALL)
    person.go_on()
    person.expect_post(3)


def test_answering_a_question_of_the_vcq_again_says_that_the_first_answer_stands(someone, rows_of):
    person = someone()
    person.start()
    person.consent()
    for _ in range(3):
        person.read(NOTHING_AT_ALL)
        person.go_on()
    expect(person.page).to_have_url(VCQ)
    second = person.page.context.new_page()
    second.goto("/s/demo/now/")
    person.level("To what extent", 7).check()
    person.go_on()
    expect(person.page.get_by_text("Question 2 of 3")).to_be_visible()
    person.turn_to(second)
    person.level("To what extent", 1).check()
    person.go_on()
    expect(second.get_by_text("Your first answer stands.")).to_be_visible()
    expect(second.get_by_text("Question 2 of 3")).to_be_visible()
    assert [rating for _, rating in rows_of(person)["VCQ"]] == [6]


def test_a_reload_keeps_the_same_post(someone, rows_of):
    person = someone()
    person.start()
    person.consent()
    person.read(NOTHING_AT_ALL)
    person.go_on()
    person.expect_post(2)
    post = person.page.get_by_role("article", name="The post").inner_text()
    before = rows_of(person)
    person.page.reload()
    person.expect_post(2)
    assert person.page.get_by_role("article", name="The post").inner_text() == post
    assert rows_of(person) == before


def test_an_error_takes_the_focus_and_says_what_is_missing(someone):
    person = someone()
    person.start()
    person.consent()
    person.go_on()
    expect(person.page.get_by_role("alert")).to_be_focused()
    expect(person.page.get_by_role("alert")).to_contain_text("Some answers are still missing")


def test_the_keyboard_alone_walks_a_post(someone, rows_of):
    person = someone()
    page = person.page
    person.open_link()
    tab_to(page, page.get_by_role("link", name="Skip to the content"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Start"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("I want to take part"))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Continue"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(LABELING)
    tab_to(page, person.box(FIRST_QUESTION, SELF))
    page.keyboard.press("Space")
    expect(person.question(SELF)).to_be_visible()
    expect(person.box(FIRST_QUESTION, SELF)).to_be_focused()  # the reader stays where they are
    tab_to(page, person.box(SELF, OPENNESS))
    page.keyboard.press("Space")
    expect(person.question(OPENNESS)).to_be_visible()
    for value, number in NEW_IDEAS.ratings.items():
        tab_to(page, person.level(value, 1))
        page.keyboard.press("Space")
        for _ in range(number - 1):
            page.keyboard.press("ArrowRight")
        expect(person.level(value, number)).to_be_checked()
    tab_to(page, page.get_by_role("button", name="Continue"))
    page.keyboard.press("Enter")
    person.expect_post(2)
    with_mouse = someone()
    with_mouse.start()
    with_mouse.consent()
    with_mouse.read(replace(NEW_IDEAS, rationale=""))
    with_mouse.go_on()
    with_mouse.expect_post(2)
    assert rows_of(person)["annotations"] == rows_of(with_mouse)["annotations"]
