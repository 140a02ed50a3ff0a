"""PURE. How two states of a study differ, told in a researcher's words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any, Literal

TITLES = {
    "about": "About",
    "assignment": "Assignment",
    "attention": "Attention checks",
    "time": "Time",
    "pay": "Pay",
    "recruiting": "Recruiting",
    "data": "Data",
    "consent": "Consent page",
    "outcome_texts": "Last pages",
    "values": "Value system",
    "steps": "Steps",
    "questionnaires": "Questionnaires",
    "vcq": "Calibration questionnaire",
}
WORDS = {
    "slug": "address in the link",
    "welcome": "welcome text",
    "posts_per_rater": "posts per rater",
    "redundancy_cap": "most raters for a post",
    "limit": "failed checks until the consequence",
    "estimated_minutes": "estimated minutes",
    "max_minutes": "most minutes",
    "reward": "reward in pence or cents",
    "target_participants": "participants wanted",
    "collects_paradata": "notes how pages are used",
    "retain_until": "personal data is kept until",
    "agree": "answer that agrees",
    "decline": "answer that declines",
    "shown_from": "lowest number shown",
    "why": "explanation",
}
# Objects whose names are a researcher's own keys.
KEYED = frozenset({"questionnaires", "marks", "ratings", "why", "metadata", "expresses"})
PLACES = {key: place for place, key in enumerate((*TITLES, *WORDS))}
# One entry of a list; its own number or name follows.
ENTRIES = {
    "steps": "Step",
    "sections": "section",
    "posts": "post",
    "items": "question",
    "questions": "question",
    "rows": "row",
    "options": "answer",
    "children": "",
}
UNSAID = frozenset({"config", "root"})  # places in the file that mean nothing to its reader
NAMES = (("key",), ("post", "value"), ("value",))  # fields that tell the entries of a list apart
ARROW = " › "
MOST_KEYS = 10
MOST_COMPARISONS = 4_000_000  # of words; longer texts are shown one after the other


@dataclass(frozen=True)
class Piece:
    """A stretch of a changed text: the same in both, gone, or new."""

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True)
class Change:
    """One difference: where, what stood there and what stands there now; blank where there was nothing."""

    where: str
    before: str
    after: str

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The two texts in one, word by word."""
        return compare_texts(self.before, self.after)

    @property
    def is_replacement(self) -> bool:
        """Whether the two have no word in common, so that one is best read after the other."""
        return bool(self.before and self.after) and not any(
            piece.kind == "same" and piece.text.strip() for piece in self.pieces
        )


def compare_files(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return what differs between two study files, in the order of the newer one.

    Entries of lists are told apart by their keys where they have any, steps by their kinds in order.
    """
    return list(_compare((), dict(old), dict(new)))


def compare_posts(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Return how many posts were added, removed and changed, with the first of their keys.

    `old` and `new` hold a digest for each post's key.
    """
    groups: tuple[tuple[str, list[str], list[str]], ...] = (
        ("Posts to label added", [], sorted(new.keys() - old.keys())),
        ("Posts to label removed", sorted(old.keys() - new.keys()), []),
        (
            "Posts to label changed",
            [],
            sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
        ),
    )
    return [
        Change(where, _count_keys(before), _count_keys(after))
        for where, before, after in groups
        if before or after
    ]


def compare_texts(before: str, after: str) -> tuple[Piece, ...]:
    """Return both texts as one sequence of pieces, compared word by word."""
    old, new = _split_words(before), _split_words(after)
    if len(old) * len(new) > MOST_COMPARISONS:
        return tuple(piece for piece in (Piece("gone", before), Piece("new", after)) if piece.text)
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[i1:i2])))
            continue
        pieces += [Piece("gone", "".join(old[i1:i2]))] if i2 > i1 else []
        pieces += [Piece("new", "".join(new[j1:j2]))] if j2 > j1 else []
    return tuple(pieces)


def show(value: object) -> str:
    """Return a piece of a study file as text to read: lines of names and values, without JSON's signs."""
    return "\n".join(_list_lines(value))


