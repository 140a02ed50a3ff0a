"""Who may open which page: every address of staff, for every role, as a table says.

An address that stands in no table fails the first test, so a new page cannot be forgotten. Two studies are filled with
everything; what belongs to one must never be read by someone of the other, and no platform id by someone without the
right to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    Draft,
    Enrollment,
    Exclusion,
    GateDecision,
    Outcome,
    PageVisit,
    Post,
    PostUpload,
    Rater,
    Study,
    StudyAccess,
    StudyEvent,
    StudyVersion,
    ValueNode,
    ValueSystem,
    Withdrawal,
)
from annotation.services.audit import log_event
from annotation.services.uploads import store_upload
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from jobs.models import Heartbeat, Job
from jobs.services import enqueue, run_here
from modeling.annotators.prompts import get_prompt
from modeling.annotators.selecting import corpus_posts, study_posts
from modeling.curation.services import create_curation
from modeling.models import (
    AnnotatorModel,
    AnnotatorRun,
    ApiToken,
    ClassifierCheck,
    Curation,
    DataExport,
    EncoderTraining,
    ExpertSet,
    FineTuning,
    FitRun,
    ModelCard,
    PostScore,
    PromptVersion,
    QualityFlag,
    Report,
    ReportDocument,
    ReportFigure,
    RuleSet,
    SoftLabelSet,
    TransferCheck,
    Verification,
)
from modeling.softlabels.settings import SoftLabelSettings, Source
from modeling.tokens import create_token
from modeling.transfer.settings import CheckSettings, TrainingSettings
from modeling.tuning.services import train_encoder
from modeling.tuning.settings import SetSettings
from modeling.verifying.services import (
    create_verification,
    request_preview,
    save_rule_set,
    start_verification,
)
from tests.factories import AnnotationFactory, EnrollmentFactory, RaterFactory, StudyFactory
from tests.modeling.checking.ground import make_check
from tests.modeling.experts.ground import item_at, make_set
from tests.modeling.views.stored import store_agreement, store_evaluation

pytestmark = [pytest.mark.django_db, pytest.mark.alike]

ASSISTANT, ANALYST, OWNER = "assistant", "analyst", "owner"  # of the study that is asked for
NEIGHBOUR = "owner of another study"
STRANGER = "researcher without a study"
OUTSIDER = "account without staff status"
ANYBODY = "nobody logged in"
ADMINISTRATOR = "administrator"
ROLES = (ASSISTANT, ANALYST, OWNER, NEIGHBOUR, STRANGER, OUTSIDER, ANYBODY, ADMINISTRATOR)

ALL = {ASSISTANT, ANALYST, OWNER}
SETS_UP = {ASSISTANT, OWNER}
READS_ANSWERS = {ANALYST, OWNER}
OWNS = {OWNER}
EVERY_RESEARCHER = ALL | {NEIGHBOUR, STRANGER}
SEES_IDENTITIES = {OWNER, ADMINISTRATOR}

# A study's pages: method, who may (an administrator always may), the status they get. All others get 404, and those
# who have not come in as a researcher are led to the login.
PAGES: dict[str, tuple[str, set[str], int]] = {
    "modeling:studies": ("GET", EVERY_RESEARCHER, 200),
    "modeling:study": ("GET", ALL, 200),
    "modeling:agreement": ("GET", ALL, 200),
    "modeling:models": ("GET", ALL, 200),
    "modeling:personalization": ("GET", ALL, 200),
    "modeling:values": ("GET", ALL, 200),
    "modeling:disputed": ("GET", ALL, 200),
    "modeling:comparison": ("GET", ALL, 200),
    "modeling:compare": ("POST", READS_ANSWERS, 302),
    "modeling:post": ("GET", READS_ANSWERS, 200),
    "modeling:person_ratings": ("GET", READS_ANSWERS, 200),
    "modeling:planning": ("GET", ALL, 200),
    "modeling:model": ("GET", ALL, 200),
    "modeling:model_score": ("POST", READS_ANSWERS, 302),
    "modeling:model_cancel": ("POST", READS_ANSWERS, 302),
    "modeling:model_retry": ("POST", READS_ANSWERS, 302),
    "modeling:model_card": ("GET", ALL, 200),
    "modeling:report": ("GET", ALL, 200),
    "modeling:report_file": ("GET", ALL, 200),
    "modeling:report_make": ("POST", READS_ANSWERS, 302),
    "modeling:figure_file": ("GET", ALL, 200),
    "modeling:refresh": ("POST", READS_ANSWERS, 422),
    "modeling:fit": ("POST", READS_ANSWERS, 302),
    "modeling:watch": ("GET", ALL, 200),
    "modeling:people": ("GET", ALL, 200),
    "modeling:person": ("GET", ALL, 200),
    "modeling:access": ("GET", OWNS, 200),
    "modeling:give_role": ("POST", OWNS, 422),
    "modeling:take_role": ("POST", OWNS, 302),
    "modeling:rehearsal": ("GET", SETS_UP, 200),
    "modeling:rehearsal_start": ("POST", SETS_UP, 302),
    "modeling:rehearsal_step": ("POST", SETS_UP, 302),
    "modeling:rehearsal_simulate": ("POST", SETS_UP, 422),
    "modeling:rehearsal_erase": ("POST", SETS_UP, 422),
    "modeling:launch": ("GET", ALL, 200),
    "modeling:versions": ("GET", ALL, 200),
    "modeling:version_changes": ("GET", ALL, 200),
    "modeling:version_file": ("GET", ALL, 200),
    "modeling:data": ("GET", READS_ANSWERS, 200),
    "modeling:data_make": ("POST", READS_ANSWERS, 302),
    "modeling:data_keys": ("POST", OWNS, 200),
    "modeling:quality": ("GET", ALL, 200),
    "modeling:quality_compute": ("POST", READS_ANSWERS, 422),
    "modeling:quality_exclude": ("POST", READS_ANSWERS, 422),
    "modeling:quality_include": ("POST", READS_ANSWERS, 422),
    "modeling:erase": ("GET", OWNS, 200),
    "modeling:erase_person": ("POST", OWNS, 422),
    "modeling:erase_identities": ("POST", OWNS, 422),
    "modeling:tunings": ("GET", ALL, 200),
    "modeling:tuning": ("GET", ALL, 200),
    "modeling:tuning_make": ("POST", SETS_UP, 422),
    "modeling:tuning_start": ("POST", SETS_UP, 302),
    "modeling:tuning_cancel": ("POST", SETS_UP, 302),
    "modeling:tuning_fit": ("POST", READS_ANSWERS, 422),
    "modeling:annotators": ("GET", ALL, 200),
    "modeling:annotator": ("GET", ALL, 200),
    "modeling:annotator_new": ("GET", SETS_UP, 200),
    "modeling:run": ("GET", ALL, 200),
    "modeling:run_file": ("GET", READS_ANSWERS, 200),
    "modeling:annotator_preview": ("POST", SETS_UP, 302),
    "modeling:run_make": ("POST", SETS_UP, 422),
    "modeling:run_start": ("POST", SETS_UP, 302),
    "modeling:run_resume": ("POST", SETS_UP, 302),
    "modeling:run_cancel": ("POST", SETS_UP, 302),
    "modeling:run_again": ("POST", SETS_UP, 302),
    "modeling:annotator_retire": ("POST", SETS_UP, 302),
    "modeling:experts": ("GET", ALL, 200),
    "modeling:expert_new": ("GET", SETS_UP, 200),
    "modeling:expert_set": ("GET", ALL, 200),
    "modeling:expert_label": ("GET", ALL, 200),
    "modeling:expert_disagreements": ("GET", ALL, 200),
    "modeling:expert_resolve": ("GET", ALL, 200),
    "modeling:expert_close": ("POST", ALL, 302),
    "modeling:expert_reopen": ("POST", ALL, 302),
    "modeling:expert_import": ("GET", ALL, 200),
    "modeling:expert_open_test": ("POST", ALL, 422),
    "modeling:expert_file": ("GET", READS_ANSWERS, 200),
    "modeling:errors": ("GET", ALL, 200),
    "modeling:errors_make": ("POST", READS_ANSWERS, 302),
    "modeling:errors_cancel": ("POST", READS_ANSWERS, 302),
    "modeling:structure": ("GET", ALL, 200),
    "modeling:structure_make": ("POST", READS_ANSWERS, 302),
    "modeling:structure_cancel": ("POST", READS_ANSWERS, 302),
    "modeling:soft_labels": ("GET", ALL, 200),
    "modeling:soft_labels_make": ("POST", SETS_UP, 422),
    "modeling:soft_label_set": ("GET", ALL, 200),
    "modeling:soft_labels_cancel": ("POST", SETS_UP, 302),
    "modeling:soft_labels_again": ("POST", SETS_UP, 302),
    "modeling:rules": ("GET", ALL, 200),
    "modeling:rules_edit": ("GET", SETS_UP, 200),
    "modeling:rules_preview": ("GET", SETS_UP, 200),
    "modeling:rule_set": ("GET", ALL, 200),
    "modeling:verify": ("POST", SETS_UP, 422),
    "modeling:verification": ("GET", ALL, 200),
    "modeling:verification_cancel": ("POST", SETS_UP, 302),
    "modeling:verification_resume": ("POST", SETS_UP, 302),
    "modeling:verification_report": ("POST", ALL, 302),
    "modeling:review": ("GET", ALL, 200),
    "modeling:calibration": ("GET", ALL, 200),
    "modeling:calibration_measure": ("POST", READS_ANSWERS, 302),
    "modeling:calibration_cancel": ("POST", READS_ANSWERS, 302),
    "modeling:calibration_run": ("GET", SETS_UP, 200),
    "modeling:calibration_start": ("POST", SETS_UP, 302),
    "modeling:calibration_compare": ("GET", ALL, 200),
    "modeling:calibration_pair": ("POST", READS_ANSWERS, 302),
    "modeling:calibration_pair_cancel": ("POST", READS_ANSWERS, 302),
    "modeling:stability": ("GET", ALL, 200),
    "modeling:stability_measure": ("POST", READS_ANSWERS, 302),
    "modeling:stability_cancel": ("POST", READS_ANSWERS, 302),
    "modeling:stability_read": ("POST", SETS_UP, 302),
    "modeling:stability_load": ("POST", SETS_UP, 422),
    "modeling:stability_template": ("GET", SETS_UP, 200),
    "modeling:encoders": ("GET", ALL, 200),
    "modeling:encoder_new": ("GET", SETS_UP, 200),
    "modeling:encoder": ("GET", ALL, 200),
    "modeling:encoder_resume": ("POST", SETS_UP, 302),
    "modeling:encoder_cancel": ("POST", SETS_UP, 302),
    "modeling:transfer_new": ("GET", SETS_UP, 200),
    "modeling:transfer": ("GET", ALL, 200),
    "modeling:transfer_resume": ("POST", SETS_UP, 302),
    "modeling:transfer_cancel": ("POST", SETS_UP, 302),
    "modeling:prompts": ("GET", ALL, 200),
    "modeling:prompt": ("GET", ALL, 200),
    "modeling:prompt_edit": ("GET", SETS_UP, 200),
    "modeling:curations": ("GET", ALL, 200),
    "modeling:curation": ("GET", ALL, 200),
    "modeling:curation_make": ("GET", SETS_UP, 200),
    "modeling:curation_settings": ("GET", SETS_UP, 200),
    "modeling:curation_feeds": ("POST", SETS_UP, 422),
    "modeling:curation_start": ("POST", SETS_UP, 422),
    "modeling:curation_cancel": ("POST", SETS_UP, 302),
    "modeling:curation_again": ("POST", SETS_UP, 302),
    "modeling:curation_put": ("POST", SETS_UP, 422),
    "modeling:curation_file": ("GET", READS_ANSWERS, 200),
    "modeling:checks_of": ("GET", ALL, 200),
    "modeling:check_make": ("GET", SETS_UP, 200),
    "modeling:check": ("GET", ALL, 200),
    "modeling:check_label": ("GET", ALL, 200),
    "modeling:check_close": ("POST", ALL, 422),
    "posts:uploads": ("GET", ALL, 200),
    "posts:upload": ("GET", SETS_UP, 200),
    "posts:layout": ("POST", SETS_UP, 422),
    "posts:load": ("POST", SETS_UP, 422),
    "posts:progress": ("GET", SETS_UP, 200),
    "posts:reopen": ("POST", SETS_UP, 302),
    "posts:again": ("POST", SETS_UP, 302),
    "posts:discard": ("POST", SETS_UP, 302),
    "posts:undo": ("POST", SETS_UP, 422),
    "api:tokens": ("GET", OWNS, 200),
    "api:token_make": ("POST", OWNS, 422),
    "api:token_revoke": ("POST", OWNS, 302),
}
SENT = {
    "modeling:rehearsal_step": {"position": "1"},
    "modeling:curation_again": {"stage": "nsfw"},
}
# Pages of a study that are allowed to say that what is asked for is not there.
MAY_LACK: dict[str, tuple[str, set[str]]] = {
    "modeling:data_download": ("GET", READS_ANSWERS),
    "posts:report": ("GET", SETS_UP),
    "modeling:model_scores": ("GET", READS_ANSWERS),
    "modeling:tuning_examples": ("GET", READS_ANSWERS),
    "modeling:comparison_table": ("GET", ALL),
    "modeling:check_file": ("GET", READS_ANSWERS),
    "modeling:errors_note": ("GET", ALL),
    "modeling:errors_table": ("GET", ALL),
    "modeling:structure_table": ("GET", ALL),
    "modeling:soft_labels_table": ("GET", READS_ANSWERS),
    "modeling:calibration_table": ("GET", ALL),
    "modeling:encoder_table": ("GET", ALL),
    "modeling:transfer_table": ("GET", ALL),
    "modeling:calibration_test": ("GET", ALL),
    "modeling:stability_table": ("GET", ALL),
    "modeling:verification_file": ("GET", READS_ANSWERS),
}

# The admin's pages of each model: v views the list, a row and its history; a adds, c changes, d deletes.
PART_OF_THE_SET_UP = {
    ASSISTANT: "vacd",
    ANALYST: "v",
    OWNER: "vacd",
    NEIGHBOUR: "vacd",
    ADMINISTRATOR: "vacd",
}
READ_BY_ALL = dict.fromkeys((ASSISTANT, ANALYST, OWNER, NEIGHBOUR, ADMINISTRATOR), "v")
ANSWERS = dict.fromkeys((ANALYST, OWNER, NEIGHBOUR, ADMINISTRATOR), "v")
ADMIN: dict[type, dict[str, str]] = {
    Study: {
        ASSISTANT: "vac",
        ANALYST: "va",
        OWNER: "vacd",
        NEIGHBOUR: "vacd",
        STRANGER: "a",
        ADMINISTRATOR: "vacd",
    },
    ValueSystem: dict.fromkeys(EVERY_RESEARCHER, "va") | {ADMINISTRATOR: "vacd"},
    ValueNode: dict.fromkeys(EVERY_RESEARCHER, "va") | {ADMINISTRATOR: "vac"},  # studies take people with it
    Post: PART_OF_THE_SET_UP,
    CalibrationQuestion: PART_OF_THE_SET_UP,
    Questionnaire: PART_OF_THE_SET_UP,
    Rater: {ASSISTANT: "v", ANALYST: "v", OWNER: "v", NEIGHBOUR: "v", ADMINISTRATOR: "vd"},
    Enrollment: {ASSISTANT: "v", ANALYST: "v", OWNER: "vd", NEIGHBOUR: "vd", ADMINISTRATOR: "vd"},
    **dict.fromkeys(
        (
            Assignment,
            Attempt,
            Report,
            Exclusion,
            FitRun,
            GateDecision,
            PageVisit,
            PostScore,
            PostUpload,
            PromptVersion,
            QualityFlag,
            StudyEvent,
            StudyVersion,
            Withdrawal,
        ),
        READ_BY_ALL,
    ),
    **dict.fromkeys((Annotation, CalibrationAnswer, DataExport, Draft, QuestionnaireResponse), ANSWERS),
    StudyAccess: dict.fromkeys((OWNER, NEIGHBOUR, ADMINISTRATOR), "v"),
    User: {ADMINISTRATOR: "vac"},
    Job: {ADMINISTRATOR: "vc"},
    Heartbeat: {ADMINISTRATOR: "vc"},
}
# Further pages of the admin. A study that is not theirs is not there for them.
ADMIN_PAGES: dict[str, tuple[str, set[str], int]] = {
    "admin:index": ("GET", EVERY_RESEARCHER, 200),
    "admin:jsi18n": ("GET", EVERY_RESEARCHER, 200),
    "admin:password_change": ("GET", EVERY_RESEARCHER, 200),
    "admin:password_change_done": ("GET", EVERY_RESEARCHER, 200),
    "admin:annotation_study_from_paper": ("GET", EVERY_RESEARCHER, 200),
    "admin:annotation_study_upload": ("GET", EVERY_RESEARCHER, 200),
    "admin:annotation_study_duplicate": ("GET", SETS_UP, 200),
    "admin:annotation_study_download": ("GET", SETS_UP, 200),
    "admin:calibration_questionnaire_upload": ("GET", SETS_UP | {NEIGHBOUR}, 200),
    "admin:calibration_calibrationquestion_derive": ("GET", SETS_UP | {NEIGHBOUR}, 200),
    "admin:calibration_calibrationquestion_derived": ("GET", SETS_UP, 200),
    "admin:auth_user_password_change": ("GET", set(), 200),
}
# Of no study and of no row: what they show is tested where it is written.
OF_NO_STUDY = {
    "home",
    "healthz",
    "readyz",
    "admin:login",
    "admin:logout",
    "admin:autocomplete",
    "admin:view_on_site",
    "admin:app_list",
    "mfa_index",
    "mfa_authenticate",
    "mfa_reauthenticate",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_download_recovery_codes",
    "account_login",
    "account_logout",
    "account_inactive",
    "account_reauthenticate",
    "account_change_password",
    "api:reference",
    "api:openapi",
    "api:root",
    "api:elsewhere",
    "api:values",
    "api:predict",
    "api:rerank",
    "api:batch",
}
WORK = "a job of the study's results"
PREVIEW = "the job that tried rules"
OF_ONE_STUDY = {
    "admin:annotation_study_duplicate",
    "admin:annotation_study_download",
    "admin:calibration_calibrationquestion_derived",
}
OF_SETS = (
    "modeling:expert_",
    "modeling:calibration",
    "modeling:errors",
    "modeling:stability",
    "modeling:structure",
)
PK_OF = {
    **dict.fromkeys(
        (page for page in (*PAGES, *MAY_LACK) if page.startswith("modeling:soft_label")), SoftLabelSet
    ),
    **dict.fromkeys((page for page in (*PAGES, *MAY_LACK) if page.startswith(OF_SETS)), ExpertSet),
    **dict.fromkeys((page for page in PAGES if page.startswith("modeling:curation")), Curation),
    **dict.fromkeys(("modeling:checks_of", "modeling:check_make"), Curation),
    **dict.fromkeys(
        ("modeling:check", "modeling:check_label", "modeling:check_close", "modeling:check_file"),
        ClassifierCheck,
    ),
    **dict.fromkeys(("modeling:tuning", "modeling:tuning_start", "modeling:tuning_cancel"), FineTuning),
    "modeling:tuning_examples": FineTuning,
    **dict.fromkeys((page for page in PAGES if page.startswith("modeling:run")), AnnotatorRun),
    **dict.fromkeys((page for page in PAGES if page.startswith("modeling:annotator")), AnnotatorModel),
    **dict.fromkeys((page for page in (*PAGES, *MAY_LACK) if "verification" in page), Verification),
    **dict.fromkeys((page for page in (*PAGES, *MAY_LACK) if "encoder" in page), EncoderTraining),
    **dict.fromkeys((page for page in (*PAGES, *MAY_LACK) if "transfer" in page), TransferCheck),
    "modeling:review": Verification,
    "modeling:rule_set": RuleSet,
    "modeling:verify": RuleSet,
    "modeling:rules_preview": PREVIEW,
    "modeling:run_make": AnnotatorModel,
    "modeling:post": Post,
    "modeling:figure_file": ReportFigure,
    "modeling:model_card": FitRun,
    "modeling:model_cancel": WORK,
    "modeling:model_retry": WORK,
    "modeling:model_scores": FitRun,
    "api:token_revoke": ApiToken,
}
DERIVED = "the job that derived questions"
NUMBER_OF = {
    "modeling:data_download": DataExport,
    "admin:calibration_calibrationquestion_derived": DERIVED,
}
MODEL_PAGES = ("changelist", "add", "change", "delete", "history")


def name_admin_page(model: type, page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


def list_addresses() -> dict[str, list[str]]:
    """Every named address that Parallax serves, with the arguments it wants."""

    def walk(resolver: Any, namespace: str, wanted: list[str]) -> Iterator[tuple[str, list[str]]]:
        for pattern in resolver.url_patterns:
            arguments = [*wanted, *pattern.pattern.converters]
            if isinstance(pattern, URLResolver):
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from walk(pattern, inner, arguments)
            elif pattern.name:
                yield f"{namespace}{pattern.name}", arguments

    return dict(walk(get_resolver(), "", []))


@dataclass
class Filled:
    """A study with a row of everything, and the words by which it can be told."""

    study: Study
    enrollment: Enrollment
    rows: dict[Any, Any]
    traces: set[str]
    identities: set[str]

    def get_argument(self, page: str, name: str) -> Any:
        """Return what the address of one of this study's pages wants under this name."""
        return {
            "slug": self.study.slug,
            "study_id": self.study.pk,
            "pk": self.rows[PK_OF.get(page, PostUpload)].pk,
            "extension": {"modeling:figure_file": "svg", "modeling:run_file": "csv"}.get(page, "html"),
            "run": self.rows[AnnotatorRun].pk,
            "opening": 1,
            "position": 1,
            "purpose": "nsfw",
            "table": "posts" if page == "modeling:curation_file" else "comparison_work",
            "number": self.rows[NUMBER_OF[page]].pk if page in NUMBER_OF else 1,
            "pseudonym": self.enrollment.rater.pseudonym,
            "user_id": self.rows[StudyAccess].user_id,
            "id": self.rows[StudyAccess].user_id,
        }[name]


