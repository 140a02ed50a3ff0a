"""What is wrong with a study before it takes anyone in: each reason in words, all of them at once.

Faults keep a study from going live. Warnings are what a researcher should know and may have wanted.
"""

import gettext
from collections.abc import Iterable

from django.conf import settings
from django.utils.translation import to_locale

from annotation import steps
from annotation.attention.grid import AttentionConfigError, GridCheck, read_attention_config
from annotation.timing import allowed_minutes
from annotation.tree.known import KnownPostError, read_gating_config, read_training_config
from annotation.tree.nodes import TreeError

from .errors import Refused
from .models import Outcome, Post, Step, Study
from .selectors import get_n_posts, get_tree

ONCE = ("consent", "vcq", "debrief")
AROUND_THE_WORK = ("consent", "instructions", "attention_check", "training", "gating", "debrief")
PREPARING = ("instructions", "training", "gating")
REJECTABLE_FROM_MINUTES = 5
FAILURES_NEEDED = 2


def find_faults(study: Study) -> list[str]:
    """Return every reason why the study cannot go live; [] when it can."""
    path = list(study.steps.order_by("position"))
    faults_of_values = _find_faults_of_values(study)
    faults = [
        *faults_of_values,
        *_find_faults_of_order(path),
        *_find_faults_of_texts(study, path),
        *_find_faults_of_attention(study, path),
        *_find_faults_of_limits(study),
        *_find_faults_of_posts(study, path),
    ]
    if not faults_of_values:  # the settings of some kinds are checked against the value tree
        faults += [fault for step in path for fault in _find_faults_of_step(step)]
    return faults


def find_warnings(study: Study) -> list[str]:
    """Return what may surprise the researcher of a study that can go live."""
    path = list(study.steps.order_by("position"))
    kinds = [step.kind for step in path]
    warnings = []
    coded = set(study.completion_codes.values_list("outcome", flat=True))
    without = [str(outcome.label) for outcome in _list_outcomes(study, kinds) if outcome not in coded]
    if without:
        warnings.append(
            f"Prolific will get no completion code from raters who end with: {', '.join(without)}."
        )
    if not is_translated(study.language):
        warnings.append(
            f"The buttons and messages are not translated into '{study.language}': they will be in English."
        )
    if study.strategy == Study.Strategy.FIXED and study.redundancy_cap is not None:
        warnings.append(
            "Everyone is to get the same posts, but the cap gives other posts, or none, to those who come late."
        )
    if "questionnaire" in kinds and "gating" in kinds[kinds.index("questionnaire") :]:
        warnings.append(
            "A gate stands after a questionnaire: Prolific wants people screened at the very start."
        )
    return warnings


def launch(study: Study) -> None:
    """Let people in. Raises Refused, with every reason, for a study that cannot work."""
    faults = find_faults(study)
    if faults:
        raise Refused("The study cannot go live yet: " + " ".join(faults))
    study.state = Study.State.LIVE
    study.save(update_fields=["state"])


def is_translated(language: str) -> bool:
    """Whether the participant's pages are there in a language."""
    return language.split("-")[0] == "en" or any(
        gettext.find("django", folder, [to_locale(language)]) for folder in settings.LOCALE_PATHS
    )


def list_item_keys(kind: str, config: object) -> list[object]:
    """Return the keys of a step's posts with known answers: people stand at one of them."""
    posts = config.get("posts") if isinstance(config, dict) and kind in ("training", "gating") else None
    return [post.get("key") for post in posts if isinstance(post, dict)] if isinstance(posts, list) else []


def _list_outcomes(study: Study, kinds: list[str]) -> list[Outcome]:
    """Return every way out that someone in this study can take."""
    ends = study.attention_consequence == Study.AttentionConsequence.END
    conditions = {
        Outcome.NO_CONSENT: "consent" in kinds,
        Outcome.FAILED_ATTENTION: "attention_check" in kinds and ends,
        Outcome.SCREENED_OUT: "gating" in kinds,
        Outcome.STUDY_FULL: "labeling" in kinds and study.redundancy_cap is not None,
    }
    return [outcome for outcome in Outcome if conditions.get(outcome, True)]


# --- the study as a whole ------------------------------------------------------------------------


