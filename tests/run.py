"""Every test, on every database it has to hold on: `python -m tests.run [STAGE ...] [-- PYTEST ARGUMENTS]`.

Stages: `sqlite` (everything that needs no service), `servers` (PostgreSQL and Redis), `chromium`; all of them
when none is named. The last line is always `N passed, N failed`. Exit code 0: all passed; 1: a failure;
2: unknown stage; 128 + signal: interrupted. See docs/development.md.
"""

import contextlib
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn
from xml.etree import ElementTree

from tests import services

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 15
HANG_SECONDS = 300
NOTHING_COLLECTED = 5
# On as many processes as a small machine has; neighbours in a file stay together, with what their module prepares.
SHARED = ("-n", "2", "--dist", "worksteal")
SQLITE = f"SQLite {sqlite3.sqlite_version}"
# A developer's own settings must reach neither the tests nor, through them, a study's data.
NOT_PASSED_ON = (
    *(
        "DATABASE_URL",
        "REDIS_URL",
        "ARTEFACTS_URL",
        "ARTEFACT_CACHE_MB",
        "PRODUCTION",
        "DEBUG",
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
    ),
    *("VAR_DIR", "ARTEFACT_DIR", "DJANGO_SETTINGS_MODULE", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    *("LLM_PROVIDERS", "LLM_STANDIN_BASE_URL"),
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL"),
    "PYTHONDONTWRITEBYTECODE",  # or every process of every stage rewrites the assertions of every test anew
)


@dataclass
class Outcome:
    """What became of one stage. `fault`: what went wrong other than a test; `absent`: why it did not run."""

    title: str
    ran_on: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    fault: str = ""
    absent: str = ""


@dataclass(frozen=True)
class Run:
    """What all stages of one run share."""

    scratch: Path  # TMPDIR of every test process, removed at the end
    extra: tuple[str, ...]  # arguments of the caller's own for pytest

    def find_paths(self, usual: str) -> list[str]:
        """Return nothing where the caller's arguments name a file or folder, else the usual folder."""
        named = any((ROOT / part.split("::")[0]).exists() for part in self.extra if not part.startswith("-"))
        return [] if named else [usual]


class Interrupted(BaseException):
    """A signal asks for an end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_sqlite(run: Run, outcome: Outcome) -> None:
    """Run what needs no service."""
    outcome.ran_on = SQLITE
    marks = ["-m", "not browser and not servers"]
    pytest(run, outcome, [*SHARED, *marks], {"PARALLAX_TEST_STAGE": "sqlite"})


def run_servers(run: Run, outcome: Outcome) -> None:
    """Run what needs the servers, and again what touches the database (tests/conftest.py chooses)."""
    with contextlib.ExitStack() as stack:
        database_url, postgres = stack.enter_context(postgres_server())
        queue_url, redis = stack.enter_context(redis_server())
        outcome.ran_on = f"{postgres}, {redis}"
        addresses = {"DATABASE_URL": database_url, "REDIS_URL": queue_url, "PARALLAX_TEST_STAGE": "servers"}
        pytest(run, outcome, [*SHARED, "-m", "not browser"], addresses)


def run_chromium(run: Run, outcome: Outcome) -> None:
    """Run what drives a browser."""
    program = services.find_chromium()
    if program is None:
        services.install_chromium()
        services.find_chromium.cache_clear()
        program = services.find_chromium()
    if program is None:
        raise services.ServiceError("Chromium was installed but does not answer to --version.")
    outcome.ran_on = f"{services.chromium_version(program)}, {SQLITE}"
    environment = {"CHROMIUM_PATH": str(program), "PARALLAX_TEST_STAGE": "chromium"}
    pytest(run, outcome, [*SHARED, "-m", "browser"], environment, folder="tests/browser")


STAGES: dict[str, tuple[str, Callable[[Run, Outcome], None]]] = {
    "sqlite": ("SQLite", run_sqlite),
    "servers": ("PostgreSQL and Redis", run_servers),
    "chromium": ("Chromium", run_chromium),
}


@contextlib.contextmanager
def postgres_server() -> Iterator[tuple[str, str]]:
    """Give address and version of DATABASE_URL's server, or of a private one that the block's end stops."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith(("postgres://", "postgresql://")):
        yield given, f"{services.postgres_version(given)} (DATABASE_URL)"
        return
    if services.find_postgres() is None:
        services.install_postgres()
    with services.PrivatePostgres() as server:
        yield server.url, f"{server.version} (private)"


@contextlib.contextmanager
def redis_server() -> Iterator[tuple[str, str]]:
    """Give address and version of REDIS_URL's server, or of a private one that the block's end stops."""
    given = os.environ.get("REDIS_URL", "")
    if given:
        yield given, f"{services.redis_version(given)} (REDIS_URL)"
        return
    if services.find_redis() is None:
        services.install_redis()
    with services.PrivateRedis() as server:
        yield server.url, f"{server.version} (private)"


def pytest(
    run: Run, outcome: Outcome, arguments: list[str], environment: dict[str, str], folder: str = "tests"
) -> None:
    """Run pytest in a process of its own and count what it reports."""
    report = run.scratch / "report.xml"
    report.unlink(missing_ok=True)
    quiet = ["-q", "--no-header", "-rfE", f"--junitxml={report}"]
    # A test that hangs ends its stage, with the stack of every thread, instead of the patience of whoever waits.
    hangs = ["-o", f"faulthandler_timeout={HANG_SECONDS}", "-o", "faulthandler_exit_on_timeout=true"]
    paths = run.find_paths(folder)
    command = [sys.executable, "-m", "pytest", *paths, *quiet, *hangs, *arguments, *run.extra]
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    ours = {"PARALLAX_TEST_RUN": "1", "TMPDIR": str(run.scratch)}
    with subprocess.Popen(command, cwd=ROOT, env=inherited | ours | environment) as process:
        try:
            code = process.wait()
        except Interrupted as stop:
            if stop.number != signal.SIGINT:  # Ctrl-C reaches pytest by itself
                process.send_signal(signal.SIGINT)
            end(process)
            raise
        finally:
            count(report, outcome)
    if code == NOTHING_COLLECTED and run.extra:
        return
    if code == NOTHING_COLLECTED:
        outcome.fault = "no test was collected"
    elif code and not outcome.failed:
        outcome.fault = f"pytest ended with exit code {code}"


def end(process: subprocess.Popen[bytes]) -> None:
    """Let the tests clean up after themselves, but not for ever."""
    for harsher in (process.terminate, process.kill):
        try:
            process.wait(GRACE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            harsher()
    process.wait()


def count(report: Path, outcome: Outcome) -> None:
    """Add pytest's counts; an error in a fixture counts as failed, an expected failure as skipped."""
    if not report.exists():
        return
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 - written by our own pytest
        number = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
        failed = number["failures"] + number["errors"]
        outcome.failed += failed
        outcome.skipped += number["skipped"]
        outcome.passed += number["tests"] - failed - number["skipped"]


def run_stage(name: str, run: Run, outcomes: list[Outcome]) -> None:
    """Run one stage; its outcome is in the list however the stage ends."""
    title, stage = STAGES[name]
    outcome = Outcome(title)
    outcomes.append(outcome)
    print(f"\n== {title}", flush=True)
    begun = time.monotonic()
    try:
        stage(run, outcome)
    except services.ServiceError as error:
        outcome.absent = str(error)
    except Interrupted as stop:
        outcome.fault = f"interrupted by {signal.Signals(stop.number).name}"
        raise
    finally:
        outcome.seconds = time.monotonic() - begun


def closing_lines(outcomes: list[Outcome], *, strict: bool) -> tuple[list[str], bool]:
    """Return what to print last, and whether the run as a whole succeeded.

    A stage that broke without a failing test, and in a strict run one that could not run, adds one to the
    failed: the last line alone has to tell a good run from a bad one.
    """
    lines, troubles = ["", "What ran"], []
    failed = sum(outcome.failed for outcome in outcomes)
    for outcome in outcomes:
        if outcome.ran_on:
            counts = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
            lines.append(f"  {outcome.title}, on {outcome.ran_on}: {counts} in {outcome.seconds:.0f} s")
        if outcome.fault:
            troubles.append(f"  {outcome.title}: FAILED, {outcome.fault}.")
            failed += not outcome.failed
        if outcome.absent:
            state = "FAILED, could not run (CI is set)" if strict else "did not run"
            troubles.append(f"  {outcome.title}: {state}. {outcome.absent}")
            failed += strict
    if troubles:
        lines += ["What did not", *troubles]
    passed, skipped = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("passed", "skipped"))
    if not passed and not failed:
        lines.append("No test ran, so nothing is known to work.")
        failed = 1
    lines.append(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return lines, failed == 0


def interrupt(number: int, _: FrameType | None) -> NoReturn:
    """End once, in order; while that goes on, more signals are not heard."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def main(arguments: list[str]) -> int:
    """Run the named stages and print what came of them."""
    names, extra = arguments, shlex.split(os.environ.get("PYTEST_ARGS", ""))
    if "--" in arguments:
        border = arguments.index("--")
        names, extra = arguments[:border], extra + arguments[border + 1 :]
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        print(
            f"No stage {', '.join(unknown)}; there are {', '.join(STAGES)}. Arguments for pytest follow `--`."
        )
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    outcomes: list[Outcome] = []
    code = 0
    with tempfile.TemporaryDirectory(prefix="parallax-tests-", ignore_cleanup_errors=True) as scratch:
        try:
            run = Run(Path(scratch), tuple(extra))
            for name in names or STAGES:
                run_stage(name, run, outcomes)
        except Interrupted as stop:
            code = 128 + stop.number
    lines, good = closing_lines(outcomes, strict=os.environ.get("CI", "").lower() in ("1", "true"))
    print("\n".join(lines), flush=True)
    return code or int(not good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
