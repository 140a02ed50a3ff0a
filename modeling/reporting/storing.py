"""Storing a report about annotator models and experts, with its figures. Workers and commands import it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from annotation.models import Study
from annotation.versions import get_code_version
from modeling.inclusion import InclusionRule
from modeling.models import Report
from modeling.reports.figures.figure import Figure
from modeling.reports.figures.render import Drawn, render

from .making import store_figures
from .subjects import get_report

SCHEMA = 1  # of measures that the pages can read


def draw_all(figures: Sequence[Figure]) -> list[tuple[Figure, Drawn]]:
    """Return each figure with its drawings."""
    return [(figure, render(figure.spec)) for figure in figures]


@transaction.atomic
def store_report(
    study: Study,
    kind: str,
    subject: str,
    measures: Mapping[str, Any],
    figures: Sequence[tuple[Figure, Drawn]],
    *,
    data_hash: str,
    read_at: datetime,
    rule: InclusionRule | None = None,
) -> Report:
    """Store a report in the place of an older one about the same subject. One of newer data stays.

    Parameters
    ----------
    measures : ready for JSON: no NaN
    data_hash : of all that was measured
    read_at : when the data were read
    rule : by which people were counted, where any were
    """
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    stored = get_report(study, kind, subject)
    if stored and stored.created_at > read_at:
        return stored
    report, _ = Report.objects.update_or_create(
        study=study,
        kind=kind,
        rule_key=subject,
        defaults={
            "rule": rule.as_dict() if rule else {},
            "measures": {"schema": SCHEMA, "subject": subject} | dict(measures),
            "data_hash": data_hash,
            "code_version": get_code_version(),
            "created_at": read_at,
            "outdated_at": None,
        },
    )
    store_figures(report, figures)
    return report