def fill(name: str, external_id: str, session_id: str) -> Filled:
    """Make a study with a row of every model that the admin shows."""
    study = StudyFactory(slug=f"{name}-slug", name=f"Study of {name}", title=f"Title of {name}", posts=0)
    post = study.posts.create(key=f"{name}-key", text=f"A post about {name}.")
    study.posts.create(key=f"{name}-second", text=f"Another post about {name}.")
    enrollment = EnrollmentFactory(study=study, rater=RaterFactory(external_id=external_id))
    Enrollment.objects.filter(pk=enrollment.pk).update(prolific_session_id=session_id)
    enrollment.refresh_from_db()
    step = study.steps.get(kind="labeling")
    now = timezone.now()
    questionnaire = study.questionnaires.get()
    question = study.calibration_questions.first()
    version = StudyVersion.objects.create(
        study=study, number=1, digest="d" * 64, content={}, post_digests={}, code_version="1"
    )
    fit = FitRun.objects.create(
        study=study,
        key=f"{name}-fit",
        settings={},
        data_hash="d",
        code_version="1",
        consensus_name="text",
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=1,
        n_annotations=1,
        has_simulated=False,
        artefact="a",
        artefact_sha256="s",
    )
    file = SimpleUploadedFile(f"{name}.csv", f"key,text\n1,Words of {name}.\n".encode())
    upload = store_upload(study, file)
    export = DataExport.objects.create(
        study=study, artefact=f"{name}.zip", sha256="s", n_bytes=1, counts={}, inclusion={}
    )
    ModelCard.objects.create(fit_run=fit, content={"of": name}, html=f"<p>Card of {name}.</p>", pdf=b"%PDF")
    report = store_agreement(study, study_name=study.name)
    report.figures.update(caption=f"Drawn for {name}.", svg=f"<svg><title>{name}</title></svg>")
    store_evaluation(study, study_name=study.name)
    ReportDocument.objects.create(
        study=study, rule_key=report.rule_key, sources=[], html=f"<p>Of {name}.</p>", pdf=b"%PDF"
    )
    annotator = AnnotatorModel.objects.create(
        study=study,
        name=f"Reader of {name}",
        version=1,
        kind=AnnotatorModel.Kind.ZERO_SHOT,
        prompt=get_prompt(study, "values"),
        provider="campus",
        model_name="small",
        digest="d" * 64,
    )
    labels = study.soft_label_sets.create(
        name=f"Labels of {name}", number=1, settings=SoftLabelSettings((Source("people"),)).to_dict()
    )
    rows = {
        Study: study,
        AnnotatorModel: annotator,
        AnnotatorRun: annotator.runs.create(selection=study_posts(study), problem=f"A problem of {name}."),
        StudyVersion: version,
        StudyEvent: log_event(study, StudyEvent.Action.CHANGED, f"Changed something of {name}."),
        StudyAccess: study.accesses.create(user=make_account(f"{name}-first"), role=StudyAccess.Role.OWNER),
        Post: post,
        PostUpload: upload,
        Curation: create_curation(study, name=f"Curation of {name}"),
        ClassifierCheck: make_check((3, 0), study=study),
        ExpertSet: fill_set(study),
        SoftLabelSet: labels,
        EncoderTraining: study.encoder_trainings.create(
            name=f"Encoder of {name}", soft_labels=labels, settings=TrainingSettings(4).to_dict()
        ),
        TransferCheck: study.transfer_checks.create(
            soft_labels=labels, settings=CheckSettings("source", 4).to_dict()
        ),
        **fill_verification(study),
        PromptVersion: get_prompt(study, "nsfw"),
        FineTuning: train_encoder(study, SetSettings(), name=f"Model of {name}"),
        ValueSystem: study.value_system,
        ValueNode: study.value_system.nodes.get(key="power"),
        CalibrationQuestion: question,
        Questionnaire: questionnaire,
        Rater: enrollment.rater,
        Enrollment: enrollment,
        Assignment: Assignment.objects.create(enrollment=enrollment, step=step, post=post, position=1),
        Annotation: AnnotationFactory(enrollment=enrollment, post=study.posts.get(key=f"{name}-second")),
        Attempt: Attempt.objects.create(
            enrollment=enrollment, step=step, item="x", answers={}, is_right=True
        ),
        GateDecision: GateDecision.objects.create(
            enrollment=enrollment, step=step, passed=True, reason="3 of 4"
        ),
        Draft: Draft.objects.create(enrollment=enrollment, step=step, fields="a=1", page="p", number=1),
        PageVisit: PageVisit.objects.create(enrollment=enrollment, step=step, shown_at=now),
        Withdrawal: Withdrawal.objects.create(
            enrollment=EnrollmentFactory(study=study, rater=RaterFactory(external_id=f"gone-{name}")),
            erased={},
        ),
        Exclusion: Exclusion.objects.create(enrollment=enrollment, reason=f"Reason for {name}"),
        CalibrationAnswer: CalibrationAnswer.objects.create(
            enrollment=enrollment, question=question, rating=3
        ),
        QuestionnaireResponse: QuestionnaireResponse.objects.create(
            enrollment=enrollment, questionnaire=questionnaire, version=1, answers={"age": 30}
        ),
        FitRun: fit,
        PostScore: PostScore.objects.create(
            fit_run=fit, post=post, scores=(0.5,) * len(study.value_keys), is_out_of_fold=True
        ),
        Report: report,
        ApiToken: create_token(study, name)[0],
        WORK: enqueue(kind="refit", key=f"refit {name}", payload={"study": study.pk}),
        DERIVED: enqueue(kind="derive_vcq", key=f"derive {name}", payload={"study": study.pk}),
        ReportFigure: report.figures.first(),
        QualityFlag: QualityFlag.objects.create(enrollment=enrollment, rule="too_fast", number=1, limit=2),
        DataExport: export,
    }
    return Filled(
        study=study,
        enrollment=enrollment,
        rows=rows,
        traces={name, str(enrollment.rater.pseudonym)[:8], str(enrollment.public_id)},
        identities={external_id, session_id},
    )


