"""How the stand-in's model learns from examples: a small correction of its reading, so that tuning it really helps."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .lexicon import get_value_index, judge_features, load_lexicon, split_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

N_HASHED = 384
RIDGE = 6.0


@dataclass(frozen=True)
class Lesson:
    """A post and the ratings wanted of it, by concept."""

    text: str
    context: str
    ratings: Mapping[str, float]


@dataclass(frozen=True)
class Correction:
    """What was learned: a linear reading of words for each concept."""

    keys: tuple[str, ...]
    weights: "NDArray[np.float64]"  # (features, concepts)
    centre: "NDArray[np.float64]"  # (features,)
    level: "NDArray[np.float64]"  # (concepts,)
    trust: float

    def predict(self, text: str, context: str) -> dict[str, float]:
        """Return the rating that the lessons suggest for each concept taught."""
        read = self.level + (_features(text, context) - self.centre) @ self.weights
        return dict(zip(self.keys, read.tolist(), strict=True))


def learn(lessons: Sequence[Lesson]) -> Correction | None:
    """Return what the lessons teach, by ridge regression of their ratings on words; None without lessons.

    A concept that a lesson does not rate counts there as 0. How far the correction is trusted grows with the number
    of lessons.
    """
    import numpy as np

    keys = tuple(dict.fromkeys(key for lesson in lessons for key in lesson.ratings))
    if not keys:
        return None
    features = np.array([_features(lesson.text, lesson.context) for lesson in lessons])
    wanted = np.array([[lesson.ratings.get(key, 0.0) for key in keys] for lesson in lessons])
    centre, level = features.mean(axis=0), wanted.mean(axis=0)
    spread = features - centre
    # The dual form: there are often fewer lessons than features.
    inner = spread @ spread.T + RIDGE * np.eye(len(lessons))
    weights = spread.T @ np.linalg.solve(inner, wanted - level)
    return Correction(keys, weights, centre, level, len(lessons) / (len(lessons) + 40.0))


def _features(text: str, context: str) -> "NDArray[np.float64]":
    import numpy as np

    words = split_words(text)
    around = split_words(context)
    found = get_value_index().weigh(words)
    beside = get_value_index().weigh(around)
    named = [found.get(key, 0.0) + beside.get(key, 0.0) / 2 for key in load_lexicon()["values"]]
    vector: NDArray[Any] = np.zeros(len(named) + 7 + N_HASHED)
    vector[: len(named)] = np.minimum(named, 6.0) / 2
    vector[len(named) : len(named) + 7] = list(judge_features(text, words, context).values())
    for word in {*words, *around}:
        if len(word) > 3:
            vector[len(named) + 7 + zlib.crc32(word[:6].encode()) % N_HASHED] = 1.0
    return vector
