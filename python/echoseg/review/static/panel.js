// Numbers and lists beside the picture.

export const element = (id) => document.getElementById(id);
const LISTED = 8;

export function drawNumbers(clip, frame, now) {
  const unit = clip.known ? "ml" : "px³";
  const square = (clip.scale[0] * clip.scale[1]) / 100;
  const area = (pixels) => (clip.known ? `${(pixels * square).toFixed(2)} cm²` : `${Math.round(pixels)} px`);
  const volume = (value) => `${value.toFixed(clip.known ? 1 : 0)} ${unit}`;
  const column = (own, volumes, beats) => ({
    area: area(own.area),
    volume: volume(own.volume),
    ef: Number.isFinite(beats?.ef) ? `${beats.ef.toFixed(1)} %` : "no beat",
    edv: beats ? volume(beats.edv) : "",
    esv: beats ? volume(beats.esv) : "",
    ...(clip.thickness && { ef: volume(volumes.reduce((sum, value) => sum + value, 0)) }),
  });
  const columns = {
    "": column(now, clip.volumesNow, clip.ejectionNow()),
    "-predicted": column(
      { area: clip.areas[frame], volume: clip.volumes[frame] }, clip.volumes, clip.ejectionPredicted(),
    ),
  };
  for (const [ending, texts] of Object.entries(columns)) {
    for (const [id, text] of Object.entries(texts)) element(id + ending).textContent = text;
  }
}

/** What is the same for all frames of a clip. */
export function drawListed(clip) {
  const listed = clip.listed_ef === null ? "" : `The data's list says EF ${clip.listed_ef.toFixed(1)} %. `;
  const unknown = clip.known ? "" : "No pixel size is known: volumes are cubes of pixels; EF needs none.";
  element("listed").textContent = listed + unknown;
  element("ef-name").textContent = clip.thickness ? "All slices" : "EF";
  for (const id of ["edv", "esv"]) element(id).parentElement.hidden = clip.thickness !== null;
}

export function drawNext(clip, frame, go) {
  const items = clip.toLookAt().slice(0, LISTED).map((next) => {
    const [item, button, doubt] = ["li", "button", "span"].map((name) => document.createElement(name));
    button.textContent = `${next + 1} `;
    const share = 100 * clip.uncertainty[next];
    doubt.textContent = clip.area_std ? `±${(1.96 * share).toFixed(0)} %` : `${share.toFixed(1)} % unsure`;
    doubt.title = clip.area_std ? "95 % interval of its area" : "of its pixels, neither inside nor outside";
    button.setAttribute("aria-label", `Frame ${next + 1}, ${doubt.textContent}, ${doubt.title}`);
    button.setAttribute("aria-current", String(next === frame));
    button.append(doubt);
    button.addEventListener("click", () => go(next));
    item.append(button);
    return item;
  });
  element("next-panel").hidden = !clip.next.length;
  element("next-list").replaceChildren(...items);
}

export function say(text, bad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", bad);
}

/** A message that waits for one of its answers: [[label, act], …]. */
export function ask(text, answers) {
  const box = element("alert");
  box.querySelector("p").textContent = text;
  const buttons = answers.map(([label, act]) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.addEventListener("click", () => {
      box.hidden = true;
      act();
    });
    return button;
  });
  box.querySelector("div").replaceChildren(...buttons);
  box.hidden = false;
}
