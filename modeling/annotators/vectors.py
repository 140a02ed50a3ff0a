"""A run's readings as arrays."""

import numpy as np

from modeling.models import AnnotatorRun, ModelReading

from .selecting import get_post_field


def load_vectors(run: AnnotatorRun) -> tuple[np.ndarray, np.ndarray]:
    """Return the posts that a run has looked at and what it says of each.

    Returns
    -------
    ids : shape (n_posts,)
        Of posts, or of feed posts for a curation's run, in increasing order.
    ratings : shape (n_posts, n_ratings)
        The mean over the good samples of a post; NaN where no sample is good. In the study's order of values for a
        prompt about values; one column for a codebook.
    """
    column = get_post_field(run)
    rows = ModelReading.objects.filter(run=run).order_by(column, "sample").values_list(column, "ratings")
    post_ids: list[int] = []
    places: list[int] = []
    vectors: list[tuple[float, ...]] = []
    for post_id, ratings in rows.iterator(chunk_size=2000):
        if not post_ids or post_ids[-1] != post_id:
            post_ids.append(post_id)
        if ratings is not None:
            places.append(len(post_ids) - 1)
            vectors.append(ratings)
    n_ratings = len(vectors[0]) if vectors else _count_ratings(run)
    sums = np.zeros((len(post_ids), n_ratings))
    counts = np.zeros(len(post_ids))
    if vectors:
        np.add.at(sums, places, np.array(vectors, dtype=float))
        np.add.at(counts, places, 1)
    with np.errstate(invalid="ignore"):
        means = sums / counts[:, None]
    return np.array(post_ids, dtype=np.int64), means


def _count_ratings(run: AnnotatorRun) -> int:
    prompt = run.annotator.prompt
    if prompt is None or prompt.purpose == prompt.Purpose.VALUES:
        return len(run.annotator.study.value_keys)
    return 1
