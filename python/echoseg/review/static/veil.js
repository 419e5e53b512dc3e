// What is painted over the picture, pixel by pixel: heatmap, mask, threshold.

// magma, at equal steps
const HEAT = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
const CUT = [255, 255, 255, 120];
const MASK_OPACITY = 56;

export function paintHeat(pixels, probabilities) {
  for (let i = 0; i < probabilities.length; i++) {
    const place = (probabilities[i] / 255) * (HEAT.length - 1);
    const before = Math.min(Math.floor(place), HEAT.length - 2);
    const share = place - before;
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = HEAT[before][c] * (1 - share) + HEAT[before + 1][c] * share;
    pixels[4 * i + 3] = Math.min(190, 2 * probabilities[i]);
  }
}

export function paintMask(pixels, mask, colour) {
  for (let i = 0; i < mask.length; i++) {
    if (mask[i]) pixels.set([...colour, Math.max(MASK_OPACITY, pixels[4 * i + 3])], 4 * i);
  }
}

const CUTS = {
  probability: (value, at) => value >= at,
  bright: (value, at) => value > at,
  dark: (value, at) => value < at,
};

/** Paint what a threshold gives; returns its pixels, and its Dice with the mask. */
export function paintCut(pixels, values, kind, at, mask) {
  let [area, both, masked] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    masked += mask[i];
    if (!CUTS[kind](values[i], at)) continue;
    area += 1;
    both += mask[i];
    pixels.set(CUT, 4 * i);
  }
  return { area, dice: area + masked ? (2 * both) / (area + masked) : 1 };
}
