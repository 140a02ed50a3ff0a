"""The card of a fit: made of its evaluation and of what its row and its study say. Workers import it."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation.models import Study
from modeling.models import FitRun, ModelCard
from modeling.reports.card import CardFacts, card_content, compose_card
from modeling.reports.document.html import write_html
from modeling.reports.document.pdf import write_pdf

LICENSE_NOTE = (
    "Parallax, the software, is under the BSD 3-Clause licence. What this model may be used for is decided by those "
    "who ran the study, within what its raters agreed to."
)


def make_card(fit_run: FitRun) -> tuple[dict[str, Any], str, bytes]:
    """Return what the card of an evaluated fit says, as data, as HTML and as PDF; no row is touched."""
    facts = _gather_facts(fit_run)
    measures = fit_run.report.measures
    document = compose_card(facts, measures)
    return card_content(facts, measures), write_html(document), write_pdf(document)


@transaction.atomic
def store_card(fit_run: FitRun, content: dict[str, Any], html: str, pdf: bytes) -> ModelCard:
    """Store a fit's card in the place of an older one."""
    card, _ = ModelCard.objects.update_or_create(
        fit_run=fit_run, defaults={"content": content, "html": html, "pdf": pdf, "created_at": timezone.now()}
    )
    return card


def _gather_facts(fit_run: FitRun) -> CardFacts:
    study = fit_run.study
    files = list(fit_run.files.all())
    return CardFacts(
        name=study.name,
        fit=f"Fit {fit_run.pk}",
        made=f"{fit_run.created_at:%d %B %Y, %H:%M} UTC".lstrip("0"),
        consent_scope=_write_consent(study),
        data_hash=fit_run.data_hash,
        code_version=fit_run.code_version,
        versions=files[0].versions if files else {},
        files={file.role: file.sha256 for file in files},
        settings=fit_run.settings,
        license_note=LICENSE_NOTE,
    )


def _write_consent(study: Study) -> str:
    """What the consent page told the raters, in its own words."""
    sections = study.consent.get("sections", [])
    return "\n".join(
        ": ".join(part for part in (section.get("heading", ""), section.get("text", "")) if part)
        for section in sections
    )
