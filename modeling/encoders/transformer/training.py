"""Teaching a transformer distributions over a scale, all of it, by torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base import Distributions, Lessons, OnProgress, check_lessons
from ..folds import digest_texts
from ..settings import ORDINAL, EncoderSettings
from .folders import find_folder, read_checkpoint
from .model import TorchModel
from .packages import TorchMissing, load_package
from .tokens import Ids, Tokenizer
from .training_free import TransformerEncoder, halve
from .weights import Weights

__all__ = ["TorchMissing", "fit_transformer"]

FEWEST_TO_SPLIT = 10  # labeled texts below which none are kept to stop by
PRIOR = 1.0  # posts' worth of an even distribution, with which the head's bias begins
LONGEST_GRADIENT = 1.0
SORTED_TOGETHER = 16  # batches whose texts are sorted by length, so that little is padded
STEPS_BETWEEN_REPORTS = 5
TEXTS_AT_ONCE = 64  # when a loss is measured


@dataclass(frozen=True)
class _Lesson:
    ids: list[Ids]
    labels: Distributions
    n_cut: int


def fit_transformer(
    texts: Sequence[str],
    targets: NDArray[Any],
    points: ArrayLike,
    settings: EncoderSettings,
    dev: Lessons | None = None,
    report: OnProgress | None = None,
) -> TransformerEncoder:
    """Teach a transformer and a fresh head on it, end to end.

    Each value has a softmax over the points of the scale. The loss of a label is its cross-entropy, and for "ordinal"
    also the squared earth mover's distance: squared differences between the cumulative distributions, summed over the
    steps of the scale, each weighed by its share of the scale times their number. Both are least, on average, at the
    true distribution. Labels count alike; a (post, value) without one does not. AdamW with gradients cut to length 1;
    rates rise, then fall to 0, and are lower for lower layers. After every pass the loss on the development posts is
    taken; after `patience` passes without a smaller one it stops, and the weights of the smallest are kept. The
    untaught transformer with the average of the labels is the first candidate.

    The same texts, settings and machine give the same encoder.

    Parameters
    ----------
    texts : n strings
    targets : array of shape (n, n_values, n_points), NaN for a (post, value) without a label
    points : array-like of shape (n_points,), the scale, increasing
    settings : `transformer` and `loss`, `seed`, `dev_share` of it
    dev : texts and targets by which to stop; without them a share of the texts, which is then not taught. With fewer
        than 10 labeled texts and none for development all passes are made.
    report : told of steps done and to do; whatever it raises ends the fit

    Returns
    -------
    TransformerEncoder
        Its `facts`: "encoder" and "device"; "n_taught", "n_dev" and "n_cut" (longer than what is read) posts;
        "losses", of the development posts before and after each pass, None where they left all numbers behind;
        "best_pass", from 0; "untaught_values", which had no label and get an even distribution.

    Raises
    ------
    TorchMissing, PackageMissing
        If a package of requirements-encoder.txt is not installed.
    ValueError
        If labels are no distributions, there are fewer than two labeled texts, or the encoder cannot be read.
    """
    torch = load_package("torch", "Training a transformer")
    scale = np.asarray(points, dtype=np.float64)
    labels = check_lessons(texts, targets, scale)
    is_labeled = ~np.isnan(labels[:, :, 0])
    if (n_labeled := int(is_labeled.any(axis=1).sum())) < 2:
        raise ValueError(f"{n_labeled} text has a label; an encoder needs at least two")
    checkpoint = read_checkpoint(*find_folder(str(settings.transformer["folder"])))
    tokenizer = Tokenizer(
        checkpoint.tokenizer, min(settings.transformer["max_tokens"], checkpoint.max_tokens)
    )
    taught, judged = _split(texts, labels, tokenizer, settings, dev, scale)
    with _repeatable(torch, settings.seed) as device:
        head = _begin_head(taught.labels, checkpoint.architecture.width)
        met = np.unique(np.concatenate([*taught.ids, *(judged.ids if judged else [])]))
        model = TorchModel(torch, checkpoint.architecture, checkpoint.weights | head, met, device)
        course = _Course(torch, model, settings, scale, report)
        best, losses, best_pass = course.run(taught, judged)
    facts = {
        "encoder": checkpoint.name,
        "device": device,
        "n_taught": len(taught.ids),
        "n_dev": len(judged.ids) if judged else 0,
        "n_cut": taught.n_cut + (judged.n_cut if judged else 0),
        "losses": [loss if math.isfinite(loss) else None for loss in losses],
        "best_pass": best_pass,
        "untaught_values": np.flatnonzero(~is_labeled.any(axis=0)).tolist(),
    }
    return TransformerEncoder(checkpoint.architecture, halve(best), tokenizer, scale, facts)


def _split(
    texts: Sequence[str],
    labels: Distributions,
    tokenizer: Tokenizer,
    settings: EncoderSettings,
    dev: Lessons | None,
    scale: NDArray[np.float64],
) -> tuple[_Lesson, _Lesson | None]:
    """Return what is taught and what the losses are taken of: texts with a label, a text on one side only."""

    def select(which: Sequence[str], found: Distributions) -> _Lesson:
        places = np.flatnonzero(~np.isnan(found[:, :, 0]).all(axis=1)).tolist()
        ids, is_cut = tokenizer.encode([which[place] for place in places])
        return _Lesson(ids, found[places], int(is_cut.sum()))

    if dev is not None:
        return select(texts, labels), select(dev[0], check_lessons(*dev, scale))
    whole = select(texts, labels)
    if len(whole.ids) < FEWEST_TO_SPLIT:
        return whole, None
    _, place = np.unique(digest_texts(texts), axis=0, return_inverse=True)
    dealt = np.random.default_rng(settings.seed).permutation(place.max() + 1)[place.reshape(-1)]
    is_dev = dealt < max(1, round(settings.dev_share * (place.max() + 1)))
    parts = [
        select([texts[i] for i in np.flatnonzero(side).tolist()], labels[side]) for side in (~is_dev, is_dev)
    ]
    return (parts[0], parts[1]) if all(part.ids for part in parts) else (whole, None)


def _begin_head(labels: Distributions, width: int) -> Weights:
    """Return a head that gives each value the average of its labels, drawn a little towards the even one."""
    n_values, n_points = labels.shape[1:]
    n_labels = (~np.isnan(labels[:, :, :1])).sum(axis=0)
    average = (np.nansum(labels, axis=0, dtype=np.float64) + PRIOR / n_points) / (n_labels + PRIOR)
    bias = np.log(average).astype(np.float32).reshape(-1)
    return {"head": np.zeros((width, n_values * n_points), dtype=np.float32), "head_bias": bias}


@contextmanager
def _repeatable(torch: Any, seed: int) -> Iterator[str]:
    """Let torch draw by the seed and compute the same each time, and be afterwards as it was; gives the device."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        # Without it CUDA refuses to be repeatable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    was_exact = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield device
        finally:
            torch.use_deterministic_algorithms(was_exact)


