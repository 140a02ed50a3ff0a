"""From the database to the rows of each table, a few thousand at a time."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import BinaryField, Count, ExpressionWrapper, F

from annotation.fields import MISSING
from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    GateDecision,
    PageVisit,
    Post,
    StepCompletion,
    StudyVersion,
    Withdrawal,
)
from annotation.tree.nodes import Branch
from annotation.tree.walk import CHOSEN, IMPLIED, NOT_SHOWN
from calibration.instrument.items import DECLINED
from calibration.models import CalibrationAnswer, Questionnaire, QuestionnaireResponse
from calibration.selectors import score_answers
from modeling.models import QualityFlag

from .cells import clean
from .snapshot import ROWS_AT_ONCE, Snapshot
from .tables import STATUSES, Table
from .writing import build_schema

Batches = Iterator[pa.RecordBatch]
MOST_TEXT = 8_000_000  # characters of one batch

_STATUS_NAMES = pa.array(STATUSES)
_RAW_RATINGS = ExpressionWrapper(F("ratings"), output_field=BinaryField())
_RAW_CODES = ExpressionWrapper(F("codes"), output_field=BinaryField())


def read_batches(table: Table, snapshot: Snapshot) -> Batches:
    """Yield a table's rows, in their fixed order, as batches with the table's columns."""
    if table.name in _RATINGS:
        yield from _RATINGS[table.name](table, snapshot)
    else:
        yield from _gather(table, _ROWS[table.name](snapshot))


def read_loading_batches(table: Table, snapshot: Snapshot) -> Batches:
    """Yield the rows of one of the files that `load_study` takes. The ratings were tallied before."""
    if table.name == "ratings":
        yield from _read_ratings_to_load(table, snapshot)
    else:
        yield from _gather(table, _LOADING_ROWS[table.name](snapshot))


def _gather(table: Table, rows: Iterable[tuple]) -> Batches:
    schema = build_schema(table.columns)
    for chunk in _cut(rows):
        columns = [
            pa.array([_as_cell(value) for value in column], field.type)
            for column, field in zip(zip(*chunk, strict=True), schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _cut(rows: Iterable[tuple]) -> Iterator[list[tuple]]:
    """Yield rows in lists: never many at once, and few where their texts are long."""
    chunk: list[tuple] = []
    n_characters = 0
    for row in rows:
        chunk.append(row)
        n_characters += sum(len(value) for value in row if isinstance(value, str))
        if len(chunk) >= ROWS_AT_ONCE or n_characters >= MOST_TEXT:
            yield chunk
            chunk, n_characters = [], 0
    if chunk:
        yield chunk


def _as_cell(value: Any) -> Any:
    """Text that any file can hold; a number that does not exist is an empty cell."""
    if isinstance(value, str):
        return clean(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# --- ratings: arrays all the way ---------------------------------------------------------------


def _read_annotations(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Yield readings some thousands at a time, their ratings and codes as arrays of shape (readings, values)."""
    n_values = len(snapshot.value_keys)
    rows = snapshot.by_person(
        Annotation.objects.annotate(raw_ratings=_RAW_RATINGS, raw_codes=_RAW_CODES),
        "post_id",
        "raw_ratings",
        "raw_codes",
        "assignment__step_id",
        "submitted_at",
        "study_version_id",
        order=["post_id"],
    )
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        enrollments, posts, raw_ratings, raw_codes, steps, times, versions = zip(*chunk, strict=True)
        ratings, codes = (
            np.frombuffer(b"".join(map(bytes, raw)), dtype="<i2").reshape(len(chunk), n_values)
            for raw in (raw_ratings, raw_codes)
        )
        codes = np.where((codes == CHOSEN) | (codes == IMPLIED), codes, NOT_SHOWN)
        codes = np.where(ratings == MISSING, NOT_SHOWN, codes)
        yield {
            "raters": np.array([snapshot.place[pk] for pk in enrollments], dtype=np.int64),
            "posts": np.array([snapshot.post_place[pk] for pk in posts], dtype=np.int64),
            "ratings": ratings,
            "codes": codes,
            "steps": pa.array([snapshot.steps[pk][0] if pk else None for pk in steps], pa.int64()),
            "times": pa.array(times, pa.timestamp("us", tz="UTC")),
            "versions": pa.array([snapshot.version(pk) for pk in versions], pa.int64()),
        }


