"""A person at a browser without scripts, in the test's own process, and what they send."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.apps import apps
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse

from annotation.access import COOKIE, PAGE_MARK, mark_page
from annotation.models import Assignment, Enrollment, Step, Study
from annotation.recruitment import build_entry_path
from annotation.selectors import get_tree
from annotation.tree.walk import Reading, open_branches
from modeling.simulation.browser import Browser
from modeling.simulation.page import Page

NOTHING = Reading({}, {})


class Visitor(Browser):
    """The simulated raters' browser, served by Django's test client; `served` keeps every response's body.

    The test client guards against forged requests as a server does.
    """

    def __init__(self, *, keeps_cookies: bool = True) -> None:
        super().__init__("http://testserver")
        self.client = Client(enforce_csrf_checks=True)
        self.keeps_cookies = keeps_cookies
        self.served: list[tuple[str, int, str]] = []

    def _exchange(self, method: str, url: str, body: str | None) -> tuple[int, str | None, str]:
        if not self.keeps_cookies:
            self.client.cookies.clear()
        parts = urlsplit(url)
        response = self.client.generic(
            method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            body or "",
            content_type="application/x-www-form-urlencoded",
        )
        text = response.content.decode()
        self.served.append((url, response.status_code, text))
        return response.status_code, response.headers.get("Location"), text


class RaterClient(Client):
    """Django's test client that sends, as a form does, the mark of the page it was served with.

    The mark is of whoever's cookie it holds, unless the fields name one.
    """

    def post(self, path, data=None, *args, **kwargs):
        slug = path.split("/")[2] if path.startswith("/s/") else ""
        cookie = self.cookies.get(COOKIE)
        if cookie and slug and isinstance(data, dict | None) and PAGE_MARK not in (data or {}):
            request = RequestFactory().get("/")
            request.COOKIES[COOKIE] = cookie.value
            public_id = request.get_signed_cookie(COOKIE, None, salt="annotation.access")
            if enrollment := Enrollment.objects.filter(public_id=public_id).first():
                data = {**(data or {}), PAGE_MARK: mark_page(enrollment)}
        return super().post(path, data, *args, **kwargs)


def arrive(client: Client, study: Study, rater_id: str = "rater-one", **entry):
    """Open the study's link and press the button; return the response to the button."""
    path = build_entry_path(study, rater_id, **entry)
    token = read(client.get(path)).form(having="entry").controls["entry"].values[0]
    return client.post(reverse("annotation:arrival", args=[study.slug]), {"entry": token})


def follow(client: Client, response) -> str:
    """The path where a redirect ends, with what is left of its query."""
    *_, (path, _) = client.get(response.url, follow=True).redirect_chain or [(response.url, 0)]
    return path


def enter(client: Client, study: Study, rater_id: str = "rater-one") -> Enrollment:
    """Take a person in through the pages; the client acts for them from now on."""
    assert arrive(client, study, rater_id).status_code == 303
    return Enrollment.objects.get(study=study, rater__external_id=rater_id)


def step_path(study: Study, kind: str) -> str:
    """The address of the study's (first) step of this kind."""
    step = Step.objects.filter(study=study, kind=kind).order_by("position").first()
    return reverse("annotation:step", args=[study.slug, step.position])


def draft_path(study: Study, kind: str) -> str:
    """Where the page of this step keeps its drafts."""
    return step_path(study, kind) + "draft/"


def read(response) -> Page:
    """The page in a response."""
    return Page(response.content.decode(), status=response.status_code)


def rate_social_focus(rating: int = 3) -> Reading:
    """A finished reading of the ten values: one side opened, its five values rated the same."""
    leaves = ("security", "conformity", "tradition", "benevolence", "universalism")
    return Reading({"statement": frozenset({"social_focus"})}, dict.fromkeys(leaves, rating))


def mark_nothing() -> Reading:
    """A finished reading of the ten values in which no branch was opened."""
    return Reading({"statement": frozenset()}, {})


def form_data(
    assignment: Assignment, reading: Reading = NOTHING, *, shown: Iterable[str] | None = None, **more: object
) -> dict[str, object]:
    """What the labeling form sends for a reading: all open branches were on the page unless `shown` says which."""
    return reading_data(assignment.enrollment.study, str(assignment.pk), reading, shown=shown, **more)


def reading_data(
    study: Study, item: str, reading: Reading, *, shown: Iterable[str] | None = None, **more: object
) -> dict[str, object]:
    """What the form beside any post sends for a reading."""
    tree = get_tree(study.value_system)
    data: dict[str, object] = {"item": item}
    open_keys = [branch.key for branch in open_branches(tree, reading.marks)]
    data["shown"] = open_keys if shown is None else list(shown)
    data |= {f"open-{key}": sorted(marked) or ["none"] for key, marked in reading.marks.items()}
    data |= {f"rate-{key}": str(rating) for key, rating in reading.ratings.items()}
    return data | more


def freeze_rows() -> dict[str, list[tuple]]:
    """Every row of every table as the database has it, to compare before and after."""
    tables = {model._meta.label: (model._meta.db_table, model._meta.pk.column) for model in apps.get_models()}
    name = connection.ops.quote_name
    with connection.cursor() as cursor:
        rows = {}
        for label, (table, key) in tables.items():
            cursor.execute(f"SELECT * FROM {name(table)} ORDER BY {name(key)}")  # noqa: S608 - names of our own
            rows[label] = cursor.fetchall()
    return rows


def find_codes(text: str, codes: Iterable[str]) -> set[str]:
    """Which completion codes occur in a text, in whatever case."""
    return {code for code in codes if re.search(re.escape(code), text, re.IGNORECASE)}
