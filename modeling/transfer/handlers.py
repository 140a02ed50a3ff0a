"""Jobs that teach encoders by soft labels and check their transfer, in parts that any worker takes."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.services.audit import log_event
from jobs.errors import PermanentError
from jobs.parts import Part, Parts
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.annotators.configs import create_annotator
from modeling.encoders.transformer.packages import PackageMissing
from modeling.errors import ModelingError
from modeling.models import AnnotatorModel, EncoderTraining, Report, SoftLabelSet, TransferCheck
from modeling.models.encoders import Work
from modeling.reporting.storing import draw_all, store_report
from modeling.reports.figures.encoder import draw_encoder_figures, draw_transfer_figures
from modeling.reports.figures.figure import Figure
from modeling.reports.figures.render import Drawn
from modeling.scratch import forget

from . import checking, training
from .services import ASKED, CHECK, TRAIN, Asked, name_subject

TRAIN_PART, CHECK_PART = "train_encoder_part", "check_transfer_part"
FAULTS = (ModelingError, Refused, ValueError, PackageMissing)
Drawings = Sequence[tuple[Figure, Drawn]]
Row = TypeVar("Row", EncoderTraining, TransferCheck)
Done = TypeVar("Done")


@handles(TRAIN)
def train_encoder(claim: Claim) -> Effect | Parts | None:
    """Teach an encoder, its twins and one encoder for each fold; register it and store its report."""
    asked = _load_training(claim)
    if asked.state not in ASKED:
        return None
    if claim.parts is None:
        claim.report(0, 1, "reading the soft labels")
        place = _try(asked, lambda: training.begin(asked))
        return _share(claim, TRAIN_PART, place, place.pop("parts"), "encoders taught")
    place, done = claim.parts[0].payload["begun"], [part.result or {} for part in claim.parts]
    read_at = timezone.now()
    finished = _try(asked, lambda: training.finish(asked, place, done, claim.report))
    claim.report(0, 1, "drawing figures")
    figures = draw_all(draw_encoder_figures(finished.measures))

    def store() -> dict[str, Any]:
        forget(finished.scratch)
        return _store_training(asked, finished, figures, read_at)

    return store


@handles(TRAIN_PART)
def train_encoder_part(claim: Claim) -> Effect:
    """Teach one encoder of a training."""
    asked = _load_training(claim)
    done = _try(
        asked, lambda: training.do(asked, claim.payload["begun"], claim.payload["part"], claim.report)
    )
    return lambda: done


@handles(CHECK)
def check_transfer(claim: Claim) -> Effect | Parts | None:
    """Teach one encoder for each source, judge all on the same posts and store the report."""
    asked = _load_check(claim)
    if asked.state not in ASKED:
        return None
    if claim.parts is None:
        claim.report(0, 1, "reading the soft labels")
        place = _try(asked, lambda: checking.begin(asked, claim.report))
        return _share(claim, CHECK_PART, place, place["names"], "sources taught")
    place, done = claim.parts[0].payload["begun"], [part.result or {} for part in claim.parts]
    read_at = timezone.now()
    finished = _try(asked, lambda: checking.finish(asked, place, done, claim.report))
    claim.report(0, 1, "drawing figures")
    figures = draw_all(draw_transfer_figures(finished.measures))

    def store() -> dict[str, Any]:
        forget(finished.scratch)
        return _store_check(asked, finished, figures, read_at)

    return store


@handles(CHECK_PART)
def check_transfer_part(claim: Claim) -> Effect:
    """Teach the posts of one source."""
    asked = _load_check(claim)
    done = _try(
        asked, lambda: checking.do(asked, claim.payload["begun"], claim.payload["part"], claim.report)
    )
    return lambda: done


def _load_training(claim: Claim) -> EncoderTraining:
    rows = EncoderTraining.objects.select_related(
        "study__value_system", "soft_labels", "expert_set", "created_by"
    )
    return _require(rows.filter(pk=claim.payload["training"]).first())


def _load_check(claim: Claim) -> TransferCheck:
    rows = TransferCheck.objects.select_related("study__value_system", "soft_labels", "created_by")
    return _require(rows.filter(pk=claim.payload["check"]).first())


def _require(row: Row | None) -> Row:
    if row is None:
        raise PermanentError("It was deleted meanwhile.")
    return row


def _share(claim: Claim, kind: str, place: dict[str, Any], names: Sequence[str], note: str) -> Parts:
    """Ask for one part for each name."""
    key = f"{kind}:{claim.job_id}:{place['sha256'][:16]}"
    return Parts(
        [
            Part(kind, f"{key}:{number}", claim.payload | {"begun": place, "part": name})
            for number, name in enumerate(names)
        ],
        note=note,
    )


def _try(asked: Asked, work: Callable[[], Done]) -> Done:
    """Do it; what no further try can mend is told in the row."""
    try:
        return work()
    except FAULTS as error:
        type(asked).objects.filter(pk=asked.pk, state__in=ASKED).update(
            state=Work.FAILED, problem=str(error), finished_at=timezone.now()
        )
        raise PermanentError(str(error)) from error


def _hold(asked: Row) -> tuple[Row, bool]:
    """Lock the row; returns it, and whether it is still wanted and its labels still count."""
    row = (
        type(asked)
        .objects.select_for_update(of=("self",))
        .select_related("study", "created_by")
        .get(pk=asked.pk)
    )
    if row.state not in ASKED:
        return row, False
    if SoftLabelSet.objects.filter(pk=row.soft_labels_id).exclude(outdated_at=None).exists():
        row.state, row.finished_at = Work.FAILED, timezone.now()
        row.problem = (
            "Ratings among its soft labels were taken back while it was under way. Make the labels again."
        )
        row.save(update_fields=["state", "finished_at", "problem"])
        return row, False
    return row, True


@transaction.atomic
def _store_training(
    asked: EncoderTraining, finished: training.Finished, figures: Drawings, read_at: datetime
) -> dict[str, Any]:
    row, is_wanted = _hold(asked)
    if not is_wanted:
        return {}
    annotator = create_annotator(
        row.study,
        name=row.name,
        kind=AnnotatorModel.Kind.ENCODER,
        artefact=finished.artefact,
        artefact_sha256=finished.artefact_sha256,
        trained_on=finished.post_ids,
        reads_out_of_fold=True,
        is_standin=row.is_standin,
        user=row.created_by,
    )
    row.post_ids, row.data_hash = finished.post_ids, _hash(row, finished.data_hash)
    row.state, row.problem, row.finished_at = Work.DONE, "", timezone.now()
    # The very same encoder may have been taught before; it keeps its first maker.
    row.annotator = None if EncoderTraining.objects.filter(annotator=annotator).exists() else annotator
    row.save(update_fields=["post_ids", "data_hash", "state", "problem", "finished_at", "annotator"])
    measures = finished.measures | {"annotator": annotator.pk}
    report = store_report(
        row.study,
        Report.Kind.ENCODER,
        name_subject(row),
        measures,
        figures,
        data_hash=row.data_hash,
        read_at=read_at,
    )
    log_event(
        row.study,
        StudyEvent.Action.CHANGED,
        f"Taught the encoder {annotator} by soft labels of {len(row.post_ids):,} posts.",
        actor=row.created_by,
        detail={"training": row.pk, "annotator": annotator.pk, "soft_labels": row.soft_labels_id},
    )
    return {"annotator": annotator.pk, "report": report.pk}


@transaction.atomic
def _store_check(
    asked: TransferCheck, finished: checking.Finished, figures: Drawings, read_at: datetime
) -> dict[str, Any]:
    row, is_wanted = _hold(asked)
    if not is_wanted:
        return {}
    row.data_hash = _hash(row, finished.data_hash)
    row.state, row.problem, row.finished_at = Work.DONE, "", timezone.now()
    row.save(update_fields=["data_hash", "state", "problem", "finished_at"])
    report = store_report(
        row.study,
        Report.Kind.TRANSFER,
        name_subject(row),
        finished.measures,
        figures,
        data_hash=row.data_hash,
        read_at=read_at,
    )
    return {"report": report.pk}


def _hash(row: Asked, data_hash: str) -> str:
    """Return the hash of labels, texts and settings together."""
    whole = json.dumps({"data": data_hash, "settings": row.settings}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
