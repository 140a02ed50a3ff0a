"""A forest as a small file of plain arrays, from which no code is ever loaded.

Nodes stand breadth-first and two children side by side, so which node is whose child need not be written;
leaf means are fractions of small numbers, so few differ and each leaf names its own by a code. The rest is
left to deflate. What is read is checked before it is used: a forest that a file made up could otherwise send
compiled code out of its arrays.
"""

from __future__ import annotations

import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numba
import numpy as np
from numpy.typing import NDArray

from modeling.estimators.histogram.forest import MAX_FEATURES, MAX_LEVELS, HistogramForest, Trees
from modeling.estimators.histogram.kernels import LEAF

FORMAT = 1
MAX_BYTES = 2**30  # unpacked; a forest of 500 trees on 18,574 rows has about 15 MB
SETTINGS = ("n_trees", "max_features", "min_rows_in_leaf", "seed", "bins", "bootstrap")

# What a file whose bytes were changed makes the readers of .zip and .npy raise, beside ValueError.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
)

# Of each array the kind of number; the size may be the smallest that fits.
KINDS = {
    "about": "U",
    "n_nodes": "i",
    "split_features": "i",
    "cuts": "u",
    "mean_codes": "u",
    "distinct_means": "f",
    "n_levels": "i",
    "levels": "f",
    "decreases": "f",
}


@dataclass(frozen=True)
class SavedForest:
    """What a file holds.

    Attributes
    ----------
    forest : HistogramForest
        Predicts the same bits as the one that was saved; `n_threads` is 1.
    feature_names : tuple of str
    versions : dict of str to str
        Of the packages that the forest was fitted with.
    """

    forest: HistogramForest
    feature_names: tuple[str, ...]
    versions: dict[str, str]


def save_forest(file: Path | IO[bytes], forest: HistogramForest, feature_names: Sequence[str]) -> None:
    """Write a fitted forest as a deflated .npz. The same forest gives the same bytes.

    Raises ValueError unless there is one name for each feature, no two alike.
    """
    np.savez_compressed(file, allow_pickle=False, **pack_forest(forest, feature_names))


def load_forest(file: Path | IO[bytes]) -> SavedForest:
    """Read a forest back.

    Raises ValueError, naming what is wrong, when the file is damaged, was not written by `save_forest`, or
    holds something that is no forest. OSError when it cannot be read.
    """
    content = io.BytesIO(file.read_bytes() if isinstance(file, Path) else file.read())
    try:
        with zipfile.ZipFile(content) as archive:
            _check_members(archive)
        content.seek(0)
        with np.load(content, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in KINDS}
    except DAMAGE as error:
        raise ValueError(f"this is not a whole forest file ({error}); restore it, or fit again") from error
    return unpack_forest(arrays)


def _check_members(archive: zipfile.ZipFile) -> None:
    """Refuse what would fill the memory, or claims to, before any array is made."""
    names = [member.filename for member in archive.infolist()]
    if sorted(names) != sorted(f"{name}.npy" for name in KINDS):
        raise ValueError(f"a forest file holds {', '.join(KINDS)}, this one {', '.join(names) or 'nothing'}")
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise ValueError(f"the file unpacks to more than {MAX_BYTES} bytes, which no forest here does")
    for member in archive.infolist():
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError(
                    f"{member.filename} is of .npy version {version}; a forest file has 1.0 only"
                )
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if dtype.hasobject:
                raise ValueError(f"{member.filename} holds Python objects; they are not loaded")
            if stream.tell() + int(np.prod(shape, dtype=object)) * dtype.itemsize != member.file_size:
                raise ValueError(f"{member.filename} is not as long as its shape {shape} says")


