// The sequences that a checker found for one partition: the sequence to show for an operation, the times of its points,
// and the operations that could come next in time but are illegal in the model.
//
// Sequences are stored as a tree (see `sequences.rs`): a node is a step, a sequence ends at a node, and only the shown
// sequence is expanded. Within a partition, the number of an operation is its position there.

class Linearizations {
  constructor(data, partition) {
    this.partition = partition;
    this.count = partition.count;
    const { start, end, open } = data.items;
    this.call = start.subarray(partition.first, partition.first + partition.count);
    this.ret = end.subarray(partition.first, partition.first + partition.count).slice();
    for (let i = 0; i < this.count; i++) if (open[partition.first + i]) this.ret[i] = Infinity;
    this.horizon = data.end;
    const { from, adds, operation, state } = partition.tree;
    this.operation = operation;
    this.state = state;
    this.parent = new Int32Array(operation.length);
    this.ends = []; // the last node of each sequence, longest first; -1: no step
    let node = 0;
    for (let s = 0; s < from.length; s++) {
      let before = from[s];
      for (let i = 0; i < adds[s]; i++, node++) {
        this.parent[node] = before;
        before = node;
      }
      this.ends.push(before);
    }
    // If no operation can be the first, the sequence to show has no step, and all operations that cannot be the first
    // are stuck.
    if (this.ends.length === 0 && partition.verdict === "illegal") this.ends.push(-1);
    this.cache = new Map();
  }

  /** The sequence with this number, expanded; null if there is none. */
  sequence(number) {
    if (number < 0 || number >= this.ends.length) return null;
    if (!this.cache.has(number)) {
      if (this.cache.size >= 32) this.cache.clear();
      this.cache.set(number, this.buildSequence(number));
    }
    return this.cache.get(number);
  }

  buildSequence(number) {
    const nodes = [];
    for (let node = this.ends[number]; node >= 0; node = this.parent[node]) nodes.push(node);
    nodes.reverse();
    const operations = Int32Array.from(nodes, (node) => this.operation[node]);
    const states = Int32Array.from(nodes, (node) => this.state[node]);
    const position = new Int32Array(this.count).fill(-1);
    operations.forEach((operation, i) => (position[operation] = i));
    const { stuck, deadline } = this.stuckAfter(operations, position);
    const times = this.pointTimes(operations, deadline);
    const last = times.length ? times[times.length - 1] : -Infinity;
    const stuckTimes = stuck.map((operation) => {
      const earliest = Math.max(last, this.call[operation]);
      const latest = Math.min(deadline, this.ret[operation], this.horizon);
      return earliest + Math.max(0, latest - earliest) / 2;
    });
    return { number, operations, states, position, times, stuck, stuckTimes };
  }

  /**
   * The operations that could come after a sequence in time, and are illegal: every remaining operation that was
   * called before the first of the remaining operations returned. `deadline` is the time of that return.
   */
  stuckAfter(operations, position) {
    if (this.partition.verdict === "ok" || operations.length === this.count) return { stuck: [], deadline: Infinity };
    this.byCall ??= sortedBy(this.count, this.call, this.ret);
    this.byReturn ??= sortedBy(this.count, this.ret, this.call);
    const first = this.byReturn.find((operation) => position[operation] < 0);
    const deadline = this.ret[first];
    const stuck = [];
    for (const operation of this.byCall) {
      if (this.call[operation] > deadline) break;
      if (position[operation] < 0) stuck.push(operation);
    }
    return { stuck, deadline };
  }

