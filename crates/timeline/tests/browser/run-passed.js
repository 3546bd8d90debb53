// A run with three servers: S1 leads, is cut off, and reconnects; S0 takes a snapshot, crashes, and restarts.

const ms = 1e6;
const laneOf = (server) => app.lanes.list.find((lane) => lane.server === server);
const itemsNamed = (name) => Array.from(app.data.items.byStart).filter((item) => app.data.texts[app.data.items.text[item]] === name);

function stateOf(server, at) {
  app.moment.pin(at * ms);
  draw();
  const row = document.querySelector(`#panel-rows [data-server="${server}"]`);
  const log = [...row.querySelectorAll(".log .entry")];
  return {
    role: row.querySelector(".role").textContent,
    facts: row.querySelector(".facts").textContent,
    log: log.map((box) => box.textContent),
    committed: log.filter((box) => box.classList.contains("committed")).length,
    applied: log.filter((box) => box.classList.contains("applied")).length,
  };
}

/** A point on a call's arrow, on its part-th line. */
function middleOfCall(number, part = 0) {
  draw();
  const call = app.data.run.calls.number.indexOf(number);
  const lines = [];
  for (let i = 0; i < app.arrows.length; i += 5) if (app.arrows[i] === call) lines.push(app.arrows.slice(i + 1, i + 5));
  const [x1, y1, x2, y2] = lines[part];
  return { x: x1 + (x2 - x1) * 0.4, y: y1 + (y2 - y1) * 0.4 };
}

const boxOf = (list, name) =>
  [...document.querySelectorAll(`#filters .${list} li`)].find((entry) => entry.querySelector(".text").textContent === name).querySelector("input");

await test("the header shows the run and its verdict", () => {
  same([text("title"), text("verdict")], ["sample_3B", "passed"], "title and verdict");
  check(text("summary").includes("seed 7") && text("summary").includes("simulated"), text("summary"));
  check(!shown("failure") && !shown("first-error"), "nothing failed");
  check(text("notes").includes("left out: 42"), text("notes"));
});

await test("each server has a lane with its roles and terms", () => {
  same([0, 1, 2].map((server) => laneOf(server).name), ["S0", "S1", "S2"], "lanes");
  const spans = (server) => laneOf(server).rows[0].map((item) => app.data.texts[app.data.items.text[item]]);
  same(spans(1), ["follower · term 0", "candidate · term 1", "leader · term 1", "follower · term 2"], "S1");
  same(spans(0), ["follower · term 0", "follower · term 1", "follower · term 2", "crashed", "follower · term 2"], "S0");
});

await test("the tooltip of a role has the role and its times", () => {
  move(middle(itemsNamed("leader · term 1")[0]));
  for (const part of ["leader · term 1", "S1", "112 ms", "360 ms"]) check(text("tooltip").includes(part), `${part}: ${text("tooltip")}`);
});

await test("the state panel shows each server's state at several times", () => {
  same(stateOf(1, 50), { role: "follower", facts: "term 0 · commit 0 · applied 0", log: [], committed: 0, applied: 0 }, "S1 at 50 ms");
  same(stateOf(1, 130), { role: "leader", facts: "term 1 · voted S1 · commit 0 · applied 0", log: [], committed: 0, applied: 0 }, "S1 at 130 ms");
  same(stateOf(0, 158), { role: "follower", facts: "term 1 · voted S1 · commit 0 · applied 0", log: ["1"], committed: 0, applied: 0 }, "S0 at 158 ms");
  same(stateOf(1, 340), { role: "leader", facts: "term 1 · voted S1 · commit 1 · applied 1 · cut off", log: ["1", "1", "1"], committed: 1, applied: 1 }, "S1 at 340 ms");
  same(stateOf(1, 365), { role: "follower", facts: "term 2 · commit 1 · applied 1", log: ["1", "2"], committed: 1, applied: 1 }, "S1 at 365 ms");
  same(stateOf(2, 390), { role: "leader", facts: "term 2 · voted S2 · commit 2 · applied 2", log: ["1", "2"], committed: 2, applied: 2 }, "S2 at 390 ms");
  same(stateOf(0, 410).log, ["▒"], "S0 has a snapshot of both entries");
  same(stateOf(0, 450).role, "crashed", "S0 at 450 ms");
  same(stateOf(0, 550), { role: "follower", facts: "term 2 · voted S2 · commit 2 · applied 2", log: ["▒", "2"], committed: 0, applied: 0 }, "S0 at 550 ms, with a saved entry");
  check(text("panel-time").startsWith("550"), text("panel-time"));
});

await test("the panel follows the pointer, a click pins the moment, and Escape releases it", () => {
  const { x } = { x: app.view.x(130 * ms) };
  move({ x, y: app.view.height - 3 });
  draw();
  same(document.querySelector('#panel-rows [data-server="1"] .role').textContent, "leader", "at the pointer");
  click({ x, y: app.view.height - 3 });
  move({ x: app.view.x(50 * ms), y: app.view.height - 3 });
  draw();
  same([document.querySelector('#panel-rows [data-server="1"] .role').textContent, text("panel-pinned")], ["leader", "pinned"], "pinned");
  key("Escape");
  draw();
  same([document.querySelector('#panel-rows [data-server="1"] .role').textContent, text("panel-pinned")], ["follower", ""], "released");
});

