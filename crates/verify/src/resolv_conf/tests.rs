//! What both libraries read, by tables.

use super::*;

/// Servers, search list and differences, each as one text.
fn read(text: &[u8], local_domain: Option<&str>, host_name: &str) -> [String; 3] {
    let around = Surroundings {
        interface: &|name| (name == "d0").then_some(3),
        local_domain,
        host_name,
    };
    let read = resolv_conf(text, 53, &around);
    let servers: Vec<String> = read.servers.iter().map(IpText::ip_text).collect();
    let search: Vec<String> = read.search.iter().map(ToString::to_string).collect();
    let lines: Vec<String> = read.differences.iter().map(ToString::to_string).collect();
    [servers.join(" "), search.join(" "), lines.join("; ")]
}

#[test]
fn name_servers_are_the_union_of_glibc_and_musl() {
    let long = format!(
        "nameserver 10.0.0.1 {}\nnameserver 10.0.0.2",
        "x".repeat(300)
    );
    for (text, servers, differences) in [
        ("nameserver 10.0.0.53\nsearch x\n", "10.0.0.53", ""),
        ("", "127.0.0.1", ""),
        (
            "# nameserver 1.1.1.1\n;nameserver 1.1.1.1\n",
            "127.0.0.1",
            "",
        ),
        ("nameserver\nnameserver x\noptions rotate", "127.0.0.1", ""),
        (
            "nameserver 10.0.0.1\nnameserver\t::1 # ours\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
            "10.0.0.1 ::1 10.0.0.3",
            "",
        ),
        // A leading blank hides a line from both.
        (" nameserver 10.0.0.1\nnameserver 10.0.0.2", "10.0.0.2", ""),
        ("nameserver10.0.0.1\nNameserver 10.0.0.1", "127.0.0.1", ""),
        ("nameserver 10.0.0.1#x", "127.0.0.1", ""),
        (
            "nameserver 010.0.0.1\nnameserver 0x0a.1",
            "8.0.0.1 10.0.0.1",
            "",
        ),
        (
            "nameserver fe80::53%d0\nnameserver fe80::53%7",
            "fe80::53%3 fe80::53%7",
            "",
        ),
        (
            "nameserver fe80::53%gone",
            "fe80::53 127.0.0.1",
            "line 1: glibc reads name server fe80::53, musl ignores it",
        ),
        (
            "nameserver 2001:db8::1%d0",
            "2001:db8::1 127.0.0.1",
            "line 1: glibc reads name server 2001:db8::1, musl ignores it",
        ),
        (
            "nameserver 10.0.0.1\r\nnameserver 10.0.0.2\n",
            "10.0.0.2 10.0.0.1",
            "line 1: glibc ignores it, musl reads name server 10.0.0.1",
        ),
        (
            &long,
            "10.0.0.1 10.0.0.2",
            "line 1: glibc reads name server 10.0.0.1, musl ignores it",
        ),
        (
            "nameserver\x0b10.0.0.1",
            "127.0.0.1 10.0.0.1",
            "line 1: glibc ignores it, musl reads name server 10.0.0.1",
        ),
    ] {
        let [have, _, told] = read(text.as_bytes(), None, "host");
        assert_eq!((&*have, &*told), (servers, differences), "{text:?}");
    }
    let [_, _, told] = read(b"nameserver 10.0.0.1\0\n", None, "host");
    assert!(told.contains("zero byte"), "{told}");
}

#[test]
fn search_list_is_the_union_of_glibc_and_musl() {
    for (text, local_domain, host_name, search, differences) in [
        ("search a b.c.\n", None, "host.x", "a. b.c.", ""),
        ("search a\ndomain b\n", None, "host.x", "b.", ""),
        ("", None, "host.corp.example\n", "corp.example.", ""),
        ("search a\n", Some("l m"), "host", "l. m. a.", ""),
        ("search .\n", None, "host", "", ""),
        (
            "domain a b\n",
            None,
            "host",
            "a. b.",
            "line 1: glibc reads search list `a`, musl reads search list `a b`",
        ),
    ] {
        let [_, have, told] = read(text.as_bytes(), local_domain, host_name);
        assert_eq!((&*have, &*told), (search, differences), "{text:?}");
    }
    let many: Vec<String> = (0..40).map(|at| format!("n{at}")).collect();
    let [_, have, told] = read(format!("search {}", many.join(" ")).as_bytes(), None, "h");
    assert_eq!(have.split(' ').count(), MAX_SEARCH);
    assert!(told.contains("more than 32"), "{told}");
}
