/* 1 and 2 press the two answers while the focus is on the form, where it is put when a post is shown. */
"use strict";

const answers = document.querySelector("[data-answers]");
answers.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = answers.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  if (!button) return;
  event.preventDefault();
  button.click();
});
answers.focus({ preventScroll: true });
