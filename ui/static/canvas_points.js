// Arrows and pins as SVG: sharp at every density, and each end can be reached with the Tab key.

const SVG = "http://www.w3.org/2000/svg";

function make(parent, tag, name) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", name);
  parent.append(node);
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

class Points {
  constructor(svg, onFocus) {
    this.svg = svg;
    this.onFocus = onFocus;
    this.groups = new Map(); // key -> parts; kept, so that the focus stays where it is
    this.ring = make(svg, "circle", "brush-ring");
    this.ring.style.display = "none";
  }

  /** Draw a state; `draft` is an arrow that is being drawn. */
  draw(state, box, chosen, draft) {
    this.box = box;
    this.svg.setAttribute("viewBox", `0 0 ${box.width || 1} ${box.height || 1}`);
    const wanted = new Set();
    state.drags.forEach((drag, index) => {
      const key = `drag${index}`;
      wanted.add(key);
      this.arrow(key, drag, chosen && chosen.kind === "drag" && chosen.index === index, index + 1);
      [0, 1].forEach((end) => this.name(key, end, state, { kind: "drag", index, end }, chosen));
    });
    state.pins.forEach((pin, index) => {
      const key = `pin${index}`;
      wanted.add(key);
      this.pin(key, pin, chosen && chosen.kind === "pin" && chosen.index === index);
      this.name(key, 0, state, { kind: "pin", index, end: 0 }, chosen);
    });
    if (draft) {
      wanted.add("draft");
      this.arrow("draft", draft, false, "");
    }
    if (state.start) {
      wanted.add("start");
      this.arrow("start", [...state.start, ...state.start], false, "");
    }
    for (const [key, parts] of this.groups) {
      if (wanted.has(key)) continue;
      parts.group.remove();
      this.groups.delete(key);
    }
  }

  parts(key, build) {
    if (!this.groups.has(key)) {
      const group = make(this.svg, "g", "");
      this.groups.set(key, Object.assign({ group }, build(group)));
      this.sort();
    }
    return this.groups.get(key);
  }

  /** Tab goes in the order of the document: arrows, pins, then what has no grips. */
  sort() {
    if (this.svg.contains(document.activeElement) && document.activeElement !== this.svg) return;
    const rank = (key) => ["drag", "pin", "draft", "start"].findIndex((kind) => key.startsWith(kind)) * 1e3;
    const order = (key) => rank(key) + Number(key.replace(/\D/g, ""));
    const sorted = [...this.groups].sort(([one], [other]) => order(one) - order(other));
    this.svg.append(...sorted.map(([, parts]) => parts.group), this.ring);
  }

  grip(group) {
    const grip = make(group, "circle", "grip");
    set(grip, { tabindex: 0, role: "button", r: 10 });
    grip.addEventListener("focus", () => this.onFocus(grip.item));
    return grip;
  }

  arrow(key, drag, isChosen, number) {
    const hasGrips = key.startsWith("drag");
    const parts = this.parts(key, (group) => ({
      rim: make(group, "path", "rim"),
      rimDot: make(group, "circle", "rim"),
      shaft: make(group, "path", "shaft"),
      head: make(group, "path", "head"),
      source: make(group, "circle", "source"),
      number: make(group, "text", "number"),
      grips: hasGrips ? [this.grip(group), this.grip(group)] : [],
    }));
    const { width, height } = this.box;
    const [ax, ay, bx, by] = drag.map((share, i) => share * (i % 2 ? height : width));
    const length = Math.hypot(bx - ax, by - ay);
    const [ux, uy] = length ? [(bx - ax) / length, (by - ay) / length] : [1, 0];
    const reach = Math.min(15, 0.7 * length);
    const half = 0.48 * reach;
    const [cx, cy] = [bx - reach * ux, by - reach * uy];
    const line = `M${ax} ${ay}L${cx} ${cy}`;
    const head = `M${bx} ${by}L${cx - half * uy} ${cy + half * ux}L${cx + half * uy} ${cy - half * ux}Z`;
    parts.group.setAttribute("class", isChosen ? "arrow chosen" : "arrow");
    set(parts.rim, { d: line + head, "stroke-width": 6 });
    set(parts.shaft, { d: line, "stroke-width": 3, "stroke-linecap": "butt", fill: "none" });
    set(parts.head, { d: head });
    set(parts.rimDot, { cx: ax, cy: ay, r: 6 });
    set(parts.source, { cx: ax, cy: ay, r: 4.5 });
    const [nx, ny] = [ax - 17 * ux, ay - 17 * uy];
    set(parts.number, { x: Math.min(width - 8, Math.max(8, nx)), y: Math.min(height - 8, Math.max(8, ny)) });
    parts.number.textContent = number;
    if (hasGrips) {
      set(parts.grips[0], { cx: ax, cy: ay });
      set(parts.grips[1], { cx: bx, cy: by });
    }
  }

  pin(key, place, isChosen) {
    const parts = this.parts(key, (group) => ({
      rim: make(group, "circle", "ring"),
      ring: make(group, "circle", "ring"),
      dot: make(group, "circle", "dot"),
      grips: [this.grip(group)],
    }));
    const [cx, cy] = [place[0] * this.box.width, place[1] * this.box.height];
    parts.group.setAttribute("class", isChosen ? "pin chosen" : "pin");
    set(parts.rim, { cx, cy, r: 7, style: "stroke: white; stroke-width: 6" });
    set(parts.ring, { cx, cy, r: 7, "stroke-width": 3 });
    set(parts.dot, { cx, cy, r: 2 });
    set(parts.grips[0], { cx, cy, r: 13 });
  }

  /** Say which end a grip is of. */
  name(key, end, state, item, chosen) {
    const grip = this.groups.get(key).grips[end];
    grip.item = item;
    grip.setAttribute("aria-label", nameOf(state, item));
    grip.classList.toggle("held", isSame(item, chosen));
  }

  focus(item) {
    const parts = item && this.groups.get(item.kind + item.index);
    (parts ? parts.grips[item.end] : this.svg).focus({ preventScroll: true });
  }

  /** Show how wide the brush is; null: not at all. */
  brush(place, width) {
    this.ring.style.display = place ? "" : "none";
    if (!place || !this.box) return;
    const [cx, cy] = [place[0] * this.box.width, place[1] * this.box.height];
    set(this.ring, { cx, cy, r: (width * this.box.width) / 2 });
  }
}
