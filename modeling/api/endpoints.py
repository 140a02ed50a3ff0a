"""The addresses of the scoring API, version 1."""

from typing import Any

from annotation.models import Study

from . import schemas
from .endpoint import Endpoint


def _answer_values(study: Study) -> dict[str, Any]:
    from . import scoring  # loads NumPy and the fit: not before somebody asks

    return scoring.tell_values(study)


def _answer_predict(study: Study, sent: schemas.PredictIn) -> dict[str, Any]:
    from . import scoring

    return scoring.predict(study, sent)


def _answer_rerank(study: Study, sent: schemas.RerankIn) -> dict[str, Any]:
    from . import scoring

    return scoring.rerank(study, sent)


def _answer_batch(study: Study, sent: schemas.BatchIn) -> dict[str, Any]:
    from . import scoring

    return scoring.predict_batch(study, sent)


ALWAYS = (
    "not-authorized",
    "method-not-allowed",
    "nothing-serves",
    "too-many-requests",
    "failed",
    "switched-off",
)
WITH_BODY = ("not-json", "not-found", "too-large", "not-json-type", "not-valid")

ENDPOINTS = (
    Endpoint(
        name="values",
        method="GET",
        summary="What the study asks about, and which fit answers",
        description="The values in the order of every list of ratings, the scale, the calibration questions in the "
        "order of a list of answers, whether posts may be given as text, and the fit that serves.",
        sends=None,
        tells=schemas.ValuesOut,
        answer=_answer_values,
        problems=ALWAYS,
    ),
    Endpoint(
        name="predict",
        method="POST",
        summary="What one person would see in each post",
        description="For each post the person's predicted rating of every value, the ends of its 80% prediction "
        f"interval, and the consensus. 1 to {schemas.MAX_POSTS:,} posts. A post is given as text, as a consensus "
        "vector or by the key of a post of the study; a person by their pseudonym or by answers to the calibration "
        "questions.",
        sends=schemas.PredictIn,
        tells=schemas.PredictOut,
        answer=_answer_predict,
        problems=ALWAYS + WITH_BODY,
    ),
    Endpoint(
        name="rerank",
        method="POST",
        summary="Posts ordered by how strongly one person sees a value",
        description="Puts first the post in which this person is predicted to see most of the chosen value, or of a "
        f"weighted sum of values. 1 to {schemas.MAX_POSTS:,} posts. Scores of a weighted sum come without an "
        "interval: those of single values cannot be added up.",
        sends=schemas.RerankIn,
        tells=schemas.RerankOut,
        answer=_answer_rerank,
        problems=ALWAYS + WITH_BODY,
    ),
    Endpoint(
        name="batch",
        method="POST",
        summary="What several persons would see in several posts",
        description=f"Every pair of up to {schemas.MAX_BATCH} persons and up to {schemas.MAX_BATCH} posts, in one "
        "request that counts as one. Either all pairs are answered or none is.",
        sends=schemas.BatchIn,
        tells=schemas.BatchOut,
        answer=_answer_batch,
        problems=ALWAYS + WITH_BODY,
    ),
)
