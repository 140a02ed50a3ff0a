import pytest

from modeling.softlabels.settings import SoftLabelSettings, Source


def test_settings_come_back_from_what_they_were_written_as():
    settings = SoftLabelSettings(
        (Source("run", 3, 2.0, "logprobs"), Source("people", smoothing=0.5)), {"with_pilot": True}
    )

    assert SoftLabelSettings.from_dict(settings.to_dict()) == settings
    assert settings.has_people


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (Source("oracle", 1), "kind"),
        (Source("run"), "number"),
        (Source("people", 3), "number"),
        (Source("run", 1, 0.0), "weight"),
        (Source("run", 1, float("nan")), "weight"),
        (Source("run", 1, True), "weight"),
        (Source("experts", 1, reads="logprobs"), "reads"),
        (Source("run", 1, smoothing=-1), "smoothing"),
        (Source("run", 1, reads="logprobs", smoothing=0.5), "smoothing"),
    ],
    ids=str,
)
def test_each_fault_of_a_source_is_named_by_its_field(source, field):
    assert SoftLabelSettings.find_faults([Source("run", 9), source]).keys() == {f"1.{field}"}


def test_the_same_source_counts_once():
    with pytest.raises(ValueError, match="named twice"):
        SoftLabelSettings((Source("run", 1), Source("run", 1, 2.0)))
    assert SoftLabelSettings((Source("run", 1), Source("run", 1, reads="logprobs"))).sources


def test_no_source_is_no_setting():
    with pytest.raises(ValueError, match="from 1 to 20 sources"):
        SoftLabelSettings(())


def test_other_data_is_refused():
    for stored in ({}, {"sources": 3}, {"sources": [{"kind": "run", "number": 1, "colour": "red"}]}):
        with pytest.raises(ValueError):
            SoftLabelSettings.from_dict(stored)
