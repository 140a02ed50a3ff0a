"""One fit from ratings to held-out predictions, in three steps: prepare, do every unit, assemble.

The steps hand over plain arrays, so a fit may run in one process or over many machines and come out the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .blending import Blend, Intervals, Medians, choose_blend, prediction_intervals
from .data import BLEND, FOREST, LEVEL, FitData, FitSettings, Floats, Ints
from .members.base import Arrays
from .plan import COLD, COLD_NO_PERSON, MAIN, NO_PERSON, PERMUTED, PERSON, Task, consensus_of, plan_tasks
from .prepared import Prepared, prepare
from .units import (
    CURVE_MEMBERS,
    KNOWN,
    MEMBERS,
    NEW,
    Piece,
    ProgressReport,
    do_unit,
    join_predictions,
    list_units,
)

PERSONALIZED = "personalized"
COVERAGE = 0.8  # of prediction intervals
CONTROLS = (PERSON, PERMUTED)
Predictions = dict[str, Floats]
Bounds = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a fit leaves behind, beside the files of its members.

    Attributes
    ----------
    prepared : what was held out, and the consensus
    test_rows : rows of the data on held-out posts, by raters who are known
    predictions : name to ndarray of shape (len(test_rows), n_values); 'personalized' is what serves
    intervals : lower and upper bounds of 'personalized', in which four of five ratings should lie
    new_rows, new_predictions, new_intervals : the same for raters of whom only the answers are known, on all posts
    curves : "answers" and "raters" to count to predictions over `new_rows`
    blends : "known" and "new" to what 'personalized' is made of
    bounds : "known" and "new" to what the intervals are made by
    feature_names : of the forests that serve
    importances : ndarray of shape (n_values, n_features)
        The features' shares in what each value's forest learnt.
    notes : sentences for the report
    """

    prepared: Prepared
    test_rows: Ints
    predictions: Predictions
    intervals: Bounds
    new_rows: Ints
    new_predictions: Predictions
    new_intervals: Bounds
    curves: Mapping[str, Mapping[int, Floats]]
    blends: Mapping[str, Blend]
    bounds: Mapping[str, Intervals]
    feature_names: tuple[str, ...]
    importances: Floats
    notes: tuple[str, ...]

    def pack(self) -> Arrays:
        """Return what reports are computed from, as plain arrays; names are those that reports know."""
        low, high = self.intervals
        new_low, new_high = self.new_intervals
        arrays: Arrays = {
            "test_rows": self.test_rows,
            "new_rows": self.new_rows,
            "consensus_scores": self.prepared.post_scores,
            "importances": self.importances,
            "interval_low": low,
            "interval_high": high,
            "new_interval_low": new_low,
            "new_interval_high": new_high,
            "member_names": np.array(list(self.blends[KNOWN].names)),
            **{f"weights_{view}": blend.weights for view, blend in self.blends.items()},
            **{f"prediction_{name}": predicted for name, predicted in self.predictions.items()},
            **{f"new_prediction_{name}": predicted for name, predicted in self.new_predictions.items()},
        }
        for kind, curve in self.curves.items():
            arrays[f"curve_{kind}"] = np.array(sorted(curve))
            arrays |= {f"curve_{kind}_{count}": predicted for count, predicted in curve.items()}
        return {
            name: array.astype(np.float32) if array.dtype == np.float64 else array
            for name, array in arrays.items()
        }


def fit(
    data: FitData,
    settings: FitSettings,
    *,
    report: ProgressReport = lambda done, total, note: None,
    n_threads: int = 1,
) -> FitResult:
    """Do all steps here, one after the other.

    Raises
    ------
    ValueError
        If there are too few posts, raters or ratings, saying how many are needed.
    """
    prepared = prepare(data, settings)
    units = list_units(prepared, settings)
    pieces = {}
    for done, unit in enumerate(units):
        report(done, len(units), unit.name)
        pieces[unit.name] = do_unit(prepared, settings, unit, n_threads=n_threads)
    report(len(units), len(units), "assembling")
    return assemble(prepared, settings, pieces)


