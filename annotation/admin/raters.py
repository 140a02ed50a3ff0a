"""Raters and what they left, to be read: nobody edits an answer."""

from django.contrib import admin
from django.db.models import Count, Q
from django.http import QueryDict
from django.utils.html import format_html, format_html_join

from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    ConsentRecord,
    Draft,
    Enrollment,
    GateDecision,
    Outcome,
    PageVisit,
    Rater,
    StepCompletion,
    Withdrawal,
)
from annotation.permissions import Deed, is_administrator
from annotation.signals import answers_erased
from annotation.tree.walk import CHOSEN, IMPLIED, NOT_SHOWN

from .objects import show_json
from .rows import RaterRowAdmin, ReadOnlyAdmin, ReadOnlyInline, mark_simulated
from .scoped import IdentityScopedAdmin, list_study_ids

CODES = {CHOSEN: "chosen", IMPLIED: "implied: its group was not opened", NOT_SHOWN: "not shown"}


@admin.register(Rater)
class RaterAdmin(ReadOnlyAdmin, IdentityScopedAdmin):
    """Raters of the studies that the account may see; who they are where it may know."""

    study_path = "enrollments__study"
    identity_path = "external_id"
    list_display = ["pseudonym", "origin", "n_studies", "simulated"]
    list_filter = ["origin"]
    search_fields = ["pseudonym"]
    search_help_text = "A pseudonym or a whole id of the origin, as a rater gives it when writing to you."
    fields = ["pseudonym", "origin", "external_id"]
    ordering = ["pk"]

    def get_queryset(self, request):
        studies = list_study_ids(request, Deed.SEE)
        return (
            super()
            .get_queryset(request)
            .annotate(n_studies=Count("enrollments", filter=Q(enrollments__study__in=studies), distinct=True))
        )

    def may_with(self, request, rater, deed):
        """A rater may be in several studies: one of them is enough to be seen in."""
        if rater is None or is_administrator(request.user):
            return super().may_with(request, None, deed)
        return rater.enrollments.filter(study__in=list_study_ids(request, deed)).exists()

    def has_delete_permission(self, request, obj=None):
        return is_administrator(request.user)

    @admin.display(description="studies", ordering="n_studies")
    def n_studies(self, rater):
        return rater.n_studies

    @admin.display(description="simulated", ordering="origin")
    def simulated(self, rater):
        return mark_simulated(rater.is_simulated)


class ConsentRecordInline(ReadOnlyInline):
    model = ConsentRecord
    fields = readonly_fields = ["given", "version", "at"]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("enrollment__rater", "enrollment__study")


class StepCompletionInline(ReadOnlyInline):
    model = StepCompletion
    fields = readonly_fields = ["step", "at"]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("enrollment__rater", "enrollment__study", "step")


class GateDecisionInline(ReadOnlyInline):
    model = GateDecision
    fields = readonly_fields = ["step", "passed", "reason", "at"]
    verbose_name_plural = "gates and attention checks"

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("enrollment__rater", "enrollment__study", "step")


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin, IdentityScopedAdmin):
    identity_path = "rater__external_id"
    inlines = [ConsentRecordInline, StepCompletionInline, GateDecisionInline]
    list_display = ["pseudonym", "study", "outcome", "timed_out", "started_at", "finished_at", "simulated"]
    list_filter = ["study", "outcome", ("timed_out_at", admin.EmptyFieldListFilter), "rater__origin"]
    list_select_related = ["study", "rater"]
    search_fields = ["public_id", "rater__pseudonym"]
    date_hierarchy = "started_at"
    ordering = ["-started_at", "-pk"]
    fields = [
        "public_id",
        "study",
        "rater",
        "simulated",
        "outcome",
        "started_at",
        "finished_at",
        "timed_out_at",
        "prolific_study_id",
        "prolific_session_id",
    ]
    readonly_fields = ["simulated"]

    def has_delete_permission(self, request, obj=None):
        """The proof that someone withdrew stays."""
        is_proof = obj is not None and obj.outcome == Outcome.WITHDREW
        return not is_proof and self.may_with(request, obj, Deed.ERASE)

    def get_deleted_objects(self, objs, request):
        """A rater who is deleted takes all their answers along, which nobody deletes one by one."""
        to_delete, counts, _, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, set(), protected

    def delete_model(self, request, enrollment):
        completed_at = enrollment.finished_at if enrollment.outcome == Outcome.COMPLETED else None
        super().delete_model(request, enrollment)
        answers_erased.send(
            sender=Enrollment,
            study=enrollment.study,
            began_at=enrollment.started_at,
            completed_at=completed_at,
        )

    @admin.display(description="rater", ordering="rater__pseudonym")
    def pseudonym(self, enrollment):
        return enrollment.rater.pseudonym

    @admin.display(description="timed out", ordering="timed_out_at", boolean=True)
    def timed_out(self, enrollment):
        return enrollment.timed_out_at is not None

    @admin.display(description="simulated", ordering="rater__origin")
    def simulated(self, enrollment):
        return mark_simulated(enrollment.rater.is_simulated)


