//! Lists the objects of a bucket as the client libraries do: with the JSON API, page by page, and the
//! token of the workload's service account.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::sleep;

use super::probe::Probe;
use crate::check::Bucket;
use crate::transport::connect_any;
use crate::transport::{self, Get, HttpResponse, ProbeFault};
use dnsgate_core::dns::Name;

/// The host of the JSON API, also the name in its certificate.
pub(super) const HOST: &str = "storage.googleapis.com";
/// The name of the metadata server.
const METADATA: &str = "metadata.google.internal";
const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// How often a request is tried if its fault may be temporary.
const TRIES: u32 = 3;
/// The wait after the first try; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The most pages requested, with a thousand names each: enough to show that paging works.
const MAX_PAGES: usize = 10;
/// The largest page, in bytes. A name has at most 1024 bytes, and JSON may escape some of them.
const MAX_PAGE: usize = 8 << 20;
/// The longest response of the metadata server, in bytes: a token has one or two thousand.
const MAX_TOKEN: usize = 64 << 10;

/// The listed objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) names: Vec<String>,
    pages: usize,
    /// Whether the bucket has more objects than were requested.
    more: bool,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        let (names, pages) = (self.names.len(), self.pages);
        write!(
            f,
            "{names} object{}, {pages} page{}",
            plural(names),
            plural(pages)
        )?;
        if self.more {
            f.write_str(", and there are more")?;
        }
        Ok(())
    }
}

/// Why the objects cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// There is no access token.
    Token(String),
    /// The service's name has no address.
    Unresolved(String),
    /// The service cannot be reached.
    Fault(ProbeFault),
    /// The service returned an error: its status and reason.
    Status(u16, String),
    /// The response is not a listing.
    Garbled(&'static str),
}

impl fmt::Display for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(why) => write!(f, "no token: {why}"),
            Self::Unresolved(why) => write!(f, "{HOST}: {why}"),
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::Status(status, why) if why.is_empty() => write!(f, "HTTP {status}"),
            Self::Status(status, why) => write!(f, "HTTP {status}: {why}"),
            Self::Garbled(why) => f.write_str(why),
        }
    }
}

impl Unlisted {
    /// Whether the fault may be temporary, as Cloud Storage advises its clients.
    fn is_passing(&self) -> bool {
        match self {
            Self::Status(status, _) => *status >= 500 || [408, 429].contains(status),
            Self::Fault(fault) => !matches!(fault, ProbeFault::Tls(_)),
            Self::Token(_) | Self::Unresolved(_) | Self::Garbled(_) => false,
        }
    }
}

/// Lists the objects of a bucket.
pub(super) async fn list(bucket: &Bucket, probe: &Probe) -> Result<Listing, Unlisted> {
    let token = match &probe.token {
        Some(token) => token.clone(),
        None => token(probe).await?,
    };
    let mut listing = Listing::default();
    let mut next = None;
    let mut seen = BTreeSet::new();
    loop {
        let path = path(bucket, next.as_deref());
        let page = page(&path, &token, probe).await?;
        listing.pages += 1;
        listing.names.extend(page.names);
        next = page.next;
        match &next {
            None => return Ok(listing),
            Some(_) if listing.pages >= MAX_PAGES => {
                listing.more = true;
                return Ok(listing);
            }
            Some(token) if !seen.insert(token.clone()) => {
                return Err(Unlisted::Garbled("the pages of the listing form a loop"));
            }
            Some(_) => {}
        }
    }
}

/// The URL path of a page.
fn path(bucket: &Bucket, next: Option<&str>) -> String {
    let mut path = format!("/storage/v1/b/{bucket}/o?fields=items(name)%2CnextPageToken");
    if let Some(token) = next {
        path.push_str("&pageToken=");
        for byte in token.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

/// One page of the listing.
struct ListingPage {
    names: Vec<String>,
    next: Option<String>,
}

/// Requests a page; repeats the request if the fault may be temporary.
async fn page(path: &str, token: &str, probe: &Probe) -> Result<ListingPage, Unlisted> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match try_page(path, token, probe).await {
            Err(unlisted) if unlisted.is_passing() => sleep(wait).await,
            done => return done,
        }
        wait *= 2;
    }
    try_page(path, token, probe).await
}

