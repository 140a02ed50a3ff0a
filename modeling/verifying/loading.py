"""Posts and what models say of them, in chunks; and what became of it. Loads NumPy: for workers and commands."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.models import Post, Study
from annotation.selectors import get_tree
from modeling.annotators.vectors import RunSamples, average, load_samples
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
    there = np.array([pk for pk, *_ in rows], dtype=np.int64)
    said = load_samples(corpus.run, there)
    others = [load_samples(other, there) for other in corpus.others]
    for each in (said, *others):
        digest.update(_hash(each))
    texts, contexts = [row[2] for row in rows], [row[3] for row in rows]
    means = tuple(average(other.ratings) for other in others)
    return Chunk(texts, contexts, said.ratings, said.distributions, means), digest.digest()


def load_means(run: AnnotatorRun, ids: Sequence[int]) -> np.ndarray:
    """Return a run's mean ratings of posts in increasing order: (n_posts, n_values), NaN where there are none."""
    means = np.full((len(ids), len(run.annotator.study.value_keys)), np.nan)
    for begin in range(0, len(ids), AT_ONCE):
        some = np.array(ids[begin : begin + AT_ONCE], dtype=np.int64)
        means[begin : begin + len(some)] = average(load_samples(run, some).ratings)
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


def _hash(said: RunSamples) -> bytes:
    """All that rules are held against, of what a run says."""
    digest = hashlib.sha256(repr(said.ratings.shape).encode() + said.ratings.tobytes())
    if said.distributions is not None:
        digest.update(said.distributions.tobytes())
    return digest.digest()
