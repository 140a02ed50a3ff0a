from django.apps import AppConfig


class CalibrationConfig(AppConfig):
    """What a rater answers once: the calibration questionnaire and questions about themselves."""

    name = "calibration"

    def ready(self) -> None:
        from annotation.steps import StepKind, register
        from annotation.studyfile.parts import Part
        from annotation.studyfile.parts import register as register_part

        register(
            StepKind(
                "vcq",
                "Value Calibration Questionnaire",
                "calibration.views.vcq.answer_question",
                enter_path="calibration.services.begin_vcq",
                item_path="calibration.selectors.get_vcq_item",
                faults_path="calibration.launch.find_vcq_faults",
                settings_path="annotation.steps.find_no_faults",
            )
        )
        register(
            StepKind(
                "questionnaire",
                "Questionnaire",
                "calibration.views.questionnaire.answer_questionnaire",
                faults_path="calibration.launch.find_questionnaire_faults",
                reads=("questionnaires",),
            )
        )
        for key in ("questionnaires", "vcq"):
            register_part(
                Part(
                    key,
                    dump_path=f"calibration.studyfile.dump_{key}",
                    check_path=f"calibration.studyfile.check_{key}",
                    load_path=f"calibration.studyfile.load_{key}",
                    paper_path=f"calibration.studyfile.describe_paper_{key}",
                )
            )
