"""Small made-up tables of ratings for the reports."""

from dataclasses import replace

import numpy as np

from modeling.reports.data import AgreementData, EvaluationData, ValueInfo

GROUPS = ("Self", "Self", "Others", "Others", "Others")


def make_values(n_values):
    return tuple(
        ValueInfo(f"value_{place}", f"Value {place}", f"Value {place}", GROUPS[place % len(GROUPS)])
        for place in range(n_values)
    )


def make_agreement(*, n_raters=24, n_posts=14, per_rater=6, n_values=5, scale=(0, 6), seed=3):
    """A sparse study in which posts and raters both matter, with everything known of raters and posts."""
    rng = np.random.default_rng(seed)
    raters = np.repeat(np.arange(n_raters), per_rater)
    posts = np.concatenate([rng.choice(n_posts, per_rater, replace=False) for _ in range(n_raters)])
    seen = rng.normal(0, 1.5, (n_posts, n_values))[posts] + rng.normal(0, 1, (n_raters, n_values))[raters]
    share = (seen + rng.normal(0, 1, seen.shape) + 1.5) / 6
    ratings = np.clip(np.round(scale[0] + share * (scale[1] - scale[0])), *scale)
    parties = ["left", "right", ""]
    return replace(
        make_study(ratings, raters, posts, scale=scale),
        own_scores=rng.normal(0, 1, (n_raters, n_values)),
        own_scores_source="a questionnaire",
        groups={"party": [parties[place % 3 if place < 6 else place % 2] for place in range(n_raters)]},
        numbers={"age": rng.integers(18, 80, n_raters).astype(float)},
        labels={"party": "Which party?", "age": "How old?"},
        screening=rng.integers(0, 7, (n_posts, n_values)).astype(float),
    )


def make_study(ratings, raters, posts, *, scale=(0, 6)):
    """A study of these ratings, of whose raters and posts nothing more is known."""
    n_raters, n_posts = (int(np.max(codes, initial=-1)) + 1 for codes in (raters, posts))
    ratings = np.asarray(ratings, dtype=float)
    return AgreementData(
        ratings=ratings,
        raters=np.asarray(raters, dtype=np.intp),
        posts=np.asarray(posts, dtype=np.intp),
        n_raters=n_raters,
        n_posts=n_posts,
        values=make_values(ratings.shape[1]),
        scale=scale,
        post_ids=tuple(range(101, 101 + n_posts)),
        post_keys=tuple(f"p{place}" for place in range(n_posts)),
        posts_per_rater=6,
        reward=600,
        currency="GBP",
    )


def make_evaluation(study=None):
    """The same study with two models of its held-out posts; the personalized one is the better one."""
    study = study or make_agreement()
    rng = np.random.default_rng(5)
    test_rows = np.flatnonzero(study.posts % 2 == 0)
    own = np.nan_to_num(study.ratings[test_rows], nan=3.0)
    text = rng.uniform(*study.scale, (study.n_posts, len(study.values)))
    n_features = 4
    return EvaluationData(
        ratings=study.ratings,
        raters=study.raters,
        posts=study.posts,
        n_raters=study.n_raters,
        n_posts=study.n_posts,
        values=study.values,
        scale=study.scale,
        test_rows=test_rows,
        predictions={
            "text": text[study.posts[test_rows]],
            "personalized": own + rng.normal(0, 1.5, own.shape),
        },
        consensus_name="text",
        consensus_scores=text,
        importances=rng.random((len(study.values), n_features)),
        feature_names=tuple(f"feature {place}" for place in range(n_features)),
        groups=study.groups,
        numbers=study.numbers,
        labels=study.labels,
    )


def shuffle_rows(study, seed=0):
    """The same study with its rows in another order."""
    order = np.random.default_rng(seed).permutation(len(study.ratings))
    return replace(study, ratings=study.ratings[order], raters=study.raters[order], posts=study.posts[order])