def _read_long(table: Table, snapshot: Snapshot) -> Batches:
    schema = build_schema(table.columns)
    n_values = len(snapshot.value_keys)
    values = pa.array(snapshot.value_keys, pa.string())
    post_keys = _as_texts(snapshot.post_keys)
    scale = snapshot.tree.scale
    for read in _read_annotations(snapshot):
        _count(snapshot, read)
        ratings, codes = read["ratings"].ravel(), read["codes"].ravel()
        row = pa.array(np.repeat(np.arange(len(read["raters"])), n_values))
        yield pa.RecordBatch.from_arrays(
            [
                snapshot.rater_ids.take(pa.array(read["raters"])).take(row),
                post_keys.take(pa.array(read["posts"])).take(row),
                values.take(pa.array(np.tile(np.arange(n_values), len(read["raters"])))),
                pa.array(ratings, pa.int64(), mask=codes == NOT_SHOWN),
                _STATUS_NAMES.take(pa.array(codes)),
                pa.array(
                    ratings.astype(np.int64) - scale.min + scale.shown_from, pa.int64(), mask=codes != CHOSEN
                ),
                read["steps"].take(row),
                read["times"].take(row),
                read["versions"].take(row),
                pa.array(snapshot.is_included[read["raters"]]).take(row),
            ],
            schema=schema,
        )


def _count(snapshot: Snapshot, read: dict[str, Any]) -> None:
    tally = snapshot.tally
    counts = np.bincount(read["codes"].ravel(), minlength=len(STATUSES)).tolist()
    tally.statuses.update(dict(zip(STATUSES, counts, strict=True)))
    counted = snapshot.is_included[read["raters"]]
    tally.n_included += int(counted.sum())
    np.add.at(tally.per_person, read["raters"][counted], 1)
    np.add.at(tally.per_post, read["posts"][counted], 1)


def _read_wide(table: Table, snapshot: Snapshot) -> Batches:
    schema = build_schema(table.columns)
    post_keys = _as_texts(snapshot.post_keys)
    for read in _read_annotations(snapshot):
        ratings, codes = read["ratings"], read["codes"]
        yield pa.RecordBatch.from_arrays(
            [
                snapshot.rater_ids.take(pa.array(read["raters"])),
                post_keys.take(pa.array(read["posts"])),
                read["steps"],
                read["times"],
                read["versions"],
                pa.array(snapshot.is_included[read["raters"]]),
                *(
                    pa.array(ratings[:, value], pa.int64(), mask=codes[:, value] == NOT_SHOWN)
                    for value in range(len(snapshot.value_keys))
                ),
                *(_STATUS_NAMES.take(pa.array(codes[:, value])) for value in range(len(snapshot.value_keys))),
            ],
            schema=schema,
        )


def _read_ratings_to_load(table: Table, snapshot: Snapshot) -> Batches:
    schema = build_schema(table.columns)
    values = pa.array(snapshot.value_keys, pa.string())
    post_keys = _as_texts(snapshot.post_keys)
    for read in _read_annotations(snapshot):
        there = snapshot.is_included[read["raters"]][:, None] & (read["codes"] != NOT_SHOWN)
        row, value = np.nonzero(there)
        yield pa.RecordBatch.from_arrays(
            [
                snapshot.rater_ids.take(pa.array(read["raters"][row])),
                post_keys.take(pa.array(read["posts"][row])),
                values.take(pa.array(value)),
                pa.array(read["ratings"][there].astype(np.int64)),
            ],
            schema=schema,
        )


def _as_texts(texts: Iterable[str]) -> pa.Array:
    return pa.array([clean(text) for text in texts], pa.string())


# --- everything else: rows ---------------------------------------------------------------------


