"""Whose ratings soft labels are made of, and with which weights. A web process may import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

RUN, PEOPLE, EXPERTS, VERIFIED = "run", "people", "experts", "verified"
KINDS = {
    RUN: "Run of an annotator model",
    PEOPLE: "People",
    EXPERTS: "Experts",
    VERIFIED: "Experts’ decisions on flagged posts",
}
SAMPLES, LOGPROBS = "samples", "logprobs"
READS = {SAMPLES: "How often each rating was given", LOGPROBS: "Probabilities of the ratings"}
MOST_WEIGHT = 1000.0
MOST_SMOOTHING = 10.0
MOST_SOURCES = 20


@dataclass(frozen=True)
class Source:
    """One of those whose ratings are mixed.

    Attributes
    ----------
    kind : "run", "people", "experts" or "verified"
    number : of the run, the expert set or the verification; None for people
    weight : how much it counts beside the others; only ratios matter
    reads : of a run, "samples" for how often each rating was given, "logprobs" for the model's probabilities
    smoothing : added to the count of each point of the scale before counts become shares
    """

    kind: str
    number: int | None = None
    weight: float = 1.0
    reads: str = SAMPLES
    smoothing: float = 0.0

    def find_faults(self) -> dict[str, str]:
        """Return what is wrong, by field."""
        faults = {}
        if self.kind not in KINDS:
            faults["kind"] = f"A source must be one of {', '.join(KINDS)}, not {self.kind!r:.40}."
        if (self.kind == PEOPLE) != (self.number is None):
            faults["number"] = "A source other than people has a number, and people have none."
        if not _is_number(self.weight) or not 0 < self.weight <= MOST_WEIGHT:
            faults["weight"] = f"A weight is above 0 and at most {MOST_WEIGHT:,.0f}, not {self.weight!r:.40}."
        if self.reads not in READS:
            faults["reads"] = f"A run is read by one of {', '.join(READS)}, not {self.reads!r:.40}."
        elif self.reads == LOGPROBS and self.kind != RUN:
            faults["reads"] = "Only a model’s run has probabilities."
        if not _is_number(self.smoothing) or not 0 <= self.smoothing <= MOST_SMOOTHING:
            faults["smoothing"] = (
                f"Smoothing is from 0 to {MOST_SMOOTHING:g} per point, not {self.smoothing!r:.40}."
            )
        elif self.smoothing and self.reads == LOGPROBS:
            faults["smoothing"] = "Probabilities are not smoothed: only counts are."
        return faults


@dataclass(frozen=True)
class SoftLabelSettings:
    """The sources, and by which inclusion rule people count (as `InclusionRule.as_dict` gives it).

    Raises
    ------
    ValueError
        Naming all that is wrong.
    """

    sources: tuple[Source, ...]
    rule: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if faults := self.find_faults(self.sources):
            raise ValueError(" ".join(faults.values()))

    @staticmethod
    def find_faults(sources: Sequence[Source]) -> dict[str, str]:
        """Return what is wrong, by the source's place and field, such as "0.weight"; "" for all of them."""
        faults = {
            f"{place}.{name}": fault
            for place, source in enumerate(sources)
            for name, fault in source.find_faults().items()
        }
        if not 1 <= len(sources) <= MOST_SOURCES:
            faults[""] = f"Choose from 1 to {MOST_SOURCES} sources."
        if len({(source.kind, source.number, source.reads) for source in sources}) < len(sources):
            faults[""] = "The same source is named twice; name it once, with the sum of its weights."
        return faults

    @property
    def has_people(self) -> bool:
        """Whether single people's ratings are among the sources."""
        return any(source.kind == PEOPLE for source in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data of which `from_dict` makes the same again."""
        return {"sources": [asdict(source) for source in self.sources], "rule": self.rule}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> SoftLabelSettings:
        """Read what `to_dict` wrote. Raises ValueError for anything else."""
        known = {item.name for item in fields(Source)}
        try:
            rows = [dict(row) for row in stored["sources"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"these are no settings of soft labels: {error}") from error
        if strangers := {name for row in rows for name in row} - known:
            raise ValueError(f"a source has no field {', '.join(sorted(map(repr, strangers)))}")
        return cls(tuple(Source(**row) for row in rows), stored.get("rule"))


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)
