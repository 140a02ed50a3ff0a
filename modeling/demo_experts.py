"""Invented experts, prompts held against them, rules, soft labels and an encoder for the demonstration study.

As in `demo_annotators`, every function asks for what is not there yet and returns the job to wait for; None where all
of it is done. The experts are made of what the simulated raters say: nothing here is evidence about a model.
"""

import csv
import io
from dataclasses import replace
from typing import Any

import numpy as np
from django.core.files.base import ContentFile

from annotation.models import Study
from jobs.models import Job

from .annotators.configs import create_annotator
from .annotators.prompts import get_design, get_prompt, save_prompt
from .annotators.runs import create_run, find_run_job, start_run
from .demo_annotators import CALLS_AT_ONCE, FEW_SHOT, ZERO_SHOT
from .encoders.settings import EncoderSettings
from .experts.importing import import_labels
from .experts.services import create_set
from .matrices import StudyTable, load_table
from .models import AnnotatorModel, AnnotatorRun, ExpertSet, PromptVersion, Report, Verification, Work
from .reporting.subjects import find_report_job, get_report, name_subject, request_report
from .rules.starters import list_starters
from .softlabels.services import create_soft_labels
from .softlabels.services import find_job as find_label_job
from .softlabels.settings import PEOPLE, RUN, Source
from .transfer.services import create_training
from .transfer.services import find_job as find_training_job
from .verifying.services import create_verification, get_scale, save_rule_set, start_verification
from .verifying.services import find_job as find_verification_job

SET = "Invented experts"
EXPERTS = {"Invented expert A": 0.4, "Invented expert B": 0.25}  # share of raters who must see a value
GUIDANCE = "Invented for the demonstration: made of what simulated raters say, not given by any person."
N_POSTS, THRESHOLD, SEED = 120, 3, 1
N_WAITING = 20  # posts that the second expert has left to whoever tries the page
WORDING = (
    "Rate what the post itself says of a value, in its own words. A topic is not a value: money in a post is not yet "
    "resources, and a law in it not yet conformity."
)
NOTE = "Asks for a reason, and tells topics from values."
RULES, LABELS, ENCODER = "Where to look again", "Models and people", "Encoder taught by soft labels"
Kind = Report.Kind


def label_posts(study: Study) -> None:
    """Store a set of posts that people rated, with the labels of two invented experts."""
    if study.expert_sets.filter(name=SET).exists():
        return
    table = load_table(study)
    keys = np.random.default_rng(SEED).permutation(sorted(table.post_keys))[:N_POSTS]
    made = create_set(
        study,
        name=SET,
        threshold=THRESHOLD,
        n_experts=len(EXPERTS),
        posts=[str(key) for key in keys],
        guidance=GUIDANCE,
        seed=SEED,
    )
    import_labels(made, ContentFile(write_labels(table, made), name="invented-labels.csv"))


