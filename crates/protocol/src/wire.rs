//! What Kafka's wire types look like as bytes.
//!
//! The reader and the writer know the version and whether it is *flexible* (KIP-482), so one
//! implementation per type serves the plain and the compact encoding.

use bytes::{Buf, BufMut, Bytes};

use crate::{Error, Fault, Reader, Writer, sampler::Sampler};

/// A value with a place on the wire.
pub trait Wire: Sized {
    /// Appends the value in the writer's version.
    fn write(&self, w: &mut Writer) -> Result<(), Error>;

    /// Takes the value off the front, in the reader's version.
    fn read(r: &mut Reader) -> Result<Self, Error>;

    /// A value made up for a test, such that the sampler's version can hold it.
    #[doc(hidden)]
    fn sample(s: &mut Sampler) -> Self;
}

macro_rules! fixed {
    ($($ty:ty, $put:ident, $get:ident;)*) => {$(
        impl Wire for $ty {
            fn write(&self, w: &mut Writer) -> Result<(), Error> {
                w.buf().$put(*self);
                Ok(())
            }

            fn read(r: &mut Reader) -> Result<Self, Error> {
                r.buf.$get().map_err(|_| Fault::Truncated.into())
            }

            fn sample(s: &mut Sampler) -> Self {
                s.number() as $ty
            }
        }
    )*};
}
fixed! {
    u8, put_u8, try_get_u8; i8, put_i8, try_get_i8; u16, put_u16, try_get_u16; i16, put_i16, try_get_i16;
    i32, put_i32, try_get_i32; u32, put_u32, try_get_u32; i64, put_i64, try_get_i64; f64, put_f64, try_get_f64;
}

impl Wire for bool {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        u8::from(*self).write(w)
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(u8::read(r)? != 0)
    }

    fn sample(s: &mut Sampler) -> Self {
        s.one_in(2)
    }
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Fault::Utf8.into())
}

impl Wire for Option<String> {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.short_length(self.as_ref().map(String::len))?;
        w.buf().put_slice(self.as_deref().unwrap_or_default().as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        let Some(n) = r.short_length()? else { return Ok(None) };
        text(&r.buf.split_to(n)).map(Some)
    }

    fn sample(s: &mut Sampler) -> Self {
        (!s.one_in(4)).then(|| Wire::sample(s))
    }
}

impl Wire for String {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.short_length(Some(self.len()))?;
        w.buf().put_slice(self.as_bytes());
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        Option::<Self>::read(r)?.ok_or(Fault::Null.into())
    }

    fn sample(s: &mut Sampler) -> Self {
        s.text()
    }
}

impl Wire for Option<Bytes> {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.length(self.as_ref().map(Bytes::len))?;
        if let Some(bytes) = self {
            w.splice(bytes);
        }
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(r.length()?.map(|n| r.buf.split_to(n)))
    }

    fn sample(s: &mut Sampler) -> Self {
        (!s.one_in(4)).then(|| Wire::sample(s))
    }
}

impl Wire for Bytes {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.length(Some(self.len()))?;
        w.splice(self);
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        Option::<Self>::read(r)?.ok_or(Fault::Null.into())
    }

    fn sample(s: &mut Sampler) -> Self {
        s.bytes()
    }
}

fn write_items<T: Wire>(items: &[T], w: &mut Writer) -> Result<(), Error> {
    items.iter().try_for_each(|item| item.write(w))
}

impl<T: Wire> Wire for Option<Vec<T>> {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.length(self.as_ref().map(Vec::len))?;
        write_items(self.as_deref().unwrap_or_default(), w)
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        let Some(n) = r.length()? else { return Ok(None) };
        // The count is foreign: no more room at first than the message's own size (or one item),
        // then room for what was really read.
        let room = (r.buf.len() / size_of::<T>().max(1)).max(1);
        let mut items = Vec::with_capacity(n.min(room));
        for _ in 0..n {
            items.push(T::read(r)?);
        }
        Ok(Some(items))
    }

    fn sample(s: &mut Sampler) -> Self {
        (!s.one_in(4)).then(|| Wire::sample(s))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.length(Some(self.len()))?;
        write_items(self, w)
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        Option::<Self>::read(r)?.ok_or(Fault::Null.into())
    }

    fn sample(s: &mut Sampler) -> Self {
        (0..s.below(4)).map(|_| T::sample(s)).collect()
    }
}
