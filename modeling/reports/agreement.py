"""The report of a study's ratings: how far people agree, on what, who sees what, and how many raters it takes.

Ready for JSON; a number that does not exist is None, with counts and a reason beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from modeling.stats.perception import LEAST_RATERS

from .circle import CIRCLE_NOTE, describe_circle
from .counts import describe_counts, describe_table
from .covariates import choose_covariates
from .data import CI_LEVEL, N_RESAMPLES, AgreementData
from .disputed import list_disputed
from .people import LEAST_RESAMPLES, N_DRAWS, describe_over_raters, describe_people, measure_people
from .perception import describe_projection, describe_screening
from .planning import describe_planning
from .reliability import describe_values, find_alpha_range

ProgressReport = Callable[[int, int, str], None]

NOTES = (
    f"Intervals of rho and of Krippendorff's alpha are 95 % percentile bootstraps over posts ({N_RESAMPLES:,} "
    "resamples, seeded). A rho of a constant vector is undefined and left out; a post without any defined rho is "
    "left out.",
    "Human-human agreement has a second interval, over raters: as if others had taken part. Nobody drawn twice is "
    f"compared with themselves. Above two million pairs it has fewer resamples, at least {LEAST_RESAMPLES}.",
    f"The consensus of a group of others is drawn {N_DRAWS} times for each annotation, seeded.",
    "Percent agreement and Fleiss' kappa count equal ratings; Gwet's AC2 weighs differences by their square. Their "
    "intervals come from a standard error over posts, those of the intraclass correlations from the F distribution.",
    "Regressions of ratings on the raters' own values have errors clustered by rater; Holm's correction runs over the "
    f"values, term by term. Answers that fewer than {LEAST_RATERS} raters gave are left out.",
    CIRCLE_NOTE,
)


def describe_agreement(
    data: AgreementData, *, seed: int, report: ProgressReport = lambda done, total, note: None
) -> dict[str, Any]:
    """Compute everything that the agreement report says.

    Parameters
    ----------
    data : AgreementData
    seed : int
        The same seed and data give the same report, but for `seconds`. The order of the rows matters to the
        seeded draws of groups alone.
    report : callable
        Told (steps done, steps in all, what comes next).

    Returns
    -------
    dict
        Ready for JSON.
    """
    begun = time.monotonic()
    n_steps = 6
    report(0, n_steps, "people with people")
    pairs, consensus, by_size = measure_people(data.ratings, data.posts, data.n_posts, seed=seed)
    people = describe_people(pairs, consensus, by_size, seed=seed)
    over_raters = describe_over_raters(data, pairs.n_defined, seed=seed)
    report(1, n_steps, "reliability, value by value")
    by_value = describe_values(data, seed=seed)
    report(2, n_steps, "the circle of values")
    circle = describe_circle(data, seed=seed)
    report(3, n_steps, "who sees what")
    covariates = choose_covariates(data.groups, data.numbers, data.n_raters)
    projection, screening = describe_projection(data, covariates), describe_screening(data)
    report(4, n_steps, "disputed posts")
    disputed = list_disputed(data, pairs.per_post)
    report(5, n_steps, "how many raters it takes")
    planning, planning_notes = describe_planning(data, by_size, seed=seed)
    raters_per_post = describe_counts(data.posts, data.n_posts)
    posts_per_rater = describe_counts(data.raters, data.n_raters)
    described = {
        **describe_table(data),
        "raters_per_post": raters_per_post | {"histogram": _count_posts(data)},
        "posts_per_rater": {name: posts_per_rater[name] for name in ("min", "median", "max")},
        **people,
        "human_human_over_raters": over_raters,
        "by_value": by_value,
        "alpha_range": find_alpha_range(by_value),
        "circumplex": circle,
        "projection": projection,
        "screening": screening,
        "screened_by_standin": data.screened_by_standin,
        "disputed": disputed,
        "planning": planning,
        "notes": [*NOTES, *(covariates.notes if projection["by_value"] else []), *planning_notes],
        "seed": seed,
        "n_resamples": N_RESAMPLES,
        "ci_level": CI_LEVEL,
        "seconds": time.monotonic() - begun,
    }
    report(n_steps, n_steps, "done")
    return described


def _count_posts(data: AgreementData) -> list[dict[str, int]]:
    """How many posts have how many raters."""
    n_posts = np.bincount(np.bincount(data.posts, minlength=data.n_posts))
    return [{"raters": n_raters, "posts": int(n)} for n_raters, n in enumerate(n_posts) if n]
