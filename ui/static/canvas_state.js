// What is drawn, as JSON, and its history. The scripts of the canvas are the body of one function, see canvas.py.

const MAX_POINTS = 200;
const LONGEST_HISTORY = 100;
const COALESCE = 800; // ms in which steps of one end by the keyboard are one step of the history

function clamp(share) {
  return Math.min(1, Math.max(0, share));
}

function plain(value) {
  return JSON.parse(JSON.stringify(value));
}

/** A value of Python's with everything in it. */
function complete(value) {
  const given = value && typeof value === "object" ? plain(value) : {};
  return {
    drags: given.drags || [],
    pins: given.pins || [],
    start: given.start || null,
    size: given.size || null,
    mask: given.mask || null,
    show: Object.assign({ flow: true, mask: true }, given.show),
  };
}

/** What undo brings back. */
function drawn(state) {
  return plain({ drags: state.drags, pins: state.pins, start: state.start, mask: state.mask });
}

class History {
  constructor(state) {
    this.reset(state);
  }

  reset(state) {
    this.steps = [drawn(state)];
    this.at = 0;
    this.key = null;
    this.time = 0;
  }

  /** Remember a state; false if nothing changed. Steps of one key that follow closely are one. */
  push(state, key = null) {
    const step = drawn(state);
    if (JSON.stringify(step) === JSON.stringify(this.steps[this.at])) return false;
    const now = performance.now();
    const joins = key && key === this.key && now - this.time < COALESCE && this.at === this.steps.length - 1;
    this.steps.length = this.at + 1;
    if (joins) this.steps[this.at] = step;
    else this.steps.push(step);
    if (this.steps.length > LONGEST_HISTORY) this.steps.shift();
    this.at = this.steps.length - 1;
    this.key = key;
    this.time = now;
    return true;
  }

  /** Go back (-1) or forth (1); null where there is nothing. */
  move(by) {
    if (!this.can(by)) return null;
    this.at += by;
    this.key = null;
    return plain(this.steps[this.at]);
  }

  can(by) {
    return this.at + by >= 0 && this.at + by < this.steps.length;
  }
}

/** An end of an arrow or a pin: {kind, index, end}. */
function placeOf(state, item) {
  if (item.kind === "pin") return state.pins[item.index].slice();
  const drag = state.drags[item.index];
  return item.end === 0 ? drag.slice(0, 2) : drag.slice(2);
}

function setPlace(state, item, place) {
  const [x, y] = place.map(clamp);
  if (item.kind === "pin") state.pins[item.index] = [x, y];
  else state.drags[item.index].splice(2 * item.end, 2, x, y);
}

function removeItem(state, item) {
  (item.kind === "pin" ? state.pins : state.drags).splice(item.index, 1);
}

function exists(state, item) {
  return Boolean(item) && item.index < (item.kind === "pin" ? state.pins : state.drags).length;
}

function isSame(one, other) {
  return Boolean(one && other) && keyOf(one) === keyOf(other);
}

function keyOf(item) {
  return item.kind + item.index + (item.kind === "pin" ? "" : "-" + item.end);
}

/** All ends and pins in the order of the Tab key. */
function itemsOf(state) {
  const ends = state.drags.flatMap((_, index) => [0, 1].map((end) => ({ kind: "drag", index, end })));
  return ends.concat(state.pins.map((_, index) => ({ kind: "pin", index, end: 0 })));
}

/** Column and row as picture viewers count them. */
function pixelText(state, place) {
  return place.map((share, axis) => Math.round((share * state.size[axis] - 0.5) * 10) / 10 + 0).join(", ");
}

function nameOf(state, item) {
  const number = item.index + 1;
  const name = item.kind === "pin" ? `Pin ${number}` : `Arrow ${number}, ${item.end ? "tip" : "start"}`;
  return `${name}: ${pixelText(state, placeOf(state, item))}`;
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** The item under a point, of those whose distance in CSS pixels is at most `reach`; ends before shafts. */
function hit(state, place, box, reach, chosen) {
  const [x, y] = [place[0] * box.width, place[1] * box.height];
  const distance = (item) => {
    const [px, py] = placeOf(state, item);
    return Math.hypot(px * box.width - x, py * box.height - y);
  };
  let best = null;
  for (const item of itemsOf(state)) {
    const away = distance(item) - (isSame(item, chosen) ? 2 : 0);
    // A tip lies over a start where both are as near: an arrow without length can be pulled long.
    if (away <= reach && (!best || away < best.away || (away === best.away && item.end))) best = { item, away };
  }
  return best && best.item;
}

/** The arrow whose shaft is within `reach` of a point, -1 if there is none. */
function hitShaft(state, place, box, reach) {
  const [x, y] = [place[0] * box.width, place[1] * box.height];
  return state.drags.findIndex((drag) => {
    const [ax, ay, bx, by] = drag.map((share, i) => share * (i % 2 ? box.height : box.width));
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const along = length ? clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length) : 0;
    return Math.hypot(ax + along * (bx - ax) - x, ay + along * (by - ay) - y) <= reach;
  });
}
