"""One person's journey, from arrival to the end.

People are named by their pseudonym. Nothing here reads who they are at the recruiting platform, and of someone who
withdrew there is nothing to tell but that they did.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from annotation.attention.grid import AttentionConfigError, GridCheck, read_attention_config
from annotation.models import Assignment, Attempt, Enrollment, Exclusion, Outcome, PageVisit, Step, Study
from annotation.selectors import get_tree
from annotation.tree.known import (
    GatePost,
    KnownPost,
    KnownPostError,
    find_mistakes,
    read_gating_config,
    read_training_config,
)
from annotation.tree.walk import CHOSEN, Reading
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from modeling.models import QualityFlag
from modeling.quality.rules import BY_KEY as RULES_BY_KEY

from .funnel import name_kind
from .people import name_kind_of_person


@dataclass(frozen=True)
class Entry:
    """One thing that happened: when, what, and lines of detail. `mark` is 'right', 'wrong' or ''."""

    at: datetime
    title: str
    details: tuple[str, ...] = ()
    mark: str = ""


@dataclass(frozen=True)
class ReadPost:
    """One post someone was given, and what they answered."""

    position: int
    key: str
    text: str
    minutes: float | None
    ratings: tuple[str, ...]
    n_chosen: int
    rationale: str
    n_away: int
    status: str


@dataclass
class Chapter:
    """One step of someone's way, as far as they came in it."""

    position: int
    label: str
    begun_at: datetime | None
    done_at: datetime | None
    entries: list[Entry] = field(default_factory=list)
    posts: list[ReadPost] = field(default_factory=list)

    @property
    def minutes(self) -> float | None:
        if self.begun_at is None or self.done_at is None:
            return None
        return (self.done_at - self.begun_at).total_seconds() / 60


@dataclass(frozen=True)
class Focus:
    """How much of the time a page was in view, by what the browser noted."""

    n_pages: int
    n_noted: int
    active_minutes: float
    n_away: int
    away_minutes: float


@dataclass(frozen=True)
class Journey:
    """All that is stored of one person's way. Of someone who withdrew only `withdrawn_at` and `erased` are set."""

    name: str
    pseudonym: UUID
    kind: str
    arrived_at: datetime | None = None
    ended_at: datetime | None = None
    outcome_label: str = ""
    version: int | None = None
    timed_out_at: datetime | None = None
    came_back: bool = False
    chapters: list[Chapter] = field(default_factory=list)
    focus: Focus | None = None
    n_posts: int = 0
    median_post_minutes: float | None = None
    flags: list[tuple[str, QualityFlag]] = field(default_factory=list)  # with the rule's name
    exclusion: Exclusion | None = None
    withdrawn_at: datetime | None = None
    erased: dict[str, int] = field(default_factory=dict)

    @property
    def spans_days(self) -> bool:
        """Whether the time of day alone would not say when something was."""
        times = [entry.at for chapter in self.chapters for entry in chapter.entries]
        times += [at for at in (self.arrived_at, self.ended_at, self.timed_out_at) if at]
        return len({at.date() for at in times}) > 1

    @property
    def total_minutes(self) -> float | None:
        if self.arrived_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.arrived_at).total_seconds() / 60


def find_person(study: Study, pseudonym: UUID) -> Enrollment | None:
    """Return someone's enrollment in this study by their pseudonym; None when they are not in it."""
    people = study.enrollments.select_related(
        "rater", "study__value_system", "study_version", "consent_record", "exclusion", "withdrawal"
    )
    return people.filter(rater__pseudonym=pseudonym).first()


