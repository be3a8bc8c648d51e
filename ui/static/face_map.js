// The handles of the face map: the pointer, the keyboard, and the way to Gradio and back.
// Given by Gradio: `element`, `props` and `watch` of the component, and `trigger` for its events.

const STEP = 0.05; // as the sliders have it
const LEAP = 0.25;
const TRAVEL = 120; // CSS pixels from rest to the strongest
const DRAG_LEAST = 3; // CSS pixels; what moves less is a click
const DOUBLE_TAP = 350; // ms
const ECHO = 400; // ms in which a slider may answer with what it was sent
const HINT = "Drag a dot up for more, down for less; a double click sets it to 0.";
const SVG = "http://www.w3.org/2000/svg";

const find = (selector) => element.querySelector(selector);
const root = find(".face-map");
const svg = find(".face");
const status = find(".status");
const link = find(".link");
// Gradio forgets properties that an update leaves out, so they are read once.
const words = Object.assign({}, props.units);
const strongest = Number(props.strongest);

let values = complete(null);
let sent = JSON.stringify(values);
const echoes = new Map(); // JSON -> when it was sent
let chosen = null;
let hovered = null;
let gesture = null;
let tap = { unit: null, time: -1e9, count: 0 }; // clicks on one handle with no drag between them
let isLinked = true;
let isMoving = false; // changed, and not let go of

// --- to Gradio and back ---------------------------------------------------------------------------------------------

function rounded(value) {
  return Math.round(bound(Number(value) || 0, 0, strongest) * 100) / 100;
}

/** A value in the order of the units; those at rest are left out. */
function complete(value) {
  const given = value && typeof value === "object" ? value : {};
  return Object.fromEntries(Object.keys(words).map((unit) => [unit, rounded(given[unit])]).filter((entry) => entry[1]));
}

/** The unit of the other side of the face, if there is one. */
function twinOf(unit) {
  const twin = unit.replace(/[LR]$/, (side) => (side === "L" ? "R" : "L"));
  return twin !== unit && twin in words ? twin : null;
}

function set(unit, value) {
  const twin = isLinked ? twinOf(unit) : null;
  change(Object.assign({}, values, { [unit]: value }, twin && { [twin]: value }));
}

function change(wanted) {
  values = complete(wanted);
  const text = JSON.stringify(values);
  if (text !== sent) {
    sent = text;
    echoes.set(text, performance.now());
    props.value = JSON.parse(text);
    trigger("input");
    isMoving = true;
  }
  render();
}

/** What was changed is let go of: slow listeners wait for this. */
function letGo() {
  if (isMoving) trigger("release");
  isMoving = false;
}

/** Whether a value is what a slider makes of one that was sent a moment ago, and has been changed since. */
function isEcho(text) {
  for (const [old, time] of echoes) if (performance.now() - time > ECHO) echoes.delete(old);
  return text !== sent && echoes.has(text);
}

/** Take over what came from outside. */
function adopt() {
  const incoming = complete(props.value);
  const text = JSON.stringify(incoming);
  if (isEcho(text)) {
    props.value = JSON.parse(sent);
    return;
  }
  values = incoming;
  sent = text;
  render();
}

// --- what is seen ---------------------------------------------------------------------------------------------------

