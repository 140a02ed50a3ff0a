/* Small kindnesses of the participant's pages; everything works without them. */
"use strict";

/* A form goes out once; a double click does not send it twice. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  form.querySelectorAll("button[type=submit]").forEach((button) => button.setAttribute("aria-disabled", "true"));
});

/* A page that comes back from the browser's history can be sent again. */
window.addEventListener("pageshow", () => {
  document.querySelectorAll("[data-once]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button[type=submit]").forEach((button) => button.removeAttribute("aria-disabled"));
  });
});

/* "None of these" and the branches beside it exclude one another. Runs before htmx sends the change. */
document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.type !== "checkbox" || !box.checked) return;
  const others = box.closest("fieldset").querySelectorAll(box.matches("[data-none]") ? "[data-branch]" : "[data-none]");
  others.forEach((other) => { other.checked = false; });
}, true);

/* What needs attention gets the focus. */
document.querySelector("[data-focus]")?.focus();
