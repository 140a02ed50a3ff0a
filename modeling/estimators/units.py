"""The heavy part of a fit, cut into units that can be done anywhere and in any order: a member, a value, some tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import BLEND, BOOSTING, CONSENSUS, FOREST, LEVEL, MIXED, FitSettings, Floats
from .members.base import Arrays, Fitted, Member
from .members.boosting import PooledBoosting
from .members.forest import FittedForests, Forest, Sees
from .members.level import Level
from .members.mixed import MixedEffects
from .plan import (
    COLD_NO_PERSON,
    MAIN,
    MAIN_NEW,
    NO_PERSON,
    PERMUTED,
    PERSON,
    Task,
    answers_of,
    consensus_of,
    plan_tasks,
    select_rows,
)
from .prepared import Prepared

ProgressReport = Callable[[int, int, str], None]

MEMBERS: Mapping[str, tuple[str, ...]] = {
    BLEND: (FOREST, BOOSTING, MIXED, LEVEL),
    FOREST: (FOREST,),
    BOOSTING: (BOOSTING,),
    MIXED: (MIXED,),
    LEVEL: (LEVEL,),
    CONSENSUS: (),
}
CURVE_MEMBERS = (FOREST, MIXED)  # what is quick enough to be fitted a dozen times over
KNOWN, NEW = "known", "new"
_SEES: Mapping[str, Sees] = {
    NO_PERSON: "post",
    COLD_NO_PERSON: "post",
    PERSON: "person",
    PERMUTED: "permuted",
}
_PREDICTED, _KEPT, _IMPORTANCES = "predicted:", "kept:", "importances"


@dataclass(frozen=True)
class Unit:
    """What one worker does at a time: some tasks of one member, for one value or for all."""

    name: str
    member: str
    tasks: tuple[str, ...]
    value: int | None = None


@dataclass
class Piece:
    """What a unit leaves behind.

    Attributes
    ----------
    predictions : task to ndarray of shape (n_predicted_rows, 1 or n_values)
    kept : role to the arrays of a fitted member that serves later
    importances : ndarray of shape (n_features,), of a forest that serves
    """

    predictions: dict[str, Floats] = field(default_factory=dict)
    kept: dict[str, Arrays] = field(default_factory=dict)
    importances: Floats | None = None

    def pack(self) -> Arrays:
        """Return plain arrays, without what is kept, from which `unpack_piece` makes the same."""
        arrays: Arrays = {f"{_PREDICTED}{name}": held for name, held in self.predictions.items()}
        if self.importances is not None:
            arrays[_IMPORTANCES] = self.importances
        return arrays


def unpack_piece(arrays: Mapping[str, NDArray[Any]]) -> Piece:
    """Return what `Piece.pack` was called on."""
    predictions = {
        name.removeprefix(_PREDICTED): array for name, array in arrays.items() if name.startswith(_PREDICTED)
    }
    return Piece(predictions, importances=arrays.get(_IMPORTANCES))


def list_units(prepared: Prepared, settings: FitSettings) -> list[Unit]:
    """Return all units of a fit, the longest first."""
    tasks = plan_tasks(prepared, settings)
    members = MEMBERS[settings.method]
    units = []
    if BOOSTING in members:
        groups: dict[str, list[str]] = {}
        for task in tasks.values():
            if _concerns(BOOSTING, task, members):
                groups.setdefault(task.name.rsplit("_fold_")[0], []).append(task.name)
        units += [Unit(f"{BOOSTING} {group}", BOOSTING, tuple(names)) for group, names in groups.items()]
    for place, key in enumerate(prepared.value_keys):
        names = tuple(task.name for task in tasks.values() if _concerns(FOREST, task, members))
        units.append(Unit(f"{FOREST} {key}", FOREST, names, place))
    for member in (MIXED, LEVEL):
        if member in members:
            names = tuple(task.name for task in tasks.values() if _concerns(member, task, members))
            units.append(Unit(member, member, names))
    return units


def _concerns(member: str, task: Task, members: tuple[str, ...]) -> bool:
    """Whether a member takes part in a task. The paper's forest is always fitted, to be compared with."""
    if task.purpose == "control":
        return member == FOREST
    if task.purpose == "weights":
        return member in members
    if task.purpose == "curve":
        return member in CURVE_MEMBERS and (member in members or member == FOREST)
    # With answers, a forest knows a rater by them alone, so the same one serves known raters and new ones.
    return not (member == FOREST and task.name == MAIN_NEW)


