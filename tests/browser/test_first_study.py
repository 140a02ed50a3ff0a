"""docs/first-study.md, followed to the letter: a study set up, rehearsed and piloted by somebody who cannot program."""

import csv
import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
PLACEHOLDER = re.compile(r"\[[^\]]*\]")
TEXTS = ("welcome", "consent_sections", "steps-10-sections")


@pytest.fixture
def desk(open_page, logged_in) -> Page:
    return open_page(storage_state=logged_in)


def unfold(page: Page, name: str):
    """Open whatever hides a field, and return the field."""
    field = page.locator(f"[name={name}]")
    for fold in field.locator("xpath=ancestor::details[not(@open)]").all():
        fold.locator("> summary").click()
    return field


def test_somebody_who_follows_the_guide_gets_a_study_that_takes_people_in(desk, site, open_page, tmp_path):
    start_from_the_paper(desk)
    fill_in_what_only_they_know(desk)
    bring_posts(desk, tmp_path / "posts.csv")
    rehearse(desk)
    pilot(desk)
    someone = open_page(390)
    someone.goto("/s/first/?PROLIFIC_PID=firstperson1&STUDY_ID=study1&SESSION_ID=session1")
    someone.get_by_role("button", name="Start").click()
    expect(someone.get_by_role("heading", name="Before you decide")).to_be_visible()
    people = (
        "SELECT phase, study_version_id IS NOT NULL FROM annotation_enrollment WHERE study_id = "
        "(SELECT id FROM annotation_study WHERE slug = 'first') ORDER BY id"
    )
    assert site.query(people) == [("rehearsal", 0), ("pilot", 1)]


def start_from_the_paper(desk: Page) -> None:
    desk.goto("/admin/")
    desk.get_by_role("link", name="Start from the paper's design").click()
    desk.get_by_label("Name").fill("Our first study")
    desk.get_by_label("Address").fill("first")
    desk.get_by_role("button", name="Make the study").click()
    expect(desk.get_by_role("heading", name="Our first study")).to_be_visible()


def fill_in_what_only_they_know(desk: Page) -> None:
    for name in TEXTS:
        field = unfold(desk, name)
        assert PLACEHOLDER.search(field.input_value())
        field.fill(PLACEHOLDER.sub("our own words", field.input_value()))
    unfold(desk, "estimated_minutes").fill("45")
    unfold(desk, "reward").fill("6.00")
    unfold(desk, "retain_until").fill("2099-12-31")
    expect(desk.get_by_text("£8.00 an hour")).to_be_visible()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_text("was changed successfully")).to_be_visible()


def bring_posts(desk: Page, path) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "text", "likes"), *((f"p{n}", f"On day {n} we went out together.", n) for n in range(31))]
        )
    desk.goto("/dashboard/first/")
    desk.get_by_role("navigation", name="Our first study").get_by_role("link", name="Posts").click()
    desk.set_input_files("input[type=file]", path)
    desk.get_by_role("button", name="Upload and look into it").click()
    desk.get_by_role("button", name="Load the file").click()
    expect(desk.get_by_role("button", name="Remove these posts")).to_be_visible(timeout=60_000)


def rehearse(desk: Page) -> None:
    desk.get_by_role("link", name="Rehearse").click()
    with desk.context.expect_page() as opened:
        desk.get_by_role("button", name="Start a test participant").click()
    expect(opened.value.get_by_text("Test participant: nothing you answer is data")).to_be_visible()
    opened.value.get_by_role("button", name="Start").click()
    expect(opened.value.get_by_role("heading", name="Before you decide")).to_be_visible()
    opened.value.close()


def pilot(desk: Page) -> None:
    desk.get_by_role("link", name="Check and launch").click()
    expect(desk.get_by_text("Nothing keeps people out")).to_be_visible()
    desk.get_by_text("Start the pilot").first.click()
    form = desk.locator("details[open] form")
    form.get_by_role("textbox").fill("Everything is there.")
    for box in form.get_by_role("checkbox").all():
        box.check()
    form.get_by_role("button", name="Start the pilot").click()
    expect(desk.get_by_text("The version people meet is number 1.")).to_be_visible()
