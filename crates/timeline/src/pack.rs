//! The packing of a page's data: deflated, and then as base64, because a page is text.
//!
//! The packed data is a JSON text followed by columns of numbers as bytes; `assets/unpack.js` is the reader. No
//! character of base64 has a meaning in HTML, so the data cannot close the element that contains it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec;

/// The compression level, from 0 to 10. Above 6 it takes twice the time and saves one percent of the size.
const LEVEL: u8 = 6;

/// Deflates `json` followed by `binary`. The first four bytes of the deflated data are the length of `json`.
pub(crate) fn deflate(json: &[u8], binary: &[u8]) -> Vec<u8> {
    let length = u32::try_from(json.len()).expect("the JSON of a page is shorter than 4 GB");
    let mut whole = Vec::with_capacity(4 + json.len() + binary.len());
    whole.extend_from_slice(&length.to_le_bytes());
    whole.extend_from_slice(json);
    whole.extend_from_slice(binary);
    compress_to_vec(&whole, LEVEL)
}

/// Encodes `bytes` as base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns the length of the base64 encoding of `bytes` bytes.
pub(crate) fn base64_len(bytes: usize) -> usize {
    base64::encoded_len(bytes, true).expect("the data of a page is shorter than the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_data_can_be_unpacked() {
        // One, two and three bytes after the JSON, because the end of base64 depends on the length.
        for binary in [&[1][..], &[1, 2], &[1, 2, 3]] {
            let deflated = deflate(b"{\"a\":1}", binary);
            let packed = base64(&deflated);
            assert_eq!(packed.len(), base64_len(deflated.len()));
            let unpacked = STANDARD.decode(&packed).unwrap();
            let whole = miniz_oxide::inflate::decompress_to_vec(&unpacked).unwrap();
            assert_eq!(whole, [&7u32.to_le_bytes()[..], b"{\"a\":1}", binary].concat());
        }
    }
}