def tell_journey(person: Enrollment) -> Journey:
    """Return someone's journey; the number of queries does not grow with what they did."""
    name, pseudonym = str(person.rater.pseudonym)[:8], person.rater.pseudonym
    kind = name_kind_of_person(person)
    if person.outcome == Outcome.WITHDREW:
        proof = getattr(person, "withdrawal", None)
        return Journey(
            name,
            pseudonym,
            kind,
            outcome_label=str(Outcome.WITHDREW.label),
            withdrawn_at=proof.at if proof else person.finished_at,
            erased=proof.erased if proof else {},
        )
    teller = _Teller(person)
    chapters = teller.tell_chapters()
    minutes = [post.minutes for chapter in chapters for post in chapter.posts if post.minutes is not None]
    return Journey(
        name,
        pseudonym,
        kind,
        arrived_at=person.started_at,
        ended_at=person.finished_at,
        outcome_label=str(Outcome(person.outcome).label) if person.outcome else "Inside",
        version=person.study_version.number if person.study_version else None,
        timed_out_at=person.timed_out_at,
        came_back=person.timed_out_at is not None and person.outcome != Outcome.TIMED_OUT,
        chapters=chapters,
        focus=measure_focus(teller.visits),
        n_posts=len(minutes),
        median_post_minutes=statistics.median(minutes) if minutes else None,
        flags=[(_name_rule(flag.rule), flag) for flag in person.quality_flags.all()],
        exclusion=getattr(person, "exclusion", None),
    )


def measure_focus(visits: list[PageVisit]) -> Focus | None:
    """Return the time pages were open less the time they were out of sight; None without any note of a page."""
    if not visits:
        return None
    away_minutes = sum(visit.client.get("away_ms", 0) for visit in visits) / 60_000
    open_minutes = sum((visit.answered_at - visit.shown_at).total_seconds() for visit in visits) / 60
    return Focus(
        n_pages=len(visits),
        n_noted=sum("away" in visit.client for visit in visits),
        active_minutes=max(0.0, open_minutes - away_minutes),
        n_away=sum(visit.client.get("away", 0) for visit in visits),
        away_minutes=away_minutes,
    )


