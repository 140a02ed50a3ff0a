from decimal import Decimal

import pytest

from modeling.providers.pricing import cost, estimate_text_tokens, estimate_tokens


def test_a_cost_is_exact_dollars():
    assert cost(1_000_000, 2_000_000, Decimal("0.15"), Decimal("0.60")) == Decimal("1.35")
    assert cost(1_000_000, 2_000_000, Decimal("0.15"), Decimal("0.60"), Decimal("0.5")) == Decimal("0.675")


def test_a_cost_is_never_rounded_down():
    assert cost(1, 0, Decimal("0.15"), Decimal(0)) == Decimal("0.000001")
    assert cost(0, 0, Decimal("0.15"), Decimal("0.6")) == 0


def test_negative_tokens_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        cost(-1, 0, Decimal(1), Decimal(1))


def test_an_estimate_leans_to_too_many():
    text = "Honesty, courage and care for one another are what hold a town together."

    # OpenAI's rule of thumb for English is four characters to a token.
    assert len(text) / 4 < estimate_text_tokens(text) < len(text) / 2


def test_other_scripts_count_by_the_character():
    assert estimate_text_tokens("日本語") == 3
    assert estimate_text_tokens("") == 0


def test_messages_and_schema_are_counted():
    messages = [{"role": "user", "content": "hello"}]

    assert estimate_tokens(messages) > estimate_text_tokens("hello")
    assert estimate_tokens(messages, {"type": "json_object"}) > estimate_tokens(messages)
