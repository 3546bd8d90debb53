// The hovered item, the pinned item, the focused partition; and the moves from one item to another.
//
// The *active* item is the pinned one, or else the hovered one. The emphasised partition is that of the active item, or
// else the focused one.

class Selection {
  hovered = -1;
  pinned = -1;
  focus = -1; // a partition

  get active() {
    return this.pinned >= 0 ? this.pinned : this.hovered;
  }

  /** The emphasised partition, or -1. */
  get partition() {
    const active = this.active;
    const partition = active >= 0 ? app.data.items.partition[active] : -1;
    return partition >= 0 ? partition : this.focus;
  }

  hover(item) {
    if (item === this.hovered) return;
    this.hovered = item;
    this.changed();
  }

  /** Pins an item, or releases it if it is pinned already. */
  toggle(item) {
    this.pin(item === this.pinned ? -1 : item);
  }

  pin(item) {
    this.pinned = item;
    if (item < 0) this.hovered = -1;
    this.changed();
  }

  /** Focuses a partition; -1 focuses none. */
  focusOn(partition) {
    this.focus = partition;
    this.pinned = -1;
    this.changed();
    markFocus();
  }

  changed() {
    showTooltip();
    redraw();
  }
}

/** Makes an item visible, enlarged if it would be too small to read, and pins it. */
function goTo(item) {
  const { data, view, selection } = app;
  const { start, end } = data.items;
  selection.pin(item);
  scrollToLane(item);
  const length = end[item] - start[item];
  const visible = start[item] >= view.left && end[item] <= view.right && length * view.scale > 8;
  if (visible) return redraw();
  const scale = length > 0 && length * view.scale < 60 ? 160 / length : Math.min(view.scale, (view.plot * 0.8) / Math.max(length, 1e-9));
  view.moveTo((start[item] + end[item]) / 2, scale, true);
}

function scrollToLane(item) {
  const { scroll, view, lanes } = app;
  view.top = scroll.scrollTop;
  const top = boxTop(item);
  if (top >= 10 && top + lanes.boxHeight <= view.height - 10) return;
  scroll.scrollTop = Math.max(0, view.top + top - view.height / 2);
}

/** The number of steps before an error that a jump to it should show. */
const STEPS_BEFORE_ERROR = 5;

/**
 * The first problem in time: a failure of the run, a failed check, or an operation without a place in the order. `{
 * at, error }`, where `error` is the result of `firstError` for an operation, or null.
 */
function firstProblem() {
  const error = firstError();
  const { run } = app.data;
  let first = error ? { at: error.time, error } : null;
  for (const at of run ? [...run.failures.map((failure) => failure.at), ...run.failedChecks] : []) {
    if (!first || at < first.at) first = { at, error: null };
  }
  return first;
}

/**
 * The part of a run that a jump to its first problem shows: this fraction of it, and at least this number of
 * nanoseconds.
 */
const PROBLEM_SHARE = 1 / 40;
const PROBLEM_MIN = 250e6;

/** Shows the first problem, with the events before it. */
function jumpToFirstError() {
  const { data, view, moment } = app;
  const problem = firstProblem();
  if (!problem) return;
  moment?.pin(problem.at);
  if (problem.error) return jumpToOperation(problem.error);
  const width = Math.max(PROBLEM_MIN, (data.end - data.start) * PROBLEM_SHARE);
  const scale = Math.max(view.scale, view.plot / width);
  view.moveTo(problem.at - (view.plot * 0.25) / scale, scale, true);
  showLines();
}

/** Shows the first red mark with the steps before it. If nothing is pinned, it pins the last linearized item. */
function jumpToOperation(error) {
  const { data, view, selection } = app;
  const { times } = shownSequence(data.items.partition[error.item]);
  const length = Math.min(data.items.end[error.item], data.end) - data.items.start[error.item];
  if (selection.pinned < 0) selection.pin(error.previous >= 0 && isVisible(error.previous) ? error.previous : error.item);
  scrollToLane(error.item);
  // A readable scale is kept.
  let { scale } = view;
  if (length * scale < 60 || length * scale > view.plot) {
    const earlier = times[Math.max(0, times.length - STEPS_BEFORE_ERROR)] ?? error.time;
    scale = view.plot / (2.4 * Math.max(error.time - earlier, length, 1));
  }
  const place = (view.x(error.time) - GUTTER) / view.plot;
  if (scale !== view.scale || place < 0.15 || place > 0.85) view.moveTo(error.time, scale, true);
  else redraw();
}

/** Goes to the next (1) or the previous (-1) step of the shown sequence. */
function goToStep(direction) {
  const { selection, data } = app;
  const illegal = data.partitions.findIndex((p) => p.verdict === "illegal");
  const number = selection.partition >= 0 ? selection.partition : Math.max(illegal, 0);
  if (number >= data.partitions.length) return;
  const { first } = data.partitions[number];
  const sequence = shownSequence(number);
  if (!sequence) return;
  const step = selection.active >= 0 ? sequence.position[selection.active - first] ?? -1 : -1;
  // From a stuck operation, the way leads back to the last step.
  const stuck = selection.active >= 0 && step < 0;
  for (let i = stuck ? (direction < 0 ? sequence.operations.length - 1 : -1) : step + direction; i >= 0 && i < sequence.operations.length; i += direction) {
    const item = first + sequence.operations[i];
    if (isVisible(item)) return goTo(item);
  }
}