class _Teller:
    """Collects a person's rows, a query for each table, and tells them step by step."""

    def __init__(self, person: Enrollment) -> None:
        self.person = person
        self.study = person.study
        self.path = list(self.study.steps.order_by("position"))
        self.done = {row.step_id: row.at for row in person.step_completions.all()}
        self.visits = list(person.page_visits.all())
        self.attempts = _by_step(person.attempts.all())
        self.decisions = {row.step_id: row for row in person.gate_decisions.all()}
        self.drafts = {row.step_id: row for row in person.drafts.all()}
        given = person.assignments.order_by("position").select_related("post", "annotation")
        self.assignments = _by_step(given)
        self.imported = list(person.annotations.filter(assignment=None).select_related("post").order_by("pk"))
        self.answers = list(CalibrationAnswer.objects.filter(enrollment=person).order_by("answered_at", "pk"))
        responses = QuestionnaireResponse.objects.filter(enrollment=person).select_related("questionnaire")
        self.responses = {row.questionnaire.key: row for row in responses}
        self.tree = get_tree(self.study.value_system)

    def tell_chapters(self) -> list[Chapter]:
        """Return a chapter for each step that was finished or has anything in it, and for the one that is open."""
        chapters = []
        began: datetime | None = self.person.started_at
        current = next((step for step in self.path if step.pk not in self.done), None)
        for step in self.path:
            chapter = Chapter(step.position, name_kind(step.kind), began, self.done.get(step.pk))
            self._fill(chapter, step)
            is_here = step == current and self.person.outcome != Outcome.COMPLETED
            if step.pk in self.done or is_here or chapter.entries or chapter.posts:
                chapters.append(chapter)
            began = self.done.get(step.pk)
        self._tell_time_out(chapters)
        if self.imported:
            posts = [self._tell_annotation(place, row) for place, row in enumerate(self.imported, start=1)]
            chapters.append(Chapter(0, "Imported ratings", None, None, posts=posts))
        return chapters

    def _tell_time_out(self, chapters: list[Chapter]) -> None:
        """Put the end of the time into the chapter that was open then."""
        out_at = self.person.timed_out_at
        if out_at is None:
            return
        for chapter in chapters:
            if chapter.done_at is None or chapter.done_at > out_at:
                chapter.entries.append(Entry(out_at, "The time was over: timed out", mark="wrong"))
                if self.person.outcome != Outcome.TIMED_OUT:
                    chapter.entries.append(Entry(out_at, "Came back later and went on"))
                chapter.entries.sort(key=lambda entry: entry.at)
                return

    def _fill(self, chapter: Chapter, step: Step) -> None:
        if step.kind == "consent":
            chapter.entries += self._tell_consent()
        elif step.kind == "attention_check":
            chapter.entries += [self._tell_check(step, attempt) for attempt in self.attempts[step.pk]]
        elif step.kind == "training":
            chapter.entries += self._tell_training(step)
        elif step.kind == "gating":
            chapter.entries += self._tell_gate(step)
        elif step.kind == "vcq":
            chapter.entries += self._tell_vcq()
        elif step.kind == "questionnaire":
            chapter.entries += self._tell_questionnaire(step)
        away = _count_away(self.visits, step)
        chapter.posts = [self._tell_post(given, away[str(given.pk)]) for given in self.assignments[step.pk]]
        decision = self.decisions.get(step.pk)
        if decision and step.kind != "attention_check":  # which its one answer has told already
            verdict = "Passed" if decision.passed else "Failed"
            mark = "right" if decision.passed else "wrong"
            chapter.entries.append(Entry(decision.at, f"{verdict}: {decision.reason}", mark=mark))
        if draft := self.drafts.get(step.pk):
            chapter.entries.append(
                Entry(draft.saved_at, "A page is open; its answers so far are kept as a draft")
            )

    def _tell_consent(self) -> list[Entry]:
        record = getattr(self.person, "consent_record", None)
        if record is None:
            return []
        verb = "Agreed to" if record.given else "Declined"
        return [Entry(record.at, f"{verb} version {record.version} of the consent page")]

    def _tell_check(self, step: Step, attempt: Attempt) -> Entry:
        title = "Answered as asked" if attempt.is_right else "Did not answer as asked"
        return Entry(attempt.at, title, _tell_grid_answer(step, attempt), _mark(attempt))

    def _tell_training(self, step: Step) -> list[Entry]:
        known, tolerance = self._read_training(step)
        entries = []
        for attempt in self.attempts[step.pk]:
            post = known.get(attempt.item)
            details = (
                () if attempt.is_right or post is None else self._tell_mistakes(post, attempt, tolerance)
            )
            verb = "Right" if attempt.is_right else "Wrong"
            entries.append(
                Entry(attempt.at, f"{verb}: practice post {attempt.item}", details, _mark(attempt))
            )
        return entries

    def _read_training(self, step: Step) -> tuple[dict[str, KnownPost], int]:
        try:
            plan = read_training_config(self.tree, step.config)
        except KnownPostError:  # changed since
            plan = None
        return ({post.key: post for post in plan.posts}, plan.tolerance) if plan else ({}, 0)

    def _tell_mistakes(self, post: KnownPost, attempt: Attempt, tolerance: int) -> tuple[str, ...]:
        reading = _read_answers(attempt.answers)
        told = []
        for mistake in find_mistakes(self.tree, post, reading, tolerance):
            if mistake.kind == "question":
                marked = self._name_all(reading.marks[mistake.key])
                told.append(
                    f"{self._name(mistake.key)}: marked {marked}; right is {self._name_all(post.marks[mistake.key])}"
                )
            else:
                given, right = reading.ratings[mistake.key], post.ratings[mistake.key]
                told.append(
                    f"{self._name(mistake.key)}: rated {self._shown(given)}; right is {self._shown(right)}"
                )
        return tuple(told)

    def _tell_gate(self, step: Step) -> list[Entry]:
        try:
            plan = read_gating_config(self.tree, step.config)
        except KnownPostError:
            plan = None
        posts = {post.key: post for post in plan.posts} if plan else {}
        return [
            self._tell_gate_answer(attempt, posts.get(attempt.item)) for attempt in self.attempts[step.pk]
        ]

    def _tell_gate_answer(self, attempt: Attempt, post: GatePost | None) -> Entry:
        details: tuple[str, ...] = ()
        if post:
            rating = _read_answers(attempt.answers).ratings.get(post.value)
            said = "not opened" if rating is None else f"rated {self._shown(rating)}"
            truth = "is" if post.expresses else "is not"
            details = (f"{self._name(post.value)}: {said}; it {truth} expressed",)
        verb = "Right" if attempt.is_right else "Wrong"
        return Entry(attempt.at, f"{verb}: gate post {attempt.item}", details, _mark(attempt))

    def _tell_vcq(self) -> list[Entry]:
        if not self.answers:
            return []
        first, newest = self.answers[0].answered_at, self.answers[-1].answered_at
        n = len(self.answers)
        minutes = (newest - first).total_seconds() / 60
        return [
            Entry(
                newest, f"{n} answer{'' if n == 1 else 's'}, {minutes:.1f} minutes from the first to the last"
            )
        ]

    def _tell_questionnaire(self, step: Step) -> list[Entry]:
        response = self.responses.get(step.config.get("questionnaire", ""))
        if response is None:
            return []
        title = f"Answered “{response.questionnaire.key}”, version {response.version}"
        return [Entry(response.submitted_at, title)]

    def _tell_post(self, given: Assignment, n_away: int) -> ReadPost:
        annotation = getattr(given, "annotation", None)
        ratings, n_chosen = self._tell_ratings(annotation)
        seconds = (given.submitted_at - given.assigned_at).total_seconds() if given.submitted_at else None
        is_back = given.status == Assignment.Status.RELEASED
        return ReadPost(
            position=given.position,
            key=given.post.key,
            text=given.post.text,
            minutes=None if seconds is None else seconds / 60,
            ratings=ratings,
            n_chosen=n_chosen,
            rationale=annotation.rationale if annotation else "",
            n_away=n_away,
            status="went back to the pool" if is_back else "open now" if annotation is None else "",
        )

    def _tell_annotation(self, place: int, annotation: Any) -> ReadPost:
        ratings, n_chosen = self._tell_ratings(annotation)
        post = annotation.post
        return ReadPost(place, post.key, post.text, None, ratings, n_chosen, annotation.rationale, 0, "")

    def _tell_ratings(self, annotation: Any) -> tuple[tuple[str, ...], int]:
        """Return the values rated above the lowest, highest first, and how many were rated at all."""
        if annotation is None:
            return (), 0
        lowest = self.tree.scale.min
        rows = list(zip(self.study.value_keys, annotation.ratings, annotation.codes, strict=False))
        above = [(key, rating) for key, rating, _ in rows if rating is not None and rating > lowest]
        above.sort(key=lambda pair: -pair[1])
        n_chosen = sum(code == CHOSEN for *_, code in rows)
        return tuple(f"{self._name(key)} {self._shown(rating)}" for key, rating in above), n_chosen

    def _name(self, key: str) -> str:
        nodes = (*self.tree.leaves, *self.tree.branches)
        return next((node.label or node.name for node in nodes if node.key == key), key)

    def _name_all(self, keys: Iterable[str]) -> str:
        return ", ".join(f"“{self._name(key)}”" for key in sorted(keys)) or "nothing"

    def _shown(self, rating: int) -> str:
        """The number that raters saw for a rating; the stored one where the scale no longer has it."""
        if rating not in self.tree.scale.levels:
            return str(rating)
        return str(self.tree.scale.shown(rating))


