// Zoom and pan: which part of the picture fills the view. The stage is enlarged and moved within its parent.

const MAX_FACTOR = 12;
const WHEEL_SPEED = 0.0015; // change of the factor's logarithm by pixel
const PINCH_SPEED = 0.01; // the same, for a wheel event that a touchpad sends for a pinch
const LINE_HEIGHT = 30; // pixels of a wheel event that counts lines
const MARGIN = 0.2; // around a box that is zoomed to
const BUTTONS = 0.05; // of the view, by which the box is moved up, away from the buttons below

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class Zoom {
  factor = 1;
  #corner = [0, 0]; // the part of the picture left of and above the view
  #fingers = new Map(); // pointer → [x, y], of fingers on the picture
  #panning = null; // {pointer, x, y} while the picture is dragged

  /** callbacks: change() after each change; pinch() when a second finger touches the picture. */
  constructor(root, callbacks) {
    this.root = root;
    this.stage = root.querySelector(".stage");
    this.callbacks = callbacks;
    root.addEventListener("wheel", (event) => this.#turnWheel(event), { passive: false });
    root.addEventListener("touchstart", (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
    root.addEventListener("pointerdown", (event) => this.#press(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) root.addEventListener(name, (event) => this.#release(event));
    this.reset();
  }

  reset() {
    this.#set(1, [0, 0]);
  }

  /** Multiply the factor; what is at the position `at`, in parts of the view, stays there. */
  by(change, at = [0.5, 0.5]) {
    const factor = clamp(this.factor * change, 1, MAX_FACTOR);
    this.#set(factor, this.#corner.map((corner, i) => corner + at[i] / this.factor - at[i] / factor));
  }

  /** Move the picture, in parts of the view. */
  pan(move) {
    this.#set(this.factor, this.#corner.map((corner, i) => corner - move[i] / this.factor));
  }

  /** Show a box with a margin: its corners, in parts of the picture. */
  toBox(low, high) {
    const size = Math.max(high[0] - low[0], high[1] - low[1], 1e-6) * (1 + 2 * MARGIN);
    const factor = clamp(1 / size, 1, MAX_FACTOR);
    this.#set(factor, low.map((from, i) => (from + high[i]) / 2 - (0.5 - BUTTONS * i) / factor));
  }

  /** Move the picture so that a point is in the view, if it is not: in parts of the picture. */
  reveal(point) {
    const isVisible = point.every((value, i) => value >= this.#corner[i] && value <= this.#corner[i] + 1 / this.factor);
    if (!isVisible) this.#set(this.factor, point.map((value) => value - 0.5 / this.factor));
  }

  #set(factor, corner) {
    this.factor = factor;
    this.#corner = corner.map((value) => clamp(value, 0, 1 - 1 / factor));
    const style = this.stage.style;
    style.width = style.height = `${100 * factor}%`;
    [style.left, style.top] = this.#corner.map((value) => `${-100 * factor * value}%`);
    this.root.classList.toggle("zoomed", factor > 1);
    this.callbacks.change();
  }

  /** Where in the view something is, in parts of it. */
  #place([x, y]) {
    const box = this.root.getBoundingClientRect();
    return [(x - box.left) / box.width, (y - box.top) / box.height];
  }

  #turnWheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode ? LINE_HEIGHT : 1);
    this.by(Math.exp(-pixels * (event.ctrlKey ? PINCH_SPEED : WHEEL_SPEED)), this.#place([event.clientX, event.clientY]));
  }

  #press(event) {
    if (event.pointerType === "touch") this.#fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.#fingers.size === 2) {
      this.#panning = null;
      this.callbacks.pinch();
      return;
    }
    const isDrag = event.button === 1 || (event.button === 0 && !event.defaultPrevented && this.factor > 1);
    if (!isDrag) return;
    if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
    this.#panning = { pointer: event.pointerId, x: event.clientX, y: event.clientY };
    this.root.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const box = this.root.getBoundingClientRect();
    if (this.#fingers.size === 2 && this.#fingers.has(event.pointerId)) {
      const before = this.#pinch();
      this.#fingers.set(event.pointerId, [event.clientX, event.clientY]);
      const after = this.#pinch();
      this.pan(after.centre.map((value, i) => (value - before.centre[i]) / [box.width, box.height][i]));
      this.by(after.distance / before.distance, this.#place(after.centre));
    } else if (event.pointerId === this.#panning?.pointer) {
      this.pan([(event.clientX - this.#panning.x) / box.width, (event.clientY - this.#panning.y) / box.height]);
      Object.assign(this.#panning, { x: event.clientX, y: event.clientY });
    }
  }

  #release(event) {
    this.#fingers.delete(event.pointerId);
    if (event.pointerId === this.#panning?.pointer) this.#panning = null;
  }

  #pinch() {
    const [[x0, y0], [x1, y1]] = this.#fingers.values();
    return { centre: [(x0 + x1) / 2, (y0 + y1) / 2], distance: Math.max(1, Math.hypot(x1 - x0, y1 - y0)) };
  }
}
