// The points of one frame: {points: [[x, y], …], landmarks: [number or -1], pinned: [bool]}. They are never modified:
// each change makes new ones. A point is pinned once a person has moved it; an added point has landmark -1.

import { discVolume, longAxis } from "./measure.js";
import { join } from "./spline.js";

const ADDED = -1;
const ROUNDING = 1e-3; // pixels

export function outlineOf(handles, run) {
  const base = run.straight === null ? null : handles.landmarks.indexOf(run.straight);
  return join(handles.points, { outline: run.outline, straight: base });
}

/** The volume in a frame, or in one slice of a stack: ml, or cubic pixels if their size is unknown. */
export function volumeOf(handles, outline, area, run, clip) {
  const { known, scale, thickness } = clip;
  const volume = thickness
    ? area * scale[0] * scale[1] * (known ? thickness : 1)
    : discVolume(outline, axisOf(handles, outline, run, scale), scale);
  return known ? volume / 1000 : volume;
}

function axisOf(handles, outline, run, scale) {
  if (run.straight === null) return longAxis(outline, scale);
  const base = handles.landmarks.indexOf(run.straight);
  const [a, b] = [handles.points[base], handles.points[base + 1]];
  return [handles.points[handles.landmarks.indexOf(0)], [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]];
}

/** The handles with one point moved, which pins it. */
export function withMovedPoint(handles, index, point) {
  return {
    ...handles,
    points: handles.points.map((other, i) => (i === index ? point : other)),
    pinned: handles.pinned.map((pinned, i) => pinned || i === index),
  };
}

/** The handles with a new point after the given one. */
export function withPoint(handles, index, point) {
  const insert = (list, value) => [...list.slice(0, index + 1), value, ...list.slice(index + 1)];
  return {
    points: insert(handles.points, point),
    landmarks: insert(handles.landmarks, ADDED),
    pinned: insert(handles.pinned, true),
  };
}

export function withoutPoint(handles, index) {
  const remove = (list) => list.filter((_, i) => i !== index);
  return { points: remove(handles.points), landmarks: remove(handles.landmarks), pinned: remove(handles.pinned) };
}

/** Whether the mitral annulus follows this point: it is one straight line, so no point can be added on it. */
export const isAnnulusStart = (handles, index, run) =>
  run.straight !== null && handles.landmarks[index] === run.straight;

/** Whether this point cannot be deleted. */
export const isRequired = (handles, index, run) =>
  handles.points.length <= 3 || run.required.includes(handles.landmarks[index]);

export function nameOf(handles, index, run) {
  const number = handles.landmarks[index];
  if (number === ADDED) return "added point";
  if (run.straight === null) return `point ${number + 1}`;
  const ends = { [run.straight]: "mitral annulus, first end", [run.straight + 1]: "mitral annulus, second end" };
  return { 0: "apex", ...ends }[number] ?? `wall ${number}`;
}

/** Whether points are the same, up to the rounding with which the server stores them. */
export const areClose = (a, b) =>
  JSON.stringify(a.landmarks) === JSON.stringify(b.landmarks) &&
  a.points.every(([x, y], i) => Math.abs(x - b.points[i][0]) < ROUNDING && Math.abs(y - b.points[i][1]) < ROUNDING);
