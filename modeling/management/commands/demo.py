"""`manage.py demo [--port N] [--no-serve]`: the whole of Parallax at work, from an empty database to a report."""

import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.urls import reverse

from annotation.models import Annotation, Enrollment, Outcome, Rater, Study
from annotation.recruitment import build_entry_path
from config.llm_providers import STANDIN, VARIABLE, read_providers
from jobs.management.commands.runlocal import HOST, commands, environment, refuse_taken_port
from jobs.models import Job
from jobs.services import retry, wait
from jobs.supervisor import KeepsDying, Supervisor
from modeling import demo_annotators, demo_experts
from modeling.demo import load_demo_study
from modeling.models import Report
from modeling.presentation import write_comparison
from modeling.progress import Progress
from modeling.reporting.requests import (
    AGREEMENT,
    DOCUMENT,
    count_since,
    find_under_way,
    get_agreement,
    get_comparison,
    request_agreement,
    request_document,
)
from modeling.reports.evaluation_tables import tabulate_agreement
from modeling.reports.names import SAYS_STANDIN
from modeling.selectors import get_latest_report
from modeling.services import request_evaluation, request_fit
from modeling.simulated_raters import Cast, walk_directly, walk_over_http
from modeling.simulation.browser import Browser
from modeling.simulation.page import PageError

ADMIN = "admin"
AT_ONCE = 4
JOB_TIMEOUT_SECONDS = 1800
STANDIN_PORTS_ABOVE = 90  # the web server's: 8090 beside 8000, unless someone listens there
READING = (
    ("invented feeds", demo_annotators.load_feeds),
    ("curation", demo_annotators.curate),
    ("zero-shot", demo_annotators.read_zero_shot),
    ("few-shot", demo_annotators.read_few_shot),
    ("consensus set", demo_annotators.teach_encoder),
    ("local encoder", demo_annotators.teach_encoder),
    ("its readings", demo_annotators.read_by_encoder),
    ("invented experts", demo_experts.label_posts),
    ("next prompt", demo_experts.read_with_next_prompt),
    ("comparison", demo_annotators.compare),
    ("prompts beside experts", demo_experts.calibrate),
    ("errors", demo_experts.find_errors),
    ("circle of values", demo_experts.place_values),
    ("verification", demo_experts.verify),
    ("soft labels", demo_experts.mix_labels),
    ("encoder by soft labels", demo_experts.teach_by_labels),
)


class Stopped(Exception):
    """Someone pressed Ctrl-C."""


