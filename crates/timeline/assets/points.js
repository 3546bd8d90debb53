// Linearization points: a bar in each operation at the moment at which it may have taken effect, a line to the next
// bar, and, after the last one, red marks on the operations that cannot come next.

/**
 * The average distance in pixels below which the lines between points are not drawn, because they would be a dark
 * area.
 */
const POINT_DISTANCE = 3;

/** The space in pixels of a row that a point needs if the points of several partitions are to be told apart. */
const POINT_ROOM = 8;

/** The largest number of partitions with lines. If there are more, only illegal or emphasised ones have lines. */
const LINED_PARTITIONS = 4;

function drawPoints(context) {
  const { data, selection } = app;
  const emphasised = selection.partition;
  const visible = data.partitions.filter(({ number }) => !app.filter.hiddenPartitions.has(number));
  // Illegal partitions come first in the data. If there is no space for all points, theirs are drawn.
  let room = (app.view.plot * app.lanes.rowCount) / POINT_ROOM;
  for (const partition of visible) {
    if (emphasised >= 0 && partition.number !== emphasised) continue;
    const sequence = shownSequence(partition.number);
    if (!sequence) continue;
    const part = shownSteps(sequence);
    room -= part[1] - part[0];
    const lined = emphasised >= 0 || partition.verdict === "illegal" || visible.length <= LINED_PARTITIONS;
    if (room >= 0 || emphasised >= 0) drawSequence(context, partition, sequence, part, lined);
    drawStuck(context, partition, sequence, lined);
  }
}

/** The steps between the two edges, and one more on each side for the lines. */
function shownSteps({ times }) {
  const { view } = app;
  const from = Math.max(0, firstWhere(0, times.length, (i) => times[i] >= view.left) - 1);
  return [from, Math.min(times.length, firstWhere(from, times.length, (i) => times[i] > view.right) + 1)];
}

function drawSequence(context, partition, sequence, [from, to], lined) {
  const { view, theme, lanes } = app;
  const { operations, times } = sequence;
  const middle = lanes.boxHeight / 2;
  const dense = to - from > view.plot / POINT_DISTANCE;

  let last = null; // the previous point, for the line
  const bars = []; // the bars of points that can be told apart
  const painted = new Map(); // row -> the pixel of its last bar
  context.strokeStyle = theme.ink;
  context.globalAlpha = 0.55;
  context.lineWidth = 1.25;
  context.beginPath();
  for (let i = from; i < to; i++) {
    const item = partition.first + operations[i];
    if (!isVisible(item)) continue;
    const x = view.x(times[i]);
    const y = boxTop(item);
    if (lined && !dense && last) {
      context.moveTo(last.x, last.y + middle);
      context.lineTo(x, y + middle);
    }
    last = { x, y };
    if (painted.get(y) === Math.floor(x)) continue;
    painted.set(y, Math.floor(x));
    bars.push(x, y);
  }
  context.stroke();
  context.globalAlpha = dense ? 0.45 : 0.8;
  context.fillStyle = theme.ink;
  const width = dense ? 1 : 3;
  for (let i = 0; i < bars.length; i += 2) context.fillRect(bars[i] - width / 2, bars[i + 1] - 1, width, lanes.boxHeight + 2);
  context.globalAlpha = 1;
}

/** Draws the red marks. They are crosses on dashed lines, so they can be told from points without colour. */
function drawStuck(context, partition, sequence, lined) {
  const { view, theme, lanes, data } = app;
  const { operations, times, stuck, stuckTimes } = sequence;
  if (stuck.length === 0) return;
  const colour = partition.verdict === "illegal" ? theme.illegal : theme.unknown;
  const middle = lanes.boxHeight / 2;
  const end = operations.length - 1;
  const lastItem = end >= 0 ? partition.first + operations[end] : -1;
  context.strokeStyle = colour;
  context.lineWidth = 1.25;
  if (lined && lastItem >= 0 && isVisible(lastItem)) {
    const [x, y] = [view.x(times[end]), boxTop(lastItem) + middle];
    context.setLineDash([4, 3]);
    context.beginPath();
    stuck.forEach((operation, i) => {
      const item = partition.first + operation;
      if (!isVisible(item)) return;
      context.moveTo(x, y);
      context.lineTo(view.x(stuckTimes[i]), boxTop(item) + middle);
    });
    context.stroke();
    context.setLineDash([]);
  }
  context.fillStyle = colour;
  stuck.forEach((operation, i) => {
    const item = partition.first + operation;
    const x = view.x(stuckTimes[i]);
    if (!isVisible(item) || x < GUTTER - 10 || x > view.width + 10) return;
    const y = boxTop(item);
    context.fillRect(x - 1.5, y - 1, 3, lanes.boxHeight + 2);
    cross(context, x, y + middle, theme.panel, 5);
    cross(context, x, y + middle, colour, 2.5);
  });
}

function cross(context, x, y, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(x - 5, y - 5);
  context.lineTo(x + 5, y + 5);
  context.moveTo(x - 5, y + 5);
  context.lineTo(x + 5, y - 5);
  context.stroke();
  context.lineCap = "butt";
}