def pack_forest(forest: HistogramForest, feature_names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return a fitted forest as a few small arrays, see `save_forest`."""
    names = list(feature_names)
    if len(names) != len(forest.levels_) or len(set(names)) != len(names):
        raise ValueError(
            f"{len(names)} names for {len(forest.levels_)} features; give each a name of its own"
        )
    trees = forest.trees_
    is_leaf = trees.split_features == LEAF
    # By their bits, so that 0.0 and -0.0 stay apart.
    distinct, mean_codes = np.unique(trees.means[is_leaf].view(np.uint32), return_inverse=True)
    about = {
        "format": FORMAT,
        "settings": {name: getattr(forest, name) for name in SETTINGS},
        "feature_names": names,
        "versions": {"numpy": np.__version__, "numba": numba.__version__},
    }
    return {
        "about": np.array(json.dumps(about)),
        "n_nodes": np.diff(trees.starts),
        "split_features": trees.split_features.astype(np.int8 if len(names) <= 127 else np.int16),
        "cuts": trees.cuts[~is_leaf],
        "mean_codes": mean_codes.astype(np.min_scalar_type(len(distinct))),
        "distinct_means": distinct.view(np.float32),
        "n_levels": np.array([len(levels) for levels in forest.levels_]),
        "levels": np.concatenate(forest.levels_),
        "decreases": forest.decreases_,
    }


def unpack_forest(arrays: Mapping[str, NDArray[Any]]) -> SavedForest:
    """Return the forest that `pack_forest` made arrays of.

    Raises ValueError, naming what is wrong, unless the arrays are a forest.
    """
    for name, kind in KINDS.items():
        if name not in arrays:
            raise ValueError(f"the forest has no {name}")
        if arrays[name].dtype.kind != kind or arrays[name].ndim != (name != "about"):
            raise ValueError(
                f"{name} is {arrays[name].dtype} of shape {arrays[name].shape}; that is no forest's"
            )
    forest, names, versions = _read_about(str(arrays["about"]))
    forest.levels_ = _read_levels(arrays["n_levels"], arrays["levels"].astype(np.float64), len(names))
    forest.decreases_ = arrays["decreases"].astype(np.float64)
    if forest.decreases_.shape != (len(names),) or not (forest.decreases_ >= 0).all():
        raise ValueError(f"decreases must be {len(names)} numbers of zero or more, one for each feature")
    forest.trees_ = _read_trees(arrays, forest)
    return SavedForest(forest, names, versions)


def _read_about(text: str) -> tuple[HistogramForest, tuple[str, ...], dict[str, str]]:
    try:
        about = json.loads(text)
        if about["format"] != FORMAT:
            raise ValueError(f"the file is of format {about['format']!r}, which this version cannot read")
        settings, names, versions = about["settings"], about["feature_names"], about["versions"]
        if [type(settings[name]) for name in SETTINGS] != [int, float, int, int, str, bool]:
            raise ValueError("the settings in the file are no forest's")
        forest = HistogramForest(**{name: settings[name] for name in SETTINGS})
        strings = [*names, *versions, *versions.values()]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"what the file says about itself is not readable ({error!r})") from error
    if not all(isinstance(item, str) for item in strings) or len(set(names)) != len(names):
        raise ValueError("feature names and versions must be text, and no two names alike")
    if not 1 <= len(names) <= MAX_FEATURES:
        raise ValueError(f"the file names {len(names)} features; a forest has 1 to {MAX_FEATURES}")
    return forest, tuple(names), versions


def _read_levels(
    n_levels: NDArray[Any], levels: NDArray[np.float64], n_features: int
) -> list[NDArray[np.float64]]:
    if n_levels.shape != (n_features,) or not ((n_levels >= 1) & (n_levels <= MAX_LEVELS + 1)).all():
        raise ValueError(f"n_levels must be {n_features} numbers from 1 to {MAX_LEVELS + 1}")
    if n_levels.sum() != len(levels):
        raise ValueError(f"there are {len(levels)} levels, but n_levels add up to {n_levels.sum()}")
    of_feature = np.split(levels, np.cumsum(n_levels)[:-1])
    for feature, own in enumerate(of_feature):
        present = own[int(np.isnan(own[0])) :]
        if len(present) > MAX_LEVELS or not np.isfinite(present).all() or not (np.diff(present) > 0).all():
            raise ValueError(
                f"levels of feature {feature} must be finite and increase; only the first may be missing"
            )
    return of_feature


def _read_trees(arrays: Mapping[str, NDArray[Any]], forest: HistogramForest) -> Trees:
    n_nodes, split_features = arrays["n_nodes"], arrays["split_features"]
    if len(n_nodes) != forest.n_trees or not ((n_nodes >= 1) & (n_nodes <= len(split_features))).all():
        raise ValueError(f"n_nodes must be {forest.n_trees} numbers, each from 1 to all nodes together")
    starts = np.concatenate([[0], np.cumsum(n_nodes, dtype=np.int64)])
    if starts[-1] != len(split_features):
        raise ValueError(f"there are {len(split_features)} nodes, but n_nodes add up to {starts[-1]}")
    if split_features.min() < LEAF or split_features.max() >= len(forest.levels_):
        raise ValueError(f"split_features must be -1, or below the {len(forest.levels_)} features")

    splits = split_features != LEAF
    tree = np.repeat(np.arange(len(n_nodes)), n_nodes)
    n_splits_before = np.concatenate([[0], np.cumsum(splits)])
    place = np.arange(len(splits)) - starts[tree]
    left = 1 + 2 * (n_splits_before[:-1] - n_splits_before[starts[tree]])
    # The children of the k-th splitting node are nodes 2k + 1 and 2k + 2.
    if (n_nodes != 1 + 2 * np.diff(n_splits_before[starts])).any() or (left <= place)[splits].any():
        raise ValueError("split_features do not make trees: a child would lie outside, or before its parent")

    cuts, mean_codes, distinct_means = (arrays[name] for name in ("cuts", "mean_codes", "distinct_means"))
    n_levels = np.array([len(levels) for levels in forest.levels_])
    if len(cuts) != splits.sum() or (cuts >= n_levels[split_features[splits]] - 1).any():
        raise ValueError("cuts must be one for each splitting node, below the feature's last level")
    if len(mean_codes) != len(splits) - splits.sum() or (mean_codes >= len(distinct_means)).any():
        raise ValueError("mean_codes must be one for each leaf, below the number of distinct means")
    if distinct_means.dtype != np.float32 or not np.isfinite(distinct_means).all():
        raise ValueError("distinct_means must be finite float32")
    all_cuts, means = np.zeros(len(splits), np.uint8), np.zeros(len(splits), np.float32)
    all_cuts[splits] = cuts
    means[~splits] = distinct_means[mean_codes]
    return Trees(
        starts, split_features.astype(np.int16), all_cuts, np.where(splits, left, 0).astype(np.int32), means
    )
