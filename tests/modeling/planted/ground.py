"""A planted world in the database: invented posts, experts who rate by known rules, a model that errs as planted."""

import csv
import io
from dataclasses import replace

import numpy as np
from django.core.files.base import ContentFile

from annotation.models import Post, Study
from jobs.services import run_here
from modeling.annotators.prompts import get_design, get_prompt, save_prompt
from modeling.annotators.runs import create_run
from modeling.experts.importing import import_labels
from modeling.experts.services import create_set, resolve
from modeling.experts.standing import list_standings
from modeling.models import AnnotatorRun, ExpertSet, Paraphrase, PromptVersion, Report
from modeling.refining.paraphrases import prepare_variant_run
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.simulation.planted import THRESHOLD, ExpertRule, World, label, paraphrase
from modeling.standin.planting import Misattribution, Plant
from modeling.standin.script import Script
from tests.factories import AnnotatorModelFactory, StudyFactory, ValueSystemFactory, load_nineteen
from tests.modeling.annotators.ground import ask_standin, read_all

CURE = "Winning is not the same as ruling others."
STRAY = Misattribution("power_dominance", "achievement", 0.2, cured_by=CURE)
NEIGHBOUR = Misattribution("tradition", "humility", 0.2, replaces=True, cured_by=CURE)
EMPTY = Misattribution("face", "", 0.2, cured_by=CURE)
PLANTED = (STRAY, NEIGHBOUR, EMPTY)
NOISE = {"misses": 0.08, "inventions": 0.004}
EXPERTS = {
    "careful": ExpertRule(),
    "generous": ExpertRule(shift=1),
    "short-sighted": ExpertRule(blind_to="hedonism", share=0.4),
}


def settle_world(world: World, *, test_share: float = 0.15) -> ExpertSet:
    """Store a world's posts in a study of its own, with the labels of three experts and their differences settled."""
    study = StudyFactory(
        value_system=ValueSystemFactory(tree=load_nineteen()), posts=0, questions=0, steps=()
    )
    store_posts(study, world)
    expert_set = create_set(
        study, name="World", threshold=THRESHOLD, n_experts=len(EXPERTS), test_share=test_share
    )
    import_labels(expert_set, ContentFile(write_labels(world), name="labels.csv"))
    settle(expert_set, world)
    return expert_set


def store_posts(study: Study, world: World, purpose: str = Post.Purpose.LABELING) -> list[Post]:
    return Post.objects.bulk_create(
        Post(study=study, key=key, text=text, purpose=purpose)
        for key, text in zip(world.keys, world.texts, strict=True)
    )


def store_paraphrases(study: Study, world: World) -> World:
    """Store every post once more in other words."""
    other = paraphrase(world, np.random.default_rng(5))
    variants = store_posts(study, other, Post.Purpose.PARAPHRASE)
    originals = {post.key: post for post in study.posts.filter(key__in=world.keys)}
    Paraphrase.objects.bulk_create(
        Paraphrase(original=originals[key], variant=variant, number=1)
        for key, variant in zip(world.keys, variants, strict=True)
    )
    return other


def write_labels(world: World) -> bytes:
    """Write what the experts say as the file that a researcher would bring."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["post", "expert", *world.value_keys])
    rng = np.random.default_rng(6)
    for name, rule in EXPERTS.items():
        for key, ratings in zip(world.keys, label(world, rule, rng), strict=True):
            writer.writerow([key, name, *(int(rating) for rating in ratings)])
    return file.getvalue().encode()


def settle(expert_set: ExpertSet, world: World) -> None:
    """Have every difference between the experts settled by the truth."""
    truth = dict(zip(world.keys, world.truth, strict=True))
    for standing in list_standings(expert_set, expert_set.items.all(), with_posts=True):
        if standing.n_open:
            is_open = np.array(standing.settled.is_open)
            resolve(
                standing.item, np.where(is_open, truth[standing.item.post.key], np.nan).tolist(), "", None
            )


def save_repaired_prompt(study: Study) -> PromptVersion:
    """Store the next version of the prompt about values, with the sentence that cures the planted errors."""
    design = get_design(get_prompt(study, PromptVersion.Purpose.VALUES))
    return save_prompt(
        study, replace(design, closing=f"{design.closing} {CURE}"), note="Names the confusion."
    )


def have_read(
    expert_set: ExpertSet, plant: Plant, *, prompt: PromptVersion | None = None, **fields
) -> AnnotatorRun:
    """Have a planted model read every post of the study that people could label."""
    study = expert_set.study
    prompt = prompt or get_prompt(study, PromptVersion.Purpose.VALUES)
    with ask_standin(Script(plant=plant)):
        annotator = AnnotatorModelFactory(study=study, prompt=prompt, **fields)
        return read_all(create_run(annotator))


def have_variants_read(expert_set: ExpertSet, run: AnnotatorRun, plant: Plant) -> AnnotatorRun:
    """Have the model of a run read the development posts in other words."""
    with ask_standin(Script(plant=plant)):
        return read_all(prepare_variant_run(expert_set, run))


def measure(expert_set: ExpertSet, kind: str, **numbers: int) -> dict:
    """Have a report made as a worker makes it, and return its measures."""
    study, subject = expert_set.study, name_subject(set=expert_set.pk, **numbers)
    job = run_here(request_report(study, kind, subject), poll_seconds=0.01)
    assert job.state == "done", job.error
    report = get_report(study, kind, subject)
    assert report is not None
    return report.measures


def find_errors(expert_set: ExpertSet, run: AnnotatorRun) -> set[tuple[str, str]]:
    """Return the recurrent misattributions that the report of a run names: (given, instead of)."""
    measures = measure(expert_set, Report.Kind.ERRORS, run=run.pk)
    return {(pair["given"], pair["instead_of"]) for pair in measures["pairs"] if pair["is_recurrent"]}