class _Course:
    """The passes over the posts."""

    def __init__(
        self,
        torch: Any,
        model: TorchModel,
        settings: EncoderSettings,
        scale: NDArray[np.float64],
        report: OnProgress | None,
    ) -> None:
        self._torch, self._model, self._report = torch, model, report
        self._options = settings.transformer
        self._rng = np.random.default_rng(settings.seed)
        self._cumulate = None
        if settings.loss == ORDINAL:
            # A product, as CUDA's cumulative sums are not repeatable.
            gaps = np.diff(scale) / np.diff(scale).mean()
            below = np.triu(np.ones((len(scale), len(scale))))[:, :-1] * np.sqrt(gaps)
            self._cumulate = torch.tensor(below, dtype=torch.float32, device=model.device)

    def run(self, taught: _Lesson, judged: _Lesson | None) -> tuple[Weights, list[float], int]:
        """Return the best weights, the losses before and after each pass, and the pass that gave the weights."""
        n_epochs, size = self._options["epochs"], self._options["batch_size"]
        n_steps = -(-len(taught.ids) // size)
        optimizer, schedule = self._build_optimizer(n_steps * n_epochs)
        losses = [self._measure(judged)] if judged else []
        best, best_pass, n_done = self._model.to_arrays(), 0, 0
        for epoch in range(1, n_epochs + 1):
            for batch in self._shuffle([len(ids) for ids in taught.ids], size):
                self._step([taught.ids[i] for i in batch], taught.labels[batch], optimizer)
                schedule.step()
                n_done += 1
                if self._report and (n_done % STEPS_BETWEEN_REPORTS == 0 or n_done % n_steps == 0):
                    self._report(n_done, n_steps * n_epochs, f"steps, pass {epoch} of at most {n_epochs}")
            if judged is None:
                best, best_pass = self._model.to_arrays(), epoch
                continue
            losses.append(self._measure(judged))
            if losses[-1] < min(losses[:-1]):
                best, best_pass = self._model.to_arrays(), epoch
            elif epoch - best_pass >= self._options["patience"]:
                break
        return best, losses, best_pass

    def _step(self, ids: list[Ids], labels: Distributions, optimizer: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        total, n_labels = self._lose(ids, labels, with_gradients=True)
        (total / n_labels).backward()
        self._torch.nn.utils.clip_grad_norm_(self._model.parameters.values(), LONGEST_GRADIENT)
        optimizer.step()

    def _measure(self, lesson: _Lesson) -> float:
        """Return the mean loss of a label."""
        order = np.argsort([len(ids) for ids in lesson.ids], kind="stable")
        total, n_labels = 0.0, 0
        for first in range(0, len(order), TEXTS_AT_ONCE):
            batch = order[first : first + TEXTS_AT_ONCE]
            lost, n = self._lose([lesson.ids[i] for i in batch], lesson.labels[batch], with_gradients=False)
            total, n_labels = total + float(lost), n_labels + n
        return total / n_labels

    def _lose(self, ids: list[Ids], labels: Distributions, *, with_gradients: bool) -> tuple[Any, int]:
        """Return the sum of the labels' losses, and how many labels there are."""
        torch = self._torch
        is_labeled = ~np.isnan(labels[:, :, 0])
        wanted = torch.from_numpy(labels[is_labeled]).to(self._model.device)
        logits = self._model.read(ids, with_gradients=with_gradients)
        logits = logits.reshape(*labels.shape)[torch.from_numpy(is_labeled).to(self._model.device)]
        given = torch.log_softmax(logits, dim=-1)
        total = -(wanted * given).sum()
        if self._cumulate is not None:
            total = total + ((given.exp() - wanted) @ self._cumulate).square().sum()
        return total, len(wanted)

    def _build_optimizer(self, n_steps: int) -> tuple[Any, Any]:
        torch, model, options = self._torch, self._model, self._options
        groups = [
            {
                "params": [parameter],
                "lr": options["head_learning_rate"]
                if name.startswith("head")
                else options["learning_rate"] * model.get_share(name),
                "weight_decay": options["weight_decay"] if model.is_product(name) else 0.0,
            }
            for name, parameter in model.parameters.items()
        ]
        n_rising = max(1, round(options["warm_up_share"] * n_steps))

        def get_height(step: int) -> float:
            return float(min((step + 1) / n_rising, max(0.0, (n_steps - step) / max(1, n_steps - n_rising))))

        optimizer = torch.optim.AdamW(groups, fused=True)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, get_height)

    def _shuffle(self, lengths: list[int], size: int) -> list[NDArray[np.intp]]:
        """Return batches of texts in random order, each of texts of like length."""
        order = self._rng.permutation(len(lengths))
        batches = []
        for first in range(0, len(order), size * SORTED_TOGETHER):
            near = order[first : first + size * SORTED_TOGETHER]
            near = near[np.argsort(np.array(lengths)[near], kind="stable")]
            batches += [near[at : at + size] for at in range(0, len(near), size)]
        return [batches[place] for place in self._rng.permutation(len(batches))]
