"""Does a fit see what it must not? Asked by changing ratings and looking whether what must stay the same does.

An audit is of the pipeline, not of its accuracy, so few trees do. A check that compares numbers which chance moves
raises the alarm in one of a hundred honest studies (`LEVEL`); the others compare bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .consensus import PanelConsensus
from .data import BLEND, FOREST, FitData, FitSettings, Floats, Ints
from .fitting import FitResult
from .fitting import fit as fit_honestly
from .members.base import Rows
from .members.history import mean_residuals
from .own_fit import MEASURES, OwnFit, compare_raters
from .plan import MAIN, PERMUTED, plan_tasks, select_rows
from .prepared import Prepared
from .prepared import prepare as prepare_honestly

Fit = Callable[[FitData, FitSettings], FitResult]
Prepare = Callable[[FitData, FitSettings], Prepared]
Flags = NDArray[np.bool_]

HELD_OUT, SET_APART, NULL_STUDY = "held-out ratings", "raters set apart", "exchanged ratings"
CONTROL, OWN_RATING, GIVEN_AWAY, ANSWERS = "permuted control", "own rating", "rating given away", "answers"

CHECKS = (HELD_OUT, SET_APART, NULL_STUDY, CONTROL, OWN_RATING, GIVEN_AWAY, ANSWERS)

LEVEL = 0.01  # of false alarms, for a check as a whole
N_ROUNDS = 3  # of scrambling where raters are shown each other's ratings
N_ROWS_CHANGED = 6
N_SHUFFLES = 8  # of the permuted control
N_NULL_STUDIES = 4
N_EXCHANGES = 499  # of raters within posts, to learn what chance does
LEAST_RATERS_OF_PANELS = 4  # with fewer, one of the two panels is one person
SMALLEST = 1e-12  # of what is no rounding
ALMOST_ONE, LEAST_RATERS, LEAST_LEVELS = 0.9999, 8, 4


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes
    ----------
    name : one of the names of this module
    passed : bool, or None where the check has nothing to look at
    measured, limit : what was measured, and the most that passes; NaN where `passed` is None
    sentence : both in words
    """

    name: str
    passed: bool | None
    measured: float
    limit: float
    sentence: str


