"""A person who takes part in the demonstration study, finding everything by what it is called."""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page, expect

FIRST_QUESTION = "Which of these does the post bring up?"
SELF, OTHERS = "Outcomes for oneself", "Outcomes for others"
OPENNESS, SUCCESS = "Openness to change", "Success, status and safety"
NOTHING = "None of these"
LABELING, VCQ, QUESTIONNAIRE = (re.compile(rf"/s/demo/step/{position}/$") for position in (2, 3, 4))
ABOUT_ME = {
    "gender": "Non-binary",
    "level of school": "High school or GED",
    "US politics": "Independent",
    "political views": "In the middle",
    "read posts": "About once a day",
}


@dataclass(frozen=True)
class Reading:
    """What someone marks in which question, in order, and how they rate, in the numbers on the page."""

    marks: tuple[tuple[str, tuple[str, ...]], ...]
    ratings: Mapping[str, int] = field(default_factory=dict)
    rationale: str = ""


NEW_IDEAS = Reading(
    marks=((FIRST_QUESTION, (SELF,)), (SELF, (OPENNESS,))),
    ratings={"Independent thinking": 1, "Freedom of action": 4, "Novelty": 7, "Pleasure": 2},
    rationale="It is about cheese.\nAnd about red wine.",
)
NOTHING_AT_ALL = Reading(marks=((FIRST_QUESTION, (NOTHING,)),))
ONE_SIDE_EMPTY = Reading(
    marks=((FIRST_QUESTION, (SELF, OTHERS)), (SELF, (SUCCESS,)), (OTHERS, (NOTHING,))),
    ratings={"Achievement": 3, "Power": 2, "Wealth": 6, "Reputation": 5, "Personal security": 7},
)
READINGS = (NEW_IDEAS, NOTHING_AT_ALL, ONE_SIDE_EMPTY)
VCQ_ANSWERS = (1, 7, 4)


def draw_rater_id() -> str:
    return f"person{secrets.token_hex(6)}"


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until what is wanted has the focus; it must be reachable within a page's worth of presses."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


