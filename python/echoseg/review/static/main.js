// The page: which clip is open, and what buttons and keys do.

import { get, getJson } from "./api.js";
import { chooseFrame, nextOf, samePhaseOfNextBeat } from "./beats.js";
import { Carrying } from "./carrying.js";
import { Changes } from "./changes.js";
import { Clip } from "./clip.js";
import { FrameView } from "./frame-view.js";
import { withMovedPoint } from "./handles.js";
import { listenToKeyboard, releaseFocusAfterClicks } from "./keyboard.js";
import { Learning } from "./learning.js";
import { drawClipNotes } from "./measurements.js";
import { coverPicture, element, showExportNote, showStatus } from "./messages.js";
import { Playback } from "./playback.js";
import { setUpHint, setUpTheme } from "./preferences.js";
import { drawClipList, recordProgress, titleOf } from "./review-queue.js";
import { Saver } from "./saving.js";
import { state } from "./state.js";

const ZOOM_STEP = 1.5;

const playback = new Playback({
  getClip: () => state.clip,
  getFrame: () => state.frame,
  showFrame: (frame) => view.show(frame),
  onToggle: (isPlaying) => {
    element("play").textContent = isPlaying ? "Pause" : "Play";
    element("play").setAttribute("aria-pressed", String(isPlaying));
    if (!isPlaying && state.clip) view.show(state.frame);
  },
});

const saver = new Saver({
  onSaved: ({ clip, frame }, response, isCurrent) => {
    if (isCurrent && frame !== null) clip.setMeasured(frame, response);
    if (clip !== state.clip) return;
    if (!state.dragged) view.draw();
    carrying.update(clip);
  },
  onReplaced: (clip) => {
    if (clip !== state.clip) return;
    redraw();
    carrying.update(clip);
  },
});

const carrying = new Carrying({
  getClip: () => state.clip,
  onCarried: (clip) => clip === state.clip && !state.dragged && redraw(),
});

const pointCallbacks = {
  select: (index) => {
    if (!state.clip) return;
    playback.pause();
    state.selected = index;
    view.draw();
  },
  drag: (index, point) => {
    state.dragged = withMovedPoint(state.clip.handlesOf(state.frame), index, point);
    view.draw();
  },
  drop: () => {
    const { dragged } = state;
    state.dragged = null;
    if (dragged) changes.correct(dragged, { drags: 1 });
  },
  cancel: () => {
    state.dragged = null;
    view.draw();
  },
  addPoint: (point, maxDistance) => changes.addPointNear(point, maxDistance),
};

const changes = new Changes({ saver, openFrame, redraw });
const view = new FrameView({ pointCallbacks, isPlaying: () => playback.isPlaying, history: changes.history });
const { imageView } = view;
changes.imageView = imageView;

const learning = new Learning();

function redraw() {
  view.draw();
  recordProgress();
  drawClipList(openClip);
}

// ---- clips

/** Open a clip. Until it is read, and if it cannot be opened, the picture is covered and nothing can be edited. */
async function openClip(number, frame = 0) {
  if (!(number in state.clips)) return;
  playback.pause();
  imageView.cancelDrag();
  const listed = state.clips[number];
  Object.assign(state, { number, clip: null, selected: -1 });
  delete document.body.dataset.ready;
  element("clip").value = number;
  showStatus("");
  showExportNote("");
  coverPicture(`Reading and segmenting ${listed.name} …`);
  window.history.replaceState(null, "", `#clip=${number}&frame=${frame}`);
  let clip;
  try {
    clip = saver.unsavedClip(number) ?? (await Clip.load(number, state.run));
    if (state.number !== number || state.clip) return; // another clip was chosen meanwhile
    listed.problem = "";
  } catch (error) {
    if (state.number !== number || state.clip) return;
    listed.problem = error.message;
    coverPicture(`${listed.name} cannot be opened. ${error.message}`, true);
    drawClipList(openClip);
    return;
  }
  state.clip = clip;
  coverPicture(null);
  view.setClip();
  drawClipNotes(clip);
  view.show(frame);
  view.adaptZoom();
  redraw();
  document.body.dataset.ready = number; // tests wait for it
  await Promise.all([carrying.update(clip), fetchFrames(clip)]);
}

async function fetchFrames(clip) {
  let isFirst = true;
  try {
    await clip.fetchFrames(() => {
      if (clip !== state.clip) return;
      if (isFirst) view.brightness.setClip(clip.brightness.subarray(0, clip.loadedFrames * clip.framePixels));
      isFirst = false;
      if (!playback.isPlaying) view.drawImage();
    });
  } catch (error) {
    if (clip !== state.clip) return;
    state.clip = null;
    coverPicture(`${clip.name} cannot be shown. ${error.message}`, true);
  }
}

async function openFrame(number, frame) {
  if (number !== state.number || !state.clip) await openClip(number, frame);
  else view.show(frame);
}

/** Show the next frame of the queue that is not reviewed, after the one that is shown. */
function openNextToReview() {
  const { clip, frame } = state;
  const order = [...clip.to_review, ...clip.changedFrames()];
  const open = clip.openFrames().filter((each) => each !== frame);
  const next = open.find((each) => order.indexOf(each) > order.indexOf(frame)) ?? open[0];
  if (next !== undefined) view.show(next);
  else if (!clip.openFrames().length) showStatus("All frames are reviewed");
}

