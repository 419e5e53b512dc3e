// The page: which clip and frame is shown, and what a person does to it.

import { Clip } from "./clip.js";
import { Curve } from "./curve.js";
import { isBase, isKept, moved, same, withoutPoint, withPoint } from "./handles.js";
import { History } from "./history.js";
import { listenToKeys } from "./keys.js";
import { ask, drawListed, drawNext, drawNumbers, element, say } from "./panel.js";
import { getJson, post, Saver } from "./server.js";
import { PER_SEGMENT } from "./spline.js";
import { Stage } from "./stage.js";
import { paintCut, paintHeat, paintMask } from "./veil.js";

const UNKNOWN_RATE = 25; // frames a second, where the file does not say

let run, clips, clip;
let frame = 0;
let selected = -1;
let preview = null; // handles while they are dragged
let playing = null;
let since = 0; // when the person began to look at what is shown
let opening = 0; // the clip that was asked for last
const seen = new Set();
const unsaved = new Set();
let history = new History();

const colours = Object.fromEntries(
  ["prediction", "correction"].map((name) => {
    const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    return [name, [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16))];
  }),
);
const shows = (name) => document.querySelector(`[data-show="${name}"]`).checked;

const stage = new Stage(element("stage"), {
  select: choose,
  drag: (index, point) => {
    preview = moved(clip.handles(frame), index, point);
    drawContour();
  },
  drop: () => {
    const dropped = preview;
    preview = null;
    if (dropped) apply(dropped, { drags: 1 });
  },
  cancel: () => {
    preview = null;
    drawContour();
  },
  add: addAt,
});
const curve = new Curve(element("curve"), show);
const saver = new Saver(send);

// ---- drawing

function drawContour() {
  const handles = preview ?? clip.handles(frame);
  const touched = preview !== null || clip.changed.has(frame);
  const now = clip.measure(handles);
  if (!touched) [now.area, now.volume] = [clip.areas[frame], clip.volumes[frame]];
  clip.note(frame, now);
  stage.drawOutline("truth", shows("truth") ? clip.truth[frame]?.flat() : null);
  stage.drawOutline("prediction", shows("prediction") ? clip.predictedOutline(frame) : null);
  stage.drawOutline("correction", touched && shows("correction") ? now.outline : null);
  stage.drawPoints(handles, run, selected);
  drawVeil(touched);
  drawNumbers(clip, frame, now);
  curve.drawCorrected(clip.areasNow, preview ? [...clip.corrected(), frame] : clip.corrected());
}

function drawVeil(touched) {
  stage.drawVeil((pixels) => {
    const kind = element("cut-of").value;
    const needed = shows("heat") || (shows("cut") && kind === "probability");
    const wanted = frame;
    const probabilities = needed
      ? clip.probabilitiesOf(frame, () => wanted === frame && drawContour())
      : null;
    if (shows("heat") && probabilities) paintHeat(pixels, probabilities);
    if (shows("mask") && (touched || clip.areas[frame])) {
      paintMask(pixels, clip.mask, colours[touched ? "correction" : "prediction"]);
    }
    const values = kind === "probability" ? probabilities : clip.greyOf(frame);
    if (shows("cut") && values) {
      const at = Number(element("cut-at").value);
      const { area, dice } = paintCut(pixels, values, kind, at, clip.mask);
      const level = kind === "probability" ? (at / 255).toFixed(2) : at;
      element("cut-says").textContent = `${level}: ${area} px, Dice ${dice.toFixed(3)} with the mask`;
    }
  });
}

function drawButtons() {
  const can = history.can(frame);
  const handles = clip.handles(frame);
  const chosen = selected >= 0 && selected < handles.points.length;
  const able = {
    undo: can.undo,
    redo: can.redo,
    add: chosen && !isBase(handles, selected, run),
    delete: chosen && !isKept(handles, selected, run),
    copy: frame + 1 < clip.frames,
    hold: run.calibrated && handles.pinned.some((pinned, i) => pinned && handles.landmarks[i] >= 0),
    revert: clip.changed.has(frame),
  };
  for (const [id, possible] of Object.entries(able)) element(id).disabled = !possible;
}

function show(wanted) {
  if (preview) clip.change(frame, clip.changed.get(frame) ?? null); // a drag that another frame ends
  frame = Math.min(Math.max(wanted, 0), clip.frames - 1);
  preview = null;
  since = performance.now();
  element("scrub").value = frame;
  element("where").textContent = `${frame + 1} / ${clip.frames}`;
  element("scrub").setAttribute("aria-valuetext", `frame ${frame + 1} of ${clip.frames}`);
  if (frame < clip.read) stage.drawFrame(clip.greyOf(frame));
  curve.drawCursor(frame);
  drawContour();
  if (playing) return;
  drawButtons();
  drawNext(clip, frame, show);
  window.history.replaceState(null, "", `#clip=${clip.number}&frame=${frame}`);
}

