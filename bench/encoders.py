"""The linear encoder reading and learning made-up posts, against scikit-learn's vectorizers and a NumPy softmax."""

import os
import time

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from bench import Timing, bench, best_seconds, median_cpu_seconds
from modeling.encoders.labels import harden
from modeling.encoders.linear import LinearEncoder, fit_linear
from modeling.encoders.settings import LOSSES, EncoderSettings

N_TAUGHT, N_READ, N_VALUES, N_POINTS, N_WORDS, WORDS_PER_POST = 5000, 5000, 19, 7, 6000, 22


@bench("encoder_linear_vs_sklearn")
def encoder_linear_vs_sklearn() -> Timing:
    """Read 5,000 posts with an encoder of 19 values that was taught 5,000; the CPU time of teaching goes with it.

    `posts_per_second` is by the clock; reading takes one core.
    """
    texts, labels = _invent(np.random.default_rng(0))
    taught, read = texts[:N_TAUGHT], texts[N_TAUGHT:]
    encoders, seconds = {}, {}
    fit_linear(taught[:50], labels[:50], np.arange(N_POINTS), EncoderSettings())  # compiles
    for loss in LOSSES:
        for name, targets in (("soft", labels), ("hard", harden(labels))):
            begun = time.process_time()
            encoders[loss, name] = fit_linear(
                taught, targets, np.arange(N_POINTS), EncoderSettings(loss=loss)
            )
            seconds[f"fit_{loss}_{name}_seconds"] = round(time.process_time() - begun, 1)
    encoder = encoders["cross_entropy", "soft"]
    if np.abs(_read_plainly(encoder, read[:200]) - encoder.predict(read[:200])).max() > 1e-5:
        raise ValueError("the encoder does not say what its weights say")
    vectorizers = [
        TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit(taught),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=2).fit(taught),
    ]
    weights = [
        np.zeros((len(each.vocabulary_), N_VALUES * N_POINTS), dtype=np.float32) for each in vectorizers
    ]

    def read_with_sklearn() -> NDArray[np.float32]:
        pairs = zip(vectorizers, weights, strict=True)
        scores = sum(each.transform(read).astype(np.float32) @ own for each, own in pairs)
        return _soften(scores.reshape(len(read), N_VALUES, N_POINTS))

    ours = median_cpu_seconds(lambda: encoder.predict(read))
    reference = median_cpu_seconds(read_with_sklearn)
    return Timing(
        ratio=reference / ours,
        reference="scikit-learn's TfidfVectorizer for words and parts of words, weights and softmax in NumPy",
        medians={"ours": ours, "reference": reference},
        more={
            "n_cores": os.cpu_count(),
            "posts_per_second": round(len(read) / best_seconds(lambda: encoder.predict(read))),
            "posts_taught": N_TAUGHT,
        }
        | seconds,
    )


def _invent(rng: np.random.Generator) -> tuple[list[str], NDArray[np.float32]]:
    words = [
        "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(3, 10))) for _ in range(N_WORDS)
    ]
    often = 1 / np.arange(10, N_WORDS + 10)
    drawn = rng.choice(N_WORDS, (N_TAUGHT + N_READ, WORDS_PER_POST), p=often / often.sum())
    pulls = np.where(rng.random((N_WORDS, N_VALUES)) < 0.03, rng.normal(1, 1, (N_WORDS, N_VALUES)), 0)
    places = pulls[drawn].sum(axis=1)[:N_TAUGHT, :, None]
    likely = np.exp(-np.abs(np.arange(N_POINTS) - places))
    return [" ".join(words[each] for each in row) for row in drawn], np.asarray(
        likely / likely.sum(axis=2, keepdims=True), dtype=np.float32
    )


def _read_plainly(encoder: LinearEncoder, texts: list[str]) -> NDArray[np.float32]:
    terms = encoder.vocabulary.weigh(texts)
    shape = (len(texts), len(encoder.weights))
    scores = csr_array((terms.weights, terms.columns, terms.rows), shape) @ encoder.weights
    scores = scores.reshape(len(texts), *encoder.biases.shape[:1], -1) @ encoder.basis + encoder.biases
    return _soften(scores)


def _soften(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    likely = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=-1, keepdims=True), dtype=np.float32)