def fill_set(study: Study) -> ExpertSet:
    """Make a set of all posts of a study; two experts differ in the first of them."""
    made = make_set(study=study)
    for expert, rating in (("x", study.value_system.scale_min), ("y", study.value_system.scale_max)):
        item_at(made).labels.create(expert=expert, ratings=(float(rating),) * len(study.value_keys))
    return made


def fill_verification(study: Study) -> dict[Any, Any]:
    """Hold a rule against a run over a post that no expert labels; it is flagged."""
    lowest, n_values = study.value_system.scale_min, len(study.value_keys)
    rule = {"key": "all", "title": "Each", "why": "To see.", "values": "any"}
    rules = [rule | {"when": {"number_expressed": {"at_most": n_values}}}]
    annotator = study.annotators.create(
        name="Rules are held against it",
        version=1,
        kind=AnnotatorModel.Kind.ENCODER,
        artefact="encoder.npz",
        digest="d" * 64,
    )
    run = annotator.runs.create(selection=corpus_posts(study), state=AnnotatorRun.State.DONE)
    post = study.posts.create(
        key="read", text=f"Read by models, for {study.slug}.", purpose=Post.Purpose.CORPUS
    )
    run.readings.create(post=post, ratings=(float(lowest),) * n_values)
    rule_set = save_rule_set(study, name="Rules", rules=rules)
    verification = create_verification(rule_set, run)
    run_here(start_verification(verification))
    verification.refresh_from_db()
    preview = request_preview(study, rules=rules, run=run, other_runs=[], threshold=lowest + 1)
    return {RuleSet: rule_set, Verification: verification, PREVIEW: preview}