def do_unit(
    prepared: Prepared,
    settings: FitSettings,
    unit: Unit,
    *,
    report: ProgressReport = lambda done, total, note: None,
    n_threads: int = 1,
) -> Piece:
    """Fit and predict what a unit asks for."""
    tasks = plan_tasks(prepared, settings)
    piece = Piece()
    for done, name in enumerate(unit.tasks):
        report(done, len(unit.tasks), f"{unit.name}: {name.replace('_', ' ')}")
        task = tasks[name]
        member = _build(unit, task, settings)
        fitted = member.fit(
            select_rows(prepared, task), history=task.history, seed=settings.seed, n_threads=n_threads
        )
        predicted = predict_rows(fitted, prepared, task)
        piece.predictions[name] = predicted if unit.value is None else predicted[:, [unit.value]]
        if task.purpose == "serving":
            view = KNOWN if task.name == MAIN else NEW
            key = None if unit.value is None else prepared.value_keys[unit.value]
            piece.kept[name_role(unit.member, view, key)] = fitted.pack()
            if isinstance(fitted, FittedForests) and unit.value is not None:
                piece.importances = fitted.importances()[unit.value]
    report(len(unit.tasks), len(unit.tasks), unit.name)
    return piece


def name_role(member: str, view: str, value_key: str | None = None) -> str:
    """Return what the file of a fitted member is called among the files of a fit."""
    return f"{member}.{view}" if value_key is None else f"{member}.{view}.{value_key}"


def predict_rows(fitted: Fitted, prepared: Prepared, task: Task) -> Floats:
    """Predict the rows of a task, shape (n_predicted_rows, n_values)."""
    rows = task.predict_rows
    if task.history:
        if fitted.known is None:
            raise ValueError(f"the member of task {task.name} was fitted without histories")
        vectors = fitted.known
    else:
        vectors = fitted.describe(answers_of(prepared, task))
    return fitted.predict(consensus_of(prepared, task)[rows], vectors[prepared.raters[rows]])


def _build(unit: Unit, task: Task, settings: FitSettings) -> Member:
    if unit.member == BOOSTING:
        return PooledBoosting()
    if unit.member == MIXED:
        return MixedEffects()
    if unit.member == LEVEL:
        return Level()
    n_trees = {"weights": settings.n_inner_trees, "curve": settings.n_curve_trees}.get(
        task.purpose, settings.n_trees
    )
    return Forest(
        n_trees=min(n_trees, settings.n_trees),
        max_features=settings.max_features,
        min_rows_in_leaf=settings.min_rows_in_leaf,
        values=None if unit.value is None else [unit.value],
        sees=_SEES.get(task.name, "both"),
    )


def join_predictions(units: list[Unit], pieces: Mapping[str, Piece]) -> dict[str, dict[str, Floats]]:
    """Return member to task to predictions of all values, from the pieces of all units."""
    joined: dict[str, dict[str, Floats]] = {}
    for member, name, parts in _gather(units, pieces):
        joined.setdefault(member, {})[name] = np.hstack(parts)
    return joined


def _gather(units: list[Unit], pieces: Mapping[str, Piece]) -> Iterator[tuple[str, str, list[Floats]]]:
    parts: dict[tuple[str, str], list[Floats]] = {}
    for unit in sorted(units, key=lambda each: -1 if each.value is None else each.value):
        for name in unit.tasks:
            parts.setdefault((unit.member, name), []).append(pieces[unit.name].predictions[name])
    for (member, name), found in parts.items():
        yield member, name, found
