// The pointer, the keyboard, the buttons, and the way to Python and back.
// Given by Gradio: `element`, `props` and `watch` of the component, and `trigger` for its events.

const SEND_AFTER = 150; // ms, for keys that are held; all else is sent at once
const ECHO = 5000; // ms in which what was sent may come back
const DRAG_LEAST = 4; // CSS pixels; what moves less is a click
const REACH = { mouse: 11, pen: 14, touch: 22 };
const DOUBLE_TAP = { time: 350, distance: 24 };
const HINTS = {
  arrow: "Press, drag and release to draw an arrow; double-click for a pin.",
  pin: "Click to set a pin or to take one off.",
  brush: "Paint where the photograph may change; nothing else will.",
  eraser: "Take paint off the mask.",
};
const KEYS_HINT = "Enter draws an arrow in the middle, P a pin; Tab goes to the points, the arrow keys move them.";

const find = (selector) => element.querySelector(selector);
const root = find(".drag-canvas");
const stage = find(".stage");
const svg = find(".points");
const photo = find("img.photo");
const flow = find("img.flow");
const status = find(".status");
const range = find(".brush-size input");
const mask = new Mask(find("canvas.mask"), () => render());
const points = new Points(svg, choose);

let state = complete(null);
let sent = ""; // JSON of what Python knows
const echoes = new Map(); // JSON -> when it was sent
let chosen = null;
let gesture = null;
let note = "";
let tool = "arrow";
let timer = 0;
let pointer = "mouse"; // kind of the last one
let tap = { time: -1e9, place: [0, 0] };
const history = new History(state);

// --- to Python and back ---------------------------------------------------------------------------------------------

function send(after = 0) {
  clearTimeout(timer);
  if (after) {
    timer = setTimeout(send, after);
    return;
  }
  const text = JSON.stringify(state);
  if (text === sent) return;
  sent = text;
  echoes.set(text, performance.now());
  props.value = JSON.parse(text);
  trigger("input");
}

/** Something was done: remember it and tell Python. */
function commit(key = null) {
  if (history.push(state, key)) send(key ? SEND_AFTER : 0);
  render();
}

/** Whether a value is one that was sent from here a moment ago, and has been changed since. */
function isEcho(text) {
  for (const [old, time] of echoes) if (performance.now() - time > ECHO) echoes.delete(old);
  return echoes.has(text);
}

/** Take over what Python gave; what it got from here comes back unnoticed. */
function adopt() {
  photo.src = props.picture || "";
  flow.src = props.overlay || "";
  const incoming = complete(props.value);
  const text = JSON.stringify(incoming);
  if (text !== sent && isEcho(text)) props.value = JSON.parse(sent);
  else if (text !== sent) {
    clearTimeout(timer);
    const isOther = JSON.stringify(incoming.size) !== JSON.stringify(state.size);
    gesture = null;
    state = incoming;
    sent = JSON.stringify(state);
    if (!exists(state, chosen)) chosen = null;
    if (isOther && state.size) mask.fit(state.size);
    if (isOther) history.reset(state);
    else history.push(state);
    mask.show(state.mask);
  }
  render();
}

// --- what is seen ---------------------------------------------------------------------------------------------------

function boxOf() {
  return svg.getBoundingClientRect();
}

function render() {
  const isBare = !state.size || !props.picture;
  stage.classList.toggle("bare", isBare);
  if (state.size) stage.style.setProperty("--ratio", state.size[0] / state.size[1]);
  root.dataset.tool = tool;
  flow.hidden = !(props.overlay && state.show.flow);
  if (!isBrush()) points.brush(null);
  mask.canvas.style.visibility = state.show.mask ? "" : "hidden";
  svg.setAttribute("aria-label", `${props.label || "Photograph"}. ${KEYS_HINT}`);
  if (!isBare) points.draw(state, boxOf(), chosen, gesture && gesture.draft);

  for (const button of root.querySelectorAll("button")) {
    const { tool: own, act, layer } = button.dataset;
    if (own) button.setAttribute("aria-pressed", own === tool);
    if (layer) button.setAttribute("aria-pressed", state.show[layer]);
    const drawings = state.drags.length + state.pins.length + Boolean(state.mask) + Boolean(state.start);
    const idle = {
      undo: !history.can(-1), redo: !history.can(1), remove: !chosen, clear: !drawings,
      flow: !props.overlay, mask: !state.mask,
    };
    button.disabled = isBare || Boolean(idle[act || layer]);
  }
  status.textContent = isBare ? "" : told();
}

