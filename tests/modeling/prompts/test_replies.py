import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeling.prompts.design import PURPOSES
from modeling.prompts.replies import REPLY_FAULTS, ReplyFault, build_reply, build_reply_data, read_reply
from modeling.prompts.shipped import shipped_prompt
from modeling.standin.script import Fault
from modeling.standin.spoiling import BAD_CONTENT, spoil
from tests.factories import load_nineteen

from .designs import answered, calmly, make_codebook, make_values

VALUES, CODEBOOK = make_values(), make_codebook()
GOOD = '{"ratings": {"a": 1, "b": 0, "c": 6}}'
GOOD_CODEBOOK = (
    '{"concepts": {"clear": {"why": "It is.", "rating": 2}, "whole": {"why": "", "rating": 0}}, '
    '"final": {"why": "So so.", "rating": 1}}'
)


def replace(old, new, text=GOOD):
    assert old in text
    return text.replace(old, new)


BAD = {
    "nothing": ("", "empty"),
    "spaces": (" \n ", "empty"),
    "prose": ("I would say 3.", "not_json"),
    "cut_off": (GOOD[:-5], "not_json"),
    "single_quotes": (GOOD.replace('"', "'"), "not_json"),
    "trailing_comma": (replace("6}", "6,}"), "not_json"),
    "html": ("<html><body>Bad gateway</body></html>", "not_json"),
    "comment": (replace("6}", "6 /* sure */}"), "not_json"),
    "endless_number": (replace("6", "6" * 5_000), "not_json"),
    "nested_too_deeply": ("[" * 15_000, "not_json"),
    "text_before": ("Here you are: " + GOOD, "extra_text"),
    "text_after": (GOOD + " I hope this helps.", "extra_text"),
    "code_fence": (f"```json\n{GOOD}\n```", "extra_text"),
    "two_objects": (GOOD + GOOD, "extra_text"),
    "byte_order_mark": ("\ufeff" + GOOD, "extra_text"),
    "array": ("[1, 0, 6]", "wrong_shape"),
    "number": ("3", "wrong_shape"),
    "null": ("null", "wrong_shape"),
    "ratings_as_array": ('{"ratings": [1, 0, 6]}', "wrong_shape"),
    "ratings_as_text": ('{"ratings": "1 0 6"}', "wrong_shape"),
    "empty_object": ("{}", "wrong_keys"),
    "no_frame": ('{"a": 1, "b": 0, "c": 6}', "wrong_keys"),
    "other_key": (replace('"c"', '"d"'), "wrong_keys"),
    "key_in_capitals": (replace('"c"', '"C"'), "wrong_keys"),
    "key_missing": (replace(', "c": 6', ""), "wrong_keys"),
    "key_too_many": (replace("6}", '6, "d": 1}'), "wrong_keys"),
    "remark_beside": (replace("}}", '}, "note": "done"}'), "wrong_keys"),
    "key_twice": (replace("6}", '6, "c": 6}'), "duplicate_keys"),
    "frame_twice": (replace("}}", '}, "ratings": {"a": 1, "b": 0, "c": 6}}'), "duplicate_keys"),
    "above_the_scale": (replace("6", "7"), "not_a_rating"),
    "below_the_scale": (replace("6", "-1"), "not_a_rating"),
    "with_a_point": (replace("6", "6.0"), "not_a_rating"),
    "half": (replace("6", "5.5"), "not_a_rating"),
    "too_large_for_a_float": (replace("6", "1e999"), "not_a_rating"),
    "as_text": (replace("6", '"6"'), "not_a_rating"),
    "as_word": (replace("6", '"strongly"'), "not_a_rating"),
    "true": (replace("1", "true"), "not_a_rating"),
    "nothing_said": (replace("6", "null"), "not_a_rating"),
    "list": (replace("6", "[6]"), "not_a_rating"),
    "nan": (replace("6", "NaN"), "not_a_rating"),
    "infinity": (replace("6", "-Infinity"), "not_a_rating"),
    "200_kB": (replace("}}", "}" + " " * 200_000 + "}"), "too_long"),
    "20_kB_in_few_letters": (
        json.dumps({"ratings": "\N{GRINNING FACE}" * 5_001}, ensure_ascii=False),
        "too_long",
    ),
}
BAD_CODEBOOK = {
    "values_reply": (GOOD, "wrong_keys"),
    "no_final": ('{"concepts": {}}', "wrong_keys"),
    "concept_missing": (replace(', "whole": {"why": "", "rating": 0}', "", GOOD_CODEBOOK), "wrong_keys"),
    "no_reason": (replace('"why": "So so.", ', "", GOOD_CODEBOOK), "wrong_keys"),
    "reason_is_a_number": (replace('"So so."', "1", GOOD_CODEBOOK), "wrong_shape"),
    "concept_is_a_number": (replace('{"why": "", "rating": 0}', "0", GOOD_CODEBOOK), "wrong_shape"),
    "final_is_a_number": (
        '{"concepts": ' + json.dumps(json.loads(GOOD_CODEBOOK)["concepts"]) + ', "final": 1}',
        "wrong_shape",
    ),
    "concept_off_the_scale": (replace('"rating": 2', '"rating": 4', GOOD_CODEBOOK), "not_a_rating"),
    "final_off_the_scale": (replace('"rating": 1', '"rating": 9', GOOD_CODEBOOK), "not_a_rating"),
    "final_as_text": (replace('"rating": 1', '"rating": "1"', GOOD_CODEBOOK), "not_a_rating"),
    "reason_twice": (replace('"why": ""', '"why": "", "why": "x"', GOOD_CODEBOOK), "duplicate_keys"),
}


