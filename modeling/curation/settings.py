"""PURE. What a curation keeps: languages, limits, quotas and budgets, as they are stored with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from annotation.uploads.language import read_code

MODES = ("calls", "batch")
MODELS = ("comprehensibility", "nsfw", "screening")
HIGHEST_CODEBOOK = 3  # the codebooks' scales run from 0
HIGHEST_SCREENING = 6
MOST_EXTRA = 10_000
MOST_CALLS_AT_ONCE = 64


@dataclass(frozen=True)
class CurationSettings:
    """What is kept at each stage, and what a stage may cost. The limits are the published study's.

    Attributes
    ----------
    languages : ISO 639 codes of those that are kept; () keeps every language
    keeps_unknown : whether a text whose language nobody can tell passes
    least_comprehensibility : a post stays in from this final rating on, of 0 to 3
    most_nsfw : a post stays in up to this final rating, of 0 to 3. 0 drops whatever is rated at all unsafe: nobody
        should be asked to read what the screen had doubts about
    least_screening : from this rating on a post counts as expressing a value
    quotas : for each under-filled quota group of owners, how many of them are drawn for a second time
    budgets : dollars for each stage that asks a model, by its name; a stage that is not in it has no limit
    concurrency : calls of a provider at once
    mode : 'calls' or 'batch'
    """

    languages: tuple[str, ...] = ("en",)
    keeps_unknown: bool = False
    least_comprehensibility: float = 3
    most_nsfw: float = 0
    least_screening: float = 4
    quotas: Mapping[str, int] = field(default_factory=dict)
    budgets: Mapping[str, Decimal] = field(default_factory=dict)
    concurrency: int = 8
    mode: str = "calls"

    def __post_init__(self) -> None:
        if faults := self.find_faults():
            raise ValueError(" ".join(faults))

    def find_faults(self) -> list[str]:
        """Return everything that is wrong, in sentences; [] when nothing is."""
        faults = [
            f"'{code}' is no code of a language, such as 'en' or 'de'."
            for code in self.languages
            if read_code(code) != code
        ]
        faults += _check_limit(
            "comprehensibility must be rated", self.least_comprehensibility, HIGHEST_CODEBOOK
        )
        faults += _check_limit("the highest rating of unsafe content", self.most_nsfw, HIGHEST_CODEBOOK)
        faults += _check_limit("a value must be rated", self.least_screening, HIGHEST_SCREENING)
        for group, number in self.quotas.items():
            if not group.strip():
                faults.append("A quota group has no name.")
            elif not 1 <= number <= MOST_EXTRA:
                faults.append(
                    f"Of the quota group '{group}', 1 to {MOST_EXTRA:,} owners can be drawn again, not {number}."
                )
        for stage, dollars in self.budgets.items():
            if stage not in MODELS:
                faults.append(f"'{stage}' is no stage with a budget; these are: {', '.join(MODELS)}.")
            elif not dollars.is_finite() or dollars < 0:
                faults.append(f"The budget of the stage '{stage}' must be dollars, 0 or more.")
        if not 1 <= self.concurrency <= MOST_CALLS_AT_ONCE:
            faults.append(f"From 1 to {MOST_CALLS_AT_ONCE} calls at once, not {self.concurrency}.")
        if self.mode not in MODES:
            faults.append(f"'{self.mode}' is no way to ask; use {' or '.join(MODES)}.")
        return faults

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them; dollars as text, which loses no digit."""
        stored = {each.name: getattr(self, each.name) for each in fields(self)}
        return stored | {
            "languages": list(self.languages),
            "quotas": dict(sorted(self.quotas.items())),
            "budgets": {stage: str(dollars) for stage, dollars in sorted(self.budgets.items())},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CurationSettings:
        """Return the settings that `to_dict` wrote; what is missing is as by default.

        Raises
        ------
        ValueError
            Naming every fault.
        """
        if unknown := sorted(stored.keys() - {each.name for each in fields(cls)}):
            raise ValueError(
                f"The settings of a curation know no {', '.join(unknown)}; remove that from the stored settings."
            )
        given = dict(stored)
        if "languages" in given:
            given["languages"] = tuple(given["languages"])
        if "budgets" in given:
            given["budgets"] = {stage: _read_dollars(text) for stage, text in given["budgets"].items()}
        return cls(**given)


def _check_limit(what: str, limit: float, highest: int) -> list[str]:
    if math.isfinite(limit) and 0 <= limit <= highest:
        return []
    return [f"The limit for how {what} lies between 0 and {highest}, not at {limit:g}."]


def _read_dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"The budget '{text}' is no number of dollars.") from None