def make_account(name: str, **fields: Any) -> Any:
    return get_user_model().objects.create_user(name, is_staff=True, **fields)


@dataclass
class World:
    """Two filled studies, and someone of each role: in `mine`, and the owner of `other`."""

    mine: Filled
    other: Filled
    clients: dict[str, Client] = field(default_factory=dict)

    @classmethod
    def make(cls) -> "World":
        world = cls(
            fill("herons", "5f00aaaa1111bbbb2222cccc", "6e00dddd3333eeee4444ffff"),
            fill("otters", "5f99abab1212cdcd3434efef", "6e99fefe5656baba7878cdcd"),
        )
        accounts = {
            ASSISTANT: make_account("ada"),
            ANALYST: make_account("ben"),
            OWNER: make_account("cleo"),
            NEIGHBOUR: make_account("dag"),
            STRANGER: make_account("eve"),
            OUTSIDER: get_user_model().objects.create_user("fay"),
            ADMINISTRATOR: make_account("gil", is_superuser=True),
        }
        for role in (ASSISTANT, ANALYST, OWNER):
            world.mine.study.accesses.create(user=accounts[role], role=role)
        world.other.study.accesses.create(user=accounts[NEIGHBOUR], role=StudyAccess.Role.OWNER)
        for role in ROLES:
            world.clients[role] = Client()
            if role in accounts:
                world.clients[role].force_login(accounts[role])
        world.mine.rows |= {User: accounts[STRANGER]}
        for model in (Job, Heartbeat):
            fields = {"kind": "k", "key": "1"} if model is Job else {"name": "worker"}
            world.mine.rows[model] = model.objects.create(**fields)
        return world

    def ask(self, role: str, name: str, method: str, address: str) -> tuple[int, str]:
        """Ask as someone of this role, and return the status and all that is told; what it changes is taken back."""
        client = self.clients[role]
        with transaction.atomic():
            response = client.get(address) if method == "GET" else client.post(address, SENT.get(name, {}))
            content = b"".join(response.streaming_content) if response.streaming else response.content
            transaction.set_rollback(True)
        return response.status_code, content.decode(errors="replace") + response.get("Location", "")


