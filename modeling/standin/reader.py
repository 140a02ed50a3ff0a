"""The stand-in's model: it guesses ratings from words and plain features, with noise of its own. It knows nothing.

Its replies look like a model's and are none; whoever stores them marks them so.
"""

import hashlib
import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .learning import Correction
from .lexicon import get_value_index, judge_features, split_words, weigh_concept
from .shapes import FINAL, Wanted

MOST = 6.0  # the scale on which concepts are weighed; another scale is stretched
SPREAD = 0.6  # of the probabilities around what was read, in points of that scale
NOISE = 0.8  # standard deviation of the model's own error, in the same points
FEATURE_NOISE = 0.12  # of the judgement of a plain feature, from 0 to 1
STEEPNESS = 3.2  # of the way from words found to a rating: so much weight gives two thirds of the scale
_FEATURES = {
    "readab": "readability",
    "clarity": "readability",
    "coher": "coherence",
    "spam": "spam",
    "context": "context",
    "sex": "sexual",
    "nud": "sexual",
    "violen": "violent",
    "gore": "violent",
    "derog": "derogatory",
    "hate": "derogatory",
    "insult": "derogatory",
}
UNSAFE = frozenset({"sexual", "violent", "derogatory"})
FLAWS = frozenset({"spam", "context"})
_ORDER_IN_POST = re.compile(
    r"(?:ignore|disregard|forget)\b.{0,80}\b(?:above|previous|instruction|prompt|rules)|\b(?:answer|rate|output|reply)"
    r"\b.{0,40}\b\d",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class PostRead:
    """What a request asks about."""

    text: str
    context: str = ""


@dataclass(frozen=True)
class Guess:
    """What the reader says of one concept: the number, and how likely each option seemed."""

    rating: int
    options: tuple[int, ...]
    probabilities: tuple[float, ...] = ()


class Reader:
    """One model: its name decides its errors, its correction what it was taught."""

    def __init__(self, model: str, correction: Correction | None = None, *, gullible: bool = False) -> None:
        # A tuned model errs where its base errs, only less.
        self.model = model.split(":")[1] if model.startswith("ft:") else model
        self.correction = correction
        self.gullible = gullible
        careless = 1.35 if re.search(r"mini|small|nano|tiny", model) else 1.0
        self._noise = NOISE * careless * (1 - 0.6 * (correction.trust if correction else 0.0))

    def guess(
        self,
        post: PostRead,
        wanted: Iterable[Wanted],
        *,
        temperature: float = 0.0,
        seed: int | None = None,
        with_probabilities: bool = False,
    ) -> dict[str, Guess]:
        """Return a guess for each concept wanted. The same question always gets the same answer.

        At temperature 0 it is the likeliest number and the seed does not matter; above, it is drawn with the seed.
        """
        asked = list(wanted)
        read = self._read(post, asked)
        draw = make_random(f"{seed}", self.model, post.text) if temperature > 0 else None
        guesses = {}
        for one in asked:
            probabilities: tuple[float, ...] = ()
            if draw or with_probabilities:
                probabilities = _spread(read[one.key], one.options)
            if draw:
                tempered = [share ** (1 / max(temperature, 0.05)) for share in probabilities]
                rating = draw.choices(one.options, tempered)[0]
            else:
                rating = min(one.options, key=lambda option, at=read[one.key]: abs(option - at))  # type: ignore[misc]
            guesses[one.key] = Guess(rating, one.options, probabilities)
        return guesses

    def _read(self, post: PostRead, asked: Sequence[Wanted]) -> dict[str, float]:
        words = split_words(post.text)
        known = get_value_index().weigh(words)
        if post.context:
            for key, weight in get_value_index().weigh(split_words(post.context)).items():
                known[key] = known.get(key, 0.0) + weight / 2
        features = judge_features(post.text, words, post.context)
        error = make_random(self.model, post.text)
        taught = self.correction.predict(post.text, post.context) if self.correction else {}
        trust = self.correction.trust if self.correction else 0.0
        order = self.gullible and _ORDER_IN_POST.search(post.text + " " + post.context) is not None
        of_concepts: dict[str, float] = {}
        read = {}
        for one in asked:
            low, high = one.options[0], one.options[-1]
            feature = _find_feature(one.key)
            if one.key == FINAL and of_concepts:
                share = _conclude(of_concepts)
            elif feature:
                # The codebook of comprehensibility rates flaws upside down: more is clearer.
                share = 1 - features[feature] if feature in FLAWS else features[feature]
                share += FEATURE_NOISE * error.gauss(0, self._noise / NOISE)
                of_concepts[feature] = share
            else:
                weight = weigh_concept(one.key, words, known)
                share = 1 - math.exp(-weight / STEEPNESS) + error.gauss(0, self._noise) / MOST
            at = low + share * (high - low)
            if one.key in taught:
                at = (1 - trust) * at + trust * taught[one.key]
            read[one.key] = float(high) if order else min(float(high), max(float(low), at))
        return read


def _find_feature(key: str) -> str | None:
    return next((feature for stem, feature in _FEATURES.items() if stem in key), None)


def _conclude(of_concepts: dict[str, float]) -> float:
    """The final judgement: as unsafe as the worst concept, or as clear as the weakest allows."""
    if UNSAFE & of_concepts.keys():
        return max(of_concepts.values())
    return min(of_concepts.values())


def _spread(at: float, options: tuple[int, ...]) -> tuple[float, ...]:
    width = SPREAD * (options[-1] - options[0]) / MOST
    weights = [math.exp(-(((option - at) / width) ** 2) / 2) for option in options]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def make_random(*parts: str) -> random.Random:
    """Return a source of random numbers that these texts alone decide."""
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
    return random.Random(int.from_bytes(digest))  # noqa: S311 the draw decides no secret
