// Keys. One table: the pressed keys, their name in the help, their action.

const KEYS = [
  { keys: ["+", "="], name: "+  −", help: "zoom in, out", act: () => app.view.zoom(1.6, undefined, true) },
  { keys: ["-", "_", "−"], act: () => app.view.zoom(1 / 1.6, undefined, true) },
  { keys: ["ArrowLeft"], name: "←  →", help: "in a run, go to the previous or next event; otherwise move in time (with Shift, by a page)", act: (event) => stepInTime(event, -1) },
  { keys: ["ArrowRight"], act: (event) => stepInTime(event, 1) },
  { keys: ["ArrowUp"], name: "↑  ↓", help: "scroll the lanes", act: () => app.scroll.scrollBy({ top: -60 }) },
  { keys: ["ArrowDown"], act: () => app.scroll.scrollBy({ top: 60 }) },
  { keys: ["0", "f"], name: "0  f", help: "show everything", act: () => app.view.fit(true) },
  { keys: ["e"], name: "e", help: "jump to the first error", act: () => jumpToFirstError() },
  { keys: ["j"], name: "j  k", help: "next, previous step of the linearization", act: () => goToStep(1) },
  { keys: ["k"], act: () => goToStep(-1) },
  { keys: [","], name: ",  .", help: "previous, next operation in the lane", act: () => goToNeighbour(-1) },
  { keys: ["."], act: () => goToNeighbour(1) },
  { keys: ["/"], name: "/", help: "search; Enter and Shift+Enter step through the matches", act: () => $("search").select() },
  { keys: ["n"], name: "n  N", help: "next, previous match", act: () => app.search.step(1) },
  { keys: ["N"], act: () => app.search.step(-1) },
  { keys: ["s"], name: "s", help: "show or hide the filters", act: () => toggleFilters() },
  { keys: ["p"], name: "p", help: "show or hide the state of the servers", act: () => togglePanel() },
  { keys: ["l"], name: "l", help: "show or hide the list of events", act: () => toggleLines() },
  { keys: ["?"], name: "?", help: "this help", act: () => toggleHelp() },
  { keys: ["Escape"], name: "Esc", help: "release the selection, then the moment, then the emphasised key, then the search", act: () => release() },
];

/** Handles an arrow key to the left (-1) or to the right (1). */
function stepInTime(event, direction) {
  if (!app.moment || event.shiftKey) return app.view.pan(-direction * panStep(event), true);
  app.moment.step(direction);
  showLines();
}

function panStep(event) {
  return app.view.plot * (event.shiftKey ? 0.9 : 0.15);
}

/** Goes to the item beside the active one, or, without an active item, to the first visible item. */
function goToNeighbour(direction) {
  const { selection, view, data } = app;
  if (selection.active >= 0) return goTo(neighbour(selection.active, direction));
  const first = data.items.byStart.find((item) => isVisible(item) && data.items.end[item] >= view.left);
  if (first !== undefined) goTo(first);
}

/** Releases one thing. */
function release() {
  const { selection, search } = app;
  if (selection.pinned >= 0) selection.pin(-1);
  else if (app.moment && app.moment.pinned !== null) app.moment.pin(null);
  else if (selection.focus >= 0) selection.focusOn(-1);
  else if (search.query) {
    $("search").value = "";
    search.run("");
  }
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if ($("help").open) return event.key === "?" ? toggleHelp() : undefined;
    const typing = event.target instanceof HTMLInputElement && event.target.type === "search";
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      else if (event.key === "Enter" && event.target === $("search")) app.search.step(event.shiftKey ? -1 : 1);
      return;
    }
    const key = KEYS.find(({ keys }) => keys.includes(event.key));
    if (!key) return;
    event.preventDefault();
    key.act(event);
  });
}

function showKeys() {
  const rows = KEYS.filter(({ help }) => help).map(({ name, help }) => row(name, help));
  $("keys").replaceChildren(...rows.flat());
}
