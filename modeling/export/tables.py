"""PURE. What an export holds: every table and every column, from which files and codebook are made alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TEXT, CODE, INTEGER, NUMBER, YES_NO, TIME, JSON = (
    "text", "code", "integer", "number", "yes/no", "time", "JSON",
)  # fmt: skip
TYPES = {
    TEXT: "Free text. In CSV files a text that a spreadsheet could take for a formula has one apostrophe in front.",
    CODE: "One of a fixed set of short names.",
    INTEGER: "A whole number.",
    NUMBER: "A number with decimals.",
    YES_NO: "true or false.",
    TIME: "A moment in UTC by the server's clock, as in 2026-01-31 13:45:00.000000Z.",
    JSON: "Structured data in JSON. In CSV files guarded as text is.",
}
NEVER = "never empty"
STATUSES = ("not_shown", "chosen", "implied")  # place = the code in an annotation's row


@dataclass(frozen=True)
class Column:
    """One column: `kind` is one of `TYPES`, `empty` says what an empty cell means."""

    name: str
    kind: str
    meaning: str
    values: str = ""
    empty: str = NEVER


@dataclass(frozen=True)
class Table:
    """One table: `key` names the columns that tell its rows apart, in the order of the rows' meaning."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    effort: int = 1  # how much of the whole work it is, for the bar that shows progress


RATER = Column(
    "rater_id", CODE,
    "The rater's pseudonym: random, the same in every export of this study, another one in every other study.",
    "p and 16 letters or digits",
)  # fmt: skip
POST = Column("post_id", TEXT, "The post, as in the table posts.")
VALUE = Column("value", CODE, "The value, as in the table values.")
STEP = Column(
    "step", INTEGER, "The step of the study in which this happened: its number on the path.",
    "1 for the first step",
)  # fmt: skip
STEP_OR_NONE = Column(STEP.name, STEP.kind, STEP.meaning, STEP.values, "ratings that were loaded from files")
STEP_KIND = Column(
    "step_kind", CODE, "What kind of step that is.", "labeling, training, gating, vcq and so on"
)
VERSION = Column(
    "study_version", INTEGER, "The frozen version of the study that was answered, as in the table versions.",
    empty="answered before the study was first frozen, or loaded from files",
)  # fmt: skip
INCLUDED = Column(
    "included", YES_NO, "Whether the rater counts in the study's measures by its inclusion rule (README)."
)
SUBMITTED = Column("submitted_at", TIME, "When it was submitted.")
STATUS_VALUES = (
    "chosen: the rater gave this rating; implied: the lowest rating, because the rater did not open the group above "
    "the value; not_shown: no rating exists"
)


