// The scale of the picture: a bar of a round length, and a line that measures a distance.

const LENGTHS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200]; // of the bar: mm, or pixels if their size is unknown
const MAX_PART = 0.3; // of the view, for the bar

export class Ruler {
  isMeasuring = false;
  #scale = [1, 1]; // width and height of a pixel
  #unit = "px";
  #start = null; // of the line, in pixels, while it is drawn

  /** imageView: the ImageView; onToggle(isMeasuring) is called when measuring starts or ends. */
  constructor(root, imageView, onToggle) {
    [this.imageView, this.onToggle] = [imageView, onToggle];
    this.bar = root.querySelector(".scale-bar");
    this.line = root.querySelector(".ruler");
    this.result = root.querySelector(".ruler-length");
    const take = (name, action) =>
      root.addEventListener(name, (event) => {
        if (!this.isMeasuring || event.button > 0 || event.target.closest("button")) return;
        event.stopPropagation();
        event.preventDefault();
        action(event);
      }, { capture: true });
    take("pointerdown", (event) => {
      root.setPointerCapture(event.pointerId);
      this.#start = imageView.clamp(imageView.positionOf(event));
      this.#draw(this.#start);
    });
    take("pointermove", (event) => this.#start && this.#draw(imageView.clamp(imageView.positionOf(event))));
    for (const name of ["pointerup", "pointercancel"]) take(name, () => (this.#start = null));
  }

  setClip({ known, scale }) {
    [this.#scale, this.#unit] = [scale, known ? "mm" : "px"];
    this.toggle(false);
    this.drawBar();
  }

  /** Draw the bar again, after the picture was zoomed or resized. */
  drawBar() {
    const { pixelSize, viewWidth } = this.imageView;
    const widthOf = (length) => (length / this.#scale[0]) * pixelSize;
    const length = LENGTHS.filter((each) => widthOf(each) <= MAX_PART * viewWidth).pop() ?? LENGTHS[0];
    this.bar.style.width = `${widthOf(length)}px`;
    this.bar.textContent = `${length} ${this.#unit}`;
  }

  toggle(isMeasuring = !this.isMeasuring) {
    this.isMeasuring = isMeasuring;
    this.line.setAttribute("d", "");
    this.result.textContent = isMeasuring ? "Drag a line to measure a distance" : "";
    this.onToggle(isMeasuring);
  }

  #draw(end) {
    const [dx, dy] = end.map((value, i) => (value - this.#start[i]) * this.#scale[i]);
    this.line.setAttribute("d", `M${this.#start.join(" ")}L${end.join(" ")}`);
    this.result.textContent = `${Math.hypot(dx, dy).toFixed(1)} ${this.#unit}`;
  }
}
