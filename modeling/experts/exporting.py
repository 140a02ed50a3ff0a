"""All that experts said of a set, as one CSV file: labels, earlier labels, resolutions, the reference."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from modeling.export.cells import clean, guard
from modeling.models import ExpertItem, ExpertLabel, ExpertResolution, ExpertSet

from .rows import EXPERT, LABEL, NOTE, POST, WHAT
from .standing import list_standings

EARLIER, RESOLUTION, EARLIER_RESOLUTION, REFERENCE = (
    "earlier label",
    "resolution",
    "earlier resolution",
    "reference",
)


def write_labels(expert_set: ExpertSet) -> Iterator[str]:
    """Yield the file line by line, post after post in the set's order.

    A value that was not rated, that a resolution leaves to the labels, or that is open in the reference has an empty
    cell. The lines that `rows.read_labels` takes are the labels of now: the file can be read in again.
    """
    keys = expert_set.study.value_keys
    yield _write_line([POST, "split", WHAT, EXPERT, "number", "source", "at", NOTE, *keys])
    labels: dict[int, list[ExpertLabel]] = {}
    for label in ExpertLabel.objects.filter(item__expert_set=expert_set).order_by("item", "expert", "number"):
        labels.setdefault(label.item_id, []).append(label)
    resolutions: dict[int, list[ExpertResolution]] = {}
    for each in ExpertResolution.objects.filter(item__expert_set=expert_set).order_by("item", "number"):
        resolutions.setdefault(each.item_id, []).append(each)
    for standing in list_standings(expert_set, with_posts=True):
        item = standing.item
        for label in labels.get(item.pk, []):
            what = LABEL if label.is_current else EARLIER
            yield _write(
                item,
                what,
                label.expert,
                label.number,
                label.source,
                label.created_at,
                label.note,
                label.ratings,
            )
        for each in resolutions.get(item.pk, []):
            what = RESOLUTION if each.is_current else EARLIER_RESOLUTION
            yield _write(item, what, each.resolver, each.number, "", each.created_at, each.note, each.ratings)
        if standing.labels:
            yield _write(item, REFERENCE, "", "", "", None, "", standing.settled.ratings)


def _write(
    item: ExpertItem,
    what: str,
    who: str,
    number: int | str,
    source: str,
    at: Any,
    note: str,
    ratings: Sequence[float],
) -> str:
    cells = ["" if math.isnan(rating) else f"{rating:g}" for rating in ratings]
    moment = at.isoformat(timespec="seconds") if at else ""
    return _write_line([item.post.key, item.split, what, who, number, source, moment, note, *cells])


def _write_line(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        guard(clean(cell)) if isinstance(cell, str) else cell for cell in cells
    )
    return line.getvalue()