function choose(index) {
  selected = index;
  stage.drawPoints(preview ?? clip.handles(frame), run, selected);
  drawButtons();
}

// ---- changing

/** Put handles on a frame, remember what was there, save; null is the prediction. */
function apply(handles, { drags = 0, remember = true, at = frame } = {}) {
  const before = clip.changed.get(at) ?? null;
  if (handles && same(handles, clip.handles(at))) {
    drawContour();
    return;
  }
  if (remember) history.push(at, before);
  clip.change(at, handles);
  const seconds = (performance.now() - since) / 1000;
  since = performance.now();
  save(at, { seconds, drags });
  if (at === frame) {
    drawContour();
    drawButtons();
    drawNext(clip, frame, show);
  }
}

function save(at, { seconds, drags }) {
  say("Saving …");
  unsaved.add(`${clip.number}/${at}`);
  saver.put(`${clip.number}/${at}`, { clip, at, seconds, drags });
}

async function send(key, { clip: of, at, seconds, drags }) {
  const points = of.changed.get(at) ?? null;
  const version = of.versions.get(at) ?? 0;
  try {
    const answer = await post(`${of.path}/frames/${at}`, { version, points, seconds, drags });
    if (answer.conflict) return settle(of, at, answer.conflict);
    of.versions.set(at, answer.version);
    unsaved.delete(key);
    if ((of.changed.get(at) ?? null) === points) of.note(at, answer); // the server's word, unless it moved on meanwhile
    if (of === clip && at === frame && !preview) drawNumbers(clip, frame, answer);
    if (!saver.waiting) say(`Saved ✓ frame ${at + 1}: ${answer.area} px confirmed`);
    countCorrected(of);
  } catch (error) {
    say("Not saved", true);
    ask(`Frame ${at + 1} is not saved: ${error.message}`, [["Try again", () => save(at, { seconds, drags })]]);
  }
}

/** Somebody else, such as another tab, saved this frame first. */
function settle(of, at, theirs) {
  say("Not saved", true);
  const done = () => of === clip && show(frame);
  ask(`Frame ${at + 1} was changed in another tab since it was shown here. Nothing is lost yet: whose do you want?`, [
    ["Take the other", () => {
      of.take(at, theirs);
      unsaved.delete(`${of.number}/${at}`);
      if (of === clip) history.clear(at);
      say("Taken from the other tab");
      done();
    }],
    ["Keep mine", () => {
      of.versions.set(at, theirs.version);
      saver.put(`${of.number}/${at}`, { clip: of, at, seconds: 0, drags: 0 });
      done();
    }],
  ]);
}

function travel(direction) {
  const found = history[direction](frame, clip.changed.get(frame) ?? null);
  if (found === undefined) return;
  apply(found, { remember: false });
}

function nudge(dx, dy) {
  const handles = clip.handles(frame);
  const [x, y] = handles.points[selected];
  apply(moved(handles, selected, stage.inside([x + dx, y + dy])));
}

function addAfter(index, place) {
  const handles = clip.handles(frame);
  if (isBase(handles, index, run)) return;
  apply(withPoint(handles, index, place));
  stage.focusPoint(index + 1);
}

/** Halfway along the outline to the next point. */
function addPoint() {
  const outline = clip.measure(clip.handles(frame)).outline;
  const middle = 2 * (selected * PER_SEGMENT + PER_SEGMENT / 2);
  addAfter(selected, [outline[middle], outline[middle + 1]]);
}

/** On the nearest stretch of the outline, if it is within reach. */
function addAt([x, y], reach) {
  const outline = clip.measure(clip.handles(frame)).outline;
  let [best, nearest] = [0, Infinity];
  for (let i = 0; i < outline.length; i += 2) {
    const distance = Math.hypot(outline[i] - x, outline[i + 1] - y);
    if (distance < nearest) [best, nearest] = [i, distance];
  }
  if (nearest <= reach) addAfter(Math.floor(best / 2 / PER_SEGMENT), stage.inside([x, y]));
}

function deletePoint() {
  const handles = clip.handles(frame);
  if (selected < 0 || isKept(handles, selected, run)) return;
  const before = Math.max(0, selected - 1);
  apply(withoutPoint(handles, selected));
  stage.focusPoint(before);
}

