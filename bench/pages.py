"""What a page of results costs the server, at the size of the published study, against the limit we set ourselves."""

import json
import os
import secrets
import statistics
import sys
import tempfile
import time

from bench import Timing, bench
from bench.agreement import N_POSTS, N_RATERS, POSTS_PER_RATER, made_up_study
from bench.reading import run

LIMIT_MS = 30
N_REQUESTS = 20
SLUG = "bench"
PAGES = ("", "agreement/", "values/", "disputed/", "planning/", "report/")


@bench("results_page")
def results_page() -> Timing:
    """The costliest page of results that is made of a stored agreement report, on SQLite, logged in.

    CPU time inside the server process, the median of N_REQUESTS requests per page.
    """
    with tempfile.TemporaryDirectory(prefix="parallax-bench-") as folder:
        surroundings = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ALLOWED_HOSTS": "testserver",
            "VAR_DIR": folder,
        }
        run(["manage.py", "migrate", "-v0"], surroundings)
        run(["manage.py", "collectstatic", "-v0", "--no-input"], surroundings)
        run(["-m", "bench.pages", "fill"], surroundings)
        medians = json.loads(run(["-m", "bench.pages", "ask"], surroundings))
    costliest = max(medians.values())
    return Timing(
        ratio=LIMIT_MS / costliest,
        reference=f"the limit of {LIMIT_MS} ms",
        medians={"ours": costliest, "reference": LIMIT_MS},
        unit="ms",
        more={"pages": medians, "runs": N_REQUESTS},
    )


# --- in a process of its own -------------------------------------------------------------------


def fill() -> None:
    """Store a study of the published size and its agreement report, drawn and all."""
    import django

    django.setup()
    from django.utils import timezone

    from annotation.models import Annotation, Enrollment, Outcome, Post, Rater, Study
    from annotation.services import save_value_system
    from jobs.models import Job
    from jobs.services import run_here
    from modeling.demo import load_default_tree
    from modeling.reporting.requests import request_agreement, request_document

    study = Study.objects.create(
        slug=SLUG,
        name=SLUG,
        title=SLUG,
        value_system=save_value_system(load_default_tree()),
        posts_per_rater=POSTS_PER_RATER,
        consent={},
    )
    posts = Post.objects.bulk_create(
        Post(study=study, key=f"p{number}", text=f"The words of post {number}.") for number in range(N_POSTS)
    )
    raters = Rater.objects.bulk_create(
        Rater(origin=Rater.Origin.PROLIFIC, external_id=str(number)) for number in range(N_RATERS)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now())
        for rater in raters
    )
    ratings, chosen = made_up_study()
    Annotation.objects.bulk_create(
        (
            Annotation(
                enrollment=enrollments[row // POSTS_PER_RATER],
                post=posts[post],
                ratings=tuple(map(int, ratings[row])),
                codes=(2,) * len(ratings[row]),
            )
            for row, post in enumerate(chosen.tolist())
        ),
        batch_size=1000,
    )
    for request in (request_agreement, request_document):
        job = run_here(request(study))
        if job.state != Job.State.DONE:
            raise RuntimeError(job.error)


def ask() -> None:
    """Ask for each page as a researcher does; print the median CPU milliseconds of each."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench"))
    medians = {}
    for page in PAGES:
        address = f"/dashboard/{SLUG}/{page}"
        if client.get(address).status_code != 200:
            raise RuntimeError(f"{address} is not served")
        taken = []
        for _ in range(N_REQUESTS):
            begun = time.process_time()
            client.get(address)
            taken.append(time.process_time() - begun)
        medians[page or "overview"] = round(1000 * statistics.median(taken), 1)
    print(json.dumps(medians))


if __name__ == "__main__":
    {"fill": fill, "ask": ask}[sys.argv[1]]()
