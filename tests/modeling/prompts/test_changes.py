from dataclasses import replace

from modeling.prompts.changes import compare_designs
from modeling.prompts.design import Concept, ScalePoint

from .designs import make_codebook, make_values


def tell(old, new):
    return [(change.where, change.before, change.after) for change in compare_designs(old, new)]


def test_the_same_prompt_has_no_changes():
    assert tell(make_values(), make_values()) == []


def test_each_changed_text_is_one_change_in_reading_order():
    old = make_codebook()
    first = replace(old.concepts[0], label="Clarity", high="very much")
    new = replace(
        old,
        instructions="Judge it well.",
        concepts=(first, old.concepts[1]),
        scale=(*old.scale[:-1], ScalePoint(3, "fully")),
        closing="",
    )
    assert tell(old, new) == [
        ("Instructions", "Judge the post.", "Judge it well."),
        ("Concept clear › name", "Concept clear", "Clarity"),
        ("Concept clear › high end", "much", "very much"),
        ("Scale › 3", "label of 3", "fully"),
        ("Closing words", "Be fair.", ""),
    ]


def test_concepts_that_come_go_and_move_are_told():
    old, new = make_values(keys=("a", "b", "c")), make_values(keys=("c", "a", "d"))
    assert tell(old, new) == [
        ("Value d", "", "name: Value d\ndefinition: What d means."),
        ("Value b", "name: Value b\ndefinition: What b means.", ""),
        ("Order of the concepts", "a, c", "c, a"),
    ]


def test_another_scale_is_told():
    old = make_values()
    new = replace(
        old, scale=old.scale[:-1], concepts=(*old.concepts[:-1], Concept("c", "Value c", "What c means."))
    )
    assert tell(old, new) == [
        ("Numbers of the scale", "0, 1, 2, 3, 4, 5, 6", "0, 1, 2, 3, 4, 5"),
        ("Scale › 6", "label of 6", ""),
    ]
