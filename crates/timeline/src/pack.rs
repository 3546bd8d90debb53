//! The packing of a page's data: deflated, and then as base64, because a page is text.
//!
//! The packed data is a JSON text followed by columns of numbers as bytes; `assets/unpack.js` is the reader. No
//! character of base64 has a meaning in HTML, so the data cannot close the element that contains it.

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

/// Encodes `bytes` with the alphabet of RFC 4648, section 4, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(base64_len(bytes.len()));
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place > chunk.len() { '=' } else { char::from(ALPHABET[digit as usize]) });
        }
    }
    text
}

/// The length of the base64 encoding of `bytes` bytes.
pub(crate) fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_examples_of_the_rfc() {
        // The examples of RFC 4648, section 10, and one with the last two characters of the alphabet.
        let examples =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, coded) in examples {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(base64_len(plain.len()), coded.len());
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn deflated_data_can_be_inflated() {
        let packed = deflate(b"{\"a\":1}", &[1, 2, 3]);
        let whole = miniz_oxide::inflate::decompress_to_vec(&packed).unwrap();
        assert_eq!(whole, [&7u32.to_le_bytes()[..], b"{\"a\":1}", &[1, 2, 3]].concat());
    }
}