function told() {
  if (note) return note;
  if (chosen) return `${nameOf(state, chosen)} \u00b7 arrow keys move it, Del takes it off, Esc lets go`;
  if (state.start) return `Arrow ${state.drags.length + 1} has a start and no end yet; Esc takes it back.`;
  const outside = state.mask ? state.drags.findIndex((drag) => !mask.holds(drag)) + 1 : 0;
  if (outside && !isBrush()) return `Arrow ${outside} starts outside the mask: paint there, or move its start.`;
  const counts = [
    state.drags.length && counted(state.drags.length, "arrow"),
    state.pins.length && counted(state.pins.length, "pin"),
    state.mask && "a mask",
  ].filter(Boolean);
  const hint = root.dataset.input === "keys" && document.activeElement === svg ? KEYS_HINT : HINTS[tool];
  return counts.length ? `${counts.join(", ")} \u00b7 ${hint}` : hint;
}

function choose(item) {
  note = "";
  if (isSame(item, chosen)) return;
  chosen = item;
  render();
}

// --- what can be done -----------------------------------------------------------------------------------------------

function add(kind, value) {
  const list = kind === "pin" ? state.pins : state.drags;
  if (list.length >= MAX_POINTS) {
    note = `${counted(MAX_POINTS, kind === "pin" ? "pin" : "arrow")} at most.`;
    render();
    return;
  }
  list.push(value);
  chosen = { kind, index: list.length - 1, end: 1 };
  if (kind === "pin") chosen.end = 0;
  commit();
  points.focus(chosen);
}

function remove(item) {
  const hadFocus = svg.contains(document.activeElement);
  removeItem(state, item);
  chosen = null;
  commit();
  if (hadFocus) points.focus(null);
}

function togglePin(place, reach) {
  const item = hit(state, place, boxOf(), reach, null);
  if (item && item.kind === "pin") remove(item);
  else if (!item) add("pin", place);
}

function travel(by) {
  const step = history.move(by);
  if (!step) return;
  Object.assign(state, step);
  chosen = null;
  mask.show(state.mask);
  send();
  render();
}

const ACTS = {
  undo: () => travel(-1),
  redo: () => travel(1),
  remove: () => chosen && remove(chosen),
  clear: () => {
    Object.assign(state, { drags: [], pins: [], start: null, mask: null });
    chosen = null;
    mask.show(null);
    commit();
  },
};

// --- the pointer ----------------------------------------------------------------------------------------------------

function placeAt(event) {
  const box = boxOf();
  const shares = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  return shares.map((share) => Math.round(clamp(share) * 1e7) / 1e7); // no digits that mean nothing
}

function isBrush() {
  return tool === "brush" || tool === "eraser";
}

function reachOf(event) {
  return REACH[event.pointerType] || REACH.mouse;
}

function paint(event) {
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const one of events.length ? events : [event]) mask.stroke(placeAt(one), range.value / 100, tool === "eraser");
}

function press(event) {
  if (event.button !== 0 || gesture || !state.size) return;
  pointer = event.pointerType;
  root.dataset.input = "pointer";
  note = "";
  svg.setPointerCapture(event.pointerId);
  const place = placeAt(event);
  const began = { id: event.pointerId, from: place, at: [event.clientX, event.clientY], moved: false };
  if (isBrush()) {
    gesture = { ...began, kind: "paint" };
    state.show.mask = true;
    paint(event);
  } else {
    const item = hit(state, place, boxOf(), reachOf(event), chosen);
    const shaft = item || tool === "pin" ? -1 : hitShaft(state, place, boxOf(), reachOf(event) / 2);
    if (item) gesture = { ...began, kind: "move", item, was: placeOf(state, item) };
    else if (shaft >= 0) gesture = { ...began, kind: "shift", index: shaft, was: state.drags[shaft].slice() };
    else gesture = { ...began, kind: tool };
    chosen = item || (shaft >= 0 ? { kind: "drag", index: shaft, end: 1 } : null);
  }
  render();
  if (!isBrush()) points.focus(chosen);
}

function move(event) {
  const place = placeAt(event);
  if (isBrush()) points.brush(event.pointerType === "touch" && !gesture ? null : place, range.value / 100);
  if (!gesture) {
    const isOver = !isBrush() && state.size && hit(state, place, boxOf(), reachOf(event), chosen);
    svg.classList.toggle("hand", Boolean(isOver));
    return;
  }
  if (event.pointerId !== gesture.id) return;
  const away = Math.hypot(event.clientX - gesture.at[0], event.clientY - gesture.at[1]);
  if (gesture.kind === "paint") paint(event);
  else if (gesture.moved || away >= DRAG_LEAST) pull(place);
  else return;
  gesture.moved = true;
  svg.classList.toggle("busy", gesture.kind === "move" || gesture.kind === "shift");
  render();
}

