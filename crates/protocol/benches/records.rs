//! Record batches: our codec and the `kafka-protocol` crate's on the same records, uncompressed,
//! and what compression costs.
//!
//! `cargo bench -p roka-protocol --bench records` runs criterion, then prints for each shape of
//! batch the best time per record of both and the median of their ratios, taken in turns in one run: the
//! machine's load moves both, the ratio stays. With an argument `ratio` it prints only these. "encode" gives them their
//! records ready made; "from slices" begins for both where a producer begins, with key and value.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records as theirs;
use roka_protocol::records::{
    Batch, BatchBuilder, BatchOptions, Compression, Decompressor, ProducerFields,
};

/// A batch of `count` records with a key of 16 bytes and a value of `value` bytes.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    count: usize,
    value: usize,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "1000 x (16 + 100 B)", count: 1000, value: 100 },
    Shape { name: "100 x (16 + 8 B)", count: 100, value: 8 },
    Shape { name: "16 x (16 + 1000 B)", count: 16, value: 1000 },
];

const NOW: i64 = 1_760_000_000_000;

struct Input {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    theirs: Vec<theirs::Record>,
    encoded: Bytes,
}

fn input(shape: Shape) -> Input {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut text = |size| (0..size).map(|_| rng.alphanumeric() as u8).collect::<Vec<u8>>();
    let records: Vec<_> = (0..shape.count).map(|_| (text(16), text(shape.value))).collect();
    let theirs = records.iter().enumerate().map(|(i, (key, value))| their_record(i, key, value));
    let theirs = theirs.collect();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let encoded = encode(&mut builder, &records);
    Input { records, theirs, encoded }
}

fn their_record(index: usize, key: &[u8], value: &[u8]) -> theirs::Record {
    theirs::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: theirs::TimestampType::Creation,
        offset: index as i64,
        sequence: index as i32 - 1,
        timestamp: NOW + index as i64,
        key: Some(Bytes::copy_from_slice(key)),
        value: Some(Bytes::copy_from_slice(value)),
        headers: IndexMap::new(),
    }
}

fn encode(builder: &mut BatchBuilder, records: &[(Vec<u8>, Vec<u8>)]) -> Bytes {
    for (i, (key, value)) in records.iter().enumerate() {
        let pushed = builder.push(NOW + i as i64, Some(key), Some(value), []);
        assert!(pushed.is_ok());
    }
    builder.build(ProducerFields::NONE).unwrap_or_default()
}

fn encode_theirs(buffer: &mut BytesMut, records: &[theirs::Record]) -> usize {
    buffer.clear();
    let options =
        theirs::RecordEncodeOptions { version: 2, compression: theirs::Compression::None };
    let encoded = theirs::RecordBatchEncoder::encode(buffer, records, &options);
    assert!(encoded.is_ok());
    buffer.len()
}

/// What a consumer does: the checksum, then every record's key and value. Their decoder checks it too.
fn decode(bytes: &Bytes, decompressor: &mut Decompressor) -> usize {
    let Ok(Some(batch)) = Batch::read(bytes) else { return 0 };
    if batch.validate_crc().is_err() {
        return 0;
    }
    let Ok(records) = batch.records(decompressor) else { return 0 };
    let mut size = 0;
    for record in records {
        let Ok(record) = record else { return 0 };
        size += black_box(record.key).map_or(0, <[u8]>::len);
        size += black_box(record.value).map_or(0, <[u8]>::len);
    }
    size
}

fn decode_theirs(bytes: &Bytes) -> usize {
    let Ok(set) = theirs::RecordBatchDecoder::decode(&mut bytes.clone()) else { return 0 };
    let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    set.records.iter().map(|record| size(&record.key) + size(&record.value)).sum()
}

/// What came of two pieces of work done in turns.
struct Turns {
    /// Best time of each.
    best: (Duration, Duration),
    /// Theirs over ours, turn by turn, sorted.
    ratios: Vec<f64>,
}

/// Runs both again and again, as often as fits into the time.
fn in_turns(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Turns {
    let mut turns = Turns { best: (Duration::MAX, Duration::MAX), ratios: Vec::new() };
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..20 {
            work();
        }
        start.elapsed() / 20
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        let (ours, theirs) = (time(&mut ours), time(&mut theirs));
        turns.best = (turns.best.0.min(ours), turns.best.1.min(theirs));
        turns.ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
    }
    turns.ratios.sort_by(f64::total_cmp);
    turns
}

