// The moment of the state panel: the last time at which the pointer was, or the time that a click has pinned. Arrow
// keys step from one event of the visible servers to the next.

class Moment {
  pinned = null; // a time
  seen = null; // the last time at the pointer

  constructor(data) {
    this.data = data;
    // The times of all events of servers and of all faults, in order.
    const times = new Set();
    for (const server of data.run.servers) for (const at of server.at) times.add(at);
    for (const { from, to } of data.run.bands) times.add(from).add(to);
    for (const { at } of data.run.failures) times.add(at);
    this.times = Float64Array.from(times).sort();
  }

  get time() {
    if (this.pinned !== null) return this.pinned;
    const { cursor, view } = app;
    if (cursor && cursor.x >= GUTTER) this.seen = Math.min(Math.max(view.time(cursor.x), this.data.start), this.data.end);
    return this.seen ?? this.data.end;
  }

  pin(time) {
    this.pinned = time === null ? null : Math.min(Math.max(time, this.data.start), this.data.end);
    if (time !== null) this.seen = this.pinned;
    redraw();
  }

  /** Handles a click: pins its time, or releases the pinned time. */
  click(x) {
    const near = this.pinned !== null && Math.abs(app.view.x(this.pinned) - x) < 5;
    this.pin(near ? null : app.view.time(x));
  }

  /** Goes to the next (1) or the previous (-1) time of an event of a visible server. */
  step(direction) {
    const { times } = this;
    const from = this.time;
    let at = direction > 0 ? firstWhere(0, times.length, (i) => times[i] > from) : firstWhere(0, times.length, (i) => times[i] >= from) - 1;
    while (at >= 0 && at < times.length && !this.hasVisibleEvent(times[at])) at += direction;
    if (at < 0 || at >= times.length) return;
    this.pin(times[at]);
    const { view } = app;
    const x = view.x(times[at]);
    if (x < GUTTER + 20 || x > view.width - 20) view.moveTo(times[at], view.scale, true);
  }

  hasVisibleEvent(time) {
    const { run } = this.data;
    return run.servers.some((rows, server) => {
      if (server < run.serverCount && app.filter.hiddenLanes.has(run.firstLane + server)) return false;
      const i = firstWhere(0, rows.count, (r) => rows.at[r] >= time);
      for (let row = i; row < rows.count && rows.at[row] === time; row++) if (!app.filter.hiddenTopics.has(EVENT_TOPIC[rows.kind[row]])) return true;
      return false;
    }) || run.failures.some(({ at }) => at === time) || (isTopicShown("fault") && run.bands.some(({ from, to }) => from === time || to === time));
  }
}

function drawPinnedMoment(context) {
  const { moment, view, theme } = app;
  if (!moment || moment.pinned === null) return;
  const x = Math.round(view.x(moment.pinned)) + 0.5;
  if (x < GUTTER) return;
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  context.setLineDash([5, 3]);
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, view.height);
  context.stroke();
  context.setLineDash([]);
}
