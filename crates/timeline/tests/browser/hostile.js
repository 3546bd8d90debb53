// Item 0 has the hostile text everywhere; item 1 has a text of 35,000 characters; item 4 is an annotation with the
// hostile text.

const hostile = app.data.texts[app.data.items.text[0]];

await test("hostile text is text everywhere", () => {
  check(hostile.startsWith("<\/script><b id=") && hostile.includes("&lt;\u2028\u2029"), `it is unchanged: ${hostile}`);
  same(text("title"), hostile, "headline");
  check(document.title.startsWith("<\/script><b id="), `title: ${document.title}`);
  for (const item of [0, 4]) {
    move(middle(item, 0.2));
    check(text("tooltip").split(hostile).length > 2, "text and details");
  }
  check(document.querySelector("#filters .partition .text").textContent === hostile, "key");
  type("<\/SCRIPT><b");
  check(app.search.matches.length === 2, "it can be searched for");
  same(document.querySelectorAll("#injected, img, b").length, 0, "elements that it created");
});

await test("a long text is cut, and a strange text does no harm", () => {
  for (const item of [1, 2, 3]) {
    move(middle(item));
    check(text("tooltip").length < 1500, "the tooltip is short");
  }
  check(app.data.texts[app.data.items.text[2]].includes("{{data}}"), "a text that looks like a slot of the template is text");
});

await test("the page stays as wide as the window", () => {
  check(document.documentElement.scrollWidth <= innerWidth, `${document.documentElement.scrollWidth} pixels`);
  check(element("toggle-help").getBoundingClientRect().right <= innerWidth, "all buttons are visible");
});
