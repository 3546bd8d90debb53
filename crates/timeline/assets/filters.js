// The lists beside the timeline: partitions with their verdicts, illegal ones first; clients and tags. A check box
// hides and shows an entry; a click on the name of a partition focuses it; a text narrows the list.

/** The largest number of entries shown in a list. The text finds the others. */
const ENTRIES_MAX = 300;

/** The length from which a list has a text to narrow it. */
const NARROW_MIN = 8;

class Filter {
  hiddenPartitions = new Set();
  hiddenLanes = new Set();
  hiddenTopics = new Set();
  version = 0; // the number of changes

  constructor(data) {
    this.items = data.items;
    this.topics = data.lanes.map(topicOfLane);
  }

  passes(item) {
    return !this.hiddenPartitions.has(this.items.partition[item]) && !this.hiddenLanes.has(this.items.lane[item]) && !this.hiddenTopics.has(this.topics[this.items.lane[item]]);
  }
}

/** The topic of the items in a lane. */
function topicOfLane(lane) {
  if (lane.group === "tester") return topicNumber[TESTER_TAGS.get(lane.name)];
  return topicNumber[{ server: "lead", client: "client", outside: "rpc", tag: "note" }[lane.group]];
}

function isTopicShown(name) {
  return !app.filter.hiddenTopics.has(topicNumber[name]);
}

function filterChanged() {
  app.filter.version++;
  app.panelKey = null;
  showLines();
  relayout();
  app.search.collect();
  app.search.at = -1;
  app.search.report();
  const { selection } = app;
  if (selection.active >= 0 && !isVisible(selection.active)) selection.pin(-1);
}

function showFilters(data) {
  const partitions = data.partitions.map((partition) => ({
    number: partition.number,
    name: partition.name || "(all)",
    verdict: partition.verdict,
    note: grouped(partition.count),
  }));
  const counts = new Int32Array(data.lanes.length);
  for (const lane of data.items.lane) counts[lane]++;
  const lanes = data.lanes.map((lane, number) => ({ number, name: lane.name, note: grouped(counts[number]) }));
  const lists = [];
  if (data.run) {
    const servers = lanes.filter(({ number }) => data.lanes[number].group === "server");
    servers.forEach((entry, server) => (entry.note = grouped(data.run.servers[server].count)));
    if (servers.length > 0) lists.push(filterList("Servers", "server", servers, app.filter.hiddenLanes, null));
    const topics = TOPICS.map((name, number) => ({ number, name, note: "" }));
    lists.push(filterList("Topics", "topic", topics, app.filter.hiddenTopics, null));
  }
  const others = lanes.filter(({ number }) => data.lanes[number].group !== "server");
  if (partitions.length > 0) lists.push(filterList("Keys", "partition", partitions, app.filter.hiddenPartitions, focusEntry));
  if (others.length > 0) lists.push(filterList("Lanes", "lane", others, app.filter.hiddenLanes, null));
  $("filters").replaceChildren(...lists);
}

function focusEntry(entry) {
  app.selection.focusOn(app.selection.focus === entry.number ? -1 : entry.number);
}

