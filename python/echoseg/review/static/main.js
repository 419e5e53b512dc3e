// The page: which clip and frame are shown, and what the user does with them.

import { getJson, post, SaveQueue } from "./api.js";
import { AreaCurve } from "./area-curve.js";
import { Clip } from "./clip.js";
import { areEqual, isAnnulusStart, isRequired, withMovedPoint, withoutPoint, withPoint } from "./handles.js";
import { History } from "./history.js";
import { ImageView } from "./image-view.js";
import { listenToKeyboard } from "./keyboard.js";
import { paintHeatmap, paintMask, paintThreshold } from "./overlay.js";
import { askUser, drawClipNotes, drawFramesToReview, drawMeasurements, element, showStatus } from "./side-panel.js";
import { PER_SEGMENT } from "./spline.js";

const DEFAULT_FPS = 25; // for files that do not give their frame rate

let run, clips, clip;
let frame = 0;
let selected = -1; // index of a point
let dragged = null; // handles while a point is dragged
let playback = null; // {startFrame, startTime, request} while the clip plays
let shownSince = 0; // when the frame was shown or changed last, ms
let requestedClip = 0;
let history = new History();
const viewedFrames = new Set();
const unsavedFrames = new Set();
const failedSaves = new Map();
const keyOf = (clipNumber, frameNumber) => `${clipNumber}/${frameNumber}`;

const colours = Object.fromEntries(
  ["prediction", "correction"].map((name) => {
    const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    return [name, [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16))];
  }),
);
const isShown = (name) => document.querySelector(`[data-show="${name}"]`).checked;

const imageView = new ImageView(element("image-view"), {
  select: selectPoint,
  drag: (index, point) => {
    dragged = withMovedPoint(clip.handlesOf(frame), index, point);
    drawContour();
  },
  drop: () => {
    const dropped = dragged;
    dragged = null;
    if (dropped) correct(dropped, { drags: 1 });
  },
  cancel: () => {
    dragged = null;
    drawContour();
  },
  addPoint: addPointNear,
});
const areaCurve = new AreaCurve(element("area-curve"), showFrame);
const saveQueue = new SaveQueue(send, showSaveError);

// ---- drawing

function drawContour() {
  const handles = dragged ?? clip.handlesOf(frame);
  const isCorrected = dragged !== null || clip.corrected.has(frame);
  const measured = clip.measure(handles);
  if (!isCorrected) [measured.area, measured.volume] = [clip.areas[frame], clip.volumes[frame]];
  clip.setMeasured(frame, measured);
  imageView.drawOutline("truth", isShown("truth") ? clip.truth[frame]?.flat() : null);
  imageView.drawOutline("prediction", isShown("prediction") ? clip.predictedOutline(frame) : null);
  imageView.drawOutline("correction", isCorrected && isShown("correction") ? measured.outline : null);
  imageView.drawPoints(handles, run, selected);
  drawOverlay(isCorrected);
  drawMeasurements(clip, frame, measured);
  const correctedFrames = clip.correctedFrames();
  areaCurve.drawCorrected(clip.currentAreas, dragged ? [...correctedFrames, frame] : correctedFrames);
}

function drawOverlay(isCorrected) {
  imageView.drawOverlay((pixels) => {
    const source = element("threshold-source").value;
    const needsProbabilities = isShown("heatmap") || (isShown("threshold") && source === "probability");
    const requestedFrame = frame;
    const probabilities = needsProbabilities
      ? clip.probabilitiesOf(frame, () => requestedFrame === frame && drawContour())
      : null;
    if (isShown("heatmap") && probabilities) paintHeatmap(pixels, probabilities);
    if (isShown("mask") && (isCorrected || clip.areas[frame])) {
      paintMask(pixels, clip.mask, colours[isCorrected ? "correction" : "prediction"]);
    }
    const values = source === "probability" ? probabilities : clip.brightnessOf(frame);
    if (isShown("threshold") && values) {
      const level = Number(element("threshold-level").value);
      const { area, dice } = paintThreshold(pixels, values, source, level, clip.mask);
      const levelText = source === "probability" ? (level / 255).toFixed(2) : level;
      element("threshold-result").textContent =
        `${levelText}: area ${area} px, Dice overlap with the mask ${dice.toFixed(3)}`;
    }
  });
}

