// Brightness and contrast of the picture. They change what is shown, not what the network has seen.

import { element } from "./messages.js";

const TARGET = 0.35; // to which the automatic setting maps the median of the tissue
const DARKEST = 8; // grey level; darker pixels are taken for the background
const BRIGHTNESS_STEP = 40; // of the slider: each halves the exponent
const CONTRAST_STEP = 60; // each doubles the slope
const KEY = "echoseg-brightness"; // in the browser's storage

export class Brightness {
  /** colours: RGBA of each grey level; onChange() is called when they have changed. */
  colours = new Uint32Array(256);

  constructor(onChange) {
    this.onChange = onChange;
    this.isAutomatic = false;
    [this.brightness, this.contrast] = [element("brightness"), element("contrast")];
    for (const slider of [this.brightness, this.contrast]) {
      slider.addEventListener("input", () => {
        this.isAutomatic = false;
        this.#apply();
      });
    }
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    this.brightness.value = stored.brightness ?? 0;
    this.contrast.value = stored.contrast ?? 0;
    this.isAutomatic = stored.isAutomatic ?? false;
    this.#apply();
  }

  /** pixels: grey levels of a clip, from which the automatic setting is computed. */
  setClip(pixels) {
    this.pixels = pixels;
    if (this.isAutomatic) this.#adjust();
  }

  toggleAutomatic() {
    this.isAutomatic = !this.isAutomatic;
    if (this.isAutomatic) this.#adjust();
    else this.reset();
  }

  reset() {
    this.isAutomatic = false;
    this.brightness.value = this.contrast.value = 0;
    this.#apply();
  }

  #adjust() {
    const counts = new Array(256).fill(0);
    for (const level of this.pixels) counts[level] += 1;
    const tissue = counts.slice(DARKEST).reduce((sum, count) => sum + count, 0);
    let [median, below] = [DARKEST, 0];
    while (median < 255 && below + counts[median] < tissue / 2) below += counts[median++];
    const exponent = Math.log(TARGET) / Math.log(Math.min(median, 254) / 255);
    this.brightness.value = -BRIGHTNESS_STEP * Math.log2(exponent);
    this.contrast.value = 0;
    this.#apply();
  }

  #apply() {
    const exponent = 2 ** (-this.brightness.value / BRIGHTNESS_STEP);
    const slope = 2 ** (this.contrast.value / CONTRAST_STEP);
    for (let level = 0; level < 256; level++) {
      const shown = ((level / 255) ** exponent - 0.5) * slope + 0.5;
      this.colours[level] = 0xff000000 | (Math.round(255 * Math.min(Math.max(shown, 0), 1)) * 0x010101);
    }
    element("auto-brightness").setAttribute("aria-pressed", String(this.isAutomatic));
    const { brightness, contrast, isAutomatic } = this;
    localStorage.setItem(KEY, JSON.stringify({ brightness: brightness.value, contrast: contrast.value, isAutomatic }));
    this.onChange();
  }
}
