"""The predictions of all posts for all raters: a matrix per value in the artefact storage, never rows of a table.

A matrix lies there in pieces, each of all raters (rows) and some posts (columns), so that many workers can write it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from annotation.models import Enrollment, Post
from modeling.artefacts import load_arrays, locate, save_arrays, save_file, scratch_file
from modeling.errors import ArtefactDamaged, DataChanged
from modeling.export.pseudonyms import make_pseudonym
from modeling.models import ScoreFile, ScoreRun

from .pieces import FLOAT, PieceWriter, Singles, open_piece, restore

Ids = NDArray[np.int64]

ROWS_IN_GROUP = 500_000  # of a Parquet file, at least, unless all raters have fewer
RATER, POST = "rater_id", "post_id"  # as in the exports, so that tables can be joined
REMEDY = "score the posts again"


class Block(NamedTuple):
    """Predictions of shape (n, m), and the rater and post of the piece at which they begin."""

    first_rater: int
    first_post: int
    predictions: NDArray[Any]


@dataclass(frozen=True)
class StoredPiece:
    """A piece in the artefact storage; the fields are those of a `ScoreFile`."""

    n_posts: int
    name: str
    sha256: str
    n_bytes: int


def save_piece(
    prefix: str, shape: tuple[int, int], blocks: Iterable[Block], *, dtype: str, factor: float
) -> StoredPiece:
    """Write one value's predictions for all raters and some posts; one block is in memory at a time.

    Parameters
    ----------
    shape : (n_raters, n_posts) of the piece
    dtype, factor : "uint8" with what `choose_factor` says, or "float32" and 1

    Raises
    ------
    ValueError
        If the blocks leave a hole, overlap, or hold what does not fit the type. Nothing is stored then.
    """
    with scratch_file() as path:
        with PieceWriter(path, shape, dtype=dtype, factor=factor) as writer:
            for block in blocks:
                writer.write(block.predictions, first_rater=block.first_rater, first_post=block.first_post)
        n_bytes = path.stat().st_size
        name, digest = save_file(prefix, path, ".npy")
    return StoredPiece(shape[1], name, digest, n_bytes)


def save_axes(prefix: str, enrollment_ids: ArrayLike, post_ids: ArrayLike) -> tuple[str, str]:
    """Store whose the rows are and of what the columns; return the file's name and SHA-256.

    Raises ValueError when an id stands there twice.
    """
    axes = {"enrollment_ids": np.asarray(enrollment_ids), "post_ids": np.asarray(post_ids)}
    for name, ids in axes.items():
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer) or len(np.unique(ids)) < len(ids):
            raise ValueError(f"{name} must be a list of whole numbers, each there once")
    return save_arrays(prefix, **{name: ids.astype(np.int64) for name, ids in axes.items()})


class Scores:
    """What a `ScoreRun` holds, read from its files where it is asked for.

    Each file's hash is checked when it is first used. Of a bucket a file is copied to this machine's cache first; in a
    folder it is read where it lies, so that one rater's row or one post's column costs what it holds.

    Raises ArtefactDamaged when files are missing or are not those of the run.
    """

    def __init__(self, score_run: ScoreRun) -> None:
        self.score_run = score_run
        self.value_keys: tuple[str, ...] = tuple(score_run.value_keys)
        axes = load_arrays(score_run.axes, score_run.axes_sha256)
        self.enrollment_ids: Ids = axes["enrollment_ids"]
        self.post_ids: Ids = axes["post_ids"]
        if (len(self.enrollment_ids), len(self.post_ids)) != (score_run.n_raters, score_run.n_posts):
            raise ArtefactDamaged(f"{score_run} do not have the raters and posts of their axes; {REMEDY}.")
        self._mapped: dict[int, NDArray[Any]] = {}

    def read_rater(self, enrollment_id: int, *, values: Sequence[str] | None = None) -> Singles:
        """Return one rater's predictions, of shape (n_posts, n_values), in the order of `post_ids`.

        `values` names some of the values, all by default. Raises ValueError for a rater or value that is not in it.
        """
        row = self._find(self.enrollment_ids, enrollment_id, "rater")
        keys = self._choose(values)
        out = np.empty((len(self.post_ids), len(keys)), np.float32)
        for column, key in enumerate(keys):
            out[:, column] = self._read_rows(key, slice(row, row + 1))[0]
        return out

    def read_post(self, post_id: int, *, values: Sequence[str] | None = None) -> Singles:
        """Return one post's predictions, of shape (n_raters, n_values), in the order of `enrollment_ids`.

        Raises as `read_rater`.
        """
        place = self._find(self.post_ids, post_id, "post")
        keys = self._choose(values)
        out = np.empty((len(self.enrollment_ids), len(keys)), np.float32)
        for column, key in enumerate(keys):
            piece = next(file for file in self._pieces[key] if place < file.first_post + file.n_posts)
            out[:, column] = restore(self._map(piece)[:, place - piece.first_post], self.score_run.scale)
        return out

    def read_raters(self, first: int, n_raters: int, *, values: Sequence[str] | None = None) -> Singles:
        """Return the predictions of some rows, of shape (n_values, n_raters, n_posts)."""
        rows = slice(first, first + n_raters)
        return np.stack([self._read_rows(key, rows) for key in self._choose(values)])

    def _read_rows(self, key: str, rows: slice) -> Singles:
        parts = [restore(self._map(file)[rows], self.score_run.scale) for file in self._pieces[key]]
        return np.concatenate(parts, axis=1)

    @cached_property
    def _pieces(self) -> dict[str, list[ScoreFile]]:
        """The files of each value in the order of posts, without a gap or an overlap."""
        pieces: dict[str, list[ScoreFile]] = {key: [] for key in self.value_keys}
        for file in self.score_run.files.order_by("first_post"):
            pieces.setdefault(file.value_key, []).append(file)
        for key, files in pieces.items():
            at = 0
            for file in files:
                if file.first_post != at:
                    break
                at += file.n_posts
            if key not in self.value_keys or at != len(self.post_ids) or files[-1].first_post >= at:
                raise ArtefactDamaged(
                    f"The files of value '{key}' of {self.score_run} hold {at} of {len(self.post_ids)} posts in a row; "
                    f"{REMEDY}."
                )
        return pieces

    def _map(self, file: ScoreFile) -> NDArray[Any]:
        if file.pk not in self._mapped:
            shape = (len(self.enrollment_ids), file.n_posts)
            try:
                self._mapped[file.pk] = open_piece(
                    locate(file.name, file.sha256), shape, self.score_run.dtype
                )
            except ValueError as error:
                raise ArtefactDamaged(
                    f"The file {file.name} is not a piece of {self.score_run}: {error}; {REMEDY}."
                ) from error
        return self._mapped[file.pk]

    def _choose(self, values: Sequence[str] | None) -> tuple[str, ...]:
        chosen = self.value_keys if values is None else tuple(values)
        unknown = [key for key in chosen if key not in self.value_keys]
        if unknown or not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(
                f"values must be some of {', '.join(self.value_keys)}, each once; not {', '.join(chosen) or 'none'}"
            )
        return chosen

    def _find(self, ids: Ids, wanted: int, what: str) -> int:
        (found,) = np.nonzero(ids == wanted)
        if not len(found):
            raise ValueError(
                f"{what} {wanted} is not in {self.score_run}; {REMEDY}, or predict this one alone"
            )
        return int(found[0])


def export_parquet(score_run: ScoreRun, path: Path, *, values: Sequence[str] | None = None) -> int:
    """Write predictions as one wide Parquet file: a row for each rater and post, a column for each value.

    Raters go by the pseudonyms of the study's exports; a row group holds whole raters, a few of which are in memory
    at a time. The file is there whole or not at all. Returns the number of rows.

    Raises ValueError for an unknown value, DataChanged when a rater or post is not in the study any more, and
    ArtefactDamaged as `Scores`.
    """
    scores = Scores(score_run)
    keys = scores._choose(values)
    if taken := {RATER, POST}.intersection(keys):
        raise ValueError(f"a value named {', '.join(taken)} cannot be a column beside {RATER} and {POST}")
    people, posts = _name_axes(scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        partial = Path(folder) / path.name
        _write(partial, scores, keys, people, posts)
        partial.replace(path)
    return len(people) * len(posts)


def _name_axes(scores: Scores) -> tuple[list[str], list[str]]:
    study = scores.score_run.fit_run.study_id
    people = dict(Enrollment.objects.filter(study=study).values_list("pk", "public_id"))
    posts = dict(Post.objects.filter(study=study).values_list("pk", "key"))
    gone = sum(pk not in people for pk in scores.enrollment_ids.tolist())
    gone += sum(pk not in posts for pk in scores.post_ids.tolist())
    if gone:
        raise DataChanged(
            f"{gone} raters or posts of {scores.score_run} are not in the study any more; {REMEDY}."
        )
    return (
        [make_pseudonym(people[pk]) for pk in scores.enrollment_ids.tolist()],
        [posts[pk] for pk in scores.post_ids.tolist()],
    )


def _write(path: Path, scores: Scores, keys: tuple[str, ...], people: list[str], posts: list[str]) -> None:
    run = scores.score_run
    names = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [pa.field(RATER, names, nullable=False), pa.field(POST, names, nullable=False)]
        + [pa.field(key, pa.float32()) for key in keys],
        metadata={
            "fit": run.fit_run.key,
            "consensus": run.fit_run.consensus_name,
            "scores": run.key,
            "step": f"{1 / run.scale:g}",
        },
    )
    is_float = run.dtype == FLOAT
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[RATER, POST, *(() if is_float else keys)],
        use_byte_stream_split=list(keys) if is_float else False,
    ) as writer:
        for batch in _batch(scores, keys, people, posts, schema):
            writer.write_batch(batch, row_group_size=batch.num_rows)


def _batch(
    scores: Scores, keys: tuple[str, ...], people: list[str], posts: list[str], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    n_posts = len(posts)
    n_together = max(1, -(-ROWS_IN_GROUP // n_posts))
    post_names = pa.array(posts, pa.string())
    for first in range(0, len(people), n_together):
        some = people[first : first + n_together]
        predictions = scores.read_raters(first, len(some), values=keys).reshape(len(keys), -1)
        raters = np.repeat(np.arange(len(some), dtype=np.int32), n_posts)
        columns = [
            pa.DictionaryArray.from_arrays(raters, pa.array(some, pa.string())),
            pa.DictionaryArray.from_arrays(
                np.tile(np.arange(n_posts, dtype=np.int32), len(some)), post_names
            ),
            # NaN, where there is no prediction, is null to whoever reads the file.
            *(pa.array(column, pa.float32(), from_pandas=True) for column in predictions),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
