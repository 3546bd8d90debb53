await test("if nothing can be linearized, all operations that cannot come first are marked", async () => {
  same([...shownSequence(0).operations], [], "sequence");
  same([...shownSequence(0).stuck], [0, 1], "stuck: the put was called after the first return");
  check(shown("first-error"), "the button to the first error is shown");
  key("e");
  await settle();
  same(app.selection.pinned, 0, "the first one itself is selected");
  for (const part of ["not possible as the first operation", "state before0"]) {
    check(text("tooltip").includes(part), `the tooltip says ${part}: ${text("tooltip")}`);
  }
  check(alike(pixel({ x: app.view.x(firstError().time), y: middle(0).y }), colour(app.theme.illegal)), "the mark is red");
});

await test("an operation in no linearization says so", () => {
  move(middle(2));
  check(text("tooltip").includes("in no linearization"), text("tooltip"));
});
