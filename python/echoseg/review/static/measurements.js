// Area, volume and EF, and what they are computed from.

import { roleOf } from "./beats.js";
import { element } from "./messages.js";

export const areaUnit = (clip) => (clip.known ? "cm²" : "px");
export const volumeUnit = (clip) => (clip.known ? "ml" : "px³");

/** Areas in the unit that is shown, from pixels. */
export const shownArea = (clip, pixels) => (clip.known ? (pixels * clip.scale[0] * clip.scale[1]) / 100 : pixels);

/** measured: {area, volume} of the frame as it is now. */
export function drawMeasurements(clip, frame, measured) {
  const areaText = (pixels) => `${shownArea(clip, pixels).toFixed(clip.known ? 2 : 0)} ${areaUnit(clip)}`;
  const volumeText = (volume) => `${volume.toFixed(clip.known ? 1 : 0)} ${volumeUnit(clip)}`;
  const column = ({ area, volume }, volumes, means) => ({
    area: areaText(area),
    volume: volumeText(volume),
    ...(clip.thickness
      ? { total: volumeText(volumes.reduce((sum, each) => sum + each, 0)) }
      : {
          ef: means ? (Number.isFinite(means.ef) ? `${means.ef.toFixed(1)} %` : "–") : "no beat",
          edv: means ? volumeText(means.edv) : "–",
          esv: means ? volumeText(means.esv) : "–",
        }),
  });
  const predicted = { area: clip.areas[frame], volume: clip.volumes[frame] };
  const columns = {
    "": column(measured, clip.currentVolumes, clip.currentMeans()),
    "-predicted": column(predicted, clip.volumes, clip.predictedMeans()),
  };
  for (const [suffix, texts] of Object.entries(columns)) {
    for (const [id, text] of Object.entries(texts)) element(id + suffix).textContent = text;
  }
  element("ef-source").textContent = clip.thickness ? "" : efSource(clip, frame);
}

/** Which frames EF is computed from, and whether this frame is one of them. */
function efSource(clip, frame) {
  const beats = clip.currentBeats();
  if (!beats.length) return "No beat was found, so there is no EF. Choose an ED and an ES frame under the picture.";
  const role = roleOf(clip, frame);
  const effect = element("carry").checked ? "changes EF only as far as it is carried to those frames" : "does not change EF";
  const sentences = [
    role
      ? `Frame ${frame + 1} is ${role}: EF follows its contour.`
      : `Frame ${frame + 1} is neither ED nor ES: a correction here ${effect}.`,
  ];
  beats.forEach((beat, number) => {
    if (clip.isBeatUsed(beat)) return;
    sentences.push(`Beat ${number + 1} is left out of EF, because its ED or ES frame is rejected.`);
  });
  if (clip.stateOf(null).beats) sentences.push("You have chosen the ED and ES frames.");
  return sentences.join(" ");
}

/** What is the same for all frames of a clip. */
export function drawClipNotes(clip) {
  const isStack = clip.thickness !== null;
  for (const id of ["ef", "edv", "esv"]) element(id).parentElement.hidden = isStack;
  element("ef-interval").parentElement.hidden = isStack || !clip.ef_interval;
  element("ef-interval").textContent = clip.ef_interval ? `${clip.ef_interval.map((end) => end.toFixed(0)).join("–")} %` : "";
  element("total").parentElement.hidden = !isStack;
  element("beats").hidden = isStack;
  element("warning").hidden = !clip.warning;
  element("warning").textContent = `This clip ${clip.warning}.`;
  element("reading-note").hidden = !clip.reading_note;
  element("reading-note").textContent = `This file: ${clip.reading_note}.`;
  element("prediction-name").textContent = clip.smoothed ? "Prediction, smoothed over time" : "Prediction";
  const notes = [];
  if (clip.smoothed) notes.push("'echoseg review --no-smooth' shows the contours that are not smoothed over time.");
  if (!isStack) {
    notes.push("EF: ejection fraction. EDV, ESV: volume at end-diastole (ED) and end-systole (ES). Means over the beats.");
  }
  if (clip.listed_ef !== null) notes.push(`EF in the data set's list: ${clip.listed_ef.toFixed(1)} %.`);
  if (!clip.known) {
    notes.push("The size of a pixel is unknown: lengths and areas are in pixels (px), volumes in cubic pixels (px³).");
  }
  element("notes").replaceChildren(
    ...notes.map((note) => {
      const paragraph = document.createElement("p");
      paragraph.textContent = note;
      return paragraph;
    }),
  );
}
