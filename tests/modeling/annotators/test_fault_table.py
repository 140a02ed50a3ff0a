"""No bad reply becomes a rating, and none costs more than one repair."""

import pytest

from modeling.standin.script import Fault
from tests.modeling.annotators.fault_table import STOPS, build_table

pytestmark = pytest.mark.django_db

TRANSIENT = {
    "rate_limited": "rate_limited",
    "server_error": "server_error",
    "bad_gateway": "server_error",
    "reset": "unreachable",
    "hang": "timeout",
    "drip": "timeout",
    "cut_off": "cut_off",
    "html_200": "not_json",
    "malformed_json": "not_json",
}
FINAL = {
    "empty_choices": "no_choice",
    "refusal": "refused",
    "content_filter": "filtered",
    "truncated": "truncated",
}
REPAIRED = {
    "empty": "empty",
    "not_json": "not_json",
    "extra_text": "extra_text",
    "code_fence": "extra_text",
    "array": "wrong_shape",
    "wrong_keys": "wrong_keys",
    "missing_value": "wrong_keys",
    "duplicate_keys": "duplicate_keys",
    "out_of_scale": "not_a_rating",
    "fraction": "not_a_rating",
    "words": "not_a_rating",
    "nan": "not_a_rating",
    "too_long": "too_long",
}


def test_every_bad_reply_ends_as_a_recorded_failure_with_its_reason():
    rows = {row.fault: row for row in build_table()}
    assert set(rows) == {fault.value for fault in Fault}
    outcomes = {fault: row.outcome for fault, row in rows.items()}
    assert outcomes == TRANSIENT | FINAL | REPAIRED | {fault.value: "run stopped" for fault in STOPS}
    assert sum(row.n_accepted for row in rows.values()) == 0
    assert all(row.reason for row in rows.values())
    sent = {fault: (row.n_sent, row.n_repairs) for fault, row in rows.items()}
    assert sent == {
        **dict.fromkeys(TRANSIENT, (6, 0)),
        "rate_limited": (20, 0),
        **dict.fromkeys(FINAL, (1, 0)),
        **dict.fromkeys(REPAIRED, (2, 1)),
        **{fault.value: (1, 0) for fault in STOPS},
    }
    paid = {fault: row.n_paid for fault, row in rows.items()}
    assert paid == {
        **dict.fromkeys(TRANSIENT, 0),
        **dict.fromkeys(FINAL, 1),
        **dict.fromkeys(REPAIRED, 2),
        **{fault.value: 0 for fault in STOPS},
    }
