//! Google's table of names, `names.tsv`, which states its source and date.

use std::sync::LazyLock;

use super::Form;

/// One name of Google's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Documented {
    /// The domain, without the `*.` of the table.
    pub(super) domain: &'static str,
    /// Which names of the domain the table lists.
    pub(super) form: Form,
    /// Whether Google documents it for the restricted address as well.
    pub(super) restricted: bool,
}

/// The rows of the file: domain, form, and the third column, whose meaning depends on the form.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = include_str!("names.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.splitn(3, '\t');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
}

/// The table: 41 names, exact and wildcard, of 32 domains.
pub(super) static DOCUMENTED: LazyLock<Vec<Documented>> = LazyLock::new(|| {
    let served = rows().filter_map(|(domain, form, on)| {
        let form = match form {
            "both" => Form::Both,
            "wildcard" => Form::Wildcard,
            "exact" => Form::Exact,
            _ => return None,
        };
        Some(Documented {
            domain,
            form,
            restricted: on == "restricted",
        })
    });
    served.collect()
});

/// Subtrees of googleapis.com that the virtual addresses do not serve, each with advice.
pub(super) fn elsewhere() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = rows().filter(|(_, form, _)| *form == "elsewhere");
    rows.map(|(domain, _, advice)| (domain, advice))
}
