from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    """A rater's way through the study, from arrival to completion code."""

    name = "annotation"

    def ready(self) -> None:
        from annotation import steps

        steps.register_own_kinds()
