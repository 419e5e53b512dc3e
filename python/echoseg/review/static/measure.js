// Measurements of an outline, by the same methods as echoseg/ops and echoseg/geometry/discs.py.

const DISCS = 20;

/** Fill an outline by the rule "center": sets mask to 1 inside and 0 outside; returns the number of pixels inside. */
export function fill(outline, width, height, mask) {
  mask.fill(0);
  const crossings = Array.from({ length: height }, () => []);
  const count = outline.length / 2;
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    let [x0, y0, x1, y1] = [outline[2 * i], outline[2 * i + 1], outline[2 * j], outline[2 * j + 1]];
    if (y0 > y1) [x0, y0, x1, y1] = [x1, y1, x0, y0];
    const last = Math.min(height, Math.ceil(y1));
    for (let y = Math.max(0, Math.ceil(y0)); y < last; y++) crossings[y].push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
  }
  let area = 0;
  crossings.forEach((row, y) => {
    row.sort((a, b) => a - b);
    for (let i = 0; i + 1 < row.length; i += 2) {
      const from = Math.max(0, Math.ceil(row[i]));
      const to = Math.min(width, Math.ceil(row[i + 1]));
      if (to <= from) continue;
      mask.fill(1, y * width + from, y * width + to);
      area += to - from;
    }
  });
  return area;
}

/** The two points of an outline that are farthest apart in the unit of scale, the upper one first; in pixels. */
export function longAxis(outline, scale) {
  let [largest, from, to] = [-1, 0, 0];
  for (let i = 0; i < outline.length; i += 2) {
    for (let j = i + 2; j < outline.length; j += 2) {
      const [x, y] = [(outline[i] - outline[j]) * scale[0], (outline[i + 1] - outline[j + 1]) * scale[1]];
      const distance = x * x + y * y;
      if (distance > largest) [largest, from, to] = [distance, i, j];
    }
  }
  const ends = [from, to].map((i) => [outline[i], outline[i + 1]]);
  return ends[0][1] <= ends[1][1] ? ends : ends.reverse();
}

/** The volume by the method of discs, in the cubed unit of scale: the width and the height of a pixel. */
export function discVolume(outline, axis, scale) {
  const [apex, base] = axis.map(([x, y]) => [x * scale[0], y * scale[1]]);
  const length = Math.hypot(base[0] - apex[0], base[1] - apex[1]);
  if (length === 0) return 0;
  const [ux, uy] = [(base[0] - apex[0]) / length, (base[1] - apex[1]) / length];
  const widths = new Float64Array(DISCS);
  const count = outline.length / 2;
  const depthAndOffset = (i) => {
    const [x, y] = [outline[2 * i] * scale[0] - apex[0], outline[2 * i + 1] * scale[1] - apex[1]];
    return [x * ux + y * uy, y * ux - x * uy];
  };
  let [depth, offset] = depthAndOffset(0);
  for (let i = 0; i < count; i++) {
    const [nextDepth, nextOffset] = depthAndOffset((i + 1) % count);
    for (let disc = 0; disc < DISCS; disc++) {
      const level = (length * (disc + 0.5)) / DISCS;
      const down = depth <= level && level < nextDepth;
      if (!down && !(nextDepth <= level && level < depth)) continue;
      const crossing = offset + ((level - depth) / (nextDepth - depth)) * (nextOffset - offset);
      widths[disc] += down ? crossing : -crossing;
    }
    [depth, offset] = [nextDepth, nextOffset];
  }
  return ((Math.PI / 4) * length * widths.reduce((sum, width) => sum + width * width, 0)) / DISCS;
}

/** EF in percent, EDV and ESV as means over the beats: {ef, edv, esv}; null if there is no beat. */
export function meanOverBeats(volumes, beats) {
  if (!beats.length) return null;
  const mean = (of) => beats.reduce((sum, [ed, es]) => sum + of(volumes[ed], volumes[es]), 0) / beats.length;
  return { ef: mean((edv, esv) => (100 * (edv - esv)) / edv), edv: mean((edv) => edv), esv: mean((_, esv) => esv) };
}
