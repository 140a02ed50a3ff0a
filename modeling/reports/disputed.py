"""The posts that raters read most differently."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeling.stats.consensus import mean_of

from .data import AgreementData, Floats
from .numbers import number, plain

N_LISTED = 60
N_VALUES_LISTED = 3
FEW_RATERS, ENOUGH_RATERS = 2, 3


def list_disputed(data: AgreementData, rho_per_post: Floats) -> list[dict[str, Any]]:
    """List the posts on which two raters differ most, with the values they differ most about.

    Where some post has three raters, posts with fewer are not listed: two people who differ may be one careless
    person. Posts that differ equally stand in the order of their codes.

    Parameters
    ----------
    data : AgreementData
    rho_per_post : ndarray of shape (n_posts,)
        Mean rho between two raters of each post; NaN where undefined.

    Returns
    -------
    list of dict
        At most `N_LISTED`, the largest difference first. Empty where no post has two raters of one value.
    """
    n_raters = np.bincount(data.posts, minlength=data.n_posts)
    least = ENOUGH_RATERS if n_raters.max(initial=0) >= ENOUGH_RATERS else FEW_RATERS
    difference = mean_difference(data)
    listed = np.flatnonzero((n_raters >= least) & ~np.isnan(difference))
    listed = listed[np.argsort(-difference[listed], kind="stable")][:N_LISTED]
    place = np.full(data.n_posts, -1)
    place[listed] = np.arange(len(listed))
    rows = np.flatnonzero(place[data.posts] >= 0)
    rows = rows[np.argsort(place[data.posts[rows]], kind="stable")]
    by_post = np.split(rows, np.cumsum(n_raters[listed])[:-1]) if len(listed) else []
    return [
        {
            "post": data.post_ids[post],
            "key": data.post_keys[post],
            "n_raters": int(n_raters[post]),
            "rho": number(rho_per_post[post]),
            "difference": number(difference[post]),
            "by_value": _describe_values(data, data.ratings[rows_of_post]),
        }
        for post, rows_of_post in zip(listed, by_post, strict=True)
    ]


def mean_difference(data: AgreementData) -> Floats:
    """Mean absolute difference between two raters of a post, over all its pairs and values.

    Returns
    -------
    ndarray of shape (n_posts,)
        In scale points; NaN where no value has two ratings. A pair counts for the values both rated.
    """
    low, high = data.scale
    width = high - low + 1  # of a post's stretch in the sorting key: ratings of two posts never mix
    totals, n_pairs = np.zeros(data.n_posts), np.zeros(data.n_posts)
    for column in data.ratings.T:
        present = ~np.isnan(column)
        posts = data.posts[present]
        counts = np.bincount(posts, minlength=data.n_posts)
        key = np.sort(posts * float(width) + (column[present] - low))
        post = np.repeat(np.arange(data.n_posts), counts)
        place = np.arange(len(key)) - (np.cumsum(counts) - counts)[post]
        # In ascending order the k-th of n is the larger one in k pairs and the smaller one in n - 1 - k.
        weight = 2 * place - (counts[post] - 1)
        totals += np.bincount(post, weight * (key - post * float(width)), minlength=data.n_posts)
        n_pairs += counts * (counts - 1) / 2
    return mean_of(totals, n_pairs)


def _describe_values(data: AgreementData, ratings: Floats) -> list[dict[str, Any]]:
    n_rated = (~np.isnan(ratings)).sum(axis=0)
    rated = np.flatnonzero(n_rated >= FEW_RATERS)
    sd = np.nanstd(ratings[:, rated], axis=0, ddof=1)
    most = rated[np.argsort(-np.round(sd, 9), kind="stable")][:N_VALUES_LISTED]
    described = []
    for value in most:
        given = np.sort(ratings[:, value][~np.isnan(ratings[:, value])])
        described.append(
            {
                "value": data.keys[value],
                "mean": number(given.mean()),
                "sd": number(given.std(ddof=1)),
                "ratings": [plain(rating) for rating in given],
            }
        )
    return described
