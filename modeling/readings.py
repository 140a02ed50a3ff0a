"""Reads of a single post's and a single rater's ratings, in plain Python: the pages that show them load no arrays."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from uuid import UUID

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber

from annotation.models import Annotation, Assignment, Enrollment, Outcome, Post, Rater, Study
from annotation.tree.walk import IMPLIED

from .inclusion import InclusionRule, Raters, from_settings, select
from .models import PostScore
from .watching.people import name_kind_of_person

TOLD_BY_KIND = frozenset({"a rehearsal", "a test participant", "the pilot", "simulated"})
MOST_OTHERS = 20  # of one post, on a rater's page
MOST_PAIRS = 12_000  # that are compared for a rater's place among the others

Ratings = Sequence[int | None]


class Ranked:
    """One vector of ratings, ranked once for many comparisons."""

    def __init__(self, ratings: Ratings) -> None:
        self.ratings = tuple(ratings)
        self.is_complete = None not in self.ratings

    @cached_property
    def ranks(self) -> list[int]:
        return _centre_ranks(self.ratings) if self.is_complete else []

    @cached_property
    def norm(self) -> int:
        return sum(rank * rank for rank in self.ranks)


def correlate(first: Ranked, second: Ranked) -> float | None:
    """Return Spearman's rho over the values that both have; None where it does not exist.

    Ties share the mean of their ranks. There is no rho where one side is constant over the shared values or fewer
    than two are shared. Raises ValueError for vectors of two lengths.
    """
    if len(first.ratings) != len(second.ratings):
        raise ValueError(
            f"vectors of {len(first.ratings)} and {len(second.ratings)} values cannot be compared"
        )
    if not (first.is_complete and second.is_complete):
        shared = [pair for pair in zip(first.ratings, second.ratings, strict=True) if None not in pair]
        first, second = Ranked([a for a, _ in shared]), Ranked([b for _, b in shared])
    if not first.norm or not second.norm:
        return None
    product = sum(a * b for a, b in zip(first.ranks, second.ranks, strict=True))
    return product / math.sqrt(first.norm * second.norm)


def spearman(first: Ratings, second: Ratings) -> float | None:
    """Return Spearman's rho of two short vectors, as `correlate` does.

    Examples
    --------
    >>> spearman([1, 2, 3, None], [10, 30, 20, 5])
    0.5
    """
    return correlate(Ranked(first), Ranked(second))


def _centre_ranks(ratings: Ratings) -> list[int]:
    """For each rating how many are smaller less how many are larger: whole numbers, twice the centred mean ranks."""
    found = Counter(ratings)
    below, n, places = 0, len(ratings), {}
    for rating in sorted(found):
        places[rating] = 2 * below + found[rating] - n
        below += found[rating]
    return [places[rating] for rating in ratings]


@dataclass(frozen=True)
class Reading:
    """One rater's answers to one post. `why_not` says why they do not count; '' for who does."""

    enrollment_id: int
    pseudonym: UUID
    kind: str
    ratings: tuple[int | None, ...]
    codes: tuple[int | None, ...]
    rationale: str
    why_not: str

    @property
    def name(self) -> str:
        return str(self.pseudonym)[:8]

    @property
    def untold(self) -> str:
        """Why they do not count, where their kind does not say it already."""
        return "" if self.why_not in TOLD_BY_KIND else self.why_not


def read_post(study: Study, post: Post, rule: InclusionRule) -> list[Reading]:
    """Return everyone's answers to a post: first those of who counts, each group in the order of arrival."""
    counted = set(select(study, rule).filter(annotations__post=post).values_list("pk", flat=True))
    rows = (
        Annotation.objects.filter(post=post, enrollment__study=study)
        .select_related("enrollment__rater", "enrollment__exclusion")
        .order_by("submitted_at", "pk")
    )
    readings = [
        Reading(
            enrollment_id=row.enrollment_id,
            pseudonym=row.enrollment.rater.pseudonym,
            kind=name_kind_of_person(row.enrollment),
            ratings=row.ratings,
            codes=row.codes,
            rationale=row.rationale,
            why_not="" if row.enrollment_id in counted else explain_absence(row.enrollment, rule),
        )
        for row in rows
    ]
    return sorted(readings, key=lambda reading: bool(reading.why_not))


def explain_absence(person: Enrollment, rule: InclusionRule) -> str:
    """Return why someone does not count by this rule: the first reason that holds."""
    is_simulated = person.rater.is_simulated
    reasons = (
        (person.phase == Enrollment.Phase.REHEARSAL, "a rehearsal"),
        (person.rater.origin == Rater.Origin.TEST, "a test participant"),
        (hasattr(person, "exclusion"), "excluded"),
        (person.outcome != Outcome.COMPLETED, "did not complete the study"),
        (person.phase not in rule.phases, "the pilot"),
        (person.timed_out_at is not None and not rule.with_timed_out, "ran out of time"),
        (is_simulated and rule.raters == Raters.PEOPLE, "simulated"),
        (not is_simulated and rule.raters == Raters.SIMULATED, "not simulated"),
    )
    return next((reason for holds, reason in reasons if holds), "flagged")


