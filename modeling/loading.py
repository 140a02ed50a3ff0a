"""Storing studies whose ratings were gathered elsewhere: all of a study or nothing of it."""

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice

import numpy as np
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import F, Model

from annotation.errors import Refused
from annotation.fields import MISSING
from annotation.models import Annotation, Enrollment, Outcome, Post, Rater, Study, ValueSystem
from annotation.selectors import get_tree
from annotation.services import save_value_system
from annotation.tree.nodes import KEY_PATTERN, Scale, ValueTree
from annotation.tree.walk import CHOSEN, NOT_SHOWN
from calibration.instrument.items import DEFAULT_TEXT_LENGTH
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from jobs.models import Job

from .errors import ImportRefused
from .imports import StudyImport
from .models import ImportRecord

SLUG_LENGTH = 43  # the value system's slug is this one with '-values' behind it, 50 in all
NAME_LENGTH = 200
MOST_POSTS_PER_RATER = 32_767
BATCH = 2_000


class Loading(Enum):
    """What became of a study that was to be loaded."""

    NEW = "new"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@transaction.atomic
def load_study(
    slug: str, data: StudyImport, *, files: list[dict[str, str]], name: str = "", replace: bool = False
) -> tuple[Study, Loading]:
    """Store a study that was read from files; the same content again changes nothing.

    Parameters
    ----------
    slug : of the study; its value system gets '<slug>-values'
    data : what the files say
    files : name and SHA-256 of each, kept for the record
    name : of the study; the slug when empty
    replace : whether an import of other content under this slug, its fits included, makes room

    Raises
    ------
    ImportRefused
        When the slug cannot be used or is taken by another study, a value system, or an import of other
        content that may not be replaced. Nothing is stored then.
    """
    _check_names(slug, name)
    stored = Study.objects.select_for_update().filter(slug=slug).first()
    if stored:
        record = ImportRecord.objects.filter(study=stored).first()
        if record is None:
            raise ImportRefused(
                [f"The study '{slug}' exists and was not loaded from files; choose another slug."]
            )
        if record.digest == data.digest:
            return stored, Loading.UNCHANGED
        if not replace:
            raise ImportRefused(
                [
                    f"The study '{slug}' was loaded from other content on {record.created_at:%Y-%m-%d}; choose "
                    "another slug, or replace it and its fits with --replace."
                ]
            )
        _delete_study(stored)
    study = _store_study(slug, name or slug, data)
    posts = _store_posts(study, data)
    enrollments = _store_enrollments(study, data)
    _create(Annotation, _build_annotations(data, enrollments, posts))
    _store_calibration(study, data, enrollments, posts)
    _store_rater_answers(study, data, enrollments)
    ImportRecord.objects.create(study=study, digest=data.digest, files=files)
    return study, Loading.REPLACED if stored else Loading.NEW


def _check_names(slug: str, name: str) -> None:
    faults = []
    if not KEY_PATTERN.fullmatch(slug):
        faults.append(
            f"The slug '{slug:.60}' must consist of a-z, 0-9, _ and -, and begin with a letter or digit."
        )
    if len(slug) > SLUG_LENGTH:
        faults.append(f"The slug '{slug:.60}' has {len(slug)} characters; use at most {SLUG_LENGTH}.")
    if len(name) > NAME_LENGTH or re.search("[\x00\ud800-\udfff]", name):
        faults.append(f"The study's name must be text of at most {NAME_LENGTH} characters.")
    if faults:
        raise ImportRefused(faults)


def _delete_study(study: Study) -> None:
    """Remove an imported study with all that was made of it: the one way in which ratings leave."""
    artefacts = list(study.fit_runs.values_list("artefact", flat=True))
    Job.objects.filter(
        payload__study=study.pk
    ).delete()  # a job under way finds its row gone and writes nothing
    study.fit_runs.all().delete()
    study.enrollments.all().delete()
    Rater.objects.filter(
        origin=Rater.Origin.IMPORTED, external_id__startswith=f"{study.slug}:", enrollments=None
    ).delete()
    study.calibration_questions.all().delete()
    system_id = study.value_system_id
    study.delete()
    ValueSystem.objects.filter(pk=system_id, studies=None).delete()

    def delete_artefacts() -> None:
        for artefact in artefacts:
            storages["artefacts"].delete(artefact)

    transaction.on_commit(delete_artefacts)


