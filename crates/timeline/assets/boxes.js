// Operations and annotations as boxes.
//
// A box narrower than a few pixels is drawn as a sliver. Slivers on the same pixel are drawn once. So the cost of a
// frame is bounded by the number of visible pixels, plus one comparison for each item between the two edges.

/** The width in pixels below which a box is a sliver: without outline, rounding or gap. */
const SLIVER = 3;

/** The free space in pixels on both sides with which a sliver is drawn wider. */
const ALONE = 8;

/** The smallest width in pixels in which the beginning of a description is worth drawing. */
const LABEL_MIN = 36;

/** The same width for a role, which may be drawn as its term alone. */
const ROLE_LABEL_MIN = 26;

function drawBoxes(context) {
  const { selection } = app;
  app.labels = []; // boxes that have room for a text; drawLabels writes them above the linearization points
  const emphasised = selection.partition;
  for (const lane of shownLanes()) {
    for (const row of lane.rows) {
      const [from, to] = shownPart(row, app.view.left, app.view.right);
      if (emphasised < 0) drawRow(context, row, from, to, () => true);
      else {
        const belongs = (item) => app.data.items.partition[item] === emphasised || item >= app.data.operationCount;
        context.globalAlpha = 0.2;
        drawRow(context, row, from, to, (item) => !belongs(item));
        context.globalAlpha = 1;
        drawRow(context, row, from, to, belongs);
      }
    }
  }
  drawOutlines(context);
}

/** Draws the items of a row for which `wanted` is true. */
function drawRow(context, row, from, to, wanted) {
  if (from >= to) return;
  const { view, data, lanes } = app;
  const { start, end } = data.items;
  const y = boxTop(row[from]);
  const height = lanes.boxHeight;
  if (y + height < 0 || y > view.height) return;
  const alpha = context.globalAlpha;
  let painted = -Infinity; // slivers of this row have been drawn up to this pixel
  for (let i = from; i < to; i++) {
    const item = row[i];
    const right = view.x(end[item]);
    if (right <= painted || !wanted(item)) continue;
    const left = view.x(start[item]);
    if (right - left >= SLIVER) drawBox(context, item, left, right, y, height);
    else if (item >= data.operationCount && start[item] === end[item]) {
      drawMoment(context, item, left, y, height, row[i + 1]);
      painted = left + 0.5;
    } else {
      // A short operation without neighbours is drawn wide enough to be visible.
      const alone = left - painted > ALONE && (i + 1 === to || view.x(start[row[i + 1]]) - right > ALONE);
      const pixel = Math.floor(Math.max(left, painted)) - (alone ? 2 : 0);
      const width = Math.max(alone ? 5 : 1, right - pixel - 0.5);
      context.fillStyle = colours(item).line;
      // Adjacent slivers are drawn fainter, because together they would dominate.
      context.globalAlpha = alone ? alpha : alpha * 0.6;
      context.fillRect(pixel, y, width, height);
      context.globalAlpha = alpha;
      painted = pixel + Math.ceil(width);
    }
  }
}

/** The colours of an item's box: `{ fill, line, ink }`. */
function colours(item) {
  const { data, theme } = app;
  if (item < data.operationCount) return { ...theme.kinds[data.items.kind[item]], ink: theme.ink };
  if (data.items.role[item] >= 0) return { ...theme.roles[data.items.role[item]], ink: data.items.role[item] === CRASHED ? "#ffffff" : theme.ink };
  const given = data.items.colour[item];
  if (given < 0) return { fill: theme.note, line: theme.strong, ink: theme.ink };
  const colour = givenColour(given);
  return { fill: colour.fill, line: theme.dark ? colour.fill : "rgb(0 0 0 / 0.25)", ink: colour.ink };
}

