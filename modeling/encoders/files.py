"""Fitting an encoder of either kind, and making one again of the arrays it was packed into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import folds
from .base import Encoder, Lessons, OnProgress
from .labels import harden
from .settings import HARD, TRANSFORMER, EncoderSettings


def fit_encoder(
    texts: Sequence[str],
    targets: NDArray[Any],
    points: ArrayLike,
    settings: EncoderSettings,
    dev: Lessons | None = None,
    report: OnProgress | None = None,
) -> Encoder:
    """Fit an encoder of the kind that the settings name; hard labels are made here where they ask for them.

    Parameters
    ----------
    texts : n strings
    targets : array of shape (n, n_values, n_points), NaN for a (post, value) without a label
    points : array-like of shape (n_points,), the scale, increasing
    dev : texts and targets by which it is chosen when to stop; without them a share of the texts
    report : told of the progress; whatever it raises ends the fit

    Raises
    ------
    ValueError
        For labels that are no distributions, or too few of them.
    TorchMissing
        For a transformer where torch is not installed (see `modeling.encoders.transformer.training`).
    """
    if settings.labels == HARD:
        targets = harden(targets, points)
        dev = None if dev is None else (dev[0], harden(dev[1], points))
    if settings.kind == TRANSFORMER:
        from .transformer.training import fit_transformer  # needs what not every installation has

        return fit_transformer(texts, targets, points, settings, dev, report)
    from .linear import fit_linear  # compiles when first used

    return fit_linear(texts, targets, points, settings, dev, report)


def unpack(arrays: Mapping[str, NDArray[Any]]) -> Encoder:
    """Return the encoder that `pack` made these arrays of. Raises ValueError when they are no encoder's."""
    if "format" not in arrays:
        raise ValueError("these arrays are no encoder's: they have no format; train the encoder again")
    form = str(np.asarray(arrays["format"]))
    try:
        if form == folds.FORMAT:
            return folds.unpack(arrays, unpack)
        if form == "linear":
            from . import linear

            return linear.unpack(arrays)
        if form == "transformer":
            from .transformer import training_free

            return training_free.unpack(arrays)
    except (KeyError, TypeError) as error:
        raise ValueError(f"these arrays are no {form} encoder's ({error}); train it again") from error
    raise ValueError(f"there is no encoder of the format {form!r:.40}; train the encoder again")
