"""What serving one annotation costs, against a bare Django view: gunicorn, PostgreSQL, 64 raters at once.

An annotation is the labeling page (GET) and its final submit (POST). Both projects run side by side under
Parallax's own `gunicorn.conf.py` and on one private PostgreSQL, Parallax with its production settings but
without TLS. They are measured in turn. This process is the 64 raters, who go in step: all ask for the page in
one instant, then all send their answers in one instant. So the server's CPU can be read from /proc around each
kind of request, and what a browser does to read a page is neither in that CPU nor in the waiting times.
"""

import contextlib
import functools
import http.client
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import psycopg

from annotation.tree.nodes import ValueTree
from bench import RUNS, CannotRun, Timing, bench
from modeling.simulation.browser import Browser
from modeling.simulation.page import Answer, Control, Form, Page, PageError
from tests.services import PrivatePostgres, PrivateRedis, ServiceError, free_port

ROOT = Path(__file__).resolve().parent.parent
PROC = Path("/proc")
N_RATERS, N_WARM_UP, N_ANNOTATIONS = 64, 2, 12  # the last two: of each rater in each run
COST_AT_MOST = 2.0
START_SECONDS, STOP_SECONDS, SETTLE_SECONDS = 60, 40, 0.02
MAX_PAGES_BEFORE_LABELING = 10

TREE = ROOT / "annotation/content/schwartz_19.json"
# What a rater ticks, one box after the other: both sides, then a group of either; ten values lie below.
TICKS = (
    ("post", "outcomes_for_self"),
    ("post", "outcomes_for_others"),
    ("outcomes_for_self", "openness_to_change"),
    ("outcomes_for_others", "compassion_and_stewardship"),
)
N_OPENED = 5  # the root and what was ticked
N_BARE_ROWS, N_LEVELS = 30, 7

MAKE_STUDY = """
from annotation.models import Study
from modeling.demo import load_demo_study
study, _ = load_demo_study()
study.steps.exclude(kind__in=["consent", "labeling"]).delete()
Study.objects.filter(pk=study.pk).update(posts_per_rater=30, strategy="balanced")
"""


@bench("serve_vs_bare_django")
def serve_vs_bare_django() -> Timing:
    """CPU of the gunicorn processes for one annotation, against a form of 30 ratings and one INSERT.

    Reported apart: revealing a branch and saving a draft (CPU of one request; None where the server has no
    such request), PostgreSQL's own CPU, and how long a submit takes when all raters submit in one instant.

    Raises CannotRun without PostgreSQL, Redis or /proc, and ValueError when a server did not store all
    that was sent to it.
    """
    if not (PROC / "self/stat").exists():
        raise CannotRun("The server's CPU is read from /proc, which this system does not have.")
    load_before = os.getloadavg()
    n_sent = RUNS * N_RATERS * (N_WARM_UP + N_ANNOTATIONS)
    try:
        with both_servers() as (parallax, bare):
            ours, reference = [], []
            for number in range(RUNS):
                ours.append(measure_parallax(parallax, number))
                reference.append(measure_bare(bare))
            check_stored(
                parallax, "annotation_annotation", f"jsonb_array_length(opened) = {N_OPENED}", n_sent
            )
            check_stored(bare, "bare_answer", f"jsonb_array_length(ratings) = {N_BARE_ROWS}", n_sent)
    except ServiceError as error:
        raise CannotRun(str(error)) from error
    own_ms, bare_ms = median_annotation_ms(ours), median_annotation_ms(reference)
    parts = {"ours": summarize(ours), "reference": summarize(reference)}
    return Timing(
        ratio=bare_ms / own_ms,
        reference="a bare Django view, gunicorn and PostgreSQL: a table of 30 rows and 7 levels, one INSERT",
        medians={"ours": own_ms, "reference": bare_ms},
        unit="ms",
        more={
            "cost_vs_reference": round(own_ms / bare_ms, 2),
            "cost_vs_reference_at_most": COST_AT_MOST,
            "draft_save": parts["ours"].pop("draft_save_cpu_ms", None),
            "reveal": parts["ours"].pop("reveal_cpu_ms", None),
            "n_reveals_per_annotation": ours[0]["reveal"].n // ours[0]["page"].n
            if "reveal" in ours[0]
            else 0,
            "parts": parts,
            "n_raters": N_RATERS,
            "n_annotations_per_run": N_RATERS * N_ANNOTATIONS,
            "load_average": {
                "before": [round(load, 2) for load in load_before],
                "after": [round(load, 2) for load in os.getloadavg()],
            },
        },
    )


