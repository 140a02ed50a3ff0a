"""Annotator models, a curation and their comparison for the demonstration study: all through the stand-in.

Every function asks for what is not there yet and returns the job to wait for; None where all of it is done. So the
demonstration, run again, repeats nothing.
"""

import csv
import io
from decimal import Decimal
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from django.db.models import Count

from annotation.models import Study
from config.llm_providers import STANDIN
from jobs.models import Job

from .annotators.configs import create_annotator
from .annotators.few_shot import build_examples
from .annotators.prompts import get_prompt
from .annotators.runs import create_run, find_run_job, resume_run, start_run
from .curation import services as curating
from .curation.feeds import list_load_jobs, request_load
from .curation.settings import CurationSettings
from .curation.stages import BY_MODEL
from .models import AnnotatorModel, AnnotatorRun, Curation, FineTuning, PromptVersion
from .reporting.readers import list_unseen
from .reporting.requests import COMPARE, find_under_way, get_comparison, request_comparison
from .simulation.feeds import FeedWriter
from .tuning.services import find_job, train_encoder
from .tuning.settings import SetSettings

ZERO_SHOT, FEW_SHOT, ENCODER = "Stand-in, zero-shot", "Stand-in, few-shot", "Local encoder"
CURATION = "Invented feeds"
MODEL = "standin-small"
PRICES = {"input_price": Decimal("0.15"), "output_price": Decimal("0.60")}  # so that there is a cost to see
N_EXAMPLES = 3
CONSENSUS_SET = SetSettings(more_raters_than=3, n_drawn=240, n_kept=150)
N_ROWS, N_OWNERS, FEED_SEED = 240, 8, 1
CALLS_AT_ONCE = 8
Kind = AnnotatorModel.Kind


def read_zero_shot(study: Study) -> Job | None:
    """Have a zero-shot model of the stand-in read every post of the study."""
    annotator = _find(study, ZERO_SHOT) or _make(study, ZERO_SHOT, PromptVersion.Purpose.VALUES)
    return _read(annotator)


def read_few_shot(study: Study) -> Job | None:
    """Have a few-shot model read every post; it is shown the posts that most people rated."""
    annotator = _find(study, FEW_SHOT)
    if annotator is None:
        prompt = get_prompt(study, PromptVersion.Purpose.VALUES)
        counted = study.posts.annotate(n_raters=Count("annotations")).order_by("-n_raters", "pk")
        shown = list(counted[:N_EXAMPLES])
        annotator = _make(
            study,
            FEW_SHOT,
            PromptVersion.Purpose.VALUES,
            kind=Kind.FEW_SHOT,
            examples=build_examples(study, prompt, shown),
            trained_on=[post.pk for post in shown],
        )
    return _read(annotator)


def teach_encoder(study: Study) -> Job | None:
    """Have a local encoder taught the consensus set."""
    tuning = study.fine_tunings.filter(name=ENCODER).first()
    if tuning is None:
        tuning = train_encoder(study, CONSENSUS_SET, name=ENCODER)
    return None if tuning.state == FineTuning.State.DONE else find_job(tuning)


def read_by_encoder(study: Study) -> Job | None:
    """Have the local encoder read every post; None where it is not taught yet."""
    annotator = _find(study, ENCODER)
    return annotator and _read(annotator)


def load_feeds(study: Study) -> Job | None:
    """Have a file of invented feeds loaded into a curation whose every stage asks the stand-in."""
    curation = study.curations.filter(name=CURATION).first()
    if curation is None:
        annotators = {
            stage: _make(study, f"{CURATION}: {curating.PURPOSE_WORDS[stage]}", curating.PURPOSES[stage])
            for stage in BY_MODEL
        }
        curation = curating.create_curation(
            study,
            name=CURATION,
            settings=CurationSettings(concurrency=CALLS_AT_ONCE),
            seed=FEED_SEED,
            annotators=annotators,
        )
    if curation.feed_posts.exists():
        return None
    return list_load_jobs(curation).order_by("-pk").first() or request_load(
        curation, ContentFile(write_feeds(), name="invented.csv")
    )


def curate(study: Study) -> Job | None:
    """Take the invented feeds through every stage to a sample."""
    curation = study.curations.get(name=CURATION)
    if curation.state in (Curation.State.SAMPLED, Curation.State.LOADED):
        return None
    return curating.start_curation(curation)


def compare(study: Study) -> Job | None:
    """Compare the models, unless a comparison of these very runs and people is stored."""
    comparison = get_comparison(study)
    if comparison and not comparison.outdated_at and not list_unseen(study, comparison):
        return None
    return find_under_way(study, COMPARE) or request_comparison(study)


def find_missing(study: Study) -> list[str]:
    """Return what of all this is not there, in words; [] when everything is."""
    comparison = get_comparison(study)
    compared = {model["label"]: model for model in comparison.measures["models"]} if comparison else {}
    missing = [
        f"the comparison of {name}"
        for name in (ZERO_SHOT, FEW_SHOT, ENCODER)
        if (annotator := _find(study, name)) is None or compared.get(str(annotator), {}).get("rho") is None
    ]
    unmarked = study.annotators.exclude(kind=Kind.ENCODER).filter(provider=STANDIN, is_standin=False)
    missing += [f"the mark of {annotator} as a stand-in" for annotator in unmarked]
    sampled = study.curations.filter(name=CURATION, state__in=(Curation.State.SAMPLED, Curation.State.LOADED))
    if not sampled.exists():
        missing.append("the sample of the curation")
    return missing


def write_feeds() -> bytes:
    """Return the file of invented feeds; the same every time."""
    rows = list(FeedWriter(N_OWNERS, np.random.default_rng(FEED_SEED)).write(N_ROWS))
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    file = io.StringIO()
    table = csv.DictWriter(file, columns)
    table.writeheader()
    table.writerows(row.cells for row in rows)
    return file.getvalue().encode()


def _find(study: Study, name: str) -> AnnotatorModel | None:
    return study.annotators.filter(name=name, retired_at=None).order_by("-version").first()


def _make(
    study: Study, name: str, purpose: str, kind: str = Kind.ZERO_SHOT, **settings: Any
) -> AnnotatorModel:
    return create_annotator(
        study,
        name=name,
        kind=kind,
        prompt=get_prompt(study, purpose),
        provider=STANDIN,
        model_name=MODEL,
        **PRICES | settings,
    )


def _read(annotator: AnnotatorModel) -> Job | None:
    """Have an annotator model read every post of its study, unless a run has done so; one that stopped goes on."""
    runs = annotator.runs.filter(curation=None, is_preview=False)
    if runs.filter(state=AnnotatorRun.State.DONE).exists():
        return None
    run = runs.first()
    if run is None:
        return start_run(create_run(annotator, concurrency=CALLS_AT_ONCE))
    if run.state == AnnotatorRun.State.READY:
        return start_run(run)
    return find_run_job(run) if run.state == AnnotatorRun.State.RUNNING else resume_run(run)
