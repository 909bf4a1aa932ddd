//! Generates the questions of a fleet of machines that do nothing wrong, in shapes that are known to look like tunnels:
//! many names below one domain, and names with hashes in them.
//!
//! Each client is one of the kinds of [`KINDS`] and asks, every day, what its shapes say. No cache stands before the
//! budget here, and every name of a day counts, which is harder on it than a real dnsgate. Numbers of names are drawn
//! from long-tailed distributions around those of the sources.
//!
//! | shape | names | source |
//! |---|---|---|
//! | packages | `deb.debian.org`, `files.pythonhosted.org`, `registry.npmjs.org`, country mirrors `ftp.XX.debian.org`: fixed names, asked often | Debian's list of mirrors; PyPI's and npm's documentation of hosts to allow |
//! | hashed | `rr3---sn-4g5edn6k.googlevideo.com`, `scontent-fra5-1.xx.fbcdn.net`, `e1234.dscb.akamaiedge.net`, `d111111abcdef8.cloudfront.net`: a host name a cache node, new ones each day | the published host-name schemes of these networks; Amazon CloudFront Developer Guide (distribution domain names); Böttger et al., "Open Connect Everywhere", CCR 2018, which lists such names by the ten thousand for one network |
//! | buckets | `NAME.s3.eu-west-1.amazonaws.com`, `ACCOUNT.blob.core.windows.net`: each bucket is a registered domain by the public suffix list | Amazon S3 User Guide (virtual hosting); the public suffix list |
//! | registry | `production.cloudflare.docker.com`, `prod-REGION-starport-layer-bucket.s3.REGION.amazonaws.com`, `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, `REGION-docker.pkg.dev` | Docker Hub's and Amazon ECR's lists of endpoints to allow |
//! | mail | MX of the recipients' domains, `SELECTOR._domainkey.DOMAIN`, `_dmarc.DOMAIN`, `mx1.DOMAIN`: few names of each of many domains | RFC 6376, RFC 7489 |
//! | telemetry | `oNNN.ingest.sentry.io`, `N-N-N-app.agent.datadoghq.com`, `REGION.in.applicationinsights.azure.com`, `bam.nr-data.net` | the vendors' lists of endpoints to allow |
//! | reverse | PTR of the public peers of a server, `4.3.2.81.in-addr.arpa` | RFC 1035 section 3.5 |
//! | ci | a build machine: one fresh preview host an application, `PROJECT-HASH-TEAM.vercel.app`, `HASH.ngrok-free.app`, `pr-123.preview.corp-app.example` | Vercel's documentation of generated URLs |
//!
//! Not here, because they are what a budget finds: services that put data into names on purpose, such as block lists by
//! DNS (`4.3.2.1.zen.spamhaus.org`, RFC 5782) and reputation look-ups of anti-virus programs. A rule for those needs a budget
//! of its own.

use std::{net::IpAddr, time::Duration};

use dnsgate_core::dns::Name;

