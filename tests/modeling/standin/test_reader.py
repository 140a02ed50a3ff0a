import json

import pytest

from modeling.prompts.shipped import CONTENT
from modeling.standin.lexicon import load_lexicon
from modeling.standin.reader import PostRead, Reader
from modeling.standin.shapes import SchemaError, Shape, Wanted, read_prompt, read_schema

QUARTET = (0, 1, 2, 3)
CLEAR = "We planted forty trees along the canal this morning, and the whole street came out to help us water them."
GARBLED = "THIS!!! >>> yes?? ### www.win.com click click click giveaway $$$"


def rate(
    text: str, *keys: str, options: tuple[int, ...] = QUARTET, model: str = "standin-large"
) -> list[int]:
    guesses = Reader(model).guess(PostRead(text), [Wanted(key, options) for key in keys])
    return [guesses[key].rating for key in keys]


def test_the_lexicon_knows_the_shipped_values():
    signs = json.loads((CONTENT / "values.json").read_text())["signs"]
    assert set(load_lexicon()["values"]) == set(signs)


def test_a_clear_post_is_understood_and_a_garbled_one_is_not():
    keys = ("readability", "coherence", "spam", "context", "final")
    assert rate(CLEAR, *keys)[-1] >= 2
    assert rate(GARBLED, *keys)[-1] <= 1


def test_words_of_violence_make_a_post_unsafe():
    keys = ("sexual", "violent", "derogatory", "final")
    assert rate("He will stab and shoot and kill, blood everywhere", *keys)[1] == 3
    assert rate(CLEAR, *keys)[-1] <= 1


def test_the_final_rating_is_that_of_the_worst_concept():
    keys = ("sexual", "violent", "derogatory", "final")
    for text in (CLEAR, GARBLED, "You pathetic idiot, trash and scum"):
        *concepts, final = rate(text, *keys)
        assert final == max(concepts)


def test_a_value_that_no_list_holds_is_looked_for_by_its_name():
    options = tuple(range(7))
    with_name = sum(
        rate(f"Punctual trains, {n} of them", "punctuality", options=options)[0] for n in range(20)
    )
    without = sum(rate(f"Yellow trains, {n} of them", "punctuality", options=options)[0] for n in range(20))
    assert with_name > without + 20


def test_models_of_other_names_err_otherwise():
    keys = list(load_lexicon()["values"])
    options = tuple(range(7))
    assert rate(CLEAR, *keys, options=options) != rate(CLEAR, *keys, options=options, model="another")


@pytest.mark.parametrize(
    "text", ["", "💧🔥", "漢字", "\u0000\ud800"], ids=["empty", "emoji", "han", "unstorable"]
)
def test_any_text_gets_ratings_on_the_scale(text):
    assert set(rate(text, "hedonism", "readability", "sexual")) <= set(QUARTET)


def test_the_shape_of_a_reply_is_read_from_words_too():
    told = (
        'Reply with one JSON object of this form:\n{"ratings": {"a": N, "b": N}}\nEach N is one of 1, 2, 3.'
    )
    assert read_prompt(told) == Shape(
        (("ratings", Shape((("a", Wanted("a", (1, 2, 3))), ("b", Wanted("b", (1, 2, 3)))))),)
    )
    assert read_prompt("Say something nice.") is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "integer", "enum": [1]}}, "required": ["a"]},
        {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "required": [],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"a": {"type": "integer", "minimum": 0}},
            "required": ["a"],
            "additionalProperties": False,
        },
    ],
    ids=["array", "open", "optional", "range"],
)
def test_a_schema_that_strict_mode_does_not_know_is_refused(schema):
    with pytest.raises(SchemaError):
        read_schema(json.dumps(schema))
