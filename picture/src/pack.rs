//! The data of a page on its way into the file: deflated, and as base64, because a page is text.
//!
//! What is packed is a JSON text and, behind it, columns of numbers as bytes; `assets/unpack.js` is the reader. Base64 has no
//! character that means anything to HTML, so that nothing of the data can end the element it stands in.

use miniz_oxide::deflate::compress_to_vec;

/// How hard the compression tries, from 0 to 10. Above 6 it takes twice the time for a hundredth of the size.
const LEVEL: u8 = 6;

/// `json` and `binary` behind it, deflated. The first four bytes of what was deflated are the length of `json`.
pub(crate) fn deflated(json: &[u8], binary: &[u8]) -> Vec<u8> {
    let length = u32::try_from(json.len()).expect("the JSON of a page is shorter than 4 GB");
    let mut whole = Vec::with_capacity(4 + json.len() + binary.len());
    whole.extend_from_slice(&length.to_le_bytes());
    whole.extend_from_slice(json);
    whole.extend_from_slice(binary);
    compress_to_vec(&whole, LEVEL)
}

/// `bytes` in the alphabet of RFC 4648, section 4, with padding.
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

/// How long the base64 of `bytes` bytes is.
pub(crate) fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
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
    fn what_was_deflated_comes_back() {
        let packed = deflated(b"{\"a\":1}", &[1, 2, 3]);
        let whole = miniz_oxide::inflate::decompress_to_vec(&packed).unwrap();
        assert_eq!(whole, [&7u32.to_le_bytes()[..], b"{\"a\":1}", &[1, 2, 3]].concat());
    }
}
