"""Annotator models: whole or not at all, and never changed."""

from decimal import Decimal

import pytest

from annotation.errors import Refused
from annotation.models import Annotation, StudyEvent
from modeling.annotators.configs import AnnotatorRefused, create_annotator, describe, read_examples, retire
from modeling.annotators.few_shot import build_examples
from modeling.annotators.prompts import get_prompt
from modeling.prompts.rendering import Example, PostText
from modeling.prompts.replies import build_reply_data
from tests.factories import AnnotationFactory, EnrollmentFactory, PostFactory, StudyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standin")]


@pytest.fixture
def study():
    return StudyFactory(posts=0, questions=0, steps=())


def make(study, **changes):
    fields = {
        "name": "reader",
        "kind": "zero_shot",
        "prompt": get_prompt(study, "values"),
        "provider": "standin",
        "model_name": "plain-reader",
    }
    return create_annotator(study, **fields | changes)


def test_a_change_is_the_next_version_and_the_same_again_is_the_same(study):
    first = make(study, temperature=0.0)
    assert make(study) == first
    second = make(study, temperature=0.5)
    priced = make(study, temperature=0.5, input_price=Decimal("0.15"))
    assert [each.version for each in (first, second, priced)] == [1, 2, 3]
    assert first.digest != second.digest == priced.digest
    assert make(study, name="another").version == 1
    assert first.is_standin


def test_a_retired_model_is_not_taken_up_again(study):
    first = make(study)
    retire(first)
    assert first.retired_at is not None
    assert make(study).version == 2
    summaries = list(StudyEvent.objects.filter(study=study).values_list("summary", flat=True))
    assert sum("Retired" in summary for summary in summaries) == 1


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": " "}, {"name"}),
        ({"name": "x" * 101}, {"name"}),
        ({"kind": "oracle"}, {"kind"}),
        ({"provider": "nobody"}, {"provider"}),
        ({"model_name": ""}, {"model_name"}),
        ({"prompt": None}, {"prompt"}),
        ({"temperature": -1}, {"temperature"}),
        ({"temperature": float("nan")}, {"temperature"}),
        ({"seed": -1}, {"seed"}),
        ({"seed": True}, {"seed"}),
        ({"samples": 0}, {"samples"}),
        ({"samples": 3, "temperature": 0}, {"samples"}),
        ({"max_output_tokens": 5}, {"max_output_tokens"}),
        ({"reply_format": "xml"}, {"reply_format"}),
        ({"input_price": "cheap"}, {"input_price"}),
        ({"output_price": -1}, {"output_price"}),
        ({"batch_price_factor": "NaN"}, {"batch_price_factor"}),
        ({"kind": "few_shot"}, {"examples"}),
        ({"kind": "few_shot", "examples": [{"post": 1}]}, {"examples"}),
        ({"artefact": "file.npz"}, {"artefact"}),
        ({"kind": "encoder"}, {"artefact", "provider"}),
        ({"colour": "red"}, {"colour"}),
        ({"name": "", "provider": "nobody", "seed": -1}, {"name", "provider", "seed"}),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_every_fault_is_named_by_its_field(study, changes, fields):
    with pytest.raises(AnnotatorRefused) as caught:
        make(study, **changes)
    assert set(caught.value.faults) == fields
    assert not study.annotators.exists()


def test_a_prompt_of_another_study_is_refused(study):
    with pytest.raises(AnnotatorRefused, match="of this study"):
        make(study, prompt=get_prompt(StudyFactory(), "values"))


def test_a_local_encoder_needs_its_file_and_nobody_to_ask(study):
    encoder = make(
        study,
        kind="encoder",
        prompt=None,
        provider="",
        model_name="",
        artefact="a.npz",
        artefact_sha256="0" * 64,
    )
    assert describe(encoder)["is_encoder"]
    assert not encoder.is_standin


def test_examples_are_posts_with_what_people_together_saw(study):
    post = PostFactory(study=study)
    for rating in (1, 2):
        AnnotationFactory(enrollment=complete(study), post=post, ratings=(rating,) * 10)
    prompt = get_prompt(study, "values")
    examples = build_examples(study, prompt, [post])
    assert examples[0].reply == {"ratings": dict.fromkeys(study.value_keys, 2)}  # 1.5, rounded half up
    annotator = make(study, kind="few_shot", examples=examples, trained_on=[post.pk])
    assert read_examples(annotator) == tuple(examples)
    assert describe(annotator)["n_examples"] == 1
    with pytest.raises(Refused, match="nobody rated"):
        build_examples(study, prompt, [PostFactory(study=study)])
    with pytest.raises(Refused, match="something else"):
        build_examples(study, get_prompt(study, "nsfw"), [post])


def complete(study):
    enrollment = EnrollmentFactory(study=study)
    type(enrollment).objects.filter(pk=enrollment.pk).update(outcome="completed")
    return enrollment


def test_an_example_that_does_not_fit_the_prompt_is_refused(study):
    from modeling.annotators.prompts import get_design

    reply = build_reply_data(get_design(get_prompt(study, "nsfw")), [0])
    with pytest.raises(AnnotatorRefused) as caught:
        make(study, kind="few_shot", examples=[Example(PostText("Hm."), reply)])
    assert set(caught.value.faults) == {"examples"}
    assert not Annotation.objects.exists()
