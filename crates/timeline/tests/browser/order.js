await test("positions are not times", () => {
  move(middle(3));
  check(text("tooltip").includes("position 5") && !/\d ns|\d s\b/.test(text("tooltip")), text("tooltip"));
  check(text("tooltip").includes("3 positions"), text("tooltip"));
});

await test("an operation that never returned reaches to the end and says so", () => {
  same(app.data.items.end[2], app.data.end, "end");
  move(middle(2));
  check(text("tooltip").includes("never returned"), text("tooltip"));
});

await test("an operation that never returned may still come next", () => {
  same([...shownSequence(0).stuck].sort(), [5, 7, 8], "stuck");
});
