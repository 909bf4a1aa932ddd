//! The name of a Cloud Storage bucket.

use std::{fmt, str::FromStr};

/// The name of a Cloud Storage bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket(String);

/// The text is not a valid bucket name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the bucket's name: 3 to 222 of a-z, 0-9, hyphen, underscore and dot, without gs://")]
pub struct BadBucket;

impl FromStr for Bucket {
    type Err = BadBucket;

    fn from_str(text: &str) -> Result<Self, BadBucket> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        let is_name = (3..=222).contains(&text.len()) && text.bytes().all(fits);
        is_name.then(|| Self(text.to_owned())).ok_or(BadBucket)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_valid_bucket_names() {
        for (text, fits) in [
            ("my-bucket_1.example", true),
            ("ab", false),
            ("My", false),
            ("gs://bucket", false),
            ("a/b", false),
            ("abc?x=y", false),
        ] {
            assert_eq!(text.parse::<Bucket>().is_ok(), fits, "{text}");
        }
    }
}
