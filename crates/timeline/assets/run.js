// Reads the data of a run other than its history: RPCs and the events of each server (see `run/fit.rs`).
//
// Both are arrays by number, as items are. The rows of a server give its spans of role and term, which are items: boxes
// in the server's lane.

/** The kinds of events of a server, with the numbers of `run/servers.rs`. */
const EVENT = { role: 0, term: 1, vote: 2, append: 3, truncate: 4, commit: 5, apply: 6, snapshot: 7, install: 8, persist: 9, crash: 10, restart: 11, command: 12, line: 13, compact: 14, restore: 15 };

/** The roles. `RUNNING` is the role of a server that reports nothing, `CRASHED` that of a server that does not run. */
const ROLES = ["follower", "candidate", "leader", "running", "crashed"];
const [RUNNING, CRASHED] = [3, 4];

/** The topics of the record that can be hidden here. */
const TOPICS = ["rpc", "drop", "vote", "term", "lead", "log", "commit", "apply", "snapshot", "persist", "fault", "check", "client", "note", "line", "failure"];
const topicNumber = Object.fromEntries(TOPICS.map((name, number) => [name, number]));

/** The topic of each EVENT, for marks and filters. */
const EVENT_TOPIC = ["lead", "term", "vote", "log", "log", "commit", "apply", "snapshot", "snapshot", "persist", "fault", "fault", "client", "line", "log", "persist"].map((name) => topicNumber[name]);

function readRun(raw, binary) {
  const columns = new Columns(binary, raw.columns);
  const { step } = raw;
  return {
    serverCount: raw.servers,
    verdict: raw.verdict,
    end: raw.end * step,
    texts: raw.texts,
    named: raw.named,
    calls: readCalls(raw, columns),
    servers: readServers(raw, columns), // the last one: events that belong to no server
    failures: raw.failures.map(([at, server, text]) => ({ at: at * step, server, text: raw.texts[text] })),
    failedChecks: raw.failed_checks.map((at) => at * step),
    bands: raw.bands.map(([server, kind, from, to, part]) => ({ server, kind, from: from * step, to: to * step, part })),
    windows: raw.windows.map(([since, until, calls]) => ({ since: since * step, until: until * step, calls })),
  };
}

function readCalls(raw, columns) {
  const { step, shapes } = raw;
  const shape = columns.unsigned("call_shape");
  const count = shape.length;
  const sent = summed(columns.unsigned("call_sent"));
  const delivered = columns.unsigned("call_delivered"); // below it becomes a time, or -1
  const ended = columns.unsigned("call_ended");
  for (let i = 0; i < count; i++) {
    delivered[i] = delivered[i] ? sent[i] + delivered[i] - 1 : -1;
    ended[i] = ended[i] ? (delivered[i] >= 0 ? delivered[i] : sent[i]) + ended[i] - 1 : -1;
  }
  for (const times of [sent, delivered, ended]) for (let i = 0; i < count; i++) if (times[i] > 0) times[i] *= step;
  const number = columns.signed("call_number");
  for (let i = 0, next = 0; i < count; i++) next = (number[i] += next) + 1;
  const bytes = columns.signed("call_bytes");
  const reply = columns.signed("call_reply");
  for (const lengths of [bytes, reply]) {
    const last = new Float64Array(shapes.length);
    for (let i = 0; i < count; i++) lengths[i] = last[shape[i]] += lengths[i];
  }
  const of = (place) => Uint16Array.from(shape, (s) => shapes[s][place]);
  return { count, sent, delivered, ended, number, bytes, reply, from: of(0), to: of(1), method: Uint32Array.from(shape, (s) => shapes[s][2]), outcome: Uint8Array.from(shape, (s) => shapes[s][3]) };
}

