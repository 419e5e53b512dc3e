// Saving changes, and what the user sees of it.

import { post, SaveQueue } from "./api.js";
import { askUser, element, withdrawQuestion } from "./messages.js";

const nameOf = ({ frame }) => (frame === null ? "The beats" : `The change of frame ${frame + 1}`);

/** An entry: {clip, frame, seconds, drags}; frame is null for the beats of the clip. */
export class Saver {
  #unsaved = new Map(); // key → clip
  #failed = new Map(); // key → {entry, error} or, if another tab has saved the frame, {entry, other: its state}
  #queue = new SaveQueue((entry) => this.#send(entry), (entry, error) => this.#fail(entry, { error }));

  /** onSaved(entry, response) is called after each entry; onReplaced(clip) when another tab's change was taken. */
  constructor({ onSaved, onReplaced }) {
    Object.assign(this, { onSaved, onReplaced });
    this.#show();
  }

  get isAllSaved() {
    return this.#unsaved.size === 0;
  }

  /** The clip of a number as this page has changed it, if not all changes are saved. */
  unsavedClip(number) {
    return [...this.#unsaved.values()].find((clip) => clip.number === number);
  }

  put(entry) {
    const key = keyOf(entry);
    this.#unsaved.set(key, entry.clip);
    this.#queue.put(key, entry);
    this.#show();
  }

  async #send(entry) {
    const { clip, frame, seconds, drags } = entry;
    const key = keyOf(entry);
    const path = frame === null ? `${clip.path}/beats` : `${clip.path}/frames/${frame}`;
    const state = clip.stateOf(frame);
    const response = await post(path, { ...state, version: clip.versions.get(frame) ?? 0, seconds, drags });
    if (response.conflict) {
      this.#fail(entry, { other: response.conflict });
      return;
    }
    clip.versions.set(frame, response.version);
    const isCurrent = clip.stateOf(frame) === state; // else the next entry of the queue saves it
    if (isCurrent) this.#unsaved.delete(key);
    this.#resolve(key);
    this.onSaved(entry, response, isCurrent);
  }

  #fail(entry, reason) {
    this.#failed.set(keyOf(entry), { entry, ...reason });
    this.#show();
    this.#ask();
  }

  #resolve(key) {
    if (this.#failed.delete(key)) this.#ask();
    this.#show();
  }

  /** Ask about what is not saved: one conflict after the other, and then about all changes that failed. */
  #ask() {
    const failed = [...this.#failed.values()];
    const conflict = failed.find(({ other }) => other);
    if (conflict) this.#askWhichToKeep(conflict);
    else if (failed.length) this.#askToTryAgain(failed);
    else withdrawQuestion();
  }

  #askToTryAgain(failed) {
    const { entry, error } = failed.at(-1);
    const subject = failed.length === 1 ? `${nameOf(entry)} is` : `${failed.length} changes are`;
    askUser(`${subject} not saved: ${error.message}.`, [
      ["Try again", () => {
        this.#failed.clear();
        failed.forEach((each) => this.put(each.entry));
      }],
    ]);
  }

  /** other: the state that another tab has saved since this one loaded it. */
  #askWhichToKeep({ entry, other }) {
    const { clip, frame } = entry;
    const what = frame === null ? "The beats were" : `Frame ${frame + 1} was`;
    askUser(`${what} also changed in another tab. Which change do you want to keep?`, [
      ["The other tab's", () => {
        clip.setSaved(frame, other);
        this.#unsaved.delete(keyOf(entry));
        this.#resolve(keyOf(entry));
        this.onReplaced(clip);
      }],
      ["This tab's", () => {
        clip.versions.set(frame, other.version);
        this.#resolve(keyOf(entry));
        this.put({ ...entry, seconds: 0, drags: 0 });
      }],
    ]);
  }

  #show() {
    const [unsaved, failed] = [this.#unsaved.size, this.#failed.size];
    const box = element("save-state");
    box.dataset.state = failed ? "failed" : unsaved ? "saving" : "saved";
    box.textContent = failed ? `⚠ ${failed} not saved` : unsaved ? `Saving ${unsaved} …` : "✓ Saved";
    box.title = failed || unsaved ? "Changes that are not saved yet" : "All changes are saved";
  }
}

const keyOf = ({ clip, frame }) => `${clip.number}/${frame ?? "beats"}`;
