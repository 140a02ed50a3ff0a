"""The front page: what this installation is and where to go."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET


@require_GET
def show_home(request: HttpRequest) -> HttpResponse:
    """Show the two doors for researchers; participants come by their study's link."""
    return render(request, "modeling/home.html")
