"""Quality flags of a study: asked for, computed in a worker, stored."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from django.db import transaction

from annotation.models import Enrollment, Study
from jobs.models import Job
from jobs.services import enqueue
from modeling.quality.measuring import Flag, Measured, Summary, compare, judge, measure
from modeling.quality.rules import RULES, check_limits

from .inclusion import InclusionRule, from_settings, select, select_finished
from .models import QualityFlag
from .outdated import mark_outdated
from .participations import read_frame, read_people
from .reporting.requests import renew_reports
from .reporting.subjects import SAW_PEOPLE
from .softlabels.services import get_rule, mark_soft_labels_outdated, select_with_people

KIND = "flag_quality"
OnProgress = Callable[[int, int, str], None]


def request_flags(study: Study, limits: Mapping[str, float] | None = None) -> Job:
    """Ask for the flags of everyone who finished, by these limits; the same request that waits is the same job.

    Without limits: those of the last time, else the usual ones. Raises ValueError for a limit that makes no sense.
    """
    limits = check_limits(get_limits(study) if limits is None else limits)
    payload = {"study": study.pk, "limits": limits}
    # One that runs already may have read the people before somebody came to their end.
    waiting = Job.objects.filter(kind=KIND, payload=payload, state=Job.State.QUEUED).first()
    return waiting or enqueue(kind=KIND, key=f"{KIND}:{study.pk}:{uuid.uuid4()}", payload=payload)


def get_last_job(study: Study) -> Job | None:
    """Return the job that last stored the study's flags."""
    done = Job.objects.filter(kind=KIND, payload__study=study.pk, state=Job.State.DONE)
    return done.order_by("-finished_at").first()


def get_limits(study: Study) -> dict[str, float]:
    """Return the limits by which the study's flags were last computed; the usual ones before the first time."""
    job = get_last_job(study)
    return check_limits(job.payload["limits"] if job else {})


def compute_flags(
    study: Study, limits: Mapping[str, float], report: OnProgress
) -> tuple[dict[int, list[Flag]], dict[str, Any]]:
    """Measure everyone who finished and hold the numbers against the limits; no row is touched.

    People are compared with people of the same phase, simulated raters with simulated ones.

    Returns
    -------
    flags : of each enrollment's id
    summary : `n_people`, and `rules`: of each rule how many were measured, had no number and are flagged
    """
    frame = read_frame(study)
    n_people = select_finished(study).count()
    kinds: dict[Any, list[tuple[int, Measured]]] = defaultdict(list)
    for pk, kind, person in read_people(study, lambda n: report(n, n_people + 1, "people measured")):
        kinds[kind].append((pk, measure(person, frame)))
    flags: dict[int, list[Flag]] = {}
    summaries = []
    for people in kinds.values():
        measured = [each for _, each in people]
        compare(measured)
        own, summary = judge(measured, limits)
        flags |= dict(zip([pk for pk, _ in people], own, strict=True))
        summaries.append(summary)
    return flags, {"n_people": len(flags), "rules": _sum_up(summaries, limits)}


def _sum_up(summaries: list[dict[str, Summary]], limits: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    counts = ("n_measured", "n_undefined", "n_flagged")
    return {
        rule.key: {name: sum(asdict(each[rule.key])[name] for each in summaries) for name in counts}
        | {"limit": limits[rule.key]}
        for rule in RULES
    }


@transaction.atomic
def store_flags(study: Study, flags: Mapping[int, list[Flag]]) -> int:
    """Put these flags in the place of the study's older ones; returns how many people are flagged.

    Who withdrew or was erased meanwhile gets none. Fits that leave out people by their flags are outdated when
    these change who is in them, and reports of no fit that do are made anew.
    """
    fit_rules = {
        fit_run.pk: from_settings(fit_run.settings) for fit_run in study.fit_runs.filter(outdated_at=None)
    }
    report_rules = {
        pk: InclusionRule.from_dict(rule)
        for pk, rule in study.reports.filter(kind__in=SAW_PEOPLE).values_list("pk", "rule")
    }
    soft_rules = {made.pk: get_rule(made) for made in select_with_people(study)}
    rules = [*fit_rules.values(), *report_rules.values(), *soft_rules.values()]
    by_flags = {rule for rule in rules if rule.without_flags}
    before = {rule: _list_included(study, rule) for rule in by_flags}
    finished = Enrollment.objects.filter(pk__in=select_finished(study).values("pk")).order_by("pk")
    still_there = set(finished.select_for_update().values_list("pk", flat=True))
    QualityFlag.objects.filter(enrollment__study=study).delete()
    QualityFlag.objects.bulk_create(
        (
            QualityFlag(enrollment_id=pk, rule=flag.rule, number=flag.number, limit=flag.limit)
            for pk, own in flags.items()
            if pk in still_there
            for flag in own
        ),
        batch_size=1000,
    )
    changed = {rule for rule in by_flags if _list_included(study, rule) != before[rule]}
    fits = [pk for pk, rule in fit_rules.items() if rule in changed]
    mark_outdated(study.fit_runs.filter(pk__in=fits), erase_predictions=False)
    held = [pk for pk, rule in soft_rules.items() if rule in changed]
    mark_soft_labels_outdated(study.soft_label_sets.filter(pk__in=held))
    renew_reports(study.reports.filter(pk__in=[pk for pk, rule in report_rules.items() if rule in changed]))
    return sum(bool(own) for pk, own in flags.items() if pk in still_there)


def _list_included(study: Study, rule: InclusionRule) -> set[int]:
    return set(select(study, rule).values_list("pk", flat=True))
