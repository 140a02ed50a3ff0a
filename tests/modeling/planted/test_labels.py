"""Soft labels beside hard ones: better where posts are ambiguous, and not where they are plain."""

import csv
import io

import numpy as np
import pytest
from django.core.files.base import ContentFile

from jobs.services import run_here
from modeling.encoders.settings import EncoderSettings
from modeling.experts.importing import import_labels
from modeling.experts.services import create_set
from modeling.models import Report
from modeling.reporting.subjects import get_report
from modeling.simulation.planted import THRESHOLD, draw_ratings, invent_world
from modeling.softlabels.services import create_soft_labels
from modeling.softlabels.services import find_job as find_label_job
from modeling.softlabels.settings import EXPERTS, Source
from modeling.transfer.services import create_training, name_subject
from modeling.transfer.services import find_job as find_training_job
from tests.factories import StudyFactory, ValueSystemFactory
from tests.modeling.rated import build_flat_tree

from .ground import store_posts

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
VALUES = ("hedonism", "power_resources", "tradition", "universalism_nature")
N_READERS, N_POSTS = 8, 800
QUICK = EncoderSettings(n_folds=2, linear={"epochs": 20, "buckets_log2": 15, "penalty": 0.001})


def judge(*, ambiguous: bool) -> dict:
    """Teach an encoder what eight readers say of a world, soft and hard; return how it was judged."""
    rng = np.random.default_rng(21)
    world = invent_world(N_POSTS, rng, ambiguous=ambiguous, value_keys=VALUES)
    study = StudyFactory(
        value_system=ValueSystemFactory(tree=build_flat_tree(len(VALUES))), posts=0, questions=0, steps=()
    )
    store_posts(study, world)
    readers = create_set(study, name="Readers", threshold=THRESHOLD, n_experts=N_READERS, test_share=0.0)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["post", "expert", *study.value_keys])
    for number, ratings in enumerate(draw_ratings(world, N_READERS, rng)):
        for key, row in zip(world.keys, ratings, strict=True):
            writer.writerow([key, f"reader {number}", *(int(rating) for rating in row)])
    import_labels(readers, ContentFile(file.getvalue().encode(), name="readers.csv"))
    labels = create_soft_labels(study, "Readers", [Source(EXPERTS, readers.pk)])
    assert run_here(find_label_job(labels), poll_seconds=0.01).state == "done"
    labels.refresh_from_db()
    training = create_training(study, labels, QUICK, "Encoder", threshold=THRESHOLD)
    job = run_here(find_training_job(training), poll_seconds=0.01)
    assert job.state == "done", job.error
    report = get_report(study, Report.Kind.ENCODER, name_subject(training))
    return report.measures


def find_verdicts(measures: dict) -> dict[str, str]:
    (difference,) = measures["differences"]
    return {name: found["verdict"] for name, found in difference["measures"].items()}


def test_soft_labels_are_better_where_readers_differ():
    verdicts = find_verdicts(judge(ambiguous=True))
    better = {"rank", "mae", "rps", "brier", "ece", "error_uncertainty"}
    assert {name for name, verdict in verdicts.items() if verdict == "better"} == better
    assert verdicts["macro_f1"] == "noise"


def test_soft_labels_are_no_better_where_readers_agree():
    assert set(find_verdicts(judge(ambiguous=False)).values()) == {"noise"}
