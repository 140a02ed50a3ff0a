"""A made-up study that annotator models have read."""

import numpy as np

from modeling.reports.comparison import ComparisonData, Reader
from modeling.stats.consensus import rounded_consensus

from .made_up import make_agreement

GOOD, FAIR, POOR = "Good, version 1", "Fair, version 1", "Poor, version 1"
NOISE = {GOOD: 0.3, FAIR: 1.2, POOR: 3.0}


def make_comparison(study=None, *, change=lambda key, scores: scores, **fields):
    """The study read by models of different quality; `change` is applied to what each says of the posts."""
    study = study or make_agreement(n_raters=40, n_posts=60, per_rater=9)
    rng = np.random.default_rng(8)
    crowd = rounded_consensus(study.ratings, study.posts, study.n_posts)
    scores = {
        key: change(key, np.clip(np.round(crowd + rng.normal(0, noise, crowd.shape)), 0, 6))
        for key, noise in NOISE.items()
    }
    return ComparisonData(
        ratings=study.ratings,
        raters=study.raters,
        posts=study.posts,
        n_raters=study.n_raters,
        n_posts=study.n_posts,
        values=study.values,
        scale=study.scale,
        **{
            "readers": {key: make_reader(key, n_posts=study.n_posts) for key in scores},
            "scores": scores,
            "trained_on": {key: np.zeros(study.n_posts, dtype=bool) for key in scores},
            "latencies": {key: np.array([1.0, 2.0, 3.0]) for key in scores},
        }
        | fields,
    )


def make_reader(key, *, n_posts=60, **changes):
    return Reader(
        **{
            "label": key,
            "kind": "Language model, zero-shot",
            "run": 7,
            "n_asked": n_posts,
            "n_read": n_posts,
            "n_readings": n_posts,
            "cost": 0.6,
        }
        | changes
    )
