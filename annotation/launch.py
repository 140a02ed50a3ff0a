"""What is wrong with a study before it takes anyone in: each reason in words, all of them at once.

Faults keep a study from going live. Warnings are what a researcher should know and may have wanted.
"""

import gettext
import re
from collections import Counter
from collections.abc import Iterable

from django.conf import settings
from django.utils.translation import to_locale

from annotation import steps
from annotation.attention.grid import AttentionConfigError, GridCheck, read_attention_config
from annotation.fairness import (
    MINIMUM_HOURLY,
    compute_hourly_pay,
    compute_least_reward,
    format_money,
    is_paid_fairly,
)
from annotation.timing import allowed_minutes
from annotation.tree.known import KnownPostError, read_gating_config, read_training_config
from annotation.tree.nodes import TreeError

from .models import Outcome, Post, Step, Study
from .selectors import get_n_posts, get_tree

ONCE = ("consent", "vcq", "debrief")
AROUND_THE_WORK = ("consent", "instructions", "attention_check", "training", "gating", "debrief")
PREPARING = ("instructions", "training", "gating")
REJECTABLE_FROM_MINUTES = 5
FAILURES_NEEDED = 2
PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
TEXTS_OF_STEPS = ("title", "intro", "sections", "question")


def find_faults(study: Study) -> list[str]:
    """Return every reason why the study cannot go live; [] when it can."""
    path = list_path(study)
    return [
        *find_faults_of_values(study),
        *find_faults_of_order(path),
        *find_faults_of_texts(study, path),
        *find_faults_of_attention(study, path),
        *find_faults_of_limits(study),
        *find_faults_of_pay(study),
        *find_faults_of_posts(study, path),
        *find_faults_of_steps(study, path),
    ]


def find_warnings(study: Study) -> list[str]:
    """Return what may surprise the researcher of a study that can go live."""
    path = list_path(study)
    return [
        *find_warnings_of_codes(study, path),
        *find_warnings_of_language(study),
        *find_warnings_of_assignment(study),
        *find_warnings_of_order(path),
    ]


def find_faults_ahead(study: Study, step: Step | None) -> list[str]:
    """Return what keeps someone who stands at a step from seeing it, or from going on to the next one.

    Without a step: what keeps someone from coming in.
    """
    path = list_path(study)
    start = path.index(step) if step in path else 0
    ahead = path[start : start + 2] if step else path[:1]
    return find_faults_of_values(study) or [fault for each in ahead for fault in find_faults_of_step(each)]


def list_path(study: Study) -> list[Step]:
    return list(study.steps.order_by("position"))


def is_translated(language: str) -> bool:
    """Whether the participant's pages are there in a language."""
    return language.split("-")[0] == "en" or any(
        gettext.find("django", folder, [to_locale(language)]) for folder in settings.LOCALE_PATHS
    )


def list_item_keys(kind: str, config: object) -> list[object]:
    """Return the keys of a step's posts with known answers: people stand at one of them."""
    posts = config.get("posts") if isinstance(config, dict) and kind in ("training", "gating") else None
    return [post.get("key") for post in posts if isinstance(post, dict)] if isinstance(posts, list) else []


def list_outcomes(study: Study, path: list[Step]) -> list[Outcome]:
    """Return every way out that someone in this study can take."""
    kinds = [step.kind for step in path]
    ends = study.attention_consequence == Study.AttentionConsequence.END
    conditions = {
        Outcome.NO_CONSENT: "consent" in kinds,
        Outcome.FAILED_ATTENTION: "attention_check" in kinds and ends,
        Outcome.SCREENED_OUT: "gating" in kinds,
        Outcome.STUDY_FULL: "labeling" in kinds and study.redundancy_cap is not None,
    }
    return [outcome for outcome in Outcome if conditions.get(outcome, True)]


# --- the study as a whole ------------------------------------------------------------------------


def find_faults_of_values(study: Study) -> list[str]:
    try:
        tree = get_tree(study.value_system)
    except TreeError as error:
        return ["The value system is not complete: " + "; ".join(error.faults) + "."]
    if list(tree.value_keys) != study.value_keys:
        return ["The value system has changed since the study was saved: save the study again."]
    return []


def find_faults_of_order(path: list[Step]) -> list[str]:
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


def find_faults_of_texts(study: Study, path: list[Step]) -> list[str]:
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
    return faults + _find_placeholders(study, path)


def find_faults_of_attention(study: Study, path: list[Step]) -> list[str]:
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


