"""Studies with a model's samples, people's ratings and experts' labels, to make soft labels of."""

import numpy as np

from jobs.services import run_here
from modeling.models import AnnotatorRun, ExpertItem, ExpertLabel, ExpertSet, ModelReading
from modeling.softlabels.services import create_soft_labels, find_job
from tests.modeling.rated import make_rated_study
from tests.modeling.read_by_models import make_annotator


def make_study(**data):
    return make_rated_study(**{"n_posts": 12, "per_post": 3, "n_values": 3} | data)


def make_sampled_run(study, samples_of, *, name="Sampler", distributions=None, **fields):
    """A run that is done; `samples_of` is post to the ratings of each sample, None for one that failed."""
    n_samples = max(len(samples) for samples in samples_of.values())
    annotator = make_annotator(
        study, name, samples=n_samples, uses_logprobs=distributions is not None, **fields
    )
    run = AnnotatorRun.objects.create(annotator=annotator, state=AnnotatorRun.State.DONE)
    ModelReading.objects.bulk_create(
        ModelReading(
            run=run,
            post=post,
            sample=sample,
            ratings=ratings,
            fault="" if ratings else "not_json",
            detail={"distributions": distributions} if distributions and ratings else {},
        )
        for post, samples in samples_of.items()
        for sample, ratings in enumerate(samples)
    )
    return run


def make_expert_set(study, development, test=(), *, name="Gold"):
    """`development` and `test` are post to the ratings of each expert."""
    expert_set = ExpertSet.objects.create(study=study, name=name, threshold=3)
    dealt = [(post, labels, "development") for post, labels in dict(development).items()]
    dealt += [(post, labels, "test") for post, labels in dict(test).items()]
    for position, (post, labels, split) in enumerate(dealt):
        item = ExpertItem.objects.create(expert_set=expert_set, post=post, position=position, split=split)
        for number, ratings in enumerate(labels):
            ExpertLabel.objects.create(item=item, expert=f"expert {number}", ratings=ratings)
    return expert_set


def make_soft(study, *sources, name="Mixed", **options):
    """Soft labels that a worker has made, or failed to make."""
    made = create_soft_labels(study, name, sources, **options)
    run_here(find_job(made))
    made.refresh_from_db()
    return made


def find_place(labels, post):
    """The row of a post."""
    return int(np.flatnonzero(labels.post_ids == post.pk)[0])