async fn try_page(path: &str, token: &str, probe: &Probe) -> Result<ListingPage, Unlisted> {
    let addresses = resolve(HOST, probe).await.map_err(Unlisted::Unresolved)?;
    let stream = connect_any(&addresses, probe.ports.https, probe.timeout).await;
    let stream = stream.map_err(Unlisted::Fault)?;
    let stream = probe
        .handshake(HOST, stream)
        .await
        .map_err(Unlisted::Fault)?;
    let bearer = format!("Bearer {token}");
    let get = Get {
        host: HOST,
        path,
        header: Some(("authorization", &bearer)),
        most: MAX_PAGE,
    };
    let (response, body) = transport::get(stream, get, probe.timeout)
        .await
        .map_err(Unlisted::Fault)?;
    read_page(&response, body.as_ref())
}

fn read_page(response: &HttpResponse, body: Option<&Bytes>) -> Result<ListingPage, Unlisted> {
    let value: Option<Value> = body.and_then(|body| serde_json::from_slice(body).ok());
    if response.status != 200 {
        let why = value
            .as_ref()
            .and_then(|it| it.pointer("/error/message")?.as_str());
        let why = why.unwrap_or_default().chars().take(300).collect();
        return Err(Unlisted::Status(response.status, why));
    }
    let value = value.ok_or(Unlisted::Garbled("the listing is cut off, or is not JSON"))?;
    let items = value.get("items").and_then(Value::as_array);
    let names = items
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("name")?.as_str());
    let next = value.get("nextPageToken").and_then(Value::as_str);
    Ok(ListingPage {
        names: names.map(str::to_owned).collect(),
        next: next.filter(|token| !token.is_empty()).map(str::to_owned),
    })
}

/// Requests the token of the workload's service account.
async fn token(probe: &Probe) -> Result<String, Unlisted> {
    let addresses = resolve(METADATA, probe).await;
    let addresses = addresses.map_err(|why| Unlisted::Token(format!("{METADATA}: {why}")))?;
    let failed = |fault: ProbeFault| Unlisted::Token(format!("{METADATA}: {fault}"));
    let stream = connect_any(&addresses, probe.ports.metadata, probe.timeout)
        .await
        .map_err(failed)?;
    let get = Get {
        host: METADATA,
        path: TOKEN,
        header: Some(("metadata-flavor", "Google")),
        most: MAX_TOKEN,
    };
    let (response, body) = transport::get(stream, get, probe.timeout)
        .await
        .map_err(failed)?;
    let value = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    let token = value
        .as_ref()
        .and_then(|it| it.get("access_token")?.as_str());
    match token {
        Some(token) if response.status == 200 => Ok(token.to_owned()),
        _ => Err(Unlisted::Token(format!("{METADATA}: {response}"))),
    }
}

/// Resolves a name to at least one address.
async fn resolve(name: &str, probe: &Probe) -> Result<Vec<std::net::IpAddr>, String> {
    let name: Name = name.parse().map_err(|_| "no name".to_owned())?;
    match probe.resolver.addresses(&name).await {
        Ok(addresses) if addresses.is_empty() => Err("it does not resolve".to_owned()),
        Ok(addresses) => Ok(addresses),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_page_tokens() {
        let bucket: Bucket = "abc".parse().expect("a name");
        let first = "/storage/v1/b/abc/o?fields=items(name)%2CnextPageToken";
        assert_eq!(path(&bucket, None), first);
        assert_eq!(
            path(&bucket, Some("a/b=&é")),
            format!("{first}&pageToken=a%2Fb%3D%26%C3%A9")
        );
    }

    #[test]
    fn retries_only_transient_failures() {
        for (unlisted, again) in [
            (Unlisted::Status(503, String::new()), true),
            (Unlisted::Status(429, String::new()), true),
            (Unlisted::Status(408, String::new()), true),
            (Unlisted::Status(403, String::new()), false),
            (Unlisted::Fault(ProbeFault::TimedOut("connection")), true),
            (Unlisted::Fault(ProbeFault::Tls("no".to_owned())), false),
            (Unlisted::Token("no".to_owned()), false),
        ] {
            assert_eq!(unlisted.is_passing(), again, "{unlisted}");
        }
    }
}
