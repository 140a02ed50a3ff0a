import json
from dataclasses import asdict
from decimal import Decimal

import pytest

from jobs.models import Job
from modeling.artefacts import load_bytes
from modeling.errors import TuningRefused
from modeling.estimators.data import FitSettings
from modeling.estimators.prepared import hold_out
from modeling.inclusion import select
from modeling.matrices import load_table
from modeling.models import FineTuning
from modeling.providers.tuning import validate_examples
from modeling.tuning import services
from modeling.tuning.services import (
    cancel_tuning,
    count_posts_with_raters,
    create_tuning,
    find_job,
    start_tuning,
    tell_dollars,
)
from modeling.tuning.settings import SetSettings, Teaching
from tests.modeling.rated import fit_here
from tests.modeling.tuning.taught import FEW, ask, make_base, make_well_rated_study, serve

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


@pytest.fixture
def standin(settings):
    with serve(settings) as standin:
        yield standin


@pytest.fixture
def study():
    return make_well_rated_study()


def refuse(study, **options):
    with pytest.raises(TuningRefused) as refusal:
        create_tuning(study, **{"name": "Taught", "teaching": Teaching(FEW)} | options)
    assert not FineTuning.objects.exists() and not Job.objects.filter(kind=services.PREPARE).exists()
    return refusal.value.faults


def test_the_examples_are_the_base_models_prompt_with_the_reply_of_a_perfect_one(study, standin):
    base = make_base(study)
    tuning = ask(study, base)
    lines = load_bytes(tuning.artefact, tuning.artefact_sha256).decode().splitlines()
    assert validate_examples(lines) == []
    assert len(lines) == len(tuning.post_ids) == 12
    table = load_table(study)
    for line, pk in zip(lines, tuning.post_ids, strict=True):
        system, post, reply = json.loads(line)["messages"]
        assert (system["role"], post["role"], reply["role"]) == ("system", "user", "assistant")
        assert json.loads(post["content"])["text"] == study.posts.get(pk=pk).text
        mean = table.ratings[table.posts == table.post_ids.index(pk)].mean(axis=0)
        assert list(json.loads(reply["content"])["ratings"].values()) == [int(each + 0.5) for each in mean]


def test_no_rater_is_in_the_examples(study, standin):
    tuning = ask(study, make_base(study))
    content = load_bytes(tuning.artefact, tuning.artefact_sha256).decode()
    for enrollment in select(study).select_related("rater"):
        assert enrollment.rater.external_id not in content
        assert str(enrollment.rater.pseudonym) not in content


def test_posts_that_fits_with_the_seed_hold_out_are_never_taught(study):
    of_set = SetSettings(seed=5, more_raters_than=5, n_drawn=25, n_kept=20)
    tuning = ask(study, of_set=of_set)
    table = load_table(study)
    held_out = hold_out(table.as_fit_data(), FitSettings(seed=5))
    assert not {table.post_ids[post] for post in held_out.nonzero()[0]} & set(tuning.post_ids)
    from tests.modeling.rated import FEW as QUICK

    fit_run = fit_here(study, FitSettings(**asdict(QUICK) | {"seed": 5}))
    assert not set(fit_run.holdout_post_ids) & set(tuning.post_ids)
    counts = tuning.estimate["set"]
    assert counts["n_with_raters"] == 40 and counts["n_held_out"] == len(fit_run.holdout_post_ids)


def test_the_same_ratings_and_settings_give_the_same_examples(study, standin):
    first, second = ask(study, make_base(study)), ask(study, make_base(study))
    assert first.artefact_sha256 == second.artefact_sha256
    assert first.post_ids == second.post_ids


def test_the_estimate_is_tokens_times_epochs_times_price(study, standin):
    tuning = ask(study, make_base(study), n_epochs=4, training_price=Decimal("2.50"))
    estimate = tuning.estimate
    assert estimate["n_examples"] == 12 and estimate["n_epochs"] == 4
    expected = Decimal(estimate["n_tokens"]) * 4 * Decimal("2.50") / 1_000_000
    assert Decimal(estimate["cost"]) == expected.quantize(Decimal("0.000001"))
    assert estimate["n_tokens"] > 12 * 100
    assert standin.requests.read() == []  # nothing is sent before the start