@dataclass(frozen=True)
class Onlooker:
    """Someone who was given a post and has not rated it."""

    pseudonym: UUID
    has_it_open: bool

    @property
    def name(self) -> str:
        return str(self.pseudonym)[:8]


def list_onlookers(study: Study, post: Post) -> list[Onlooker]:
    """Return who was given a post without an answer to it, the latest first."""
    given = Assignment.objects.filter(post=post, enrollment__study=study, annotation=None)
    rows = given.order_by("-assigned_at", "-pk").values_list("enrollment__rater__pseudonym", "status")
    return [Onlooker(pseudonym, status == Assignment.Status.OPEN) for pseudonym, status in rows]


@dataclass(frozen=True)
class ModelSays:
    """What the newest valid fit by a rule says of a post; `scores` is None where it says nothing."""

    fit_id: int
    scores: tuple[float, ...] | None
    is_out_of_fold: bool


def find_model_scores(study: Study, post: Post, rule: InclusionRule) -> ModelSays | None:
    """Return the scores of the newest fit of those who count by this rule; None when there is no valid fit."""
    fits = study.fit_runs.filter(outdated_at=None).values_list("pk", "settings")
    fit_id = next((pk for pk, settings in fits if from_settings(settings) == rule), None)
    if fit_id is None:
        return None
    score = PostScore.objects.filter(fit_run=fit_id, post=post).first()
    return ModelSays(fit_id, score.scores if score else None, bool(score and score.is_out_of_fold))


@dataclass(frozen=True)
class Spread:
    """How many ratings there are of one value, and how they lie; None where a number does not exist."""

    n: int
    mean: float | None
    sd: float | None
    n_implied: int


def measure_spread(readings: Iterable[Reading], place: int) -> Spread:
    """Return the spread of one value; the deviation is that of a sample, and takes two ratings."""
    answers = [(reading.ratings[place], reading.codes[place]) for reading in readings]
    shown = [rating for rating, _ in answers if rating is not None]
    return Spread(
        n=len(shown),
        mean=statistics.fmean(shown) if shown else None,
        sd=statistics.stdev(shown) if len(shown) > 1 else None,
        n_implied=sum(rating is not None and code == IMPLIED for rating, code in answers),
    )


@dataclass(frozen=True)
class Difference:
    """A rater's own rating of a value of a post, and the mean of the others'."""

    value: str
    own: int
    others: float


@dataclass
class ComparedPost:
    """One post as a rater saw it, beside the others who count."""

    post_id: int
    key: str
    text: str
    ratings: tuple[int | None, ...]
    codes: tuple[int | None, ...]
    rationale: str
    n_others: int = 0
    n_compared: int = 0  # of the others, those that were looked at
    others: tuple[float | None, ...] = ()
    n_undefined: int = 0
    rhos: list[float] = field(default_factory=list)

    @property
    def rho(self) -> float | None:
        """The mean correlation with each of the others."""
        return statistics.fmean(self.rhos) if self.rhos else None

    @cached_property
    def gaps(self) -> list[tuple[float, int]]:
        """How far the own rating is from the others' mean, and of which value, the farthest first."""
        pairs = enumerate(zip(self.ratings, self.others, strict=False))
        gaps = [
            (abs(own - mean), place) for place, (own, mean) in pairs if own is not None and mean is not None
        ]
        return sorted(gaps, key=lambda gap: (-gap[0], gap[1]))

    @property
    def difference(self) -> float | None:
        """The mean distance from the others' means over the values, in points of the scale."""
        return statistics.fmean(gap for gap, _ in self.gaps) if self.gaps else None


@dataclass(frozen=True)
class Place:
    """Where a rater stands among the others who rated any of the same posts, by the mean rho on these posts."""

    share_below: float | None  # ties count half
    n_others: int
    reason: str


@dataclass(frozen=True)
class RaterReadings:
    """A rater's ratings beside those of the others who count, the most different posts first."""

    posts: list[ComparedPost]
    n_pairs: int
    n_undefined: int
    rho: float | None
    place: Place
    n_left_out: int  # readings of these posts beyond the most that are compared

    @property
    def n_defined(self) -> int:
        """How many correlations there are."""
        return self.n_pairs - self.n_undefined


