// The beats: which frames are end-diastole (ED) and end-systole (ES). EF is computed from these frames.

import { element, showStatus } from "./messages.js";
import { state } from "./state.js";

const NAMES = ["ED", "ES"];
const MEANINGS = ["end-diastole", "end-systole"];

/** A button for each ED and ES frame. */
export function drawBeats(openFrame) {
  const { clip, frame } = state;
  const items = clip.currentBeats().map((beat, number) => {
    const item = document.createElement("li");
    const isUsed = clip.isBeatUsed(beat);
    item.classList.toggle("unused", !isUsed);
    const buttons = beat.map((at, i) => beatButton(`${NAMES[i]} ${at + 1}`, at === frame, () => openFrame(at)));
    buttons.forEach((button, i) => (button.title = `Show ${MEANINGS[i]} of beat ${number + 1}`));
    item.append(`Beat ${number + 1} `, ...buttons);
    return item;
  });
  element("beat-list").replaceChildren(...items);
  element("no-beats").hidden = items.length > 0;
}

function beatButton(text, isCurrent, action) {
  const button = document.createElement("button");
  button.textContent = text;
  button.setAttribute("aria-current", String(isCurrent));
  button.addEventListener("click", action);
  return button;
}

/** What the frame is in its beat, for example "ED of beat 2"; "" if it is neither ED nor ES. */
export function roleOf(clip, frame) {
  const roles = clip.currentBeats().flatMap((beat, number) =>
    beat.flatMap((at, i) => (at === frame ? [`${NAMES[i]} of beat ${number + 1}`] : [])),
  );
  return roles.join(", ");
}

/** The ED or ES frame that follows the shown one, from the end to the first; undefined if there is none. */
export function nextOf(name) {
  const frames = state.clip.currentBeats().map((beat) => beat[NAMES.indexOf(name)]).sort((a, b) => a - b);
  return frames.find((at) => at > state.frame) ?? frames[0];
}

/**
 * The frame of the next beat in the same phase as a frame; null if there is none.
 *
 * Between two events (ED or ES), the phase is the share of the time between them. After the last event of the next beat,
 * and before the first event of all, frames are counted from the event instead.
 */
export function samePhaseOfNextBeat(beats, frame, frames) {
  const events = beats.flatMap((beat) => beat.map((at, i) => ({ at, name: NAMES[i] }))).sort((a, b) => a.at - b.at);
  const next = ({ at, name }) => events.find((each) => each.at > at && each.name === name);
  const index = events.findLastIndex(({ at }) => at <= frame);
  const start = events[Math.max(index, 0)];
  const nextStart = start && next(start);
  if (!nextStart) return null;
  const end = index < 0 ? undefined : events[index + 1];
  const nextEnd = end && next(end);
  const stretch = nextEnd && nextEnd.at > nextStart.at ? (nextEnd.at - nextStart.at) / (end.at - start.at) : 1;
  const found = Math.round(nextStart.at + (frame - start.at) * stretch);
  return found > frame && found < frames ? found : null;
}

/** Make the shown frame ED or ES of the beat whose ED or ES is nearest. */
export function chooseFrame(name, changes) {
  const { clip, frame } = state;
  const [own, other] = name === "ED" ? [0, 1] : [1, 0];
  const beats = clip.currentBeats();
  if (!beats.length) {
    const volumes = clip.currentVolumes.map((volume, at) => (at === frame ? null : volume));
    const extreme = (name === "ED" ? Math.min : Math.max)(...volumes.filter((volume) => volume !== null));
    const beat = [frame, volumes.indexOf(extreme)];
    changes.set(null, { beats: [name === "ED" ? beat : beat.reverse()] });
    return;
  }
  const distances = beats.map((beat) => Math.abs(beat[own] - frame));
  const chosen = distances.indexOf(Math.min(...distances));
  if (beats[chosen][other] === frame) {
    showStatus(`This frame is ${NAMES[other]} of beat ${chosen + 1}; choose another frame for ${name}`, true);
    return;
  }
  const moved = beats.map((beat, number) => (number === chosen ? beat.with(own, frame) : beat));
  changes.set(null, { beats: moved });
  showStatus(`Frame ${frame + 1} is now ${name} of beat ${chosen + 1}`);
}
