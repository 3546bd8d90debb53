// A run of servers that report nothing: a get returns a value that no client wrote; then a check fails; then the run
// fails.

const ms = 1e6;
const lane = (server) => app.lanes.list.find((candidate) => candidate.server === server);

await test("the header shows the failure as text", () => {
  same(text("verdict"), "failed", "verdict");
  same(text("failure"), "it broke: <\/script><b id=injected>&lt;{{data}}", "failure");
  check(shown("failure") && shown("first-error"), "both are shown");
  same(document.querySelectorAll("#injected").length, 0, "elements that it created");
});

await test("servers that report nothing have lanes with the tester's knowledge", () => {
  same([0, 1, 2].map((server) => app.data.texts[app.data.items.text[lane(server).rows[0][0]]]), ["running", "running", "running"], "lanes");
  app.moment.pin(130 * ms);
  draw();
  const row = document.querySelector('#panel-rows [data-server="0"]');
  check(row.textContent.includes("leader") && row.textContent.includes("term 3") && row.textContent.includes("part 1"), row.textContent);
  same([...row.querySelectorAll(".entry")].map((box) => box.textContent), ["3"], "the command that it accepted");
});

await test("the jump goes to the first problem: an operation without a place", async () => {
  element("first-error").click();
  await settle();
  close(app.moment.time, 225 * ms, 26 * ms, "within the get");
  check(app.data.texts[app.data.items.text[firstError().item]].startsWith("get('x')"), "the get");
  const x = app.view.x(225 * ms);
  check(x > 112 && x < app.view.width, "it is visible");
});

await test("with that operation hidden the jump goes to the check, and without checks to the failure", async () => {
  document.querySelector("#filters .partition input[type=checkbox]").click();
  same(window.timeline.firstProblem().at, 300 * ms, "the check");
  key("e");
  await settle();
  same(app.moment.time, 300 * ms, "the moment");
  check(app.view.left < 300 * ms && app.view.right > 300 * ms, "it is visible");
  app.data.run.failedChecks.length = 0;
  key("e");
  await settle();
  same(app.moment.time, 400 * ms, "the failure");
});

await test("the failure is a red line through all lanes", () => {
  app.view.show(300 * ms, 450 * ms);
  const x = app.view.x(400 * ms);
  for (const y of [3, Math.round(app.lanes.height / 2)]) check(alike(pixel({ x, y }), colour(app.theme.illegal)), `at ${y}: ${pixel({ x, y })}`);
});

await test("a failed check has the colour of a failure", () => {
  const item = Array.from(app.data.items.byStart).find((i) => app.data.texts[app.data.items.text[i]] === "one leader");
  same(app.data.items.colour[item], 0xffcdd2, "colour");
  move(middle(item));
  check(text("tooltip").includes("FAILED: no leader after 10 looks"), text("tooltip"));
});
