from django.apps import AppConfig


class CalibrationConfig(AppConfig):
    """What a rater answers once: the calibration questionnaire and questions about themselves."""

    name = "calibration"

    def ready(self) -> None:
        from annotation.steps import StepKind, register

        register(
            StepKind(
                "vcq",
                "Value Calibration Questionnaire",
                "calibration.views.vcq.answer_question",
                enter_path="calibration.services.begin_vcq",
                item_path="calibration.selectors.get_vcq_item",
                faults_path="calibration.launch.find_vcq_faults",
            )
        )
        register(
            StepKind(
                "questionnaire",
                "Questionnaire",
                "calibration.views.questionnaire.answer_questionnaire",
                faults_path="calibration.launch.find_questionnaire_faults",
            )
        )