function make(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

/** Part -> its elements: two if its sides are seen apart. */
const parts = new Map(Object.entries(faceOf({}).paths).map(([part, path]) => {
  const first = find(`[data-part="${part}"]`);
  const elements = [first];
  if (Array.isArray(path)) {
    elements.push(first.cloneNode());
    first.after(elements[1]);
  }
  return [part, elements];
}));

/** Show of a group only what lies within a part. */
function clip(group, part) {
  const id = `face-map-${Math.random().toString(36).slice(2)}`;
  parts.get(part).push(make("path", {}, make("clipPath", { id }, svg)));
  find(group).setAttribute("clip-path", `url(#${id})`);
}

clip(".irises", "eye");
clip(".bite", "inside");
clip(".muscles", "contour");

const shown = Object.keys(words).filter((unit) => placeOf(unit, 0));
const bases = [...new Set(shown.map((unit) => unit.replace(/[LR]$/, "")))];
const muscles = bases.flatMap((unit) => SIDES.map((side, index) => {
  const group = make("g", { class: "muscle", "data-unit": unit + side }, find(".muscles"));
  const [patch, fibre] = ["patch", "fibre"].map((name) => make("path", { class: name }, group));
  return { unit, side, index, group, patch, fibre };
}));
const handles = new Map(shown.map((unit) => {
  const group = make("g", {
    class: "handle", "data-unit": unit, role: "slider", tabindex: 0, "aria-orientation": "vertical",
    "aria-label": `${unit} ${words[unit]}`, "aria-valuemin": 0, "aria-valuemax": strongest,
  }, find(".handles"));
  make("circle", { class: "hit", r: 12 }, group);
  make("circle", { class: "ring", r: 7 }, group);
  const gauge = make("circle", { class: "gauge", r: 7, pathLength: 100, transform: "rotate(-90)" }, group);
  make("circle", { class: "dot", r: 3.1 }, group);
  const label = make("text", {}, group);
  label.textContent = unit.replace(/\D/g, "");
  return [unit, { group, gauge, label }];
}));

function told(unit) {
  return `${unit} ${words[unit]}: ${(values[unit] || 0).toFixed(2)}`;
}

function render() {
  const face = faceOf(values);
  for (const [part, elements] of parts) {
    const [paths, seen] = [face.paths[part], face.seen[part]];
    elements.forEach((path, index) => {
      path.setAttribute("d", Array.isArray(paths) ? paths[index] : paths);
      if (seen !== undefined) path.setAttribute("opacity", (Array.isArray(seen) ? seen[index] : seen).toFixed(3));
    });
  }
  for (const { unit, side, index, group, patch, fibre } of muscles) {
    const share = unitsOf(values, side)[unit] / strongest;
    const [outline, fibres] = face.muscles[index][unit];
    patch.setAttribute("d", outline);
    fibre.setAttribute("d", fibres);
    group.setAttribute("opacity", share.toFixed(3));
    group.setAttribute("visibility", share ? "visible" : "hidden");
  }
  for (const [unit, { group, gauge, label }] of handles) {
    const value = values[unit] || 0;
    const [x, y, side] = placeOf(unit, face.jaw);
    group.setAttribute("transform", `translate(${x} ${y})`);
    group.setAttribute("aria-valuenow", value);
    group.setAttribute("aria-valuetext", value.toFixed(2));
    group.classList.toggle("used", value > 0);
    group.classList.toggle("chosen", unit === chosen);
    gauge.setAttribute("stroke-dasharray", `${(100 * value) / strongest} 100`);
    gauge.setAttribute("visibility", value ? "visible" : "hidden");
    label.setAttribute("x", side * (value ? 10.5 : 6));
    label.setAttribute("text-anchor", side > 0 ? "start" : "end");
  }
  svg.setAttribute("aria-label", props.label || "Face map");
  link.hidden = !shown.some(twinOf);
  link.setAttribute("aria-pressed", isLinked);
  const unit = (gesture && gesture.unit) || hovered || chosen;
  status.textContent = unit ? told(unit) : HINT;
}

// --- the pointer ----------------------------------------------------------------------------------------------------

function unitOf(event) {
  const handle = event.target.closest && event.target.closest(".handle");
  return handle ? handle.dataset.unit : null;
}

function press(event) {
  const unit = unitOf(event);
  if (!unit || event.button !== 0 || gesture) return;
  root.dataset.input = "pointer";
  const { group } = handles.get(unit);
  group.setPointerCapture(event.pointerId);
  group.focus({ preventScroll: true });
  chosen = unit;
  gesture = { unit, id: event.pointerId, from: event.clientY, was: values[unit] || 0, before: values, moved: false };
  render();
}

function move(event) {
  if (!gesture) {
    const over = event.pointerType === "touch" ? null : unitOf(event);
    if (over !== hovered) {
      hovered = over;
      render();
    }
    return;
  }
  if (event.pointerId !== gesture.id) return;
  const up = gesture.from - event.clientY;
  if (!gesture.moved && Math.abs(up) < DRAG_LEAST) return;
  gesture.moved = true;
  set(gesture.unit, Math.round((gesture.was + (up / TRAVEL) * strongest) / STEP) * STEP);
}

function release(event) {
  if (!gesture || event.pointerId !== gesture.id) return;
  const { unit, moved } = gesture;
  gesture = null;
  const isQuick = event.timeStamp - tap.time < DOUBLE_TAP;
  tap = { unit, time: event.timeStamp, count: moved ? 0 : tap.unit === unit ? tap.count + 1 : 1 };
  if (isQuick && tap.count > 1) relax(unit);
  else render();
  letGo();
}

function relax(unit) {
  tap.count = 0;
  set(unit, 0);
}

/** The browser took the pointer away: as if it had never been pressed. */
function abandon(event) {
  if (!gesture || event.pointerId !== gesture.id) return;
  const { before } = gesture;
  gesture = null;
  change(before);
  letGo();
}

// A finger on a handle does not scroll the page; Chromium heeds no touch-action of what is inside an SVG.
svg.addEventListener("touchstart", (event) => unitOf(event) && event.preventDefault(), { passive: false });
svg.addEventListener("pointerdown", press);
svg.addEventListener("pointermove", move);
svg.addEventListener("pointerup", release);
svg.addEventListener("pointercancel", abandon);
svg.addEventListener("pointerleave", () => {
  hovered = null;
  render();
});
svg.addEventListener("mousedown", (event) => unitOf(event) && event.preventDefault()); // `press` decides on the focus
svg.addEventListener("dblclick", (event) => {
  if (unitOf(event) && tap.count > 1) relax(unitOf(event)); // of those who click slowly
  letGo();
});

// --- the keyboard ---------------------------------------------------------------------------------------------------

const WAYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };

function keyed(key, value, isShift) {
  if (WAYS[key]) return value + WAYS[key] * (isShift ? LEAP : STEP);
  if (key === "PageUp" || key === "PageDown") return value + (key === "PageUp" ? LEAP : -LEAP);
  if (key === "Home" || key === "Delete" || key === "Backspace") return 0;
  return key === "End" ? strongest : null;
}

/** Rings of focus are for the keyboard; Chromium draws them round what a script focuses as well. */
function useKeys() {
  root.dataset.input = "keys";
}

root.addEventListener("keyup", () => {
  useKeys(); // the Tab key may have been pressed outside
  letGo();
});
root.addEventListener("keydown", (event) => {
  useKeys();
  const unit = unitOf(event);
  if (!unit || event.ctrlKey || event.metaKey || event.altKey) return;
  const value = keyed(event.key, values[unit] || 0, event.shiftKey);
  if (value === null) return;
  event.preventDefault();
  event.stopPropagation();
  set(unit, value);
});
svg.addEventListener("focusin", (event) => {
  chosen = unitOf(event);
  render();
});

link.addEventListener("click", () => {
  isLinked = !isLinked;
  render();
});

// No quoted names of our own properties: Gradio takes every quoted word of this script for an event of the component.
watch(Object.keys({ value: 0 }), adopt);
adopt();