@dataclass(frozen=True)
class Audit:
    """All findings, one per check."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(finding.name for finding in self.findings if finding.passed is False)


def cheap_settings(*, seed: int = 1, method: str = BLEND) -> FitSettings:
    """Return settings that fit a small study in a second: they leak where the full ones do."""
    return FitSettings(
        seed=seed,
        method=method,
        n_trees=25,
        n_consensus_folds=3,
        n_inner_folds=2,
        n_inner_trees=8,
        n_curve_trees=0,
    )


def audit(
    data: FitData,
    settings: FitSettings,
    *,
    fit: Fit = fit_honestly,
    prepare: Prepare = prepare_honestly,
    checks: Sequence[str] = CHECKS,
    report: Callable[[str], None] = lambda name: None,
) -> Audit:
    """Look for leaks in how a study is fitted and evaluated.

    The checks, each a finding:

    - "held-out ratings": every rating of held-out posts is changed, and no prediction may. Where raters are shown the
      mean of others instead of what a text says, ratings are changed of raters who share no held-out post, and
      nothing may change for them, nor on posts that they did not rate.
    - "raters set apart": all ratings by raters set apart are changed, and no prediction of a new rater may.
    - "exchanged ratings": ratings change hands within each post, so a post's ratings stay and what tells raters
      apart is gone. No prediction may fit its own rater better than another who was shown the same consensus; how
      much better chance makes it is learnt by exchanging raters again (an exact test, over all predictions at once).
    - "permuted control": the control fitted to shuffled raters must not fit its own rater better than another, over
      several shuffles.
    - "own rating": a row's rating is changed, and nothing that the row is told may: consensus, answers, history.
    - "rating given away": nor may all other rows of the post be told something else, as with a mean of all others:
      beside theirs, what the row is told gives its rating away.
    - "answers": no answer is a mean of the study's own ratings.

    Parameters
    ----------
    data, settings : as for `fit`; see `cheap_settings`
    fit, prepare : what is audited
    checks : names of those to make; all when left out
    report : called with a check's name before it begins

    Raises
    ------
    ValueError
        If the study cannot be fitted, or there is no such check.
    """
    if unknown := set(checks) - set(CHECKS):
        raise ValueError(f"there is no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    honest = fit(data, settings)
    rngs = dict(zip(CHECKS, np.random.default_rng([settings.seed, 17]).spawn(len(CHECKS)), strict=True))
    # Both checks of single rows look at the same changes.
    single_rows = cache(lambda: _change_single_rows(data, settings, prepare, rngs[OWN_RATING]))
    look: dict[str, Callable[[], Finding]] = {
        HELD_OUT: lambda: _change_held_out(data, settings, fit, honest, rngs[HELD_OUT]),
        SET_APART: lambda: _change_set_apart(data, settings, fit, honest, rngs[SET_APART]),
        NULL_STUDY: lambda: _exchange_ratings(data, settings, fit, rngs[NULL_STUDY]),
        CONTROL: lambda: _shuffle_raters(data, settings, fit, rngs[CONTROL]),
        OWN_RATING: lambda: _look_at_rows(single_rows()),
        GIVEN_AWAY: lambda: _look_at_rows_beside(single_rows()),
        ANSWERS: lambda: _compare_answers(data, honest),
    }
    findings = []
    for name in checks:
        report(name)
        findings.append(look[name]())
    return Audit(tuple(findings))


# ---- ratings that must change nothing


def _change_held_out(
    data: FitData, settings: FitSettings, fit: Fit, honest: FitResult, rng: np.random.Generator
) -> Finding:
    is_held_out = np.isin(data.posts, data.posts[honest.test_rows])
    shows_others = honest.prepared.consensus_name == PanelConsensus.name
    changed, n_compared, n_ratings = dict[str, int](), 0, 0
    for _ in range(N_ROUNDS if shows_others else 1):
        chosen = is_held_out
        if shows_others:
            chosen = is_held_out & _pick_strangers(data, is_held_out, rng)
        again = fit(replace(data, ratings=_change(data, chosen, rng)), settings)
        stays = ~np.isin(data.posts, data.posts[chosen]) | np.isin(data.raters, data.raters[chosen])
        held = stays if shows_others else np.ones_like(stays)
        for ours, theirs, rows in _pair_predictions(honest, again):
            n_compared += _compare(ours, theirs, held[rows], changed)
        n_ratings += int(chosen.sum())
    return _say_changed(
        HELD_OUT,
        changed,
        n_compared,
        f"{n_ratings} ratings of {len(np.unique(data.posts[is_held_out]))} held-out posts were changed",
    )


def _change_set_apart(
    data: FitData, settings: FitSettings, fit: Fit, honest: FitResult, rng: np.random.Generator
) -> Finding:
    prepared = honest.prepared
    chosen = prepared.set_apart[data.raters] & ~prepared.set_aside[data.posts]
    if not chosen.any():
        return Finding(
            SET_APART, None, np.nan, np.nan, "No rater was set apart, so there is nothing to check."
        )
    again = fit(replace(data, ratings=_change(data, chosen, rng)), settings)
    changed = dict[str, int]()
    everyone = np.ones(len(honest.new_rows), np.bool_)
    n_compared = _compare(honest.new_predictions, again.new_predictions, everyone, changed)
    what = f"All {int(chosen.sum())} ratings by {int(prepared.set_apart.sum())} raters set apart were changed"
    return _say_changed(SET_APART, changed, n_compared, what)


def _pair_predictions(
    one: FitResult, other: FitResult
) -> Iterator[tuple[Mapping[str, Floats], Mapping[str, Floats], Ints]]:
    """All numbers of two fits by their names, and the rows they are of."""
    bounds = [dict(zip(("lower", "upper"), each.intervals, strict=True)) for each in (one, other)]
    yield {**one.predictions, **bounds[0]}, {**other.predictions, **bounds[1]}, one.test_rows
    yield one.new_predictions, other.new_predictions, one.new_rows
    for kind, curve in one.curves.items():
        theirs = {f"{kind}_{count}": predicted for count, predicted in other.curves.get(kind, {}).items()}
        yield {f"{kind}_{count}": predicted for count, predicted in curve.items()}, theirs, one.new_rows


def _compare(
    ours: Mapping[str, Floats], theirs: Mapping[str, Floats], stays: Flags, changed: dict[str, int]
) -> int:
    """Count rows that differ, by name; what is missing or of another shape differs throughout. Returns all compared."""
    for name, predicted in ours.items():
        other = theirs.get(name)
        if other is None or other.shape != predicted.shape:
            n_changed = len(predicted)
        else:
            differs = (predicted != other) & ~(np.isnan(predicted) & np.isnan(other))
            n_changed = int((differs.any(axis=1) & stays).sum())
        if n_changed:
            changed[name] = changed.get(name, 0) + n_changed
    return int(stays.sum()) * len(ours)


def _say_changed(name: str, changed: Mapping[str, int], n_compared: int, what: str) -> Finding:
    if not n_compared:
        return Finding(name, None, np.nan, np.nan, f"{what}, and no prediction was left to compare.")
    n_changed = sum(changed.values())
    sentence = f"{what}; of {n_compared} predictions that must stay the same, {n_changed} changed"
    if changed:
        sentence += f" ({', '.join(changed)}): they were made with ratings that they are judged by"
    return Finding(name, not n_changed, float(n_changed), 0.0, f"{sentence}.")


def _change(data: FitData, rows: Flags, rng: np.random.Generator) -> Floats:
    """Return the ratings, every one of these rows replaced by another on the scale."""
    low, n_levels = data.scale[0], data.scale[1] - data.scale[0] + 1
    shifts = rng.integers(1, n_levels, data.ratings.shape)
    return np.where(rows[:, None], low + (data.ratings - low + shifts) % n_levels, data.ratings)


def _pick_strangers(data: FitData, rows: Flags, rng: np.random.Generator) -> Flags:
    """Return which rows are by raters picked at random such that no two of them share a post among `rows`."""
    taken: set[int] = set()
    picked = []
    for rater in rng.permutation(np.unique(data.raters[rows])):
        own = set(data.posts[rows & (data.raters == rater)].tolist())
        if not own & taken:
            taken |= own
            picked.append(rater)
    return np.isin(data.raters, picked)


# ---- what a prediction knows of its own rater


def _exchange_ratings(data: FitData, settings: FitSettings, fit: Fit, rng: np.random.Generator) -> Finding:
    gains: dict[tuple[str, str, str], float] = {}
    chance: dict[tuple[str, str, str], Floats] = {}
    for _ in range(N_NULL_STUDIES):
        nobody = replace(data, ratings=data.ratings[_exchange_within_posts(data.posts, rng)])
        result = fit(nobody, settings)
        for view, rows, predictions in (
            ("known", result.test_rows, result.predictions),
            ("new", result.new_rows, result.new_predictions),
        ):
            fits = _compare_raters(nobody, rows, predictions, result, rng)
            if fits is None:
                continue
            labels = [(view, name, measure) for name in predictions for measure in MEASURES]
            exchanged = np.array([fits.exchange(rng) for _ in range(N_EXCHANGES)])
            for label, gain, by_chance in zip(labels, fits.gains(), exchanged.T, strict=True):
                gains[label] = gains.get(label, 0.0) + float(gain) / N_NULL_STUDIES
                chance[label] = chance.get(label, 0.0) + by_chance / N_NULL_STUDIES
    # What is said of all raters alike fits none of them better, and has no chance to.
    labels = [label for label, by_chance in chance.items() if by_chance.std() > SMALLEST]
    if not labels:
        reason = "No prediction told two raters of a post apart, so there is nothing to compare."
        return Finding(NULL_STUDY, None, np.nan, np.nan, reason)
    spreads = {label: chance[label].std() for label in labels}
    highest = np.max([chance[label] / spreads[label] for label in labels], axis=0)
    scores = {label: gains[label] / spreads[label] for label in labels}
    foremost = max(labels, key=scores.__getitem__)
    limit = float(np.quantile(highest, 1 - LEVEL, method="higher"))
    passed = bool(scores[foremost] <= limit)
    view, name, measure = foremost
    return Finding(
        NULL_STUDY,
        passed,
        float(scores[foremost]),
        limit,
        f"With ratings exchanged between the raters of each post, '{name}' of {view} raters fitted its own rater "
        f"better than another by {_say_gain(measure, gains[foremost])}, the most of all predictions: "
        f"{scores[foremost]:.1f} standard errors, where chance reaches {limit:.1f} in one study of {1 / LEVEL:.0f}"
        + ("." if passed else ": raters are known by ratings that the prediction is judged by."),
    )


def _exchange_within_posts(posts: Ints, rng: np.random.Generator) -> Ints:
    """Return for each row the row whose ratings it is given."""
    given = np.empty(len(posts), dtype=np.intp)
    given[np.argsort(posts, kind="stable")] = np.lexsort((rng.random(len(posts)), posts))
    return given


def _shuffle_raters(data: FitData, settings: FitSettings, fit: Fit, rng: np.random.Generator) -> Finding:
    """Over shuffles: a single one may by chance lean the way in which raters do differ, and does so for all of them."""
    gains = []
    for seed in range(settings.seed + 1, settings.seed + 1 + N_SHUFFLES):
        result = fit(data, replace(settings, seed=seed, method=FOREST, n_curve_trees=0))
        control = {PERMUTED: result.predictions[PERMUTED]}
        if fits := _compare_raters(data, result.test_rows, control, result, rng):
            gains.append(fits.gains())
    if len(gains) < 2:
        reason = "No held-out post has two raters to compare, so there is nothing to check."
        return Finding(CONTROL, None, np.nan, np.nan, reason)
    mean, spread = np.mean(gains, axis=0), np.std(gains, axis=0, ddof=1)
    scores = mean / np.maximum(spread / np.sqrt(len(gains)), SMALLEST)
    limit = float(stats.t.ppf(1 - LEVEL / len(MEASURES), len(gains) - 1))
    passed = bool(scores.max() <= limit)
    said = " and ".join(map(_say_gain, MEASURES, mean))
    return Finding(
        CONTROL,
        passed,
        float(scores.max()),
        limit,
        f"Fitted to shuffled raters, predictions fitted their own rater better than another by {said}, over "
        f"{len(gains)} shuffles; the larger is {scores.max():.1f} standard errors, where chance reaches {limit:.1f} "
        f"in one study of {1 / LEVEL:.0f}" + ("." if passed else ": the control knows the person."),
    )


def _compare_raters(
    data: FitData, rows: Ints, predictions: Mapping[str, Floats], result: FitResult, rng: np.random.Generator
) -> OwnFit | None:
    if not len(rows):
        return None
    shown = (result.predictions if rows is result.test_rows else result.new_predictions)[
        result.prepared.consensus_name
    ]
    return compare_raters([*predictions.values()], data.ratings[rows], data.posts[rows], shown, rng=rng)


def _say_gain(measure: str, gain: float) -> str:
    return f"{gain:+.4f} in {measure}" if measure == MEASURES[0] else f"{-gain:+.4f} in {measure}"


# ---- what a row is told


@dataclass(frozen=True)
class _Changes:
    """How many rows were changed, and of how many that was told to the row itself or to all others of its post."""

    n: int
    n_crowded: int
    n_told: int
    n_alone: int


def _change_single_rows(
    data: FitData, settings: FitSettings, prepare: Prepare, rng: np.random.Generator
) -> _Changes:
    prepared = prepare(data, settings)
    task = plan_tasks(prepared, settings)[MAIN]
    rated = rng.permutation(task.fit_rows[~np.isnan(data.ratings[task.fit_rows]).all(axis=1)])
    is_crowded = np.bincount(data.posts)[data.posts] >= LEAST_RATERS_OF_PANELS
    picked = rated[np.argsort(~is_crowded[rated], kind="stable")][:N_ROWS_CHANGED]
    n_told = n_alone = 0
    for row in picked.tolist():
        changed = _change(data, np.arange(len(data.posts)) == row, rng)
        again = prepare(replace(data, ratings=changed), settings)
        n_told += not (
            _is_same(prepared.consensus[row], again.consensus[row])
            and _is_same(prepared.consensus_apart[row], again.consensus_apart[row])
            and _is_same(prepared.answers[data.raters[row]], again.answers[data.raters[row]])
            and _history_stays(select_rows(prepared, task), changed, task.fit_rows, row, settings.seed)
        )
        beside = np.flatnonzero((data.posts == data.posts[row]) & (np.arange(len(data.posts)) != row))
        pairs = zip(prepared.consensus[beside], again.consensus[beside], strict=True)
        n_alone += bool(is_crowded[row]) and not any(_is_same(one, other) for one, other in pairs)
    return _Changes(len(picked), int(is_crowded[picked].sum()), n_told, n_alone)


def _look_at_rows(changes: _Changes) -> Finding:
    return Finding(
        OWN_RATING,
        not changes.n_told,
        float(changes.n_told),
        0.0,
        f"The ratings of {changes.n} rows to fit to were changed, one row at a time; {changes.n_told} of these rows "
        "were told something else for it"
        + (": they are told of their own rating." if changes.n_told else "."),
    )


def _look_at_rows_beside(changes: _Changes) -> Finding:
    if not changes.n_crowded:
        reason = (
            f"No post to fit to has {LEAST_RATERS_OF_PANELS} raters, so it cannot be told who stands alone."
        )
        return Finding(GIVEN_AWAY, None, np.nan, np.nan, reason)
    return Finding(
        GIVEN_AWAY,
        not changes.n_alone,
        float(changes.n_alone),
        0.0,
        f"The ratings of {changes.n_crowded} rows to fit to were changed, one row at a time; for {changes.n_alone} of "
        "them all other rows of the post were told something else"
        + (": beside them, what the row is told gives its rating away." if changes.n_alone else "."),
    )


def _history_stays(rows: Rows, changed: Floats, fit_rows: Ints, row: int, seed: int) -> bool:
    """Whether a row is told the same of its rater's other ratings, the consensus being as it was.

    A consensus from texts hands a rating on to other posts: a detour that all cross-fitting has.
    """
    if rows.answers.shape[1]:
        return True
    place = int(np.flatnonzero(fit_rows == row)[0])
    told = [
        mean_residuals(each, seed=seed)[0][place] for each in (rows, replace(rows, ratings=changed[fit_rows]))
    ]
    return _is_same(*told)


def _is_same(one: Floats, other: Floats) -> bool:
    return np.array_equal(one, other, equal_nan=True)


# ---- what raters are said to have answered


def _compare_answers(data: FitData, honest: FitResult) -> Finding:
    if data.answers is None or not data.answers.shape[1]:
        return Finding(ANSWERS, None, np.nan, np.nan, "There are no answers, so there is nothing to check.")
    is_held_out = np.isin(data.posts, data.posts[honest.test_rows])
    centred = data.ratings - _mean_by(data.ratings, data.posts, data.n_posts)[data.posts]
    highest, question = 0.0, ""
    for table in (data.ratings, centred):
        for rows in (np.ones_like(is_held_out), is_held_out, ~is_held_out):
            means = _mean_by(table[rows], data.raters[rows], data.n_raters)
            for place, answers in enumerate(data.answers.T):
                found = max(_correlate(answers, column) for column in means.T)
                if found > highest:
                    highest, question = found, (*data.question_names, *map(str, range(place + 1)))[place]
    passed = bool(highest <= ALMOST_ONE)
    return Finding(
        ANSWERS,
        passed,
        highest,
        ALMOST_ONE,
        f"The highest correlation of an answer with raters' mean ratings is {highest:.4f}"
        + (f" ('{question}')" if question else "")
        + ("." if passed else ": it is a mean of the ratings that are to be predicted, not an answer."),
    )


def _mean_by(table: Floats, codes: Ints, n: int) -> Floats:
    present = ~np.isnan(table)
    sums, counts = np.zeros((n, table.shape[1])), np.zeros((n, table.shape[1]))
    np.add.at(sums, codes, np.where(present, table, 0.0))
    np.add.at(counts, codes, present)
    with np.errstate(invalid="ignore"):
        means: Floats = sums / counts
    return means


def _correlate(one: Floats, other: Floats) -> float:
    """Absolute correlation over raters; 0 where too few raters or levels would make one by chance."""
    both = ~np.isnan(one) & ~np.isnan(other)
    left, right = one[both], other[both]
    if len(left) < LEAST_RATERS or min(len(np.unique(left)), len(np.unique(right))) < LEAST_LEVELS:
        return 0.0
    return float(abs(np.corrcoef(left, right)[0, 1]))
