"""The fitted numbers of the rater simulator, read from the file beside this module.

What each number does in the model, and how well it reproduces the published figures, is told in
`docs/simulation.md`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

SHIPPED_PARAMETERS = Path(__file__).with_name("parameters.json")


@dataclass(frozen=True)
class ValueParameters:
    """How strongly one value is seen in posts, in points of the latent 0-6 scale.

    Attributes
    ----------
    level : float
        Perception of an average rater in an average post. Negative for a value rarely seen.
    spread : float
        How much more of it is seen in a post one standard deviation above the average post.
    """

    level: float
    spread: float


@dataclass(frozen=True)
class SimulationParameters:
    """Every number of the generative model; spreads are standard deviations in latent points.

    Attributes
    ----------
    values : mapping of value key to ValueParameters
        The values the model was fitted on.
    default_value : ValueParameters
        Stands in for a value that `values` does not hold: another value system's.
    post_spread : float
        Common factor on every value's `spread`.
    circle_correlation : float, 0 <= . < 1
        Correlation of neighbours in the circle of values; it decays as a power of their distance.
    leniency_spread : float
        Raters differ in how much of everything they see.
    priority_spread : float
        Raters differ in the values they read into every post.
    reading_spread : float
        Raters differ in what the factors of a post mean to them, value by value.
    n_reading_factors : int, >= 1
        How many directions of a post's profile raters read in their own way.
    reading_factor_seed : int
        Fixes those directions, which belong to the model and not to a draw.
    mood_spread : float
        Shift of one annotation as a whole.
    rating_noise : float
        Noise of every single perception.
    gain_spread : float
        Raters differ in how much of the scale they use: standard deviation of the log of a factor.
    branch_noise : tuple of float, > 0
        Noise of the choice between branches, from the root downwards; the last one serves all deeper nodes.
    open_all_share : float, 0 to 1
        Share of annotations in which every branch is opened, where the node allows several answers.
    inattentive_share : float, 0 to 1
        Share of raters whose ratings do not depend on the post.
    authored_share : float, 0 to 1
        Correlation of an authored post's profile with its authored levels; the rest is drawn.

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """

    values: Mapping[str, ValueParameters]
    default_value: ValueParameters
    post_spread: float
    circle_correlation: float
    leniency_spread: float
    priority_spread: float
    reading_spread: float
    n_reading_factors: int
    reading_factor_seed: int
    mood_spread: float
    rating_noise: float
    gain_spread: float
    branch_noise: tuple[float, ...]
    open_all_share: float
    inattentive_share: float
    authored_share: float

    def __post_init__(self) -> None:
        for field in fields(self):
            number = getattr(self, field.name)
            if field.name.endswith(("_spread", "_noise")) and field.name != "branch_noise":
                _require(math.isfinite(number) and number >= 0, field.name, number, "finite and not negative")
            if field.name.endswith("_share"):
                _require(0 <= number <= 1, field.name, number, "from 0 to 1")
        _require(0 <= self.circle_correlation < 1, "circle_correlation", self.circle_correlation, "in [0, 1)")
        _require(self.n_reading_factors >= 1, "n_reading_factors", self.n_reading_factors, "1 or more")
        _require(
            bool(self.branch_noise) and all(noise > 0 for noise in self.branch_noise),
            "branch_noise",
            self.branch_noise,
            "one or more numbers above 0",
        )

    def value(self, key: str) -> ValueParameters:
        """The numbers of one value, or the default for a value the model was not fitted on."""
        return self.values.get(key, self.default_value)

    def branch_noise_at(self, depth: int) -> float:
        """Noise of the choice at a node `depth` steps below the root."""
        return self.branch_noise[min(depth, len(self.branch_noise) - 1)]


def _require(holds: bool, name: str, number: object, demand: str) -> None:
    if not holds:
        raise ValueError(f"simulation parameter {name} is {number!r}; it must be {demand}")


def load_parameters(path: Path = SHIPPED_PARAMETERS) -> SimulationParameters:
    """Read simulation parameters from JSON; by default the calibrated ones that ship with the code.

    Raises
    ------
    ValueError
        If the file is not JSON, or a parameter is missing, unknown or out of range.
    """
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stored["values"] = {key: ValueParameters(**numbers) for key, numbers in stored["values"].items()}
        stored["default_value"] = ValueParameters(**stored["default_value"])
        stored["branch_noise"] = tuple(stored["branch_noise"])
        return SimulationParameters(**stored)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not hold a full set of simulation parameters: {error}") from error
