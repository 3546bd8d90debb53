// RPCs: an arrow from the sender's lane to the handler's lane, and a dashed arrow back. If there are too many to be
// told apart, they are a strip of shade in the sender's lane, with the lost ones in red below it.

/** The number of colours of methods. */
const CALL_COLOURS = 5;

/** The largest number of visible calls that are drawn as arrows. */
const ARROWS_MAX = 900;

/** The words for each outcome of a call (`RpcOutcome::code` in `run/calls.rs`). */
const OUTCOMES = [
  "in flight when the run ended",
  "replied",
  "lost: the request was dropped, the handler never ran",
  "lost: the handler ran, its reply was dropped",
  "lost: the server was unreachable",
  "lost: the server stopped while it handled the request",
  "lost: the network was down",
  "lost: the caller abandoned the call",
  "lost: the scenario intercepted it",
];
const [IN_FLIGHT, REPLIED, REQUEST_DROPPED, REPLY_DROPPED] = [0, 1, 2, 3];

/** The usual methods and their colours. All other methods share a further colour. */
const METHOD_COLOURS = [["AppendEntries", 0], ["RequestVote", 1], ["InstallSnapshot", 2]];

function methodColour(text) {
  const known = METHOD_COLOURS.find(([name]) => app.data.run.texts[text].endsWith(name));
  return known ? known[1] : 3;
}

/** An index of the calls by time: for each block of calls, the time at which the last one of it ends. */
class CallIndex {
  static BLOCK = 256;

  constructor(calls) {
    this.calls = calls;
    this.ends = [];
    for (let i = 0; i < calls.count; i++) {
      const block = Math.floor(i / CallIndex.BLOCK);
      this.ends[block] = Math.max(this.ends[block] ?? 0, calls.sent[i], calls.delivered[i], calls.ended[i]);
    }
  }

  /** Calls `each` with every call that overlaps the interval, until it returns false. */
  forEach(from, to, each) {
    const { calls } = this;
    for (let block = 0; block < this.ends.length; block++) {
      if (this.ends[block] < from) continue;
      const first = block * CallIndex.BLOCK;
      if (calls.sent[first] > to) return;
      for (let i = first; i < Math.min(first + CallIndex.BLOCK, calls.count); i++) {
        if (calls.sent[i] > to) return;
        if (Math.max(calls.sent[i], calls.delivered[i], calls.ended[i]) < from) continue;
        if (each(i) === false) return;
      }
    }
  }
}

function isLost(outcome) {
  return outcome >= REQUEST_DROPPED;
}

/** Whether the filters show a call: its topic, and the lanes of both its ends. */
function isCallShown(call) {
  const { calls } = app.data.run;
  if (!isTopicShown(isLost(calls.outcome[call]) ? "drop" : "rpc")) return false;
  const { hiddenLanes } = app.filter;
  return !hiddenLanes.has(laneOfEnd(calls.from[call])) && !hiddenLanes.has(laneOfEnd(calls.to[call]));
}

function drawCalls(context) {
  const { data, view } = app;
  app.arrows = [];
  if (!data.run) return;
  drawWindows(context);
  const shown = [];
  app.callIndex.forEach(view.left, view.right, (call) => {
    if (isCallShown(call)) shown.push(call);
    return shown.length <= ARROWS_MAX;
  });
  if (shown.length > ARROWS_MAX) return drawDensity(context);
  context.save();
  context.beginPath();
  context.rect(GUTTER, 0, view.width - GUTTER, view.height);
  context.clip();
  for (const call of shown) drawCall(context, call);
  context.restore();
}

/** The y coordinate at which an arrow leaves or reaches a lane: the edge of its box that faces the other end. */
function anchorY(lane, other) {
  const top = lane.top - app.view.top + LANE_PADDING + 2;
  if (lane.rows.length === 0) return top + 8;
  return other.top > lane.top ? top + app.lanes.boxHeight + 1 : top - 1;
}

