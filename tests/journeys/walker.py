"""One person who does anything a person can do at browsers, in any order; the book says what must come of it."""

import random
from dataclasses import dataclass
from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import services
from annotation.access import COOKIE
from annotation.attention.number_image import draw_task
from annotation.models import Assignment, Enrollment, Outcome, Study
from annotation.recruitment import build_entry_path
from annotation.tree.walk import Reading
from annotation.views.attention import _draw_for
from tests.every_step import ALL_CODES, FOCUS, know_gate, know_training
from tests.factories import EnrollmentFactory
from tests.journeys.book import RIGHT, UNFINISHED, WRONG, Book, Submit
from tests.visitor import arrive, find_codes, mark_nothing, rate_social_focus, read, reading_data

READING_KINDS = ("training", "gating", "labeling")
JUNK = ("", " ", "\x00", "9" * 30, "-1", "<b>", "ü" * 300, "none", "🧭", "999999999")
DEEP = Reading(
    {
        "statement": frozenset({"personal_focus", "social_focus"}),
        "personal_focus": frozenset({"self_enhancement"}),
    },
    {"achievement": 2, "power": 5} | dict.fromkeys(FOCUS, 1),
)


@dataclass(frozen=True)
class Served:
    """A page with a form, as it was served once."""

    book: Book
    position: int
    kind: str
    mark: str
    item: str
    buttons: tuple  # of a question about a branch: name, value
    controls: dict


