// Outlines through points, the same as those of echoseg/geometry/spline.py.
// Points are [[x, y], …]; an outline is a flat Float64Array x0, y0, x1, y1, …

export const PER_SEGMENT = 12; // points of the outline from one point to the next

/** Join points to a closed outline that does not cross itself; if the curve would, the points are joined by lines. */
export function join(points, { outline, straight }) {
  const given = Float64Array.from(points.flat());
  const curve = OUTLINES[outline](points, straight);
  const pointsCross = crossesItself(given);
  if (!pointsCross && !crossesItself(curve)) return curve;
  return polygon(pointsCross ? byAngle(points) : points);
}

/** Whether two edges of a closed outline cross. Edges that only touch do not cross. */
export function crossesItself(outline) {
  if (isStarShaped(outline)) return false;
  const count = outline.length / 2;
  const side = (a, b, c) => {
    const [ax, ay] = [outline[2 * a], outline[2 * a + 1]];
    return Math.sign(
      (outline[2 * b] - ax) * (outline[2 * c + 1] - ay) - (outline[2 * b + 1] - ay) * (outline[2 * c] - ax),
    );
  };
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    for (let shift = 2; shift <= count / 2; shift++) {
      const k = (i + shift) % count;
      const l = (k + 1) % count;
      if (side(i, j, k) * side(i, j, l) < 0 && side(k, l, i) * side(k, l, j) < 0) return true;
    }
  }
  return false;
}

/** Whether an outline turns around its mean once, always in the same direction; then its edges cannot cross. An edge
 * through the mean has no direction around it, so an outline with such an edge is not counted. */
function isStarShaped(outline) {
  const count = outline.length / 2;
  let [mx, my] = [0, 0];
  for (let i = 0; i < count; i++) {
    mx += outline[2 * i] / count;
    my += outline[2 * i + 1] / count;
  }
  let farthest = 0;
  for (let i = 0; i < count; i++) {
    farthest = Math.max(farthest, (outline[2 * i] - mx) ** 2 + (outline[2 * i + 1] - my) ** 2);
  }
  const rounding = 1e-9 * farthest;
  let [turned, left, right] = [0, false, false];
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    const [x, y] = [outline[2 * i] - mx, outline[2 * i + 1] - my];
    const [u, v] = [outline[2 * j] - mx, outline[2 * j + 1] - my];
    const [cross, dot] = [x * v - y * u, x * u + y * v];
    if (Math.abs(cross) <= rounding && dot <= rounding) return false;
    left ||= cross > 0;
    right ||= cross < 0;
    turned += Math.atan2(cross, dot);
  }
  return !(left && right) && Math.abs(turned) < 3 * Math.PI;
}

function byAngle(points) {
  const mean = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  return [...points].sort(
    (a, b) => Math.atan2(a[1] - mean[1], a[0] - mean[0]) - Math.atan2(b[1] - mean[1], b[0] - mean[0]),
  );
}

function polygon(points) {
  return Float64Array.from(points.flatMap((point) => Array(PER_SEGMENT).fill(point).flat()));
}

function cubic(points, straight) {
  const count = points.length;
  const weights = cubicWeights(count, straight);
  const outline = new Float64Array(2 * count * PER_SEGMENT);
  for (let row = 0; row < count * PER_SEGMENT; row++) {
    for (let k = 0; k < count; k++) {
      const weight = weights[row * count + k];
      outline[2 * row] += weight * points[k][0];
      outline[2 * row + 1] += weight * points[k][1];
    }
  }
  return outline;
}

const cachedWeights = new Map();

/** A matrix, row by row: each point of the curve is a weighted sum of the points that the curve joins. */
function cubicWeights(count, straight) {
  const key = `${count} ${straight}`;
  if (!cachedWeights.has(key)) {
    cachedWeights.set(key, straight === null ? periodicWeights(count) : openWeights(count, straight));
  }
  return cachedWeights.get(key);
}

function periodicWeights(count) {
  const [left, right] = [zeroMatrix(count), zeroMatrix(count)];
  for (let i = 0; i < count; i++) continuityRow(left, right, i, (i + count - 1) % count, (i + 1) % count);
  const secondDerivatives = solve(left, right);
  const weights = new Float64Array(count * PER_SEGMENT * count);
  for (let i = 0; i < count; i++) {
    fillSegment(weights, i * PER_SEGMENT, secondDerivatives, i, (i + 1) % count, (k) => k);
  }
  return weights;
}

