"""Who counts: the one place that says whose answers are analysed. Every report states the rule it was made by."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet

from annotation.models import Enrollment, Outcome, Rater, Study
from modeling.quality.rules import BY_KEY

from .models import QualityFlag

INCLUSION = "inclusion"  # where a fit's settings hold the rule


class Raters(StrEnum):
    """Which kind of raters count."""

    ALL = "all"
    PEOPLE = "people"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class InclusionRule:
    """Whose answers count, of those who completed the study.

    Whatever the rule, nobody counts who only rehearsed, who withdrew or who was excluded.

    Attributes
    ----------
    with_pilot : whether the pilot counts too
    with_timed_out : whether those count who ran out of time and completed the study all the same
    without_flags : keys of quality rules (`modeling.quality.rules`); whom one of them speaks of does not count
    raters : which kind of raters
    """

    with_pilot: bool = False
    with_timed_out: bool = True
    without_flags: tuple[str, ...] = ()
    raters: Raters = Raters.ALL

    def __post_init__(self) -> None:
        """Raises ValueError for a rule or a kind of raters that does not exist."""
        strangers = [key for key in self.without_flags if key not in BY_KEY]
        if strangers:
            raise ValueError(
                f"there is no quality rule {', '.join(map(repr, strangers))}; the rules are {', '.join(BY_KEY)}"
            )
        if self.raters not in list(Raters):
            raise ValueError(f"raters must be one of {', '.join(Raters)}, not {self.raters!r}")
        object.__setattr__(self, "raters", Raters(self.raters))
        object.__setattr__(self, "without_flags", tuple(sorted(set(self.without_flags))))

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as plain data for JSON; `from_dict` reads it back."""
        return asdict(self) | {"without_flags": list(self.without_flags), "raters": str(self.raters)}

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> "InclusionRule":
        """Read what `as_dict` gave; None and {} are the default. Raises ValueError for unknown fields."""
        data = data or {}
        unknown = sorted(data.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"an inclusion rule has no field {', '.join(map(repr, unknown))}")
        return cls(**data | {"without_flags": tuple(data.get("without_flags", ()))})

    @property
    def phases(self) -> list[str]:
        live, pilot = Enrollment.Phase.LIVE, Enrollment.Phase.PILOT
        return [live, pilot] if self.with_pilot else [live]


DEFAULT = InclusionRule()


def select(study: Study, rule: InclusionRule = DEFAULT) -> QuerySet[Enrollment]:
    """Return the enrollments whose answers count."""
    return _select_but_for_exclusions(study, rule).filter(exclusion=None)


def still_count(study: Study, rule: InclusionRule, enrollment_ids: Iterable[int]) -> bool:
    """Whether all of these count by this rule: nobody took their answers back or was excluded since they were read."""
    return set(enrollment_ids) <= set(select(study, rule).values_list("pk", flat=True))


def has_counted(enrollment: Enrollment, rule: InclusionRule) -> bool:
    """Whether someone counts by this rule, or would if they were not excluded."""
    return _select_but_for_exclusions(enrollment.study, rule).filter(pk=enrollment.pk).exists()


def count_excluded(study: Study, rule: InclusionRule = DEFAULT) -> int:
    """Return how many would count by this rule but are excluded."""
    return _select_but_for_exclusions(study, rule).exclude(exclusion=None).count()


def _select_but_for_exclusions(study: Study, rule: InclusionRule) -> QuerySet[Enrollment]:
    counted = study.enrollments.filter(build_conditions(rule))
    if rule.without_flags:
        flagged = QualityFlag.objects.filter(enrollment__study=study, rule__in=rule.without_flags)
        counted = counted.exclude(pk__in=flagged.values("enrollment_id"))
    return counted


def select_finished(study: Study) -> QuerySet[Enrollment]:
    """Return the enrollments that the rules look at: who completed the pilot or the live study."""
    return (
        study.enrollments.filter(outcome=Outcome.COMPLETED)
        .exclude(phase=Enrollment.Phase.REHEARSAL)
        .exclude(rater__origin=Rater.Origin.TEST)
    )


def build_conditions(rule: InclusionRule = DEFAULT) -> Q:
    """Return what an enrollment must fulfil by itself to count: flags and exclusions are not looked at."""
    conditions = Q(outcome=Outcome.COMPLETED, phase__in=rule.phases) & ~Q(rater__origin=Rater.Origin.TEST)
    if not rule.with_timed_out:
        conditions &= Q(timed_out_at=None)
    if rule.raters == Raters.PEOPLE:
        conditions &= ~Q(rater__origin=Rater.Origin.SIMULATED)
    if rule.raters == Raters.SIMULATED:
        conditions &= Q(rater__origin=Rater.Origin.SIMULATED)
    return conditions


def describe(rule: InclusionRule = DEFAULT) -> str:
    """Return the rule as a phrase that a report can state."""
    who = {
        Raters.ALL: "everyone",
        Raters.PEOPLE: "every person (no simulated rater)",
        Raters.SIMULATED: "every simulated rater",
    }[rule.raters]
    phase = "the live study or its pilot" if rule.with_pilot else "the live study"
    text = f"{who} who completed {phase} and is not excluded"
    if not rule.with_timed_out:
        text += ", without those who ran out of time before they completed it"
    if rule.without_flags:
        names = ", ".join(f"“{BY_KEY[key].name}”" for key in rule.without_flags)
        text += f", without those flagged by {names}"
    return text


def as_settings(rule: InclusionRule) -> dict[str, Any]:
    """Return what a rule adds to a fit's settings, and so to its key: nothing when it is the default."""
    return {} if rule == DEFAULT else {INCLUSION: rule.as_dict()}


def from_settings(settings: dict[str, Any]) -> InclusionRule:
    """Return the rule of a fit from its stored settings."""
    return InclusionRule.from_dict(settings.get(INCLUSION))
