// Search: the items whose text or details contain the query, in the order of time. Each distinct text is examined once.

/**
 * The largest number of visible matches that are outlined. If there are more, only the overview and the steps show
 * them.
 */
const OUTLINES_MAX = 2000;

class Search {
  constructor(data) {
    this.data = data;
    this.query = "";
    this.matches = new Uint32Array(0);
    this.at = -1; // the index of the last visited match
  }

  run(query) {
    this.query = query;
    this.at = -1;
    this.collect();
    this.report();
    redraw();
  }

  /** Finds the matches among the visible items. It must also be called after a change of the filter. */
  collect() {
    const { items, texts } = this.data;
    const wanted = this.query.toLowerCase();
    if (!wanted) {
      this.matches = new Uint32Array(0);
      return;
    }
    const hits = Uint8Array.from(texts, (text) => (text.toLowerCase().includes(wanted) ? 1 : 0));
    this.matches = items.byStart.filter((item) => isVisible(item) && (hits[items.text[item]] || hits[items.details[item]]));
  }

  /**
   * Goes to the next (1) or the previous (-1) match; the first time, to the first match that is not left of the shown
   * part.
   */
  step(direction) {
    const count = this.matches.length;
    if (count === 0) return;
    if (this.at < 0) {
      const { start } = this.data.items;
      const next = firstWhere(0, count, (i) => start[this.matches[i]] >= app.view.left) % count;
      this.at = direction > 0 ? next : (next - 1 + count) % count;
    } else this.at = (this.at + direction + count) % count;
    this.report();
    goTo(this.matches[this.at]);
  }

  report() {
    const count = this.matches.length;
    let text = "";
    if (this.query) text = count === 0 ? "no match" : this.at < 0 ? formatCount(count, "match", "matches") : `${grouped(this.at + 1)} / ${grouped(count)}`;
    $("search-count").textContent = text;
    $("search").classList.toggle("none", this.query !== "" && count === 0);
    for (const id of ["search-previous", "search-next"]) $(id).disabled = count === 0;
  }

  /** The matches that begin in an interval, or none if there are too many to outline. */
  shown(from, to) {
    const { start } = this.data.items;
    const first = firstWhere(0, this.matches.length, (i) => start[this.matches[i]] >= from);
    const last = firstWhere(first, this.matches.length, (i) => start[this.matches[i]] > to);
    return last - first > OUTLINES_MAX ? [] : this.matches.subarray(first, last);
  }
}