class Command(BaseCommand):
    help = "Run a made-up study from the participant link to the report, and show it. Run again, it goes on."

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, default=8000, help="where the pages are served (8000)")
        parser.add_argument(
            "--no-serve", action="store_true", help="check that everything is there, then end"
        )
        parser.add_argument(
            "--http-raters", type=int, default=40, help="simulated raters over the pages (40)"
        )
        parser.add_argument("--raters", type=int, default=120, help="simulated raters in all (120)")

    def handle(self, *args, port: int, no_serve: bool, http_raters: int, raters: int, **options):
        if not 1 <= http_raters <= raters:
            raise CommandError("--http-raters must be from 1 to the number of --raters.")
        self.began = time.monotonic()
        self.base_url = f"http://{HOST}:{port}"
        refuse_taken_port(port)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, _stop)
        self.say("Loading the demonstration study")
        study, _ = load_demo_study()
        password = make_admin(settings.VAR_DIR / "admin_password")
        standin = [sys.executable, "manage.py", "standin", "--port", str(offer_standin(port))]
        supervisor = Supervisor(
            {"stand-in": standin} | commands(port),
            env=environment(),
            cwd=settings.BASE_DIR,
            say=self.stderr.write,
        )
        try:
            self.say("Starting the web server, the worker, the clock and a stand-in for a language model")
            supervisor.start()
            self.play(study, supervisor, http_raters, raters)
            self.verify(study, http_raters, raters, password)
            self.show(study, password)
            if not no_serve:
                self.stdout.write("\nServing until Ctrl-C.")
                while True:
                    supervisor.poll()
                    time.sleep(0.2)
        except Stopped:
            self.stdout.write("\nStopping.")
        except KeepsDying as error:
            raise CommandError(f"Stopped everything: {error}") from error
        except PageError as error:
            raise CommandError(f"A simulated rater cannot go on: {error}") from error
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # nothing may interrupt the stopping
            supervisor.stop()

    def say(self, what: str) -> None:
        self.stdout.write(f"[{time.monotonic() - self.began:4.0f} s] {what}")
        self.stdout.flush()

    def play(self, study: Study, supervisor: Supervisor, http_raters: int, raters: int) -> None:
        self.wait_until("the web server answers", lambda: self.status_of("/healthz") == 200, supervisor)
        cast = Cast(study)
        over_http = cast.list_unfinished(http_raters)
        if over_http:
            self.say(f"{len(over_http)} simulated raters walk the study through its pages, {AT_ONCE} at once")
            progress = self.watch(Progress(self.stdout, "over HTTP"), supervisor)
            connection.close()
            walk_over_http(cast, over_http, self.base_url, at_once=AT_ONCE, on_progress=progress)
        direct = [number for number in cast.list_unfinished(raters) if number > http_raters]
        if direct:
            self.say(f"{len(direct)} more take part directly, without pages")
            walk_directly(cast, direct, on_progress=self.watch(Progress(self.stdout, "directly"), supervisor))
        self.say("Workers fit the forests of each value, the mixed model and the boosted one, and blend them")
        fit = self.finish(request_fit(study), "fit", supervisor)
        self.say("It computes the reports, draws their figures and writes the document")
        self.finish(
            request_evaluation(study.fit_runs.get(pk=fit.result["fit_run"])), "people and models", supervisor
        )
        agreement = get_agreement(study)
        if agreement is None or agreement.outdated_at or count_since(study, agreement):
            self.finish(find_under_way(study, AGREEMENT) or request_agreement(study), "people", supervisor)
        if not study.documents.exists():
            self.finish(find_under_way(study, DOCUMENT) or request_document(study), "document", supervisor)
        self.compare_annotators(study, supervisor)

    def compare_annotators(self, study: Study, supervisor: Supervisor) -> None:
        self.say("The stand-in reads posts and invented feeds, a local encoder is taught; all are compared")
        address = f"{settings.LLM_PROVIDERS[STANDIN].base_url}/models"
        self.wait_until("the stand-in answers", lambda: get_status(address) == 200, supervisor)
        for what, ask in READING:
            if job := ask(study):
                self.finish(job, what, supervisor)
        if job := find_under_way(study, DOCUMENT):
            self.finish(job, "document", supervisor)

    def watch(self, progress: Progress, supervisor: Supervisor) -> Callable[[int, int], None]:
        """Show progress and look after the other processes at each step of it."""

        def step(done: int, total: int) -> None:
            progress(done, total)
            supervisor.poll()

        return step

    def finish(self, job: Job, what: str, supervisor: Supervisor) -> Job:
        """Wait for a worker to finish the job, trying once more what failed in an earlier run."""
        retry(job)  # only what failed or was cancelled
        job = wait(
            job,
            on_progress=Progress(self.stdout, what).show_job,
            on_look=supervisor.poll,
            timeout=JOB_TIMEOUT_SECONDS,
        )
        if job.state != Job.State.DONE:
            raise CommandError(f"The {what} ended as {job.get_state_display()}: {job.error}")
        return job

    def verify(self, study: Study, http_raters: int, raters: int, password: str) -> None:
        """Look for everything the demo promises; raise CommandError naming what is missing."""
        self.say("Checking that everything is there")
        people = Enrollment.objects.filter(study=study, rater__origin=Rater.Origin.SIMULATED)
        report = get_latest_report(study)
        n_annotations = Annotation.objects.filter(enrollment__in=people).count()
        expected = {
            f"{raters} simulated raters completed": people.filter(outcome=Outcome.COMPLETED).count()
            >= raters,
            f"each rated {study.posts_per_rater} posts": n_annotations >= raters * study.posts_per_rater,
            "a report is stored": report is not None,
            "every condition has a figure": report is not None
            and all(row.rho is not None for row in tabulate_agreement(report.measures)),
            "the participant page is served": self.status_of(build_entry_path(study, "preview-check")) == 200,
            "the dashboard asks for a login": self.status_of(f"/dashboard/{study.slug}/") == 302,
            "the dashboard shows the report": self.sees_dashboard(study, password, report),
        }
        self.wait_until("the system is ready (/readyz)", lambda: self.status_of("/readyz") == 200)
        missing = [what for what, is_there in expected.items() if not is_there]
        missing += demo_annotators.find_missing(study) + demo_experts.find_missing(study)
        if missing:
            raise CommandError("Not everything is there. Missing: " + "; ".join(missing))

    def sees_dashboard(self, study: Study, password: str, report: Report | None) -> bool:
        """Whether an administrator who logs in with the printed password is shown the stored figures.

        Where the stand-in's are shown, so must be that they come from no real model.
        """
        if report is None:
            return False
        with Browser(self.base_url) as browser:
            page = browser.get(f"{reverse('account_login')}?next=/dashboard/{study.slug}/")
            page = browser.submit(page.form(having="login"), {"login": ADMIN, "password": password})
            comparison = browser.get(reverse("modeling:comparison", args=[study.slug]))
        return (
            f"{report.measures['personalized']['rho']:.3f}" in page.text and SAYS_STANDIN in comparison.text
        )

    def show(self, study: Study, password: str) -> None:
        report = get_latest_report(study)
        self.stdout.write("\nAgreement on the held-out posts (SIMULATED raters; mean rho, 95 % interval)")
        for row in tabulate_agreement(report.measures):
            self.stdout.write(f"  {row.label:<54}{row.rho:6.3f}  [{row.low:.3f}, {row.high:.3f}]")
        self.stdout.write("\n" + write_comparison(get_comparison(study).measures))
        self.say("Everything is there.\n")
        entry = build_entry_path(study, f"preview{secrets.token_hex(4)}")
        self.stdout.write(f"  Take part     {self.base_url}{entry}")
        self.stdout.write(f"  Dashboard     {self.base_url}/dashboard/{study.slug}/")
        self.stdout.write(f"  Admin         {self.base_url}/admin/   user {ADMIN}, password {password}")
        self.stdout.flush()

    def status_of(self, path: str) -> int:
        """Return the status the web server answers with, 0 when it does not; redirects are not followed."""
        return get_status(self.base_url + path)

    def wait_until(
        self, what: str, is_so: Callable[[], bool], supervisor: Supervisor | None = None, seconds: float = 60
    ) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            if supervisor:
                supervisor.poll()
            if time.monotonic() > end:
                raise CommandError(f"Waited {seconds:.0f} s in vain until {what}.")
            time.sleep(0.2)


