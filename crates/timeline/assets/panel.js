// The state panel: at one moment, the role, term and vote of each server, and its log as a row of boxes with terms, as
// in Figure 7 of the paper. Equal indexes are below each other in all rows. A committed entry has a solid frame, an
// applied entry a bar below it, and the entries that a snapshot covers are one grey box.

/** The width of an entry's box in pixels; style.css has the same number. */
const ENTRY_WIDTH = 26;

/** The number of terms with different colours. Then the colours repeat. */
const TERM_COLOURS = 6;

function showPanel() {
  const { data, moment } = app;
  $("panel").hidden = !data.run || data.run.serverCount === 0;
  if (data.run && moment) drawPanel();
}

/** Draws the panel again if the state at the moment has changed. */
function drawPanel() {
  const { data, moment, states, filter } = app;
  if ($("panel").hidden) return;
  const { time } = moment;
  $("panel-time").textContent = formatMoment(Math.round(time), data);
  $("panel-pinned").textContent = moment.pinned === null ? "" : "pinned";
  const shown = states.map((_, server) => server).filter((server) => server < data.run.serverCount && !filter.hiddenLanes.has(data.run.firstLane + server));
  const counts = shown.map((server) => states[server].rowsUntil(time));
  const faults = shown.map((server) => faultAt(server, time));
  const room = Math.max(4, Math.floor(($("panel-rows").clientWidth - 470) / ENTRY_WIDTH));
  const key = [shown, counts, faults, room].join("|");
  if (app.panelKey === key) return;
  app.panelKey = key;
  const now = shown.map((server, i) => states[server].stateAfter(counts[i]));
  const last = Math.max(0, ...now.map((state) => state.last));
  // Shows the end of the longest log, unless the commit indexes, which matter more, would then be out of sight to the
  // left.
  const commits = now.map((state) => state.commit).filter((commit) => commit > 0);
  const wanted = Math.max(1, last - room + 1);
  const first = Math.max(1, Math.min(wanted, Math.max(1, Math.min(...commits, last) - 3)), last - room * 2 + 1);
  $("panel-rows").replaceChildren(indexRow(first, last, room), ...shown.map((server, i) => stateRow(server, now[i], counts[i], faults[i], first, room)));
}

/** The fault of a server at a time: empty, or the label of its band. */
function faultAt(server, time) {
  const band = app.data.run.bands.find((band) => band.server === server && band.from <= time && time < band.to);
  return band ? (band.kind === 0 ? `part ${band.part + 1}` : BAND_LABELS[band.kind]) : "";
}

function indexRow(first, last, room) {
  const row = element("div", "state-row indexes", element("span", "who"), element("span", "facts", last > 0 ? "index" : ""));
  const log = element("span", "log");
  // As many numbers as fit.
  const every = String(last).length <= 3 ? 1 : String(last).length <= 6 ? 2 : 4;
  for (let index = first; index <= Math.min(last, first + room - 1); index++) log.append(element("span", "entry", (last - index) % every === 0 ? String(index) : ""));
  row.append(log);
  return row;
}

function stateRow(server, state, count, fault, first, room) {
  const { states } = app;
  const reports = states[server].reports;
  const role = fault === "crashed" || !state.alive ? "crashed" : reports || state.role ? ROLES[state.role] : "running";
  const who = element("span", "who", element("b", "", `S${server}`), element("span", `role ${role}`, role));
  const facts = [reports || state.term ? `term ${state.term}` : "", state.vote >= 0 ? `voted S${state.vote}` : "", `commit ${state.commit}`, `applied ${state.applied}`];
  if (fault && fault !== "crashed") facts.push(fault);
  const row = element("div", "state-row", who, element("span", "facts", facts.filter(Boolean).join(" · ")), logBoxes(state, first, room));
  row.dataset.server = server;
  const before = states[server].rows;
  row.title = count > 0 ? `last event: ${describeRow(server, count - 1)}, at ${formatMoment(before.at[count - 1], app.data)}` : "no event yet";
  row.classList.toggle("dead", role === "crashed");
  row.classList.toggle("cut", fault === BAND_LABELS[1]);
  return row;
}

function logBoxes(state, first, room) {
  const log = element("span", "log");
  const until = Math.min(state.last, first + room - 1);
  if (state.base >= first) {
    const covered = Math.min(state.base, first + room - 1) - first + 1;
    const box = element("span", "entry snapshot", covered > 2 ? `snapshot ..${state.base}` : "▒");
    box.style.width = `${covered * ENTRY_WIDTH - 2}px`;
    log.append(box);
  }
  for (let index = Math.max(first, state.base + 1); index <= until; index++) {
    const term = termAt(state, index);
    const box = element("span", "entry", term ? String(term) : "?");
    box.style.background = `var(--kind-${term ? (term % TERM_COLOURS) + 1 : 0}-fill)`;
    if (index <= state.commit) box.classList.add("committed");
    if (index <= state.applied) box.classList.add("applied");
    log.append(box);
  }
  if (state.last > until) log.append(element("span", "entry rest", `… ${state.last}`));
  else if (state.last < first && state.last > state.base) log.append(element("span", "entry rest", `ends at ${state.last}`));
  return log;
}

function togglePanel() {
  $("panel").hidden = !$("panel").hidden || !app.data.run;
  $("toggle-panel").setAttribute("aria-expanded", String(!$("panel").hidden));
  app.panelKey = null;
  resize();
}
