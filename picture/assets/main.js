// The viewer. Its files, in the order in which they are read:
//
//   main.js           makes the parts and joins them; decides when to draw
//   data.js           reads the data of the page
//   format.js         times and counts as text; small helpers for the DOM
//   theme.js          colours, light and dark
//   view.js           which part of time is shown: time <-> pixels, zoom, pan
//   lanes.js          which item lies in which row; what is under the pointer
//   axis.js           the time axis, and the grid below it
//   boxes.js          operations and annotations as boxes
//   linearization.js  which sequence belongs to an operation; where its points lie; what cannot come next
//   points.js         linearization points, the lines between them, and red marks
//   overview.js       the whole history as a strip, with the shown part as a window
//   selection.js      what is hovered, pinned, focused; the jump to the first error
//   tooltip.js        what is known about one item
//   search.js         search, and stepping through what it found
//   filters.js        the lists of partitions and clients
//   interaction.js    mouse, touch and buttons
//   keyboard.js       keys
//   link.js           the address of the page names the moment and the selection
//
// They share one scope. `app` holds what they have in common. What the picture shows besides boxes is a list of layers
// (see `layers` below): a further kind of drawing is a further function in it.
//
// All text from the data reaches the page through textContent or a canvas, never as HTML.

const $ = (id) => document.getElementById(id);

const app = {};

/** Draws the canvas of lanes, from back to front. Each layer is a function of the drawing context. */
const layers = [drawGrid, drawBoxes, drawPoints, drawLabels, drawCursor, drawGutter];

/** Asks for a new drawing; any number of requests before the next frame give one. */
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
  const context = prepared($("lanes"), view.width, view.height);
  for (const layer of layers) layer(context);
  drawAxis(prepared($("axis"), view.width, AXIS_HEIGHT));
  drawOverview(prepared($("overview"), view.width, OVERVIEW_HEIGHT));
  placeTooltip();
  rememberInLink();
}

/** The context of a canvas, cleared, at the resolution of the screen, in units of CSS pixels. */
function prepared(canvas, width, height) {
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

/** Measures the room there is, and lays out the lanes in it. */
function resize() {
  const { view, scroll } = app;
  view.resize(scroll.clientWidth, scroll.clientHeight);
  relayout();
}

/** Lays out the lanes anew: after a filter or the size of the window has changed. */
function relayout() {
  app.lanes = layOut(app.data, app.filter, app.view.height);
  // The canvas sticks to the top of the scrolling element; what it does not show of the lanes is the spacer's height.
  $("spacer").style.height = `${Math.max(0, app.lanes.height - app.view.height)}px`;
  app.overview = null;
  const nothing = app.data.items.count === 0 ? "This history has no operations." : "Nothing passes the filters.";
  $("empty").textContent = nothing;
  $("empty").hidden = app.lanes.list.length > 0;
  $("first-error").hidden = firstError() === null;
  redraw();
}

function start() {
  app.data = readData(JSON.parse($("data").textContent));
  app.scroll = $("scroll");
  app.theme = readTheme();
  app.filter = new Filter(app.data);
  app.linearizations = app.data.partitions.map((partition) => new Linearizations(app.data, partition));
  app.view = new View(app.data);
  app.selection = new Selection();
  app.search = new Search(app.data);
  showHeader(app.data);
  showLegend(app.data);
  showFilters(app.data);
  if (innerWidth <= 760) toggleFilters(); // they would cover the picture
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

/** Title, verdict, summary, and what was left out of the page. */
function showHeader(data) {
  document.title = data.title || "History";
  $("title").textContent = data.title || "History";
  $("summary").textContent = [data.summary, ...data.notes].filter(Boolean).join("  ·  ");
  const verdict = data.partitions.length ? worstVerdict(data.partitions) : null;
  $("verdict").textContent = verdict ? VERDICTS[verdict].word : "";
  $("verdict").className = `badge ${verdict ?? ""}`;
}

// After all files have been read.
addEventListener("DOMContentLoaded", () => {
  start();
  // For a person at the console, and for tests.
  window.picture = { app, draw, shownSequence, firstError, itemAt, boxTop, isVisible };
});