await test("arrow keys step from event to event", () => {
  app.moment.pin(113 * ms);
  key("ArrowRight");
  same(app.moment.time, 150 * ms, "the next event");
  key("ArrowLeft");
  same(app.moment.time, 112 * ms, "the event before");
  boxOf("server", "S1").click();
  key("ArrowRight");
  same(app.moment.time, 155 * ms, "without S1");
});

await test("a completed RPC is two lines, and its tooltip has all details", () => {
  for (const part of [0, 1]) {
    app.view.show(95 * ms, 120 * ms);
    move(middleOfCall(1, part));
    for (const words of ["Raft.RequestVote", "#1", "S1 → S0", "replied", "30 bytes", "12 bytes", "100 ms", "105 ms (after 5 ms)", "112 ms (after 12 ms)"]) {
      check(text("tooltip").includes(words), `${words}: ${text("tooltip")}`);
    }
  }
});

await test("the tooltip of a lost RPC says where it was lost", () => {
  app.view.show(95 * ms, 200 * ms);
  move(middleOfCall(2));
  check(text("tooltip").includes("the request was dropped") && text("tooltip").includes("S1 → S2"), text("tooltip"));
  move(middleOfCall(4, 1));
  check(text("tooltip").includes("the handler ran, its reply was dropped"), text("tooltip"));
});

await test("zooming with the wheel keeps the time at the pointer", () => {
  const place = { x: Math.round(app.view.x(300 * ms)), y: 40 };
  const pointed = app.view.time(place.x);
  const before = app.view.scale;
  wheel(place, { deltaY: -600 });
  check(app.view.scale > before * 2, "it is larger");
  close(app.view.x(pointed), place.x, 3, "the time at the pointer"); // which is known in whole pixels
});

await test("faults are bands in the servers' lanes and texts in a separate lane", () => {
  check(itemsNamed("partition = [S1] [S0 S2]").length === 1 && itemsNamed("crash = [S0]").length === 1, "the lane of faults");
  move({ x: app.view.x(250 * ms), y: window.timeline.trackTop(laneOf(1)) + 16 });
  check(text("tooltip").includes("S1 is cut off"), text("tooltip"));
});

await test("the tooltip of a mark describes its event", () => {
  move({ x: app.view.x(400 * ms), y: window.timeline.trackTop(laneOf(0)) + 6 });
  check(text("tooltip").includes("takes a snapshot up to index 2, 500 bytes"), text("tooltip"));
});

await test("hiding a server hides its lane, its RPCs and its state", () => {
  draw();
  const callsDrawn = () => new Set(app.arrows.filter((_, i) => i % 5 === 0)).size;
  same(callsDrawn(), 4, "all calls");
  boxOf("server", "S2").click();
  draw();
  same([callsDrawn(), laneOf(2)], [2, undefined], "calls between the others");
  same(document.querySelector('#panel-rows [data-server="2"]'), null, "state");
});

await test("hiding a topic hides its events", () => {
  boxOf("topic", "rpc").click();
  draw();
  const drawn = new Set(app.arrows.filter((_, i) => i % 5 === 0).map((call) => app.data.run.calls.number[call]));
  same([...drawn].sort(), [2, 4], "the lost calls");
  boxOf("topic", "lead").click();
  check(!isVisible(itemsNamed("leader · term 1")[0]), "roles");
  boxOf("topic", "check").click();
  check(!isVisible(itemsNamed("agreement on 100")[0]), "checks");
});

await test("hiding a key hides its operations", () => {
  const [item] = itemsNamed("append('other', 'w')");
  check(isVisible(item) && app.data.items.open[item] === 1, "it never returned");
  boxOf("partition", "other").click();
  check(!isVisible(item), "hidden");
});

await test("search finds roles, checks and operations", () => {
  type("agreement");
  same(text("search-count"), "1 match", "a check");
  type("leader · term");
  same(text("search-count"), "2 matches", "two leaders");
  key("n");
  check(app.selection.pinned === itemsNamed("leader · term 1")[0], "the first one");
});

await test("the list has the events, can be narrowed, and leads to them", () => {
  key("l");
  check(shown("lines"), "the list is shown");
  const lines = () => [...document.querySelectorAll("#lines-list .line")];
  same(lines().length, 16, "lines: roles, terms, votes, one truncation, one snapshot, crash and restart, the restored state, a line");
  element("lines-filter").value = "hello";
  element("lines-filter").dispatchEvent(new Event("input", { bubbles: true }));
  same(lines().length, 1, "lines with hello");
  same(lines()[0].querySelector(".text").textContent, "hello <\/script><b id=injected>&lt;{{data}}", "its text");
  lines()[0].click();
  same(app.moment.time, 500 * ms, "the moment");
  element("lines-filter").value = "";
  element("lines-filter").dispatchEvent(new Event("input", { bubbles: true }));
  key("l");
});

await test("the scale of the steps spans the visible values", () => {
  const steps = new window.timeline.Steps();
  for (const [at, value] of [[10, 5], [20, 9], [30, 0], [40, 4]]) steps.add(at, value);
  same([steps.range(15, 45), steps.range(15, 25), steps.range(30, 45), steps.range(0, 5)], [[0, 9], [5, 9], [0, 4], [0, 0]], "ranges");
});

await test("hostile text is text", () => {
  const hostile = "<\/script><b id=injected>&lt;{{data}}";
  same(app.data.partitions.some((partition) => partition.name === hostile), true, "a key");
  const [note] = itemsNamed(hostile);
  move(middle(note));
  check(text("tooltip").split(hostile).length > 2, text("tooltip"));
  same(document.querySelectorAll("#injected, b[id]").length, 0, "elements that it created");
});
