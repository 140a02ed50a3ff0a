import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.prompts.distributions import measure_distributions, read_distributions
from modeling.prompts.replies import build_reply

from .designs import answered, calmly, make_codebook, make_scale, make_values

VALUES, CODEBOOK = make_values(), make_codebook()


def make_token(text, alternatives=None, *, probability=0.5, with_bytes=True):
    def entry(token, chance):
        spelled = list(token.encode()) if with_bytes else None
        return {"token": token, "logprob": math.log(chance), "bytes": spelled}

    if alternatives is None:
        alternatives = {text: probability}
    listed = [entry(*pair) for pair in alternatives.items()]
    return entry(text, probability) | {"top_logprobs": listed}


def tokenize(parts, alternatives=None):
    """Tokens of these texts; `alternatives` by the text of the token."""
    return [make_token(part, (alternatives or {}).get(part)) for part in parts]


def test_the_alternatives_at_each_rating_become_its_distribution():
    parts = ['{"ratings', '": {"a', '": ', "1", ', "b": ', "0", ', "c": ', "6", "}}"]
    tokens = tokenize(
        parts, {"1": {"1": 0.5, "2": 0.25}, "0": {"0": 0.9, "6": 0.1}, "6": {"6": 0.2, "5": 0.2, "x": 0.6}}
    )
    tokens[3]["logprob"], tokens[5]["logprob"], tokens[7]["logprob"] = map(math.log, (0.5, 0.9, 0.2))
    first, second, third = measure_distributions(VALUES, "".join(parts), tokens)
    assert first.probabilities == pytest.approx((0, 2 / 3, 1 / 3, 0, 0, 0, 0))
    assert first.share == pytest.approx(0.75)
    assert second.probabilities == pytest.approx((0.9, 0, 0, 0, 0, 0, 0.1))
    assert second.share == pytest.approx(1)
    assert third.probabilities == pytest.approx((0, 0, 0, 0, 0, 0.5, 0.5))
    assert third.share == pytest.approx(0.4)
    assert read_distributions(VALUES, "".join(parts), tokens)[1] == list(second.probabilities)


@pytest.mark.parametrize(
    ("parts", "said", "others"),
    [
        (['{"ratings": {"a":', " 1", ', "b": 0, "c": 6}}'], " 1", (" 2", "3", " 9")),
        (['{"ratings": {"a": ', "1,", ' "b": 0, "c": 6}}'], "1,", ("2,", "3", "9")),
        (['{"ratings": {"a', '": 1, "', 'b": 0, "c": 6}}'], '": 1, "', ('": 2', '": 3,', " 3")),
        (['{"ratings": {"a":\n', "\n1", ', "b": 0, "c": 6}}'], "\n1", ("2", " 3", "3.5")),
    ],
    ids=["space", "comma", "quotes", "line_break"],
)
def test_a_number_may_share_its_token_with_what_stands_round_it(parts, said, others):
    alternatives = {said: 0.5, others[0]: 0.2, others[1]: 0.1, others[2]: 0.05}
    found = measure_distributions(VALUES, "".join(parts), tokenize(parts, {said: alternatives}))[0]
    assert found.probabilities == pytest.approx((0, 0.625, 0.25, 0.125, 0, 0, 0))
    assert found.share == pytest.approx(0.8)


def test_the_order_of_the_reply_does_not_matter():
    parts = ['{"ratings": {"c": ', "6", ', "a": 1, "b": 0}}']
    first, second, third = measure_distributions(VALUES, "".join(parts), tokenize(parts))
    assert third.probabilities[6] == second.probabilities[0] == first.probabilities[1] == 1


def test_a_token_listed_alone_without_alternatives_is_no_certainty():
    parts = ['{"ratings": {"a": ', "1", ', "b": ', "0", ', "c": ', "6", "}}"]
    first, second, _ = measure_distributions(VALUES, "".join(parts), tokenize(parts, {"1": {}}))
    assert first is None
    assert second.probabilities[0] == 1


def test_digits_within_reasons_and_keys_are_no_ratings():
    design = make_codebook(keys=("1st", "2nd"))
    text = build_reply(design, [2], reasons={"1st": 'a "3": 3, \\" 1', "2nd": "0"}, final_reason="1")
    before, after = text.rsplit("2", 1)
    tokens = tokenize([before, "2", after], {"2": {"2": 0.5, "3": 0.5}})
    assert measure_distributions(design, text, tokens)[0].probabilities == pytest.approx((0, 0, 0.5, 0.5))


