"""PURE. From what people left to their numbers, and from the numbers to flags."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from annotation.tree.walk import CHOSEN, IMPLIED

from .indices import (
    NAN,
    even_odd_consistency,
    find_synonyms,
    longest_run,
    lower_quantile,
    response_sd,
    robust_z,
    synonym_consistency,
    z_scores,
)
from .rules import (
    LEAST_FOR_SYNONYMS,
    LEAST_GRID,
    LEAST_PEOPLE,
    LEAST_POSTS,
    LEAST_RATINGS,
    LEAST_ROWS,
    RULES,
    SYNONYM_CORRELATION,
    Side,
)


@dataclass(frozen=True)
class PostReading:
    """One reading of a post: its ratings and codes (`annotation.tree.walk`), and how long it took.

    `seconds` is None where nobody measured them.
    """

    ratings: tuple[int | None, ...]
    codes: tuple[int, ...]
    seconds: float | None = None


@dataclass(frozen=True)
class Grid:
    """One person's answers down a grid of a questionnaire, in its order; `width` is highest minus lowest answer.

    Text answers count as answers; only numbers have a `width`, which is 0 otherwise.
    """

    answers: tuple[int | str, ...]
    width: float = 0


@dataclass(frozen=True)
class Scored:
    """One person's answers to a scored questionnaire, turned the same way.

    `items` are all its answers by item, `scales` those of each scale made of items.
    """

    items: Mapping[str, float]
    scales: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Person:
    """What the rules see of one person who finished.

    Attributes
    ----------
    readings : of posts, in the order in which they were given when `is_ordered`
    checks_passed, gates_right : of each attention check, of each answer to a gate's post
    training_tries : answers to each practice post
    minutes : from arrival to the end; None where nobody measured it
    """

    readings: tuple[PostReading, ...] = ()
    is_ordered: bool = True
    grids: tuple[Grid, ...] = ()
    scored: tuple[Scored, ...] = ()
    checks_passed: tuple[bool, ...] = ()
    gates_right: tuple[bool, ...] = ()
    training_tries: tuple[int, ...] = ()
    minutes: float | None = None


@dataclass(frozen=True)
class Frame:
    """What the rules must know of the study.

    Attributes
    ----------
    groups : for each group of the value tree, the places of its values in a rating vector
    scale_width : highest minus lowest rating
    can_be_closed : whether values can stay unasked because their group was not opened
    estimated_minutes : as announced
    """

    groups: tuple[tuple[int, ...], ...]
    scale_width: int
    can_be_closed: bool
    estimated_minutes: float


@dataclass(frozen=True)
class Flag:
    """That a rule speaks of a person: the number, and the limit it passed."""

    rule: str
    number: float
    limit: float


@dataclass(frozen=True)
class Summary:
    """What became of one rule: how many people have a number, have none, are flagged; and the limit it came to."""

    n_measured: int
    n_undefined: int
    n_flagged: int
    limit: float


@dataclass
class Measured:
    """Numbers of one person: those that need nobody else, and what comparisons start from."""

    numbers: dict[str, float]
    log_seconds: float
    minutes: float
    items: dict[str, float] = field(default_factory=dict)


def measure(person: Person, frame: Frame) -> Measured:
    """Measure one person by themselves; NaN where a rule has no number."""
    numbers = {
        "attention_checks": _count_false(person.checks_passed),
        "below_estimate": NAN if person.minutes is None else person.minutes / frame.estimated_minutes,
        "straight_lining": _straight_lining(person.readings, frame),
        "never_opens": _never_opens(person.readings) if frame.can_be_closed else NAN,
        "training_tries": statistics.fmean(person.training_tries) if person.training_tries else NAN,
        "gate_errors": _share_of_false(person.gates_right),
        **_over_posts(person, frame),
        **_over_grids(person.grids),
        "even_odd": _smallest(even_odd_consistency(each.scales) for each in person.scored),
    }
    timed = [math.log(reading.seconds) for reading in person.readings if reading.seconds]
    return Measured(
        numbers=numbers,
        log_seconds=statistics.median(timed) if len(timed) >= LEAST_POSTS else NAN,
        minutes=NAN if person.minutes is None else person.minutes,
        items={name: answer for each in person.scored for name, answer in each.items.items()},
    )


def compare(people: Sequence[Measured]) -> None:
    """Add to each person's numbers those that need the others; `people` are all of one kind."""
    _standardize(people, "fast_posts", [person.log_seconds for person in people], robust_z)
    _standardize(people, "fast_total", [person.minutes for person in people], z_scores)
    pairs = find_synonyms([person.items for person in people], SYNONYM_CORRELATION, LEAST_FOR_SYNONYMS)
    consistencies = [synonym_consistency(person.items, pairs) for person in people]
    are_enough = sum(not math.isnan(number) for number in consistencies) >= LEAST_FOR_SYNONYMS
    for person, number in zip(people, consistencies, strict=True):
        person.numbers["synonyms"] = number if are_enough else NAN


