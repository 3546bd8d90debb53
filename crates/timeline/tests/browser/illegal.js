// Items 0 to 6 are the operations on x, items 7 and 8 those on y. The longest sequence of x ends with item 0; item 5 is
// stuck after it.

await test("the page shows its title and its verdict", () => {
  same(document.title, "two keys, six clients", "title");
  same(text("title"), "two keys, six clients", "headline");
  same(text("verdict"), "not linearizable", "verdict");
  check(shown("first-error"), "the button to the first error is shown");
  const keys = [...document.querySelectorAll("#filters .partition .name")].map((name) => name.textContent);
  same(keys, ["✕x", "✓y"], "keys, illegal first, with their verdicts");
});

await test("the longest sequence is shown, and stuck operations are marked red", () => {
  same([...shownSequence(0).operations], [2, 1, 3, 6, 4, 0], "sequence");
  same([...shownSequence(0).stuck], [5], "stuck");
  const x = app.view.x(shownSequence(0).stuckTimes[0]);
  check(alike(pixel({ x, y: middle(5).y }), colour(app.theme.illegal)), "the mark is red");
});

await test("every point lies within its operation and after the one before", () => {
  for (const partition of [0, 1]) {
    const { operations, times } = shownSequence(partition);
    const { start, end } = app.data.items;
    operations.forEach((operation, i) => {
      const item = app.data.partitions[partition].first + operation;
      check(times[i] >= start[item] && times[i] <= end[item], `point ${i} at ${times[i]}`);
      check(i === 0 || times[i] >= times[i - 1], `point ${i} comes before point ${i - 1}`);
    });
  }
});

await test("the wheel zooms, and the time at the pointer stays there", () => {
  const place = { x: 500, y: 60 };
  const [time, scale] = [app.view.time(500), app.view.scale];
  wheel(place, { deltaY: -300 });
  check(app.view.scale > scale * 1.5, "closer");
  close(app.view.time(500), time, 1e-6, "time at the pointer");
  wheel(place, { deltaY: 300 });
  close(app.view.scale, scale, 1e-6, "and back");
});

await test("the wheel with Shift moves in time", () => {
  key("+");
  const { left, scale } = app.view;
  wheel({ x: 500, y: 60 }, { deltaY: 100, shiftKey: true });
  close(app.view.left, left + 100 / scale, 1e-6, "left edge");
  same(app.view.scale, scale, "scale");
});

await test("a drag moves the timeline and selects nothing", () => {
  const { left, scale } = app.view;
  drag(middle(0, 0.3), { x: middle(0, 0.3).x - 80, y: middle(0).y });
  close(app.view.left, left + 80 / scale, 1e-6, "left edge");
  same(app.selection.pinned, -1, "pinned");
});

await test("keys zoom, move and fit", async () => {
  const { left, scale } = app.view;
  key("+");
  await settle();
  close(app.view.scale, scale * 1.6, 1e-6, "+ zooms in");
  const before = app.view.left;
  key("ArrowRight");
  await settle();
  check(app.view.left > before, "→ shows later times");
  key("ArrowLeft");
  await settle();
  close(app.view.left, before, 1e-6, "← goes back");
  key("-");
  await settle();
  close(app.view.scale, scale, 1e-6, "- zooms out");
  key("+");
  await settle();
  key("0");
  await settle();
  close(app.view.left, left, 1e-6, "0 fits");
  key("+");
  await settle();
  key("f");
  await settle();
  close(app.view.scale, scale, 1e-6, "f fits");
});

await test("buttons zoom and fit", async () => {
  const { scale } = app.view;
  element("zoom-in").click();
  await settle();
  close(app.view.scale, scale * 1.6, 1e-6, "zoomed in");
  element("zoom-out").click();
  await settle();
  close(app.view.scale, scale, 1e-6, "zoomed out");
  element("zoom-in").click();
  element("fit").click();
  await settle();
  close(app.view.scale, scale, 1e-6, "fitted");
});

