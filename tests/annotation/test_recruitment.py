from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core import signing
from django.test import override_settings

from annotation.errors import EntryError
from annotation.models import Rater, Study
from annotation.recruitment import (
    SIMULATED,
    Entry,
    build_entry_path,
    build_return_url,
    read_entry,
    seal,
    unseal,
)

LINK = {"PROLIFIC_PID": "5f0c1d2e3b4a", "STUDY_ID": "60aa11", "SESSION_ID": "60bb22"}


def link_of(study, rater_id, **options):
    query = parse_qs(urlsplit(build_entry_path(study, rater_id, **options)).query)
    return {name: values[0] for name, values in query.items()}


def test_a_whole_link_says_who_arrived():
    assert read_entry(LINK) == Entry("5f0c1d2e3b4a", "60aa11", "60bb22", Rater.Origin.PROLIFIC)


@pytest.mark.parametrize("name", LINK)
def test_a_missing_parameter_is_named(name):
    with pytest.raises(EntryError, match=f"^{name} is missing.$"):
        read_entry({key: value for key, value in LINK.items() if key != name})


@pytest.mark.parametrize(
    "value",
    [
        "{{%PROLIFIC_PID%}}",
        "abc",
        "a" * 65,
        "60aa 11",
        "60aa11\n",
        "60aa\x0011",
        "٣٣٣٣",
        "<b>60aa",
        "60aa\ud800",
    ],
)
@pytest.mark.parametrize("name", LINK)
def test_a_malformed_parameter_is_named_and_not_repeated(name, value):
    with pytest.raises(EntryError, match=f"^{name} is not an id.$"):
        read_entry(LINK | {name: value})


def test_all_faults_of_a_link_are_named_at_once():
    with pytest.raises(EntryError) as refusal:
        read_entry({"STUDY_ID": "?"})
    assert str(refusal.value) == "PROLIFIC_PID is missing; STUDY_ID is not an id; SESSION_ID is missing."


class TestASimulatedRatersLink:
    study = Study(slug="demo")

    def test_carries_a_mark_that_is_recognised(self):
        entry = read_entry(link_of(self.study, "simulated-1", simulated=True))
        assert entry.origin == Rater.Origin.SIMULATED
        assert entry.rater_id == "simulated-1"

    def test_without_the_mark_is_anybodys(self):
        assert read_entry(link_of(self.study, "simulated-1")).origin == Rater.Origin.PROLIFIC

    @pytest.mark.parametrize("mark", ["", "1", "yes", "a:b:c", "ü:é:x", "\x00", "x" * 10_000])
    def test_with_an_invented_mark_is_refused(self, mark):
        with pytest.raises(EntryError, match="not this installation's"):
            read_entry(LINK | {SIMULATED: mark})

    def test_with_another_raters_mark_is_refused(self):
        mark = link_of(self.study, "simulated-1", simulated=True)[SIMULATED]
        with pytest.raises(EntryError, match="belongs to another one"):
            read_entry(LINK | {SIMULATED: mark})

    def test_with_another_installations_mark_is_refused(self):
        with override_settings(SECRET_KEY="another installation's key"):
            link = link_of(self.study, "simulated-1", simulated=True)
        with pytest.raises(EntryError, match="not this installation's"):
            read_entry(link)

    def test_with_a_mark_made_for_something_else_is_refused(self):
        with pytest.raises(EntryError, match="not this installation's"):
            read_entry(LINK | {SIMULATED: signing.dumps(LINK["PROLIFIC_PID"])})


class TestASealedEntry:
    entry = Entry("simulated-1", "60aa11", "60bb22", Rater.Origin.SIMULATED)

    def test_is_opened_as_it_was_sealed(self):
        assert unseal(seal(self.entry)) == self.entry

    @pytest.mark.parametrize("token", ["", "abc", "a:b:c", "\x00", "é" * 5000])
    def test_cannot_be_invented(self, token):
        with pytest.raises(EntryError, match="grown old or was changed"):
            unseal(token)

    def test_cannot_be_changed(self):
        token = seal(self.entry)
        with pytest.raises(EntryError, match="grown old or was changed"):
            unseal(("A" if token[0] != "A" else "B") + token[1:])

    def test_is_not_the_mark_of_a_simulated_rater(self):
        mark = link_of(Study(slug="demo"), "simulated-1", simulated=True)[SIMULATED]
        with pytest.raises(EntryError):
            unseal(mark)

    def test_lasts_a_day(self):
        with time_machine.travel("2030-01-01T12:00:00Z", tick=False) as clock:
            token = seal(self.entry)
            clock.shift(60 * 60 * 24 - 1)
            assert unseal(token) == self.entry
            clock.shift(10)
            with pytest.raises(EntryError, match="grown old"):
                unseal(token)


def test_an_entry_link_can_be_entered_by_however_long_the_name_is():
    assert read_entry(link_of(Study(slug="demo"), "r" * 64)).rater_id == "r" * 64


@override_settings(PROLIFIC_COMPLETION_URL="https://platform.example/complete")
def test_the_way_back_carries_the_code():
    assert build_return_url("DONE1111") == "https://platform.example/complete?cc=DONE1111"
