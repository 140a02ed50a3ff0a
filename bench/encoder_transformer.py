"""How fast a transformer reads posts by NumPy alone, against torch with the same weights."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from bench import CannotRun, Timing, bench, best_seconds, median_cpu_seconds
from modeling.encoders.transformer.folders import find_folder, read_checkpoint
from modeling.encoders.transformer.model import TorchModel
from modeling.encoders.transformer.packages import PackageMissing, load_package
from modeling.encoders.transformer.tokens import Ids, Tokenizer
from modeling.encoders.transformer.training_free import TransformerEncoder, soften
from modeling.simulation.feeds import FeedWriter

N_POSTS, N_VALUES, N_POINTS = 256, 19, 7
TEXTS_AT_ONCE = 32  # of torch
MOST_APART = 1e-5


@bench("encoder_transformer_vs_torch")
def encoder_transformer_vs_torch() -> Timing:
    """The installation's usual transformer with a head of 19 values on invented posts, tokenizing included.

    Both read posts sorted by length. Raises CannotRun without an encoder or torch, and ValueError when the two do not
    give the same distributions. `posts_per_second` is by the clock, with all cores that BLAS takes.
    """
    try:
        torch = load_package("torch", "The reference")
        checkpoint = read_checkpoint(*find_folder(""))
        tokenizer = Tokenizer(checkpoint.tokenizer, 128)
    except (PackageMissing, ValueError) as error:
        raise CannotRun(str(error)) from error
    width = checkpoint.architecture.width
    head = np.random.default_rng(1).normal(size=(width, N_VALUES * N_POINTS)).astype(np.float32)
    weights = checkpoint.weights | {"head": head, "head_bias": np.zeros(head.shape[1], dtype=np.float32)}
    encoder = TransformerEncoder(checkpoint.architecture, weights, tokenizer, np.arange(N_POINTS), {})
    everything = np.arange(checkpoint.architecture.n_tokens, dtype=np.int32)
    model = TorchModel(torch, checkpoint.architecture, weights, everything, "cpu")
    texts = invent_texts(N_POSTS)

    def by_torch() -> NDArray[np.float32]:
        ids, _ = tokenizer.encode(texts)
        return read_by_torch(model, ids)

    apart = float(np.abs(encoder.predict(texts) - by_torch()).max())
    if apart > MOST_APART:
        raise ValueError(
            f"NumPy and torch differ by {apart:g} in a probability; at most {MOST_APART:g} is rounding"
        )
    ours, theirs = median_cpu_seconds(lambda: encoder.predict(texts)), median_cpu_seconds(by_torch)
    return Timing(
        ratio=theirs / ours,
        reference=f"torch {torch.__version__}, {TEXTS_AT_ONCE} posts at once",
        medians={"ours": ours, "reference": theirs},
        more={
            "encoder": checkpoint.name,
            "n_posts": N_POSTS,
            "tokens_per_post": round(float(np.mean([len(ids) for ids in tokenizer.encode(texts)[0]])), 1),
            "n_cores": os.cpu_count(),
            "posts_per_second": round(N_POSTS / best_seconds(lambda: encoder.predict(texts))),
            "largest_difference": apart,
        },
    )


def invent_texts(n_posts: int) -> list[str]:
    """Return so many different texts of invented posts."""
    texts: dict[str, None] = {}
    for row in FeedWriter(50, np.random.default_rng(1)).write(10 * n_posts):
        if text := row.cells.get("text", ""):
            texts[text] = None
        if len(texts) == n_posts:
            break
    return list(texts)


def read_by_torch(model: TorchModel, ids: list[Ids]) -> NDArray[np.float32]:
    """Return the distributions of texts, read sorted by length."""
    order = np.argsort([len(text) for text in ids], kind="stable")
    found = np.empty((len(ids), N_VALUES, N_POINTS), dtype=np.float32)
    for first in range(0, len(order), TEXTS_AT_ONCE):
        batch = order[first : first + TEXTS_AT_ONCE]
        logits = model.read([ids[place] for place in batch], with_gradients=False).numpy()
        found[batch] = soften(logits.reshape(len(batch), N_VALUES, N_POINTS))
    return found