function drawBox(context, item, left, right, y, height) {
  const { view, data } = app;
  const colour = colours(item);
  const open = data.items.open[item] === 1;
  // Half a pixel on each side, so that boxes that touch in time do not touch on the screen. Edges far outside of the
  // canvas are clamped, because a canvas is inexact with huge numbers.
  const x = Math.max(left + 0.5, -50);
  const width = Math.min(right - 0.5, view.width + 50) - x;
  context.fillStyle = colour.fill;
  context.strokeStyle = colour.line;
  context.lineWidth = 1;
  context.beginPath();
  if (open) {
    // Without a return there is no right edge, and the outline is dashed.
    context.rect(x + 0.5, y + 0.5, width, height - 1);
    context.fill();
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(x + width, y + 0.5);
    context.lineTo(x + 0.5, y + 0.5);
    context.lineTo(x + 0.5, y + height - 0.5);
    context.lineTo(x + width, y + height - 0.5);
    context.stroke();
    context.setLineDash([]);
  } else {
    context.roundRect(x + 0.5, y + 0.5, Math.max(0.5, width - 1), height - 1, Math.min(4, width / 4));
    context.fill();
    context.stroke();
  }
  if (width >= (data.items.role[item] >= 0 ? ROLE_LABEL_MIN : LABEL_MIN) && context.globalAlpha === 1) {
    // The text of a box that begins to the left of the plot stays visible.
    const from = Math.max(x, GUTTER) + 6;
    app.labels.push({ item, x: from, y: y + height / 2, room: Math.min(x + width, view.width) - from - 5, ink: colour.ink, halo: colour.fill });
  }
}

/** Draws a moment: a diamond, and its text on the right, up to the next item. */
function drawMoment(context, item, x, y, height, next) {
  const { view, data } = app;
  const colour = colours(item);
  const middle = y + height / 2;
  context.fillStyle = colour.fill;
  context.strokeStyle = app.theme.soft;
  context.beginPath();
  context.moveTo(x, middle - 6);
  context.lineTo(x + 6, middle);
  context.lineTo(x, middle + 6);
  context.lineTo(x - 6, middle);
  context.closePath();
  context.fill();
  context.stroke();
  const room = (next === undefined ? view.width : view.x(data.items.start[next])) - x - 18;
  if (room >= LABEL_MIN && x >= GUTTER - 6) {
    app.labels.push({ item, x: x + 10, y: middle, room, ink: app.theme.ink, halo: null });
  }
}

/** Draws the texts of the boxes, clipped to the boxes, with a halo, so that a point below hides no letter. */
function drawLabels(context) {
  const { data } = app;
  context.font = MONO;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const char = (app.charWidth ??= context.measureText("0").width);
  for (const { item, x, y, room, ink, halo } of app.labels) {
    const whole = data.texts[data.items.text[item]];
    // If a role does not fit, its colour identifies it, and only its term is drawn.
    const short = data.items.role[item] >= 0 && whole.length * char > room;
    const text = clipped(short ? whole.replace(/^.* term /, "t") : whole, Math.floor(room / char));
    if (!text) continue;
    if (halo) {
      context.strokeStyle = halo;
      context.lineWidth = 3;
      context.globalAlpha = 0.75;
      context.strokeText(text, x, y, room);
      context.globalAlpha = 1;
    }
    context.fillStyle = ink;
    context.fillText(text, x, y, room);
  }
}

/** Draws a thick outline around the pinned and the hovered item, and a thin one around each match of the search. */
function drawOutlines(context) {
  const { selection, search, view, theme } = app;
  const outline = (item, colour, width) => {
    const [left, right] = [view.x(app.data.items.start[item]), view.x(app.data.items.end[item])];
    const x = Math.max(left - 1, -50);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.roundRect(x, boxTop(item) - 1, Math.max(5, Math.min(right + 1, view.width + 50) - x), app.lanes.boxHeight + 2, 5);
    context.stroke();
  };
  for (const item of search.shown(view.left, view.right)) outline(item, theme.match, 2);
  if (selection.hovered >= 0 && isVisible(selection.hovered)) outline(selection.hovered, theme.soft, 1.5);
  if (selection.pinned >= 0 && isVisible(selection.pinned)) outline(selection.pinned, theme.ink, 2.5);
}
