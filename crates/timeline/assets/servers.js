// The lanes of the servers, other than their boxes: bands for crashes, cut-offs and partitions; below the box a track
// with the end of the log, the commit index and the applied index as steps; and small marks for momentary events.

/** The height in pixels of the track below a server's box. */
const TRACK_HEIGHT = 26;

function trackHeight(lane) {
  if (lane.group === "server") return TRACK_HEIGHT;
  return lane.group === "outside" ? 20 : 0;
}

/** The top of a lane's track, in pixels from the top of the canvas. */
function trackTop(lane) {
  return lane.top - app.view.top + LANE_PADDING + lane.rows.length * app.lanes.rowHeight;
}

/** The smallest distance between two marks of a kind, in pixels. */
const MARK_DISTANCE = 12;

/** The mark of each EVENT: `[shape, colour of the theme]`. Other events have no mark. */
const MARKS = {
  [EVENT.vote]: ["up", "vote"],
  [EVENT.truncate]: ["down", "illegal"],
  [EVENT.snapshot]: ["square", "snapshot"],
  [EVENT.install]: ["frame", "snapshot"],
  [EVENT.command]: ["dot", "accent"],
  [EVENT.line]: ["tick", "soft"],
};

/** Draws the layer behind the arrows: bands of faults, then the steps. */
function drawServers(context) {
  const { data } = app;
  if (!data.run) return;
  const lanes = shownLanes().filter((lane) => lane.group === "server");
  if (isTopicShown("fault")) for (const lane of lanes) drawBands(context, lane);
  drawProgress(context, lanes);
  if (isTopicShown("fault")) for (const lane of lanes) drawBandLabels(context, lane);
}

const BAND_LABELS = ["in a partition", "cut off", "crashed"];

function drawBands(context, lane) {
  const { view, theme, data } = app;
  const [y, height] = [lane.top - view.top, lane.height];
  for (const { server, kind, from, to, part } of data.run.bands) {
    if (server !== lane.server || to < view.left || from > view.right) continue;
    const left = Math.max(view.x(from), GUTTER);
    const right = Math.min(view.x(to), view.width);
    if (kind === 0) {
      // The parts of a partition differ in colour and in the place of the line.
      context.fillStyle = theme.calls[(part + 1) % CALL_COLOURS];
      context.globalAlpha = 0.08;
      context.fillRect(left, y, right - left, height);
      context.globalAlpha = 0.9;
      context.fillRect(left, y + height - 3 - 3 * (part % 2), Math.max(1.5, right - left), 2);
    } else {
      context.globalAlpha = kind === 2 ? 0.1 : 0.13;
      context.fillStyle = kind === 2 ? theme.ink : theme.cut;
      context.fillRect(left, y, Math.max(1.5, right - left), height);
      context.globalAlpha = kind === 2 ? 0.25 : 0.6;
      context.strokeStyle = kind === 2 ? theme.ink : theme.cut;
      hatch(context, left, y + height - TRACK_HEIGHT, Math.max(1.5, right - left), TRACK_HEIGHT, kind === 2 ? 6 : 9);
    }
    context.globalAlpha = 1;
  }
}

/** Draws the labels of the bands above the steps, if they fit. A crash is labelled in the box of the server. */
function drawBandLabels(context, lane) {
  const { view, theme, data } = app;
  context.font = SANS;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.lineJoin = "round";
  for (const { server, kind, from, to, part } of data.run.bands) {
    if (server !== lane.server || kind === 2 || to < view.left || from > view.right) continue;
    const left = Math.max(view.x(from), GUTTER);
    if (Math.min(view.x(to), view.width) - left < 60) continue;
    const word = kind === 0 ? `part ${part + 1}` : BAND_LABELS[kind];
    const y = lane.top - view.top + lane.height - 8;
    context.lineWidth = 4;
    context.strokeStyle = theme.panel;
    context.strokeText(word, left + 5, y);
    context.fillStyle = kind === 0 ? theme.soft : theme.cut;
    context.fillText(word, left + 5, y);
  }
}

/** Draws lines from the lower left to the upper right. */
function hatch(context, x, y, width, height, distance) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.lineWidth = 1;
  context.beginPath();
  for (let at = Math.floor((x - height) / distance) * distance; at < x + width; at += distance) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

/**
 * Draws the end of the log, the commit index and the applied index as steps. All servers share the scale of the shown
 * values.
 */
function drawProgress(context, lanes) {
  const { view, theme, states } = app;
  const series = [
    { name: "last", topic: "log", colour: theme.faint, width: 1 },
    { name: "commit", topic: "commit", colour: theme.commit, width: 1.5 },
    { name: "applied", topic: "apply", colour: theme.applied, width: 1.5 },
  ].filter(({ topic }) => isTopicShown(topic));
  let [least, most] = [Infinity, -Infinity];
  for (const lane of lanes) {
    for (const { name } of series) {
      const steps = states[lane.server].series[name];
      if (steps.at.length === 0) continue;
      const [low, high] = steps.range(view.left, view.right);
      least = Math.min(least, low);
      most = Math.max(most, high);
    }
  }
  if (most <= 0 || least > most) return;
  if (least === most) least = most - 1;
  for (const lane of lanes) {
    const bottom = trackTop(lane) + TRACK_HEIGHT - 5;
    // The applied index is drawn slightly below the commit index, so that both are visible when they are equal.
    const y = (value, below) => bottom - ((value - least) / (most - least)) * (TRACK_HEIGHT - 13) + below;
    for (const { name, colour, width } of series) drawSteps(context, states[lane.server].series[name], (value) => y(value, name === "applied" ? 2 : 0), colour, width);
  }
}

