"""The page of a running study: it renews itself, stops when told or not looked at, and disturbs nobody."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_every_page import Tour

pytestmark = pytest.mark.browser

WATCH = "/dashboard/demo/watch/"
PEOPLE = "/dashboard/demo/people/"
LATER_MS = 5_100


def is_poll(request) -> bool:
    return WATCH in request.url and request.headers.get("hx-request") == "true"


@pytest.fixture
def watching(open_page, logged_in) -> Page:
    """The page, whose clock the test moves on."""
    page = open_page(storage_state=logged_in)
    page.clock.install()
    page.goto(WATCH)
    expect(page.get_by_role("button", name="Pause the updates")).to_be_visible()
    return page


def count_polls(page: Page, times: int = 2) -> int:
    """Let some rounds pass; return how often the page asked."""
    polls = []
    page.on("request", lambda request: polls.append(request) if is_poll(request) else None)
    for _ in range(times):
        page.clock.run_for(LATER_MS)
        page.wait_for_load_state("networkidle")
    return len(polls)


def test_the_numbers_renew_themselves(watching, site):
    came = watching.locator("#watch-figures dd").first
    shown = came.inner_text()
    watching.evaluate("document.querySelector('#watch-figures dd').textContent = 'old'")
    with watching.expect_response(lambda response: is_poll(response.request)):
        watching.clock.run_for(LATER_MS)
    expect(came).to_have_text(shown)


def test_the_pause_button_stops_and_resumes(watching):
    assert count_polls(watching) >= 1
    watching.get_by_role("button", name="Pause the updates").click()
    assert count_polls(watching) == 0
    with watching.expect_request(is_poll):
        watching.get_by_role("button", name="Go on updating").click()
    expect(watching.get_by_role("button", name="Pause the updates")).to_be_visible()


def test_a_page_nobody_looks_at_asks_for_nothing_and_catches_up(watching):
    hide = "Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {}}})"
    watching.evaluate(hide.format("true"))
    assert count_polls(watching) == 0
    watching.evaluate(hide.format("false"))
    with watching.expect_request(is_poll):
        watching.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_renewal_leaves_focus_and_scroll_where_they_are(watching):
    link = watching.get_by_role("link", name="Completed")
    link.focus()
    watching.evaluate("window.scrollTo(0, 500)")
    place = watching.evaluate("window.scrollY")
    with watching.expect_response(lambda response: is_poll(response.request)):
        watching.clock.run_for(LATER_MS)
    watching.wait_for_load_state("networkidle")
    expect(link).to_be_focused()
    assert watching.evaluate("window.scrollY") == place


def test_when_the_login_has_run_out_the_page_says_that_it_is_old(watching):
    watching.context.clear_cookies()
    seen = watching.locator("#watch-seen").inner_text()
    watching.clock.run_for(LATER_MS)
    expect(watching.get_by_text("these numbers are old")).to_be_visible()
    assert watching.locator("#watch-seen").inner_text() == seen


def test_without_scripts_there_is_a_link_and_no_button(open_page, logged_in):
    page = open_page(storage_state=logged_in, java_script_enabled=False)
    page.goto(WATCH)
    expect(page.get_by_role("button", name="Pause the updates")).to_be_hidden()
    expect(page.get_by_text("renew themselves")).to_be_hidden()
    page.get_by_role("link", name="Load again").click()
    expect(page.get_by_role("heading", name="Step by step")).to_be_visible()


def test_axe_finds_nothing_and_nothing_scrolls_sideways(open_page, logged_in):
    tour, page = Tour(), open_page(storage_state=logged_in)
    for address in (WATCH, PEOPLE, f"{PEOPLE}?q=nobody", f"{PEOPLE}?step=99"):
        page.goto(address)
        tour.look_at(page, address)
    page.goto(PEOPLE)
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile("^Person"))).to_be_visible()
    for summary in page.locator("details:not([open]) summary").all():
        summary.click()
    tour.look_at(page, "person")
    assert not tour.violations, "\n".join(tour.violations)
    assert not tour.overflows
