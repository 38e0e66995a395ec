//! Who is answered. A loopback server without tokens trusts the machine's users, but not the pages
//! in their browsers: a foreign Host (DNS rebinding) or Origin (forged requests) is refused.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::error::{FORBIDDEN_HOST, FORBIDDEN_ORIGIN, Problem, UNAUTHORIZED};
use super::extract::text;
use super::{Api, blocking};

/// Lets a request through, or answers why not.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Result<Response, Problem> {
    check_origin(request.method(), request.headers())?;
    if !api.service.token_needed {
        check_host(request.headers(), request.uri(), api.service.own_ip)?;
    } else if !is_probe(request.uri()) {
        check_token(&api, request.headers()).await?;
    }
    Ok(next.run(request).await)
}

/// Probes come from machinery without tokens, and say nothing.
fn is_probe(uri: &Uri) -> bool {
    matches!(uri.path(), "/healthz" | "/readyz")
}

/// A page of another site cannot read answers, but its forms reach us: they carry its Origin.
fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() || !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let origin = text(headers, &header::ORIGIN).unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    if authority.is_some() && authority == text(headers, &header::HOST) {
        return Ok(());
    }
    Err(Problem::new(FORBIDDEN_ORIGIN, format!("a page of `{origin}` may not change anything here")))
}

/// A name that a foreign DNS server points to this machine is none of this server's.
fn check_host(headers: &HeaderMap, uri: &Uri, own_ip: IpAddr) -> Result<(), Problem> {
    let host = text(headers, &header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    let host = host.unwrap_or_default();
    if is_own(host_name(host), own_ip) {
        return Ok(());
    }
    let detail = format!("`{host}` is not this server: without tokens it answers to localhost only");
    Err(Problem::new(FORBIDDEN_HOST, detail))
}

/// `localhost:7070`, `[::1]:7070` and `127.0.0.1` without port and brackets.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_own(name: &str, own_ip: IpAddr) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == own_ip)
}

async fn check_token(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(UNAUTHORIZED, detail));
    let Some(given) = text(headers, &header::AUTHORIZATION) else {
        return refused("send `Authorization: Bearer TOKEN`; `millstream token create NAME` makes a token");
    };
    let bearer = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = bearer else {
        return refused("the Authorization header is no `Bearer TOKEN`");
    };
    let hash = Sha256::digest(token.trim().as_bytes());
    let catalog = api.station.catalog.clone();
    let tokens = blocking(move || catalog.tokens()).await?;
    // No early end: how long this takes says nothing about which token was nearly right.
    let known = tokens.iter().fold(false, |known, token| known | same(&token.hash, &hash));
    if known { Ok(()) } else { refused("the token is unknown or was revoked") }
}

/// Compares without stopping at the first difference.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0 && a.len() == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_its_own_host() {
        let own: IpAddr = "192.168.1.7".parse().unwrap();
        for host in
            ["localhost", "LOCALHOST:7070", "127.0.0.1:7070", "127.9.9.9", "[::1]:80", "192.168.1.7:7070"]
        {
            assert!(is_own(host_name(host), own), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.8", "[::2]"]
        {
            assert!(!is_own(host_name(host), own), "{host}");
        }
    }

    #[test]
    fn hashes_of_other_lengths_differ() {
        assert!(same(&[1, 2], &[1, 2]));
        assert!(!same(&[1, 2], &[1, 3]));
        assert!(!same(&[1, 2], &[1]));
        assert!(!same(&[], &[1]));
    }
}
