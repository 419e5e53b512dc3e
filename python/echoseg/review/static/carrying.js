// Carries corrections to the other frames of a cine: the server computes their contours after each change.

import { getJson } from "./api.js";
import { element, showStatus } from "./messages.js";

const KEY = "echoseg-carry"; // in the browser's storage

export class Carrying {
  #requests = 0;

  /** getClip() returns the open clip or null; onCarried(clip) is called when its contours have changed. */
  constructor({ getClip, onCarried }) {
    this.onCarried = onCarried;
    this.box = element("carry");
    this.box.checked = localStorage.getItem(KEY) !== "no";
    this.box.addEventListener("change", () => {
      localStorage.setItem(KEY, this.box.checked ? "yes" : "no");
      if (getClip()) this.update(getClip());
    });
  }

  /** Fetch the contours of a clip after a change was saved. */
  async update(clip) {
    const number = ++this.#requests;
    const { changes } = clip;
    const isNeeded = this.box.checked && clip.thickness === null && clip.correctedFrames().length > 0;
    try {
      const carried = isNeeded ? await getJson(`${clip.path}/carried`) : null;
      if (number !== this.#requests || clip.changes !== changes) return; // the next change is on its way
      clip.setCarried(carried);
      this.onCarried(clip);
    } catch (error) {
      showStatus(`The corrections were not carried to the other frames: ${error.message}`, true);
    }
  }
}
