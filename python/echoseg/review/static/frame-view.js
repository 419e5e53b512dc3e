// Draws the frame that is shown: image, outlines, points, overlay, measurements and curves.

import { drawBeats, roleOf, samePhaseOfNextBeat } from "./beats.js";
import { Brightness } from "./brightness.js";
import { Curve } from "./curve.js";
import { isAnnulusStart, isRequired } from "./handles.js";
import { ImageView } from "./image-view.js";
import { areaUnit, drawMeasurements, shownArea, volumeUnit } from "./measurements.js";
import { element, showStatus } from "./messages.js";
import { paintHeatmap, paintMask, paintThreshold } from "./overlay.js";
import { drawReview, outcomeOf } from "./review-queue.js";
import { Ruler } from "./ruler.js";
import { state } from "./state.js";

const MIN_GRAB = 24; // CSS pixels between points, below which a finger cannot grab them
const isShown = (name) => document.querySelector(`[data-show="${name}"]`).checked;
const isFinger = matchMedia("(pointer: coarse)");

const colours = Object.fromEntries(
  ["prediction", "correction"].map((name) => {
    const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    return [name, [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16))];
  }),
);

export class FrameView {
  /** pointCallbacks: see ImageView; isPlaying(); history: whose changes can be undone. */
  constructor({ pointCallbacks, isPlaying, history }) {
    Object.assign(this, { isPlaying, history });
    const resize = () => this.ruler?.drawBar();
    const root = element("image-view");
    this.imageView = new ImageView(root, { ...pointCallbacks, resize });
    this.ruler = new Ruler(root, this.imageView, (isMeasuring) => {
      root.classList.toggle("measuring", isMeasuring);
      element("measure").setAttribute("aria-pressed", String(isMeasuring));
    });
    this.brightness = new Brightness(() => this.drawImage());
    const openFrame = (frame) => this.show(frame);
    this.curves = { area: new Curve(element("area-curve"), openFrame), volume: new Curve(element("volume-curve"), openFrame) };
    for (const id of ["threshold-source", "threshold-level"]) element(id).addEventListener("input", () => this.draw());
    for (const checkbox of document.querySelectorAll("[data-show]")) {
      checkbox.addEventListener("change", () => {
        element("threshold-settings").hidden = !isShown("threshold");
        this.imageView.showPoints(isShown("points"));
        if (!isShown("points")) state.selected = -1;
        this.draw();
      });
    }
  }

  /** Show a new clip. */
  setClip() {
    const { clip } = state;
    element("frame-slider").max = clip.frames - 1;
    element("carry-setting").hidden = clip.thickness !== null;
    element("truth-layer").hidden = !Object.keys(clip.truth).length;
    this.imageView.setSize(clip.width, clip.height);
    this.ruler.setClip(clip);
    const each = clip.thickness ? "by slice" : "by frame";
    const interval = clip.area_std ? "; shaded: 95 % interval" : "";
    const areas = (pixels) => pixels?.map((value) => shownArea(clip, value)) ?? null;
    this.curves.area.setClip({
      title: `Area, ${areaUnit(clip)}, ${each}${interval}`,
      values: areas(clip.areas),
      deviations: areas(clip.area_std),
    });
    this.curves.volume.setClip({
      title: `Volume, ${volumeUnit(clip)}, ${each}${interval}`,
      values: clip.volumes,
      deviations: clip.volume_std,
    });
  }

  /** Zoom to the contour if its points are too close together for a finger. */
  adaptZoom() {
    const { points } = state.clip.handlesOf(state.frame);
    const distances = points.map(([x, y], i) => {
      const [u, v] = points[(i + 1) % points.length];
      return Math.hypot(u - x, v - y);
    });
    const isClose = Math.min(...distances) * this.imageView.pixelSize < MIN_GRAB;
    if (isFinger.matches && isClose) this.zoomToContour();
  }

  zoomToContour() {
    this.imageView.zoomTo(state.clip.handlesOf(state.frame).points);
  }

  /** Show a frame; a number outside the clip shows its first or last one. */
  show(number) {
    const { clip } = state;
    this.imageView.cancelDrag();
    state.frame = Math.min(Math.max(number, 0), clip.frames - 1);
    state.shownSince = performance.now();
    const { frame } = state;
    element("frame-slider").value = frame;
    element("frame-number").textContent = `${frame + 1} / ${clip.frames}`;
    element("frame-slider").setAttribute("aria-valuetext", `frame ${frame + 1} of ${clip.frames}`);
    this.drawImage();
    this.draw();
    if (this.isPlaying()) return;
    showStatus("");
    this.ruler.toggle(false);
    window.history.replaceState(null, "", `#clip=${clip.number}&frame=${frame}`);
  }

