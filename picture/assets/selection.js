// What is hovered, what is pinned, which partition has the focus; and the moves from one item to another.
//
// The *active* item is the pinned one, or else the hovered one. Its partition is emphasised, or else the focused one.

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

  /** Pins an item; the one that is pinned already is released. */
  toggle(item) {
    this.pin(item === this.pinned ? -1 : item);
  }

  pin(item) {
    this.pinned = item;
    if (item < 0) this.hovered = -1;
    this.changed();
  }

  /** Gives a partition the focus; -1: none. */
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

/** Brings an item into sight, with some surroundings if it would be too small to read, and pins it. */
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

/** So many steps before an error should be in sight when it is jumped to. */
const STEPS_BEFORE_ERROR = 5;

/**
 * The first that went wrong, in time: the run failed, a check failed, or an operation has no place in the order.
 * `{ at, error }`, where `error` is what `firstError` says of an operation, or null.
 */
function firstTrouble() {
  const error = firstError();
  const { run } = app.data;
  let first = error ? { at: error.time, error } : null;
  for (const at of run ? [...run.failures.map((failure) => failure.at), ...run.failedChecks] : []) {
    if (!first || at < first.at) first = { at, error: null };
  }
  return first;
}

/** So much of a run is shown when its first error is jumped to: this part of it, and at least these nanoseconds. */
const TROUBLE_SHARE = 1 / 40;
const TROUBLE_MIN = 250e6;

/** Shows the first error, with what came before it. */
function jumpToFirstError() {
  const { data, view, moment } = app;
  const trouble = firstTrouble();
  if (!trouble) return;
  moment?.pin(trouble.at);
  if (trouble.error) return jumpToOperation(trouble.error);
  const width = Math.max(TROUBLE_MIN, (data.end - data.start) * TROUBLE_SHARE);
  const scale = Math.max(view.scale, view.plot / width);
  view.moveTo(trouble.at - (view.plot * 0.25) / scale, scale, true);
  showLines();
}

/** Shows the first red mark with the steps before it, and selects what was linearized just before, if nothing is pinned. */
function jumpToOperation(error) {
  const { data, view, selection } = app;
  const { times } = shownSequence(data.items.partition[error.item]);
  const length = Math.min(data.items.end[error.item], data.end) - data.items.start[error.item];
  if (selection.pinned < 0) selection.pin(error.previous >= 0 && isVisible(error.previous) ? error.previous : error.item);
  scrollToLane(error.item);
  // A scale at which one can read already is kept.
  let { scale } = view;
  if (length * scale < 60 || length * scale > view.plot) {
    const earlier = times[Math.max(0, times.length - STEPS_BEFORE_ERROR)] ?? error.time;
    scale = view.plot / (2.4 * Math.max(error.time - earlier, length, 1));
  }
  const place = (view.x(error.time) - GUTTER) / view.plot;
  if (scale !== view.scale || place < 0.15 || place > 0.85) view.moveTo(error.time, scale, true);
  else redraw();
}

/** To the next (1) or the previous (-1) step of the sequence that is shown. */
function goToStep(direction) {
  const { selection, data } = app;
  const illegal = data.partitions.findIndex((p) => p.verdict === "illegal");
  const number = selection.partition >= 0 ? selection.partition : Math.max(illegal, 0);
  if (number >= data.partitions.length) return;
  const { first } = data.partitions[number];
  const sequence = shownSequence(number);
  if (!sequence) return;
  const step = selection.active >= 0 ? sequence.position[selection.active - first] ?? -1 : -1;
  // From an operation that is stuck, back to the last step.
  const stuck = selection.active >= 0 && step < 0;
  for (let i = stuck ? (direction < 0 ? sequence.operations.length - 1 : -1) : step + direction; i >= 0 && i < sequence.operations.length; i += direction) {
    const item = first + sequence.operations[i];
    if (isVisible(item)) return goTo(item);
  }
}
