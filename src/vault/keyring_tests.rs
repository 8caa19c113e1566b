use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    sync::Barrier,
};

use super::*;
use crate::vault::keyring_error::KeyringError;

const NOW: At = At::from_millis(1_790_000_000_000);
/// A valid file with known keys: 32 bytes of 1, 2 and 3.
const GOLDEN: &str = r#"{
  "version": 1,
  "root": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
  "epochs": [
    {
      "id": 1,
      "created_at": "2026-09-01T00:00:00Z",
      "retired_at": "2026-09-08T00:00:00Z"
    },
    {
      "id": 2,
      "created_at": "2026-09-08T00:00:00Z",
      "key": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
    },
    {
      "id": 5,
      "created_at": "2026-09-15T00:00:00Z",
      "key": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
    }
  ]
}
"#;

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lacuna.keys");
    Place {
        _directory: directory,
        path,
    }
}

fn holding(content: &str) -> Place {
    let place = place();
    fs::write(&place.path, content).unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600)).unwrap();
    place
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn explain(error: &KeyringError) -> String {
    let source = std::error::Error::source(error)
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    format!("{error}{source} {error:?}")
}

#[test]
fn a_new_keyring_has_one_epoch_and_opens_again() {
    let place = place();
    let created = Keyring::init(&place.path, NOW).unwrap();
    let opened = Keyring::open(&place.path).unwrap();
    assert_eq!(
        opened.list(),
        [EpochInfo {
            id: 1,
            created_at: NOW,
            state: EpochState::Current
        }]
    );
    assert_eq!(created.list(), opened.list());
    assert_eq!(created.root().bytes(), opened.root().bytes());
    assert_eq!(
        created.current().unwrap().1.bytes(),
        opened.current().unwrap().1.bytes()
    );
    assert_ne!(created.root().bytes(), created.current().unwrap().1.bytes());
}

#[test]
fn only_the_owner_can_read_what_init_writes() {
    let place = place();
    Keyring::init(&place.path, NOW).unwrap();
    assert_eq!(mode(&place.path), 0o600);
    let mut names: Vec<_> = fs::read_dir(place.path.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [".lacuna.keys.lock", "lacuna.keys"],
        "no temporary file stays behind"
    );
}

#[test]
fn any_access_of_others_is_refused() {
    let place = place();
    Keyring::init(&place.path, NOW).unwrap();
    for bits in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o660, 0o777] {
        fs::set_permissions(&place.path, fs::Permissions::from_mode(bits)).unwrap();
        let error = Keyring::open(&place.path).unwrap_err();
        assert!(
            matches!(error, KeyringError::ReadableByOthers { mode, .. } if mode == bits),
            "{bits:o}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("chmod 600 {}", place.path.display()))
        );
        assert!(
            Keyring::open_or_init(&place.path, NOW).is_err(),
            "nor is it replaced"
        );
    }
    for bits in [0o600, 0o400] {
        fs::set_permissions(&place.path, fs::Permissions::from_mode(bits)).unwrap();
        assert!(Keyring::open(&place.path).is_ok(), "{bits:o}");
    }
}

#[test]
fn init_never_overwrites() {
    let place = place();
    let first = Keyring::init(&place.path, NOW).unwrap();
    assert!(matches!(
        Keyring::init(&place.path, NOW),
        Err(KeyringError::Exists { .. })
    ));
    assert_eq!(
        Keyring::open(&place.path).unwrap().root().bytes(),
        first.root().bytes()
    );

    let other = self::place();
    symlink("/nonexistent/keys", &other.path).unwrap();
    assert!(
        matches!(Keyring::init(&other.path, NOW), Err(KeyringError::Exists { .. })),
        "not even a dangling link"
    );
}

