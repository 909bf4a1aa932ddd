//! Builds the message types of the `prometheus` crate, in the same way for all families.

use std::time::Duration;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily};

use super::families::Family;

/// One metric with its label values. The family has the label names.
pub(crate) struct Series {
    labels: Vec<String>,
    metric: Metric,
}

/// Converts a count to Prometheus's number type.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format has floating-point values; beyond 2^53 the last digits are lost"
)]
pub(crate) const fn float(value: u64) -> f64 {
    value as f64
}

/// A counter.
pub(crate) fn counter<const N: usize>(labels: [&str; N], value: u64) -> Series {
    let mut counter = Counter::default();
    counter.set_value(float(value));
    let mut metric = Metric::default();
    metric.set_counter(counter);
    Series {
        labels: labels.map(str::to_owned).to_vec(),
        metric,
    }
}

/// A gauge.
pub(crate) fn gauge<const N: usize>(labels: [&str; N], value: f64) -> Series {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    Series {
        labels: labels.map(str::to_owned).to_vec(),
        metric: Metric::from_gauge(gauge),
    }
}

/// A histogram from the count of each bucket; the last bucket is above all bounds.
pub(crate) fn histogram<const N: usize>(
    labels: [&str; N],
    bounds: &[Duration],
    counts: &[u64],
    nanos: u64,
) -> Series {
    let mut so_far = 0;
    let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
        so_far += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(so_far);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(float(nanos) / 1e9);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    Series {
        labels: labels.map(str::to_owned).to_vec(),
        metric,
    }
}

/// A family of these series.
pub(crate) fn family(family: &Family, series: impl IntoIterator<Item = Series>) -> MetricFamily {
    let metrics = series.into_iter().map(|Series { labels, mut metric }| {
        let pairs = family.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        });
        metric.set_label(pairs.collect());
        metric
    });
    let mut out = MetricFamily::default();
    out.set_name(family.name.to_owned());
    out.set_help(family.help.to_owned());
    out.set_field_type(family.kind.proto());
    out.set_metric(metrics.collect());
    out
}
