use std::io::Write;

use http_body_util::Full;
use needle_storage::model::Tenant;

use super::*;
use crate::shares::Shares;

fn room(settings: &IngestSettings) -> InFlight {
    Shares::of(settings).enter(&Tenant::default()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn decompress(compression: Compression, body: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    compression.decompress(Bytes::copy_from_slice(body), limit, &mut room(&IngestSettings::default()))
}

#[test]
fn otlp_15_17_gzip_and_zstd_are_read() {
    let text = b"needle ".repeat(50_000);
    assert_eq!(decompress(Compression::Gzip, &gzip(&text), 1 << 20).unwrap(), text);
    assert_eq!(decompress(Compression::Zstd, &zstd::encode_all(text.as_slice(), 3).unwrap(), 1 << 20).unwrap(), text);
}

#[test]
fn otlp_20_gzip_of_several_members_is_read_whole() {
    let body = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(decompress(Compression::Gzip, &body, 100).unwrap(), "one two");
}

#[test]
fn otlp_19_damaged_bodies_are_refused() {
    let (gzipped, zstandard) = (gzip(&[7; 5000]), zstd::encode_all(&[7u8; 5000][..], 3).unwrap());
    for (compression, whole) in [(Compression::Gzip, gzipped), (Compression::Zstd, zstandard)] {
        let trailing = [whole.as_slice(), b"garbage"].concat();
        for body in [&whole[..whole.len() - 3], &whole[..3], b"not compressed", &trailing] {
            let refusal = decompress(compression, body, 1 << 20).unwrap_err();
            assert!(matches!(refusal, Refusal::Compression { .. }), "{compression:?} {refusal}");
        }
    }
}

#[test]
fn otlp_23_a_bomb_stops_at_the_limit() {
    let bomb = gzip(&vec![0; 50 << 20]);
    let settings = IngestSettings::default();
    let mut room = room(&settings);
    let refusal = Compression::Gzip.decompress(bomb.into(), 1 << 20, &mut room).unwrap_err();
    assert!(matches!(refusal, Refusal::TooLarge { .. }), "{refusal}");
    assert!(room.bytes() < 2 << 20, "held {} bytes", room.bytes());
}

#[tokio::test]
async fn otlp_22_26_a_body_may_reach_the_limit_and_not_pass_it() {
    let settings = IngestSettings { request_bytes_max: 1000, record_bytes_max: 1000, ..IngestSettings::default() };
    for (bytes, fits) in [(0, true), (999, true), (1000, true), (1001, false)] {
        let received = receive(&HeaderMap::new(), Full::new(Bytes::from(vec![7; bytes])), &settings, 0, &mut room(&settings)).await;
        assert_eq!(received.is_ok(), fits, "{bytes}");
    }
}

#[tokio::test]
async fn otlp_76_a_body_that_came_too_slowly_is_told_from_one_that_broke() {
    let settings = IngestSettings::default();
    for (kind, is_slow) in [(io::ErrorKind::TimedOut, true), (io::ErrorKind::ConnectionReset, false)] {
        let frames = [Ok(http_body::Frame::data(Bytes::from_static(b"ab"))), Err(io::Error::new(kind, "no more"))];
        let body = axum::body::Body::new(http_body_util::StreamBody::new(tokio_stream::iter(frames)));
        let refusal = receive(&HeaderMap::new(), body, &settings, 0, &mut room(&settings)).await.unwrap_err();
        assert_eq!(matches!(refusal, Refusal::Slow), is_slow, "{refusal}");
    }
}
