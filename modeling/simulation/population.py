"""Invented raters who read posts, disagree, and walk a value tree as people did in the published study.

The model and how close it comes are described in `docs/simulation.md`. What it makes is for
rehearsing, testing and demonstrating; it is never evidence that a method is accurate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.simulation.parameters import SimulationParameters

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
Scale: TypeAlias = tuple[int, int]

LATENT_POINTS = 7  # the model was fitted to a scale from 0 to 6


@dataclass(frozen=True)
class Branch:
    """An inner node of a value tree, as plain data.

    Attributes
    ----------
    key : str
        Unique in the tree.
    children : tuple of Branch or str
        Inner nodes and, as strings, the keys of values. Read depth first, the strings are the value order.
    several : bool
        Whether more than one of its branches may be marked.

    Raises
    ------
    ValueError
        If there are no children.
    """

    key: str
    children: "tuple[Branch | str, ...]"
    several: bool

    def __post_init__(self) -> None:
        if not self.children:
            raise ValueError(
                f"branch {self.key!r} has no children; give it values or branches, or leave it out"
            )

    def value_keys(self) -> tuple[str, ...]:
        """Keys of all values below, in depth-first order."""
        keys: list[str] = []
        for child in self.children:
            keys.extend(child.value_keys() if isinstance(child, Branch) else (child,))
        return tuple(keys)

    def branches_below(self) -> "tuple[Branch, ...]":
        """All inner nodes below this one, in depth-first order, without itself."""
        found: list[Branch] = []
        for child in self.children:
            if isinstance(child, Branch):
                found += [child, *child.branches_below()]
        return tuple(found)


@dataclass(frozen=True)
class Population:
    """The lasting peculiarities of simulated raters, one row each.

    Attributes
    ----------
    value_keys : tuple of str
        Names the V columns of `priorities` and `reading`.
    leniency : array of shape (n_raters,)
        How much of everything a rater sees, in latent points.
    priorities : array of shape (n_raters, V)
        What a rater reads into every post, in latent points.
    gain : array of shape (n_raters,)
        Factor on the whole perception: use of the scale.
    reading : array of shape (n_raters, V, K)
        What the K factors of a post mean to a rater, in latent points per unit of the factor.
    attentive : boolean array of shape (n_raters,)
        False for raters whose ratings do not depend on the post.
    """

    value_keys: tuple[str, ...]
    leniency: FloatArray
    priorities: FloatArray
    gain: FloatArray
    reading: FloatArray
    attentive: BoolArray

    def __len__(self) -> int:
        return len(self.leniency)

    @classmethod
    def draw(
        cls,
        n_raters: int,
        value_keys: Sequence[str],
        parameters: SimulationParameters,
        rng: np.random.Generator,
    ) -> "Population":
        """Draw raters at random; the same state of `rng` gives the same raters.

        Raises
        ------
        ValueError
            If `n_raters` is negative, or `value_keys` is empty or repeats a key.
        """
        if n_raters < 0:
            raise ValueError(f"n_raters is {n_raters}; it must be 0 or more")
        _require_unique(value_keys, "value")
        n_values = len(value_keys)
        n_factors = min(parameters.n_reading_factors, n_values)
        return cls(
            value_keys=tuple(value_keys),
            leniency=parameters.leniency_spread * rng.standard_normal(n_raters),
            priorities=parameters.priority_spread * _circular_normals(n_raters, n_values, parameters, rng),
            gain=np.exp(parameters.gain_spread * rng.standard_normal(n_raters)),
            reading=parameters.reading_spread * rng.standard_normal((n_raters, n_values, n_factors)),
            attentive=rng.random(n_raters) >= parameters.inattentive_share,
        )


@dataclass(frozen=True)
class Reading:
    """What one rater made of one post.

    Attributes
    ----------
    opened : frozenset of str
        Keys of the branches the rater marked. The root is always open and never listed, so an
        empty set means "none of these".
    ratings : dict of value key to int
        One rating for every value whose parent is open, and for no other.
    """

    opened: frozenset[str]
    ratings: dict[str, int]


@dataclass(frozen=True)
class Readings:
    """What raters made of posts, one row for each (rater, post).

    Attributes
    ----------
    value_keys : tuple of str
        Names the V columns of `ratings` and `rated`.
    branch_keys : tuple of str
        Names the B columns of `opened`: the branches below the root, depth first.
    ratings : integer array of shape (n, V)
        Ratings, with the lower end of the scale where a value was not asked.
    rated : boolean array of shape (n, V)
        True where the value was asked, so that a chosen and an implied minimum stay apart.
    opened : boolean array of shape (n, B)
        True where the branch was marked.
    """

    value_keys: tuple[str, ...]
    branch_keys: tuple[str, ...]
    ratings: IntArray
    rated: BoolArray
    opened: BoolArray


def draw_profiles(
    n_posts: int, value_keys: Sequence[str], parameters: SimulationParameters, rng: np.random.Generator
) -> FloatArray:
    """Draw how strongly posts express each value, compared with other posts.

    Returns
    -------
    array of shape (n_posts, n_values)
        Standard normal for each value; values that are neighbours in `value_keys`, taken as a
        circle, are correlated.

    Raises
    ------
    ValueError
        If `n_posts` is negative, or `value_keys` is empty or repeats a key.
    """
    if n_posts < 0:
        raise ValueError(f"n_posts is {n_posts}; it must be 0 or more")
    _require_unique(value_keys, "value")
    return _circular_normals(n_posts, len(value_keys), parameters, rng)


def profiles_from_levels(
    levels: ArrayLike, parameters: SimulationParameters, rng: np.random.Generator
) -> FloatArray:
    """Turn authored intensities into the profiles that simulated raters read.

    Value by value the levels are standardised over the posts and mixed with a random profile that is
    correlated along the circle, so that what raters see in a post is mostly what its author put there. A value
    whose level is the same in all posts, most of all one that was never authored, is the random
    profile alone.

    Parameters
    ----------
    levels : array-like of shape (n_posts, n_values)
        Authored intensity, usually 0 to 6 and mostly 0. Only its distance from the mean of its column, in
        standard deviations, counts.

    Returns
    -------
    array of shape (n_posts, n_values)
        Mean 0 and variance 1 for every value, up to the chance of the draw. A profile correlates
        with the levels of its value at `parameters.authored_share`.

    Raises
    ------
    ValueError
        If `levels` is not two-dimensional, has no column or holds a number that is not finite.
    """
    authored = np.asarray(levels, dtype=np.float64)
    if authored.ndim != 2 or authored.shape[1] == 0:
        raise ValueError(
            f"levels has shape {authored.shape}; it must be (n_posts, n_values) with n_values > 0"
        )
    if not np.isfinite(authored).all():
        post, value = np.argwhere(~np.isfinite(authored))[0]
        raise ValueError(
            f"levels[{post}, {value}] is {authored[post, value]}; write 0 where nothing is expressed"
        )
    n_posts, n_values = authored.shape
    profiles = _circular_normals(n_posts, n_values, parameters, rng)
    if n_posts == 0:
        return profiles
    # The range, and not the standard deviation, tells equal levels exactly.
    varies = np.ptp(authored, axis=0) > 0
    standardised = (authored - authored.mean(axis=0))[:, varies] / authored.std(axis=0)[varies]
    share = parameters.authored_share
    profiles[:, varies] = share * standardised + np.sqrt(1 - share**2) * profiles[:, varies]
    return profiles


def read_posts(
    population: Population,
    rater_idx: ArrayLike,
    profiles_rows: ArrayLike,
    tree: Branch,
    parameters: SimulationParameters,
    scale: Scale,
    rng: np.random.Generator,
) -> Readings:
    """Let raters read posts through the value tree, many (rater, post) pairs at once.

    At every open node the branches are compared by what the rater perceives below them plus noise;
    the largest is opened, or all of them in the share of annotations that `open_all_share` states,
    where the node allows several. A rater who perceives nothing below any branch of the root marks
    none of them. Values that hang on an open node are rated, all others get the implied minimum.

    Parameters
    ----------
    population : Population
        Its values must be the tree's, in the tree's order.
    rater_idx : integer array-like of shape (n,)
        Row of `population`, for each reading.
    profiles_rows : array-like of shape (n, V)
        Profile of the post that is read, for each reading.
    tree : Branch
        The root. One without branches is a flat system, in which every value is rated.
    scale : tuple of two int
        Lowest and highest rating. The latent range is cut into equal bands, one for each rating.

    Returns
    -------
    Readings
        n rows, in the order given.

    Raises
    ------
    ValueError
        If a key of the tree is repeated, the population was drawn for other values, an index is out of
        range, a shape does not fit or the scale has no two points.
    """
    _require_tree(tree, population)
    raters, profiles = _checked_rows(population, rater_idx, profiles_rows)
    perceived = _perceive(population, raters, profiles, parameters, rng)
    column = {key: index for index, key in enumerate(population.value_keys)}
    open_at = _open_branches(tree, perceived, column, parameters, rng)
    rated = np.zeros(perceived.shape, dtype=np.bool_)
    for node, _ in _nodes_with_depth(tree):
        for child in node.children:
            if isinstance(child, str):
                rated[:, column[child]] = open_at[node.key]

    branch_keys = tuple(branch.key for branch in tree.branches_below())
    opened = np.zeros((len(raters), len(branch_keys)), dtype=np.bool_)
    for index, key in enumerate(branch_keys):
        opened[:, index] = open_at[key]
    return Readings(
        value_keys=population.value_keys,
        branch_keys=branch_keys,
        ratings=np.where(rated, _to_ratings(perceived, scale), scale[0]),
        rated=rated,
        opened=opened,
    )


def read_post(
    population: Population,
    rater: int,
    profile: ArrayLike,
    tree: Branch,
    parameters: SimulationParameters,
    scale: Scale,
    rng: np.random.Generator,
) -> Reading:
    """Let one rater read one post; see `read_posts` for the arguments, the model and the errors.

    `profile` has shape (V,).
    """
    rows = read_posts(population, [rater], [np.asarray(profile)], tree, parameters, scale, rng)
    return Reading(
        opened=frozenset(
            key for key, is_open in zip(rows.branch_keys, rows.opened[0], strict=True) if is_open
        ),
        ratings={
            key: int(rating)
            for key, rating, is_rated in zip(rows.value_keys, rows.ratings[0], rows.rated[0], strict=True)
            if is_rated
        },
    )


def answer_question(
    population: Population,
    rater: int,
    profile: ArrayLike,
    value_index: int,
    parameters: SimulationParameters,
    scale: Scale,
    rng: np.random.Generator,
) -> int:
    """Rate one value of one post when asked outright, with no tree before it: an item of the questionnaire.

    Parameters
    ----------
    profile : array-like of shape (V,)
        The post's profile.
    value_index : int
        Column of the asked value in `population.value_keys`.

    Raises
    ------
    ValueError
        If an index is out of range, the profile has another length or the scale has no two points.
    """
    if not 0 <= value_index < len(population.value_keys):
        raise ValueError(f"value_index is {value_index}; it must be 0 to {len(population.value_keys) - 1}")
    raters, profiles = _checked_rows(population, [rater], [np.asarray(profile)])
    perceived = _perceive(population, raters, profiles, parameters, rng)
    return int(_to_ratings(perceived, scale)[0, value_index])


def _perceive(
    population: Population,
    raters: IntArray,
    profiles: FloatArray,
    parameters: SimulationParameters,
    rng: np.random.Generator,
) -> FloatArray:
    """Continuous perception, shape (n, V), in latent points; 0 and below is "not at all"."""
    n_readings, n_values = profiles.shape
    level = np.array([parameters.value(key).level for key in population.value_keys])
    spread = np.array([parameters.value(key).spread for key in population.value_keys])
    factors = profiles @ _reading_factors(n_values, parameters)
    shared = parameters.post_spread * spread * profiles
    own = np.einsum("nvk,nk->nv", population.reading[raters], factors)
    signal = np.where(population.attentive[raters, None], shared + own, 0.0)
    disposition = population.leniency[raters, None] + population.priorities[raters]
    mood = parameters.mood_spread * rng.standard_normal((n_readings, 1))
    noise = parameters.rating_noise * rng.standard_normal((n_readings, n_values))
    perceived: FloatArray = (level + signal + disposition + mood + noise) * population.gain[raters, None]
    return perceived


def _reading_factors(n_values: int, parameters: SimulationParameters) -> FloatArray:
    """Orthonormal directions of post profiles, shape (V, K). Their own seed makes them part of the model."""
    rng = np.random.default_rng(parameters.reading_factor_seed)
    drawn = rng.standard_normal((n_values, min(parameters.n_reading_factors, n_values)))
    return np.linalg.qr(drawn)[0]


def _circular_normals(
    n_rows: int, n_values: int, parameters: SimulationParameters, rng: np.random.Generator
) -> FloatArray:
    """Standard normal rows whose correlation is `circle_correlation` to the power of the distance."""
    position = np.arange(n_values)
    apart = np.abs(position[:, None] - position)
    distance = np.minimum(apart, n_values - apart)
    correlation = parameters.circle_correlation**distance
    drawn: FloatArray = rng.standard_normal((n_rows, n_values)) @ np.linalg.cholesky(correlation).T
    return drawn


def _open_branches(
    tree: Branch,
    perceived: FloatArray,
    column: dict[str, int],
    parameters: SimulationParameters,
    rng: np.random.Generator,
) -> dict[str, BoolArray]:
    """In which readings each node of the tree is open, the root included: node key to shape (n,)."""
    totals: dict[str, FloatArray] = {}
    _sum_up(tree, np.maximum(perceived, 0.0), column, totals)
    n_readings = len(perceived)
    opens_all = rng.random(n_readings) < parameters.open_all_share
    open_at = {tree.key: np.ones(n_readings, dtype=np.bool_)}
    for node, depth in _nodes_with_depth(tree):
        branches = [child for child in node.children if isinstance(child, Branch)]
        if not branches:
            continue
        total = np.column_stack([totals[branch.key] for branch in branches])
        # The difference of two Gumbel draws is logistic: with two branches this is a logistic comparison.
        noisy = total / parameters.branch_noise_at(depth) + rng.gumbel(size=total.shape)
        marked: BoolArray = np.equal(np.arange(len(branches)), noisy.argmax(axis=1)[:, None])
        if node.several:
            marked |= opens_all[:, None]
        if node is tree:
            marked &= np.any(total > 0, axis=1, keepdims=True)
        for index, branch in enumerate(branches):
            open_at[branch.key] = marked[:, index] & open_at[node.key]
    return open_at


def _sum_up(
    node: Branch, positive: FloatArray, column: dict[str, int], totals: dict[str, FloatArray]
) -> FloatArray:
    """Fill in what is perceived under each node: its own values' mean or its best branch, if that is more."""
    own = [column[child] for child in node.children if isinstance(child, str)]
    parts = [_sum_up(child, positive, column, totals) for child in node.children if isinstance(child, Branch)]
    if own:
        parts.append(positive[:, own].mean(axis=1))
    totals[node.key] = np.max(parts, axis=0)
    return totals[node.key]