# --- counting ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """A process and the CPU ticks that it and its ended children have used."""

    parent: int
    ticks: int


def parse_stat(text: str) -> Process:
    """Read `/proc/<pid>/stat`, whose second field, a name in parentheses, may hold anything."""
    fields = text.rpartition(")")[2].split()
    return Process(parent=int(fields[1]), ticks=sum(int(ticks) for ticks in fields[11:15]))


def sum_ticks(processes: Mapping[int, Process], root: int) -> int:
    """CPU ticks of a process and of all below it. Raises ValueError when it is not there."""
    if root not in processes:
        raise ValueError(f"There is no process {root}; the server whose CPU is counted has ended.")
    ticks, members = 0, [root]
    while members:
        member = members.pop()
        ticks += processes[member].ticks
        members += [pid for pid, process in processes.items() if process.parent == member]
    return ticks


def read_processes() -> dict[int, Process]:
    """All processes of this machine."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                found[int(entry.name)] = parse_stat((entry / "stat").read_text(errors="replace"))
    return found


@dataclass
class Tally:
    """What the requests of one kind took in one run: their number, CPU and each one's wait."""

    n: int = 0
    server_ms: float = 0.0
    postgres_ms: float = 0.0
    waits_ms: list[float] = field(default_factory=list)


Run = dict[str, Tally]


def median_annotation_ms(runs: Sequence[Run], column: str = "server_ms") -> float:
    """The median over runs of what one `page` and one `submit` took together on average."""
    return statistics.median(
        sum(float(getattr(run[kind], column)) / run[kind].n for kind in ("page", "submit")) for run in runs
    )


def summarize(runs: Sequence[Run]) -> dict[str, float]:
    """Medians over runs, in milliseconds: CPU of each kind of request, PostgreSQL's, and a submit's wait."""
    found = {
        f"{kind}_cpu_ms": statistics.median(run[kind].server_ms / run[kind].n for run in runs)
        for kind in runs[0]
    }
    found["annotation_postgres_cpu_ms"] = median_annotation_ms(runs, "postgres_ms")
    for percent in (50, 95):
        found[f"submit_wall_p{percent}_ms"] = statistics.median(
            percentile(run["submit"].waits_ms, percent) for run in runs
        )
    return {name: round(value, 3) for name, value in found.items()}


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 values do not pass, between two neighbours in proportion."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


# --- the raters --------------------------------------------------------------------------------


