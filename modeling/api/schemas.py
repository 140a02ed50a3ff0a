"""What is sent to the API and what it answers; the OpenAPI document is made of these classes."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

MAX_POSTS = 1_000
MAX_BATCH = 100  # raters, and posts, of a batch
MAX_BODY_BYTES = 2_000_000
LONGEST_TEXT = 10_000
LONGEST_KEY = 200


def _refuse_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("it holds a NUL character; leave it out")
    return text


Key = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY), AfterValidator(_refuse_nul)]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
IN_ORDER, BY_NAME = "<in order>", "<by name>"


def _tell_form(sent: object) -> str:
    return BY_NAME if isinstance(sent, dict) else IN_ORDER


Numbers = Annotated[
    Annotated[list[float], Tag(IN_ORDER)] | Annotated[dict[str, float], Tag(BY_NAME)],
    Discriminator(_tell_form),
]
Answers = Annotated[
    Annotated[list[float | None], Tag(IN_ORDER)] | Annotated[dict[str, float | None], Tag(BY_NAME)],
    Discriminator(_tell_form),
]


class Sent(BaseModel):
    """Part of a request. A field that is not known is refused: it is a misspelt one."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Told(BaseModel):
    """Part of an answer. Further fields may come in this version of the API; none goes."""

    model_config = ConfigDict(frozen=True)


# --- what is sent ------------------------------------------------------------------------------


class PostIn(Sent):
    """A post: exactly one of `text`, `consensus` and `key`."""

    text: Text | None = Field(None, description="The post's words, for a fit that reads text.")
    context: Text | None = Field(
        None, description="With `text`: the words of the post that it replies to or quotes."
    )
    consensus: Numbers | None = Field(
        None,
        description="What people in general see in the post, on the study's scale: a number for each value, "
        "as a list in the order of the values or by the values' keys.",
    )
    key: Key | None = Field(
        None, description="The key of a post of the study. Its consensus is the one the fit has stored."
    )
    id: Key | None = Field(None, description="Your own name for the post; it is given back and kept nowhere.")

    @model_validator(mode="after")
    def check_one_way(self) -> PostIn:
        if sum(part is not None for part in (self.text, self.consensus, self.key)) != 1:
            raise ValueError("give exactly one of text, consensus and key")
        if self.context is not None and self.text is None:
            raise ValueError("a context goes with a text; leave it out")
        return self


class RaterIn(Sent):
    """A person: exactly one of `pseudonym` and `answers`."""

    pseudonym: UUID | None = Field(
        None,
        description="Somebody who took part in the study, as its page People names them. "
        "Ids of Prolific or of another platform are never taken.",
    )
    answers: Answers | None = Field(
        None,
        description="Somebody's answers to the calibration questions on the study's scale: a list in their order, "
        "or by the questions' names. null, or a name left out, stands for a question that was not answered.",
    )

    @model_validator(mode="after")
    def check_one_way(self) -> RaterIn:
        if (self.pseudonym is None) == (self.answers is None):
            raise ValueError("give exactly one of pseudonym and answers")
        return self


Posts = Annotated[
    list[PostIn], Field(min_length=1, max_length=MAX_POSTS, description=f"1 to {MAX_POSTS:,} posts.")
]


class PredictIn(Sent):
    """One person and some posts."""

    rater: RaterIn
    posts: Posts


class RerankIn(Sent):
    """One person, some posts, and what they are ordered by: exactly one of `value` and `weights`."""

    rater: RaterIn
    posts: Posts
    value: Key | None = Field(None, description="The key of the value by which posts are ordered.")
    weights: dict[str, float] | None = Field(
        None,
        description="How much each value counts, by its key; those left out count nothing. A negative weight takes "
        "posts down. Not all may be 0.",
    )
    limit: Annotated[int, Field(ge=1, le=MAX_POSTS)] | None = Field(
        None, description="Give back only so many of the first posts; all when left out."
    )

    @model_validator(mode="after")
    def check_one_way(self) -> RerankIn:
        if (self.value is None) == (self.weights is None):
            raise ValueError("give exactly one of value and weights")
        return self


class BatchIn(Sent):
    """Some persons and some posts; every pair is predicted."""

    raters: Annotated[
        list[RaterIn],
        Field(min_length=1, max_length=MAX_BATCH, description=f"1 to {MAX_BATCH} persons."),
    ]
    posts: Annotated[
        list[PostIn],
        Field(min_length=1, max_length=MAX_BATCH, description=f"1 to {MAX_BATCH} posts."),
    ]


# --- what is answered --------------------------------------------------------------------------


class ModelOut(Told):
    """Which fit answered. Keep it beside the predictions: another fit gives other numbers."""

    fit: int = Field(description="The fit's number.")
    fitted_at: str = Field(description="When, in ISO 8601.")
    method: str = Field(description="What the personalized predictions come from.")
    consensus: str = Field(description="Where the consensus comes from, such as a model that reads text.")
    data_hash: str = Field(description="Hash of the ratings that the fit saw.")
    version: str = Field(description="The version of Parallax that fitted.")
    outdated: bool = Field(
        description="Whether ratings that the fit saw were taken back, erased or excluded since then."
    )


