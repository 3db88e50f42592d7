//! Points in time: unsigned nanoseconds since 1970-01-01T00:00:00Z, as OTLP counts them.

/// Nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// The earliest time there is.
    pub const MIN: UnixNanos = UnixNanos(0);
    /// The latest time there is, in the year 2554.
    pub const MAX: UnixNanos = UnixNanos(u64::MAX);

    /// The value an Arrow `Timestamp(Nanosecond)` column can hold: times after
    /// 2262-04-11 saturate (the exact value then stands in `original_time`).
    pub fn saturating_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The inverse of [`UnixNanos::saturating_i64`]; a negative column value is taken as the epoch.
    pub fn from_column(value: i64) -> UnixNanos {
        UnixNanos(u64::try_from(value).unwrap_or(0))
    }

    /// This time moved by `nanos`, kept within range.
    pub fn saturating_add_signed(self, nanos: i64) -> UnixNanos {
        UnixNanos(self.0.saturating_add_signed(nanos))
    }

    /// `self - earlier` in nanoseconds, negative when `earlier` is later; saturates.
    pub fn since(self, earlier: UnixNanos) -> i64 {
        i64::try_from(i128::from(self.0) - i128::from(earlier.0)).unwrap_or(if self > earlier { i64::MAX } else { i64::MIN })
    }
}
