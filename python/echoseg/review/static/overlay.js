// What is drawn over the frame, pixel by pixel: heatmap, mask and threshold.

// the colour map "magma" at equal steps
const COLOUR_MAP = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
const THRESHOLD_COLOUR = [255, 255, 255, 120];
const MASK_OPACITY = 56;

export function paintHeatmap(pixels, probabilities) {
  for (let i = 0; i < probabilities.length; i++) {
    const position = (probabilities[i] / 255) * (COLOUR_MAP.length - 1);
    const before = Math.min(Math.floor(position), COLOUR_MAP.length - 2);
    const weight = position - before;
    for (let c = 0; c < 3; c++) {
      pixels[4 * i + c] = COLOUR_MAP[before][c] * (1 - weight) + COLOUR_MAP[before + 1][c] * weight;
    }
    pixels[4 * i + 3] = Math.min(190, 2 * probabilities[i]);
  }
}

export function paintMask(pixels, mask, colour) {
  for (let i = 0; i < mask.length; i++) {
    if (mask[i]) pixels.set([...colour, Math.max(MASK_OPACITY, pixels[4 * i + 3])], 4 * i);
  }
}

const COMPARISONS = {
  probability: (value, level) => value >= level,
  bright: (value, level) => value > level,
  dark: (value, level) => value < level,
};

/** Paint the pixels that a threshold selects; returns their number and their Dice overlap with the mask. */
export function paintThreshold(pixels, values, comparison, level, mask) {
  let [area, intersection, maskArea] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    maskArea += mask[i];
    if (!COMPARISONS[comparison](values[i], level)) continue;
    area += 1;
    intersection += mask[i];
    pixels.set(THRESHOLD_COLOUR, 4 * i);
  }
  return { area, dice: area + maskArea ? (2 * intersection) / (area + maskArea) : 1 };
}
