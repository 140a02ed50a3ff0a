"""What the demonstration has the stand-in read: all of it comes to be, marked, and nothing twice."""

from dataclasses import replace

import pytest

from config.llm_providers import read_providers
from jobs.models import Job
from jobs.services import run_here
from modeling import demo_annotators as demo
from modeling import demo_experts
from modeling.annotators.runs import cancel_run
from modeling.management.commands.demo import READING
from modeling.models import AnnotatorRun, ModelCall
from modeling.reporting import handlers, storing
from modeling.reporting.requests import get_comparison
from modeling.reports.figures.render import Drawn
from modeling.standin.server import StandIn
from tests.modeling.rated import make_rated_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setattr(demo, "N_ROWS", 30)
    monkeypatch.setattr(
        demo, "CONSENSUS_SET", replace(demo.CONSENSUS_SET, more_raters_than=1, n_drawn=12, n_kept=10)
    )
    monkeypatch.setattr(demo_experts, "N_POSTS", 10)
    for module in (handlers, storing):
        monkeypatch.setattr(module, "render", lambda spec: Drawn("<svg></svg>", b"%PDF", b"PNG"))
    return make_rated_study(n_raters=12, n_posts=60, per_post=4)


@pytest.fixture
def standin(settings):
    with StandIn() as server:
        settings.LLM_PROVIDERS = read_providers(
            {
                "LLM_STANDIN_BASE_URL": server.url,
                "LLM_STANDIN_REQUESTS_PER_MINUTE": "0",
                "LLM_STANDIN_TOKENS_PER_MINUTE": "0",
            }
        )
        yield server


def do_all(study):
    """Do what the demonstration does; return the jobs it took."""
    done = []
    for what, ask in READING:
        if job := ask(study):
            done.append(run_here(job))
            assert done[-1].state == Job.State.DONE, f"{what}: {done[-1].error}"
    return done


def test_everything_comes_to_be_marked_and_a_second_time_nothing_is_asked(study, standin):
    assert (len(demo.find_missing(study)), len(demo_experts.find_missing(study))) == (4, 6)
    do_all(study)
    assert demo.find_missing(study) + demo_experts.find_missing(study) == []
    n_calls, n_paid = ModelCall.objects.count(), standin.n_paid()
    assert n_paid > 0
    assert do_all(study) == []
    assert (ModelCall.objects.count(), standin.n_paid()) == (n_calls, n_paid)
    marks = {model["label"]: model["is_standin"] for model in get_comparison(study).measures["models"]}
    assert marks == {
        f"{demo.ZERO_SHOT}, version 1": True,
        f"{demo.ZERO_SHOT}, version 2": True,
        f"{demo.FEW_SHOT}, version 1": True,
        f"{demo.ENCODER}, version 1": False,
    }


def test_the_few_shot_model_is_not_judged_on_the_posts_it_is_shown(study, standin):
    run_here(demo.read_few_shot(study))
    annotator = study.annotators.get(name=demo.FEW_SHOT)
    assert len(annotator.examples) == len(annotator.trained_on) == demo.N_EXAMPLES
    run_here(demo.compare(study))
    (model,) = get_comparison(study).measures["models"]
    assert model["n_trained_on"] == demo.N_EXAMPLES
    assert model["n_usable"] == model["n_rated_read"] - demo.N_EXAMPLES


def test_a_run_that_was_cancelled_goes_on(study, standin):
    demo.read_zero_shot(study)
    run = AnnotatorRun.objects.get()
    assert cancel_run(run)
    run_here(demo.read_zero_shot(study))
    run.refresh_from_db()
    assert run.state == AnnotatorRun.State.DONE
    assert AnnotatorRun.objects.count() == 1


def test_the_invented_feeds_are_the_same_every_time():
    assert demo.write_feeds() == demo.write_feeds()
    assert demo.write_feeds().count(b"\n") > demo.N_ROWS
