// Playing a clip.

const DEFAULT_FPS = 25; // for files that do not give their frame rate

export class Playback {
  #start = null; // {frame, time}: where and when the playback started, at its current speed
  #request = 0;
  #speed = 1;

  /** getClip() returns the clip, getFrame() its frame; showFrame(frame) shows a frame; onToggle(isPlaying). */
  constructor({ getClip, getFrame, showFrame, onToggle }) {
    Object.assign(this, { getClip, getFrame, showFrame, onToggle });
  }

  get isPlaying() {
    return this.#start !== null;
  }

  /** speed: 1 is the speed of the heart. */
  setSpeed(speed) {
    this.#speed = speed;
    if (this.isPlaying) this.#restart();
  }

  play() {
    if (this.isPlaying) return;
    this.#restart();
    this.#request = requestAnimationFrame((time) => this.#step(time));
    this.onToggle(true);
  }

  pause() {
    if (!this.isPlaying) return;
    cancelAnimationFrame(this.#request);
    this.#start = null;
    this.onToggle(false);
  }

  #restart() {
    this.#start = { frame: this.getFrame(), time: performance.now() };
  }

  #step(time) {
    if (!this.isPlaying) return;
    const { fps, frames } = this.getClip();
    const seconds = Math.max(0, time - this.#start.time) / 1000;
    const frame = (this.#start.frame + Math.floor(seconds * (fps ?? DEFAULT_FPS) * this.#speed)) % frames;
    if (frame !== this.getFrame()) this.showFrame(frame);
    this.#request = requestAnimationFrame((next) => this.#step(next));
  }
}