def test_a_codebook_gives_the_final_rating_wherever_it_stands():
    parts = ['{"final": {"rating": ', "3", ', "why": ""}, "concepts": {"clear": {"why": "", "rating": 0}, ']
    parts.append('"whole": {"why": "", "rating": 1}}}')
    tokens = tokenize(parts, {"3": {"3": 0.5}})
    (found,) = measure_distributions(CODEBOOK, "".join(parts), tokens)
    assert found.probabilities == (0, 0, 0, 1)


def test_what_was_said_counts_even_if_it_is_not_among_the_listed():
    parts = ['{"ratings": {"a": ', "1", ', "b": 0, "c": 6}}']
    tokens = tokenize(parts, {"1": {"2": 0.3}})
    tokens[1]["logprob"] = math.log(0.1)
    found = measure_distributions(VALUES, "".join(parts), tokens)[0]
    assert found.probabilities == pytest.approx((0, 0.25, 0.75, 0, 0, 0, 0))


def test_letters_that_are_cut_in_two_do_not_shift_the_places():
    design = make_codebook()
    text = build_reply(design, [2], final_reason="naïve 😀")
    data = text.encode()
    start = data.rindex(b"2")
    pieces = [data[place : place + 1] for place in range(start)] + [b"2", data[start + 1 :]]
    tokens = [
        {"token": piece.decode("utf-8", "replace"), "logprob": -0.7, "bytes": list(piece)} for piece in pieces
    ]
    tokens = [token | {"top_logprobs": [token]} for token in tokens]
    assert measure_distributions(design, text, tokens)[0].probabilities == (0, 0, 1, 0)


def test_a_mark_of_the_end_may_be_listed_too():
    text = build_reply(VALUES, [1, 0, 6])
    tokens = tokenize([*text, "<|end|>"])
    assert [found.probabilities.index(1) for found in measure_distributions(VALUES, text, tokens)] == [
        1,
        0,
        6,
    ]


@calmly
@given(answered(), st.data())
def test_however_the_reply_is_cut_each_number_found_is_the_one_that_was_said(asked, data):
    design, ratings = asked
    text = build_reply(design, ratings)
    cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=60))})
    parts = [text[start:end] for start, end in pairwise(cuts)]
    found = measure_distributions(design, text, tokenize(parts))
    for rating, each in zip(ratings, found, strict=True):
        if each is not None:
            assert each.probabilities[design.numbers.index(rating)] == 1
            assert each.share == pytest.approx(0.5)


def test_every_one_digit_rating_is_found_when_each_letter_is_a_token():
    text = build_reply(VALUES, [3, 4, 5])
    assert None not in measure_distributions(VALUES, text, tokenize(text))


@pytest.mark.parametrize(
    ("scale", "rating", "parts"),
    [
        (make_scale(0, 10), 10, ['{"ratings": {"a": ', "1", "0", "}}"]),
        (make_scale(0, 10), 1, ['{"ratings": {"a": ', "1", "}}"]),
        (make_scale(-1, 1), -1, ['{"ratings": {"a": ', "-", "1", "}}"]),
    ],
    ids=["spread", "could_go_on", "sign_apart"],
)
def test_a_number_that_cannot_be_told_from_one_token_has_no_distribution(scale, rating, parts):
    design = make_values(keys=("a",), scale=scale)
    assert "".join(parts) == build_reply(design, [rating])
    assert measure_distributions(design, "".join(parts), tokenize(parts)) == [None]


@pytest.mark.parametrize(
    "tokens",
    [
        None,
        [],
        tokenize(["something else"]),
        [None],
        [{"token": 3, "logprob": -1}],
        [{"token": build_reply(VALUES, [1, 0, 6]), "logprob": float("nan"), "top_logprobs": []}],
        [{"token": build_reply(VALUES, [1, 0, 6]), "logprob": 2.0, "top_logprobs": []}],
        [{"token": build_reply(VALUES, [1, 0, 6]), "logprob": -1.0, "top_logprobs": None}],
        [{"token": build_reply(VALUES, [1, 0, 6]), "logprob": -1.0, "top_logprobs": [{"token": "1"}]}],
        [{"token": build_reply(VALUES, [1, 0, 6]), "logprob": -1.0, "bytes": [400], "top_logprobs": []}],
    ],
    ids=range(10),
)
def test_tokens_that_are_not_what_they_should_be_give_nothing(tokens):
    assert read_distributions(VALUES, build_reply(VALUES, [1, 0, 6]), tokens) == [None, None, None]


def test_a_bad_reply_gives_nothing():
    text = '{"ratings": {"a": 1}}'
    assert read_distributions(VALUES, text, tokenize(text)) == [None, None, None]