@pytest.fixture
def world() -> World:
    return World.make()


def build_address(name: str, filled: Filled) -> str:
    """Return a page's address, with whatever of the study's rows it wants."""
    return reverse(name, kwargs={key: filled.get_argument(name, key) for key in list_addresses()[name]})


def expect_of_model(model: type, role: str, page: str, is_mine: bool) -> set[int]:
    """Return the statuses that are right for a page of the admin; a row that is not there leads to the index."""
    if role in (ANYBODY, OUTSIDER):
        return {302}
    letter = {"changelist": "v", "add": "a", "change": "v", "delete": "d", "history": "v"}[page]
    if letter not in ADMIN[model].get(role, ""):
        return {302, 403} if page == "history" else {403}
    is_there = role == ADMINISTRATOR or model in (ValueSystem, ValueNode) or is_mine == (role != NEIGHBOUR)
    return {200} if is_there or page in ("changelist", "add") else {302}


def test_every_address_stands_in_a_table():
    models = {name_admin_page(model, page) for model in admin.site._registry for page in MODEL_PAGES}
    known = {*PAGES, *MAY_LACK, *ADMIN_PAGES, *OF_NO_STUDY, *models}
    served = {name for name in list_addresses() if not name.startswith("annotation:")}
    assert "modeling:study" in served
    assert served - known == set(), "these pages are in no table: say who may open them"
    assert known - served == set(), "these pages are gone"
    assert set(ADMIN) == set(admin.site._registry)


