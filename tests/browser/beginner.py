"""A person who walks the whole demonstration, with practice, gate and attention checks."""

import json
import re
from collections.abc import Iterator, Mapping

from playwright.sync_api import Locator, expect

from annotation.tree.known import GatingPlan, TrainingPlan, read_gating_config, read_training_config
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import Reading, open_branches
from annotation.views.number_words import NUMBER_WORDS
from modeling.demo import ANNOTATION_CONTENT, load_default_tree
from modeling.simulated_raters import pass_reading
from tests.browser.person import FIRST_QUESTION, NOTHING, NOTHING_AT_ALL, Person, tab_to

RIDDLE = re.compile(r"The number is ([\w-]+) (more|less) than ([\w-]+)\.")


def read_configs(kind: str) -> list[dict]:
    design = json.loads((ANNOTATION_CONTENT / "demo_study.json").read_text(encoding="utf-8"))
    return [step["config"] for step in design["steps"] if step["kind"] == kind]


class Beginner(Person):
    """One person at one page of the study `whole`."""

    def __init__(self, page, *, has_scripts: bool = True) -> None:
        super().__init__(page, has_scripts=has_scripts, slug="whole")
        self.tree: ValueTree = load_default_tree()
        self.training: TrainingPlan = read_training_config(self.tree, read_configs("training")[0])
        self.gating: GatingPlan = read_gating_config(self.tree, read_configs("gating")[0])

    def consent(self) -> None:
        self.choose(self.page.get_by_label("I want to take part"))
        self.go_on()

    def expect_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", name=text)).to_be_visible()

    def read_riddle(self) -> int:
        self.press(self.page.get_by_text("I cannot see the image"))
        words = [str(word) for word in NUMBER_WORDS]
        change, direction, start = RIDDLE.search(self.page.locator("[data-riddle]").inner_text()).groups()
        sign = 1 if direction == "more" else -1
        return words.index(start) + sign * words.index(change)

    def pass_number(self, number: int | None = None) -> None:
        number = self.read_riddle() if number is None else number
        self.write(self.page.get_by_label("Which number do you see"), str(number))
        self.go_on()

    def pass_grid(self, instructed: str = "Slightly disagree") -> None:
        for row in self.page.get_by_role("group").all():
            self.choose(row.get_by_label(instructed, exact=True))
        self.go_on()

    def mark_branch(self, key: str, marked: frozenset[str]) -> None:
        question = self.page.locator(f"section[aria-labelledby=q-{key}]")
        expect(question).to_be_visible()
        labels = [self.tree.branch(child).label for child in sorted(marked)] or [NOTHING]
        for label in labels:
            self.choose(question.get_by_role("checkbox", name=re.compile(f"^{re.escape(label)}")))

    def rate(self, ratings: Mapping[str, int]) -> None:
        for key, rating in ratings.items():
            self.choose(self.level(self.tree.leaf(key).label, self.tree.scale.shown(rating)))

    def answer_known(self, reading: Reading, *, level_by_level: bool) -> None:
        """Answer a whole reading; where nothing is revealed by marking, the button opens the next level."""
        for branch in open_branches(self.tree, reading.marks):
            if branch.child_branches:
                self.mark_branch(branch.key, reading.marks[branch.key])
                if reading.marks[branch.key] and (level_by_level or not self.has_scripts):
                    self.go_on()
        self.rate(reading.ratings)
        self.go_on()

    def practise(self) -> None:
        for number, post in enumerate(self.training.posts, start=1):
            expect(self.page.get_by_text(f"Practice post {number} of 4")).to_be_visible()
            self.answer_known(post.reading, level_by_level=True)

    def pass_gate(self) -> None:
        for number, post in enumerate(self.gating.posts, start=1):
            expect(self.page.get_by_text(f"Practice post {number} of 4")).to_be_visible()
            self.answer_known(pass_reading(self.tree, post), level_by_level=False)

    def answer_values(self) -> None:
        """Answer each row of the values questionnaire with its last choice."""
        names = self.page.locator("main input[type=radio]").evaluate_all(
            "radios => [...new Set(radios.map((radio) => radio.name))]"
        )
        for name in names:
            self.choose(self.page.locator(f"main input[name='{name}']").last)
        self.go_on()

    def begin(self) -> None:
        """Come as far as the practice."""
        self.start()
        self.consent()
        self.expect_heading("How it works")
        self.go_on()
        self.expect_heading("A short check")
        self.pass_number()

    def walk(self) -> None:
        self.begin()
        self.practise()
        self.pass_gate()
        expect(self.page.get_by_text("Post 1 of 1")).to_be_visible()
        self.read(NOTHING_AT_ALL)
        self.go_on()
        self.expect_heading("How was it to read the posts?")
        self.pass_grid()
        for number in range(1, 26):
            expect(self.page.get_by_text(f"Question {number} of 25")).to_be_visible()
            self.choose(self.level("To what extent", 1 + number % 7))
            self.go_on()
        self.expect_heading("What fits you")
        self.answer_values()
        self.expect_heading("A few questions about you")
        self.write(self.page.get_by_label("How old are you?"), "44")
        self.answer_about_me()
        expect(self.page.locator("main[data-step=debrief]")).to_be_visible()
        self.go_on()

    def visit_new_pages(self) -> Iterator[str]:
        """Show every page, with its errors, that the short study does not have; yields the name of each."""
        self.start()
        self.consent()
        self.expect_heading("How it works")
        yield "instructions"
        self.go_on()
        self.expect_heading("A short check")
        yield "attention check, number"
        self.go_on()
        yield from self._expect_error("attention check, number", "Please type the number")
        self.pass_number()
        expect(self.page.get_by_text("Practice post 1 of 4")).to_be_visible()
        yield "training"
        self.box(FIRST_QUESTION, NOTHING).check()
        self.go_on()
        yield from self._expect_error("training", "Not quite yet")
        self.box(FIRST_QUESTION, NOTHING).uncheck()
        self.practise()
        self.expect_heading("Read this post")
        yield "gating"
        self.pass_gate()
        expect(self.page.get_by_text("Post 1 of 1")).to_be_visible()
        self.mark(FIRST_QUESTION, "Outcomes for oneself")
        self.mark("Outcomes for oneself", "Openness to change")
        self.level("Pleasure", 3).check()
        self.box(FIRST_QUESTION, "Outcomes for oneself").uncheck()
        expect(self.page.get_by_role("button", name="Remove")).to_be_visible()
        yield "labeling, a branch with ratings closed"
        self.page.get_by_role("button", name="Remove").click()
        expect(self.page.get_by_role("button", name="Remove")).to_be_hidden()
        self.read(NOTHING_AT_ALL)
        self.go_on()
        self.expect_heading("How was it to read the posts?")
        yield "attention check, grid"
        self.go_on()
        yield from self._expect_error("attention check, grid", "Please choose an answer")
        self.page.get_by_role("link", name="Leave and delete my answers").click()
        yield "leave"
        self.page.get_by_role("button", name="Leave and delete my answers").click()
        expect(self.page.locator("[data-outcome=withdrew]")).to_be_visible()
        yield "withdrew"


class Typist(Beginner):
    """A beginner who has a keyboard and nothing else."""

    def choose(self, control: Locator) -> None:
        if control.get_attribute("type") != "radio":
            tab_to(self.page, control)
            self.page.keyboard.press("Space")
            return
        radios = self.page.locator(f"main input[name='{control.get_attribute('name')}']")
        tab_to(self.page, radios.first)  # a group is one stop of the Tab key
        self.page.keyboard.press("Space")
        for _ in range(radios.count()):
            if control.is_checked():
                return
            self.page.keyboard.press("ArrowRight")
        expect(control).to_be_checked()

    def press(self, control: Locator) -> None:
        tab_to(self.page, control)
        self.page.keyboard.press("Enter")

    def write(self, field: Locator, text: str) -> None:
        tab_to(self.page, field)
        self.page.keyboard.type(text)
