"""Which of the questions about the person enter a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .data import Floats

LEAST_SHARE_KNOWN = 0.5  # of raters: whoever leaves a question open is lost to the whole regression


@dataclass(frozen=True, eq=False)
class Covariates:
    """What is known of most raters and differs between them.

    Attributes
    ----------
    groups : question to the answer of each rater; None where unknown
    numbers : question to an ndarray of shape (n_raters,); NaN where unknown
    left_out : question to the reason why it is in neither
    """

    groups: dict[str, list[str | None]]
    numbers: dict[str, Floats]
    left_out: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The questions that enter."""
        return [*self.numbers, *self.groups]

    @property
    def notes(self) -> list[str]:
        """A sentence on what was left out, if anything was."""
        if not self.left_out:
            return []
        named = ", ".join(f"'{question}' ({reason})" for question, reason in self.left_out.items())
        return [f"Not in the regressions: {named}."]


def choose_covariates(
    groups: Mapping[str, Sequence[str | None]], numbers: Mapping[str, Floats], n_raters: int
) -> Covariates:
    """Leave out questions that fewer than half of the raters answered, or that all answered alike.

    An empty answer is unknown.
    """
    chosen = Covariates({}, {}, {})
    for question, answers in groups.items():
        labels = [answer or None for answer in answers]
        known = [label for label in labels if label is not None]
        reason = _refuse(len(known), len(set(known)), n_raters)
        if reason:
            chosen.left_out[question] = reason
        else:
            chosen.groups[question] = labels
    for question, given in numbers.items():
        present = given[~np.isnan(given)]
        reason = _refuse(len(present), len(np.unique(present)), n_raters)
        if reason:
            chosen.left_out[question] = reason
        else:
            chosen.numbers[question] = given
    return chosen


def _refuse(n_known: int, n_different: int, n_raters: int) -> str:
    if n_known < LEAST_SHARE_KNOWN * n_raters or not n_known:
        return f"answered by {n_known} of {n_raters} raters"
    return "everyone gave the same answer" if n_different < 2 else ""