def list_askings(world: World, role: str) -> Iterator[tuple[str, str, str, set[int]]]:
    """Every page of both studies, as (what, method, address, the statuses that are right)."""
    for filled in (world.mine, world.other):
        is_mine = filled is world.mine

        def may(allowed: set[str], is_mine: bool = is_mine) -> bool:
            if role == ADMINISTRATOR or {STRANGER, NEIGHBOUR} <= allowed:
                return role == ADMINISTRATOR or role in allowed
            return role in allowed if is_mine else role == NEIGHBOUR

        for name, (method, allowed, status) in PAGES.items():
            denied = 302 if role in (ANYBODY, OUTSIDER) else 404
            yield name, method, build_address(name, filled), {status if may(allowed) else denied}
        for name, (method, allowed) in MAY_LACK.items():
            denied = {302} if role in (ANYBODY, OUTSIDER) else {404}
            yield name, method, build_address(name, filled), {200, 404} if may(allowed) else denied
        for name, (method, allowed, status) in ADMIN_PAGES.items():
            is_of_study = name in OF_ONE_STUDY
            is_allowed = may(allowed) if is_of_study else role in allowed | {ADMINISTRATOR}
            denied = {302} if role in (ANYBODY, OUTSIDER) else {403, 404}
            yield name, method, build_address(name, filled), {status} if is_allowed else denied
        for model, page in ((model, page) for model in ADMIN for page in MODEL_PAGES):
            if model not in filled.rows:
                continue
            name = name_admin_page(model, page)
            args = [] if page in ("changelist", "add") else [filled.rows[model].pk]
            yield name, "GET", reverse(name, args=args), expect_of_model(model, role, page, is_mine)


