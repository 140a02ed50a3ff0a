"""What the reports are computed from, read from the database: ratings, posts, values, and what is known of raters."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Post, Study
from annotation.selectors import get_tree
from modeling.artefacts import PREDICTION
from modeling.matrices import StudyTable
from modeling.models import FitRun
from modeling.rater_facts import RaterFacts, load_rater_facts
from modeling.reports.data import CURVES, AgreementData, EvaluationData, ValueInfo
from modeling.reports.names import KNOWN, NEW

NEW_PREDICTION = "new_" + PREDICTION  # before the name of a model, of raters of whom only answers were known
SCREENING = "screening"  # where a post's further columns hold the scores it was screened by
SCREENED_BY_STANDIN = "screening_is_standin"  # and where they say that no real model gave them


def build_agreement_data(study: Study, table: StudyTable) -> AgreementData:
    """Return everything that an agreement report sees of these ratings."""
    facts = load_rater_facts(study, table.enrollment_ids, table.value_keys)
    return AgreementData(
        **rating_table(study, table),
        **_known_of_raters(facts),
        post_ids=table.post_ids,
        post_keys=table.post_keys,
        own_scores=facts.own_scores,
        own_scores_source=facts.own_scores_source,
        screening=_load_screening(study, table),
        screened_by_standin=study.posts.filter(**{f"metadata__{SCREENED_BY_STANDIN}": True}).exists(),
        posts_per_rater=study.posts_per_rater,
        reward=study.reward,
        currency=study.currency,
    )


def build_evaluation_data(
    fit_run: FitRun, table: StudyTable, arrays: Mapping[str, NDArray[Any]], *, is_crowd: bool
) -> EvaluationData:
    """Return everything that an evaluation sees: the ratings, and what a fit left in its artefact.

    What a fit did not compute, or an older one did not keep, is left empty. `is_crowd` says that the consensus is
    made of the raters themselves, whose distance from the crowd means nothing.
    """
    facts = load_rater_facts(fit_run.study, table.enrollment_ids, table.value_keys)
    place_of = {pk: place for place, pk in enumerate(table.post_ids)}
    held_out = [place_of[pk] for pk in fit_run.holdout_post_ids if pk in place_of]
    return EvaluationData(
        **rating_table(fit_run.study, table),
        **_known_of_raters(facts),
        test_rows=arrays["test_rows"],
        predictions=_take_named(arrays, PREDICTION),
        consensus_name=fit_run.consensus_name,
        consensus_scores=None if is_crowd else _take(arrays, "consensus_scores"),
        importances=_take(arrays, "importances"),
        feature_names=tuple(fit_run.feature_names),
        held_out_posts=np.array(held_out, dtype=np.intp),
        new_rows=arrays.get("new_rows", np.empty(0, dtype=np.intp)),
        new_predictions=_take_named(arrays, NEW_PREDICTION),
        intervals={
            view: (low, high)
            for view, prefix in ((KNOWN, ""), (NEW, "new_"))
            if (low := _take(arrays, f"{prefix}interval_low")) is not None
            and (high := _take(arrays, f"{prefix}interval_high")) is not None
        },
        curves={kind: curve for kind in CURVES if (curve := _take_curve(arrays, kind))},
        member_names=tuple(str(name) for name in arrays.get("member_names", ())),
        weights={
            view: weights
            for view in (KNOWN, NEW)
            if (weights := _take(arrays, f"weights_{view}")) is not None
        },
        method=fit_run.method,
        fit_notes=tuple(fit_run.notes),
    )


def _take(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float64] | None:
    return arrays[name].astype(np.float64) if name in arrays else None


def _take_named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[np.float64]]:
    return {
        name.removeprefix(prefix): array.astype(np.float64)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _take_curve(arrays: Mapping[str, NDArray[Any]], kind: str) -> dict[int, NDArray[np.float64]]:
    """Return the predictions at each count of a learning curve; none where the fit kept no such curve."""
    return {
        int(count): arrays[f"curve_{kind}_{count}"].astype(np.float64)
        for count in arrays.get(f"curve_{kind}", ())
        if f"curve_{kind}_{count}" in arrays
    }


def rating_table(study: Study, table: StudyTable) -> dict[str, Any]:
    """Return what every report sees of these ratings."""
    return {
        "ratings": table.ratings,
        "raters": table.raters,
        "posts": table.posts,
        "n_raters": len(table.enrollment_ids),
        "n_posts": len(table.post_ids),
        "values": _list_values(study, table.value_keys),
        "scale": table.scale,
    }


def _known_of_raters(facts: RaterFacts) -> dict[str, Any]:
    return {"groups": facts.groups, "numbers": facts.numbers, "labels": facts.labels}


def _list_values(study: Study, keys: tuple[str, ...]) -> tuple[ValueInfo, ...]:
    tree = get_tree(study.value_system)
    found = []
    for key in keys:
        leaf, branch = tree.leaf(key), tree.parent(key)
        group = "" if branch is None or branch.key == tree.root.key else branch.name
        found.append(ValueInfo(key=key, name=leaf.name, label=leaf.label, group=group))
    return tuple(found)


def _load_screening(study: Study, table: StudyTable) -> NDArray[np.float64] | None:
    """Read the scores by which posts were screened, from their further columns; None when no post has any."""
    place = {key: column for column, key in enumerate(table.value_keys)}
    row = {pk: code for code, pk in enumerate(table.post_ids)}
    scores = np.full((len(table.post_ids), len(place)), np.nan)
    stored = Post.objects.filter(study=study, metadata__has_key=SCREENING)
    for pk, screening in stored.values_list("pk", f"metadata__{SCREENING}"):
        if pk in row and isinstance(screening, dict):
            for key, score in screening.items():
                if key in place and isinstance(score, int | float) and math.isfinite(score):
                    scores[row[pk], place[key]] = score
    return None if np.isnan(scores).all() else scores
