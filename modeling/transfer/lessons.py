"""What encoders are taught and judged by: posts with text and soft labels, as arrays that parts of a job share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Post, Study
from modeling.artefacts import load_arrays, save_arrays
from modeling.encoders.folds import digest_texts
from modeling.models import ExpertItem, ExpertSet, Paraphrase, SoftLabelSet
from modeling.reports.encoder_view import Floats, Truth
from modeling.scratch import name_scratch
from modeling.softlabels.loading import load_soft_labels
from modeling.tuning.encoder import join_text

Bools = NDArray[np.bool_]
AT_ONCE = 5_000  # posts read from the database together


@dataclass(frozen=True, eq=False)
class Labeled:
    """Posts with text and soft labels.

    Attributes
    ----------
    post_ids : ndarray of int64, shape (n_posts,), increasing
    texts : as encoders read them
    targets : ndarray of float32, shape (n_posts, n_values, n_points), NaN where a value has no label
    points : ndarray of shape (n_points,)
    kinds : ndarray of int, shape (n_posts,): the same for posts that have the same text
    n_without_text, n_without_label : posts of the soft labels that are left out
    notes : of the soft labels
    data_hash : of texts and labels
    """

    post_ids: NDArray[np.int64]
    texts: list[str]
    targets: NDArray[np.float32]
    points: Floats
    kinds: NDArray[np.intp]
    n_without_text: int
    n_without_label: int
    notes: tuple[str, ...]
    data_hash: str


def load_labeled(soft_labels: SoftLabelSet) -> Labeled:
    """Read soft labels and the texts of their posts. Raises as `load_soft_labels`."""
    soft = load_soft_labels(soft_labels)
    texts = load_texts(soft.post_ids)
    has_text = np.array([bool(text.strip()) for text in texts], dtype=np.bool_)
    has_label = np.isfinite(soft.mixed).all(axis=2).any(axis=1)
    kept = np.flatnonzero(has_text & has_label)
    chosen = [texts[place] for place in kept]
    digests = digest_texts(chosen)
    targets = np.ascontiguousarray(soft.mixed[kept], dtype=np.float32)
    hasher = hashlib.sha256(soft.post_ids[kept].tobytes())
    hasher.update(digests.tobytes())
    hasher.update(targets.tobytes())
    kinds = np.unique(digests, axis=0, return_inverse=True)[1].reshape(-1) if len(kept) else np.empty(0, int)
    return Labeled(
        post_ids=soft.post_ids[kept],
        texts=chosen,
        targets=targets,
        points=soft.points,
        kinds=kinds.astype(np.intp),
        n_without_text=int((~has_text).sum()),
        n_without_label=int((has_text & ~has_label).sum()),
        notes=soft.notes,
        data_hash=hasher.hexdigest(),
    )


def load_texts(post_ids: Iterable[int]) -> list[str]:
    """Return the text of each post as encoders read it; '' for a post that is gone."""
    ids = [int(pk) for pk in post_ids]
    found: dict[int, str] = {}
    for start in range(0, len(ids), AT_ONCE):
        rows = Post.objects.filter(pk__in=ids[start : start + AT_ONCE])
        for pk, text, context in rows.values_list("pk", "text", "context_text"):
            found[pk] = join_text(text, context) if text.strip() else ""
    return [found.get(pk, "") for pk in ids]


def list_kept_out(study: Study, expert_set: ExpertSet | None) -> set[int]:
    """Return the posts that no encoder may be taught, nor be judged on by its labels.

    The posts of the expert set, and the test posts of every set of the study: what models read in those is opened by
    experts alone. With them go the same posts in other words.
    """
    kept_out = set(
        ExpertItem.objects.filter(expert_set__study=study, split=ExpertItem.Split.TEST).values_list(
            "post", flat=True
        )
    )
    if expert_set is not None:
        kept_out |= set(expert_set.items.values_list("post", flat=True))
    pairs = list(Paraphrase.objects.filter(original__study=study).values_list("original", "variant"))
    originals = {original for original, variant in pairs if kept_out & {original, variant}}
    return kept_out | {variant for original, variant in pairs if original in originals} | originals


def mark_kept_out(labeled: Labeled, kept_out: set[int]) -> Bools:
    """Mark posts that are kept out, and posts with the very text of one that is, whether it has labels or not."""
    marks = np.isin(labeled.post_ids, np.array(sorted(kept_out), dtype=np.int64))
    texts = {digest.tobytes() for digest in digest_texts(load_texts(sorted(kept_out)))}
    texts.discard(digest_texts([""])[0].tobytes())
    same = np.array([digest.tobytes() in texts for digest in digest_texts(labeled.texts)], dtype=np.bool_)
    return np.asarray(marks | same, dtype=np.bool_)


def draw_kinds(kinds: NDArray[np.intp], share: float, rng: np.random.Generator) -> Bools:
    """Draw a share of posts at random, those with the same text together; at least one text, and never all."""
    different = np.unique(kinds)
    n_drawn = min(max(round(share * len(different)), 1), max(len(different) - 1, 0))
    return np.isin(kinds, rng.permutation(different)[:n_drawn])


def read_truth(targets: NDArray[Any], points: Floats) -> Truth:
    """Return soft labels as what posts are held to express: their means, and themselves."""
    distributions = np.asarray(targets, dtype=np.float64)
    return Truth(distributions @ points, distributions)


# --- what parts of a job share ------------------------------------------------------------------


def save_scratch(study: Study, what: str, **arrays: NDArray[Any]) -> dict[str, str]:
    """Store arrays for the next step of a job; returns where they lie."""
    name, digest = save_arrays(f"{name_scratch(study.slug)}{what}", **arrays)
    return {"name": name, "sha256": digest}


def load_scratch(place: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Read back what `save_scratch` stored. Raises ArtefactDamaged when it is gone."""
    return load_arrays(place["name"], place["sha256"])


def pack_texts(texts: Sequence[str], name: str = "texts") -> dict[str, NDArray[Any]]:
    """Return texts as two arrays: their bytes one after the other, and the number of each one's."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    return {
        f"{name}_bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        f"{name}_lengths": np.array([len(each) for each in encoded], dtype=np.int64),
    }


def unpack_texts(arrays: Mapping[str, NDArray[Any]], name: str = "texts") -> list[str]:
    """Return what `pack_texts` packed."""
    whole = arrays[f"{name}_bytes"].tobytes()
    ends = np.cumsum(arrays[f"{name}_lengths"]).tolist()
    starts = [0, *ends[:-1]]
    return [
        whole[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)
    ]
