"""From a post to the request about it, and from a reply to a reading. Nothing here touches the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from config.llm_providers import Provider
from modeling.models import AnnotatorModel
from modeling.prompts.design import PromptDesign
from modeling.prompts.distributions import read_distributions
from modeling.prompts.rendering import PostText, build_response_format, render, render_repair
from modeling.prompts.replies import ReplyFault, read_reply
from modeling.providers.chat import ChatRequest
from modeling.providers.faults import make_storable
from modeling.providers.pricing import cost, estimate_tokens

from .configs import read_examples

NOT_REPAIRED = ("refused", "filtered", "truncated")  # asking again would end the same way, for more money


@dataclass(frozen=True)
class Question:
    """One request about one post, in one of its runs; `repairs` is the call whose bad reply it asks to mend."""

    post_id: int
    sample: int
    request: ChatRequest
    digest: str
    prompt_tokens: int
    repairs: int | None = None
    first_problem: str = ""


@dataclass(frozen=True)
class Reading:
    """What becomes a row: ratings, or the fault for which there are none."""

    post_id: int
    sample: int
    call_id: int | None
    ratings: tuple[float, ...] | None
    detail: dict[str, Any] = field(default_factory=dict)
    fault: str = ""
    reason: str = ""


class Asker:
    """All that one annotator model's requests have in common."""

    def __init__(
        self, annotator: AnnotatorModel, provider: Provider, *, price_factor: Decimal = Decimal(1)
    ) -> None:
        if annotator.prompt is None:
            raise ValueError(f"{annotator} asks nobody: it is a local encoder.")
        self.annotator, self.provider = annotator, provider
        self.design = PromptDesign.from_dict(annotator.prompt.content)
        self.examples = read_examples(annotator)
        self.price_factor = price_factor
        self.response_format = build_response_format(self.design, annotator.reply_format)
        keys = list(self.design.keys)
        # A prompt's values may stand in another order than the study's; readings are in the study's.
        self._order = (
            None if self.design.is_codebook else [keys.index(key) for key in annotator.study.value_keys]
        )

    def ask(self, post_id: int, post: PostText, sample: int) -> Question:
        """Return the first question about a post."""
        messages = render(self.design, post, examples=self.examples, reply_format=self.annotator.reply_format)
        return self._question(post_id, sample, messages)

    def ask_for_repair(self, question: Question, call_id: int, reply: str, fault: ReplyFault) -> Question:
        """Return the one more question after a bad reply."""
        messages = render_repair(question.request.messages, reply, str(fault))
        return self._question(question.post_id, question.sample, messages, call_id, f"{fault.kind}: {fault}")

    def _question(
        self,
        post_id: int,
        sample: int,
        messages: Sequence[Mapping[str, str]],
        repairs: int | None = None,
        first_problem: str = "",
    ) -> Question:
        annotator = self.annotator
        request = ChatRequest(
            model=annotator.model_name,
            messages=tuple(messages),
            temperature=annotator.temperature,
            seed=None if annotator.seed is None else annotator.seed + sample,
            max_output_tokens=annotator.max_output_tokens,
            response_format=self.response_format,
            logprobs=annotator.uses_logprobs,
        )
        return Question(
            post_id=post_id,
            sample=sample,
            request=request,
            digest=request.digest(self.provider.base_url, sample),
            prompt_tokens=estimate_tokens(messages, self.response_format),
            repairs=repairs,
            first_problem=first_problem,
        )

    def get_price(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """Return what so many tokens cost, in dollars."""
        annotator = self.annotator
        return cost(
            prompt_tokens, completion_tokens, annotator.input_price, annotator.output_price, self.price_factor
        )

    def get_highest_price(self, question: Question) -> Decimal:
        """Return the most that one request can cost."""
        return self.get_price(question.prompt_tokens, self.annotator.max_output_tokens)

    def read(
        self,
        question: Question,
        call_id: int,
        text: str,
        finish_reason: str,
        refusal: str,
        logprobs: list | None,
    ) -> Reading | Question:
        """Read a reply: ratings, the repair question where one is due, or the fault."""
        try:
            parsed = read_reply(self.design, text, finish_reason=finish_reason, refusal=refusal)
        except ReplyFault as fault:
            if question.repairs is None and fault.kind not in NOT_REPAIRED:
                return self.ask_for_repair(question, call_id, text, fault)
            return fail(question, call_id, fault.kind, str(fault))
        detail = dict(parsed.detail)
        if logprobs:
            detail["distributions"] = self._in_order(read_distributions(self.design, text, logprobs))
        if question.repairs is not None:
            detail["repaired"] = question.first_problem
        return Reading(
            question.post_id,
            question.sample,
            call_id,
            tuple(self._in_order(parsed.ratings)),
            storable(detail),
        )

    def _in_order(self, vector: Sequence[Any]) -> list[Any]:
        return list(vector) if self._order is None else [vector[place] for place in self._order]


def fail(question: Question, call_id: int | None, kind: str, reason: str) -> Reading:
    """Return the reading of a post that gave no ratings."""
    if question.repairs is not None:
        reason = f"{reason} The reply before it could not be used either ({question.first_problem})"
    return Reading(
        question.post_id, question.sample, call_id, None, fault=kind, reason=storable(reason)[:2000]
    )


def storable(value: Any) -> Any:
    """Return what a server sent as every database can store it: no NUL and no half of a surrogate pair."""
    if isinstance(value, str):
        return make_storable(value)
    if isinstance(value, Mapping):
        return {storable(key): storable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each) for each in value]
    return value
