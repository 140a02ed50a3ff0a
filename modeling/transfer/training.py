"""Teaching an encoder in parts: begun once, one encoder for each part, put together and measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.selectors import get_tree
from modeling.artefacts import save_arrays
from modeling.encoders.base import OnProgress
from modeling.encoders.files import fit_encoder, unpack
from modeling.encoders.folds import OutOfFold, assign_folds, digest_texts
from modeling.encoders.settings import HARD, LABELS, LOSSES, SOFT, TRANSFORMER, EncoderSettings
from modeling.errors import NotEnoughData
from modeling.experts.loading import load_reference
from modeling.models import EncoderTraining
from modeling.reports.encoder import EncoderData, Reader, describe_encoder, spread_labels
from modeling.reports.encoder_teaching import describe_teaching
from modeling.reports.encoder_view import Truth

from .lessons import (
    Labeled,
    draw_kinds,
    list_kept_out,
    load_labeled,
    load_scratch,
    load_texts,
    mark_kept_out,
    pack_texts,
    read_truth,
    save_scratch,
    unpack_texts,
)
from .services import NEEDS_TORCH, has_torch
from .settings import FEWEST_TAUGHT, OTHER_LOSS, TrainingSettings

MOST_JUDGED = 5_000  # posts that are held out to judge by, or measured out of fold
ENCODER = "encoder_"  # before the arrays of an encoder in a part's file
FACTS = "facts"  # how it was taught, in a part's file


@dataclass(frozen=True)
class Finished:
    """A training that is done: where its encoder lies, and what came of it."""

    artefact: str
    artefact_sha256: str
    post_ids: list[int]
    measures: dict[str, Any]
    data_hash: str
    scratch: list[str]


def begin(training: EncoderTraining) -> dict[str, Any]:
    """Choose the posts, and store all that the parts need; no row is touched.

    Returns where it lies and the parts to do. Raises NotEnoughData, or ArtefactDamaged where soft labels are gone.
    """
    settings = TrainingSettings.from_dict(training.settings)
    encoder = settings.encoder
    if encoder.kind == TRANSFORMER and not has_torch():
        raise NotEnoughData(NEEDS_TORCH)
    labeled = load_labeled(training.soft_labels)
    check_scale(training, labeled)
    is_out = mark_kept_out(labeled, list_kept_out(training.study, training.expert_set))
    rng = np.random.default_rng(encoder.seed)
    if training.expert_set is None:
        is_judged = ~is_out & draw_kinds_among(labeled, ~is_out, encoder.eval_share, rng)
    else:
        is_judged = np.zeros(len(is_out), dtype=np.bool_)
    taught = np.flatnonzero(~is_out & ~is_judged)
    n_different = len(np.unique(labeled.kinds[taught]))
    fewest = max(FEWEST_TAUGHT, 2 * encoder.n_folds)
    if n_different < fewest:
        raise NotEnoughData(
            f"{n_different:,} different texts with soft labels are left to teach by, and {fewest} are needed: "
            f"{int(is_out.sum()):,} posts belong to experts, {int(is_judged.sum()):,} are held out, "
            f"{labeled.n_without_text:,} have no text. Make soft labels of more posts."
        )
    judged, truth, notes = _choose_judged(training, labeled, is_judged, rng)
    texts = [labeled.texts[place] for place in taught]
    notes = [
        *labeled.notes,
        *_count_left_out(labeled, int(is_out.sum())),
        *notes,
    ]
    place = save_scratch(
        training.study,
        "lessons",
        **pack_texts(texts),
        **pack_texts(judged, "judged"),
        post_ids=labeled.post_ids[taught],
        targets=labeled.targets[taught],
        folds=assign_folds(texts, encoder.n_folds, encoder.seed),
        points=labeled.points,
        truth_ratings=truth.ratings,
        truth_distributions=truth.distributions,
        notes=np.frombuffer("\n".join(notes).encode(), dtype=np.uint8),
        data_hash=np.array(labeled.data_hash),
    )
    return place | {"parts": list_parts(settings)}


def list_parts(settings: TrainingSettings) -> list[str]:
    """Return the parts: the encoder, its twins, and one encoder for each fold."""
    encoder = settings.encoder
    losses = [encoder.loss, *([OTHER_LOSS[encoder.loss]] if settings.both_losses else [])]
    return [f"{labels}:{loss}" for loss in losses for labels in (SOFT, HARD)] + [
        f"fold:{fold}" for fold in range(encoder.n_folds)
    ]


def do(
    training: EncoderTraining, place: Mapping[str, Any], part: str, report: OnProgress | None = None
) -> dict[str, Any]:
    """Teach the encoder of one part and store what it leaves; returns where that lies. Raises ValueError."""
    settings = TrainingSettings.from_dict(training.settings).encoder
    begun = load_scratch(place)
    texts = unpack_texts(begun)
    kind, which = part.split(":")
    if kind == "fold":
        is_read = begun["folds"] == int(which)
        encoder = _fit(begun, texts, ~is_read, replace(settings, labels=SOFT), report)
        left = {"said": encoder.predict([text for text, read in zip(texts, is_read, strict=True) if read])}
    else:
        every = np.ones(len(texts), dtype=np.bool_)
        encoder = _fit(begun, texts, every, replace(settings, labels=kind, loss=which), report)
        left = {"said": encoder.predict(unpack_texts(begun, "judged"))}
        if part == name_main(settings):
            left |= {f"{ENCODER}{name}": array for name, array in encoder.pack().items()}
    left |= {FACTS: np.array(json.dumps(_read_facts(encoder)))}
    return {"part": part} | save_scratch(training.study, "taught", **left)


def name_main(settings: EncoderSettings) -> str:
    """Return the part that gives the encoder to be registered."""
    return f"{SOFT}:{settings.loss}"


def finish(
    training: EncoderTraining,
    place: Mapping[str, Any],
    done: Sequence[Mapping[str, Any]],
    report: OnProgress | None = None,
) -> Finished:
    """Put the parts together and measure them; no row is touched."""
    settings = TrainingSettings.from_dict(training.settings)
    begun = load_scratch(place)
    texts, folds, targets = unpack_texts(begun), begun["folds"], begun["targets"]
    results = {each["part"]: load_scratch(each) for each in done}
    said_taught = np.empty(targets.shape, dtype=np.float32)
    for fold in range(settings.encoder.n_folds):
        said_taught[folds == fold] = results[f"fold:{fold}"]["said"]
    arrays = results[name_main(settings.encoder)]
    full = unpack(
        {name.removeprefix(ENCODER): each for name, each in arrays.items() if name.startswith(ENCODER)}
    )
    whole = OutOfFold(full, digest_texts(texts), said_taught)
    name, digest = save_arrays(f"encoder-{training.study.slug}", **whole.pack())
    data = _gather(training, settings, begun, results, said_taught)
    measures = describe_encoder(data, seed=settings.encoder.seed, report=report)
    return Finished(
        artefact=name,
        artefact_sha256=digest,
        post_ids=begun["post_ids"].tolist(),
        measures=measures,
        data_hash=str(begun["data_hash"]),
        scratch=[place["name"], *(each["name"] for each in done)],
    )


def check_scale(asked: Any, labeled: Labeled) -> None:
    """Raise NotEnoughData where soft labels are on another scale, or of other values, than the study's now are."""
    study = asked.study
    levels = list(get_tree(study.value_system).scale.levels)
    if labeled.points.tolist() != levels or labeled.targets.shape[1] != len(study.value_keys):
        raise NotEnoughData(
            "The soft labels are of other values or on another scale than the study's; make them again."
        )


