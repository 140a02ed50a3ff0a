"""Posts and what models say of them, in chunks; and what became of it. Loads NumPy: for workers and commands."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.models import Post, Study
from annotation.selectors import get_tree
from modeling.fields import pack
from modeling.models import AnnotatorRun, ExpertItem, ModelReading, Verification, VerificationDecision
from modeling.rules.deciding import Decided, put_together
from modeling.rules.matching import Matcher
from modeling.rules.posts import Chunk
from modeling.rules.reading import read_rules

from .services import get_scale

AT_ONCE = 500  # posts held against the rules together


@dataclass(frozen=True)
class Corpus:
    """A run of which every post is held against rules, and the runs that it is held against."""

    study: Study
    run: AnnotatorRun
    others: tuple[AnnotatorRun, ...] = ()


def get_corpus(verification: Verification) -> Corpus:
    """Return what a verification is about. A run of it that is gone is left out; `find_lost` names it."""
    runs = AnnotatorRun.objects.select_related("annotator").in_bulk(verification.other_run_ids)
    others = tuple(runs[pk] for pk in verification.other_run_ids if pk in runs)
    return Corpus(verification.study, verification.run, others)


def list_post_ids(corpus: Corpus, first: int = 0, last: int | None = None) -> tuple[list[int], int]:
    """Return the posts that a run has looked at, in increasing order, and how many are left out of them.

    Test posts of expert sets are left out: what models say of them is not for anybody's eyes before they are opened.
    """
    readings = ModelReading.objects.filter(run=corpus.run, post_id__gte=first)
    if last is not None:
        readings = readings.filter(post_id__lte=last)
    ids = list(readings.order_by("post_id").values_list("post_id", flat=True).distinct())
    test = set(
        ExpertItem.objects.filter(expert_set__study=corpus.study, split=ExpertItem.Split.TEST).values_list(
            "post_id", flat=True
        )
    )
    kept = [pk for pk in ids if pk not in test]
    return kept, len(ids) - len(kept)


def make_matcher(study: Study, rules: Any, threshold: int) -> Matcher:
    """Return what holds rules against posts of a study. Raises RulesRefused for rules that do not fit it."""
    tree = get_tree(study.value_system)
    names = {leaf.key: leaf.label for leaf in tree.leaves}
    checked = read_rules(rules, study.value_keys, get_scale(study))
    return Matcher(checked, study.value_keys, names, tuple(tree.scale.levels), threshold)


def load_chunk(corpus: Corpus, ids: Sequence[int]) -> tuple[Chunk, bytes]:
    """Return some posts, by increasing ids, with all that the runs say of them, and a SHA-256 of all that."""
    digest = hashlib.sha256()
    posts = Post.objects.filter(pk__in=ids).order_by("pk").values_list("pk", "key", "text", "context_text")
    rows = list(posts)
    for _, *words in rows:
        digest.update(json.dumps(words).encode())
    place = {pk: row for row, (pk, *_) in enumerate(rows)}
    samples, distributions = _read_run(corpus.study, corpus.run, place, digest)
    others = []
    for other in corpus.others:
        said, _ = _read_run(corpus.study, other, place, digest)
        others.append(_mean(said))
    texts, contexts = [row[2] for row in rows], [row[3] for row in rows]
    return Chunk(texts, contexts, samples, distributions, tuple(others)), digest.digest()


def load_means(run: AnnotatorRun, ids: Sequence[int]) -> np.ndarray:
    """Return a run's mean ratings of posts, of shape (n_posts, n_values); NaN where there are none."""
    means = np.full((len(ids), len(run.annotator.study.value_keys)), np.nan)
    for begin in range(0, len(ids), AT_ONCE):
        some = ids[begin : begin + AT_ONCE]
        place = {int(pk): row for row, pk in enumerate(some)}
        means[begin : begin + len(some)] = _mean(_read_run(run.annotator.study, run, place, None)[0])
    return means


def load_decisions(
    verification: Verification,
) -> list[tuple[int, Decided, tuple[float, ...], list[dict[str, Any]]]]:
    """Return of each flagged post its id, what experts together say, the model's ratings and the reasons."""
    current = VerificationDecision.objects.filter(item__verification=verification, is_current=True)
    said: dict[int, list[tuple[str, tuple[float, ...] | None]]] = {}
    for item, verdict, ratings in current.order_by("item", "name").values_list("item", "verdict", "ratings"):
        said.setdefault(item, []).append((verdict, ratings))
    items = verification.items.order_by("post_id").values_list("pk", "post_id", "ratings", "reasons")
    return [
        (post, put_together(ratings, said.get(pk, []), verification.threshold), ratings, reasons)
        for pk, post, ratings, reasons in items.iterator(chunk_size=2000)
    ]


def load_verified(verification: Verification) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the readings of a verification's posts with experts' decisions in their places; no row is touched.

    Returns
    -------
    ids : ndarray of int64, shape (n_posts,), increasing
        Of every post that was held against the rules.
    ratings : ndarray of shape (n_posts, n_values)
        The experts' where they decided, else the run's means; NaN where there are none.
    whose : ndarray of str, shape (n_posts,)
        "expert" where at least one decided, else "model".
    """
    ids, _ = list_post_ids(get_corpus(verification))
    ratings = load_means(verification.run, ids)
    whose = np.full(len(ids), "model", dtype="<U6")
    place = {pk: row for row, pk in enumerate(ids)}
    for post, decided, _, _ in load_decisions(verification):
        if decided.ratings is not None and post in place:
            ratings[place[post]] = decided.ratings
            whose[place[post]] = "expert"
    return np.array(ids, dtype=np.int64), ratings, whose


def _read_run(
    study: Study, run: AnnotatorRun, place: dict[int, int], digest: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return samples (n_samples, n_posts, n_values) and mean distributions; what is used goes into the hash."""
    n_values, n_points = len(study.value_keys), len(get_tree(study.value_system).scale.levels)
    ratings = np.full((run.annotator.samples, len(place), n_values), np.nan)
    sums, counts = None, np.zeros((len(place), n_values))
    readings = ModelReading.objects.filter(run=run, post__in=list(place)).order_by("post", "sample")
    for post_id, sample, said, detail in readings.values_list("post_id", "sample", "ratings", "detail"):
        if said is None or len(said) != n_values or sample >= len(ratings):
            continue
        row = place[post_id]
        ratings[sample, row] = said
        distributions = detail.get("distributions") or ()
        if digest is not None:
            digest.update(f"{row} {sample}".encode() + pack(said) + json.dumps(distributions).encode())
        for value, distribution in enumerate(distributions):
            if distribution is None or len(distribution) != n_points:
                continue
            if sums is None:
                sums = np.zeros((len(place), n_values, n_points))
            sums[row, value] += distribution
            counts[row, value] += 1
    if digest is not None:
        digest.update(b"|")
    if sums is None:
        return ratings, None
    with np.errstate(invalid="ignore"):
        return ratings, sums / counts[:, :, None]


def _mean(samples: np.ndarray) -> np.ndarray:
    read = ~np.isnan(samples)
    with np.errstate(invalid="ignore"):
        return np.where(read, samples, 0.0).sum(axis=0) / read.sum(axis=0)