def list_hidden(world: World, role: str) -> set[str]:
    """Return the words that no page may show to this role."""
    hidden = set() if role in ALL | {ADMINISTRATOR} else set(world.mine.traces)
    hidden |= set() if role in (NEIGHBOUR, ADMINISTRATOR) else world.other.traces | world.other.identities
    return hidden | (set() if role in SEES_IDENTITIES else world.mine.identities)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_answers_as_the_tables_say_and_tells_nothing_to_those_without_the_right(world, role):
    hidden = list_hidden(world, role)
    wrong, seen, asked = [], "", set()
    for name, method, address, right in list_askings(world, role):
        if address in asked:  # of no one study
            continue
        asked.add(address)
        status, page = world.ask(role, name, method, address)
        if status not in right:
            wrong.append(f"{role}: {name} ({method} {address}) answers {status}, not {sorted(right)}")
        page = page.replace(address, "")
        wrong += [f"{role}: {name} ({address}) tells {word!r}" for word in hidden if word in page]
        seen += page
    assert not wrong, "\n".join(wrong)
    if role == OWNER:  # or nothing above could fail
        assert [word for word in world.mine.traces | world.mine.identities if word not in seen] == []


@pytest.mark.parametrize("role", [ANALYST, NEIGHBOUR, STRANGER])
def test_nobody_changes_or_deletes_by_sending_a_form_what_they_may_not(world, role):
    client = world.clients[role]
    for model in (Study, Post, CalibrationQuestion, Questionnaire, Enrollment):
        row = world.mine.rows[model]
        for page, sent in (("change", {}), ("delete", {"post": "yes"})):
            address = reverse(name_admin_page(model, page), args=[row.pk])
            assert client.post(address, sent).status_code in (302, 403), (model, page)
        action = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        client.post(reverse(name_admin_page(model, "changelist")), action)
        assert model.objects.filter(pk=row.pk).exists(), model


