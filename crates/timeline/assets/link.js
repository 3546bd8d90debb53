// The address of the page names the moment and the selection, so that a link can point at a view:
// #from=TIME&to=TIME&item=NUMBER&key=NUMBER&find=TEXT

/** The time in milliseconds without a change of the view after which the address is written. */
const LINK_DELAY_MS = 250;

function rememberInLink() {
  clearTimeout(app.linkTimer);
  app.linkTimer = setTimeout(() => {
    const link = linkToView();
    if (link === location.hash) return;
    history.replaceState(null, "", link); // this causes no hashchange event
  }, LINK_DELAY_MS);
}

function linkToView() {
  const { view, selection, search } = app;
  const digits = Math.max(0, Math.ceil(Math.log10(view.scale)));
  const parts = new URLSearchParams({ from: view.left.toFixed(digits), to: view.right.toFixed(digits) });
  if (selection.pinned >= 0) parts.set("item", selection.pinned);
  if (selection.focus >= 0) parts.set("key", selection.focus);
  if (search.query) parts.set("find", search.query);
  return `#${parts}`;
}

/** Shows the view that an address names. Invalid parts are ignored. */
function followLink(link) {
  const { view, selection, data, search } = app;
  const parts = new URLSearchParams(link.replace(/^#/, ""));
  const number = (name) => (parts.has(name) && /^-?\d+(\.\d+)?$/.test(parts.get(name)) ? Number(parts.get(name)) : null);
  const [from, to, item, key] = ["from", "to", "item", "key"].map(number);
  if (parts.has("find")) {
    $("search").value = parts.get("find");
    search.run(parts.get("find"));
  }
  if (Number.isInteger(key) && key >= 0 && key < data.partitions.length) selection.focusOn(key);
  if (Number.isInteger(item) && item >= 0 && item < data.items.count && isVisible(item)) {
    selection.pin(item);
    scrollToLane(item);
  }
  if (from !== null && to !== null && to > from) view.show(from, to);
}

function listenToLink() {
  if (location.hash) followLink(location.hash);
  addEventListener("hashchange", () => followLink(location.hash));
}
