"""Studies with many raters per post, and annotator models that a provider's stand-in answers for."""

from contextlib import contextmanager
from decimal import Decimal

from config.llm_providers import Provider
from jobs.services import run_here
from modeling.annotators.configs import create_annotator
from modeling.annotators.prompts import get_prompt
from modeling.matrices import load_table
from modeling.models import AnnotatorRun, ModelReading
from modeling.standin.server import StandIn
from modeling.tuning.services import create_tuning, find_job
from modeling.tuning.settings import SetSettings, Teaching
from tests.modeling.rated import make_rated_study

FEW = SetSettings(more_raters_than=5, n_drawn=20, n_kept=12)


def make_well_rated_study(**data):
    return make_rated_study(**{"n_posts": 40, "per_post": 7, "n_values": 3} | data)


@contextmanager
def serve(settings, **options):
    """A stand-in, known to the installation as a provider by the name 'standin'."""
    with StandIn(**options) as standin:
        provider = Provider(
            "standin", standin.url, "LLM_STANDIN_API_KEY", 0, 0, deadline_seconds=5, is_standin=True
        )
        settings.LLM_PROVIDERS = {"standin": provider}
        yield standin


def make_base(study, **options):
    return create_annotator(
        study,
        **{
            "name": "Zero-shot",
            "kind": "zero_shot",
            "prompt": get_prompt(study, "values"),
            "provider": "standin",
            "model_name": "standin-small",
        }
        | options,
    )


def ask(study, base=None, *, of_set=FEW, n_epochs=2, **options):
    """A fine-tuning whose examples are written."""
    if base:
        options = {"base_model": "standin-small", "training_price": Decimal(25)} | options
    tuning = create_tuning(
        study, name="Taught", base=base, teaching=Teaching(of_set, n_epochs=n_epochs), **options
    )
    run_here(find_job(tuning))
    tuning.refresh_from_db()
    return tuning


def make_run(study, ratings_of, *, annotator=None, **options):
    """A run that is done: `ratings_of` is post id to ratings, None for a failed reading."""
    annotator = annotator or make_encoder(study)
    run = AnnotatorRun.objects.create(annotator=annotator, **{"state": AnnotatorRun.State.DONE} | options)
    ModelReading.objects.bulk_create(
        ModelReading(run=run, post_id=pk, ratings=ratings, fault="" if ratings else "not_json")
        for pk, ratings in ratings_of.items()
    )
    return run


def make_encoder(study, **options):
    config = {"name": "Reader", "kind": "encoder", "artefact": "reader.npz", "artefact_sha256": "0" * 64}
    return create_annotator(study, **config | options)


def say_means(study, posts=None):
    """What a good reader says of each rated post."""
    table = load_table(study)
    chosen = table.post_ids if posts is None else posts
    return {
        pk: tuple(table.ratings[table.posts == table.post_ids.index(pk)].mean(axis=0).tolist())
        for pk in chosen
    }
