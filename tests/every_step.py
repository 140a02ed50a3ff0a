"""A study with steps of every kind, and what someone answers there who knows what is right."""

from annotation.models import Outcome, Study
from annotation.selectors import get_tree
from annotation.tree.known import read_gating_config, read_training_config
from annotation.tree.walk import Reading
from modeling.simulated_raters import pass_reading
from tests.factories import QuestionnaireFactory, StepFactory, StudyFactory

FOCUS = ("security", "conformity", "tradition", "benevolence", "universalism")
TRAINING = {
    "intro": "Four posts to begin with.",
    "tolerance": 1,
    "posts": [
        {
            "key": "swim",
            "text": "I swim because it is fun.",
            "context": None,
            "marks": {
                "statement": ["personal_focus"],
                "personal_focus": ["openness"],
                "openness": ["enjoyment"],
            },
            "ratings": {"hedonism": 4},
            "why": {
                "statement": "It speaks of the swimmer alone.",
                "personal_focus": "Fun is what counts here.",
                "openness": "It is enjoyed.",
                "hedonism": "It is all about the fun.",
            },
        },
        {
            "key": "soup",
            "text": "We bring soup to the old lady upstairs.",
            "context": {"kind": "reply", "text": "Who lives in your house?"},
            "marks": {"statement": ["social_focus"]},
            "ratings": dict.fromkeys(FOCUS, 1) | {"benevolence": 5},
            "why": {"statement": "It speaks of others."} | {key: f"About {key}." for key in FOCUS},
        },
    ],
}
GATING = {
    "intro": "",
    "threshold": 2,
    "posts": [
        {
            "key": "boss",
            "text": "I decide here.",
            "context": None,
            "value": "power",
            "expresses": True,
        },
        {
            "key": "lock",
            "text": "Lock your doors.",
            "context": None,
            "value": "security",
            "expresses": True,
        },
        {
            "key": "duty",
            "text": "Work comes first.",
            "context": None,
            "value": "hedonism",
            "expresses": False,
        },
    ],
}
GRID = {
    "kind": "grid",
    "question": "How much do you agree?",
    "options": [
        {"value": str(level), "label": label}
        for level, label in enumerate(("Not at all", "Hardly", "Partly", "Mostly", "Entirely"))
    ],
    "rows": [
        {"key": "item", "text": "I like reading."},
        {"key": "told", "text": "Please choose “Mostly” here.", "instructed": "3"},
        {"key": "page", "text": "I like writing."},
    ],
}
TEXT = {
    "title": "What to do",
    "sections": [{"heading": "Read", "text": "Read each post."}, {"text": "Rate it."}],
}
ABOUT_YOU = {
    "key": "about",
    "version": 1,
    "title": "About you",
    "intro": "",
    "items": [
        {
            "key": "pet",
            "kind": "single",
            "label": "Do you have a pet?",
            "options": [{"value": "cat", "label": "A cat"}, {"value": "dog", "label": "A dog"}],
            "required": True,
        }
    ],
}
CONFIGS = {
    "instructions": TEXT,
    "debrief": TEXT | {"title": "What it was about"},
    "number": {"kind": "number"},
    "grid": GRID,
    "training": TRAINING,
    "gating": GATING,
    "questionnaire": {"questionnaire": "about"},
}
KINDS = {"number": "attention_check", "grid": "attention_check"}
EVERY_STEP = (
    "consent",
    "instructions",
    "number",
    "training",
    "gating",
    "labeling",
    "grid",
    "labeling",
    "vcq",
    "questionnaire",
    "debrief",
)
ALL_CODES = {outcome: f"CODE{number}XYZ" for number, outcome in enumerate(Outcome.values, start=1)}


def build_study(*names: str, **fields) -> Study:
    """A live study of these steps: kinds, with `number` and `grid` for the two attention checks."""
    study = StudyFactory(**({"steps": (), "codes": ALL_CODES, "outcome_texts": {}} | fields))
    for position, name in enumerate(names, start=1):
        config = CONFIGS.get(name, {})
        StepFactory(study=study, position=position, kind=KINDS.get(name, name), config=config)
    if "questionnaire" in names:
        QuestionnaireFactory(study=study, key="about", definition=ABOUT_YOU)
    return study


def know_training(study: Study, config: dict = TRAINING) -> dict[str, Reading]:
    """The right reading of each practice post."""
    plan = read_training_config(get_tree(study.value_system), config)
    return {post.key: post.reading for post in plan.posts}


def know_gate(study: Study, config: dict = GATING) -> dict[str, Reading]:
    """A reading that is right for each of the gate's posts."""
    tree = get_tree(study.value_system)
    return {post.key: pass_reading(tree, post) for post in read_gating_config(tree, config).posts}