function drawCall(context, call) {
  const { data, view, theme, lanes, target } = app;
  const { calls } = data.run;
  const [from, to] = [laneOfEnd(calls.from[call]), laneOfEnd(calls.to[call])].map((number) => lanes.byNumber[number]);
  if (!from?.height || !to?.height) return;
  const outcome = calls.outcome[call];
  const here = { x: view.x(calls.sent[call]), y: anchorY(from, to) };
  const there = { y: from === to ? here.y + 12 : anchorY(to, from) };
  const colour = theme.calls[methodColour(calls.method[call])];
  const active = target?.kind === "call" && target.call === call;
  context.lineWidth = active ? 2.5 : 1.25;
  context.globalAlpha = active ? 1 : 0.75;
  const segment = (a, b, dashed) => {
    app.arrows.push(call, a.x, a.y, b.x, b.y);
    context.strokeStyle = context.fillStyle = colour;
    context.setLineDash(dashed ? [3, 3] : []);
    context.beginPath();
    context.moveTo(a.x, a.y);
    context.lineTo(b.x, b.y);
    context.stroke();
    context.setLineDash([]);
  };
  // A call that was not delivered ends halfway, a short time after it was sent, because its position at its loss is
  // unknown.
  const halfway = (a, b, until) => {
    const x = a.x + Math.min(Math.max((until - a.x) * 0.5, 5), 26);
    const end = { x, y: a.y + (b.y - a.y) * 0.5 };
    segment(a, end, false);
    return end;
  };
  const endedX = calls.ended[call] >= 0 ? view.x(calls.ended[call]) : view.width + 20;
  let lostAt = null;
  if (calls.delivered[call] >= 0) {
    const arrived = { x: view.x(calls.delivered[call]), y: there.y };
    segment(here, arrived, false);
    arrowHead(context, here, arrived);
    if (outcome === REPLIED) {
      const back = { x: endedX, y: here.y };
      segment(arrived, back, true);
      arrowHead(context, arrived, back);
    } else if (outcome === IN_FLIGHT) segment(arrived, { x: Math.min(endedX, arrived.x + 40), y: arrived.y }, true);
    else if (outcome === REPLY_DROPPED) lostAt = halfway(arrived, here, endedX);
    else lostAt = arrived;
  } else if (outcome === IN_FLIGHT) segment(here, { x: view.x(data.end), y: there.y }, true);
  else lostAt = halfway(here, { x: endedX, y: there.y }, endedX);
  if (lostAt) smallCross(context, lostAt.x, lostAt.y);
  context.globalAlpha = 1;
}

function arrowHead(context, from, to) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  context.beginPath();
  context.moveTo(to.x, to.y);
  for (const side of [-0.4, 0.4]) context.lineTo(to.x - 7 * Math.cos(angle + side), to.y - 7 * Math.sin(angle + side));
  context.fill();
}

function smallCross(context, x, y) {
  context.globalAlpha = 1;
  context.strokeStyle = app.theme.illegal;
  context.lineWidth = 1.75;
  context.beginPath();
  context.moveTo(x - 3.5, y - 3.5);
  context.lineTo(x + 3.5, y + 3.5);
  context.moveTo(x - 3.5, y + 3.5);
  context.lineTo(x + 3.5, y - 3.5);
  context.stroke();
}

/**
 * The number of calls that each lane sent, and lost, in each pixel. The counts are cached until the shown part
 * changes.
 */
function density() {
  const { view, data, filter } = app;
  const key = [view.left, view.scale, view.width, filter.version].join();
  if (app.density?.key === key) return app.density;
  const width = Math.ceil(view.plot) + 1;
  const sent = data.lanes.map(() => null);
  const lost = data.lanes.map(() => null);
  const { calls } = data.run;
  const first = firstWhere(0, calls.count, (i) => calls.sent[i] >= view.left);
  for (let call = first; call < calls.count && calls.sent[call] <= view.right; call++) {
    if (!isCallShown(call)) continue;
    const lane = laneOfEnd(calls.from[call]);
    const counts = isLost(calls.outcome[call]) ? lost : sent;
    counts[lane] ??= new Uint16Array(width);
    counts[lane][Math.floor((calls.sent[call] - view.left) * view.scale)]++;
  }
  app.density = { key, sent, lost };
  return app.density;
}

