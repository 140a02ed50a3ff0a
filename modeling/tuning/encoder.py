"""Local annotator models: taught the consensus set as one linear form per value, or taught distributions."""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotation.selectors import get_tree
from modeling.artefacts import load_arrays
from modeling.encoders import files
from modeling.encoders.base import Encoder
from modeling.errors import ArtefactDamaged
from modeling.estimators import reader
from modeling.estimators.consensus import build_text_regressor
from modeling.models import AnnotatorModel

Floats = NDArray[np.float64]
IN_MEMORY = 4


def train(texts: Sequence[str], consensus: Floats, scale: tuple[int, int]) -> reader.TextReader:
    """Fit a reader of texts to the rounded consensus of posts.

    Parameters
    ----------
    texts : sequence of n strings, context and text joined as `join_text` does
    consensus : ndarray of shape (n, n_values), without gaps
    scale : (lowest, highest) rating

    Raises
    ------
    ValueError
        If there are fewer than two posts with text, or their texts share too little to learn from.
    """
    n_blank = sum(not text.strip() for text in texts)
    if len(texts) - n_blank < 2:
        raise ValueError(
            f"{len(texts) - n_blank} of {len(texts)} posts have text; a local encoder needs at least two"
        )
    regressor = build_text_regressor()
    try:
        regressor.fit(list(texts), consensus)
    except ValueError as error:  # no words at all, or no part of a word that two of the posts share
        raise ValueError(
            f"the texts of {len(texts)} posts share too little to learn from ({error}); keep more posts"
        ) from error
    return reader.from_pipeline(regressor, scale)


def join_text(text: str, context_text: str = "") -> str:
    """Return a post as the encoder and fits read it: what it answers or quotes, then its own text."""
    return f"{context_text}\n{text}" if context_text else text


def read_texts(annotator: AnnotatorModel, texts: Sequence[str]) -> Floats:
    """Return what a local encoder says of texts, joined as `join_text` does; shape (n_texts, n_values).

    Raises
    ------
    ValueError
        If the annotator model is not a local encoder.
    ArtefactDamaged
        If its file is gone or not the one that was written.
    """
    if annotator.kind != AnnotatorModel.Kind.ENCODER:
        raise ValueError(f"{annotator} is no local encoder; its provider must be asked")
    if not len(texts):
        return np.empty((0, len(annotator.study.value_keys)))
    return read_distributions(annotator, texts)[0]


def read_distributions(annotator: AnnotatorModel, texts: Sequence[str]) -> tuple[Floats, Floats | None]:
    """Return what a local encoder says of texts, and how sure it is.

    Returns
    -------
    ratings : ndarray of shape (n_texts, n_values)
        The mean of the distribution, where the encoder was taught distributions.
    distributions : ndarray of shape (n_texts, n_values, n_points), or None
        Over the points of the study's scale, lowest first; None of an encoder that was taught ratings.

    Raises as `read_texts`; ArtefactDamaged too when the file is of other values or another scale than the study's.
    """
    if annotator.kind != AnnotatorModel.Kind.ENCODER:
        raise ValueError(f"{annotator} is no local encoder; its provider must be asked")
    study = annotator.study
    opened = _open(annotator.artefact, annotator.artefact_sha256)
    if isinstance(opened, reader.TextReader):
        ratings = opened.read(list(texts)) if len(texts) else np.empty((0, len(study.value_keys)))
        return ratings, None
    points = np.array(get_tree(study.value_system).scale.levels, dtype=np.float64)
    shape = (len(texts), len(study.value_keys), len(points))
    if not len(texts):
        return np.empty(shape[:2]), np.empty(shape)
    said = np.asarray(opened.predict(list(texts)), dtype=np.float64)
    if said.shape != shape:
        raise ArtefactDamaged(
            f"The file {annotator.artefact} holds an encoder of {said.shape[1]} values on {said.shape[2]} points; the "
            f"study has {shape[1]} values on {shape[2]} points."
        )
    # Shares that are rounded do not sum to 1 to the last digit: their mean could lie off the scale.
    return np.clip(said @ points, points[0], points[-1]), said


@functools.lru_cache(maxsize=IN_MEMORY)
def _open(name: str, digest: str) -> reader.TextReader | Encoder:
    arrays = load_arrays(name, digest)
    try:
        return files.unpack(arrays) if "format" in arrays else reader.unpack(arrays)
    except ValueError as error:
        raise ArtefactDamaged(f"The file {name} is no local encoder: {error}.") from error