def _store_study(slug: str, name: str, data: StudyImport) -> Study:
    lowest, highest = data.scale
    tree = ValueTree.flat(
        f"{slug}-values",
        [value.key for value in data.values],
        Scale(lowest, highest, lowest, "Lowest rating", "Highest rating"),
        {value.key: value.name for value in data.values},
    )
    taken = ValueSystem.objects.filter(slug=tree.slug).first()
    if taken and get_tree(taken) != tree:
        raise ImportRefused(
            [
                f"The value system '{tree.slug}' exists and has other values; choose another slug for the study."
            ]
        )
    n_posts = np.bincount(
        data.ratings.raters[data.ratings.annotation_starts[:-1]], minlength=len(data.rater_ids)
    )
    try:
        system = save_value_system(tree)
    except Refused as error:
        raise ImportRefused([str(error)]) from error
    return Study.objects.create(
        slug=slug,
        name=name,
        title=name,
        state=Study.State.CLOSED,
        value_system=system,
        posts_per_rater=min(int(n_posts.max()), MOST_POSTS_PER_RATER),
        consent={},
    )


def _store_posts(study: Study, data: StudyImport) -> list[int]:
    asked = {post for post, _ in data.questions}
    return _create(
        Post,
        (
            Post(
                study=study,
                key=post.key,
                purpose=Post.Purpose.CALIBRATION if code in asked else Post.Purpose.LABELING,
                text=post.text,
                context_kind=post.context_kind,
                context_text=post.context_text,
                metadata=dict(post.metadata),
            )
            for code, post in enumerate(data.posts)
        ),
    )


def _store_enrollments(study: Study, data: StudyImport) -> list[int]:
    raters = _create(
        Rater,
        (
            Rater(origin=Rater.Origin.IMPORTED, external_id=f"{study.slug}:{rater_id}")
            for rater_id in data.rater_ids
        ),
    )
    enrollments = _create(Enrollment, (Enrollment(study=study, rater_id=rater) for rater in raters))
    # Nobody knows how long they took: they end as they begin.
    study.enrollments.update(outcome=Outcome.COMPLETED, finished_at=F("started_at"))
    return enrollments


def _build_annotations(data: StudyImport, enrollments: list[int], posts: list[int]) -> Iterator[Annotation]:
    """One annotation for each (rater, post), its vectors written as the field stores them."""
    table = data.ratings
    starts = table.annotation_starts
    for begin in range(0, data.n_annotations, BATCH):
        bounds = starts[begin : begin + BATCH + 1]
        rows = slice(bounds[0], bounds[-1])
        place = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        ratings = np.full((len(bounds) - 1, len(data.values)), MISSING, dtype="<i2")
        codes = np.full_like(ratings, NOT_SHOWN)
        ratings[place, table.values[rows]] = table.ratings[rows]
        codes[place, table.values[rows]] = CHOSEN
        for rater, post, rating_vector, code_vector in zip(
            table.raters[bounds[:-1]].tolist(),
            table.posts[bounds[:-1]].tolist(),
            ratings,
            codes,
            strict=True,
        ):
            yield Annotation(
                enrollment_id=enrollments[rater],
                post_id=posts[post],
                ratings=rating_vector.tobytes(),
                codes=code_vector.tobytes(),
            )


def _store_calibration(study: Study, data: StudyImport, enrollments: list[int], posts: list[int]) -> None:
    questions = _create(
        CalibrationQuestion,
        (
            CalibrationQuestion(
                study=study, position=position, post_id=posts[post], value_key=study.value_keys[value]
            )
            for position, (post, value) in enumerate(data.questions, start=1)
        ),
    )
    question_of = dict(zip(data.questions, questions, strict=True))
    table = data.answers
    _create(
        CalibrationAnswer,
        (
            CalibrationAnswer(
                enrollment_id=enrollments[rater], question_id=question_of[post, value], rating=rating
            )
            for rater, post, value, rating in zip(
                table.raters.tolist(),
                table.posts.tolist(),
                table.values.tolist(),
                table.ratings.tolist(),
                strict=True,
            )
        ),
    )


def _store_rater_answers(study: Study, data: StudyImport, enrollments: list[int]) -> None:
    if not data.rater_columns:
        return
    longest = max(
        (len(text) for answers in data.rater_answers.values() for text in answers.values()), default=0
    )
    questionnaire = Questionnaire(
        study=study,
        key="raters",
        definition={
            "key": "raters",
            "version": 1,
            "title": "About the raters",
            "items": [
                {
                    "key": key,
                    "kind": "text",
                    "label": name,
                    "max_length": max(longest, DEFAULT_TEXT_LENGTH),
                }
                for key, name in data.rater_columns
            ],
        },
    )
    questionnaire.full_clean()
    questionnaire.save()
    _create(
        QuestionnaireResponse,
        (
            QuestionnaireResponse(
                enrollment_id=enrollments[rater], questionnaire=questionnaire, version=1, answers=answers
            )
            for rater, answers in sorted(data.rater_answers.items())
        ),
    )


def _create(model: type[Model], rows: Iterable[Model]) -> list[int]:
    """Store rows batch by batch, so that never more than one of them is in memory; return their ids."""
    rows = iter(rows)
    ids: list[int] = []
    while batch := list(islice(rows, BATCH)):
        ids.extend(row.pk for row in model._default_manager.bulk_create(batch))
    return ids
