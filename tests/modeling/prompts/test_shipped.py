import pytest

from annotation.tree.nodes import Scale, ValueTree
from modeling.prompts.design import PURPOSES, DesignError, PromptDesign
from modeling.prompts.shipped import (
    comprehensibility_prompt,
    fit_to_tree,
    fits_tree,
    nsfw_prompt,
    shipped_prompt,
    values_prompt,
)
from tests.factories import load_nineteen, load_ten


@pytest.mark.parametrize("load", [load_nineteen, load_ten], ids=["19", "10"])
def test_the_values_prompt_asks_for_every_value_in_order_on_the_trees_scale(load):
    tree = load()
    design = values_prompt(tree)
    assert design.keys == tree.value_keys
    assert design.numbers == tuple(tree.scale.levels)
    assert fits_tree(design, tree)
    assert (design.scale[0].label, design.scale[-1].label) == (tree.scale.low, tree.scale.high)
    for concept, leaf in zip(design.concepts, tree.leaves, strict=True):
        assert concept.label == leaf.name
        assert concept.definition.startswith(leaf.definition)


def test_each_of_the_19_values_has_signs_and_other_systems_have_none():
    assert all("Signs:" in concept.definition for concept in values_prompt(load_nineteen()).concepts)
    assert not any("Signs:" in concept.definition for concept in values_prompt(load_ten()).concepts)


def test_opposing_a_value_counts_as_reflecting_it():
    assert "speaks against it" in values_prompt(load_nineteen()).instructions


@pytest.mark.parametrize(
    ("design", "keys"),
    [
        (comprehensibility_prompt(), ("readability", "coherence", "spam", "context")),
        (nsfw_prompt(), ("sexual", "violent", "derogatory")),
    ],
    ids=["comprehensibility", "nsfw"],
)
def test_codebooks_rate_their_concepts_from_0_to_3_with_both_ends_described(design, keys):
    assert design.keys == keys
    assert design.numbers == (0, 1, 2, 3)
    assert all(point.label for point in design.scale)
    assert all(concept.low and concept.high for concept in design.concepts)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_ships_can_be_stored(purpose):
    design = shipped_prompt(purpose, load_nineteen())
    assert design.purpose == purpose
    assert PromptDesign.from_dict(design.to_dict()) == design


def test_there_is_no_prompt_for_another_purpose():
    with pytest.raises(ValueError, match="no prompt is for 'weather'"):
        shipped_prompt("weather", load_ten())


def test_a_prompt_keeps_its_words_when_the_values_change():
    nineteen = load_nineteen()
    stored = values_prompt(nineteen).to_dict()
    stored["instructions"] = "My own words."
    stored["concepts"][3]["definition"] = "My own definition."
    design = PromptDesign.from_dict(stored)
    flat = ValueTree.flat("mine", ["new", nineteen.value_keys[3]], Scale(0, 6, 1, "none", "much"))
    assert not fits_tree(design, flat)
    fitted = fit_to_tree(design, flat)
    assert fits_tree(fitted, flat)
    assert fitted.instructions == "My own words."
    assert fitted.concepts[1].definition == "My own definition."
    assert fitted.scale == design.scale


def test_a_prompt_takes_the_new_scale_when_the_scale_changes():
    flat = ValueTree.flat("mine", ["one"], Scale(-1, 2, 0, "none", "much"))
    fitted = fit_to_tree(values_prompt(load_nineteen()), flat)
    assert fitted.numbers == (-1, 0, 1, 2)
    assert fitted.scale[0].label == "none"


def test_a_tree_with_more_levels_than_a_prompt_may_have_is_refused():
    with pytest.raises(DesignError, match="scale must have 2 to 101 entries"):
        values_prompt(ValueTree.flat("wide", ["one"], Scale(0, 500, 1, "none", "much")))
