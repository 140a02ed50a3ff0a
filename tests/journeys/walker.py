"""One person who does anything a person can do at browsers, in any order; the book says what must come of it."""

from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import services
from annotation.models import Assignment, Enrollment, Outcome, Study
from annotation.tree.walk import Reading
from tests.every_step import ALL_CODES
from tests.factories import EnrollmentFactory
from tests.journeys.answers import DEEP, JUNK, READING_KINDS
from tests.journeys.book import RIGHT, UNFINISHED, WRONG, Book, Served, Submit
from tests.journeys.visits import OTHER, Visits
from tests.visitor import arrive, find_codes, mark_nothing, reading_data


class Walker(Visits):
    """Walks by a seed; prints what it does. Raises AssertionError where the study does otherwise than the book."""

    def __init__(self, study: Study, seed: int, clock) -> None:
        super().__init__(study, seed)
        self.clock = clock
        self.n_drafts = 0

    ACTIONS = {
        "answer": 50, "resend": 6, "answer_old_page": 8, "save_draft": 9, "close_branch": 5, "press": 3,
        "reload": 5, "open_now": 4, "open_any_step": 3, "send_to_any_step": 3, "forge_item": 3, "forge_mark": 2,
        "take_other_device": 3, "lose_cookies": 2, "let_time_pass": 5, "meet_other_at_browser": 1, "withdraw": 1,
    }  # fmt: skip

    def act(self) -> None:
        if self.book.outcome not in ("", Outcome.TIMED_OUT) and self.rng.random() < 0.3:
            self.begin()
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
            wrong = 2 if page.kind == "consent" else 10
            quality = self.rng.choices((RIGHT, WRONG, UNFINISHED), (80, wrong, 10))[0]
            self.submit(page, quality)

    def answer_old_page(self) -> None:
        page = self.rng.choice(self.pages[-5:] if self.rng.random() < 0.7 else self.pages)
        self.submit(page, self.rng.choice((RIGHT, RIGHT, UNFINISHED, WRONG)))

    def resend(self) -> None:
        if self.sent:
            page, submit, data = self.rng.choice(self.sent[-6:])
            for _ in range(self.rng.choice((1, 1, 2))):
                self.deliver(page, submit, data)

    def save_draft(self) -> None:
        page = self.rng.choice(self.pages[-3:])
        fields = self.answers.fill_in(page, self.rng.choice((RIGHT, WRONG)))[0]
        self.n_drafts += 1
        more = {"draft-number": str(self.n_drafts), "page": page.mark}
        if page.kind in READING_KINDS and self.rng.random() < 0.5:
            more["reveal"] = "yes"
        page.book.come_back()
        response = self.post(self.address(page.position) + "draft/", fields | more)
        page.book.keep(page.position, page.item, fields)
        self.follow(response, page.book)

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
        data, answer = self.answers.fill_in(page, RIGHT)
        quality = RIGHT if kind == page.kind and kind != "attention_check" else UNFINISHED
        elsewhere = Served(page.book, position, kind, page.mark, page.item, (), {})
        self.deliver(elsewhere, Submit(position, page.item, quality, answer), data)

    def forge_item(self) -> None:
        page = self.pages[-1]
        theirs = Assignment.objects.exclude(enrollment=page.book.enrollment).first()
        item = self.rng.choice((*JUNK, "boss", "soup", "2", str(theirs.pk) if theirs else "0"))
        data, answer = self.answers.fill_in(page, RIGHT)
        quality = self.answers.judge(page, item, answer)
        self.deliver(page, Submit(page.position, item, quality, answer), data | {"item": item})

    def forge_mark(self) -> None:
        page = self.rng.choice(self.pages)
        mark = self.rng.choice((*JUNK, page.mark[:-1], "x" * 10_000, page.mark.upper()))
        data = self.answers.fill_in(page, RIGHT)[0] | {"page": mark}
        response = self.browser.post(self.address(page.position), data)
        assert response.status_code == 403

    def take_other_device(self) -> None:
        self.browser = Client(enforce_csrf_checks=True)
        self.arrive()

    def lose_cookies(self) -> None:
        self.browser.cookies.clear()

    def let_time_pass(self) -> None:
        self.clock.shift(timedelta(minutes=self.rng.randint(1, 25)))
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
        assert arrive(self.browser, self.study, f"{OTHER}-{self.rng.randrange(10**9)}").status_code == 303

    def withdraw(self) -> None:
        if self.rng.random() < 0.5:
            return
        self.pages[-1].book.withdraw()
        leave = reverse("annotation:withdraw", args=[self.study.slug])
        self.send(self.pages[-1].book, leave, {"page": self.pages[-1].mark})
        if self.book.outcome == Outcome.WITHDREW and self.rng.random() < 0.7:
            self.arrive()

    # --- sending ----------------------------------------------------------------------------------

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

    def go_on_all_the_same(self) -> None:
        """Press the button of the page that says that the time is over."""
        done = reverse("annotation:done", args=[self.study.slug])
        page = next(page for page in reversed(self.pages) if page.book is self.book)
        self.book.come_back()
        self.send(self.book, done, {"page": page.mark})

    def submit(self, page: Served, quality: str) -> None:
        data, answer = self.answers.fill_in(page, quality)
        self.deliver(page, Submit(page.position, page.item, quality, answer), data)

    def deliver(self, page: Served, submit: Submit, data: dict) -> None:
        self.sent.append((page, submit, data))
        theirs = page.book.enrollment.assignments.filter(status=Assignment.Status.RELEASED)
        was_gone = submit.item in map(str, theirs.values_list("pk", flat=True))
        page.book.come_back()
        response = self.post(self.address(page.position), data | {"page": page.mark})
        is_lost = was_gone and page.kind == "labeling" and response.status_code == 409
        page.book.take(submit, is_lost=is_lost)
        self.follow(response, page.book)

    def send(self, book: Book, path: str, data: dict) -> None:
        self.follow(self.post(path, data), book)

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