class Person:
    """One person at one page. `go_on` presses the page's button."""

    def __init__(self, page: Page, *, has_scripts: bool = True, slug: str = "demo") -> None:
        self.page, self.has_scripts, self.slug = page, has_scripts, slug
        self.rater_id = draw_rater_id()

    def turn_to(self, page: Page) -> None:
        """Use another of the person's tabs."""
        self.page = page
        page.bring_to_front()

    def open_link(self, slug: str = "") -> None:
        self.page.goto(
            f"/s/{slug or self.slug}/?PROLIFIC_PID={self.rater_id}&STUDY_ID=study1&SESSION_ID=session1"
        )

    def choose(self, control: Locator) -> None:
        control.check()

    def press(self, control: Locator) -> None:
        control.click()

    def write(self, field: Locator, text: str) -> None:
        field.fill(text)

    def start(self) -> None:
        self.open_link()
        self.press(self.page.get_by_role("button", name="Start"))

    def consent(self) -> None:
        self.choose(self.page.get_by_label("I want to take part"))
        self.go_on()
        expect(self.page).to_have_url(LABELING)

    def press_continue(self) -> None:
        self.press(self.page.get_by_role("button", name="Continue"))

    def go_on(self) -> None:
        """Press the button and wait for what the server says to it."""
        if not self.has_scripts:
            self.press_continue()
            return
        self.page.evaluate("document.getElementById('main').dataset.seen = 'yes'")
        self.press_continue()
        expect(self.page.locator("main[data-seen]")).to_have_count(0)

    def question(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name)

    def box(self, question: str, answer: str) -> Locator:
        return self.question(question).get_by_role("checkbox", name=re.compile(f"^{answer}"))

    def level(self, group: str, number: int) -> Locator:
        return self.page.get_by_role("group", name=group).get_by_role(
            "radio", name=re.compile(rf"^{number}\b")
        )

    def mark(self, question: str, answer: str) -> None:
        """Mark a branch and wait until what it opens can be seen."""
        self.choose(self.box(question, answer))
        if answer == NOTHING:
            return
        if not self.has_scripts:
            self.go_on()
        expect(self.question(answer)).to_be_visible()

    def read(self, reading: Reading) -> None:
        """Answer everything about the post, up to the button."""
        for question, answers in reading.marks:
            for answer in answers:
                self.mark(question, answer)
        for value, number in reading.ratings.items():
            self.choose(self.level(value, number))
        if reading.rationale:
            self.press(self.page.get_by_text("Say why (optional)"))
            self.write(self.page.get_by_label("What in the post made you"), reading.rationale)

    def expect_post(self, number: int) -> None:
        expect(self.page.get_by_text(f"Post {number} of 3")).to_be_visible()

    def label_all(self) -> None:
        for number, reading in enumerate(READINGS, start=1):
            self.expect_post(number)
            self.read(reading)
            self.go_on()

    def answer_vcq(self) -> None:
        for number, rating in enumerate(VCQ_ANSWERS, start=1):
            expect(self.page.get_by_text(f"Question {number} of 3")).to_be_visible()
            self.choose(self.level("To what extent", rating))
            self.go_on()

    def answer_questionnaire(self) -> None:
        expect(self.page).to_have_url(QUESTIONNAIRE)
        self.write(self.page.get_by_label("How old are you?"), "44")
        self.answer_about_me()

    def answer_about_me(self) -> None:
        for question, answer in ABOUT_ME.items():
            self.choose(self.page.get_by_role("group", name=question).get_by_label(answer, exact=True))
        self.go_on()

    def walk(self) -> None:
        """Take part from the link to the last page."""
        self.start()
        self.consent()
        self.label_all()
        self.answer_vcq()
        self.answer_questionnaire()

    def visit_every_page(self) -> Iterator[str]:
        """Show, one after the other, every page and every error of the path; yields the name of each."""
        page = self.page
        self.open_link()
        yield "arrival"
        page.get_by_role("button", name="Start").click()
        yield "consent"
        self.go_on()
        yield from self._expect_error("consent", "Please choose one of the two answers.")
        self.consent()
        yield "labeling"
        self.go_on()
        yield from self._expect_error("labeling", "Please mark at least one")
        self.mark(FIRST_QUESTION, SELF)
        self.mark(SELF, OPENNESS)
        self.level("Pleasure", 3).check()
        yield "labeling, a branch opened"
        self.go_on()
        yield from self._expect_error("labeling, ratings missing", "Please choose a number.")
        self.box(FIRST_QUESTION, SELF).uncheck()
        self.page.get_by_role("button", name="Remove", exact=True).click()
        expect(self.question(SELF)).to_be_hidden()
        for _ in range(3):
            self.read(NOTHING_AT_ALL)
            self.go_on()
        expect(page).to_have_url(VCQ)
        yield "VCQ"
        self.go_on()
        yield from self._expect_error("VCQ", "Please choose a number.")
        self.answer_vcq()
        yield "questionnaire"
        page.get_by_label("How old are you?").fill("7")
        self.go_on()
        yield from self._expect_error("questionnaire", "Please choose an answer.")
        self.answer_questionnaire()
        expect(page.get_by_role("link", name="Return to Prolific")).to_be_visible()
        yield "done"

    def _expect_error(self, where: str, text: str) -> Iterator[str]:
        expect(self.page.get_by_text(text).first).to_be_visible()
        yield f"{where}, error"

    def visit_dead_ends(self) -> Iterator[str]:
        """Show every page on which the path does not go on."""
        page = self.page
        page.context.clear_cookies()
        self.rater_id = draw_rater_id()
        page.goto("/s/demo/step/2/")
        expect(page.get_by_role("heading", name="open the study again from Prolific")).to_be_visible()
        yield "not enrolled"
        page.goto("/s/demo/")
        expect(page.get_by_role("heading", name="This link is not complete")).to_be_visible()
        yield "bad link"
        page.goto("/s/no-such-study/")
        expect(page.get_by_role("heading", name="This page does not exist")).to_be_visible()
        yield "no such page"
        self.open_link("closed")
        expect(page.get_by_role("heading", name="This study is closed")).to_be_visible()
        yield "closed"
        page.context.clear_cookies()
        self.start()
        page.get_by_label("I do not want to take part").check()
        self.go_on()
        expect(page.get_by_role("heading", name="You chose not to take part")).to_be_visible()
        yield "no consent"
