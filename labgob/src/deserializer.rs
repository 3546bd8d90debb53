//! A serde deserializer for the codec's format that accepts untrusted input.
//!
//! The codec crate has a deserializer of its own, with four faults. It allocates the memory that a length asks for
//! before it has checked that the bytes are there. It passes lengths on as hints of how much to reserve. It follows any
//! depth of nesting. Its errors name neither the position nor the expected value. Single values (integers, floats,
//! `bool`, `char`) are decoded by the codec.

use bincode::{
    Decode,
    de::{Decoder as _, DecoderImpl},
    error::DecodeError as CodecError,
};
use serde::de::{
    self, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::{DecodeError, FORMAT, Format, MAX_DEPTH, MAX_EMPTY_ELEMENTS, ONE_BYTE_MAX, input::Input};

/// Decodes one value.
pub(crate) struct Deserializer<'de> {
    codec: DecoderImpl<Input<'de>, Format, ()>,
    /// The start of the part that was read last: the position to report when a type rejects it.
    last_read_at: usize,
    depth_left: usize,
    empty_elements_left: usize,
}

impl<'de> Deserializer<'de> {
    /// Creates a deserializer for the value that begins at byte `at`.
    pub(crate) fn new(bytes: &'de [u8], at: usize) -> Deserializer<'de> {
        Deserializer {
            codec: DecoderImpl::new(Input::new(bytes, at), FORMAT, ()),
            last_read_at: at,
            depth_left: MAX_DEPTH,
            empty_elements_left: MAX_EMPTY_ELEMENTS,
        }
    }

    /// Returns how many bytes of the whole input have been read.
    pub(crate) fn position(&mut self) -> usize {
        self.codec.reader().position()
    }

    /// Returns the byte at which the part that was read last begins.
    pub(crate) fn last_read_at(&self) -> usize {
        self.last_read_at
    }

    /// Reads one value with the codec; `expected` names it in errors.
    #[inline]
    fn read<T: Decode<()>>(&mut self, expected: &'static str) -> Result<T, DecodeError> {
        self.last_read_at = self.position();
        T::decode(&mut self.codec).map_err(|error| self.codec_error(expected, error))
    }

    /// Reads an unsigned integer, a length or the number of a variant. Most are small, and a small one is encoded as
    /// its own byte.
    #[inline]
    fn read_unsigned<T: Decode<()> + From<u8>>(&mut self, expected: &'static str) -> Result<T, DecodeError> {
        let at = self.position();
        match self.codec.reader().take_byte_up_to(ONE_BYTE_MAX) {
            Some(byte) => {
                self.last_read_at = at;
                Ok(T::from(byte))
            }
            None => self.read(expected),
        }
    }

    #[cold]
    fn codec_error(&self, expected: &'static str, error: CodecError) -> DecodeError {
        let found = match error {
            CodecError::UnexpectedEnd { .. } => "the end of the input".into(),
            CodecError::InvalidIntegerType { found, .. } => {
                format!("the marker of a longer integer ({found:?})").into()
            }
            CodecError::InvalidBooleanValue(byte) => format!("the byte {byte}").into(),
            CodecError::InvalidCharEncoding(bytes) => format!("the bytes {bytes:?}").into(),
            other => other.to_string().into(),
        };
        let found: std::borrow::Cow<'static, str> = found;
        DecodeError::unexpected(self.last_read_at, expected, found)
    }

    /// Reads a length and as many bytes, which are borrowed from the input.
    fn read_block(&mut self, expected: &'static str) -> Result<&'de [u8], DecodeError> {
        let length: u64 = self.read_unsigned(expected)?;
        let block = usize::try_from(length).ok().and_then(|length| self.codec.reader().take(length));
        block.ok_or_else(|| self.too_long(expected, length))
    }

    fn read_text(&mut self) -> Result<&'de str, DecodeError> {
        let block = self.read_block("a length-prefixed string")?;
        // The standard library's check is slower with long strings, but it locates the first bad byte.
        simdutf8::basic::from_utf8(block).or_else(|_| std::str::from_utf8(block)).map_err(|error| {
            let bad = self.position() - block.len() + error.valid_up_to();
            DecodeError::unexpected(self.last_read_at, "a string in UTF-8", format!("an invalid byte at byte {bad}"))
        })
    }

    /// Reads the number of elements of a sequence or map. Each element takes at least one byte, except for the few that
    /// may take none.
    fn read_count(&mut self, expected: &'static str) -> Result<usize, DecodeError> {
        let count: u64 = self.read_unsigned(expected)?;
        let most = self.codec.reader().remaining() + self.empty_elements_left;
        usize::try_from(count).ok().filter(|&n| n <= most).ok_or_else(|| self.too_long(expected, count))
    }

    #[cold]
    fn too_long(&mut self, expected: &'static str, length: u64) -> DecodeError {
        let left = self.codec.reader().remaining();
        DecodeError::unexpected(self.last_read_at, expected, format!("the length {length} with {left} bytes left"))
    }

    /// Runs `part` one nesting level deeper.
    #[inline]
    fn nested<R>(&mut self, part: impl FnOnce(&mut Self) -> Result<R, DecodeError>) -> Result<R, DecodeError> {
        if self.depth_left == 0 {
            return Err(DecodeError::custom(format_args!("parts are nested more than {MAX_DEPTH} deep")));
        }
        self.depth_left -= 1;
        let result = part(self);
        self.depth_left += 1;
        result
    }

    /// Counts an element of a sequence or map that began at byte `began`, if it took no bytes.
    #[inline]
    fn count_if_empty(&mut self, began: usize) -> Result<(), DecodeError> {
        if self.position() == began {
            let Some(left) = self.empty_elements_left.checked_sub(1) else {
                let limit = format_args!("more than {MAX_EMPTY_ELEMENTS} elements that take no bytes");
                return Err(DecodeError::custom(limit));
            };
            self.empty_elements_left = left;
        }
        Ok(())
    }
}

/// Generates the methods for values that the codec reads itself.
macro_rules! single_values {
    ($read:ident; $($method:ident, $visit:ident, $type:ty, $expected:literal;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit(self.$read::<$type>($expected)?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;

    single_values! { read;
        deserialize_bool, visit_bool, bool, "a bool";
        deserialize_i8, visit_i8, i8, "an i8";
        deserialize_i16, visit_i16, i16, "an i16";
        deserialize_i32, visit_i32, i32, "an i32";
        deserialize_i64, visit_i64, i64, "an i64";
        deserialize_i128, visit_i128, i128, "an i128";
        deserialize_u8, visit_u8, u8, "a u8";
        deserialize_u128, visit_u128, u128, "a u128";
        deserialize_f32, visit_f32, f32, "an f32";
        deserialize_f64, visit_f64, f64, "an f64";
        deserialize_char, visit_char, char, "a char";
    }

    single_values! { read_unsigned;
        deserialize_u16, visit_u16, u16, "a u16";
        deserialize_u32, visit_u32, u32, "a u32";
        deserialize_u64, visit_u64, u64, "a u64";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.read_text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_bytes(self.read_block("a length-prefixed byte string")?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.read::<u8>("an option (0 or 1)")? {
            0 => visitor.visit_none(),
            1 => self.nested(|inner| visitor.visit_some(inner)),
            byte => Err(DecodeError::unexpected(self.last_read_at, "an option (0 or 1)", format!("the byte {byte}"))),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|inner| visitor.visit_newtype_struct(inner))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let left = self.read_count("the length of a sequence")?;
        self.nested(|inner| visitor.visit_seq(Elements { deserializer: inner, left }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.nested(|inner| visitor.visit_seq(Fields { deserializer: inner, left: len }))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let left = self.read_count("the length of a map")?;
        self.nested(|inner| visitor.visit_map(Elements { deserializer: inner, left }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|inner| visitor.visit_enum(inner))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(not_self_describing())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(not_self_describing())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(not_self_describing())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Returns the error for a type that has to inspect the bytes before it knows its own shape.
fn not_self_describing() -> DecodeError {
    DecodeError::custom(
        "the type needs a self-describing format (a serde attribute such as flatten, untagged or tag), \
         and this format is not one",
    )
}

/// The fields of a struct, tuple or array. The type knows their number.
struct Fields<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.deserializer).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a sequence or map. Their number was read from the input. It is not passed on as a size hint: the
/// collection would reserve that number times an element's size in memory, and the input does not prove that the
/// elements exist.
struct Elements<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let began = self.deserializer.position();
        let element = seed.deserialize(&mut *self.deserializer)?;
        self.deserializer.count_if_empty(began)?;
        Ok(Some(element))
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        // The key alone decides whether an entry counts as empty: a map whose keys take no bytes has at most one entry.
        self.next_element_seed(seed)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.deserializer)
    }
}

impl<'de> EnumAccess<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let variant: u32 = self.read_unsigned("the number of a variant")?;
        let value = seed.deserialize(variant.into_deserializer())?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_tuple(self, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_tuple(self, fields.len(), visitor)
    }
}
