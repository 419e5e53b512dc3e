// Keyboard shortcuts. A key does what its button does, and nothing while the button is disabled.

const BUTTON_KEYS = {
  z: "undo", Z: "redo", Enter: "accept", x: "reject", n: "next", a: "add", Delete: "delete", Backspace: "delete",
  c: "copy", C: "copy-to-beat", r: "update-others", p: "restore", E: "set-ed", S: "set-es", e: "next-ed", s: "next-es",
  " ": "play", ",": "previous-frame", ".": "next-frame", "[": "previous-clip", "]": "next-clip", "?": "open-help",
  "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", 0: "zoom-reset", v: "zoom-contour", b: "auto-brightness", m: "measure",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SMALL_STEP = 0.25; // pixels
const LARGE_STEP = 1;
const PAN_STEP = 0.1; // of the view

/** run(id) does what a button does; movePoint(dx, dy); pan(move); isPointSelected(); isLocked(); deselect(). */
export function listenToKeyboard({ run, movePoint, pan, isPointSelected, isLocked, deselect }) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey) return;
    const action = event.ctrlKey || event.metaKey ? undoOrRedo(event) : actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  });

  function actionOf(event) {
    const { target, key, shiftKey } = event;
    const arrow = ARROWS[key];
    if (target.matches("select, textarea, input[type=text]")) return null; // the keys belong to the text
    if (target.matches("input[type=range]") && arrow) return null;
    if (target.matches("button, summary, input[type=checkbox]") && [" ", "Enter"].includes(key)) return null;
    if (arrow) return isLocked() ? null : actionOfArrow(arrow, shiftKey);
    if (key === "Escape") return deselect;
    const checkbox = [...document.querySelectorAll("[data-show]")].find(({ dataset }) => dataset.key === key);
    if (checkbox) return isLocked() ? null : () => checkbox.click();
    return key in BUTTON_KEYS ? () => run(BUTTON_KEYS[key]) : null;
  }

  function actionOfArrow(arrow, shiftKey) {
    if (isPointSelected()) return () => movePoint(...arrow.map((part) => part * (shiftKey ? LARGE_STEP : SMALL_STEP)));
    if (shiftKey) return () => pan(arrow.map((part) => -part * PAN_STEP));
    return arrow[0] ? () => run(arrow[0] < 0 ? "previous-frame" : "next-frame") : null;
  }

  function undoOrRedo({ key, shiftKey }) {
    if (key.toLowerCase() === "z") return () => run(shiftKey ? "redo" : "undo");
    return key.toLowerCase() === "y" ? () => run("redo") : null;
  }
}

/** Give up the focus after a click or a tap, so that the next key is a shortcut; users of the keyboard keep it. */
export function releaseFocusAfterClicks() {
  let usedPointer = false;
  document.addEventListener("pointerdown", () => (usedPointer = true), { capture: true });
  document.addEventListener("keydown", () => (usedPointer = false), { capture: true });
  const release = ({ target }) => {
    const control = target.closest("button, summary, select, input[type=range], input[type=checkbox]");
    if (usedPointer && !control?.closest("dialog")) control?.blur();
  };
  document.addEventListener("click", (event) => event.target.matches("select") || release(event));
  document.addEventListener("change", release);
}
