"""A small study in which every table of an export has a row, and an archive to look into."""

import csv
import io
import json
import zipfile
from datetime import timedelta

import pyarrow.parquet
from django.utils import timezone

from annotation.models import (
    Assignment,
    Attempt,
    ConsentRecord,
    Enrollment,
    Exclusion,
    GateDecision,
    Outcome,
    PageVisit,
    Rater,
    StepCompletion,
    StudyVersion,
    Withdrawal,
)
from annotation.tree.walk import CHOSEN, IMPLIED, NOT_SHOWN
from calibration.models import CalibrationAnswer, Questionnaire, QuestionnaireResponse
from modeling.export.archive import write_archive
from modeling.models import QualityFlag
from tests.factories import AnnotationFactory, StudyFactory

HOSTILE = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''+1", "\uff1d1+1", "'tis", "plain",
    'quoted "text", with commas', "two\nlines\r\nand more", "Ünïcödé 🙂 עברית", "ends with a backslash \\",
)  # fmt: skip
SCORING = {
    "key": "mood",
    "instrument": "Mood",
    "answers": {"min": 1, "max": 3},
    "items": ["calm", "loud"],
    "scales": [{"key": "calmness", "label": "Calmness", "items": ["calm", "loud"], "reversed": ["loud"]}],
}
MOOD = {
    "key": "mood",
    "version": 2,
    "title": "Mood",
    "scoring": SCORING,
    "items": [
        {"key": "calm", "kind": "number", "label": "Calm?", "min": 1, "max": 3, "prefer_not_to_say": True},
        {"key": "loud", "kind": "number", "label": "Loud?", "min": 1, "max": 3},
        {
            "key": "media",
            "kind": "multiple",
            "label": "Which?",
            "options": [{"value": "tv", "label": "TV"}, {"value": "web", "label": "Web"}],
        },
        {"key": "words", "kind": "text", "label": "Anything else?"},
    ],
}


class Opened:
    """An archive, opened: its files by their names without the folder."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            self.files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
            self.folders = {name.partition("/")[0] for name in archive.namelist()}

    def text(self, name: str) -> str:
        return self.files[name].decode()

    def json(self, name: str):
        return json.loads(self.files[name])

    def csv(self, table: str, folder: str = "csv") -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text(f"{folder}/{table}.csv"), newline=""), strict=True))

    def parquet(self, table: str) -> list[dict]:
        return pyarrow.parquet.read_table(io.BytesIO(self.files[f"parquet/{table}.parquet"])).to_pylist()


def export(study, **options) -> Opened:
    file = io.BytesIO()
    options = {"moment": timezone.now(), "code_version": "1.0"} | options
    write_archive(study, file, **options)
    return Opened(file.getvalue())


def enroll(study, name: str, *, outcome: str = Outcome.COMPLETED, **fields) -> Enrollment:
    rater = Rater.objects.create(origin=fields.pop("origin", Rater.Origin.PROLIFIC), external_id=name)
    now = timezone.now()
    fields = {"prolific_session_id": f"session-of-{name}", "prolific_study_id": "at-prolific"} | fields
    return Enrollment.objects.create(
        study=study,
        rater=rater,
        outcome=outcome,
        finished_at=now + timedelta(minutes=30) if outcome else None,
        **fields,
    )


def make_full_study(text: str = "plain", **fields):
    """A study with ten values; one person left a row in every table, all their texts are `text`."""
    study = StudyFactory(steps=("consent", "gating", "labeling", "vcq"), **fields)
    consent, gating, labeling, _ = study.steps.order_by("position")
    version = StudyVersion.objects.create(
        study=study,
        number=1,
        digest="0" * 64,
        content={"of": text},
        post_digests={},
        code_version="1.0",
        reason=text,
    )
    study.current_version = version
    study.save()
    post, other, _ = study.posts.filter(purpose="labeling").order_by("pk")
    post.metadata = {"source": text}
    post.text, post.context_kind, post.context_text = text, "reply", text
    post.save()
    person = enroll(study, "5f0000000000000000000001", study_version=version)
    now = timezone.now()
    ConsentRecord.objects.create(enrollment=person, given=True, version=3)
    StepCompletion.objects.create(enrollment=person, step=consent)
    Attempt.objects.create(
        enrollment=person,
        step=gating,
        item="boss",
        answers={"why": text},
        is_right=True,
        study_version=version,
    )
    GateDecision.objects.create(enrollment=person, step=gating, passed=True, reason=text[:200])
    assignment = Assignment.objects.create(
        enrollment=person, step=labeling, post=post, position=1, status="submitted", submitted_at=now
    )
    AnnotationFactory(
        enrollment=person,
        post=post,
        assignment=assignment,
        ratings=(3, 1, None, *(1,) * 7),
        codes=(CHOSEN, IMPLIED, NOT_SHOWN, *(IMPLIED,) * 7),
        opened=["statement", "personal_focus"],
        rationale=text,
        study_version=version,
    )
    Assignment.objects.create(enrollment=person, step=labeling, post=other, position=2, status="released")
    question = study.calibration_questions.first()
    CalibrationAnswer.objects.create(enrollment=person, question=question, rating=2, study_version=version)
    questionnaire = Questionnaire.objects.create(study=study, key="mood", definition=MOOD)
    QuestionnaireResponse.objects.create(
        enrollment=person,
        questionnaire=questionnaire,
        version=2,
        answers={"calm": "prefer_not_to_say", "loud": 3, "words": text},
        study_version=version,
    )
    PageVisit.objects.create(
        enrollment=person,
        step=labeling,
        item=str(assignment.pk),
        shown_at=now - timedelta(seconds=40),
        client={"shown": 1, "answered_ms": 2, "away": 1, "viewport": [800, 600], "changes": [[5, "power"]]},
    )
    QualityFlag.objects.create(enrollment=person, rule="too_fast", number=1.5, limit=2.0)
    Exclusion.objects.create(
        enrollment=enroll(study, "5f0000000000000000000002"), reason=text, excluded_by="the-chief"
    )
    gone = enroll(study, "withdrawn-1", outcome=Outcome.WITHDREW)
    Withdrawal.objects.create(enrollment=gone, erased={"annotation": 3})
    return study
