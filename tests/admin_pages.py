"""Filling in the admin's forms as a browser would: every field as shown, then what the test changes."""

from html import unescape

from django.db.models import Model
from django.forms import BaseForm, SplitDateTimeField
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse


def page_of(row: Model) -> str:
    """The address of a row's own page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def save(client: Client, address: str, **changes: str | None) -> HttpResponse:
    """Send a page back with these changes; None leaves a field out."""
    sent = read_form(client.get(address)) | changes
    return client.post(address, {name: value for name, value in sent.items() if value is not None})


def read_form(response) -> dict[str, str]:
    """Return what a browser would send back from this page if nothing were touched."""
    forms: list[BaseForm] = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    sent: dict[str, str] = {}
    for form in forms:
        for name, field in form.fields.items():
            assert not isinstance(field, SplitDateTimeField), "no form of ours asks for a moment"
            _read_field(sent, form, name)
    return sent


def _read_field(sent: dict[str, str], form: BaseForm, name: str) -> None:
    value = form[name].value()
    if value is None or value is False:
        return
    key = form.add_prefix(name)
    if value is True:
        sent[key] = "on"
    else:
        sent[key] = str(getattr(value, "pk", value))


def read_errors(response) -> str:
    """Return every error on the page, in one text."""
    found = [response.context["adminform"].form.errors.as_text()]
    for inline in response.context["inline_admin_formsets"]:
        found.append(inline.formset.non_form_errors().as_text())
        found += [form.errors.as_text() for form in inline.formset.forms]
    return unescape("\n".join(found))