def read_fault(design, text, **facts):
    with pytest.raises(ReplyFault) as caught:
        read_reply(design, text, **facts)
    assert caught.value.kind in REPLY_FAULTS
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 400
    return caught.value


def test_a_good_reply_gives_the_ratings_in_the_order_of_the_prompt():
    assert read_reply(VALUES, GOOD).ratings == (1.0, 0.0, 6.0)
    assert read_reply(VALUES, '\n {"ratings":{"c":6,"a":1,"b":0}} ').ratings == (1.0, 0.0, 6.0)
    assert read_reply(VALUES, GOOD).detail == {}


def test_a_codebooks_reply_gives_the_final_rating_and_keeps_the_reasons():
    parsed = read_reply(CODEBOOK, GOOD_CODEBOOK)
    assert parsed.ratings == (1.0,)
    assert parsed.detail == {
        "concepts": {"clear": {"why": "It is.", "rating": 2}, "whole": {"why": "", "rating": 0}},
        "final": {"why": "So so."},
    }


@pytest.mark.parametrize("name", BAD)
def test_a_bad_reply_gives_its_fault_and_no_rating(name):
    text, kind = BAD[name]
    assert read_fault(VALUES, text).kind == kind


@pytest.mark.parametrize("name", BAD_CODEBOOK)
def test_a_bad_reply_to_a_codebook_gives_its_fault_and_no_rating(name):
    text, kind = BAD_CODEBOOK[name]
    assert read_fault(CODEBOOK, text).kind == kind


SPOILED = {
    Fault.EMPTY: "empty",
    Fault.NOT_JSON: "not_json",
    Fault.EXTRA_TEXT: "extra_text",
    Fault.CODE_FENCE: "extra_text",
    Fault.ARRAY: "wrong_shape",
    Fault.WRONG_KEYS: "wrong_keys",
    Fault.MISSING_VALUE: "wrong_keys",
    Fault.DUPLICATE_KEYS: "duplicate_keys",
    Fault.OUT_OF_SCALE: "not_a_rating",
    Fault.FRACTION: "not_a_rating",
    Fault.WORDS: "not_a_rating",
    Fault.NAN: "not_a_rating",
    Fault.TOO_LONG: "too_long",
}


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("fault", BAD_CONTENT)
def test_whatever_the_stand_in_spoils_in_a_reply_is_found(fault, purpose):
    design = shipped_prompt(purpose, load_nineteen())
    good = build_reply_data(design, [design.numbers[1]] * design.n_ratings)
    assert read_fault(design, spoil(good, fault)).kind == SPOILED[fault]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"refusal": "I cannot help with that."}, "refused"),
        ({"finish_reason": "content_filter"}, "filtered"),
        ({"finish_reason": "length"}, "truncated"),
    ],
    ids=["refused", "filtered", "truncated"],
)
def test_what_the_provider_says_of_the_reply_counts_whatever_the_text_looks_like(facts, kind):
    assert read_fault(VALUES, GOOD, **facts).kind == kind


