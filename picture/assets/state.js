// What a server knew at any time: role, term, vote, log, commit and applied index, rebuilt from what it reported.
//
// A state is small, because a log is a few runs of entries of one term. One is kept every so many rows; the state at a time is
// the last one kept before it and the rows since.

/** A state is kept every so many rows. */
const KEPT_EVERY = 256;

/** A value that changes in steps. */
class Steps {
  at = [];
  value = [];

  add(at, value) {
    const last = this.at.length - 1;
    if (last >= 0 && this.value[last] === value) return;
    if (last >= 0 && this.at[last] === at) this.value[last] = value;
    else {
      this.at.push(at);
      this.value.push(value);
    }
  }

  /** The least and the greatest value between two times. Values grow, but for a few drops, when a server starts again. */
  range(from, to) {
    this.drops ??= this.at.map((_, i) => i).filter((i) => i > 0 && this.value[i] < this.value[i - 1]);
    let least = this.valueAt(from);
    let most = this.valueAt(to);
    for (let d = firstWhere(0, this.drops.length, (i) => this.at[this.drops[i]] > from); d < this.drops.length; d++) {
      const i = this.drops[d];
      if (this.at[i] > to) break;
      least = Math.min(least, this.value[i]);
      most = Math.max(most, this.value[i - 1]);
    }
    return [least, most];
  }

  valueAt(time) {
    const after = firstWhere(0, this.at.length, (i) => this.at[i] > time);
    return after > 0 ? this.value[after - 1] : 0;
  }
}

class ServerStates {
  constructor(rows) {
    this.rows = rows;
    this.kept = [];
    this.marked = []; // the rows that have a mark
    this.series = { last: new Steps(), commit: new Steps(), applied: new Steps() };
    this.reports = reportsItself(rows);
    // Whether the server says where its log begins; if not, it begins where a snapshot was taken.
    this.compacts = rows.what.includes(WHAT.compact);
    const state = ServerStates.fresh();
    for (let i = 0; i < rows.count; i++) {
      if (i % KEPT_EVERY === 0) this.kept.push(ServerStates.copy(state));
      const what = rows.what[i];
      this.step(state, i);
      if (MARKS[what]) this.marked.push(i);
      if (what === WHAT.role || what === WHAT.term || what === WHAT.vote || what === WHAT.line) continue;
      for (const name of ["last", "commit", "applied"]) this.series[name].add(rows.at[i], state[name]);
    }
    this.marked = Uint32Array.from(this.marked);
  }

  static fresh() {
    return { role: 0, term: 0, vote: -1, alive: true, base: 0, baseTerm: 0, last: 0, commit: 0, applied: 0, runs: [] };
  }

  static copy(state) {
    return { ...state, runs: state.runs.map((run) => ({ ...run })) };
  }

  /** How many rows there are up to a time. */
  rowsUntil(time) {
    return firstWhere(0, this.rows.count, (i) => this.rows.at[i] > time);
  }

  /** The state after so many rows. */
  after(count) {
    if (this.cached?.count === count) return this.cached.state;
    const from = Math.min(Math.floor(count / KEPT_EVERY), this.kept.length - 1);
    const state = from >= 0 ? ServerStates.copy(this.kept[from]) : ServerStates.fresh();
    for (let i = Math.max(0, from) * KEPT_EVERY; i < count; i++) this.step(state, i);
    this.cached = { count, state };
    return state;
  }

  /** What row `i` changes. */
  step(state, i) {
    const { what, a, b, c } = this.rows;
    switch (what[i]) {
      case WHAT.role:
        enterTerm(state, b[i]);
        state.role = a[i];
        break;
      case WHAT.term:
        enterTerm(state, a[i]);
        break;
      case WHAT.vote:
        enterTerm(state, b[i]);
        state.vote = a[i];
        break;
      case WHAT.append:
        append(state, a[i] - b[i] + 1, a[i], c[i]);
        break;
      case WHAT.truncate:
        truncate(state, a[i]);
        break;
      case WHAT.commit:
        state.commit = a[i];
        break;
      case WHAT.apply:
        applied(state, a[i], b[i]);
        break;
      case WHAT.snapshot:
        if (!this.compacts && a[i] > state.base) compact(state, a[i], termAt(state, a[i]));
        break;
      case WHAT.install:
        if (!this.compacts) install(state, a[i], b[i]);
        state.commit = Math.max(state.commit, a[i]);
        state.applied = Math.max(state.applied, a[i]);
        break;
      case WHAT.compact:
        if (a[i] > state.base) compact(state, a[i], b[i]);
        if (c[i] === 1) Object.assign(state, { commit: a[i], applied: a[i] });
        break;
      case WHAT.restore:
        Object.assign(state, ServerStates.fresh(), { term: a[i], vote: b[i] - 1 });
        break;
      case WHAT.crash:
        state.alive = false;
        break;
      case WHAT.restart:
        // What it had not saved is gone; a service begins with the snapshot.
        Object.assign(state, { alive: true, role: 0, commit: state.base, applied: state.base });
        break;
      case WHAT.command:
        // Of a leader that reports nothing, this much is known.
        if (!this.reports) Object.assign(state, { role: 2, term: b[i] });
        if (a[i] > state.last) append(state, a[i], a[i], b[i]);
        break;
    }
  }
}

