import numpy as np
import pytest

from modeling.simulation.mind import Lessons, SimulatedMind
from modeling.simulation.page import Control
from modeling.simulation.parameters import load_parameters
from modeling.simulation.population import Branch, Population, Reading

TREE = Branch("post", (Branch("left", ("a", "b"), True), Branch("right", ("c",), True)), True)


def a_mind(seed=0, scale=(0, 6), lessons=None):
    rng = np.random.default_rng(seed)
    parameters = load_parameters()
    population = Population.draw(1, TREE.value_keys(), parameters, rng)
    return SimulatedMind(
        population, 0, {"A  post\nof two lines": [1.0, 0.0, 2.0]}, TREE, parameters, scale, rng, lessons
    )


def test_a_post_is_read_once_whatever_is_asked_of_it():
    options = ["left", "right", "none"]
    for seed in range(20):
        mind = a_mind(seed)
        chosen = mind.choose_branches("A post of two lines", "post", options)
        assert all(mind.choose_branches("A post of two lines", "post", options) == chosen for _ in range(5))
        if "left" in chosen:
            ratings = {mind.rate("A post of two lines", "a", range(7)) for _ in range(5)}
            assert len(ratings) == 1


def test_a_value_under_a_branch_that_was_not_marked_cannot_be_rated():
    minds = [a_mind(seed) for seed in range(20)]
    closed = [
        m for m in minds if "right" not in m.choose_branches("A post of two lines", "post", ["left", "right"])
    ]
    with pytest.raises(ValueError, match="no branch above it was marked"):
        closed[0].rate("A post of two lines", "c", range(7))


def test_a_direct_question_gives_a_rating_of_the_scale():
    mind = a_mind(scale=(1, 5))
    ratings = {mind.question("A post of two lines", "c", range(1, 6)) for _ in range(50)}
    assert ratings <= set(range(1, 6))
    with pytest.raises(ValueError, match="not drawn for"):
        mind.question("A post of two lines", "d", range(1, 6))


def test_questions_about_the_rater_get_allowed_and_plausible_answers():
    mind = a_mind()
    gender = Control("gender", "select", ["", "woman", "man", "no_answer"])
    drawn = [mind.field("gender", gender) for _ in range(500)]
    assert "" not in drawn
    assert drawn.count("woman") > 100
    assert 0 < drawn.count("no_answer") < 50
    age = Control("age", "number", attributes={"min": "18", "max": "60"})
    ages = [int(mind.field("age", age)) for _ in range(500)]
    assert (min(ages), max(ages)) == (18, 60)
    assert 38 < np.mean(ages) < 50
    years = Control("years_online", "number", attributes={"min": "2", "max": "4"})
    assert {mind.field("years_online", years) for _ in range(100)} == {"2", "3", "4"}


def test_consent_is_given_and_an_unknown_choice_is_made_at_random():
    mind = a_mind()
    consent = Control("consent", "radio", ["yes", "no"])
    assert {mind.field("consent", consent) for _ in range(100)} == {"yes"}
    pets = Control("pets", "radio", ["0", "1", "2"])
    assert {mind.field("pets", pets) for _ in range(100)} == {"0", "1", "2"}
    with pytest.raises(ValueError, match="nothing to choose from"):
        mind.field("pets", Control("pets", "radio"))


def test_a_rationale_is_written_now_and_then():
    mind = a_mind()
    written = [mind.field("rationale", Control("rationale", "textarea")) for _ in range(500)]
    assert 10 < sum(bool(text) for text in written) < 150


def test_several_options_are_marked_as_the_page_allows():
    mind = a_mind()
    options = ["a", "b", "c", "none"]
    free = Control("pets", "checkbox", options, exclusive=["none"])
    drawn = [mind.field("pets", free) for _ in range(300)]
    assert {tuple(sorted(answer)) for answer in drawn} >= {("a",), ("b",), ("c",), ("none",), ("a", "b")}
    assert all(len(set(answer)) == len(answer) for answer in drawn)
    assert not any(len(answer) > 1 and "none" in answer for answer in drawn)
    two = Control(
        "pets", "checkbox", options, attributes={"data-min": "2", "data-max": "2"}, exclusive=["none"]
    )
    answers = [mind.field("pets", two) for _ in range(200)]
    assert {len(answer) for answer in answers if answer != ["none"]} == {2}
    one = Control("pets", "checkbox", options, attributes={"data-max": "1"})
    assert {len(mind.field("pets", one)) for _ in range(100)} == {1}


def test_few_decline_where_nothing_is_known_of_the_answers():
    mind = a_mind()
    row = Control("fits_face", "radio", ["1", "2", "3", "prefer_not_to_say"])
    drawn = [mind.field("fits_face", row) for _ in range(600)]
    assert 0 < drawn.count("prefer_not_to_say") < 30
    assert min(drawn.count(level) for level in "123") > 120


def test_who_names_a_party_leans_to_it():
    party = Control("party", "radio", ["democrat", "republican", "independent"])
    lean = Control("party_lean", "radio", ["democrat", "republican", "neither"])
    leans = set()
    for seed in range(60):
        mind = a_mind(seed)
        named = mind.field("party", party)
        leaned = mind.field("party_lean", lean)
        leans.add((named, leaned))
    assert {pair for pair in leans if pair[0] != "independent"} == {
        ("democrat", "democrat"),
        ("republican", "republican"),
    }
    assert len({leaned for named, leaned in leans if named == "independent"}) > 1


def test_a_number_asked_for_in_a_text_field_is_given_within_its_bounds():
    mind = a_mind()
    year = Control("year", "text", attributes={"data-number": "", "data-min": "1990", "data-max": "1992"})
    assert {mind.field("year", year) for _ in range(100)} == {"1990", "1991", "1992"}


def test_what_the_study_teaches_is_answered_as_taught():
    known = Reading(opened=frozenset({"left"}), ratings={"a": 6, "b": 0})
    lessons = Lessons(
        readings={"A practice\npost": known}, told={"row-told": "3"}, numbers={"Two more than forty.": 42}
    )
    mind = a_mind(lessons=lessons)
    assert mind.choose_branches("A practice post", "post", ["left", "right", "none"]) == ["left"]
    assert mind.rate("A practice post", "a", range(7)) == 6
    assert mind.field("row-told", Control("row-told", "radio", ["1", "2", "3"])) == "3"
    assert mind.solve("Two more\nthan forty.") == "42"
    with pytest.raises(ValueError, match="no number is known"):
        mind.solve("Twice twenty-one.")