await test("the item at the pointer is found, also beside a narrow box", () => {
  for (let item = 0; item < 9; item++) same(itemAt(middle(item).x, middle(item).y), item, "item");
  same(itemAt(app.view.x(10) + 3, middle(1).y), 1, "3 pixels to the right of item 1");
  same(itemAt(background().x, background().y), -1, "background");
});

await test("hover shows the longest sequence with the operation, and dims other keys", () => {
  const before = pixel(middle(8, 0.9));
  move(middle(5));
  same([...shownSequence(0).operations], [1, 2, 5], "sequence");
  same([...shownSequence(0).stuck].sort(), [0, 3, 6], "stuck: all operations that were called before the first return");
  check(shown("tooltip"), "there is a tooltip");
  const tooltip = text("tooltip");
  for (const part of ["get('x') -> 'z'", "client 5", "step 3 of 3", "state beforez", "state afterz", "call25 ns", "return35 ns"]) {
    check(tooltip.includes(part), `the tooltip says ${part}: ${tooltip}`);
  }
  check(!alike(pixel(middle(8, 0.9)), before), "key y is dimmed");
  lanes.dispatchEvent(new PointerEvent("pointerleave", { pointerId: 1 }));
  check(!shown("tooltip"), "no tooltip afterwards");
  check(alike(pixel(middle(8, 0.9)), before), "key y is not dimmed afterwards");
});

await test("a tooltip lies within the window", () => {
  for (let item = 0; item < 9; item++) {
    move(middle(item, 0.9));
    draw();
    const { left, top, right, bottom } = element("tooltip").getBoundingClientRect();
    check(left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight, `${left} ${top} ${right} ${bottom}`);
  }
});

await test("a click pins, and moving the pointer then changes nothing", () => {
  click(middle(3));
  move(middle(8));
  same(app.selection.active, 3, "active item");
  check(text("tooltip").includes("get('x') -> 'y'"), "the tooltip is the pinned one's");
  click(middle(6));
  same(app.selection.pinned, 6, "another is pinned");
});

await test("a click on the item, on the background, or Escape releases it", () => {
  for (const release of [() => click(middle(3)), () => click(background()), () => key("Escape")]) {
    click(middle(3));
    same(app.selection.pinned, 3, "pinned");
    release();
    same(app.selection.pinned, -1, "released");
  }
});

for (const [name, jump] of [["the button", () => element("first-error").click()], ["the key e", () => key("e")]]) {
  await test(`${name} jumps to the first error`, async () => {
    app.view.show(80, 100);
    jump();
    await settle();
    same(app.selection.pinned, 0, "the last linearized operation is selected");
    const x = app.view.x(firstError().time);
    check(x > 150 && x < app.view.width, `the mark is visible: ${x}`);
    check(alike(pixel({ x, y: middle(5).y }), colour(app.theme.illegal)), "the mark is red");
  });
}

await test("search counts, outlines and steps through matches, around the end", async () => {
  key("/");
  same(document.activeElement.id, "search", "the key / goes to the search box");
  type("GET('x')");
  same(text("search-count"), "4 matches", "count");
  const visited = [];
  key("Enter", element("search"));
  for (const name of ["n", "n", "n", "n", "N"]) {
    visited.push(app.selection.pinned);
    key(name);
  }
  visited.push(app.selection.pinned);
  await settle();
  same(visited, [0, 3, 5, 6, 0, 6], "visited in the order of time");
  same(text("search-count"), "4 / 4", "count");
  type("nobody");
  same(text("search-count"), "no match", "count");
  check(element("search-next").disabled, "no next match");
});

await test("keys typed into the search box have no other effect", () => {
  const { scale } = app.view;
  for (const name of ["e", "0", "+", "?"]) key(name, element("search"));
  same([app.view.scale, app.selection.pinned, element("help").open], [scale, -1, false], "no change");
});

