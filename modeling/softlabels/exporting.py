"""Soft labels as a table for other programs, and a few posts of them for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from annotation.models import Post, Study
from modeling.artefacts import save_file, scratch_file

from .mixing import from_grains, mix

MIXED = "mixed"
AT_ONCE = 2000
N_EXAMPLES = 6
N_SHOWN_VALUES = 5
Grains = NDArray[np.uint16]


def write_table(
    study: Study,
    prefix: str,
    post_ids: NDArray[np.int64],
    grains: Sequence[Grains],
    sources: Sequence[tuple[str, float]],
    points: NDArray[np.float64],
) -> str:
    """Write a Parquet file with a row for each post, value and source, and for what is mixed of them; return its name.

    Columns: post_id, post_key, value, source, weight, and the probability of each point, such as p0 to p6. The weight
    of a source is that which it was given; that of "mixed" is the sum of the weights of the sources that have the
    post and value. Rows without a label are left out.
    """
    names = [f"p{point:g}" for point in points]
    schema = pa.schema(
        [("post_id", pa.int64()), ("post_key", pa.string())]
        + [(name, pa.dictionary(pa.int32(), pa.string())) for name in ("value", "source")]
        + [("weight", pa.float64())]
        + [(name, pa.float32()) for name in names]
    )
    weights = np.array([weight for _, weight in sources])
    with scratch_file() as path:
        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for start in range(0, len(post_ids), AT_ONCE):
                ids = post_ids[start : start + AT_ONCE]
                key_of = dict(Post.objects.filter(study=study, pk__in=ids.tolist()).values_list("pk", "key"))
                keys = np.array([key_of.get(pk, "") for pk in ids.tolist()])
                per_source = np.stack([from_grains(each[start : start + AT_ONCE]) for each in grains])
                mixed = mix(per_source, weights)
                has_it = ~np.isnan(per_source[..., 0])
                summed = np.tensordot(weights, has_it, axes=1)
                parts = [
                    (name, np.full(has.shape, weight), shares)
                    for (name, weight), has, shares in zip(sources, has_it, per_source, strict=True)
                ]
                for name, weight, shares in [*parts, (MIXED, summed, mixed.distributions)]:
                    posts, values = np.nonzero(~np.isnan(shares[..., 0]))
                    writer.write_batch(
                        pa.record_batch(
                            [
                                pa.array(ids[posts]),
                                pa.array(keys[posts], pa.string()),
                                pa.DictionaryArray.from_arrays(
                                    pa.array(values, pa.int32()), pa.array(study.value_keys, pa.string())
                                ),
                                pa.DictionaryArray.from_arrays(
                                    pa.array(np.zeros(len(posts)), pa.int32()), pa.array([name])
                                ),
                                pa.array(weight[posts, values]),
                                *(pa.array(shares[posts, values, point]) for point in range(len(names))),
                            ],
                            schema=schema,
                        )
                    )
        return save_file(prefix, path, ".parquet")[0]


def choose_examples(
    post_ids: NDArray[np.int64], grains: Sequence[Grains], weights: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Choose posts from the least to the most certain, of those that the most sources have.

    Returns for each its id and the values with the highest mean, each with the shares of every source (None where a
    source has nothing) and those of what is mixed of them.
    """
    n_sources = np.sum([each.any(axis=(1, 2)) for each in grains], axis=0)
    often = np.flatnonzero(n_sources == n_sources.max())[: 10 * AT_ONCE]
    per_source = np.stack([from_grains(each[often]) for each in grains])
    mixed = mix(per_source, weights).distributions
    logs = np.log2(np.where(mixed > 0, mixed, 1))
    entropies = -np.nansum(mixed * logs, axis=(1, 2))
    order = np.argsort(-entropies, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, N_EXAMPLES).round().astype(int))
    examples = []
    for row in order[places]:
        means = mixed[row] @ np.arange(mixed.shape[2])
        values = np.argsort(-np.nan_to_num(means, nan=-1), kind="stable")[:N_SHOWN_VALUES]
        examples.append(
            {
                "post": int(post_ids[often[row]]),
                "values": [
                    {
                        "value": int(value),
                        "sources": [_tell(each[row, value]) for each in per_source],
                        "mixed": _tell(mixed[row, value]),
                    }
                    for value in values
                ],
            }
        )
    return examples


def _tell(shares: NDArray[np.float32]) -> list[float] | None:
    return None if np.isnan(shares[0]) else [round(float(share), 4) for share in shares]
