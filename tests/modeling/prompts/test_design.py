import pytest
from hypothesis import given

from modeling.prompts.design import DesignError, PromptDesign

from .designs import calmly, designs, make_codebook, make_values


@calmly
@given(designs())
def test_a_design_survives_being_stored(design):
    assert PromptDesign.from_dict(design.to_dict()) == design
    assert PromptDesign.from_dict(design.to_dict()).digest() == design.digest()


def test_every_fault_is_named_at_once_with_its_place():
    stored = make_values().to_dict()
    stored |= {"purpose": "weather", "instructions": " ", "extra": 1}
    stored["concepts"][1] |= {"key": "a", "definition": ""}
    stored["concepts"][2] |= {"key": "No", "low": "only one end"}
    stored["scale"][0] |= {"label": ""}
    stored["scale"][3] |= {"number": 7}
    stored["scale"][4] |= {"number": "4"}
    with pytest.raises(DesignError) as error:
        PromptDesign.from_dict(stored)
    for said in (
        "unknown field 'extra'",
        "purpose must be one of values",
        "prompt: instructions is blank",
        "concept 2: key 'a' is the key of concept 1 too",
        "concept 2: definition is blank",
        "concept 3: key 'No' must consist of",
        "concept 3: low and high belong together",
        "point 1 of the scale: label is blank",
        "point 4 of the scale: number must be 3",
        "point 5 of the scale: number must be a whole number",
    ):
        assert said in str(error.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "change",
    [
        {"concepts": []},
        {"concepts": "a"},
        {"concepts": [None]},
        {"scale": [{"number": 0, "label": "alone"}]},
        {"scale": None},
        {"closing": None},
        {"instructions": "x" * 10_001},
        {"instructions": "a\x00b"},
    ],
    ids=["no_concept", "text", "null", "one_point", "no_scale", "no_closing", "too_long", "nul"],
)
def test_what_is_no_design_is_refused(change):
    with pytest.raises(DesignError):
        PromptDesign.from_dict(make_values().to_dict() | change)


@pytest.mark.parametrize("stored", [None, [], "prompt", 3], ids=str)
def test_what_is_no_object_is_refused(stored):
    with pytest.raises(DesignError, match="must be an object"):
        PromptDesign.from_dict(stored)


def test_the_digest_tells_designs_apart():
    design = make_values()
    stored = design.to_dict()
    stored["concepts"][0]["definition"] += "!"
    assert PromptDesign.from_dict(stored).digest() != design.digest()
    assert len(design.digest()) == 64


def test_a_codebook_gives_one_rating_and_values_one_each():
    assert (make_codebook().is_codebook, make_codebook().n_ratings) == (True, 1)
    assert (make_values().is_codebook, make_values().n_ratings) == (False, 3)
