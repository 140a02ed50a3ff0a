"""The API's public pages: its reference and its OpenAPI document. They tell of the software, and show no study."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from . import examples, openapi, programs
from .endpoint import check_switched_on, guard
from .problems import KINDS, Problem
from .reference import build_sections, show_json


@require_safe
def show_reference(request: HttpRequest) -> HttpResponse:
    """Show how the API is used."""
    address = request.build_absolute_uri("/").rstrip("/")
    context = {
        "version": openapi.VERSION,
        "about": openapi.ABOUT,
        "limits": openapi.LIMITS,
        "privacy": openapi.PRIVACY,
        "sections": build_sections(),
        "kinds": sorted(KINDS.values(), key=lambda kind: kind.status),
        "problem": show_json(examples.PROBLEM),
        "curl": programs.write_curl(address),
        "python": programs.write_python(address),
    }
    return render(request, "modeling/api/reference.html", context)


@require_safe
def show_document(request: HttpRequest) -> HttpResponse:
    """Give the OpenAPI document; any site may read it."""
    response = JsonResponse(openapi.build_document(), json_dumps_params={"ensure_ascii": False})
    response["Access-Control-Allow-Origin"] = "*"
    return response


@csrf_exempt
def refuse_address(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Answer an address that this version does not have, in the API's own way."""

    def handle(request: HttpRequest) -> HttpResponse:
        check_switched_on()
        raise Problem("not-found", "This address does not exist. The reference names those that do.")

    return guard(handle, request)
