// The area over time, with its uncertainty, the beats and what was corrected; a click goes to a frame.

const TALL = 100;

export class Curve {
  #count = 1;
  #top = 1;

  constructor(root, go) {
    this.root = root;
    this.svg = root.querySelector("svg");
    this.marks = root.querySelector(".marks");
    this.cursor = root.querySelector(".cursor");
    this.paths = Object.fromEntries([...root.querySelectorAll("path")].map((path) => [path.dataset.part, path]));
    const follow = (event) => {
      const box = this.svg.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      go(Math.round(Math.min(Math.max(share, 0), 1) * (this.#count - 1)));
    };
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.svg.addEventListener("pointermove", (event) => event.buttons && follow(event));
  }

  /** What stays: the prediction, its 95 % interval and the beats. */
  setClip({ areas, area_std: deviations, beats }) {
    this.#count = areas.length;
    const reach = areas.map((area, t) => area + 1.96 * (deviations?.[t] ?? 0));
    this.#top = 1.15 * Math.max(1, ...reach);
    this.svg.setAttribute("viewBox", `0 0 ${Math.max(1, areas.length - 1)} ${TALL}`);
    this.paths.prediction.setAttribute("d", this.#line(areas));
    this.paths.band.setAttribute("d", deviations ? this.#band(areas, deviations) : "");
    this.marks.replaceChildren(
      ...beats.flatMap(([ed, es]) => [this.#mark("ED", ed), this.#mark("ES", es)]),
    );
  }

  /** What changes: areas with corrections, and which frames have one. */
  drawCorrected(areas, frames) {
    const { correction, dots } = this.paths;
    const near = (t) => [t - 1, t, t + 1].filter((at) => at >= 0 && at < this.#count);
    correction.setAttribute("d", frames.map((t) => `M${near(t).map((at) => `${at} ${this.#y(areas[at])}`).join("L")}`).join(""));
    dots.setAttribute("d", frames.map((t) => `M${t} ${this.#y(areas[t])}h0`).join(""));
  }

  drawCursor(frame) {
    this.cursor.style.left = `${this.#left(frame)}%`;
  }

  #left(frame) {
    return (100 * frame) / Math.max(1, this.#count - 1);
  }

  #y(area) {
    return (TALL * (1 - area / this.#top)).toFixed(2);
  }

  #line(areas) {
    return areas.map((area, t) => `${t ? "L" : "M"}${t} ${this.#y(area)}`).join("");
  }

  #band(areas, deviations) {
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