def write_labels(table: StudyTable, expert_set: ExpertSet) -> bytes:
    """Return what invented experts say of a set's posts, as a file that a researcher could bring.

    An expert sees a value where at least a share of the post's raters do, and rates it as these do on average.
    """
    wanted = dict(expert_set.items.values_list("post", "position"))
    n_shared = len(wanted) - min(N_WAITING, len(wanted) // 2)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["post", "expert", *table.value_keys])
    for place, (post_id, key) in enumerate(zip(table.post_ids, table.post_keys, strict=True)):
        if post_id not in wanted:
            continue
        ratings = table.ratings[table.posts == place].astype(float)
        sees = ratings >= THRESHOLD
        with np.errstate(invalid="ignore"):
            means = np.where(sees, ratings, 0).sum(axis=0) / sees.sum(axis=0)
        for number, (expert, share) in enumerate(EXPERTS.items()):
            if number and wanted[post_id] > n_shared:
                continue
            rated = np.where(sees.mean(axis=0) >= share, np.round(np.nan_to_num(means)), 0)
            writer.writerow([key, expert, *(int(rating) for rating in rated)])
    return file.getvalue().encode()


def read_with_next_prompt(study: Study) -> Job | None:
    """Have the zero-shot model read every post with the next version of its prompt, which asks for a reason."""
    first = study.annotators.filter(name=ZERO_SHOT, prompt__number=1).order_by("version").first()
    if first is None:
        return None
    prompt = study.prompt_versions.filter(purpose=PromptVersion.Purpose.VALUES, note=NOTE).first()
    if prompt is None:
        design = get_design(get_prompt(study, PromptVersion.Purpose.VALUES))
        closing = f"{design.closing}\n\n{WORDING}".strip()
        prompt = save_prompt(study, replace(design, closing=closing, asks_why=True), note=NOTE)
    annotator = study.annotators.filter(name=ZERO_SHOT, prompt=prompt).first() or create_annotator(
        study,
        name=ZERO_SHOT,
        kind=AnnotatorModel.Kind.ZERO_SHOT,
        prompt=prompt,
        provider=first.provider,
        model_name=first.model_name,
        input_price=first.input_price,
        output_price=first.output_price,
    )
    run = annotator.runs.filter(curation=None, is_preview=False).first()
    if run is None:
        return start_run(create_run(annotator, concurrency=CALLS_AT_ONCE))
    return None if run.state == AnnotatorRun.State.DONE else find_run_job(run)


def calibrate(study: Study) -> Job | None:
    """Have both versions of the prompt, and the other models, measured beside the experts."""
    return _report(study, Kind.CALIBRATION)


def find_errors(study: Study) -> Job | None:
    """Have the errors of the newer version analysed."""
    run = _find_run(study, ZERO_SHOT)
    return run and _report(study, Kind.ERRORS, run=run.pk)


def place_values(study: Study) -> Job | None:
    """Have the circle of values drawn for experts, people and models."""
    return _report(study, Kind.STRUCTURE)


def verify(study: Study) -> Job | None:
    """Have rules pick the readings that an expert should look at."""
    made = study.verifications.first()
    if made is None:
        rules = list_starters(study.value_keys, get_scale(study))
        run, other = _find_run(study, ZERO_SHOT), _find_run(study, FEW_SHOT)
        if run is None or other is None:
            return None
        made = create_verification(
            save_rule_set(study, name=RULES, rules=rules),
            run,
            other_runs=[other],
            expert_set=study.expert_sets.get(name=SET),
        )
        return start_verification(made)
    return None if made.state == Verification.State.DONE else find_verification_job(made)


def mix_labels(study: Study) -> Job | None:
    """Have soft labels made of two models and of people."""
    made = study.soft_label_sets.filter(name=LABELS, outdated_at=None).first()
    if made is None:
        runs = [run for name in (ZERO_SHOT, FEW_SHOT) if (run := _find_run(study, name))]
        sources = [Source(RUN, run.pk, 1.0) for run in runs] + [Source(PEOPLE, None, 2.0)]
        made = create_soft_labels(study, LABELS, sources)
    return None if made.state == Work.DONE else find_label_job(made)


def teach_by_labels(study: Study) -> Job | None:
    """Have an encoder taught by the soft labels, and judged beside the experts."""
    labels = study.soft_label_sets.filter(name=LABELS, state=Work.DONE, outdated_at=None).first()
    made = study.encoder_trainings.filter(name=ENCODER, outdated_at=None).first()
    if made is None:
        if labels is None:
            return None
        made = create_training(
            study, labels, EncoderSettings(seed=SEED), ENCODER, expert_set=study.expert_sets.get(name=SET)
        )
    return None if made.state == Work.DONE else find_training_job(made)


def find_missing(study: Study) -> list[str]:
    """Return what the demonstration promises and does not have."""
    kinds = set(study.reports.values_list("kind", flat=True))
    promised: dict[str, Any] = {
        "experts have labeled posts": study.expert_sets.filter(items__labels__isnull=False).exists(),
        "prompts are measured beside experts": Kind.CALIBRATION in kinds,
        "errors are analysed": Kind.ERRORS in kinds,
        "the circle of values is drawn": Kind.STRUCTURE in kinds,
        "rules have made a queue": study.verifications.filter(state=Verification.State.DONE).exists(),
        "an encoder is taught by soft labels": study.encoder_trainings.filter(
            annotator__isnull=False
        ).exists(),
    }
    return [what for what, is_there in promised.items() if not is_there]


def _report(study: Study, kind: str, **numbers: int) -> Job | None:
    subject = name_subject(set=study.expert_sets.get(name=SET).pk, **numbers)
    report = get_report(study, kind, subject)
    if report and not report.outdated_at:
        return None
    under_way = find_report_job(study, kind, subject)
    return under_way if under_way and not under_way.is_final else request_report(study, kind, subject)


def _find_run(study: Study, name: str) -> AnnotatorRun | None:
    runs = AnnotatorRun.objects.filter(
        annotator__study=study,
        annotator__name=name,
        state=AnnotatorRun.State.DONE,
        curation=None,
        is_preview=False,
    )
    return runs.order_by("-annotator__version", "-pk").first()
