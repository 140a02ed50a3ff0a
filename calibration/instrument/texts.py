"""Item texts that a researcher uploads, and the questionnaire that they and a scoring key make.

The wording of published questionnaires is not ours to ship; their scoring keys are facts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from annotation.tree.nodes import UNSTORABLE
from calibration.instrument.faults import InstrumentError
from calibration.instrument.scoring import ScoringKey

MAX_BYTES = 200_000
MAX_TEXT_LENGTH = 1000
COLUMNS = ("number", "text")

_NUMBER = re.compile("[0-9]{1,4}")


class ItemTextsError(InstrumentError):
    """A file of item texts cannot be used; `faults` holds every reason, each with its line."""

    subject = "The file"


def read_item_texts(raw: bytes, n_items: int) -> tuple[str, ...]:
    """Read the texts of an instrument's items from a CSV file.

    Parameters
    ----------
    raw : bytes
        UTF-8, with or without a byte order mark. The first line names the columns, `number` and `text`, with a
        comma or a semicolon between them. Numbers are those of the instrument, in any order.
    n_items : int
        How many items the instrument has.

    Returns
    -------
    tuple of str
        The texts in the order of their numbers.

    Raises
    ------
    ItemTextsError
        If the file is too large, is not UTF-8, is no CSV or lacks a column; if a text is empty or too long, or a
        number is missing, doubled or not one of 1 to `n_items`. All faults are named, with their lines.
    """
    if len(raw) > MAX_BYTES:
        raise ItemTextsError([f"the file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read"])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ItemTextsError(
            [f"line {line}: this is not UTF-8; save the file as 'CSV UTF-8' and upload it again"]
        ) from None
    heading = text.split("\n", 1)[0]
    delimiter = ";" if ";" in heading and "," not in heading else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    faults: list[str] = []
    places: dict[int, int] = {}  # number of an item: the line that gives it
    texts: dict[int, str] = {}
    begins = 1
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if sorted(names) != sorted(COLUMNS):
            raise ItemTextsError(["line 1: the columns must be named number and text"])
        begins = rows.line_num + 1
        for row in rows:
            line, begins = begins, rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(COLUMNS):
                faults.append(
                    f"line {line}: has {len(row)} columns, not 2; put a text that holds a '{delimiter}' in quotes"
                )
                continue
            by_name = dict(zip(names, (cell.strip() for cell in row), strict=True))
            number = int(by_name["number"]) if _NUMBER.fullmatch(by_name["number"]) else 0
            if not 1 <= number <= n_items:
                faults.append(f"line {line}: number {by_name['number']!r:.20} is not one of 1 to {n_items}")
                continue
            if number in places:
                faults.append(f"line {line}: number {number} was given before, in line {places[number]}")
                continue
            places[number] = line
            texts[number] = by_name["text"]
            faults.extend(f"line {line}: {fault}" for fault in _faults_of_item_text(by_name["text"]))
    except csv.Error as error:
        faults.append(f"line {begins}: this is not a CSV file as spreadsheets write it ({error})")
    else:
        if missing := [str(number) for number in range(1, n_items + 1) if number not in places]:
            faults.append(f"the file gives {len(places)} of {n_items} items; missing: {', '.join(missing)}")
    if faults:
        raise ItemTextsError(faults)
    return tuple(texts[number] for number in range(1, n_items + 1))


def _faults_of_item_text(text: str) -> list[str]:
    if not text:
        return ["the text is empty"]
    if len(text) > MAX_TEXT_LENGTH:
        return [f"the text has {len(text):,} characters; at most {MAX_TEXT_LENGTH:,} are taken"]
    if UNSTORABLE.search(text):
        return ["the text contains a character that cannot be stored; write it anew"]
    return []


def build_definition(
    scoring_name: str,
    scoring: ScoringKey,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    key: str,
    title: str,
    intro: str,
    instruction: str,
    highest_first: bool = False,
    required: bool = True,
    prefer_not_to_say: bool = False,
) -> dict[str, Any]:
    """Make the definition of a questionnaire that asks all items of a scoring key in one grid.

    Parameters
    ----------
    scoring_name : str
        The name under which `scoring` ships.
    texts : sequence of str
        One for each of the key's items, in their order.
    labels : sequence of str
        What each answer means, from the lowest to the highest.
    instruction : str
        The question above the grid.
    highest_first : bool
        Whether the page shows the highest answer first. What is stored does not depend on it.

    Raises
    ------
    ValueError
        If there is not one label for each answer.
    """
    values = range(scoring.minimum, scoring.maximum + 1)
    if len(labels) != len(values):
        raise ValueError(
            f"the answers run from {scoring.minimum} to {scoring.maximum}: give {len(values)} labels, "
            f"one a line, not {len(labels)}"
        )
    options = [{"value": value, "label": label} for value, label in zip(values, labels, strict=True)]
    rows = [{"key": item, "label": text} for item, text in zip(scoring.items, texts, strict=True)]
    grid = {
        "key": f"{scoring.key}_items",
        "kind": "grid",
        "label": instruction,
        "options": options[::-1] if highest_first else options,
        "rows": rows,
        "required": required,
        "prefer_not_to_say": prefer_not_to_say,
    }
    return {
        "key": key,
        "version": 1,
        "title": title,
        "intro": intro,
        "scoring": scoring_name,
        "source": scoring.source,
        "items": [grid],
    }
