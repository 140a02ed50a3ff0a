"""What a run will cost, said before it starts. A web process may import it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count

from modeling.models import AnnotatorModel, AnnotatorRun, ModelCall, ModelReading
from modeling.prompts.design import PromptDesign
from modeling.prompts.rendering import PostText, build_response_format, render
from modeling.prompts.replies import build_reply
from modeling.providers.pricing import cost, estimate_text_tokens, estimate_tokens

from .configs import read_examples
from .selecting import count_posts, find_posts, get_post_field

FEWEST_CALLS = 20  # from which on an annotator's own calls say more than characters do
N_LOOKED_AT = 200  # posts of which the tokens are estimated one by one
REASON_CHARACTERS = 120  # of the reason that a codebook's reply gives for a concept
WHY_CHARACTERS = 300  # of the one reason for all ratings of values


def estimate_run(run: AnnotatorRun) -> dict[str, Any]:
    """Return what a run (stored or not) will ask, and about what it costs.

    Returns
    -------
    dict
        n_posts; n_calls, one per post and sample; n_known, those answered before, which cost nothing;
        prompt_tokens and completion_tokens of the others; cost and cost_at_most in dollars, as texts; and `basis`,
        a sentence on where the numbers come from. `cost_at_most` is for replies as long as they may be, each
        followed by a repair; a budget stops the run before that.
    """
    annotator = run.annotator
    n_posts = count_posts(run)
    n_calls = n_posts * annotator.samples
    if annotator.kind == AnnotatorModel.Kind.ENCODER:
        return _describe(n_posts, 0, 0, 0, 0, Decimal(0), Decimal(0), "A local encoder asks nobody.")
    n_known = min(n_calls, _count_known(run))
    n_asked = n_calls - n_known
    design = PromptDesign.from_dict(annotator.prompt.content)
    looked_at = [
        PostText(text, kind if context else "", context) for text, kind, context in _look_at(run, n_posts)
    ]
    factor = annotator.batch_price_factor if run.mode == AnnotatorRun.Mode.BATCH else Decimal(1)

    def price(prompt_tokens: float, completion_tokens: float) -> Decimal:
        return n_asked * cost(
            round(prompt_tokens),
            round(completion_tokens),
            annotator.input_price,
            annotator.output_price,
            factor,
        )

    prompt_tokens = estimate_prompt_tokens(annotator, design, looked_at)
    longest = annotator.max_output_tokens
    at_most = price(2 * prompt_tokens + longest, 2 * longest)
    seen = _look_back(annotator)
    if seen["n"] >= FEWEST_CALLS:
        prompt_tokens, completion_tokens = seen["prompt"], seen["completion"]
        basis = f"From {seen['n']:,} earlier calls of this model."
    else:
        completion_tokens = float(min(longest, estimate_text_tokens(_build_usual_reply(design))))
        basis = f"From the characters of {len(looked_at):,} posts and of the reply asked for."
    return _describe(
        n_posts,
        n_calls,
        n_known,
        round(n_asked * prompt_tokens),
        round(n_asked * completion_tokens),
        price(prompt_tokens, completion_tokens),
        at_most,
        basis,
    )


def estimate_prompt_tokens(
    annotator: AnnotatorModel, design: PromptDesign, posts: Sequence[PostText]
) -> float:
    """Return about how many tokens one request has, on average over some posts."""
    if not posts:
        return 0.0
    examples = read_examples(annotator)
    response_format = build_response_format(design, annotator.reply_format)
    rendered = (
        render(design, post, examples=examples, reply_format=annotator.reply_format) for post in posts
    )
    return sum(estimate_tokens(messages, response_format) for messages in rendered) / len(posts)


def _look_at(run: AnnotatorRun, n_posts: int) -> list[tuple[str, str, str]]:
    """Return texts of posts spread over the run's."""
    rows = find_posts(run).values_list("text", "context_kind", "context_text")
    if n_posts <= N_LOOKED_AT:
        return list(rows)
    ids = list(find_posts(run).values_list("pk", flat=True))
    return list(rows.filter(pk__in=ids[:: -(-n_posts // N_LOOKED_AT)]))


def _count_known(run: AnnotatorRun) -> int:
    """Return how many (post, sample) of a run an annotator with the same replies has read before."""
    column = get_post_field(run)
    earlier = ModelReading.objects.filter(
        run__annotator__study=run.annotator.study_id,
        run__annotator__digest=run.annotator.digest,
        call__state=ModelCall.State.ANSWERED,
        sample__lt=run.annotator.samples,
        **{f"{column}__in": find_posts(run).order_by().values("pk")},
    )
    return earlier.values(column, "sample").distinct().count()


def _look_back(annotator: AnnotatorModel) -> dict[str, Any]:
    answered = ModelCall.objects.filter(
        run__annotator=annotator, state=ModelCall.State.ANSWERED, repairs=None, prompt_tokens__isnull=False
    )
    return answered.aggregate(n=Count("pk"), prompt=Avg("prompt_tokens"), completion=Avg("completion_tokens"))


def _build_usual_reply(design: PromptDesign) -> str:
    ratings = [design.numbers[-1]] * design.n_ratings
    if not design.is_codebook:
        return build_reply(design, ratings, why="x" * WHY_CHARACTERS)
    reason = "x" * REASON_CHARACTERS
    return build_reply(design, ratings, reasons=dict.fromkeys(design.keys, reason), final_reason=reason)


def _describe(
    n_posts: int,
    n_calls: int,
    n_known: int,
    prompt_tokens: int,
    completion_tokens: int,
    dollars: Decimal,
    at_most: Decimal,
    basis: str,
) -> dict[str, Any]:
    return {
        "n_posts": n_posts,
        "n_calls": n_calls,
        "n_known": n_known,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "cost": str(dollars),
        "cost_at_most": str(max(dollars, at_most)),
        "basis": basis,
    }
