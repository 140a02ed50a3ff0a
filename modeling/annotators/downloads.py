"""The readings of a run as a file, line by line. A web process may import it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from modeling.export.cells import clean, guard
from modeling.models import AnnotatorRun, ModelReading
from modeling.prompts.design import PromptDesign
from modeling.reports.names import SAYS_STANDIN

CSV, JSONL = "csv", "jsonl"
MODEL = "model"
AT_ONCE = 1_000
_CALL = ("served_model", "prompt_tokens", "completion_tokens", "cost", "latency_seconds")


def list_rating_names(run: AnnotatorRun) -> tuple[str, ...]:
    """Return what each number of a reading is about: the values by their keys, or the purpose of a codebook."""
    if run.annotator.prompt is None:
        return tuple(run.annotator.study.value_keys)
    design = PromptDesign.from_dict(run.annotator.prompt.content)
    return (design.purpose,) if design.is_codebook else tuple(design.keys)


def write_readings(run: AnnotatorRun, form: str) -> Iterator[str]:
    """Yield a run's readings as lines of CSV or of JSON, those without ratings too,.

    `source` says of each line whether it comes from the stand-in.
    """
    names = list_rating_names(run)
    rows = (_describe(run, reading, names) for reading in _iterate(run))
    if form == JSONL:
        for row in rows:
            yield json.dumps(row, ensure_ascii=False) + "\n"
        return
    head = ("run", "annotator", "version", "source", "post", "sample", *names, "fault", "reason", *_CALL)
    yield _write_line(head)
    for row in rows:
        ratings = row.pop("ratings") or {}
        yield _write_line([ratings.get(name, row.get(name)) for name in head])


def _iterate(run: AnnotatorRun) -> Iterator[ModelReading]:
    """Read pages by id, so that no cursor stays open as long as the download lasts."""
    rows = ModelReading.objects.filter(run=run).select_related("call", "post", "feed_post").order_by("pk")
    after = 0
    while page := list(rows.filter(pk__gt=after)[:AT_ONCE]):
        yield from page
        after = page[-1].pk


def _describe(run: AnnotatorRun, reading: ModelReading, names: tuple[str, ...]) -> dict[str, Any]:
    call = reading.call
    is_standin = run.is_standin or run.annotator.is_standin or bool(call and call.is_standin)
    post = reading.post or reading.feed_post
    row: dict[str, Any] = {
        "run": run.pk,
        "annotator": run.annotator.name,
        "version": run.annotator.version,
        "source": SAYS_STANDIN if is_standin else MODEL,
        "post": post.key,
        "sample": reading.sample,
        "ratings": dict(zip(names, reading.ratings, strict=True)) if reading.ratings is not None else None,
        "detail": reading.detail,
        "fault": reading.fault,
        "reason": reading.reason,
    }
    for name in _CALL:
        value = getattr(call, name) if call else None
        row[name] = str(value) if name == "cost" and value is not None else value
    return row


def _write_line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        guard(clean(cell)) if isinstance(cell, str) else cell for cell in cells
    )
    return line.getvalue()