def _read_participants(snapshot: Snapshot) -> Iterator[tuple]:
    rows = snapshot.by_person(
        snapshot.people,
        "rater__origin", "phase", "outcome", "started_at", "finished_at", "timed_out_at",
        "consent_record__given", "consent_record__version",
        "exclusion__reason", "exclusion__excluded_at", "study_version_id",
        order=[], at="pk",
    )  # fmt: skip
    counts = _count_annotations(snapshot)
    for pk, origin, phase, outcome, started, finished, timed_out, given, version, why, when, frozen in rows:
        yield (
            snapshot.rater(pk), origin, phase, outcome or None, started, finished, timed_out,
            (finished - started).total_seconds() / 60 if finished else None,
            given, version, when is not None, why, when,
            bool(snapshot.is_included[snapshot.place[pk]]),
            counts.get(pk, 0), snapshot.version(frozen),
        )  # fmt: skip


def _count_annotations(snapshot: Snapshot) -> dict[int, int]:
    counted = (
        Annotation.objects.filter(enrollment__study=snapshot.study)
        .values_list("enrollment_id")
        .annotate(n=Count("pk"))
        .order_by()
    )
    return dict(counted.iterator())


def _read_other_parts(snapshot: Snapshot) -> Iterator[tuple]:
    rows = snapshot.by_person(
        Annotation.objects.all(),
        "post_id", "assignment__step_id", "assignment__position", "opened", "rationale", "submitted_at",
        "study_version_id",
        order=["post_id"],
    )  # fmt: skip
    for pk, post, step, position, opened, rationale, submitted, version in rows:
        yield (
            snapshot.rater(pk), snapshot.post(post), snapshot.steps[step][0] if step else None, position,
            " ".join(map(str, opened)), rationale or None, submitted, snapshot.version(version),
            bool(snapshot.is_included[snapshot.place[pk]]),
        )  # fmt: skip


def _read_assignments(snapshot: Snapshot) -> Iterator[tuple]:
    rows = snapshot.by_person(
        Assignment.objects.all(),
        "post_id", "step_id", "position", "status", "assigned_at", "submitted_at",
        order=["position"],
    )  # fmt: skip
    for pk, post, step, *rest in rows:
        yield snapshot.rater(pk), snapshot.post(post), snapshot.steps[step][0], *rest


def _read_completions(snapshot: Snapshot) -> Iterator[tuple]:
    for pk, step, at in snapshot.by_person(
        StepCompletion.objects.all(), "step_id", "at", order=["step__position"]
    ):
        yield snapshot.rater(pk), *snapshot.steps[step], at


def _read_gates(snapshot: Snapshot) -> Iterator[tuple]:
    rows = snapshot.by_person(
        GateDecision.objects.all(), "step_id", "passed", "reason", "at", order=["step__position"]
    )
    for pk, step, *rest in rows:
        yield snapshot.rater(pk), *snapshot.steps[step], *rest


def _read_attempts(snapshot: Snapshot) -> Iterator[tuple]:
    rows = snapshot.by_person(
        Attempt.objects.all(),
        "step_id",
        "item",
        "answers",
        "is_right",
        "at",
        "study_version_id",
        order=["pk"],
    )
    for number, (pk, step, item, answers, is_right, at, version) in _number(rows):
        yield (
            snapshot.rater(pk), number, *snapshot.steps[step], item or None, _as_json(answers), is_right, at,
            snapshot.version(version),
        )  # fmt: skip


def _number(rows: Iterable[tuple]) -> Iterator[tuple[int, tuple]]:
    """Number each person's rows from 1 on."""
    person, number = None, 0
    for row in rows:
        number = number + 1 if row[0] == person else 1
        person = row[0]
        yield number, row


def _read_items(snapshot: Snapshot) -> Iterator[tuple]:
    for questionnaire in Questionnaire.objects.filter(study=snapshot.study).order_by("key"):
        instrument = questionnaire.instrument
        for item in instrument.items:
            options = [{"value": value, "label": label} for value, label in item.options]
            for key, label in item.rows or ((item.key, item.label),):
                yield (
                    questionnaire.key, instrument.version, key, item.kind,
                    f"{item.label} {label}" if item.rows else label, _as_json(options) if options else None,
                )  # fmt: skip


