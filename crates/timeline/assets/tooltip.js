// The details of the active item, beside it. A pinned tooltip stays, and its texts can be selected and scrolled.

function showTooltip() {
  const { selection, data } = app;
  const item = selection.active;
  const tooltip = $("tooltip");
  tooltip.hidden = item < 0 && !app.target;
  if (item < 0) {
    tooltip.classList.remove("pinned");
    if (app.target) tooltip.replaceChildren(...targetDetails(app.target));
    return;
  }
  tooltip.classList.toggle("pinned", selection.pinned >= 0);
  tooltip.replaceChildren(...(item < data.operationCount ? operationDetails(item) : annotationDetails(item)));
}

function operationDetails(item) {
  const { data } = app;
  const { items, texts } = data;
  const place = placeInSequence(item);
  const lane = data.lanes[items.lane[item]];
  const parts = [element("h3", "", texts[items.text[item]])];
  parts.push(element("p", "where", lane.name, data.partitions.length > 1 || place.partition.name ? ` · ${place.partition.name}` : ""));
  if (items.details[item]) parts.push(element("p", "details", texts[items.details[item]]));
  parts.push(...stepDetails(place));
  const times = [row("call", formatMoment(items.start[item], data))];
  if (items.open[item]) times.push(row("return", "never returned"));
  else {
    times.push(row("return", formatMoment(items.end[item], data)));
    times.push(row("took", formatDuration(items.end[item] - items.start[item], data.unit)));
  }
  parts.push(element("dl", "", ...times.flat()));
  return parts;
}

function stepDetails({ partition, sequence, step, stuck, before, after }) {
  const { texts } = app.data;
  const state = (text) => element("code", texts[text] ? "" : "nothing", texts[text] || "(empty)");
  if (!sequence) return [element("p", "remark", "The checker found no linearization to show.")];
  const length = sequence.operations.length;
  if (step >= 0) {
    const which = partition.verdict === "ok" ? "" : " of the longest partial linearization with it";
    const head = element("p", "remark", `step ${step + 1} of ${length}${which}`);
    if (!partition.hasStates) return [head];
    return [head, element("dl", "", ...row("state before", state(before)), ...row("state after", state(after)))];
  }
  if (stuck) {
    const where = length === 0 ? "not possible as the first operation" : `not possible after the ${formatCount(length, "step")} shown`;
    return [
      element("p", `remark stuck ${partition.verdict}`, `✕ ${where}`),
      element("dl", "", ...row("state before", state(before)), ...row("state after", element("span", "stuck", "not possible"))),
    ];
  }
  return [element("p", "remark", "in no linearization that was found")];
}

function annotationDetails(item) {
  const { data } = app;
  const { items, texts } = data;
  const length = items.end[item] - items.start[item];
  const times = [row(length ? "from" : "at", formatMoment(items.start[item], data))];
  if (length) times.push(row("to", formatMoment(items.end[item], data)), row("took", formatDuration(length, data.unit)));
  return [
    element("h3", "", texts[items.text[item]]),
    element("p", "where", data.lanes[items.lane[item]].name),
    ...(items.details[item] ? [element("p", "details", texts[items.details[item]])] : []),
    element("dl", "", ...times.flat()),
  ];
}

/** The details of a target that is not an item. */
function targetDetails(target) {
  const { data } = app;
  if (target.kind === "call") return callDetails(target.call);
  if (target.kind === "failure") return [element("h3", "stuck", target.failure.text), element("p", "where", "the run fails"), element("dl", "", ...row("at", formatMoment(target.failure.at, data)))];
  if (target.kind === "band") {
    const { server, kind, from, to, part } = target.band;
    const times = [row("from", formatMoment(from, data)), row("to", formatMoment(to, data))];
    return [element("h3", "", `S${server} ${kind === 0 ? `is in part ${part + 1} of a partition` : `is ${BAND_LABELS[kind]}`}`), element("dl", "", ...times.flat())];
  }
  const { at, kind, b } = data.run.servers[target.server];
  const facts = [row("at", formatMoment(at[target.row], data))];
  if (kind[target.row] === EVENT.line) facts.push(row("target", data.run.texts[b[target.row]]));
  return [element("h3", "", describeRow(target.server, target.row)), element("p", "where", `S${target.server}`), element("dl", "", ...facts.flat())];
}

/** Places the tooltip beside the pointer, within the window. */
function placeBesideCursor(tooltip) {
  const area = $("lanes").getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tooltip;
  const [x, y] = [area.left + app.cursor.x, area.top + app.cursor.y];
  tooltip.style.left = `${Math.max(8, x + 16 + width > innerWidth ? x - 16 - width : x + 16)}px`;
  tooltip.style.top = `${Math.max(8, y + 18 + height > innerHeight ? y - 12 - height : y + 18)}px`;
}

function row(name, value) {
  return [element("dt", "", name), element("dd", "", value)];
}

/** Places the tooltip below the lanes, or else below or above its item; always within the window. */
function placeTooltip() {
  const { selection, view, data, cursor } = app;
  const tooltip = $("tooltip");
  const item = selection.active;
  if (!tooltip.hidden && item < 0 && app.target && app.cursor) placeBesideCursor(tooltip);
  if (tooltip.hidden || item < 0) return;
  if (!isVisible(item)) {
    tooltip.hidden = true;
    return;
  }
  const area = $("lanes").getBoundingClientRect();
  const left = Math.max(view.x(data.items.start[item]), GUTTER);
  const right = Math.min(view.x(data.items.end[item]), view.width);
  // At the pointer if that is on the box. The tooltip stays there when the item is pinned.
  const anchored = selection.anchor?.item === item ? selection.anchor.time : null;
  if (anchored === null) {
    const x = cursor && selection.pinned < 0 && cursor.x >= left && cursor.x <= right ? cursor.x : Math.min((left + right) / 2, left + 60);
    selection.anchor = { item, time: view.time(x) };
  }
  const x = Math.min(Math.max(view.x(selection.anchor.time), left), Math.max(left, right));
  const { offsetWidth: width, offsetHeight: height } = tooltip;
  const top = boxTop(item);
  const below = area.top + top + app.lanes.boxHeight + 10;
  const above = area.top + top - height - 10;
  // Below all lanes it hides nothing, so it is placed there if it fits.
  const free = area.top + app.lanes.height - view.top + 4;
  const fits = (y) => y + height <= area.top + view.height - 8;
  const y = fits(free) ? free : fits(below) || above < 8 ? below : above;
  // It opens towards the middle, so that it hides less of the later time.
  const start = x < view.width * 0.55 ? area.left + x - 24 : area.left + x + 24 - width;
  tooltip.style.left = `${Math.min(Math.max(start, 8), innerWidth - width - 8)}px`;
  tooltip.style.top = `${Math.min(Math.max(y, 8), Math.max(8, innerHeight - height - 8))}px`;
}