function pull(place) {
  const by = [place[0] - gesture.from[0], place[1] - gesture.from[1]];
  if (gesture.kind === "arrow") gesture.draft = [...gesture.from, ...place];
  if (gesture.kind === "move") setPlace(state, gesture.item, gesture.was.map((share, axis) => share + by[axis]));
  if (gesture.kind === "shift") {
    const { was } = gesture;
    // Both ends stop where the first of them meets an edge.
    const [x, y] = by.map((share, axis) => {
      const [a, b] = [was[axis], was[axis + 2]];
      return Math.min(1 - Math.max(a, b), Math.max(-Math.min(a, b), share));
    });
    state.drags[gesture.index] = [was[0] + x, was[1] + y, was[2] + x, was[3] + y];
  }
}

function release(event) {
  if (!gesture || event.pointerId !== gesture.id) return;
  const done = gesture;
  gesture = null;
  svg.classList.remove("busy");
  if (done.kind === "paint") {
    state.mask = mask.finish();
    if (event.pointerType === "touch") points.brush(null);
    commit();
  } else if (done.draft) add("drag", done.draft);
  else if (done.moved) commit();
  else tapped(event, done);
}

/** Released where it was pressed. */
function tapped(event, done) {
  const place = done.from;
  if (tool === "pin" && (!done.item || done.item.kind === "pin")) {
    togglePin(place, reachOf(event));
    return;
  }
  const box = boxOf();
  const away = Math.hypot((place[0] - tap.place[0]) * box.width, (place[1] - tap.place[1]) * box.height);
  const isDouble = event.timeStamp - tap.time < DOUBLE_TAP.time && away < DOUBLE_TAP.distance;
  tap = { time: isDouble ? -1e9 : event.timeStamp, place };
  if (isDouble && event.pointerType !== "mouse") togglePin(place, reachOf(event));
  else render();
}

/** A second finger, or the browser, took the pointer away: as if it had never been pressed. */
function abandon() {
  if (!gesture) return;
  gesture = null;
  svg.classList.remove("busy");
  Object.assign(state, plain(history.steps[history.at]));
  mask.last = null;
  mask.shown = "";
  mask.show(state.mask);
  render();
}

svg.addEventListener("pointerdown", press);
svg.addEventListener("pointermove", move);
svg.addEventListener("pointerup", release);
svg.addEventListener("pointercancel", abandon);
svg.addEventListener("pointerleave", () => gesture || points.brush(null));
svg.addEventListener("mousedown", (event) => event.preventDefault()); // `press` decides where the focus goes
svg.addEventListener("dblclick", (event) => {
  if (pointer === "mouse" && tool === "arrow") togglePin(placeAt(event), REACH.mouse);
});

// --- the keyboard and the buttons -----------------------------------------------------------------------------------

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function nudge(step, pixels) {
  const place = placeOf(state, chosen);
  setPlace(state, chosen, place.map((share, axis) => share + (step[axis] * pixels) / state.size[axis]));
  commit(keyOf(chosen));
}

/** Whether a key meant something here. */
function typed(event) {
  const isInside = svg.contains(event.target);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return false;
    travel(key === "y" || event.shiftKey ? 1 : -1);
  } else if (event.altKey) return false;
  else if ((key === "Delete" || key === "Backspace") && chosen) remove(chosen);
  else if (key === "Escape" && (chosen || gesture || state.start)) {
    abandon();
    state.start = null;
    chosen = null;
    commit();
    if (isInside) points.focus(null);
  } else if (isInside && chosen && STEPS[key]) nudge(STEPS[key], event.shiftKey ? 10 : 1);
  else if (event.target === svg && key === "Enter") add("drag", [0.5, 0.5, 0.6, 0.5]);
  else if (event.target === svg && key === "p") add("pin", [0.5, 0.5]);
  else return false;
  return true;
}

/** Rings of focus are for the keyboard; Chromium draws them round what a script focuses as well. */
function useKeys() {
  if (root.dataset.input === "keys") return;
  root.dataset.input = "keys";
  render();
}

root.addEventListener("keyup", useKeys); // of the Tab key that came from outside
root.addEventListener("keydown", (event) => {
  useKeys();
  if (!state.size || event.target === range || !typed(event)) return;
  event.preventDefault();
  event.stopPropagation();
});
svg.addEventListener("focus", render);
svg.addEventListener("blur", render);

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { tool: own, act, layer } = button.dataset;
  note = "";
  if (own) tool = own;
  if (own && isBrush()) chosen = null;
  if (layer) {
    state.show[layer] = !state.show[layer];
    send();
  }
  if (act) ACTS[act]();
  render();
});

new ResizeObserver(render).observe(stage);
// No quoted names of our own properties: Gradio takes every quoted word of this script for an event of the component.
watch(Object.keys({ value: 0, picture: 0, overlay: 0 }), adopt);
adopt();
