// As many RPCs, entries and operations as the largest runs have.

const time = (work) => {
  const begin = performance.now();
  work();
  return performance.now() - begin;
};

await test("everything is in the page", () => {
  check(app.data.operationCount === 130000, `${app.data.operationCount} operations`);
  const { run } = app.data;
  const counted = run.calls.count + run.windows.reduce((sum, window) => sum + window.calls, 0);
  same(counted, 450000, "calls");
  same(app.states[0].stateAfter(app.states[0].rows.count).last, 55000, "the log of S0");
});

await test("too many RPCs for arrows are drawn as shade", () => {
  draw();
  check(app.arrows.length === 0 && app.density.sent.some((counts) => counts?.some((count) => count > 0)), "shade");
  app.view.show(app.data.end / 2 - 4e6, app.data.end / 2);
});

await test("zoomed in, RPCs are arrows, and they can be pointed at", () => {
  app.view.show(1e9, 1.01e9);
  draw();
  check(app.arrows.length > 0, "arrows");
  const [call, x1, y1, x2, y2] = app.arrows;
  move({ x: Math.max(130, x1) + 0, y: y1 + ((Math.max(130, x1) - x1) / (x2 - x1 || 1)) * (y2 - y1) });
  check(app.data.run.calls.sent[call] > 0, "a call");
});

await test("the state at any time is available at once", () => {
  const { end } = app.data;
  for (const share of [0.1, 0.5, 0.9]) {
    app.moment.pin(end * share);
    draw();
    check(document.querySelector('#panel-rows [data-server="0"] .facts').textContent.includes("applied"), "a state");
  }
});
