use super::*;

/// Keeps what a reader finds.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) batches: Batches,
    pub(super) rejected: Vec<(u64, String)>,
}

pub(super) type Batches = Vec<Batch>;

pub(super) trait ConcatBodies {
    fn concat_bodies(&self) -> Vec<u8>;
}

impl ConcatBodies for Batches {
    fn concat_bodies(&self) -> Vec<u8> {
        self.iter().flat_map(|batch| batch.body.clone()).collect()
    }
}

impl Sink for Collected {
    fn batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.batches.push(batch);
        Ok(())
    }

    fn reject(&mut self, line: u64, reason: &str) {
        self.rejected.push((line, reason.to_owned()));
    }
}
