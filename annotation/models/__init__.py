"""The tables of a study: what it asks, who came, what they were given and what they answered."""

from .answers import Annotation, Assignment, Attempt, Draft, GateDecision, PageVisit
from .history import StudyEvent, StudyVersion
from .people import (
    ORIGIN_STAYS,
    ConsentRecord,
    Enrollment,
    Exclusion,
    Rater,
    RaterQuerySet,
    StepCompletion,
    Withdrawal,
)
from .staff import StudyAccess
from .studies import CompletionCode, Outcome, Post, Step, Study
from .uploads import PostUpload
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
    "Exclusion",
    "GateDecision",
    "Outcome",
    "PageVisit",
    "Post",
    "PostUpload",
    "Rater",
    "RaterQuerySet",
    "Step",
    "StepCompletion",
    "Study",
    "StudyAccess",
    "StudyEvent",
    "StudyVersion",
    "ValueNode",
    "ValueSystem",
    "Withdrawal",
    "draw_revision",
]