#[test]
fn init_survives_what_a_crash_left_behind() {
    // Killed while writing: a part of a keyring under the temporary name, and a lock file that nobody holds.
    let place = place();
    let leftover = place.path.with_file_name(".lacuna.keys.tmp");
    fs::write(&leftover, "{\"version\": 1, \"root\": \"AQEB").unwrap();
    fs::set_permissions(&leftover, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(place.path.with_file_name(".lacuna.keys.lock"), "").unwrap();
    assert!(
        matches!(Keyring::open(&place.path), Err(KeyringError::Missing { .. })),
        "half a keyring is none"
    );
    let created = Keyring::init(&place.path, NOW).unwrap();
    assert_eq!(
        Keyring::open(&place.path).unwrap().root().bytes(),
        created.root().bytes()
    );
    assert_eq!(mode(&place.path), 0o600);
    assert!(!leftover.exists());
}

#[test]
fn processes_that_start_together_share_one_keyring() {
    let place = place();
    let start = Barrier::new(8);
    let roots: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let begin = || {
            start.wait();
            *Keyring::open_or_init(&place.path, NOW).unwrap().root().bytes()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let kept = *Keyring::open(&place.path).unwrap().root().bytes();
    assert!(roots.iter().all(|root| *root == kept));
}

#[test]
fn open_or_init_creates_only_what_is_missing() {
    let place = place();
    let created = Keyring::open_or_init(&place.path, NOW).unwrap();
    let opened = Keyring::open_or_init(&place.path, NOW).unwrap();
    assert_eq!(created.root().bytes(), opened.root().bytes());
    let damaged = holding("{");
    assert!(matches!(
        Keyring::open_or_init(&damaged.path, NOW),
        Err(KeyringError::Corrupt { .. })
    ));
    assert_eq!(fs::read_to_string(&damaged.path).unwrap(), "{");
}

#[test]
fn a_missing_keyring_says_how_to_create_it() {
    let error = Keyring::open(&place().path).unwrap_err();
    assert!(error.to_string().contains("lacuna keys init"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        Keyring::open(directory.path()),
        Err(KeyringError::NotAFile { .. })
    ));
    let nowhere = directory.path().join("no/such/directory/keys");
    assert!(matches!(
        Keyring::init(&nowhere, NOW),
        Err(KeyringError::Io { .. })
    ));
}

#[test]
fn the_format_does_not_change_by_accident() {
    let keyring = Keyring::open(&holding(GOLDEN).path).unwrap();
    assert_eq!(keyring.root().bytes(), &[1; 32]);
    assert_eq!(
        keyring.current().map(|(id, key)| (id, *key.bytes())),
        Some((5, [3; 32]))
    );
    let states: Vec<_> = keyring
        .list()
        .into_iter()
        .map(|epoch| (epoch.id, epoch.state))
        .collect();
    let retired_at = At::parse("2026-09-08T00:00:00Z").unwrap();
    assert_eq!(
        states,
        [
            (1, EpochState::Retired { retired_at }),
            (2, EpochState::Superseded),
            (5, EpochState::Current)
        ]
    );
    let written = keyring_format::write(&keyring.root, &keyring.epochs);
    assert_eq!(std::str::from_utf8(&written).unwrap(), GOLDEN);
}

#[test]
fn an_epoch_is_listed_without_its_key() {
    let json = serde_json::to_value(Keyring::open(&holding(GOLDEN).path).unwrap().list()).unwrap();
    assert_eq!(
        json,
        serde_json::json!([
            {"id": 1, "created_at": "2026-09-01T00:00:00Z", "state": "retired", "retired_at": "2026-09-08T00:00:00Z"},
            {"id": 2, "created_at": "2026-09-08T00:00:00Z", "state": "superseded"},
            {"id": 5, "created_at": "2026-09-15T00:00:00Z", "state": "current"},
        ])
    );
}

#[test]
fn truncated_keyring_names_file_and_shows_nothing() {
    // Without the last line end the file is still complete.
    for length in 0..GOLDEN.trim_end().len() {
        let place = holding(&GOLDEN[..length]);
        let error = Keyring::open(&place.path).unwrap_err();
        assert!(matches!(error, KeyringError::Corrupt { .. }), "{length}: {error}");
        let text = explain(&error);
        assert!(text.contains(place.path.to_str().unwrap()), "{text}");
        for secret in ["AQEB", "AgIC", "AwMD"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn damaged_content_is_refused_and_never_shown() {
    let cases = [
        (
            "a key as a number",
            GOLDEN.replace("\"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\"", "987654321987"),
        ),
        (
            "a key in the wrong member",
            GOLDEN.replace("\"id\": 5", "\"id\": \"AwMDAwMDSECRET\""),
        ),
        (
            "a key as a member's name",
            GOLDEN.replace("\"id\": 5", "\"AwMDAwMDSECRET\": 5"),
        ),
        ("a key too short", GOLDEN.replace("AwMDAwMDAwM=", "AwMD")),
        (
            "a key too long",
            GOLDEN.replace("AwMDAwMDAwM=", "AwMDAwMDAwMDAwMD"),
        ),
        (
            "a key that is no base64",
            GOLDEN.replace("AwMDAwMDAwM=", "AwMD*wMDAwM="),
        ),
        (
            "no key",
            GOLDEN.replace(
                "\"key\": \"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\"",
                "\"key\": null",
            ),
        ),
        (
            "a retired epoch's key",
            GOLDEN.replace(
                "\"retired_at\"",
                "\"key\": \"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\", \"retired_at\"",
            ),
        ),
        ("an epoch twice", GOLDEN.replace("\"id\": 5", "\"id\": 2")),
        ("epochs out of order", GOLDEN.replace("\"id\": 1", "\"id\": 9")),
        (
            "no epoch at all",
            GOLDEN.split("\"epochs\"").next().unwrap().to_owned() + "\"epochs\": []}",
        ),
        (
            "an unknown member",
            GOLDEN.replace(
                "\"version\": 1,",
                "\"version\": 1, \"future_key\": \"AwMDAwMDSECRET\",",
            ),
        ),
        ("two files", GOLDEN.repeat(2)),
        ("not text", "\u{0}\u{1}AwMDAwMDSECRET".to_owned()),
    ];
    for (what, content) in cases {
        assert_ne!(content, GOLDEN, "{what}");
        let error = Keyring::open(&holding(&content).path).unwrap_err();
        assert!(matches!(error, KeyringError::Corrupt { .. }), "{what}: {error}");
        for secret in ["AwMD", "SECRET", "987654321987", "AQEB"] {
            assert!(!explain(&error).contains(secret), "{what}: {error}");
        }
    }
}

#[test]
fn a_newer_format_is_called_newer() {
    let newer = holding("{\"version\": 2, \"anything\": [1]}");
    let error = Keyring::open(&newer.path).unwrap_err();
    assert!(matches!(error, KeyringError::Version { found: 2, .. }), "{error}");
}

#[test]
fn debug_shows_no_key() {
    let keyring = Keyring::open(&holding(GOLDEN).path).unwrap();
    let text = format!("{keyring:?} {:?} {:#?}", keyring.epochs(), keyring.root());
    assert!(
        text.contains("Superseded") && text.contains("[redacted]"),
        "{text}"
    );
    for shown in ["AQEB", "AgIC", "AwMD", "1, 1", "2, 2", "3, 3", "010101", "030303"] {
        assert!(!text.contains(shown), "{text}");
    }
}