/** Download the masks, areas and volumes of the clip. */
async function download() {
  const { clip } = state;
  showExportNote("Writing …");
  try {
    const response = await get(`${clip.path}/export?carry=${element("carry").checked}`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = `${clip.name}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    const note = JSON.parse(response.headers.get("x-note"));
    showExportNote(note && `The ZIP file has no segmentation.dcm: ${note}`, Boolean(note));
  } catch (error) {
    showExportNote(error.message, true);
  }
}

// ---- what buttons and keys do

const actions = {
  undo: () => changes.step("undo"),
  redo: () => changes.step("redo"),
  accept: () => {
    changes.judge("accepted");
    openNextToReview();
  },
  reject: () => {
    element("reject-note").value = state.clip.stateOf(state.frame).note;
    element("reject-dialog").returnValue = "";
    element("reject-dialog").showModal();
  },
  next: openNextToReview,
  add: () => changes.addPointAfterSelected(),
  delete: () => changes.deletePoint(),
  copy: () => changes.copyTo(state.frame + 1),
  "copy-to-beat": () => changes.copyTo(samePhaseOfNextBeat(state.clip.currentBeats(), state.frame, state.clip.frames)),
  "update-others": () => changes.updateOthers(),
  restore: () => changes.set(state.frame, { points: null, verdict: null, note: "" }),
  "set-ed": () => chooseFrame("ED", changes),
  "set-es": () => chooseFrame("ES", changes),
  "restore-beats": () => changes.set(null, { beats: null }),
  "next-ed": () => view.show(nextOf("ED") ?? state.frame),
  "next-es": () => view.show(nextOf("ES") ?? state.frame),
  play: () => (playback.isPlaying ? playback.pause() : playback.play()),
  "previous-frame": () => view.show(state.frame - 1),
  "next-frame": () => view.show(state.frame + 1),
  "previous-clip": () => openClip(state.number - 1),
  "next-clip": () => openClip(state.number + 1),
  "summary-next": () => openClip(state.number + 1),
  "zoom-in": () => imageView.zoom.by(ZOOM_STEP),
  "zoom-out": () => imageView.zoom.by(1 / ZOOM_STEP),
  "zoom-reset": () => imageView.zoom.reset(),
  "zoom-contour": () => view.zoomToContour(),
  measure: () => view.ruler.toggle(),
  "auto-brightness": () => view.brightness.toggleAutomatic(),
  "reset-brightness": () => view.brightness.reset(),
  export: () => download(),
  learn: () => learning.start(),
  "stop-learning": () => learning.stop(),
  "open-help": () => element("help").showModal(),
};
const WITHOUT_CLIP = new Set(["previous-clip", "next-clip", "open-help", "learn", "stop-learning"]);
const WHILE_PLAYING = new Set(["play", "zoom-in", "zoom-out", "zoom-reset", "zoom-contour", "auto-brightness"]);

function run(id) {
  if (!state.clip && !WITHOUT_CLIP.has(id)) return;
  if (!WHILE_PLAYING.has(id)) playback.pause();
  if (!element(id)?.disabled) actions[id](); // some actions have keys only
}

for (const id of Object.keys(actions)) element(id)?.addEventListener("click", () => run(id));
element("clip").addEventListener("change", (event) => openClip(Number(event.target.value)));
element("speed").addEventListener("change", (event) => playback.setSpeed(Number(event.target.value)));
element("frame-slider").addEventListener("input", (event) => {
  playback.pause();
  view.show(Number(event.target.value));
});
element("reject-dialog").addEventListener("close", () => {
  if (element("reject-dialog").returnValue !== "reject") return;
  changes.judge("rejected", element("reject-note").value);
  openNextToReview();
});
listenToKeyboard({
  run,
  movePoint: (dx, dy) => {
    playback.pause();
    changes.movePoint(dx, dy);
  },
  pan: (move) => imageView.zoom.pan(move),
  isPointSelected: () => state.selected >= 0,
  isLocked: () => !state.clip,
  deselect: () => {
    view.ruler.toggle(false);
    document.activeElement?.blur();
    if (state.clip) pointCallbacks.select(-1);
  },
});
releaseFocusAfterClicks();
window.addEventListener("beforeunload", (event) => saver.isAllSaved || event.preventDefault());

async function start() {
  setUpTheme();
  setUpHint();
  Object.assign(state, await getJson("api/clips"));
  changes.history.open(state.corrections);
  element("clip").replaceChildren(...state.clips.map((each, number) => new Option(titleOf(each), number)));
  drawClipList(openClip);
  element("reader").hidden = !state.reader;
  element("reader").textContent = `Reader: ${state.reader}`;
  learning.show();
  if (!state.run.calibrated) element("update-others").title = "Only for landmark runs that are calibrated";
  const address = new URLSearchParams(location.hash.slice(1));
  const number = Number(address.get("clip"));
  await openClip(number in state.clips ? number : 0, Number(address.get("frame")) || 0);
}

start().catch((error) => coverPicture(error.message, true));
