"""Recurrent misattributions: a model says one value where experts say another, or nothing, more often than by chance.

A pair "A instead of B" is about the posts in which experts say B and not A. Values that occur together would pass on
each other's faults, so a pair must also hold beside the other pairs found for the same A.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom

from modeling.stats.circumplex import angular_distance, theoretical_angles
from modeling.stats.perception import holm
from modeling.stats.presences import check_same_shape, read_presences

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Misattribution:
    """One pair that was tested: value `given` read where experts say `instead_of`.

    Attributes
    ----------
    given : the value that the model gives and experts do not
    instead_of : the value that experts say; None where they say no value at all
    n_chances : posts in which experts say `instead_of` and not `given`
    n_wrong : of these, posts in which the model gives `given`
    n_replaced : of the wrong ones, posts in which the model also misses `instead_of`; None where that is None
    rate : n_wrong / n_chances
    expected : rate at which the model gives `given` in posts in which experts say neither of the two, nor another
        value found to draw `given`; NaN where there is no such post
    n_elsewhere : how many such posts there are
    ratio : rate / expected; NaN where `expected` is 0 or missing
    p : one-sided exact p, given the other sources of `given`
    p_adjusted : Holm's over all pairs tested
    is_recurrent : whether it is found at the level
    explained_by : where the pair stands out by itself, but not beside these other sources of `given`; else empty
    posts : places of the wrong posts
    """

    given: int
    instead_of: int | None
    n_chances: int
    n_wrong: int
    n_replaced: int | None
    rate: float
    expected: float
    n_elsewhere: int
    ratio: float
    p: float
    p_adjusted: float
    is_recurrent: bool
    explained_by: tuple[int | None, ...]
    posts: Places


@dataclass(frozen=True, eq=False)
class Misattributions:
    """All pairs tested, those found first, then by p.

    Attributes
    ----------
    pairs : tuple of Misattribution
    n_tests : pairs tested, over which Holm's correction runs
    n_posts : posts with at least one value that has both an expert reference and a reading
    n_left_out : the other posts
    n_silent : posts in which experts say no value; only posts of which all values are settled can be such
    level, fewest_chances : as asked for
    untested : (given, instead_of, reason) of the pairs not tested
    reason : why nothing was tested; empty otherwise
    """

    pairs: tuple[Misattribution, ...]
    n_tests: int
    n_posts: int
    n_left_out: int
    n_silent: int
    level: float
    fewest_chances: int
    untested: tuple[tuple[int, int | None, str], ...]
    reason: str

    @property
    def found(self) -> tuple[Misattribution, ...]:
        """The recurrent pairs."""
        return tuple(pair for pair in self.pairs if pair.is_recurrent)


@dataclass(frozen=True)
class ConfusionDistance:
    """How far on the circle of values the value given lies from the one that experts say.

    Attributes
    ----------
    mean_deg : mean angular distance of the confusions, 0 to 180 degrees
    expected_deg : its expectation if values were placed on the circle at random
    low_deg, high_deg : where 95 % of random placements lie
    p : one-sided: share of placements, the true one among them, with confusions as near or nearer
    n_confusions : confusions of two values; a post with several sources counts once, in parts
    n_without_source : values given in posts in which experts say nothing: these have no distance
    n_values, n_permutations
    reason : why there is no distance; empty otherwise
    """

    mean_deg: float
    expected_deg: float
    low_deg: float
    high_deg: float
    p: float
    n_confusions: float
    n_without_source: float
    n_values: int
    n_permutations: int
    reason: str


def find_misattributions(
    truth: ArrayLike, predicted: ArrayLike, *, level: float = 0.05, fewest_chances: int = 10
) -> Misattributions:
    """Find the values that a model gives too often where experts say a certain other value, or none.

    Parameters
    ----------
    truth, predicted : array-like of shape (n_posts, n_values)
        1 where experts (the model) say the value, 0 where not, NaN where it is open or was not read.
    level : float
        Chance of any false alarm among all pairs, at most.
    fewest_chances : int
        A pair is tested when experts say the source, and not the value given, in so many posts or more. This does
        not look at the readings, so it costs nothing of the level.

    Returns
    -------
    Misattributions
        For each pair the posts without A by experts are divided by whether experts say B, and the share to which the
        model gives A compared by Fisher's exact test, one-sided; Holm's correction is over all pairs. Where several
        sources of one A stand out, each is tested again within groups of posts that are alike in the others (exact,
        sums of hypergeometric numbers), the weakest is dropped until all that remain hold, and `p` is the larger of
        the two. A dropped one has `explained_by`.

    Raises
    ------
    ValueError
        If the two differ in shape or hold anything else, `level` is not between 0 and 1, or `fewest_chances` is
        below 1.

    References
    ----------
    Fisher (1935), Journal of the Royal Statistical Society 98(1), 39-82; Mantel and Haenszel (1959), Journal of the
    National Cancer Institute 22(4), 719-748 (the groups; here exact); Holm (1979), Scandinavian Journal of Statistics
    6(2), 65-70.

    Examples
    --------
    >>> truth = np.array([[0, 1]] * 20 + [[0, 0]] * 40)
    >>> readings = np.array([[1, 0]] * 15 + [[0, 1]] * 5 + [[0, 0]] * 40)
    >>> pair = find_misattributions(truth, readings).found[0]
    >>> pair.given, pair.instead_of, pair.n_wrong, pair.n_chances, pair.n_replaced, pair.expected
    (0, 1, 15, 20, 15, 0.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a share between 0 and 1, such as 0.05")
    if fewest_chances < 1:
        raise ValueError(f"fewest_chances is {fewest_chances}: give at least 1")
    true, said = read_presences(truth, "truth"), read_presences(predicted, "predicted")
    check_same_shape(true, said, "predicted")
    n_all, n_values = true.shape
    silent = (true == 0).all(axis=1)
    # Column n_values stands for "experts say nothing": 1 where they do not, never unknown beside a value that is said.
    sources = np.column_stack([true, np.where(silent, 1.0, np.where((true == 1).any(axis=1), 0.0, np.nan))])
    tables = [_Table(sources, said[:, given], given) for given in range(n_values)]
    tests, untested = [], []
    for table in tables:
        for source in range(n_values + 1):
            if source == table.given:
                continue
            why = table.why_untested(source, fewest_chances)
            if why:
                untested.append((table.given, _name(source, n_values), why))
            else:
                tests.append((table.given, source))

    alone = [table.test_alone() for table in tables]
    p_values = np.array([alone[given][source] for given, source in tests])
    limit = level / max(len(tests), 1)
    others: dict[tuple[int, int], tuple[int, ...]] = {}
    explained: dict[tuple[int, int], tuple[int, ...]] = {}
    stands_out = holm(p_values) <= level
    final = p_values.copy()
    for table in tables:
        mine = [k for k, (given, _) in enumerate(tests) if given == table.given and stands_out[k]]
        kept = [tests[k][1] for k in mine]
        joint = dict.fromkeys(kept, 0.0)
        while len(kept) > 1:
            joint = {source: table.test(source, [each for each in kept if each != source]) for source in kept}
            own = {tests[k][1]: p_values[k] for k in mine}
            worst = max(kept, key=lambda source: (joint[source], own[source]))
            if joint[worst] <= limit:
                break
            kept.remove(worst)
            final[tests.index((table.given, worst))] = max(joint[worst], own[worst])
        for k in mine:
            if tests[k][1] not in kept:
                explained[tests[k]] = tuple(kept)
            else:
                others[tests[k]] = tuple(each for each in kept if each != tests[k][1])
                if len(kept) > 1:
                    final[k] = max(p_values[k], joint[tests[k][1]])
    adjusted = holm(final)
    pairs = [
        tables[given].describe(
            source, others.get((given, source), ()), float(final[k]), float(adjusted[k]), said
        )
        for k, (given, source) in enumerate(tests)
    ]
    for k, test in enumerate(tests):
        pairs[k] = replace(
            pairs[k],
            is_recurrent=bool(test in others and adjusted[k] <= level),
            explained_by=tuple(_name(each, n_values) for each in explained.get(test, ())),
        )
    pairs.sort(key=lambda pair: (not pair.is_recurrent, pair.p, pair.given))
    n_posts = int((~np.isnan(true) & ~np.isnan(said)).any(axis=1).sum())
    reason = ""
    if not tests:
        reason = f"no value is said by experts in {fewest_chances} posts without another value that was read"
    return Misattributions(
        pairs=tuple(pairs),
        n_tests=len(tests),
        n_posts=n_posts,
        n_left_out=n_all - n_posts,
        n_silent=int(silent.sum()),
        level=level,
        fewest_chances=fewest_chances,
        untested=tuple(untested),
        reason=reason,
    )


def confusion_counts(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Count which value is given where experts say which other.

    Parameters
    ----------
    truth, predicted : array-like of shape (n_posts, n_values)
        As for `find_misattributions`.

    Returns
    -------
    ndarray of shape (n_values + 1, n_values)
        Row: the value that experts say, the last one for none; column: the value given that they do not say. A value
        wrongly given counts as one, shared equally among the values that experts say and the model misses in that
        post, or, if it misses none, among all that they say. Posts in which experts say nothing and some value is
        open are not counted.

    Raises
    ------
    ValueError
        As for `find_misattributions`.

    Examples
    --------
    >>> confusion_counts([[1, 1, 0], [0, 0, 0]], [[1, 0, 1], [0, 0, 1]]).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    true, said = read_presences(truth, "truth"), read_presences(predicted, "predicted")
    check_same_shape(true, said, "predicted")
    wrong = ((true == 0) & (said == 1)).astype(np.float64)
    is_true, missed = true == 1, (true == 1) & (said == 0)
    sources = np.where(missed.any(axis=1, keepdims=True), missed, is_true).astype(np.float64)
    sources /= np.maximum(sources.sum(axis=1, keepdims=True), 1)
    silent = (true == 0).all(axis=1).astype(np.float64)
    counts: Floats = np.column_stack([sources, silent]).T @ wrong
    return counts


def confusion_distance(
    confusions: ArrayLike | Sequence[Misattribution],
    n_values: int,
    *,
    rng: np.random.Generator,
    n_permutations: int = 2000,
) -> ConfusionDistance:
    """Say whether a model confuses values that are neighbours on the circle.

    Parameters
    ----------
    confusions : array-like of shape (n_values + 1, n_values), or sequence of Misattribution
        Counts as of `confusion_counts`, or pairs, each weighing its wrong posts.
    n_values : int
        Values at equal steps on the circle, in its order.
    rng : numpy.random.Generator
        The same state gives the same range and p.
    n_permutations : int
        How often the places on the circle are dealt anew.

    Returns
    -------
    ConfusionDistance
        NaN without a confusion of two values, or below three values.

    Raises
    ------
    ValueError
        If the counts have another shape, or a number below 0, or a pair names a value that is not there.

    References
    ----------
    Permutation of places: Mantel (1967), Cancer Research 27(2), 209-220.

    Examples
    --------
    >>> neighbours = np.vstack([np.roll(np.eye(8), 1, axis=1), np.zeros(8)])
    >>> found = confusion_distance(neighbours, 8, rng=np.random.default_rng(0))
    >>> found.mean_deg, round(found.expected_deg, 1), found.p < 0.01
    (45.0, 102.9, True)
    """
    if n_permutations < 1:
        raise ValueError(f"n_permutations is {n_permutations}: give at least 1")
    counts = _read_confusions(confusions, n_values)
    between, without = counts[:-1] * (1 - np.eye(n_values)), float(counts[-1].sum())
    total, nan = float(between.sum()), float("nan")
    if not total or n_values < 3:
        reason = (
            "no confusion of two values" if not total else "a circle tells distances apart from three values"
        )
        return ConfusionDistance(nan, nan, nan, nan, nan, total, without, n_values, n_permutations, reason)
    angles = theoretical_angles(n_values)
    distances = angular_distance(angles[:, np.newaxis], angles)
    mean = float((between * distances).sum() / total)
    sources, given = np.nonzero(between)
    weights = between[sources, given] / total
    dealt = rng.permuted(np.tile(np.arange(n_values), (n_permutations, 1)), axis=1)
    means = distances[dealt[:, sources], dealt[:, given]] @ weights
    low, high = (float(end) for end in np.quantile(means, [0.025, 0.975]))
    as_near = int((means <= mean + 1e-9).sum())
    return ConfusionDistance(
        mean_deg=mean,
        expected_deg=float(distances.sum() / (n_values * (n_values - 1))),
        low_deg=low,
        high_deg=high,
        p=(1 + as_near) / (1 + n_permutations),
        n_confusions=total,
        n_without_source=without,
        n_values=n_values,
        n_permutations=n_permutations,
        reason="",
    )


class _Table:
    """The posts in which one value could be wrongly given: experts do not say it, and the model read it."""

    def __init__(self, sources: Floats, said: Floats, given: int) -> None:
        self.given = given
        self.rows = np.flatnonzero((sources[:, given] == 0) & ~np.isnan(said))
        self.sources = sources[self.rows]
        self.wrong: Flags = said[self.rows] == 1
        self.n_values = sources.shape[1] - 1
        # For each source: posts in which it is known, those with it, and how many of both are wrong.
        says, known = self.sources == 1, ~np.isnan(self.sources)
        self.n, self.n_chances = known.sum(axis=0), says.sum(axis=0)
        self.n_marked, self.n_wrong = known[self.wrong].sum(axis=0), says[self.wrong].sum(axis=0)

    def why_untested(self, source: int, fewest_chances: int) -> str:
        n = int(self.n_chances[source])
        if n < fewest_chances:
            return f"{n} post(s) with the source and without the value, below {fewest_chances}"
        return "" if self.n[source] > n else "no post without both to compare with"

    def test_alone(self) -> Floats:
        """One-sided exact p of each source's posts against all others."""
        p = hypergeom.sf(self.n_wrong - 1, self.n, self.n_marked, self.n_chances)
        return np.minimum(np.asarray(p, dtype=np.float64), 1.0)

    def test(self, source: int, others: Sequence[int]) -> float:
        """One-sided exact p of the source's posts against all others, within groups alike in the other sources."""
        known = ~np.isnan(self.sources[:, source])
        is_source, wrong = self.sources[known, source] == 1, self.wrong[known]
        groups = np.zeros(len(wrong), np.int64)
        for other in others:
            levels = np.nan_to_num(self.sources[known, other], nan=2.0).astype(np.int64)
            groups = np.unique(groups * 3 + levels, return_inverse=True)[1]
        n_groups = int(groups.max(initial=-1)) + 1
        n = np.bincount(groups, minlength=n_groups)
        n_chances = np.bincount(groups, is_source, minlength=n_groups).astype(np.int64)
        n_marked = np.bincount(groups, wrong, minlength=n_groups).astype(np.int64)
        return _sum_tail(n, n_marked, n_chances, int((is_source & wrong).sum()))

    def describe(
        self, source: int, others: Sequence[int], p: float, p_adjusted: float, said: Floats
    ) -> Misattribution:
        wrong = np.flatnonzero(self.wrong)
        posts = self.rows[wrong[self.sources[wrong, source] == 1]]
        n_chances = int(self.n_chances[source])
        n_elsewhere = int(self.n[source]) - n_chances
        n_wrong_elsewhere = int(self.n_marked[source] - self.n_wrong[source])
        if others:
            elsewhere = (self.sources[:, [source, *others]] == 0).all(axis=1)
            n_elsewhere, n_wrong_elsewhere = int(elsewhere.sum()), int(elsewhere[self.wrong].sum())
        rate = len(posts) / n_chances
        expected = n_wrong_elsewhere / n_elsewhere if n_elsewhere else float("nan")
        is_value = source < self.n_values
        return Misattribution(
            given=self.given,
            instead_of=_name(source, self.n_values),
            n_chances=n_chances,
            n_wrong=len(posts),
            n_replaced=int((said[posts, source] == 0).sum()) if is_value else None,
            rate=rate,
            expected=expected,
            n_elsewhere=n_elsewhere,
            ratio=rate / expected if expected > 0 else float("nan"),
            p=p,
            p_adjusted=p_adjusted,
            is_recurrent=False,
            explained_by=(),
            posts=posts,
        )


def _sum_tail(n: Places, n_marked: Places, n_chances: Places, n_wrong: int) -> float:
    """Chance that independent hypergeometric numbers, one for each group, sum to `n_wrong` or more."""
    lows = np.maximum(0, n_marked + n_chances - n)
    highs = np.minimum(n_marked, n_chances)
    chances = np.ones(1)
    for group in np.flatnonzero(highs > lows):
        k = np.arange(lows[group], highs[group], dtype=np.float64)
        marked, drawn = float(n_marked[group]), float(n_chances[group])
        # Logarithms of the ratios of neighbouring probabilities: far quicker in large groups than each by itself.
        ratios = (marked - k) * (drawn - k) / ((k + 1) * (n[group] - marked - drawn + k + 1))
        logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
        pmf = np.exp(logs - logs.max())
        chances = np.convolve(chances, pmf / pmf.sum())
    needed = n_wrong - int(lows.sum())
    return min(float(chances[max(needed, 0) :].sum()), 1.0)


def _name(source: int, n_values: int) -> int | None:
    return source if source < n_values else None


def _read_confusions(confusions: ArrayLike | Sequence[Misattribution], n_values: int) -> Floats:
    if n_values < 1:
        raise ValueError(f"n_values is {n_values}: a circle holds at least 1 value")
    pairs = (
        [each for each in confusions if isinstance(each, Misattribution)]
        if isinstance(confusions, Sequence)
        else []
    )
    if isinstance(confusions, Sequence) and len(pairs) == len(confusions):
        counts = np.zeros((n_values + 1, n_values))
        for pair in pairs:
            source = n_values if pair.instead_of is None else pair.instead_of
            if not (0 <= pair.given < n_values and 0 <= source <= n_values):
                raise ValueError(f"a pair names value {pair.given} or {source}: there are {n_values}")
            counts[source, pair.given] += pair.n_wrong
        return counts
    counts = np.asarray(confusions, dtype=np.float64)
    if counts.shape != (n_values + 1, n_values) or not (counts >= 0).all():
        raise ValueError(
            f"confusions has shape {counts.shape}: give counts from 0 upwards, one row per value and one for none, "
            f"({n_values + 1}, {n_values})"
        )
    return counts
