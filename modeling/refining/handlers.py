"""What a worker does for prompt calibration and stability."""

from typing import Any

from annotation.errors import Refused
from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.errors import ModelingError
from modeling.models import AnnotatorRun, ExpertSet, Report
from modeling.reporting.storing import store_report
from modeling.reporting.subjects import JOBS, read_subject

from . import scoring, stability


@handles(JOBS[Report.Kind.CALIBRATION])
def report_calibration(claim: Claim) -> Effect:
    """Measure the runs of a set on its development posts, on opened test posts, or two of them beside each other."""
    numbers, expert_set = _read(claim)
    opening = expert_set.openings.get(pk=numbers["test"]) if "test" in numbers else None
    try:
        if "a" in numbers:
            found = scoring.compare_two(expert_set, numbers["a"], numbers["b"]) | {"figures": []}
        else:
            found = scoring.measure_calibration(expert_set, claim.report, opening=opening)
    except (ModelingError, Refused) as error:
        raise PermanentError(str(error)) from error
    return lambda: {"report": _store(expert_set, Report.Kind.CALIBRATION, claim, found).pk}


@handles(JOBS[Report.Kind.STABILITY])
def report_stability(claim: Claim) -> Effect:
    """Measure how far a run says the same twice, and the same of a post in other words."""
    numbers, expert_set = _read(claim)
    run = AnnotatorRun.objects.select_related("annotator__study", "annotator__prompt").get(
        pk=numbers["run"], annotator__study=expert_set.study_id
    )
    try:
        found = stability.measure_stability(expert_set, run, claim.report)
    except (ModelingError, Refused) as error:
        raise PermanentError(str(error)) from error
    return lambda: {"report": _store(expert_set, Report.Kind.STABILITY, claim, found).pk}


def _read(claim: Claim) -> tuple[dict[str, int], ExpertSet]:
    numbers = read_subject(claim.payload["subject"])
    sets = ExpertSet.objects.select_related("study__value_system").filter(study=claim.payload["study"])
    return numbers, sets.get(pk=numbers["set"])


def _store(expert_set: ExpertSet, kind: str, claim: Claim, found: dict[str, Any]) -> Report:
    return store_report(
        expert_set.study,
        kind,
        claim.payload["subject"],
        found["measures"],
        found["figures"],
        data_hash=found["data_hash"],
        read_at=found["read_at"],
    )
