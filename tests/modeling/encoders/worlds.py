"""Posts whose words say how likely each rating is: by a rule that is known, so that a fit can be held against it."""

import numpy as np

POINTS = np.arange(7)


def make_world(n_posts, *, n_values=3, seed=0, sharpness=1.0, n_words=80, length=12):
    """Texts, and the true distributions of shape (n_posts, n_values, 7); a large `sharpness` makes them certain."""
    rng = np.random.default_rng(seed)
    words = np.array(["".join(rng.choice(list("abcdefghijklmno"), 6)) for _ in range(n_words)])
    pulls = np.where(rng.random((n_words, n_values)) < 0.3, rng.normal(0, 1.6, (n_words, n_values)), 0)
    drawn = rng.integers(0, n_words, (n_posts, length))
    places = 3 + pulls[drawn].sum(axis=1)
    logits = -sharpness * np.abs(POINTS - places.clip(-0.4, 6.4)[..., None]) ** 1.5
    likely = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return [" ".join(each) for each in words[drawn]], likely / likely.sum(axis=-1, keepdims=True)


def draw_shares(distributions, n_draws, rng):
    """The shares of ratings drawn from distributions."""
    edges = distributions.cumsum(axis=-1)
    drawn = (rng.random((n_draws, *distributions.shape[:2]))[..., None] > edges).sum(axis=-1).clip(0, 6)
    return np.mean(drawn[..., None] == POINTS, axis=0)
