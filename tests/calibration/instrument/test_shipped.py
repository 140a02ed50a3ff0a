import json
import re

import pytest

from calibration.instrument.items import Instrument
from calibration.instrument.scoring import ScoringKey, ScoringKeyError
from calibration.instrument.shipped import CONTENT, load_scoring_key, load_scoring_keys
from tests.factories import REPOSITORY, load_nineteen

PUBLISHED = ("bfi_10", "pvq_21", "pvq_rr")


def read(name):
    return json.loads((CONTENT / f"{name}.json").read_text(encoding="utf-8"))


def test_every_file_that_ships_is_a_key_by_its_own_name_and_names_its_source():
    keys = load_scoring_keys()
    assert set(keys) == {*PUBLISHED, "values_19"}
    for name, key in keys.items():
        assert key.key == name
        assert key.source
        scored = {item for scale in key.scales for item in scale.items}
        assert scored == set(key.items)


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_wording_of_a_published_instrument_ships(name):
    stored = json.loads((CONTENT / "keys" / f"{name}.json").read_text(encoding="utf-8"))
    assert set(stored) <= {
        "key", "instrument", "source", "source_note", "answers", "items", "scales", "needs", "ipsatise",
    }  # fmt: skip
    assert all(item.rstrip("0123456789") in ("pvq", "bfi") for item in stored["items"])
    assert not (CONTENT / f"{name}.json").exists()


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(ScoringKeyError, match="called 'pvq'; there are bfi_10, pvq_21, pvq_rr, values_19"):
        load_scoring_key("pvq")


def test_the_values_questionnaire_has_one_row_and_one_scale_for_each_value_in_their_order():
    instrument = Instrument.from_dict(read("values_19"))
    values = load_nineteen().value_keys
    assert instrument.answer_keys == tuple(f"fits_{value}" for value in values)
    assert tuple(scale.key for scale in instrument.scoring.scales[:19]) == tuple(values)
    (grid,) = instrument.items
    assert [value for value, _ in grid.options] == [1, 2, 3, 4, 5, 6]
    assert len({label for _, label in grid.rows}) == 19


def test_the_examples_that_the_documents_give_can_be_read():
    text = (REPOSITORY / "docs/questionnaires.md").read_text(encoding="utf-8")
    questionnaire, key = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    assert Instrument.from_dict(questionnaire).answer_keys == ("age", "news", "calm", "loud")
    assert ScoringKey.from_dict(key).score_keys == ("calmness", "gladness", "wellbeing")