@admin.register(Assignment)
class AssignmentAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "position", "post_key", "status", "submitted_at", "simulated"]
    list_filter = ["enrollment__study", "status", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "post"]
    search_fields = ["enrollment__rater__pseudonym", "post__key"]
    fields = ["enrollment", "step", "post", "position", "status", "assigned_at", "submitted_at", "simulated"]
    readonly_fields = ["simulated"]
    ordering = ["-pk"]

    @admin.display(description="post", ordering="post__key")
    def post_key(self, assignment):
        return assignment.post.key


@admin.register(Annotation)
class AnnotationAdmin(RaterRowAdmin):
    view_deed = Deed.EXPORT
    list_display = ["pseudonym", "study", "post_key", "submitted_at", "simulated"]
    list_filter = ["enrollment__study", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "post"]
    search_fields = ["enrollment__rater__pseudonym", "post__key", "rationale"]
    date_hierarchy = "submitted_at"
    fields = [
        "enrollment",
        "post",
        "assignment",
        "submitted_at",
        "simulated",
        "rating_table",
        "opened_groups",
        "rationale",
    ]
    readonly_fields = ["simulated", "rating_table", "opened_groups"]
    ordering = ["-pk"]

    @admin.display(description="post", ordering="post__key")
    def post_key(self, annotation):
        return annotation.post.key

    @admin.display(description="ratings")
    def rating_table(self, annotation):
        keys = annotation.enrollment.study.value_keys
        rows = (
            (key, "–" if rating is None else rating, CODES.get(code, code))
            for key, rating, code in zip(keys, annotation.ratings, annotation.codes, strict=True)
        )
        return format_html(
            "<table>{}</table>",
            format_html_join("", '<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>', rows),
        )

    @admin.display(description="opened")
    def opened_groups(self, annotation):
        return ", ".join(annotation.opened) or "–"


@admin.register(Attempt)
class AttemptAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "step", "item", "is_right", "at", "simulated"]
    list_filter = ["enrollment__study", "step__kind", "is_right", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "step"]
    search_fields = ["enrollment__rater__pseudonym", "item"]
    fields = ["enrollment", "step", "item", "is_right", "at", "simulated", "answers_given"]
    readonly_fields = ["simulated", "answers_given"]
    ordering = ["-pk"]

    @admin.display(description="answers")
    def answers_given(self, attempt):
        return show_json(attempt.answers)


@admin.register(GateDecision)
class GateDecisionAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "step", "passed", "reason", "at", "simulated"]
    list_filter = ["enrollment__study", "step__kind", "passed", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "step"]
    search_fields = ["enrollment__rater__pseudonym"]
    fields = ["enrollment", "step", "passed", "reason", "at", "simulated"]
    readonly_fields = ["simulated"]
    ordering = ["-pk"]


@admin.register(PageVisit)
class PageVisitAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "step", "item", "shown_at", "answered_at", "simulated"]
    list_filter = ["enrollment__study", "step__kind", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "step"]
    search_fields = ["enrollment__rater__pseudonym", "item"]
    fields = ["enrollment", "step", "item", "shown_at", "answered_at", "simulated", "notes"]
    readonly_fields = ["simulated", "notes"]
    ordering = ["-pk"]

    @admin.display(description="what the browser noted")
    def notes(self, visit):
        return show_json(visit.client)


@admin.register(Draft)
class DraftAdmin(RaterRowAdmin):
    view_deed = Deed.EXPORT
    list_display = ["pseudonym", "study", "step", "item", "saved_at", "simulated"]
    list_filter = ["enrollment__study", "step__kind", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "step"]
    search_fields = ["enrollment__rater__pseudonym"]
    fields = ["enrollment", "step", "item", "saved_at", "simulated", "kept"]
    readonly_fields = ["simulated", "kept"]
    ordering = ["-pk"]

    @admin.display(description="kept so far")
    def kept(self, draft):
        return show_json(dict(QueryDict(draft.fields).lists()))


@admin.register(Withdrawal)
class WithdrawalAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "at", "simulated"]
    list_filter = ["enrollment__study", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study"]
    search_fields = ["enrollment__rater__pseudonym"]
    fields = ["enrollment", "at", "simulated", "erased_rows"]
    readonly_fields = ["simulated", "erased_rows"]
    ordering = ["-pk"]

    @admin.display(description="rows erased")
    def erased_rows(self, withdrawal):
        return show_json(withdrawal.erased)