class Walker:
    """Walks by a seed; prints what it does. Raises AssertionError where the study does otherwise than the book."""

    def __init__(self, study: Study, seed: int, clock) -> None:
        self.study, self.clock = study, clock
        self.rng = random.Random(seed)
        self.rater_id = f"walker-{seed}"
        self.books: list[Book] = []
        self.pages: list[Served] = []
        self.sent: list[tuple[Served, Submit, dict]] = []
        self.n_drafts = 0
        self.training, self.gate = know_training(study), know_gate(study)
        self.browser = Client(enforce_csrf_checks=True)
        self.arrive()

    @property
    def book(self) -> Book:
        return self.books[-1]

    # --- one action -------------------------------------------------------------------------------

    ACTIONS = {
        "answer": 50, "resend": 6, "answer_old_page": 6, "save_draft": 9, "close_branch": 3, "press": 3,
        "reload": 5, "open_now": 4, "open_any_step": 3, "send_to_any_step": 3, "forge_item": 3, "forge_mark": 2,
        "take_other_device": 3, "lose_cookies": 2, "let_time_pass": 4, "meet_other_at_browser": 1, "withdraw": 1,
    }  # fmt: skip

    def act(self) -> None:
        (action,) = self.rng.choices(list(self.ACTIONS), self.ACTIONS.values())
        print(f"{self.book.step or self.book.outcome}: {action}")
        getattr(self, action)()
        self.check()

    def check(self) -> None:
        for book in self.books:
            book.compare()
        people = Enrollment.objects.filter(rater__external_id=self.rater_id, study=self.study)
        assert people.count() == (self.book.outcome != Outcome.WITHDREW)

    def answer(self) -> None:
        """Answer the page that is open, mostly well; where the time ran out, press its button or leave it."""
        if self.book.outcome == Outcome.TIMED_OUT:
            self.go_on_all_the_same()
        elif page := self.get_open_page():
            quality = self.rng.choices((RIGHT, WRONG, UNFINISHED), (80, 8, 12))[0]
            self.submit(page, quality)

    def answer_old_page(self) -> None:
        self.submit(self.rng.choice(self.pages), self.rng.choice((RIGHT, WRONG, UNFINISHED)))

    def resend(self) -> None:
        if self.sent:
            page, submit, data = self.rng.choice(self.sent[-6:])
            for _ in range(self.rng.choice((1, 1, 2))):
                self.deliver(page, submit, data)

    def save_draft(self) -> None:
        page = self.rng.choice(self.pages[-3:])
        fields = self.fill_in(page, self.rng.choice((RIGHT, WRONG)))[0]
        self.n_drafts += 1
        more = {"draft-number": str(self.n_drafts), "page": page.mark}
        if page.kind in READING_KINDS and self.rng.random() < 0.5:
            more["reveal"] = "yes"
        page.book.come_back()
        page.book.keep(page.position, page.item, fields)
        self.send(page.book, self.address(page.position) + "draft/", fields | more)

    def close_branch(self) -> None:
        """Send ratings below a branch that is not marked any more: asked about, never stored."""
        page = self.rng.choice(self.pages[-3:])
        if page.kind in READING_KINDS:
            reading = Reading(mark_nothing().marks, DEEP.ratings)
            data = reading_data(self.study, page.item, reading)
            self.deliver(page, Submit(page.position, page.item, UNFINISHED), data)

    def press(self) -> None:
        """Press a button of such a question, if the last page asks one."""
        page = self.pages[-1]
        if page.buttons:
            name, value = self.rng.choice(page.buttons)
            fields = {
                key: control.values for key, control in page.controls.items() if control.kind != "submit"
            }
            self.deliver(page, Submit(page.position, page.item, UNFINISHED), fields | {name: value})

    def reload(self) -> None:
        self.open(self.address(self.pages[-1].position))

    def open_now(self) -> None:
        self.open(reverse("annotation:current_step", args=[self.study.slug]))

    def open_any_step(self) -> None:
        self.open(self.address(self.rng.randint(1, len(self.book.path))))

    def send_to_any_step(self) -> None:
        page = self.rng.choice(self.pages)
        position = self.rng.randint(1, len(self.book.path))
        kind = self.book.path[position - 1].kind
        if kind == page.kind and position == page.position:
            return
        data, answer = self.fill_in(page, RIGHT)
        quality = RIGHT if kind == page.kind and kind != "attention_check" else UNFINISHED
        elsewhere = Served(page.book, position, kind, page.mark, page.item, (), {})
        self.deliver(elsewhere, Submit(position, page.item, quality, answer), data)

    def forge_item(self) -> None:
        page = self.pages[-1]
        theirs = Assignment.objects.exclude(enrollment=page.book.enrollment).first()
        item = self.rng.choice((*JUNK, "boss", "soup", "2", str(theirs.pk) if theirs else "0"))
        data, answer = self.fill_in(page, RIGHT)
        quality = self.judge(page, item)
        self.deliver(page, Submit(page.position, item, quality, answer), data | {"item": item})

    def judge(self, page: Served, item: str) -> str:
        """What answers to one post are worth as answers to another."""
        if page.kind not in ("training", "gating") or item == page.item:
            return RIGHT
        return UNFINISHED

    def forge_mark(self) -> None:
        page = self.rng.choice(self.pages)
        mark = self.rng.choice((*JUNK, page.mark[:-1], "x" * 10_000, page.mark.upper()))
        data = self.fill_in(page, RIGHT)[0] | {"page": mark}
        response = self.browser.post(self.address(page.position), data)
        assert response.status_code == 403

    def take_other_device(self) -> None:
        self.browser = Client(enforce_csrf_checks=True)
        self.arrive()

    def lose_cookies(self) -> None:
        self.browser.cookies.clear()

    def let_time_pass(self) -> None:
        self.clock.shift(timedelta(minutes=self.rng.randint(1, 12)))
        services.time_out_overdue(timezone.now())
        for book in self.books:
            if timezone.now() - book.enrollment.started_at >= timedelta(minutes=self.study.allowed_minutes):
                book.run_out_of_time()
        if self.book.outcome == Outcome.TIMED_OUT and self.rng.random() < 0.5:
            self.give_post_away()

    def give_post_away(self) -> None:
        """Somebody else gets the post that waited: with one rater a post it is gone."""
        waiting = self.book.enrollment.assignments.filter(submitted_at=None).first()
        if waiting and self.study.redundancy_cap == 1:
            other = EnrollmentFactory(study=self.study)
            Assignment.objects.create(enrollment=other, step=waiting.step, post=waiting.post, position=1)

    def meet_other_at_browser(self) -> None:
        assert arrive(self.browser, self.study, f"other-{self.rng.randrange(10**9)}").status_code == 303

    def withdraw(self) -> None:
        if self.rng.random() < 0.5:
            return
        self.pages[-1].book.withdraw()
        leave = reverse("annotation:withdraw", args=[self.study.slug])
        self.send(self.pages[-1].book, leave, {"page": self.pages[-1].mark})
        if self.book.outcome == Outcome.WITHDREW and self.rng.random() < 0.7:
            self.arrive()

    # --- to the end -------------------------------------------------------------------------------

    def finish(self) -> None:
        """From wherever this stands there is a way to the end, by the link and what the pages offer."""
        self.take_other_device()
        for _ in range(40):
            if self.book.outcome not in ("", Outcome.TIMED_OUT):
                break
            if self.book.outcome:
                self.go_on_all_the_same()
            else:
                self.submit(self.get_open_page(), RIGHT)
            self.check()
        assert self.book.outcome not in ("", Outcome.TIMED_OUT)
        done = self.open(reverse("annotation:done", args=[self.study.slug]))
        assert find_codes(done.content.decode(), ALL_CODES.values()) == {ALL_CODES[self.book.outcome]}

    # --- pages ------------------------------------------------------------------------------------

    def address(self, position: int) -> str:
        return reverse("annotation:step", args=[self.study.slug, position])

    def get_open_page(self) -> Served | None:
        """The page that is open now, asked for again if the last one seen is another; None if not to be had."""
        for _ in range(2):
            page = self.pages[-1]
            if page.book is self.book and self.book.is_open_at(page.position, page.item):
                return page
            self.open_now()
        if self.rng.random() < 0.7:
            self.arrive()
        return None

    def arrive(self) -> None:
        link = build_entry_path(self.study, self.rater_id)
        token = read(self.browser.get(link)).form(having="entry").controls["entry"].values[0]
        is_new = not self.books or self.book.outcome == Outcome.WITHDREW
        response = self.browser.post(reverse("annotation:arrival", args=[self.study.slug]), {"entry": token})
        if is_new:
            enrollment = Enrollment.objects.get(study=self.study, rater__external_id=self.rater_id)
            self.books.append(Book(self.study, enrollment))
        self.follow(response, self.book)

    def go_on_all_the_same(self) -> None:
        """Press the button of the page that says that the time is over."""
        done = reverse("annotation:done", args=[self.study.slug])
        page = next(page for page in reversed(self.pages) if page.book is self.book)
        self.book.come_back()
        self.send(self.book, done, {"page": page.mark})

    def open(self, path: str):
        return self.follow(self.browser.get(path), None)

    def submit(self, page: Served, quality: str) -> None:
        data, answer = self.fill_in(page, quality)
        self.deliver(page, Submit(page.position, page.item, quality, answer), data)

    def deliver(self, page: Served, submit: Submit, data: dict) -> None:
        self.sent.append((page, submit, data))
        was_gone = Assignment.objects.filter(
            enrollment=page.book.enrollment,
            pk=submit.item
            if submit.item.isascii() and submit.item.isdecimal() and len(submit.item) < 19
            else 0,
            status="released",
        ).exists()
        page.book.come_back()
        response = self.post(self.address(page.position), data | {"page": page.mark})
        is_lost = was_gone and page.kind == "labeling" and response.status_code == 409
        if is_lost:
            print("  ... lost")
        page.book.take(submit, is_lost=is_lost)
        self.follow(response, page.book)

    def send(self, book: Book, path: str, data: dict) -> None:
        self.follow(self.post(path, data), book)

    def post(self, path: str, data: dict):
        headers = {"HX-Request": "true"} if self.rng.random() < 0.5 else {}
        return self.browser.post(path, data, headers=headers)

    def follow(self, response, book: Book | None):
        """Follow redirects as a browser does, and look at where they end."""
        for _ in range(6):
            target = response.headers.get("Location") or response.headers.get("HX-Redirect")
            self.look_at_codes(response, book)
            if not target:
                break
            response = self.browser.get(target)
        else:
            raise AssertionError(f"the way goes round in circles: {target}")
        assert response.status_code in (200, 204, 403, 409, 422), response.status_code
        if response.status_code != 204:
            self.look_at(response, book)
        return response

    def look_at_codes(self, response, book: Book | None) -> None:
        reached = {ALL_CODES[each.outcome] for each in self.books if each.outcome and each is (book or each)}
        assert find_codes(response.content.decode(), ALL_CODES.values()) <= reached

    def look_at(self, response, book: Book | None) -> None:
        page = read(response)
        marks = [form.controls["page"].values[0] for form in page.forms if "page" in form.controls]
        whose = [each for each in self.books if marks and marks[0].startswith(each.enrollment.public_id.hex)]
        main = page.find("data-step")
        shows = main.attributes["data-step"] if main else "fragment"
        if response.status_code == 403:
            assert book is None
            assert COOKIE not in self.browser.cookies
            return
        assert page.forms or any(link.href for link in page.links), "there is no way on"
        if response.status_code == 409:
            assert any("where you are" in link.text for link in page.links)
            return
        if shows == "done":
            outcome = main.attributes["data-outcome"]
            assert outcome in [each.outcome for each in self.books if each is (book or each)]
            return
        if not whose:
            assert book is None  # somebody else's page, at whose browser this is now
            return
        assert book in (None, whose[0])
        self.look_at_step(whose[0], page, shows, is_first=response.request["REQUEST_METHOD"] == "GET")

    def look_at_step(self, book: Book, page, shows: str, *, is_first: bool) -> None:
        """The right page for where this person is, with what was kept of it."""
        form = next(form for form in page.forms if "item" in form.controls)
        item = form.controls["item"].values[0]
        assert shows in (book.step.kind, "fragment")
        assert item == book.item
        buttons = tuple(
            (name, value)
            for name in ("keep", "close")
            if name in form.controls
            for value in form.controls[name].options
        )
        mark = form.controls["page"].values[0]
        served = Served(book, book.step.position, book.step.kind, mark, item, buttons, form.controls)
        self.pages.append(served)
        if is_first:
            self.look_at_draft(book, served)

    def look_at_draft(self, book: Book, page: Served) -> None:
        position, item, kept = book.draft or (0, "", {})
        is_kept = (position, item) == (page.position, page.item)
        for name, control in page.controls.items():
            if control.kind in ("hidden", "submit") or (page.kind == "training" and name != "open-statement"):
                continue
            value = kept.get(name, []) if is_kept else []
            expected = [value] if isinstance(value, str) else list(value)
            assert sorted(filter(None, control.values)) == sorted(filter(None, expected)), name

    # --- answers ----------------------------------------------------------------------------------

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
        wrong = {"duty": Reading(DEEP_HEDONISM, {"hedonism": 3})}.get(page.item, mark_nothing())
        if page.kind == "labeling":
            reading = self.rng.choice((rate_social_focus(self.rng.randint(1, 5)), mark_nothing(), DEEP))
        else:
            right = (self.training if page.kind == "training" else self.gate)[page.item]
            reading = right if quality == RIGHT else wrong
        rationale = self.rng.choice(("", "Because.", "שלום 🧭"))
        more = {"rationale": rationale} if page.kind == "labeling" else {}
        return reading_data(self.study, page.item, reading, **more), (reading, rationale)

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


DEEP_HEDONISM = {
    "statement": frozenset({"personal_focus"}),
    "personal_focus": frozenset({"openness"}),
    "openness": frozenset({"enjoyment"}),
}