function drawSteps(context, steps, y, colour, width) {
  const { view } = app;
  if (steps.at.length === 0) return;
  const first = firstWhere(0, steps.at.length, (i) => steps.at[i] > view.left);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  let value = first > 0 ? steps.value[first - 1] : 0;
  let painted = Math.max(GUTTER, view.x(app.data.start));
  context.moveTo(painted, y(value));
  // At most one step per pixel.
  for (let i = first; i < steps.at.length && steps.at[i] <= view.right; ) {
    const x = Math.max(view.x(steps.at[i]), painted);
    context.lineTo(x, y(value));
    const beyond = view.time(Math.floor(x) + 1);
    let next = i + 1;
    if (steps.at[next] < beyond) next = firstWhere(next, steps.at.length, (j) => steps.at[j] >= beyond);
    value = steps.value[next - 1];
    context.lineTo(x, y(value));
    painted = x;
    i = next;
  }
  context.lineTo(Math.min(view.width, view.x(app.data.end)), y(value));
  context.stroke();
}

/** Draws the marks. If they are close together, it draws one of each kind every few pixels. */
function drawMarks(context) {
  const { data, view, theme } = app;
  if (!data.run) return;
  for (const lane of shownLanes().filter(({ group }) => group === "server")) {
    const { at, kind: kinds, c, count } = data.run.servers[lane.server];
    const y = trackTop(lane) + 6;
    const painted = new Float64Array(EVENT_TOPIC.length).fill(-Infinity);
    const from = firstWhere(0, count, (i) => at[i] >= view.time(GUTTER - 5));
    const marked = app.states[lane.server].marked;
    for (let m = firstWhere(0, marked.length, (i) => marked[i] >= from); m < marked.length; m++) {
      const i = marked[m];
      if (at[i] > view.right) break;
      const kind = kinds[i];
      if (app.filter.hiddenTopics.has(EVENT_TOPIC[kind])) continue;
      const x = view.x(at[i]);
      if (x - painted[kind] < MARK_DISTANCE) continue;
      painted[kind] = x;
      const [shape, colour] = MARKS[kind];
      const severe = kind === EVENT.line && c[i] < 2;
      drawMark(context, shape, x, y, severe ? (c[i] === 0 ? theme.illegal : theme.unknown) : theme[colour]);
    }
  }
}

function drawMark(context, shape, x, y, colour) {
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  if (shape === "up" || shape === "down") {
    const d = shape === "up" ? -4 : 4;
    context.moveTo(x, y + d);
    context.lineTo(x + 4, y - d * 0.75);
    context.lineTo(x - 4, y - d * 0.75);
  } else if (shape === "square" || shape === "frame") context.rect(x - 3, y - 3, 6, 6);
  else if (shape === "dot") context.arc(x, y, 2.5, 0, 7);
  else context.rect(x - 0.75, y - 4, 1.5, 9);
  if (shape === "frame") context.stroke();
  else context.fill();
}

/** The mark nearest to a point: `{ kind: "mark", server, row }`, or null. */
function markAt(x, y) {
  const { data, view } = app;
  const lane = laneAt(y);
  if (lane?.group !== "server" || Math.abs(y - trackTop(lane) - 6) > 8) return null;
  const { at, kind } = data.run.servers[lane.server];
  const marked = app.states[lane.server].marked;
  let [best, distance] = [-1, 6];
  for (let m = firstWhere(0, marked.length, (i) => at[marked[i]] >= view.time(x - 6)); m < marked.length; m++) {
    const row = marked[m];
    const away = Math.abs(view.x(at[row]) - x);
    if (at[row] > view.time(x + 6)) break;
    if (!app.filter.hiddenTopics.has(EVENT_TOPIC[kind[row]]) && away < distance) [best, distance] = [row, away];
  }
  return best < 0 ? null : { kind: "mark", server: lane.server, row: best };
}

/** The band of a fault at a point of a server's lane: `{ kind: "band", band }`, or null. */
function bandAt(x, y) {
  const { data, view } = app;
  const lane = laneAt(y);
  if (lane?.group !== "server" || !isTopicShown("fault")) return null;
  const time = view.time(x);
  const band = data.run.bands.find(({ server, from, to }) => server === lane.server && from <= time && time <= to);
  return band ? { kind: "band", band } : null;
}

/** The lane at a y coordinate of the canvas. */
function laneAt(y) {
  const { lanes, view } = app;
  const depth = y + view.top;
  const lane = lanes.list[firstWhere(0, lanes.list.length, (i) => lanes.list[i].top + lanes.list[i].height > depth)];
  return lane && depth >= lane.top ? lane : undefined;
}

/** The failure whose line is at an x coordinate: `{ kind: "failure", failure }`, or null. */
function failureAt(x) {
  if (!isTopicShown("failure")) return null;
  const failure = app.data.run.failures.find(({ at }) => Math.abs(app.view.x(at) - x) < 4);
  return failure ? { kind: "failure", failure } : null;
}

/** Draws a red line from top to bottom at each failure of the run, in front of everything. */
function drawFailures(context) {
  const { data, view, theme } = app;
  if (!data.run || !isTopicShown("failure")) return;
  for (const { at } of data.run.failures) {
    const x = Math.round(view.x(at));
    if (x < GUTTER || x > view.width) continue;
    context.fillStyle = theme.illegal;
    context.globalAlpha = 0.12;
    context.fillRect(x - 4, 0, 8, view.height);
    context.globalAlpha = 1;
    context.fillRect(x - 1, 0, 2, view.height);
  }
}
