// Lanes and their rows: the position of each item, and the item at a point.
//
// A lane has as many rows as it has simultaneous items. So in each row items follow each other, and both their starts
// and their ends are sorted. Drawing and pointing therefore use binary search.

const LANE_PADDING = 5;

/** The groups of lanes, from the top. */
const GROUPS = ["server", "outside", "tester", "client", "tag"];

/** Lays out the items that pass the filter. */
function layOut(data, filter, height) {
  const { items } = data;
  const lanes = data.lanes.map((lane, number) => ({ ...lane, number, rows: [], ends: [], track: trackHeight(lane) }));
  const rowOf = new Int32Array(items.count).fill(-1);
  for (const item of items.byStart) {
    if (!filter.passes(item)) continue;
    const lane = lanes[items.lane[item]];
    let row = lane.ends.findIndex((last) => follows(items, last, item));
    if (row < 0) row = lane.rows.push([]) - 1;
    lane.rows[row].push(item);
    lane.ends[row] = item;
    rowOf[item] = row;
  }
  const list = lanes.filter((lane) => lane.rows.length > 0 || (lane.track > 0 && !filter.hiddenLanes.has(lane.number)));
  list.sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) || a.number - b.number);
  const rowCount = list.reduce((sum, lane) => sum + lane.rows.length, 0);
  const room = (height - 8 - list.reduce((sum, lane) => sum + lane.track + 2 * LANE_PADDING, 0)) / Math.max(1, rowCount);
  const rowHeight = Math.min(30, Math.max(20, Math.floor(room)));
  let top = 4;
  for (const [position, lane] of list.entries()) {
    lane.position = position;
    lane.top = top;
    // There is a gap between clients and tags.
    if (position > 0 && lane.group !== list[position - 1].group) lane.top += 8;
    lane.height = lane.rows.length * rowHeight + lane.track + 2 * LANE_PADDING;
    top = lane.top + lane.height;
  }
  return { byNumber: lanes, list, rowOf, rowCount, rowHeight, height: top + 4, boxHeight: rowHeight - 4 };
}

/**
 * Whether `item` may follow `last` in a row. Intervals include both ends, so items that touch overlap in one moment.
 * They are drawn beside each other with a gap, unless one of them is only a moment and would be covered.
 */
function follows(items, last, item) {
  const [end, start] = [items.end[last], items.start[item]];
  if (start !== end) return start > end;
  return items.start[last] < end && items.end[item] > start;
}

/** The top of an item's box, in pixels from the top of the canvas. */
function boxTop(item) {
  const { lanes, data, view } = app;
  const lane = lanes.byNumber[data.items.lane[item]];
  return lane.top - view.top + LANE_PADDING + lanes.rowOf[item] * lanes.rowHeight + 2;
}

function isVisible(item) {
  return app.lanes.rowOf[item] >= 0;
}

/** The lanes that the canvas shows. */
function shownLanes() {
  const { lanes, view } = app;
  const from = firstWhere(0, lanes.list.length, (i) => lanes.list[i].top + lanes.list[i].height > view.top);
  const to = firstWhere(from, lanes.list.length, (i) => lanes.list[i].top >= view.top + view.height);
  return lanes.list.slice(from, to);
}

/** The range of positions in `row` of the items that overlap the interval. */
function shownPart(row, from, to) {
  const { start, end } = app.data.items;
  const first = firstWhere(0, row.length, (i) => end[row[i]] >= from);
  return [first, firstWhere(first, row.length, (i) => start[row[i]] > to)];
}

/** The item at a point of the canvas, or -1. A narrow box is also found a few pixels beside it. */
function itemAt(x, y) {
  const { lanes, view, data } = app;
  if (x < GUTTER || x > view.width) return -1;
  const depth = y + view.top;
  const lane = lanes.list[firstWhere(0, lanes.list.length, (i) => lanes.list[i].top + lanes.list[i].height > depth)];
  if (!lane || depth < lane.top) return -1;
  const row = lane.rows[Math.floor((depth - lane.top - LANE_PADDING) / lanes.rowHeight)];
  if (!row) return -1;
  const { start, end } = data.items;
  const reach = 4 / view.scale;
  const time = view.time(x);
  const [from, to] = shownPart(row, time - reach, time + reach);
  let [best, distance] = [-1, Infinity];
  for (let i = from; i < to; i++) {
    const away = Math.max(start[row[i]] - time, time - end[row[i]], 0);
    if (away < distance) [best, distance] = [row[i], away];
  }
  return best;
}

/** The item before (-1) or after (1) an item in its row, or the item itself. */
function neighbour(item, direction) {
  const row = app.lanes.byNumber[app.data.items.lane[item]].rows[app.lanes.rowOf[item]];
  return row?.[row.indexOf(item) + direction] ?? item;
}
