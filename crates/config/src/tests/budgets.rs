//! Budgets: which rule has which, what is refused, and what `check` says of Cloud DNS.

use std::time::Duration;

use super::{config, errors, now};
use crate::{SHIPPED_BUDGET, described_budget};
use dnsgate_core::policy::{Action, Budget, BudgetParty, OverBudget};

const UPSTREAM: &str = "upstreams: {u: {servers: [udp://10.9.0.53]}}\n";

/// The budget of rule `r`.
fn budget(text: &str) -> Option<Budget> {
    let config = config(&format!("{UPSTREAM}{text}"));
    let rule = config.policy.rules().iter().find(|rule| &*rule.name == "r");
    match &rule.expect("rule r").action {
        Action::Forward(forwarding) => forwarding.budget,
        action => panic!("{action:?}"),
    }
}

#[test]
fn rules_over_subtrees_have_the_default_and_each_key_has_its_own() {
    let shipped = Some(SHIPPED_BUDGET);
    let names = |names| {
        Some(Budget {
            names,
            ..SHIPPED_BUDGET
        })
    };
    let whole = Budget {
        names: 5,
        bytes: 2 << 10,
        window: Duration::from_secs(7_200),
        per: BudgetParty::Rule,
        over: OverBudget::Deny,
    };
    let all = "{names: 5, bytes: 2KiB, window: 2h, per: rule, over: deny}";
    for (top, domains, own, want) in [
        ("", "[.x.test]", "", shipped),
        ("", "[y.test, \"*.x.test\"]", "", shipped),
        ("", "[y.test, x.test]", "", None),
        ("", "[x.test]", ", budget: {names: 7}", names(7)),
        ("", "[.x.test]", ", budget: \"off\"", None),
        ("", "[.x.test]", ", budget: off", None),
        ("", "[.x.test]", ", budget: {}", shipped),
        ("budget: off\n", "[.x.test]", "", None),
        (
            "budget: off\n",
            "[.x.test]",
            ", budget: {names: 7}",
            names(7),
        ),
        ("budget: {names: 9}\n", "[.x.test]", "", names(9)),
        (
            "budget: {names: 9}\n",
            "[.x.test]",
            ", budget: {names: 1000000}",
            names(1_000_000),
        ),
        ("", "[.x.test]", &format!(", budget: {all}"), Some(whole)),
        (&format!("budget: {all}\n"), "[.x.test]", "", Some(whole)),
        (
            &format!("budget: {all}\n"),
            "[.x.test]",
            ", budget: {over: report}",
            Some(Budget {
                over: OverBudget::Report,
                ..whole
            }),
        ),
    ] {
        let text = format!("{top}rules: [{{name: r, domains: {domains}, forward: u{own}}}]");
        assert_eq!(budget(&text), want, "{text}");
    }
    assert_eq!(
        described_budget(&whole),
        "5 names and 2KiB to one domain in 2h, per rule"
    );
}

#[test]
fn a_bad_budget_is_told_with_its_place() {
    let rule = |budget: &str| {
        format!("{UPSTREAM}rules: [{{name: r, domains: [.x.test], forward: u, budget: {budget}}}]")
    };
    for (text, told) in [
        (
            rule("{names: 0}"),
            "t.yaml:2:67: error: `names` must be from 1 to 1000000 (default 1000)",
        ),
        (
            rule("{names: 1000001}"),
            "`names` must be from 1 to 1000000 (default 1000)",
        ),
        (rule("{names: -1}"), "names"),
        (
            rule("{bytes: 1}"),
            "there is no unit; write KiB, MiB or GiB behind the number",
        ),
        (
            rule("{bytes: 0KiB}"),
            "`bytes` must be from 1KiB to 1GiB (default 64KiB)",
        ),
        (
            rule("{bytes: 2GiB}"),
            "`bytes` must be from 1KiB to 1GiB (default 64KiB)",
        ),
        (
            rule("{window: 0s}"),
            "`window` must be from 1s to 30d (default 1d)",
        ),
        (
            rule("{window: 31d}"),
            "`window` must be from 1s to 30d (default 1d)",
        ),
        (rule("{window: 1 h}"), "write a whole number and its unit"),
        (rule("{per: clients}"), "did you mean client?"),
        (rule("{over: denied}"), "write one of report, deny"),
        (rule("{name: 5}"), "did you mean `names`?"),
        (
            rule("of"),
            "write off, or a mapping such as { names: 500, window: 1h, over: deny }",
        ),
        (
            rule("5"),
            "write off, or a mapping such as { names: 500, window: 1h, over: deny }",
        ),
        (rule("[5]"), "budget"),
        (rule(""), "budget"),
        (
            "rules: [{name: r, domains: [.x.test], deny: true, budget: off}]".to_owned(),
            "`budget` is for rules with `forward`: it is about what an upstream is asked",
        ),
        ("budget: on".to_owned(), "write off, or a mapping"),
        (
            "budget: {names: 0}".to_owned(),
            "t.yaml:1:17: error: `names` must be from 1 to 1000000 (default 1000)",
        ),
    ] {
        let report = errors(&text);
        assert!(report.contains(told), "{text}\n{report}");
    }
}

#[test]
fn a_budget_per_client_is_warned_of_behind_cloud_dns() {
    let clients = "clients: {dns: {cidrs: [35.199.192.0/19], deny_with: nxdomain}, vm: {cidrs: [10.0.0.0/8]}}\n";
    for (top, own, want) in [
        ("", "", None),
        ("", ", budget: {names: 7}", None),
        (
            "",
            ", budget: {per: client}",
            Some("the budget of rule `r`"),
        ),
        ("", ", budget: {over: deny}", Some("the budget of rule `r`")),
        ("", ", budget: {per: rule, over: deny}", None),
        ("", ", groups: [vm], budget: {per: client}", None),
        ("budget: {per: client}\n", "", Some("the default budget")),
        ("budget: {per: client}\n", ", groups: [vm]", None),
        ("budget: {per: client}\n", ", budget: {per: group}", None),
        ("budget: {over: deny}\n", "", Some("the default budget")),
        ("budget: {per: rule}\n", ", budget: {over: deny}", None),
    ] {
        let text = format!(
            "{UPSTREAM}{clients}{top}rules: [{{name: r, domains: [.x.test], forward: u{own}}}]"
        );
        let warnings = config(&text).warnings(now());
        let told: Vec<_> = warnings.iter().map(|it| it.message.to_string()).collect();
        let want: Vec<_> = want
            .map(|what| format!(
                "{what} counts per client, which means little in client group `dns`: Cloud DNS (35.199.192.0/19) is in it, and all machines behind Cloud DNS have its few addresses"
            ))
            .into_iter()
            .collect();
        assert_eq!(told, want, "{text}");
    }
}
