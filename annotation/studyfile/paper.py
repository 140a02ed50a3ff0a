"""The paper's design as a study of one's own: everything but the posts and what only its researchers know."""

import json
from pathlib import Path
from typing import Any

from django.db import transaction

from annotation.models import Study
from annotation.services.codes import fill_codes

from .loading import find_free_slug, load
from .parts import PARTS

CONTENT = Path(__file__).resolve().parents[1] / "content"
TAKEN_OVER = ("attention_check", "training", "gating")


def build_paper_design() -> dict[str, Any]:
    """Return the study file of the paper's design.

    Checks, practice, gate and last pages are those of the demonstration; the values and the other rooms' parts
    are those that ship. What only a researcher knows stands in square brackets.
    """
    design, demonstration = _read("paper_study"), _read("demo_study")
    shipped = {
        kind: iter([step["config"] for step in demonstration["steps"] if step["kind"] == kind])
        for kind in TAKEN_OVER
    }
    for step in design["steps"]:
        step.setdefault("config", next(shipped[step["kind"]]) if step["kind"] in shipped else {})
    design |= {"outcome_texts": demonstration["outcome_texts"], "values": _read("schwartz_19"), "posts": []}
    return design | {key: part.describe_paper() for key, part in PARTS.items()}


@transaction.atomic
def create_from_paper(slug: str | None = None, name: str | None = None, actor: Any = None) -> Study:
    """Make a draft of the paper's design, with completion codes drawn at random and no posts to label yet.

    Without a slug it gets one that is free. Raises StudyFileError when the slug is taken or malformed.
    """
    design = build_paper_design()
    study = load(
        design,
        slug=slug or find_free_slug(design["about"]["slug"]),
        name=name,
        actor=actor,
        origin="Made from the paper's design.",
    )
    fill_codes(study)
    return study


def _read(name: str) -> Any:
    return json.loads((CONTENT / f"{name}.json").read_text(encoding="utf-8"))