def _read_answers(snapshot: Snapshot) -> Iterator[tuple]:
    for key, instrument, rows in _read_responses(snapshot):
        for pk, version, answers, submitted, frozen in rows:
            asked = instrument.answer_keys if version == instrument.version else ()
            for item in (*asked, *sorted(answers.keys() - set(asked))):
                answer = answers.get(item)
                status = "left_open" if answer is None else "declined" if answer == DECLINED else "answered"
                is_number = isinstance(answer, int) and not isinstance(answer, bool)
                text = answer if isinstance(answer, str) else _as_json(answer)
                yield (
                    snapshot.rater(pk), key, version, item, status, text if status == "answered" else None,
                    answer if is_number else None, submitted, snapshot.version(frozen),
                )  # fmt: skip


def _read_scores(snapshot: Snapshot) -> Iterator[tuple]:
    for key, instrument, rows in _read_responses(snapshot):
        if instrument.scoring is None:
            continue
        for pk, _, answers, _, _ in rows:
            for name, found in score_answers(instrument.scoring, answers).items():
                yield (
                    snapshot.rater(pk), key, instrument.scoring.key, name, found.value, found.n_answered,
                    found.reason or None,
                )  # fmt: skip


def _read_responses(snapshot: Snapshot) -> Iterator[tuple[str, Any, Iterator[tuple]]]:
    """Yield each questionnaire with its responses: (enrollment, version, answers, time, study's version)."""
    questionnaires = Questionnaire.objects.filter(study=snapshot.study).order_by("key")
    for questionnaire in questionnaires:
        responses = QuestionnaireResponse.objects.filter(questionnaire=questionnaire)
        rows = snapshot.by_person(
            responses, "version", "answers", "submitted_at", "study_version_id", order=[]
        )
        yield questionnaire.key, questionnaire.instrument, rows


def _read_calibration(snapshot: Snapshot) -> Iterator[tuple]:
    scale = snapshot.tree.scale
    for pk, position, post, value, rating, at, version in _read_calibration_rows(snapshot):
        yield (
            snapshot.rater(pk), position, snapshot.post(post), value, rating,
            rating - scale.min + scale.shown_from, at, snapshot.version(version),
        )  # fmt: skip


def _read_calibration_rows(snapshot: Snapshot) -> Iterator[tuple]:
    return snapshot.by_person(
        CalibrationAnswer.objects.all(),
        "question__position", "question__post_id", "question__value_key", "rating", "answered_at",
        "study_version_id",
        order=["question__position"],
    )  # fmt: skip


def _read_calibration_to_load(snapshot: Snapshot) -> Iterator[tuple]:
    """Answers of included raters who rated something, about posts that nobody rated: what an import takes."""
    tally = snapshot.tally
    for pk, _, post, value, rating, _, _ in _read_calibration_rows(snapshot):
        if tally.per_person[snapshot.place[pk]] and not tally.per_post[snapshot.post_place[post]]:
            yield snapshot.rater(pk), snapshot.post(post), value, rating


def _read_visits(snapshot: Snapshot) -> Iterator[tuple]:
    for visit, (pk, step, item, shown_at, answered_at, client) in _read_page_visits(snapshot):
        width, height = client.get("viewport") or (None, None)
        yield (
            snapshot.rater(pk), visit, *snapshot.steps[step], item or None, shown_at, answered_at,
            (answered_at - shown_at).total_seconds(),
            client.get("shown"), client.get("answered_ms"), client.get("away"), client.get("away_ms"),
            width, height, len(client.get("changes", ())),
        )  # fmt: skip


def _read_changes(snapshot: Snapshot) -> Iterator[tuple]:
    for visit, (pk, *_, client) in _read_page_visits(snapshot):
        for number, (milliseconds, name) in enumerate(client.get("changes", ()), start=1):
            yield snapshot.rater(pk), visit, number, milliseconds, name


def _read_page_visits(snapshot: Snapshot) -> Iterator[tuple[int, tuple]]:
    rows = snapshot.by_person(
        PageVisit.objects.all(), "step_id", "item", "shown_at", "answered_at", "client", order=["pk"]
    )
    return _number(_name_posts(snapshot, rows))


