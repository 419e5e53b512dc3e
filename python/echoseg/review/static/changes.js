// What the user changes: the points, the verdict and the note of a frame, and the beats. Each change can be undone.

import { post } from "./api.js";
import { areEqualStates } from "./clip.js";
import { areClose, isAnnulusStart, isRequired, withMovedPoint, withoutPoint, withPoint } from "./handles.js";
import { History } from "./history.js";
import { showStatus } from "./messages.js";
import { PER_SEGMENT } from "./spline.js";
import { state } from "./state.js";

/** A note as the server saves it. */
const inOneLine = (text) => text.trim().replace(/\s+/g, " ").replace(/\p{C}/gu, "");

export class Changes {
  history = new History();

  /**
   * saver: where changes are saved; imageView: where points get the focus; openFrame(clipNumber, frame) shows a frame
   * of any clip; redraw() is called after each change.
   */
  constructor({ saver, imageView, openFrame, redraw }) {
    Object.assign(this, { saver, imageView, openFrame, redraw });
  }

  /** Change the state of a frame, or of the beats if the frame is null. */
  set(frame, after, { drags = 0 } = {}) {
    const { clip } = state;
    const before = clip.stateOf(frame);
    if (areEqualStates(before, after)) {
      this.redraw();
      return;
    }
    this.history.push({ clip: clip.name, at: state.frame, frame, before, after });
    this.#apply(frame, after, drags);
  }

  #apply(frame, after, drags = 0) {
    state.clip.setState(frame, after);
    const seconds = (performance.now() - state.shownSince) / 1000;
    state.shownSince = performance.now();
    this.saver.put({ clip: state.clip, frame, seconds, drags });
    this.redraw();
  }

  /** direction: "undo" or "redo". The frame of the change is shown, whatever clip it belongs to. */
  async step(direction) {
    const change = this.history.step(direction);
    if (!change) return;
    const number = state.clips.findIndex(({ name }) => name === change.clip);
    const frame = change.frame ?? change.at;
    if (number < 0) {
      this.#forget(direction, `${change.clip} is not among these files`);
      return;
    }
    if (number !== state.number || frame !== state.frame) await this.openFrame(number, frame);
    if (state.clip?.name !== change.clip) {
      this.history.step(direction === "undo" ? "redo" : "undo"); // its clip cannot be shown now
      return;
    }
    if (!areEqualStates(state.clip.stateOf(change.frame), change.before)) {
      this.#forget(direction, "the frame has been changed elsewhere since");
      return;
    }
    this.#apply(change.frame, change.after);
    showStatus(direction === "undo" ? "Undone" : "Done again");
  }

  #forget(direction, reason) {
    this.history.forget(direction);
    showStatus(`This change cannot be ${direction === "undo" ? "undone" : "done again"}: ${reason}`, true);
    this.redraw();
  }

  /** Set the points of the frame that is shown; null restores the prediction. */
  correct(points, { drags = 0 } = {}) {
    const { clip, frame } = state;
    if (points && areClose(points, clip.handlesOf(frame))) this.redraw();
    else this.set(frame, { ...clip.stateOf(frame), points, verdict: null }, { drags });
  }

  /** verdict: "accepted" or "rejected"; a rejected frame loses its correction. */
  judge(verdict, note) {
    const { clip, frame } = state;
    const before = clip.stateOf(frame);
    const isCarried = clip.carriedOutline(frame)?.length > 0; // then what was carried is kept
    const accepted = before.points ?? (isCarried ? clip.handlesOf(frame) : null);
    this.set(frame, { points: verdict === "accepted" ? accepted : null, verdict, note: inOneLine(note ?? before.note) });
  }

  movePoint(dx, dy) {
    const handles = state.clip.handlesOf(state.frame);
    const [x, y] = handles.points[state.selected];
    this.correct(withMovedPoint(handles, state.selected, this.imageView.clamp([x + dx, y + dy])));
  }

  /** Add a point on the outline, halfway from the selected point to the next one. */
  addPointAfterSelected() {
    const { outline } = state.clip.measure(state.clip.handlesOf(state.frame));
    const middle = 2 * (state.selected * PER_SEGMENT + PER_SEGMENT / 2);
    this.#addPointAfter(state.selected, [outline[middle], outline[middle + 1]]);
  }

  /** Add a point between the two points whose part of the outline is nearest, if it is near enough. */
  addPointNear([x, y], maxDistance) {
    const { outline } = state.clip.measure(state.clip.handlesOf(state.frame));
    let [nearest, smallest] = [0, Infinity];
    for (let i = 0; i < outline.length; i += 2) {
      const distance = Math.hypot(outline[i] - x, outline[i + 1] - y);
      if (distance < smallest) [nearest, smallest] = [i, distance];
    }
    if (smallest > maxDistance) return;
    this.#addPointAfter(Math.floor(nearest / 2 / PER_SEGMENT), this.imageView.clamp([x, y]));
  }

  #addPointAfter(index, point) {
    const handles = state.clip.handlesOf(state.frame);
    if (isAnnulusStart(handles, index, state.run)) return;
    this.correct(withPoint(handles, index, point));
    this.imageView.focusPoint(index + 1);
  }

  deletePoint() {
    const handles = state.clip.handlesOf(state.frame);
    if (isRequired(handles, state.selected, state.run)) return;
    const previous = Math.max(0, state.selected - 1);
    this.correct(withoutPoint(handles, state.selected));
    this.imageView.focusPoint(previous);
  }

  /** Copy the contour to another frame and show it. */
  async copyTo(frame) {
    const handles = state.clip.handlesOf(state.frame);
    await this.openFrame(state.number, frame);
    this.correct({ ...handles, pinned: handles.pinned.map(() => false) });
  }

  /** Predict the landmarks that were not moved again, given those that were. */
  async updateOthers() {
    const { clip, frame } = state;
    const handles = clip.handlesOf(frame);
    try {
      const { points } = await post(`${clip.path}/frames/${frame}/update-others`, handles);
      const isCurrent = state.clip === clip && state.frame === frame && clip.handlesOf(frame) === handles;
      if (isCurrent) this.correct({ ...handles, points });
    } catch (error) {
      showStatus(error.message, true);
    }
  }
}