def judge(
    people: Sequence[Measured], limits: Mapping[str, float]
) -> tuple[list[list[Flag]], dict[str, Summary]]:
    """Hold everyone's numbers against the limits.

    Parameters
    ----------
    people : of one kind, after `compare`
    limits : for every rule, as `check_limits` returns them

    Returns
    -------
    flags : one list for each person, in their order
    summaries : one for each rule
    """
    flags: list[list[Flag]] = [[] for _ in people]
    summaries = {}
    for rule in RULES:
        numbers = [person.numbers[rule.key] for person in people]
        measured = [number for number in numbers if not math.isnan(number)]
        limit = limits[rule.key]
        if rule.side == Side.LOWEST_SHARE:
            limit = lower_quantile(measured, limit)
        for own, number in zip(flags, numbers, strict=True):
            if number >= limit if rule.side == Side.AT_LEAST else number <= limit:
                own.append(Flag(rule.key, number, limit))
        summaries[rule.key] = Summary(
            n_measured=len(measured),
            n_undefined=len(numbers) - len(measured),
            n_flagged=sum(any(flag.rule == rule.key for flag in own) for own in flags),
            limit=limit,
        )
    return flags, summaries


def _count_false(answers: Sequence[bool]) -> float:
    return float(sum(not is_right for is_right in answers)) if answers else NAN


def _share_of_false(answers: Sequence[bool]) -> float:
    return _count_false(answers) / len(answers) if answers else NAN


def _straight_lining(readings: Sequence[PostReading], frame: Frame) -> float:
    n_grids = n_straight = 0
    for reading in readings:
        for places in frame.groups:
            rated = [reading.ratings[place] for place in places if reading.codes[place] == CHOSEN]
            if len(rated) == len(places) >= LEAST_GRID:
                n_grids += 1
                n_straight += len(set(rated)) == 1
    return n_straight / n_grids if n_grids >= LEAST_POSTS else NAN


def _never_opens(readings: Sequence[PostReading]) -> float:
    if len(readings) < LEAST_POSTS:
        return NAN
    return sum(all(code == IMPLIED for code in reading.codes) for reading in readings) / len(readings)


def _over_posts(person: Person, frame: Frame) -> dict[str, float]:
    chosen = [
        rating
        for reading in person.readings
        for rating, code in zip(reading.ratings, reading.codes, strict=True)
        if code == CHOSEN and rating is not None
    ]
    if len(person.readings) < LEAST_POSTS or len(chosen) < LEAST_RATINGS:
        return {"long_string_posts": NAN, "low_variance_posts": NAN}
    return {
        "long_string_posts": longest_run(chosen) / len(chosen) if person.is_ordered else NAN,
        "low_variance_posts": response_sd(chosen) / frame.scale_width,
    }


def _over_grids(grids: Sequence[Grid]) -> dict[str, float]:
    asked = [grid for grid in grids if len(grid.answers) >= LEAST_ROWS]
    runs = [longest_run(grid.answers) / len(grid.answers) for grid in asked]
    spreads = [
        response_sd([answer for answer in grid.answers if not isinstance(answer, str)]) / grid.width
        for grid in asked
        if grid.width
    ]
    return {
        "identical_questionnaire": float(sum(run == 1 for run in runs)) if runs else NAN,
        "long_string_questionnaire": max(runs, default=NAN),
        "low_variance_questionnaire": min(spreads, default=NAN),
    }


def _smallest(numbers: Iterable[float]) -> float:
    return min((number for number in numbers if not math.isnan(number)), default=NAN)


def _standardize(
    people: Sequence[Measured],
    rule: str,
    values: Sequence[float],
    how: Callable[[Sequence[float]], list[float]],
) -> None:
    """Set a rule's number from values that are compared with one another, where there are enough of them."""
    known = [value for value in values if not math.isnan(value)]
    compared = iter(how(known) if len(known) >= LEAST_PEOPLE else [NAN] * len(known))
    for person, value in zip(people, values, strict=True):
        person.numbers[rule] = NAN if math.isnan(value) else next(compared)
