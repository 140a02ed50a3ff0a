"""What a model of the consensus is to be taught, as a researcher says it. A web process may import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class SetSettings:
    """How a consensus set is drawn. The numbers are the founding paper's.

    Attributes
    ----------
    seed : of the draw, and of the fits whose held-out posts stay out of it
    more_raters_than : a post is eligible with more raters than this
    n_drawn : eligible posts drawn, each as likely as any other
    n_kept : of these, those kept on which raters agree most
    holdout_share : share of the posts that these fits hold out

    Raises
    ------
    ValueError
        If a number is out of range, naming all that are.
    """

    seed: int = 1
    more_raters_than: int = 6
    n_drawn: int = 1000
    n_kept: int = 600
    holdout_share: float = 0.28

    def __post_init__(self) -> None:
        if faults := self.find_faults(asdict(self)):
            raise ValueError(" ".join(faults.values()))

    @staticmethod
    def find_faults(given: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with these numbers, by field."""
        faults = {}
        if not 0 <= given["seed"] < 2**31:
            faults["seed"] = "The seed is a whole number from 0 to 2,147,483,647."
        if given["more_raters_than"] < 1:
            faults["more_raters_than"] = "Agreement takes two raters: give 1 or more."
        if given["n_drawn"] < 1:
            faults["n_drawn"] = "Draw at least 1 post."
        elif not 1 <= given["n_kept"] <= given["n_drawn"]:
            faults["n_kept"] = f"Keep from 1 post to as many as are drawn, which is {given['n_drawn']:,}."
        if not 0 < given["holdout_share"] < 1:
            faults["holdout_share"] = "The share of held-out posts lies between 0 and 1."
        return faults


@dataclass(frozen=True)
class Teaching:
    """All that a fine-tuning is told beside its base and its name.

    Attributes
    ----------
    consensus_set : how the posts are drawn
    n_epochs : how often the provider goes through them
    input_price, output_price : of the resulting model, in dollars per million tokens
    """

    consensus_set: SetSettings
    n_epochs: int = 3
    input_price: Decimal = Decimal(0)
    output_price: Decimal = Decimal(0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data of which `from_dict` makes the same again."""
        return asdict(self.consensus_set) | {
            "n_epochs": self.n_epochs,
            "input_price": str(self.input_price),
            "output_price": str(self.output_price),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Teaching:
        """Read what `to_dict` wrote."""
        return cls(
            SetSettings(**{field.name: stored[field.name] for field in fields(SetSettings)}),
            n_epochs=stored["n_epochs"],
            input_price=Decimal(stored["input_price"]),
            output_price=Decimal(stored["output_price"]),
        )
