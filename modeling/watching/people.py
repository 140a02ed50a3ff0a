"""The people of a study, one line each, by pseudonym. Nothing here reads who they are at the recruiting platform."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, DateTimeField, Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from annotation.models import Assignment, Enrollment, Exclusion, Outcome, Rater, Step, Study
from modeling.models import QualityFlag

from .funnel import name_kind
from .groups import GROUPS
from .presence import SIGNS_OF_LIFE, SILENT_MINUTES, find_open_step, last_seen, with_signs_of_life

PER_PAGE = 50
REHEARSAL = "rehearsal"
HEX_DIGITS = 32


@dataclass(frozen=True)
class PeopleFilter:
    """What the list is narrowed to; '' and None leave everyone in. `where` is an outcome, 'inside' or 'silent'."""

    group: str = ""
    where: str = ""
    step: Step | None = None
    pseudonym: str = ""


@dataclass(frozen=True)
class PersonLine:
    """One person in the list."""

    pseudonym: UUID
    kind: str  # '' for live people, else what sets them apart
    outcome: str
    outcome_label: str
    step_label: str
    started_at: datetime
    minutes: float
    is_over: bool
    n_posts: int
    n_flags: int
    is_excluded: bool
    ran_out_of_time: bool

    @property
    def name(self) -> str:
        return str(self.pseudonym)[:8]


def list_people(study: Study, wanted: PeopleFilter, page: str | int = 1) -> Page:
    """Return a page of people, the newest first; its `object_list` holds `PersonLine`s."""
    now = timezone.now()
    found = _narrow(study, wanted, now).order_by("-started_at", "-pk").values_list("pk", flat=True)
    people = Paginator(found, PER_PAGE).get_page(page)
    order = {pk: place for place, pk in enumerate(people.object_list)}
    # Only the page's people are looked at closely.
    shown = with_signs_of_life(
        Enrollment.objects.filter(pk__in=order)
        .select_related("rater")
        .annotate(
            open_step=find_open_step(),
            is_excluded=Exists(Exclusion.objects.filter(enrollment=OuterRef("pk"))),
        )
    )
    read = _count_rows(Assignment.objects.filter(submitted_at__isnull=False), order)
    flags = _count_rows(QualityFlag.objects.all(), order)
    path = {step.pk: step for step in study.steps.all()}
    lines = [
        _describe(person, path, now, n_posts=read.get(person.pk, 0), n_flags=flags.get(person.pk, 0))
        for person in sorted(shown, key=lambda person: order[person.pk])
    ]
    people.object_list = lines
    return people


def _narrow(study: Study, wanted: PeopleFilter, now: datetime) -> QuerySet[Enrollment]:
    found = study.enrollments.all()
    group = next((group for group in GROUPS if group.key == wanted.group), None)
    if group:
        found = found.filter(group.match())
    elif wanted.group == REHEARSAL:
        found = found.filter(phase=Enrollment.Phase.REHEARSAL)
    else:
        found = found.exclude(phase=Enrollment.Phase.REHEARSAL)
    if wanted.where in Outcome.values:
        found = found.filter(outcome=wanted.where)
    elif wanted.where:
        found = found.filter(outcome="")
    if wanted.where == "silent":
        signs = [Coalesce(name, F("started_at"), output_field=DateTimeField()) for name in SIGNS_OF_LIFE]
        found = with_signs_of_life(found).annotate(seen=Greatest("started_at", *signs))
        found = found.filter(seen__lt=now - timedelta(minutes=SILENT_MINUTES))
    if wanted.step:
        found = found.exclude(outcome__in=(Outcome.COMPLETED, Outcome.WITHDREW))
        found = found.annotate(open_step=find_open_step()).filter(open_step=wanted.step.pk)
    return _search(found, wanted.pseudonym) if wanted.pseudonym else found


def _search(found: QuerySet[Enrollment], text: str) -> QuerySet[Enrollment]:
    """Find pseudonyms by how they begin; nobody where the text cannot begin one."""
    digits = text.strip().lower().replace("-", "")
    try:
        first, last = (UUID(hex=digits.ljust(HEX_DIGITS, filler)) for filler in "0f")
    except ValueError:
        return found.none()
    return found.filter(rater__pseudonym__gte=first, rater__pseudonym__lte=last)


def _count_rows(rows: QuerySet, enrollments: Iterable[int]) -> dict[int, int]:
    mine = rows.filter(enrollment__in=enrollments).order_by()
    return dict(mine.values_list("enrollment").annotate(n=Count("pk")))


def _describe(
    person: Enrollment, path: dict[int, Step], now: datetime, *, n_posts: int, n_flags: int
) -> PersonLine:
    seen = last_seen(person.started_at, (getattr(person, name) for name in SIGNS_OF_LIFE))
    step = path.get(person.open_step) if person.outcome not in (Outcome.COMPLETED, Outcome.WITHDREW) else None
    until = person.finished_at or seen
    return PersonLine(
        pseudonym=person.rater.pseudonym,
        kind=name_kind_of_person(person),
        outcome=person.outcome,
        outcome_label=str(Outcome(person.outcome).label) if person.outcome else "Inside",
        step_label=f"{step.position}. {name_kind(step.kind)}" if step else "",
        started_at=person.started_at,
        minutes=(until - person.started_at).total_seconds() / 60,
        is_over=bool(person.outcome),
        n_posts=n_posts,
        n_flags=n_flags,
        is_excluded=person.is_excluded,
        ran_out_of_time=person.timed_out_at is not None,
    )


def name_kind_of_person(person: Enrollment) -> str:
    """Return what sets someone apart from the people of the live study; '' for those."""
    if person.rater.origin == Rater.Origin.PROLIFIC and person.phase == Enrollment.Phase.LIVE:
        return ""
    words = (
        [] if person.phase == Enrollment.Phase.LIVE else [Enrollment.Phase(person.phase).label.split(":")[0]]
    )
    if person.rater.origin != Rater.Origin.PROLIFIC:
        words.append(str(person.rater.get_origin_display()))
    return ", ".join(words)