def _name_posts(snapshot: Snapshot, rows: Iterator[tuple]) -> Iterator[tuple]:
    """In labeling an item is the number of an assignment, which means nothing outside: put the post's id there."""
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        given = {
            int(item)
            for _, step, item, *_ in chunk
            if snapshot.steps[step][1] == "labeling" and item.isdecimal()
        }
        posts = dict(Assignment.objects.filter(pk__in=given).values_list("pk", "post_id"))
        for pk, step, item, *rest in chunk:
            if snapshot.steps[step][1] == "labeling":
                post = posts.get(int(item)) if item.isdecimal() else None
                item = "" if post is None else snapshot.post(post)
            yield pk, step, item, *rest


def _read_posts(snapshot: Snapshot) -> Iterator[tuple]:
    for_raters = (Post.Purpose.LABELING, Post.Purpose.CALIBRATION)
    rows = Post.objects.filter(study=snapshot.study, purpose__in=for_raters).order_by("pk")
    fields = ("key", "purpose", "text", "context_kind", "context_text", "metadata")
    for key, purpose, *texts, metadata in rows.values_list(*fields).iterator(chunk_size=ROWS_AT_ONCE):
        yield key, purpose, *(text or None for text in texts), _as_json(metadata)


def _read_posts_to_load(snapshot: Snapshot) -> Iterator[tuple]:
    for key, _, *rest in _read_posts(snapshot):
        yield key, *rest


def _read_values(snapshot: Snapshot) -> Iterator[tuple]:
    above: dict[str, tuple[str, ...]] = {}

    def walk(branch: Branch, path: tuple[str, ...]) -> None:
        for child in branch.children:
            if isinstance(child, Branch):
                walk(child, (*path, child.key))
            else:
                above[child.key] = path

    walk(snapshot.tree.root, (snapshot.tree.root.key,))
    for position, key in enumerate(snapshot.value_keys, start=1):
        leaf = snapshot.tree.leaf(key)
        yield position, key, leaf.name, leaf.label, leaf.definition or None, " ".join(above[key])


def _read_flags(snapshot: Snapshot) -> Iterator[tuple]:
    rows = snapshot.by_person(
        QualityFlag.objects.all(), "rule", "number", "limit", "flagged_at", order=["rule"]
    )
    for pk, *rest in rows:
        yield snapshot.rater(pk), *rest


def _read_withdrawals(snapshot: Snapshot) -> Iterator[tuple]:
    for pk, at, erased in snapshot.by_person(Withdrawal.objects.all(), "at", "erased", order=[]):
        yield snapshot.rater(pk), at, _as_json(erased)


def _read_versions(snapshot: Snapshot) -> Iterator[tuple]:
    versions = StudyVersion.objects.filter(study=snapshot.study).order_by("number")
    for number, digest, code, made_at, reason in versions.values_list(
        "number", "digest", "code_version", "made_at", "reason"
    ):
        yield number, digest, code, made_at, reason or None


_RATINGS: dict[str, Callable[[Table, Snapshot], Batches]] = {
    "ratings_long": _read_long,
    "ratings_wide": _read_wide,
}
_ROWS: dict[str, Callable[[Snapshot], Iterator[tuple]]] = {
    "participants": _read_participants,
    "annotations": _read_other_parts,
    "assignments": _read_assignments,
    "step_completions": _read_completions,
    "gate_outcomes": _read_gates,
    "gate_attempts": _read_attempts,
    "questionnaire_items": _read_items,
    "questionnaire_answers": _read_answers,
    "scale_scores": _read_scores,
    "calibration_answers": _read_calibration,
    "page_visits": _read_visits,
    "page_changes": _read_changes,
    "posts": _read_posts,
    "values": _read_values,
    "quality_flags": _read_flags,
    "withdrawals": _read_withdrawals,
    "versions": _read_versions,
}
_LOADING_ROWS: dict[str, Callable[[Snapshot], Iterator[tuple]]] = {
    "calibration": _read_calibration_to_load,
    "posts": _read_posts_to_load,
}