function enableButtons() {
  const handles = clip.handlesOf(frame);
  const isSelected = selected >= 0 && selected < handles.points.length;
  const enabled = {
    undo: history.canUndo(frame),
    redo: history.canRedo(frame),
    add: isSelected && !isAnnulusStart(handles, selected, run),
    delete: isSelected && !isRequired(handles, selected, run),
    copy: frame + 1 < clip.frames,
    "update-others": run.calibrated && handles.pinned.some((pinned, i) => pinned && handles.landmarks[i] >= 0),
    restore: clip.corrected.has(frame),
  };
  for (const [id, isEnabled] of Object.entries(enabled)) element(id).disabled = !isEnabled;
}

/** Show a frame; a number outside the clip shows its first or last one. */
function showFrame(number) {
  if (dragged) clip.setHandles(frame, clip.corrected.get(frame) ?? null); // another frame ends the drag
  frame = Math.min(Math.max(number, 0), clip.frames - 1);
  dragged = null;
  shownSince = performance.now();
  element("frame-slider").value = frame;
  element("frame-number").textContent = `${frame + 1} / ${clip.frames}`;
  element("frame-slider").setAttribute("aria-valuetext", `frame ${frame + 1} of ${clip.frames}`);
  if (frame < clip.loadedFrames) imageView.drawFrame(clip.brightnessOf(frame));
  areaCurve.drawCursor(frame);
  drawContour();
  if (playback) return;
  enableButtons();
  drawFramesToReview(clip, frame, showFrame);
  window.history.replaceState(null, "", `#clip=${clip.number}&frame=${frame}`);
}

function selectPoint(index) {
  selected = index;
  imageView.drawPoints(dragged ?? clip.handlesOf(frame), run, selected);
  enableButtons();
}

// ---- correcting

/** Set the handles of a frame and save them; null restores the prediction. */
function correct(handles, { drags = 0, remember = true, frameNumber = frame } = {}) {
  const before = clip.corrected.get(frameNumber) ?? null;
  if (handles && areEqual(handles, clip.handlesOf(frameNumber))) {
    drawContour();
    return;
  }
  if (remember) history.push(frameNumber, before);
  clip.setHandles(frameNumber, handles);
  const seconds = (performance.now() - shownSince) / 1000;
  shownSince = performance.now();
  save({ clip, frameNumber, seconds, drags });
  if (frameNumber === frame) {
    drawContour();
    enableButtons();
    drawFramesToReview(clip, frame, showFrame);
  }
}

/** entry: {clip, frameNumber, seconds, drags}. */
function save(entry) {
  const key = keyOf(entry.clip.number, entry.frameNumber);
  showStatus("Saving …");
  unsavedFrames.add(key);
  saveQueue.put(key, entry);
}

async function send(entry) {
  const { clip: savedClip, frameNumber, seconds, drags } = entry;
  const points = savedClip.corrected.get(frameNumber) ?? null;
  const version = savedClip.versions.get(frameNumber) ?? 0;
  const saved = await post(`${savedClip.path}/frames/${frameNumber}`, { version, points, seconds, drags });
  if (saved.conflict) {
    askAboutConflict(savedClip, frameNumber, saved.conflict);
    return;
  }
  savedClip.versions.set(frameNumber, saved.version);
  unsavedFrames.delete(keyOf(savedClip.number, frameNumber));
  failedSaves.delete(keyOf(savedClip.number, frameNumber));
  const isCurrent = (savedClip.corrected.get(frameNumber) ?? null) === points; // not changed again meanwhile
  if (isCurrent) savedClip.setMeasured(frameNumber, saved);
  if (savedClip === clip && frameNumber === frame && !dragged) drawMeasurements(clip, frame, saved);
  if (saveQueue.isEmpty) showStatus(`Saved ✓ frame ${frameNumber + 1}, area ${saved.area} px`);
  listCorrected(savedClip);
}