/// The length of a day.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A shape, its generator of one name, and the median number of questions a day.
type Shape = (&'static str, fn(&mut Random) -> String, u64);

const PACKAGES: Shape = ("packages", packages, 10);
const HASHED: Shape = ("hashed", hashed, 40);
const BUCKETS: Shape = ("buckets", buckets, 6);
const REGISTRY: Shape = ("registry", registry, 6);
const MAIL: Shape = ("mail", mail, 80);
const TELEMETRY: Shape = ("telemetry", telemetry, 12);
const REVERSE: Shape = ("reverse", reverse, 30);
const CI: Shape = ("ci", ci, 40);

/// The kinds of machines: how many of a hundred there are, and what they do.
const KINDS: [(u64, &[Shape]); 5] = [
    (60, &[PACKAGES, BUCKETS, REGISTRY, TELEMETRY]),
    (20, &[PACKAGES, HASHED, TELEMETRY]),
    (5, &[PACKAGES, MAIL, REVERSE]),
    (10, &[PACKAGES, REGISTRY, CI, BUCKETS]),
    (5, &[HASHED, HASHED, HASHED, BUCKETS, TELEMETRY]),
];

/// All clients.
pub(super) struct Fleet {
    clients: u64,
    random: Random,
}

impl Fleet {
    pub(super) fn new(clients: u64) -> Self {
        Self {
            clients,
            random: Random(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Every question of one day: its shape, its client, its second and its name. In the order of time, as far as
    /// budgets can tell: by the hour.
    pub(super) fn day(&mut self, day: u64, mut ask: impl FnMut(&'static str, IpAddr, u64, &Name)) {
        let mut hours: Vec<Vec<(&'static str, IpAddr, u64, Name)>> = vec![Vec::new(); 24];
        for number in 0..self.clients {
            let client = client(number);
            let mut part = number * 7_919 % 100;
            let kind = KINDS.iter().find(|(share, _)| {
                let is_it = part < *share;
                part = part.saturating_sub(*share);
                is_it
            });
            for (shape, name, median) in kind.expect("a hundred").1 {
                for _ in 0..self.random.long_tailed(*median) {
                    let second = self.random.below(86_400);
                    let name: Name = name(&mut self.random).parse().expect("a name");
                    hours[(second / 3_600) as usize].push((*shape, client, second, name));
                }
            }
        }
        let _ = day;
        for (shape, client, second, name) in hours.iter().flatten() {
            ask(shape, *client, *second, name);
        }
    }
}

/// The address of a client: machines fill subnets of 200.
fn client(number: u64) -> IpAddr {
    let bytes = u32::try_from(number).expect("few").to_be_bytes();
    let number = u32::from_be_bytes(bytes);
    IpAddr::from((0x0a00_0000 + number / 200 * 256 + number % 200 + 2).to_be_bytes())
}

fn packages(random: &mut Random) -> String {
    const HOSTS: [&str; 12] = [
        "deb.debian.org",
        "security.debian.org",
        "archive.ubuntu.com",
        "pypi.org",
        "files.pythonhosted.org",
        "registry.npmjs.org",
        "index.crates.io",
        "static.crates.io",
        "proxy.golang.org",
        "sum.golang.org",
        "repo1.maven.org",
        "rubygems.org",
    ];
    match random.below(20) {
        0 => format!("ftp.{}.debian.org", random.letters(2)),
        _ => HOSTS[random.below(12) as usize].to_owned(),
    }
}

fn hashed(random: &mut Random) -> String {
    match random.below(5) {
        // A network serves a client from the nodes near to it: here 300, 60 and 100 of them.
        0 => {
            let node = NODES[random.below(20) as usize];
            format!("rr{}---sn-{node}.googlevideo.com", 1 + random.below(15))
        }
        1 => format!(
            "scontent-{}{}-{}.xx.fbcdn.net",
            ["fra", "ams", "muc", "vie", "zrh"][random.below(5) as usize],
            1 + random.below(3),
            1 + random.below(4)
        ),
        2 => format!(
            "ipv4-c{:03}-fra{:03}-isp.1.oca.nflxvideo.net",
            1 + random.below(10),
            1 + random.below(10)
        ),
        // A name for each of a site's properties, and there is no end of sites.
        3 => format!(
            "e{}.dsc{}.akamaiedge.net",
            random.below(20_000),
            random.letters(1)
        ),
        _ => format!("d{}.cloudfront.net", random.hash(13)),
    }
}

/// The names of nodes, as one place sees them.
const NODES: [&str; 20] = [
    "4g5e6nez", "4g5edn6k", "4g5edn6r", "4g5edn6y", "4g5ednd7", "4g5ednde", "4g5ednds", "4g5ednee",
    "4g5ednek", "4g5ednsd", "4g5ednsk", "4g5edns6", "4g5ednsr", "4g5ednss", "4g5ednz7", "4g5lzne6",
    "4g5lznek", "4g5lznel", "4g5lznes", "4g5lznez",
];

fn buckets(random: &mut Random) -> String {
    let bucket = random.below(500);
    match random.below(3) {
        0 => format!("artifacts-{bucket}.s3.eu-west-1.amazonaws.com"),
        1 => format!("data{bucket}.blob.core.windows.net"),
        _ => format!("objects-{bucket}.storage.googleapis.com"),
    }
}

fn registry(random: &mut Random) -> String {
    const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"];
    let region = REGIONS[random.below(4) as usize];
    match random.below(5) {
        0 => "registry-1.docker.io".to_owned(),
        1 => "production.cloudflare.docker.com".to_owned(),
        2 => format!("prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com"),
        3 => format!(
            "{}.dkr.ecr.{region}.amazonaws.com",
            100_000_000_000 + random.below(30)
        ),
        _ => "europe-docker.pkg.dev".to_owned(),
    }
}

fn mail(random: &mut Random) -> String {
    // A few providers have most recipients; the others are companies.
    let company = random.below(20_000);
    let domain = match random.below(10) {
        0..=4 => ["gmail.com", "outlook.com", "yahoo.com", "icloud.com"][random.below(4) as usize]
            .to_owned(),
        _ => format!("company{company}.example"),
    };
    match random.below(6) {
        0 => format!("selector{}._domainkey.{domain}", 1 + random.below(4)),
        1 => format!("_dmarc.{domain}"),
        2 => format!("mx{}.{domain}", 1 + random.below(3)),
        3 => format!("{}.mail.protection.outlook.com", domain.replace('.', "-")),
        _ => domain,
    }
}

fn telemetry(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!("o{}.ingest.sentry.io", 400_000 + random.below(20)),
        1 => format!(
            "7-{}-{}-app.agent.datadoghq.com",
            40 + random.below(6),
            random.below(3)
        ),
        2 => format!(
            "westeurope-{}.in.applicationinsights.azure.com",
            random.below(6)
        ),
        3 => "bam.nr-data.net".to_owned(),
        _ => format!("telemetry-{}.monitor.example", random.below(10)),
    }
}

fn reverse(random: &mut Random) -> String {
    // dnsgate answers those of private addresses itself.
    let [a, b, c, d] = [
        20 + random.below(180),
        random.below(250),
        random.below(250),
        random.below(250),
    ];
    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
}

fn ci(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("shop-{}-team.vercel.app", random.hash(9)),
        1 => format!("{}.ngrok-free.app", random.hash(12)),
        2 => format!("pr-{}.preview.corp-app.example", random.below(4_000)),
        _ => format!("git{}.corp-app.example", random.below(4)),
    }
}

/// A stream of numbers that look random, the same in each run (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// A number with this median and a tail as of a Pareto distribution with exponent 1.5: one in a thousand is 60 times
    /// the median, and none more than a hundred times.
    fn long_tailed(&mut self, median: u64) -> u64 {
        let unit = (self.below(1 << 30) + 1) as f64 / (1u64 << 30) as f64;
        let factor = unit.powf(-1.0 / 1.5) / 2f64.powf(1.0 / 1.5);
        (median as f64 * factor.min(100.0)) as u64
    }

    fn letters(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(b'a' + self.below(26) as u8))
            .collect()
    }

    fn hash(&mut self, length: usize) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        (0..length)
            .map(|_| char::from(DIGITS[self.below(36) as usize]))
            .collect()
    }
}
