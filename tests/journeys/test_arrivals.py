"""Many people arrive in one instant at a real server of several processes, and some leave without a word."""

import contextlib
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest

from bench.serving import gunicorn, run_to_end
from modeling.simulation.browser import Browser
from modeling.simulation.page import Page
from tests.services import PrivatePostgres, PrivateRedis

N_POSTS, POSTS_EACH = 40, 3
ABANDON = 0.3
PAGES_AT_MOST = 12

MAKE_STUDY = f"""
from annotation.models import Post, Study
from modeling.demo import load_demo_study
study, _ = load_demo_study()
study.steps.exclude(kind__in=["consent", "labeling"]).delete()
kept = study.posts.filter(purpose="labeling").values_list("pk", flat=True)[:{N_POSTS}]
study.posts.filter(purpose="labeling").exclude(pk__in=list(kept)).delete()
Study.objects.filter(pk=study.pk).update(
    posts_per_rater={POSTS_EACH}, redundancy_cap=%(cap)d, strategy="%(strategy)s"
)
"""
LEAVE_LONG_AGO = """
from datetime import timedelta
from django.db.models import F
from annotation.models import Enrollment
Enrollment.objects.filter(outcome="").update(started_at=F("started_at") - timedelta(days=1))
"""
COUNT = """
import json
from collections import Counter
from annotation.models import Annotation, Assignment, Enrollment, Post
posts = Post.objects.filter(purpose="labeling")
live = Counter(Assignment.objects.exclude(status="released").values_list("post_id", flat=True))
held = Counter(Assignment.objects.exclude(status="released").values_list("enrollment_id", flat=True))
people = Enrollment.objects.values_list("pk", "outcome")
print("COUNTED", json.dumps({
    "live": [live[pk] for pk in posts.values_list("pk", flat=True)],
    "outcomes": Counter(outcome for _, outcome in people),
    "completed_without_posts": sum(outcome == "completed" and not held[pk] for pk, outcome in people),
    "annotations": Annotation.objects.count(),
    "unread": Assignment.objects.filter(status="open").count(),
}))
"""


@dataclass(frozen=True)
class Walked:
    """How far someone came: the posts they read and where they stopped."""

    n_read: int
    end: str  # an outcome, "left", or "error" with a status


def test_sixty_people_at_once_fill_the_posts_of_a_sqlite_server():
    with tempfile.TemporaryDirectory(prefix="parallax-arrivals-") as name:
        fill_and_refill({"VAR_DIR": name, "WEB_CONCURRENCY": "2"}, n_people=60, cap=3)


@pytest.mark.servers
@pytest.mark.parametrize("strategy", ["balanced", "random"])
def test_two_hundred_people_at_once_fill_the_posts_of_four_processes(strategy):
    with (
        tempfile.TemporaryDirectory(prefix="parallax-arrivals-") as name,
        PrivatePostgres() as postgres,
        PrivateRedis() as redis,
    ):
        production = {
            "PRODUCTION": "1",
            "SECURE_SSL_REDIRECT": "0",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "VAR_DIR": name,
            "WEB_CONCURRENCY": "4",
        }
        fill_and_refill(production, n_people=200, cap=10, strategy=strategy)
        with psycopg.connect(postgres.url) as connection:
            deadlocks = connection.execute("SELECT sum(deadlocks) FROM pg_stat_database").fetchone()
        assert deadlocks == (0,)


def fill_and_refill(settings, *, n_people, cap, strategy="balanced"):
    """Let people in until no post is free; let the ones who left run out of time, and others take their posts."""
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "SECRET_KEY": secrets.token_urlsafe(64),
    } | settings
    run_to_end(["manage.py", "migrate", "-v0"], environment)
    run_to_end(["manage.py", "collectstatic", "--no-input", "-v0"], environment)
    run_to_end(
        ["manage.py", "shell", "-v0", "-c", MAKE_STUDY % {"cap": cap, "strategy": strategy}], environment
    )
    with gunicorn("config.wsgi", environment, "healthz", Path(settings["VAR_DIR"]) / "log") as (address, _):
        first = arrive_at_once(address, range(n_people))
        before = count(environment)
        report("first", first, before, cap)
        assert not [walked for walked in first if walked.end.startswith("error")]
        assert max(before["live"]) <= cap
        assert sum(walked.end == "study_full" for walked in first) == before["outcomes"].get("study_full", 0)
        run_to_end(["manage.py", "shell", "-v0", "-c", LEAVE_LONG_AGO], environment)
        # No clock runs here: those who come find the posts of the ones who left.
        second = arrive_at_once(address, range(n_people, 2 * n_people))
        after = count(environment)
        report("second", second, after, cap)
    assert not [walked for walked in second if walked.end.startswith("error")]
    assert after["completed_without_posts"] == 0
    assert after["outcomes"].get("study_full", 0) > 0  # someone found nothing left, so nothing was left:
    assert after["live"] == [cap] * N_POSTS
    # Whoever left in the second wave keeps a post until their time is over; nobody of the first does.
    assert after["unread"] == sum(walked.end == "left" for walked in second)
    assert after["outcomes"]["timed_out"] == sum(walked.end == "left" for walked in first)
    assert after["annotations"] == sum(walked.n_read for walked in first + second)


def arrive_at_once(address, numbers):
    """Let everyone open their link in the same instant, each in a thread of their own."""
    barrier = threading.Barrier(len(numbers))

    def take_part(number):
        rng = random.Random(number)
        leaves_after = rng.randrange(POSTS_EACH) if rng.random() < ABANDON else None
        barrier.wait(timeout=60)
        return walk(address, number, leaves_after)

    with ThreadPoolExecutor(len(numbers)) as pool:
        return list(pool.map(take_part, numbers))


def walk(address, number, leaves_after):
    """Take part with the first answer everywhere, as far as this person goes."""
    n_read = 0
    with contextlib.closing(Browser(address, timeout_seconds=120)) as browser:
        link = {"PROLIFIC_PID": f"{number:024x}", "STUDY_ID": "5" * 24, "SESSION_ID": f"{number:024x}"}
        page = browser.get(f"/s/demo/?{urlencode(link)}")
        for _ in range(PAGES_AT_MOST):
            if page.status != 200:
                return Walked(n_read, f"error {page.status} at {urlsplit(page.url).path}")
            step = page.find("data-step")
            kind = step.attributes["data-step"] if step else ""
            if kind == "done":
                return Walked(n_read, step.attributes["data-outcome"])
            if kind == "labeling" and n_read == leaves_after:
                return Walked(n_read, "left")
            page = send(browser, page, kind)
            n_read += kind == "labeling"
    raise page.problem(f"no end within {PAGES_AT_MOST} pages")


def send(browser, page: Page, kind: str) -> Page:
    """Send the page's form: nothing is seen in a post, and every other question gets its first answer."""
    form = page.form()
    answers = {control.name: control.options[0] for control in form.questions() if control.options}
    if kind == "labeling":
        answers = {"open-post": ["none"]}
    return browser.submit(form, answers)


def count(environment):
    told = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", COUNT],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return json.loads(told.split("COUNTED ", 1)[1])


def report(wave, walks, counted, cap):
    """Say the counts: `pytest -s` shows them."""
    ends = Counter(walked.end for walked in walks)
    full = sum(n == cap for n in counted["live"])
    print(
        f"{wave}: {dict(ends)}; {counted['outcomes']}; posts at their cap {full} of {len(counted['live'])}, ",
        end="",
    )
    print(f"most {max(counted['live'])}, fewest {min(counted['live'])}; annotations {counted['annotations']}")
