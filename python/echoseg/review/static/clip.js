// One clip: its prediction and corrections as the server sent them, and the current measurements.

import { getBytes, getJson } from "./api.js";
import { outlineOf, volumeOf } from "./handles.js";
import { fill, meanOverBeats } from "./measure.js";

const MAX_CACHED_PROBABILITIES = 64; // frames

export class Clip {
  #probabilities = new Map();
  #predictedOutlines = new Map();

  static async load(number, run) {
    return new Clip(number, run, await getJson(`api/clips/${number}`));
  }

  /** facts: what the server sends of a clip; see LoadedClip in review/clips.py. */
  constructor(number, run, facts) {
    Object.assign(this, facts, { number, run });
    this.path = `api/clips/${number}`;
    this.framePixels = this.width * this.height;
    this.brightness = new Uint8Array(this.framePixels * this.frames);
    this.loadedFrames = 0;
    this.landmarks = Array.from({ length: run.count }, (_, k) => k);
    this.currentAreas = [...this.areas];
    this.currentVolumes = [...this.volumes];
    this.mask = new Uint8Array(this.framePixels); // of the contour that was measured last
    this.corrected = new Map(); // frame → handles
    this.versions = new Map(); // frame → the version of its correction on the server
    for (const [frame, correction] of Object.entries(facts.corrections)) this.setSaved(Number(frame), correction);
  }

  /** Fetch all frames in several responses; calls onProgress after each. */
  async fetchFrames(onProgress) {
    while (this.loadedFrames < this.frames) {
      const bytes = await getBytes(`${this.path}/frames?start=${this.loadedFrames}&stop=${this.frames}`);
      this.brightness.set(bytes, this.loadedFrames * this.framePixels);
      this.loadedFrames += bytes.length / this.framePixels;
      onProgress();
    }
  }

  brightnessOf(frame) {
    return this.brightness.subarray(frame * this.framePixels, (frame + 1) * this.framePixels);
  }

  /** The probabilities of a frame; null if they must be fetched first, and then onLoad is called once they are here. */
  probabilitiesOf(frame, onLoad) {
    const cached = this.#probabilities.get(frame);
    if (cached === undefined) {
      this.#probabilities.set(frame, null);
      if (this.#probabilities.size > MAX_CACHED_PROBABILITIES) {
        this.#probabilities.delete(this.#probabilities.keys().next().value);
      }
      getBytes(`${this.path}/frames/${frame}/probabilities`).then((bytes) => {
        this.#probabilities.set(frame, bytes);
        onLoad();
      });
    }
    return cached ?? null;
  }

  predictedHandles(frame) {
    return { points: this.points[frame], landmarks: this.landmarks, pinned: this.landmarks.map(() => false) };
  }

  /** The handles of a frame: corrected if it is corrected, else predicted. */
  handlesOf(frame) {
    return this.corrected.get(frame) ?? this.predictedHandles(frame);
  }

  predictedOutline(frame) {
    if (!this.#predictedOutlines.has(frame)) {
      const outline = this.outlines ? this.outlines[frame].flat() : outlineOf(this.predictedHandles(frame), this.run);
      this.#predictedOutlines.set(frame, outline);
    }
    return this.#predictedOutlines.get(frame);
  }

  /** The outline, area and volume of handles; also draws their mask. */
  measure(handles) {
    const outline = outlineOf(handles, this.run);
    const area = fill(outline, this.width, this.height, this.mask);
    return { outline, area, volume: volumeOf(handles, outline, area, this.run, this) };
  }

  /** Correct a frame; null restores its prediction. */
  setHandles(frame, handles) {
    if (handles) {
      this.corrected.set(frame, handles);
      this.setMeasured(frame, this.measure(handles));
    } else {
      this.corrected.delete(frame);
      this.setMeasured(frame, { area: this.areas[frame], volume: this.volumes[frame] });
    }
  }

  setMeasured(frame, { area, volume }) {
    this.currentAreas[frame] = area;
    this.currentVolumes[frame] = volume;
  }

  /** Set the state of a frame that the server has saved; without points, the frame is not corrected. */
  setSaved(frame, { version, points, landmarks, pinned, area, volume }) {
    this.versions.set(frame, version);
    this.setHandles(frame, points ? { points, landmarks, pinned } : null);
    if (volume !== undefined) this.setMeasured(frame, { area, volume });
  }

  currentMeans = () => meanOverBeats(this.currentVolumes, this.beats);
  predictedMeans = () => meanOverBeats(this.volumes, this.beats);
  correctedFrames = () => [...this.corrected.keys()].sort((a, b) => a - b);
  framesToReview = () => this.next.filter((frame) => !this.corrected.has(frame));
}