function showSaveError(entry, error) {
  showStatus("Not saved", true);
  failedSaves.set(keyOf(entry.clip.number, entry.frameNumber), entry);
  const count = failedSaves.size;
  const subject = count === 1 ? `The correction of frame ${entry.frameNumber + 1} is` : `${count} corrections are`;
  askUser(`${subject} not saved: ${error.message}.`, [
    ["Try again", () => {
      const entries = [...failedSaves.values()];
      failedSaves.clear();
      entries.forEach(save);
    }],
  ]);
}

/** other: the correction that another tab has saved since this one loaded the frame. */
function askAboutConflict(conflictClip, frameNumber, other) {
  showStatus("Not saved", true);
  const redraw = () => conflictClip === clip && showFrame(frame);
  const key = keyOf(conflictClip.number, frameNumber);
  askUser(`Frame ${frameNumber + 1} was also changed in another tab. Which correction do you want to keep?`, [
    ["The other tab's", () => {
      conflictClip.setSaved(frameNumber, other);
      unsavedFrames.delete(key);
      if (conflictClip === clip) history.clear(frameNumber);
      showStatus("Loaded the correction of the other tab");
      redraw();
    }],
    ["This tab's", () => {
      conflictClip.versions.set(frameNumber, other.version);
      saveQueue.put(key, { clip: conflictClip, frameNumber, seconds: 0, drags: 0 });
      redraw();
    }],
  ]);
}

/** direction: "undo" or "redo". */
function stepHistory(direction) {
  const state = history[direction](frame, clip.corrected.get(frame) ?? null);
  if (state === undefined) return;
  correct(state, { remember: false });
}

function movePoint(dx, dy) {
  const handles = clip.handlesOf(frame);
  const [x, y] = handles.points[selected];
  correct(withMovedPoint(handles, selected, imageView.clamp([x + dx, y + dy])));
}

function addPointAfter(index, point) {
  const handles = clip.handlesOf(frame);
  if (isAnnulusStart(handles, index, run)) return;
  correct(withPoint(handles, index, point));
  imageView.focusPoint(index + 1);
}

/** Add a point on the outline, halfway from the selected point to the next one. */
function addPointAfterSelected() {
  if (selected < 0) return;
  const { outline } = clip.measure(clip.handlesOf(frame));
  const middle = 2 * (selected * PER_SEGMENT + PER_SEGMENT / 2);
  addPointAfter(selected, [outline[middle], outline[middle + 1]]);
}

/** Add a point between the two points whose part of the outline is nearest, if it is near enough. */
function addPointNear([x, y], maxDistance) {
  const { outline } = clip.measure(clip.handlesOf(frame));
  let [nearest, smallest] = [0, Infinity];
  for (let i = 0; i < outline.length; i += 2) {
    const distance = Math.hypot(outline[i] - x, outline[i + 1] - y);
    if (distance < smallest) [nearest, smallest] = [i, distance];
  }
  if (smallest <= maxDistance) addPointAfter(Math.floor(nearest / 2 / PER_SEGMENT), imageView.clamp([x, y]));
}

function deletePoint() {
  const handles = clip.handlesOf(frame);
  if (selected < 0 || isRequired(handles, selected, run)) return;
  const previous = Math.max(0, selected - 1);
  correct(withoutPoint(handles, selected));
  imageView.focusPoint(previous);
}

function copyToNextFrame() {
  if (frame + 1 >= clip.frames) return;
  const handles = clip.handlesOf(frame);
  showFrame(frame + 1);
  correct({ ...handles, pinned: handles.pinned.map(() => false) });
}

/** Predict the landmarks that were not moved again, given those that were. */
async function updateOthers() {
  const [requestClip, frameNumber, handles] = [clip, frame, clip.handlesOf(frame)];
  try {
    const { points } = await post(`${requestClip.path}/frames/${frameNumber}/update-others`, handles);
    const isCurrent = requestClip === clip && clip.handlesOf(frameNumber) === handles;
    if (isCurrent) correct({ ...handles, points }, { frameNumber });
  } catch (error) {
    showStatus(error.message, true);
  }
}

// ---- navigation

function openNextToReview() {
  viewedFrames.add(keyOf(clip.number, frame));
  const next = clip.framesToReview().find((number) => !viewedFrames.has(keyOf(clip.number, number)));
  if (next === undefined) showStatus("All frames to review have been viewed");
  else showFrame(next);
}

