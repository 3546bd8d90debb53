// The state of a server at any time: role, term, vote, log, commit index and applied index, reconstructed from its
// events.
//
// A state is small, because a log is a few runs of entries of one term. Checkpoints of the state are stored at regular
// intervals. The state at a time is computed from the last checkpoint before it and the rows since.

/** The number of rows between two checkpoints. */
const CHECKPOINT_INTERVAL = 256;

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

  /**
   * The smallest and the largest value in an interval. Values only grow, except for a few drops when a server
   * restarts.
   */
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
    this.checkpoints = [];
    this.marked = []; // the rows with a mark
    this.series = { last: new Steps(), commit: new Steps(), applied: new Steps() };
    this.reports = reportsItself(rows);
    // Whether the server reports where its log begins. If not, the log begins at its last snapshot.
    this.compacts = rows.kind.includes(EVENT.compact);
    const state = ServerStates.initial();
    for (let i = 0; i < rows.count; i++) {
      if (i % CHECKPOINT_INTERVAL === 0) this.checkpoints.push(ServerStates.copy(state));
      const kind = rows.kind[i];
      this.step(state, i);
      if (MARKS[kind]) this.marked.push(i);
      if (kind === EVENT.role || kind === EVENT.term || kind === EVENT.vote || kind === EVENT.line) continue;
      for (const name of ["last", "commit", "applied"]) this.series[name].add(rows.at[i], state[name]);
    }
    this.marked = Uint32Array.from(this.marked);
  }

  static initial() {
    return { role: 0, term: 0, vote: -1, alive: true, base: 0, baseTerm: 0, last: 0, commit: 0, applied: 0, runs: [] };
  }

  static copy(state) {
    return { ...state, runs: state.runs.map((run) => ({ ...run })) };
  }

  /** The number of rows up to a time. */
  rowsUntil(time) {
    return firstWhere(0, this.rows.count, (i) => this.rows.at[i] > time);
  }

  /** The state after this number of rows. */
  stateAfter(count) {
    if (this.cached?.count === count) return this.cached.state;
    const from = Math.min(Math.floor(count / CHECKPOINT_INTERVAL), this.checkpoints.length - 1);
    const state = from >= 0 ? ServerStates.copy(this.checkpoints[from]) : ServerStates.initial();
    for (let i = Math.max(0, from) * CHECKPOINT_INTERVAL; i < count; i++) this.step(state, i);
    this.cached = { count, state };
    return state;
  }

  /** Applies the change of row `i`. */
  step(state, i) {
    const { kind, a, b, c } = this.rows;
    switch (kind[i]) {
      case EVENT.role:
        enterTerm(state, b[i]);
        state.role = a[i];
        break;
      case EVENT.term:
        enterTerm(state, a[i]);
        break;
      case EVENT.vote:
        enterTerm(state, b[i]);
        state.vote = a[i];
        break;
      case EVENT.append:
        append(state, a[i] - b[i] + 1, a[i], c[i]);
        break;
      case EVENT.truncate:
        truncate(state, a[i]);
        break;
      case EVENT.commit:
        state.commit = a[i];
        break;
      case EVENT.apply:
        applyEntry(state, a[i], b[i]);
        break;
      case EVENT.snapshot:
        if (!this.compacts && a[i] > state.base) compact(state, a[i], termAt(state, a[i]));
        break;
      case EVENT.install:
        if (!this.compacts) install(state, a[i], b[i]);
        state.commit = Math.max(state.commit, a[i]);
        state.applied = Math.max(state.applied, a[i]);
        break;
      case EVENT.compact:
        if (a[i] > state.base) compact(state, a[i], b[i]);
        if (c[i] === 1) Object.assign(state, { commit: a[i], applied: a[i] });
        break;
      case EVENT.restore:
        Object.assign(state, ServerStates.initial(), { term: a[i], vote: b[i] - 1 });
        break;
      case EVENT.crash:
        state.alive = false;
        break;
      case EVENT.restart:
        // Its volatile state is lost; a service begins with the snapshot.
        Object.assign(state, { alive: true, role: 0, commit: state.base, applied: state.base });
        break;
      case EVENT.command:
        // This much is known of a leader that reports nothing.
        if (!this.reports) Object.assign(state, { role: 2, term: b[i] });
        if (a[i] > state.last) append(state, a[i], a[i], b[i]);
        break;
    }
  }
}

/** Figure 2, All Servers: with a higher term, a server becomes a follower that has not voted yet. */
function enterTerm(state, term) {
  if (term === state.term) return;
  Object.assign(state, { term, role: 0, vote: -1 });
}

/** Appends entries of one term. They replace all entries from `first` on. */
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

/** Replaces a prefix of the log by a snapshot. */
function compact(state, index, term) {
  Object.assign(state, { base: index, baseTerm: term, last: Math.max(state.last, index) });
  while (state.runs.length && state.runs[0].last <= index) state.runs.shift();
  if (state.runs.length && state.runs[0].first <= index) state.runs[0].first = index + 1;
}

/**
 * Installs a leader's snapshot. If the log has a different entry at its index, all entries after it are removed as
 * well (Figure 13).
 */
function install(state, index, term) {
  if (index <= state.base) return;
  if (termAt(state, index) !== term) truncate(state, state.base);
  compact(state, index, term);
}

/** Applies an entry. It is then committed, and its term is known, even if the server reported no append. */
function applyEntry(state, index, term) {
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

/** The term of an entry; 0 if it is unknown. */
function termAt(state, index) {
  if (index === state.base) return state.baseTerm;
  const { runs } = state;
  const at = firstWhere(0, runs.length, (i) => runs[i].last >= index);
  return runs[at]?.first <= index ? runs[at].term : 0;
}

/** The words for a row: the event with its values. */
function describeRow(server, row) {
  const { kind, a, b, c } = app.data.run.servers[server];
  const texts = app.data.run.texts;
  const [x, y, z] = [a[row], b[row], c[row]];
  switch (kind[row]) {
    case EVENT.role: return `becomes ${ROLES[x]} in term ${y}`;
    case EVENT.term: return `moves to term ${x}`;
    case EVENT.vote: return `votes for S${x} in term ${y}`;
    case EVENT.append: return `appends ${y > 1 ? `index ${x - y + 1} to ${x}` : `index ${x}`}, term ${z}`;
    case EVENT.truncate: return `removes the entries after index ${x}`;
    case EVENT.commit: return `commits up to index ${x}`;
    case EVENT.apply: return `applies index ${x}, term ${y}`;
    case EVENT.snapshot: return `takes a snapshot up to index ${x}, ${grouped(y)} bytes`;
    case EVENT.install: return `installs a snapshot up to index ${x}, term ${y}`;
    case EVENT.compact: return z ? `starts with a snapshot up to index ${x}, term ${y}` : `the log begins after index ${x}, term ${y}`;
    case EVENT.restore: return `starts as a follower in term ${x}${y ? `, with its vote for S${y - 1}` : ""}`;
    case EVENT.persist: return `saves ${grouped(x)} bytes`;
    case EVENT.crash: return "crashes";
    case EVENT.restart: return "restarts";
    case EVENT.command: return `accepts a command at index ${x}, term ${y}, ${grouped(z)} bytes`;
    case EVENT.line: return texts[x];
  }
  return "";
}