def read_rater(person: Enrollment, rule: InclusionRule) -> RaterReadings:
    """Compare a rater with the others of the same posts.

    Of each post, the first `MOST_OTHERS` of the others are looked at. Two queries, whatever the rater did.
    """
    own = Annotation.objects.filter(enrollment=person).order_by("pk")
    posts = {
        row[0]: ComparedPost(*row)
        for row in own.values_list("post_id", "post__key", "post__text", "ratings", "codes", "rationale")
    }
    others: dict[int, dict[int, Ranked]] = defaultdict(dict)
    for post_id, enrollment_id, ratings, n_others in _select_others(person, rule, own):
        others[post_id][enrollment_id] = Ranked(ratings)
        posts[post_id].n_others = n_others
    for post_id, post in posts.items():
        _compare(post, list(others[post_id].values()))
    rhos = [rho for post in posts.values() for rho in post.rhos]
    n_undefined = sum(post.n_undefined for post in posts.values())
    rho = statistics.fmean(rhos) if rhos else None
    return RaterReadings(
        posts=sorted(posts.values(), key=lambda post: (post.difference is None, -(post.difference or 0))),
        n_pairs=len(rhos) + n_undefined,
        n_undefined=n_undefined,
        rho=rho,
        place=_find_place(person, rho, posts, others),
        n_left_out=sum(post.n_others - post.n_compared for post in posts.values()),
    )


def _select_others(person: Enrollment, rule: InclusionRule, own: QuerySet[Annotation]) -> Iterable[tuple]:
    counted = select(person.study, rule).exclude(pk=person.pk)
    rows = Annotation.objects.filter(
        post__in=own.order_by().values("post_id"), enrollment__in=counted.values("pk")
    )
    numbered = rows.annotate(
        number=Window(RowNumber(), partition_by=F("post_id"), order_by="pk"),
        n_others=Window(Count("pk"), partition_by=F("post_id")),
    )
    return numbered.filter(number__lte=MOST_OTHERS).values_list(
        "post_id", "enrollment_id", "ratings", "n_others"
    )


def _compare(post: ComparedPost, others: list[Ranked]) -> None:
    mine = Ranked(post.ratings)
    post.n_compared = len(others)
    for other in others:
        rho = correlate(mine, other)
        if rho is None:
            post.n_undefined += 1
        else:
            post.rhos.append(rho)
    columns = zip(*(other.ratings for other in others), strict=True)
    post.others = tuple(_mean(column) for column in columns)


def _find_place(
    person: Enrollment,
    rho: float | None,
    posts: dict[int, ComparedPost],
    others: dict[int, dict[int, Ranked]],
) -> Place:
    """Each of the others' mean rho with everyone else on this rater's posts is what the rater's own is held against."""
    if rho is None:
        return Place(None, 0, "there is no correlation to compare")
    if sum(math.comb(len(group) + 1, 2) for group in others.values()) > MOST_PAIRS:
        return Place(None, 0, "too many ratings to compare on a page")
    rhos: dict[int, list[float]] = defaultdict(list)
    for post_id, group in others.items():
        for (one, his), (two, hers) in combinations(group.items(), 2):
            found = correlate(his, hers)
            if found is not None:
                rhos[one].append(found)
                rhos[two].append(found)
        mine = Ranked(posts[post_id].ratings)
        for one, his in group.items():
            found = correlate(mine, his)
            if found is not None:
                rhos[one].append(found)
    means = [statistics.fmean(found) for found in rhos.values()]
    below = sum(mean < rho for mean in means) + sum(mean == rho for mean in means) / 2
    return Place(below / len(means), len(means), "")


def _mean(column: Iterable[float | None]) -> float | None:
    present = [number for number in column if number is not None]
    return statistics.fmean(present) if present else None


@dataclass(frozen=True)
class ValueMeans:
    """A rater's mean of one value, and that of the others on the same posts."""

    own: float | None
    others: float | None
    difference: float | None


def compare_values(posts: Sequence[ComparedPost], n_values: int) -> list[ValueMeans]:
    """Return both means of each value; the others' is the mean over the posts of their mean of each post."""
    rows = []
    for place in range(n_values):
        own = _mean(post.ratings[place] for post in posts)
        others = _mean(
            post.others[place] for post in posts if post.others and post.ratings[place] is not None
        )
        rows.append(ValueMeans(own, others, None if own is None or others is None else own - others))
    return rows


@dataclass(frozen=True)
class Habit:
    """How someone used the scale, over all their ratings."""

    n_ratings: int
    n_lowest: int
    n_implied: int
    mean: float | None

    @property
    def share_lowest(self) -> float | None:
        return self.n_lowest / self.n_ratings if self.n_ratings else None


def measure_habit(posts: Iterable[ComparedPost], lowest: int) -> Habit:
    """Return how many of someone's ratings are the lowest, chosen or implied, and the mean of all."""
    rated = [
        (rating, code)
        for post in posts
        for rating, code in zip(post.ratings, post.codes, strict=False)
        if rating is not None
    ]
    return Habit(
        n_ratings=len(rated),
        n_lowest=sum(rating == lowest for rating, _ in rated),
        n_implied=sum(code == IMPLIED for _, code in rated),
        mean=_mean(rating for rating, _ in rated),
    )