  /**
   * A time for every step: within its operation, in the order of the steps, and evenly spread.
   *
   * Step i can be neither before the latest call up to it (`low`) nor after the earliest return from it on (`high`).
   * Steps with the same `low` share the time until the next `low` evenly.
   */
  pointTimes(operations, deadline) {
    const n = operations.length;
    const times = new Float64Array(n);
    const high = new Float64Array(n);
    let earliest = Math.min(deadline, this.horizon);
    for (let i = n - 1; i >= 0; i--) high[i] = earliest = Math.min(earliest, this.ret[operations[i]]);
    let low = -Infinity;
    for (let i = 0; i < n; ) {
      low = Math.max(low, this.call[operations[i]]);
      let next = i + 1;
      while (next < n && this.call[operations[next]] <= low) next++;
      const until = next < n ? this.call[operations[next]] : Infinity;
      for (let j = i; j < next; j++) {
        const share = (j - i + 1) / (next - i + 1);
        times[j] = low + Math.max(0, Math.min(high[j], until) - low) * share;
      }
      i = next;
    }
    return times;
  }

  /** The longest sequence that contains an operation: its number, or -1. */
  longestWith(operation) {
    if (!this.longest) {
      // Sequences come longest first, so the first one that reaches a node is the longest sequence through it and
      // through all nodes before it.
      const through = new Int32Array(this.operation.length).fill(-1);
      this.longest = new Int32Array(this.count).fill(-1);
      this.ends.forEach((end, number) => {
        for (let node = end; node >= 0 && through[node] < 0; node = this.parent[node]) {
          through[node] = number;
          const at = this.operation[node];
          if (this.longest[at] < 0 || this.longest[at] > number) this.longest[at] = number;
        }
      });
    }
    return this.longest[operation];
  }

  /** The longest sequence after which an operation was stuck: its number, or -1. */
  longestStuckAt(operation) {
    if (!this.stuckAt) {
      this.stuckAt = new Int32Array(this.count).fill(-1);
      for (let number = 0; number < this.ends.length; number++) {
        const position = new Int32Array(this.count).fill(-1);
        const operations = [];
        for (let node = this.ends[number]; node >= 0; node = this.parent[node]) operations.push(this.operation[node]);
        operations.forEach((at, i) => (position[at] = i));
        for (const at of this.stuckAfter(operations, position).stuck) if (this.stuckAt[at] < 0) this.stuckAt[at] = number;
      }
    }
    return this.stuckAt[operation];
  }

  /** The sequence to show for an operation; for -1, the longest sequence of all. */
  sequenceFor(operation) {
    if (operation < 0) return this.sequence(0);
    const number = this.longestWith(operation);
    return this.sequence(number >= 0 ? number : this.longestStuckAt(operation)) ?? this.sequence(0);
  }
}

/** The sequence that is shown for a partition now: that of the active item, or the longest one. */
function shownSequence(partition) {
  const { selection, data, linearizations } = app;
  const { active } = selection;
  const mine = active >= 0 && data.items.partition[active] === partition;
  return linearizations[partition].sequenceFor(mine ? active - data.partitions[partition].first : -1);
}

/** The place of an item in its sequence: its step, or the reason why it has none. */
function placeInSequence(item) {
  const number = app.data.items.partition[item];
  const partition = app.data.partitions[number];
  const sequence = app.linearizations[number].sequenceFor(item - partition.first);
  if (!sequence) return { partition, sequence: null };
  const operation = item - partition.first;
  const step = sequence.position[operation];
  const before = step >= 0 ? step - 1 : sequence.operations.length - 1;
  return {
    partition,
    sequence,
    step,
    stuck: step < 0 && sequence.stuck.includes(operation),
    before: before >= 0 ? sequence.states[before] : partition.initial,
    after: step >= 0 ? sequence.states[step] : -1,
  };
}

/** The first visible red mark: `{ item, time, previous }`, where `previous` is the last linearized item; or null. */
function firstError() {
  let first = null;
  for (const partition of app.data.partitions) {
    if (partition.verdict !== "illegal") continue;
    const sequence = shownSequence(partition.number);
    sequence.stuck.forEach((operation, i) => {
      const item = partition.first + operation;
      const time = sequence.stuckTimes[i];
      if (!isVisible(item) || (first && first.time <= time)) return;
      const last = sequence.operations.at(-1);
      first = { item, time, previous: last === undefined ? -1 : partition.first + last };
    });
  }
  return first;
}