function togglePlayback() {
  if (playback) {
    cancelAnimationFrame(playback.request);
    playback = null;
  } else {
    playback = { startFrame: frame, startTime: performance.now() };
    playback.request = requestAnimationFrame(showPlaybackFrame);
  }
  element("play").textContent = playback ? "Pause" : "Play";
  element("play").setAttribute("aria-pressed", String(playback !== null));
  if (!playback) showFrame(frame);
}

function showPlaybackFrame(time) {
  if (!playback) return;
  const seconds = Math.max(0, time - playback.startTime) / 1000;
  const number = (playback.startFrame + Math.floor(seconds * (clip.fps ?? DEFAULT_FPS))) % clip.frames;
  if (number !== frame) showFrame(number);
  playback.request = requestAnimationFrame(showPlaybackFrame);
}

async function openClip(number, frameNumber = 0) {
  if (playback) togglePlayback();
  if (number < 0 || number >= clips.length) return;
  requestedClip = number;
  element("loading").hidden = false;
  element("clip").value = number;
  let loaded;
  try {
    loaded = await Clip.load(number, run);
  } catch (error) {
    showStatus(error.message, true);
    element("loading").hidden = true;
    return;
  }
  if (requestedClip !== number) return;
  [clip, selected, history] = [loaded, -1, new History()];
  element("frame-slider").max = clip.frames - 1;
  imageView.setSize(clip.width, clip.height);
  areaCurve.setClip(clip);
  drawClipNotes(clip);
  showFrame(frameNumber);
  element("loading").hidden = true;
  document.body.dataset.ready = number; // tests wait for it
  await clip.fetchFrames(() => {
    if (clip === loaded && !playback && frame < clip.loadedFrames) imageView.drawFrame(clip.brightnessOf(frame));
  });
}

const clipTitle = ({ name, corrected }) => (corrected ? `${name} · ${corrected} corrected` : name);

/** Show in the list of clips how many frames of a clip are corrected. */
function listCorrected(changedClip) {
  const listed = clips[changedClip.number];
  listed.corrected = changedClip.corrected.size;
  element("clip").options[changedClip.number].textContent = clipTitle(listed);
}

async function start() {
  ({ run, clips } = await getJson("api/clips"));
  element("clip").replaceChildren(...clips.map((each, number) => new Option(clipTitle(each), number)));
  if (!run.calibrated) element("update-others").title = "Only for runs of the landmark approach that are calibrated";
  const address = new URLSearchParams(location.hash.slice(1));
  const number = Number(address.get("clip"));
  await openClip(number in clips ? number : 0, Number(address.get("frame")) || 0);
}

const stepFrames = (count) => showFrame(frame + count);
const actions = {
  undo: () => stepHistory("undo"),
  redo: () => stepHistory("redo"),
  add: addPointAfterSelected,
  delete: deletePoint,
  copy: copyToNextFrame,
  "update-others": updateOthers,
  restore: () => clip.corrected.has(frame) && correct(null),
  play: togglePlayback,
  "previous-frame": () => stepFrames(-1),
  "next-frame": () => stepFrames(1),
  "previous-clip": () => openClip(clip.number - 1),
  "next-clip": () => openClip(clip.number + 1),
  "open-help": () => element("help").showModal(),
};
for (const [id, action] of Object.entries(actions)) element(id).addEventListener("click", action);
element("clip").addEventListener("change", (event) => openClip(Number(event.target.value)));
element("frame-slider").addEventListener("input", (event) => showFrame(Number(event.target.value)));
for (const id of ["threshold-source", "threshold-level"]) element(id).addEventListener("input", drawContour);
for (const checkbox of document.querySelectorAll("[data-show]")) {
  checkbox.addEventListener("change", () => {
    element("threshold-settings").hidden = !isShown("threshold");
    imageView.showPoints(isShown("points"));
    drawContour();
  });
}
listenToKeyboard({
  actions,
  stepFrames,
  openNextToReview,
  movePoint,
  isPointSelected: () => selected >= 0,
  deselect: () => document.activeElement?.blur() || selectPoint(-1),
});
window.addEventListener("beforeunload", (event) => unsavedFrames.size && event.preventDefault());
start().catch((error) => showStatus(error.message, true));
