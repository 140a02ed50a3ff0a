"""The tables of a study: what it asks, who came, what they were given and what they answered."""

from .answers import Annotation, Assignment, Attempt, Draft, GateDecision, PageVisit
from .people import (
    ORIGIN_STAYS,
    ConsentRecord,
    Enrollment,
    Rater,
    RaterQuerySet,
    StepCompletion,
    Withdrawal,
)
from .studies import CompletionCode, Outcome, Post, Step, Study
from .values import KEY, ValueNode, ValueSystem, draw_revision

__all__ = [
    "KEY",
    "ORIGIN_STAYS",
    "Annotation",
    "Assignment",
    "Attempt",
    "CompletionCode",
    "ConsentRecord",
    "Draft",
    "Enrollment",
    "GateDecision",
    "Outcome",
    "PageVisit",
    "Post",
    "Rater",
    "RaterQuerySet",
    "Step",
    "StepCompletion",
    "Study",
    "ValueNode",
    "ValueSystem",
    "Withdrawal",
    "draw_revision",
]