/** Marks the focused partition in the list. */
function markFocus() {
  for (const button of document.querySelectorAll("[data-partition]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.partition) === app.selection.focus));
  }
}

/**
 * A list of entries `{ number, name, note, verdict? }` with a check box each; `hidden` is the set of hidden entries.
 */
function filterList(title, what, entries, hidden, pick) {
  const list = element("ul", "");
  const narrow = element("input", "narrow");
  narrow.type = "search";
  narrow.placeholder = `Filter ${title.toLowerCase()}`;
  narrow.setAttribute("aria-label", narrow.placeholder);
  narrow.hidden = entries.length < NARROW_MIN || what === "topic";
  const listed = () => entries.filter((entry) => entry.name.toLowerCase().includes(narrow.value.toLowerCase()));
  const fill = () => {
    const found = listed();
    list.replaceChildren(...found.slice(0, ENTRIES_MAX).map((entry) => filterEntry(entry, what, hidden, pick, only)));
    if (found.length > ENTRIES_MAX) list.append(element("li", "more", `and ${grouped(found.length - ENTRIES_MAX)} more: type to find them`));
    markFocus();
  };
  const set = (shown) => {
    const numbers = new Set(listed().map((entry) => entry.number));
    for (const entry of entries) {
      if (!numbers.has(entry.number)) continue;
      if (shown) hidden.delete(entry.number);
      else hidden.add(entry.number);
    }
    fill();
    filterChanged();
  };
  const only = (number) => {
    for (const entry of entries) hidden.add(entry.number);
    hidden.delete(number);
    fill();
    filterChanged();
  };
  narrow.addEventListener("input", fill);
  const all = element("button", "plain", "all");
  const none = element("button", "plain", "none");
  all.addEventListener("click", () => set(true));
  none.addEventListener("click", () => set(false));
  fill();
  return element("section", what, element("h2", "", title, element("span", "tally", grouped(entries.length)), all, none), narrow, list);
}

function filterEntry(entry, what, hidden, pick, only) {
  const box = element("input", "");
  box.type = "checkbox";
  box.checked = !hidden.has(entry.number);
  box.setAttribute("aria-label", `show ${what} ${entry.name}`);
  box.addEventListener("change", () => {
    if (box.checked) hidden.delete(entry.number);
    else hidden.add(entry.number);
    filterChanged();
  });
  const sign = entry.verdict ? [element("span", `sign ${entry.verdict}`, VERDICTS[entry.verdict].sign)] : [];
  const name = element(pick ? "button" : "span", "name", ...sign, element("span", "text", entry.name));
  if (pick) {
    name.dataset.partition = entry.number;
    name.title = `${entry.name}: ${VERDICTS[entry.verdict].word}. Click to emphasise.`;
    name.addEventListener("click", () => pick(entry));
  } else {
    name.title = entry.name;
    name.addEventListener("click", () => box.click());
  }
  const alone = element("button", "plain only", "only");
  alone.setAttribute("aria-label", `show only ${what} ${entry.name}`);
  alone.addEventListener("click", () => only(entry.number));
  return element("li", "", box, name, alone, element("span", "note", entry.note));
}

/** Shows the meanings of the colours and marks. */
function showLegend(data) {
  const parts = [...data.kinds].map(([kind, colour]) => {
    const swatch = element("i", "swatch");
    swatch.style.background = `var(--kind-${colour}-fill)`;
    swatch.style.borderColor = `var(--kind-${colour}-line)`;
    return element("span", "", swatch, kind);
  });
  if (data.items.open.includes(1)) parts.push(element("span", "", element("i", "swatch open"), "never returned"));
  if (data.partitions.length) parts.push(element("span", "", element("i", "bar"), "linearization point"));
  if (data.partitions.some((p) => p.verdict === "illegal")) parts.push(element("span", "", element("i", "cross", "✕"), "cannot come next"));
  if (data.partitions.some((p) => p.verdict === "unknown")) parts.push(element("span", "", element("i", "cross unknown", "✕"), "where the search was stuck"));
  if (data.run) parts.unshift(...runLegend(data.run));
  const keys = data.partitions.length;
  const count = [data.operationCount || !data.run ? formatCount(data.operationCount, "operation") : "", keys > 1 ? formatCount(keys, "key") : "", data.run ? formatCount(data.run.calls.count, "RPC") : ""].filter(Boolean).join(", ");
  $("legend").replaceChildren(...parts, element("span", "count", count));
}

/** The meanings of the colours and marks of a run. */
function runLegend(run) {
  const parts = ROLES.map((role, number) => {
    const swatch = element("i", "swatch");
    swatch.style.background = `var(--role-${number}-fill)`;
    swatch.style.borderColor = `var(--role-${number}-line)`;
    return element("span", "", swatch, role);
  });
  if (!run.servers.some((rows) => rows.count > 0)) parts.length = 0;
  const line = (colour, words) => {
    const bar = element("i", "stroke");
    bar.style.background = `var(--${colour})`;
    parts.push(element("span", "", bar, words));
  };
  line("faint", "log end");
  line("commit", "commit");
  line("applied", "applied");
  const mark = (sign, colour, words) => {
    const node = element("i", "glyph", sign);
    node.style.color = `var(--${colour})`;
    parts.push(element("span", "", node, words));
  };
  mark("▲", "vote", "vote");
  mark("■", "snapshot", "snapshot");
  mark("●", "accent", "command");
  mark("✕", "illegal", "lost RPC");
  return parts;
}
