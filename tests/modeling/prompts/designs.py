"""Prompts for the tests: small ones by hand, and any that hypothesis can think of."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from modeling.prompts.design import Concept, PromptDesign, ScalePoint

calmly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def make_scale(lowest=0, highest=3):
    return tuple(
        ScalePoint(number, f"label of {number}" if number in (lowest, highest) else "")
        for number in range(lowest, highest + 1)
    )


def make_values(keys=("a", "b", "c"), scale=None):
    concepts = tuple(Concept(key, f"Value {key}", f"What {key} means.") for key in keys)
    return PromptDesign("values", "Rate the post.", concepts, scale or make_scale(0, 6))


def make_codebook(keys=("clear", "whole"), scale=None):
    concepts = tuple(Concept(key, f"Concept {key}", f"What {key} means.", "little", "much") for key in keys)
    return PromptDesign("nsfw", "Judge the post.", concepts, scale or make_scale(), closing="Be fair.")


words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30
).filter(str.strip)


@st.composite
def designs(draw):
    """Any design that can be stored."""
    keys = draw(
        st.lists(
            st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=6, unique=True
        )
    )
    ends = st.one_of(st.just(("", "")), st.tuples(words, words))
    concepts = tuple(Concept(key, draw(words), draw(words), *draw(ends)) for key in keys)
    lowest, n_steps = draw(st.integers(-3, 3)), draw(st.integers(1, 12))
    scale = tuple(ScalePoint(lowest + step, draw(words)) for step in range(n_steps + 1))
    purpose = draw(st.sampled_from(["values", "comprehensibility", "nsfw"]))
    return PromptDesign(purpose, draw(words), concepts, scale, draw(st.one_of(st.just(""), words)))


@st.composite
def answered(draw, any_design=None):
    """A design with ratings that fit it."""
    design = draw(any_design or designs())
    ratings = draw(
        st.lists(st.sampled_from(design.numbers), min_size=design.n_ratings, max_size=design.n_ratings)
    )
    return design, ratings