  drawImage() {
    const { clip, frame } = state;
    if (!clip) return;
    if (frame < clip.loadedFrames) this.imageView.drawFrame(clip.brightnessOf(frame), this.brightness.colours);
    else this.imageView.clearFrame();
  }

  /** Draw everything that a correction may change. */
  draw() {
    const { clip, frame, dragged } = state;
    const handles = dragged ?? clip.handlesOf(frame);
    if (state.selected >= handles.points.length) state.selected = -1;
    const isCorrected = dragged !== null || clip.isCorrected(frame);
    const { outline, ...drawn } = clip.measure(handles);
    const measured = dragged ? drawn : { area: clip.currentAreas[frame], volume: clip.currentVolumes[frame] };
    this.imageView.drawOutline("truth", isShown("truth") ? clip.truth[frame]?.flat() : null);
    this.imageView.drawOutline("prediction", isShown("prediction") ? clip.predictedOutline(frame) : null);
    const current = isCorrected ? outline : clip.carriedOutline(frame);
    this.imageView.drawOutline("correction", isShown("correction") ? current : null, { isDashed: !isCorrected });
    this.imageView.drawPoints(handles, state.run, state.selected);
    this.#drawOverlay(isCorrected || clip.carried !== null);
    this.#drawNumbers(measured);
    if (this.isPlaying()) return;
    drawBeats((at) => this.show(at));
    drawReview((at) => this.show(at));
    this.enableButtons();
  }

  /** Measurements, curves and the badge, with the values of the frame as it is drawn. */
  #drawNumbers(measured) {
    const { clip, frame, dragged } = state;
    const saved = { area: clip.currentAreas[frame], volume: clip.currentVolumes[frame] };
    clip.setMeasured(frame, measured);
    drawMeasurements(clip, frame, measured);
    const corrected = dragged ? [...clip.correctedFrames(), frame] : clip.correctedFrames();
    const { area_std, volume_std } = clip.carried ?? clip;
    const beats = clip.currentBeats();
    const areas = (pixels) => pixels?.map((area) => shownArea(clip, area)) ?? null;
    this.curves.area.drawCurrent(areas(clip.currentAreas), areas(area_std), corrected, beats);
    this.curves.volume.drawCurrent(clip.currentVolumes, volume_std, corrected, beats);
    for (const curve of Object.values(this.curves)) curve.drawCursor(frame);
    if (dragged) clip.setMeasured(frame, saved); // the drag may be cancelled
    const task = clip.openFrames().includes(frame) ? "to review" : "";
    const badge = [roleOf(clip, frame), outcomeOf(clip, frame) || task].filter(Boolean);
    element("badge").textContent = badge.join(" · ");
  }

  #drawOverlay(isCorrected) {
    const { clip, frame } = state;
    this.imageView.drawOverlay((pixels) => {
      const source = element("threshold-source").value;
      const needsProbabilities = isShown("heatmap") || (isShown("threshold") && source === "probability");
      const probabilities = needsProbabilities
        ? clip.probabilitiesOf(frame, () => clip === state.clip && frame === state.frame && this.draw())
        : null;
      if (isShown("heatmap") && probabilities) paintHeatmap(pixels, probabilities);
      if (isShown("mask") && (isCorrected || clip.areas[frame])) {
        paintMask(pixels, clip.mask, colours[isCorrected ? "correction" : "prediction"]);
      }
      const values = source === "probability" ? probabilities : clip.brightnessOf(frame);
      if (isShown("threshold") && values) {
        const level = Number(element("threshold-level").value);
        const { area, dice } = paintThreshold(pixels, values, source, level, clip.mask);
        const levelText = source === "probability" ? (level / 255).toFixed(2) : level;
        element("threshold-result").textContent =
          `${levelText}: ${area} px selected; their Dice with the area inside the contour is ${dice.toFixed(3)}`;
      }
    });
  }

  enableButtons() {
    const { clip, frame, run, selected } = state;
    const handles = clip.handlesOf(frame);
    const isSelected = selected >= 0 && selected < handles.points.length;
    const { points, verdict } = clip.stateOf(frame);
    const enabled = {
      undo: this.history.canUndo,
      redo: this.history.canRedo,
      next: clip.openFrames().length > 0,
      add: isSelected && !isAnnulusStart(handles, selected, run),
      delete: isSelected && !isRequired(handles, selected, run),
      copy: frame + 1 < clip.frames,
      "copy-to-beat": samePhaseOfNextBeat(clip.currentBeats(), frame, clip.frames) !== null,
      "update-others": run.calibrated && handles.pinned.some((pinned, i) => pinned && handles.landmarks[i] >= 0),
      restore: points !== null || verdict !== null,
    };
    for (const [id, isEnabled] of Object.entries(enabled)) element(id).disabled = !isEnabled;
    element("restore-beats").hidden = clip.stateOf(null).beats === null;
  }
}