def test_a_form_of_the_admin_offers_and_takes_only_rows_of_ones_own_studies(world):
    client = world.clients[NEIGHBOUR]
    page = client.get(reverse("admin:calibration_calibrationquestion_add")).content.decode()
    assert world.other.study.name in page
    theirs = world.mine.rows[Post]
    sent = {"study": world.mine.study.pk, "position": 9, "post": theirs.pk, "value_key": "power"}
    page = client.post(reverse("admin:calibration_calibrationquestion_add"), sent).content.decode()
    assert not CalibrationQuestion.objects.filter(position=9).exists()
    assert theirs.text not in page
    assert world.mine.study.name not in page


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (Rater, "external_id__startswith"),
        (Enrollment, "prolific_session_id__startswith"),
        (Enrollment, "rater__external_id__startswith"),
        (Annotation, "enrollment__rater__external_id__startswith"),
    ],
)
def test_an_identity_cannot_be_guessed_letter_by_letter(world, model, query):
    address = reverse(name_admin_page(model, "changelist"))
    for begins in ("5f00", "6e00", "zz"):
        response = world.clients[ANALYST].get(address, {query: begins})
        assert response.status_code in (302, 400)
        assert response.get("Location", "?e=1").endswith("?e=1")


def test_only_whoever_knows_identities_finds_by_them_and_only_in_their_studies(world):
    (external_id,) = {each for each in world.mine.identities if each.startswith("5f")}
    pseudonym = str(world.mine.enrollment.rater.pseudonym)
    for model in (Rater, Enrollment):
        address = reverse(name_admin_page(model, "changelist"))
        finders = {
            role
            for role in (ASSISTANT, ANALYST, OWNER, NEIGHBOUR, ADMINISTRATOR)
            if pseudonym in world.clients[role].get(address, {"q": external_id}).content.decode()
        }
        assert finders == SEES_IDENTITIES
        assert pseudonym in world.clients[ANALYST].get(address, {"q": pseudonym}).content.decode()


def test_a_rater_of_two_studies_is_one_of_ones_own_to_each_owner(world):
    shared = world.mine.enrollment.rater
    EnrollmentFactory(study=world.other.study, rater=shared)
    address = reverse("admin:annotation_rater_changelist")
    for role in (OWNER, NEIGHBOUR):
        row = world.clients[role].get(address).context["cl"].result_list.get(pk=shared.pk)
        assert row.n_studies == 1
    assert (
        world.clients[ADMINISTRATOR].get(address).context["cl"].result_list.get(pk=shared.pk).n_studies == 2
    )


def test_whoever_makes_a_study_in_the_admin_owns_it(world):
    client = world.clients[STRANGER]
    sent = {"name": "Mine", "slug": "mine"}
    assert client.post(reverse("admin:annotation_study_from_paper"), sent).status_code == 302
    made = Study.objects.exclude(pk__in=[world.mine.study.pk, world.other.study.pk]).get()
    assert made.accesses.get().user.username == "eve"
    assert client.get(reverse("modeling:study", args=[made.slug])).status_code == 200


def test_a_role_that_is_taken_away_closes_the_pages_at_once(world):
    address = reverse("modeling:study", args=[world.mine.study.slug])
    client = world.clients[ANALYST]
    assert client.get(address).status_code == 200
    StudyAccess.objects.filter(user__username="ben").delete()
    assert client.get(address).status_code == 404
    assert world.mine.study.name not in client.get(reverse("modeling:studies")).content.decode()


def test_outcomes_of_a_study_are_no_ones_business_either(world):
    """The list of studies counts people of one's own studies alone."""
    Enrollment.objects.filter(study=world.other.study).update(
        outcome=Outcome.COMPLETED, finished_at=timezone.now()
    )
    page = world.clients[STRANGER].get(reverse("modeling:studies")).content.decode()
    assert "people completed" not in page
