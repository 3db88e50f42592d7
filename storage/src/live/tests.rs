use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::store::tests::incoming;

/// Batches of so many rows, of one of these tenants each, numbered in order.
fn batches(sizes: &[(usize, u8)]) -> Vec<Arc<LiveBatch>> {
    let mut first = RecordId(1);
    let batch = |(rows, tenant): &(usize, u8)| {
        let lines: String = (0..*rows).map(|row| format!("{row} req-{row} text\n")).collect();
        let mut batch = LiveBatch::new(Tenant::new(&format!("t{tenant}")).unwrap(), incoming(&lines).decoded);
        batch.number(first);
        first = RecordId(first.0 + *rows as u64);
        Arc::new(batch)
    };
    sizes.iter().map(batch).collect()
}

/// The records of each tenant, in the order in which its batches have them.
fn records(batches: &[Arc<LiveBatch>]) -> Vec<(&str, Vec<u64>)> {
    let tenants = ["t0", "t1", "t2"];
    let of = |tenant: &str| {
        let own = batches.iter().filter(move |batch| batch.tenant.as_str() == tenant);
        own.flat_map(|batch| (0..batch.records.num_rows()).map(|row| batch.view().record_id(row).0)).collect()
    };
    tenants.map(|tenant| (tenant, of(tenant))).into()
}

proptest! {
    #[test]
    fn what_is_joined_keeps_its_order_and_ids_and_nothing_is_left_to_join(sizes in vec((1_usize..40, 0_u8..3), 0..60)) {
        let apart = batches(&sizes);
        let mut joined = apart.clone();
        while let Some(run) = to_join(&joined) {
            prop_assert!(run.len() > 1);
            let one = Arc::new(LiveBatch::join(&run).unwrap());
            prop_assert!(replace(&mut joined, &run, &one));
            prop_assert!(!replace(&mut joined, &run, &one), "they are not there any more");
        }
        prop_assert_eq!(records(&joined), records(&apart));
        for tenant in ["t0", "t1", "t2"] {
            let rows: Vec<usize> =
                joined.iter().filter(|batch| batch.tenant.as_str() == tenant).map(|batch| batch.records.num_rows()).collect();
            prop_assert!(rows.windows(2).all(|pair| pair[0] > 2 * pair[1]), "{:?}", rows);
        }
        let id = crate::predicate::IdTest::of(crate::predicate::IdKind::Any, "req-3").unwrap().terms();
        let with = |batches: &[Arc<LiveBatch>]| batches.iter().map(|batch| batch.rows_with(&id).len()).sum::<usize>();
        prop_assert_eq!(with(&joined), with(&apart));
    }
}

#[test]
fn a_record_is_copied_few_times_when_requests_come_one_by_one() {
    let (mut live, mut copied) = (Vec::new(), 0);
    let sizes = vec![(1, 0); 1_000];
    for batch in batches(&sizes) {
        live.push(batch);
        while let Some(run) = to_join(&live) {
            let one = Arc::new(LiveBatch::join(&run).unwrap());
            copied += one.records.num_rows();
            assert!(replace(&mut live, &run, &one));
        }
        assert!(live.len() <= 10, "{} batches", live.len());
    }
    assert!(copied <= 10 * sizes.len(), "{copied} copies of {} records", sizes.len());
}