def assemble(prepared: Prepared, settings: FitSettings, pieces: Mapping[str, Piece]) -> FitResult:
    """Choose the weights of the members and make the predictions of the blend, from the pieces of all units."""
    units = list_units(prepared, settings)
    tasks = plan_tasks(prepared, settings)
    of_member = join_predictions(units, pieces)
    blends = {view: _choose(prepared, tasks, of_member, settings, view) for view in (KNOWN, NEW)}
    bounds = {view: _fit_bounds(prepared, tasks, of_member, blends[view], view) for view in (KNOWN, NEW)}

    def predict(task: Task, blend: Blend) -> Predictions:
        """Every prediction of a task by its name."""
        consensus = consensus_of(prepared, task)[task.predict_rows]
        found = {prepared.consensus_name: consensus}
        members = {name: held[task.name] for name, held in of_member.items() if task.name in held}
        found |= members
        return found | {PERSONALIZED: blend.predict(found)}

    main = tasks[MAIN]
    predictions = predict(main, blends[KNOWN])
    predictions[f"{prepared.consensus_name}_forest"] = of_member[FOREST][NO_PERSON]
    predictions |= {name: of_member[FOREST][name] for name in CONTROLS}
    intervals = bounds[KNOWN].apply(predictions[PERSONALIZED])
    new_rows = np.empty(0, dtype=np.intp)
    new_predictions: Predictions = {}
    nothing = np.empty((0, len(prepared.value_keys)))
    new_intervals = (nothing, nothing)
    if cold := tasks.get(COLD):
        new_rows = cold.predict_rows
        new_predictions = predict(cold, blends[NEW])
        new_predictions[f"{prepared.consensus_name}_forest"] = of_member[FOREST][COLD_NO_PERSON]
        new_intervals = bounds[NEW].apply(new_predictions[PERSONALIZED])
    importances = [pieces[unit.name].importances for unit in units if unit.member == FOREST]
    return FitResult(
        prepared=prepared,
        test_rows=main.predict_rows,
        predictions=predictions,
        intervals=intervals,
        new_rows=new_rows,
        new_predictions=new_predictions,
        new_intervals=new_intervals,
        curves=_draw_curves(tasks, of_member),
        blends=blends,
        bounds=bounds,
        feature_names=_name_features(prepared),
        importances=np.array([row for row in importances if row is not None]),
        notes=(*prepared.notes, *_describe(blends, settings, tasks)),
    )


def _gather_folds(
    prepared: Prepared,
    tasks: Mapping[str, Task],
    of_member: Mapping[str, Mapping[str, Floats]],
    names: Sequence[str],
    view: str,
) -> tuple[Ints, Predictions]:
    """Rows that were predicted by models which did not see them, and what the consensus and the members said."""
    folds = [task for name, task in tasks.items() if name.startswith(f"{view}_fold_")]
    rows = np.concatenate([np.empty(0, dtype=np.intp), *(task.predict_rows for task in folds)])
    nothing = np.empty((0, len(prepared.value_keys)))
    consensus = [consensus_of(prepared, task)[task.predict_rows] for task in folds]
    return rows, {prepared.consensus_name: np.concatenate([prepared.consensus[:0], *consensus])} | {
        name: np.concatenate([nothing, *(of_member[name][task.name] for task in folds)]) for name in names
    }


def _choose(
    prepared: Prepared,
    tasks: Mapping[str, Task],
    of_member: Mapping[str, Mapping[str, Floats]],
    settings: FitSettings,
    view: str,
) -> Blend:
    members = MEMBERS[settings.method]
    rows, predictions = _gather_folds(prepared, tasks, of_member, members, view)
    if settings.method == BLEND or not len(rows):
        rng = np.random.default_rng([settings.seed, len(rows)])
        return choose_blend(
            predictions,
            prepared.ratings[rows],
            prepared.raters[rows],
            prepared.posts[rows],
            rng=rng,
            alike=LEVEL,
        )
    names = tuple(predictions)
    nothing = np.full(len(names) + 1, np.nan)
    return Blend(
        names=names,
        weights=np.eye(len(names))[-1],
        medians=Medians(np.empty(0), np.empty(0)),
        rho=nothing,
        mse=nothing,
        mae=nothing,
        n_rows=len(rows),
        n_undefined=0,
        reason=f"'{settings.method}' alone, as was asked for.",
    )


def _fit_bounds(
    prepared: Prepared,
    tasks: Mapping[str, Task],
    of_member: Mapping[str, Mapping[str, Floats]],
    blend: Blend,
    view: str,
) -> Intervals:
    rows, predictions = _gather_folds(prepared, tasks, of_member, blend.names[1:], view)
    return prediction_intervals(
        blend.predict(predictions), prepared.ratings[rows], scale=prepared.scale, coverage=COVERAGE
    )


def _draw_curves(
    tasks: Mapping[str, Task], of_member: Mapping[str, Mapping[str, Floats]]
) -> dict[str, dict[int, Floats]]:
    """The members of the curves in equal parts, by how many answers or raters they could learn from."""
    curves: dict[str, dict[int, Floats]] = {}
    for task in tasks.values():
        if task.purpose == "curve":
            kind, count = task.name.split("_")
            parts = [held[task.name] for name, held in of_member.items() if task.name in held]
            curves.setdefault(kind, {})[int(count)] = np.mean(parts, axis=0)
    return curves


def _name_features(prepared: Prepared) -> tuple[str, ...]:
    of_rater = prepared.question_names or tuple(f"mean residual: {key}" for key in prepared.value_keys)
    return (*(f"{prepared.consensus_name}: {key}" for key in prepared.value_keys), *of_rater)


def _describe(blends: Mapping[str, Blend], settings: FitSettings, tasks: Mapping[str, Task]) -> list[str]:
    notes = [f"Method '{settings.method}'."]
    notes += [f"For {view} raters: {blend.reason}" for view, blend in blends.items()]
    if any(task.purpose == "curve" for task in tasks.values()):
        notes.append(
            f"Learning curves are of {' and '.join(CURVE_MEMBERS)} in equal parts, of {settings.n_curve_trees} trees: "
            "quick to fit again and again, and not quite the blend that serves."
        )
    return notes
