// What is measured on an outline, as echoseg/ops and echoseg/geometry/discs.py measure it.

const DISCS = 20;

/** Fill by the rule "center": mask gets 1 inside, 0 outside; returns the pixels inside. */
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

/** The two points that lie farthest apart, the upper one first. */
export function longAxis(outline) {
  let [best, from, to] = [-1, 0, 0];
  for (let i = 0; i < outline.length; i += 2) {
    for (let j = i + 2; j < outline.length; j += 2) {
      const apart = (outline[i] - outline[j]) ** 2 + (outline[i + 1] - outline[j + 1]) ** 2;
      if (apart > best) [best, from, to] = [apart, i, j];
    }
  }
  const ends = [from, to].map((i) => [outline[i], outline[i + 1]]);
  return ends[0][1] <= ends[1][1] ? ends : ends.reverse();
}

/** Method of discs, in the cube of the scale's unit; scale is what a pixel is wide and high. */
export function discVolume(outline, axis, scale) {
  const [apex, base] = axis.map(([x, y]) => [x * scale[0], y * scale[1]]);
  const length = Math.hypot(base[0] - apex[0], base[1] - apex[1]);
  if (length === 0) return 0;
  const [ux, uy] = [(base[0] - apex[0]) / length, (base[1] - apex[1]) / length];
  const widths = new Float64Array(DISCS);
  const count = outline.length / 2;
  const place = (i) => {
    const [x, y] = [outline[2 * i] * scale[0] - apex[0], outline[2 * i + 1] * scale[1] - apex[1]];
    return [x * ux + y * uy, y * ux - x * uy];
  };
  let [depth, across] = place(0);
  for (let i = 0; i < count; i++) {
    const [nextDepth, nextAcross] = place((i + 1) % count);
    for (let disc = 0; disc < DISCS; disc++) {
      const level = (length * (disc + 0.5)) / DISCS;
      const down = depth <= level && level < nextDepth;
      if (!down && !(nextDepth <= level && level < depth)) continue;
      const where = across + ((level - depth) / (nextDepth - depth)) * (nextAcross - across);
      widths[disc] += down ? where : -where;
    }
    [depth, across] = [nextDepth, nextAcross];
  }
  return ((Math.PI / 4) * length * widths.reduce((sum, width) => sum + width * width, 0)) / DISCS;
}

/** EF of each beat in percent, and their means: {ef, edv, esv}; null where there is no beat. */
export function ejection(volumes, beats) {
  if (!beats.length) return null;
  const mean = (of) => beats.reduce((sum, beat) => sum + of(volumes[beat[0]], volumes[beat[1]]), 0) / beats.length;
  return { ef: mean((ed, es) => (100 * (ed - es)) / ed), edv: mean((ed) => ed), esv: mean((_, es) => es) };
}