class ValueOut(Told):
    """A value of the study."""

    key: str = Field(description="By which the value is named in requests.")
    name: str = Field(description="Its name in the literature.")
    label: str = Field(description="Its name for raters.")
    definition: str = Field(description="What raters were told that it means.")


class ScaleOut(Told):
    """The scale of ratings, answers and predictions."""

    lowest: int = Field(description="Not reflected at all.")
    highest: int = Field(description="Reflected most.")
    low_label: str = Field(description="What raters read at the lowest rating.")
    high_label: str = Field(description="What raters read at the highest rating.")


class QuestionOut(Told):
    """A calibration question: to what extent does this post reflect this value?"""

    name: str = Field(description="By which an answer to it is given.")
    value: str = Field(description="The key of the value that is asked about; '' if the question is gone.")
    post: str = Field(description="The key of the post that is shown; '' if the question is gone.")
    context: str = Field(description="The words of the post that it replies to or quotes; '' for none.")
    text: str = Field(description="The words of the post.")


class ValuesOut(Told):
    """What the token's study asks about, and what answers."""

    study: str = Field(description="Its name for researchers.")
    values: list[ValueOut] = Field(description="In the order of every list of ratings.")
    scale: ScaleOut
    questions: list[QuestionOut] = Field(description="In the order of a list of answers.")
    reads_text: bool = Field(description="Whether posts may be given as text.")
    model: ModelOut


View = Literal["known", "new", "nothing"]


class RaterOut(Told):
    """Whom the predictions are of, and what was known of them."""

    pseudonym: UUID | None = Field(description="As it was sent; null when answers were.")
    view: View = Field(
        description="`known`: the fit saw this person's ratings. `new`: only their answers are known. "
        "`nothing`: neither."
    )
    n_questions: int = Field(description="How many calibration questions the fit knows.")
    n_answered: int | None = Field(
        description="How many of them were answered; null for a known person, whose history was used."
    )
    n_missing: int | None = Field(description="How many were not; null for a known person.")
    fallback: Literal["consensus"] | None = Field(
        description="`consensus` where nothing is known of the person: predictions are then made of the posts' "
        "consensus alone, and nothing in them is personal."
    )
    notes: list[str] = Field(description="What stood in for what, in words.")


class PostOut(Told):
    """One post, as one person is predicted to see it. A list has a number for each value, in order."""

    id: str | None = Field(description="As it was sent.")
    key: str | None = Field(description="As it was sent.")
    ratings: list[float | None] = Field(description="The predicted ratings, not rounded to levels.")
    low: list[float | None] = Field(description="Lower ends of the 80% prediction intervals.")
    high: list[float | None] = Field(description="Upper ends of them.")
    consensus: list[float | None] = Field(description="What people in general see.")


class PredictOut(Told):
    """What one person is predicted to see in each post."""

    values: list[str] = Field(description="The values' keys: the order of every list.")
    rater: RaterOut
    posts: list[PostOut] = Field(description="In the order in which they were sent.")
    model: ModelOut


class RankedOut(Told):
    """One post and how strongly this person is predicted to see what was chosen."""

    rank: int = Field(description="From 1 on.")
    index: int = Field(description="The place of the post in the request, from 0 on.")
    id: str | None = Field(description="As it was sent.")
    key: str | None = Field(description="As it was sent.")
    score: float | None = Field(
        description="The predicted rating of the value, or the sum of weighted ratings over the sum of the weights' "
        "sizes."
    )
    low: float | None = Field(description="Lower end of the score's 80% interval; null with weights.")
    high: float | None = Field(description="Upper end of it.")
    consensus: float | None = Field(description="The score that people in general would give the post.")


class RerankOut(Told):
    """Posts, the one in which this person sees most of what was chosen first."""

    rater: RaterOut
    posts: list[RankedOut] = Field(
        description="The highest score first. Equal scores go by the consensus, then as they were sent; posts without "
        "a score come last."
    )
    model: ModelOut


class SharedPostOut(Told):
    """A post of a batch."""

    id: str | None = Field(description="As it was sent.")
    key: str | None = Field(description="As it was sent.")
    consensus: list[float | None] = Field(description="What people in general see.")


class PersonOut(Told):
    """All posts for one person: a list for each post, in it a number for each value."""

    rater: RaterOut
    ratings: list[list[float | None]] = Field(description="The predicted ratings.")
    low: list[list[float | None]] = Field(description="Lower ends of the 80% prediction intervals.")
    high: list[list[float | None]] = Field(description="Upper ends of them.")


class BatchOut(Told):
    """What each person is predicted to see in each post."""

    values: list[str] = Field(description="The values' keys: the order of every list of numbers.")
    posts: list[SharedPostOut] = Field(description="In the order in which they were sent.")
    raters: list[PersonOut] = Field(description="In the order in which they were sent.")
    model: ModelOut


class FaultOut(Told):
    """One thing that is wrong with a request."""

    where: str = Field(description="JSON Pointer into the body, such as /posts/3/text, or a header's name.")
    what: str = Field(description="What is wrong there.")
    mend: str = Field(description="What to do about it.")


class ProblemOut(Told):
    """Why a request was not answered (RFC 9457)."""

    type: str = Field(description="The kind of problem, by its place in the reference.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What was wrong this time.")
    errors: list[FaultOut] = Field(description="Each fault, where single ones can be named.")
