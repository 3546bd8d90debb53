//! A serde serializer for the codec's format that appends to a buffer.
//!
//! The codec crate has a serializer of its own. This one exists for its speed: most encoded values are small integers
//! (those of every event of every run), and here a small integer is one byte that is pushed inline. The codec encodes
//! longer integers and rare types.

use std::fmt;

use bincode::{Encode, enc::write::Writer, error::EncodeError as CodecError};
use serde::{Serialize, ser};

use crate::{FORMAT, ONE_BYTE_MAX};

/// Encodes values and appends them to the buffer.
pub(crate) struct Serializer<'a> {
    out: &'a mut Vec<u8>,
}

/// The reason why a value has no encoding. It is small, because every step's result contains it.
#[derive(Debug)]
pub(crate) struct EncodeError(Box<str>);

impl<'a> Serializer<'a> {
    /// Creates a serializer that appends to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Serializer<'a> {
        Serializer { out }
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) -> Result<(), EncodeError> {
        self.out.push(byte);
        Ok(())
    }

    /// Writes an unsigned integer, a length or the number of a variant.
    #[inline]
    fn put_integer(&mut self, value: u64) -> Result<(), EncodeError> {
        if value <= u64::from(ONE_BYTE_MAX) { self.put_byte(value as u8) } else { self.encode_with_codec(value) }
    }

    #[inline]
    fn put_block(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.put_integer(bytes.len() as u64)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn put_count(&mut self, count: Option<usize>) -> Result<(), EncodeError> {
        match count {
            Some(count) => self.put_integer(count as u64),
            None => Err(ser::Error::custom("a sequence or map of unknown length")),
        }
    }

    /// Writes one value with the codec.
    fn encode_with_codec<T: Encode>(&mut self, value: T) -> Result<(), EncodeError> {
        bincode::encode_into_writer(value, VecWriter(self.out), FORMAT).map_err(ser::Error::custom)
    }
}

/// Implements the codec's writer for the end of a `Vec`.
struct VecWriter<'a>(&'a mut Vec<u8>);

impl Writer for VecWriter<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Generates the methods for single values.
macro_rules! single_values {
    ($($method:ident, $type:ty, $self:ident, $value:ident => $written:expr;)*) => {$(
        #[inline]
        fn $method($self, $value: $type) -> Result<(), EncodeError> {
            $written
        }
    )*};
}

impl ser::Serializer for &mut Serializer<'_> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    single_values! {
        serialize_bool, bool, self, value => self.put_byte(u8::from(value));
        serialize_i8, i8, self, value => self.put_byte(value as u8);
        serialize_i16, i16, self, value => self.encode_with_codec(value);
        serialize_i32, i32, self, value => self.encode_with_codec(value);
        serialize_i64, i64, self, value => self.encode_with_codec(value);
        serialize_i128, i128, self, value => self.encode_with_codec(value);
        serialize_u8, u8, self, value => self.put_byte(value);
        serialize_u16, u16, self, value => self.put_integer(value.into());
        serialize_u32, u32, self, value => self.put_integer(value.into());
        serialize_u64, u64, self, value => self.put_integer(value);
        serialize_u128, u128, self, value => self.encode_with_codec(value);
        serialize_f32, f32, self, value => self.encode_with_codec(value);
        serialize_f64, f64, self, value => self.encode_with_codec(value);
        serialize_char, char, self, value => self.encode_with_codec(value);
        serialize_str, &str, self, value => self.put_block(value.as_bytes());
        serialize_bytes, &[u8], self, value => self.put_block(value);
    }

    #[inline]
    fn serialize_none(self) -> Result<(), EncodeError> {
        self.put_byte(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        self.put_byte(1)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), EncodeError> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, number: u32, _: &'static str) -> Result<(), EncodeError> {
        self.put_integer(number.into())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.put_integer(number.into())?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, count: Option<usize>) -> Result<Self, EncodeError> {
        self.put_count(count)?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, EncodeError> {
        self.put_integer(number.into())?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, count: Option<usize>) -> Result<Self, EncodeError> {
        self.put_count(count)?;
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, EncodeError> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, EncodeError> {
        self.put_integer(number.into())?;
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Implements the traits for values of several parts: the parts follow each other, without their names.
macro_rules! parts {
    ($($trait:ident, $method:ident $(, $name:ty)?;)*) => {$(
        impl ser::$trait for &mut Serializer<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), EncodeError> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
    SerializeStruct, serialize_field, &'static str;
    SerializeStructVariant, serialize_field, &'static str;
}

impl ser::SerializeMap for &mut Serializer<'_> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl ser::Error for EncodeError {
    #[cold]
    fn custom<T: fmt::Display>(reason: T) -> EncodeError {
        EncodeError(reason.to_string().into())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use std::collections::BTreeMap;

    use crate::{FORMAT, encode};

    #[derive(Serialize)]
    enum Kind {
        Unit,
        New(i16),
        Tuple(u8, char),
        Struct { text: &'static str, list: Vec<Option<u32>> },
    }

    #[derive(Serialize)]
    struct Everything {
        integers: Vec<u64>,
        short: Vec<u16>,
        signed: Vec<i32>,
        wide: (u128, i128, i64, i8),
        floats: (f32, f64),
        kinds: Vec<Kind>,
        map: BTreeMap<u32, bool>,
        nothing: (),
    }

    /// Compares the encoding with that of the codec's own serializer.
    #[test]
    fn the_serializer_writes_the_codecs_encoding() {
        let edges = [0, 1, 249, 250, 251, 252, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX];
        let value = Everything {
            integers: edges.to_vec(),
            short: vec![0, 250, 251, u16::MAX],
            signed: vec![0, 1, -1, 125, -126, i32::MIN, i32::MAX],
            wide: (u128::MAX, i128::MIN, -1, -128),
            floats: (1.5, -0.0),
            kinds: vec![
                Kind::Unit,
                Kind::New(-300),
                Kind::Tuple(255, 'ß'),
                Kind::Struct { text: "one", list: vec![None, Some(7), Some(1000)] },
            ],
            map: BTreeMap::from([(1, true), (1000, false)]),
            nothing: (),
        };
        assert_eq!(encode(&value), bincode::serde::encode_to_vec(&value, FORMAT).unwrap());
        let long = "y".repeat(300);
        assert_eq!(encode(&long), bincode::serde::encode_to_vec(&long, FORMAT).unwrap());
    }
}
