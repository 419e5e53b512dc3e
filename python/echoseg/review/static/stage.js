// The picture, what lies over it, and the points that can be dragged.

import { nameOf } from "./handles.js";

const SVG = "http://www.w3.org/2000/svg";
const SEEN = 5.5; // CSS pixels: radius of a point
const REACH = 20; // of what a finger or a pointer takes hold of

export class Stage {
  #width = 1;
  #height = 1;
  #grabbed = null;

  /** on: {select(index), drag(index, point), drop(), cancel(), add(point, reach)}. */
  constructor(root, on) {
    this.on = on;
    this.root = root;
    this.svg = root.querySelector("svg");
    this.points = root.querySelector(".points");
    this.paths = Object.fromEntries([...root.querySelectorAll("path")].map((path) => [path.dataset.layer, path]));
    [this.picture, this.veil] = ["picture", "veil"].map((name) => root.querySelector(`canvas.${name}`).getContext("2d"));
    this.svg.addEventListener("pointerdown", (event) => this.#grab(event));
    this.svg.addEventListener("pointermove", (event) => this.#move(event));
    this.svg.addEventListener("pointerup", () => this.#release(on.drop));
    this.svg.addEventListener("pointercancel", () => this.#release(on.cancel));
    this.svg.addEventListener("dblclick", (event) => {
      if (!event.target.closest("g[tabindex]")) on.add(this.#placeOf(event), REACH / this.#zoom());
    });
    // a finger on a point drags it; elsewhere it scrolls the page (touch-action of SVG's parts is not enough for Chromium)
    this.points.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    this.points.addEventListener("focusin", (event) => on.select(this.#indexOf(event.target)));
    new ResizeObserver(() => this.#scalePoints()).observe(root);
  }

  setSize(width, height) {
    [this.#width, this.#height] = [width, height];
    for (const layer of [this.picture, this.veil]) [layer.canvas.width, layer.canvas.height] = [width, height];
    this.svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
    this.root.style.setProperty("--shape", `${width} / ${height}`);
    this.root.style.setProperty("--wide", width / height);
    this.grey = this.picture.createImageData(width, height);
    this.tint = this.veil.createImageData(width, height);
    this.#scalePoints();
  }

  drawFrame(bytes) {
    const pixels = new Uint32Array(this.grey.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (bytes[i] * 0x010101);
    this.picture.putImageData(this.grey, 0, 0);
  }

  /** paint(pixels) fills RGBA bytes. */
  drawVeil(paint) {
    this.tint.data.fill(0);
    paint(this.tint.data);
    this.veil.putImageData(this.tint, 0, 0);
  }

  drawOutline(layer, outline) {
    let d = "";
    if (outline) {
      for (let i = 0; i < outline.length; i += 2) d += `${i ? "L" : "M"}${outline[i].toFixed(3)} ${outline[i + 1].toFixed(3)}`;
      d += "Z";
    }
    this.paths[layer].setAttribute("d", d);
  }

  drawPoints(handles, run, selected) {
    while (this.points.childElementCount > handles.points.length) this.points.lastElementChild.remove();
    while (this.points.childElementCount < handles.points.length) this.points.append(this.#newPoint());
    handles.points.forEach(([x, y], index) => {
      const point = this.points.children[index];
      point.setAttribute("transform", `translate(${x} ${y})`);
      const pinned = handles.pinned[index] ? ", moved" : "";
      point.setAttribute("aria-label", `${nameOf(handles, index, run)}${pinned}, x ${x.toFixed(2)}, y ${y.toFixed(2)}`);
      point.classList.toggle("pinned", handles.pinned[index]);
      point.classList.toggle("selected", index === selected);
    });
  }

  focusPoint(index) {
    this.points.children[index]?.focus({ preventScroll: true });
  }

  #newPoint() {
    const point = document.createElementNS(SVG, "g");
    point.setAttribute("tabindex", "0");
    point.setAttribute("role", "button");
    point.setAttribute("aria-roledescription", "movable point");
    for (const [name, radius] of [["reach", REACH], ["dot", SEEN]]) {
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

  #scalePoints() {
    for (const [name, radius] of [["reach", REACH], ["dot", SEEN]]) {
      for (const circle of this.points.querySelectorAll(`.${name}`)) circle.setAttribute("r", radius / this.#zoom());
    }
  }

  #indexOf(element) {
    return [...this.points.children].indexOf(element.closest("g[tabindex]"));
  }

  #placeOf(event) {
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
      this.on.select(-1);
      return;
    }
    event.preventDefault(); // what reaches overlap: the nearest point is meant, not the one drawn last
    const [x, y] = this.#placeOf(event);
    const places = [...this.points.children].map((point) => {
      const { e, f } = point.transform.baseVal.getItem(0).matrix;
      return [e - x, f - y];
    });
    const distances = places.map(([dx, dy]) => Math.hypot(dx, dy));
    const index = distances.indexOf(Math.min(...distances));
    this.#grabbed = { index, offset: places[index], pointer: event.pointerId };
    this.svg.setPointerCapture(event.pointerId);
    this.focusPoint(index);
  }

  #move(event) {
    if (event.pointerId !== this.#grabbed?.pointer) return;
    const [x, y] = this.#placeOf(event);
    const { index, offset } = this.#grabbed;
    this.on.drag(index, this.inside([x + offset[0], y + offset[1]]));
  }

  #release(then) {
    if (!this.#grabbed) return;
    this.#grabbed = null;
    then();
  }

  /** The nearest place within the picture. */
  inside([x, y]) {
    return [Math.min(Math.max(x, -0.5), this.#width - 0.5), Math.min(Math.max(y, -0.5), this.#height - 0.5)];
  }
}
