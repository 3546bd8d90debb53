await test("an undecided history claims no error", () => {
  same(text("verdict"), "undecided", "verdict");
  check(!shown("first-error"), "no button");
  same([...shownSequence(0).stuck], [5], "it shows where the search was stuck");
  const x = app.view.x(shownSequence(0).stuckTimes[0]);
  check(alike(pixel({ x, y: middle(5).y }), colour(app.theme.unknown)), "in another colour");
});
