"""Pages for requests that fit nowhere."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Explain that the page had grown old; what was typed is still in the browser's form."""
    return render(request, "csrf_failure.html", status=403)
