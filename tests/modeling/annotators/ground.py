"""What tests of runs stand on: a study of few values, and a stand-in that is asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings as installation
from django.test import override_settings

from config.llm_providers import Provider
from jobs import services as jobs
from modeling.annotators.runs import start_run
from modeling.models import AnnotatorRun
from modeling.standin.server import StandIn
from tests.factories import AnnotatorModelFactory, AnnotatorRunFactory, PostFactory, StudyFactory

KEY_VARIABLE = "LLM_STANDIN_API_KEY"


def make_provider(url: str, **changes) -> Provider:
    fields = {
        "name": "standin",
        "base_url": url,
        "key_variable": KEY_VARIABLE,
        "requests_per_minute": 0,
        "tokens_per_minute": 0,
        "deadline_seconds": 5.0,
        "is_standin": True,
    }
    return Provider(**fields | changes)


@contextmanager
def ask_standin(script=None, *, key=None, **changes) -> Iterator[StandIn]:
    """Serve a stand-in, and have this installation know it as its one provider."""
    with (
        StandIn(script=script, key=key) as standin,
        override_settings(LLM_PROVIDERS={"standin": make_provider(standin.url, **changes)}),
    ):
        yield standin


def point_elsewhere(**changes) -> override_settings:
    """Have the provider described otherwise."""
    known = installation.LLM_PROVIDERS["standin"]
    return override_settings(LLM_PROVIDERS={"standin": make_provider(known.base_url, **changes)})


def make_run(texts, *, study=None, annotator=None, **fields) -> AnnotatorRun:
    """A run over a study's posts of these texts."""
    study = study or StudyFactory(posts=0, questions=0, steps=())
    for text in texts:
        PostFactory(study=study, text=text)
    settings = {
        name: fields.pop(name)
        for name in (
            "input_price",
            "output_price",
            "samples",
            "temperature",
            "max_output_tokens",
            "reply_format",
        )
        if name in fields
    }
    annotator = annotator or AnnotatorModelFactory(study=study, **settings)
    return AnnotatorRunFactory(annotator=annotator, **fields)


def read_all(run: AnnotatorRun) -> AnnotatorRun:
    """Do a run here, and return it as it is then."""
    job = jobs.run_here(start_run(run), poll_seconds=0.01)
    assert job.state == "done", job.error
    run.refresh_from_db()
    return run
