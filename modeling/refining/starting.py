"""Having models read the posts of an expert set: prompt versions times models, with their costs. Web-safe."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from annotation.errors import Refused
from modeling.annotators.configs import DEFAULTS, create_annotator
from modeling.annotators.runs import create_run, start_run
from modeling.annotators.selecting import chosen_posts
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertSet, PromptVersion

from .runs import name_line

State = AnnotatorRun.State
MOST_RUNS = 40  # of one form or command
FOLLOWED = tuple(name for name in DEFAULTS if name not in ("artefact", "artefact_sha256", "is_standin"))


@dataclass(frozen=True)
class Prepared:
    """What was made ready: runs not started yet, and in words what was not made since it is there already."""

    runs: tuple[AnnotatorRun, ...]
    skipped: tuple[str, ...]


def list_prompts(expert_set: ExpertSet) -> QuerySet[PromptVersion]:
    """Return the versions of the study's prompt about values, newest first."""
    return expert_set.study.prompt_versions.filter(purpose=PromptVersion.Purpose.VALUES).order_by("-number")


def list_templates(expert_set: ExpertSet) -> list[AnnotatorModel]:
    """Return of each language model of the study its newest configuration: who is asked, and how."""
    annotators = (
        expert_set.study.annotators.filter(retired_at=None, prompt__purpose=PromptVersion.Purpose.VALUES)
        .exclude(kind=AnnotatorModel.Kind.ENCODER)
        .select_related("prompt")
        .order_by("-created_at", "-pk")
    )
    found: dict[str, AnnotatorModel] = {}
    for annotator in annotators:
        found.setdefault(name_line(annotator), annotator)
    return [found[line] for line in sorted(found)]


def list_post_ids(expert_set: ExpertSet, *, with_test: bool = False) -> list[int]:
    """Return the posts of a set that models are to read; test posts only on request."""
    items = expert_set.items.all() if with_test else expert_set.items.filter(split="development")
    return list(items.exclude(post__text="").order_by("post").values_list("post", flat=True))


@transaction.atomic
def prepare_runs(
    expert_set: ExpertSet,
    prompts: Sequence[PromptVersion],
    templates: Sequence[AnnotatorModel],
    *,
    samples: int | None = None,
    temperature: float | None = None,
    budget: Decimal | None = None,
    with_test: bool = False,
    user: Any = None,
) -> Prepared:
    """Store a run of each model with each prompt over a set's posts, not started, each with its estimate.

    Parameters
    ----------
    prompts, templates : every prompt with every model; of a template all settings are taken but the prompt
    samples, temperature : instead of the template's, where given
    budget : dollars, of each run
    with_test : whether the test posts are read too. Nothing looks at these readings until the test posts are opened

    Raises
    ------
    AnnotatorRefused
        Naming a field whose setting no model can have.
    Refused
        Where nothing was chosen, too much was, or a run makes no sense.
    """
    if not prompts or not templates:
        raise Refused("Choose at least one version of the prompt and one model.")
    if len(prompts) * len(templates) > MOST_RUNS:
        raise Refused(
            f"{len(prompts)} versions and {len(templates)} models are {len(prompts) * len(templates)} runs; at most "
            f"{MOST_RUNS} are made at once. Choose fewer."
        )
    selection = chosen_posts(list_post_ids(expert_set, with_test=with_test))
    runs, skipped = [], []
    changed = {
        name: given
        for name, given in (("samples", samples), ("temperature", temperature))
        if given is not None
    }
    for prompt in sorted(prompts, key=lambda each: each.number):
        for template in templates:
            annotator = _provide_annotator(template, prompt, changed, user)
            same = annotator.runs.filter(
                selection=selection, is_preview=False, curation=None, state__in=(State.RUNNING, State.DONE)
            ).first()
            if same:
                skipped.append(f"{annotator} has read these posts, or is reading them, in run {same.pk}.")
                continue
            runs.append(create_run(annotator, selection=selection, budget=budget, user=user))
    return Prepared(tuple(runs), tuple(skipped))


def _provide_annotator(
    template: AnnotatorModel, prompt: PromptVersion, changed: dict[str, Any], user: Any
) -> AnnotatorModel:
    """Return the annotator model that asks this prompt as the template asks its own; an equal one is taken again."""
    settings = {name: getattr(template, name) for name in FOLLOWED} | changed
    whole = {
        "kind": template.kind,
        "prompt": prompt,
        "provider": template.provider,
        "model_name": template.model_name,
        **settings,
    }
    named = template.study.annotators.filter(name=template.name, prompt=prompt, retired_at=None)
    for annotator in named.order_by("-version"):
        if all(getattr(annotator, name) == given for name, given in whole.items()):
            return annotator
    return create_annotator(template.study, name=template.name, user=user, **whole)


def list_ready(expert_set: ExpertSet, numbers: Sequence[int]) -> list[AnnotatorRun]:
    """Return those of the runs of a study that were made ready and not started."""
    runs = AnnotatorRun.objects.filter(
        pk__in=numbers, annotator__study=expert_set.study_id, curation=None, is_preview=False
    )
    return list(runs.select_related("annotator__study", "annotator__prompt").order_by("pk"))


def start_runs(runs: Sequence[AnnotatorRun], user: Any = None) -> list[str]:
    """Start runs, each with a job of its own; return in words which could not be started."""
    refused = []
    for run in runs:
        try:
            start_run(run, user)
        except Refused as refusal:
            refused.append(str(refusal))
    return refused


def discard_runs(runs: Sequence[AnnotatorRun]) -> int:
    """Remove runs that were never started; returns how many. The annotator models stay."""
    ready = AnnotatorRun.objects.filter(pk__in=[run.pk for run in runs], state=State.READY, n_starts=0)
    return ready.delete()[1].get("modeling.AnnotatorRun", 0)
