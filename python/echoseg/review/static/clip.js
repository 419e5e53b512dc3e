// One clip: what the server told of it, what was corrected, and what follows from that.

import { outlineOf, volumeOf } from "./handles.js";
import { ejection, fill } from "./measure.js";
import { getBytes, getJson } from "./server.js";

const KEPT_PROBABILITIES = 64; // frames

export class Clip {
  #probabilities = new Map();

  static async load(number, run) {
    return new Clip(number, run, await getJson(`api/clips/${number}`));
  }

  constructor(number, run, facts) {
    Object.assign(this, facts, { number, run });
    this.path = `api/clips/${number}`;
    this.pixels = this.width * this.height;
    this.grey = new Uint8Array(this.pixels * this.frames);
    this.read = 0; // frames that have arrived
    this.landmarks = Array.from({ length: run.count }, (_, k) => k);
    this.areasNow = [...this.areas];
    this.volumesNow = [...this.volumes];
    this.mask = new Uint8Array(this.pixels);
    this.changed = new Map();
    this.versions = new Map();
    this.shownOutlines = new Map();
    for (const [frame, told] of Object.entries(facts.corrections)) this.take(Number(frame), told);
  }

  /** Fetch all frames, in pieces; tell after each. */
  async fetchFrames(arrived) {
    while (this.read < this.frames) {
      const piece = await getBytes(`${this.path}/frames?start=${this.read}&stop=${this.frames}`);
      this.grey.set(piece, this.read * this.pixels);
      this.read += piece.length / this.pixels;
      arrived();
    }
  }

  greyOf(frame) {
    return this.grey.subarray(frame * this.pixels, (frame + 1) * this.pixels);
  }

  /** Probabilities of a frame, if they are here; else fetch them and tell. */
  probabilitiesOf(frame, arrived) {
    const known = this.#probabilities.get(frame);
    if (known === undefined) {
      this.#probabilities.set(frame, null);
      if (this.#probabilities.size > KEPT_PROBABILITIES) {
        this.#probabilities.delete(this.#probabilities.keys().next().value);
      }
      getBytes(`${this.path}/frames/${frame}/probabilities`).then((bytes) => {
        this.#probabilities.set(frame, bytes);
        arrived();
      });
    }
    return known ?? null;
  }

  predicted(frame) {
    return { points: this.points[frame], landmarks: this.landmarks, pinned: this.landmarks.map(() => false) };
  }

  handles(frame) {
    return this.changed.get(frame) ?? this.predicted(frame);
  }

  predictedOutline(frame) {
    if (!this.shownOutlines.has(frame)) {
      const outline = this.outlines ? this.outlines[frame].flat() : outlineOf(this.predicted(frame), this.run);
      this.shownOutlines.set(frame, outline);
    }
    return this.shownOutlines.get(frame);
  }

  /** Outline, area and volume of handles; the mask is drawn on the way. */
  measure(handles) {
    const outline = outlineOf(handles, this.run);
    const area = fill(outline, this.width, this.height, this.mask);
    return { outline, area, volume: volumeOf(handles, outline, area, this.run, this) };
  }

  /** Change a frame; null takes its correction back. */
  change(frame, handles) {
    if (handles) {
      this.changed.set(frame, handles);
      this.note(frame, this.measure(handles));
    } else {
      this.changed.delete(frame);
      this.note(frame, { area: this.areas[frame], volume: this.volumes[frame] });
    }
  }

  note(frame, { area, volume }) {
    this.areasNow[frame] = area;
    this.volumesNow[frame] = volume;
  }

  /** What the server holds of a frame. */
  take(frame, { version, points, landmarks, pinned }) {
    this.versions.set(frame, version);
    this.change(frame, points ? { points, landmarks, pinned } : null);
  }

  ejectionNow = () => ejection(this.volumesNow, this.beats);
  ejectionPredicted = () => ejection(this.volumes, this.beats);
  corrected = () => [...this.changed.keys()].sort((a, b) => a - b);
  toLookAt = () => this.next.filter((frame) => !this.changed.has(frame));
}
