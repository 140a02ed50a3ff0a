"""Runs of annotator models whose readings can be the consensus of a fit. A web process may import it."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from annotation.models import Study
from modeling.errors import RunUnusable
from modeling.models import AnnotatorModel, AnnotatorRun, PromptVersion
from modeling.reports.names import ANNOTATOR

ANNOTATOR_RUN = "annotator_run"  # in the settings of a fit
LONGEST_NAME = 80  # that a fit has room for


def list_runs(study: Study) -> QuerySet[AnnotatorRun]:
    """Return the runs over a study's posts that are done and about its values, newest first."""
    of_values = Q(annotator__kind=AnnotatorModel.Kind.ENCODER) | Q(
        annotator__prompt__purpose=PromptVersion.Purpose.VALUES
    )
    return (
        AnnotatorRun.objects.filter(
            of_values,
            annotator__study=study,
            curation=None,
            is_preview=False,
            state=AnnotatorRun.State.DONE,
        )
        .select_related("annotator__study")
        .order_by("-created_at", "-pk")
    )


def check_run(study: Study, run: AnnotatorRun | None) -> None:
    """Raise RunUnusable unless the run can be the consensus of a fit of this study; None always can."""
    if run is None or list_runs(study).filter(pk=run.pk).exists():
        return
    reasons = (
        (run.annotator.study_id != study.pk, "it is of another study"),
        (run.curation_id is not None, "it read the feed posts of a curation, not the posts of the study"),
        (run.is_preview, "it is a preview"),
        (
            run.state != AnnotatorRun.State.DONE,
            f"it is not done but {run.get_state_display().lower()}; let it come to its end",
        ),
        (True, "it is not about the study's values"),
    )
    why = next(reason for holds, reason in reasons if holds)
    raise RunUnusable(f"Run {run.pk} cannot be the consensus of a fit of study '{study.slug}': {why}.")


def as_fit_settings(run: AnnotatorRun | None) -> dict[str, Any]:
    """Return what a run adds to a fit's settings, and so to its key: nothing where there is none."""
    return {} if run is None else {ANNOTATOR_RUN: run.pk}


def find_run(settings: Mapping[str, Any]) -> AnnotatorRun | None:
    """Return the run that a fit's stored settings name."""
    pk = settings.get(ANNOTATOR_RUN)
    return None if pk is None else AnnotatorRun.objects.select_related("annotator__study").get(pk=pk)


def name_consensus(annotator: AnnotatorModel, *, is_standin: bool = False) -> str:
    """Return what the consensus of a fit is called that comes from an annotator model: 'annotator: NAME v2'.

    The name goes wherever predictions go, so it says where it comes from no real model: 'annotator: NAME v2
    (stand-in)'. One too long for a fit is cut; the fit's run says which annotator model it is.
    """
    ending = f" v{annotator.version}{' (stand-in)' if is_standin else ''}"
    return f"{ANNOTATOR}{annotator.name}"[: LONGEST_NAME - len(ending)] + ending
