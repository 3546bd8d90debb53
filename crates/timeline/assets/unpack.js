// Unpacks the data of the page: base64, then deflate, then a JSON text followed by columns of numbers. The browser can
// inflate data, also in a page that was opened from disk, but only asynchronously. So all code that needs the data
// waits.

async function unpack(text) {
  const characters = atob(text.trim());
  const packed = new Uint8Array(characters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = characters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const json = new TextDecoder().decode(bytes.subarray(4, 4 + length));
  return { raw: JSON.parse(json), binary: bytes.subarray(4 + length) };
}

/**
 * Columns of numbers: seven bits per byte, the lowest bits first. `places` has the first byte and the number of values
 * of each column.
 */
class Columns {
  constructor(binary, places) {
    this.binary = binary;
    this.places = places;
  }

  /** A column of signed differences: 0, 1, 2, 3, ... stand for 0, -1, 1, -2, ... */
  unsigned(name) {
    let [at, count] = this.places[name];
    const { binary } = this;
    const values = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      let value = 0;
      let weight = 1;
      for (;;) {
        const byte = binary[at++];
        value += (byte & 127) * weight;
        if (byte < 128) break;
        weight *= 128;
      }
      values[i] = value;
    }
    return values;
  }

  /** A column of differences with signs: 0, 1, 2, 3, ... stand for 0, -1, 1, -2, ... */
  signed(name) {
    const values = this.unsigned(name);
    for (let i = 0; i < values.length; i++) values[i] = values[i] % 2 === 0 ? values[i] / 2 : -(values[i] + 1) / 2;
    return values;
  }
}
