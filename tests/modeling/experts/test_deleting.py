"""Experts' labels outlive the wish to delete a post, and go with their study."""

import pytest
from django.db.models import RestrictedError

from annotation.models import Study
from modeling.models import ExpertLabel

from .ground import item_at, label, make_experts, make_set

pytestmark = pytest.mark.django_db


def test_a_post_that_experts_labeled_cannot_be_deleted():
    expert_set = make_set()
    label(item_at(expert_set), make_experts(expert_set, "ann")[0])
    with pytest.raises(RestrictedError):
        item_at(expert_set).post.delete()
    assert ExpertLabel.objects.count() == 1


def test_with_its_study_all_of_it_goes():
    expert_set = make_set()
    label(item_at(expert_set), make_experts(expert_set, "ann")[0])
    Study.objects.get(pk=expert_set.study_id).delete()
    assert not ExpertLabel.objects.exists()
