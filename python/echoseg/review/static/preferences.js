// What the browser remembers of its user: the colours of the page, and whether the first hint was read.

import { element } from "./messages.js";

const [THEME, HINT] = ["echoseg-theme", "echoseg-hint-read"]; // in the browser's storage
const OTHER = { light: "dark", dark: "light" };

/** The page follows the system until the user switches. */
export function setUpTheme() {
  const system = matchMedia("(prefers-color-scheme: light)");
  const current = () => localStorage.getItem(THEME) ?? (system.matches ? "light" : "dark");
  const apply = () => {
    document.documentElement.style.colorScheme = current();
    element("theme").textContent = current() === "light" ? "Dark" : "Light";
    element("theme").title = `Switch to ${OTHER[current()]} colours`;
  };
  element("theme").addEventListener("click", () => {
    localStorage.setItem(THEME, OTHER[current()]);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

export function setUpHint() {
  element("hint").hidden = localStorage.getItem(HINT) !== null;
  element("close-hint").addEventListener("click", () => {
    localStorage.setItem(HINT, "yes");
    element("hint").hidden = true;
  });
}
