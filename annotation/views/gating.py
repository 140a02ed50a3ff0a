"""The gate before labeling: a few posts, each answered once, without a word on what is right."""

from django.http import HttpRequest, HttpResponse

from annotation import services
from annotation.forms import ReadingForm
from annotation.http import get_draft_fields, go_on, go_past
from annotation.models import Enrollment, Step
from annotation.selectors import get_gating_item, get_tree
from annotation.tree.known import is_correct, read_gating_config
from annotation.views.reading import as_answers, begin_reading, is_submit, show_reading


def pass_gate(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the gate's next post; take its reading, and after the last decide."""
    tree = get_tree(enrollment.study.value_system)
    plan = read_gating_config(tree, step.config)
    item = get_gating_item(enrollment, step)
    if not item:  # a post was taken out while this person stood here
        return go_on(services.complete_step(enrollment, step))
    post = next(post for post in plan.posts if post.key == item)
    if request.method == "GET":
        form = begin_reading(enrollment, get_draft_fields(enrollment, step, item))
    elif request.POST.get("item") != item:
        return go_past(enrollment)  # a first answer stands
    else:
        form = ReadingForm(tree, request.POST)
        if is_submit(form):
            services.record_gate_answer(
                enrollment,
                step,
                item,
                answers=as_answers(form.reading),
                is_right=is_correct(tree, post, form.reading),
                n_items=len(plan.posts),
                threshold=plan.threshold,
            )
            enrollment.refresh_from_db()
            return go_on(enrollment)
    context = {
        "post": post,
        "intro": plan.intro,
        "n_done": [post.key for post in plan.posts].index(item),
        "n_total": len(plan.posts),
        "reveals": True,
    }
    return show_reading(
        request, enrollment, step, form, template="annotation/training.html", context=context, item=item
    )
