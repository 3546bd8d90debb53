// The list of events around the moment: logged lines, failures, faults, votes and so on, one line each, of the shown
// servers and topics. A text narrows the list; a click goes to the moment of the event.

/** The number of lines in the list. */
const LINES_SHOWN = 300;

/** The listed kinds of EVENT. Frequent events that are drawn elsewhere are not listed. */
const LISTED_EVENTS = new Set([EVENT.role, EVENT.term, EVENT.vote, EVENT.truncate, EVENT.snapshot, EVENT.install, EVENT.crash, EVENT.restart, EVENT.line, EVENT.restore]);

class Lines {
  constructor(data) {
    // The server and the row of each line, in the order of time.
    const { servers, failures } = data.run;
    const count = servers.reduce((sum, rows) => sum + rows.kind.reduce((n, kind) => n + LISTED_EVENTS.has(kind), 0), failures.length);
    this.server = new Int32Array(count); // -1: a failure
    this.row = new Int32Array(count);
    const at = new Float64Array(count);
    let next = 0;
    const add = (server, row, time) => {
      this.server[next] = server;
      this.row[next] = row;
      at[next++] = time;
    };
    servers.forEach((rows, server) => {
      for (let row = 0; row < rows.count; row++) if (LISTED_EVENTS.has(rows.kind[row])) add(server, row, rows.at[row]);
    });
    failures.forEach((failure, i) => add(-1, i, failure.at));
    const order = sortedBy(count, at, this.server);
    [this.server, this.row, this.at] = [this.server, this.row, at].map((column) => column.map((_, i) => column[order[i]]));
    this.count = count;
    this.query = "";
  }

  text(i) {
    return this.server[i] < 0 ? app.data.run.failures[this.row[i]].text : describeRow(this.server[i], this.row[i]);
  }

  topic(i) {
    return this.server[i] < 0 ? topicNumber.failure : EVENT_TOPIC[app.data.run.servers[this.server[i]].kind[this.row[i]]];
  }

  passes(i) {
    const { filter, data } = app;
    if (filter.hiddenTopics.has(this.topic(i))) return false;
    const server = this.server[i];
    if (server >= 0 && server < data.run.serverCount && filter.hiddenLanes.has(data.run.firstLane + server)) return false;
    return !this.query || this.text(i).toLowerCase().includes(this.query);
  }

  /** The listed lines: as many before the moment as after it, if available. */
  around(time) {
    const middle = firstWhere(0, this.count, (i) => this.at[i] > time);
    const [before, after] = [[], []];
    for (let i = middle - 1; i >= 0 && before.length < LINES_SHOWN; i--) if (this.passes(i)) before.push(i);
    for (let i = middle; i < this.count && after.length < LINES_SHOWN; i++) if (this.passes(i)) after.push(i);
    const half = LINES_SHOWN / 2;
    const back = Math.max(half, LINES_SHOWN - after.length);
    const shown = before.slice(0, back).reverse();
    return { shown: shown.concat(after.slice(0, LINES_SHOWN - shown.length)), now: shown.length - 1 };
  }
}

function showLines() {
  const { lines, moment, data } = app;
  if (!lines || $("lines").hidden) return;
  const { shown, now } = lines.around(moment.time);
  const rows = shown.map((i, place) => {
    const server = lines.server[i];
    const who = server >= 0 && server < data.run.serverCount ? `S${server}` : "";
    const topic = TOPICS[lines.topic(i)];
    const button = element("button", `line ${topic}`, element("span", "at", (lines.at[i] / 1e6).toFixed(1)), element("span", "who", who), element("span", "text", lines.text(i)));
    button.title = `${topic}: ${lines.text(i)}`;
    button.classList.toggle("now", place === now);
    button.addEventListener("click", () => {
      app.moment.pin(lines.at[i]);
      app.view.moveTo(lines.at[i], app.view.scale, true);
      showLines();
    });
    return button;
  });
  $("lines-list").replaceChildren(...(rows.length ? rows : [element("p", "", "Nothing passes the filters.")]));
  $("lines-list").querySelector(".now")?.scrollIntoView({ block: "center" });
}

function toggleLines() {
  $("lines").hidden = !$("lines").hidden || !app.data.run;
  $("toggle-lines").setAttribute("aria-expanded", String(!$("lines").hidden));
  resize();
  showLines();
}
