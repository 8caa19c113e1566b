//! The arrows between modules, and the sizes of files: what docs/ARCHITECTURE.md says about the shape of the code.

mod circles;
mod sizes;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::repository;

/// What each module of `src/` may use, besides itself.
const ARROWS: &[(&str, &[&str])] = &[
    // Pure: nothing else of the crate, no I/O, no clock.
    ("domain", &[]),
    ("wire", &["domain"]),
    // Pure, too: what vendors take and answer.
    ("connector", &["domain"]),
    ("config", &["connector", "domain"]),
    ("clock", &["domain"]),
    ("vault", &["domain"]),
    ("store", &["clock", "domain"]),
    ("telemetry", &["store", "clock", "domain"]),
    (
        "engine",
        &["store", "vault", "telemetry", "clock", "wire", "domain"],
    ),
    // What people see: it knows nothing of who shows it.
    ("view", &["engine", "store", "vault", "wire", "domain"]),
    // What delivery speaks to. Its implementations stand above delivery, each in a folder of its own.
    (
        "transport",
        &["engine", "clock", "wire", "config", "connector", "domain"],
    ),
    (
        "delivery",
        &["transport", "engine", "store", "telemetry", "clock", "domain"],
    ),
    (
        "kafka",
        &[
            "delivery",
            "transport",
            "engine",
            "store",
            "vault",
            "telemetry",
            "clock",
            "wire",
            "domain",
        ],
    ),
    (
        "http",
        &[
            "view",
            "transport",
            "engine",
            "store",
            "vault",
            "telemetry",
            "clock",
            "wire",
            "config",
            "domain",
        ],
    ),
    // What runs beside a store of one's own: it knows neither the engine nor the store.
    (
        "agent",
        &[
            "kafka",
            "transport",
            "telemetry",
            "clock",
            "wire",
            "config",
            "domain",
        ],
    ),
    // The composition root. It knows nothing of what starts it.
    (
        "app",
        &[
            "http",
            "kafka",
            "view",
            "delivery",
            "transport",
            "engine",
            "store",
            "vault",
            "telemetry",
            "clock",
            "wire",
            "config",
            "domain",
        ],
    ),
    // What every command needs: nothing of the commands themselves.
    (
        "terminal",
        &[
            "app",
            "kafka",
            "engine",
            "store",
            "vault",
            "telemetry",
            "wire",
            "config",
            "domain",
        ],
    ),
    // Files that commands hand out and the laboratory plays.
    ("policies", &["config", "domain"]),
    (
        "cli",
        &[
            "terminal",
            "policies",
            "agent",
            "app",
            "http",
            "kafka",
            "view",
            "delivery",
            "transport",
            "engine",
            "store",
            "vault",
            "telemetry",
            "clock",
            "wire",
            "config",
            "connector",
            "domain",
        ],
    ),
    // What shows and measures the product: no product uses it.
    (
        "lab",
        &[
            "terminal",
            "policies",
            "agent",
            "app",
            "http",
            "kafka",
            "view",
            "delivery",
            "transport",
            "engine",
            "store",
            "vault",
            "telemetry",
            "clock",
            "wire",
            "config",
            "connector",
            "domain",
        ],
    ),
    ("program", &["cli", "lab", "terminal", "telemetry"]),
    ("main", &["program"]),
];

fn source_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&repository("src"), &mut files);
    files.sort();
    assert!(files.len() > 50, "these are not all: {files:?}");
    files
}

fn relative(path: &Path) -> String {
    path.strip_prefix(repository("src"))
        .unwrap()
        .display()
        .to_string()
}

/// The module of `src/` that a file belongs to.
fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The code without comments: what a comment names is no dependency.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules of the crate that a text names, be it in a `use` or in a path.
fn named_modules(code: &str, root: &str) -> BTreeSet<String> {
    let ident = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        let rest = code[at + root.len()..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            named.extend(members(group).iter().map(|member| ident(member)));
        } else {
            named.insert(ident(rest));
        }
    }
    named.remove("");
    named
}