fn ratios() {
    println!(
        "{:<20} {:<14} {:>10} {:>15} {:>7} {:>14}",
        "", "ns per record", "ours", "kafka-protocol", "ratio", "5 % to 95 %"
    );
    for shape in SHAPES {
        let input = input(shape);
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let mut buffer = BytesMut::new();
        let mut decompressor = Decompressor::new();
        let print = |what, Turns { best: (ours, theirs), ratios }: Turns| {
            let per_record = |time: Duration| time.as_nanos() as f64 / shape.count as f64;
            let (ours, theirs) = (per_record(ours), per_record(theirs));
            let at = |percent: usize| ratios[(ratios.len() - 1) * percent / 100];
            let spread = format!("{:.1}x to {:.1}x", at(5), at(95));
            println!(
                "{:<20} {what:<14} {ours:>10.1} {theirs:>15.1} {:>6.1}x {spread:>14}",
                shape.name,
                at(50)
            );
        };
        print(
            "encode",
            in_turns(
                || {
                    let batch = encode(&mut builder, &input.records);
                    black_box(batch.len());
                    builder.recycle(batch);
                },
                || {
                    black_box(encode_theirs(&mut buffer, &input.theirs));
                },
            ),
        );
        print(
            "from slices",
            in_turns(
                || {
                    let batch = encode(&mut builder, &input.records);
                    black_box(batch.len());
                    builder.recycle(batch);
                },
                || {
                    let records = input.records.iter().enumerate();
                    let records: Vec<_> =
                        records.map(|(i, (key, value))| their_record(i, key, value)).collect();
                    black_box(encode_theirs(&mut buffer, &records));
                },
            ),
        );
        print(
            "decode",
            in_turns(
                || assert!(decode(&input.encoded, &mut decompressor) > 0),
                || assert!(decode_theirs(&input.encoded) > 0),
            ),
        );
    }
}

fn uncompressed(criterion: &mut Criterion) {
    for shape in SHAPES {
        let input = input(shape);
        let mut group = criterion.benchmark_group(shape.name);
        group.throughput(Throughput::Elements(shape.count as u64));
        let mut builder = BatchBuilder::new(BatchOptions::default());
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                let batch = encode(&mut builder, &input.records);
                builder.recycle(batch);
            });
        });
        let mut buffer = BytesMut::new();
        group.bench_function("encode kafka-protocol", |bencher| {
            bencher.iter(|| encode_theirs(&mut buffer, &input.theirs));
        });
        let mut decompressor = Decompressor::new();
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode(&input.encoded, &mut decompressor));
        });
        group.bench_function("decode kafka-protocol", |bencher| {
            bencher.iter(|| decode_theirs(&input.encoded));
        });
        group.finish();
    }
}

/// Values that look like JSON, so that there is something to compress.
fn compressed(criterion: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(2);
    let records: Vec<_> = (0..1000)
        .map(|i| {
            let key = format!("user-{:011}", rng.u32(..100_000));
            let (amount, score) = (rng.u32(..10_000), rng.f32());
            let value = format!(r#"{{"id":{i},"amount":{amount},"score":{score},"currency":"EUR","tags":["a","b"]}}"#);
            (key.into_bytes(), value.into_bytes())
        })
        .collect();
    let mut group = criterion.benchmark_group("1000 JSON records");
    group.throughput(Throughput::Elements(records.len() as u64));
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
        let bytes = encode(&mut builder, &records);
        let id = |what| BenchmarkId::new(what, format!("{compression}, {} B", bytes.len()));
        group.bench_function(id("encode"), |bencher| {
            bencher.iter(|| encode(&mut builder, &records));
        });
        let mut decompressor = Decompressor::new();
        group.bench_function(id("decode"), |bencher| {
            bencher.iter(|| decode(&bytes, &mut decompressor));
        });
    }
    group.finish();
}

fn main() {
    if !std::env::args().any(|argument| argument == "ratio") {
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1))
            .configure_from_args();
        uncompressed(&mut criterion);
        compressed(&mut criterion);
        criterion.final_summary();
    }
    ratios();
}
