"""Prompt versions times models become runs over a set's posts, each with its cost, none of them twice."""

from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from annotation.errors import Refused
from modeling.annotators.configs import AnnotatorRefused, create_annotator
from modeling.annotators.prompts import get_design, get_prompt, save_prompt
from modeling.models import AnnotatorModel, AnnotatorRun
from modeling.refining import scoring
from modeling.refining.starting import discard_runs, list_prompts, list_templates, prepare_runs
from tests.modeling.annotators.ground import ask_standin

from .planted_errors import make_planted_set

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def provider():
    with ask_standin() as standin:
        yield standin


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(scoring, "draw_all", lambda figures: [])


@pytest.fixture
def expert_set():
    return make_planted_set(n_posts=20)[0]


@pytest.fixture
def prompts(expert_set):
    first = get_prompt(expert_set.study, "values")
    design = get_design(first)
    second = save_prompt(
        expert_set.study, type(design).from_dict(design.to_dict() | {"closing": "Think twice."})
    )
    return [first, second]


@pytest.fixture
def template(expert_set, prompts):
    return create_annotator(
        expert_set.study,
        name="Small",
        kind=AnnotatorModel.Kind.ZERO_SHOT,
        prompt=prompts[0],
        provider="standin",
        model_name="small",
        temperature=0.5,
        input_price=Decimal(2),
    )


def test_each_prompt_with_each_model_is_one_run_over_the_development_posts(expert_set, prompts, template):
    made = prepare_runs(expert_set, prompts, [template], budget=Decimal(3))
    assert [run.annotator.prompt for run in made.runs] == prompts
    assert made.runs[0].annotator == template
    development = set(expert_set.items.filter(split="development").values_list("post", flat=True))
    for run in made.runs:
        assert set(run.selection["ids"]) == development
        assert (run.state, run.budget) == (AnnotatorRun.State.READY, 3)
        assert run.estimate["n_posts"] == len(development)
        assert (run.annotator.temperature, run.annotator.input_price) == (0.5, 2)


def test_what_was_read_already_is_not_made_again(expert_set, prompts, template):
    made = prepare_runs(expert_set, prompts[:1], [template])
    AnnotatorRun.objects.filter(pk=made.runs[0].pk).update(state=AnnotatorRun.State.DONE)
    again = prepare_runs(expert_set, prompts, [template])
    assert [run.annotator.prompt for run in again.runs] == prompts[1:]
    assert again.skipped == (
        f"{template} has read these posts, or is reading them, in run {made.runs[0].pk}.",
    )
    assert expert_set.study.annotators.count() == 2


def test_an_equal_configuration_is_taken_again_also_after_another_one(expert_set, prompts, template):
    prepare_runs(expert_set, prompts, [template])
    made = prepare_runs(expert_set, prompts[:1], [template])
    assert made.runs[0].annotator == template


def test_more_samples_are_another_configuration_of_the_same_line(expert_set, prompts, template):
    made = prepare_runs(expert_set, prompts[:1], [template], samples=3)
    assert (made.runs[0].annotator.samples, made.runs[0].annotator.version) == (3, 2)
    assert list_templates(expert_set) == [made.runs[0].annotator]
    with pytest.raises(AnnotatorRefused, match="temperature"):
        prepare_runs(expert_set, prompts[:1], [template], samples=3, temperature=0.0)


def test_test_posts_are_read_only_on_request(expert_set, prompts, template):
    made = prepare_runs(expert_set, prompts[:1], [template], with_test=True)
    assert len(made.runs[0].selection["ids"]) == expert_set.items.count() == 20


def test_nothing_chosen_and_too_much_are_refused_and_leave_nothing_behind(expert_set, prompts, template):
    for chosen, models, reason in (
        ([], [template], "at least one"),
        (prompts, [template] * 30, "at most 40"),
    ):
        with pytest.raises(Refused, match=reason):
            prepare_runs(expert_set, chosen, models)
    assert not AnnotatorRun.objects.exists()


def test_runs_that_were_never_started_can_be_discarded(expert_set, prompts, template):
    made = prepare_runs(expert_set, prompts, [template])
    AnnotatorRun.objects.filter(pk=made.runs[0].pk).update(state=AnnotatorRun.State.RUNNING, n_starts=1)
    assert discard_runs(made.runs) == 1
    assert list(AnnotatorRun.objects.all()) == [made.runs[0]]


def test_a_version_stays_in_its_family_unless_another_is_named(expert_set, prompts):
    study, design = expert_set.study, get_design(prompts[1])
    assert {prompt.family for prompt in prompts} == {"main"}
    other = save_prompt(study, design, family="short")
    assert (other.number, other.family, other.digest) == (3, "short", prompts[1].digest)
    assert save_prompt(study, design) == other
    following = save_prompt(study, get_design(prompts[0]))
    assert (following.number, following.family) == (4, "short")
    assert [prompt.number for prompt in list_prompts(expert_set)] == [4, 3, 2, 1]


def test_the_command_shows_the_cost_reads_measures_and_prints_the_table(
    expert_set, prompts, template, capsys
):
    slug, number = expert_set.study.slug, str(expert_set.pk)
    call_command("calibrate", slug, number, "--estimate-only")
    assert "15 posts, 15 calls" in capsys.readouterr().out
    assert not AnnotatorRun.objects.exists()
    call_command("calibrate", slug, number, "--prompts", "1", "2", "--like", str(template.pk), "--yes")
    said = capsys.readouterr().out
    runs = AnnotatorRun.objects.filter(state=AnnotatorRun.State.DONE).order_by("pk")
    assert [run.annotator.prompt.number for run in runs] == [1, 2]
    assert said.count("Stand-in: not from a real model.") == 3
    for run in runs:
        assert f"by Small (small) (stand-in), run {run.pk}" in said
    call_command("calibrate", slug, number, "--prompts", "2", "--yes")
    assert "has read these posts" in capsys.readouterr().out
    assert AnnotatorRun.objects.count() == 2
    with pytest.raises(CommandError, match="number of dollars"):
        call_command("calibrate", slug, number, "--budget", "much")
