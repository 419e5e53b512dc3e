// The image, the overlay and outlines drawn on it, and the points that can be dragged.

import { nameOf } from "./handles.js";
import { Zoom } from "./zoom.js";

const SVG = "http://www.w3.org/2000/svg";
const DOT_RADIUS = 5.5; // CSS pixels
const TARGET_RADIUS = 20; // CSS pixels around a point in which a finger or the mouse grabs it, if it is the nearest
const MIN_DRAG = 2; // CSS pixels; a shorter movement is a click

export class ImageView {
  #width = 1; // pixels of the image
  #height = 1;
  #grabbed = null; // {index, offset, pointer, from, isMoved} while a point is dragged

  /**
   * callbacks: select(index), -1 for no point; drag(index, point) while a point moves; drop() and cancel() when that
   * ends; addPoint(point, maxDistance) on a double click; resize() when a pixel of the image has another size.
   */
  constructor(root, callbacks) {
    this.callbacks = callbacks;
    this.root = root;
    this.zoom = new Zoom(root, { change: () => this.#resize(), pinch: () => this.cancelDrag() });
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
      callbacks.addPoint(this.positionOf(event), TARGET_RADIUS / this.pixelSize);
    });
    // A finger on a point drags it, elsewhere it scrolls the page. Chromium ignores touch-action on parts of an SVG.
    this.svg.addEventListener("touchstart", (event) => this.#nearest(event.touches[0]) && event.preventDefault(), {
      passive: false,
    });
    this.points.addEventListener("focusin", (event) => {
      const index = this.#indexOf(event.target);
      if (index < 0) return; // the point was removed meanwhile
      this.zoom.reveal(this.#partOf(this.#positions()[index]));
      callbacks.select(index);
    });
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  setSize(width, height) {
    [this.#width, this.#height] = [width, height];
    for (const { canvas } of [this.image, this.overlay]) [canvas.width, canvas.height] = [width, height];
    this.svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
    this.root.style.setProperty("--aspect-ratio", `${width} / ${height}`);
    this.root.style.setProperty("--width-per-height", width / height);
    this.imageData = this.image.createImageData(width, height);
    this.overlayData = this.overlay.createImageData(width, height);
    this.zoom.reset();
  }

  /** brightness: a byte a pixel; colours: RGBA of each grey level. */
  drawFrame(brightness, colours) {
    const pixels = new Uint32Array(this.imageData.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = colours[brightness[i]];
    this.image.putImageData(this.imageData, 0, 0);
  }

  clearFrame() {
    this.image.clearRect(0, 0, this.#width, this.#height);
  }

  /** paint(pixels) writes RGBA bytes. */
  drawOverlay(paint) {
    this.overlayData.data.fill(0);
    paint(this.overlayData.data);
    this.overlay.putImageData(this.overlayData, 0, 0);
  }

  /** outline: x0, y0, x1, y1, …; null hides the layer. */
  drawOutline(layer, outline, { isDashed = false } = {}) {
    const points = [];
    for (let i = 0; i < (outline?.length ?? 0); i += 2) {
      points.push(`${outline[i].toFixed(3)} ${outline[i + 1].toFixed(3)}`);
    }
    this.paths[layer].classList.toggle("dashed", isDashed);
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
    this.#scalePoints();
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
    for (const name of ["target", "dot"]) {
      const circle = document.createElementNS(SVG, "circle");
      circle.setAttribute("class", name);
      point.append(circle);
    }
    return point;
  }

  /** The width of a pixel of the image, in CSS pixels. */
  get pixelSize() {
    return this.svg.getBoundingClientRect().width / this.#width || 1;
  }

  get viewWidth() {
    return this.root.clientWidth;
  }

  /** Zoom so that some points fill the view. */
  zoomTo(points) {
    const ends = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...points.map((point) => point[axis]))));
    this.zoom.toBox(...ends.map((point) => this.#partOf(point)));
  }

  #partOf([x, y]) {
    return [(x + 0.5) / this.#width, (y + 0.5) / this.#height];
  }

  #resize() {
    if (!this.points) return; // the constructor has not ended
    this.#scalePoints();
    this.callbacks.resize();
  }

  /** Keep the size of the points on the screen. The circles that grab them do not overlap. */
  #scalePoints() {
    const { pixelSize } = this;
    const positions = this.#positions();
    positions.forEach(([x, y], index) => {
      const [target, dot] = this.points.children[index].children;
      const distances = positions.map(([u, v], other) => (other === index ? Infinity : Math.hypot(u - x, v - y)));
      target.setAttribute("r", Math.min(TARGET_RADIUS / pixelSize, Math.min(...distances) / 2));
      dot.setAttribute("r", DOT_RADIUS / pixelSize);
    });
  }

  #positions() {
    return [...this.points.children].map((point) => {
      const { e, f } = point.transform.baseVal.getItem(0).matrix;
      return [e, f];
    });
  }

  /** The point that is grabbed at a place: {index, offset}; null if none is near. */
  #nearest(event) {
    if (this.points.classList.contains("hidden")) return null;
    const [x, y] = this.positionOf(event);
    const offsets = this.#positions().map(([u, v]) => [u - x, v - y]);
    const distances = offsets.map(([dx, dy]) => Math.hypot(dx, dy));
    const index = distances.indexOf(Math.min(...distances));
    return distances[index] * this.pixelSize <= TARGET_RADIUS ? { index, offset: offsets[index] } : null;
  }

  #indexOf(element) {
    return [...this.points.children].indexOf(element.closest("g[tabindex]"));
  }

  /** Where in the image an event happened, in its pixels. */
  positionOf(event) {
    const box = this.svg.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.#width - 0.5,
      ((event.clientY - box.top) / box.height) * this.#height - 0.5,
    ];
  }

  #grab(event) {
    if (event.button !== 0 || this.#grabbed) return;
    const nearest = this.#nearest(event);
    if (!nearest) {
      document.activeElement?.blur();
      this.callbacks.select(-1);
      return;
    }
    event.preventDefault();
    this.#grabbed = { ...nearest, pointer: event.pointerId, from: [event.clientX, event.clientY], isMoved: false };
    this.svg.setPointerCapture(event.pointerId);
    this.focusPoint(nearest.index);
  }

  #move(event) {
    if (event.pointerId !== this.#grabbed?.pointer) return;
    const { index, offset, from } = this.#grabbed;
    this.#grabbed.isMoved ||= Math.hypot(event.clientX - from[0], event.clientY - from[1]) >= MIN_DRAG;
    if (!this.#grabbed.isMoved) return;
    const [x, y] = this.positionOf(event);
    this.callbacks.drag(index, this.clamp([x + offset[0], y + offset[1]]));
  }

  /** End a drag without a change. */
  cancelDrag() {
    this.#release(this.callbacks.cancel);
  }

  #release(callback) {
    if (!this.#grabbed) return;
    this.#grabbed = null;
    callback();
  }
}
