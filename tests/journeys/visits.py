"""A person's way from page to page at browsers; each page that is served is looked at."""

import random

from django.test import Client
from django.urls import reverse

from annotation.access import COOKIE
from annotation.models import Enrollment, Outcome, Study
from annotation.recruitment import build_entry_path
from tests.every_step import ALL_CODES
from tests.journeys.answers import Answers
from tests.journeys.book import Book, Served, Submit
from tests.visitor import find_codes, read

OTHER = "other"  # begins the names of other people


class Visits:
    """The pages someone saw, and the books of what must be stored of them: one for each time they took part."""

    def __init__(self, study: Study, seed: int) -> None:
        self.study = study
        self.rng = random.Random(seed)
        self.answers = Answers(study, self.rng)
        self.n_people = 0
        self.begin()

    def begin(self) -> None:
        """Somebody new comes."""
        self.n_people += 1
        self.rater_id = f"walker-{self.n_people}"
        self.books: list[Book] = []
        self.pages: list[Served] = []
        self.sent: list[tuple[Served, Submit, dict]] = []
        self.browser = Client(enforce_csrf_checks=True)
        self.arrive()

    @property
    def book(self) -> Book:
        return self.books[-1]

    def address(self, position: int) -> str:
        return reverse("annotation:step", args=[self.study.slug, position])

    def arrive(self) -> None:
        link = build_entry_path(self.study, self.rater_id)
        token = read(self.browser.get(link)).form(having="entry").controls["entry"].values[0]
        is_new = not self.books or self.book.outcome == Outcome.WITHDREW
        response = self.browser.post(reverse("annotation:arrival", args=[self.study.slug]), {"entry": token})
        if is_new:
            enrollment = Enrollment.objects.get(study=self.study, rater__external_id=self.rater_id)
            self.books.append(Book(self.study, enrollment))
        self.follow(response, self.book)

    def open(self, path: str):
        return self.follow(self.browser.get(path), None)

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
        reached = {ALL_CODES[outcome] for outcome in self.list_outcomes(book) if outcome}
        assert find_codes(response.content.decode(), ALL_CODES.values()) <= reached

    def list_outcomes(self, book: Book | None) -> list[str]:
        """What may be shown: of the one whose page this is, or of whoever this browser may know."""
        if book:
            return [book.outcome]
        theirs = Enrollment.objects.filter(study=self.study, rater__external_id__startswith=OTHER)
        return [each.outcome for each in self.books] + list(theirs.values_list("outcome", flat=True))

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
            assert main.attributes["data-outcome"] in self.list_outcomes(book)
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
        if served.kind == "training":
            self.look_at_levels(served)
        if is_first:
            self.look_at_draft(book, served)

    def look_at_levels(self, page: Served) -> None:
        """Nothing is asked below a first question that is not answered rightly."""
        marked = page.controls["open-statement"].values
        if set(marked) != self.answers.training[page.item].marks["statement"]:
            asked = [name for name in page.controls if name.startswith(("open-", "rate-"))]
            assert asked == ["open-statement"]

    def look_at_draft(self, book: Book, page: Served) -> None:
        position, item, kept = book.draft or (0, "", {})
        is_kept = (position, item) == (page.position, page.item)
        for name, control in page.controls.items():
            if control.kind in ("hidden", "submit") or (page.kind == "training" and name != "open-statement"):
                continue
            value = kept.get(name, []) if is_kept else []
            expected = [value] if isinstance(value, str) else list(value)
            assert sorted(filter(None, control.values)) == sorted(filter(None, expected)), name