await test("a match outside of the view is brought into view", async () => {
  app.view.show(0, 8);
  type("'a'");
  key("n");
  await settle();
  const { x } = middle(app.selection.pinned);
  check(x > 112 && x < app.view.width, `visible: ${x}`);
});

await test("a key can be hidden with its errors", () => {
  document.querySelector("#filters [aria-label='show partition x']").click();
  same([isVisible(3), isVisible(7)], [false, true], "visible");
  check(!shown("first-error"), "no error to jump to");
  same(app.lanes.list.map((lane) => lane.name), ["client 2", "client 4"], "lanes with something in them");
  document.querySelector("#filters [aria-label='show partition x']").click();
  check(isVisible(3) && shown("first-error"), "and shown again");
});

await test("a client can be shown alone", () => {
  document.querySelector("#filters [aria-label='show only lane client 1']").click();
  same([0, 1, 2, 3, 4, 5, 6, 7, 8].filter(isVisible), [1, 3, 4], "visible");
});

await test("a page without visible items says so", () => {
  document.querySelector("#filters .lane h2 button:nth-of-type(2)").click();
  check(shown("empty") && text("empty").includes("filters"), text("empty"));
});

await test("a click on a key emphasises it, another one releases it", () => {
  const name = document.querySelector("[data-partition='1']");
  name.click();
  same([app.selection.partition, name.getAttribute("aria-pressed")], [1, "true"], "emphasised");
  name.click();
  same([app.selection.partition, name.getAttribute("aria-pressed")], [-1, "false"], "released");
});

await test("j and k follow the linearization", () => {
  const visited = [];
  for (const name of ["j", "j", "j", "k"]) {
    key(name);
    visited.push(app.selection.pinned);
  }
  same(visited, [2, 1, 3, 1], "steps");
});

await test("comma and full stop follow the lane", () => {
  click(middle(3));
  key(".");
  same(app.selection.pinned, 4, "next of client 1");
  key(",");
  key(",");
  same(app.selection.pinned, 1, "previous of client 1");
});

await test("a question mark opens the help, and closes it", () => {
  key("?");
  check(element("help").open && text("keys").includes("jump to the first error"), "open");
  key("?");
  check(!element("help").open, "closed");
});

await test("the filters can be hidden", () => {
  key("s");
  check(!shown("filters"), "hidden");
  element("toggle-filters").click();
  check(shown("filters"), "shown");
});

await test("a press in the overview moves there", () => {
  app.view.zoom(4);
  const strip = element("overview");
  const area = strip.getBoundingClientRect();
  const x = 112 + app.view.plot * 0.75;
  strip.dispatchEvent(new PointerEvent("pointerdown", { clientX: area.left + x, clientY: area.top + 10, button: 0, pointerId: 1 }));
  strip.dispatchEvent(new PointerEvent("pointerup", { pointerId: 1 }));
  close((app.view.left + app.view.right) / 2, 75, 0.5, "the middle of the view");
});

await test("the address names the view and restores it", async () => {
  app.view.show(20, 60);
  click(middle(6));
  type("put");
  await settle();
  const link = location.hash;
  check(/^#from=.*&to=.*&item=6&find=put$/.test(link), link);
  await reset();
  await settle();
  check(location.hash !== link, "the address follows the view");
  location.hash = link;
  await settle();
  close(app.view.left, 20, 0.05, "left edge");
  close(app.view.right, 60, 0.05, "right edge");
  same([app.selection.pinned, text("search-count")], [6, "4 matches"], "selection and search");
});

await test("an invalid address is ignored", async () => {
  const { left, scale } = app.view;
  location.hash = "#from=x&to=&item=999&key=-7&nonsense";
  await settle();
  same([app.view.left, app.view.scale, app.selection.active], [left, scale, -1], "no change");
});

await test("every control has an accessible name", () => {
  for (const control of document.querySelectorAll("button, input")) {
    check(control.textContent.trim() || control.getAttribute("aria-label"), control.outerHTML);
  }
});
