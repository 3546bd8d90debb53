// The time axis: round numbers at readable distances, in a suitable unit.

const AXIS_HEIGHT = 26;

/** The smallest distance between two labels, in pixels. */
const TICK_DISTANCE = 110;

/** The ticks of the shown part of time: `{ step, first, size, name, decimals }`. */
function ticks() {
  const { view, data } = app;
  const least = TICK_DISTANCE / view.scale;
  const power = 10 ** Math.floor(Math.log10(least));
  let step = [1, 2, 5, 10].map((digit) => digit * power).find((candidate) => candidate >= least * 0.999);
  step = Math.max(step, 1); // no time lies between two of the smallest units
  const first = Math.ceil(view.left / step) * step;
  if (data.unit === "order") return { step, first, size: 1, name: "", decimals: 0 };
  const unit = unitFor(Math.max(Math.abs(view.left), Math.abs(view.right), step));
  const decimals = Math.max(0, Math.round(Math.log10(unit.size)) - Math.floor(Math.log10(step) + 1e-9));
  return { step, first, size: unit.size, name: ` ${unit.name}`, decimals };
}

function tickLabel(time, { size, name, decimals }) {
  const text = grouped(time / size, decimals);
  return (Number(time) === 0 ? "0" : text) + name;
}

/** Calls `each` with the time and the x coordinate of every tick. */
function forEachTick(tick, each) {
  const { view } = app;
  for (let i = 0; ; i++) {
    const time = tick.first + i * tick.step;
    const x = Math.round(view.x(time)) + 0.5;
    if (x > view.width) return;
    if (x >= GUTTER) each(time, x);
  }
}

function drawAxis(context) {
  const { view, theme, data } = app;
  context.font = SANS;
  context.textBaseline = "middle";
  context.fillStyle = theme.faint;
  context.textAlign = "left";
  context.fillText(data.unit === "order" ? "position" : "time", 12, AXIS_HEIGHT / 2);
  const tick = ticks();
  context.fillStyle = theme.soft;
  context.strokeStyle = theme.strong;
  context.beginPath();
  forEachTick(tick, (time, x) => {
    context.moveTo(x, AXIS_HEIGHT - 5);
    context.lineTo(x, AXIS_HEIGHT);
    const label = tickLabel(time, tick);
    if (x + 4 + context.measureText(label).width < view.width) context.fillText(label, x + 4, AXIS_HEIGHT / 2);
  });
  context.moveTo(0, AXIS_HEIGHT - 0.5);
  context.lineTo(view.width, AXIS_HEIGHT - 0.5);
  context.stroke();
  drawCursorTime(context, tick);
}

/** Draws the time at the pointer, above the line of drawCursor. */
function drawCursorTime(context, tick) {
  const { view, theme, cursor } = app;
  if (!cursor || cursor.x < GUTTER) return;
  const fine = { ...tick, decimals: Math.min(tick.decimals + 2, Math.round(Math.log10(tick.size))) };
  const label = tickLabel(app.data.unit === "order" ? Math.round(view.time(cursor.x)) : view.time(cursor.x), fine);
  const width = context.measureText(label).width + 12;
  const left = Math.min(Math.max(cursor.x - width / 2, GUTTER), view.width - width);
  context.fillStyle = theme.ink;
  context.beginPath();
  context.roundRect(left, 4, width, AXIS_HEIGHT - 8, 4);
  context.fill();
  context.fillStyle = theme.panel;
  context.fillText(label, left + 6, AXIS_HEIGHT / 2);
}

/** The back layer: a stripe for every other lane, and a line for every tick. */
function drawGrid(context) {
  const { view, theme } = app;
  context.fillStyle = theme.panel;
  context.fillRect(0, 0, view.width, view.height);
  context.fillStyle = theme.stripe;
  for (const lane of shownLanes()) {
    if (lane.position % 2 === 1) context.fillRect(0, lane.top - view.top, view.width, lane.height);
  }
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.beginPath();
  forEachTick(ticks(), (_, x) => {
    context.moveTo(x, 0);
    context.lineTo(x, view.height);
  });
  context.stroke();
}

function drawCursor(context) {
  const { cursor, view, theme } = app;
  if (!cursor || cursor.x < GUTTER) return;
  context.strokeStyle = theme.faint;
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(Math.round(cursor.x) + 0.5, 0);
  context.lineTo(Math.round(cursor.x) + 0.5, view.height);
  context.stroke();
  context.setLineDash([]);
}

/** The front layer: the names of the lanes. */
function drawGutter(context) {
  const { view, theme, lanes } = app;
  context.fillStyle = theme.panel;
  context.fillRect(0, 0, GUTTER, view.height);
  context.strokeStyle = theme.strong;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(GUTTER - 0.5, 0);
  context.lineTo(GUTTER - 0.5, view.height);
  for (const lane of shownLanes()) {
    // The divider between clients and tags.
    if (lane.position > 0 && lane.group !== lanes.list[lane.position - 1].group) {
      const y = Math.round(lane.top - view.top - 4) + 0.5;
      context.moveTo(0, y);
      context.lineTo(view.width, y);
    }
  }
  context.stroke();
  context.font = SANS;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const active = app.selection.active;
  for (const lane of shownLanes()) {
    const on = active >= 0 && app.data.items.lane[active] === lane.number;
    context.fillStyle = on ? theme.ink : theme.soft;
    context.fillText(clipped(lane.name, 16), 12, lane.top - view.top + lane.height / 2, GUTTER - 18);
  }
}
