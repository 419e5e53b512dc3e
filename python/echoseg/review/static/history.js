// Undo and redo of all changes, over frames and clips. The browser keeps the changes until the tab is closed.

const MAX_CHANGES = 200;

/** A change: {clip: name, frame, before, after}; before and after are the states that `Clip` returns. */
export class History {
  #key = ""; // in the browser's storage
  #done = [];
  #undone = [];

  /** Read the changes in a folder of corrections; each reader has a folder. */
  open(folder) {
    this.#key = `echoseg-changes ${folder}`;
    try {
      const { done, undone } = JSON.parse(sessionStorage.getItem(this.#key) ?? "{}");
      [this.#done, this.#undone] = [done ?? [], undone ?? []];
    } catch {
      sessionStorage.removeItem(this.#key);
    }
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  push(change) {
    this.#done = [...this.#done, change].slice(-MAX_CHANGES);
    this.#undone = [];
    this.#store();
  }

  /** The change that was undone or redone, with its states in the order of the step; undefined if there is none. */
  step(direction) {
    const [from, to] = direction === "undo" ? [this.#done, this.#undone] : [this.#undone, this.#done];
    const change = from.pop();
    if (change) to.push(change);
    this.#store();
    return change && direction === "undo" ? { ...change, before: change.after, after: change.before } : change;
  }

  /** Forget the change that was undone or redone last. */
  forget(direction) {
    (direction === "undo" ? this.#undone : this.#done).pop();
    this.#store();
  }

  #store() {
    sessionStorage.setItem(this.#key, JSON.stringify({ done: this.#done, undone: this.#undone }));
  }
}
