"""Which cells (post, value) may still be asked: each value at least once, so many questions per post at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Scores closer than this are a tie, settled by the earlier cell rather than by float error.
TIE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Coverage:
    """What a questionnaire must spread over; by default nothing.

    Attributes
    ----------
    every_value : whether each value is asked about at least once
    most_per_post : at most so many questions about one post; None for no limit
    """

    every_value: bool = False
    most_per_post: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a limit below 1."""
        if self.most_per_post is not None and self.most_per_post < 1:
            raise ValueError(f"most_per_post is {self.most_per_post}: allow at least 1 question per post")


NO_CONSTRAINT = Coverage()


class Picker:
    """Takes one cell after another by score, never one after which the constraints could not be met.

    Parameters
    ----------
    varies : ndarray of bool, shape (n_posts, n_values)
        Whether raters differ in the cell. Others are never taken.
    n_cells : int
        How many will be taken in all.
    coverage : Coverage

    Raises
    ------
    ValueError
        If `n_cells` is below 1 or the constraints cannot be met, with the numbers.
    """

    def __init__(self, varies: Bools, n_cells: int, coverage: Coverage = NO_CONSTRAINT) -> None:
        if n_cells < 1:
            raise ValueError(f"n_cells is {n_cells}: choose at least 1")
        self.free = varies.copy()
        self.n_left = n_cells
        limit = varies.shape[1] if coverage.most_per_post is None else coverage.most_per_post
        self.room = np.full(len(varies), limit)
        self.uncovered = set(range(varies.shape[1])) if coverage.every_value else set()
        n_offered = self._count_room()
        if n_cells > n_offered:
            allowed = "" if coverage.most_per_post is None else f" with at most {limit} per post"
            raise ValueError(
                f"{n_cells} questions were asked for, but {len(varies)} post(s){allowed} offer {n_offered} on which "
                "raters differ: ask fewer, allow more per post or take a pre-study with more posts"
            )
        if n_cells < len(self.uncovered):
            raise ValueError(
                f"{n_cells} question(s) cannot cover {len(self.uncovered)} values: ask at least {len(self.uncovered)}, "
                "or do not ask for each value"
            )
        n_covered = self._count_coverable()
        if n_covered < len(self.uncovered):
            raise ValueError(
                f"only {n_covered} of {len(self.uncovered)} values can be covered by the {len(varies)} post(s): in the "
                "others all raters agree, or a post may be asked about too seldom"
            )

    def take(self, scores: Floats) -> int:
        """Return the allowed cell with the largest score, as post * n_values + value, and count it as taken.

        `scores` has shape (n_posts * n_values,); of equal scores the cell that stands first is taken.
        """
        if not self.n_left:
            raise ValueError("all the cells that were asked for are taken")
        open_cells = self.free.ravel() & np.repeat(self.room > 0, self.free.shape[1])
        while open_cells.any():
            best = scores[open_cells].max()
            tolerance = TIE_TOLERANCE * max(1.0, abs(best))
            cell = int((open_cells & (scores >= best - tolerance)).argmax())
            if self._try(cell):
                return cell
            open_cells[cell] = False
        raise ValueError("no cell is left that the constraints allow")

    def _try(self, cell: int) -> bool:
        post, value = divmod(cell, self.free.shape[1])
        was_uncovered = value in self.uncovered
        self.free[post, value] = False
        self.room[post] -= 1
        self.uncovered.discard(value)
        self.n_left -= 1
        if len(self.uncovered) <= self.n_left <= self._count_room() and self._count_coverable() == len(
            self.uncovered
        ):
            return True
        self.free[post, value] = True
        self.room[post] += 1
        self.n_left += 1
        if was_uncovered:
            self.uncovered.add(value)
        return False

    def _count_room(self) -> int:
        return int(np.minimum(self.free.sum(axis=1), self.room).sum())

    def _count_coverable(self) -> int:
        """How many uncovered values find a post each, by augmenting paths."""
        of_post: list[list[int]] = [[] for _ in self.room]

        def place(value: int, seen: set[int]) -> bool:
            for post in np.flatnonzero(self.free[:, value] & (self.room > 0)).tolist():
                if post in seen:
                    continue
                seen.add(post)
                if len(of_post[post]) < self.room[post]:
                    of_post[post].append(value)
                    return True
                for k, other in enumerate(of_post[post]):
                    if place(other, seen):
                        of_post[post][k] = value
                        return True
            return False

        return sum(place(value, set()) for value in sorted(self.uncovered))