function copyToNext() {
  if (frame + 1 >= clip.frames) return;
  const handles = clip.handles(frame);
  const from = frame;
  show(from + 1);
  apply({ ...handles, pinned: handles.pinned.map(() => false) });
}

async function predictAnew() {
  const [of, at, handles] = [clip, frame, clip.handles(frame)];
  try {
    const { points } = await post(`${of.path}/frames/${at}/hold`, handles);
    if (of === clip && of.handles(at) === handles) apply({ ...handles, points }, { at });
  } catch (error) {
    say(error.message, true);
  }
}

// ---- going

function next() {
  seen.add(`${clip.number}/${frame}`);
  const found = clip.toLookAt().find((at) => !seen.has(`${clip.number}/${at}`));
  if (found === undefined) say("Every uncertain frame was looked at");
  else show(found);
}

function play() {
  if (playing) {
    cancelAnimationFrame(playing.tick);
    playing = null;
  } else {
    playing = { from: frame, started: performance.now() };
    playing.tick = requestAnimationFrame(advance);
  }
  element("play").textContent = playing ? "Pause" : "Play";
  element("play").setAttribute("aria-pressed", String(playing !== null));
  if (!playing) show(frame);
}

function advance(time) {
  if (!playing) return;
  const passed = Math.max(0, time - playing.started) / 1000;
  const wanted = (playing.from + Math.floor(passed * (clip.fps ?? UNKNOWN_RATE))) % clip.frames;
  if (wanted !== frame) show(wanted);
  playing.tick = requestAnimationFrame(advance);
}

async function openClip(number, at = 0) {
  if (playing) play();
  if (number < 0 || number >= clips.length) return;
  opening = number;
  element("loading").hidden = false;
  element("clip").value = number;
  let opened;
  try {
    opened = await Clip.load(number, run);
  } catch (error) {
    say(error.message, true);
    element("loading").hidden = true;
    return;
  }
  if (opening !== number) return;
  [clip, selected, history] = [opened, -1, new History()];
  element("scrub").max = clip.frames - 1;
  stage.setSize(clip.width, clip.height);
  curve.setClip(clip);
  drawListed(clip);
  show(at);
  element("loading").hidden = true;
  document.body.dataset.ready = number; // for who waits for the page
  await clip.fetchFrames(() => clip === opened && !playing && frame < clip.read && stage.drawFrame(clip.greyOf(frame)));
}

function countCorrected(of) {
  clips[of.number].corrected = of.changed.size;
  const { name, corrected } = clips[of.number];
  element("clip").options[of.number].textContent = corrected ? `${name} · ${corrected} corrected` : name;
}

async function begin() {
  ({ run, clips } = await getJson("api/clips"));
  element("clip").replaceChildren(
    ...clips.map(({ name, corrected }, i) => new Option(corrected ? `${name} · ${corrected} corrected` : name, i)),
  );
  if (!run.calibrated) element("hold").title = "needs a calibrated landmark run";
  const where = new URLSearchParams(location.hash.slice(1));
  const wanted = Number(where.get("clip"));
  await openClip(wanted in clips ? wanted : 0, Number(where.get("frame")) || 0);
}

const step = (by) => show(frame + by);
const otherClip = (by) => openClip(clip.number + by);
const actions = {
  undo: () => travel("undo"),
  redo: () => travel("redo"),
  add: () => selected >= 0 && addPoint(),
  delete: deletePoint,
  copy: copyToNext,
  hold: predictAnew,
  revert: () => clip.changed.has(frame) && apply(null),
  play,
  "step-back": () => step(-1),
  "step-on": () => step(1),
  "clip-before": () => otherClip(-1),
  "clip-after": () => otherClip(1),
  "help-open": () => element("help").showModal(),
};
for (const [id, act] of Object.entries(actions)) element(id).addEventListener("click", act);
element("clip").addEventListener("change", (event) => openClip(Number(event.target.value)));
element("scrub").addEventListener("input", (event) => show(Number(event.target.value)));
for (const id of ["cut-of", "cut-at"]) element(id).addEventListener("input", drawContour);
for (const box of document.querySelectorAll("[data-show]")) {
  box.addEventListener("change", () => {
    element("cut").hidden = !shows("cut");
    stage.points.classList.toggle("away", !shows("points"));
    drawContour();
  });
}
listenToKeys({ actions, step, next, nudge, chosen: () => selected >= 0, letGo: () => document.activeElement?.blur() || choose(-1) });
window.addEventListener("beforeunload", (event) => unsaved.size && event.preventDefault());
begin().catch((error) => say(error.message, true));
