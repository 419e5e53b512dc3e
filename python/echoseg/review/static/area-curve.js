// The curve of the area over time, with its 95 % interval, the beats and the corrected frames. A click opens a frame.

const HEIGHT = 100;

export class AreaCurve {
  #count = 1; // frames
  #top = 1; // area at the upper edge

  /** openFrame(frame) is called when the user clicks or drags in the plot. */
  constructor(root, openFrame) {
    this.root = root;
    this.svg = root.querySelector("svg");
    this.marks = root.querySelector(".marks");
    this.cursor = root.querySelector(".cursor");
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

  /** Draw what does not change while a person corrects: the predicted areas, their interval and the beats. */
  setClip({ areas, area_std: deviations, beats }) {
    this.#count = areas.length;
    const upper = areas.map((area, t) => area + 1.96 * (deviations?.[t] ?? 0));
    this.#top = 1.15 * Math.max(1, ...upper);
    this.svg.setAttribute("viewBox", `0 0 ${Math.max(1, areas.length - 1)} ${HEIGHT}`);
    this.paths.prediction.setAttribute("d", this.#line(areas));
    this.paths.interval.setAttribute("d", deviations ? this.#interval(areas, deviations) : "");
    this.marks.replaceChildren(
      ...beats.flatMap(([ed, es]) => [this.#mark("ED", ed), this.#mark("ES", es)]),
    );
  }

  /** Draw the current areas around the corrected frames. */
  drawCorrected(areas, frames) {
    const { correction, dots } = this.paths;
    const neighbours = (t) => [t - 1, t, t + 1].filter((each) => each >= 0 && each < this.#count);
    const segment = (t) => `M${neighbours(t).map((each) => `${each} ${this.#y(areas[each])}`).join("L")}`;
    correction.setAttribute("d", frames.map(segment).join(""));
    dots.setAttribute("d", frames.map((t) => `M${t} ${this.#y(areas[t])}h0`).join(""));
  }

  drawCursor(frame) {
    this.cursor.style.left = `${this.#left(frame)}%`;
  }

  #left(frame) {
    return (100 * frame) / Math.max(1, this.#count - 1);
  }

  #y(area) {
    return (HEIGHT * (1 - area / this.#top)).toFixed(2);
  }

  #line(areas) {
    return areas.map((area, t) => `${t ? "L" : "M"}${t} ${this.#y(area)}`).join("");
  }

  #interval(areas, deviations) {
    const edge = (sign) => areas.map((area, t) => `${t} ${this.#y(Math.max(0, area + sign * 1.96 * deviations[t]))}`);
    return `M${edge(1).join("L")}L${edge(-1).reverse().join("L")}Z`;
  }

  #mark(name, frame) {
    const mark = document.createElement("span");
    mark.textContent = name;
    mark.style.left = `${this.#left(frame)}%`;
    return mark;
  }
}