/// The members of a group, up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                members.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    for path in source_files() {
        let file = relative(&path);
        let module = module_of(&file).to_owned();
        if module == "lib" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "src/{file}: `{module}` is new: say in this test what it may use"
            ));
            continue;
        };
        // The binary is a crate of its own.
        let root = if module == "main" { "lacuna::" } else { "crate::" };
        for used in named_modules(&code(&path), root) {
            let known = ARROWS.iter().any(|(name, _)| *name == used);
            if known && used != module && !allowed.contains(&used.as_str()) {
                wrong.push(format!(
                    "src/{file} uses crate::{used}, but `{module}` may only use {allowed:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "wrong arrows:\n{}", wrong.join("\n"));
}

/// docs/ARCHITECTURE.md: the domain is pure. Its dependencies would show first.
#[test]
fn the_domain_is_pure() {
    let impure = [
        "tokio",
        "async_trait",
        "rdkafka",
        "sqlx",
        "axum",
        "tracing",
        "rand",
        "reqwest",
        "std::fs",
        "std::net",
    ];
    let mut wrong = Vec::new();
    for path in source_files() {
        let file = relative(&path);
        // What compares the documentation's tables with the code is compiled for tests only.
        if module_of(&file) != "domain" || file == "domain/generated_table.rs" {
            continue;
        }
        let code = code(&path);
        for name in impure {
            if code.contains(&format!("{name}::")) || code.contains(&format!("use {name}")) {
                wrong.push(format!("src/{file} uses {name}"));
            }
        }
        if code.contains("async fn") {
            wrong.push(format!("src/{file} has an async fn"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every decision takes its time from one trusted place. A raw reading is allowed where nothing is decided,
/// and each of them says here why.
#[test]
fn no_decision_reads_the_machines_clock() {
    const HARMLESS: &[(&str, usize)] = &[
        // The trusted place itself.
        ("engine/clock_guard.rs", 5),
        // How long a vendor wants to be left alone, the date that its calls have, and by when it is expected to be done.
        ("transport/vendor.rs", 2),
        ("transport/vendor/endpoint.rs", 2),
        ("transport/vendor/endpoint/login.rs", 1),
        // And with whom a round of questions begins.
        ("transport/vendor/polls.rs", 2),
        // What is only shown.
        ("engine/decision_inputs.rs", 1),
        ("engine/replay_throttle.rs", 1),
        ("engine/gauges.rs", 4),
        ("engine/gauges/due.rs", 1),
        // What is counted for people to compare, and as of when it is shown.
        ("engine/outcomes.rs", 2),
        ("engine/lane_states.rs", 1),
        // Whether a task is late is only shown; how long it took is only counted.
        ("http/manual.rs", 1),
        ("engine/manual.rs", 1),
        ("engine/settlement.rs", 1),
        ("http/dead_letters.rs", 4),
        ("app/tasks/periodic.rs", 1),
        // Where a list ends: nothing was received after tomorrow.
        ("http/lists/scan/stretch.rs", 1),
        // Only makes an id.
        ("http/requests.rs", 1),
        // Whether a call was signed just now: what it then asks for is decided elsewhere.
        ("http/sources.rs", 1),
        // When a job moved last, and what tells its worker from others; when a filter was kept; how old a list's rows are.
        ("app/tasks/bulk.rs", 1),
        ("engine/bulk/ordering.rs", 1),
        ("engine/bulk/working.rs", 1),
        ("engine/questions.rs", 1),
        ("http/lists/rows.rs", 1),
        // As of when a page of the console is shown.
        ("http/console/parts/times.rs", 1),
        // Says when somebody looked; nothing is decided by it.
        ("engine/disclosures.rs", 2),
        // As of when a report is, and which month is over.
        ("engine/report.rs", 1),
        ("http/report.rs", 1),
        // Whether somebody is still signed in, and whether a token or what an identity provider says is in its time: nothing of a
        // request is decided by it, and a clock that is wrong lets nobody decide anything.
        ("engine/sessions.rs", 2),
        ("http/gatekeeper.rs", 4),
        ("http/console/sign_in.rs", 1),
        ("http/console/oidc.rs", 1),
        ("transport/oidc.rs", 3),
        ("transport/oidc/code.rs", 1),
        // What a length of time in months is counted from.
        ("app/tasks/config_reload.rs", 1),
        // Whether a certificate is in its time: said, and for clients to decide.
        ("app/startup.rs", 1),
        ("http/mod.rs", 1),
        // When a partition's end was asked for; `Engine::seen` looks at it before it counts.
        ("kafka/watermarks/watcher.rs", 1),
        // When partitions were counted, and for how long what was learned of them is doubted: no time-out comes sooner by it
        // than by the end of each partition.
        ("kafka/ack_partitions.rs", 1),
        ("engine/ack_partitioning.rs", 1),
        // Whether effects are too old to be produced by whoever decided it: the outbox has it then.
        ("app/tasks/http_outputs.rs", 1),
        // For how long a worker keeps to itself what it produces: another one would produce the same once more.
        ("engine/agenda.rs", 1),
        ("engine/early.rs", 1),
        ("engine/tombstones.rs", 1),
        ("engine/current.rs", 1),
        // When queues are looked into, and when a lane that nobody runs, or whose circuit is open, is tried: the gate decides
        // about what is claimed, and the database's clock about who runs a lane.
        ("delivery/queues.rs", 2),
        ("delivery/queues/ownership.rs", 1),
        ("engine/queues.rs", 1),
        // When a topic that took nothing is tried again, and which tasks are looked at then; the gate decides about them.
        ("engine/lanes.rs", 2),
        ("engine/undeliverable.rs", 2),
        // When a call says that it was signed, and what a date in its answer is counted from.
        ("transport/webhook.rs", 1),
        // Whether a certificate is in its time, and what a promise is counted from.
        ("transport/opendsr/controller.rs", 6),
        ("app/opendsr.rs", 1),
        // When a processor is asked next, and a controller told: nothing of a request is decided by it.
        ("engine/accepted.rs", 2),
        ("engine/status_callbacks.rs", 3),
        // When agents may ask for tasks: the gate decides whether they get them.
        ("engine/polls.rs", 4),
        // Says when a cancellation came.
        ("http/opendsr.rs", 1),
        // Whether workers of the version before may still be there.
        ("engine/lists/filling.rs", 1),
        // The time of a batch of which nothing is written.
        ("engine/unit_of_work.rs", 1),
        // When a keyring was made, how long a period is, and when partitions were counted.
        ("app/connect.rs", 2),
        ("app/keyring.rs", 1),
    ];
    let mut wrong = Vec::new();
    for path in source_files() {
        let file = relative(&path);
        if !["engine", "delivery", "transport", "http", "kafka", "app"].contains(&module_of(&file)) {
            continue;
        }
        let readings = code(&path).matches("clock.now()").count();
        let allowed = HARMLESS
            .iter()
            .find(|(name, _)| *name == file)
            .map_or(0, |(_, n)| *n);
        if readings > allowed {
            wrong.push(format!(
                "src/{file} reads the clock {readings} times, {allowed} are harmless"
            ));
        }
    }
    let gone = HARMLESS
        .iter()
        .filter(|(name, _)| !repository("src").join(name).exists());
    wrong.extend(gone.map(|(name, _)| format!("src/{name} is no file")));
    assert!(
        wrong.is_empty(),
        "decide by `DecisionInputs::now` or `Engine::trusted_now`:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn nothing_is_unsafe() {
    for path in source_files() {
        let code = code(&path);
        let found = code
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe");
        assert!(!found, "src/{} says `unsafe`", relative(&path));
    }
}

#[test]
fn the_scanner_sees_every_form() {
    let code = "use crate::{\n    a::{b, c::{d, e}},\n    f,\n};\nuse crate::g::h;\nlet x = crate::i::J;";
    let found: Vec<String> = named_modules(code, "crate::").into_iter().collect();
    assert_eq!(found, ["a", "f", "g", "i"]);
}

/// What serves people asks the engine, or shows a view: it does not read past them.
#[test]
fn nobody_reads_the_store_behind_the_engine() {
    // The laboratory looks behind what the engine says.
    const LABORATORY: [&str; 3] = ["lab/", "engine/", "store/"];
    let mut wrong = Vec::new();
    for path in source_files() {
        let file = relative(&path);
        let is_laboratory = LABORATORY.iter().any(|folder| file.starts_with(folder));
        if !is_laboratory && code(&path).contains("engine.store") {
            wrong.push(file);
        }
    }
    assert!(wrong.is_empty(), "ask a function of the engine: {wrong:?}");
}
