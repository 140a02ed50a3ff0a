"""The answers of the API: what was sent is resolved, predicted by the fit that serves, and told.

It loads NumPy and a fit, so it is imported when the first request is answered.
"""

from typing import Any

import numpy as np

from annotation.models import Study
from annotation.selectors import get_tree
from calibration.models import CalibrationQuestion
from modeling import serving as fits
from modeling.models import FitRun

from .resolving import find_persons, name_questions, read_posts, read_weights
from .schemas import BatchIn, PredictIn, RerankIn

DECIMALS = 4


# --- the addresses -----------------------------------------------------------------------------


def tell_values(study: Study) -> dict[str, Any]:
    """Answer GET /values."""
    serving = fits.load_serving(study)
    tree = get_tree(study.value_system)
    asked = {
        f"{question.post.key} / {question.value_key}": question
        for question in CalibrationQuestion.objects.filter(study=study).select_related("post")
    }
    return {
        "study": study.name,
        "values": [
            {"key": leaf.key, "name": leaf.name, "label": leaf.label, "definition": leaf.definition}
            for leaf in (tree.leaf(key) for key in serving.value_keys)
        ],
        "scale": {
            "lowest": serving.scale[0],
            "highest": serving.scale[1],
            "low_label": tree.scale.low,
            "high_label": tree.scale.high,
        },
        "questions": [_tell_question(name, asked.get(name)) for name in name_questions(serving)],
        "reads_text": serving.reads_text,
        "model": _tell_model(serving),
    }


def predict(study: Study, sent: PredictIn) -> dict[str, Any]:
    """Answer POST /predict."""
    serving = fits.load_serving(study)
    (person,) = find_persons(serving, study, [sent.rater], "/rater")
    consensus = read_posts(serving, study, sent.posts)
    found = serving.predict(consensus, person.vectors)
    columns = (found.ratings, found.low, found.high, consensus)
    return {
        "values": list(serving.value_keys),
        "rater": person.told,
        "posts": [
            {
                "id": post.id,
                "key": post.key,
                "ratings": ratings,
                "low": low,
                "high": high,
                "consensus": shared,
            }
            for post, ratings, low, high, shared in zip(sent.posts, *map(_list, columns), strict=True)
        ],
        "model": _tell_model(serving),
    }


def rerank(study: Study, sent: RerankIn) -> dict[str, Any]:
    """Answer POST /rerank."""
    serving = fits.load_serving(study)
    weights = read_weights(serving, sent)
    (person,) = find_persons(serving, study, [sent.rater], "/rater")
    consensus = read_posts(serving, study, sent.posts)
    found = serving.predict(consensus, person.vectors)
    counted = np.flatnonzero(weights)
    shares = weights[counted] / np.abs(weights).sum()
    scores = np.asarray(found.ratings, dtype=np.float64)[:, counted] @ shares
    if sent.value is not None:
        low, high = (_list(np.asarray(ends)[:, counted[0]]) for ends in (found.low, found.high))
    else:
        low = high = [None] * len(scores)
    shared = consensus[:, counted] @ shares
    order = np.lexsort((-shared, -scores))[: sent.limit]  # the last key is the first; NaN goes last
    score, shared = _list(scores), _list(shared)
    return {
        "rater": person.told,
        "posts": [
            {
                "rank": rank,
                "index": index,
                "id": sent.posts[index].id,
                "key": sent.posts[index].key,
                "score": score[index],
                "low": low[index],
                "high": high[index],
                "consensus": shared[index],
            }
            for rank, index in enumerate(order.tolist(), start=1)
        ],
        "model": _tell_model(serving),
    }


def predict_batch(study: Study, sent: BatchIn) -> dict[str, Any]:
    """Answer POST /batch."""
    serving = fits.load_serving(study)
    persons = find_persons(serving, study, sent.raters, "/raters")
    consensus = read_posts(serving, study, sent.posts)
    found = [serving.predict(consensus, person.vectors) for person in persons]
    return {
        "values": list(serving.value_keys),
        "posts": [
            {"id": post.id, "key": post.key, "consensus": shared}
            for post, shared in zip(sent.posts, _list(consensus), strict=True)
        ],
        "raters": [
            {
                "rater": person.told,
                "ratings": _list(predicted.ratings),
                "low": _list(predicted.low),
                "high": _list(predicted.high),
            }
            for person, predicted in zip(persons, found, strict=True)
        ],
        "model": _tell_model(serving),
    }


# --- what is told ------------------------------------------------------------------------------


def _tell_model(serving: Any) -> dict[str, Any]:
    fit = serving.fit_run
    since = FitRun.objects.filter(pk=fit.pk).values_list("outdated_at", flat=True).first()  # may have changed
    return {
        "fit": fit.pk,
        "fitted_at": fit.created_at.isoformat(),
        "method": serving.method,
        "consensus": fit.consensus_name,
        "data_hash": fit.data_hash,
        "version": fit.code_version,
        "outdated": since is not None,
    }


def _tell_question(name: str, question: CalibrationQuestion | None) -> dict[str, str]:
    if question is None:  # the study asks other questions by now
        return {"name": name, "value": "", "post": "", "context": "", "text": ""}
    return {
        "name": name,
        "value": question.value_key,
        "post": question.post.key,
        "context": question.post.context_text,
        "text": question.post.text,
    }


def _list(numbers: Any) -> list[Any]:
    """Rounded numbers as lists, with None for NaN, which JSON does not have."""
    rounded = np.round(np.asarray(numbers, dtype=np.float64), DECIMALS)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    return np.where(np.isfinite(rounded), rounded.astype(object), None).tolist()
