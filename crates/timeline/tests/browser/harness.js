// Runs inside a page, after its viewer: helpers that imitate a person's input, and a report that the Rust test reads.

const { app, draw, shownSequence, firstError, itemAt, boxTop, isVisible } = window.timeline;
const lanes = document.getElementById("lanes");
const report = [];

/** Fails the running test unless `value` is true. */
function check(value, what) {
  if (!value) throw new Error(what);
}

function same(seen, expected, what) {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(expected)];
  check(a === b, `${what}: expected ${b}, saw ${a}`);
}

/** Like `same`, for numbers that were converted to pixels and back. */
function close(seen, expected, tolerance, what) {
  check(Math.abs(seen - expected) <= tolerance, `${what}: expected about ${expected}, saw ${seen}`);
}

/** Waits for animations (a fifth of a second) and the delayed link. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 600));

/** The middle of an item's box on the canvas, or the point at the given share of its length. */
function middle(item, share = 0.5) {
  const { start, end } = app.data.items;
  return { x: app.view.x(start[item] + (end[item] - start[item]) * share), y: boxTop(item) + app.lanes.boxHeight / 2 };
}

function at({ x, y }, more = {}) {
  const area = lanes.getBoundingClientRect();
  return { clientX: area.left + x, clientY: area.top + y, bubbles: true, cancelable: true, pointerId: 1, button: 0, ...more };
}

const pointer = (type, place, more) => lanes.dispatchEvent(new PointerEvent(type, at(place, more)));
const wheel = (place, more) => lanes.dispatchEvent(new WheelEvent("wheel", at(place, more)));
const move = (place) => pointer("pointermove", place);

function click(place) {
  move(place);
  pointer("pointerdown", place);
  pointer("pointerup", place);
}

function drag(from, to) {
  pointer("pointerdown", from);
  pointer("pointermove", { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 });
  pointer("pointermove", to);
  pointer("pointerup", to);
}

const key = (name, target = document.body, more = {}) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));

const element = (id) => document.getElementById(id);
const text = (id) => element(id).textContent;
const shown = (id) => !element(id).hidden && element(id).getClientRects().length > 0;

function type(query) {
  element("search").value = query;
  element("search").dispatchEvent(new Event("input", { bubbles: true }));
}

/** A point of the canvas without an item. */
const background = () => ({ x: app.view.width - 3, y: app.view.height - 3 });

/** The colour of a pixel of the canvas as [red, green, blue]. */
function pixel({ x, y }) {
  draw();
  const ratio = window.devicePixelRatio;
  return [...lanes.getContext("2d").getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data].slice(0, 3);
}

/** A CSS colour of the theme as [red, green, blue]. */
function colour(value) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = value;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

/** Whether two colours look the same. */
const alike = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 12);

/** Restores the initial state of the page. */
async function reset() {
  lanes.dispatchEvent(new PointerEvent("pointerleave", { pointerId: 1 }));
  if (element("help").open) element("help").close();
  for (let i = 0; i < 4; i++) key("Escape");
  for (const button of document.querySelectorAll("#filters h2 button:nth-of-type(1)")) button.click();
  type("");
  element("search").blur();
  app.view.fit();
  draw();
}

async function test(sentence, body) {
  try {
    await reset();
    await body();
    report.push(`ok ${sentence}`);
  } catch (error) {
    report.push(`FAILED ${sentence}: ${error.message}`);
  }
}

/** Writes the report where the Rust test finds it. */
function finish() {
  for (const error of window.consoleErrors) report.push(`FAILED without an error on the console: ${error}`);
  const pre = document.createElement("pre");
  pre.id = "report";
  pre.textContent = [...report, "the end"].join("\n");
  document.body.append(pre);
}
