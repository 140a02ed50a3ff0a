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


def make_personal(
    *, n_raters=60, n_posts=40, per_rater=12, n_values=6, matters=1.0, leak=0.0, gap=0.0, seed=11
):
    """A fit in which raters lean: `matters` is how far answers tell of it, `leak` what shuffled raters know of ratings.

    `gap` is what the personalized predictions are wrong by beyond that. Intervals cover the noise at 80 %.
    """
    rng = np.random.default_rng(seed)
    raters = np.repeat(np.arange(n_raters), per_rater)
    posts = np.concatenate([rng.choice(n_posts, per_rater, replace=False) for _ in range(n_raters)])
    common = rng.normal(3, 1.2, (n_posts, n_values))[posts]
    lean = rng.normal(0, 1, (n_raters, n_values))[raters]
    noise = rng.normal(0, 0.8, common.shape)
    ratings = np.clip(common + lean + noise, 0, 6)
    study = make_study(np.round(ratings), raters, posts)
    test_rows = np.flatnonzero(posts % 4 == 0)
    new_rows = np.flatnonzero(raters % 3 == 0)
    bad = rng.normal(0, 1, common.shape) * gap
    personal = common + matters * lean + bad
    by_name = {
        "text": common,
        "text_forest": common + rng.normal(0, 0.1, common.shape),
        "person": 3 + lean,
        "permuted": common + rng.normal(0, 0.1, common.shape) + leak * (ratings - common),
        "forest": common + 0.6 * matters * lean,
        "boosting": common + 0.8 * matters * lean,
        "mixed": common + 0.9 * matters * lean,
        "personalized": personal,
    }
    new_names = ("text", "text_forest", "forest", "boosting", "mixed", "personalized")
    half = 1.2816 * 0.85  # the noise and its rounding
    ends = (personal - half, personal + half)
    members = ("text", "forest", "boosting", "mixed")
    return replace(
        make_evaluation(study),
        test_rows=test_rows,
        predictions={name: by_name[name][test_rows] for name in reversed(by_name)},
        new_rows=new_rows,
        new_predictions={name: by_name[name][new_rows] for name in new_names},
        intervals={
            "known": (ends[0][test_rows], ends[1][test_rows]),
            "new": (ends[0][new_rows], ends[1][new_rows]),
        },
        curves={
            "answers": {m: (common + matters * (m / 25) * lean)[new_rows] for m in (0, 5, 10, 25)},
            "raters": {m: (common + matters * (1 - 4 / m) * lean)[new_rows] for m in (8, 16, 40)},
        },
        member_names=members,
        weights={"known": np.array([0.1, 0.2, 0.3, 0.4]), "new": np.array([0.5, 0.0, 0.0, 0.5])},
        groups={"party": ["left" if place % 2 else "right" for place in range(n_raters)]},
        numbers={"age": np.arange(20.0, 20 + n_raters)},
        method="blend",
        fit_notes=("What the model could see: ratings of 30 posts and the answers.", "Another note."),
    )


def shuffle_rows(study, seed=0):
    """The same study with its rows in another order."""
    order = np.random.default_rng(seed).permutation(len(study.ratings))
    return replace(study, ratings=study.ratings[order], raters=study.raters[order], posts=study.posts[order])
