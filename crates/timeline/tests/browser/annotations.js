await test("a page of annotations has no client lanes", () => {
  same(app.lanes.list.map((lane) => lane.name), ["$ Checks", "$ Notes"], "lanes");
  same(text("verdict"), "", "no verdict");
});

await test("times since 1970 are exact", () => {
  move(middle(0));
  for (const part of ["at0 ns after 1750000000000001000 ns", "took900 µs"]) {
    check(text("tooltip").replace("from", "at").includes(part), `the tooltip says ${part}: ${text("tooltip")}`);
  }
});

await test("an annotation that ends before it starts is a moment", () => {
  same(app.data.items.end[2], app.data.items.start[2], "end");
});
