use super::*;
#[test]
fn probe() {
    let text = std::fs::read_to_string("/tmp/cfgprobe/cases.txt").unwrap();
    let mut out = String::new();
    for case in text.split("====\n") {
        if let Err(report) = parse(case.trim_end(), "t.yaml", Path::new("/nowhere")) {
            out.push_str(&format!("        (\n            {:?},\n            &[\n", case.trim_end()));
            for n in report.notices() {
                let help = n.help.as_deref().map(|h| format!(" ({h})")).unwrap_or_default();
                out.push_str(&format!("                {:?},\n", format!("{}:{} {}{help}", n.line, n.column, n.message)));
            }
            out.push_str("            ],\n        ),\n");
        } else { out.push_str(&format!("// OK {case}\n")); }
    }
    std::fs::write("/tmp/cfgprobe/table.rs", out).unwrap();
}