def _name_rule(key: str) -> str:
    return RULES_BY_KEY[key].name if key in RULES_BY_KEY else key


def _by_step(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.step_id].append(row)
    return found


def _mark(attempt: Attempt) -> str:
    return "right" if attempt.is_right else "wrong"


def _count_away(visits: list[PageVisit], step: Step) -> Counter[str]:
    away: Counter[str] = Counter()
    for visit in visits:
        if visit.step_id == step.pk:
            away[visit.item] += visit.client.get("away", 0)
    return away


def _read_answers(answers: dict) -> Reading:
    marks = {key: frozenset(chosen) for key, chosen in answers.get("marks", {}).items()}
    return Reading(marks, answers.get("ratings", {}))


def _tell_grid_answer(step: Step, attempt: Attempt) -> tuple[str, ...]:
    """Return what the row that instructs was answered with; nothing where the check was another one."""
    try:
        check = read_attention_config(step.config)
    except AttentionConfigError:
        return ()
    if not isinstance(check, GridCheck) or attempt.is_right:
        return ()
    labels = {option.value: option.label for option in check.options}
    row = check.instructed_row
    given = labels.get(attempt.answers.get(row.key, ""), "nothing that is on the scale")
    return (f"Chose “{given}” where “{labels[row.instructed]}” was asked for",)
