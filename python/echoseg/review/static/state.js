// What the page shows. The other modules share this object.

export const state = {
  run: null, // the settings of the run, as the server sends them
  reader: "", // the name of the second reader; "" for the first one
  corrections: "", // the folder of the corrections
  clips: [], // {name, …} of each clip, by number
  number: 0, // of the clip that is chosen
  clip: null, // the chosen clip; null while it is read and if it cannot be opened. Then nothing can be edited
  frame: 0,
  selected: -1, // index of a point; -1 for none
  dragged: null, // the handles while a point is dragged
  shownSince: 0, // when the frame was shown or changed last, ms
};