/** Figure 2, All Servers: a higher term makes a follower, which has not voted yet. */
function enterTerm(state, term) {
  if (term === state.term) return;
  Object.assign(state, { term, role: 0, vote: -1 });
}

/** Entries of one term behind what is there; what is there from `first` on is replaced. */
function append(state, first, last, term) {
  if (first <= state.last) truncate(state, first - 1);
  const end = state.runs.at(-1);
  if (end?.term === term && state.last === first - 1) end.last = last;
  else state.runs.push({ first, last, term });
  state.last = last;
}

function truncate(state, last) {
  state.last = Math.max(last, state.base);
  while (state.runs.length && state.runs.at(-1).first > last) state.runs.pop();
  const end = state.runs.at(-1);
  if (end) end.last = Math.min(end.last, last);
}

/** A prefix of the log is replaced by a snapshot. */
function compact(state, index, term) {
  Object.assign(state, { base: index, baseTerm: term, last: Math.max(state.last, index) });
  while (state.runs.length && state.runs[0].last <= index) state.runs.shift();
  if (state.runs.length && state.runs[0].first <= index) state.runs[0].first = index + 1;
}

/** A leader's snapshot: an entry that it covers and that differs takes all that follows it along (Figure 13). */
function install(state, index, term) {
  if (index <= state.base) return;
  if (termAt(state, index) !== term) truncate(state, state.base);
  compact(state, index, term);
}

/** An applied entry is committed, and its term is known, also to whom nothing was reported. */
function applied(state, index, term) {
  state.applied = index;
  state.commit = Math.max(state.commit, index);
  if (index <= state.base || termAt(state, index) === term) return;
  const behind = state.runs.filter((run) => run.last > index).map((run) => ({ ...run, first: Math.max(run.first, index + 1) }));
  const last = Math.max(state.last, index);
  truncate(state, index - 1);
  append(state, index, index, term);
  for (const run of behind) append(state, run.first, run.last, run.term);
  state.last = last;
}

/** The term of an entry; 0 if it is not known. */
function termAt(state, index) {
  if (index === state.base) return state.baseTerm;
  const { runs } = state;
  const at = firstWhere(0, runs.length, (i) => runs[i].last >= index);
  return runs[at]?.first <= index ? runs[at].term : 0;
}

/** The words for a row: what happened, and the rest of what there is to say. */
function rowWords(server, row) {
  const { what, a, b, c } = app.data.run.servers[server];
  const texts = app.data.run.texts;
  const [x, y, z] = [a[row], b[row], c[row]];
  switch (what[row]) {
    case WHAT.role: return `becomes ${ROLES[x]} in term ${y}`;
    case WHAT.term: return `moves to term ${x}`;
    case WHAT.vote: return `votes for S${x} in term ${y}`;
    case WHAT.append: return `appends ${y > 1 ? `index ${x - y + 1} to ${x}` : `index ${x}`}, term ${z}`;
    case WHAT.truncate: return `removes what follows index ${x}`;
    case WHAT.commit: return `commits up to index ${x}`;
    case WHAT.apply: return `applies index ${x}, term ${y}`;
    case WHAT.snapshot: return `snapshots up to index ${x}, ${grouped(y)} bytes`;
    case WHAT.install: return `installs a snapshot up to index ${x}, term ${y}`;
    case WHAT.compact: return z ? `starts with a snapshot up to index ${x}, term ${y}` : `its log begins after index ${x}, term ${y}`;
    case WHAT.restore: return `starts as a follower in term ${x}${y ? `, with its vote for S${y - 1}` : ""}`;
    case WHAT.persist: return `saves ${grouped(x)} bytes`;
    case WHAT.crash: return "is crashed";
    case WHAT.restart: return "is started again";
    case WHAT.command: return `accepts a command at index ${x}, term ${y}, ${grouped(z)} bytes`;
    case WHAT.line: return texts[x];
  }
  return "";
}
