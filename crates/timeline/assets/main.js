// The viewer. Its files, in the order in which they are read:
//
//     main.js           creates the parts and connects them; decides when to draw
//     unpack.js         inflates the data of the page
//     data.js           reads the data: operations and annotations
//     run.js            reads the further data of a run: RPCs and the events of each server
//     format.js         times and counts as text; small helpers for the DOM
//     theme.js          colours, light and dark
//     view.js           the shown part of time: time <-> pixels, zoom, pan
//     lanes.js          the row of each item; the item under the pointer
//     axis.js           the time axis, and the grid below it
//     boxes.js          operations and annotations as boxes
//     servers.js        the servers' lanes: faults, progress, marks
//     calls.js          RPCs as arrows, or as shade
//     linearization.js  the sequence of an operation; the times of its points; the operations that cannot come next
//     points.js         linearization points, the lines between them, and red marks
//     overview.js       the whole history as a strip, with the shown part as a window
//     selection.js      the hovered, the pinned and the focused item; the jump to the first error
//     moment.js         the moment of the state panel; steps from event to event
//     state.js          the state of a server at any time
//     panel.js          the state of all servers at the moment: Figure 7
//     lines.js          the list of events
//     tooltip.js        the details of one item
//     search.js         search, and steps through the matches
//     filters.js        the lists of partitions and clients
//     interaction.js    mouse, touch and buttons
//     keyboard.js       keys
//     link.js           the address of the page names the moment and the selection
//
// They share one scope. `app` holds their common data. Everything that the timeline shows is drawn by a list of layers
// (see `layers` below); to draw something new, add a function to the list.
//
// All text from the data reaches the page through textContent or a canvas, never as HTML.

const $ = (id) => document.getElementById(id);

const app = {};

/** The layers of the canvas of lanes, from back to front. Each layer is a function of the drawing context. */
const layers = [drawGrid, drawServers, drawBoxes, drawPoints, drawCalls, drawMarks, drawLabels, drawFailures, drawCursor, drawPinnedMoment, drawGutter];

/** Requests a new drawing. All requests before the next frame share one drawing. */
function redraw() {
  if (app.frame) return;
  app.frame = requestAnimationFrame(() => {
    app.frame = 0;
    draw();
  });
}

/** Draws everything now. */
function draw() {
  const { view, scroll } = app;
  view.top = scroll.scrollTop;
  const context = prepareContext($("lanes"), view.width, view.height);
  for (const layer of layers) layer(context);
  drawAxis(prepareContext($("axis"), view.width, AXIS_HEIGHT));
  drawOverview(prepareContext($("overview"), view.width, OVERVIEW_HEIGHT));
  drawPanel();
  placeTooltip();
  rememberInLink();
}

/** Returns the context of a canvas, cleared, at the resolution of the screen, in units of CSS pixels. */
function prepareContext(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Measures the available space, and lays out the lanes in it. */
function resize() {
  const { view, scroll } = app;
  view.resize(scroll.clientWidth, scroll.clientHeight);
  relayout();
}

/** Lays out the lanes again, after a change of the filter or of the size of the window. */
function relayout() {
  app.lanes = layOut(app.data, app.filter, app.view.height);
  // The canvas sticks to the top of the scrolling element. The spacer has the height of the lanes that the canvas does
  // not show.
  $("spacer").style.height = `${Math.max(0, app.lanes.height - app.view.height)}px`;
  app.overview = null;
  const nothing = app.data.items.count === 0 ? app.data.run ? "Nothing was recorded." : "This history has no operations." : "Nothing passes the filters.";
  $("empty").textContent = nothing;
  $("empty").hidden = app.lanes.list.length > 0;
  $("first-error").hidden = firstProblem() === null;
  redraw();
}

async function start() {
  app.data = readData(await unpack($("data").textContent));
  $("data").remove(); // it takes megabytes and is read now
  app.scroll = $("scroll");
  app.theme = readTheme();
  app.filter = new Filter(app.data);
  app.linearizations = app.data.partitions.map((partition) => new Linearizations(app.data, partition));
  app.view = new View(app.data);
  if (app.data.run) startRun(app.data);
  app.selection = new Selection();
  app.search = new Search(app.data);
  showHeader(app.data);
  showLegend(app.data);
  showFilters(app.data);
  showPanel();
  if (innerWidth <= 760) toggleFilters(); // they would cover the timeline
  resize();
  app.view.fit();
  listenToPointer();
  listenToButtons();
  listenToKeys();
  listenToLink();
  new ResizeObserver(resize).observe(app.scroll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    app.theme = readTheme();
    app.overview = null;
    redraw();
  });
  draw();
}

/** Creates the parts that only the page of a run has. */
function startRun(data) {
  app.states = data.run.servers.map((rows) => new ServerStates(rows));
  app.callIndex = new CallIndex(data.run.calls);
  app.moment = new Moment(data);
  app.lines = new Lines(data);
  for (const id of ["toggle-panel", "toggle-lines"]) $(id).hidden = false;
}

/** Shows the title, the verdict, the summary, and the data that the page leaves out. */
function showHeader(data) {
  document.title = data.title || "History";
  $("title").textContent = data.title || "History";
  $("summary").textContent = data.summary;
  $("notes").textContent = data.notes.join("  ");
  $("notes").hidden = data.notes.length === 0;
  if (data.run) return showRunHeader(data.run);
  const verdict = data.partitions.length ? worstVerdict(data.partitions) : null;
  $("verdict").textContent = verdict ? VERDICTS[verdict].word : "";
  $("verdict").className = `badge ${verdict ?? ""}`;
}

/** Shows the verdict on the run and its failures. */
function showRunHeader(run) {
  const ok = { passed: "ok", failed: "illegal" }[run.verdict] ?? "unknown";
  $("verdict").textContent = run.verdict;
  $("verdict").className = `badge ${run.verdict ? ok : ""}`;
  $("failure").hidden = run.failures.length === 0;
  $("failure").title = "Why the run failed";
  $("failure").textContent = run.failures.map(({ text }) => text).join("\n");
}

// Runs after all files have been read.
addEventListener("DOMContentLoaded", () => {
  // For use at the console, and for tests, which wait for `ready`.
  window.timeline = { app, draw, shownSequence, firstError, firstProblem, itemAt, boxTop, isVisible, trackTop, Steps, ready: start() };
});
