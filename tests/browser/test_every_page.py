"""What holds on each page: for every eye, on every screen, without a fault and without a word to strangers."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Error, Page, expect

from tests.browser.beginner import Beginner
from tests.browser.conftest import HEIGHT, open_page_in
from tests.browser.person import Person

pytestmark = pytest.mark.browser

MAX_PAGE_BYTES = 100_000
PAGES_FOR_RESEARCHERS = {
    "home": "/",
    "dashboard": "/dashboard/",
    "study with a report": "/dashboard/demo/",
    "study without a report": "/dashboard/closed/",
    "posts of a study": "/dashboard/demo/posts/",
    "rehearsal": "/dashboard/demo/rehearse/",
    "check and launch": "/dashboard/demo/launch/",
    "watch": "/dashboard/demo/watch/",
    "people": "/dashboard/demo/people/",
    "quality": "/dashboard/demo/quality/",
    "data": "/dashboard/demo/data/",
    "versions": "/dashboard/demo/versions/",
    "erase": "/dashboard/demo/erase/",
    "access": "/dashboard/demo/access/",
    "API tokens": "/dashboard/demo/api/",
    "model in use": "/dashboard/demo/model/",
    "model without a fit": "/dashboard/closed/model/",
    "annotator models": "/dashboard/demo/annotators/",
    "new annotator model": "/dashboard/demo/annotators/new/",
    "annotator model with a preview": "/dashboard/demo/annotators/3/",
    "run of a curation": "/dashboard/demo/runs/1/",
    "annotator models side by side": "/dashboard/demo/annotators/compare/",
    "prompts": "/dashboard/demo/prompts/",
    "prompt": "/dashboard/demo/prompts/nsfw/1/",
    "new words of a prompt": "/dashboard/demo/prompts/values/",
    "curations": "/dashboard/demo/curation/",
    "curation": "/dashboard/demo/curation/1/",
    "settings of a curation": "/dashboard/demo/curation/1/settings/",
    "checks": "/dashboard/demo/curation/1/checks/",
    "new check": "/dashboard/demo/curation/1/check/new/",
    "check": "/dashboard/demo/checks/1/",
    "post of a check": "/dashboard/demo/checks/1/label/",
    "fine-tuning": "/dashboard/demo/tuning/",
    "taught model": "/dashboard/demo/tuning/1/",
    "expert sets": "/dashboard/demo/experts/",
    "new expert set": "/dashboard/demo/experts/new/",
    "expert set": "/dashboard/demo/experts/1/",
    "post of an expert set": "/dashboard/demo/experts/1/label/",
    "disagreements": "/dashboard/demo/experts/1/disagreements/",
    "labels from a file": "/dashboard/demo/experts/1/import/",
    "prompt calibration": "/dashboard/demo/experts/1/calibration/",
    "runs of prompts": "/dashboard/demo/experts/1/calibration/run/",
    "errors of a run": "/dashboard/demo/experts/1/errors/",
    "stability": "/dashboard/demo/experts/1/stability/",
    "structure": "/dashboard/demo/experts/1/structure/",
    "verification": "/dashboard/demo/verification/",
    "new rules": "/dashboard/demo/verification/rules/edit/",
    "rules": "/dashboard/demo/verification/rules/1/",
    "queue of a verification": "/dashboard/demo/verification/1/",
    "review": "/dashboard/demo/verification/1/review/",
    "soft labels": "/dashboard/demo/soft-labels/",
    "soft labels of posts": "/dashboard/demo/soft-labels/1/",
    "encoders": "/dashboard/demo/encoders/",
    "new encoder": "/dashboard/demo/encoders/new/",
    "encoder": "/dashboard/demo/encoders/1/",
    "new check of transfer": "/dashboard/demo/encoders/transfer/new/",
    "reference of the API": "/api/",
    "own account": "/accounts/",
    "admin": "/admin/",
    "studies in the admin": "/admin/annotation/study/",
}


@dataclass
class Tour:
    """What was found on pages that were shown one after the other."""

    names: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    overflows: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)

    def look_at(self, page: Page, name: str) -> None:
        self.names.append(name)
        page.evaluate(AXE_SCRIPT)
        for wide in (1280, 390, 320):
            page.set_viewport_size({"width": wide, "height": HEIGHT})
            needed = page.evaluate("document.documentElement.scrollWidth")
            if needed > wide:
                self.overflows.append(f"{name} needs {needed} px of {wide}")
            for scheme in ("light", "dark") if wide != 320 else ():
                page.emulate_media(color_scheme=scheme)
                results = AxeResults(page.evaluate("axe.run({resultTypes: ['violations']})"))
                if results.violations_count:
                    self.violations.append(f"{name}, {wide} px, {scheme}: {results.generate_report()}")

    @contextmanager
    def listening(self, page: Page, host: str) -> Iterator[None]:
        """Note what the pages complain of, and whom they talk to."""

        def hear(message):
            # That a page answers a faulty form with 422 is its duty; everything it loads must be there.
            is_own_status = (
                message.text.startswith("Failed to load resource") and message.location["url"] == page.url
            )
            if message.type in ("error", "warning") and not is_own_status:
                self.faults.append(f"{page.url}: {message.text}")

        def see(request):
            if urlsplit(request.url).netloc != host:
                self.faults.append(f"{page.url}: talks to {request.url}")

        page.on("console", hear)
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("requestfailed", lambda request: self.faults.append(f"{request.url}: {request.failure}"))
        page.on("request", see)
        yield
        page.wait_for_load_state("networkidle")


@pytest.fixture(scope="module")
def path(chromium, site) -> Tour:
    """A participant's way, with every error and every dead end."""
    tour = Tour()
    received: list[float] = []
    with open_page_in(chromium, site) as page, tour.listening(page, urlsplit(site.url).netloc):
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.send("Network.setCacheDisabled", {"cacheDisabled": True})
        line.on("Network.requestWillBeSent", lambda event: event["type"] == "Document" and received.clear())
        line.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
        person = Person(page)
        visits = (person.visit_every_page(), person.visit_dead_ends(), Beginner(page).visit_new_pages())
        for visit in visits:
            for name in visit:
                page.wait_for_load_state("load")
                tour.weights[name] = sum(received)
                tour.look_at(page, name)
    return tour


