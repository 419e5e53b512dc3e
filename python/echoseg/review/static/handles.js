// The points of one frame: {points: [[x, y], …], landmarks: [number or -1], pinned: [bool]}. Never changed in place.

import { discVolume, longAxis } from "./measure.js";
import { join } from "./spline.js";

const ADDED = -1;

export function outlineOf(handles, run) {
  const base = run.straight === null ? null : handles.landmarks.indexOf(run.straight);
  return join(handles.points, { outline: run.outline, straight: base });
}

/** Of a frame, or, of a stack, of its slice; ml, or cubes of pixels where their size is unknown. */
export function volumeOf(handles, outline, area, run, clip) {
  const { known, scale, thickness } = clip;
  const volume = thickness
    ? area * scale[0] * scale[1] * (known ? thickness : 1)
    : discVolume(outline, axisOf(handles, outline, run), scale);
  return known ? volume / 1000 : volume;
}

function axisOf(handles, outline, run) {
  if (run.straight === null) return longAxis(outline);
  const base = handles.landmarks.indexOf(run.straight);
  const [a, b] = [handles.points[base], handles.points[base + 1]];
  return [handles.points[handles.landmarks.indexOf(0)], [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]];
}

/** One point put somewhere else, by a person. */
export function moved(handles, index, point) {
  return {
    ...handles,
    points: handles.points.map((other, i) => (i === index ? point : other)),
    pinned: handles.pinned.map((pinned, i) => pinned || i === index),
  };
}

/** A point more after one, at a place. */
export function withPoint(handles, after, point) {
  const insert = (list, value) => [...list.slice(0, after + 1), value, ...list.slice(after + 1)];
  return {
    points: insert(handles.points, point),
    landmarks: insert(handles.landmarks, ADDED),
    pinned: insert(handles.pinned, true),
  };
}

export function withoutPoint(handles, index) {
  const drop = (list) => list.filter((_, i) => i !== index);
  return { points: drop(handles.points), landmarks: drop(handles.landmarks), pinned: drop(handles.pinned) };
}

/** Whether no point may follow this one, or this one may not go: the annulus is one straight line. */
export const isBase = (handles, index, run) => run.straight !== null && handles.landmarks[index] === run.straight;
export const isKept = (handles, index, run) => handles.points.length <= 3 || run.kept.includes(handles.landmarks[index]);

export function nameOf(handles, index, run) {
  const number = handles.landmarks[index];
  if (number === ADDED) return "added point";
  if (run.straight === null) return `point ${number + 1}`;
  return { 0: "apex", [run.straight]: "annulus, one end", [run.straight + 1]: "annulus, other end" }[number] ?? `wall ${number}`;
}

export const same = (a, b) => JSON.stringify([a.points, a.landmarks]) === JSON.stringify([b.points, b.landmarks]);
