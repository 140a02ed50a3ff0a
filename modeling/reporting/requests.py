"""Asking for reports and finding the stored ones. The web process imports it: nothing here loads what makes one."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from annotation.models import Study
from jobs.models import Job
from jobs.services import enqueue
from modeling.inclusion import DEFAULT, InclusionRule, describe, select
from modeling.models import AnnotatorRun, FitRun, Report
from modeling.tuning.usable_runs import as_fit_settings

from .subjects import request_report

AGREEMENT, FIT, EVALUATE, REFIT, DOCUMENT = "agreement", "fit", "evaluate", "refit", "document"
FIT_UNIT = "fit_unit"  # a part of a fit
CARD = "card"
COMPARE = "compare_annotators"
RESULT_JOBS = (AGREEMENT, REFIT, FIT, EVALUATE, CARD, COMPARE, DOCUMENT)
DEFAULT_KEY = "default"
HELD_OUT_KEY = "h-"  # before the key of a rule: the comparison on held-out posts alone
DISPUTED = "disputed_posts"  # the figure that shows single ratings
LIVE_EVERY = timedelta(minutes=5)
BY_RULE = (
    Report.Kind.AGREEMENT,
    Report.Kind.EVALUATION,
)  # whose key is that of an inclusion rule and nothing else


@dataclass(frozen=True)
class RuleChoice:
    """An inclusion rule by which a study has a report."""

    key: str
    phrase: str
    created_at: datetime


def key_of(rule: InclusionRule) -> str:
    """Return the short name of a rule in addresses; the same rule always has the same."""
    if rule == DEFAULT:
        return DEFAULT_KEY
    return hashlib.sha256(json.dumps(rule.as_dict(), sort_keys=True).encode()).hexdigest()[:12]


def find_rule(study: Study, rule_key: str) -> InclusionRule:
    """Return the rule of this name. Raises LookupError when the study has no report by such a rule."""
    if rule_key == DEFAULT_KEY:
        return DEFAULT
    reports = study.reports.filter(kind__in=BY_RULE)
    stored = reports.filter(rule_key=rule_key).values_list("rule", flat=True).first()
    if stored is None:
        raise LookupError(f"study '{study.slug}' has no report by the rule '{rule_key}'")
    return InclusionRule.from_dict(stored)


def list_rules(study: Study) -> list[RuleChoice]:
    """Return the rules by which the study has reports, the usual one first, else newest first."""
    choices: dict[str, RuleChoice] = {}
    reports = study.reports.filter(kind__in=BY_RULE)
    for key, rule, created_at in reports.values_list("rule_key", "rule", "created_at"):
        if key not in choices:
            choices[key] = RuleChoice(key, describe(InclusionRule.from_dict(rule)), created_at)
    return sorted(choices.values(), key=lambda choice: choice.key != DEFAULT_KEY)


def get_agreement(study: Study, rule_key: str = DEFAULT_KEY) -> Report | None:
    """Return the stored agreement report of this rule."""
    return study.reports.filter(kind=Report.Kind.AGREEMENT, rule_key=rule_key).first()


def get_evaluation(study: Study, rule_key: str = DEFAULT_KEY) -> Report | None:
    """Return the newest stored evaluation of a fit by this rule."""
    return (
        study.reports.filter(kind=Report.Kind.EVALUATION, rule_key=rule_key).select_related("fit_run").first()
    )


def get_comparison(study: Study, rule_key: str = DEFAULT_KEY, *, holdout_only: bool = False) -> Report | None:
    """Return the stored comparison of annotator models by this rule, on all posts or on the held-out ones."""
    key = key_of_comparison(rule_key, holdout_only)
    return study.reports.filter(kind=Report.Kind.COMPARISON, rule_key=key).first()


def key_of_comparison(rule_key: str, holdout_only: bool) -> str:
    """Return the key under which a comparison is stored."""
    return f"{HELD_OUT_KEY}{rule_key}" if holdout_only else rule_key


def request_comparison(study: Study, rule: InclusionRule = DEFAULT, *, holdout_only: bool = False) -> Job:
    """Ask for the comparison of annotator models; a request that still waits is the same job."""
    payload = {"study": study.pk, "rule": rule.as_dict(), "holdout_only": holdout_only}
    return _enqueue(COMPARE, study, payload)


def request_agreement(study: Study, rule: InclusionRule = DEFAULT) -> Job:
    """Ask for the agreement report of those who count now; a request that still waits is the same job."""
    return _request(AGREEMENT, study, rule)


def request_fit_and_report(
    study: Study, rule: InclusionRule = DEFAULT, annotator_run: AnnotatorRun | None = None
) -> Job:
    """Ask for a fit of the ratings as they are now and for its report. What is there already is not made again.

    With `annotator_run` the consensus is what an annotator model said in that run.
    """
    payload = {"study": study.pk, "rule": rule.as_dict()} | as_fit_settings(annotator_run)
    return _enqueue(REFIT, study, payload)


def request_document(study: Study, rule: InclusionRule = DEFAULT) -> Job:
    """Ask for the document that shows the stored reports of this rule."""
    return _request(DOCUMENT, study, rule)


def _request(kind: str, study: Study, rule: InclusionRule) -> Job:
    return _enqueue(kind, study, {"study": study.pk, "rule": rule.as_dict()})


def _enqueue(kind: str, study: Study, payload: dict[str, Any]) -> Job:
    # One that runs already may have read what has changed since.
    waiting = Job.objects.filter(kind=kind, payload=payload, state=Job.State.QUEUED).first()
    return waiting or enqueue(kind=kind, key=f"{kind}:{study.pk}:{uuid.uuid4()}", payload=payload)


def request_card(fit_run: FitRun) -> Job:
    """Ask for the card of a fit that was evaluated; a request that still waits is the same job."""
    return _enqueue(CARD, fit_run.study, {"study": fit_run.study_id, "fit_run": fit_run.pk})


def find_under_way(study: Study, kind: str) -> Job | None:
    """Return the newest job of this kind that is not finished."""
    jobs = Job.objects.filter(payload__study=study.pk, kind=kind, state__in=Job.UNFINISHED_STATES)
    return jobs.order_by("-created_at", "-pk").first()


def list_result_jobs(study: Study) -> list[Job]:
    """Return what is under way for the study's results, and what failed last, newest first.

    A failure is listed until a later job of its kind is done.
    """
    latest: dict[str, Job] = {}
    under_way: list[Job] = []
    jobs = Job.objects.filter(payload__study=study.pk, kind__in=RESULT_JOBS).order_by("-created_at", "-pk")
    for job in jobs[:50]:
        if not job.is_final:
            under_way.append(job)
        else:
            latest.setdefault(job.kind, job)
    failed = [job for job in latest.values() if job.state == Job.State.FAILED]
    return [*under_way, *failed]


def refresh_live_reports(now: datetime | None = None) -> list[Job]:
    """Ask for a new agreement report of each running study in which more people count than its report knows of.

    A study's report is renewed at most every five minutes. Safe to call at any time, by any number of processes.
    """
    now = now or timezone.now()
    jobs = []
    for study in Study.objects.filter(state__in=[Study.State.LIVE, Study.State.PAUSED]):
        report = get_agreement(study)
        if report and report.created_at > now - LIVE_EVERY:
            continue
        if count_since(study, report):
            jobs.append(request_agreement(study))
    return jobs


def remove_single_ratings(reports: QuerySet[Report]) -> None:
    """Take out of reports whatever shows ratings one by one, and remove the documents that show them too."""
    for report in reports:
        report.measures["disputed"] = []
        report.save(update_fields=["measures"])
        report.figures.filter(key=DISPUTED).delete()
        report.study.documents.filter(rule_key=report.rule_key).delete()


def count_since(study: Study, report: Report | None) -> int:
    """Return how many more people count now than when the report was made; negative when fewer do."""
    rule = InclusionRule.from_dict(report.rule) if report else DEFAULT
    n_counted = select(study, rule).filter(annotations__isnull=False).distinct().count()
    return n_counted - (report.measures["n_raters"] if report else 0)


def renew_reports(reports: QuerySet[Report]) -> None:
    """Mark reports as outdated, inside the caller's transaction, and have them made anew.

    An evaluation is made anew with its fit, an encoder's report with the encoder, when someone asks for one.
    """
    concerned = list(reports.select_related("study"))
    Report.objects.filter(pk__in=[report.pk for report in concerned], outdated_at=None).update(
        outdated_at=timezone.now()
    )
    for report in concerned:
        rule = InclusionRule.from_dict(report.rule)
        if report.kind == Report.Kind.AGREEMENT:
            request_agreement(report.study, rule)
        elif report.kind == Report.Kind.COMPARISON:
            request_comparison(
                report.study, rule, holdout_only=report.rule_key == key_of_comparison(key_of(rule), True)
            )
        elif report.kind == Report.Kind.STRUCTURE:
            request_report(report.study, report.kind, report.rule_key)
