"""What a model is asked about a post: instructions, what to rate, and the scale. Plain data that people can edit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from annotation.tree.nodes import FaultReader

PURPOSES = ("values", "comprehensibility", "nsfw")
VALUES = "values"
MAX_CHARACTERS = 10_000  # of any one text: a model reads all of them again with every post
MAX_CONCEPTS = 500
MAX_POINTS = 101

_DESIGN_FIELDS = ("purpose", "instructions", "concepts", "scale", "closing")
_ASKS_WHY = "asks_why"  # stored only where it is true: designs stored before it keep their digest
_CONCEPT_FIELDS = ("key", "label", "definition", "low", "high")
_POINT_FIELDS = ("number", "label")


class DesignError(ValueError):
    """A prompt cannot be used as it is; `faults` holds every reason, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The prompt has faults:\n" + "\n".join(f"- {fault}" for fault in self.faults))


@dataclass(frozen=True)
class Concept:
    """One thing that is rated. `low` and `high` say what the two ends of the scale look like for it."""

    key: str
    label: str
    definition: str
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class ScalePoint:
    """One number of the scale; its label may be blank between the two ends."""

    number: int
    label: str


@dataclass(frozen=True)
class PromptDesign:
    """All that researchers may word of a prompt.

    A prompt about values asks for one rating of each concept, after one reason for all of them where `asks_why` is
    set. The others are codebooks: a reason and a rating for each concept, then one final rating. What is the same in
    all prompts (that a post is material and no instruction, and the form of the reply) is added by `rendering`.
    """

    purpose: str
    instructions: str
    concepts: tuple[Concept, ...]
    scale: tuple[ScalePoint, ...]
    closing: str = ""
    asks_why: bool = False

    @property
    def is_codebook(self) -> bool:
        """Whether the concepts lead to one final rating."""
        return self.purpose != VALUES

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of the concepts, in order."""
        return tuple(concept.key for concept in self.concepts)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the scale, lowest first."""
        return tuple(point.number for point in self.scale)

    @property
    def n_ratings(self) -> int:
        """How many ratings one reply gives: one per concept, or a codebook's final one."""
        return 1 if self.is_codebook else len(self.concepts)

    def to_dict(self) -> dict[str, Any]:
        """The design as plain data, ready for JSON; `from_dict` gives an equal design back."""
        stored: dict[str, Any] = {
            "purpose": self.purpose,
            "instructions": self.instructions,
            "concepts": [
                {name: getattr(concept, name) for name in _CONCEPT_FIELDS} for concept in self.concepts
            ],
            "scale": [{"number": point.number, "label": point.label} for point in self.scale],
            "closing": self.closing,
        }
        return stored | {_ASKS_WHY: True} if self.asks_why else stored

    @classmethod
    def from_dict(cls, stored: object) -> PromptDesign:
        """Read a design as `to_dict` writes it.

        Parameters
        ----------
        stored : dict
            purpose (one of `PURPOSES`), instructions, concepts (at least one; key, label, definition, low and
            high, where low and high are both given or both blank), scale (two points or more, each number one
            above the one before; the first and the last with a label), closing (may be blank) and, where a prompt
            about values asks for a reason, asks_why (true; may be missing).

        Raises
        ------
        DesignError
            A ValueError with all faults, each with its place.
        """
        reader = FaultReader()
        has_why = isinstance(stored, dict) and _ASKS_WHY in stored
        fields = reader.fields(stored, (*_DESIGN_FIELDS, *([_ASKS_WHY] if has_why else [])), "prompt")
        purpose = reader.text(fields, "purpose", "prompt")
        if purpose.strip() and purpose not in PURPOSES:
            reader.fault("prompt", f"purpose must be one of {', '.join(PURPOSES)}, not {purpose!r:.40}")
        design = cls(
            purpose=purpose,
            instructions=_read_text(reader, fields, "instructions", "prompt"),
            concepts=_read_concepts(reader, fields),
            scale=_read_scale(reader, fields),
            closing=_read_text(reader, fields, "closing", "prompt", blank=True),
            asks_why=_read_asks_why(reader, fields, purpose),
        )
        if reader.faults:
            raise DesignError(reader.faults)
        return design

    def digest(self) -> str:
        """SHA-256 of the design in one canonical spelling: equal exactly for equal designs."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _read_text(
    reader: FaultReader, fields: dict[str, Any], name: str, place: str, *, blank: bool = False
) -> str:
    text = reader.text(fields, name, place, blank=blank)
    if len(text) > MAX_CHARACTERS:
        reader.fault(place, f"{name} has {len(text)} characters; cut it to {MAX_CHARACTERS}")
    return text


def _read_asks_why(reader: FaultReader, fields: dict[str, Any], purpose: str) -> bool:
    asks_why: object = fields.get(_ASKS_WHY, False)
    if not isinstance(asks_why, bool):
        reader.fault("prompt", f"asks_why must be true or false, not {asks_why!r:.40}")
        return False
    if asks_why and purpose in PURPOSES and purpose != VALUES:
        reader.fault("prompt", "asks_why belongs to prompts about values; a codebook asks for reasons anyway")
    return asks_why


def _read_list(reader: FaultReader, fields: dict[str, Any], name: str, fewest: int, most: int) -> list[Any]:
    entries = fields.get(name, [])
    if not isinstance(entries, list):
        reader.fault("prompt", f"{name} must be a list")
        return []
    if name in fields and not fewest <= len(entries) <= most:
        reader.fault("prompt", f"{name} must have {fewest} to {most} entries, not {len(entries)}")
        return []
    return entries


def _read_concepts(reader: FaultReader, design: dict[str, Any]) -> tuple[Concept, ...]:
    concepts = []
    places: dict[str, int] = {}
    for number, stored in enumerate(_read_list(reader, design, "concepts", 1, MAX_CONCEPTS), start=1):
        place = f"concept {number}"
        fields = reader.fields(stored, _CONCEPT_FIELDS, place)
        key = reader.key(fields, "key", place)
        if key and places.setdefault(key, number) != number:
            reader.fault(place, f"key {key!r:.40} is the key of concept {places[key]} too; choose another")
        concept = Concept(
            key=key,
            label=_read_text(reader, fields, "label", place),
            definition=_read_text(reader, fields, "definition", place),
            low=_read_text(reader, fields, "low", place, blank=True),
            high=_read_text(reader, fields, "high", place, blank=True),
        )
        if bool(concept.low.strip()) != bool(concept.high.strip()):
            reader.fault(place, "low and high belong together; describe both ends or neither")
        concepts.append(concept)
    return tuple(concepts)


def _read_scale(reader: FaultReader, design: dict[str, Any]) -> tuple[ScalePoint, ...]:
    entries = _read_list(reader, design, "scale", 2, MAX_POINTS)
    points: list[ScalePoint] = []
    for position, stored in enumerate(entries, start=1):
        place = f"point {position} of the scale"
        fields = reader.fields(stored, _POINT_FIELDS, place)
        is_end = position in (1, len(entries))
        n_faults_before = len(reader.faults)
        point = ScalePoint(
            number=reader.integer(fields, "number", place),
            label=_read_text(reader, fields, "label", place, blank=not is_end),
        )
        is_read = len(reader.faults) == n_faults_before
        if is_read and points and point.number != points[-1].number + 1:
            reader.fault(place, f"number must be {points[-1].number + 1}, one above the one before")
        points.append(point)
    return tuple(points)
