"""Making reports: computed from what is stored, drawn, and stored in their turn. Workers and commands import it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation.models import Study
from annotation.versions import get_code_version
from modeling.artefacts import load_arrays
from modeling.errors import DataChanged, NotEnoughData
from modeling.estimators.consensus import PanelConsensus
from modeling.inclusion import InclusionRule, count_excluded, describe, from_settings, still_count
from modeling.matrices import StudyTable, load_table
from modeling.models import FitRun, Report, ReportDocument, ReportFigure
from modeling.reports.agreement import describe_agreement
from modeling.reports.data import RatingTable, fingerprint
from modeling.reports.document.blocks import Document
from modeling.reports.document.compose import About, Part, StoredFigure, compose
from modeling.reports.evaluation import describe_evaluation
from modeling.reports.figures.figure import Figure
from modeling.reports.figures.render import Drawn

from .inputs import build_agreement_data, build_evaluation_data
from .requests import (
    get_agreement,
    get_comparison,
    get_evaluation,
    key_of,
    renew_reports,
    request_card,
    request_document,
)

OnProgress = Callable[[int, int, str], None]
Figures = Sequence[tuple[Figure, Drawn]]


def compute_agreement(
    study: Study, rule: InclusionRule, report: OnProgress
) -> tuple[StudyTable, dict[str, Any]]:
    """Compute a study's agreement report from its ratings as they are; no row is touched.

    Returns the ratings and the measures. Raises NotEnoughData when nobody who counts has rated anything.
    """
    report(0, 1, "reading the ratings")
    table = load_table(study, rule)
    if not len(table.posts):
        raise NotEnoughData(f"Study '{study.slug}' has no rating by anyone who counts ({describe(rule)}).")
    data = build_agreement_data(study, table)
    measures = describe_agreement(data, seed=study.seed, report=report)
    return table, introduce(study, table, rule) | measures | sign(study.seed, table.data_hash, data)


def evaluate_fit(fit_run: FitRun, report: OnProgress = lambda done, total, note: None) -> dict[str, Any]:
    """Compute the evaluation of a fit from its ratings and its stored predictions; no row is touched.

    Raises DataChanged when the ratings are not those the fit saw.
    """
    rule = from_settings(fit_run.settings)
    table = load_table(fit_run.study, rule)
    if table.data_hash != fit_run.data_hash:
        raise DataChanged(
            f"The ratings of study '{fit_run.study.slug}' have changed since this fit; fit it again."
        )
    is_crowd = fit_run.consensus_name == PanelConsensus.name
    arrays = load_arrays(fit_run.artefact, fit_run.artefact_sha256)
    data = build_evaluation_data(fit_run, table, arrays, is_crowd=is_crowd)
    measures = describe_evaluation(data, seed=fit_run.settings["seed"], report=report)
    measures["holdout"]["n_posts"] = len(fit_run.holdout_post_ids)
    measures["notes"] = [*fit_run.notes, *measures["notes"]]
    return (
        introduce(fit_run.study, table, rule)
        | measures
        | sign(fit_run.settings["seed"], fit_run.data_hash, data)
        | {"code_version": fit_run.code_version}
    )


def introduce(study: Study, table: StudyTable, rule: InclusionRule) -> dict[str, Any]:
    """Return whose ratings of which study a report is made of."""
    return {
        "study": study.slug,
        "study_name": study.name,
        "inclusion": describe(rule),
        "n_excluded": count_excluded(study, rule),
        "n_raters": len(table.enrollment_ids),
        "n_posts": len(table.post_ids),
        "n_annotations": len(table.posts),
        "n_values": len(table.value_keys),
        "n_simulated": table.n_simulated,
    }


def sign(seed: int, data_hash: str, data: RatingTable) -> dict[str, Any]:
    """What it takes to tell reports apart: `data_hash` is of ratings and posts, `inputs_hash` of all that was seen."""
    return {
        "seed": seed,
        "data_hash": data_hash,
        "inputs_hash": fingerprint(data),
        "code_version": get_code_version(),
    }


@transaction.atomic
def store_agreement(
    study: Study,
    rule: InclusionRule,
    table: StudyTable,
    measures: dict[str, Any],
    figures: Figures,
    *,
    read_at: datetime,
) -> Report:
    """Store an agreement report with its figures, in the place of an older one by the same rule.

    A report of newer ratings stays. One that was overtaken by a withdrawal or an exclusion is asked for again.
    """
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    stored = study.reports.filter(kind=Report.Kind.AGREEMENT, rule_key=key_of(rule)).first()
    if stored and stored.created_at > read_at:
        return stored
    report, _ = Report.objects.update_or_create(
        study=study,
        kind=Report.Kind.AGREEMENT,
        rule_key=key_of(rule),
        defaults=columns_of(rule, measures) | {"created_at": read_at, "outdated_at": None},
    )
    store_figures(report, figures)
    if not still_count(study, rule, table.enrollment_ids):
        renew_reports(Report.objects.filter(pk=report.pk))
    request_document(study, rule)
    return report


@transaction.atomic
def store_evaluation(fit_run: FitRun, measures: dict[str, Any], figures: Figures) -> Report:
    """Store the report of a fit with its figures, in the place of an older one of the same fit."""
    rule = from_settings(fit_run.settings)
    report, _ = Report.objects.update_or_create(
        fit_run=fit_run,
        defaults=columns_of(rule, measures)
        | {
            "study": fit_run.study,
            "kind": Report.Kind.EVALUATION,
            "rule_key": key_of(rule),
            "created_at": timezone.now(),
            "outdated_at": fit_run.outdated_at,
        },
    )
    store_figures(report, figures)
    request_document(fit_run.study, rule)
    request_card(fit_run)
    return report


def compose_document(study: Study, rule: InclusionRule) -> tuple[Document, list[dict[str, str]]] | None:
    """Return the document of a study's stored reports and which these are; None when there is none."""
    key = key_of(rule)
    found = (get_agreement(study, key), get_evaluation(study, key), get_comparison(study, key))
    reports = {report.kind: report for report in found if report is not None}
    if not reports:
        return None
    version = study.current_version
    about = About(
        name=study.name,
        version="" if version is None else f"{version.number} ({version.digest[:16]})",
        made=_write_time(timezone.now()),
    )
    parts = {kind: _show_part(report) for kind, report in reports.items()}
    document = compose(
        about,
        parts.get(Report.Kind.AGREEMENT),
        parts.get(Report.Kind.EVALUATION),
        parts.get(Report.Kind.COMPARISON),
    )
    sources = [
        {
            "kind": kind,
            "data_hash": report.data_hash,
            "code_version": report.code_version,
            "made": report.created_at.isoformat(),
        }
        for kind, report in reports.items()
    ]
    return document, sources


