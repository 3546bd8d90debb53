//! The codec as serde's data format, onto the end of a buffer.
//!
//! The codec crate has one of its own. This one exists for its speed: most of what is encoded is small integers (every event
//! of every run is), and here such a one is a byte that is put down, in line. Longer integers, and what is rare, are the
//! codec's own.

use std::fmt;

use bincode::{Encode, enc::write::Writer, error::EncodeError as CodecError};
use serde::{Serialize, ser};

use crate::{FORMAT, ONE_BYTE_MAX};

/// Encodes values behind what the buffer holds.
pub(crate) struct Serializer<'a> {
    out: &'a mut Vec<u8>,
}

/// Why a value has no encoding. Small, because it is part of what every step returns.
#[derive(Debug)]
pub(crate) struct Refused(Box<str>);

impl<'a> Serializer<'a> {
    /// Behind what `out` holds.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Serializer<'a> {
        Serializer { out }
    }

    #[inline]
    fn byte(&mut self, byte: u8) -> Result<(), Refused> {
        self.out.push(byte);
        Ok(())
    }

    /// An integer without a sign, a length or the number of a variant.
    #[inline]
    fn integer(&mut self, value: u64) -> Result<(), Refused> {
        if value <= u64::from(ONE_BYTE_MAX) { self.byte(value as u8) } else { self.codec(value) }
    }

    #[inline]
    fn block(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.integer(bytes.len() as u64)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn count(&mut self, count: Option<usize>) -> Result<(), Refused> {
        match count {
            Some(count) => self.integer(count as u64),
            None => Err(ser::Error::custom("a sequence or map that does not know its length")),
        }
    }

    /// One value as the codec writes it.
    fn codec<T: Encode>(&mut self, value: T) -> Result<(), Refused> {
        bincode::encode_into_writer(value, Appended(self.out), FORMAT).map_err(ser::Error::custom)
    }
}

/// The codec's writer onto the end of a `Vec`.
struct Appended<'a>(&'a mut Vec<u8>);

impl Writer for Appended<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The methods for single values: how each is written.
macro_rules! single_values {
    ($($method:ident, $type:ty, $self:ident, $value:ident => $written:expr;)*) => {$(
        #[inline]
        fn $method($self, $value: $type) -> Result<(), Refused> {
            $written
        }
    )*};
}

impl ser::Serializer for &mut Serializer<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    single_values! {
        serialize_bool, bool, self, value => self.byte(u8::from(value));
        serialize_i8, i8, self, value => self.byte(value as u8);
        serialize_i16, i16, self, value => self.codec(value);
        serialize_i32, i32, self, value => self.codec(value);
        serialize_i64, i64, self, value => self.codec(value);
        serialize_i128, i128, self, value => self.codec(value);
        serialize_u8, u8, self, value => self.byte(value);
        serialize_u16, u16, self, value => self.integer(value.into());
        serialize_u32, u32, self, value => self.integer(value.into());
        serialize_u64, u64, self, value => self.integer(value);
        serialize_u128, u128, self, value => self.codec(value);
        serialize_f32, f32, self, value => self.codec(value);
        serialize_f64, f64, self, value => self.codec(value);
        serialize_char, char, self, value => self.codec(value);
        serialize_str, &str, self, value => self.block(value.as_bytes());
        serialize_bytes, &[u8], self, value => self.block(value);
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Refused> {
        self.byte(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        self.byte(1)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, number: u32, _: &'static str) -> Result<(), Refused> {
        self.integer(number.into())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.integer(number.into())?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, count: Option<usize>) -> Result<Self, Refused> {
        self.count(count)?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(self, _: &'static str, number: u32, _: &'static str, _: usize) -> Result<Self, Refused> {
        self.integer(number.into())?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, count: Option<usize>) -> Result<Self, Refused> {
        self.count(count)?;
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.integer(number.into())?;
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The traits for values of several parts: the parts follow each other, without their names.
macro_rules! parts {
    ($($trait:ident, $method:ident $(, $name:ty)?;)*) => {$(
        impl ser::$trait for &mut Serializer<'_> {
            type Ok = ();
            type Error = Refused;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), Refused> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<(), Refused> {
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
    type Error = Refused;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl ser::Error for Refused {
    #[cold]
    fn custom<T: fmt::Display>(why: T) -> Refused {
        Refused(why.to_string().into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

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

    /// What is written here is what the codec's own serializer writes.
    #[test]
    fn it_writes_what_the_codec_writes() {
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
