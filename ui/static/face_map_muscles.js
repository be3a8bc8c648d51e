// The muscles behind the action units, and where each unit is held. The scripts of the face map are the body of one
// function, see face_map.py; `draw` turns a half into the side of the face that it is.

/** A muscle from its origin to where it pulls: an outline, and fibres along it. */
function spindle(from, to, width, end, bow = 0) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const normal = [-(to[1] - from[1]) / length, (to[0] - from[0]) / length];
  const at = (share, side) => {
    const taper = Math.min(1, 0.6 + 5 * share, 5.6 - 5 * share);
    const wide = lerp(width, end, share) * taper * side + bow * 4 * share * (1 - share);
    const [x, y] = between(from, to, share);
    return [x + normal[0] * wide, y + normal[1] * wide];
  };
  const steps = [0.03, 0.2, 0.5, 0.8, 0.97];
  const [there, back] = [steps.map((share) => at(share, 1)), steps.map((share) => at(share, -1)).reverse()];
  const fibres = [-0.72, -0.26, 0.26, 0.72].map((side) => [0.08, 0.5, 0.92].map((share) => at(share, side)));
  return [[at(0, 0), ...there, at(1, 0), ...back], fibres];
}

/** A muscle between two edges, its fibres along them. */
function band(edge, back) {
  const fibres = [0.2, 0.5, 0.8].map((share) => edge.map((place, index) => between(place, back[index], share)));
  return [[...edge, ...back.slice().reverse()], fibres];
}

/** Part of a ring round the eye, between two angles in degrees that grow from the temple downwards. */
function arc(rx, ry, from, to, lift = 0) {
  return [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => {
    const angle = (lerp(from, to, share) * Math.PI) / 180;
    return [38.5 + rx * Math.cos(angle), 143 + ry * Math.sin(angle) - lift];
  });
}

/** Unit -> [path of its outline, path of its fibres] in a half of the face. */
function musclesOf(u, { draw, brow, eye, nose, mouth }) {
  const [cx, cy] = mouth.corner;
  const jaw = (x, y) => withJaw([x, y], mouth.jaw);
  const chin = jaw(0, 271.5)[1] - 2.2 * u.AU17;
  const [rim, lip] = [last(mouth.top)[1], last(mouth.bottom)[1]];
  const edges = [mouth.top, mouth.bottom];
  const round = edges.map((edge, below) => edge.map(([x, y], index) => [
    x * 1.16 + 0.5, y + (below ? 1 : -1) * (4.6 - 3.4 * SAMPLES[index] ** 4),
  ]));
  const fibres = round.map((edge, below) => edge.map((place, index) => between(place, edges[below][index], 0.5)));
  const lips = [[...round[0], ...round[1].slice().reverse()], fibres];
  const found = {
    AU1: spindle([15, 70], [brow[0].at[0] + 6, brow[0].at[1] - 3], 11, 8.5),
    AU2: spindle([48, 76], [57, lerp(brow[2].at[1], brow[3].at[1], 0.5) - 5], 12, 13),
    AU4: spindle([brow[0].at[0] * 0.35, brow[0].at[1] + 7], [brow[1].at[0] + 6, brow[1].at[1] - 0.5], 4.6, 3.6, -1.5),
    AU5: band(shift(eye.crease, 0, -5), shift(eye.crease, 0, 2)),
    AU6: band(arc(31, 32, -30, 130, 2 * u.AU6), arc(22, 17, -30, 130, 2 * u.AU6)),
    AU7: band(arc(25, 19, -40, 190, eye.lift * 0.3), arc(18, 10, -40, 190, eye.lift * 0.3)),
    AU9: spindle([7.5, 148], [17.5 + nose.wide, 191 - nose.up], 3.2, 5.4, -1),
    AU10: spindle([28, 168], [cx * 0.62, rim - 2], 6, 6.5, -1),
    AU12: spindle([71, 170], [cx + 2, cy - 2], 7.5, 4, 2),
    AU15: spindle(jaw(43, 256), [cx, cy + 2.5], 9, 3, -2),
    AU16: spindle(jaw(30, 260), [cx * 0.5, lip + 1], 8, 6),
    AU17: spindle([5.5, lip + 4], [11, chin - 7], 4.2, 7.6),
    AU18: lips,
    AU20: spindle(jaw(75, 208), [cx + 2, cy + 0.5], 7.5, 3.6, -2),
    AU22: lips,
    AU24: lips,
    AU25: lips,
    AU26: spindle(jaw(74, 182), jaw(62, 234), 8.5, 10.5, 2),
    AU38: spindle([13, 181 - nose.up], [17 + nose.wide, 197 - nose.up], 3.5, 4.5, -2),
    AU43: band(shift(eye.crease, 0, -1.5), shift(eye.lid.slice(1), 0, 1)),
  };
  return Object.fromEntries(Object.entries(found).map(([unit, [outline, fibres]]) => [
    unit, [draw(loop, outline), draw(lines, ...fibres)],
  ]));
}

/**
 * Unit -> [x, y, how far it goes with the jaw, side of its label: 1 outwards]: 24 apart or more. Where a unit has no
 * sides, a negative x puts its handle on the other half, to leave room.
 */
const PLACES = {
  AU1: [17, 82, 0, 1], AU2: [52, 91, 0, 1], AU4: [12.5, 106, 0, 1], AU5: [38, 125.5, 0, 1], AU6: [60, 167, 0, 1],
  AU7: [36, 158, 0, 1], AU9: [15, 166, 0, 1], AU10: [-15, 208, 0, 1], AU12: [50, 190, 0, 1], AU15: [30, 246, 0.75, 1],
  AU16: [-20, 238, 0.75, -1], AU17: [0, 253, 0.94, 1], AU18: [-44, 222, 0.4, 1], AU20: [60, 213, 0.25, -1],
  AU22: [-47, 246, 0.7, -1], AU24: [42, 225, 0.4, 1], AU25: [15, 208, 0, 1], AU26: [26, 276, 0.94, 1],
  AU38: [-25, 182, 0, 1], AU43: [66, 142, 0, 1],
};

/** Where a unit is held: [x, y, 1 or -1 for the side of its label]; null if the drawing does not know it. */
function placeOf(unit, jaw) {
  const [, base, side] = /^(AU\d+)([LR]?)$/.exec(unit) || [];
  if (!(base in PLACES)) return null;
  const [x, y, share, outwards] = PLACES[base];
  const half = side === "R" ? -x : x;
  return [half, y + jaw * share, half < 0 ? -outwards : outwards];
}