def _compare(where: tuple[str, ...], old: object, new: object, name: str = "") -> Iterator[Change]:
    if _write(old) == _write(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({**new, **old}, key=_rank):
            place = (*where, *_say(key, name, old.get(key), new.get(key), is_top=not where))
            if key in old and key in new:
                yield from _compare(place, old[key], new[key], key)
            else:
                yield Change(ARROW.join(place or (key,)), show(old.get(key, "")), show(new.get(key, "")))
    elif isinstance(old, list) and isinstance(new, list) and _are_objects([*old, *new]):
        yield from _compare_lists(where, old, new, name)
    else:
        yield Change(ARROW.join(where), show(old), show(new))


def _compare_lists(
    where: tuple[str, ...], old: list[dict[str, Any]], new: list[dict[str, Any]], name: str
) -> Iterator[Change]:
    above, entry = where[:-1] if name in ENTRIES and name not in UNSAID else where, ENTRIES.get(name, "entry")
    marks_old, marks_new = _mark(old), _mark(new)
    for i, j in _pair(marks_old, marks_new):
        if i is None and j is not None:
            yield Change(ARROW.join((*above, _call(entry, new[j], j))), "", _show_entry(entry, new[j]))
        elif j is None and i is not None:
            yield Change(ARROW.join((*above, _call(entry, old[i], i))), _show_entry(entry, old[i]), "")
        elif i is not None and j is not None:
            yield from _compare((*above, _call(entry, new[j], j)), old[i], new[j])
    kept = set(marks_old) & set(marks_new)
    order_old, order_new = ([mark for mark in marks if mark in kept] for marks in (marks_old, marks_new))
    if len(set(marks_old)) == len(old) and len(set(marks_new)) == len(new) and order_old != order_new:
        yield Change(ARROW.join((*where, "order")), "\n".join(order_old), "\n".join(order_new))


def _pair(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Pair the entries of two lists; an entry without a partner stands with None."""
    if (
        len(set(old)) == len(old)
        and len(set(new)) == len(new)
        and not any(_is_written(m) for m in (*old, *new))
    ):
        places = {mark: i for i, mark in enumerate(old)}
        kept = set(new)
        yield from ((i, None) for i, mark in enumerate(old) if mark not in kept)
        yield from ((places.get(mark), j) for j, mark in enumerate(new))
        return
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        n_both = min(i2 - i1, j2 - j1)
        is_same_sort = tag == "equal" or all(
            _is_written(mark) for mark in (*old[i1 : i1 + n_both], *new[j1 : j1 + n_both])
        )
        n_paired = n_both if is_same_sort else 0
        yield from ((i1 + k, j1 + k) for k in range(n_paired))
        yield from ((i, None) for i in range(i1 + n_paired, i2))
        yield from ((None, j) for j in range(j1 + n_paired, j2))


def _mark(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what each entry is known by: its key, a step's kind, else all that is in it."""
    for fields in NAMES:
        if all(all(isinstance(entry.get(field), str | int) for field in fields) for entry in entries):
            return [", ".join(str(entry[field]) for field in fields) for entry in entries]
    if all(isinstance(entry.get("kind"), str) for entry in entries):
        return [entry["kind"] for entry in entries]
    if all(isinstance(entry.get("heading"), str) for entry in entries):
        return [entry["heading"] for entry in entries]
    return [_write(entry) for entry in entries]


def _is_written(mark: str) -> bool:
    return mark.startswith("{")


def _call(entry: str, data: Mapping[str, Any], place: int) -> str:
    """Return what a researcher would call an entry of a list."""
    if entry == "Step":
        return f"Step {place + 1} ({str(data.get('kind', '')).replace('_', ' ')})"
    if entry == "section":
        heading = data.get("heading")
        return f"section {place + 1}" + (f" ({heading})" if heading else "")
    name = next((str(data[field]) for field in ("label", "key", "value") if data.get(field)), str(place + 1))
    if isinstance(data.get("post"), str):
        name = f"{place + 1} ({data['post']}, {data.get('value', '')})"
    elif entry in ("post", "row") and data.get("key"):
        name = str(data["key"])
    return f"{entry} {name}".strip()


def _show_entry(entry: str, data: Mapping[str, Any]) -> str:
    """A step's kind is in its name, and what else it holds are its settings."""
    if entry == "Step" and isinstance(data.get("config"), dict):
        return show(data["config"]) or "without settings"
    return show(data)


def _say(key: str, above: str, old: object, new: object, *, is_top: bool) -> tuple[str, ...]:
    """Return what a place is called below `above`; nothing for one that means nothing."""
    if above in KEYED:
        return (key,)
    if key in UNSAID and isinstance(old or new, dict):
        return ()
    return ((TITLES if is_top else WORDS).get(key, key.replace("_", " ")),)


def _rank(key: str) -> tuple[int, str]:
    """The order in which a researcher meets things; a database does not keep that of a file."""
    return PLACES.get(key, len(PLACES)), key


def _are_objects(entries: Iterable[object]) -> bool:
    return all(isinstance(entry, dict) for entry in entries)


def _list_lines(value: object, depth: int = 0) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict):
        for key, each in value.items():
            word = WORDS.get(key, str(key).replace("_", " "))
            lines = list(_list_lines(each, depth + 1))
            if isinstance(each, dict | list) and each and not (len(lines) == 1 and isinstance(each, list)):
                yield f"{indent}{word}:"
                yield from lines
            else:
                yield f"{indent}{word}: {lines[0].strip() if lines else ''}".rstrip()
                yield from lines[1:]
    elif isinstance(value, list):
        if _are_plain(value):
            yield indent + (", ".join(_say_plain(each) for each in value) or "none")
            return
        for each in value:
            lines = list(_list_lines(each, depth + 1))
            yield f"{indent}- {lines[0].strip() if lines else ''}"
            yield from lines[1:]
    else:
        yield from (indent + line for line in _say_plain(value).split("\n"))


def _are_plain(values: Iterable[object]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _say_plain(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _count_keys(keys: Sequence[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - MOST_KEYS:,} more" if len(keys) > MOST_KEYS else ""
    return f"{len(keys):,}: {', '.join(keys[:MOST_KEYS])}{more}"


def _split_words(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)


def _write(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
