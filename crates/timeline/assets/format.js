// Times and counts as text, and small helpers for the DOM.

const NARROW_SPACE = "\u202f";

const UNITS = [
  { name: "s", size: 1e9 },
  { name: "ms", size: 1e6 },
  { name: "µs", size: 1e3 },
  { name: "ns", size: 1 },
];

/** The largest unit of which `time` has at least one. */
function unitFor(time) {
  return UNITS.find((unit) => Math.abs(time) >= unit.size) ?? UNITS[UNITS.length - 1];
}

/** A number with its digits in groups of three, on both sides of the point. */
function grouped(number, decimals = 0) {
  const [whole, part] = Math.abs(number).toFixed(decimals).split(".");
  const sign = number < 0 ? "−" : "";
  const digits = sign + whole.replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE);
  return part ? `${digits}.${part.replace(/(\d{3})(?=\d)/g, `$1${NARROW_SPACE}`)}` : digits;
}

/** An exact duration. */
function formatDuration(duration, timeUnit) {
  if (timeUnit === "order") return `${grouped(duration)} ${duration === 1 ? "position" : "positions"}`;
  const unit = unitFor(duration);
  const exact = (duration / unit.size).toFixed(Math.log10(unit.size)).replace(/\.?0+$/, "");
  return `${grouped(duration / unit.size, (exact.split(".")[1] ?? "").length)} ${unit.name}`;
}

/** An exact moment, as the program gave it. */
function formatMoment(time, data) {
  if (data.unit === "order") return `position ${grouped(time)}`;
  if (data.origin === 0n) return formatDuration(time, data.unit);
  return `${formatDuration(time, data.unit)} after ${data.origin} ns`;
}

function formatCount(count, one, many = `${one}s`) {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** `text` in at most `chars` characters. */
function clipped(text, chars) {
  if (text.length <= chars) return text;
  return chars < 3 ? "" : `${text.slice(0, chars - 1)}…`;
}

/** A new element with a class and children; strings become text. */
function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/**
 * The first position in `[from, to)` at which `holds` is true. It must be false before this position and true from it
 * on.
 */
function firstWhere(from, to, holds) {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}
