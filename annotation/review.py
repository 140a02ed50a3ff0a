"""A study looked over before its launch and while it runs: what is missing, inconsistent or unfair, by topic.

Faults keep people out until they are mended. Warnings a researcher may go past. Notes are the numbers behind both.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils import timezone

from annotation import launch
from annotation.fairness import (
    MINIMUM_HOURLY,
    compute_hourly_pay,
    compute_least_screen_out,
    format_money,
    is_paid_fairly,
)
from annotation.models import CompletionCode, Enrollment, Outcome, Rater, Step, Study, StudyEvent
from annotation.services.rehearsal import PREVIEW
from annotation.timing import allowed_minutes

FEWEST_FOR_A_MEDIAN = 3
Phase = Enrollment.Phase


@dataclass(frozen=True)
class Topic:
    """One thing to look at; `key` says which part of the set-up mends it."""

    key: str
    title: str
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return not self.faults and not self.warnings

    @property
    def has_words(self) -> bool:
        return bool(self.faults or self.warnings or self.notes)


def review_study(study: Study) -> list[Topic]:
    """Return every topic with what is to be said of it; the faults together are those of `find_faults`."""
    path = launch.list_path(study)
    return [
        Topic("values", "Value system", launch.find_faults_of_values(study)),
        Topic(
            "steps",
            "Steps",
            launch.find_faults_of_order(path) + launch.find_faults_of_steps(study, path),
            launch.find_warnings_of_order(path),
        ),
        Topic("texts", "Consent and last pages", launch.find_faults_of_texts(study, path)),
        Topic(
            "attention",
            "Attention checks",
            launch.find_faults_of_attention(study, path),
            _find_warnings_of_attention(study, path),
        ),
        Topic(
            "posts",
            "Posts and who gets them",
            launch.find_faults_of_posts(study, path),
            launch.find_warnings_of_assignment(study),
        ),
        Topic("time", "Time", launch.find_faults_of_limits(study), notes=_list_notes_on_time(study)),
        _review_pay(study, path),
        Topic(
            "codes",
            "Completion codes",
            warnings=launch.find_warnings_of_codes(study, path) + _find_warnings_of_shared_codes(study),
        ),
        Topic("language", "Language", warnings=launch.find_warnings_of_language(study)),
        Topic("rehearsal", "Rehearsal", warnings=_find_warnings_of_rehearsal(study)),
        Topic("retention", "How long personal data is kept", warnings=_find_warnings_of_retention(study)),
    ]


def get_minutes(
    study: Study, *outcomes: str, phases: Sequence[str] = (Phase.PILOT, Phase.LIVE)
) -> list[float]:
    """Return how many minutes people took who ended so, from arrival to end; no simulated rater, no preview."""
    ended = (
        study.enrollments.filter(outcome__in=outcomes, phase__in=phases, finished_at__isnull=False)
        .exclude(rater__origin__in=(Rater.Origin.SIMULATED, Rater.Origin.IMPORTED))
        .exclude(prolific_session_id__startswith=PREVIEW)
    )
    return [
        (finished - started).total_seconds() / 60
        for started, finished in ended.values_list("started_at", "finished_at")
    ]


def has_rehearsed(study: Study) -> bool:
    """Whether a test participant went through the whole study, also in a rehearsal that was erased since."""
    if (
        study.enrollments.filter(rater__origin=Rater.Origin.TEST, outcome=Outcome.COMPLETED)
        .exclude(prolific_session_id__startswith=PREVIEW)
        .exists()
    ):
        return True
    erased = study.events.filter(action=StudyEvent.Action.REHEARSAL).values_list("detail", flat=True)
    return any(detail.get("completed") for detail in erased)


def _find_warnings_of_attention(study: Study, path: list[Step]) -> list[str]:
    n_checks = sum(step.kind == "attention_check" for step in path)
    is_long = study.estimated_minutes >= launch.REJECTABLE_FROM_MINUTES
    if is_long and 0 < n_checks < launch.FAILURES_NEEDED:
        return [
            f"There is one attention check. In a study of {launch.REJECTABLE_FROM_MINUTES} minutes or more Prolific "
            f"lets nobody be rejected for fewer than {launch.FAILURES_NEEDED} failed ones."
        ]
    return []


def _list_notes_on_time(study: Study) -> list[str]:
    if study.estimated_minutes < 1:
        return []
    t = study.estimated_minutes
    notes = [
        f"Prolific's maximum allowed time for an estimate of t minutes is 2 + 2t + 2√t: for {t} minutes, "
        f"{allowed_minutes(t)}. People are timed out here after {study.allowed_minutes}."
    ]
    rehearsed = get_minutes(study, Outcome.COMPLETED, phases=[Phase.REHEARSAL])
    if rehearsed:
        notes.append(
            f"{_count(len(rehearsed), 'test participant')} went through the whole study in "
            f"{statistics.median(rehearsed):.1f} minutes (median)."
        )
    return notes


def _review_pay(study: Study, path: list[Step]) -> Topic:
    topic = Topic("pay", "Pay", launch.find_faults_of_pay(study))
    if study.reward is None:
        topic.warnings.append("No reward is noted, so nothing can be said about whether the pay is fair.")
        return topic
    if study.estimated_minutes < 1:
        return topic
    minimum = format_money(MINIMUM_HOURLY[study.currency], study.currency)
    announced = compute_hourly_pay(study.reward, study.estimated_minutes)
    topic.notes.append(
        f"Announced: {format_money(study.reward, study.currency)} for {study.estimated_minutes} minutes, "
        f"{format_money(announced, study.currency)} an hour. Prolific's minimum is {minimum} an hour."
    )
    _judge_measured_pay(study, topic, minimum)
    if any(step.kind == "gating" for step in path):
        _judge_screen_out(study, topic)
    return topic


def _judge_measured_pay(study: Study, topic: Topic, minimum: str) -> None:
    taken = get_minutes(study, Outcome.COMPLETED)
    if len(taken) < FEWEST_FOR_A_MEDIAN or not (median := statistics.median(taken)) > 0:
        return
    pay = format_money(compute_hourly_pay(study.reward, median), study.currency)
    topic.notes.append(
        f"Measured: {_count(len(taken), 'person', 'people')} took {median:.1f} minutes (median), {pay} an hour."
    )
    if not is_paid_fairly(study.reward, median, study.currency):
        topic.warnings.append(
            f"People take longer than announced: the median pays {pay} an hour, below Prolific's minimum of "
            f"{minimum}. Prolific may pause the study and ask for more; raise the reward or pay a bonus."
        )


def _judge_screen_out(study: Study, topic: Topic) -> None:
    """Whoever the gate sends away has worked until there, and is to be paid for it."""
    taken = get_minutes(study, Outcome.SCREENED_OUT) or get_minutes(
        study, Outcome.SCREENED_OUT, phases=[Phase.REHEARSAL]
    )
    minutes = statistics.median(taken) if taken else 0
    least = compute_least_screen_out(minutes if minutes > 0 else 1 / 60, study.currency)
    known = f"they took {minutes:.1f} minutes (median)" if taken else "as long as nobody knows their minutes"
    topic.notes.append(
        f"Whoever the gate screens out must be paid too, by Prolific's fixed screen-out payment: "
        f"{format_money(least, study.currency)} at least ({known}), and less than the reward."
    )
    if least >= study.reward:
        topic.warnings.append(
            f"A fair screen-out payment, {format_money(least, study.currency)}, is not below the reward of "
            f"{format_money(study.reward, study.currency)}, as Prolific asks: let the gate come earlier or pay more."
        )


def _find_warnings_of_shared_codes(study: Study) -> list[str]:
    own = study.completion_codes.values_list("code", flat=True)
    shared = CompletionCode.objects.filter(code__in=own).exclude(study=study)
    elsewhere = sorted(set(shared.values_list("code", flat=True)))
    if not elsewhere:
        return []
    return [
        f"Another study has the same completion code: {', '.join(elsewhere)}. Whoever knows it from there could use "
        "it here."
    ]


def _find_warnings_of_rehearsal(study: Study) -> list[str]:
    if has_rehearsed(study):
        return []
    return ["Nobody has gone through the study from beginning to end as a test participant yet."]


def _find_warnings_of_retention(study: Study) -> list[str]:
    if study.retain_until is None:
        return ["No day is set by which personal data is erased."]
    if study.retain_until < timezone.localdate():
        return [f"The day by which personal data was to be erased, {study.retain_until:%d %B %Y}, is over."]
    return []


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
