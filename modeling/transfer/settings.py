"""PURE. What a training and a transfer check are told beside an encoder's own settings. Web processes import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modeling.encoders.settings import CROSS_ENTROPY, OPTIONS, ORDINAL, EncoderSettings

LANGUAGE = "language"  # told apart by: the posts' own column of this name, else what is detected
OTHER_LOSS = {CROSS_ENTROPY: ORDINAL, ORDINAL: CROSS_ENTROPY}
FEWEST_TAUGHT = 20  # different texts, below which nothing is learned that could be judged
MOST_GROUPS = 8


@dataclass(frozen=True)
class TrainingSettings:
    """How an encoder is taught and judged.

    Attributes
    ----------
    encoder : how the encoder is taught
    threshold : from which rating on a value counts as expressed
    both_losses : whether the other loss is tried beside it, on soft and on hard labels

    Raises
    ------
    ValueError
        For a threshold or a choice that is none.
    """

    threshold: int
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    both_losses: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int):
            raise ValueError(f"threshold must be a whole number, not {self.threshold!r:.40}.")
        if not isinstance(self.both_losses, bool):
            raise ValueError(f"both_losses must be true or false, not {self.both_losses!r:.40}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data of which `from_dict` makes the same again."""
        return asdict(self) | {"encoder": self.encoder.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TrainingSettings:
        """Read what `to_dict` wrote. Raises ValueError for what it did not."""
        try:
            encoder = EncoderSettings.from_dict(stored["encoder"])
            return cls(**{name: stored[name] for name in stored if name != "encoder"}, encoder=encoder)
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no settings of a training: {error}") from error


@dataclass(frozen=True)
class CheckSettings:
    """Between which posts an encoder is carried over.

    Attributes
    ----------
    by : a key of the posts' metadata, or "language"
    threshold : from which rating on a value counts as expressed
    train_on, test_on : one source each, or "" for every pair of sources
    fewest_posts : that a source has, with text and labels; smaller ones are left out and named
    test_share : of each source's posts, held out and never taught
    encoder : how each encoder is taught

    Raises
    ------
    ValueError
        Naming all that is wrong.
    """

    by: str
    threshold: int
    train_on: str = ""
    test_on: str = ""
    fewest_posts: int = 50
    test_share: float = 0.3
    encoder: EncoderSettings = field(default_factory=EncoderSettings)

    def __post_init__(self) -> None:
        if faults := self.find_faults(asdict(self)):
            raise ValueError(" ".join(faults.values()))

    @staticmethod
    def find_faults(given: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with these settings, by field."""
        faults = {}
        if not isinstance(given["by"], str) or not 1 <= len(given["by"]) <= 200:
            faults["by"] = "Name the column of the posts by which sources are told apart."
        if isinstance(given["threshold"], bool) or not isinstance(given["threshold"], int):
            faults["threshold"] = f"threshold must be a whole number, not {given['threshold']!r:.40}."
        fewest = given["fewest_posts"]
        if isinstance(fewest, bool) or not isinstance(fewest, int) or not FEWEST_TAUGHT <= fewest <= 100_000:
            faults["fewest_posts"] = f"A source needs {FEWEST_TAUGHT} to 100,000 posts, not {fewest!r:.40}."
        share = given["test_share"]
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0.05 <= share <= 0.9:
            faults["test_share"] = f"The share held out is from 0.05 to 0.9, not {share!r:.40}."
        if bool(given["train_on"]) != bool(given["test_on"]):
            faults["test_on"] = "Name both sources, the one taught and the one judged on, or neither."
        elif given["train_on"] and given["train_on"] == given["test_on"]:
            faults["test_on"] = "Choose another source to judge on than the one taught."
        return faults

    def to_dict(self) -> dict[str, Any]:
        """Return plain data of which `from_dict` makes the same again."""
        return asdict(self) | {"encoder": self.encoder.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CheckSettings:
        """Read what `to_dict` wrote. Raises ValueError for what it did not."""
        try:
            encoder = EncoderSettings.from_dict(stored["encoder"])
            return cls(**{name: stored[name] for name in stored if name != "encoder"}, encoder=encoder)
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no settings of a transfer check: {error}") from error


def name_own(kind: str, **given: Any) -> dict[str, dict[str, Any]]:
    """Return what concerns one kind of encoder alone as `EncoderSettings` takes it; what is empty stays as usual.

    >>> name_own("transformer", folder="/models/small", epochs=None), name_own("linear", folder="/models/small")
    ({'transformer': {'folder': '/models/small'}}, {})
    """
    own = {name: value for name, value in given.items() if value and name in OPTIONS.get(kind, {})}
    return {kind: own} if own else {}


def suggest_threshold(low: int, high: int) -> int:
    """Return the lowest rating of the upper half of a scale: where no expert set says another.

    >>> suggest_threshold(0, 6)
    4
    """
    return (low + high) // 2 + 1