@pytest.fixture(scope="module")
def desk(chromium, site, logged_in) -> Tour:
    """The researchers' pages."""
    tour = Tour()
    host = urlsplit(site.url).netloc
    with open_page_in(chromium, site, storage_state=logged_in) as page, tour.listening(page, host):
        for name, address in PAGES_FOR_RESEARCHERS.items():
            page.goto(address)
            tour.look_at(page, name)
        ((study,),) = site.query("SELECT id FROM annotation_study WHERE slug = 'demo'")
        # Not looked at with axe here: it trips over a style sheet that Django's forms import.
        page.goto("/admin/annotation/study/from-paper/")
        page.goto(f"/admin/annotation/study/{study}/change/")
        expect(page.get_by_role("heading", name="At a glance")).to_be_visible()
    return tour


def test_the_tour_sees_the_whole_path(path):
    assert len(path.names) == len(set(path.names))
    assert {
        "arrival",
        "consent, error",
        "labeling, error",
        "VCQ, error",
        "questionnaire, error",
        "attention check, grid, error",
        "training, error",
        "gating",
        "withdrew",
        "done",
    } < set(path.names)


def test_axe_finds_nothing_on_the_participants_pages(path):
    assert not path.violations, "\n".join(path.violations)


def test_axe_finds_nothing_on_the_researchers_pages(desk):
    assert not desk.violations, "\n".join(desk.violations)


def test_no_page_scrolls_sideways_on_a_telephone(path, desk):
    assert not path.overflows + desk.overflows


def test_the_participants_pages_raise_no_error_and_talk_to_no_one_else(path):
    assert not path.faults, "\n".join(path.faults)


def test_the_researchers_pages_and_the_admin_raise_no_error_and_talk_to_no_one_else(desk):
    assert not desk.faults


def test_every_page_of_the_path_is_light(path, capsys):
    heaviest = max(path.weights, key=path.weights.__getitem__)
    with capsys.disabled():
        print(f"\nThe heaviest page of the path is {heaviest!r}: {path.weights[heaviest] / 1000:.1f} kB")
    assert min(path.weights[name] for name in ("arrival", "consent", "labeling", "VCQ", "done")) > 10_000
    assert path.weights[heaviest] < MAX_PAGE_BYTES


def test_a_faulty_page_would_be_noticed(open_page, site):
    tour, page = Tour(), open_page()
    with tour.listening(page, urlsplit(site.url).netloc):
        page.goto("/")
        page.evaluate("document.querySelector('h1').innerHTML = '<i style=\"width: 1px\"></i>'")
        page.evaluate("document.querySelector('main').style.width = '1400px'")
        tour.look_at(page, "home")
        page.route("https://example.org/", lambda route: route.abort())
        with suppress(Error):
            page.goto("https://example.org/")
    assert any("inline style" in fault for fault in tour.faults)
    assert any("talks to https://example.org/" in fault for fault in tour.faults)
    assert "empty-heading" in "".join(tour.violations)
    assert len(tour.overflows) == 2  # at 390 and at 320 px
