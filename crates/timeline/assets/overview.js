// The whole history as a strip: the number of operations in progress at each time, the errors, the matches of the
// search, and a window that marks the shown part. The counts are cached until the filter, the size or the colours
// change.

const OVERVIEW_HEIGHT = 40;

/** The x coordinate of a time in the strip. */
function overviewX(time) {
  const { view, data } = app;
  return GUTTER + ((time - data.start) / (data.end - data.start)) * view.plot;
}

function overviewTime(x) {
  const { view, data } = app;
  return data.start + ((x - GUTTER) / view.plot) * (data.end - data.start);
}

/** For each pixel, the number of visible items in progress. */
function itemsInProgress() {
  const { view, data } = app;
  const width = Math.ceil(view.plot) + 1;
  const change = new Int32Array(width + 1);
  for (let item = 0; item < data.items.count; item++) {
    if (!isVisible(item)) continue;
    const first = Math.max(0, Math.floor(overviewX(data.items.start[item]) - GUTTER));
    const last = Math.min(width - 1, Math.floor(overviewX(data.items.end[item]) - GUTTER));
    change[first]++;
    change[last + 1]--;
  }
  const counts = new Int32Array(width);
  let count = 0;
  for (let x = 0; x < width; x++) counts[x] = count += change[x];
  return counts;
}

function drawOverview(context) {
  const { view, theme, data } = app;
  if (app.overview?.width !== view.width) app.overview = { width: view.width, counts: itemsInProgress() };
  const { counts } = app.overview;
  const bottom = OVERVIEW_HEIGHT - 4;
  const most = counts.reduce((max, count) => Math.max(max, count), 1);
  context.fillStyle = theme.faint;
  context.font = SANS;
  context.textBaseline = "middle";
  context.fillText("overview", 12, OVERVIEW_HEIGHT / 2);
  context.globalAlpha = 0.55;
  context.beginPath();
  context.moveTo(GUTTER, bottom);
  counts.forEach((count, x) => {
    const y = bottom - (count / most) * (bottom - 8);
    context.lineTo(GUTTER + x, y);
    context.lineTo(GUTTER + x + 1, y);
  });
  context.lineTo(GUTTER + counts.length, bottom);
  context.fill();
  context.globalAlpha = 1;

  context.fillStyle = theme.match;
  for (const item of app.search.shown(data.start, data.end)) context.fillRect(overviewX(data.items.start[item]) - 0.5, bottom - 3, 1.5, 6);
  context.fillStyle = theme.illegal;
  for (const partition of data.partitions) {
    if (partition.verdict !== "illegal" || app.filter.hiddenPartitions.has(partition.number)) continue;
    const time = Math.min(...app.linearizations[partition.number].sequence(0).stuckTimes.slice(0, 1000));
    const x = overviewX(time);
    context.fillRect(x - 1, 2, 2, bottom);
    context.beginPath();
    context.moveTo(x - 4, 2);
    context.lineTo(x + 4, 2);
    context.lineTo(x, 8);
    context.fill();
  }

  for (const at of data.run ? [...data.run.failedChecks, ...data.run.failures.map((failure) => failure.at)] : []) {
    context.fillRect(overviewX(at) - 1, 2, 2, bottom);
  }

  // The window. The time outside of it is veiled.
  const left = Math.max(GUTTER, overviewX(view.left));
  const right = Math.min(view.width, overviewX(view.right));
  context.globalAlpha = 0.7;
  context.fillStyle = theme.ground;
  context.fillRect(GUTTER, 0, left - GUTTER, OVERVIEW_HEIGHT);
  context.fillRect(right, 0, view.width - right, OVERVIEW_HEIGHT);
  context.globalAlpha = 1;
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  context.beginPath();
  context.roundRect(left + 0.75, 1.75, Math.max(3, right - left - 1.5), OVERVIEW_HEIGHT - 3.5, 3);
  context.stroke();
}
