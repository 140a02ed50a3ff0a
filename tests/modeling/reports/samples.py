"""Measures of small made-up reports, as they are stored."""

from typing import Any

VALUES = [
    {"key": "care", "name": "Caring", "label": "Caring", "group": "For others"},
    {"key": "play", "name": "Hedonism", "label": "Pleasure", "group": "For oneself"},
    {"key": "fame", "name": "Face", "label": "Reputation", "group": "For oneself"},
]
KEYS = [value["key"] for value in VALUES]


def measure(rho: float | None, **more: Any) -> dict[str, Any]:
    interval = [None, None] if rho is None else [rho - 0.1, rho + 0.1]
    return {
        "rho": rho,
        "interval": interval,
        "posts": 7,
        "posts_undefined": 1,
        "undefined": 2,
        "compared": 40,
    } | more


def coefficient(name: str, number: float | None) -> dict[str, Any]:
    return {
        name: number,
        "interval": [None, None] if number is None else [number - 0.05, number + 0.05],
        "posts": 9,
        "ratings": 30,
        "left_out": 4,
        "reason": "all ratings are alike" if number is None else "",
    }


def describe_value(key: str, number: float | None) -> dict[str, Any]:
    return {
        "value": key,
        "n_ratings": 30,
        "mean": None if number is None else 10 * number,
        "sd": 1.5,
        "share_zero": 0.4,
        "shares": [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
        **{name: coefficient("alpha", number) for name in ("ordinal", "interval", "nominal")},
        **{
            name: coefficient("estimate", number)
            for name in ("percent_agreement", "fleiss_kappa", "gwet_ac2", "icc_1")
        },
        "icc_k": coefficient("estimate", number) | {"k": 3.5},
        "human_crowd": 1.0,
        "human_crowd_se": 0.1,
        "human_crowd_posts": 9,
    }


def list_terms(estimate: float) -> list[dict[str, Any]]:
    kinds = {"intercept": "intercept", "own score": "own_value", "age": "number", "party: B (not A)": "group"}
    return [
        {
            "name": name,
            "kind": kind,
            "estimate": estimate,
            "se": 0.1,
            "low": estimate - 0.2,
            "high": estimate + 0.2,
            "p": 0.0004,
            "p_holm": 0.0012,
        }
        for name, kind in kinds.items()
    ]


def build_frame() -> dict[str, Any]:
    return {
        "schema": 1,
        "study": "moods",
        "study_name": "Moods",
        "inclusion": "everyone",
        "n_excluded": 0,
        "n_raters": 1200,
        "n_posts": 30,
        "n_annotations": 3600,
        "n_ratings": 10_800,
        "n_values": 3,
        "n_simulated": 0,
        "scale": [0, 6],
        "values": VALUES,
        "human_human": measure(0.2),
        "human_consensus": measure(0.3),
        "human_consensus_by_size": [measure(0.2, size=1), measure(0.25, size=2), measure(0.28, size=4)],
        "n_resamples": 1000,
        "ci_level": 0.95,
        "notes": ["A first note."],
        "seed": 1,
    }


def build_agreement(**changes: Any) -> dict[str, Any]:
    """An agreement report of three values; alpha is not defined for the last."""
    numbers = (0.1, 0.3, None)
    return (
        build_frame()
        | {
            "raters_per_post": {
                "min": 3,
                "median": 4.0,
                "max": 5,
                "mean": 3.9,
                "histogram": [{"raters": 3, "posts": 10}, {"raters": 5, "posts": 20}],
            },
            "by_value": [describe_value(key, number) for key, number in zip(KEYS, numbers, strict=True)],
            "circumplex": {
                "reason": "",
                "stress": 0.1,
                "congruence": 0.9,
                "order_correlation": 0.8,
                "order_p": 0.0004,
                "points": [
                    {"value": "care", "x": 1.0, "y": 0.2, "angle": 11.0, "theory_angle": 0.0, "error": 11.0},
                    {
                        "value": "play",
                        "x": -0.5,
                        "y": 0.9,
                        "angle": 119.0,
                        "theory_angle": 120.0,
                        "error": -1.0,
                    },
                ],
                "correlations": [[1.0, -0.35, None], [-0.35, 1.0, 0.2], [None, 0.2, 1.0]],
            },
            "projection": {
                "source": "the questionnaire",
                "reason": "",
                "covariates": ["own score", "age", "party"],
                "by_value": [
                    {
                        "value": key,
                        "reason": "",
                        "n_ratings": 30,
                        "n_raters": 12,
                        "r_squared": 0.2,
                        "terms": terms,
                    }
                    for key, terms in zip(KEYS, (list_terms(0.3), list_terms(-0.02), []), strict=True)
                ],
            },
            "screening": [
                {
                    "value": "care",
                    "in_mean": 3.0,
                    "out_mean": 1.0,
                    "difference": 2.0,
                    "low": 1.5,
                    "high": 2.5,
                    "t": 4.0,
                    "df": 20.5,
                    "p": 0.001,
                    "n_in": 5,
                    "n_out": 25,
                    "reason": "",
                }
            ],
            "disputed": [
                {
                    "post": 7,
                    "key": "=post-7",
                    "n_raters": 4,
                    "rho": None,
                    "difference": 2.5,
                    "by_value": [
                        {"value": "care", "mean": 3.0, "sd": 3.5, "ratings": [0, 0, 6, 6]},
                        {"value": "play", "mean": 1.0, "sd": 1.5, "ratings": [0, 0, 1, 3]},
                    ],
                }
            ],
            "planning": {
                "reason": "",
                "posts_per_rater": 20,
                "reward": 600,
                "currency": "GBP",
                "fee": 0.33,
                "n_posts": 30,
                "raters_now": 4,
                "curve": [
                    {"size": 1, "rho": 0.2, "low": 0.1, "high": 0.3, "observed": True},
                    {"size": 3, "rho": 0.3, "low": 0.2, "high": 0.4, "observed": False},
                ],
                "rows": [
                    {
                        "raters_per_post": k,
                        "posts": posts,
                        "raters": k * 2,
                        "cost": 160_000,
                        "rho": 0.2,
                        "half_width_median": 0.1 / k,
                        "half_width_worst": 0.2 / k,
                        "worst_value": "play",
                    }
                    for posts in (15, 30)
                    for k in (2, 3)
                ],
            },
        }
        | changes
    )


def model(rho: float | None) -> dict[str, Any]:
    return measure(rho, mae={"mae": 1.25, "interval": [1.0, 1.5]})


def difference(number: float, direction: str = "better") -> dict[str, Any]:
    return {
        "difference": number,
        "interval": [number - 0.05, number + 0.05],
        "raters": 40,
        "direction": direction,
    }


def build_sample(*names: str, **more: Any) -> dict[str, Any]:
    """What was measured of some raters on some posts; the rho of the last value is not defined."""
    return {
        "reason": "",
        "n_rows": 90,
        "n_raters": 40,
        "n_posts": 8,
        "conditions": [
            {
                "name": name,
                "rho": 0.2 + place / 10,
                "interval": [0.1 + place / 10, 0.3 + place / 10],
                "raters": 40,
                "undefined": 3,
                "compared": 90,
                "mae": 1.5 - place / 10,
                "mae_interval": [1.4 - place / 10, 1.6 - place / 10],
            }
            for place, name in enumerate(names)
        ],
        "by_value": [
            {
                "value": key,
                "ratings": 90,
                "models": {
                    name: {
                        "rho": None if key == "fame" else 0.4,
                        "interval": [None, None] if key == "fame" else [0.3, 0.5],
                        "raters": 40,
                        "mae": 1.2,
                        "mae_interval": [1.0, 1.4],
                        "reason": "every rating is the same" if key == "fame" else "",
                    }
                    for name in names
                },
                "against_consensus": {"rho": difference(0.1), "mae": difference(-0.2)},
            }
            for key in KEYS
        ],
    } | more


def build_questions() -> dict[str, Any]:
    """The two questions with their controls, curves, intervals and weights."""
    curve = {
        "reason": "",
        "n_raters": 40,
        "n_rows": 90,
        "n_posts": 8,
        "points": [
            {"count": count, "rho": difference(count / 100), "mae": difference(-count / 100)}
            for count in (5, 25)
        ],
        "rise": {"from": 5, "to": 25, "rho": difference(0.2), "mae": difference(-0.2)},
    }
    cover = {"coverage": 0.81, "interval": [0.78, 0.84], "width": 2.5, "ratings": 90}
    covered = cover | {
        "reason": "",
        "raters": 40,
        "posts": 8,
        "by_value": [{"value": key} | cover for key in KEYS],
    }
    permuted = {
        "reason": "",
        "rho": difference(0.0, "unclear"),
        "mae": difference(0.0, "unclear"),
        "is_leaking": False,
        "sentence": "Shuffled raters gain nothing.",
    }
    known = ("text", "text_forest", "person", "permuted", "forest", "boosting", "personalized")
    new = ("text", "text_forest", "forest", "personalized")
    return {
        "controls": build_sample(*known, absent=[], permuted=permuted),
        "cold_start": {
            "reason": "",
            "n_raters": 40,
            "known_posts": build_sample(*new),
            "new_posts": build_sample(*new),
        },
        "rater_differences": [
            {
                "sample": sample,
                "of": "personalized",
                "from": other,
                "rho": difference(0.1),
                "mae": difference(-0.2),
            }
            for sample in ("known", "known_posts", "new_posts")
            for other in ("text", "text_forest", "forest")
        ],
        "verdict": {
            "is_worse": False,
            "worse": [],
            "better": [],
            "lower": [],
            "by_value": [],
            "sentence": "The personalized model is nowhere worse.",
        },
        "curves": {"answers": curve, "raters": curve},
        "coverage": {"level": 0.8, "known": covered, "new": covered},
        "weights": {"reason": "", "members": ["text", "forest"], "known": [0.3, 0.7], "new": [1.0, 0.0]},
        "method": "blend",
        "consensus": "text",
        "could_see": ["Ratings of 22 posts, and the answers."],
    }


def build_evaluation(**changes: Any) -> dict[str, Any]:
    """An evaluation report of two models and a personalized one."""
    error = {"human_crowd": 1.0, "human_crowd_se": 0.1, "model_crowd": 0.5, "model_crowd_se": 0.05}
    by_model = {name: measure(0.4, rows=50, reason="") for name in ("text", "personalized")}
    frame = build_frame()
    people = {key: frame[key] for key in ("human_human", "human_consensus", "human_consensus_by_size")}
    return (
        frame
        | {
            "holdout": people | {"n_posts": 8},
            "models": {"text": model(0.28), "gpt": model(0.15)},
            "personalized": model(0.5),
            "differences": [
                {"of": "personalized", "from": "human_human", "rho": 0.3, "interval": [0.2, 0.4], "posts": 7},
                {"of": "personalized", "from": "text", "rho": 0.22, "interval": [0.1, 0.3], "posts": 7},
            ],
            "mae_by_value": [
                {"value": "care", "posts": 7} | error,
                {"value": "play", "posts": 7} | error | {"human_crowd": 2.0},
                {"value": "fame", "posts": 0} | dict.fromkeys(error),
            ],
            "mae_overall": error,
            "correlation_by_value": [
                {"value": "care", "models": by_model},
                {
                    "value": "fame",
                    "models": {name: measure(None, rows=0, reason="none") for name in by_model},
                },
            ],
            "importance": {
                "reason": "",
                "features": ["text: care", "calibration: p1 / play"],
                "rows": [{"value": "care", "shares": [0.7, 0.3]}, {"value": "play", "shares": [0.4, 0.6]}],
            },
            "adjustment": {
                "by_value": [
                    {"value": "care", "delta": 0.4, "se": 0.05, "rows": 50},
                    {"value": "play", "delta": 0.9, "se": 0.05, "rows": 50},
                ],
                "rank_correlation_with_human_crowd": -0.5,
            },
            "gain": {
                "reason": "",
                "n_raters": 40,
                "n_raters_left_out": 1,
                "mean": -0.05,
                "interval": [-0.1, 0.0],
                "share_better": 0.4,
                "histogram": [
                    {"from": -0.2, "to": -0.1, "raters": 0},
                    {"from": -0.1, "to": -5e-17, "raters": 25},
                    {"from": -5e-17, "to": 0.1, "raters": 15},
                ],
                "by_group": [
                    {
                        "question": "age",
                        "label": "Your age?",
                        "answer": "Old",
                        "n": 20,
                        "mean": 0.1,
                        "interval": [0, 0.2],
                    }
                ],
                "n_answers_in_small_groups": 1,
                "regression": {"reason": "", "terms": list_terms(0.1), "n_raters": 40, "r_squared": 0.1},
            },
        }
        | build_questions()
        | changes
    )
