"""What the walks fill in: right and wrong answers to each kind of page, and such as are none."""

import random

from annotation.attention.number_image import draw_task
from annotation.models import Study
from annotation.selectors import get_tree
from annotation.tree.known import is_correct, read_gating_config
from annotation.tree.walk import Reading
from annotation.views.attention import _draw_for
from tests.every_step import FOCUS, GATING, know_gate, know_training
from tests.journeys.book import RIGHT, UNFINISHED, WRONG, Served
from tests.visitor import mark_nothing, rate_social_focus, reading_data

READING_KINDS = ("training", "gating", "labeling")
JUNK = ("", " ", "\x00", "9" * 30, "-1", "<b>", "ü" * 300, "none", "🧭", "999999999")
DEEP = Reading(
    {
        "statement": frozenset({"personal_focus", "social_focus"}),
        "personal_focus": frozenset({"self_enhancement"}),
    },
    {"achievement": 2, "power": 5} | dict.fromkeys(FOCUS, 1),
)
HEDONISM = Reading(
    {
        "statement": frozenset({"personal_focus"}),
        "personal_focus": frozenset({"openness"}),
        "openness": frozenset({"enjoyment"}),
    },
    {"hedonism": 3},
)


class Answers:
    """Answers by chance, as good as one asks for."""

    def __init__(self, study: Study, rng: random.Random) -> None:
        self.study, self.rng = study, rng
        self.tree = get_tree(study.value_system)
        self.training, self.gate = know_training(study), know_gate(study)
        self.gate_posts = {post.key: post for post in read_gating_config(self.tree, GATING).posts}

    def fill_in(self, page: Served, quality: str) -> tuple[dict, object]:
        """The fields that answer a page, well or badly, and what they mean."""
        if page.kind in READING_KINDS:
            return self.fill_in_reading(page, quality)
        data, answer = {"item": page.item}, None
        junk = self.rng.choice(JUNK)
        if page.kind == "consent":
            data["consent"] = {RIGHT: "yes", WRONG: "no", UNFINISHED: junk}[quality]
        elif page.kind == "attention_check" and "seen" in page.controls:
            number = draw_task(_draw_for(page.book.enrollment, page.book.path[page.position - 1])).number
            unreadable = self.rng.choice(("", "many", "\x00", "-3", "9" * 60))
            data["seen"] = {RIGHT: str(number), WRONG: str(number - 1), UNFINISHED: unreadable}[quality]
        elif page.kind == "attention_check":
            told = {RIGHT: "3", WRONG: "1", UNFINISHED: junk}[quality]
            data |= {"row-item": "2", "row-told": told, "row-page": "4"}
        elif page.kind == "vcq":
            answer = self.rng.randint(1, 5)
            data["rating"] = junk if quality == UNFINISHED else str(answer)
        elif page.kind == "questionnaire":
            answer = self.rng.choice(("cat", "dog"))
            data["pet"] = junk if quality == UNFINISHED else answer
        return data, answer

    def fill_in_reading(self, page: Served, quality: str) -> tuple[dict, object]:
        if quality == UNFINISHED:
            return self.leave_unfinished(page), None
        wrong = HEDONISM if page.item == "duty" else mark_nothing()
        if page.kind == "labeling":
            reading = self.rng.choice((rate_social_focus(self.rng.randint(1, 5)), mark_nothing(), DEEP))
        else:
            right = (self.training if page.kind == "training" else self.gate)[page.item]
            reading = right if quality == RIGHT else wrong
        rationale = self.rng.choice(("", "Because.", "שלום 🧭"))
        more = {"rationale": rationale} if page.kind == "labeling" else {}
        return reading_data(self.study, page.item, reading, **more), (reading, rationale)

    def judge(self, page: Served, item: str, answer: object) -> str:
        """What the right answer to this page is worth where another one is asked."""
        if page.kind == "training":
            return RIGHT if item == page.item else WRONG
        if page.kind == "gating" and item in self.gate_posts:
            is_right = is_correct(self.tree, self.gate_posts[item], answer[0])
            return RIGHT if is_right else WRONG
        return RIGHT

    def leave_unfinished(self, page: Served) -> dict:
        side = "social_focus" if page.item in ("soup", "lock") else "personal_focus"
        opened = Reading({"statement": frozenset({side})}, {})
        junk = self.rng.choice(JUNK[:7])
        return self.rng.choice(
            (
                reading_data(self.study, page.item, opened, shown=["statement"]),
                {"item": page.item, "shown": "statement"},
                {"item": page.item, "open-statement": junk, "rate-security": junk, "shown": junk},
                {"item": page.item, "open-statement": ["none", "social_focus"], "shown": "statement"},
            )
        )
