// Undo and redo, frame by frame.

export class History {
  #past = new Map();
  #future = new Map();

  /** Remember what a frame was before a change. */
  push(frame, before) {
    this.#stack(this.#past, frame).push(before);
    this.#future.delete(frame);
  }

  /** The state to go back to; undefined where there is none. */
  undo(frame, now) {
    return this.#step(this.#past, this.#future, frame, now);
  }

  redo(frame, now) {
    return this.#step(this.#future, this.#past, frame, now);
  }

  can(frame) {
    return { undo: !!this.#past.get(frame)?.length, redo: !!this.#future.get(frame)?.length };
  }

  clear(frame) {
    this.#past.delete(frame);
    this.#future.delete(frame);
  }

  #step(from, to, frame, now) {
    const stack = this.#stack(from, frame);
    if (!stack.length) return undefined;
    this.#stack(to, frame).push(now);
    return stack.pop();
  }

  #stack(map, frame) {
    if (!map.has(frame)) map.set(frame, []);
    return map.get(frame);
  }
}
