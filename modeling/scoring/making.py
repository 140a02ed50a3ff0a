"""Scoring all posts of a study for all raters a fit knows, in pieces that any worker can do."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.db import transaction

from annotation.models import Post, Study
from modeling.artefacts import load_arrays, save_arrays
from modeling.errors import NotEnoughData
from modeling.estimators.units import ProgressReport
from modeling.fits import count_threads
from modeling.in_use import SERVES
from modeling.models import FitRun, ScoreFile, ScoreRun
from modeling.scratch import forget, name_scratch
from modeling.serving import Serving, open_serving

from .pieces import choose_factor
from .requests import POSTS_IN_PIECE, hash_scores
from .store import Block, save_axes, save_piece


def begin(fit_run: FitRun, dtype: str) -> dict[str, Any]:
    """Gather the posts and their consensus, and store them for all pieces; no row is touched.

    Returns what tells a worker where they lie. Raises NotEnoughData when the fit can say nothing of any post.
    """
    serving = open_serving(fit_run)
    choose_factor(serving.scale, dtype)
    post_ids, consensus = _gather_posts(fit_run.study, serving)
    name, digest = save_arrays(
        f"{name_scratch(fit_run.study.slug)}posts", post_ids=post_ids, consensus=consensus.astype(np.float32)
    )
    return {"name": name, "sha256": digest, "dtype": dtype, "n_posts": len(post_ids)}


def list_pieces(fit_run: FitRun, place: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each piece's value and first post."""
    return [
        {"value": key, "first_post": first}
        for key in open_serving(fit_run).value_keys
        for first in range(0, place["n_posts"], POSTS_IN_PIECE)
    ]


def score_piece(
    fit_run: FitRun, place: Mapping[str, Any], piece: Mapping[str, Any], report: ProgressReport
) -> dict[str, Any]:
    """Score one value of some posts for all raters and store it; returns where it lies."""
    serving = open_serving(fit_run)
    consensus = _load_posts(place)[1][piece["first_post"] :][:POSTS_IN_PIECE]
    value = serving.value_keys.index(piece["value"])

    report(0, 1, f"{piece['value']}: scoring {len(consensus):,} posts")
    scores = serving.score_all(value, consensus, n_threads=count_threads())
    stored = save_piece(
        _name_files(fit_run, piece["value"]),
        (serving.n_raters, len(consensus)),
        [Block(0, 0, scores)],
        dtype=place["dtype"],
        factor=choose_factor(serving.scale, place["dtype"]),
    )
    return dict(piece) | asdict(stored)


@dataclass(frozen=True)
class Finished:
    """Scores that lie in files; nothing of them is in the database yet."""

    key: str
    value_keys: tuple[str, ...]
    n_posts: int
    n_raters: int
    dtype: str
    scale: float
    axes: str
    axes_sha256: str
    pieces: tuple[Mapping[str, Any], ...]
    scratch: str


def finish(fit_run: FitRun, place: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> Finished:
    """Store whose scores they are and of what; no row is touched."""
    serving = open_serving(fit_run)
    post_ids, consensus = _load_posts(place)
    posts_hash = hashlib.sha256(post_ids.tobytes() + consensus.tobytes()).hexdigest()
    axes, axes_digest = save_axes(_name_files(fit_run, "axes"), serving.enrollment_ids, post_ids)
    return Finished(
        key=hash_scores(fit_run, place["dtype"], posts_hash),
        value_keys=serving.value_keys,
        n_posts=len(post_ids),
        n_raters=serving.n_raters,
        dtype=place["dtype"],
        scale=choose_factor(serving.scale, place["dtype"]),
        axes=axes,
        axes_sha256=axes_digest,
        pieces=tuple(done),
        scratch=place["name"],
    )


@transaction.atomic
def store(fit_run: FitRun, finished: Finished) -> ScoreRun | None:
    """Store a run of scores; the same fit and posts are stored once, and older runs of the fit stay.

    None when the fit has lost its files meanwhile, for someone's answers were erased: the scores go with them.
    """
    FitRun.objects.select_for_update(no_key=True, of=("self",)).get(pk=fit_run.pk)
    if not fit_run.files.filter(role=SERVES).exists():
        forget([finished.scratch, finished.axes, *(piece["name"] for piece in finished.pieces)])
        return None
    score_run, is_new = ScoreRun.objects.get_or_create(
        key=finished.key,
        defaults={
            "fit_run": fit_run,
            "value_keys": list(finished.value_keys),
            "n_posts": finished.n_posts,
            "n_raters": finished.n_raters,
            "dtype": finished.dtype,
            "scale": finished.scale,
            "axes": finished.axes,
            "axes_sha256": finished.axes_sha256,
        },
    )
    if is_new:
        ScoreFile.objects.bulk_create(
            ScoreFile(
                score_run=score_run,
                value_key=piece["value"],
                **{name: piece[name] for name in ("first_post", "n_posts", "name", "sha256", "n_bytes")},
            )
            for piece in finished.pieces
        )
    forget([finished.scratch])
    return score_run


def _name_files(fit_run: FitRun, what: str) -> str:
    """Return how the names of files of scores begin; those of two fits differ, for they are deleted apart."""
    return f"scores-{fit_run.study.slug}-{fit_run.pk}-{what}"


def _load_posts(place: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    arrays = load_arrays(place["name"], place["sha256"])
    return arrays["post_ids"], arrays["consensus"]


def _gather_posts(study: Study, serving: Serving) -> tuple[np.ndarray, np.ndarray]:
    """Ids and consensus of the posts that are rated in labeling: of the fit itself where it has one, else read."""
    known = serving.post_scores()
    rows, unread = [], []
    posts = Post.objects.filter(study=study, purpose=Post.Purpose.LABELING).order_by("pk")
    for pk, text, context in posts.values_list("pk", "text", "context_text").iterator():
        if pk not in known:
            unread.append((pk, f"{context}\n{text}" if context else text))
    if serving.reads_text and unread:
        rows = list(
            zip((pk for pk, _ in unread), serving.read_texts([text for _, text in unread]), strict=True)
        )
    rows += known.items()
    if not rows:
        raise NotEnoughData(
            f"The fit of study '{study.slug}' knows no post and cannot read texts; rate posts and fit again."
        )
    rows.sort(key=lambda row: row[0])
    return np.array([pk for pk, _ in rows], dtype=np.int64), np.array(
        [row for _, row in rows], dtype=np.float64
    )
