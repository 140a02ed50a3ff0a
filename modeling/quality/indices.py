"""PURE. Published figures of how carefully one person answered.

Nothing but the standard library, so that the web process may load it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations, groupby

NAN = float("nan")
MAD_TO_SD = 1.4826
LEAST_SCALES = 3
LEAST_PAIRS = 3


def longest_run(answers: Sequence[object]) -> int:
    """Length of the longest run of the same answer, one after the other; 0 for no answer.

    References
    ----------
    Johnson (2005), Journal of Research in Personality 39(1), 103-129: the long-string index. `longstring` of
    the R package careless gives the same.

    Examples
    --------
    >>> longest_run([3, 3, 4, 4, 4, 3])
    3
    """
    return max((sum(1 for _ in run) for _, run in groupby(answers)), default=0)


def response_sd(answers: Sequence[float]) -> float:
    """Standard deviation of one person's answers, with n - 1; NaN for fewer than two.

    References
    ----------
    Dunn, Heggestad, Shanock & Theilgard (2018), Journal of Business and Psychology 33, 105-121: the
    intra-individual response variability. `irv` of the R package careless gives the same.

    Examples
    --------
    >>> round(response_sd([1, 2, 3, 4, 5, 1, 2, 3, 4, 5]), 4)
    1.4907
    """
    return statistics.stdev(answers) if len(answers) > 1 else NAN


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Pearson's correlation; NaN for fewer than two pairs or where either side is constant.

    Raises
    ------
    ValueError
        If the two are not equally long.
    """
    if len(xs) != len(ys):
        raise ValueError(
            f"a correlation needs pairs; there are {len(xs)} values on one side, {len(ys)} on the other"
        )
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return NAN
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    dx, dy = [x - mean_x for x in xs], [y - mean_y for y in ys]
    spread = math.sqrt(math.fsum(d * d for d in dx) * math.fsum(d * d for d in dy))
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / spread))


def even_odd_consistency(scales: Sequence[Sequence[float]]) -> float:
    """How far the two halves of each scale agree in one person, from -1 to 1.

    Each scale is split into its first, third, ... and its second, fourth, ... answer. The means of the halves
    are correlated over the scales, and the correlation is stepped up to the whole length by Spearman-Brown's
    formula, 2 r / (1 + r), not below -1.

    Parameters
    ----------
    scales : sequence of sequences of float
        One person's answers to the items of each scale, turned the same way. A scale of fewer than two answers
        has no halves and is left out.

    Returns
    -------
    float
        NaN for fewer than three scales, or where a half is the same in all of them.

    References
    ----------
    Jackson's individual reliability, as Johnson (2005), Journal of Research in Personality 39(1), 103-129, gives
    it. `evenodd` of the R package careless gives the same with its sign turned round.

    Examples
    --------
    >>> round(even_odd_consistency([[1, 2], [4, 4], [6, 5]]), 4)
    0.9986
    """
    halves = [
        (statistics.fmean(scale[::2]), statistics.fmean(scale[1::2])) for scale in scales if len(scale) > 1
    ]
    if len(halves) < LEAST_SCALES:
        return NAN
    r = correlation([odd for odd, _ in halves], [even for _, even in halves])
    if math.isnan(r):
        return NAN
    return -1.0 if r <= -1 else max(-1.0, 2 * r / (1 + r))


def find_synonyms(
    answers: Sequence[Mapping[str, float]], critical: float, least_people: int
) -> list[tuple[str, str]]:
    """Pairs of items that go together in a study: whose answers correlate above `critical` over its people.

    Parameters
    ----------
    answers : sequence of mapping of item to answer
        One for each person; an item that is missing was not answered. Items are turned the same way.
    critical : float
        The correlation from which two items count as saying the same.
    least_people : int
        How many must have answered both items.

    References
    ----------
    Meade & Craig (2012), Psychological Methods 17(3), 437-455: psychometric synonyms, with a correlation of .60.
    """
    items = list(dict.fromkeys(item for person in answers for item in person))
    pairs = []
    for one, other in combinations(items, 2):
        both = [(person[one], person[other]) for person in answers if one in person and other in person]
        if len(both) >= least_people and correlation([a for a, _ in both], [b for _, b in both]) > critical:
            pairs.append((one, other))
    return pairs


def synonym_consistency(answers: Mapping[str, float], pairs: Sequence[tuple[str, str]]) -> float:
    """Correlation, within one person, of the answers to the first and second items of the pairs; from -1 to 1.

    NaN for fewer than three pairs that were answered, or where one side is constant. `psychsyn` of the R package
    careless gives the same where it is defined; where one side is constant it draws the sides of each pair anew,
    at random, which this does not.

    References
    ----------
    Meade & Craig (2012), Psychological Methods 17(3), 437-455.
    """
    both = [(answers[one], answers[other]) for one, other in pairs if one in answers and other in answers]
    if len(both) < LEAST_PAIRS:
        return NAN
    return correlation([a for a, _ in both], [b for _, b in both])


def robust_z(values: Sequence[float]) -> list[float]:
    """How far each value lies from the median, in median absolute deviations scaled to a normal's SD.

    NaN for all where that deviation is 0: more than half of the values are the same.

    References
    ----------
    Leys, Ley, Klein, Bernard & Licata (2013), Journal of Experimental Social Psychology 49(4), 764-766.
    """
    if not values:
        return []
    middle = statistics.median(values)
    spread = MAD_TO_SD * statistics.median(abs(value - middle) for value in values)
    return [(value - middle) / spread if spread else NAN for value in values]


def z_scores(values: Sequence[float]) -> list[float]:
    """How far each value lies from the mean, in standard deviations (n - 1); NaN for all where there is none."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    middle = statistics.fmean(values) if values else NAN
    return [(value - middle) / spread if spread else NAN for value in values]


def lower_quantile(values: Sequence[float], share: float) -> float:
    """The value below or at which this share of the values lies, between neighbours in a straight line.

    As NumPy's and R's usual quantile (type 7). NaN for no value. Raises ValueError for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1; {share} does not")
    if not values:
        return NAN
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])
