"""Invented raters whose ratings of all cells follow from a few numbers each."""

import numpy as np


def draw_factor_raters(n_raters=60, n_posts=8, n_values=4, *, noise=0.1, seed=0):
    """Raters with one number for each of two kinds of posts; cells of the first value are loudest."""
    rng = np.random.default_rng(seed)
    views = rng.standard_normal((n_raters, 2))
    kind = np.arange(n_posts) % 2
    loudness = np.array([2.0, *np.linspace(1.0, 0.5, n_values - 1)])
    signal = views[:, kind][:, :, None] * loudness
    return 3 + signal + noise * rng.standard_normal((n_raters, n_posts, n_values))
