"""What serves: predictions for anyone of whom a history or answers are known, from the files of a fit alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blending import Blend, Intervals, Medians
from .data import BOOSTING, FOREST, LEVEL, MIXED, Floats
from .histogram.few import ReadyForests
from .members import boosting, forest, level, mixed
from .members.base import Arrays, Fitted, Singles
from .units import KNOWN, NEW, name_role

Load = Callable[[str], Mapping[str, NDArray[Any]]]

_UNPACK: Mapping[str, Callable[[Mapping[str, NDArray[Any]]], Fitted]] = {
    BOOSTING: boosting.unpack,
    MIXED: mixed.unpack,
    LEVEL: level.unpack,
}
RATERS_AT_ONCE = 64  # whose predictions are blended in one go
_OF_VIEW = ("weights", "means", "medians", "starts", "below", "above")


@dataclass(frozen=True, eq=False)
class RaterVectors:
    """What is known of one rater, as each member wants it.

    Attributes
    ----------
    view : "known", with a history among the rows fitted to, or "new"
    vectors : member to ndarray of shape (n_features,)
    """

    view: str
    vectors: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions for one rater, each of shape (n_posts, n_values): the rating, and bounds around it."""

    ratings: Floats
    low: Floats
    high: Floats


def pack_blends(
    blends: Mapping[str, Blend],
    bounds: Mapping[str, Intervals],
    *,
    value_keys: tuple[str, ...],
    scale: tuple[int, int],
) -> Arrays:
    """Return the small file of a fit from which everything else is found, as plain arrays."""
    about = {
        "value_keys": value_keys,
        "scale": scale,
        "names": {view: blend.names for view, blend in blends.items()},
        "coverage": {view: of_view.coverage for view, of_view in bounds.items()},
    }
    arrays: Arrays = {"about": np.array(json.dumps(about))}
    for view, blend in blends.items():
        of_view = bounds[view]
        of_blend = (blend.weights, blend.medians.means, blend.medians.medians)
        held = (*of_blend, of_view.starts, of_view.below, of_view.above)
        arrays |= {f"{view}_{name}": array for name, array in zip(_OF_VIEW, held, strict=True)}
    return arrays


@dataclass(frozen=True, eq=False)
class _View:
    names: tuple[str, ...]
    weights: Floats
    medians: Medians
    bounds: Intervals

    @property
    def used(self) -> dict[str, float]:
        """The members that have a weight, the consensus among them, and it."""
        return {name: float(w) for name, w in zip(self.names, self.weights, strict=True) if w > 0}

    def blend(self, said: Sequence[NDArray[Any]]) -> Floats:
        """Return what the used members make together; one that can say nothing of a pair is left out of it there."""
        total = np.zeros(said[0].shape)
        mass = np.zeros(said[0].shape)
        for table, weight in zip(said, self.used.values(), strict=True):
            present = ~np.isnan(table)
            total += np.where(present, weight * table.astype(np.float64), 0.0)
            mass += weight * present
        with np.errstate(invalid="ignore"):
            return self.medians.apply(total / mass)


