import json
import math

import pytest

from modeling.standin.completions import answer, read_question
from modeling.standin.planting import Misattribution, Plant, read_plant
from modeling.standin.script import Script
from modeling.standin.server import StandIn

from .asking import WINE, PostText, build_body

TEXTS = [f"Post number {number}" for number in range(400)]


def ask(plant: Plant, text: str, *, told: str = "", **fields) -> dict:
    body = build_body(PostText(text), **fields)
    body["messages"][0]["content"] += told
    return answer(read_question(body), plant=plant)["choices"][0]


def read(plant: Plant, text: str, **fields) -> dict[str, int]:
    return json.loads(ask(plant, text, **fields)["message"]["content"])["ratings"]


def know(ratings: dict[str, int], **fields) -> Plant:
    return Plant(known=dict.fromkeys(TEXTS, ratings), **fields)


def test_without_errors_the_model_says_what_it_was_told():
    assert read(know({"hedonism": 5}), TEXTS[0]) == {"hedonism": 5, "universalism_nature": 0, "face": 0}


def test_a_misattribution_has_its_share_and_leaves_the_rest_alone():
    plant = know({"hedonism": 5}, misattributions=(Misattribution("face", "hedonism", 0.2),))
    said = [read(plant, text) for text in TEXTS]
    n_wrong = sum(ratings["face"] >= 3 for ratings in said)
    assert abs(n_wrong - 80) < 3 * math.sqrt(400 * 0.2 * 0.8)
    assert all(ratings["hedonism"] == 5 and ratings["universalism_nature"] == 0 for ratings in said)


def test_a_misattribution_may_take_the_place_of_what_is_there():
    plant = know({"hedonism": 5}, misattributions=(Misattribution("face", "hedonism", 1.0, replaces=True),))
    assert read(plant, TEXTS[0]) == {"hedonism": 1, "universalism_nature": 0, "face": 4}


def test_words_of_the_prompt_cure_it():
    cured = Misattribution("face", "hedonism", 1.0, cured_by="Pleasure is not reputation.")
    plant = know({"hedonism": 5}, misattributions=(cured,))
    assert read(plant, TEXTS[0])["face"] == 4
    assert read(plant, TEXTS[0], told=" Pleasure is not reputation.")["face"] == 0


def test_a_spurious_value_comes_only_where_nothing_is_expressed():
    plant = Plant(
        known={"empty": {}, "full": {"hedonism": 5}}, misattributions=(Misattribution("face", "", 1.0),)
    )
    assert read(plant, "empty")["face"] == 4
    assert read(plant, "full")["face"] == 0


def test_samples_differ_by_the_planted_instability_and_at_temperature_0_not_at_all():
    plant = know({"hedonism": 5}, instability=0.25)
    left_out = sum(
        read(plant, text, temperature=1.0, seed=seed)["hedonism"] < 3 for text in TEXTS for seed in (1, 2)
    )
    assert abs(left_out - 200) < 3 * math.sqrt(800 * 0.25 * 0.75)
    assert read(plant, TEXTS[0], temperature=1.0, seed=7) == read(plant, TEXTS[0], temperature=1.0, seed=7)
    assert {read(plant, text, seed=3)["hedonism"] for text in TEXTS[:20]} == {5}


def test_the_probabilities_hold_the_planted_doubt():
    choice = ask(know({"hedonism": 5}, doubt=0.2), TEXTS[0], logprobs=True, top_logprobs=7)
    first = next(token for token in choice["logprobs"]["content"] if token["token"] == "5")
    chances = {entry["token"]: math.exp(entry["logprob"]) for entry in first["top_logprobs"]}
    assert chances["5"] == pytest.approx(0.8)
    assert chances["1"] == pytest.approx(0.2)


def test_other_posts_and_other_models_are_read_as_ever():
    plant = Plant(known={WINE.text: {"face": 6}}, model="elsewhere")
    assert read(plant, WINE.text)["hedonism"] > 0
    assert read(Plant(known={"x": {}}), WINE.text) == read(Plant(), WINE.text)


def test_a_plant_goes_through_json_and_serves(client):
    plant = know({"hedonism": 5}, misattributions=(Misattribution("face", "hedonism", 1.0),))
    script = Script.from_dict(json.loads(json.dumps(Script(plant=plant).to_dict())))
    assert script.plant == plant
    with StandIn(script=script) as standin:
        body = build_body(PostText(TEXTS[0]))
        reply = client.with_options(base_url=standin.url).chat.completions.create(**body)
    assert json.loads(reply.choices[0].message.content)["ratings"]["face"] == 4


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"wrong": 1}, "A plant has no wrong"),
        ({"misattributions": [{"given": "a", "whose": "b"}]}, "A misattribution has no whose"),
        ({"misses": 2}, "between 0 and 1, not 2"),
    ],
)
def test_what_is_no_plant_is_refused(stored, said):
    with pytest.raises(ValueError, match=said):
        read_plant(stored)
