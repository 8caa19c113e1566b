//! Reading an answer: never more than a limit, neither as it comes nor unpacked, and never longer than it may take.

use std::{io::Read, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap,
    body::{Body, Incoming},
    header::CONTENT_ENCODING,
};

#[cfg(test)]
use super::MOST;
use super::failure::CallError;

/// How long the next piece of an answer may take. That an answer drips is limited by the time of the whole call.
const NEXT_WITHIN: Duration = Duration::from_secs(10);

/// Reads an answer's body.
pub(super) async fn read(headers: &HeaderMap, mut body: Incoming, most: usize) -> Result<Bytes, CallError> {
    let unpack = Packing::of(headers)?;
    if body.size_hint().lower() > most as u64 {
        return Err(CallError::TooLarge(most));
    }
    let mut read = BytesMut::new();
    loop {
        let next = tokio::time::timeout(NEXT_WITHIN, body.frame()).await;
        let frame = match next.map_err(|_| CallError::Stalled(NEXT_WITHIN))? {
            None => break,
            Some(frame) => frame.map_err(|error| CallError::of_body(&error))?,
        };
        // Trailers are of no use here.
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > most {
            return Err(CallError::TooLarge(most));
        }
        read.extend_from_slice(&data);
    }
    unpack.unpacked(read.freeze(), most)
}

/// How an answer is packed. None is asked for, and some servers do it all the same.
#[derive(Debug, Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Deflate,
}

impl Packing {
    fn of(headers: &HeaderMap) -> Result<Self, CallError> {
        let mut found = Self::None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| CallError::Packed)?;
            for coding in value.split(',').map(str::trim) {
                let coding = match coding.to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(CallError::Packed),
                };
                if !matches!(found, Self::None) {
                    return Err(CallError::Packed);
                }
                found = coding;
            }
        }
        Ok(found)
    }

    fn unpacked(self, packed: Bytes, most: usize) -> Result<Bytes, CallError> {
        if packed.is_empty() {
            return Ok(packed);
        }
        match self {
            Self::None => Ok(packed),
            Self::Gzip => limited(MultiGzDecoder::new(packed.as_ref()), most),
            Self::Deflate => limited(ZlibDecoder::new(packed.as_ref()), most),
        }
    }
}

fn limited(unpacking: impl Read, most: usize) -> Result<Bytes, CallError> {
    let mut unpacked = Vec::new();
    unpacking
        .take(most as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| CallError::Packed)?;
    if unpacked.len() > most {
        return Err(CallError::TooLarge(most));
    }
    Ok(unpacked.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut packing = GzEncoder::new(Vec::new(), Compression::best());
        packing.write_all(bytes).unwrap();
        packing.finish().unwrap().into()
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        assert_eq!(Packing::Gzip.unpacked(gzip(b"{}"), MOST).unwrap(), "{}");
        let bomb = gzip(&vec![0; 100 * MOST]);
        assert!(bomb.len() < MOST, "it is small as it comes");
        assert!(matches!(
            Packing::Gzip.unpacked(bomb, MOST),
            Err(CallError::TooLarge(MOST))
        ));
        // A bomb of many parts.
        let part = gzip(&vec![0; MOST / 2]);
        let parts: Vec<u8> = part.iter().copied().cycle().take(part.len() * 5).collect();
        assert!(matches!(
            Packing::Gzip.unpacked(parts.into(), MOST),
            Err(CallError::TooLarge(MOST))
        ));
        assert!(matches!(
            Packing::Gzip.unpacked(Bytes::from_static(b"no gzip"), MOST),
            Err(CallError::Packed)
        ));
    }

    #[test]
    fn packings_that_nobody_asked_for_are_known_or_refused() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, value.parse().unwrap());
            Packing::of(&headers)
        };
        assert!(matches!(of("GZIP"), Ok(Packing::Gzip)));
        assert!(matches!(of("identity"), Ok(Packing::None)));
        assert!(matches!(of("deflate"), Ok(Packing::Deflate)));
        for unknown in ["br", "zstd", "gzip, gzip", "gzip, br"] {
            assert!(matches!(of(unknown), Err(CallError::Packed)), "{unknown}");
        }
    }
}
