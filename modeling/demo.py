"""The demonstration study: invented posts, the whole path, ready to be walked."""

import json
import secrets
from pathlib import Path

from django.conf import settings
from django.db import transaction

from annotation.models import CompletionCode, Outcome, Post, Step, Study
from annotation.services import change_state, save_value_system
from annotation.tree.nodes import ValueTree
from calibration.models import CalibrationQuestion, Questionnaire

ANNOTATION_CONTENT = Path(settings.BASE_DIR) / "annotation" / "content"
CALIBRATION_CONTENT = Path(settings.BASE_DIR) / "calibration" / "content"
SLUG = "demo"


@transaction.atomic
def load_demo_study() -> tuple[Study, bool]:
    """Return the demonstration study and whether it was made just now."""
    study = Study.objects.filter(slug=SLUG).first()
    if study:
        return study, False
    design = _read(ANNOTATION_CONTENT / "demo_study.json")
    vcq = _read(CALIBRATION_CONTENT / "vcq_demo.json")
    lines = (ANNOTATION_CONTENT / "demo_posts.jsonl").read_text(encoding="utf-8").splitlines()
    study = Study.objects.create(
        slug=SLUG,
        name=design["name"],
        title=design["title"],
        welcome=design["welcome"],
        value_system=save_value_system(load_default_tree()),
        posts_per_rater=design["posts_per_rater"],
        strategy=design["assignment"],
        consent=design["consent"],
        outcome_texts=design["outcome_texts"],
        language=design["language"],
        estimated_minutes=design["estimated_minutes"],
        attention_limit=design["attention"]["fail_at"],
        attention_consequence=design["attention"]["consequence"],
        collects_paradata=design["collects_paradata"],
    )
    for position, step in enumerate(design["steps"], start=1):
        Step.objects.create(study=study, position=position, kind=step["kind"], config=step.get("config", {}))
    for outcome in Outcome:
        CompletionCode.objects.create(study=study, outcome=outcome, code=secrets.token_hex(4).upper())
    Post.objects.bulk_create(_build_post(study, json.loads(line), Post.Purpose.LABELING) for line in lines)
    Post.objects.bulk_create(_build_post(study, post, Post.Purpose.CALIBRATION) for post in vcq["posts"])
    posts = {post.key: post for post in study.posts.filter(purpose=Post.Purpose.CALIBRATION)}
    for position, question in enumerate(vcq["questions"], start=1):
        CalibrationQuestion.objects.create(
            study=study, position=position, post=posts[question["post"]], value_key=question["value"]
        )
    asked = [step["config"]["questionnaire"] for step in design["steps"] if step["kind"] == "questionnaire"]
    for key in asked:
        Questionnaire.objects.create(
            study=study, key=key, definition=_read(CALIBRATION_CONTENT / f"{key}.json")
        )
    change_state(study, Study.State.LIVE, reason="The demonstration is ready-made.")
    return study, True


def load_default_tree() -> ValueTree:
    """Return the value system that ships with Parallax: the refined Schwartz values."""
    return ValueTree.from_dict(_read(ANNOTATION_CONTENT / "schwartz_19.json"))


def _build_post(study: Study, entry: dict, purpose: str) -> Post:
    context = entry.get("context") or {"kind": "", "text": ""}
    return Post(
        study=study,
        key=entry["key"],
        purpose=purpose,
        text=entry["text"],
        context_kind=context["kind"],
        context_text=context["text"],
        metadata={"register": entry["register"], "expresses": entry["expresses"]},
    )


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
