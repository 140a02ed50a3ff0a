"""Making the comparison of a study's annotator models: computed, and stored with its figures. Workers import it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, Q
from numpy.typing import NDArray

from annotation.models import Study
from modeling.annotators.vectors import load_vectors
from modeling.errors import NotEnoughData
from modeling.inclusion import InclusionRule, describe, from_settings, still_count
from modeling.matrices import StudyTable, load_table
from modeling.models import AnnotatorModel, AnnotatorRun, ModelCall, Report
from modeling.reports.comparison import ComparisonData, Reader, describe_comparison

from .inputs import rating_table
from .making import Figures, OnProgress, columns_of, introduce, sign, store_figures
from .readers import Candidate, list_candidates
from .requests import get_comparison, key_of, key_of_comparison, renew_reports, request_document

LOCAL = "it runs on this machine and makes no calls"
UNPRICED = "no price is entered for it"
IN_BATCHES = "its calls were made in batches"


def compute_comparison(
    study: Study, rule: InclusionRule, report: OnProgress, *, holdout_only: bool = False
) -> tuple[StudyTable, dict[str, Any]]:
    """Compute how a study's annotator models stand beside its people; no row is touched.

    Returns the ratings and the measures. Raises NotEnoughData where nobody who counts has rated anything, where no
    model has a finished run, or where only held-out posts are asked for and no fit by this rule has set any aside.
    """
    candidates = list_candidates(study)
    compared = [candidate for candidate in candidates if candidate.run is not None]
    if not compared:
        raise NotEnoughData(
            f"No annotator model of study '{study.slug}' has a finished run over its posts. Start one first."
        )
    held_out = _find_held_out(study, rule) if holdout_only else None
    report(0, 1, "reading the ratings")
    table = load_table(study, rule)
    if not len(table.posts):
        raise NotEnoughData(f"Study '{study.slug}' has no rating by anyone who counts ({describe(rule)}).")
    report(0, 1, "reading what the models said")
    data = build_comparison_data(study, table, candidates, held_out)
    measures = describe_comparison(data, seed=study.seed, report=report)
    return table, introduce(study, table, rule) | measures | sign(study.seed, table.data_hash, data)


def build_comparison_data(
    study: Study, table: StudyTable, candidates: Sequence[Candidate], held_out: Sequence[int] | None = None
) -> ComparisonData:
    """Return everything that a comparison sees; `held_out` are the ids of the posts to judge on, None for all."""
    ids = np.array(table.post_ids, dtype=np.int64)
    scores, trained_on, latencies, readers = {}, {}, {}, {}
    for candidate in candidates:
        if candidate.run is None:
            continue
        key, run = candidate.name, candidate.run
        scores[key] = _place(ids, *load_vectors(run), n_values=len(table.value_keys))
        # A post that is read out of fold is read by a model that was not taught it.
        taught = () if candidate.annotator.reads_out_of_fold else candidate.annotator.trained_on
        trained_on[key] = np.isin(ids, np.array(taught, dtype=np.int64))
        readers[key], latencies[key] = _describe_run(candidate.annotator, run)
    return ComparisonData(
        **rating_table(study, table),
        readers=readers,
        scores=scores,
        trained_on=trained_on,
        latencies=latencies,
        held_out=None if held_out is None else np.isin(ids, np.array(held_out, dtype=np.int64)),
        absent=tuple((each.name, each.reason) for each in candidates if each.run is None),
    )


def _find_held_out(study: Study, rule: InclusionRule) -> list[int]:
    for fit_run in study.fit_runs.order_by("-created_at", "-pk").only("settings", "holdout_post_ids"):
        if from_settings(fit_run.settings) == rule and fit_run.holdout_post_ids:
            return fit_run.holdout_post_ids
    raise NotEnoughData(
        f"No fit of study '{study.slug}' by this rule has held posts out yet. Fit a model first, or compare on all "
        "posts."
    )


def _place(
    ids: NDArray[np.int64], read: NDArray[np.int64], ratings: NDArray[np.float64], *, n_values: int
) -> NDArray[np.float64]:
    """Return the ratings of each post of `ids`, which ascend; NaN where there are none."""
    placed = np.full((len(ids), n_values), np.nan)
    known = np.isin(read, ids)
    placed[np.searchsorted(ids, np.asarray(read)[known])] = ratings[known]
    return placed


def _describe_run(annotator: AnnotatorModel, run: AnnotatorRun) -> tuple[Reader, NDArray[np.float64]]:
    """Return what is known of a run, and how many seconds its single calls took."""
    n_asked, n_read, n_readings = (
        run.readings.aggregate(
            asked=Count("post", distinct=True),
            read=Count("post", distinct=True, filter=Q(fault="")),
            readings=Count("pk"),
        )
    ).values()
    failures = run.readings.exclude(fault="").order_by().values_list("fault").annotate(n=Count("pk"))
    is_local = annotator.kind == AnnotatorModel.Kind.ENCODER
    is_priced = bool(annotator.input_price or annotator.output_price)
    answering = Q(pk__in=run.readings.exclude(call=None).values("call"))
    repairing = Q(repairs__in=run.readings.exclude(call=None).values("call"))
    repaired = Q(pk__in=ModelCall.objects.filter(answering).exclude(repairs=None).values("repairs"))
    calls = list(
        ModelCall.objects.filter(answering | repairing | repaired).values_list(
            "cost", "latency_seconds", "batch"
        )
    )
    latencies = [seconds for _, seconds, batch in calls if seconds is not None and batch is None]
    cost = float(sum(cost for cost, _, _ in calls)) if is_priced and not is_local else None
    reader = Reader(
        label=str(annotator),
        kind=annotator.get_kind_display(),
        model=annotator.model_name,
        is_standin=annotator.is_standin or run.is_standin,
        run=run.pk,
        finished=run.finished_at.isoformat() if run.finished_at else "",
        n_asked=n_asked,
        n_read=n_read,
        n_readings=n_readings,
        failures=dict(failures),
        cost=0.0 if is_local else cost,
        cost_reason=LOCAL if is_local else "" if is_priced else UNPRICED,
        latency_reason=LOCAL if is_local else IN_BATCHES if run.mode == AnnotatorRun.Mode.BATCH else "",
    )
    return reader, np.array(latencies, dtype=np.float64)


@transaction.atomic
def store_comparison(
    study: Study,
    rule: InclusionRule,
    table: StudyTable,
    measures: dict[str, Any],
    figures: Figures,
    *,
    read_at: datetime,
) -> Report:
    """Store a comparison with its figures, in the place of an older one by the same rule and on the same posts.

    One of newer ratings stays. One that was overtaken by a withdrawal or an exclusion is asked for again.
    """
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    holdout_only = measures["holdout_only"]
    stored = get_comparison(study, key_of(rule), holdout_only=holdout_only)
    if stored and stored.created_at > read_at:
        return stored
    report, _ = Report.objects.update_or_create(
        study=study,
        kind=Report.Kind.COMPARISON,
        rule_key=key_of_comparison(key_of(rule), holdout_only),
        defaults=columns_of(rule, measures) | {"created_at": read_at, "outdated_at": None},
    )
    store_figures(report, figures)
    if not still_count(study, rule, table.enrollment_ids):
        renew_reports(Report.objects.filter(pk=report.pk))
    if not holdout_only:  # the document shows the one on all posts
        request_document(study, rule)
    return report


@transaction.atomic
def remove_comparison(study: Study, rule: InclusionRule, *, holdout_only: bool) -> None:
    """Remove a comparison that cannot be made any more, and have the document written without it."""
    key = key_of_comparison(key_of(rule), holdout_only)
    study.reports.filter(kind=Report.Kind.COMPARISON, rule_key=key).delete()
    request_document(study, rule)