def _find_placeholders(study: Study, path: list[Step]) -> list[str]:
    """What a ready-made text leaves to its researchers; posts may say what they like."""
    pages = study.outcome_texts if isinstance(study.outcome_texts, dict) else {}
    texts: list[tuple[str, object]] = [
        ("The title", study.title),
        ("The welcome text", study.welcome),
        ("The consent page", study.consent),
    ]
    texts += [(f"The last page of '{outcome}'", page) for outcome, page in pages.items()]
    for step in path:
        config = step.config if isinstance(step.config, dict) else {}
        own = [text for name, text in config.items() if name in TEXTS_OF_STEPS]
        texts.append((f"Step {step.position} ({_label(step.kind)})", own))
    faults = []
    for place, text in texts:
        if found := list(dict.fromkeys(PLACEHOLDER.findall("\n".join(_list_texts(text))))):
            one, word = len(found) == 1, "placeholder" if len(found) == 1 else "placeholders"
            faults.append(
                f"{place} contains {'a ' if one else ''}{word} {', '.join(found)}: write what belongs there, "
                "without square brackets."
            )
    return faults


def _list_texts(data: object) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _list_texts(each)


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


def find_faults_of_limits(study: Study) -> list[str]:
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


def find_faults_of_pay(study: Study) -> list[str]:
    """Prolific's minimum for the announced time; a study that names no reward has no fault yet."""
    if study.reward is None or study.estimated_minutes < 1:
        return []
    if is_paid_fairly(study.reward, study.estimated_minutes, study.currency):
        return []
    pay = compute_hourly_pay(study.reward, study.estimated_minutes)
    least = compute_least_reward(study.estimated_minutes, study.currency)
    return [
        f"A reward of {format_money(study.reward, study.currency)} for {study.estimated_minutes} minutes is "
        f"{format_money(pay, study.currency)} an hour; Prolific's minimum is "
        f"{format_money(MINIMUM_HOURLY[study.currency], study.currency)}: pay "
        f"{format_money(least, study.currency)} at least."
    ]


def find_faults_of_posts(study: Study, path: list[Step]) -> list[str]:
    if not any(step.kind == "labeling" for step in path):
        return []
    posts = study.posts.filter(purpose=Post.Purpose.LABELING).values_list("text", flat=True)
    n_blank = sum(not text.strip() for text in posts)
    return [f"{n_blank} of the posts to label have no text."] if n_blank else []


# --- what a researcher should know ----------------------------------------------------------------


def find_warnings_of_codes(study: Study, path: list[Step]) -> list[str]:
    codes = dict(study.completion_codes.values_list("outcome", "code"))
    warnings = []
    without = [str(outcome.label) for outcome in list_outcomes(study, path) if outcome not in codes]
    if without:
        warnings.append(
            f"Prolific will get no completion code from raters who end with: {', '.join(without)}."
        )
    spellings = Counter(code.upper() for code in codes.values())
    if twice := sorted(code for code, n in spellings.items() if n > 1):
        warnings.append(
            f"Two ways out have the same code but for capital letters: {', '.join(twice)}. Give each its own."
        )
    return warnings


def find_warnings_of_language(study: Study) -> list[str]:
    if is_translated(study.language):
        return []
    return [f"The buttons and messages are not translated into '{study.language}': they will be in English."]


def find_warnings_of_assignment(study: Study) -> list[str]:
    if study.strategy != Study.Strategy.FIXED or study.redundancy_cap is None:
        return []
    return [
        "Everyone is to get the same posts, but the cap gives other posts, or none, to those who come late."
    ]


def find_warnings_of_order(path: list[Step]) -> list[str]:
    kinds = [step.kind for step in path]
    if "questionnaire" not in kinds or "gating" not in kinds[kinds.index("questionnaire") :]:
        return []
    return ["A gate stands after a questionnaire: Prolific wants people screened at the very start."]


# --- settings of the kinds of steps --------------------------------------------------------------


def find_faults_of_steps(study: Study, path: list[Step]) -> list[str]:
    """The settings of some kinds are checked against the value tree, so they wait until that is complete."""
    if find_faults_of_values(study):
        return []
    return [fault for step in path for fault in find_faults_of_step(step)]


def find_faults_of_step(step: Step) -> list[str]:
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
    faults = find_labeling_setting_faults(step)
    if not _is_count(get_n_posts(study, step)):
        return faults
    up_to_here = study.steps.filter(kind=step.kind, position__lte=step.position)
    counts = [get_n_posts(study, other) for other in up_to_here if isinstance(other.config, dict)]
    n_asked = sum(count for count in counts if _is_count(count))
    n_there = study.posts.filter(purpose=Post.Purpose.LABELING).count()
    if n_there < n_asked:
        faults.append(f"it asks for {n_asked} posts by here, but the study has {n_there}")
    return faults


def find_labeling_setting_faults(step: Step) -> list[str]:
    """Labeling has one setting: a number of posts other than the study's."""
    faults = [f"it has no setting '{key}'" for key in step.config if key != "posts"]
    n_posts = get_n_posts(step.study, step)
    if not _is_count(n_posts):
        faults.append(f"'posts' must be a whole number from 1, not {n_posts!r:.40}")
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
