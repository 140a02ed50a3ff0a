import dataclasses
import json

import pytest

from modeling.simulation.parameters import SHIPPED_PARAMETERS, load_parameters


def test_the_shipped_parameters_cover_the_nineteen_refined_values():
    parameters = load_parameters()
    assert len(parameters.values) == 19
    # Fitted numbers belong to a value's name, not to its place in the list.
    assert parameters.value("universalism_nature").spread == 4.0
    assert parameters.value("security_personal").level == -0.7949
    assert parameters.value("benevolence_dependability").level == 1.9045


def test_a_value_of_another_system_gets_the_default():
    parameters = load_parameters()
    assert parameters.value("sincerity") == parameters.default_value


def test_nodes_below_the_last_stated_depth_share_its_noise():
    parameters = load_parameters()
    assert parameters.branch_noise_at(0) == parameters.branch_noise[0]
    assert parameters.branch_noise_at(9) == parameters.branch_noise[-1]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("rating_noise", -1.0),
        ("leniency_spread", float("nan")),
        ("inattentive_share", 1.5),
        ("authored_share", 1.01),
        ("circle_correlation", 1.0),
        ("branch_noise", ()),
        ("branch_noise", (0.3, 0.0)),
        ("n_reading_factors", 0),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name, number):
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(load_parameters(), **{name: number})


def test_a_file_without_a_parameter_is_refused(tmp_path):
    stored = json.loads(SHIPPED_PARAMETERS.read_text(encoding="utf-8"))
    del stored["mood_spread"]
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ValueError, match="mood_spread"):
        load_parameters(path)


def test_a_file_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "parameters.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="Expecting"):
        load_parameters(path)
