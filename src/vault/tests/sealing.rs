use std::collections::HashSet;

use super::*;
use crate::domain::task_ids::task_id;

#[test]
fn identifiers_open_again() {
    let vault = vault();
    for plaintext in [&b""[..], b"x", b"ann@example.org", &[0; 70_000]] {
        let SealedSubject { wrapped_key, sealed } =
            vault.seal_subject(&tenant("acme"), request(1), plaintext);
        let opened = vault
            .open_subject(&tenant("acme"), request(1), &wrapped_key, &sealed)
            .unwrap();
        assert_eq!(opened.as_slice(), plaintext);
        assert_eq!((wrapped_key.len(), sealed.len()), (77, plaintext.len() + 41));
    }
}

#[test]
fn the_same_identifiers_never_look_the_same() {
    let vault = vault();
    let seal = || vault.seal_subject(&tenant("acme"), request(1), b"ann@example.org");
    let (one, two) = (seal(), seal());
    assert_ne!(one.sealed[25..], two.sealed[25..]);
    assert_ne!(one.wrapped_key[29..], two.wrapped_key[29..]);
    // Nor does the one's key open the other.
    let crossed = vault.open_subject(&tenant("acme"), request(1), &one.wrapped_key, &two.sealed);
    assert_eq!(
        crossed.unwrap_err(),
        VaultError::Tampered {
            what: Sealed::Subject
        }
    );
    let nonces: HashSet<Vec<u8>> = (0..1000).map(|_| seal().sealed[1..25].to_vec()).collect();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn any_change_is_noticed() {
    let vault = vault();
    let acme = tenant("acme");
    let SealedSubject { wrapped_key, sealed } = vault.seal_subject(&acme, request(1), b"ann@example.org");
    for changed in mutations(&wrapped_key) {
        assert!(vault.open_subject(&acme, request(1), &changed, &sealed).is_err());
    }
    for changed in mutations(&sealed) {
        assert!(
            vault
                .open_subject(&acme, request(1), &wrapped_key, &changed)
                .is_err()
        );
    }
    for changed in mutations(&vault.seal_record(request(1), 3, b"ticket 7")) {
        assert!(vault.open_record(request(1), 3, &changed).is_err());
    }
    for changed in mutations(&vault.seal_dead_letter(b"{broken")) {
        assert!(vault.open_dead_letter(&changed).is_err());
    }
}

#[test]
fn nothing_opens_for_another_tenant_or_request() {
    let vault = vault();
    let acme = tenant("acme");
    let SealedSubject { wrapped_key, sealed } = vault.seal_subject(&acme, request(1), b"ann@example.org");
    let wrong_tenant = vault
        .open_subject(&tenant("acmd"), request(1), &wrapped_key, &sealed)
        .unwrap_err();
    assert_eq!(
        wrong_tenant,
        VaultError::Tampered {
            what: Sealed::Subject
        }
    );
    let wrong_request = vault
        .open_subject(&acme, request(2), &wrapped_key, &sealed)
        .unwrap_err();
    assert_eq!(
        wrong_request,
        VaultError::Tampered {
            what: Sealed::DataKey
        }
    );
    // A row copied onto another request: its own key, the other's identifiers.
    let other = vault.seal_subject(&acme, request(2), b"bob@example.org");
    assert!(
        vault
            .open_subject(&acme, request(2), &other.wrapped_key, &sealed)
            .is_err()
    );
}

#[test]
fn a_record_opens_only_in_its_place() {
    let vault = vault();
    let sealed = vault.seal_record(request(1), 3, b"ticket 7");
    assert_eq!(
        vault.open_record(request(1), 3, &sealed).unwrap().as_slice(),
        b"ticket 7"
    );
    assert!(vault.open_record(request(1), 4, &sealed).is_err());
    assert!(vault.open_record(request(2), 3, &sealed).is_err());
}

#[test]
fn one_kind_never_opens_as_another() {
    let vault = vault();
    let SealedSubject { wrapped_key, sealed } = vault.seal_subject(&tenant("acme"), request(1), &[7; 32]);
    let letter = vault.seal_dead_letter(&[7; 32]);
    assert!(
        vault.open_dead_letter(&wrapped_key).is_err(),
        "or a dead letter's reader could read data keys"
    );
    assert!(
        vault
            .open_subject(&tenant("acme"), request(1), &letter, &sealed)
            .is_err()
    );
    assert!(vault.open_record(request(1), 0, &sealed).is_err());
}

#[test]
fn the_layouts_do_not_change_by_accident() {
    let vault = vault();
    let bytes = |hex: &str| hex::decode(hex).unwrap();
    let wrapped_key = bytes(
        "01050000001111111111111111111111111111111111111111111111118a248919112410c0ab4c62724f3798effe015a2b497e371ea777e0fb5639e373baf0c89047d0e3e1c0e7f8a83d25bf24",
    );
    let sealed = bytes(
        "012222222222222222222222222222222222222222222222223cfd0bee7044c101e97b3ee8c4b8b8a3c060f91195181b43c5b8faec04ec4b",
    );
    let opened = vault
        .open_subject(&tenant("acme"), request(ONE), &wrapped_key, &sealed)
        .unwrap();
    assert_eq!(opened.as_slice(), b"ann@example.org");
    let record = bytes(
        "0111111111111111111111111111111111111111111111111189a44006a0da0f1b0d9eb076951062b8c7328f15459325a6",
    );
    assert_eq!(
        vault.open_record(request(ONE), 3, &record).unwrap().as_slice(),
        b"ticket 7"
    );
    let letter = bytes(
        "0105000000111111111111111111111111111111111111111111111111f84ff27f7348779c072298c8509016c8518fdea0b4ed3e",
    );
    assert_eq!(vault.open_dead_letter(&letter).unwrap().as_slice(), b"{broken");

    let fresh = vault.seal_subject(&tenant("acme"), request(ONE), b"ann@example.org");
    assert_eq!(fresh.wrapped_key[..5], [1, 5, 0, 0, 0]);
    assert_eq!(fresh.sealed[0], 1);
    assert_eq!(vault.seal_record(request(ONE), 3, b"")[0], 1);
    assert_eq!(vault.seal_dead_letter(b"")[..5], [1, 5, 0, 0, 0]);
}

#[test]
fn an_epoch_opens_until_it_is_retired() {
    let acme = tenant("acme");
    let before = vault_of([1; 32], &[(2, Some([2; 32]))]);
    let SealedSubject { wrapped_key, sealed } = before.seal_subject(&acme, request(1), b"ann@example.org");
    let letter = before.seal_dead_letter(b"{broken");

    let superseded = vault();
    assert_eq!(superseded.current_epoch(), 5);
    assert!(
        superseded
            .open_subject(&acme, request(1), &wrapped_key, &sealed)
            .is_ok()
    );
    assert!(superseded.open_dead_letter(&letter).is_ok());

    let retired = vault_of([1; 32], &[(2, None), (5, Some([3; 32]))]);
    let error = retired
        .open_subject(&acme, request(1), &wrapped_key, &sealed)
        .unwrap_err();
    assert!(matches!(
        error,
        VaultError::RetiredEpoch {
            what: Sealed::DataKey,
            epoch: 2,
            ..
        }
    ));
    assert!(
        error.to_string().contains("sealed under a retired key (epoch 2"),
        "{error}"
    );
    assert!(matches!(
        retired.open_dead_letter(&letter),
        Err(VaultError::RetiredEpoch { epoch: 2, .. })
    ));

    let other = vault_of([1; 32], &[(5, Some([3; 32]))]);
    let error = other
        .open_subject(&acme, request(1), &wrapped_key, &sealed)
        .unwrap_err();
    assert_eq!(
        error,
        VaultError::MissingEpoch {
            what: Sealed::DataKey,
            epoch: 2
        }
    );
    assert!(
        error.to_string().contains("epoch 2 is not in the keyring"),
        "{error}"
    );

    // The same number in another keyring is another key.
    let foreign = vault_of([1; 32], &[(2, Some([9; 32]))]);
    let error = foreign
        .open_subject(&acme, request(1), &wrapped_key, &sealed)
        .unwrap_err();
    assert_eq!(
        error,
        VaultError::Tampered {
            what: Sealed::DataKey
        }
    );
}

#[test]
fn a_record_goes_with_its_epoch() {
    let sealed = vault_of([1; 32], &[(5, Some([5; 32]))]).seal_record(request(1), 3, b"ticket 7");
    let retired = vault_of([1; 32], &[(5, None), (6, Some([6; 32]))]);
    let error = retired.open_record(request(1), 3, &sealed).unwrap_err();
    assert!(
        matches!(
            error,
            VaultError::RetiredEpoch {
                what: Sealed::Record,
                epoch: 5,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_record_of_an_earlier_release_is_opened() {
    let vault = vault();
    let sealed = vault
        .0
        .record
        .seal(crate::vault::sealing::record_of(request(1), 3), b"ticket 7");
    assert_eq!(
        vault.open_record(request(1), 3, &sealed).unwrap().as_slice(),
        b"ticket 7"
    );
    assert!(vault.open_record(request(1), 4, &sealed).is_err());
}

#[test]
fn an_unknown_layout_is_called_that() {
    let vault = vault();
    let mut letter = vault.seal_dead_letter(b"{broken");
    letter[0] = 2;
    let error = vault.open_dead_letter(&letter).unwrap_err();
    assert_eq!(
        error,
        VaultError::UnknownVersion {
            what: Sealed::DeadLetter,
            found: 2
        }
    );
    assert_eq!(
        vault.open_dead_letter(&[]).unwrap_err(),
        VaultError::Truncated {
            what: Sealed::DeadLetter
        }
    );
}

#[test]
fn debug_and_errors_show_nothing() {
    let vault = vault();
    let token = vault.token(request(1), task_id(request(1), 0), 1, 1);
    assert_eq!(
        format!("{vault:?} {token:?}"),
        "Vault { current_epoch: 5, .. } [redacted]"
    );
    let letter = vault.seal_dead_letter(b"ann@example.org");
    for changed in mutations(&letter) {
        let error = vault.open_dead_letter(&changed).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("ann"), "{error}");
    }
}
