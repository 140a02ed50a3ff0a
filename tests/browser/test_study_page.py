"""The study's page in a browser: steps put in order by keyboard, by drag and by number; the admin looked at."""

import re
from itertools import count
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_page_in
from tests.browser.test_every_page import Tour

pytestmark = pytest.mark.browser
numbers = count(1)
KINDS = ("Consent", "Instructions", "Attention check", "Training")


@pytest.fixture
def study_page(open_page, logged_in, site):
    """Open the page of a new copy of the whole demonstration; hears what the browser complains of."""

    def open_it(wide: int = 1280, **options: object) -> tuple[Page, list[str]]:
        page = open_page(wide, storage_state=logged_in, **options)
        faults: list[str] = []
        page.on(
            "console",
            lambda message: faults.append(message.text) if message.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        ((study,),) = site.query("SELECT id FROM annotation_study WHERE slug = 'whole'")
        page.goto(f"/admin/annotation/study/{study}/duplicate/")
        name = f"Copy {next(numbers)}"
        page.get_by_label("Name").fill(name)
        page.get_by_label("Address").fill(name.lower().replace(" ", "-"))
        page.get_by_role("button", name="Make the copy").click()
        page.wait_for_url(re.compile(r"/admin/annotation/study/\d+/change/"))
        return page, faults

    return open_it


def list_steps(page: Page) -> list[str]:
    return page.locator("[data-step-label]").all_text_contents()


def list_places(page: Page) -> list[str]:
    return page.locator('.step-list input[name$="-position"]').evaluate_all(
        "all => all.map(one => one.value)"
    )


def save(page: Page) -> None:
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator(".messagelist .success")).to_be_visible()


def test_steps_are_put_in_order_by_keyboard(study_page):
    page, faults = study_page()
    assert list_steps(page)[:4] == list(KINDS)
    up = page.get_by_role("button", name="Move up: Training")
    up.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")  # the button keeps the focus on its way
    expect(up).to_be_focused()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"Training is now step 2 of \d+\."))
    assert list_steps(page)[:4] == ["Consent", "Training", "Instructions", "Attention check"]
    assert list_places(page)[:4] == ["1", "2", "3", "4"]
    save(page)
    assert list_steps(page)[:4] == ["Consent", "Training", "Instructions", "Attention check"]
    assert not faults


@pytest.mark.parametrize("wide", [1280, 390])
def test_steps_are_put_in_order_by_drag(study_page, wide):
    page, faults = study_page(wide)
    grips = page.locator("[data-grip]")
    grips.nth(3).scroll_into_view_if_needed()
    box = grips.nth(3).bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    target = page.locator("[data-step]").nth(1).bounding_box()  # what is folded while something is dragged
    page.mouse.move(box["x"] + 5, target["y"] + target["height"] - 5, steps=4)
    page.mouse.move(box["x"] + 5, target["y"] + 3, steps=4)
    page.mouse.up()
    assert list_steps(page)[:4] == ["Consent", "Training", "Instructions", "Attention check"]
    save(page)
    assert list_steps(page)[:4] == ["Consent", "Training", "Instructions", "Attention check"]
    assert not faults


def test_a_step_is_added_filled_in_and_another_one_deleted(study_page):
    page, faults = study_page()
    n_steps = len(list_steps(page))
    page.get_by_role("button", name="Add a step").click()
    step = page.locator("[data-step]").last
    step.get_by_label("What happens here").select_option(label="Instructions")
    expect(step.get_by_label("Number of posts")).to_be_hidden()
    step.get_by_label("Heading", exact=True).fill("One more page")
    step.get_by_label("Text", exact=True).fill("## Well\nRead this.")
    step.get_by_label("Place of the step").fill("2")
    step.get_by_label("Place of the step").press("Tab")
    assert list_steps(page)[:3] == ["Consent", "Instructions", "Instructions"]
    page.locator("[data-step]").nth(2).get_by_label("Delete").check()
    save(page)
    assert len(list_steps(page)) == n_steps
    assert page.locator(".brief").nth(1).text_content() == "One more page"
    assert list_places(page) == [str(place) for place in range(1, n_steps + 1)]
    assert not faults


def test_without_scripts_the_numbers_put_steps_in_order(study_page):
    page, _ = study_page(java_script_enabled=False)
    expect(page.get_by_role("button", name="Move up: Training")).to_be_hidden()
    places = page.locator('.step-list input[name$="-position"]')
    for index, place in enumerate(("1", "4", "3", "2")):
        places.nth(index).fill(place)
    save(page)
    assert list_steps(page)[:4] == ["Consent", "Training", "Attention check", "Instructions"]
    page.get_by_role("link", name="Add a step").click()
    assert list_steps(page)[-1] == "New step"


def test_the_hourly_pay_is_told_while_one_types(study_page):
    page, faults = study_page()
    page.get_by_label("Estimated time").fill("45")
    page.get_by_label("Reward").fill("6.75")
    expect(page.locator("[data-hourly-pay]")).to_have_text("£9.00 an hour")
    assert not faults


def test_the_admin_is_whole_for_every_eye_on_every_screen_and_breaks_no_policy(chromium, site, logged_in):
    ((study, system),) = site.query("SELECT id, value_system_id FROM annotation_study WHERE slug = 'demo'")
    addresses = {
        "home": "/admin/",
        "studies": "/admin/annotation/study/",
        "study": f"/admin/annotation/study/{study}/change/",
        "new study": "/admin/annotation/study/add/",
        "from the paper": "/admin/annotation/study/from-paper/",
        "people": "/admin/annotation/enrollment/",
        "log": "/admin/annotation/studyevent/",
        "value system": f"/admin/annotation/valuesystem/{system}/change/",
    }
    tour = Tour()
    host = urlsplit(site.url).netloc
    with open_page_in(chromium, site, storage_state=logged_in) as page, tour.listening(page, host):
        for address in addresses.values():
            page.goto(address, wait_until="networkidle")
    with open_page_in(chromium, site, storage_state=logged_in) as page:
        for name, address in addresses.items():
            page.goto(address)
            # Whatever is folded is looked at too.
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
            tour.look_at(page, name)
        page.context.clear_cookies()
        page.goto("/admin/")
        tour.look_at(page, "login")
    assert len(tour.names) == len(addresses) + 1
    assert not tour.violations, "\n".join(tour.violations)
    assert not tour.overflows
    assert not tour.faults
