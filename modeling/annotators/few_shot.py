"""Examples for a few-shot model: posts with what people together saw in them. A web process may import it."""

import math
from collections.abc import Iterable

from annotation.errors import Refused
from annotation.fields import MISSING
from annotation.models import Annotation, Post, Study
from modeling.inclusion import select
from modeling.models import PromptVersion
from modeling.prompts.design import PromptDesign
from modeling.prompts.rendering import Example, PostText
from modeling.prompts.replies import build_reply_data


def build_examples(study: Study, prompt: PromptVersion, posts: Iterable[Post]) -> list[Example]:
    """Return each post with the rounded consensus of those who count, as the reply wanted of it.

    Raises
    ------
    Refused
        If the prompt is a codebook, for which people have no ratings, or if a value of a post was rated by nobody.
    """
    design = PromptDesign.from_dict(prompt.content)
    if design.is_codebook:
        raise Refused("Examples come from people's ratings of values; this prompt asks for something else.")
    places = [study.value_keys.index(key) for key in design.keys]
    examples = []
    for post in posts:
        vectors = Annotation.objects.filter(post=post, enrollment__in=select(study)).values_list(
            "ratings", flat=True
        )
        consensus = [
            _round([vector[place] for vector in vectors if vector[place] != MISSING]) for place in places
        ]
        if None in consensus:
            raise Refused(f"Post '{post.key}' has values that nobody rated; choose another as an example.")
        text = PostText(post.text, post.context_kind, post.context_text)
        examples.append(Example(text, build_reply_data(design, consensus)))
    return examples


def _round(ratings: list[int]) -> int | None:
    """Return the mean, rounded half up."""
    return math.floor((2 * sum(ratings) + len(ratings)) / (2 * len(ratings))) if ratings else None
