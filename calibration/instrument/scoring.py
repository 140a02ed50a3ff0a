"""From answers to scale scores: which items make a scale, which of them count backwards, what may be missing.

A scoring key is data. Nothing here knows an instrument; the keys that ship stand in `calibration/content/keys`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.instrument.faults import (
    KEY_RULE,
    InstrumentError,
    faults_of_text,
    is_count,
    is_key,
    is_whole,
    repeated,
    unknown_fields,
)

CENTRED = "_centred"  # ends the name of a scale score from which the person's mean rating was taken
METHODS = ("mean", "sum")

_KEY_FIELDS = (
    "key", "instrument", "source", "source_note", "answers", "items", "scales", "needs", "ipsatise",
)  # fmt: skip
_SCALE_FIELDS = ("key", "label", "items", "reversed", "scales", "method", "needs")


class ScoringKeyError(InstrumentError):
    """A scoring key cannot be read; `faults` holds every reason, each with its place."""

    subject = "The scoring key"


@dataclass(frozen=True)
class Needs:
    """How much must be answered for a score: at least `items` of them, and at least a `share`."""

    items: int
    share: float

    def least(self, n_asked: int) -> int:
        """The smallest number of answers, of `n_asked`, that gives a score."""
        return max(min(self.items, n_asked), math.ceil(self.share * n_asked - 1e-9))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Needs:
        """Read data without faults; where it says nothing, all must be answered."""
        return cls(data.get("items", 1), data.get("share", 0.0 if "items" in data else 1.0))


@dataclass(frozen=True)
class Scale:
    """One scale: made of `items`, of which those in `reversed` count backwards, or of other `scales`."""

    key: str
    label: str
    items: tuple[str, ...]
    reversed: frozenset[str]
    scales: tuple[str, ...]
    method: str
    needs: Needs


@dataclass(frozen=True)
class ScaleScore:
    """One scale score of one person.

    Attributes
    ----------
    value : float
        NaN where there is no score.
    n_answered : int
        How many of the items below the scale have an answer.
    reason : str
        Why there is no score; "" where there is one.
    """

    value: float
    n_answered: int
    reason: str = ""


@dataclass(frozen=True)
class ScoringKey:
    """How the answers to one instrument become scale scores.

    Attributes
    ----------
    key : str
    instrument : str
        The instrument, as people call it.
    source : str
        Where the key was published; `source_note` says what of it is not from there.
    minimum, maximum : int
        Lowest and highest answer of every item: a reversed one counts minimum + maximum - answer.
    low, high : str
        What these two answers mean.
    items : tuple of str
        Answer keys of all items, in the order of the instrument.
    scales : tuple of Scale
        A scale made of others stands after them.
    ipsatise : Needs or None
        Whether every scale is also scored relative to the person's mean rating of all items, and how many
        of these must be answered for that mean.
    """

    key: str
    instrument: str
    source: str
    source_note: str
    minimum: int
    maximum: int
    low: str
    high: str
    items: tuple[str, ...]
    scales: tuple[Scale, ...]
    ipsatise: Needs | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ScoringKey:
        """Read a scoring key from plain data; `docs/questionnaires.md` describes its fields.

        Raises
        ------
        ScoringKeyError
            With all faults of `data`, each with its place.
        """
        if not isinstance(data, Mapping):
            raise ScoringKeyError(["scoring key: must be an object"])
        faults = [f"scoring key: {fault}" for fault in _faults_of_whole(data)]
        items = data.get("items")
        known = {item for item in items if isinstance(item, str)} if isinstance(items, list) else set()
        scales = data.get("scales")
        if not isinstance(scales, list) or not scales:
            faults.append("scoring key: needs a list of scales")
            scales = []
        above: list[str] = []
        for number, entry in enumerate(scales, start=1):
            place = f"scale {number}"
            if not isinstance(entry, Mapping):
                faults.append(f"{place}: must be an object")
                continue
            wrong = _faults_of_scale(entry, known, above, is_ipsatised=data.get("ipsatise") is not None)
            faults.extend(f"{place}: {fault}" for fault in wrong)
            if is_key(entry.get("key")):
                above.append(entry["key"])
        faults.extend(repeated(above))
        if faults:
            raise ScoringKeyError(faults)
        ends = data["answers"]
        return cls(
            key=data["key"],
            instrument=data["instrument"],
            source=data.get("source", ""),
            source_note=data.get("source_note", ""),
            minimum=ends["min"],
            maximum=ends["max"],
            low=ends.get("low", ""),
            high=ends.get("high", ""),
            items=tuple(data["items"]),
            scales=tuple(_read_scale(entry, data.get("needs") or {}) for entry in scales),
            ipsatise=Needs.from_dict(data["ipsatise"]) if data.get("ipsatise") is not None else None,
        )

    @property
    def score_keys(self) -> tuple[str, ...]:
        """The names of all scores, in order: those of the scales, then the centred ones."""
        raw = tuple(scale.key for scale in self.scales)
        return raw + tuple(key + CENTRED for key in raw) if self.ipsatise else raw


def score(key: ScoringKey, answers: Mapping[str, object]) -> dict[str, ScaleScore]:
    """Score one person.

    The mean of a scale is over its answered items; a sum is that mean times the number of items, so that
    a missing answer counts as the mean of the others. A scale made of scales does the same with their
    scores.

    With `key.ipsatise`, each scale `x` is also given as `x_centred`: its score minus the person's
    mean over all answered items of the instrument (MRAT), which takes out how high someone rates
    everything. Centred scores say how important a value is to the person compared with their other values.

    Parameters
    ----------
    key : ScoringKey
    answers : mapping of answer key to answer
        Only the items of `key` are looked at. A whole number is an answer; an item that is missing, None
        or text (someone preferred not to say) is not answered.

    Returns
    -------
    dict of str to ScaleScore
        One for each of `key.score_keys`, in that order.

    Raises
    ------
    ValueError
        If an answer is a number outside the key's range, or no whole number.

    References
    ----------
    Schwartz (2021), A Repository of Schwartz Value Scales with Instructions and an Introduction, Online
    Readings in Psychology and Culture 2(2), doi 10.9707/2307-0919.1173: item means, then minus MRAT.
    Rammstedt and John (2007), Journal of Research in Personality 41, 203-212: reversed items.

    Examples
    --------
    >>> key = ScoringKey.from_dict({
    ...     "key": "short", "instrument": "Two items", "answers": {"min": 1, "max": 5}, "items": ["a", "b"],
    ...     "scales": [{"key": "calm", "label": "Calm", "items": ["a", "b"], "reversed": ["b"]}],
    ... })
    >>> score(key, {"a": 4, "b": 1})["calm"].value
    4.5
    >>> score(key, {"a": 4})["calm"].reason
    '1 of 2 items answered; at least 2 needed'
    """
    given = {
        item: number for item in key.items if (number := _number(key, item, answers.get(item))) is not None
    }
    scores: dict[str, ScaleScore] = {}
    below: dict[str, frozenset[str]] = {}
    for scale in key.scales:
        if scale.items:
            below[scale.key] = frozenset(scale.items)
            numbers: list[float] = [
                key.minimum + key.maximum - given[item] if item in scale.reversed else given[item]
                for item in scale.items
                if item in given
            ]
        else:
            below[scale.key] = frozenset().union(*(below[part] for part in scale.scales))
            numbers = [scores[part].value for part in scale.scales if not math.isnan(scores[part].value)]
        scores[scale.key] = _combine(scale, numbers, sum(item in given for item in below[scale.key]))
    if key.ipsatise:
        mean_rating, reason = _mean_rating(key.ipsatise, len(key.items), list(given.values()))
        for scale in key.scales:
            raw = scores[scale.key]
            scores[scale.key + CENTRED] = ScaleScore(
                raw.value - mean_rating, raw.n_answered, raw.reason or reason
            )
    return scores


def _number(key: ScoringKey, item: str, answer: object) -> int | None:
    if answer is None or isinstance(answer, str):
        return None
    if not isinstance(answer, int) or isinstance(answer, bool) or not key.minimum <= answer <= key.maximum:
        raise ValueError(
            f"the answer to {item} is {answer!r}; scoring key {key.key} takes whole numbers from "
            f"{key.minimum} to {key.maximum}"
        )
    return answer


def _combine(scale: Scale, numbers: Sequence[float], n_answered: int) -> ScaleScore:
    asked, parts = (scale.items, "items") if scale.items else (scale.scales, "scales")
    least = scale.needs.least(len(asked))
    if len(numbers) < least:
        done = "answered" if scale.items else "scored"
        reason = f"{len(numbers)} of {len(asked)} {parts} {done}; at least {least} needed"
        return ScaleScore(math.nan, n_answered, reason)
    n_counted = len(asked) if scale.method == "sum" else 1
    return ScaleScore(math.fsum(numbers) * n_counted / len(numbers), n_answered)


def _mean_rating(needs: Needs, n_items: int, numbers: Sequence[int]) -> tuple[float, str]:
    least = needs.least(n_items)
    if len(numbers) < least:
        return (
            math.nan,
            f"{len(numbers)} of all {n_items} items answered; at least {least} needed for centring",
        )
    return math.fsum(numbers) / len(numbers), ""


def _faults_of_whole(data: Mapping[str, Any]) -> list[str]:
    faults = [] if is_key(data.get("key")) else [f"key {KEY_RULE}"]
    faults.extend(faults_of_text(data, "instrument"))
    for name in ("source", "source_note"):
        faults.extend(faults_of_text(data, name, blank=True))
    ends = data.get("answers")
    if not isinstance(ends, Mapping) or not is_whole(ends.get("min")) or not is_whole(ends.get("max")):
        faults.append("answers must be an object with the whole numbers min and max")
    else:
        wrong = unknown_fields(ends, ("min", "max", "low", "high"))
        wrong += faults_of_text(ends, "low", blank=True) + faults_of_text(ends, "high", blank=True)
        if ends["min"] >= ends["max"]:
            wrong.append("max must be above min")
        faults.extend(f"answers: {fault}" for fault in wrong)
    items = data.get("items")
    if not isinstance(items, list) or not items or not all(map(is_key, items)):
        faults.append(f"items must be a list of answer keys; each {KEY_RULE}")
    else:
        faults.extend(f"items: {fault}" for fault in repeated(items))
    for name in ("needs", "ipsatise"):
        if data.get(name) is not None:
            faults.extend(_faults_of_needs(data[name], name))
    return faults + unknown_fields(data, _KEY_FIELDS)


def _faults_of_scale(
    entry: Mapping[str, Any], known: set[str], above: Sequence[str], *, is_ipsatised: bool
) -> list[str]:
    faults = [] if is_key(entry.get("key")) else [f"key {KEY_RULE}"]
    faults.extend(faults_of_text(entry, "label"))
    faults.extend(unknown_fields(entry, _SCALE_FIELDS))
    if ("items" in entry) == ("scales" in entry):
        faults.append("must have either items or scales")
    for name, allowed, place in (
        ("items", known, "in the key's items"),
        ("scales", set(above), "a scale above this one"),
        ("reversed", set(_texts(entry.get("items"))), "in the scale's items"),
    ):
        if name not in entry:
            continue
        parts = entry[name]
        if not isinstance(parts, list) or (not parts and name != "reversed"):
            faults.append(f"{name} must be a list of keys")
            continue
        faults.extend(
            f"{name}: {str(part)!r:.40} is not {place}" for part in parts if part not in list(allowed)
        )
        faults.extend(f"{name}: {fault}" for fault in repeated(parts))
    if entry.get("method", "mean") not in METHODS:
        faults.append(f"method must be one of {', '.join(METHODS)}, not {entry.get('method')!r:.40}")
    if entry.get("needs") is not None:
        faults.extend(_faults_of_needs(entry["needs"], "needs"))
    if is_ipsatised and (entry.get("method", "mean") != "mean" or entry.get("reversed")):
        faults.append("a mean rating can only be taken from means of items that are not reversed")
    if is_ipsatised and str(entry.get("key")).endswith(CENTRED):
        faults.append(f"key ends in {CENTRED}, which names the centred scores")
    return faults


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _faults_of_needs(data: object, name: str) -> list[str]:
    if not isinstance(data, Mapping):
        return [f"{name} must be an object with items, share or both"]
    faults = [f"{name}: {fault}" for fault in unknown_fields(data, ("items", "share"))]
    share = data.get("share", 1.0)
    if not is_count(data.get("items", 1)):
        faults.append(f"{name}: items must be a whole number of at least 1")
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        faults.append(f"{name}: share must be a number from 0 to 1")
    return faults


def _read_scale(entry: Mapping[str, Any], usual: Mapping[str, Any]) -> Scale:
    own = entry.get("needs")
    # What is usual for items says nothing of scales that are made of scales: these need all their parts.
    needs = own if own is not None else (usual if "items" in entry else {})
    return Scale(
        key=entry["key"],
        label=entry["label"],
        items=tuple(entry.get("items", ())),
        reversed=frozenset(entry.get("reversed", ())),
        scales=tuple(entry.get("scales", ())),
        method=entry.get("method", "mean"),
        needs=Needs.from_dict(needs),
    )
