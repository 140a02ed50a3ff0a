"""What decides the answers of a walk through the study: the interface, and a simulated rater behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from modeling.simulation.page import Answer, Control
from modeling.simulation.parameters import SimulationParameters
from modeling.simulation.population import Branch, Population, Reading, Scale, answer_question, read_post

NONE_OF_THESE = "none"

# Invented; age, gender and party lean on the published sample. An option not listed still has a small share.
_INVENTED_SHARES: Mapping[str, Mapping[str, float]] = {
    "consent": {"yes": 1.0, "no": 0.0},
    "gender": {"woman": 0.5, "female": 0.5, "man": 0.47, "male": 0.47, "non_binary": 0.02},
    "ethnicity": {
        "white": 0.62,
        "hispanic": 0.14,
        "black": 0.13,
        "asian": 0.07,
        "indigenous": 0.02,
        "middle_eastern": 0.01,
        "pacific_islander": 0.01,
    },
    "party": {"democrat": 0.3, "republican": 0.29, "independent": 0.33, "other": 0.05},
    "party_lean": {"democrat": 0.4, "republican": 0.38, "neither": 0.2},
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
_DECLINED = "prefer_not_to_say"  # a rare answer also where no shares are known
# Whoever named a party leans to it.
_REPEATS: Mapping[str, str] = {"party_lean": "party"}
_SECOND_SHARE = 0.1  # of those who may mark several options
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

    def field(self, name: str, control: Control) -> Answer:
        """Answer anything else: consent, the rationale, questions about the rater."""

    def solve(self, riddle: str) -> str:
        """The number that a sentence in words describes, in digits."""


@dataclass(frozen=True)
class Lessons:
    """What a simulated rater reads off the pages as a careful person does, without a view of its own.

    `readings` are the right answers of practice and gate posts, by text; `told` the answers that a grid's row asks for,
    by field; `numbers` what the sentences of an attention check come to.
    """

    readings: Mapping[str, Reading] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


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
    lessons : Lessons
        What the study teaches and asks besides posts to judge.
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
        lessons: Lessons | None = None,
    ) -> None:
        self._population = population
        self._rater = rater
        self._profiles = {_flatten(text): profile for text, profile in profiles.items()}
        self._tree = tree
        self._parameters = parameters
        self._scale = scale
        self._rng = rng
        self._lessons = lessons or Lessons()
        self._picked: dict[str, str] = {}
        self._readings: dict[str, Reading] = {
            _flatten(text): reading for text, reading in self._lessons.readings.items()
        }

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

    def field(self, name: str, control: Control) -> Answer:
        """An invented answer: consent is always given, a rationale now and then; a grid's instruction is obeyed."""
        if name in self._lessons.told:
            return self._lessons.told[name]
        if control.takes_several:
            return self._pick_several(name, control)
        if control.is_choice:
            return self._pick(name, control.options)
        if control.kind in ("number", "range") or "data-number" in control.attributes:
            return self._number(name, control.attributes)
        if name == "rationale":
            return "It reads that way to me." if self._rng.random() < _RATIONALE_SHARE else ""
        return "Nothing to add"

    def solve(self, riddle: str) -> str:
        """The number in digits.

        Raises
        ------
        ValueError
            If the sentence is not one that the lessons hold.
        """
        try:
            return str(self._lessons.numbers[_flatten(riddle)])
        except KeyError:
            raise ValueError(f"no number is known for {riddle!r:.80}") from None

    def _pick(self, name: str, offered: Sequence[str]) -> str:
        # An empty option only says "please choose".
        options = [option for option in offered if option] or list(offered)
        if not options:
            raise ValueError(f"field {name} offers nothing to choose from")
        repeated = self._picked.get(_REPEATS.get(name, ""))
        if repeated in options:
            return repeated
        shares: Mapping[str, float] = _INVENTED_SHARES.get(name, {})
        usual = _UNLISTED_SHARE if shares else 1.0
        weights = np.array(
            [
                shares.get(option.lower(), _UNLISTED_SHARE if option == _DECLINED else usual)
                for option in options
            ]
        )
        if weights.sum() == 0:
            weights = np.ones(len(options))
        self._picked[name] = options[int(self._rng.choice(len(options), p=weights / weights.sum()))]
        return self._picked[name]

    def _pick_several(self, name: str, control: Control) -> list[str]:
        """One option that goes alone, or as many of the others as the page asks for, seldom one more."""
        free = [option for option in control.options if option not in control.exclusive]
        chosen = [self._pick(name, control.options)]
        if chosen[0] in control.exclusive:
            return chosen
        least = int(control.attributes.get("data-min") or 1)
        most = int(control.attributes.get("data-max") or len(free))
        n_wanted = max(least, 1 + int(self._rng.random() < _SECOND_SHARE))
        while len(chosen) < min(n_wanted, most, len(free)):
            chosen.append(self._pick(name, [option for option in free if option not in chosen]))
        return chosen

    def _number(self, name: str, attributes: Mapping[str, str]) -> str:
        lowest = int(attributes.get("min") or attributes.get("data-min") or 0)
        highest = int(attributes.get("max") or attributes.get("data-max") or lowest + 100)
        if name == "age":
            return str(int(np.clip(self._rng.normal(_AGE_MEAN, _AGE_SPREAD), max(lowest, 18), highest)))
        return str(int(self._rng.integers(lowest, highest + 1)))

    def _read(self, post_text: str) -> Reading:
        known = _flatten(post_text)
        if known not in self._readings:
            profile = self._profile(post_text)
            self._readings[known] = read_post(
                self._population, self._rater, profile, self._tree, self._parameters, self._scale, self._rng
            )
        return self._readings[known]

    def _profile(self, post_text: str) -> ArrayLike:
        try:
            return self._profiles[_flatten(post_text)]
        except KeyError:
            raise ValueError(f"no profile is known for the post that begins {post_text[:80]!r}") from None


def _flatten(text: str) -> str:
    """A text with its white space as a browser shows it."""
    return " ".join(text.split())
