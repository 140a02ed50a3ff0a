"""A local encoder reads posts: no provider, no calls."""

from itertools import islice
from typing import Any

import numpy as np

from jobs.services import Claim
from modeling.errors import ArtefactDamaged
from modeling.models import AnnotatorRun, ModelReading

from .runs import stop_run
from .selecting import find_unread, get_post_field, iterate_unread

TOGETHER = 500  # posts read and stored at once
DECIMALS = 4  # of a probability, as it is stored


def read_locally(run: AnnotatorRun, claim: Claim) -> None:
    """Read and store all posts of a run that lack a reading. A damaged file stops the run with its reason.

    An encoder that was taught distributions says one for each value: its mean is the rating, and it is stored beside.
    """
    from modeling.tuning.encoder import join_text, read_distributions  # loads the estimators

    column = get_post_field(run)
    n_total, n_done = find_unread(run).count(), 0
    posts = iterate_unread(run)
    while batch := list(islice(posts, TOGETHER)):
        texts = [join_text(post.text, post.context_text) for _, post in batch]
        try:
            ratings, distributions = read_distributions(run.annotator, texts)
        except ArtefactDamaged as error:
            stop_run(run, str(error))
            return
        details: list[dict[str, Any]] = [{}] * len(batch)
        if distributions is not None:
            details = [{"distributions": each} for each in round_shares(distributions)]
        ModelReading.objects.bulk_create(
            [
                ModelReading(run=run, **{column: post_id}, ratings=tuple(row), detail=detail)
                for (post_id, _), row, detail in zip(batch, ratings.tolist(), details, strict=True)
            ],
            ignore_conflicts=True,
        )
        n_done += len(batch)
        claim.report(n_done, n_total, "posts read")
        run.refresh_from_db(fields=["state"])
        if run.state != AnnotatorRun.State.RUNNING:
            return


def round_shares(distributions: np.ndarray) -> list[Any]:
    """Return distributions as they are stored: few decimals, a share of nothing as 0, and still 1 in sum.

    Parameters
    ----------
    distributions : ndarray of shape (..., n_points) whose last axis sums to 1

    Returns
    -------
    list
        Nested as the array; what rounding takes or adds goes to the largest share.
    """
    units = 10**DECIMALS
    whole = np.rint(np.asarray(distributions, dtype=np.float64) * units).astype(np.int64)
    largest = whole.argmax(axis=-1)[..., None]
    short = units - whole.sum(axis=-1, keepdims=True)
    np.put_along_axis(whole, largest, np.take_along_axis(whole, largest, axis=-1) + short, axis=-1)
    shares = np.where(whole == 0, 0, whole / units).astype(object)
    shares[whole == 0] = 0
    rounded: list[Any] = shares.tolist()
    return rounded
