// Measurements, the list of frames to review, and messages.

export const element = (id) => document.getElementById(id);

const MAX_LISTED = 8; // frames to review

/** measured: {area, volume} of the frame as it is now. */
export function drawMeasurements(clip, frame, measured) {
  const pixelArea = (clip.scale[0] * clip.scale[1]) / 100; // cm²
  const areaText = (pixels) => (clip.known ? `${(pixels * pixelArea).toFixed(2)} cm²` : `${Math.round(pixels)} px`);
  const volumeText = (volume) => (clip.known ? `${volume.toFixed(1)} ml` : `${volume.toFixed(0)} px³`);
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
}

/** What is the same for all frames of a clip. */
export function drawClipNotes(clip) {
  const isStack = clip.thickness !== null;
  for (const id of ["ef", "edv", "esv"]) element(id).parentElement.hidden = isStack;
  element("total").parentElement.hidden = !isStack;
  const notes = [...clip.messages];
  if (!isStack) {
    notes.push("EF: ejection fraction. EDV, ESV: volume at the end of diastole, of systole. Means over all beats.");
  }
  if (clip.listed_ef !== null) notes.push(`EF in the data set's list: ${clip.listed_ef.toFixed(1)} %.`);
  if (!clip.known) {
    notes.push("The size of a pixel is unknown: areas are in pixels (px), volumes in cubic pixels (px³).");
  }
  element("notes").replaceChildren(
    ...notes.map((note) => {
      const paragraph = document.createElement("p");
      paragraph.textContent = note;
      return paragraph;
    }),
  );
  element("review-note").textContent = clip.area_std
    ? "Frames with an implausible shape or a very wide interval come first, then the most uncertain ones. " +
      "±: 95 % interval of the area, in percent of the area."
    : "The most uncertain frames come first. %: area of the uncertain pixels, in percent of the predicted area.";
}

export function drawFramesToReview(clip, current, openFrame) {
  const items = clip.framesToReview().slice(0, MAX_LISTED).map((frame) => {
    const [item, button, uncertainty] = ["li", "button", "span"].map((name) => document.createElement(name));
    button.textContent = `${frame + 1} `;
    const percent = 100 * clip.uncertainty[frame];
    uncertainty.textContent = clip.area_std ? `±${(1.96 * percent).toFixed(0)} %` : `${percent.toFixed(1)} %`;
    button.setAttribute("aria-label", `Frame ${frame + 1}, uncertainty ${uncertainty.textContent}`);
    button.setAttribute("aria-current", String(frame === current));
    button.append(uncertainty);
    button.addEventListener("click", () => openFrame(frame));
    item.append(button);
    return item;
  });
  element("review-panel").hidden = !clip.next.length;
  element("review-list").replaceChildren(...items);
}

export function showStatus(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

/** Show a question with a button for each answer: [[label, action], …]. */
export function askUser(text, answers) {
  const box = element("alert");
  box.querySelector("p").textContent = text;
  const buttons = answers.map(([label, action]) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.addEventListener("click", () => {
      box.hidden = true;
      action();
    });
    return button;
  });
  box.querySelector("div").replaceChildren(...buttons);
  box.hidden = false;
}
