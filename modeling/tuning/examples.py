"""The examples a model is taught by, as one file: what a provider wants, or, for a local encoder, plain ratings."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modeling.models import AnnotatorModel
from modeling.prompts.design import PromptDesign
from modeling.prompts.rendering import PostText, render
from modeling.prompts.replies import build_reply

Ratings = Sequence[float]


@dataclass(frozen=True)
class Lesson:
    """A post with the rounded consensus of its raters, in the order of the study's values."""

    post: PostText
    ratings: tuple[int, ...]


def write_chats(annotator: AnnotatorModel, lessons: Iterable[Lesson]) -> list[dict[str, Any]]:
    """Return each lesson as the chat that the annotator model has about the post, with the reply of a perfect one."""
    if annotator.prompt is None:
        raise ValueError(f"{annotator} has no prompt to teach by")
    design = PromptDesign.from_dict(annotator.prompt.content)
    return [
        {
            "messages": [
                *render(design, lesson.post, reply_format=annotator.reply_format),
                {"role": "assistant", "content": build_reply(design, lesson.ratings)},
            ]
        }
        for lesson in lessons
    ]


def write_lessons(lessons: Iterable[Lesson], value_keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return each lesson as a post and its rating by value."""
    return [
        {
            "post": lesson.post.to_dict(),
            "ratings": dict(zip(value_keys, lesson.ratings, strict=True)),
        }
        for lesson in lessons
    ]


def read_lessons(content: bytes, value_keys: Sequence[str]) -> list[Lesson]:
    """Read a file of what `write_lessons` returned.

    Raises ValueError for a line that is none, or about other values.
    """
    lessons = []
    for number, line in enumerate(content.decode().splitlines(), start=1):
        told = json.loads(line)
        try:
            ratings = tuple(told["ratings"][key] for key in value_keys)
            lessons.append(Lesson(PostText.from_dict(told["post"]), ratings))
        except (KeyError, TypeError) as error:
            raise ValueError(f"line {number} holds no post with a rating of each value") from error
    return lessons


def as_jsonl(lines: Iterable[dict[str, Any]]) -> bytes:
    """Return lines of JSON; the same lines always give the same bytes.

    JSON of ASCII alone: some programs break lines where Unicode does, not only where JSONL does.
    """
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
