"""The one address: a GET shows the table of ratings, a POST stores it with one INSERT and leads back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path

from bench.bare.models import Answer

LEVELS = range(1, 8)
ROWS = [(f"row-{number}", f"Statement {number}: how much does the post say so?") for number in range(1, 31)]


def rate(request: HttpRequest) -> HttpResponse:
    """Show the form, or store what it brought."""
    if request.method == "POST":
        Answer.objects.create(ratings=[int(request.POST[name]) for name, _ in ROWS])
        return redirect("rate")
    return render(request, "bare/rate.html", {"rows": ROWS, "levels": LEVELS})


urlpatterns = [path("", rate, name="rate")]