def _nodes_with_depth(node: Branch, depth: int = 0) -> Iterator[tuple[Branch, int]]:
    yield node, depth
    for child in node.children:
        if isinstance(child, Branch):
            yield from _nodes_with_depth(child, depth + 1)


def _to_ratings(perceived: FloatArray, scale: Scale) -> IntArray:
    lowest, highest = scale
    if highest <= lowest:
        raise ValueError(f"scale is {scale}; its second number must be above the first")
    n_points = highest - lowest + 1
    bands = np.floor(perceived * (n_points / LATENT_POINTS))
    return lowest + np.clip(bands, 0, n_points - 1).astype(np.int64)


def _checked_rows(
    population: Population, rater_idx: ArrayLike, profiles_rows: ArrayLike
) -> tuple[IntArray, FloatArray]:
    raters = np.asarray(rater_idx, dtype=np.int64)
    profiles = np.asarray(profiles_rows, dtype=np.float64)
    expected = (len(raters) if raters.ndim == 1 else -1, len(population.value_keys))
    if raters.ndim != 1 or profiles.shape != expected:
        raise ValueError(
            f"rater indices of shape {raters.shape} and profiles of shape {profiles.shape} do not fit; "
            f"give (n,) and (n, {len(population.value_keys)})"
        )
    if raters.size and (raters.min() < 0 or raters.max() >= len(population)):
        raise ValueError(
            f"rater indices run from {raters.min()} to {raters.max()}; there are {len(population)} raters"
        )
    return raters, profiles


def _require_tree(tree: Branch, population: Population) -> None:
    _require_unique(tree.value_keys(), "value")
    _require_unique([tree.key, *(branch.key for branch in tree.branches_below())], "branch")
    if tree.value_keys() != population.value_keys:
        raise ValueError(
            f"the tree's values {tree.value_keys()} are not those the population was drawn for, "
            f"{population.value_keys}; draw it with the tree's value_keys()"
        )


def _require_unique(keys: Sequence[str], kind: str) -> None:
    if not keys:
        raise ValueError(f"no {kind} keys are given; at least one is needed")
    repeated = sorted({key for key in keys if list(keys).count(key) > 1})
    if repeated:
        raise ValueError(f"{kind} keys are given more than once: {', '.join(repeated)}")
