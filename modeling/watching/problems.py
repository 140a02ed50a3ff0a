"""What is still to come, and what has to be looked at."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from annotation.models import Outcome, Study
from jobs.models import Job

from .groups import Head, in_thousand
from .presence import GRACE_MINUTES, SILENT_MINUTES, Presence

FORECAST_FROM = 5
FAILED_JOBS_OF_DAYS = 7


@dataclass(frozen=True)
class Forecast:
    """How many are still wanted and when, at the latest pace, the last of them will have completed."""

    target: int
    completed: int
    missing: int
    per_hour: float | None
    pace: str
    at: datetime | None

    @property
    def share(self) -> int:
        return in_thousand(self.completed, self.target)


@dataclass(frozen=True)
class Problem:
    """Something to look at. `where` filters the list of people; '' leads nowhere."""

    title: str
    text: str
    where: str = ""


def make_forecast(study: Study, head: Head, now: datetime) -> Forecast | None:
    if not study.target_participants:
        return None
    missing = max(0, study.target_participants - head.completed)
    per_hour, pace = None, ""
    if head.completed_last_hour >= FORECAST_FROM:
        per_hour, pace = float(head.completed_last_hour), "the last hour"
    elif head.completed_last_day >= FORECAST_FROM:
        per_hour, pace = head.completed_last_day / 24, "the last 24 hours"
    is_coming = missing and per_hour and study.takes_people
    return Forecast(
        target=study.target_participants,
        completed=head.completed,
        missing=missing,
        per_hour=per_hour,
        pace=pace,
        at=now + timedelta(hours=missing / per_hour) if is_coming else None,
    )


def find_problems(
    study: Study, head: Head, presence: Presence, faults: list[str], now: datetime
) -> list[Problem]:
    problems = [
        Problem(f"The job “{job.kind}” failed on {job.finished_at:%-d %B, %H:%M} UTC.", job.error[:500])
        for job in Job.objects.filter(
            payload__study=study.pk,
            state=Job.State.FAILED,
            finished_at__gt=now - timedelta(days=FAILED_JOBS_OF_DAYS),
        ).order_by("-finished_at")[:3]
    ]
    problems += [Problem("The study as it is now could not be launched.", fault) for fault in faults]
    if presence.n_overdue:
        problems.append(
            Problem(
                f"{presence.n_overdue} should have been timed out and were not.",
                f"Their {study.allowed_minutes} minutes are over by more than {GRACE_MINUTES}. The clock or the "
                "workers are not running, and the posts of those who left do not go to others.",
                "inside",
            )
        )
    if presence.n_silent:
        problems.append(
            Problem(
                f"{presence.n_silent} inside, silent for more than {SILENT_MINUTES} minutes.",
                "They may have left without saying so, or be stuck.",
                "silent",
            )
        )
    if head.outcomes[Outcome.STUDY_FULL]:
        problems.append(
            Problem(
                f"{head.outcomes[Outcome.STUDY_FULL]} came and found no post left.",
                "Every post has as many raters as the cap allows. Raise the cap, add posts, or take nobody in.",
                Outcome.STUDY_FULL.value,
            )
        )
    return problems
