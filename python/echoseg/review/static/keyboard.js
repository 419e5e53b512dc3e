// Keyboard shortcuts.

const BUTTON_KEYS = {
  z: "undo", Z: "redo", a: "add", Delete: "delete", Backspace: "delete", c: "copy", r: "update-others", p: "restore",
  " ": "play", ",": "previous-frame", ".": "next-frame", "[": "previous-clip", "]": "next-clip", "?": "open-help",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SMALL_STEP = 0.25; // pixels
const LARGE_STEP = 1;

/**
 * actions: by the id of a button, what it does; stepFrames(count); openNextToReview(); movePoint(dx, dy);
 * isPointSelected(); deselect().
 */
export function listenToKeyboard({ actions, stepFrames, openNextToReview, movePoint, isPointSelected, deselect }) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey) return;
    const action = event.ctrlKey || event.metaKey ? undoOrRedo(event) : actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  });

  function actionOf(event) {
    const focused = event.target;
    const arrow = ARROWS[event.key];
    if (focused.matches("select, input[type=range]") && (arrow || event.key === " ")) return null;
    if (focused.matches("button, input") && event.key === " ") return null; // the browser presses it
    if (arrow && isPointSelected()) {
      const step = event.shiftKey ? LARGE_STEP : SMALL_STEP;
      return () => movePoint(step * arrow[0], step * arrow[1]);
    }
    if (arrow?.[0]) return () => stepFrames(arrow[0]);
    if (event.key === "n") return openNextToReview;
    if (event.key === "Escape") return deselect;
    const checkbox = document.querySelectorAll("[data-show]")[Number(event.key) - 1];
    if (checkbox && /^[1-9]$/.test(event.key)) return () => checkbox.click();
    return actions[BUTTON_KEYS[event.key]];
  }

  function undoOrRedo(event) {
    if (event.key.toLowerCase() === "z") return event.shiftKey ? actions.redo : actions.undo;
    return event.key.toLowerCase() === "y" ? actions.redo : null;
  }
}
