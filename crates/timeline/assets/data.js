// Reads the data of the page: columns of numbers, written by `encode.rs`.
//
// An *item* is anything that occupies a lane from one time to another: an operation or an annotation. Items are
// numbered, and each of their properties is one array. The operations of a partition have consecutive numbers.

/** The word and the sign of each verdict. */
const VERDICTS = {
  illegal: { word: "not linearizable", sign: "✕" },
  unknown: { word: "undecided", sign: "?" },
  unchecked: { word: "not checked", sign: "·" },
  ok: { word: "linearizable", sign: "✓" },
};

function worstVerdict(partitions) {
  return ["illegal", "unknown", "unchecked"].find((verdict) => partitions.some((p) => p.verdict === verdict)) ?? "ok";
}

/** The values of a column that was stored as differences. */
function summed(differences, into = new Float64Array(differences.length), at = 0) {
  let value = 0;
  for (const difference of differences) into[at++] = value += difference;
  return into;
}

function readData({ raw, binary }) {
  const { texts, annotations } = raw;
  const step = raw.run?.step ?? 1; // nanoseconds per unit of all times
  const run = raw.run ? readRun(raw.run, binary) : null;
  const spans = run ? roleSpans(run) : [];
  const operationCount = raw.partitions.reduce((sum, partition) => sum + partition.took.length, 0);
  const items = newItems(operationCount + annotations.took.length + spans.length);
  const data = {
    title: texts[raw.title],
    summary: texts[raw.summary],
    notes: raw.notes,
    unit: raw.unit,
    origin: BigInt(raw.origin),
    texts,
    items,
    operationCount,
    run,
    partitions: [],
    lanes: [
      ...raw.clients.map((client) => ({ group: "client", name: `client ${client}`, short: `${client}` })),
      ...raw.tags.map((tag) => ({ group: run && TESTER_TAGS.has(texts[tag]) ? "tester" : "tag", name: texts[tag], short: texts[tag] })),
    ],
  };
  let first = 0;
  for (const partition of raw.partitions) {
    data.partitions.push(readPartition(partition, items, first, data.partitions.length, texts));
    first += partition.took.length;
  }
  readAnnotations(annotations, items, first);
  for (const times of [items.start, items.end]) for (let item = 0; item < items.count; item++) times[item] *= step;
  if (run) readRoles(data, run, spans, first + annotations.took.length);
  [data.start, data.end] = extent(items, data.unit);
  for (let item = 0; item < operationCount; item++) if (items.open[item]) items.end[item] = data.end;
  items.byStart = sortedBy(items.count, items.start, items.end);
  readKinds(data);
  return data;
}

/** The lanes that a tester writes (see `run/history.rs`), with their topics. */
const TESTER_TAGS = new Map([["$ Checks", "check"], ["$ Faults", "fault"], ["$ Agreed", "client"]]);

function newItems(count) {
  return {
    count,
    start: new Float64Array(count),
    end: new Float64Array(count), // of an operation that never returned: the end of the history
    lane: new Int32Array(count),
    text: new Int32Array(count),
    details: new Int32Array(count),
    partition: new Int32Array(count).fill(-1), // annotations belong to none
    open: new Uint8Array(count), // never returned
    kind: new Uint8Array(count), // the colour; see readKinds
    colour: new Int32Array(count).fill(-1), // of annotations: 0xRRGGBB
    role: new Int8Array(count).fill(-1), // of a server's span: see ROLES
  };
}

function readPartition(raw, items, first, number, texts) {
  const count = raw.took.length;
  summed(raw.lane, items.lane, first);
  summed(raw.call, items.start, first);
  summed(raw.description, items.text, first);
  summed(raw.details, items.details, first);
  items.partition.fill(number, first, first + count);
  for (let i = 0; i < count; i++) items.end[first + i] = items.start[first + i] + raw.took[i];
  for (const i of raw.open) items.open[first + i] = 1;
  const { from, adds, operation, state } = raw.sequences;
  return {
    number,
    name: texts[raw.name],
    verdict: raw.verdict,
    hasStates: raw.states,
    initial: raw.initial,
    first,
    count,
    tree: { from, adds, operation: summed(operation, new Int32Array(operation.length)), state: summed(state, new Int32Array(state.length)) },
  };
}

function readAnnotations(raw, items, first) {
  items.lane.set(raw.lane, first);
  items.colour.set(raw.colour, first);
  summed(raw.start, items.start, first);
  summed(raw.label, items.text, first);
  summed(raw.details, items.details, first);
  for (let i = 0; i < raw.took.length; i++) items.end[first + i] = items.start[first + i] + raw.took[i];
}

/** The first and the last moment. Operations that never returned extend slightly beyond everything else. */
function extent(items, unit) {
  let [start, end] = [Infinity, -Infinity];
  let anyOpen = false;
  for (let item = 0; item < items.count; item++) {
    start = Math.min(start, items.start[item]);
    end = Math.max(end, items.start[item], items.end[item]);
    anyOpen ||= items.open[item] === 1;
  }
  if (start > end) return [0, 1];
  if (anyOpen) end += Math.max(1, unit === "order" ? 1 : (end - start) * 0.02);
  return [start, Math.max(end, start + 1)];
}

/** The numbers below `count`, ordered by the first key, then by the second. */
function sortedBy(count, key, second) {
  const numbers = new Uint32Array(count).map((_, i) => i);
  return numbers.sort((a, b) => key[a] - key[b] || second[a] - second[b] || a - b);
}

/** The number of kinds of operations with a colour of their own. */
const KINDS = 6;

/** The colours of the usual kinds, which are the same in all timelines. Other kinds get the remaining colours. */
const USUAL_KINDS = { append: 1, get: 2, read: 2, put: 3, write: 3, cas: 4 };

/**
 * Assigns kinds. The kind of an operation is the first word of its description. The most frequent kinds get the
 * colours 1 to KINDS, all others get 0.
 */
function readKinds(data) {
  const { items, texts } = data;
  const words = new Map(); // text -> word, because texts repeat
  const counts = new Map();
  for (let item = 0; item < data.operationCount; item++) {
    const text = items.text[item];
    if (!words.has(text)) words.set(text, /^\p{L}+/u.exec(texts[text])?.[0] ?? "");
    const word = words.get(text);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const frequent = [...counts].filter(([word]) => word).sort((a, b) => b[1] - a[1]).slice(0, KINDS).map(([word]) => word);
  frequent.sort();
  const number = new Map();
  const left = new Set(Array.from({ length: KINDS }, (_, i) => i + 1));
  const give = (word, colour) => left.delete(colour) && number.set(word, colour);
  for (const word of frequent) if (Object.hasOwn(USUAL_KINDS, word)) give(word, USUAL_KINDS[word]);
  for (const word of frequent) if (!number.has(word)) give(word, Math.min(...left));
  data.kinds = number; // word -> colour
  for (let item = 0; item < data.operationCount; item++) items.kind[item] = number.get(words.get(items.text[item])) ?? 0;
}
