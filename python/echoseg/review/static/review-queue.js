// The frames to look at, how many of them are reviewed, and the list of clips with their progress.

import { element } from "./messages.js";
import { state } from "./state.js";

const SIGNS = { corrected: "✎", accepted: "✓", rejected: "✗" };

/** What was done with a frame: "corrected", "accepted", "rejected" or "". */
export function outcomeOf(clip, frame) {
  return clip.isCorrected(frame) && !clip.stateOf(frame).verdict ? "corrected" : (clip.stateOf(frame).verdict ?? "");
}

/** The frames of the queue with their state, the progress, and a summary when all are reviewed. */
export function drawReview(openFrame) {
  const { clip, frame } = state;
  const total = clip.to_review.length;
  const reviewed = total - clip.unreviewedFrames().length;
  element("progress").max = Math.max(1, total);
  element("progress").value = reviewed;
  element("progress-text").textContent = total ? `${reviewed} of ${total} reviewed` : "Nothing to review";
  element("review-list").replaceChildren(...clip.to_review.map((each) => queueItem(clip, each, frame, openFrame)));
  const changed = clip.changedFrames().filter((each) => !clip.to_review.includes(each));
  element("changed-panel").hidden = !changed.length;
  element("changed-list").replaceChildren(...changed.map((each) => queueItem(clip, each, frame, openFrame)));
  element("review-note").textContent = total && reviewed === total ? "" : clip.review_reason;
  element("summary").hidden = !total || reviewed < total;
  element("summary-text").textContent = summary(clip);
  element("summary-next").hidden = state.number + 1 >= state.clips.length;
  const { verdict, note } = clip.stateOf(frame);
  element("accept").setAttribute("aria-pressed", String(verdict === "accepted"));
  element("reject").setAttribute("aria-pressed", String(verdict === "rejected"));
  const outcome = outcomeOf(clip, frame);
  element("frame-state").textContent = [outcome && `${SIGNS[outcome]} ${outcome}`, note].filter(Boolean).join(": ") || "not reviewed";
}

function queueItem(clip, frame, current, openFrame) {
  const [item, button, detail] = ["li", "button", "span"].map((name) => document.createElement(name));
  const outcome = outcomeOf(clip, frame);
  const uncertainty = uncertaintyOf(clip, frame);
  detail.textContent = outcome ? SIGNS[outcome] : uncertainty;
  button.append(`${frame + 1} `, detail);
  button.setAttribute("aria-label", `Frame ${frame + 1}, ${outcome || `not reviewed, uncertainty ${uncertainty}`}`);
  button.setAttribute("aria-current", String(frame === current));
  button.dataset.outcome = outcome;
  button.addEventListener("click", () => openFrame(frame));
  item.append(button);
  return item;
}

/** The uncertainty of the area, in percent; "" if it is unknown. */
function uncertaintyOf(clip, frame) {
  if (!clip.uncertainty) return "";
  if (!clip.area_std) return `${(100 * clip.uncertainty[frame]).toFixed(1)} %`;
  const { area_std, areas } = clip.carried ?? clip;
  return `±${((196 * area_std[frame]) / Math.max(1, areas[frame])).toFixed(0)} %`;
}

function summary(clip) {
  const outcomes = clip.to_review.map((frame) => outcomeOf(clip, frame));
  const counts = Object.keys(SIGNS)
    .map((outcome) => [outcomes.filter((each) => each === outcome).length, outcome])
    .filter(([count]) => count)
    .map(([count, outcome]) => `${count} ${outcome}`);
  const [means, predicted] = [clip.currentMeans(), clip.predictedMeans()];
  const isKnown = !clip.thickness && Number.isFinite(means?.ef) && Number.isFinite(predicted?.ef);
  const change = isKnown ? ` EF ${means.ef.toFixed(1)} %, predicted ${predicted.ef.toFixed(1)} %.` : "";
  return `All frames are reviewed: ${counts.join(", ")}.${change}`;
}

/** The progress of the open clip, in the list of clips. */
export function recordProgress() {
  const { clip, clips, number } = state;
  const to_review = clip.to_review.length;
  const corrected = clip.correctedFrames().length;
  Object.assign(clips[number], { to_review, reviewed: to_review - clip.unreviewedFrames().length, corrected });
}

const isDone = ({ to_review, reviewed }) => Number.isInteger(to_review) && reviewed === to_review;

/** What the list of clips says of one: its progress, if it was opened before. */
export function titleOf(listed) {
  const { name, to_review, reviewed, corrected, problem } = listed;
  if (problem) return `${name} · ⚠ cannot be opened`;
  const isKnown = Number.isInteger(to_review);
  const progress = isDone(listed) ? "✓ reviewed" : isKnown ? `${reviewed} of ${to_review} reviewed` : "";
  return [name, progress, corrected && `${corrected} corrected`].filter(Boolean).join(" · ");
}

export function drawClipList(openClip) {
  const { clips, number } = state;
  clips.forEach((each, i) => (element("clip").options[i].textContent = titleOf(each)));
  const done = clips.filter(isDone).length;
  element("clips-panel").hidden = clips.length < 2;
  element("clips-progress").textContent = `${done} of ${clips.length} clips reviewed`;
  const items = clips.map((each, i) => {
    const [item, button] = ["li", "button"].map((name) => document.createElement(name));
    button.textContent = titleOf(each);
    button.setAttribute("aria-current", String(i === number));
    button.addEventListener("click", () => openClip(i));
    item.append(button);
    return item;
  });
  const list = element("clip-list");
  const { scrollTop } = list;
  list.replaceChildren(...items);
  list.scrollTop = scrollTop;
}
