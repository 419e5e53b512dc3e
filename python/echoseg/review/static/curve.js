// A curve over the frames, with its 95 % interval, the beats, and what was reviewed. A click opens a frame.

const HEIGHT = 100;
const TICKS = 4; // about so many on an axis
const HEADROOM = 1.12; // the top of the plot, as a multiple of the largest value

/** Round steps that cut a range into about `count` parts. */
export function ticks(range, count) {
  const rough = range / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  return Array.from({ length: Math.floor(range / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

export class Curve {
  #count = 1; // frames
  #top = 1; // value at the upper edge

  /** openFrame(frame) is called when the user clicks or drags in the plot. */
  constructor(root, openFrame) {
    root.append(document.getElementById("curve").content.cloneNode(true));
    this.root = root;
    [this.svg, this.marks, this.cursor, this.xAxis, this.yAxis] = ["svg", ".marks", ".cursor", ".x-axis", ".y-axis"].map(
      (selector) => root.querySelector(selector),
    );
    this.paths = Object.fromEntries([...root.querySelectorAll("path")].map((path) => [path.dataset.part, path]));
    const openFrameAt = (event) => {
      const box = this.svg.getBoundingClientRect();
      const position = (event.clientX - box.left) / box.width;
      openFrame(Math.round(Math.min(Math.max(position, 0), 1) * (this.#count - 1)));
    };
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      openFrameAt(event);
    });
    this.svg.addEventListener("pointermove", (event) => event.buttons && openFrameAt(event));
  }

  /** Draw what stays while a person corrects: the axes and the predicted values; deviations are null if unknown. */
  setClip({ title, values, deviations }) {
    this.#count = values.length;
    const upper = values.map((value, t) => value + 1.96 * (deviations?.[t] ?? 0));
    this.#top = HEADROOM * Math.max(1e-6, ...upper);
    this.root.querySelector("figcaption").textContent = title;
    this.svg.setAttribute("viewBox", `0 0 ${Math.max(1, values.length - 1)} ${HEIGHT}`);
    this.paths.prediction.setAttribute("d", this.#line(values));
    const levels = ticks(this.#top, TICKS);
    this.yAxis.replaceChildren(...levels.map((level) => this.#label(level, "top", this.#y(level))));
    this.paths.grid.setAttribute("d", levels.map((level) => `M0 ${this.#y(level)}H${Math.max(1, this.#count - 1)}`).join(""));
    const frames = ticks(Math.max(1, values.length - 1), TICKS).filter(Number.isInteger);
    this.xAxis.replaceChildren(...frames.map((frame) => this.#label(frame + 1, "left", this.#x(frame))));
  }

  /** Draw the current values, their interval, dots at the corrected frames, and the beats. */
  drawCurrent(values, deviations, frames, beats) {
    const { interval, correction, dots } = this.paths;
    interval.setAttribute("d", deviations ? this.#interval(values, deviations) : "");
    correction.setAttribute("d", frames.length ? this.#line(values) : "");
    dots.setAttribute("d", frames.map((t) => `M${t} ${this.#y(values[t])}h0`).join(""));
    const marks = beats.flatMap(([ed, es]) => [["ED", ed], ["ES", es]]);
    this.marks.replaceChildren(...marks.map(([name, frame]) => this.#label(name, "left", this.#x(frame))));
  }

  drawCursor(frame) {
    this.cursor.style.left = `${this.#x(frame)}%`;
  }

  #x(frame) {
    return (100 * frame) / Math.max(1, this.#count - 1);
  }

  #y(value) {
    return (HEIGHT * (1 - value / this.#top)).toFixed(2);
  }

  #line(values) {
    return values.map((value, t) => `${t ? "L" : "M"}${t} ${this.#y(value)}`).join("");
  }

  #interval(values, deviations) {
    const edge = (sign) => values.map((value, t) => `${t} ${this.#y(Math.max(0, value + sign * 1.96 * deviations[t]))}`);
    return `M${edge(1).join("L")}L${edge(-1).reverse().join("L")}Z`;
  }

  #label(text, side, percent) {
    const label = document.createElement("span");
    label.textContent = text;
    label.style[side] = `${percent}%`;
    return label;
  }
}
