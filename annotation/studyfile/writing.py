"""A study as one file: everything it is, and nothing of who took part in it."""

import json
from collections.abc import Iterator
from typing import Any

from annotation.models import Post, Study
from annotation.selectors import get_tree
from annotation.tree.nodes import TreeError

from .faults import Fault, StudyFileError
from .parts import PARTS

VERSION = 1
MARK = "parallax_study"

# The sections of a file that hold plain fields of a study: the name in the file and the study's own.
SECTIONS = {
    "about": {
        "slug": "slug",
        "name": "name",
        "title": "title",
        "welcome": "welcome",
        "language": "language",
    },
    "assignment": {
        "posts_per_rater": "posts_per_rater",
        "strategy": "strategy",
        "redundancy_cap": "redundancy_cap",
        "seed": "seed",
    },
    "attention": {"limit": "attention_limit", "consequence": "attention_consequence"},
    "time": {"estimated_minutes": "estimated_minutes", "max_minutes": "max_minutes"},
    "pay": {"reward": "reward", "currency": "currency"},
    "recruiting": {"target_participants": "target_participants"},
    "data": {"collects_paradata": "collects_paradata", "retain_until": "retain_until"},
}


def dump(study: Study, *, codes: bool = True, posts: bool = True) -> dict[str, Any]:
    """Return the study as its file has it; `docs/study-files.md` describes every part.

    Parameters
    ----------
    study : as it is in the database; its own fields as they are in memory
    codes, posts : whether the completion codes and the posts to label are written. The posts of a
        calibration questionnaire belong to the questionnaire and always are.

    Raises
    ------
    StudyFileError
        If the study's value system is not complete, with every reason.
    """
    try:
        values = get_tree(study.value_system).to_dict()
    except TreeError as error:
        raise StudyFileError([Fault("values", fault) for fault in error.faults]) from error
    data: dict[str, Any] = {MARK: VERSION}
    for section, names in SECTIONS.items():
        data[section] = {name: _as_json(getattr(study, field)) for name, field in names.items()}
    data |= {
        "consent": study.consent,
        "outcome_texts": study.outcome_texts,
        "values": values,
        "steps": [{"kind": step.kind, "config": step.config} for step in study.steps.order_by("position")],
    }
    if codes:
        data["codes"] = dict(study.completion_codes.order_by("outcome").values_list("outcome", "code"))
    for key, part in sorted(PARTS.items()):
        data[key] = part.dump(study)
    if posts:
        data["posts"] = list(describe_posts(study, Post.Purpose.LABELING))
    return data


def describe_posts(study: Study, purpose: str) -> Iterator[dict[str, Any]]:
    """Return the study's posts of one purpose as a file has them, in their order, without keeping them all."""
    rows = (
        study.posts.filter(purpose=purpose)
        .order_by("pk")
        .values_list("key", "text", "context_kind", "context_text", "metadata")
    )
    for key, text, kind, context, metadata in rows.iterator(chunk_size=5000):
        yield {
            "key": key,
            "text": text,
            "context": {"kind": kind, "text": context} if kind else None,
            "metadata": metadata,
        }


def to_json(data: dict[str, Any]) -> str:
    """Return a study file's text."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _as_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
