"""Small made-up data to fit to, in which posts and raters both matter."""

import numpy as np

from modeling.estimators.data import FitData, FitSettings

TINY = FitSettings(
    seed=4,
    n_trees=8,
    n_consensus_folds=3,
    n_inner_folds=2,
    n_inner_trees=4,
    n_curve_trees=4,
    n_calibration_cells=4,
)
WORDS = ("river", "market", "church", "party", "garden", "office")


def draw_data(
    *,
    n_raters: int = 10,
    n_posts: int = 16,
    n_values: int = 3,
    per_post: int | None = 5,
    has_text: bool = True,
    has_answers: bool = True,
    seed: int = 0,
) -> FitData:
    """Ratings from 0 to 6: what the post's words say, plus each rater's own leaning, plus noise.

    `per_post` raters rate each post, None for all of them (a dense study). The answers are the leanings.
    """
    rng = np.random.default_rng(seed)
    is_said = rng.random((n_posts, len(WORDS))) < 0.5
    meaning = rng.normal(0, 1.5, (len(WORDS), n_values))
    leaning = rng.normal(0, 1.5, (n_raters, n_values))
    seats = [rng.permutation(n_raters)[: per_post or n_raters] for _ in range(n_posts)]
    posts = np.repeat(np.arange(n_posts), [len(seat) for seat in seats])
    raters = np.concatenate(seats)
    exact = 3 + (is_said @ meaning)[posts] + leaning[raters] + rng.normal(0, 0.5, (len(posts), n_values))
    texts = [
        " ".join(["About the", *(word for word, said in zip(WORDS, row, strict=True) if said)])
        for row in is_said
    ]
    return FitData(
        ratings=np.clip(np.round(exact), 0, 6),
        raters=raters,
        posts=posts,
        n_raters=n_raters,
        n_posts=n_posts,
        value_keys=tuple(f"value_{index}" for index in range(n_values)),
        texts=tuple(texts if has_text else [""] * n_posts),
        scale=(0, 6),
        answers=leaning if has_answers else None,
        question_names=tuple(f"question {index}" for index in range(n_values)) if has_answers else (),
    )
