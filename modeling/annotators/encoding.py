"""A local encoder reads posts: no provider, no calls."""

from itertools import islice

import numpy as np

from jobs.services import Claim
from modeling.errors import ArtefactDamaged
from modeling.models import AnnotatorRun, ModelReading

from .runs import stop_run
from .selecting import find_unread, get_post_field, iterate_unread

TOGETHER = 500  # posts read and stored at once


def read_locally(run: AnnotatorRun, claim: Claim) -> None:
    """Read and store all posts of a run that lack a reading. A damaged file stops the run with its reason."""
    from modeling.tuning.encoder import join_text, read_texts  # loads the estimators

    column = get_post_field(run)
    n_total, n_done = find_unread(run).count(), 0
    posts = iterate_unread(run)
    while batch := list(islice(posts, TOGETHER)):
        texts = [join_text(post.text, post.context_text) for _, post in batch]
        try:
            ratings = np.asarray(read_texts(run.annotator, texts), dtype=float)
        except ArtefactDamaged as error:
            stop_run(run, str(error))
            return
        ModelReading.objects.bulk_create(
            [
                ModelReading(run=run, **{column: post_id}, ratings=tuple(row))
                for (post_id, _), row in zip(batch, ratings.tolist(), strict=True)
            ],
            ignore_conflicts=True,
        )
        n_done += len(batch)
        claim.report(n_done, n_total, "posts read")
        run.refresh_from_db(fields=["state"])
        if run.state != AnnotatorRun.State.RUNNING:
            return
