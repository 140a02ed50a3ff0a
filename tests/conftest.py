"""What the tests share: the services that some of them need."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from django.test import TransactionTestCase

from config import translations
from tests import services

if TYPE_CHECKING:
    from tests.visitor import RaterClient

# Under `python -m tests.run` a missing service is a failure: the runner promised it.
PROMISED = os.environ.get("PARALLAX_TEST_RUN") == "1"
ROOT = Path(__file__).resolve().parent.parent
# What reaches the database by processes of its own says so by where it lies.
DATABASE_FOLDERS = (ROOT / "tests/jobs", ROOT / "tests/journeys")
BROWSER_FOLDER = ROOT / "tests/browser"
DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}


def without(reason: str) -> NoReturn:
    """End the test as failed or as skipped: whichever the run calls for."""
    if PROMISED:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def behaves_by_server(item: pytest.Item) -> bool:
    """Whether a test may end otherwise on PostgreSQL and Redis than on a laptop's files."""
    if item.get_closest_marker("alike"):
        return False
    if item.get_closest_marker("servers") or item.get_closest_marker("django_db"):
        return True
    if any(folder in item.path.parents for folder in DATABASE_FOLDERS):
        return True
    test_class = getattr(item, "cls", None) or object
    return issubclass(test_class, TransactionTestCase) or bool(
        DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    )


def pytest_configure() -> None:
    translations.compile_stale()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector what stays to the end: modules and tests, which cost it a third of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("browser") and BROWSER_FOLDER not in item.path.parents:
            raise pytest.UsageError(
                f"{item.nodeid} drives a browser: the stage for it looks in tests/browser"
            )
    if os.environ.get("PARALLAX_TEST_STAGE") != "servers":
        return
    left = [item for item in items if not behaves_by_server(item)]
    items[:] = [item for item in items if behaves_by_server(item)]
    if left:
        config.hook.pytest_deselected(items=left)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep text that no encoding can carry, as made-up input has it, from ending the whole parallel run."""

    def carried(text: str) -> str:
        return text.encode(errors="backslashreplace").decode()

    report = yield
    report.sections = [(name, carried(text)) for name, text in report.sections]
    if report.failed and carried(report.longreprtext) != report.longreprtext:
        report.longrepr = carried(report.longreprtext)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("servers") and not (
        os.environ.get("DATABASE_URL", "").startswith("postgres") and os.environ.get("REDIS_URL")
    ):
        without(
            "needs DATABASE_URL (PostgreSQL) and REDIS_URL; `.venv/bin/python -m tests.run servers` sets them"
        )
    if item.get_closest_marker("browser"):
        require_chromium()


def require_chromium() -> Path:
    try:
        found = services.find_chromium()
    except services.ServiceError as error:
        without(str(error))
    return found or without(
        "needs Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH"
    )


@pytest.fixture
def client() -> "RaterClient":
    """Someone at a browser, whose forms carry the mark of their page."""
    from tests.visitor import RaterClient  # needs Django to be set up

    return RaterClient()


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The Chromium to drive, for Playwright's `executable_path`."""
    return require_chromium()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The run's Redis, or a private one for as long as the session lasts."""
    if given := os.environ.get("REDIS_URL"):
        yield given
        return
    try:
        server = services.PrivateRedis().start()
    except services.ServiceError as error:
        without(str(error))
    yield server.url
    server.stop()