def test_too_few_posts_fail_with_how_many_there_are(study):
    tuning = ask(study, of_set=SetSettings(more_raters_than=5))
    assert tuning.state == FineTuning.State.FAILED
    assert "1,000 posts are to be drawn, and 29 can be" in tuning.problem
    assert not tuning.artefact
    with pytest.raises(TuningRefused, match="It has no examples"):
        start_tuning(tuning)


def test_examples_that_a_provider_would_refuse_are_not_offered(study, standin):
    tuning = ask(study, make_base(study), of_set=SetSettings(more_raters_than=5, n_drawn=9, n_kept=9))
    assert tuning.state == FineTuning.State.FAILED
    assert "There are 9 examples; at least 10 are needed" in tuning.problem


def test_a_budget_below_the_estimate_keeps_it_from_starting(study, standin):
    tuning = ask(study, make_base(study), budget=Decimal("0.01"))
    with pytest.raises(TuningRefused, match=r"The estimate is \$0\.\d+, above the budget of \$0\.01"):
        start_tuning(tuning)
    tuning.refresh_from_db()
    assert tuning.state == FineTuning.State.READY
    assert not Job.objects.filter(kind=services.FINE_TUNE).exists()


def test_starting_twice_is_refused_and_stays_one_job(study, standin):
    tuning = ask(study, make_base(study))
    job = start_tuning(tuning)
    with pytest.raises(TuningRefused, match="under way"):
        start_tuning(tuning)
    assert Job.objects.filter(kind=services.FINE_TUNE).get() == job == find_job(tuning)


def test_cancelling_before_the_start_sends_nothing(study, standin):
    tuning = ask(study, make_base(study))
    assert cancel_tuning(tuning)
    assert not cancel_tuning(tuning)
    tuning.refresh_from_db()
    assert tuning.state == FineTuning.State.CANCELLED
    assert not Job.objects.filter(kind=services.CANCEL_REMOTE).exists()


def test_what_costs_is_in_the_log(study, standin, admin_user):
    tuning = ask(study, make_base(study), user=admin_user)
    start_tuning(tuning, admin_user)
    cancel_tuning(tuning, admin_user)
    told = list(study.events.order_by("pk").values_list("summary", "actor_name"))[-3:]
    assert [actor for _, actor in told] == ["admin"] * 3
    assert f"for about {tell_dollars(tuning.estimate['cost'])}" in told[1][0]


@pytest.mark.parametrize(
    ("amount", "told"),
    [("0", "$0.00"), ("1234.5", "$1,234.50"), ("0.0003", "$0.0003"), ("25.000000", "$25.00")],
)
def test_dollars_are_told_to_the_cent_unless_there_is_less_than_one(amount, told):
    assert tell_dollars(amount) == told


def test_faults_are_named_by_field(study, standin):
    assert set(refuse(study, name=" ")) == {"name"}
    base = make_base(study)
    wrong = {"training_price": Decimal(-1), "budget": Decimal("0.0000001")}
    faults = refuse(study, base=base, base_model="", teaching=Teaching(FEW, n_epochs=0), **wrong)
    assert set(faults) == {"base_model", "n_epochs", "training_price", "budget"}
    assert set(refuse(study, base=base, base_model="m", training_price=Decimal("NaN"))) == {"training_price"}


def test_only_a_model_that_asks_a_provider_about_values_can_be_a_base(study, standin, settings):
    from modeling.annotators.prompts import get_prompt

    judge = make_base(study, name="Judge", prompt=get_prompt(study, "nsfw"))
    other = make_base(make_well_rated_study())
    for base in (judge, other):
        assert set(refuse(study, base=base, base_model="m")) == {"base"}
    base = make_base(study)
    settings.LLM_PROVIDERS = {}
    assert "knows no provider" in refuse(study, base=base, base_model="m")["base"]


def test_posts_are_counted_by_raters_who_count(study):
    assert count_posts_with_raters(study, 6) == 40
    assert count_posts_with_raters(study, 7) == 0
    enrollment = study.enrollments.first()
    n_rated = enrollment.annotations.count()
    type(enrollment).objects.filter(pk=enrollment.pk).update(outcome="screened_out")
    assert count_posts_with_raters(study, 6) == 40 - n_rated