def _find_faults_of_values(study: Study) -> list[str]:
    try:
        tree = get_tree(study.value_system)
    except TreeError as error:
        return ["The value system is not complete: " + "; ".join(error.faults) + "."]
    if list(tree.value_keys) != study.value_keys:
        return ["The value system has changed since the study was saved: save the study again."]
    return []


def _find_faults_of_order(path: list[Step]) -> list[str]:
    kinds = [step.kind for step in path]
    if not kinds:
        return ["The study has no steps."]
    faults = []
    if kinds[0] != "consent":
        faults.append("The first step must be the consent: nothing may be asked of people before it.")
    faults += [f"There can be only one step '{_label(kind)}'." for kind in ONCE if kinds.count(kind) > 1]
    if "debrief" in kinds and kinds[-1] != "debrief":
        faults.append("The debrief must be the last step.")
    work = [place for place, kind in enumerate(kinds) if kind not in AROUND_THE_WORK]
    if not work:
        faults.append("No step asks anything of interest: add labeling, a VCQ or a questionnaire.")
        return faults
    for place, kind in enumerate(kinds):
        if kind in PREPARING and place > work[-1]:
            faults.append(
                f"Step {path[place].position} ({_label(kind)}) prepares for nothing: no work follows it."
            )
    gates = [place for place, kind in enumerate(kinds) if kind == "gating"]
    # A questionnaire may come first: it can be what the eligible are told by, and takes no lasting effort.
    effort = [place for place in work if kinds[place] != "questionnaire"]
    if gates and effort and gates[-1] > effort[0]:
        faults.append(
            f"A gate stands after step {path[effort[0]].position} ({_label(kinds[effort[0]])}): screening out comes "
            "before the work, never after it."
        )
    if gates and "training" in kinds[gates[0] :] and "training" not in kinds[: gates[0]]:
        faults.append("A gate stands before the training: people must have learnt what is asked of them.")
    if "labeling" in kinds and "training" in kinds and kinds.index("training") > kinds.index("labeling"):
        faults.append("The training stands after labeling, which it should prepare for.")
    return faults


def _find_faults_of_texts(study: Study, path: list[Step]) -> list[str]:
    """The texts that belong to the study and not to one of its steps."""
    faults = []
    texts = study.consent if isinstance(study.consent, dict) else {}
    if any(step.kind == "consent" for step in path):
        absent = [name for name in ("title", "agree", "decline") if not _is_text(texts.get(name))]
        absent += [] if _are_sections(texts.get("sections")) else ["sections"]
        if absent:
            faults.append(f"The consent step needs texts; missing in 'consent': {', '.join(absent)}.")
        elif texts["agree"] == texts["decline"]:
            faults.append("The two answers of the consent, 'agree' and 'decline', are the same.")
    pages = study.outcome_texts
    if not isinstance(pages, dict) or not all(isinstance(page, dict) for page in pages.values()):
        faults.append("'outcome texts' must have an object with 'title' and 'text' for each outcome.")
    return faults


def _find_faults_of_attention(study: Study, path: list[Step]) -> list[str]:
    """Prolific's fairness rules: two failed checks at least, in a study of five minutes or more."""
    checks = [step for step in path if step.kind == "attention_check"]
    faults = _find_repeated_rows(checks)
    if not checks or study.attention_consequence != Study.AttentionConsequence.END:
        return faults
    if study.attention_limit < 1:
        faults.append("The study cannot end for someone who failed no attention check: raise the limit.")
    elif study.estimated_minutes >= REJECTABLE_FROM_MINUTES and study.attention_limit < FAILURES_NEEDED:
        faults.append(
            f"A study of {REJECTABLE_FROM_MINUTES} minutes or more may end for someone only after {FAILURES_NEEDED} "
            "failed attention checks (Prolific's rule): raise the limit."
        )
    if study.attention_limit > len(checks):
        faults.append(
            f"The study ends for someone after {study.attention_limit} failed attention checks, but has only "
            f"{len(checks)}: add checks, lower the limit, or only note failures."
        )
    return faults


def _find_repeated_rows(checks: Iterable[Step]) -> list[str]:
    faults = []
    places: dict[str, int] = {}
    for step in checks:
        try:
            check = read_attention_config(step.config)
        except AttentionConfigError:
            continue  # named among the faults of the step
        for row in check.rows if isinstance(check, GridCheck) else ():
            first = places.setdefault(row.key, step.position)
            if first != step.position:
                faults.append(
                    f"The attention checks of steps {first} and {step.position} both have a row '{row.key}': name "
                    "one of them differently."
                )
    return faults


