"""Pages of results in a browser: figures are asked for, drawn by a worker, and whole for every eye."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page, expect

from tests.browser.conftest import HEIGHT, open_page_in
from tests.browser.test_every_page import Tour

pytestmark = pytest.mark.browser

STUDY = "/dashboard/demo/"
A_MINUTE = 60_000
# Each page and how many charts the demonstration's report has for it.
PAGES = {
    "": 0,
    "models/": 4,
    "personalization/": 15,
    "model/": 0,
    "values/": 2,
    "disputed/": 1,
    "planning/": 2,
}
FILES = {
    "SVG": ("image/svg+xml", b"<svg"),
    "PDF": ("application/pdf", b"%PDF"),
    "PNG": ("image/png", b"\x89PNG"),
    "CSV": ("text/csv; charset=utf-8", b"value,"),
}
# Charts without a mark, wider than their place or with letters that their edge cuts off.
FIND_FLAWS = """all => all.flatMap(figure => {
    const chart = figure.querySelector('.plot-chart svg'), edge = chart.getBoundingClientRect();
    const place = figure.querySelector('.plot-place').getBoundingClientRect(), flaws = [];
    if (!chart.querySelector('.role-mark :is(path, rect, text)')) flaws.push('empty');
    if (edge.right > place.right + 1) flaws.push('too wide');
    for (const text of chart.querySelectorAll('text')) {
        const box = text.getBoundingClientRect();
        if (box.width && (box.left < edge.left - 1 || box.right > edge.right + 1 ||
            box.top < edge.top - 2 || box.bottom > edge.bottom + 2)) flaws.push('cuts ' + text.textContent);
    }
    return flaws.map(flaw => figure.id + ': ' + flaw);
})"""
# A chart is hidden from assistive technology: its thousand nodes would only take time.
RUN_AXE = "rules => axe.run({exclude: ['.plot-chart svg']}, {resultTypes: ['violations'], ...rules})"


@dataclass
class Asked:
    """What was seen while the figures were asked for."""

    before: str
    progress: str
    after: str


@pytest.fixture(scope="module")
def asked(chromium, site, logged_in) -> Asked:
    """A study with ratings, whose figures are asked for on its page and drawn by the worker."""
    with open_page_in(chromium, site, storage_state=logged_in) as page:
        page.goto(STUDY)
        state = page.locator(".results-state")
        before = state.inner_text()
        page.get_by_role("button", name="Compute the figures").click()
        progress = page.locator("#refresh").inner_text()
        # The page finds out by itself that they are there.
        expect(state).not_to_contain_text("nothing is computed yet", timeout=A_MINUTE)
        return Asked(before, progress, page.locator(".results-cards").inner_text())


def show_charts(page: Page) -> int:
    """Scroll to each figure until it is a chart; return how many there are."""
    figures = page.locator("[data-chart]")
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator(".plot-chart:not(.is-coming) svg")).to_be_visible()
        expect(figure.locator("img")).to_be_hidden()
    return figures.count()


def find_overflow(page: Page, tour: Tour) -> None:
    needed, wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if needed > wide:
        tour.overflows.append(f"{page.url} needs {needed} px of {wide}")


def test_figures_are_asked_for_and_come_by_themselves(asked):
    assert "nothing is computed yet" in asked.before
    assert "The agreement of people is being computed" in asked.progress
    assert re.search(r"Human-human\n−?0\.\d{3}\n", asked.after)


def test_every_page_of_results_is_whole_on_each_screen(chromium, site, logged_in, asked):
    tour, flaws, n_charts = Tour(), [], {}
    with (
        open_page_in(chromium, site, storage_state=logged_in) as page,
        tour.listening(page, urlsplit(site.url).netloc),
    ):
        addresses = [f"{STUDY}agreement/", *(STUDY + name for name in PAGES)]
        page.goto(f"{STUDY}disputed/")
        post = page.locator(".disputed-head a").first.get_attribute("href")
        page.goto(post)
        rater = page.locator(".post-raters tbody a").first.get_attribute("href")
        for address in (*addresses, post, rater):
            page.emulate_media(color_scheme="light")
            for wide in (390, 1280):
                page.set_viewport_size({"width": wide, "height": HEIGHT})
                page.goto(address)
                n_charts[address] = show_charts(page)
                flaws += page.locator("[data-chart]").evaluate_all(FIND_FLAWS)
                find_overflow(page, tour)
            page.set_viewport_size({"width": 320, "height": HEIGHT})
            find_overflow(page, tour)
            page.set_viewport_size({"width": 1280, "height": HEIGHT})
            page.evaluate(AXE_SCRIPT)
            for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
                page.emulate_media(color_scheme=scheme)
                found = AxeResults(page.evaluate(RUN_AXE, rules))
                if found.violations_count:
                    tour.violations.append(f"{address}, {scheme}: {found.generate_report()}")
    # How many raters posts have is drawn where they differ, which depends on who came when.
    assert n_charts.pop(f"{STUDY}agreement/") in (4, 5)
    assert n_charts == {STUDY + name: n for name, n in PAGES.items()} | {post: 0, rater: 0}
    assert not flaws
    assert not tour.violations, "\n".join(tour.violations)
    assert not tour.overflows
    assert not tour.faults


def test_a_figure_is_a_chart_that_answers_and_its_numbers_and_files(open_page, logged_in, asked):
    page = open_page(storage_state=logged_in)
    page.goto(f"{STUDY}agreement/")
    figure = page.locator("#figure-alpha_by_value")
    figure.scroll_into_view_if_needed()
    figure.locator(".plot-chart .mark-symbol path").first.hover()
    expect(page.locator("#vg-tooltip-element")).to_contain_text("Alpha")

    chart = figure.get_by_role("img", name="How far raters agree about each value")
    wide = chart.bounding_box()["width"]
    page.set_viewport_size({"width": 700, "height": HEIGHT})
    page.wait_for_function(
        "was => document.querySelector('#figure-alpha_by_value .plot-chart svg').clientWidth < was - 100",
        arg=wide,
    )

    expect(figure.get_by_role("table")).to_be_hidden()
    figure.get_by_text("Numbers").click()
    expect(figure.get_by_role("row")).to_have_count(20)  # the heading and each value
    for name, (kind, start) in FILES.items():
        answer = page.request.get(figure.get_by_role("link", name=name).get_attribute("href"))
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        assert answer.body().lstrip(b"\xef\xbb\xbf").startswith(start)


def test_without_scripts_figures_are_drawings(open_page, logged_in, asked):
    page = open_page(storage_state=logged_in, java_script_enabled=False)
    page.goto(f"{STUDY}agreement/")
    figure = page.locator("#figure-alpha_by_value")
    drawing = figure.get_by_role("img", name="How far raters agree about each value")
    expect(drawing).to_be_visible()
    assert drawing.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 560
    figure.get_by_text("Numbers").click()
    expect(figure.get_by_role("row")).to_have_count(20)


def test_what_was_typed_into_the_plan_stays_after_an_error(open_page, logged_in, asked):
    page = open_page(storage_state=logged_in)
    page.goto(f"{STUDY}planning/")
    posts, rho = page.get_by_label("Posts", exact=True), page.get_by_label("Rho with the others’ consensus")
    posts.fill("three hundred")
    rho.fill("0.2")
    page.get_by_role("button", name="Answer").click()
    expect(page.get_by_text("Give a whole number from 1 to 1,000,000.")).to_be_visible()
    expect(posts).to_have_value("three hundred")
    expect(posts).to_have_attribute("aria-invalid", "true")
    expect(rho).to_have_value("0.2")
    expect(page.get_by_role("table", name="300 posts")).to_be_hidden()
    posts.fill("300")
    page.get_by_role("button", name="Answer").click()
    expect(page.get_by_role("table", name="300 posts")).to_be_visible()
    expect(rho).to_have_value("0.2")
