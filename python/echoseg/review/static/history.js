// Undo and redo, separately for each frame.

export class History {
  #undoStates = new Map();
  #redoStates = new Map();

  /** Store the state of a frame before a change. */
  push(frame, state) {
    this.#stack(this.#undoStates, frame).push(state);
    this.#redoStates.delete(frame);
  }

  /** The state before the last change; undefined if there is none. */
  undo(frame, current) {
    return this.#step(this.#undoStates, this.#redoStates, frame, current);
  }

  redo(frame, current) {
    return this.#step(this.#redoStates, this.#undoStates, frame, current);
  }

  canUndo = (frame) => this.#stack(this.#undoStates, frame).length > 0;
  canRedo = (frame) => this.#stack(this.#redoStates, frame).length > 0;

  clear(frame) {
    this.#undoStates.delete(frame);
    this.#redoStates.delete(frame);
  }

  #step(from, to, frame, current) {
    const stack = this.#stack(from, frame);
    if (!stack.length) return undefined;
    this.#stack(to, frame).push(current);
    return stack.pop();
  }

  #stack(states, frame) {
    if (!states.has(frame)) states.set(frame, []);
    return states.get(frame);
  }
}
