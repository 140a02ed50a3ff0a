"""Prompts about values that ask for a reason before the ratings."""

import json
from dataclasses import replace

import pytest

from modeling.prompts.changes import compare_designs
from modeling.prompts.design import DesignError, PromptDesign
from modeling.prompts.distributions import measure_distributions
from modeling.prompts.rendering import Example, PostText, build_response_format, render, render_repair, show
from modeling.prompts.replies import MAX_WHY_CHARACTERS, ReplyFault, build_reply, build_reply_data, read_reply
from modeling.standin.completions import answer, read_question

from .designs import make_codebook, make_values

PLAIN = make_values()
ASKING = replace(PLAIN, asks_why=True)
POST = PostText("I helped my neighbour.")


def test_a_design_that_asks_for_no_reason_is_stored_and_hashed_as_before():
    assert "asks_why" not in PLAIN.to_dict()
    assert PromptDesign.from_dict(PLAIN.to_dict() | {"asks_why": False}).digest() == PLAIN.digest()


def test_a_design_that_asks_comes_back_equal_and_has_another_digest():
    assert PromptDesign.from_dict(ASKING.to_dict()) == ASKING
    assert ASKING.digest() != PLAIN.digest()


@pytest.mark.parametrize("given", [1, "true", None])
def test_asks_why_is_true_or_false(given):
    with pytest.raises(DesignError, match="asks_why must be true or false"):
        PromptDesign.from_dict(PLAIN.to_dict() | {"asks_why": given})


def test_a_codebook_cannot_ask_for_one_more_reason():
    with pytest.raises(DesignError, match="a codebook asks for reasons anyway"):
        PromptDesign.from_dict(replace(make_codebook(), asks_why=True).to_dict())


@pytest.mark.parametrize("reply_format", ["schema", "json"])
def test_the_model_is_told_to_give_the_reason_first(reply_format):
    system = render(ASKING, POST, reply_format=reply_format)[0]["content"]
    assert '{"why": "...", "ratings": {"a": N, "b": N, "c": N}}' in system
    assert '"why"' not in render(PLAIN, POST, reply_format=reply_format)[0]["content"]
    assert '"why" comes first' in show(ASKING, POST)


def test_the_schema_requires_the_reason_before_the_ratings():
    schema = build_response_format(ASKING, "schema")["json_schema"]["schema"]
    assert list(schema["properties"]) == schema["required"] == ["why", "ratings"]
    assert schema["properties"]["why"] == {"type": "string"}


def test_a_reply_gives_its_reason_back_beside_the_ratings():
    parsed = read_reply(ASKING, build_reply(ASKING, [0, 6, 3], why="The words “helped”.\0"))
    assert parsed.ratings == (0, 6, 3)
    assert parsed.detail == {"why": "The words “helped”.\N{REPLACEMENT CHARACTER}"}


def test_a_reply_without_the_reason_or_with_one_unasked_is_a_fault():
    with pytest.raises(ReplyFault, match="lacks 'why'") as fault:
        read_reply(ASKING, build_reply(PLAIN, [0, 6, 3]))
    assert fault.value.kind == "wrong_keys"
    with pytest.raises(ReplyFault, match="unknown 'why'"):
        read_reply(PLAIN, build_reply(ASKING, [0, 6, 3], why="Because."))


@pytest.mark.parametrize("why", [None, 3, ["because"]])
def test_a_reason_is_text(why):
    reply = build_reply_data(ASKING, [0, 6, 3]) | {"why": why}
    with pytest.raises(ReplyFault, match='"why" of the reply must be text'):
        read_reply(ASKING, json.dumps(reply))


def test_a_reason_has_a_limit():
    assert read_reply(ASKING, build_reply(ASKING, [0, 6, 3], why="x" * MAX_WHY_CHARACTERS)).detail
    with pytest.raises(ReplyFault, match="2,001 characters") as fault:
        read_reply(ASKING, build_reply(ASKING, [0, 6, 3], why="x" * (MAX_WHY_CHARACTERS + 1)))
    assert fault.value.kind == "too_long"


def test_examples_with_and_without_a_reason_fit_and_keep_the_order_of_the_prompt():
    ratings = {"c": 1, "a": 0, "b": 6}
    examples = [
        Example(POST, {"ratings": ratings}),
        Example(POST, {"ratings": ratings, "why": "She helped."}),
    ]
    turns = render(ASKING, POST, examples=examples)
    assert turns[2]["content"] == '{"why": "", "ratings": {"a": 0, "b": 6, "c": 1}}'
    assert turns[4]["content"] == '{"why": "She helped.", "ratings": {"a": 0, "b": 6, "c": 1}}'


def test_a_repair_names_what_lacks():
    with pytest.raises(ReplyFault) as fault:
        read_reply(ASKING, build_reply(PLAIN, [0, 6, 3]))
    turns = render_repair(render(ASKING, POST), build_reply(PLAIN, [0, 6, 3]), str(fault.value))
    assert "lacks 'why'" in turns[-1]["content"]


def test_a_number_in_the_reason_is_no_rating_to_the_distributions():
    reply = build_reply(ASKING, [0, 6, 3], why="6 of 6 words")
    tokens = [{"token": reply[: reply.index("0")], "logprob": 0.0, "top_logprobs": []}]
    tokens.append(
        {"token": "0", "logprob": -0.1, "top_logprobs": [{"token": "0", "logprob": -0.1}]},
    )
    tokens.append({"token": reply[reply.index("0") + 1 :], "logprob": 0.0, "top_logprobs": []})
    first, *others = measure_distributions(ASKING, reply, tokens)
    assert first.probabilities[0] == 1
    assert others == [None, None]


def test_asking_for_a_reason_is_told_as_a_change():
    (change,) = compare_designs(PLAIN, ASKING)
    assert (change.before, change.after) == ("not asked for", "asked for")
    assert compare_designs(ASKING, ASKING) == []


@pytest.mark.parametrize("reply_format", ["schema", "json"])
def test_the_stand_in_gives_the_reason_that_is_asked_for(reply_format):
    body = {
        "model": "made-up",
        "messages": render(ASKING, POST, reply_format=reply_format),
        "response_format": build_response_format(ASKING, reply_format),
    }
    message = answer(read_question(body))["choices"][0]["message"]
    parsed = read_reply(ASKING, message["content"])
    assert len(parsed.ratings) == 3
    assert parsed.detail["why"]
