"""What a worker does for a check of a classifier: its results."""

from typing import Any

from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.models import ClassifierCheck

from .computing import compute
from .services import FOUND, KIND


@handles(KIND)
def check_classifier(claim: Claim) -> Effect | None:
    """Compute what came of a closed check and freeze it. Safe to run twice: what is frozen stays."""
    check = ClassifierCheck.objects.filter(pk=claim.payload["check"]).first()
    if check is None or FOUND in check.results:
        return None
    if check.closed_at is None:
        raise PermanentError("The check is still open; its labels may change.")
    found = compute(check)

    def store() -> dict[str, Any]:
        ClassifierCheck.objects.filter(pk=check.pk).update(results=check.results | {FOUND: found})
        return {"posts": found["n_posts"]}

    return store
