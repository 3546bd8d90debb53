// Mouse, touch and buttons.

/** The distance in pixels beyond which a press is a drag, not a click. */
const DRAG_MIN = 4;

function listenToPointer() {
  const canvas = $("lanes");
  const pointers = new Map(); // pressed pointers: id -> { x, y }
  let press = null; // its starting point and its state
  const place = (event) => {
    const area = canvas.getBoundingClientRect();
    return { x: event.clientX - area.left, y: event.clientY - area.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const at = place(event);
    pointers.set(event.pointerId, at);
    press = { at, item: itemAt(at.x, at.y), dragged: pointers.size > 1 };
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    app.cursor = at;
    const before = pointers.get(event.pointerId);
    if (!before) {
      hover(at);
      canvas.style.cursor = app.selection.hovered >= 0 || app.target ? "pointer" : "";
      return redraw();
    }
    if (pointers.size === 2) pinch(pointers, event.pointerId, at);
    else if (press.dragged || Math.hypot(at.x - press.at.x, at.y - press.at.y) > DRAG_MIN) {
      if (!press.dragged) capture(canvas, event);
      press.dragged = true;
      canvas.style.cursor = "grabbing";
      app.view.pan(at.x - before.x);
      app.scroll.scrollTop -= at.y - before.y;
    }
    pointers.set(event.pointerId, at);
  });
  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && !press.dragged) {
      if (press.item >= 0) app.selection.toggle(press.item);
      else app.selection.pin(-1);
      if (app.moment && press.at.x >= GUTTER) {
        app.moment.click(press.at.x);
        showLines();
      }
    }
    canvas.style.cursor = "";
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", (event) => {
    pointers.delete(event.pointerId); // leaving ends a press; a drag never leaves, because it is captured
    app.cursor = null;
    app.target = null;
    app.selection.hover(-1);
    showTooltip();
    redraw();
  });
  canvas.addEventListener("wheel", (event) => turnWheel(event, place(event)), { passive: false });
  app.scroll.addEventListener("scroll", redraw);
  listenToOverview();
}

/** Finds the target at the pointer: an item, or else a mark, an RPC, or the band of a fault. */
function hover(at) {
  const item = itemAt(at.x, at.y);
  const before = app.target;
  app.target = item < 0 && app.data.run && at.x >= GUTTER ? markAt(at.x, at.y) ?? callAt(at.x, at.y) ?? failureAt(at.x) ?? bandAt(at.x, at.y) : null;
  app.selection.hover(item);
  if (app.target || before) showTooltip();
}

/** Directs all further events of this pointer to `canvas`. Events made by a script have no pointer to capture. */
function capture(canvas, event) {
  if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
}

/** Zooms with two fingers: the times below them stay below them. */
function pinch(pointers, id, at) {
  const [other] = [...pointers].filter(([key]) => key !== id).map(([, value]) => value);
  const before = pointers.get(id);
  const [old, now] = [Math.abs(before.x - other.x), Math.abs(at.x - other.x)];
  if (old > 5 && now > 5) app.view.zoom(now / old, other.x);
}

function turnWheel(event, at) {
  if (at.x < GUTTER) return; // the browser scrolls the lanes
  event.preventDefault();
  const pixels = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
  const [dx, dy] = [event.deltaX * pixels, event.deltaY * pixels];
  if (event.altKey) app.scroll.scrollTop += dy;
  else if (event.shiftKey) app.view.pan(-(dy || dx));
  else if (Math.abs(dx) > Math.abs(dy)) app.view.pan(-dx);
  // A trackpad's pinch arrives as a wheel event with Ctrl and small steps.
  else app.view.zoom(Math.exp(-dy * (event.ctrlKey ? 0.01 : 0.0018)), at.x);
}

/** In the overview, a press moves the window there, and a drag moves it along. */
function listenToOverview() {
  const strip = $("overview");
  let down = false;
  const move = (event) => {
    const x = event.clientX - strip.getBoundingClientRect().left;
    app.view.moveTo(overviewTime(x), app.view.scale);
  };
  strip.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    down = true;
    capture(strip, event);
    move(event);
  });
  strip.addEventListener("pointermove", (event) => down && move(event));
  for (const end of ["pointerup", "pointercancel"]) strip.addEventListener(end, () => (down = false));
}

function listenToButtons() {
  const { view, search } = app;
  const on = (id, action) => $(id).addEventListener("click", action);
  on("zoom-in", () => view.zoom(1.6, undefined, true));
  on("zoom-out", () => view.zoom(1 / 1.6, undefined, true));
  on("fit", () => view.fit(true));
  on("first-error", jumpToFirstError);
  on("search-next", () => search.step(1));
  on("search-previous", () => search.step(-1));
  on("toggle-filters", toggleFilters);
  on("toggle-panel", togglePanel);
  on("toggle-lines", toggleLines);
  $("lines-filter").addEventListener("input", (event) => {
    app.lines.query = event.target.value.toLowerCase();
    showLines();
  });
  on("toggle-help", toggleHelp);
  $("search").addEventListener("input", (event) => search.run(event.target.value));
  showKeys();
}

function toggleFilters() {
  const filters = $("filters");
  filters.hidden = !filters.hidden;
  $("toggle-filters").setAttribute("aria-expanded", String(!filters.hidden));
}

function toggleHelp() {
  const help = $("help");
  if (help.open) help.close();
  else help.showModal();
}
