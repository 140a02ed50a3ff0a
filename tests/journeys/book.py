"""What a study must hold of one person, worked out apart from the software: the model of the random walks."""

from dataclasses import dataclass, field

from annotation.models import Enrollment, Outcome, Study
from annotation.selectors import get_current_step, get_labeling_item, get_tree
from annotation.tree.walk import Reading, complete
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from tests.every_step import GATING, TRAINING

RIGHT, WRONG, UNFINISHED = "right", "wrong", "unfinished"
N_QUESTIONS = 4
ITEMS = {
    "training": [post["key"] for post in TRAINING["posts"]],
    "gating": [post["key"] for post in GATING["posts"]],
}


@dataclass(frozen=True)
class Submit:
    """What is sent from a page, and whether it is a whole answer, and a right one."""

    position: int
    item: str
    quality: str
    answer: object = None  # a reading with its rationale, a rating, an option


@dataclass
class Book:
    """One enrollment as it must be: a first answer stands, steps are done in order."""

    study: Study
    enrollment: Enrollment
    path: list = field(default_factory=list)
    at: int = 0
    outcome: str = ""
    is_late: bool = False
    consent: bool | None = None
    attempts: list = field(default_factory=list)
    annotations: dict = field(default_factory=dict)
    ratings: dict = field(default_factory=dict)
    pet: str | None = None
    draft: tuple | None = None  # position, item, fields

    def __post_init__(self):
        self.path = list(self.study.steps.order_by("position"))

    @property
    def step(self):
        return None if self.outcome else self.path[self.at]

    @property
    def item(self) -> str:
        """Which post or question is open."""
        kind = self.step.kind
        if kind == "training":
            done = {item for step, item, is_right in self.attempts if step == self.step and is_right}
            return next(item for item in ITEMS[kind] if item not in done)
        if kind == "gating":
            return ITEMS[kind][sum(step == self.step for step, _, _ in self.attempts)]
        if kind == "labeling":
            return get_labeling_item(self.enrollment, self.step)  # which post comes is for chance to say
        return str(len(self.ratings) + 1) if kind == "vcq" else ""

    def is_open_at(self, position: int, item: str) -> bool:
        return not self.outcome and self.step.position == position and self.item == item

    def come_back(self) -> None:
        """Whoever sends anything after their time goes on."""
        if self.outcome == Outcome.TIMED_OUT:
            self.outcome = ""

    def run_out_of_time(self) -> None:
        if not self.outcome and not self.is_late:
            self.outcome, self.is_late = Outcome.TIMED_OUT, True

    def withdraw(self) -> None:
        self.outcome, self.consent, self.pet, self.draft = Outcome.WITHDREW, None, None, None
        for answers in (self.attempts, self.annotations, self.ratings):
            answers.clear()

    def keep(self, position: int, item: str, fields: dict) -> None:
        """Take a draft."""
        if self.is_open_at(position, item) and self.step.kind != "consent":
            self.draft = (position, item, fields)

    def take(self, sent: Submit, *, is_lost: bool = False) -> None:
        """Take a submit; `is_lost` for a post that went to someone else meanwhile."""
        if self.outcome or self.step.position != sent.position:
            return
        if self.step.kind in ("instructions", "debrief"):
            self._go_on()
            return
        if is_lost or sent.quality == UNFINISHED or not self._is_asked(sent.item):
            return
        getattr(self, f"_take_{self.step.kind}")(sent, sent.quality == RIGHT)

    def _is_asked(self, item: str) -> bool:
        if self.step.kind == "labeling":
            theirs = map(str, self.enrollment.assignments.values_list("pk", flat=True))
            return item in theirs and item not in self.annotations
        return self.step.kind not in ("training", "gating", "vcq") or item == self.item

    def _go_on(self) -> None:
        self.at, self.draft = self.at + 1, None
        if self.at == len(self.path):
            self.outcome = Outcome.COMPLETED

    def _take_consent(self, sent: Submit, is_right: bool) -> None:
        self.consent = is_right
        if is_right:
            self._go_on()
        else:
            self.outcome = Outcome.NO_CONSENT

    def _take_attention_check(self, sent: Submit, is_right: bool) -> None:
        self.attempts.append((self.step, "check", is_right))
        n_failed = sum(not right for _, item, right in self.attempts if item == "check")
        self._go_on()
        if not is_right and n_failed >= self.study.attention_limit:
            self.outcome = Outcome.FAILED_ATTENTION

    def _take_training(self, sent: Submit, is_right: bool) -> None:
        is_last = sent.item == ITEMS["training"][-1]
        self.attempts.append((self.step, sent.item, is_right))
        if is_right:
            self.draft = None
            if is_last:
                self._go_on()

    def _take_gating(self, sent: Submit, is_right: bool) -> None:
        step = self.step
        self.attempts.append((step, sent.item, is_right))
        self.draft = None
        given = [right for each, _, right in self.attempts if each == step]
        if len(given) == len(ITEMS["gating"]):
            if sum(given) >= GATING["threshold"]:
                self._go_on()
            else:
                self.outcome = Outcome.SCREENED_OUT

    def _take_labeling(self, sent: Submit, is_right: bool) -> None:
        self.annotations[sent.item] = (self.step, sent.answer)
        self.draft = None
        n_read = sum(step == self.step for step, _ in self.annotations.values())
        if n_read == self.step.config["posts"]:
            self._go_on()

    def _take_vcq(self, sent: Submit, is_right: bool) -> None:
        self.ratings[int(sent.item)] = sent.answer
        self.draft = None
        if len(self.ratings) == N_QUESTIONS:
            self._go_on()

    def _take_questionnaire(self, sent: Submit, is_right: bool) -> None:
        self.pet = sent.answer
        self._go_on()

    def compare(self) -> None:
        """Hold the book against what is stored."""
        stored = Enrollment.objects.get(pk=self.enrollment.pk)
        assert (stored.outcome, stored.timed_out_at is not None) == (self.outcome, self.is_late)
        assert get_current_step(stored) == self.step
        record = getattr(stored, "consent_record", None)
        assert (record.given if record else None) == self.consent
        attempts = stored.attempts.order_by("pk").values_list("step", "item", "is_right")
        assert list(attempts) == [(step.pk, item, is_right) for step, item, is_right in self.attempts]
        annotations = {
            str(each.assignment_id): (each.ratings, each.codes, each.rationale)
            for each in stored.annotations.all()
        }
        assert annotations == {item: self._code(answer) for item, (_, answer) in self.annotations.items()}
        posts = list(stored.annotations.values_list("post", flat=True))
        assert len(posts) == len(set(posts))
        ratings = CalibrationAnswer.objects.filter(enrollment=stored).values_list(
            "question__position", "rating"
        )
        assert dict(ratings) == self.ratings
        responses = QuestionnaireResponse.objects.filter(enrollment=stored).values_list("answers", flat=True)
        assert list(responses) == ([{"pet": self.pet}] if self.pet else [])
        assert stored.assignments.filter(status="open").count() <= 1

    def _code(self, answer: tuple[Reading, str]) -> tuple:
        reading, rationale = answer
        done = complete(get_tree(self.study.value_system), reading)
        return done.ratings, done.codes, rationale


@dataclass(frozen=True)
class Served:
    """A page with a form, as it was served once."""

    book: Book
    position: int
    kind: str
    mark: str
    item: str
    buttons: tuple  # of a question about a branch: name, value
    controls: dict  # of its form, as `modeling.simulation.page` reads it