def test_a_fault_names_what_is_wrong():
    assert "lacks 'c' and has the unknown 'd'" in str(read_fault(VALUES, BAD["other_key"][0]))
    assert "'c'" in str(read_fault(VALUES, BAD["key_twice"][0]))
    assert "of 'c' is no whole number from 0 to 6" in str(read_fault(VALUES, BAD["with_a_point"][0]))
    all_wrong = json.dumps({"ratings": dict.fromkeys(VALUES.keys, 9)})
    assert "'a', 'b', 'c' are" in str(read_fault(VALUES, all_wrong))


def test_a_fault_repeats_little_of_a_long_reply():
    keys = {f"{number}{'x' * 500}": 1 for number in range(20)}
    assert "and 15 more" in str(read_fault(VALUES, json.dumps({"ratings": keys})))


def test_a_reason_that_no_database_stores_is_mended_and_its_rating_stands():
    text = replace('"It is."', '"a\\u0000b\\ud800"', GOOD_CODEBOOK)
    parsed = read_reply(CODEBOOK, text)
    assert parsed.detail["concepts"]["clear"] == {"why": "a\ufffdb\ufffd", "rating": 2}


@calmly
@given(answered())
def test_a_perfect_reply_is_read_as_it_was_meant(asked):
    design, ratings = asked
    assert list(read_reply(design, build_reply(design, ratings)).ratings) == ratings


@calmly
@given(st.sampled_from(["", GOOD, GOOD_CODEBOOK]), st.data())
def test_text_gives_ratings_only_where_it_is_exactly_a_reply(text, data):
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 4)))
        put_in = data.draw(
            st.one_of(st.text(max_size=4), st.sampled_from(["0", "1", '"', ",", "}", "\n", "6.0"]))
        )
        text = text[:start] + put_in + text[end:]
    for design in (VALUES, CODEBOOK):
        try:
            parsed = read_reply(design, text)
        except ReplyFault:
            continue
        if design is VALUES:
            meant = build_reply_data(design, parsed.ratings)
        else:
            concepts = parsed.detail["concepts"]
            meant = build_reply_data(
                design,
                parsed.ratings,
                concept_ratings={key: each["rating"] for key, each in concepts.items()},
                reasons={key: each["why"] for key, each in concepts.items()},
                final_reason=parsed.detail["final"]["why"],
            )
        assert json.loads(text) == meant


@calmly
@given(st.text())
@example("{}")
def test_any_text_at_all_is_a_fault_of_a_known_kind(text):
    assert read_fault(VALUES, text).kind in REPLY_FAULTS


def test_a_reply_is_not_built_from_what_is_off_the_scale():
    with pytest.raises(ValueError, match="asks for 3 ratings, not 2"):
        build_reply(VALUES, [1, 2])
    with pytest.raises(ValueError, match="not on the scale"):
        build_reply(VALUES, [1, 2, 7])
    with pytest.raises(ValueError, match="not on the scale"):
        build_reply(VALUES, [1, 2, float("nan")])
    with pytest.raises(ValueError, match="not on the scale"):
        build_reply(VALUES, [1, 2, 2.5])
    with pytest.raises(ValueError, match="no concept 'other'"):
        build_reply(CODEBOOK, [1], reasons={"other": "x"})


def test_whole_numbers_of_any_type_become_integers_of_the_reply():
    assert build_reply(VALUES, [1.0, 0, 6.0]) == GOOD
