// Messages to the user.

export const element = (id) => document.getElementById(id);

/** Show a message about the frame that is shown; it disappears with the next frame. */
export function showStatus(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

/** Show a message about the export of the clip that is shown. */
export function showExportNote(text, isError = false) {
  element("export-note").textContent = text;
  element("export-note").classList.toggle("error", isError);
}

/** Show a question with a button for each answer: [[label, action], …]. It takes the place of the one before. */
export function askUser(text, answers) {
  const box = element("alert");
  box.querySelector("p").textContent = text;
  const buttons = answers.map(([label, action]) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.addEventListener("click", () => {
      box.hidden = true;
      action();
    });
    return button;
  });
  box.querySelector("div").replaceChildren(...buttons);
  box.hidden = false;
}

export function withdrawQuestion() {
  element("alert").hidden = true;
}

/** Cover the picture with a text and lock everything that needs a clip; null uncovers it. */
export function coverPicture(text, isError = false) {
  const cover = element("cover");
  cover.hidden = text === null;
  cover.textContent = text ?? "";
  cover.classList.toggle("error", isError);
  document.body.toggleAttribute("data-locked", text !== null);
}
