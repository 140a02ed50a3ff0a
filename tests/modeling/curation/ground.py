"""What tests of curations stand on: a study with a small value system, a few feeds, models at the stand-in."""

import csv
import io

from django.core.files.base import ContentFile
from django.db import transaction

from jobs import services as jobs
from jobs.models import Job
from modeling.annotators.prompts import get_prompt
from modeling.curation import services
from modeling.curation.feeds import request_load
from modeling.curation.settings import CurationSettings
from modeling.curation.stages import BY_MODEL
from modeling.models import Curation
from tests.factories import AnnotatorModelFactory, StudyFactory

COLUMNS = ("key", "text", "owner", "source")
TEXTS = (
    "A calm morning at the harbour, coffee in one hand and the newspaper in the other",
    "We planted seven trees behind the mill and the whole choir came to help",
    "My sister won the chess cup after a long winter of practice",
    "The ferry was late again, so we played cards and laughed about it",
    "Grandmother told the old stories while the bread was in the oven",
    "Somebody returned my wallet today, with every coin still in it",
)
# What counts is the way through the stages: nearly every rating passes.
LENIENT = CurationSettings(least_comprehensibility=0, most_nsfw=3, least_screening=1, concurrency=4)


def write_feeds(rows, columns=COLUMNS, name="feeds.csv"):
    """A CSV file of these rows, each a mapping or the cells of the four needed columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(row if isinstance(row, dict) else dict(zip(COLUMNS, row, strict=True)) for row in rows)
    return ContentFile(text.getvalue().encode(), name=name)


def list_rows(texts=TEXTS, owners=("ann", "ben", "cem")):
    """Every text once in one feed of every owner, English by its column."""
    return [
        {
            "key": f"p{number}",
            "text": text,
            "owner": owner,
            "source": ("following", "for_you")[(number + place) % 2],
            "language": "en",
        }
        for place, owner in enumerate(owners)
        for number, text in enumerate(texts)
    ]


def load(curation, rows, columns=(*COLUMNS, "language"), name="feeds.csv") -> Job:
    """Load a file of these rows here, and return the job."""
    return jobs.run_here(request_load(curation, write_feeds(rows, columns, name)), poll_seconds=0.01)


def make_curation(study=None, *, rows=None, settings=LENIENT, name="spring", seed=1, **prices) -> Curation:
    """A curation with feeds and a model for each stage, ready to be started."""
    study = study or StudyFactory(posts=0, questions=0, steps=(), state="draft")
    annotators = {
        stage: AnnotatorModelFactory(
            study=study, name=stage.value, prompt=get_prompt(study, services.PURPOSES[stage]), **prices
        )
        for stage in BY_MODEL
    }
    curation = services.create_curation(study, name=name, settings=settings, seed=seed, annotators=annotators)
    job = load(curation, list_rows() if rows is None else rows)
    assert job.state == Job.State.DONE, job.error
    return curation


def curate(curation: Curation) -> Curation:
    """Take a curation as far as it goes, here, and return it as it is then."""
    with transaction.atomic():
        job = services.start_curation(curation)
    job = jobs.run_here(job, poll_seconds=0.01)
    assert job.state == Job.State.DONE, job.error
    curation.refresh_from_db()
    return curation