function drawDensity(context) {
  const { theme } = app;
  const { sent, lost } = density();
  const most = sent.reduce((max, counts) => counts?.reduce((a, b) => Math.max(a, b), max) ?? max, 1);
  for (const lane of shownLanes()) {
    const bottom = lane.top - app.view.top + lane.height;
    for (const [counts, colour, y, height] of [[sent[lane.number], theme.calls[0], bottom - 6, 4], [lost[lane.number], theme.illegal, bottom - 2, 2]]) {
      if (!counts) continue;
      context.fillStyle = colour;
      for (let x = 0; x < counts.length; x++) {
        if (!counts[x]) continue;
        context.globalAlpha = colour === theme.illegal ? 0.9 : 0.15 + 0.75 * (Math.log1p(counts[x]) / Math.log1p(most));
        context.fillRect(GUTTER + x, y, 1, height);
      }
    }
  }
  context.globalAlpha = 1;
}

/**
 * Draws the intervals in which calls are only counted: a bar along the bottom of the servers' lanes, and the number if
 * it fits.
 */
function drawWindows(context) {
  const { data, view, theme } = app;
  const lane = app.lanes.list.findLast(({ group }) => group === "server" || group === "outside");
  if (!lane || !isTopicShown("rpc")) return;
  const y = lane.top - view.top + lane.height;
  context.font = SANS;
  context.textBaseline = "middle";
  context.textAlign = "left";
  for (const { since, until, calls } of data.run.windows) {
    if (calls === 0 || until < view.left || since > view.right) continue;
    const left = Math.max(GUTTER, view.x(since));
    const width = Math.max(1, Math.min(view.width, view.x(until)) - left - 1);
    context.fillStyle = theme.strong;
    context.globalAlpha = 0.6;
    context.fillRect(left, y - 3, width, 3);
    context.globalAlpha = 1;
    const words = `${grouped(calls)} completed RPCs left out`;
    if (context.measureText(words).width + 12 < width) {
      context.fillStyle = theme.soft;
      context.fillText(words, left + 4, y - 10);
    }
  }
}

/** The arrow nearest to a point: `{ kind: "call", call }`, or null. */
function callAt(x, y) {
  const arrows = app.arrows ?? [];
  let [best, distance] = [-1, 5];
  for (let i = 0; i < arrows.length; i += 5) {
    const away = distanceToSegment(x, y, arrows[i + 1], arrows[i + 2], arrows[i + 3], arrows[i + 4]);
    if (away < distance) [best, distance] = [arrows[i], away];
  }
  return best < 0 ? null : { kind: "call", call: best };
}

/** The distance from a point to the nearest point of a line segment. */
function distanceToSegment(x, y, x1, y1, x2, y2) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}

/** The details of a call. */
function callDetails(call) {
  const { data } = app;
  const { calls, texts } = data.run;
  const times = [row("sent", formatMoment(calls.sent[call], data))];
  if (calls.delivered[call] >= 0) times.push(row("handled", `${formatMoment(calls.delivered[call], data)} (after ${formatDuration(calls.delivered[call] - calls.sent[call], data.unit)})`));
  if (calls.ended[call] >= 0) {
    const word = calls.outcome[call] === REPLIED ? "replied" : "given up";
    times.push(row(word, `${formatMoment(calls.ended[call], data)} (after ${formatDuration(calls.ended[call] - calls.sent[call], data.unit)})`));
  }
  times.push(row("request", `${grouped(calls.bytes[call])} bytes`));
  if (calls.outcome[call] === REPLIED) times.push(row("reply", `${grouped(calls.reply[call])} bytes`));
  return [
    element("h3", "", texts[calls.method[call]]),
    element("p", "where", `#${calls.number[call]}  ${nameOfEnd(calls.from[call])} → ${nameOfEnd(calls.to[call])}`),
    element("p", isLost(calls.outcome[call]) ? "stuck" : "where", OUTCOMES[calls.outcome[call]]),
    element("dl", "", ...times.flat()),
  ];
}