/** An open spline from the end of the straight edge to its start, with the "not-a-knot" condition at both ends. */
function openWeights(count, straight) {
  const [left, right] = [zeroMatrix(count), zeroMatrix(count)];
  for (let i = 1; i < count - 1; i++) continuityRow(left, right, i, i - 1, i + 1);
  if (count === 3) {
    left[1] = [0, 1, 0]; // three points: one parabola
    right[1] = [1, -2, 1];
    left[0] = [1, -1, 0];
    left[2] = [0, -1, 1];
  } else {
    for (const [row, inward] of [[0, 1], [count - 1, -1]]) {
      left[row][row] = 1;
      left[row][row + inward] = -2;
      left[row][row + 2 * inward] = 1;
    }
  }
  const secondDerivatives = solve(left, right);
  const weights = new Float64Array(count * PER_SEGMENT * count);
  const first = straight + 1;
  const position = (k) => (k + first) % count;
  for (let i = 0; i < count - 1; i++) {
    fillSegment(weights, position(i) * PER_SEGMENT, secondDerivatives, i, i + 1, position);
  }
  for (let t = 0; t < PER_SEGMENT; t++) weights[(straight * PER_SEGMENT + t) * count + straight] = 1;
  return weights;
}

const zeroMatrix = (count) => Array.from({ length: count }, () => Array(count).fill(0));

function continuityRow(left, right, row, before, after) {
  left[row][before] += 1;
  left[row][row] += 4;
  left[row][after] += 1;
  right[row][before] += 6;
  right[row][row] -= 12;
  right[row][after] += 6;
}

function fillSegment(weights, row, secondDerivatives, from, to, position) {
  const count = secondDerivatives.length;
  const [atFrom, atTo] = [secondDerivatives[from], secondDerivatives[to]];
  for (let step = 0; step < PER_SEGMENT; step++) {
    const t = step / PER_SEGMENT;
    const s = 1 - t;
    const start = (row + step) * count;
    weights[start + position(from)] += s;
    weights[start + position(to)] += t;
    for (let k = 0; k < count; k++) {
      weights[start + position(k)] += ((s ** 3 - s) * atFrom[k] + (t ** 3 - t) * atTo[k]) / 6;
    }
  }
}

/** X of A X = B by Gaussian elimination with pivoting; a and b are overwritten. */
function solve(a, b) {
  const count = a.length;
  for (let i = 0; i < count; i++) {
    let pivot = i;
    for (let row = i + 1; row < count; row++) if (Math.abs(a[row][i]) > Math.abs(a[pivot][i])) pivot = row;
    [a[i], a[pivot], b[i], b[pivot]] = [a[pivot], a[i], b[pivot], b[i]];
    for (let row = 0; row < count; row++) {
      const factor = row === i ? 0 : a[row][i] / a[i][i];
      if (factor === 0) continue;
      a[row] = a[row].map((value, k) => value - factor * a[i][k]);
      b[row] = b[row].map((value, k) => value - factor * b[i][k]);
    }
  }
  return b.map((row, i) => row.map((value) => value / a[i][i]));
}

/** A centripetal Catmull-Rom spline; next to a straight edge it ends in a parabola. */
function catmullRom(points, straight) {
  const count = points.length;
  const at = (list, i) => list[(i + count) % count];
  const step = points.map((point, i) => {
    const [x, y] = at(points, i + 1);
    return Math.max(Math.sqrt(Math.hypot(x - point[0], y - point[1])), 1e-6);
  });
  const outline = new Float64Array(2 * count * PER_SEGMENT);
  for (const axis of [0, 1]) {
    const slope = points.map((point, i) => (at(points, i + 1)[axis] - point[axis]) / step[i]);
    const velocity = slope.map((own, i) => {
      const before = at(step, i - 1);
      return (at(slope, i - 1) * step[i] + own * before) / (step[i] + before);
    });
    if (straight !== null) {
      const first = straight + 1;
      velocity[straight] = 2 * at(slope, straight - 1) - at(velocity, straight - 1);
      velocity[first % count] = 2 * at(slope, first) - at(velocity, first + 1);
    }
    points.forEach((point, i) => {
      for (let part = 0; part < PER_SEGMENT; part++) {
        const t = part / PER_SEGMENT;
        const [t2, t3] = [t * t, t * t * t];
        const value =
          (2 * t3 - 3 * t2 + 1) * point[axis] +
          (t3 - 2 * t2 + t) * velocity[i] * step[i] +
          (3 * t2 - 2 * t3) * at(points, i + 1)[axis] +
          (t3 - t2) * at(velocity, i + 1) * step[i];
        outline[2 * (i * PER_SEGMENT + part) + axis] = i === straight ? point[axis] : value;
      }
    });
  }
  return outline;
}

const OUTLINES = { polygon, cubic, catmull_rom: catmullRom };
