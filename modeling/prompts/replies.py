"""What a model replied: read strictly, never guessed at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from annotation.tree.nodes import UNSTORABLE
from modeling.prompts.design import PromptDesign

REPLY_FAULTS = (
    "empty",
    "refused",
    "filtered",
    "truncated",
    "not_json",
    "extra_text",
    "wrong_shape",
    "wrong_keys",
    "duplicate_keys",
    "not_a_rating",
    "too_long",
)
MAX_REPLY_BYTES = 20_000
MAX_WHY_CHARACTERS = 2_000  # of the one reason for all ratings
MOST_NAMED = 5  # of the keys or ratings that are wrong


class ReplyFault(ValueError):
    """A reply gives no ratings; `kind` is one of `REPLY_FAULTS`, the text says what is wrong."""

    def __init__(self, kind: str, problem: str) -> None:
        self.kind = kind
        super().__init__(problem)


@dataclass(frozen=True)
class Parsed:
    """What a good reply says.

    Attributes
    ----------
    ratings : tuple of float
        About values: one per concept, in the order of the prompt. Of a codebook: the final rating alone.
    detail : dict
        Of a codebook: concepts (key -> why, rating) and final (why). About values: why, where the prompt asks for it;
        else empty.
    """

    ratings: tuple[float, ...]
    detail: dict[str, Any] = field(default_factory=dict)


def read_reply(design: PromptDesign, text: str, *, finish_reason: str = "stop", refusal: str = "") -> Parsed:
    """Read a reply that must be exactly one JSON object of the form the prompt asks for.

    Parameters
    ----------
    design : what was asked
    text : what the model said
    finish_reason : why it stopped, as the provider tells; "length" and "content_filter" are faults whatever
        the text looks like
    refusal : the provider's field for a refusal

    Raises
    ------
    ReplyFault
        For anything else: text around the object, a key that is missing, unknown or there twice, a rating that
        is no whole number of the scale (3.0, "3", true, null and NaN are none), more than 20,000 bytes, a reason
        for all ratings of more than 2,000 characters.
    """
    if refusal.strip():
        raise ReplyFault("refused", f"The model refused to answer: {refusal.strip():.200}")
    if finish_reason == "content_filter":
        raise ReplyFault("filtered", "The provider's content filter held the reply back.")
    if finish_reason == "length":
        raise ReplyFault("truncated", "The reply was cut off at the limit of output tokens.")
    if not text.strip():
        raise ReplyFault("empty", "The reply is empty.")
    n_bytes = len(text.encode("utf-8", "surrogatepass"))
    if n_bytes > MAX_REPLY_BYTES:
        raise ReplyFault(
            "too_long", f"The reply has {n_bytes:,} bytes, more than the {MAX_REPLY_BYTES:,} allowed."
        )
    reply = _parse(text)
    return _read_codebook(design, reply) if design.is_codebook else _read_values(design, reply)


def build_reply(
    design: PromptDesign,
    ratings: Sequence[float],
    *,
    concept_ratings: Mapping[str, float] | None = None,
    reasons: Mapping[str, str] | None = None,
    final_reason: str = "",
    why: str = "",
) -> str:
    """Write the JSON that a perfect model would send; `read_reply` gives these ratings back.

    Parameters
    ----------
    ratings : shape (n_concepts,), or (1,) for a codebook: whole numbers of the scale
    concept_ratings : of a codebook, by key; a concept that is left out is rated as the whole
    reasons, final_reason : a codebook's reasons, by key and for the final rating; blank where left out
    why : the reason for all ratings of values, where the prompt asks for one; may be blank

    Raises
    ------
    ValueError
        If the number of ratings is wrong, one is not on the scale, or a key is none of the prompt's.
    """
    return json.dumps(
        build_reply_data(
            design,
            ratings,
            concept_ratings=concept_ratings,
            reasons=reasons,
            final_reason=final_reason,
            why=why,
        ),
        ensure_ascii=False,
    )


def build_reply_data(
    design: PromptDesign,
    ratings: Sequence[float],
    *,
    concept_ratings: Mapping[str, float] | None = None,
    reasons: Mapping[str, str] | None = None,
    final_reason: str = "",
    why: str = "",
) -> dict[str, Any]:
    """Return the same as `build_reply` as plain data: the reply of an `Example`."""
    if len(ratings) != design.n_ratings:
        raise ValueError(f"the prompt asks for {design.n_ratings} ratings, not {len(ratings)}")
    numbers = [_to_number(design, rating) for rating in ratings]
    concept_ratings, reasons = concept_ratings or {}, reasons or {}
    unknown = [key for key in (*concept_ratings, *reasons) if key not in design.keys]
    if unknown:
        raise ValueError(f"the prompt has no concept {unknown[0]!r:.40}; it has {', '.join(design.keys)}")
    if not design.is_codebook:
        rated = {"ratings": dict(zip(design.keys, numbers, strict=True))}
        return {"why": why} | rated if design.asks_why else rated
    return {
        "concepts": {
            key: {
                "why": reasons.get(key, ""),
                "rating": _to_number(design, concept_ratings.get(key, numbers[0])),
            }
            for key in design.keys
        },
        "final": {"why": final_reason, "rating": numbers[0]},
    }


def _to_number(design: PromptDesign, rating: float) -> int:
    if rating not in design.numbers:
        raise ValueError(f"{rating!r} is not on the scale; use a whole number from {_name_scale(design)}")
    return int(rating)


def _name_scale(design: PromptDesign) -> str:
    return f"{design.numbers[0]} to {design.numbers[-1]}"


def _parse(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_build_object, parse_constant=_refuse_constant)
    except ReplyFault:
        raise
    except RecursionError as error:
        raise ReplyFault("not_json", "The reply is nested too deeply to be read as JSON.") from error
    except ValueError as error:
        if _holds_object(text):
            raise ReplyFault(
                "extra_text",
                "The reply has other text around its JSON object; only the object may stand there.",
            ) from error
        problem = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        raise ReplyFault("not_json", f"The reply is not JSON: {problem}.") from error


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ReplyFault("duplicate_keys", f"The reply has more than one {_name(twice)}.")
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ReplyFault("not_a_rating", f"The reply has {name} where a whole number must stand.")


def _holds_object(text: str) -> bool:
    """Whether a whole JSON object stands somewhere in it: to name the fault, never to read the object."""
    start = text.find("{")
    if start < 0:
        return False
    try:
        json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return False
    return True


def _name(keys: Sequence[object]) -> str:
    named = ", ".join(f"{str(key)[:40]!r}" for key in keys[:MOST_NAMED])
    return named + (f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else "")


def _check_object(data: object, keys: Sequence[str], place: str) -> dict[str, Any]:
    """Return `data` if it is an object with exactly these keys, in whatever order."""
    if not isinstance(data, dict):
        raise ReplyFault("wrong_shape", f"{place} must be a JSON object.")
    problems = []
    if missing := [key for key in keys if key not in data]:
        problems.append(f"lacks {_name(missing)}")
    if unknown := [key for key in data if key not in keys]:
        problems.append(f"has the unknown {_name(unknown)}")
    if problems:
        raise ReplyFault("wrong_keys", f"{place} {' and '.join(problems)}.")
    return data


def _check_ratings(design: PromptDesign, ratings: Mapping[str, object]) -> None:
    wrong = [
        key
        for key, rating in ratings.items()
        if not isinstance(rating, int) or isinstance(rating, bool) or rating not in design.numbers
    ]
    if wrong:
        is_are = "is" if len(wrong) == 1 else "are"
        raise ReplyFault(
            "not_a_rating",
            f"The rating of {_name(wrong)} {is_are} no whole number from {_name_scale(design)}.",
        )


def _read_values(design: PromptDesign, reply: object) -> Parsed:
    fields = _check_object(reply, ("why", "ratings") if design.asks_why else ("ratings",), "The reply")
    ratings = _check_object(fields["ratings"], design.keys, '"ratings"')
    _check_ratings(design, ratings)
    detail = {"why": _check_why(fields["why"])} if design.asks_why else {}
    return Parsed(tuple(float(ratings[key]) for key in design.keys), detail)


def _check_why(why: object) -> str:
    if not isinstance(why, str):
        raise ReplyFault("wrong_shape", 'The "why" of the reply must be text.')
    if len(why) > MAX_WHY_CHARACTERS:
        raise ReplyFault(
            "too_long",
            f'The "why" of the reply has {len(why):,} characters, more than the {MAX_WHY_CHARACTERS:,} allowed.',
        )
    return _storable(why)


def _read_codebook(design: PromptDesign, reply: object) -> Parsed:
    fields = _check_object(reply, ("concepts", "final"), "The reply")
    concepts = _check_object(fields["concepts"], design.keys, '"concepts"')
    judged = {key: _check_judgement(concepts[key], f"The concept {key!r}") for key in design.keys}
    final = _check_judgement(fields["final"], '"final"')
    _check_ratings(design, {key: judgement["rating"] for key, judgement in judged.items()})
    _check_ratings(design, {"final": final["rating"]})
    return Parsed(
        (float(final["rating"]),),
        {
            "concepts": {
                key: {"why": _storable(judgement["why"]), "rating": judgement["rating"]}
                for key, judgement in judged.items()
            },
            "final": {"why": _storable(final["why"])},
        },
    )


def _check_judgement(data: object, place: str) -> dict[str, Any]:
    judgement = _check_object(data, ("why", "rating"), place)
    if not isinstance(judgement["why"], str):
        raise ReplyFault("wrong_shape", f'The "why" of {place[0].lower() + place[1:]} must be text.')
    return judgement


def _storable(why: str) -> str:
    """A reason without the characters that no database stores; the raw reply keeps them in their JSON spelling."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", why)
