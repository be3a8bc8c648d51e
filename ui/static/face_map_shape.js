// The face as a function of its action units. The scripts of the face map are the body of one function, see
// face_map.py. Places are [x, y] in units of the drawing; x counts from the middle of the face outwards, and each half
// is drawn from units of its own: what stands at the right of the drawing is the subject's left.

const SIDES = ["L", "R"];
const SAMPLES = [1, 0.95, 0.84, 0.66, 0.44, 0.22, 0]; // of half a lip, from the corner to the middle
const UPPER_LIP = [0, 0.14, 0.34, 0.64, 0.93, 1.14, 0.9]; // thickness at these samples, with the bow of Cupid
const LOWER_LIP = [0, 0.16, 0.38, 0.66, 0.88, 0.98, 1];

function lerp(a, b, share) {
  return a + (b - a) * share;
}

function bound(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** 0 below low, 1 above high, smooth between. */
function ramp(value, low, high) {
  const share = bound((value - low) / (high - low), 0, 1);
  return share * share * (3 - 2 * share);
}

// --- paths ----------------------------------------------------------------------------------------------------------

const digits = (value) => Math.round(value * 100) / 100;
const pair = ([x, y]) => `${digits(x)} ${digits(y)}`;
const flip = (points) => points.map(([x, y]) => [-x, y]);
const shift = (points, dx, dy) => points.map(([x, y]) => [x + dx, y + dy]);
const between = (a, b, share) => [lerp(a[0], b[0], share), lerp(a[1], b[1], share)];
const last = (points) => points[points.length - 1];

/** Curves through points, without the move to the first: handles are as long as the neighbours allow, no more. */
function through(points, isClosed = false) {
  const count = points.length;
  const at = (index) => points[isClosed ? (index + count) % count : bound(index, 0, count - 1)];
  const tangent = (index) => {
    const [a, b] = [at(index - 1), at(index + 1)];
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
    return [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
  };
  let path = "";
  for (let index = 0; index < (isClosed ? count : count - 1); index += 1) {
    const [a, b, s, t] = [at(index), at(index + 1), tangent(index), tangent(index + 1)];
    const third = Math.hypot(b[0] - a[0], b[1] - a[1]) / 3;
    const first = [a[0] + s[0] * third, a[1] + s[1] * third];
    const second = [b[0] - t[0] * third, b[1] - t[1] * third];
    path += `C${pair(first)} ${pair(second)} ${pair(b)}`;
  }
  return path;
}

const line = (points) => `M${pair(points[0])}${through(points)}`;
const loop = (points) => `M${pair(points[0])}${through(points, true)}Z`;
/** A shape with a corner where its two edges meet. */
const blade = (edge, back) => `M${pair(edge[0])}${through(edge)}L${pair(back[0])}${through(back)}Z`;
const lines = (...list) => list.map(line).join("");
const dots = (...points) => points.map((place) => `M${pair(place)}h.01`).join("");
/** Both halves as one line; each starts at its side and ends in the middle. */
const whole = (left, right) => [...left, ...flip(right.slice(0, -1)).reverse()];

// --- the features of a half -----------------------------------------------------------------------------------------

/** Brow from the nose outwards: where, half of its thickness, and what each unit does to it. */
const BROW = [
  {
    at: [13.5, 119.5], half: 2.6,
    by: { AU1: [-0.5, -11], AU2: [0, -2], AU4: [-5.6, 8], AU5: [0, -1], AU9: [-1.2, 3.6] },
  },
  {
    at: [29, 113.5], half: 3,
    by: { AU1: [-0.5, -7.5], AU2: [0, -6.5], AU4: [-4.4, 6.4], AU5: [0, -1.2], AU9: [-0.6, 2.4] },
  },
  {
    at: [47, 110.5], half: 2.4,
    by: { AU1: [0, -2], AU2: [0, -9.5], AU4: [-2.6, 3.6], AU5: [0, -1.2], AU6: [0, 1] },
  },
  {
    at: [65, 118.5], half: 0.4,
    by: { AU1: [0, 1], AU2: [1, -7.5], AU4: [-1, 1.4], AU5: [0, -0.6], AU6: [0, 1.6] },
  },
];

function browOf(u) {
  return BROW.map(({ at, half, by }) => {
    let [x, y] = at;
    for (const [unit, [dx, dy]] of Object.entries(by)) [x, y] = [x + u[unit] * dx, y + u[unit] * dy];
    return { at: [Math.max(x, 5), y], half };
  });
}

function eyeOf(u, brow) {
  const closed = bound(u.AU43, 0, 1);
  const squeezed = Math.max(0, u.AU43 - 1);
  const [inner, outer] = [[20.5, 145], [56, 141.5]];
  const low = 3 * u.AU6 + 3 * u.AU7 + 1.3 * u.AU12 + 1.3 * u.AU9 - 0.8 * u.AU5 + 1.5 * closed + 3 * squeezed;
  const lift = bound(low, -1.2, 6.2);
  const up = 4.6 * u.AU5 - 1 * u.AU6 - 2 * u.AU7 - 0.9 * u.AU9 - 0.7 * u.AU4;
  const raised = bound(up, lift - 10.5, 7); // a slit stays open until AU43 closes it
  const lower = [inner, [28, 149.4 - lift * 0.72], [38.5, 150.9 - lift], [49, 148.6 - lift * 0.8], outer];
  const open = [inner, [28, 137.6 - raised * 0.78], [38.5, 134.6 - raised], [49, 136.3 - raised * 0.84], outer];
  const lid = open.map((place, index) => between(place, [lower[index][0], lower[index][1] + 0.4], closed));
  const pressed = Math.max(0, brow[1].at[1] - 117) * 0.35; // a low brow folds the skin over the lid
  const gap = bound(6 - 0.55 * raised - pressed, 2, 7);
  const crease = open.slice(1).map(([x, y], index) => {
    const weight = [0.72, 1, 0.78, 0.35][index];
    return [x + (index === 3 ? 3 : 0), y - weight * (gap - 4.4 * closed)];
  });
  const lashes = [[30, -0.6], [38, 0.6], [46, 1.6], [52.5, 2.6]].map(([x, slant]) => {
    const y = lerp(144, lid[2][1] + 0.4, 1 - ((x - 38.25) / 17.75) ** 2);
    return [[x, y], [x + slant, y + 3], [x + slant * 1.8, y + 5]];
  });
  return { lid, lower, crease, lashes, closed, squeezed, lift };
}

/** Half a mouth; its middle is that of the mean of both sides, so that the halves meet. */
function mouthOf(u, mean) {
  const jaw = 21 * bound(u.AU26, 0, 1) + 12 * Math.max(0, u.AU26 - 1);
  const rise = 1.2 * u.AU25 + 0.6 * u.AU26 + 3.4 * u.AU10 + 1.4 * u.AU22;
  const drop = 5.3 * u.AU25 + 0.9 * jaw + 4.4 * u.AU16 + 3.4 * u.AU22;
  const open = Math.max(0, rise + drop - 1.6 * u.AU17 - 2.6 * u.AU24);
  const parted = ramp(open, 0, 16);
  const corner = [
    Math.max(11, 27 + 8 * u.AU12 + 0.6 * u.AU15 + 7.4 * u.AU20
      - 1.2 * u.AU17 - 8.5 * u.AU18 - 5 * u.AU22 - 1.6 * u.AU24 - 3 * u.AU26),
    221 + 8.2 * u.AU15 + 1.4 * u.AU16 + 0.8 * u.AU17 + 1.6 * u.AU20 + 0.4 * jaw
      - 0.6 * u.AU9 - 0.8 * u.AU10 - 9.4 * u.AU12,
  ];
  const middle = 221.6 - 3.2 * u.AU17 - u.AU15 - 1.8 * u.AU9 + 0.4 * mean.AU12;
  const upper = middle - rise * (open / (rise + drop || 1));
  const lower = upper + open;
  const thin = (1 - 0.26 * u.AU24) * (1 + 0.14 * u.AU18 + 0.14 * u.AU22);
  const upperHalf = Math.max(2.6, (7 - 1.3 * mean.AU12 - 1.5 * u.AU20 - 0.6 * u.AU9 + 0.3 * u.AU17) * thin);
  const lowerFull = 10 - 1.7 * mean.AU12 + 0.6 * u.AU16 + 1.2 * u.AU17 - 1.9 * u.AU20 - 0.14 * jaw;
  const lowerHalf = Math.max(3.6, lowerFull * thin);
  // Closed lips curve like a parabola; an open mouth is nearer to an ellipse.
  const fall = (t) => lerp(t ** 1.9, 1 - Math.sqrt(1 - t * t), parted * 0.9);
  const wave = (t, at, width) => Math.exp(-(((t - at) / width) ** 2));
  const tubercle = (t) => (1 - parted) * (0.9 * wave(t, 0, 0.16) - 0.5 * wave(t, 0.4, 0.25));
  const edge = (y) => SAMPLES.map((t) => [corner[0] * t, lerp(y, corner[1], fall(t)) + tubercle(t)]);
  const [upperEdge, lowerEdge] = [edge(upper), edge(lower)];
  const rim = 1 + 2.2 * parted; // how far red goes beyond the corner
  const red = (points, amounts, by) => points.map(([x, y], index) => [
    x + rim * SAMPLES[index] ** 6, y + by * amounts[index],
  ]);
  const bite = Math.min(open * 0.78, lerp(8, 4.8, ramp(jaw, 0, 16)));
  return {
    jaw, open, parted, corner, upperEdge, lowerEdge,
    top: red(upperEdge, UPPER_LIP, -upperHalf),
    bottom: red(lowerEdge, LOWER_LIP, lowerHalf),
    teeth: upperEdge.slice(1).map(([x, y], index) => [x, y + bite * (1 - 0.5 * SAMPLES[index + 1] ** 2)]),
  };
}

function noseOf(u) {
  const up = 5 * u.AU9 + 1.6 * u.AU10;
  const wide = 2 * u.AU9 + 1.5 * u.AU12 + 0.6 * u.AU20 - 0.6 * u.AU26 + 3 * u.AU38;
  const tip = 2 * u.AU9 - 0.6 * u.AU15;
  const flare = 1 * u.AU38;
  return {
    up, wide,
    bridge: [[11.5, 131], [8, 145], [8.6, 160], [11, 174 - up * 0.5]],
    wing: [[13, 180 - up], [19.5 + wide, 184.5 - up], [20.5 + wide, 192 - up], [15 + wide * 0.7, 197 - up * 0.8]],
    base: [[11.5 + wide * 0.5, 196.5 - up * 0.6], [6, 198.8 - tip], [0, 201.8 - tip]],
    nostril: [
      [4.6, 197.4 - tip], [8.4 + wide * 0.4, 194.8 - up * 0.6 - flare],
      [13 + wide * 0.8, 195.2 - up * 0.7 - flare * 0.6], [9 + wide * 0.4, 197.6 - up * 0.5],
    ],
    tip: [[5.5, 190.5 - tip], [3, 192.2 - tip], [0, 193 - tip]],
  };
}

const CONTOUR = [
  [0, 21], [30, 25], [60, 42], [80, 74], [86, 110], [85.5, 146],
  [81, 182], [72.5, 214], [57, 241], [36, 261], [16, 270], [0, 271.5],
];

/** What the jaw does to a place: nothing above the cheeks, all of it at the chin. */
function withJaw([x, y], jaw) {
  const share = ramp(y, 160, 262);
  return [x * (1 - 0.0028 * jaw * share), y + jaw * 0.94 * share];
}

function contourOf(u, jaw) {
  const bump = (y, at, width) => Math.exp(-(((y - at) / width) ** 2));
  return CONTOUR.map(([x, y]) => {
    const place = withJaw([x, y], jaw);
    const jowl = u.AU20 * bump(y, 226, 20) - u.AU18 * bump(y, 214, 24);
    const wider = 1.6 * ((u.AU12 + u.AU6) * bump(y, 184, 22) + jowl);
    return [place[0] + wider * (x / 80), place[1] - 2.2 * u.AU17 * ramp(y, 245, 270)];
  });
}

// --- wrinkles of a half ---------------------------------------------------------------------------------------------

/** Part -> [path, how much of it is seen]. */
function foldsOf(u, { brow, eye, nose, mouth, draw }) {
  const [cx, cy] = mouth.corner;
  const lateral = 5 * u.AU2;
  const knit = brow[0].at[0];
  const cheek = 4.5 * u.AU6 + 1.5 * u.AU12;
  const crow = 1.5 * u.AU6 + 0.8 * u.AU7;
  const lip = last(mouth.bottom)[1];
  const rim = mouth.top[5][1];
  const fold = [
    [22.5 + nose.wide * 0.8, 186 - nose.up],
    [30.5 + (cx - 27) * 0.5 + 1.2 * u.AU12, 197.5 - nose.up * 0.6 - 1.5 * u.AU12 + 0.12 * mouth.jaw],
    [cx + 8.6 + 0.8 * u.AU12 + 0.3 * (27 - Math.min(cx, 27)), cy - 11 + 2 * u.AU15],
    [cx + 8.4 - 1.5 * u.AU15 + 0.4 * (27 - Math.min(cx, 27)), cy - 1 + 5 * u.AU15],
  ];
  const of = (amount, ...list) => [draw(lines, ...list), amount];
  return {
    fold: of(0.2 + 0.55 * u.AU12 + 0.5 * u.AU9 + 0.45 * u.AU10 + 0.3 * u.AU20 + 0.2 * u.AU15 - 0.1 * u.AU18, fold),
    brow_up: of(0.75 * u.AU2, ...[84, 92, 100].map((y, row) => [
      [36 + row, y - 1 - lateral * 0.7], [52, y - 3 - lateral], [69 - 2 * row, y + 5 - lateral * 0.6],
    ])),
    knit: of(
      0.9 * u.AU4,
      [[knit * 0.55, 112 + 3 * u.AU4], [knit * 0.42, 118 + 4 * u.AU4], [knit * 0.6, 125 + 4 * u.AU4]],
    ),
    wrinkle: of(0.75 * u.AU9, ...[[147, 6.4], [153, 8], [159.5, 9.6]].map(([y, x], row) => [
      [x + 3.6, y - 3 - u.AU9], [x * 0.6, y], [1.4, y + 0.6 - row * 0.4],
    ])),
    crow: of(
      0.7 * u.AU6 + 0.35 * u.AU7 + 0.9 * eye.squeezed,
      [[60, 138 + crow], [67, 134.5 + crow * 0.6], [73, 134]],
      [[61, 142.5], [68, 142.3], [75, 144]],
      [[59.5, 147 - crow], [66, 149.6 - crow], [72, 154 - crow]],
    ),
    bag: of(
      0.16 + 0.4 * u.AU6 + 0.4 * u.AU7 + 0.12 * u.AU12,
      [[25, 154 - eye.lift * 0.7], [38, 157.6 - eye.lift * 0.8], [52, 153 - eye.lift * 0.7]],
    ),
    cheek: of(
      0.55 * u.AU6 + 0.14 * u.AU12,
      [[30, 171 - cheek], [46, 174.5 - cheek], [60, 169 - cheek], [67, 160 - cheek]],
    ),
    dimple: of(
      0.25 * u.AU12 + 0.3 * u.AU15 + 0.55 * u.AU20 + 0.5 * u.AU24,
      [[cx + 3.2, cy - 4.5], [cx + 5, cy], [cx + 3.6, cy + 4]],
    ),
    stretched: of(
      0.5 * u.AU20,
      [[cx + 11, cy - 9], [cx + 14.5, cy], [cx + 12, cy + 10]],
      [[cx + 17, cy - 7], [cx + 20, cy], [cx + 18, cy + 8]],
    ),
    sad: of(0.7 * u.AU15, [[cx + 3.4, cy + 3], [cx + 5, cy + 10], [cx + 1.5, cy + 18]]),
    pucker: of(
      0.6 * u.AU18 + 0.25 * u.AU22,
      [[cx * 0.42, rim - 3], [cx * 0.5, rim - 8]], [[cx * 0.82, rim - 1], [cx * 1.05, rim - 6]],
      [[cx + 4, cy - 3], [cx + 9, cy - 5]], [[cx + 4, cy + 3], [cx + 9, cy + 6]],
      [[cx * 0.75, lip + 0.5], [cx * 0.95, lip + 5]],
    ),
    pressed: of(
      0.6 * u.AU24,
      [[cx * 0.9, cy - 8], [cx * 0.5, rim - 4.5], [cx * 0.2, rim - 3.6]],
      [[cx * 0.8, cy + 9], [cx * 0.45, lip + 3], [cx * 0.1, lip + 3.6]],
    ),
    philtrum: of(0.22, [[3.6, 205 - nose.up * 0.3], [4.4, rim - 1.6]]),
    hollow: of(0.28 * u.AU26 + 0.3 * u.AU18, [[66, 186], [63, 204 + mouth.jaw * 0.3], [53, 226 + mouth.jaw * 0.6]]),
    bridge: of(0.28, nose.bridge),
    crease: of(0.75 - 0.35 * eye.closed, eye.crease),
    lashes: of(ramp(eye.closed, 0.5, 1), ...eye.lashes),
  };
}

// --- the face -------------------------------------------------------------------------------------------------------

const UNITS = [1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 18, 20, 22, 24, 25, 26, 38, 43].map((number) => `AU${number}`);

/** Units of a side: "AU12" means both, "AU12L" the subject's left, whatever "AU12" says. */
function unitsOf(values, side) {
  return Object.fromEntries(UNITS.map((unit) => [unit, values[unit + side] ?? values[unit] ?? 0]));
}

/** Dimples of the chin, from its tip. */
const ORANGE = [[-11.5, -19], [-5, -22], [3.5, -21], [10, -18], [-8, -14], [0, -16], [7, -13], [-2, -10]];

/** Wrinkles in the middle, which both halves share: part -> [path, how much of it is seen]. */
function middleFolds(mean, join, lip, chin) {
  return {
    frown_up: [
      [86, 95, 104].map((y, row) => line(join(({ u }) => [
        [30 - 3 * row, y + 3.5 - 2.5 * u.AU1], [16, y - 5 * u.AU1], [0, y + 1.6 - 3 * mean.AU1],
      ]))).join(""),
      0.75 * mean.AU1,
    ],
    under_lip: [
      line(join(() => [[13 + 2 * mean.AU17, lip + 5.6], [7, lip + 3.8 - 0.6 * mean.AU17], [0, lip + 3.2 - mean.AU17]])),
      0.3 + 0.4 * mean.AU17,
    ],
    boss: [line(join(() => [[17, chin - 9], [15, chin - 19], [0, chin - 25]])), 0.4 * mean.AU17],
    orange: [
      dots(...shift(ORANGE, 0, chin)),
      0.8 * mean.AU17,
    ],
  };
}

/** All that is drawn: paths (two where the sides are seen apart), how much of each is seen, and muscles by side. */
function faceOf(values) {
  const units = SIDES.map((side) => unitsOf(values, side));
  const mean = Object.fromEntries(UNITS.map((unit) => [unit, (units[0][unit] + units[1][unit]) / 2]));
  const halves = units.map((u, index) => {
    const draw = (how, ...lists) => how(...(index ? lists.map(flip) : lists));
    const brow = browOf(u);
    const half = { u, draw, brow, eye: eyeOf(u, brow), mouth: mouthOf(u, mean), nose: noseOf(u) };
    half.contour = contourOf(u, half.mouth.jaw);
    half.folds = foldsOf(u, half);
    half.muscles = musclesOf(u, half);
    return half;
  });
  const [left, right] = halves;
  const join = (pick) => whole(pick(left), pick(right));
  const both = (how, pick) => halves.map((half) => half.draw(how, ...pick(half))).join("");
  const lips = (above, below) => blade(join(above), join(below).reverse());
  const eyebrow = ({ brow }, by) => brow.map(({ at, half }) => [at[0], at[1] + by * half]);
  const { open, jaw } = left.mouth;
  const chin = last(left.contour)[1];
  const paths = {
    contour: loop([...left.contour, ...flip(right.contour.slice(1, -1)).reverse()]),
    brow: both(blade, (half) => [eyebrow(half, -1), eyebrow(half, 1).reverse()]),
    eye: both(blade, ({ eye }) => [eye.lid, eye.lower.slice().reverse()]),
    lid: both(line, ({ eye }) => [eye.lid]),
    lower: both(line, ({ eye }) => [eye.lower]),
    wing: both(line, ({ nose }) => [nose.wing]),
    nostril: both(loop, ({ nose }) => [nose.nostril]),
    base: line(join(({ nose }) => nose.base)),
    tip: line(join(({ nose }) => nose.tip)),
    upper_lip: lips(({ mouth }) => mouth.top, ({ mouth }) => mouth.upperEdge),
    lower_lip: lips(({ mouth }) => mouth.lowerEdge, ({ mouth }) => mouth.bottom),
    inside: lips(({ mouth }) => mouth.upperEdge, ({ mouth }) => mouth.lowerEdge),
    teeth: lips(({ mouth }) => mouth.upperEdge.slice(1), ({ mouth }) => mouth.teeth),
    tongue: tongueOf(halves),
    parting: line(join(({ mouth }) => mouth.upperEdge)),
    lip_edge: line(join(({ mouth }) => mouth.lowerEdge)),
  };
  const seen = {
    teeth: ramp(open, 1.5, 4),
    tongue: ramp(open, 9, 16),
    inside: ramp(open, 0.2, 1.2),
    lip_edge: ramp(open, 0.2, 1.2),
  };
  for (const [part, [path, amount]] of Object.entries(middleFolds(mean, join, last(left.mouth.bottom)[1], chin))) {
    paths[part] = path;
    seen[part] = bound(amount, 0, 0.9);
  }
  for (const part of Object.keys(left.folds)) {
    paths[part] = halves.map((half) => half.folds[part][0]);
    seen[part] = halves.map((half) => bound(half.folds[part][1], 0, 0.9));
  }
  return { paths, seen, jaw, muscles: halves.map((half) => half.muscles) };
}

function tongueOf(halves) {
  const { lowerEdge, open } = halves[0].mouth;
  const y = last(lowerEdge)[1];
  const top = y - Math.min(9, open * 0.32);
  const [a, b] = halves.map(({ mouth }) => mouth.corner[0] * 0.62);
  return loop([[a, y], [a * 0.7, top + 2], [0, top + 1], [-b * 0.7, top + 2], [-b, y], [0, y + 6]]);
}
