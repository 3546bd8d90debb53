// Items 0 to 2 belong to client 0: item 0 touches item 1, and item 2 is a moment at the end of item 1. Items 3 and 4 of
// client 1 overlap.

await test("a linearizable history has no error to jump to", () => {
  same(text("verdict"), "linearizable", "verdict");
  check(!shown("first-error"), "no button");
  key("e");
  same(app.selection.pinned, -1, "nothing happens");
});

await test("touching operations can be told apart, overlapping ones have separate rows", () => {
  same([...app.lanes.rowOf.slice(0, 5)], [0, 0, 1, 0, 1], "rows");
  same(pixel({ x: app.view.x(4e6), y: boxTop(0) + 1 }).join() === pixel(middle(0, 0.8)).join(), false, "there is an edge between them");
});

await test("an operation without duration is visible and can be pointed at", () => {
  same(itemAt(app.view.x(7e6), middle(2).y), 2, "item");
  check(!alike(pixel({ x: app.view.x(7e6) + 1, y: boxTop(2) + 3 }), colour(app.theme.panel)), "something is drawn");
});

await test("lanes of annotations follow the clients, except those of a client", () => {
  same(app.lanes.list.map((lane) => lane.name), ["client 0", "client 1", "client 2", "$ Checks", "$ Faults", "$ Notes"], "lanes");
  const lane = (item) => app.data.lanes[app.data.items.lane[item]].name;
  const labels = [];
  for (let item = 6; item < app.data.items.count; item++) labels.push(`${lane(item)}: ${app.data.texts[app.data.items.text[item]]}`);
  check(labels.includes("client 2: a note in a client's lane"), labels.join("; "));
});

await test("an annotation has its colour, and a tooltip with its details", () => {
  const fault = 6 + 1; // sorted by time: a note, the fault
  check(alike(pixel(middle(fault, 0.9)), [0xb3, 0xe5, 0xfc]), "colour");
  move(middle(fault));
  for (const part of ["partition = [0] [1 2]", "it was the leader", "$ Faults", "3 ms", "8 ms", "5 ms"]) {
    check(text("tooltip").includes(part), `the tooltip says ${part}: ${text("tooltip")}`);
  }
});

await test("search finds the details of annotations", () => {
  type("was the leader");
  same(text("search-count"), "1 match", "count");
});
