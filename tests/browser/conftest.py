"""A served installation, Debian's Chromium, and people who use them."""

import fcntl
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from jobs.supervisor import Supervisor
from tests.browser.person import Person
from tests.run import NOT_PASSED_ON

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30
PATIENCE_MS = 10_000
HEIGHT = 900
expect.set_options(timeout=PATIENCE_MS)


OWN_ROWS = {
    "enrollment": "SELECT outcome FROM annotation_enrollment e WHERE {mine}",
    "consent": "SELECT given, version FROM annotation_consentrecord WHERE enrollment_id IN ({ids})",
    "steps": "SELECT step_id FROM annotation_stepcompletion WHERE enrollment_id IN ({ids}) ORDER BY step_id",
    "assignments": "SELECT position, post_id, status FROM annotation_assignment WHERE enrollment_id IN ({ids}) "
    "ORDER BY position",
    "annotations": "SELECT post_id, ratings, codes, opened, rationale FROM annotation_annotation "
    "WHERE enrollment_id IN ({ids}) ORDER BY post_id",
    "VCQ": "SELECT question_id, rating FROM calibration_calibrationanswer WHERE enrollment_id IN ({ids}) "
    "ORDER BY question_id",
    "questionnaire": "SELECT questionnaire_id, version, answers FROM calibration_questionnaireresponse "
    "WHERE enrollment_id IN ({ids})",
}


@dataclass(frozen=True)
class Site:
    """A running installation: where it is served, its administrator's password, its database."""

    url: str
    password: str
    database: Path

    def query(self, sql: str, *parameters: object) -> list[tuple]:
        with closing(sqlite3.connect(self.database, timeout=20)) as database:
            return database.execute(sql, parameters).fetchall()


def build_environment(folder: Path) -> dict[str, str]:
    """The environment of an installation in a folder, with nothing of a developer's own."""
    own = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    return own | {
        "DJANGO_SETTINGS_MODULE": "config.settings.base",
        "VAR_DIR": str(folder),
        "LOG_LEVEL": "ERROR",
        "GUNICORN_CMD_ARGS": "--log-level warning",
        "WEB_CONCURRENCY": "2",
    }


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a filled installation and its administrator's password: made once, by the first process."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "filled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, note = shared / "filled", shared / "filled.password"
        if not folder.exists():
            note.write_text(secrets.token_urlsafe(12))
            filling = tmp_path_factory.mktemp("filling")
            prepared = subprocess.run(
                [sys.executable, "-m", "tests.browser.prepare", note.read_text()],
                env=build_environment(filling),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert prepared.returncode == 0, prepared.stderr
            filling.rename(folder)
        return folder, note.read_text()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, filled: tuple[Path, str]) -> Iterator[Site]:
    whole, password = filled
    folder = tmp_path_factory.mktemp("installation")
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    environment = build_environment(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", address, "config.wsgi:application"]
    # The supervisor's children die with this process, however it ends.
    worker = [
        sys.executable,
        "-m",
        "celery",
        "--app",
        "config",
        "worker",
        "--pool=solo",
        "--loglevel=warning",
    ]
    server = Supervisor(
        {"web server": gunicorn, "worker": worker}, env=environment, cwd=ROOT, grace_seconds=2
    )
    try:
        server.start()
        wait_until_served(server, f"http://{address}/healthz")
        yield Site(f"http://{address}", password, folder / "parallax.sqlite3")
    finally:
        server.stop()


def wait_until_served(server: Supervisor, url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        server.poll()
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError) as error:
            assert time.monotonic() < deadline, f"the web server does not answer: {error}"
            time.sleep(0.1)


# Playwright's event loop lives in this thread and would hinder Django in other packages' tests: it ends with ours.
@pytest.fixture(scope="package")
def chromium(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path)
        yield browser
        browser.close()


@contextmanager
def open_page_in(chromium: Browser, site: Site, wide: int = 1280, **options: object) -> Iterator[Page]:
    """Open a page in a browser profile of its own, for as long as the block lasts."""
    # Colours that fade would be measured half-way.
    usual = {"base_url": site.url, "viewport": {"width": wide, "height": HEIGHT}, "reduced_motion": "reduce"}
    with chromium.new_context(**usual | options) as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()


@pytest.fixture
def open_page(chromium: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Open a page, `wide` pixels wide, with what Playwright's `new_context` takes besides."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(open_page_in(chromium, site, *args, **options))


@pytest.fixture
def someone(open_page: Callable[..., Page]) -> Callable[..., Person]:
    """Let a new person come, with a page as `open_page` opens it."""

    def come(wide: int = 1280, **options: object) -> Person:
        return Person(open_page(wide, **options), has_scripts=options.get("java_script_enabled", True))

    return come


@pytest.fixture(scope="package")
def logged_in(chromium: Browser, site: Site) -> dict:
    """What a browser keeps once the administrator has logged in: `open_page(storage_state=logged_in)`."""
    with open_page_in(chromium, site) as page:
        page.goto("/admin/")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="What do you want to do?").wait_for()
        return page.context.storage_state()


@pytest.fixture
def rows_of(site):
    """All that is stored about a person, by table, without ids and times that differ between any two."""
    mine = "rater_id = (SELECT id FROM annotation_rater WHERE external_id = ?)"
    ids = f"SELECT id FROM annotation_enrollment WHERE {mine}"  # noqa: S608 - no part comes from outside

    def read(person):
        return {
            table: site.query(sql.format(mine=mine, ids=ids), person.rater_id)
            for table, sql in OWN_ROWS.items()
        }

    return read