class Personalizer:
    """A fit that serves.

    Parameters
    ----------
    load : callable
        Returns the arrays of the file of a role; asked only for what a prediction needs.
    blends : mapping of str to ndarray, as from `pack_blends`

    Raises
    ------
    ValueError
        If the blends are not whole; later, if a file is not what its role says.
    """

    def __init__(self, load: Load, blends: Mapping[str, NDArray[Any]]) -> None:
        self._load = load
        self._fitted: dict[str, Fitted] = {}
        self._ready: ReadyForests | None = None
        try:
            about = json.loads(str(blends["about"]))
            self.value_keys: tuple[str, ...] = tuple(about["value_keys"])
            low, high = (int(end) for end in about["scale"])
            self.scale = (low, high)
            self._views = {view: self._read_view(view, about, blends) for view in (KNOWN, NEW)}
        except (KeyError, TypeError) as error:
            raise ValueError(f"the blends of this fit are not whole ({error!r}); fit again") from error

    def _read_view(self, view: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> _View:
        weights, means, medians, starts, below, above = (
            arrays[f"{view}_{name}"].astype(np.float64) for name in _OF_VIEW
        )
        names = tuple(about["names"][view])
        is_whole = len(weights) == len(names) and len(means) == len(medians)
        if not is_whole or len(below) != len(above) or len(starts) != len(below) - 1:
            raise ValueError(f"the blend of {view} raters is not whole; fit again")
        bounds = Intervals(starts, below, above, self.scale, float(about["coverage"][view]))
        return _View(names, weights, Medians(means, medians), bounds)

    @property
    def weights(self) -> dict[str, dict[str, float]]:
        """For known and new raters the weight of each member that has one, the plain consensus among them."""
        return {view: held.used for view, held in self._views.items()}

    def describe_known(self, rater: int) -> RaterVectors:
        """Return what is known of a rater of the rows fitted to, by their code."""
        return RaterVectors(
            KNOWN, {name: self._known_raters(name, 0)[rater] for name in self._members(KNOWN)}
        )

    def describe_new(self, answers: Floats) -> RaterVectors:
        """Return what is known of someone by their answers alone, shape (n_questions,); NaN where unanswered."""
        table = np.asarray(answers, dtype=np.float64)[None]
        return RaterVectors(
            NEW, {name: self._member(name, NEW, 0).describe(table)[0] for name in self._members(NEW)}
        )

    def predict(self, consensus: Floats, rater: RaterVectors) -> Predicted:
        """Predict posts of this consensus, shape (n_posts, n_values), for one rater."""
        held = self._views[rater.view]
        said = []
        for name in held.used:
            if name == FOREST:
                said.append(self._say_few(consensus, rater.vectors[name]))
            elif name in rater.vectors:
                vectors = np.broadcast_to(rater.vectors[name], (len(consensus), len(rater.vectors[name])))
                said.append(self._member(name, rater.view, 0).predict(consensus, vectors))
            else:
                said.append(np.asarray(consensus, dtype=np.float64))
        ratings = held.blend(said)
        return Predicted(ratings, *held.bounds.apply(ratings))

    def _say_few(self, consensus: Floats, vector: Floats) -> Floats:
        """What the forests of all values say of some posts for one rater; they are kept in little memory for it."""
        if self._ready is None:
            self._ready = ReadyForests(
                forest.unpack(self._load(name_role(FOREST, KNOWN, key))).forests[value]
                for value, key in enumerate(self.value_keys)
            )
        rounded = forest.round_consensus(consensus, self.scale)
        return self._ready.score(rounded, vector[None])[:, 0].T.astype(np.float64)

    def score_all(self, value: int, consensus: Floats, *, n_threads: int = 1) -> Singles:
        """Predict one value for all known raters and these posts, shape (n_raters, n_posts)."""
        vectors = {name: self._known_raters(name, value) for name in self._members(KNOWN)}
        return self._score(value, consensus, vectors, KNOWN, n_threads)

    def _members(self, view: str) -> list[str]:
        return [name for name in self._views[view].used if name == FOREST or name in _UNPACK]

    def _known_raters(self, name: str, value: int) -> Floats:
        known = self._member(name, KNOWN, value).known
        if known is None:
            raise ValueError(f"the file of {name} holds no rater; fit again")
        return known

    def _score(
        self, value: int, consensus: Floats, vectors: Mapping[str, Floats], view: str, n_threads: int
    ) -> Singles:
        held = self._views[view]
        n_raters = len(next(iter(vectors.values()), np.empty((1, 0))))
        said = []
        for name in held.used:
            if name in vectors:
                member = self._member(name, view, value)
                said.append(member.score_all(value, consensus, vectors[name], n_threads=n_threads))
            else:
                said.append(
                    np.broadcast_to(consensus[:, value].astype(np.float32), (n_raters, len(consensus)))
                )
        scores = np.empty((n_raters, len(consensus)), dtype=np.float32)
        for first in range(0, n_raters, RATERS_AT_ONCE):
            some = slice(first, first + RATERS_AT_ONCE)
            scores[some] = held.blend([each[some] for each in said])
        return scores

    def _member(self, name: str, view: str, value: int) -> Fitted:
        """A fitted member; a forest is loaded value by value, and the same one serves known raters and new ones."""
        role = name_role(name, KNOWN, self.value_keys[value]) if name == FOREST else name_role(name, view)
        if role not in self._fitted:
            unpack = forest.unpack if name == FOREST else _UNPACK[name]
            self._fitted[role] = unpack(self._load(role))
        return self._fitted[role]