class Rater(Browser):
    """A browser that, once `is_timed`, sends single requests: it neither follows a redirect nor reads a page.

    Attributes
    ----------
    path : str
        Where this rater's way goes on.
    page : Page
        What the rater has before them: the page as served, then the form as it was last served.
    answers : dict
        What the rater has answered on it.
    n_asides : int
        How many requests the page has sent beside the submit; the page's script counts them too.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.is_timed = False
        self.path = "/"
        self.page = Page("")
        self.answers: dict[str, Answer] = {}
        self.n_asides = 0
        self._by_htmx = False
        self._wait_ms = 0.0
        self._status = 0
        self._next_path: str | None = None
        self._text = ""

    def ask_for_page(self) -> float:
        """Ask for the page at `path`; return the milliseconds to its last byte, as `send` does."""
        self.get(self.path)
        self._expect(200)
        self.answers, self.n_asides = {}, 0
        return self._wait_ms

    def read(self) -> None:
        """Take the last answer as what the rater has before them."""
        self.page = Page(self._text, url=self.url, status=self._status)

    def send(self, form: Form, more: Mapping[str, str], *, by_htmx: bool) -> float:
        """Send the final answers and what the page's script adds; the way goes on where the answer leads."""
        self._submit(form, more, by_htmx=by_htmx)
        self._expect(200 if by_htmx else 303, 302)
        if self._next_path is None:
            raise self._problem("the submit leads nowhere")
        self.path = self._next_path
        return self._wait_ms

    def send_aside(self, form: Form, target: str, more: Mapping[str, str], *, status: int) -> float:
        """Send what the form holds by now to another address, by htmx."""
        self.n_asides += 1
        more = {**more, "number": str(self.n_asides)}
        self._submit(replace(form, action=target, default_button=None), more, by_htmx=True)
        self._expect(status)
        return self._wait_ms

    def _submit(self, form: Form, more: Mapping[str, str], *, by_htmx: bool) -> None:
        added = {name: Control(name, "hidden", values=[value]) for name, value in more.items()}
        known = {name: answer for name, answer in self.answers.items() if name in form.controls}
        self._by_htmx = by_htmx
        self.submit(replace(form, controls=form.controls | added), known)
        self._by_htmx = False

    def _load(self, method: str, url: str, body: str | None) -> Page:
        if not self.is_timed:
            return super()._load(method, url, body)
        begun = time.perf_counter()
        self._status, location, self._text = self._exchange(method, url, body)
        self._wait_ms = (time.perf_counter() - begun) * 1000
        self._next_path = self._next_path or location
        return Page("", url=url, status=self._status)

    def _answer_to(
        self, method: str, target: str, body: str | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        more = {"HX-Request": "true", "HX-Current-URL": self.url} if self._by_htmx else {}
        response = super()._answer_to(method, target, body, headers | more)
        self._next_path = response.headers.get("HX-Redirect")
        return response

    def _expect(self, *statuses: int) -> None:
        if self._status not in statuses:
            raise self._problem(f"the server should have answered {' or '.join(map(str, statuses))}")

    def _problem(self, what: str) -> PageError:
        return PageError(what, status=self._status, url=self.url, text=Page(self._text).text)


@dataclass(frozen=True)
class Server:
    """A running gunicorn, and where what it stores can be looked at."""

    address: str
    pid: int
    postgres_pid: int
    database_url: str


class Crowd:
    """All raters of one run, acting at once; `run` counts what a server spent on each kind of request."""

    def __init__(self, server: Server, pool: ThreadPoolExecutor, raters: list[Rater]) -> None:
        self.server = server
        self.pool = pool
        self.raters = raters
        self.run: Run = {}

    def act(self, kind: str, action: Callable[[Rater], float]) -> None:
        """Have all raters send a request in one instant, and wait for all the answers."""
        server_ms, postgres_ms = self.read_cpu_ms()
        waits_ms = list(self.pool.map(action, self.raters))
        time.sleep(SETTLE_SECONDS)  # a worker tidies up after its answer
        server_ms_after, postgres_ms_after = self.read_cpu_ms()
        tally = self.run.setdefault(kind, Tally())
        tally.n += len(waits_ms)
        tally.server_ms += server_ms_after - server_ms
        tally.postgres_ms += postgres_ms_after - postgres_ms
        tally.waits_ms += waits_ms

    def read_cpu_ms(self) -> tuple[float, float]:
        processes, tick_ms = read_processes(), 1000 / os.sysconf("SC_CLK_TCK")
        return (
            sum_ticks(processes, self.server.pid) * tick_ms,
            sum_ticks(processes, self.server.postgres_pid) * tick_ms,
        )

    def read_pages(self) -> None:
        for rater in self.raters:
            rater.read()


@contextlib.contextmanager
def crowd(server: Server, make: Callable[[int], Rater]) -> Iterator[Crowd]:
    """N_RATERS raters, each at their first page to measure. PostgreSQL knows its tables' sizes by then."""
    with ThreadPoolExecutor(N_RATERS) as pool:
        raters = list(pool.map(make, range(N_RATERS)))
        with psycopg.connect(server.database_url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        try:
            for rater in raters:
                rater.is_timed = True
            yield Crowd(server, pool, raters)
        finally:
            for rater in raters:
                rater.close()


def measure_parallax(server: Server, number: int) -> Run:
    """Have new raters read N_WARM_UP posts, then N_ANNOTATIONS that count."""
    with crowd(server, lambda place: take_in(server, number * N_RATERS + place)) as raters:
        for round_ in range(N_WARM_UP + N_ANNOTATIONS):
            if round_ == N_WARM_UP:
                raters.run = {}
            annotate(raters, round_)
        return raters.run


def measure_bare(server: Server) -> Run:
    """As `measure_parallax`, with the bare view's form."""
    with crowd(server, lambda _: Rater(server.address)) as raters:
        for round_ in range(N_WARM_UP + N_ANNOTATIONS):
            if round_ == N_WARM_UP:
                raters.run = {}
            raters.act("page", Rater.ask_for_page)
            raters.read_pages()
            for rater in raters.raters:
                asked = rater.page.form().questions()
                rater.answers = {control.name: control.options[round_ % N_LEVELS] for control in asked}
            raters.act("submit", lambda rater: rater.send(rater.page.form(), {}, by_htmx=False))
        return raters.run


def take_in(server: Server, number: int) -> Rater:
    """Enter the study by a recruitment link and walk to its labeling step, with the first answer everywhere."""
    rater = Rater(server.address)
    link = {"PROLIFIC_PID": f"{number:024x}", "STUDY_ID": "5" * 24, "SESSION_ID": f"{number:024x}"}
    page = rater.get(f"/s/demo/?{urlencode(link)}")
    for _ in range(MAX_PAGES_BEFORE_LABELING):
        step = page.find("data-step")
        if step is not None and step.attributes["data-step"] == "labeling":
            rater.path = urlsplit(rater.url).path
            return rater
        form = page.form()
        page = rater.submit(
            form, {control.name: control.options[0] for control in form.questions() if control.options}
        )
    raise page.problem(f"the labeling step was not reached within {MAX_PAGES_BEFORE_LABELING} pages")


def annotate(raters: Crowd, round_: int) -> None:
    """One post of every rater: the page, each tick with what it reveals, a draft, the final submit.

    Where each goes, and with what besides, is read off the page's htmx attributes, as a browser does.
    """
    raters.act("page", Rater.ask_for_page)
    raters.read_pages()
    page = raters.raters[0].page
    reveals, sends = find_attributes(page, "data-path"), find_attributes(page, "data-once")
    reveal_at, reveal_adds = reveals.get("hx-post"), json.loads(reveals.get("hx-vals", "{}"))
    for branch, ticked in TICKS:
        for rater in raters.raters:
            rater.answers[f"open-{branch}"] = [*rater.answers.get(f"open-{branch}", ()), ticked]
        if reveal_at:
            raters.act(
                "reveal", lambda rater: rater.send_aside(path_form(rater), reveal_at, reveal_adds, status=200)
            )
            raters.read_pages()
    for place, rater in enumerate(raters.raters):
        for row, key in enumerate(rated_keys()):
            rater.answers[f"rate-{key}"] = str((place + row + round_) % N_LEVELS)
        unknown = sorted(rater.answers.keys() - path_form(rater).controls.keys())
        if unknown:
            raise rater.page.problem(f"the labeling form does not ask for {', '.join(unknown)}")
    draft_at = find_attributes(raters.raters[0].page, "data-draft").get("hx-post")
    if draft_at:
        raters.act("draft_save", lambda rater: rater.send_aside(path_form(rater), draft_at, {}, status=204))
    by_htmx = "hx-post" in sends
    notes = {"paradata": json.dumps(write_notes(raters.raters[0].answers))} if by_htmx else {}
    raters.act("submit", lambda rater: rater.send(path_form(rater), notes, by_htmx=by_htmx))


def path_form(rater: Rater) -> Form:
    return rater.page.form(identifier="path-form")


def find_attributes(page: Page, attribute: str) -> dict[str, str]:
    """The attributes of the first element with this one; empty where there is none."""
    element = page.find(attribute)
    return element.attributes if element is not None else {}


def write_notes(names: Iterable[str]) -> dict[str, object]:
    """What the page's script notes of its use, for someone who answers a question every three seconds."""
    changes = [[3000 * number, name] for number, name in enumerate(names, start=1)]
    return {
        "shown": 1_700_000_000_000,
        "answered_ms": 3000 * len(changes) + 3000,
        "away": 0,
        "away_ms": 0,
        "viewport": [1280, 800],
        "changes": changes,
    }


@functools.cache
def rated_keys() -> tuple[str, ...]:
    """The values below the branches that are ticked."""
    tree = ValueTree.from_dict(json.loads(TREE.read_text(encoding="utf-8")))
    return tuple(leaf.key for _, ticked in TICKS for leaf in tree.branch(ticked).child_leaves)


# --- the servers -------------------------------------------------------------------------------


@contextlib.contextmanager
def both_servers() -> Iterator[tuple[Server, Server]]:
    """Parallax with the demonstration's consent and labeling, and the bare view, on one PostgreSQL."""
    with (
        tempfile.TemporaryDirectory(prefix="parallax-bench-") as name,
        PrivatePostgres() as postgres,
        PrivateRedis() as redis,
    ):
        folder = Path(name)
        postgres_pid = int((Path(str(postgres.folder)) / "data/postmaster.pid").read_text().split()[0])
        bare_url = urlsplit(postgres.url)._replace(path="/bare").geturl()
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bare")
        # Nothing of the caller's own settings goes along.
        shared = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SECRET_KEY": secrets.token_urlsafe(64)}
        parallax = shared | {
            "PRODUCTION": "1",
            "SECURE_SSL_REDIRECT": "0",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "VAR_DIR": str(folder / "var"),
        }
        bare = shared | {"DJANGO_SETTINGS_MODULE": "bench.bare.settings", "DATABASE_URL": bare_url}
        run_to_end(["manage.py", "migrate", "-v0"], parallax)
        run_to_end(["manage.py", "collectstatic", "--no-input", "-v0"], parallax)
        run_to_end(["manage.py", "shell", "-v0", "-c", MAKE_STUDY], parallax)
        run_to_end(["-m", "django", "migrate", "--run-syncdb", "-v0"], bare)
        factory = "django.core.wsgi:get_wsgi_application()"
        with (
            gunicorn("config.wsgi", parallax, "healthz", folder / "parallax.log") as (own_address, own_pid),
            gunicorn(factory, bare, "", folder / "bare.log") as (bare_address, bare_pid),
        ):
            yield (
                Server(own_address, own_pid, postgres_pid, postgres.url),
                Server(bare_address, bare_pid, postgres_pid, bare_url),
            )


def run_to_end(arguments: list[str], environment: dict[str, str]) -> None:
    """Run Python with these arguments. Raises ServiceError with what it said when it fails."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ServiceError(f"`python {' '.join(arguments[:3])}` failed:\n{said}")


@contextlib.contextmanager
def gunicorn(
    application: str, environment: dict[str, str], ready_path: str, log: Path
) -> Iterator[tuple[str, int]]:
    """Serve an application as this folder's `gunicorn.conf.py` says; yield its address and process id."""
    address = f"127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "gunicorn", application, "--bind", address],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            if not answers(f"http://{address}/{ready_path}", process):
                end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise ServiceError(f"gunicorn did not start:\n{end}")
            yield f"http://{address}", process.pid
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until an address answers; False when the process ends or the time is over."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(URLError, ConnectionError), urlopen(url, timeout=START_SECONDS):  # noqa: S310
            return True
        time.sleep(0.05)
    return False


def check_stored(server: Server, table: str, condition: str, n_expected: int) -> None:
    """Raise ValueError unless the table holds exactly as many rows as were sent, and all are complete."""
    with psycopg.connect(server.database_url) as connection:
        found = connection.execute(
            f"SELECT count(*), count(*) FILTER (WHERE {condition}) FROM {table}"  # noqa: S608 - our own names
        ).fetchone()
    if found != (n_expected, n_expected):
        raise ValueError(
            f"{table} should hold {n_expected} complete rows and holds {found} (all, complete); "
            "timing them means nothing."
        )