def _show_part(report: Report) -> Part:
    figures = [
        StoredFigure(figure.key, figure.title, figure.caption, figure.svg, figure.table)
        for figure in report.figures.defer("spec", "pdf", "png")
    ]
    return Part(report.measures, figures, _write_time(report.created_at))


def _write_time(moment: datetime) -> str:
    return f"{moment:%d %B %Y, %H:%M} UTC".lstrip("0")


@transaction.atomic
def store_document(
    study: Study, rule: InclusionRule, sources: list[dict[str, str]], html: str, pdf: bytes
) -> ReportDocument:
    """Store the document of a rule in the place of an older one."""
    document, _ = ReportDocument.objects.update_or_create(
        study=study,
        rule_key=key_of(rule),
        defaults={"sources": sources, "html": html, "pdf": pdf, "created_at": timezone.now()},
    )
    return document


@transaction.atomic
def remove_agreement(study: Study, rule: InclusionRule) -> None:
    """Remove the agreement report of a rule by which nobody counts any more, and the document that shows it."""
    study.reports.filter(kind=Report.Kind.AGREEMENT, rule_key=key_of(rule)).delete()
    study.documents.filter(rule_key=key_of(rule)).delete()


def columns_of(rule: InclusionRule, measures: dict[str, Any]) -> dict[str, Any]:
    """Return what every report stores."""
    return {
        "rule": rule.as_dict(),
        "measures": measures,
        "data_hash": measures["data_hash"],
        "code_version": measures["code_version"],
    }


def store_figures(report: Report, figures: Figures) -> None:
    """Store a report's figures in the place of older ones."""
    report.figures.all().delete()
    ReportFigure.objects.bulk_create(
        ReportFigure(
            report=report,
            key=figure.key,
            position=position,
            title=figure.title,
            caption=figure.caption,
            spec=figure.spec,
            table=figure.table,
            svg=drawn.svg,
            pdf=drawn.pdf,
            png=drawn.png,
        )
        for position, (figure, drawn) in enumerate(figures, start=1)
    )
