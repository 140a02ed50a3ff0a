"""Leaving someone out of the analyses, and taking them back in. Their answers stay; nobody is excluded by itself."""

from typing import Any

from django.db import transaction

from annotation.models import Enrollment, Exclusion, Outcome, StudyEvent
from annotation.services.audit import log_event

from .errors import ExclusionRefused
from .inclusion import InclusionRule, from_settings, has_counted
from .outdated import mark_outdated
from .reporting.requests import renew_reports
from .reporting.subjects import SAW_PEOPLE
from .softlabels.services import get_rule, mark_soft_labels_outdated, select_with_people

LONGEST_REASON = 300


@transaction.atomic
def exclude(enrollment: Enrollment, *, reason: str, actor: Any = None) -> Exclusion:
    """Leave someone out of every analysis from now on, with the reason; fits that saw them are outdated.

    Raises ExclusionRefused without a reason, or for someone who is excluded already.
    """
    if _hold(enrollment).outcome == Outcome.WITHDREW:
        raise ExclusionRefused("This rater withdrew: there is nothing left to exclude.")
    reason = _check_reason(reason)
    exclusion, is_new = Exclusion.objects.get_or_create(
        enrollment=enrollment,
        defaults={"reason": reason, "excluded_by": actor.get_username() if actor else ""},
    )
    if not is_new:
        raise ExclusionRefused("This rater is excluded already.")
    _after(enrollment, "One rater was excluded from the analyses.", reason, actor)
    return exclusion


@transaction.atomic
def take_back_in(enrollment: Enrollment, *, reason: str, actor: Any = None) -> None:
    """Let someone count again, with the reason; fits that were made without them are outdated.

    Raises ExclusionRefused without a reason, or for someone who is not excluded.
    """
    _hold(enrollment)
    reason = _check_reason(reason)
    n_deleted, _ = Exclusion.objects.filter(enrollment=enrollment).delete()
    if not n_deleted:
        raise ExclusionRefused("This rater is not excluded.")
    _after(enrollment, "One rater was taken back into the analyses.", reason, actor)


def _hold(enrollment: Enrollment) -> Enrollment:
    return Enrollment.objects.select_for_update().get(pk=enrollment.pk)


def _check_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason:
        raise ExclusionRefused("Say why: the reason is kept with the decision.")
    if len(reason) > LONGEST_REASON:
        raise ExclusionRefused(f"The reason has {len(reason)} characters; at most {LONGEST_REASON} are kept.")
    return reason


def _after(enrollment: Enrollment, summary: str, reason: str, actor: Any) -> None:
    """Log it, mark the fits and renew the reports it concerns.

    The log names the enrollment's number, which says nothing by itself.
    """
    study = enrollment.study
    log_event(
        study,
        StudyEvent.Action.EXCLUSION,
        summary,
        actor=actor,
        reason=reason,
        detail={"enrollment": enrollment.pk},
    )
    if enrollment.finished_at is None:
        return
    concerned = [
        fit_run.pk
        for fit_run in study.fit_runs.filter(created_at__gte=enrollment.finished_at, outdated_at=None)
        if has_counted(enrollment, from_settings(fit_run.settings))
    ]
    mark_outdated(study.fit_runs.filter(pk__in=concerned), erase_predictions=False)
    held = [
        made.pk
        for made in select_with_people(study, since=enrollment.finished_at)
        if has_counted(enrollment, get_rule(made))
    ]
    mark_soft_labels_outdated(study.soft_label_sets.filter(pk__in=held))
    reports = study.reports.filter(kind__in=SAW_PEOPLE, created_at__gte=enrollment.finished_at)
    saw = [
        report.pk
        for report in reports.only("pk", "rule")
        if has_counted(enrollment, InclusionRule.from_dict(report.rule))
    ]
    renew_reports(study.reports.filter(pk__in=saw))
