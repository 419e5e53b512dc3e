// The image, the overlay and outlines drawn on it, and the points that can be dragged.

import { nameOf } from "./handles.js";

const SVG = "http://www.w3.org/2000/svg";
const DOT_RADIUS = 5.5; // CSS pixels
const TARGET_RADIUS = 20; // CSS pixels around a point in which a finger or the mouse grabs it
const CIRCLES = [["target", TARGET_RADIUS], ["dot", DOT_RADIUS]];

export class ImageView {
  #width = 1; // pixels of the image
  #height = 1;
  #grabbed = null; // {index, offset, pointer} while a point is dragged

  /**
   * callbacks: select(index), -1 for no point; drag(index, point) while a point moves; drop() and cancel() when that
   * ends; addPoint(point, maxDistance) on a double click.
   */
  constructor(root, callbacks) {
    this.callbacks = callbacks;
    this.root = root;
    this.svg = root.querySelector("svg");
    this.points = root.querySelector(".points");
    this.paths = Object.fromEntries([...root.querySelectorAll("path")].map((path) => [path.dataset.layer, path]));
    [this.image, this.overlay] = ["image", "overlay"].map((name) =>
      root.querySelector(`canvas.${name}`).getContext("2d"),
    );
    this.svg.addEventListener("pointerdown", (event) => this.#grab(event));
    this.svg.addEventListener("pointermove", (event) => this.#move(event));
    this.svg.addEventListener("pointerup", () => this.#release(callbacks.drop));
    this.svg.addEventListener("pointercancel", () => this.#release(callbacks.cancel));
    this.svg.addEventListener("dblclick", (event) => {
      if (event.target.closest("g[tabindex]")) return;
      callbacks.addPoint(this.#positionOf(event), TARGET_RADIUS / this.#zoom());
    });
    // A finger on a point drags it, elsewhere it scrolls the page. Chromium ignores touch-action on parts of an SVG.
    this.points.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    this.points.addEventListener("focusin", (event) => callbacks.select(this.#indexOf(event.target)));
    new ResizeObserver(() => this.#scalePoints()).observe(root);
  }

  setSize(width, height) {
    [this.#width, this.#height] = [width, height];
    for (const { canvas } of [this.image, this.overlay]) [canvas.width, canvas.height] = [width, height];
    this.svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
    this.root.style.setProperty("--aspect-ratio", `${width} / ${height}`);
    this.root.style.setProperty("--width-per-height", width / height);
    this.imageData = this.image.createImageData(width, height);
    this.overlayData = this.overlay.createImageData(width, height);
    this.#scalePoints();
  }

  /** brightness: a byte a pixel. */
  drawFrame(brightness) {
    const pixels = new Uint32Array(this.imageData.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (brightness[i] * 0x010101);
    this.image.putImageData(this.imageData, 0, 0);
  }

  /** paint(pixels) writes RGBA bytes. */
  drawOverlay(paint) {
    this.overlayData.data.fill(0);
    paint(this.overlayData.data);
    this.overlay.putImageData(this.overlayData, 0, 0);
  }

  /** outline: x0, y0, x1, y1, …; null hides the layer. */
  drawOutline(layer, outline) {
    const points = [];
    for (let i = 0; i < (outline?.length ?? 0); i += 2) {
      points.push(`${outline[i].toFixed(3)} ${outline[i + 1].toFixed(3)}`);
    }
    this.paths[layer].setAttribute("d", points.length ? `M${points.join("L")}Z` : "");
  }

  drawPoints(handles, run, selected) {
    while (this.points.childElementCount > handles.points.length) this.points.lastElementChild.remove();
    while (this.points.childElementCount < handles.points.length) this.points.append(this.#newPoint());
    handles.points.forEach(([x, y], index) => {
      const point = this.points.children[index];
      point.setAttribute("transform", `translate(${x} ${y})`);
      const moved = handles.pinned[index] ? ", moved" : "";
      point.setAttribute("aria-label", `${nameOf(handles, index, run)}${moved}, x ${x.toFixed(2)}, y ${y.toFixed(2)}`);
      point.classList.toggle("pinned", handles.pinned[index]);
      point.classList.toggle("selected", index === selected);
    });
  }

  showPoints(visible) {
    this.points.classList.toggle("hidden", !visible);
  }

  focusPoint(index) {
    this.points.children[index]?.focus({ preventScroll: true });
  }

  /** The position within the image that is nearest to a point. */
  clamp([x, y]) {
    return [Math.min(Math.max(x, -0.5), this.#width - 0.5), Math.min(Math.max(y, -0.5), this.#height - 0.5)];
  }

  #newPoint() {
    const point = document.createElementNS(SVG, "g");
    point.setAttribute("tabindex", "0");
    point.setAttribute("role", "button");
    point.setAttribute("aria-roledescription", "movable point");
    for (const [name, radius] of CIRCLES) {
      const circle = document.createElementNS(SVG, "circle");
      circle.setAttribute("class", name);
      circle.setAttribute("r", radius / this.#zoom());
      point.append(circle);
    }
    return point;
  }

  #zoom() {
    return this.svg.clientWidth / this.#width || 1;
  }

  /** Keep the size of the points on the screen when the image is resized. */
  #scalePoints() {
    for (const [name, radius] of CIRCLES) {
      for (const circle of this.points.querySelectorAll(`.${name}`)) circle.setAttribute("r", radius / this.#zoom());
    }
  }

  #indexOf(element) {
    return [...this.points.children].indexOf(element.closest("g[tabindex]"));
  }

  /** Where in the image an event happened, in its pixels. */
  #positionOf(event) {
    const box = this.svg.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.#width - 0.5,
      ((event.clientY - box.top) / box.height) * this.#height - 0.5,
    ];
  }

  #grab(event) {
    if (event.button !== 0 || this.#grabbed) return;
    if (!event.target.closest("g[tabindex]")) {
      document.activeElement?.blur();
      this.callbacks.select(-1);
      return;
    }
    event.preventDefault();
    // the targets of points overlap: take the nearest point, not the one drawn on top
    const [x, y] = this.#positionOf(event);
    const offsets = [...this.points.children].map((point) => {
      const { e, f } = point.transform.baseVal.getItem(0).matrix;
      return [e - x, f - y];
    });
    const distances = offsets.map(([dx, dy]) => Math.hypot(dx, dy));
    const index = distances.indexOf(Math.min(...distances));
    this.#grabbed = { index, offset: offsets[index], pointer: event.pointerId };
    this.svg.setPointerCapture(event.pointerId);
    this.focusPoint(index);
  }

  #move(event) {
    if (event.pointerId !== this.#grabbed?.pointer) return;
    const [x, y] = this.#positionOf(event);
    const { index, offset } = this.#grabbed;
    this.callbacks.drag(index, this.clamp([x + offset[0], y + offset[1]]));
  }

  #release(callback) {
    if (!this.#grabbed) return;
    this.#grabbed = null;
    callback();
  }
}
