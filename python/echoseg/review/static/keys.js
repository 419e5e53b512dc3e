// The keyboard.

const PLAIN = {
  z: "undo", Z: "redo", a: "add", Delete: "delete", Backspace: "delete", c: "copy", r: "hold", p: "revert",
  " ": "play", ",": "step-back", ".": "step-on", "[": "clip-before", "]": "clip-after", "?": "help-open",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NUDGE = 0.25; // pixels

export function listenToKeys({ actions, step, next, nudge, chosen, letGo }) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const act = control ? undoOf(event, actions) : meaningOf(event);
    if (!act) return;
    event.preventDefault();
    act();
  });

  function meaningOf(event) {
    const owner = event.target;
    const arrow = ARROWS[event.key];
    if (owner.matches("select, input[type=range]") && (arrow || event.key === " ")) return null;
    if (owner.matches("button, input") && event.key === " ") return null; // they are pressed by it
    if (arrow && chosen()) {
      const far = event.shiftKey ? 1 : NUDGE;
      return () => nudge(far * arrow[0], far * arrow[1]);
    }
    if (arrow?.[0]) return () => step(arrow[0]);
    if (event.key === "n") return next;
    if (event.key === "Escape") return letGo;
    const box = document.querySelectorAll("[data-show]")[Number(event.key) - 1];
    if (box && /^[1-9]$/.test(event.key)) return () => box.click();
    return actions[PLAIN[event.key]];
  }
}

function undoOf(event, actions) {
  if (event.key.toLowerCase() === "z") return event.shiftKey ? actions.redo : actions.undo;
  return event.key.toLowerCase() === "y" ? actions.redo : null;
}
