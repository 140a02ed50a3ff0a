"""What was planted is found, and nothing else: the whole way from a file of labels to a report."""

import numpy as np
import pytest

from jobs.services import run_here
from modeling.models import Report
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.misattribution_tables import NOTHING
from modeling.simulation.planted import THRESHOLD, invent_world
from modeling.standin.planting import Misattribution, Plant
from modeling.verifying.services import (
    create_verification,
    save_rule_set,
    start_verification,
    store_decision,
)
from tests.modeling.checking.ground import make_person

from .ground import (
    NOISE,
    PLANTED,
    find_errors,
    have_read,
    have_variants_read,
    measure,
    save_repaired_prompt,
    settle_world,
    store_paraphrases,
)

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
RULE = {"title": "A rule", "why": "To see what it catches.", "values": ["power_dominance"]}


def test_each_planted_error_is_found_no_other_is_and_a_repaired_prompt_shows_its_gain():
    world = invent_world(480, np.random.default_rng(11))
    expert_set = settle_world(world)
    known = world.known()
    planted = Plant(known=known, misattributions=PLANTED, **NOISE)
    before = have_read(expert_set, planted, name="Planted")
    after = have_read(expert_set, planted, name="Planted", prompt=save_repaired_prompt(expert_set.study))

    assert find_errors(expert_set, before) == {
        (error.given, error.instead_of or NOTHING) for error in PLANTED
    }
    assert find_errors(expert_set, after) == set()

    measures = measure(expert_set, Report.Kind.CALIBRATION)
    first, second = measures["runs"]
    gain = second["before"]
    assert (first["run"], second["run"], measures["newest"]) == (before.pk, after.pk, after.pk)
    assert second["f1"]["estimate"] - first["f1"]["estimate"] == pytest.approx(gain["difference"])
    assert gain["interval"][0] > 0
    assert gain["p"] < 0.05
    assert not gain["is_within_noise"]
    assert gain["n_better"] > 10
    assert gain["n_worse"] == 0


def test_planted_instability_is_measured_between_samples_and_between_wordings():
    world = invent_world(90, np.random.default_rng(12))
    expert_set = settle_world(world, test_share=0.0)
    other = store_paraphrases(expert_set.study, world)
    known = world.known() | other.known()
    asked = {"samples": 3, "temperature": 1.0, "seed": 1}
    n_expressed = (world.truth >= THRESHOLD).mean()

    shaky = Plant(known=known, instability=0.25)
    run = have_read(expert_set, shaky, name="Shaky", **asked)
    have_variants_read(expert_set, run, shaky)
    found = measure(expert_set, Report.Kind.STABILITY, run=run.pk)
    # A value seen at all is left out of each of three answers by itself, once in four.
    assert_covers(found["repeats"]["flips"], n_expressed * (1 - 0.75**3 - 0.25**3))
    assert_covers(found["repeats"]["disagreement"], n_expressed * 2 * 0.25 * 0.75)
    assert_covers(found["wordings"]["flips"], n_expressed * 2 * 0.25 * 0.75)
    assert found["wordings"]["is_above_noise"] is False

    # Steady from answer to answer, and blind to a fifth of the values in each wording anew.
    literal = Plant(known=known, misses=0.2)
    run = have_read(expert_set, literal, name="Literal", **asked)
    have_variants_read(expert_set, run, literal)
    found = measure(expert_set, Report.Kind.STABILITY, run=run.pk)
    assert found["repeats"]["flips"]["estimate"] == 0
    assert_covers(found["wordings"]["flips"], n_expressed * 2 * 0.2 * 0.8)
    assert found["wordings"]["is_above_noise"] is True


def test_planted_overconfidence_is_found_and_honest_doubt_is_not_called_so():
    world = invent_world(150, np.random.default_rng(14))
    expert_set = settle_world(world, test_share=0.0)
    expressed = world.truth >= THRESHOLD
    for name, doubt in (("Boasting", 0.0), ("Honest", float(0.3 * expressed.mean())), ("Timid", 0.1)):
        plant = Plant(known=world.known(), misses=0.3, doubt=doubt)
        have_read(expert_set, plant, name=name, uses_logprobs=True)
    runs = measure(expert_set, Report.Kind.CALIBRATION)["runs"]
    verdicts = {run["label"].partition(",")[0]: run["certainty"]["verdict"] for run in runs}
    assert verdicts == {"Boasting": "overconfident", "Honest": "neither", "Timid": "underconfident"}
    assert {run["certainty"]["from"] for run in runs} == {"distributions"}


def assert_covers(score: dict, truth: float) -> None:
    """The interval may miss the truth in one seed of twenty; this seed is one of the others."""
    low, high = score["interval"]
    assert low <= truth <= high, (score, truth)


def test_a_rule_catches_the_planted_error_and_its_decisions_raise_f1():
    world = invent_world(200, np.random.default_rng(13))
    expert_set = settle_world(world, test_share=0.0)
    study = expert_set.study
    error = Misattribution("power_dominance", "achievement", 0.6)
    run = have_read(expert_set, Plant(known=world.known(), misattributions=(error,)), name="Planted")
    right = have_read(expert_set, Plant(known=world.known()), name="Right")
    rules = [
        {**RULE, "key": "differ", "when": {"models_differ": "each", "by": "presence"}},
        {**RULE, "key": "given", "when": {"expressed": "power_dominance"}},
        {**RULE, "key": "never", "when": {"words": ["sesquipedalian"]}},
    ]
    verification = create_verification(
        save_rule_set(study, name="Rules", rules=rules), run, other_runs=[right], expert_set=expert_set
    )
    assert run_here(start_verification(verification), poll_seconds=0.01).state == "done"

    value = world.value_keys.index("power_dominance")
    truth = dict(zip(world.keys, world.truth, strict=True))
    expert = make_person(study, "ada")
    n_wrong = 0
    for item in verification.items.select_related("post"):
        is_wrong = (item.ratings[value] >= THRESHOLD) != (truth[item.post.key][value] >= THRESHOLD)
        n_wrong += is_wrong
        decided = {"ratings": list(truth[item.post.key])} if is_wrong else {}
        store_decision(item, expert, "corrected" if is_wrong else "confirmed", **decided)
    job = run_here(
        request_report(study, Report.Kind.VERIFICATION, name_subject(verification=verification.pk)),
        poll_seconds=0.01,
    )
    assert job.state == "done", job.error
    found = get_report(study, Report.Kind.VERIFICATION, name_subject(verification=verification.pk)).measures
    differ, given, never = found["rules"]
    assert n_wrong > 5
    assert (differ["n_flagged"], differ["precision"], differ["load"]) == (n_wrong, 1.0, n_wrong / 200 * 1000)
    assert (given["n_corrected"], given["precision"]) == (n_wrong, n_wrong / given["n_flagged"])
    assert (never["n_flagged"], never["precision"]) == (0, None)
    for rule in (differ, given):
        effect = rule["effect"]
        assert (effect["n_better"], effect["n_worse"], effect["after"]) == (n_wrong, 0, 1.0)
        assert effect["interval"][0] > 0
        assert effect["p"] < 0.05
