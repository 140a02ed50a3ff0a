"""What a worker does for the comparison of annotator models."""

from typing import Any

from django.utils import timezone

from annotation.models import Study
from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.errors import ModelingError
from modeling.inclusion import InclusionRule
from modeling.reports.figures import draw_comparison_figures
from modeling.reports.figures.render import render

from . import comparing
from .requests import COMPARE, get_comparison, key_of


@handles(COMPARE)
def compare_annotators(claim: Claim) -> Effect:
    """Compare the annotator models of a study. A comparison that cannot be made any more is removed."""
    study = Study.objects.select_related("value_system").get(pk=claim.payload["study"])
    rule = InclusionRule.from_dict(claim.payload["rule"])
    holdout_only = claim.payload["holdout_only"]
    read_at = timezone.now()
    try:
        table, measures = comparing.compute_comparison(study, rule, claim.report, holdout_only=holdout_only)
    except ModelingError as error:
        if get_comparison(study, key_of(rule), holdout_only=holdout_only) is None:
            raise PermanentError(str(error)) from error
        return lambda: comparing.remove_comparison(study, rule, holdout_only=holdout_only)
    figures = []
    for figure in draw_comparison_figures(measures):
        claim.report(len(figures), len(figures) + 1, "figures drawn")
        figures.append((figure, render(figure.spec)))

    def store() -> dict[str, Any]:
        report = comparing.store_comparison(study, rule, table, measures, figures, read_at=read_at)
        return {"report": report.pk}

    return store
