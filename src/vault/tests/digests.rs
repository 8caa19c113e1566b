use std::collections::HashSet;

use super::*;
use crate::domain::task_ids::task_id;

#[test]
fn digests_are_those_of_hmac_sha256() {
    let vault = vault();
    let acme = tenant("acme");
    let email = vault.lookup_digest(&acme, &identity("email", "ann@example.org"));
    assert_eq!(hex::encode(email), "eddb5e7f9f425f5aa476a17701f82fb6");
    let phone = vault.lookup_digest(&acme, &identity("phone", "0049 (30) 901-820"));
    assert_eq!(hex::encode(phone), "b401ea7c66d25aa0b37174a0e910d5a8");
    assert_eq!(
        hex::encode(vault.payload_digest(&acme, br#"{"a":1}"#)),
        "ea17e7b440cd586a3673a3953cc9f28f"
    );
    assert_eq!(
        hex::encode(commitment(&[7; 16], b"invoice 4711")),
        "8f5efdbbef7c3e9ea2550239f434fa9aef719839759901256f38ff3dfe64b707"
    );
}

#[test]
fn the_suppression_list_is_computed_as_it_says() {
    let vault = vault();
    let acme = tenant("acme");
    assert_eq!(
        hex::encode(*vault.suppression_key(&acme)),
        "6bca07e5cc71579a71cf1384a788c5e41a5722b44890e84411aa614cf1bbfd9e"
    );
    let digest = |of: &str, kind: &str, value: &str| {
        hex::encode(vault.suppression_digest(&tenant(of), &identity(kind, value)))
    };
    let ann = digest("acme", "email", " Ann@Example.ORG");
    assert_eq!(
        ann,
        "13c6abc58a453828e6b1236076f8d16be2fa65877163d4b8b3825b54397dc33e"
    );
    assert_ne!(ann, digest("acmf", "email", "ann@example.org"));
    assert_ne!(ann, digest("acme", "login", "ann@example.org"));
    // What is given away finds nobody in the vault.
    let lookup = vault.lookup_digest(&acme, &identity("email", "ann@example.org"));
    assert_ne!(ann[..32], hex::encode(lookup));
}

#[test]
fn a_ticket_is_found_within_a_tenant_and_is_no_person() {
    let vault = vault();
    assert_eq!(
        vault.ticket_digest(&tenant("acme"), "T-1"),
        vault.ticket_digest(&tenant("acme"), " T-1 ")
    );
    let different = [
        vault.ticket_digest(&tenant("acme"), "T-1"),
        vault.ticket_digest(&tenant("acme"), "T-2"),
        vault.ticket_digest(&tenant("acmf"), "T-1"),
        vault.lookup_digest(&tenant("acme"), &identity("ticket", "T-1")),
    ];
    assert_eq!(HashSet::from(different).len(), different.len());
}

#[test]
fn a_person_is_found_again_within_a_tenant_only() {
    let vault = vault();
    let digest = |of: &str, kind: &str, value: &str| vault.lookup_digest(&tenant(of), &identity(kind, value));
    assert_eq!(
        digest("acme", "email", "ann@example.org"),
        digest("acme", "email", " Ann@Example.ORG ")
    );
    let different = [
        digest("acme", "email", "ann@example.org"),
        digest("acmf", "email", "ann@example.org"),
        digest("acme", "login", "ann@example.org"),
        digest("acme", "customer_id", "1"),
        // The same bytes, divided in another way.
        digest("acme", "a", "bc"),
        digest("acme", "ab", "c"),
        digest("acmea", "b", "c"),
        vault_of([8; 32], &[(1, Some([2; 32]))]).lookup_digest(&tenant("acme"), &identity("a", "bc")),
    ];
    assert_eq!(HashSet::from(different).len(), different.len());
    assert_ne!(
        vault.payload_digest(&tenant("acme"), b"{}"),
        vault.payload_digest(&tenant("acm"), b"e{}")
    );
}

#[test]
fn look_ups_outlive_epochs() {
    let later = vault_of([1; 32], &[(2, None), (9, Some([6; 32]))]);
    let ann = identity("email", "ann@example.org");
    assert_eq!(
        vault().lookup_digest(&tenant("acme"), &ann),
        later.lookup_digest(&tenant("acme"), &ann)
    );
    let task = task_id(request(1), 0);
    assert!(later.token_matches(
        request(1),
        task,
        1,
        1,
        vault().token(request(1), task, 1, 1).as_str()
    ));
}

#[test]
fn a_commitment_is_salted_and_can_be_checked() {
    let vault = vault();
    let (salt, committed) = vault.commitment(b"invoice 4711");
    assert_eq!(committed, commitment(&salt, b"invoice 4711"));
    assert_ne!(committed, commitment(&salt, b"invoice 4712"));
    assert_ne!(vault.commitment(b"invoice 4711").1, committed);
}

#[test]
fn tokens_are_those_of_hmac_sha256() {
    let vault = vault();
    let first = vault.token(request(ONE), task_id(request(ONE), 0), 1, 1);
    assert_eq!(first.as_ref(), "MdXM5dGBPyw4yh5SdZ1epWILBufpYBIi");
    let extreme = vault.token(request(u128::MAX), TaskId(Uuid::nil()), 2, u32::MAX);
    assert_eq!(extreme.to_string(), "7xVN5IIWf8R6c53W95lkg8GPqgnJvVwi");
}

#[test]
fn a_token_is_good_for_one_attempt_only() {
    let vault = vault();
    let (one, task) = (request(1), task_id(request(1), 0));
    let token = vault.token(one, task, 2, 3);
    let token = token.as_str();
    assert!(vault.token_matches(one, task, 2, 3, token));
    assert!(!vault.token_matches(one, task, 2, 4, token));
    assert!(!vault.token_matches(one, task, 3, 3, token));
    assert!(!vault.token_matches(one, task, 3, 2, token));
    assert!(!vault.token_matches(one, task_id(one, 1), 2, 3, token));
    assert!(!vault.token_matches(request(2), task, 2, 3, token));
    let foreign = vault_of([8; 32], &[(5, Some([3; 32]))]);
    assert!(!foreign.token_matches(one, task, 2, 3, token));
}

#[test]
fn what_is_not_exactly_the_token_is_refused() {
    let vault = vault();
    let (one, task) = (request(1), task_id(request(1), 0));
    let token = vault.token(one, task, 1, 1);
    let token = token.as_str();
    assert_eq!(token.len(), 32);
    let refused = |presented: &str| assert!(!vault.token_matches(one, task, 1, 1, presented), "{presented}");
    for length in 0..32 {
        refused(&token[..length]);
    }
    for presented in [
        format!("{token}="),
        format!("{token} "),
        format!(" {token}"),
        token.repeat(2),
        "A".repeat(32),
    ] {
        refused(&presented);
    }
    for position in 0..32 {
        let mut changed = token.as_bytes().to_vec();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        refused(std::str::from_utf8(&changed).unwrap());
    }
    refused(&"é".repeat(16));
}
