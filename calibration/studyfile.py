"""What this room keeps of a study, as a part of the study's file: questionnaires, calibration questions."""

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from annotation.models import Post, Study
from annotation.studyfile.checking import find_post_faults, list_keys
from annotation.studyfile.faults import Fault
from annotation.studyfile.loading import build_posts
from annotation.studyfile.parts import Outline
from annotation.studyfile.writing import describe_posts

from .instrument.items import Instrument, InstrumentError
from .models import CalibrationQuestion, Questionnaire

CONTENT = Path(__file__).resolve().parent / "content"
PAPER_QUESTIONNAIRES = ("values_19", "demographics")
VCQ_FIELDS = ("posts", "questions")
QUESTION_FIELDS = ("post", "value")


def dump_questionnaires(study: Study) -> dict[str, Any]:
    """Return the study's questionnaires by their keys."""
    return dict(study.questionnaires.order_by("key").values_list("key", "definition"))


def check_questionnaires(data: Any, outline: Outline) -> list[Fault]:
    """Return what is wrong with the questionnaires of a file, by the rules of `calibration.instrument`."""
    if not isinstance(data, dict):
        return [Fault("questionnaires", "it must be an object: each questionnaire under its key")]
    faults: list[Fault] = []
    field = Questionnaire._meta.get_field("key")
    for key, definition in data.items():
        place = f"questionnaires.{key}"
        try:
            field.clean(key, None)
        except ValidationError:
            faults.append(
                Fault(place, f"its key must be 1 to {field.max_length} letters, digits, '-' and '_'")
            )
        try:
            Instrument.from_dict(definition)
        except InstrumentError as error:
            faults += [Fault(place, fault) for fault in error.faults]
    return faults


def load_questionnaires(study: Study, data: dict[str, Any]) -> None:
    """Store the questionnaires of a file without faults."""
    Questionnaire.objects.bulk_create(
        Questionnaire(study=study, key=key, definition=definition) for key, definition in data.items()
    )


def describe_paper_questionnaires() -> dict[str, Any]:
    """Return the questionnaires of the paper's design, in the wording that ships."""
    return {key: _read(key) for key in PAPER_QUESTIONNAIRES}


def dump_vcq(study: Study) -> dict[str, Any]:
    """Return the calibration questions in their order, with the posts they ask about."""
    questions = study.calibration_questions.order_by("position").values_list("post__key", "value_key")
    return {
        "posts": list(describe_posts(study, Post.Purpose.CALIBRATION)),
        "questions": [{"post": post, "value": value} for post, value in questions],
    }


def check_vcq(data: Any, outline: Outline) -> list[Fault]:
    """Return what is wrong with the calibration questions of a file."""
    if not isinstance(data, dict):
        return [Fault("vcq", "it must be an object with 'posts' and 'questions'")]
    faults = [
        Fault(f"vcq.{name}", f"there is no such entry here; there are {', '.join(VCQ_FIELDS)}")
        for name in data
        if name not in VCQ_FIELDS
    ]
    posts = data.get("posts", [])
    faults += find_post_faults(posts, "vcq.posts", taken=outline.post_keys)
    questions = data.get("questions", [])
    if not isinstance(questions, list):
        return [*faults, Fault("vcq.questions", "it must be a list of objects with 'post' and 'value'")]
    keys = frozenset(list_keys(posts))
    places: dict[tuple[str, str], int] = {}
    for i, question in enumerate(questions):
        faults += [
            Fault(f"vcq.questions[{i}]", problem) for problem in _find_problems(question, keys, outline)
        ]
        if _is_question(question):
            first = places.setdefault((question["post"], question["value"]), i)
            if first != i:
                faults.append(Fault(f"vcq.questions[{i}]", f"it is the same as vcq.questions[{first}]"))
    return faults


def load_vcq(study: Study, data: dict[str, Any]) -> None:
    """Store the calibration questions of a file without faults, and their posts."""
    Post.objects.bulk_create(build_posts(study, data.get("posts", []), Post.Purpose.CALIBRATION))
    posts = dict(study.posts.filter(purpose=Post.Purpose.CALIBRATION).values_list("key", "pk"))
    CalibrationQuestion.objects.bulk_create(
        CalibrationQuestion(
            study=study, position=position, post_id=posts[question["post"]], value_key=question["value"]
        )
        for position, question in enumerate(data.get("questions", []), start=1)
    )


def describe_paper_vcq() -> dict[str, Any]:
    """Return a calibration questionnaire of the paper's size, on the invented posts that ship."""
    vcq = _read("vcq_demo")
    posts = [
        {
            "key": post["key"],
            "text": post["text"],
            "context": post["context"],
            "metadata": {"register": post["register"], "expresses": post["expresses"]},
        }
        for post in vcq["posts"]
    ]
    return {"posts": posts, "questions": vcq["questions"]}


def _is_question(question: Any) -> bool:
    return (
        isinstance(question, dict)
        and set(question) == set(QUESTION_FIELDS)
        and all(isinstance(question[name], str) for name in QUESTION_FIELDS)
    )


def _find_problems(question: Any, keys: frozenset[str], outline: Outline) -> list[str]:
    if not _is_question(question):
        return ["it must be an object with the key of a 'post' and of a 'value', and nothing else"]
    problems = []
    if question["post"] not in keys:
        problems.append(f"'vcq.posts' has no post {question['post']!r:.60}")
    if outline.value_keys is not None and question["value"] not in outline.value_keys:
        problems.append(f"the value system has no value {question['value']!r:.60}")
    return problems


def _read(name: str) -> Any:
    return json.loads((CONTENT / f"{name}.json").read_text(encoding="utf-8"))