/** The rows of each server: time, kind, and three values. */
function readServers(raw, columns) {
  const at = columns.unsigned("at");
  const kind = Uint8Array.from(columns.unsigned("kind"));
  const values = ["a", "b", "c"].map((name) => columns.signed(name));
  let first = 0;
  return raw.rows.map((count) => {
    const end = first + count;
    const last = values.map(() => new Float64Array(Object.keys(EVENT).length));
    let time = 0;
    for (let i = first; i < end; i++) {
      time += at[i];
      at[i] = time * raw.step;
      values.forEach((column, v) => (column[i] = last[v][kind[i]] += column[i]));
    }
    const [a, b, c] = values.map((column) => column.subarray(first, end));
    const server = { count, at: at.subarray(first, end), kind: kind.subarray(first, end), a, b, c };
    first = end;
    return server;
  });
}

/** Whether a server reports its own events, in addition to the events that the tester and the network report. */
function reportsItself(rows) {
  return rows.kind.some((kind) => kind <= EVENT.commit || kind >= EVENT.compact);
}

/** The spans of role and term of all servers: `{ server, start, end, role, term }`. */
function roleSpans(run) {
  const spans = [];
  for (let server = 0; server < run.serverCount; server++) {
    const { count, at, kind, a, b } = run.servers[server];
    const reports = reportsItself(run.servers[server]);
    let span = { server, start: 0, role: reports ? 0 : RUNNING, term: 0 };
    const change = (time, role, term) => {
      if (role === span.role && term === span.term) return;
      if (time > span.start) spans.push({ ...span, end: time });
      span = { server, start: time, role, term };
    };
    for (let i = 0; i < count; i++) {
      if (kind[i] === EVENT.role) change(at[i], a[i], b[i]);
      else if (kind[i] === EVENT.term && a[i] !== span.term) change(at[i], reports ? 0 : span.role, a[i]);
      else if (kind[i] === EVENT.vote && b[i] > span.term) change(at[i], 0, b[i]);
      else if (kind[i] === EVENT.restore) change(at[i], 0, a[i]);
      else if (kind[i] === EVENT.crash) change(at[i], CRASHED, span.term);
      else if (kind[i] === EVENT.restart) change(at[i], reports ? 0 : RUNNING, span.term);
    }
    if (run.end > span.start || spans.length === 0) spans.push({ ...span, end: Math.max(run.end, span.start) });
  }
  return spans;
}

/** Adds the spans to the items, from item `first` on, and creates the lanes of the servers. */
function readRoles(data, run, spans, first) {
  const { items, texts } = data;
  const numbers = new Map();
  const numbered = (text) => {
    if (!numbers.has(text)) numbers.set(text, texts.push(text) - 1);
    return numbers.get(text);
  };
  run.firstLane = data.lanes.length;
  for (let server = 0; server < run.serverCount; server++) data.lanes.push({ group: "server", name: `S${server}`, short: `S${server}`, server });
  const outside = run.calls.from.some((from) => from === 0) || run.named.length > 0;
  if (outside) data.lanes.push({ group: "outside", name: "clients' RPCs", short: "clients" });
  run.outsideLane = outside ? data.lanes.length - 1 : -1;
  spans.forEach(({ server, start, end, role, term }, i) => {
    const item = first + i;
    items.start[item] = start;
    items.end[item] = end;
    items.lane[item] = run.firstLane + server;
    items.role[item] = role;
    items.text[item] = numbered(role < RUNNING ? `${ROLES[role]} · term ${term}` : ROLES[role]);
  });
}

/**
 * The lane of an end of a call: 0 is a client, 1 is S0. Receivers that are not servers share the lane of the clients.
 */
function laneOfEnd(end) {
  const { run } = app.data;
  return end >= 1 && end <= run.serverCount ? run.firstLane + end - 1 : run.outsideLane;
}

function nameOfEnd(end) {
  const { run } = app.data;
  if (end === 0) return "a client";
  return end <= run.serverCount ? `S${end - 1}` : run.named[end - 1 - run.serverCount];
}