def _find_faults_of_limits(study: Study) -> list[str]:
    faults = []
    if study.estimated_minutes < 1:
        faults.append("The estimated time must be a minute at least.")
    elif study.max_minutes is not None and study.max_minutes < allowed_minutes(study.estimated_minutes):
        faults.append(
            f"People may take {allowed_minutes(study.estimated_minutes)} minutes at Prolific for an estimate of "
            f"{study.estimated_minutes}; the study allows only {study.max_minutes}."
        )
    if study.redundancy_cap is not None and study.redundancy_cap < 1:
        faults.append("With a cap below 1 no post can be given to anyone: raise it or leave it empty.")
    return faults


def _find_faults_of_posts(study: Study, path: list[Step]) -> list[str]:
    if not any(step.kind == "labeling" for step in path):
        return []
    posts = study.posts.filter(purpose=Post.Purpose.LABELING).values_list("text", flat=True)
    n_blank = sum(not text.strip() for text in posts)
    return [f"{n_blank} of the posts to label have no text."] if n_blank else []


# --- settings of the kinds of steps --------------------------------------------------------------


def _find_faults_of_step(step: Step) -> list[str]:
    kind = steps.KINDS.get(step.kind)
    if kind is None:
        return [f"Step {step.position}: there is no kind of step '{step.kind}'."]
    if not isinstance(step.config, dict):
        faults = ["its settings must be an object: { ... }"]
    else:
        faults = kind.find_faults(step)
    return [f"Step {step.position} ({kind.label}): {fault.rstrip('.')}." for fault in faults]


def find_text_faults(step: Step) -> list[str]:
    """A text needs a title and sections, each with its words."""
    config = step.config
    faults = [f"it has no setting '{key}'" for key in config if key not in ("title", "sections")]
    if not _is_text(config.get("title")):
        faults.append("'title' is missing")
    if not _are_sections(config.get("sections")):
        faults.append("'sections' must be a list of objects with a 'text' and, if wanted, a 'heading'")
    return faults


def find_attention_faults(step: Step) -> list[str]:
    """An attention check follows the rules of `annotation.attention`."""
    try:
        read_attention_config(step.config)
    except AttentionConfigError as error:
        return list(error.faults)
    return []


def find_training_faults(step: Step) -> list[str]:
    """Training needs posts whose right reading fits the value tree."""
    try:
        read_training_config(get_tree(step.study.value_system), step.config)
    except KnownPostError as error:
        return list(error.faults)
    return []


def find_gating_faults(step: Step) -> list[str]:
    """A gate needs posts about values of the tree, and a threshold."""
    try:
        read_gating_config(get_tree(step.study.value_system), step.config)
    except KnownPostError as error:
        return list(error.faults)
    return []


def find_labeling_faults(step: Step) -> list[str]:
    """Labeling needs posts, as many as one person is to read in all its labeling steps."""
    study = step.study
    faults = [f"it has no setting '{key}'" for key in step.config if key != "posts"]
    n_posts = get_n_posts(study, step)
    if not _is_count(n_posts):
        return [*faults, f"'posts' must be a whole number from 1, not {n_posts!r:.40}"]
    up_to_here = study.steps.filter(kind=step.kind, position__lte=step.position)
    counts = [get_n_posts(study, other) for other in up_to_here if isinstance(other.config, dict)]
    n_asked = sum(count for count in counts if _is_count(count))
    n_there = study.posts.filter(purpose=Post.Purpose.LABELING).count()
    if n_there < n_asked:
        faults.append(f"it asks for {n_asked} posts by here, but the study has {n_there}")
    return faults


def _label(kind: str) -> str:
    return steps.KINDS[kind].label if kind in steps.KINDS else kind


def _is_text(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _are_sections(sections: object) -> bool:
    return (
        isinstance(sections, list)
        and bool(sections)
        and all(
            isinstance(part, dict)
            and set(part) <= {"heading", "text"}
            and isinstance(part.get("heading", ""), str)
            and _is_text(part.get("text"))
            for part in sections
        )
    )