def get_status(url: str) -> int:
    """Return the status of the answer, 0 when there is none; redirects are not followed."""
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def offer_standin(web_port: int) -> int:
    """Make the stand-in known as a provider to this process and its children; return the port that it shall take."""
    port = _find_free_port(web_port + STANDIN_PORTS_ABOVE)
    os.environ |= {
        "LLM_STANDIN_BASE_URL": f"http://{HOST}:{port}/v1",
        "LLM_STANDIN_REQUESTS_PER_MINUTE": "0",
        "LLM_STANDIN_TOKENS_PER_MINUTE": "0",
    }
    listed = [name for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    if listed and STANDIN not in [name.strip() for name in listed]:
        os.environ[VARIABLE] = ",".join([*listed, STANDIN])
    settings.LLM_PROVIDERS[STANDIN] = read_providers(os.environ)[STANDIN]
    return port


def _find_free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError):
                continue
            return probe.getsockname()[1]
    raise CommandError("No port is free for the stand-in.")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


def _stop(number: int, frame: object) -> None:
    raise Stopped


def make_admin(path: Path) -> str:
    """Return the administrator's password, making the account and a password at the first call."""
    users = get_user_model().objects
    if users.filter(username=ADMIN).exists() and path.exists():
        return path.read_text()
    password = secrets.token_urlsafe(12)
    user, _ = users.get_or_create(username=ADMIN, defaults={"is_staff": True, "is_superuser": True})
    user.set_password(password)
    user.save()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(password)
    return password
