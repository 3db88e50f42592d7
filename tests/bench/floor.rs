//! What nobody can do without, measured in the same run on the same bytes, so that figures of two machines can be compared.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::workload::{Batch, Signal, Workload};

/// The least work, and what has to be found again.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    pub(crate) records: usize,
    pub(crate) sent_bytes: usize,
    /// Decoding into the types generated from the specification.
    pub(crate) decode: Duration,
    /// All requests as one stream of zstd, by level.
    pub(crate) zstd: BTreeMap<i32, Compressed>,
    pub(crate) journeys: Vec<Expected>,
    /// Of each service: its records, and those of them that are sought.
    pub(crate) services: BTreeMap<usize, (usize, usize)>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compressed {
    pub(crate) cpu: Duration,
    pub(crate) bytes: usize,
}

/// Records of a journey that were sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) records: usize,
    pub(crate) traced: usize,
    pub(crate) requested: usize,
}

impl Floor {
    pub(crate) fn measure(workload: &Workload) -> Floor {
        let mut floor = Floor::default();
        let mut streams = [1, 3].map(|level| (level, zstd::Encoder::new(Count::default(), level).unwrap(), Duration::ZERO));
        for batch in workload.batches() {
            floor.expect(&batch);
            floor.decode += timed(|| decode(workload.signal, &batch.body));
            for (_, stream, cpu) in &mut streams {
                *cpu += timed(|| stream.write_all(&batch.body).unwrap());
            }
        }
        for (level, stream, cpu) in streams {
            let bytes = stream.finish().unwrap().0;
            floor.zstd.insert(level, Compressed { cpu, bytes });
        }
        floor
    }

    fn expect(&mut self, batch: &Batch) {
        self.records += batch.origins.len();
        self.sent_bytes += batch.body.len();
        for origin in &batch.origins {
            let journey = origin.journey as usize;
            if self.journeys.len() <= journey {
                self.journeys.resize(journey + 1, Expected::default());
            }
            self.journeys[journey].records += 1;
            self.journeys[journey].traced += usize::from(origin.traced);
            self.journeys[journey].requested += usize::from(origin.requested);
            let (records, sought) = self.services.entry(origin.service).or_default();
            *records += 1;
            *sought += usize::from(origin.sought);
        }
    }

    /// CPU of decoding and compressing at this level.
    pub(crate) fn cpu(&self, level: i32) -> Duration {
        self.decode + self.zstd[&level].cpu
    }
}

fn decode(signal: Signal, body: &[u8]) {
    match signal {
        Signal::Logs => drop(black_box(ExportLogsServiceRequest::decode(body).unwrap())),
        Signal::Spans => drop(black_box(ExportTraceServiceRequest::decode(body).unwrap())),
    }
}

/// CPU time of this thread for it.
fn timed(work: impl FnOnce()) -> Duration {
    let before = thread_cpu();
    work();
    thread_cpu() - before
}

fn thread_cpu() -> Duration {
    // The kernel brings a thread's account up to date when it gives way.
    std::thread::yield_now();
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps accounts of threads");
    Duration::from_nanos(account.split(' ').next().and_then(|used| used.parse().ok()).expect("the time used stands first"))
}

/// Counts bytes and forgets them.
#[derive(Debug, Default)]
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
