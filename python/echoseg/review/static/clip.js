// One clip: its prediction, what a person has changed, and the current measurements.
//
// The state of a frame is {points: handles or null, verdict: "accepted", "rejected" or null, note: text}; points are null
// where the frame is not corrected. The state of the beats has the frame null and is {beats: [[ED, ES], …] or null}; null
// are the beats that were found in the prediction. States are never modified: each change makes a new one.

import { getBytes, getJson } from "./api.js";
import { areClose, outlineOf, volumeOf } from "./handles.js";
import { fill, meanOverBeats } from "./measure.js";

const MAX_CACHED_PROBABILITIES = 64; // frames
const CARRIED = ["points", "outlines", "areas", "volumes", "area_std", "volume_std"]; // what the server sends by frame
const UNCHANGED = Object.freeze({ points: null, verdict: null, note: "" });
const FOUND_BEATS = Object.freeze({ beats: null });

export class Clip {
  #states;
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
    this.carried = null; // see setCarried
    this.changes = 0; // how often a state was set
    this.versions = new Map(); // frame → the version of its state on the server
    this.#states = new Map();
    for (const [frame, saved] of Object.entries(facts.states)) this.setSaved(Number(frame), saved);
    this.setSaved(null, facts.chosen_beats);
  }

  /** Fetch all frames that are not here yet, in several responses; calls onProgress after each. */
  async fetchFrames(onProgress) {
    if (this.loadedFrames) onProgress();
    while (this.loadedFrames < this.frames) {
      const start = this.loadedFrames;
      const bytes = await getBytes(`${this.path}/frames?start=${start}&stop=${this.frames}`);
      this.brightness.set(bytes, start * this.framePixels);
      this.loadedFrames = start + bytes.length / this.framePixels;
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

  /** The handles of a frame: corrected if it is corrected, else with what is carried from corrected frames. */
  handlesOf(frame) {
    const carried = this.carried?.points[frame];
    return this.stateOf(frame).points ?? { ...this.predictedHandles(frame), ...(carried && { points: carried }) };
  }

  predictedOutline(frame) {
    if (!this.#predictedOutlines.has(frame)) {
      const outline = this.outlines ? this.outlines[frame].flat() : outlineOf(this.predictedHandles(frame), this.run);
      this.#predictedOutlines.set(frame, outline);
    }
    return this.#predictedOutlines.get(frame);
  }

  /** The outline of a frame that is not corrected, with what is carried to it; null if nothing is. */
  carriedOutline(frame) {
    if (!this.carried || this.isCorrected(frame)) return null;
    return this.carried.outlines?.[frame].flat() ?? outlineOf(this.handlesOf(frame), this.run);
  }

  /** The outline, area and volume of handles; also draws their mask. */
  measure(handles) {
    const outline = outlineOf(handles, this.run);
    const area = fill(outline, this.width, this.height, this.mask);
    return { outline, area, volume: volumeOf(handles, outline, area, this.run, this) };
  }

  stateOf(frame) {
    return this.#states.get(frame) ?? (frame === null ? FOUND_BEATS : UNCHANGED);
  }

  setState(frame, state) {
    this.changes += 1;
    this.#states.set(frame, state);
    if (frame === null) return;
    const { points } = state;
    if (!points && this.carried) this.#withdraw(frame);
    this.setMeasured(frame, points ? this.measure(points) : this.#measuredBefore(frame));
  }

  /** Set the contours to which the corrections were carried, as the server sends them; null: those of the prediction. */
  setCarried(carried) {
    this.carried = carried;
    for (let frame = 0; frame < this.frames; frame++) {
      if (!this.isCorrected(frame)) this.setMeasured(frame, this.#measuredBefore(frame));
    }
  }

  /** Show the prediction in a frame that was corrected, until the server has computed what is carried without it. */
  #withdraw(frame) {
    if (!this.correctedFrames().length) this.setCarried(null);
    for (const name of this.carried ? CARRIED : []) {
      if (this.carried[name]) this.carried[name][frame] = this[name][frame];
    }
  }

  /** Area and volume of a frame that is not corrected. */
  #measuredBefore(frame) {
    const { areas, volumes } = this.carried ?? this;
    return { area: areas[frame], volume: volumes[frame] };
  }

  setMeasured(frame, { area, volume }) {
    this.currentAreas[frame] = area;
    this.currentVolumes[frame] = volume;
  }

  /** Set a state that the server has saved. */
  setSaved(frame, { version, area, volume, ...state }) {
    this.versions.set(frame, version);
    this.setState(frame, state);
    if (area !== undefined) this.setMeasured(frame, { area, volume });
  }

  isCorrected = (frame) => this.stateOf(frame).points !== null;
  isReviewed = (frame) => this.isCorrected(frame) || this.stateOf(frame).verdict !== null;
  correctedFrames = () => [...this.#states.keys()].filter((frame) => frame !== null && this.isCorrected(frame));
  unreviewedFrames = () => this.to_review.filter((frame) => !this.isReviewed(frame));

  changedFrames = () => (this.carried?.changed ?? []).filter((frame) => !this.isReviewed(frame));
  /** The frames that a person should still look at. */
  openFrames = () => [...new Set([...this.unreviewedFrames(), ...this.changedFrames()])];

  currentBeats = () => this.stateOf(null).beats ?? this.beats;
  isBeatUsed = ([ed, es]) => [ed, es].every((frame) => this.stateOf(frame).verdict !== "rejected");
  currentMeans = () => meanOverBeats(this.currentVolumes, this.currentBeats().filter(this.isBeatUsed));
  predictedMeans = () => meanOverBeats(this.volumes, this.beats);
}

/** Whether two states are the same, up to the rounding of positions. */
export function areEqualStates(a, b) {
  if ("beats" in a) return JSON.stringify(a) === JSON.stringify(b);
  if (a.verdict !== b.verdict || a.note !== b.note || (a.points === null) !== (b.points === null)) return false;
  return a.points === null || areClose(a.points, b.points);
}
