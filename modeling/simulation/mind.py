"""What decides the answers of a walk through the study: the interface, and a simulated rater behind it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from modeling.simulation.page import Control
from modeling.simulation.parameters import SimulationParameters
from modeling.simulation.population import Branch, Population, Reading, Scale, answer_question, read_post

NONE_OF_THESE = "none"

# Invented; age, gender and party lean on the published sample. An option not listed still has a small share.
_INVENTED_SHARES: Mapping[str, Mapping[str, float]] = {
    "consent": {"yes": 1.0, "no": 0.0},
    "gender": {"woman": 0.5, "female": 0.5, "man": 0.47, "male": 0.47, "non_binary": 0.02},
    "party": {"democrat": 0.3, "republican": 0.29, "independent": 0.33, "other": 0.05},
    "education": {
        "high_school": 0.25,
        "some_college": 0.2,
        "associate": 0.11,
        "bachelor": 0.26,
        "graduate": 0.15,
    },
    "ideology": {
        "very_liberal": 0.11,
        "liberal": 0.18,
        "slightly_liberal": 0.12,
        "moderate": 0.24,
        "slightly_conservative": 0.11,
        "conservative": 0.15,
        "very_conservative": 0.07,
    },
    "social_media_use": {"several_times_a_day": 0.55, "daily": 0.24, "weekly": 0.12, "less_often": 0.06},
}
_UNLISTED_SHARE = 0.02
_AGE_MEAN, _AGE_SPREAD = 45.0, 15.0
_RATIONALE_SHARE = 0.1


class Mind(Protocol):
    """Whatever decides the answers of a walk. `options` are what the page offers, in its order."""

    def choose_branches(self, post_text: str, node_key: str, options: Sequence[str]) -> list[str]:
        """Which of a node's branches to mark, or `["none"]`."""

    def rate(self, post_text: str, value_key: str, options: Sequence[int]) -> int:
        """Rate a value that the tree led to."""

    def question(self, post_text: str, value_key: str, options: Sequence[int]) -> int:
        """Rate a value asked outright, in the calibration questionnaire."""

    def field(self, name: str, control: Control) -> str:
        """Answer anything else: consent, the rationale, questions about the rater."""


class SimulatedMind:
    """A mind that answers as one rater of a simulated population; one for each walk.

    It reads a post once and answers every group of the labeling form from that reading.

    Parameters
    ----------
    population : Population
    rater : int
        Row of `population`.
    profiles : mapping of post text to array-like of shape (V,)
        Every post that the study may show. White space is compared as a browser shows it.
    tree : Branch
        The study's value tree, with the keys that its pages use.
    parameters : SimulationParameters
    scale : tuple of two int
        Lowest and highest raw rating.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        population: Population,
        rater: int,
        profiles: Mapping[str, ArrayLike],
        tree: Branch,
        parameters: SimulationParameters,
        scale: Scale,
        rng: np.random.Generator,
    ) -> None:
        self._population = population
        self._rater = rater
        self._profiles = {" ".join(text.split()): profile for text, profile in profiles.items()}
        self._tree = tree
        self._parameters = parameters
        self._scale = scale
        self._rng = rng
        self._readings: dict[str, Reading] = {}

    def choose_branches(self, post_text: str, node_key: str, options: Sequence[str]) -> list[str]:
        """The offered branches that the reading opened, or `["none"]`.

        Raises
        ------
        ValueError
            If the post has no profile, here and in `rate` and `question`.
        """
        opened = self._read(post_text).opened
        return [option for option in options if option in opened] or [NONE_OF_THESE]

    def rate(self, post_text: str, value_key: str, options: Sequence[int]) -> int:
        """The rating from the reading.

        Raises
        ------
        ValueError
            If the page asks for a value under a branch that was not marked.
        """
        ratings = self._read(post_text).ratings
        if value_key not in ratings:
            raise ValueError(f"the page asks for {value_key}, but no branch above it was marked")
        return ratings[value_key]

    def question(self, post_text: str, value_key: str, options: Sequence[int]) -> int:
        """A direct rating, made afresh at every call."""
        if value_key not in self._population.value_keys:
            raise ValueError(f"the page asks for {value_key}, which the population was not drawn for")
        return answer_question(
            self._population,
            self._rater,
            self._profile(post_text),
            self._population.value_keys.index(value_key),
            self._parameters,
            self._scale,
            self._rng,
        )

    def field(self, name: str, control: Control) -> str:
        """An invented answer: consent is always given, a rationale now and then."""
        if control.is_choice:
            return self._pick(name, control)
        if control.kind in ("number", "range"):
            return self._number(name, control)
        if name == "rationale":
            return "It reads that way to me." if self._rng.random() < _RATIONALE_SHARE else ""
        return "Nothing to add"

    def _pick(self, name: str, control: Control) -> str:
        # An empty option only says "please choose".
        options = [option for option in control.options if option] or control.options
        if not options:
            raise ValueError(f"field {name} offers nothing to choose from")
        shares = _INVENTED_SHARES.get(name, {})
        weights = np.array([shares.get(option.lower(), _UNLISTED_SHARE) for option in options])
        if weights.sum() == 0:
            weights = np.ones(len(options))
        return options[int(self._rng.choice(len(options), p=weights / weights.sum()))]

    def _number(self, name: str, control: Control) -> str:
        lowest = int(control.attributes.get("min") or 0)
        highest = int(control.attributes.get("max") or lowest + 100)
        if name == "age":
            return str(int(np.clip(self._rng.normal(_AGE_MEAN, _AGE_SPREAD), max(lowest, 18), highest)))
        return str(int(self._rng.integers(lowest, highest + 1)))

    def _read(self, post_text: str) -> Reading:
        if post_text not in self._readings:
            profile = self._profile(post_text)
            self._readings[post_text] = read_post(
                self._population, self._rater, profile, self._tree, self._parameters, self._scale, self._rng
            )
        return self._readings[post_text]

    def _profile(self, post_text: str) -> ArrayLike:
        try:
            return self._profiles[" ".join(post_text.split())]
        except KeyError:
            raise ValueError(f"no profile is known for the post that begins {post_text[:80]!r}") from None
