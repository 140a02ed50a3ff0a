"""Every write on a rater's way, named by its verb.

Each call is one transaction that locks the enrollment first and then looks again, so a double click,
a second tab and a retried request all find what the first one left.
"""

from .drafts import record_visit, save_draft
from .erasing import erase_enrollment
from .gates import record_attention_answer, record_gate_answer, record_training_attempt
from .labeling import assign_next_post, go_on_labeling, submit_annotation
from .leaving import go_on_after_time_out, time_out_overdue, withdraw
from .lifecycle import change_state
from .path import complete_step, enroll, enter_current_step, finish, lock, record_consent
from .rehearsal import erase_rehearsal, preview_step
from .value_systems import save_value_system

__all__ = [
    "assign_next_post",
    "change_state",
    "complete_step",
    "enroll",
    "enter_current_step",
    "erase_enrollment",
    "erase_rehearsal",
    "finish",
    "go_on_after_time_out",
    "go_on_labeling",
    "lock",
    "preview_step",
    "record_attention_answer",
    "record_consent",
    "record_gate_answer",
    "record_training_attempt",
    "record_visit",
    "save_draft",
    "save_value_system",
    "submit_annotation",
    "time_out_overdue",
    "withdraw",
]
