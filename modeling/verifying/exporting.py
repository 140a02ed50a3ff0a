"""The decisions of a verification as a file, beside the model's ratings. A web process may import it."""

import csv
import io
import math
from collections.abc import Iterator

from modeling.export.cells import clean, guard
from modeling.models import Verification, VerificationDecision, VerificationItem
from modeling.reports.names import SAYS_STANDIN

AT_ONCE = 500


def write_decisions(verification: Verification) -> Iterator[str]:
    """Yield the lines of a CSV file: one for each decision that stands, and one for a flagged post without any.

    Every line holds the versions and hashes that it rests on, so that a part of the file still says where it is from.
    """
    keys = verification.study.value_keys
    columns = (
        "position",
        "post",
        "context",
        "text",
        "rules",
        "values",
        "found",
        *(f"model_{key}" for key in keys),
        "expert",
        "verdict",
        *(f"expert_{key}" for key in keys),
        "note",
        "decided_at",
        "revision",
        "rule_set",
        "rules_sha256",
        "corpus_sha256",
        "annotator",
        "run",
        "threshold",
        "stand_in",
    )
    common = (
        str(verification.rule_set),
        verification.rule_set.digest,
        verification.corpus_sha256,
        str(verification.run.annotator),
        verification.run_id,
        verification.threshold,
        SAYS_STANDIN if verification.is_standin else "",
    )
    yield _write(columns)
    for place, item in enumerate(_iterate(verification), start=1):
        flagged = (
            place,
            item.post.key,
            item.post.context_text,
            item.post.text,
            "; ".join(reason["rule"] for reason in item.reasons),
            "; ".join(dict.fromkeys(key for reason in item.reasons for key in reason["values"])),
            "; ".join(reason["found"] for reason in item.reasons),
            *map(_cell, item.ratings),
        )
        for decision in item.current or [None]:
            yield _write((*flagged, *_tell(decision, len(keys)), *common))


def _iterate(verification: Verification) -> Iterator[VerificationItem]:
    """Read the queue page by page, each post with the decisions that stand."""
    after = -1
    while True:
        page = list(verification.items.filter(position__gt=after).select_related("post")[:AT_ONCE])
        decisions = VerificationDecision.objects.filter(item__in=page, is_current=True).order_by("name")
        of_item: dict[int, list[VerificationDecision]] = {}
        for decision in decisions:
            of_item.setdefault(decision.item_id, []).append(decision)
        for item in page:
            item.current = of_item.get(item.pk, [])
            yield item
        if len(page) < AT_ONCE:
            return
        after = page[-1].position


def _tell(decision: VerificationDecision | None, n_values: int) -> tuple[object, ...]:
    if decision is None:
        return ("", "", *[""] * n_values, "", "", "")
    ratings = [""] * n_values if decision.ratings is None else map(_cell, decision.ratings)
    when = decision.created_at.isoformat(timespec="seconds")
    return (decision.name, decision.verdict, *ratings, decision.note, when, decision.number)


def _cell(rating: float) -> object:
    if math.isnan(rating):
        return ""
    return int(rating) if rating == int(rating) else round(rating, 4)


def _write(cells: tuple[object, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        guard(clean(cell)) if isinstance(cell, str) else cell for cell in cells
    )
    return line.getvalue()
