// 150,000 operations of 20 clients on 40 keys; key 17 is illegal.

/** The number of shapes that one drawing of the page takes. */
function shapes() {
  let count = 0;
  const prototype = CanvasRenderingContext2D.prototype;
  const originals = {};
  for (const name of ["fillRect", "fill", "stroke", "fillText", "lineTo"]) {
    originals[name] = prototype[name];
    prototype[name] = function (...given) {
      count++;
      return originals[name].apply(this, given);
    };
  }
  draw();
  Object.assign(prototype, originals);
  return count;
}

await test("all operations are in the page", () => {
  same(app.data.operationCount, 150000, "operations");
  check(text("legend").includes("150\u202f000 operations, 40 keys"), text("legend"));
  same(app.data.partitions.map((p) => p.name).slice(0, 2), ["17", "0"], "the illegal key comes first");
});

await test("the number of shapes is bounded by the visible pixels", () => {
  const pixels = app.view.plot * 20;
  check(shapes() < pixels, "all at once: fewer shapes than pixels of 20 lanes");
  app.selection.focusOn(0);
  check(shapes() < pixels, "with one key emphasised");
  app.view.zoom(1000);
  check(shapes() < 5000, "one part in a thousand");
});

await test("the error is found and its surroundings are readable", async () => {
  key("e");
  await settle();
  const error = firstError();
  same(app.data.texts[app.data.items.text[error.item]], "get('17') -> 'lost'", "the error");
  const x = app.view.x(error.time);
  check(x > 150 && x < app.view.width, `visible: ${x}`);
  check(boxTop(error.item) > 0 && boxTop(error.item) < app.view.height, "its lane is visible");
});

await test("a search over all operations steps in time", async () => {
  type("-> 'lost'");
  same(text("search-count"), "1 match", "count");
  type("x 3 ");
  const first = [];
  for (let i = 0; i < 3; i++) {
    key("n");
    first.push(app.data.items.start[app.selection.pinned]);
  }
  check(first[0] <= first[1] && first[1] <= first[2], first.join(" "));
});

await test("one key alone shows only its operations", () => {
  document.querySelector("#filters [aria-label='show only partition 17']").click();
  const { first, count } = app.data.partitions[0];
  let visible = 0;
  for (let item = 0; item < app.data.items.count; item++) if (isVisible(item)) visible++;
  same([first, visible], [0, count], "visible");
});

await test("the list of keys can be narrowed", () => {
  const narrow = document.querySelector("#filters .partition .narrow");
  narrow.value = "3";
  narrow.dispatchEvent(new Event("input"));
  same(document.querySelectorAll("#filters .partition li").length, 13, "3, 13, 23, 30 to 39");
  narrow.value = "";
  narrow.dispatchEvent(new Event("input"));
});
