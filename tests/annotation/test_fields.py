import json

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from annotation.fields import IntVectorField, pack, unpack
from annotation.models import Annotation
from tests.factories import AnnotationFactory

numbers = st.none() | st.integers(-32767, 32767)


@given(st.lists(numbers))
def test_a_vector_comes_back_as_it_went_in(vector):
    assert unpack(pack(vector)) == tuple(vector)


def test_a_number_takes_two_bytes_the_lower_one_first():
    assert pack([1, 258, -1]) == b"\x01\x00\x02\x01\xff\xff"


@pytest.mark.parametrize("vector", [[-32769], [32768], [1.5], ["3"]])
def test_what_is_no_small_integer_is_refused_and_shown(vector):
    with pytest.raises(ValidationError, match="integers from -32767 to 32767") as refusal:
        pack(vector)
    assert repr(vector) in str(refusal.value)


def test_the_number_that_stands_for_a_missing_entry_cannot_be_stored_as_a_number():
    with pytest.raises(ValidationError):
        pack([-32768])


@pytest.mark.parametrize("given", [b"\x01\x00\x02\x00", bytearray(b"\x01\x00\x02\x00"), [1, 2], (1, 2)])
def test_every_form_of_a_vector_becomes_the_same_tuple(given):
    assert IntVectorField().to_python(given) == (1, 2)


def test_no_vector_stays_none():
    assert IntVectorField().to_python(None) is None


@pytest.mark.django_db
def test_a_stored_vector_is_read_as_a_tuple_with_its_gaps():
    ratings = (5, None, 1, 1, 1, 1, 1, 1, 1, 2)
    annotation = AnnotationFactory(ratings=ratings)
    assert Annotation.objects.get(pk=annotation.pk).ratings == ratings
    assert Annotation.objects.values_list("ratings", flat=True).get() == ratings


@pytest.mark.django_db
def test_a_vector_survives_a_dump_of_the_database_and_its_loading():
    annotation = AnnotationFactory(ratings=(5, None, 1, 1, 1, 1, 1, 1, 1, 2))
    dumped = serializers.serialize("json", [annotation])
    json.loads(dumped)
    annotation.delete()
    for loaded in serializers.deserialize("json", dumped):
        loaded.save()
    assert Annotation.objects.get().ratings == (5, None, 1, 1, 1, 1, 1, 1, 1, 2)
