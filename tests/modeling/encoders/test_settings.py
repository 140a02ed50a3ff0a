import pytest

from modeling.encoders.settings import EncoderSettings


def test_settings_come_back_from_what_they_were_written_as():
    settings = EncoderSettings(loss="ordinal", n_folds=3, linear={"penalty": 0.5})

    again = EncoderSettings.from_dict(settings.to_dict())

    assert again == settings
    assert again.linear["epochs"] == 25
    assert again.linear["penalty"] == 0.5


def test_what_is_left_out_is_as_usual():
    assert EncoderSettings.from_dict({}) == EncoderSettings()


def test_every_fault_is_named_at_once():
    given = {
        "kind": "oracle",
        "seed": "one",
        "n_folds": 1,
        "linear": {"depth": 3, "epochs": 0},
        "transformer": 5,
        "labels": ["soft"],
        "colour": "red",
    }

    faults = EncoderSettings.find_faults(given)

    assert faults.keys() == {
        "kind",
        "seed",
        "n_folds",
        "linear.depth",
        "linear.epochs",
        "transformer",
        "labels",
        "colour",
    }
    with pytest.raises(ValueError, match="oracle.*from 2 to 20"):
        EncoderSettings.from_dict(given)


@pytest.mark.parametrize("share", [float("nan"), 0, 0.9, True, None])
def test_a_share_that_leaves_nothing_to_learn_or_judge_by_is_refused(share):
    with pytest.raises(ValueError, match="dev_share"):
        EncoderSettings(dev_share=share)


def test_a_number_may_be_written_as_a_whole_one_but_not_the_other_way():
    assert EncoderSettings(linear={"penalty": 1}).linear["penalty"] == 1
    with pytest.raises(ValueError, match="epochs must be a whole number"):
        EncoderSettings(linear={"epochs": 2.5})
