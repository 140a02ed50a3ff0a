"""A long table of ratings, as it comes from a notebook, made ready for every measure of this room."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.agreement import PostMeasure, human_consensus, human_consensus_by_size, human_human
from modeling.stats.crowd_error import CrowdError, human_crowd_mae
from modeling.stats.krippendorff import Alpha, AlphaBootstrap, bootstrap_alpha, krippendorff_alpha
from modeling.stats.resampling import Interval, bootstrap_mean

MAX_NAMED = 5


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings as arrays, with the names behind the codes.

    Attributes
    ----------
    rater_ids, post_ids, value_keys : tuples of names; a code is a place in them
    raters, posts : ndarrays of shape (n_rows,)
        Who rated what: one row per (rater, post).
    ratings : ndarray of shape (n_rows, n_values)
        NaN where the table has no rating of the value.
    scale : (lowest, highest) or None
    """

    rater_ids: tuple[Hashable, ...]
    post_ids: tuple[Hashable, ...]
    value_keys: tuple[Hashable, ...]
    raters: NDArray[np.int64]
    posts: NDArray[np.int64]
    ratings: NDArray[np.float64]
    scale: tuple[float, float] | None = None

    @classmethod
    def from_long(
        cls,
        table: Any,
        *,
        rater: str = "rater",
        post: str = "post",
        value: str = "value",
        rating: str = "rating",
        scale: tuple[float, float] | None = None,
        values: Iterable[Hashable] | None = None,
        known_raters: Collection[Hashable] | None = None,
        known_posts: Collection[Hashable] | None = None,
    ) -> Ratings:
        """Read a table with one rating per line.

        Parameters
        ----------
        table : pandas.DataFrame, or any mapping from column names to columns of one length
        rater, post, value, rating : names of the columns
        scale : (lowest, highest), optional
            A rating outside is refused.
        values : optional
            The values in the system's order; others are refused. When left out: as they first appear.
        known_raters, known_posts : optional
            Names outside these are refused.

        Raises
        ------
        ValueError
            If a column is missing or empty somewhere, a rating is no number or lies outside the scale, a
            name is unknown, or a (rater, post, value) has two ratings; with the first lines concerned,
            counted from 0.

        Examples
        --------
        >>> table = {"rater": ["a", "a", "b", "b"], "post": [1, 1, 1, 1], "value": ["x", "y"] * 2}
        >>> ratings = Ratings.from_long(table | {"rating": [0, 3, 1, 6]}, scale=(0, 6))
        >>> round(ratings.human_human().rho, 3)
        1.0
        """
        columns = [_read_column(table, name) for name in (rater, post, value, rating)]
        lengths = {
            name: len(column) for name, column in zip((rater, post, value, rating), columns, strict=True)
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns differ in length: {lengths}; give one entry per rating")
        if not lengths[rating]:
            raise ValueError("the table has no line; give at least one rating")
        numbers = _read_ratings(columns[3], rating, scale)
        rater_ids, rater_codes = _code(columns[0], rater, known_raters)
        post_ids, post_codes = _code(columns[1], post, known_posts)
        wanted = None if values is None else tuple(values)
        value_keys, value_codes = _code(columns[2], value, wanted)
        if wanted is not None:
            place = {key: code for code, key in enumerate(wanted)}
            value_codes = np.array([place[key] for key in value_keys], dtype=np.int64)[value_codes]
            value_keys = wanted
        row_keys, rows = np.unique(rater_codes * len(post_ids) + post_codes, return_inverse=True)
        _refuse_repeats(rows * len(value_keys) + value_codes, columns, (rater, post, value))
        matrix = np.full((len(row_keys), len(value_keys)), np.nan)
        matrix[rows, value_codes] = numbers
        return cls(
            rater_ids=rater_ids,
            post_ids=post_ids,
            value_keys=value_keys,
            raters=row_keys // len(post_ids),
            posts=row_keys % len(post_ids),
            ratings=matrix,
            scale=scale,
        )

    def human_human(self) -> PostMeasure:
        """Mean rho over a post's pairs of raters; see `modeling.stats.agreement.human_human`."""
        return human_human(self.ratings, self.posts, len(self.post_ids))

    def human_consensus(self) -> PostMeasure:
        """Mean rho with the rounded consensus of the others; see `modeling.stats.agreement.human_consensus`."""
        return human_consensus(self.ratings, self.posts, len(self.post_ids))

    def human_consensus_by_size(
        self, sizes: Iterable[int], *, seed: int, n_draws: int = 10
    ) -> dict[int, PostMeasure]:
        """The same by the number of others; see `modeling.stats.agreement.human_consensus_by_size`."""
        return human_consensus_by_size(
            self.ratings,
            self.posts,
            sizes,
            rng=np.random.default_rng(seed),
            n_draws=n_draws,
            n_posts=len(self.post_ids),
        )

    def human_crowd_mae(self) -> CrowdError:
        """Distance of a rater from the others, by value; see `modeling.stats.crowd_error.human_crowd_mae`."""
        return human_crowd_mae(self.ratings, self.posts, len(self.post_ids))

    def krippendorff_alpha(self, level: str = "ordinal") -> Alpha:
        """Reliability by value; see `modeling.stats.krippendorff.krippendorff_alpha`."""
        return krippendorff_alpha(self.ratings, self.posts, level, len(self.post_ids))

    def bootstrap_alpha(
        self, level: str = "ordinal", *, seed: int, n_resamples: int = 1000, ci_level: float = 0.95
    ) -> AlphaBootstrap:
        """Intervals of alpha over posts; see `modeling.stats.krippendorff.bootstrap_alpha`."""
        return bootstrap_alpha(
            self.ratings,
            self.posts,
            [level],
            rng=np.random.default_rng(seed),
            n_resamples=n_resamples,
            ci_level=ci_level,
            n_posts=len(self.post_ids),
        )[level]

    def interval(
        self, measure: PostMeasure, *, seed: int, n_resamples: int = 1000, level: float = 0.95
    ) -> Interval:
        """Bootstrap interval of a measure over posts; see `modeling.stats.resampling.bootstrap_mean`."""
        return bootstrap_mean(
            measure.per_post, rng=np.random.default_rng(seed), n_resamples=n_resamples, level=level
        )

    def summarize(self, *, seed: int = 1) -> list[dict[str, Any]]:
        """The usual measures as rows, ready for `pandas.DataFrame`.

        First the agreement over the whole vector, then ordinal alpha of each value, each with a 95 %
        bootstrap interval over posts and what was left out. Where a number does not exist it is NaN and
        `reason` says why.
        """
        rows = [
            self._summarize_agreement("human-human", self.human_human(), seed),
            self._summarize_agreement("human-consensus", self.human_consensus(), seed),
        ]
        point, spread = self.krippendorff_alpha(), self.bootstrap_alpha(seed=seed)
        for place, key in enumerate(self.value_keys):
            rows.append(
                {
                    "measure": "ordinal alpha",
                    "value": key,
                    "estimate": float(point.krippendorff_alpha[place]),
                    "low": float(spread.low[place]),
                    "high": float(spread.high[place]),
                    "n_posts": int(point.n_posts[place]),
                    "n_left_out": int(point.n_left_out[place]),
                    "left_out": "ratings without a second one of their post",
                    "reason": point.reasons[place],
                }
            )
        return rows

    def _summarize_agreement(self, name: str, measure: PostMeasure, seed: int) -> dict[str, Any]:
        interval = self.interval(measure, seed=seed)
        return {
            "measure": name,
            "value": None,
            "estimate": measure.rho,
            "low": interval.low,
            "high": interval.high,
            "n_posts": measure.n_posts,
            "n_left_out": measure.n_undefined,
            "left_out": "comparisons with a constant vector",
            "reason": "" if measure.n_posts else "no post has two ratings vectors that vary",
        }


def _read_column(table: Any, name: str) -> NDArray[np.object_]:
    try:
        column = table[name]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        there = getattr(table, "columns", None)
        names = list(table) if there is None else list(there)
        raise ValueError(
            f"the table has no column '{name}', only {', '.join(map(str, names))}; name the right one"
        ) from error
    return np.asarray(column, dtype=object)


def _read_ratings(
    column: NDArray[np.object_], name: str, scale: tuple[float, float] | None
) -> NDArray[np.float64]:
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        bad = [line for line, entry in enumerate(column) if not _is_number(entry)]
        raise ValueError(
            f"column '{name}' holds something that is no number, {_name_lines(bad, column)}; mend these lines"
        ) from None
    if not np.isfinite(numbers).all():
        bad = np.flatnonzero(~np.isfinite(numbers)).tolist()
        raise ValueError(
            f"column '{name}' is empty or infinite, {_name_lines(bad, column)}; leave out the line of a missing rating"
        )
    if scale is not None:
        outside = np.flatnonzero((numbers < scale[0]) | (numbers > scale[1])).tolist()
        if outside:
            raise ValueError(
                f"column '{name}' leaves the scale from {scale[0]} to {scale[1]}, {_name_lines(outside, column)}; "
                "mend these lines or name the right scale"
            )
    return np.asarray(numbers, dtype=np.float64)


def _code(
    column: NDArray[np.object_], name: str, known: Collection[Hashable] | None
) -> tuple[tuple[Hashable, ...], NDArray[np.int64]]:
    """Number the names in order of their first appearance."""
    place: dict[Hashable, int] = {}
    codes = np.array([place.setdefault(entry, len(place)) for entry in column.tolist()], dtype=np.int64)
    empty = [key for key in place if key is None or key == "" or key != key]
    if empty:
        bad = np.flatnonzero(np.isin(codes, [place[key] for key in empty])).tolist()
        raise ValueError(
            f"column '{name}' is empty, {_name_lines(bad, column)}; fill it in or leave the line out"
        )
    if known is not None:
        there = set(known)
        strangers = [key for key in place if key not in there]
        if strangers:
            shown = ", ".join(repr(key) for key in strangers[:MAX_NAMED])
            raise ValueError(
                f"column '{name}' names {len(strangers)} that are not known: {shown}; add or remove them"
            )
    return tuple(place), codes


def _refuse_repeats(
    cells: NDArray[np.int64], columns: list[NDArray[np.object_]], names: tuple[str, str, str]
) -> None:
    order = np.argsort(cells, kind="stable")
    again = order[1:][cells[order][1:] == cells[order][:-1]]
    if len(again):
        line = int(again.min())
        named = ", ".join(f"{name} {column[line]!r}" for name, column in zip(names, columns[:3], strict=True))
        raise ValueError(
            f"{len(again)} line(s) rate what an earlier line rates, first line {line} ({named}); keep one of each"
        )


def _is_number(entry: object) -> bool:
    try:
        float(entry)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _name_lines(lines: list[int], column: NDArray[np.object_]) -> str:
    shown = ", ".join(f"line {line} ({column[line]!r:.40})" for line in lines[:MAX_NAMED])
    return f"{len(lines)} time(s): {shown}"
