"""How an encoder is taught, as a researcher says it. A web process may import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

LINEAR, TRANSFORMER = "linear", "transformer"
CROSS_ENTROPY, ORDINAL = "cross_entropy", "ordinal"
SOFT, HARD = "soft", "hard"
KINDS = {LINEAR: "Words and one linear head", TRANSFORMER: "Transformer"}
LOSSES = {
    CROSS_ENTROPY: "Cross-entropy against the distribution",
    ORDINAL: "Ordinal: points of the scale are in order",
}
LABELS = {SOFT: "The distribution", HARD: "Its likeliest rating"}
MOST_FOLDS = 20


@dataclass(frozen=True)
class Option:
    """One setting of a kind of encoder: its usual value and its bounds, or for a text None."""

    usual: Any
    least: float | None = None
    most: float | None = None

    def find_fault(self, name: str, given: Any) -> str:
        """Return what is wrong with a value, in a sentence; '' when nothing is."""
        if isinstance(self.usual, str):
            return "" if isinstance(given, str) else f"{name} must be a text, not {given!r:.40}."
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if isinstance(self.usual, int) and not isinstance(given, int):
            is_number = False
        if not is_number or not (self.least or 0) <= given <= (self.most or float("inf")):
            what = "a whole number" if isinstance(self.usual, int) else "a number"
            return f"{name} must be {what} from {self.least:,} to {self.most:,}, not {given!r:.40}."
        return ""


OPTIONS: Mapping[str, Mapping[str, Option]] = {
    LINEAR: {
        # 0: chosen by the loss on the development posts
        "penalty": Option(0.0, 0, 1e6),
        "epochs": Option(25, 1, 200),
        "buckets_log2": Option(18, 10, 22),
    },
    TRANSFORMER: {
        "folder": Option(""),
        "epochs": Option(8, 1, 100),
        "batch_size": Option(16, 1, 1024),
        "learning_rate": Option(1e-4, 1e-7, 1.0),
        "head_learning_rate": Option(1e-3, 1e-7, 1.0),
        "weight_decay": Option(0.01, 0, 1),
        "warm_up_share": Option(0.1, 0, 1),
        "patience": Option(2, 1, 100),
        "max_tokens": Option(128, 8, 512),
    },
}


def _usual(kind: str) -> dict[str, Any]:
    return {name: option.usual for name, option in OPTIONS[kind].items()}


@dataclass(frozen=True)
class EncoderSettings:
    """All that a training is told beside its labels.

    Attributes
    ----------
    kind : "linear" or "transformer"
    loss : "cross_entropy" or "ordinal"
    labels : "soft" teaches the distributions, "hard" the likeliest rating of each
    n_folds : in how many parts the posts are dealt for predictions of posts that a model was not taught
    seed : of every draw
    dev_share : of the posts taught, by which it is chosen when to stop
    eval_share : of all posts, held out to judge by where there are no experts
    linear, transformer : what concerns one kind alone, by the names in `OPTIONS`; what is left out is as usual

    Raises
    ------
    ValueError
        Naming all that is wrong.
    """

    kind: str = LINEAR
    loss: str = ORDINAL
    labels: str = SOFT
    n_folds: int = 5
    seed: int = 1
    dev_share: float = 0.15
    eval_share: float = 0.2
    linear: Mapping[str, Any] = field(default_factory=dict)
    transformer: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in OPTIONS:
            given = getattr(self, kind)
            if isinstance(given, Mapping):
                object.__setattr__(self, kind, _usual(kind) | dict(given))
        if faults := self.find_faults({item.name: getattr(self, item.name) for item in fields(self)}):
            raise ValueError(" ".join(faults.values()))

    @staticmethod
    def find_faults(given: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with these settings, by field; what is not given is as usual."""
        usual = {item.name: item.default for item in fields(EncoderSettings)}
        given = usual | {LINEAR: {}, TRANSFORMER: {}} | dict(given)
        faults = {
            name: f"There is no setting {name!r} of an encoder." for name in given.keys() - usual.keys()
        }
        for name, choices in (("kind", KINDS), ("loss", LOSSES), ("labels", LABELS)):
            if given[name] not in list(choices):
                faults[name] = f"{name} must be one of {', '.join(choices)}, not {given[name]!r:.40}."
        bounds = {
            "n_folds": Option(5, 2, MOST_FOLDS),
            "seed": Option(1, 0, 2**31 - 1),
            "dev_share": Option(0.15, 0.01, 0.5),
            "eval_share": Option(0.2, 0.01, 0.9),
        }
        for name, option in bounds.items():
            if fault := option.find_fault(name, given[name]):
                faults[name] = fault
        for kind, options in OPTIONS.items():
            own: Any = given[kind]
            if not isinstance(own, Mapping):
                faults[kind] = f"{kind} must be a mapping of settings, not {given[kind]!r:.40}."
                continue
            for name, value in own.items():
                fault = (
                    options[name].find_fault(f"{kind}.{name}", value)
                    if name in options
                    else f"There is no setting {name!r} of a {kind} encoder; there are {', '.join(options)}."
                )
                if fault:
                    faults[f"{kind}.{name}"] = fault
        return faults

    def to_dict(self) -> dict[str, Any]:
        """Return plain data of which `from_dict` makes the same again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> EncoderSettings:
        """Read what `to_dict` wrote; what is left out is as usual. Raises ValueError naming all that is wrong."""
        if faults := cls.find_faults(stored):
            raise ValueError(" ".join(faults.values()))
        return cls(**stored)
