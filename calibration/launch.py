"""What is wrong with the steps of this room before a study takes anyone in, in words."""

from annotation.models import Post, Step

from .instrument.items import Instrument, InstrumentError
from .models import Questionnaire


def find_vcq_faults(step: Step) -> list[str]:
    """A VCQ needs questions about values that the study has, on posts of the study that can be read."""
    study = step.study
    faults = [f"it has no setting '{key}'" for key in step.config]
    questions = list(study.calibration_questions.select_related("post"))
    if not questions:
        faults.append("the study has no calibration questions")
    unknown = sorted({question.value_key for question in questions} - set(study.value_keys))
    if unknown:
        faults.append(f"its questions name values that the study does not have: {', '.join(unknown)}")
    for posts, fault in (
        ([q.post for q in questions if q.post.study_id != study.pk], "belong to another study"),
        ([q.post for q in questions if q.post.purpose != Post.Purpose.CALIBRATION], "are given to label too"),
        ([q.post for q in questions if not q.post.text.strip()], "have no text"),
    ):
        if posts:
            keys = sorted({post.key for post in posts})
            faults.append(f"posts that its questions ask about {fault}: {', '.join(keys)}")
    return faults


def find_questionnaire_faults(step: Step) -> list[str]:
    """A questionnaire step names one of the study's questionnaires, which no other step asks."""
    faults = [f"it has no setting '{key}'" for key in step.config if key != "questionnaire"]
    key = step.config.get("questionnaire")
    questionnaire = Questionnaire.objects.filter(study=step.study, key=str(key)).first()
    if questionnaire is None:
        there = ", ".join(step.study.questionnaires.values_list("key", flat=True)) or "none"
        return [*faults, f"there is no questionnaire {key!r:.40}; the study has: {there}"]
    faults += _find_faults_of_items(questionnaire)
    others = step.study.steps.filter(kind=step.kind).exclude(pk=step.pk)
    if any(isinstance(other.config, dict) and other.config.get("questionnaire") == key for other in others):
        faults.append(f"the questionnaire '{key}' is asked in another step too")
    return faults


def _find_faults_of_items(questionnaire: Questionnaire) -> list[str]:
    try:
        Instrument.from_dict(questionnaire.definition)
    except InstrumentError as error:
        return [f"the questionnaire '{questionnaire.key}': {fault}" for fault in error.faults]
    return []