def describe_tables(value_keys: Sequence[str], scale: tuple[int, int], shown_from: int) -> tuple[Table, ...]:
    """Return every table of a study's export, in the order of the archive.

    Parameters
    ----------
    value_keys : the study's values in their order: the wide table has two columns for each
    scale : (lowest, highest) rating as stored
    shown_from : the number that raters saw for the lowest rating
    """
    low, high = scale
    span = f"{low} to {high}"
    shown = f"{shown_from} to {shown_from + high - low}"
    rating = Column(
        "rating", INTEGER, "How far the post reflects the value, as the rater sees it.",
        f"{span}; {low}: not at all", "no rating exists: status not_shown",
    )  # fmt: skip
    return (
        Table(
            "participants",
            "One row per person who came, without rehearsals; whoever is not to be analysed is in it, marked.",
            (
                RATER,
                Column(
                    "origin", CODE, "Where the rater comes from.",
                    "prolific: by a recruitment link; imported: loaded from files; simulated: no person at all",
                ),
                Column(
                    "phase", CODE, "Whether they came in the pilot or in the study proper.", "pilot, live"
                ),
                Column(
                    "outcome", CODE, "How their participation ended.",
                    "completed, no_consent, failed_attention, screened_out, study_full, timed_out, withdrew",
                    "they have not finished",
                ),
                Column("started_at", TIME, "When they came."),
                Column("finished_at", TIME, "When their participation ended.", empty="they have not finished"),
                Column(
                    "timed_out_at", TIME, "When their time ran out, also if they finished later.",
                    empty="it never did",
                ),
                Column("minutes", NUMBER, "Minutes from coming to the end.", empty="they have not finished"),
                Column("consented", YES_NO, "What they answered to the consent form.", empty="not answered"),
                Column(
                    "consent_version", INTEGER, "The version of the consent form that they saw.",
                    empty="not answered",
                ),
                Column("excluded", YES_NO, "Whether a researcher left them out of the analyses."),
                Column("exclusion_reason", TEXT, "The researcher's reason.", empty="not excluded"),
                Column("excluded_at", TIME, "When they were excluded.", empty="not excluded"),
                INCLUDED,
                Column("n_annotations", INTEGER, "Posts they finished rating.", "0 or more"),
                VERSION,
            ),
            ("rater_id",),
        ),
        Table(
            "ratings_long",
            "One row per rater, post and value.",
            (
                RATER,
                POST,
                VALUE,
                rating,
                Column("status", CODE, "Where the rating comes from.", STATUS_VALUES),
                Column(
                    "shown_rating", INTEGER, "The number that the rater marked on the screen.", shown,
                    "nothing was marked: status implied or not_shown",
                ),
                STEP_OR_NONE,
                SUBMITTED,
                VERSION,
                INCLUDED,
            ),
            ("rater_id", "post_id", "value"),
            effort=10,
        ),
        Table(
            "ratings_wide",
            "The same ratings, one row per rater and post: first the ratings, then where each comes from.",
            (
                RATER,
                POST,
                STEP_OR_NONE,
                SUBMITTED,
                VERSION,
                INCLUDED,
                *(
                    Column(
                        f"rating_{key}", INTEGER, f"Rating of the value {key}.", rating.values,
                        f"no rating exists: status_{key} is not_shown",
                    )
                    for key in value_keys
                ),
                *(
                    Column(f"status_{key}", CODE, f"Where the rating of {key} comes from.", STATUS_VALUES)
                    for key in value_keys
                ),
            ),
            ("rater_id", "post_id"),
            effort=3,
        ),
        Table(
            "annotations",
            "One row per rater and post: what else is known of the reading.",
            (
                RATER,
                POST,
                STEP_OR_NONE,
                Column(
                    "position", INTEGER, "The how-manieth post this was for the rater.", "1 for the first",
                    "ratings that were loaded from files",
                ),
                Column("opened", TEXT, "Keys of the groups that the rater opened, top down.", "separated by spaces"),
                Column("rationale", TEXT, "What the rater wrote about it, as it is.", empty="nothing written"),
                SUBMITTED,
                VERSION,
                INCLUDED,
            ),
            ("rater_id", "post_id"),
        ),
        Table(
            "assignments",
            "One row per post that was given to a rater, rated or not.",
            (
                RATER,
                POST,
                STEP,
                Column("position", INTEGER, "The how-manieth post this was for the rater.", "1 for the first"),
                Column(
                    "status", CODE, "What became of it.",
                    "open: not rated yet; submitted: rated; released: went back to the pool",
                ),
                Column("assigned_at", TIME, "When it was given."),
                Column("submitted_at", TIME, "When it was rated.", empty="not rated"),
            ),
            ("rater_id", "post_id"),
        ),
        Table(
            "step_completions",
            "One row per step that someone finished.",
            (RATER, STEP, STEP_KIND, Column("completed_at", TIME, "When they finished it.")),
            ("rater_id", "step"),
        ),
        Table(
            "gate_outcomes",
            "One row per gate or attention check that was decided.",
            (
                RATER,
                STEP,
                STEP_KIND,
                Column("passed", YES_NO, "Whether they passed."),
                Column("reason", TEXT, "Why, in words and counts."),
                Column("decided_at", TIME, "When it was decided."),
            ),
            ("rater_id", "step"),
        ),
        Table(
            "gate_attempts",
            "One row per answer to a question with a known answer: training, gates and attention checks.",
            (
                RATER,
                Column("attempt", INTEGER, "The how-manieth of this rater's attempts.", "1 for the first"),
                STEP,
                STEP_KIND,
                Column("item", TEXT, "Which post or question of the step.", empty="the step has one alone"),
                Column("answers", JSON, "What was answered."),
                Column("is_right", YES_NO, "Whether it was right."),
                Column("answered_at", TIME, "When it was answered."),
                VERSION,
            ),
            ("rater_id", "attempt"),
        ),
        Table(
            "questionnaire_items",
            "One row per question of the study's questionnaires, as they are now.",
            (
                Column("questionnaire", CODE, "The questionnaire."),
                Column("version", INTEGER, "Its version."),
                Column("item", CODE, "The question: a row of a grid counts as one."),
                Column("item_kind", CODE, "How it is answered.", "single, multiple, grid, number, text"),
                Column("label", TEXT, "The question as it is asked."),
                Column("options", JSON, "What can be chosen: a list of value and label.", empty="no options"),
            ),
            ("questionnaire", "item"),
        ),
        Table(
            "questionnaire_answers",
            "One row per rater and question.",
            (
                RATER,
                Column("questionnaire", CODE, "The questionnaire."),
                Column("version", INTEGER, "The version that was answered."),
                Column("item", CODE, "The question, as in the table questionnaire_items."),
                Column(
                    "status", CODE, "Whether there is an answer.",
                    "answered; declined: the rater preferred not to say; left_open: the question was passed over "
                    "(known only of questions that the questionnaire still asks)",
                ),
                Column(
                    "answer", TEXT, "The answer; of a multiple choice a JSON list of the marked options.",
                    empty="declined or left open",
                ),
                Column("number", INTEGER, "The answer as a number.", empty="the answer is no number"),
                Column("submitted_at", TIME, "When the questionnaire was submitted."),
                VERSION,
            ),
            ("rater_id", "questionnaire", "item"),
        ),
        Table(
            "scale_scores",
            "One row per rater and scale of the questionnaires that have a scoring key, as scored now.",
            (
                RATER,
                Column("questionnaire", CODE, "The questionnaire."),
                Column("scoring_key", CODE, "The scoring key, as docs and study file name it."),
                Column(
                    "scale", CODE, "The scale; a name ending in _centred is relative to the rater's mean rating."
                ),
                Column("score", NUMBER, "The score.", empty="there is none: see reason"),
                Column("n_answered", INTEGER, "How many of the scale's items have an answer.", "0 or more"),
                Column("reason", TEXT, "Why there is no score.", empty="there is one"),
            ),
            ("rater_id", "questionnaire", "scale"),
        ),
        Table(
            "calibration_answers",
            "One row per rater and question of the calibration questionnaire that was answered.",
            (
                RATER,
                Column("question", INTEGER, "The question's number.", "1 for the first, usually"),
                POST,
                VALUE,
                Column("rating", INTEGER, "The answer, on the scale of the ratings.", span),
                Column("shown_rating", INTEGER, "The number that the rater marked on the screen.", shown),
                Column("answered_at", TIME, "When it was answered."),
                VERSION,
            ),
            ("rater_id", "question"),
        ),
        Table(
            "page_visits",
            "Paradata: one row per page that was shown and answered. Browser's numbers are as the browser sent them.",
            (
                RATER,
                Column("visit", INTEGER, "The how-manieth page of this rater.", "1 for the first"),
                STEP,
                STEP_KIND,
                Column(
                    "item", TEXT, "Which post or question: in labeling the post_id, else what the step calls it.",
                    empty="the step is one page",
                ),
                Column("shown_at", TIME, "When the page was sent."),
                Column("answered_at", TIME, "When its answer came."),
                Column("seconds", NUMBER, "From the one to the other."),
                Column(
                    "browser_shown_ms", INTEGER, "Browser's clock when the page stood, milliseconds since 1970.",
                    empty="no scripts, or nothing usable came",
                ),
                Column(
                    "browser_answered_ms", INTEGER, "Milliseconds from then to the answer.",
                    empty="no scripts, or nothing usable came",
                ),
                Column(
                    "n_away", INTEGER, "How often the page was left for another window or tab.",
                    empty="no scripts, or nothing usable came",
                ),
                Column(
                    "away_ms", INTEGER, "Milliseconds spent away.", empty="no scripts, or nothing usable came"
                ),
                Column(
                    "viewport_width", INTEGER, "Width of the window, in CSS pixels.",
                    empty="no scripts, or nothing usable came",
                ),
                Column(
                    "viewport_height", INTEGER, "Height of the window, in CSS pixels.",
                    empty="no scripts, or nothing usable came",
                ),
                Column("n_changes", INTEGER, "Rows of this visit in page_changes.", "0 or more"),
            ),
            ("rater_id", "visit"),
        ),
        Table(
            "page_changes",
            "Paradata: one row per answer that was made or changed on a page, as the browser noted it.",
            (
                RATER,
                Column("visit", INTEGER, "The page, as in page_visits."),
                Column("change", INTEGER, "The how-manieth change on it.", "1 for the first"),
                Column("ms", INTEGER, "Milliseconds since the page stood."),
                Column("field", TEXT, "The field of the form."),
            ),
            ("rater_id", "visit", "change"),
        ),
        Table(
            "posts",
            "One row per post.",
            (
                POST,
                Column("purpose", CODE, "What it is there for.", "labeling, calibration"),
                Column("text", TEXT, "Its text, as it is.", empty="a post without text"),
                Column(
                    "context_kind", CODE, "How it refers to another post.", "reply, quote", "it stands alone"
                ),
                Column("context_text", TEXT, "The other post's text.", empty="it stands alone"),
                Column("metadata", JSON, "What else its file said of it; never shown to raters."),
            ),
            ("post_id",),
        ),
        Table(
            "values",
            "One row per value, in the order of every rating vector.",
            (
                Column("position", INTEGER, "Its place in the order.", "1 for the first"),
                VALUE,
                Column("name", TEXT, "Its name in the literature."),
                Column("label", TEXT, "The name shown to raters."),
                Column("definition", TEXT, "What raters read about it.", empty="no definition"),
                Column("groups", TEXT, "Keys of the groups above it, top down.", "separated by spaces"),
            ),
            ("value",),
        ),
        Table(
            "quality_flags",
            "One row per sign that someone may not have answered with care. A flag excludes nobody by itself.",
            (
                RATER,
                Column("rule", CODE, "The rule that speaks; the documentation describes each."),
                Column("number", NUMBER, "What was measured of this rater."),
                Column("limit", NUMBER, "From where on the rule speaks."),
                Column("flagged_at", TIME, "When it was last looked at."),
            ),
            ("rater_id", "rule"),
        ),
        Table(
            "withdrawals",
            "One row per person who took everything back: the proof alone. Remove their rows from older copies.",
            (
                RATER,
                Column("withdrawn_at", TIME, "When they did."),
                Column("erased", JSON, "How many rows of what were erased."),
            ),
            ("rater_id",),
        ),
        Table(
            "versions",
            "One row per frozen version of the study; the folder study/ holds each.",
            (
                Column("study_version", INTEGER, "The version's number."),
                Column("digest", CODE, "SHA-256 that names it.", "64 hexadecimal digits"),
                Column("code_version", TEXT, "The software that froze it."),
                Column("made_at", TIME, "When it was frozen."),
                Column("reason", TEXT, "Why, as the researcher said.", empty="not said"),
            ),
            ("study_version",),
        ),
    )  # fmt: skip


def describe_loading_tables(scale: tuple[int, int]) -> tuple[Table, ...]:
    """Return the files that `load_study` takes: included raters alone, gaps left out."""
    span = f"{scale[0]} to {scale[1]}"
    rating = Column("rating", INTEGER, "The rating.", span)
    return (
        Table(
            "ratings", "Ratings of the included raters.", (RATER, POST, VALUE, rating),
            ("rater_id", "post_id", "value"), effort=5,
        ),
        Table(
            "calibration", "Their answers to the calibration questionnaire.", (RATER, POST, VALUE, rating),
            ("rater_id", "post_id", "value"),
        ),
        Table(
            "posts", "Every post.",
            (
                POST,
                Column("text", TEXT, "Its text, as it is.", empty="a post without text"),
                Column("context_kind", CODE, "How it refers to another post.", "reply, quote", "it stands alone"),
                Column("context_text", TEXT, "The other post's text.", empty="it stands alone"),
                Column("metadata", JSON, "What else its file said of it."),
            ),
            ("post_id",),
        ),
    )  # fmt: skip
