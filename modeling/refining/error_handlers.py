"""What a worker does for error and structure reports."""

from typing import Any

from django.utils import timezone

from annotation.errors import Refused
from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.models import AnnotatorRun, ExpertSet, Report
from modeling.reporting.storing import draw_all
from modeling.reporting.subjects import JOBS, read_subject
from modeling.reports.figures.misattributions import draw_error_figures
from modeling.reports.figures.structure import draw_structure_figures

from . import errors, structure

ERRORS, STRUCTURE = JOBS[Report.Kind.ERRORS], JOBS[Report.Kind.STRUCTURE]


@handles(ERRORS)
def report_errors(claim: Claim) -> Effect:
    """Find what a run keeps mistaking for what, and store it with its figures."""
    named = read_subject(claim.payload["subject"])
    expert_set = _get_set(claim, named["set"])
    run = (
        AnnotatorRun.objects.filter(pk=named["run"])
        .select_related("annotator__study__value_system", "annotator__prompt")
        .first()
    )
    if run is None:
        raise PermanentError(f"There is no run {named['run']} any more.")
    read_at = timezone.now()
    try:
        measures = errors.compute_errors(expert_set, run, claim.report)
    except Refused as refusal:
        raise PermanentError(str(refusal)) from refusal
    figures = draw_all(draw_error_figures(measures))

    def store() -> dict[str, Any]:
        report = errors.store_errors(expert_set, run, measures, figures, read_at=read_at)
        return {"report": report.pk}

    return store


@handles(STRUCTURE)
def report_structure(claim: Claim) -> Effect:
    """Place the values by what experts, people and models say, and store it with its figures."""
    expert_set = _get_set(claim, read_subject(claim.payload["subject"])["set"])
    read_at = timezone.now()
    try:
        measures = structure.compute_structure(expert_set, claim.report)
    except Refused as refusal:
        raise PermanentError(str(refusal)) from refusal
    figures = draw_all(draw_structure_figures(measures))

    def store() -> dict[str, Any]:
        report = structure.store_structure(expert_set, measures, figures, read_at=read_at)
        return {"report": report.pk}

    return store


def _get_set(claim: Claim, pk: int) -> ExpertSet:
    sets = ExpertSet.objects.filter(study=claim.payload["study"]).select_related("study__value_system")
    found = sets.filter(pk=pk).first()
    if found is None:
        raise PermanentError(f"There is no expert set {pk} in this study any more.")
    return found