def list_values(asked: Any) -> list[tuple[str, str]]:
    """Return key and name of each value of the study."""
    return [(leaf.key, leaf.name) for leaf in get_tree(asked.study.value_system).leaves]


def draw_kinds_among(
    labeled: Labeled, among: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw a share of these posts, at most MOST_JUDGED, those with the same text together."""
    drawn = np.zeros(len(among), dtype=np.bool_)
    places = np.flatnonzero(among)
    share = min(share, MOST_JUDGED / max(len(places), 1))
    drawn[places[draw_kinds(labeled.kinds[places], share, rng)]] = True
    return drawn


def _choose_judged(
    training: EncoderTraining, labeled: Labeled, is_judged: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[list[str], Truth, list[str]]:
    """Return texts and truth of the posts to judge by, and what is to be said of them."""
    if training.expert_set is None:
        judged = [labeled.texts[place] for place in np.flatnonzero(is_judged)]
        note = (
            f"No experts are the reference: {len(judged):,} posts were held out, and the means of their own soft "
            "labels count as the truth. What is measured is how well the labels carry over, not whether they are right."
        )
        return judged, read_truth(labeled.targets[is_judged], labeled.points), [note]
    reference = load_reference(training.expert_set)
    texts = load_texts(reference.post_ids)
    rows = [
        row for row, text in enumerate(texts) if text.strip() and np.isfinite(reference.ratings[row]).any()
    ]
    if not rows:
        raise NotEnoughData(
            f"No development post of “{training.expert_set}” has a reference yet: have experts label it, or teach "
            "without experts."
        )
    distributions = spread_labels(reference.labels[:, rows], labeled.points)
    ratings = np.asarray(reference.ratings[rows], dtype=np.float64)
    distributions[np.isnan(ratings)] = np.nan
    note = (
        f"Judged on {len(rows):,} development posts of “{training.expert_set}”, by {len(reference.experts)} experts; "
        "none of its posts was taught."
    )
    return [texts[row] for row in rows], Truth(ratings, distributions), [note, *reference.notes]


def _count_left_out(labeled: Labeled, n_out: int) -> list[str]:
    counts = (
        (
            n_out,
            f"{n_out:,} posts with soft labels belong to experts, or have the same text, and were not taught.",
        ),
        (labeled.n_without_text, f"{labeled.n_without_text:,} posts with soft labels have no text."),
        (labeled.n_without_label, f"{labeled.n_without_label:,} posts have no label of any value."),
    )
    return [sentence for number, sentence in counts if number]


def _fit(
    begun: Mapping[str, NDArray[Any]],
    texts: Sequence[str],
    taught: NDArray[np.bool_],
    settings: EncoderSettings,
    report: OnProgress | None,
) -> Any:
    chosen = [text for text, is_taught in zip(texts, taught, strict=True) if is_taught]
    return fit_encoder(chosen, begun["targets"][taught], begun["points"], settings, report=report)


def _gather(
    training: EncoderTraining,
    settings: TrainingSettings,
    begun: Mapping[str, NDArray[Any]],
    results: Mapping[str, Mapping[str, NDArray[Any]]],
    said_taught: NDArray[Any],
) -> EncoderData:
    readers = []
    for part in list_parts(settings):
        labels, loss = part.split(":")
        if labels in LABELS:
            name = f"{labels.capitalize()} labels"
            if settings.both_losses:
                name += f", {LOSSES[loss].split(' ')[0].rstrip(':').lower()}"
            readers.append(Reader(f"{labels}_{loss}", name, labels, loss, results[part]["said"]))
    n_taught = len(said_taught)
    rng = np.random.default_rng(settings.encoder.seed)
    shown = np.sort(rng.permutation(n_taught)[:MOST_JUDGED])
    points = begun["points"].astype(np.float64)
    values = list_values(training)
    return EncoderData(
        values=values,
        points=points,
        threshold=settings.threshold,
        truth=Truth(begun["truth_ratings"], begun["truth_distributions"]),
        by_experts=training.expert_set_id is not None,
        readers=readers,
        truth_taught=read_truth(begun["targets"][shown], points),
        said_taught=said_taught[shown],
        notes=begun["notes"].tobytes().decode().split("\n"),
        is_standin=training.is_standin,
        about={
            "n_taught": n_taught,
            "n_folds": settings.encoder.n_folds,
            "n_shown": len(shown),
            "teaching": _describe_teaching(settings, begun, results, values, readers),
        },
    )


def _describe_teaching(
    settings: TrainingSettings,
    begun: Mapping[str, NDArray[Any]],
    results: Mapping[str, Mapping[str, NDArray[Any]]],
    values: Sequence[tuple[str, str]],
    readers: Sequence[Reader],
) -> list[dict[str, Any]]:
    """Return how each encoder was taught, the one that is kept first; those taught before this was stored have none."""
    names = {f"{reader.labels}:{reader.loss}": reader.label for reader in readers}
    told = []
    for part in list_parts(settings):
        kind, which = part.split(":")
        taught = (
            begun["folds"] != int(which) if kind == "fold" else np.ones(len(begun["folds"]), dtype=np.bool_)
        )
        if FACTS not in results[part]:
            continue
        is_labeled = np.isfinite(begun["targets"][taught]).all(axis=2)
        told.append(
            describe_teaching(
                names.get(part) or f"All but fold {int(which) + 1}",
                json.loads(str(results[part][FACTS])),
                n_taught=int(is_labeled.any(axis=1).sum()),
                untaught_values=np.flatnonzero(~is_labeled.any(axis=0)).tolist(),
                values=values,
            )
        )
    return told


def _read_facts(encoder: Any) -> dict[str, Any]:
    """Return what an encoder says of its own teaching: a transformer its facts, a linear one what was chosen."""
    facts = dict(getattr(encoder, "facts", None) or getattr(encoder, "choice", {}))
    return {
        name: None if isinstance(fact, float) and not np.isfinite(fact) else fact
        for name, fact in facts.items()
    }
