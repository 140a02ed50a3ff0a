"""Errors planted on purpose: a model that is told what posts say and gets some of it wrong in a known way.

Whoever tests how errors are found needs a model whose errors are known. Here the truth about posts is part of the
script, and so is everything that the model makes of it.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .reader import Guess, make_random
from .shapes import Wanted


@dataclass(frozen=True)
class Misattribution:
    """One value given where another one stands.

    Attributes
    ----------
    given : what the model says
    instead_of : what the post expresses; "" where it expresses nothing
    share : of the posts that express the one and not the other
    replaces : whether the model misses what the post does express
    cured_by : words of a prompt after which the model makes this error no more; "" for none
    """

    given: str
    instead_of: str = ""
    share: float = 0.2
    replaces: bool = False
    cured_by: str = ""


@dataclass(frozen=True)
class Plant:
    """What a model knows and how it errs. The same question always has the same answer.

    Attributes
    ----------
    known : text of a post -> rating of each value that it expresses; other values have the lowest rating
    threshold : the rating from which on a value counts as expressed
    misattributions : systematic errors, the same in every sample
    misses : share of the values expressed that the model does not see, the same in every sample
    inventions : share of the values not expressed that it sees all the same
    instability : share of the values it sees that a single answer leaves out, where temperature is above 0
    doubt : probability that it gives to the other side of the threshold
    model : the one model concerned; "" for every model
    seed : of all that is drawn
    """

    known: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    threshold: int = 3
    misattributions: tuple[Misattribution, ...] = ()
    misses: float = 0.0
    inventions: float = 0.0
    instability: float = 0.0
    doubt: float = 0.1
    model: str = ""
    seed: int = 0

    def knows(self, model: str, text: str) -> bool:
        """Whether this model's answer about this post is planted."""
        return text in self.known and self.model in ("", model)

    def guess(
        self,
        model: str,
        text: str,
        told: str,
        wanted: Iterable[Wanted],
        *,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> dict[str, Guess]:
        """Return what the model says of each concept wanted. `told` are the words of the prompt."""
        asked = list(wanted)
        ratings = {one.key: self.known[text].get(one.key, one.options[0]) for one in asked}
        read = self._misread(model, text, told, ratings)
        if temperature > 0:
            wavering = make_random(f"{self.seed} waver {seed}", model, text)
            for key, rating in read.items():
                if rating >= self.threshold and wavering.random() < self.instability:
                    read[key] = self.threshold - 2
        return {one.key: self._state(one, read[one.key]) for one in asked}

    def _misread(self, model: str, text: str, told: str, truth: Mapping[str, int]) -> dict[str, int]:
        draw = make_random(f"{self.seed} misread", model, text)
        read = {key: self._err(draw, rating) for key, rating in truth.items()}
        expressed = {key for key, rating in truth.items() if rating >= self.threshold}
        for number, planted in enumerate(self.misattributions):
            applies = planted.instead_of in expressed if planted.instead_of else not expressed
            drawn = make_random(f"{self.seed} plant {number}", model, text).random() < planted.share
            is_cured = bool(planted.cured_by) and planted.cured_by in told
            if drawn and applies and not is_cured and planted.given in truth.keys() - expressed:
                read[planted.given] = self.threshold + 1
                if planted.replaces and planted.instead_of:
                    read[planted.instead_of] = self.threshold - 2
        return read

    def _err(self, draw: random.Random, rating: int) -> int:
        is_wrong = draw.random() < (self.misses if rating >= self.threshold else self.inventions)
        if not is_wrong:
            return rating
        return self.threshold - 2 if rating >= self.threshold else self.threshold + 1

    def _state(self, one: Wanted, rating: int) -> Guess:
        said = min(max(rating, one.options[0]), one.options[-1])
        other = self.threshold - 2 if said >= self.threshold else self.threshold + 1
        other = min(max(other, one.options[0]), one.options[-1])
        probabilities = tuple(
            (1 - self.doubt) * (option == said) + self.doubt * (option == other) for option in one.options
        )
        return Guess(said, one.options, probabilities)


def read_plant(stored: Mapping[str, Any]) -> Plant:
    """Return the plant that JSON holds.

    Raises
    ------
    ValueError
        On an unknown field, naming it and those that there are; for a share that is none.
    """
    _check(stored, Plant, "plant")
    planted = []
    for one in stored.get("misattributions", ()):
        _check(one, Misattribution, "misattribution")
        planted.append(Misattribution(**one))
    plant = Plant(**{**stored, "misattributions": tuple(planted)})
    shares = [plant.misses, plant.inventions, plant.instability, plant.doubt, *(one.share for one in planted)]
    if wrong := [share for share in shares if not 0 <= share <= 1]:
        raise ValueError(f"Shares of a plant lie between 0 and 1, not {wrong[0]}.")
    return plant


def _check(stored: Mapping[str, Any], kind: type, name: str) -> None:
    known = {each.name for each in fields(kind)}
    if unknown := sorted(set(stored) - known):
        raise ValueError(f"A {name} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
